//! The message journal without its files: how a record becomes a line, when and how the file is rotated, what is
//! done while the disk does not take it, and how lines are read back.
//!
//! Never opens a file and never reads a clock: the thread `journal` of hbd does.

mod health;
mod line;
mod read;
mod redact;
mod rotation;

pub use health::{Failure, Health, RETRY_EVERY};
pub use line::{Renderer, datetime};
pub use read::{Line, Note, Stats, each_line, note};
pub use rotation::{Rotation, Step, file_name};
