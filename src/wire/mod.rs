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
mod key;
mod keyring;
mod lease;
mod mend;
mod message;
mod opened;
mod order;
mod reject;
pub mod seal;
mod split;
mod walk;
mod window;

pub use ack::{Ack, decode_ack, encode_ack};
pub use decode::Decoder;
pub use encode::{HtbOut, MaintenanceOut, MsgOut, PlgOut, ResOut, pack, push_string};
pub use key::{Key, KeyError, KeyId};
pub use keyring::{KEYS_PER_HOST, Keyring, Slot};
pub use mend::{null_no_numbers, string_end};
pub use message::{
    Datagram, Htb, Kind, Leaf, LeafValue, Message, Msg, Plg, Res, ResState, SealedMessage,
};
pub use opened::{Content, Opened, Unopened};
pub use order::{Answered, Cmd, Order, Sealed, Upd, is_command_name, open_order};
pub use reject::Reject;
pub use seal::{Header, SealKind, SessionKey, is_sealed};
pub use split::{ENVELOPE_MAX, PARTS_MAX, split};
pub use window::Window;
