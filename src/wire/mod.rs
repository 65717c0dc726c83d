//! What travels in a datagram: messages, decoding and encoding, and why bytes are refused.
//!
//! Everything here is a pure function of its bytes. PROTOCOL.md is the specification; comments name its sections.

mod message;
mod reject;

pub use message::{Datagram, Htb, Kind, Leaf, LeafValue, Message, Msg, Plg};
pub use reject::Reject;

/// Writes the ACK of a plain datagram: `ack`, then the legacy echoes where they fit. 0: nothing fits.
pub fn encode_ack(out: &mut [u8], seq: Option<u64>, time: Option<&str>, len_max: usize) -> usize {
    let mut text = String::from(r#"{"ID":"ACK"}"#);
    for field in [
        seq.map(|s| format!(r#","ack":{s}}}"#)),
        seq.map(|s| format!(r#","seq":{s}}}"#)),
        time.map(|t| format!(r#","time":{t}}}"#)),
    ]
    .into_iter()
    .flatten()
    {
        if text.len() - 1 + field.len() <= len_max.min(out.len()) {
            text.pop();
            text.push_str(&field);
        }
    }
    if text.len() > len_max.min(out.len()) {
        return 0;
    }
    out[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}
