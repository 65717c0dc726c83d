//! `hosts/H/series`: metrics over time as JSON or CSV, with the outages, windows and limits that belong beside them.

use super::{number, ok};
use crate::alert::{self, Level, Ruleset};
use crate::config::problem::nearest;
use crate::engine::record::Standing;
use crate::engine::view::{Host, Value};
use crate::history::catalog::RTT;
use crate::history::{Line, Series, SeriesAsk, Span, Unavailable};
use crate::limits::{SERIES_PATHS, SERIES_POINTS};
use crate::text;
use crate::time::{Duration, Wall};
use crate::web::authz::{Access, Monitor};
use crate::web::csv;
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

const POINTS_DEFAULT: u64 = 600;
/// Without `from`: the day before `to`.
const SPAN_DEFAULT: Duration = Duration::from_secs(86_400);

/// The answer, in the order of the specification.
#[derive(Serialize)]
struct SeriesJson<'a> {
    /// Seconds.
    step: f64,
    t: Vec<f64>,
    #[serde(serialize_with = "by_path")]
    series: Vec<(&'a str, LineJson<'a>)>,
    down: Vec<[f64; 2]>,
    maintenance: Vec<[f64; 2]>,
    limits: Vec<LimitJson<'a>>,
}

#[derive(Serialize)]
struct LineJson<'a> {
    avg: Vec<Option<f64>>,
    min: &'a [Option<f64>],
    max: &'a [Option<f64>],
    unit: String,
}

#[derive(Serialize)]
struct LimitJson<'a> {
    level: &'static str,
    value: f64,
    metric: &'a str,
}

/// `GET hosts/H/series?metric=PATH[,PATH…]&from=&to=&points=600&format=json|csv`
pub fn respond(call: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    let host = access.host();
    let paths = paths(call, host)?;
    let (from, to) = span(call)?;
    let points = number(call, "points", 1..=SERIES_POINTS as u64)?.unwrap_or(POINTS_DEFAULT);
    let is_csv = csv::is_wanted(call)?;
    let ask = SeriesAsk { host: &host.name, paths: &paths, from, to, points: points as usize };
    let found = call.context.history.series(&ask).map_err(unavailable)?;
    if let Some((path, _)) = paths.iter().zip(&found.lines).find(|(_, line)| !line.is_known) {
        return Err(unknown(host, path));
    }
    if is_csv {
        let name = format!("{}-{}.csv", host.name, paths[0].replace(['/', '\\', '"'], "_"));
        return Ok(csv::response(&name, table(&paths, &found)));
    }
    let standings = call.context.history.standings(&host.name, from, to).map_err(unavailable)?;
    let lines = found.lines.iter().map(|line| &line.avg);
    let averages: Vec<Vec<Option<f64>>> =
        lines.map(|avg| avg.iter().map(|v| v.map(round)).collect()).collect();
    let series = paths.iter().zip(&found.lines).zip(averages);
    ok(&SeriesJson {
        step: found.step.as_secs_f64(),
        t: found.t.iter().map(|t| t.as_secs_f64()).collect(),
        series: series
            .map(|((path, Line { min, max, .. }), avg)| {
                (*path, LineJson { avg, min, max, unit: unit(host, path) })
            })
            .collect(),
        down: spans(&standings, Standing::Down),
        maintenance: spans(&standings, Standing::Maintenance),
        limits: paths.iter().flat_map(|path| limits(call, host, path)).collect(),
    })
}

