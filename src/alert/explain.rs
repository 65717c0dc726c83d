//! Why a metric has the level that it has: the body of `GET explain` as far as rules go (SPEC
//! section 13).
//!
//! Reads everything and changes nothing. Who would be told is not known here.

use super::field::Fields;
use super::level::Level;
use super::lookup::Match;
use super::path;
use super::rule::{Rule, Ruleset};
use super::text::{self, Subject};
use crate::wire::LeafValue;
use serde_json::Value as Json;
use std::sync::Arc;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub host: &'a str,
    /// `<plugin>.<metric>`, with the container or without.
    pub metric: &'a str,
    /// Of the metric or assumed; `None`: only the entry is asked for.
    pub value: Option<LeafValue<'a>>,
    /// The level before that value: a level is held up to its recovery point.
    pub before: Level,
    /// The plugin's latest data, for the display; `Null` without any.
    pub data: &'a Json,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The metric's path, container left out.
    pub metric_path: String,
    /// Every name that was looked for, in order; the last one is the entry's where there is one.
    pub tried: Vec<String>,
    /// The entry that counts, with its profile and place. One that is switched off has
    /// `enabled: false`, and no level.
    pub rule: Option<Arc<Rule>>,
    pub check_name: String,
    /// The level with that value, `for` left aside; `None` without a value or a rule that can judge
    /// it.
    pub level: Option<Level>,
    /// Where that level ends; of the lowest one that can be raised while all is well.
    pub recovers_at: Option<f64>,
    /// The notice with that value; `None` while all is well.
    pub text: Option<String>,
    /// What is wrong with the display template for this data.
    pub display_fault: Option<String>,
}

pub fn explain(rules: &Ruleset, question: &Question<'_>) -> Explanation {
    let at = question.metric.split_once('.');
    let mut answer = Explanation {
        metric_path: at.map_or(question.metric.to_owned(), |at| path::metric_path(at.0, at.1)),
        tried: Vec::new(),
        rule: None,
        check_name: String::new(),
        level: None,
        recovers_at: None,
        text: None,
        display_fault: None,
    };
    let Some((plugin, leaf)) = at else { return answer };
    let Some(of_plugin) = rules.plugin(plugin) else {
        answer.tried.push(answer.metric_path.clone());
        return answer;
    };
    let tried = &mut answer.tried;
    let Some(found) = of_plugin.find(leaf, |name| tried.push(format!("{plugin}.{name}"))) else {
        return answer;
    };
    answer.rule = Some(found.rule.clone());
    found.check_name.clone_into(&mut answer.check_name);
    if found.rule.enabled {
        judge(&mut answer, question, (plugin, leaf), found);
    }
    answer
}

