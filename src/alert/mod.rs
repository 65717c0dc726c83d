//! Thresholds (SPEC section 3): which rule is for a metric, which level a value has, and the words
//! for it.
//!
//! [`RulesetTable`] holds the compiled rules, one set for each list of profiles; [`Scope::find`]
//! gives the rule of a leaf; [`AlertState::step`] judges its values one by one; [`text`] writes the
//! sentences and [`Fields::display`] the operator's own words after them.
//!
//! Everything here is a pure function of configuration and samples. It never reads a clock, never
//! keeps who was told or who acknowledged, and never sends: the engine does, with what it gets from
//! here.

mod explain;
mod field;
#[cfg(test)]
mod fixture;
pub mod format;
mod level;
mod lookup;
mod path;
mod rule;
mod table;
pub mod text;

pub use explain::{Explanation, Question, explain};
pub use field::Fields;
pub use level::{AlertState, Level, NoticeKind, Step, Transition};
pub use lookup::{Match, Scope};
pub use path::metric_path;
pub use rule::{Rule, Ruleset};
pub use table::{RulesetId, RulesetTable};
