//! What the user wrote, and what we decided from it. Problems are values with a place and a way to
//! mend them.

pub mod agent;
pub mod json;
pub mod node;
pub mod problem;
pub mod scalar;
pub mod secret;
pub mod section;
pub mod server;

pub use node::Document;
