//! Scratch for text that is not in the datagram as it stands: leaf paths, unescaped strings, mended
//! data.
//!
//! Owns one fixed stretch of bytes and hands it out from the front; never grows, never gives back.

/// Bytes for one datagram: its unescaped strings and mended data (each at most `INFLATE_MAX`)
/// and the paths of its leaves. The pages that no datagram needs are never touched.
pub(super) const ARENA_BYTES: usize = 1 << 20;

pub(super) struct Arena<'a> {
    rest: &'a mut [u8],
}

impl<'a> Arena<'a> {
    pub fn new(bytes: &'a mut [u8]) -> Arena<'a> {
        Arena { rest: bytes }
    }

    /// A copy that lives as long as the scratch; `None` where it is used up.
    pub fn copy(&mut self, text: &str) -> Option<&'a str> {
        let head = self.take(text)?;
        std::str::from_utf8(head).ok()
    }

    pub fn copy_lowercase(&mut self, text: &str) -> Option<&'a str> {
        let head = self.take(text)?;
        head.make_ascii_lowercase();
        std::str::from_utf8(head).ok()
    }

    fn take(&mut self, text: &str) -> Option<&'a mut [u8]> {
        if text.len() > self.rest.len() {
            return None;
        }
        let (head, tail) = std::mem::take(&mut self.rest).split_at_mut(text.len());
        self.rest = tail;
        head.copy_from_slice(text.as_bytes());
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arena_at_its_end_gives_nothing_and_stays_usable() {
        let mut bytes = [0; 5];
        let mut arena = Arena::new(&mut bytes);
        let first = arena.copy("aé");
        assert_eq!(arena.copy("abc"), None);
        assert_eq!(arena.copy_lowercase("XY"), Some("xy"));
        assert_eq!((first, arena.copy("z"), arena.copy("")), (Some("aé"), None, Some("")));
    }
}
