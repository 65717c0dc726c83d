//! What travels in a datagram: messages, decoding and encoding, and why bytes are refused.
//!
//! Everything here is a pure function of its bytes. PROTOCOL.md is the specification; comments name its sections.

mod message;
mod reject;

pub use message::{Datagram, Htb, Kind, Leaf, LeafValue, Message, Msg, Plg};
pub use reject::Reject;
