//! Configurations of the tests of this module, read as the server reads its own.

use super::rule::{Rule, Ruleset};
use crate::config::Document;
use crate::config::server::{self, Server};
use crate::yaml;

/// Fails where there is anything to say against the text.
pub fn server(text: &str) -> Server {
    let (root, read) = yaml::read(text, "hbd.yaml").expect("YAML");
    let (server, checked) =
        server::check(&[Document { file: "hbd.yaml".into(), text: text.into(), root }]);
    let problems: Vec<String> = read.iter().chain(&checked).map(|p| p.render_line()).collect();
    assert!(problems.is_empty(), "{text}\n{}", problems.join("\n"));
    server
}

/// The rule of one entry, written as YAML.
pub fn rule(entry: &str) -> Rule {
    let config = server(&format!("thresholds: {{mine: {{metric: {entry}}}}}"));
    let set = Ruleset::compile(&config, &[]);
    let rule = set.rules().next().expect("one rule");
    Rule::clone(rule)
}
