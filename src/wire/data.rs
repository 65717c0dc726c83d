//! The data of a plugin: its leaves, and where its text begins and ends in the message.
//!
//! `data` is walked once, while the message is parsed; serde tells no places, so they come from the
//! keys, which are parts of the message.

use super::Reject;
use super::envelope::DATA_DEPTH;
use super::mend;
use super::walk::{Budget, Walk};
use serde::de::{DeserializeSeed, Deserializer};
use std::ops::Range;

/// One plugin's data object within the message.
pub(super) struct Data<'a> {
    pub text: &'a str,
    /// Its leaves, among those of the budget.
    pub leaves: Range<usize>,
}

/// Walks data that was set aside as text; its containers begin at `depth`.
pub(super) fn read_data<'a>(
    text: &'a str,
    depth: usize,
    budget: &mut Budget<'a>,
) -> Result<Data<'a>, Reject> {
    let (first, cut_before) = (budget.leaves.len(), budget.strings_cut);
    budget.walk(text, depth, true)?;
    data_of(text, first, cut_before, budget)
}

/// Data that was walked just now; `first` and `cut_before` are what the budget held until then.
fn data_of<'a>(
    text: &'a str,
    first: usize,
    cut_before: u32,
    budget: &mut Budget<'a>,
) -> Result<Data<'a>, Reject> {
    budget.name_leaves(first)?;
    let text = if budget.strings_cut > cut_before {
        let shorter = mend::cut_strings(text).ok_or(Reject::BadJson)?;
        budget.arena.copy(&shorter).ok_or(Reject::TooManyLeaves)?
    } else {
        text
    };
    Ok(Data { text, leaves: first..budget.leaves.len() })
}

/// Walks `data` as the message around it is read, and finds where it ends without another pass.
pub(super) struct DataSeed<'b, 'a> {
    /// From the brace that opens the data to the end of the message.
    pub text: &'a str,
    pub budget: &'b mut Budget<'a>,
}

impl<'a> DeserializeSeed<'a> for DataSeed<'_, 'a> {
    type Value = Data<'a>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Data<'a>, D::Error> {
        let DataSeed { text, budget } = self;
        let (first, cut_before) = (budget.leaves.len(), budget.strings_cut);
        budget.paths.clear();
        budget.last_key = None;
        Walk { budget: &mut *budget, depth: DATA_DEPTH, collect: true }
            .deserialize(deserializer)?;
        let (from, open) = match budget.last_key {
            Some((key, depth)) => (offset_after(text, key), depth + 1 - DATA_DEPTH),
            None => (Some(0), 0),
        };
        let data = from.and_then(|from| object_end(text, from, open)).ok_or(Reject::BadJson);
        data.and_then(|end| data_of(&text[..end], first, cut_before, budget))
            .map_err(|why| budget.refuse(why))
    }
}

/// The rest of the message from the value of `key` on, where that value begins an object.
pub(super) fn object_after<'a>(text: &'a str, key: &'a str) -> Option<&'a str> {
    let rest = text.get(offset_after(text, key)?..)?;
    let value = rest.trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
    value.starts_with('{').then_some(value)
}

/// Just behind the closing quote of `key`, which is a part of `text`.
fn offset_after(text: &str, key: &str) -> Option<usize> {
    let begin = (key.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    begin.checked_add(key.len() + 1)
}

/// Just behind the bracket that closes the outermost of `open` containers, in JSON that was found
/// to be well-formed; with none open, of the first that opens.
fn object_end(text: &str, from: usize, mut open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += mend::string_end(&bytes[at..]);
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' if open <= 1 => return Some(at + 1),
            b'}' | b']' => open -= 1,
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::{Decoder, Message};

    fn check(message: &str, want: &str) {
        let mut decoder = Decoder::new();
        let Message::Plg(plg) = decoder.decode(message.as_bytes()).unwrap().message else {
            panic!("no PLG: {message}")
        };
        assert_eq!(plg.data, want, "{message}");
    }

    #[test]
    fn c1_data_is_cut_out_of_the_message_wherever_it_stands() {
        let table = [
            "{}",
            "{ }",
            r#"{"a":1}"#,
            r#"{"a":{"b":[1,{"c":2}]} }"#,
            r#"{"a":[{"b":1},{}],"c":"}]\"}" }"#,
            r#"{"\u0061":{"b":"{"},"\u0062":[[]]}"#,
            r#"{"a":{"b":{"\u0063":{}}}}"#,
            "{\"é\" :\t\"ü}\"\n}",
        ];
        for data in table {
            for key in ["data", r"d\u0061ta"] {
                for (before, after) in
                    [("", r#","x":[{}]"#), (r#""x":{"data":{}},"#, ""), ("", "\n")]
                {
                    let head = r#""ID":"PLG","name":"a","plugin":"p""#;
                    let message = format!("{{{before}{head},\"{key}\" : {data} {after}}}");
                    check(&message, data);
                }
            }
        }
    }
}
