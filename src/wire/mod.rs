//! What travels in a datagram: messages, decoding and encoding, and why bytes are refused.
//!
//! Everything here is a pure function of its bytes. PROTOCOL.md is the specification; comments name
//! its sections.

mod ack;
mod arena;
mod data;
mod decode;
mod deflate;
mod encode;
mod envelope;
mod inflate;
mod lease;
mod mend;
mod message;
mod reject;
mod split;
mod walk;

pub use ack::{Ack, decode_ack, encode_ack};
pub use decode::Decoder;
pub use encode::{HtbOut, MsgOut, PlgOut, pack, push_string};
pub use mend::{null_no_numbers, string_end};
pub use message::{Datagram, Htb, Kind, Leaf, LeafValue, Message, Msg, Plg};
pub use reject::Reject;
pub use split::{ENVELOPE_MAX, PARTS_MAX, split};
