//! What the names in a display template stand for (SPEC section 3).
//!
//! Owns their order: the names of the alert itself, the fields beside the metric, whole paths, then
//! any field of that name. The host decides what is in the data, so all of it is only ever text.

use super::format::{self, FormatError, Value};
use super::level::Level;
use super::path;
use super::rule::Rule;
use crate::config::server::{Limit, Operator, containers};
use crate::wire::LeafValue;
use serde_json::Value as Json;

/// Everything that a display template can show.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    pub rule: &'a Rule,
    /// The level that is shown; its limit is `{threshold_value}`.
    pub level: Level,
    /// What generic matching stripped; empty without.
    pub check_name: &'a str,
    pub plugin: &'a str,
    /// The leaf within the plugin's data, with its container or without.
    pub leaf: &'a str,
    pub value: LeafValue<'a>,
    /// The sample that the value is of, parsed; `Null` where there is none (`rtt`).
    pub data: &'a Json,
}

impl<'a> Fields<'a> {
    /// The rule's `display` with these values; empty where it has none or where it cannot render:
    /// a notice is then the plain text.
    pub fn display(&self) -> String {
        self.try_display().unwrap_or_default()
    }

    /// The same, with what is wrong with the template.
    pub fn try_display(&self) -> Result<String, FormatError> {
        let Some(template) = self.rule.display.as_deref() else { return Ok(String::new()) };
        let place = Place::find(self.data, self.plugin, self.leaf);
        format::render(template, &|name| self.value_of(&place, name))
    }

    fn value_of(&self, place: &Place<'a>, name: &str) -> Option<Value<'a>> {
        match name {
            "value" => Some(place.value.and_then(value).unwrap_or(value_of_leaf(self.value))),
            "threshold_value" => self.rule.threshold_value(self.level),
            "op_symbol" => Some(Value::Text(self.rule.operator.as_str())),
            "check_name" => Some(Value::Text(self.check_name)),
            "metric_name" => Some(Value::Text(path::metric_of(self.plugin, self.leaf))),
            "output" | "status" => {
                let own = self.check().and_then(|check| place.beside(&format!("{check}_{name}")));
                own.or_else(|| self.data_field(place, name)).and_then(value)
            }
            _ => self.data_field(place, name).and_then(value),
        }
    }

    /// The check whose `{output}` and `{status}` are meant; an entry that names one check exactly
    /// means that one.
    fn check(&self) -> Option<&'a str> {
        if !self.check_name.is_empty() {
            return Some(self.check_name);
        }
        let (_, name) = path::split_last(self.leaf);
        ["_status_code", "_exit_code"].iter().find_map(|suffix| name.strip_suffix(suffix))
    }

    fn data_field(&self, place: &Place<'a>, name: &str) -> Option<&'a Json> {
        let whole = || Place::find(self.data, self.plugin, name).value;
        place.beside(name).or_else(whole).or_else(|| by_last_key(self.data, name))
    }
}

impl Rule {
    /// What is wrong with the display template whatever the data will be; for `check-config`.
    pub fn display_fault(&self) -> Option<FormatError> {
        let level = if self.critical.is_some() { Level::Critical } else { Level::Warning };
        let known = |name: &str| match name {
            "threshold_value" => self.threshold_value(level),
            "op_symbol" | "check_name" | "metric_name" | "output" | "status" => {
                Some(Value::Text("text"))
            }
            _ => None,
        };
        format::check(self.display.as_deref()?, &known).err()
    }

    /// The limit of a level as it was written; with `nagios` the exit code of the level.
    fn threshold_value(&self, level: Level) -> Option<Value<'_>> {
        if self.operator == Operator::Nagios {
            let code = match level {
                Level::Ok => 0,
                Level::Warning => 1,
                Level::Critical => 2,
                Level::Unknown => 3,
            };
            return Some(Value::Int(code));
        }
        Some(match self.limit(level)? {
            Limit::Number(number) => Value::Float(*number),
            Limit::Integer(number) => Value::Int((*number).into()),
            Limit::Text(text) => Value::Text(text),
            Limit::Bool(truth) => Value::Bool(*truth),
        })
    }
}

/// Where a leaf stands in the data.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    /// The object or list that holds it.
    parent: Option<&'a Json>,
    value: Option<&'a Json>,
}

