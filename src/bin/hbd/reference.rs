//! docs/CONFIGURATION.md as data: what each key means, for the file that `hbd init` writes and the man pages.
//!
//! The document is compiled in, so that there is one text for all; its test holds it to the tables of keys.

use heartbeat::config::section::Key;
use heartbeat::config::server;

pub const TEXT: &str = include_str!("../../../docs/CONFIGURATION.md");

/// A key of the top level of `hbd.yaml` with its meaning.
pub struct Row {
    pub key: &'static Key,
    pub meaning: String,
}

/// The parts of `hbd.yaml` in the order of the document, each with its keys.
pub fn parts() -> Vec<(&'static str, Vec<Row>)> {
    let mut parts: Vec<(&str, Vec<Row>)> = Vec::new();
    for line in server_part().lines() {
        if let Some(title) = line.strip_prefix("### ") {
            parts.push((title, Vec::new()));
        }
        let Some((_, rows)) = parts.last_mut() else { continue };
        if let Some(row) = row(line).filter(|row| !rows.iter().any(|r| r.key.name == row.key.name))
        {
            rows.push(row);
        }
    }
    parts
}

/// From the heading of `hbd.yaml` to that of `hbc.yaml`.
pub fn server_part() -> &'static str {
    between("\n## hbd.yaml\n", "\n## hbc.yaml")
}

pub fn agent_part() -> &'static str {
    between("\n## hbc.yaml", "\n## Environment")
}

/// What holds for both: files, values, problems.
pub fn common_part() -> &'static str {
    between("\n## Files\n", "\n## hbd.yaml\n")
}

fn between(from: &str, to: &str) -> &'static str {
    let start = TEXT.find(from).unwrap_or(0);
    let rest = &TEXT[start..];
    &rest[..rest[1..].find(to).map_or(rest.len(), |end| end + 2)]
}

/// A row of five cells whose first is a key of the top level.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let [name, _, _, live, meaning] = cells[..] else { return None };
    let name = name.trim_matches('`');
    let key = server::key::TOP.iter().find(|key| key.name == name)?;
    matches!(live, "yes" | "no").then(|| Row { key, meaning: plain(meaning) })
}

/// Without the signs of Markdown.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.replace("\\|", "|").replace("**", "");
    while let Some(open) = rest.find('[') {
        let link = rest[open..].find("](").map(|at| open + at);
        let end = link.and_then(|at| rest[at..].find(')').map(|end| at + end));
        let (Some(at), Some(end)) = (link, end) else { break };
        out.push_str(&rest[..open]);
        out.push_str(&rest[open + 1..at]);
        rest = rest[end + 1..].to_owned();
    }
    out.push_str(&rest);
    out.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_top_level_has_a_meaning_once() {
        let parts = parts();
        for key in server::key::TOP {
            let rows = parts.iter().flat_map(|(_, rows)| rows).filter(|r| r.key.name == key.name);
            let meanings: Vec<&str> = rows.map(|row| row.meaning.as_str()).collect();
            assert_eq!(meanings.len(), 1, "{}: {meanings:?}", key.name);
            assert!(meanings[0].len() > 3, "{}", key.name);
        }
    }

    #[test]
    fn plain_text_has_no_markdown() {
        assert_eq!(plain("see [x](y.md), `a` **b** [1, 2]"), "see x, a b [1, 2]");
    }
}
