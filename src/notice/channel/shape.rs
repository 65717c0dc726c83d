//! Text in the shape that a service takes: joined, cut to its limit, defused.

use crate::notice::Message;
use crate::text::escape_control;

/// How a service counts the length of a text.
pub type Measure = fn(&str) -> usize;

pub fn chars(text: &str) -> usize {
    text.chars().count()
}

pub fn bytes(text: &str) -> usize {
    text.len()
}

pub fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The message's lines, and the page about it as the last one.
pub fn whole(message: &Message) -> Vec<String> {
    let mut lines = plain(message);
    lines.extend(message.url.iter().map(|url| escape_control(url).into_owned()));
    lines
}

/// The message's lines.
pub fn plain(message: &Message) -> Vec<String> {
    message.lines.iter().map(|line| escape_control(line).into_owned()).collect()
}

/// The lines as one text of at most `max`. Lines that find no room are counted in a last one, and a
/// first line that is too long alone is cut.
pub fn fit(lines: &[String], max: usize, measure: Measure) -> String {
    let text = lines.join("\n");
    if measure(&text) <= max {
        return text;
    }
    for kept in (1..lines.len()).rev() {
        let rest = lines.len() - kept;
        let plural = if rest == 1 { "" } else { "s" };
        let text = format!("{}\n… and {rest} more line{plural}", lines[..kept].join("\n"));
        if measure(&text) <= max {
            return text;
        }
    }
    let first = lines.first().map(String::as_str).unwrap_or_default();
    let mut cut = String::new();
    for c in first.chars() {
        cut.push(c);
        if measure(&cut) + measure("…") > max {
            cut.pop();
            break;
        }
    }
    cut + "…"
}

/// Text for a service that reads Markdown: nobody is called by name, and no link shows other words
/// than its address. Ordinary sentences stay as they are, letter by letter.
pub fn defuse(text: &str) -> String {
    const JOINER: char = '\u{200b}';
    let mut out = String::with_capacity(text.len());
    let mut last = ' ';
    for c in text.chars() {
        let calls = last == '@' && (c.is_alphanumeric() || c == '_');
        if calls || last == ']' && matches!(c, '(' | '[' | ':') {
            out.push(JOINER);
        }
        out.push(c);
        last = c;
    }
    out
}

/// One path segment, percent-encoded.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_too_long_says_how_much_is_missing() {
        let lines: Vec<String> = (0..10).map(|i| format!("line {i}")).collect();
        assert_eq!(fit(&lines, 1000, chars), lines.join("\n"));
        assert_eq!(fit(&lines, 40, chars), "line 0\nline 1\nline 2\n… and 7 more lines");
        let long = ["é".repeat(50)];
        assert_eq!(fit(&long, 10, chars), format!("{}…", "é".repeat(9)));
        assert!(fit(&long, 11, bytes).len() <= 11);
        let emoji = ["😀".repeat(50)];
        assert!(utf16(&fit(&emoji, 21, utf16)) <= 21);
    }

    #[test]
    fn calls_and_links_are_defused_and_sentences_stay() {
        let plain = "WARNING: web1 - disk_monitor.partitions./.percent = 81.0 (threshold: > 80%)";
        assert_eq!(defuse(plain), plain);
        let call = defuse("@channel @all see [here](http://evil) ![x](http://y) a@b.c");
        assert!(!call.contains("@c") && !call.contains("](") && !call.contains("@b"), "{call}");
    }
}