impl<'a> Place<'a> {
    /// By its path, in which the container may be left out.
    fn find(data: &'a Json, plugin: &str, leaf: &str) -> Place<'a> {
        let containers = containers(plugin).iter().filter_map(|key| data.get(key));
        let places = std::iter::once(data).chain(containers).filter_map(|top| descend(top, leaf));
        places.into_iter().next().unwrap_or(Place { parent: Some(data), value: None })
    }

    fn beside(&self, key: &str) -> Option<&'a Json> {
        self.parent?.get(key).filter(|found| is_leaf(found))
    }
}

/// Follows a path whose keys may hold dots themselves. Each value has one path, so none is looked
/// at twice.
fn descend<'a>(top: &'a Json, path: &str) -> Option<Place<'a>> {
    let below = |key: &str, member: &'a Json| match path.strip_prefix(key)? {
        "" if is_leaf(member) => Some(Place { parent: Some(top), value: Some(member) }),
        rest => descend(member, rest.strip_prefix('.')?),
    };
    match top {
        Json::Object(members) => members.iter().find_map(|(key, member)| below(key, member)),
        Json::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| below(&index.to_string(), item))
        }
        _ => None,
    }
}

/// The first field of that name anywhere, in the order of the keys.
fn by_last_key<'a>(top: &'a Json, name: &str) -> Option<&'a Json> {
    if let Some(found) = top.get(name).filter(|found| is_leaf(found)) {
        return Some(found);
    }
    match top {
        Json::Object(members) => members.values().find_map(|member| by_last_key(member, name)),
        Json::Array(items) => items.iter().find_map(|item| by_last_key(item, name)),
        _ => None,
    }
}

fn is_leaf(json: &Json) -> bool {
    !matches!(json, Json::Object(_) | Json::Array(_))
}

fn value(json: &Json) -> Option<Value<'_>> {
    Some(match json {
        Json::Null => Value::None,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::String(text) => Value::Text(text),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(whole.into()),
            (None, Some(whole)) => Value::Int(whole.into()),
            (None, None) => Value::Float(number.as_f64()?),
        },
        Json::Object(_) | Json::Array(_) => return None,
    })
}

