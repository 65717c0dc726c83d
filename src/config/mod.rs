//! What the user wrote, and what we decided from it. Problems are values with a place and a way to mend them.

pub mod agent;
pub mod server;