fn judge(
    answer: &mut Explanation,
    question: &Question<'_>,
    at: (&str, &str),
    found: Match<'_, '_>,
) {
    let Match { rule, check_name } = found;
    let (plugin, leaf) = at;
    let level = question.value.and_then(|value| rule.next_level(question.before, value));
    let lowest = [Level::Warning, Level::Critical].into_iter().find(|l| rule.limit(*l).is_some());
    answer.level = level;
    let raised = level.filter(|level| *level > Level::Ok);
    answer.recovers_at = raised.or(lowest).and_then(|level| rule.recovers_at(level));
    let (Some(value), Some(level)) = (question.value, raised) else { return };
    let data = question.data;
    let fields = Fields { rule, level, check_name, plugin, leaf, value, data };
    let display = fields.try_display();
    answer.display_fault = display.as_ref().err().map(ToString::to_string);
    let subject = Subject { host: question.host, metric_path: &answer.metric_path, value };
    answer.text = Some(text::raised(&subject, level, &display.unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::super::fixture::server;
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(metric: &str, value: Option<LeafValue<'_>>, before: Level, want: Expect) {
        let config = server(
            "thresholds:
  cpu_monitor: {cpu_percent: {warning: 80, critical: 90, hysteresis: 0.1, display: '> {threshold_value}'}}
  disk_monitor: {'/srv/*': {percent: {critical: 95, display: '{nothing}'}}}
  nagios_runner:
    status_code: {operator: nagios, display: '{check_name}: {output}'}
    noisy_status_code: {enabled: false}
threshold_configs:
  tight:
    thresholds: {cpu_monitor: {cpu_percent: {warning: 60}}}
hosts: {web1: {threshold_config: tight}}
",
        );
        let rules = Ruleset::compile(&config, &config.hosts["web1"].threshold_config);
        let data = json!({"check_load_status_code": 3, "check_load_output": "no answer"});
        let question = Question { host: "web1", metric, value, before, data: &data };
        let answer = explain(&rules, &question);
        let rule = answer.rule.as_ref();
        let from = rule.map(|r| (&*r.path, r.profile.as_deref(), r.origin.line));
        want.assert_eq(&format!(
            "{} by {:?}\ntried {}\ncheck {:?} level {:?} recovers at {:?}\ntext {:?}\nfault {:?}\n",
            answer.metric_path,
            from,
            answer.tried.join(", "),
            answer.check_name,
            answer.level,
            answer.recovers_at,
            answer.text,
            answer.display_fault,
        ));
    }

    #[test]
    fn explanation_names_entry_profile_place_and_level() {
        let number = |number| Some(LeafValue::Number(number));
        check(
            "cpu_monitor.cpu_percent",
            number(85.0),
            Level::Critical,
            expect![[r#"
            cpu_monitor.cpu_percent by Some(("cpu_monitor.cpu_percent", Some("tight"), 9))
            tried cpu_monitor.cpu_percent
            check "" level Some(Critical) recovers at Some(81.0)
            text Some("CRITICAL: web1 - cpu_monitor.cpu_percent = 85.0 > 90")
            fault None
        "#]],
        );
        check(
            "cpu_monitor.cpu_percent",
            number(10.0),
            Level::Ok,
            expect![[r#"
            cpu_monitor.cpu_percent by Some(("cpu_monitor.cpu_percent", Some("tight"), 9))
            tried cpu_monitor.cpu_percent
            check "" level Some(Ok) recovers at Some(54.0)
            text None
            fault None
        "#]],
        );
        check(
            "cpu_monitor.cpu_percent",
            None,
            Level::Ok,
            expect![[r#"
            cpu_monitor.cpu_percent by Some(("cpu_monitor.cpu_percent", Some("tight"), 9))
            tried cpu_monitor.cpu_percent
            check "" level None recovers at Some(54.0)
            text None
            fault None
        "#]],
        );
        check(
            "disk_monitor.partitions./srv/a.b.percent",
            number(99.0),
            Level::Ok,
            expect![[r#"
            disk_monitor./srv/a.b.percent by Some(("disk_monitor./srv/*.percent", None, 3))
            tried disk_monitor./srv/a.b.percent, disk_monitor./srv/*.percent
            check "" level Some(Critical) recovers at Some(93.1)
            text Some("CRITICAL: web1 - disk_monitor./srv/a.b.percent = 99.0")
            fault Some("has the unknown field {nothing}")
        "#]],
        );
        check(
            "nagios_runner.check_load_status_code",
            number(3.0),
            Level::Ok,
            expect![[r#"
            nagios_runner.check_load_status_code by Some(("nagios_runner.status_code", None, 5))
            tried nagios_runner.check_load_status_code, nagios_runner.load_status_code, nagios_runner.status_code
            check "check_load" level Some(Unknown) recovers at None
            text Some("UNKNOWN: web1 - nagios_runner.check_load_status_code = 3.0 check_load: no answer")
            fault None
        "#]],
        );
        check(
            "nagios_runner.very_noisy_status_code",
            number(2.0),
            Level::Ok,
            expect![[r#"
            nagios_runner.very_noisy_status_code by Some(("nagios_runner.noisy_status_code", None, 6))
            tried nagios_runner.very_noisy_status_code, nagios_runner.noisy_status_code
            check "very" level None recovers at None
            text None
            fault None
        "#]],
        );
        check(
            "zfs_monitor.tank.capacity_percent",
            number(2.0),
            Level::Ok,
            expect![[r#"
            zfs_monitor.tank.capacity_percent by None
            tried zfs_monitor.tank.capacity_percent
            check "" level None recovers at None
            text None
            fault None
        "#]],
        );
        check(
            "cpu_monitor",
            None,
            Level::Ok,
            expect![[r#"
            cpu_monitor by None
            tried 
            check "" level None recovers at None
            text None
            fault None
        "#]],
        );
    }
}