fn value_of_leaf(value: LeafValue<'_>) -> Value<'_> {
    match value {
        LeafValue::Number(number) => Value::Float(number),
        LeafValue::Bool(truth) => Value::Bool(truth),
        LeafValue::Text(text) => Value::Text(text),
        LeafValue::Null => Value::None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::rule;
    use super::*;
    use serde_json::json;

    /// The display of an entry for a leaf of the data; what is wrong begins with `!`.
    fn shown(entry: &str, at: (&str, &str, &str), level: Level, data: &Json) -> String {
        let rule = rule(entry);
        let (plugin, leaf, check_name) = at;
        let value = LeafValue::Number(0.5);
        let fields = Fields { rule: &rule, level, check_name, plugin, leaf, value, data };
        let shown = fields.try_display();
        assert_eq!(fields.display(), shown.clone().unwrap_or_default());
        shown.unwrap_or_else(|error| format!("!{error}"))
    }

    #[test]
    fn names_stand_for_the_alert_first_and_then_for_the_data() {
        let cpu =
            json!({"cpu_percent": 85.0, "load_1min": 3, "per_cpu": [{"mhz": 800}, {"mhz": 900}]});
        let disk = json!({"error": null, "partitions": {
            "/": {"percent": 81, "free_gb": 11.5, "fstype": "ext4", "value": 7},
            "/a.b": {"percent": 12, "free_gb": 2.0, "readonly": true},
        }});
        let nagios = json!({
            "check_disk_root_status_code": 2, "check_disk_root_status": "CRITICAL",
            "check_disk_root_output": "DISK CRITICAL - 3% free", "check_load_status_code": 1,
            "check_load_output": "LOAD WARNING", "output": "nobody's", "status": "nobody's",
        });
        let cpu_at = ("cpu_monitor", "cpu_percent", "");
        let disk_at = ("disk_monitor", "partitions./a.b.percent", "");
        let check_at = ("nagios_runner", "check_disk_root_status_code", "check_disk_root");
        let both = |display: &str| format!("{{warning: 80, critical: 90.0, display: '{display}'}}");
        let of_nagios = |display: &str| format!("{{operator: nagios, display: '{display}'}}");
        use Level::{Critical, Unknown, Warning};
        let table = [
            (
                both("(threshold: {op_symbol} {threshold_value}%)"),
                cpu_at,
                Warning,
                "(threshold: > 80%)",
            ),
            (
                both("(threshold: {op_symbol} {threshold_value}%)"),
                cpu_at,
                Critical,
                "(threshold: > 90.0%)",
            ),
            (
                both("{value} {value:.0f} {{{metric_name}}}"),
                cpu_at,
                Warning,
                "85.0 85 {cpu_percent}",
            ),
            (
                both("{load_1min} {per_cpu.1.mhz} {mhz} [{check_name}]"),
                cpu_at,
                Warning,
                "3 900 800 []",
            ),
            (both("{load_5min}"), cpu_at, Warning, "!has the unknown field {load_5min}"),
            (both("{per_cpu}"), cpu_at, Warning, "!has the unknown field {per_cpu}"),
            (both("{value:d}"), cpu_at, Warning, "!has a format \"d\" that is not for its value"),
            (
                both("{value} {metric_name}: {free_gb:.1f} GB free, {readonly} {fstype} {error}"),
                disk_at,
                Warning,
                "12 /a.b.percent: 2.0 GB free, True ext4 None",
            ),
            (both("{/.free_gb} {partitions./.free_gb}"), disk_at, Warning, "11.5 11.5"),
            (
                of_nagios(
                    "{check_name}: {output} ({status}, {value} {op_symbol} {threshold_value})",
                ),
                check_at,
                Critical,
                "check_disk_root: DISK CRITICAL - 3% free (CRITICAL, 2 nagios 2)",
            ),
            (of_nagios("{threshold_value}"), check_at, Unknown, "3"),
            (
                of_nagios("[{check_name}] {output}"),
                ("nagios_runner", "check_load_status_code", ""),
                Warning,
                "[] LOAD WARNING",
            ),
            ("{warning: 1}".to_owned(), cpu_at, Warning, ""),
        ];
        for (entry, at, level, want) in table {
            let data = match at.0 {
                "cpu_monitor" => &cpu,
                "disk_monitor" => &disk,
                _ => &nagios,
            };
            assert_eq!(shown(&entry, at, level, data), want, "{entry}");
        }
    }

    #[test]
    fn the_readme_s_nagios_example_renders() {
        let entry = "{warning: 1, critical: 2, operator: \">=\", \
                     display: \"{check_name}: exit {value} (expected < {threshold_value})\"}";
        let data = json!({"check_load_status_code": 2});
        let at = ("nagios_runner", "check_load_status_code", "check_load");
        assert_eq!(shown(entry, at, Level::Critical, &data), "check_load: exit 2 (expected < 2)");
    }

    #[test]
    fn display_that_never_renders_is_a_fault() {
        let fault = |display: &str| {
            rule(&format!("{{warning: 1, display: '{display}'}}")).display_fault().is_some()
        };
        let good = ["{value:d}", "{threshold_value:d}", "{free_gb:.1f}", "{op_symbol:>3}"];
        let bad = ["{op_symbol:d}", "{value:>65}", "{threshold_value:s}", "{value!x}", "{a[0]}"];
        assert_eq!(good.map(fault), [false; 4]);
        assert_eq!(bad.map(fault), [true; 5]);
        assert_eq!(rule("{warning: 1}").display_fault(), None);
    }

    #[test]
    fn value_without_a_sample_is_a_float() {
        let at = ("rtt", "web1", "");
        let entry = "{warning: 1, display: '{value} ms > {threshold_value}'}";
        assert_eq!(shown(entry, at, Level::Warning, &Json::Null), "0.5 ms > 1");
        assert_eq!(
            shown("{warning: 1, display: '{output}'}", at, Level::Warning, &Json::Null),
            "!has the unknown field {output}"
        );
    }

    #[test]
    fn long_output_is_cut_and_hostile_keys_cost_little() {
        let data = json!({"a_status_code": 2, "a_output": "é".repeat(400)});
        let entry = "{operator: nagios, display: '{output}'}";
        let at = ("nagios_runner", "a_status_code", "a");
        assert_eq!(shown(entry, at, Level::Critical, &data).len(), format::OUTPUT_MAX);
        // Keys that are all the beginning of a path.
        let mut deep = json!({"x": 1});
        for _ in 0..14 {
            deep = json!({"a": deep, "a.a": 1, "a.a.a": {}});
        }
        let path = format!("{}nothing", "a.".repeat(20));
        let at = ("mine", path.as_str(), "");
        assert_eq!(shown("{warning: 1, display: '{value}'}", at, Level::Warning, &deep), "0.5");
    }
}
