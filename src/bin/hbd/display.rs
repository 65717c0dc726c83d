//! Display templates that can never be rendered, told by `check-config` and at the start with their place.
//!
//! The configuration's own check sees whether braces pair; whether a format fits its value only the rules know.

use heartbeat::alert::Ruleset;
use heartbeat::config::Document;
use heartbeat::config::node::{Node, Span, Value};
use heartbeat::config::problem::{DISPLAY, DISPLAY_FIX, Problem};
use heartbeat::config::server::Server;
use std::collections::BTreeMap;

/// By the metric's own name and the template: what is wrong with it.
type Faults = BTreeMap<(String, String), String>;

pub fn problems(config: &Server, documents: &[Document]) -> Vec<Problem> {
    let faults = faults(config);
    let mut problems = Vec::new();
    if faults.is_empty() {
        return problems;
    }
    for document in documents {
        for section in ["thresholds", "threshold_configs"] {
            let Some(node) = document.root.get(section) else { continue };
            look(node, section, &mut |span, key, metric, template| {
                let Some(fault) = faults.get(&(metric.to_owned(), template.to_owned())) else {
                    return;
                };
                let what = format!("the format of \"display\" {fault}");
                let problem = Problem::new(DISPLAY, &document.file, span, what, DISPLAY_FIX);
                problems.push(Problem { key, ..problem });
            });
        }
    }
    problems
}

/// Of every profile by itself; what a list of them makes of two entries is not looked at.
fn faults(config: &Server) -> Faults {
    let profiles = config.threshold_configs.keys().map(|name| vec![name.clone()]);
    let mut faults = Faults::new();
    for profiles in profiles.chain([Vec::new()]) {
        for rule in Ruleset::compile(config, &profiles).rules() {
            let (Some(template), Some(fault)) = (&rule.display, rule.display_fault()) else {
                continue;
            };
            faults
                .insert((own_name(&rule.path).to_owned(), template.to_string()), fault.to_string());
        }
    }
    faults
}

/// The last element of a path, however it is written: two places are compared by it.
fn own_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Calls `found` with the place, the key, the metric and the template of each entry below a section.
fn look(node: &Node, path: &str, found: &mut impl FnMut(Span, String, &str, &str)) {
    let Value::Map(entries) = &node.value else { return };
    for (key, child) in entries {
        let path = format!("{path}.{}", key.text);
        if let Some(display) = child.get("display")
            && let Value::Text(template) = &display.value
        {
            // An old name of this metric.
            let metric = if key.text == "memory_percent" { "percent" } else { own_name(&key.text) };
            found(display.span, format!("{path}.display"), metric, template);
        }
        look(child, &path, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartbeat::config::server;
    use heartbeat::yaml;

    fn told(text: &str) -> Vec<String> {
        let (root, _) = yaml::read(text, "hbd.yaml").unwrap();
        let documents = [Document { file: "hbd.yaml".into(), text: text.into(), root }];
        let (config, problems) = server::check(&documents);
        assert!(problems.is_empty(), "{problems:?}");
        super::problems(&config, &documents).iter().map(Problem::render_line).collect()
    }

    #[test]
    fn template_that_cannot_be_rendered_is_named_with_its_place_and_mend() {
        let text = "\
thresholds:
  cpu_monitor:
    cpu_percent: {warning: 80, display: \"{value!q}\"}
    load_1min:
      warning: 80
      display: \"{value:.1q}\"
    load_5min: {warning: 80, display: \"{threshold_value:>99}\"}
    user_percent: {warning: 80, display: \"{value:.1f} {op_symbol} {threshold_value}%\"}
threshold_configs:
  small:
    thresholds: {memory_monitor: {memory_percent: {critical: 5, display: \"{op_symbol:.1f}\"}}}
";
        let lines = told(text);
        let places: Vec<&str> = lines.iter().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(places, ["hbd.yaml:3:41", "hbd.yaml:6:16", "hbd.yaml:7:39", "hbd.yaml:11:74"]);
        assert!(lines[0].contains("thresholds.cpu_monitor.cpu_percent.display"), "{}", lines[0]);
        assert!(lines[0].contains("has a conversion other than !r and !s"), "{}", lines[0]);
        assert!(lines[1].contains(".1q") && lines[1].contains("{value:.1f}"), "{}", lines[1]);
        assert!(lines[2].contains(">99") && lines[3].contains(".1f"), "{lines:?}");
    }
}
