//! The format specification mini-language: `[[fill]align][sign][#][0][width][grouping][.precision]
//! [type]` (Python library reference, "Format Specification Mini-Language").
//!
//! Owns its reading, padding, and the formatting of text. Numbers are `number`'s.

/// Largest width and precision (THREATS H10).
const SIZE_MAX: usize = 64;

/// What a spec is read for: it decides the default alignment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Text,
    Number,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
    Centre,
    /// Between the sign and the digits.
    Inside,
}

impl Align {
    fn parse(c: char) -> Option<Align> {
        match c {
            '<' => Some(Align::Left),
            '>' => Some(Align::Right),
            '^' => Some(Align::Centre),
            '=' => Some(Align::Inside),
            _ => None,
        }
    }
}

/// A spec, read.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub fill: char,
    pub align: Option<Align>,
    pub sign: Option<char>,
    pub alternate: bool,
    pub width: usize,
    pub grouping: Option<char>,
    pub precision: Option<usize>,
    /// The type letter.
    pub kind: Option<char>,
}

impl Spec {
    /// `None`: it is none, or a size is over the limit.
    pub fn parse(text: &str, of: Of) -> Option<Spec> {
        let mut rest = text;
        let mut chars = rest.chars();
        let (first, second) = (chars.next(), chars.next());
        let mut fill = None;
        let mut align = second.and_then(Align::parse);
        if align.is_some() {
            fill = first;
            rest = chars.as_str();
        } else {
            align = first.and_then(Align::parse);
            rest = if align.is_some() { &rest[1..] } else { rest };
        }
        let sign = take(&mut rest, &['+', '-', ' ']);
        let alternate = take(&mut rest, &['#']).is_some();
        if fill.is_none() && take(&mut rest, &['0']).is_some() {
            fill = Some('0');
            if of == Of::Number {
                align = align.or(Some(Align::Inside));
            }
        }
        let width = size(&mut rest)?.unwrap_or(0);
        let grouping = take(&mut rest, &[',', '_']);
        let mut precision = None;
        if take(&mut rest, &['.']).is_some() {
            precision = Some(size(&mut rest)??);
        }
        let mut chars = rest.chars();
        let kind = chars.next();
        let complete = chars.next().is_none();
        let fill = fill.unwrap_or(' ');
        let spec = Spec { fill, align, sign, alternate, width, grouping, precision, kind };
        complete.then_some(spec)
    }

    /// A text: padded, and cut to the precision.
    pub fn text(&self, text: &str) -> Option<String> {
        let for_numbers = self.sign.is_some() || self.alternate || self.grouping.is_some();
        if for_numbers
            || self.align == Some(Align::Inside)
            || !matches!(self.kind, None | Some('s'))
        {
            return None;
        }
        let kept: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        Some(self.pad("", &kept, Align::Left))
    }

    /// `head` and `tail` with the fill before, between or after them.
    pub fn pad(&self, head: &str, tail: &str, default: Align) -> String {
        let length = head.chars().count() + tail.chars().count();
        let missing = self.width.saturating_sub(length);
        let (before, between, after) = match self.align.unwrap_or(default) {
            Align::Left => (0, 0, missing),
            Align::Right => (missing, 0, 0),
            Align::Inside => (0, missing, 0),
            Align::Centre => (missing / 2, 0, missing - missing / 2),
        };
        let fill = |count: usize| std::iter::repeat_n(self.fill, count);
        let mut out =
            String::with_capacity(head.len() + tail.len() + missing * self.fill.len_utf8());
        out.extend(fill(before));
        out.push_str(head);
        out.extend(fill(between));
        out.push_str(tail);
        out.extend(fill(after));
        out
    }
}

fn take(rest: &mut &str, any: &[char]) -> Option<char> {
    let c = rest.chars().next().filter(|c| any.contains(c))?;
    *rest = &rest[c.len_utf8()..];
    Some(c)
}

/// The digits that stand here: `Some(None)` without any, `None` where they say too much.
fn size(rest: &mut &str) -> Option<Option<usize>> {
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    if end == 0 {
        return Some(None);
    }
    let (digits, after) = rest.split_at(end);
    *rest = after;
    let size: usize = digits.parse().ok()?;
    (size <= SIZE_MAX).then_some(Some(size))
}
