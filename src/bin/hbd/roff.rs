//! Markdown as it is written here, as a page for man(1).
//!
//! Knows headings, paragraphs, lists, blocks of code and tables, and no more. Never reads a file.

use std::fmt::Write as _;

/// `title` as `hbd.yaml`, in `section`; the text's own first-rank heading is left out.
pub fn page(title: &str, section: u8, about: &str, text: &str) -> String {
    let mut out = format!(
        ".\\\" Written by: hbd man DIR\n.TH \"{}\" {section} \"\" \"heartbeat {}\" \"Heartbeat\"\n\
         .nh\n.ad l\n.SH NAME\n{} \\- {}\n",
        title.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        escape(title),
        escape(about)
    );
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let _ = language;
            out.push_str(".PP\n.RS 4\n.EX\n");
            for code in lines.by_ref().take_while(|code| !code.starts_with("```")) {
                let _ = writeln!(out, "{}", literal(code));
            }
            out.push_str(".EE\n.RE\n");
        } else if line.starts_with('|') {
            let mut table = vec![line];
            while let Some(row) = lines.next_if(|row| row.starts_with('|')) {
                table.push(row);
            }
            write_table(&mut out, &table);
        } else if let Some(heading) = line.strip_prefix("### ") {
            let _ = writeln!(out, ".SS {}", quoted(&inline(heading)));
        } else if let Some(heading) = line.strip_prefix("## ") {
            let _ = writeln!(out, ".SH {}", quoted(&inline(&heading.to_uppercase())));
        } else if let Some(item) = line.strip_prefix("- ") {
            let _ = writeln!(out, ".IP \\(bu 2\n{}", inline(item));
        } else if let Some((number, item)) = numbered(line) {
            let _ = writeln!(out, ".IP {number}. 4\n{}", inline(item));
        } else if line.trim().is_empty() || line.starts_with("# ") {
        } else if line.starts_with("  ") {
            // A line that goes on with the item above.
            let _ = writeln!(out, "{}", inline(line.trim_start()));
        } else {
            let _ = writeln!(out, ".PP\n{}", inline(line));
            while let Some(more) = lines.next_if(|more| is_text(more)) {
                let _ = writeln!(out, "{}", inline(more));
            }
        }
    }
    out
}

fn is_text(line: &str) -> bool {
    !line.trim().is_empty()
        && !line.starts_with(['|', '#', '`', '-', ' '])
        && numbered(line).is_none()
}

fn numbered(line: &str) -> Option<(&str, &str)> {
    let (number, item) = line.split_once(". ")?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some((number, item))
}

/// A row becomes a tagged paragraph: the first cell, what the ones between say in italics, the last as text.
fn write_table(out: &mut String, table: &[&str]) {
    let cells = |row: &str| -> Vec<String> {
        let row = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{1}");
        row.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
    };
    let titles = cells(table[0]);
    for row in table.iter().skip(2) {
        let row = cells(row);
        let (Some(first), Some(last)) = (row.first(), row.last()) else { continue };
        let between: Vec<String> = titles
            .iter()
            .zip(&row)
            .skip(1)
            .take(row.len().saturating_sub(2))
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(title, cell)| format!("{title}: {cell}"))
            .collect();
        let _ = writeln!(out, ".TP\n{}", inline(first));
        if !between.is_empty() {
            let _ = writeln!(out, "({})\n.br", inline(&between.join("; ")));
        }
        if row.len() > 1 {
            let _ = writeln!(out, "{}", inline(last));
        }
    }
}

/// `code` and **bold** are bold; of a link its text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        out.push_str(&escape(&rest[..at]));
        let tail = &rest[at..];
        let (shown, taken, bold) = if let Some(code) = tail.strip_prefix('`') {
            // Two backquotes stand around one.
            let fence = if code.starts_with('`') { "``" } else { "`" };
            let inner = &tail[fence.len()..];
            match inner.find(fence) {
                Some(end) => (inner[..end].trim(), end + 2 * fence.len(), true),
                None => ("`", 1, false),
            }
        } else if let Some(inner) = tail.strip_prefix("**") {
            match inner.find("**") {
                Some(end) => (&inner[..end], end + 4, true),
                None => ("**", 2, false),
            }
        } else {
            link(tail).unwrap_or((&tail[..1], 1, false))
        };
        match bold {
            true => {
                let _ = write!(out, "\\fB{}\\fR", escape(&shown.replace('`', "")));
            }
            false => out.push_str(&escape(shown)),
        }
        rest = &rest[at + taken..];
    }
    out.push_str(&escape(rest));
    guard(out)
}

/// `[text](address)`: the text and how long it is in all.
fn link(text: &str) -> Option<(&str, usize, bool)> {
    let middle = text.find("](")?;
    let end = text[middle..].find(')')? + middle;
    let inside = &text[1..middle];
    (!inside.contains('[')).then_some((inside, end + 1, false))
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

fn literal(line: &str) -> String {
    guard(escape(line))
}

/// A line that begins with a dot or an apostrophe would be a request.
fn guard(line: String) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\(dq"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn markdown_becomes_a_page() {
        let text = "# Title\n\n## How it is\n\nSee [there](x.md): `a-b` is **not** [1, 2].\nMore.\n\n\
                    | key | type | meaning |\n| --- | --- | --- |\n| `x` | `a`\\|`b` | What. |\n\n\
                    - one\n  goes on\n\n```yaml\n.a: \\n\n```\n";
        expect![[r#"
            .\" Written by: hbd man DIR
            .TH "X.YAML" 5 "" "heartbeat 0.1.0" "Heartbeat"
            .nh
            .ad l
            .SH NAME
            x.yaml \- what it is
            .SH "HOW IT IS"
            .PP
            See there: \fBa\-b\fR is \fBnot\fR [1, 2].
            More.
            .TP
            \fBx\fR
            (type: \fBa\fR|\fBb\fR)
            .br
            What.
            .IP \(bu 2
            one
            goes on
            .PP
            .RS 4
            .EX
            \&.a: \en
            .EE
            .RE
        "#]]
        .assert_eq(&page("x.yaml", 5, "what it is", text));
    }
}
