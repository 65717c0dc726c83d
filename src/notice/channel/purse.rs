//! The values of secrets while a try lasts, and how they are kept out of errors.

use super::Fault;
use crate::config::secret::{Reference, Secret};
use std::cell::RefCell;

/// Parts of an address shorter than this are no secret of their own.
const PART_MIN: usize = 6;
/// Values shorter than this cannot be told from ordinary text.
const VALUE_MIN: usize = 3;
const HIDDEN: &str = "***";

/// Reads secrets and remembers what it has read.
pub struct Purse<'a> {
    read: &'a dyn Fn(Reference<'_>) -> Result<String, String>,
    seen: RefCell<Vec<String>>,
}

impl<'a> Purse<'a> {
    /// `read` does the I/O; its error is shown to people.
    pub fn new(read: &'a dyn Fn(Reference<'_>) -> Result<String, String>) -> Purse<'a> {
        Purse { read, seen: RefCell::new(Vec::new()) }
    }

    /// The value of a secret. What cannot be read now may be there at the next try.
    pub fn get(&self, key: &str, secret: &Secret) -> Result<String, Fault> {
        let value = secret.resolve(self.read);
        let value =
            value.map_err(|error| Fault { text: format!("{key}: {error}"), lasting: false })?;
        self.remember(&value);
        Ok(value)
    }

    /// Hides a value that came about otherwise, such as encoded credentials.
    pub fn remember(&self, value: &str) {
        let mut seen = self.seen.borrow_mut();
        let mut note = |part: &str, least: usize| {
            if part.len() >= least && !seen.iter().any(|known| known == part) {
                seen.push(part.to_owned());
            }
        };
        note(value, VALUE_MIN);
        if let Some((_, rest)) = value.split_once("://") {
            note(rest, VALUE_MIN);
            if let Some(at) = rest.find(['/', '?', '#']) {
                note(&rest[at..], PART_MIN);
                rest[at..].split(['/', '?', '&', '=', '#']).for_each(|part| note(part, PART_MIN));
            }
        }
    }

    /// The text with every value replaced, longest first.
    pub fn hide(&self, text: &str) -> String {
        let mut values: Vec<String> = self.seen.borrow().clone();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), HIDDEN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: Reference<'_>) -> Result<String, String> {
        Err("not here".to_owned())
    }

    #[test]
    fn h12_address_and_each_part_of_it_are_hidden() {
        let purse = Purse::new(&nothing);
        let url = Secret::Text("https://chat.example.net/hooks/abc123def?key=s3cr3tval".to_owned());
        purse.get("url", &url).unwrap();
        let error = "Cannot POST /hooks/abc123def?key=s3cr3tval at https://chat.example.net/hooks/\
                     abc123def?key=s3cr3tval (abc123def)";
        let shown = purse.hide(error);
        assert!(!shown.contains("abc123def") && !shown.contains("s3cr3tval"), "{shown}");
        assert_eq!(purse.hide("a plain error"), "a plain error");
    }

    #[test]
    fn secret_that_cannot_be_read_is_tried_again_and_named_by_its_key() {
        let purse = Purse::new(&nothing);
        let fault = purse.get("token", &Secret::Env("X".to_owned())).unwrap_err();
        assert_eq!((fault.text.as_str(), fault.lasting), ("token: not here", false));
    }
}