/// The metrics of the question, each once.
fn paths<'a>(call: &'a Call<'_>, host: &Host) -> Result<Vec<&'a str>, Problem> {
    let mut paths: Vec<&str> = Vec::new();
    for path in call.words("metric") {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let bad = |what: String, hint: String| {
        Problem::new(400, "bad_parameter", what).hint(hint).field("metric")
    };
    if paths.is_empty() {
        let hint = format!(
            "Give metric=PLUGIN.METRIC, several with commas; GET /api/0/hosts/{}/plugins lists what it sends.",
            host.name
        );
        return Err(bad("metric is missing.".to_owned(), hint));
    }
    if paths.len() > SERIES_PATHS {
        let what = format!("metric names {} metrics.", paths.len());
        return Err(bad(what, format!("At most {SERIES_PATHS} at a time.")));
    }
    Ok(paths)
}

/// `from` and `to`, in Unix seconds.
fn span(call: &Call<'_>) -> Result<(Wall, Wall), Problem> {
    let to = time(call, "to")?.unwrap_or(call.context.now.wall);
    let from = time(call, "from")?.unwrap_or(to - SPAN_DEFAULT);
    if from >= to {
        return Err(Problem::new(400, "bad_parameter", "from is not before to.")
            .hint("Both are Unix seconds; without from it is the day before to.")
            .field("from"));
    }
    Ok((from, to))
}

fn time(call: &Call<'_>, name: &'static str) -> Result<Option<Wall>, Problem> {
    /// The end of the year 9999.
    const LAST: f64 = 253_402_300_799.0;
    if !call.query.has(name) {
        return Ok(None);
    }
    let text = call.query.get(name).unwrap_or_default();
    match text.parse::<f64>() {
        Ok(secs) if (0.0..=LAST).contains(&secs) => Ok(Some(Wall::from_secs_f64(secs))),
        _ => Err(Problem::new(400, "bad_parameter", format!("{name} is not a time."))
            .hint("Give Unix seconds, such as 1795360841.")
            .field(name)),
    }
}

/// Why there is no history to read, as a problem.
pub fn unavailable(why: Unavailable) -> Problem {
    match why {
        Unavailable::Disabled => {
            Problem::new(404, "history_disabled", "This server keeps no history.")
                .hint("Set history_enabled: true and restart it.")
        }
        Unavailable::NotReady => {
            Problem::new(503, "history_not_ready", "The history cannot be read at the moment.")
                .hint(
                    "After a crash its file is checked first; the server's log says what is wrong.",
                )
        }
        Unavailable::Busy => {
            Problem::new(503, "busy", "Others are reading the history already.").hint("Try again.")
        }
    }
}

fn unknown(host: &Host, path: &str) -> Problem {
    let shown = text::escape_control(text::cut(path, 160)).into_owned();
    let what = format!("No numbers of {shown} of {} are kept.", host.name);
    let problem = Problem::new(404, "no_such_metric", what).field("metric");
    let plugin = path.split('.').next().unwrap_or_default();
    match nearest(plugin, host.plugins.iter().map(|plugin| &*plugin.name)) {
        Some(near) if near != plugin => problem.hint(format!("Did you mean {near}.…?")),
        _ => problem.hint(format!(
            "It is PLUGIN.METRIC; GET /api/0/hosts/{}/plugins lists what the host has sent.",
            host.name
        )),
    }
}

fn spans(standings: &[Span], wanted: Standing) -> Vec<[f64; 2]> {
    let wanted = standings.iter().filter(|span| span.standing == wanted);
    wanted.map(|span| [span.from.as_secs_f64(), span.to.as_secs_f64()]).collect()
}

/// The limits of a metric that are numbers, the lower level first.
fn limits<'a>(call: &Call<'_>, host: &Host, path: &'a str) -> Vec<LimitJson<'a>> {
    let config = &call.context.config;
    let declared = config.hosts.get(&*host.name);
    let rules = Ruleset::compile(config, declared.map_or(&[][..], |d| &d.threshold_config));
    let data = Json::Null;
    let metric = if path == "rtt" { format!("rtt.{}", host.name) } else { path.to_owned() };
    let question = alert::Question {
        host: &host.name,
        metric: &metric,
        value: None,
        before: Level::Ok,
        data: &data,
    };
    let rule = alert::explain(&rules, &question).rule.filter(|rule| rule.enabled);
    let limit = |level: Level| {
        let value = match Value::of_limit(rule.as_ref()?.limit(level)?) {
            Value::Number(number) => number,
            Value::Integer(number) => number as f64,
            _ => return None,
        };
        Some(LimitJson { level: level.as_str(), value, metric: path })
    };
    [Level::Warning, Level::Critical].into_iter().filter_map(limit).collect()
}

/// What a metric is measured in, by its name; of a check what it says itself. Empty where nobody knows.
fn unit(host: &Host, path: &str) -> String {
    let (plugin, metric) = path.split_once('.').unwrap_or((path, ""));
    if plugin == RTT {
        return "ms".to_owned();
    }
    if plugin == "nagios_runner" {
        let latest = host.plugin(plugin).and_then(|plugin| plugin.latest());
        let data: Json =
            latest.and_then(|s| serde_json::from_str(&s.data).ok()).unwrap_or_default();
        return data[format!("{metric}_unit")].as_str().unwrap_or_default().to_owned();
    }
    let name = metric.rsplit('.').next().unwrap_or_default();
    let units = [
        ("percent", "%"),
        ("_ms", "ms"),
        ("_mb_s", "MiB/s"),
        ("_mb", "MiB"),
        ("_gb", "GiB"),
        ("_bytes", "B"),
        ("_seconds", "s"),
        ("_s", "s"),
        ("_mhz", "MHz"),
        ("_mbit", "Mbit/s"),
        ("_iops", "1/s"),
        ("temperature_c", "°C"),
    ];
    units.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, unit)| unit).to_owned()
}

/// The table of an export: times, then average, least and greatest of each metric.
fn table(paths: &[&str], found: &Series) -> csv::Table {
    let mut head = vec!["time".to_owned(), "unix".to_owned()];
    for path in paths {
        head.extend(["avg", "min", "max"].map(|kind| format!("{path} {kind}")));
    }
    let mut table = csv::Table::new(&head);
    for (i, t) in found.t.iter().enumerate() {
        let mut cells = vec![csv::Cell::Time(*t), csv::Cell::Number(Some(t.as_secs_f64()))];
        for line in &found.lines {
            cells.push(csv::Cell::Number(line.avg[i].map(round)));
            cells.extend([line.min[i], line.max[i]].map(csv::Cell::Number));
        }
        table.push(&cells);
    }
    table
}

/// A mean has no more digits than can mean something.
fn round(value: f64) -> f64 {
    if value.abs() < 1e9 { (value * 1e6).round() / 1e6 } else { value }
}

fn by_path<S: Serializer>(
    series: &[(&str, LineJson<'_>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(series.iter().map(|(path, line)| (path, line)))
}
