//! What is quiet now, until when, and when that changes: acknowledgements, silences, maintenance.
//!
//! Owns their rules and where each of them stands. Never evaluates a threshold, never tells anybody,
//! never looks up a zone by itself: [`Zones`] is handed in by whoever may read the system's zone files.

mod body;
mod calendar;
mod course;
mod fault;
mod keeping;
mod maintenance;
mod matcher;
mod planning;
mod request;
mod saved;
mod schedule;
mod sharing;
mod shown;
mod silence;
mod zone;

#[cfg(test)]
mod schedule_test;
#[cfg(test)]
mod tests;

pub use body::{Moment, Until};
pub use calendar::{Calendar, Change, Quiet, What};
pub use fault::{Fault, FaultKind};
pub use maintenance::{Maintenance, Origin};
pub use matcher::{Matcher, Target};
pub use request::{AckRequest, MaintenanceRequest, SilenceRequest, When};
pub use saved::Saved;
pub use schedule::{Impossible, Repeated, RepeatedEnd, Schedule, Span};
pub use shown::{AckShown, MaintenanceShown, SilenceShown, Time};
pub use silence::{Acknowledgement, Silence};
pub use zone::Zones;
