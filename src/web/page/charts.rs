//! Which charts a host's page has, from when to when, and the numbers for them: from the history, or, where it has
//! none, from the samples in memory.

use super::clock::{Clock, span};
use super::plot::{Frame, Plot, Point, Series, Subject, plot};
use super::plugin;
use super::row::has_family;
use super::shell::here_with;
use super::value;
use crate::alert::{self, Question, Ruleset};
use crate::engine::record::Standing;
use crate::engine::view::{Family, Host};
use crate::history::SeriesAsk;
use crate::time::{Duration, Wall};
use crate::web::Call;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Buckets of a line: one for two of the chart's units.
const POINTS: usize = 280;
const CHARTS_MAX: usize = 24;
const PARTITIONS_MAX: usize = 4;
const OWN_MAX: usize = 6;
const MIB: f64 = 1024.0 * 1024.0;
const HOUR: Duration = Duration::from_secs(3600);

/// Name and length of the ranges that have a button.
pub const RANGES: [(&str, &str, Duration); 5] = [
    ("1h", "1 h", HOUR),
    ("6h", "6 h", Duration::from_secs(6 * 3600)),
    ("24h", "24 h", Duration::from_secs(86_400)),
    ("7d", "7 d", Duration::from_secs(7 * 86_400)),
    ("30d", "30 d", Duration::from_secs(30 * 86_400)),
];

/// What a chart may be laid over: key, word, how long before.
const COMPARISONS: [(&str, &str, Duration); 2] = [
    ("day", "day before", Duration::from_secs(86_400)),
    ("week", "week before", Duration::from_secs(7 * 86_400)),
];

/// What the bar over the charts says.
#[derive(Serialize)]
pub struct RangeBar {
    /// Word, address, whether it is this one.
    pub buttons: Vec<(&'static str, String, bool)>,
    /// `10:20 – 16:20 CET · 2 m per point, band = least to most`
    pub words: String,
    pub from: i64,
    pub to: i64,
    /// Ends now: it moves on by itself.
    pub is_open: bool,
    pub earlier: String,
    pub later: Option<String>,
    /// There is a history to compare with.
    pub is_kept: bool,
    /// Word, address, whether it is this one.
    pub compare: Vec<(&'static str, String, bool)>,
}

pub struct Charts {
    pub bar: RangeBar,
    pub plots: Vec<Plot>,
}

/// The samples of each plugin as values, oldest first.
pub type Samples<'a> = BTreeMap<&'a str, Vec<(Wall, Value)>>;

/// One line before its numbers are known.
struct Wish {
    name: String,
    /// As the history is asked.
    path: String,
    /// Where it is in the plugin's data.
    place: (String, Vec<String>),
    factor: f64,
}

struct Sketch {
    subject: Subject,
    plugin: String,
    wishes: Vec<Wish>,
    /// The metric whose limits and newest value stand with the chart, where it is not a line of it.
    total: Option<Wish>,
}

/// `GET /plugins/H?r=6h` or `?from=&to=`, with `table=SLUG` for the numbers of a chart.
pub fn of_host(call: &Call<'_>, host: &Host, samples: &Samples<'_>, clock: &Clock) -> Charts {
    let now = call.context.now.wall;
    let (from, to, name) = range(call, host, now);
    let mut sketches = sketches(host, samples);
    sketches.truncate(CHARTS_MAX);
    let paths: Vec<String> = sketches
        .iter()
        .flat_map(|sketch| sketch.wishes.iter().chain(&sketch.total))
        .map(|wish| wish.path.clone())
        .collect();
    let asked: Vec<&str> = paths.iter().map(String::as_str).collect();
    let ask = SeriesAsk { host: &host.name, paths: &asked, from, to, points: POINTS };
    let history = call
        .context
        .history
        .series(&ask)
        .ok()
        .filter(|found| found.lines.iter().any(|line| line.avg.iter().any(Option::is_some)));
    let compared = compared(call);
    let before = compared.and_then(|(_, shift)| {
        let ask = SeriesAsk { from: from - shift, to: to - shift, ..ask };
        call.context.history.series(&ask).ok()
    });
    let frame = frame(call, host, from, to);
    let step = history.as_ref().map(|found| found.step);
    let rules = rules(call, host);
    let table = call.query.get("table").unwrap_or_default();
    let mut at = 0;
    let mut plots = Vec::new();
    for sketch in sketches {
        let mut lines = Vec::new();
        let ghost = match (compared, &before) {
            (Some((_, shift)), Some(found)) => ghost(&sketch, found, at, shift),
            _ => Vec::new(),
        };
        for wish in sketch.wishes.iter().chain(&sketch.total) {
            let kept = history.as_ref().and_then(|found| {
                let line = found.lines.get(at)?;
                Some(points_of(&found.t, line, wish.factor)).filter(|points| !points.is_empty())
            });
            at += 1;
            lines.push(kept.unwrap_or_else(|| in_memory(host, samples, wish, &frame)));
        }
        let slug = super::plot::slug(&sketch.subject.title);
        let subject = Subject { ghost, ..finish(sketch, lines, &rules, host, step) };
        let made = plot(subject, &frame, clock, slug == table).map(|plot| {
            let link = here_with(call, &["table"], &[("table", &plot.slug)]);
            Plot { table_href: format!("{link}#c-{}", plot.slug), ..plot }
        });
        plots.extend(made);
    }
    Charts { bar: bar(call, clock, (from, to, name), now, step), plots }
}

/// With what the charts are compared: `vs=day` or `vs=week`.
fn compared(call: &Call<'_>) -> Option<(&'static str, Duration)> {
    let wish = call.query.get("vs")?;
    COMPARISONS.iter().find(|(key, ..)| *key == wish).map(|(key, _, shift)| (*key, *shift))
}

/// The line that stands for the chart, as it was before, moved to where the chart is now. `at` is the place of the
/// chart's first line among those that were found.
fn ghost(
    sketch: &Sketch,
    found: &crate::history::Series,
    at: usize,
    shift: Duration,
) -> Vec<Point> {
    let (wish, at) = match &sketch.total {
        Some(total) => (Some(total), at + sketch.wishes.len()),
        None => (sketch.wishes.first(), at),
    };
    let line = wish.zip(found.lines.get(at));
    let points =
        line.map(|(wish, line)| points_of(&found.t, line, wish.factor)).unwrap_or_default();
    points.into_iter().map(|point| Point { at: point.at + shift, ..point }).collect()
}

/// The lines of a sketch with their numbers, and what counts for them.
fn finish(
    sketch: Sketch,
    mut lines: Vec<Vec<Point>>,
    rules: &Ruleset,
    host: &Host,
    step: Option<Duration>,
) -> Subject {
    let mut subject = sketch.subject;
    let total = sketch.total.as_ref().and_then(|wish| Some((lines.pop()?, wish)));
    let judged = sketch.total.as_ref().or(sketch.wishes.first());
    if let Some(wish) = judged {
        subject.limits = limits(rules, host, wish);
    }
    subject.headline =
        total.and_then(|(points, wish)| Some((points.last()?.avg, wish.path.clone())));
    let named = sketch.wishes.into_iter().zip(lines);
    subject.series =
        named.map(|(wish, points)| Series { name: wish.name, metric: wish.path, points }).collect();
    let every = host.plugin(&sketch.plugin).and_then(|p| p.interval);
    let every = match every {
        Some(secs) => Duration::from_secs(u64::from(secs)),
        None if sketch.plugin == "rtt" => {
            Duration::from_secs_f64(host.interval.clamp(60.0, 3600.0)) * 2
        }
        None => Duration::from_secs(300),
    };
    subject.interval = every.max(step.unwrap_or_default());
    if sketch.plugin == "disk_monitor" && subject.unit == "%" {
        subject.note = subject.series.first().map(full_in).unwrap_or_default();
    }
    subject
}

fn points_of(times: &[Wall], line: &crate::history::Line, factor: f64) -> Vec<Point> {
    let buckets = times.iter().enumerate();
    buckets
        .filter_map(|(i, at)| {
            let avg = (*line.avg.get(i)?)?;
            let or_avg = |values: &[Option<f64>]| values.get(i).copied().flatten().unwrap_or(avg);
            let (min, max) = (or_avg(&line.min), or_avg(&line.max));
            Some(Point { at: *at, avg: avg * factor, min: min * factor, max: max * factor })
        })
        .collect()
}

/// What the engine still holds, where the history has nothing.
fn in_memory(host: &Host, samples: &Samples<'_>, wish: &Wish, frame: &Frame) -> Vec<Point> {
    let (plugin, place) = &wish.place;
    let is_shown = |at: Wall| at >= frame.from && at <= frame.to;
    if plugin == "rtt" {
        let hour = host.rtt_hour.as_ref().map(|hour| hour.series(frame.to));
        let minute = frame.to.as_secs().div_euclid(60) - 59;
        let slots = hour.into_iter().flatten().enumerate();
        return slots
            .filter_map(|(i, slot)| {
                let at = Wall::from_secs((minute + i as i64) * 60);
                Some(Point::flat(at, f64::from(slot?))).filter(|point| is_shown(point.at))
            })
            .collect();
    }
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    let known = samples.get(plugin.as_str()).map_or(&[][..], Vec::as_slice);
    let points = plugin::series(known, &place).into_iter();
    points
        .filter(|(at, _)| is_shown(*at))
        .map(|(at, value)| Point::flat(at, value * wish.factor))
        .collect()
}

fn range(call: &Call<'_>, host: &Host, now: Wall) -> (Wall, Wall, Option<&'static str>) {
    let moment = |name: &str| {
        let secs: f64 = call.query.get(name)?.parse().ok()?;
        (secs.is_finite() && (0.0..=4e9).contains(&secs)).then(|| Wall::from_secs_f64(secs))
    };
    if let (Some(from), Some(to)) = (moment("from"), moment("to"))
        && from < to
    {
        let to = to.min(now.max(from + Duration::from_secs(60)));
        return (from, to.max(from + Duration::from_secs(60)), None);
    }
    let wish = call.query.get("r").and_then(|r| RANGES.iter().find(|(key, ..)| *key == r));
    // Who was first heard of half an hour ago has no six hours to show.
    let young = now.since(host.first_seen) < HOUR;
    let (key, _, length) = *wish.unwrap_or(if young { &RANGES[0] } else { &RANGES[1] });
    (now - length, now, Some(key))
}

fn bar(
    call: &Call<'_>,
    clock: &Clock,
    (from, to, name): (Wall, Wall, Option<&'static str>),
    now: Wall,
    step: Option<Duration>,
) -> RangeBar {
    let buttons = RANGES.iter().map(|(key, word, _)| {
        (*word, here_with(call, &["r", "from", "to", "table"], &[("r", key)]), name == Some(*key))
    });
    let length = to.since(from);
    let moved = |from: Wall, to: Wall| {
        let (from, to) = (from.as_secs().to_string(), to.as_secs().to_string());
        here_with(call, &["r", "from", "to", "table"], &[("from", &from), ("to", &to)])
    };
    let resolution = match step {
        Some(step) => format!("{} per point, band from least to most", span(step)),
        None => "the samples in memory, there is no history yet".to_owned(),
    };
    RangeBar {
        buttons: buttons.collect(),
        words: format!(
            "{} – {} {} · {resolution}",
            clock.short(from),
            clock.short(to),
            clock.zone_short()
        ),
        from: from.as_secs(),
        to: to.as_secs(),
        is_open: name.is_some(),
        earlier: moved(from - length, from),
        later: (to < now).then(|| moved(to, (to + length).min(now))),
        is_kept: step.is_some(),
        compare: comparisons(call),
    }
}

fn comparisons(call: &Call<'_>) -> Vec<(&'static str, String, bool)> {
    let now = compared(call).map(|(key, _)| key);
    let one = |(key, word, _): &(&'static str, &'static str, Duration)| {
        let is_this = now == Some(*key);
        let put = [("vs", *key)];
        (*word, here_with(call, &["vs"], if is_this { &[] } else { &put }), is_this)
    };
    COMPARISONS.iter().map(one).collect()
}

fn frame(call: &Call<'_>, host: &Host, from: Wall, to: Wall) -> Frame {
    let mut frame = Frame { from, to, ..Frame::default() };
    for found in call.context.history.standings(&host.name, from, to).unwrap_or_default() {
        match found.standing {
            Standing::Down => frame.down.push((found.from, found.to)),
            Standing::Maintenance => frame.maintenance.push((found.from, found.to)),
            Standing::Up | Standing::Unknown => {}
        }
    }
    frame
}

fn rules(call: &Call<'_>, host: &Host) -> Ruleset {
    let config = &call.context.config;
    let declared = config.hosts.get(&*host.name);
    Ruleset::compile(config, declared.map_or(&[][..], |declared| &declared.threshold_config))
}

fn limits(rules: &Ruleset, host: &Host, wish: &Wish) -> Vec<(&'static str, f64)> {
    let metric =
        if wish.place.0 == "rtt" { format!("rtt.{}", host.name) } else { wish.path.clone() };
    let question = Question {
        host: &host.name,
        metric: &metric,
        value: None,
        before: alert::Level::Ok,
        data: &Value::Null,
    };
    let Some(rule) = alert::explain(rules, &question).rule.filter(|rule| rule.enabled) else {
        return Vec::new();
    };
    let number =
        |limit: &Option<crate::config::server::Limit>| limit.as_ref().and_then(|l| l.as_number());
    let both = [("warning", number(&rule.warning)), ("critical", number(&rule.critical))];
    both.into_iter().filter_map(|(level, limit)| Some((level, limit? * wish.factor))).collect()
}

/// When a line that rises steadily will have reached the hundred; empty where it does not.
fn full_in(series: &Series) -> String {
    let points = &series.points;
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let hours = last.at.since(first.at).as_secs_f64() / 3600.0;
    if hours < 0.5 || points.len() < 6 {
        return String::new();
    }
    // The median of the slopes over half of the time: a jump does not count for a trend.
    let half = points.len() / 2;
    let mut slopes: Vec<f64> = points[..half]
        .iter()
        .zip(&points[half..])
        .map(|(a, b)| (b.avg - a.avg) / (b.at.since(a.at).as_secs_f64() / 3600.0).max(1e-6))
        .collect();
    slopes.sort_by(f64::total_cmp);
    let slope = slopes.get(slopes.len() / 2).copied().unwrap_or_default();
    let left = (100.0 - last.avg) / slope;
    if slope < 0.001 || !left.is_finite() || left > 24.0 * 90.0 {
        return String::new();
    }
    format!("full in about {}", span(Duration::from_secs_f64(left.max(0.0) * 3600.0)))
}

fn wish(plugin: &str, name: &str, place: &[&str], factor: f64) -> Wish {
    Wish {
        name: name.to_owned(),
        path: alert::metric_path(plugin, &place.join(".")),
        place: (plugin.to_owned(), place.iter().map(|part| (*part).to_owned()).collect()),
        factor,
    }
}

fn sketches(host: &Host, samples: &Samples<'_>) -> Vec<Sketch> {
    let mut made = vec![round_trip(host)];
    let latest = |plugin: &str| samples.get(plugin).and_then(|s| s.last()).map(|(_, data)| data);
    made.extend(latest("cpu_monitor").map(cpu).into_iter().flatten());
    made.extend(latest("memory_monitor").map(memory));
    made.extend(latest("disk_monitor").map(disks).into_iter().flatten());
    made.extend(latest("network_monitor").map(network).into_iter().flatten());
    made.extend(latest("ping_monitor").map(pings).into_iter().flatten());
    made.extend(latest("zfs_monitor").map(pools).into_iter().flatten());
    for plugin in host.plugins.iter().filter(|plugin| !plugin.info) {
        let built_in =
            ["cpu_", "memory_", "disk_", "network_", "ping_", "zfs_", "filesystem_info", "os_info"];
        if !built_in.iter().any(|name| plugin.name.starts_with(name)) {
            made.extend(
                latest(&plugin.name).map(|data| own(&plugin.name, data)).into_iter().flatten(),
            );
        }
    }
    made
}

fn sketch(plugin: &str, title: String, unit: &'static str, wishes: Vec<Wish>) -> Sketch {
    let top = (unit == "%").then_some(100.0);
    let subject = Subject { title, unit, top, ..Subject::default() };
    Sketch { subject, plugin: plugin.to_owned(), wishes, total: None }
}

fn round_trip(host: &Host) -> Sketch {
    let family = |family: Family, name: &str| {
        has_family(host, family).then(|| Wish {
            name: name.to_owned(),
            path: format!("rtt.{}.{}", host.name, family.as_str()),
            place: ("rtt".to_owned(), vec![family.as_str().to_owned()]),
            factor: 1.0,
        })
    };
    let mut wishes: Vec<Wish> =
        [family(Family::V4, "IPv4"), family(Family::V6, "IPv6")].into_iter().flatten().collect();
    if wishes.is_empty() {
        wishes.push(wish("rtt", "IPv4", &["ipv4"], 1.0));
    }
    let mut made = sketch("rtt", "Round trip".to_owned(), "ms", wishes);
    made.subject.help = "From the agent to this server and back, measured by the agent.";
    made
}

fn cpu(data: &Value) -> Vec<Sketch> {
    let has = |key: &str| data[key].is_number();
    let one = |name: &str, key: &str| wish("cpu_monitor", name, &[key], 1.0);
    let parts = ["user_percent", "system_percent", "iowait_percent", "steal_percent"];
    let mut made = Vec::new();
    if data["cpu_percent"].is_number() {
        let shown: Vec<Wish> = parts
            .iter()
            .filter(|key| has(key))
            .map(|key| one(key.trim_end_matches("_percent"), key))
            .collect();
        let mut all = if shown.is_empty() {
            sketch("cpu_monitor", "CPU".to_owned(), "%", vec![one("all", "cpu_percent")])
        } else {
            let mut all = sketch("cpu_monitor", "CPU".to_owned(), "%", shown);
            all.subject.is_stacked = true;
            all.total = Some(one("all", "cpu_percent"));
            all
        };
        all.subject.help = "Share of time that all cores together were busy.";
        made.push(all);
    }
    let loads = [("1 min", "load_1min"), ("5 min", "load_5min"), ("15 min", "load_15min")];
    let loads: Vec<Wish> =
        loads.iter().filter(|(_, key)| has(key)).map(|(name, key)| one(name, key)).collect();
    if !loads.is_empty() {
        let mut load = sketch("cpu_monitor", "Load".to_owned(), "", loads);
        load.subject.help = "Processes that run or wait to run.";
        made.push(load);
    }
    made
}

fn memory(data: &Value) -> Sketch {
    let one = |name: &str, key: &str| wish("memory_monitor", name, &[key], 1.0);
    let keys = [("used", "percent"), ("swap", "swap_percent")];
    let shown = keys.iter().filter(|(_, key)| data[*key].is_number());
    let mut made =
        sketch("memory_monitor", "Memory".to_owned(), "%", shown.map(|(n, k)| one(n, k)).collect());
    made.subject.help = "What programs hold; caches that can be given up do not count.";
    made
}

/// The names of a container's records, those with the highest number first.
fn largest(records: &Value, count: usize, of: impl Fn(&Value) -> Option<f64>) -> Vec<String> {
    let members = records.as_object().into_iter().flatten();
    let mut named: Vec<(f64, &String)> =
        members.filter_map(|(name, record)| Some((of(record)?, name))).collect();
    named.sort_by(|a, b| b.0.total_cmp(&a.0));
    named.into_iter().take(count).map(|(_, name)| name.clone()).collect()
}

fn disks(data: &Value) -> Vec<Sketch> {
    let mut made = Vec::new();
    for mount in largest(&data["partitions"], PARTITIONS_MAX, |record| record["percent"].as_f64()) {
        let used = wish("disk_monitor", "used", &["partitions", &mount, "percent"], 1.0);
        made.push(sketch("disk_monitor", format!("Disk {mount}"), "%", vec![used]));
    }
    let busy =
        |record: &Value| Some(record["read_mb_s"].as_f64()? + record["write_mb_s"].as_f64()?);
    for device in largest(&data["io"], 2, busy) {
        let rate = |name: &str, key: &str| wish("disk_monitor", name, &["io", &device, key], MIB);
        let both = vec![rate("read", "read_mb_s"), rate("written", "write_mb_s")];
        made.push(sketch("disk_monitor", format!("Disk I/O {device}"), "B/s", both));
    }
    made
}

fn network(data: &Value) -> Vec<Sketch> {
    let busy = |record: &Value| {
        let sum = record["rx_mb_s"].as_f64()? + record["tx_mb_s"].as_f64()?;
        Some(sum).filter(|sum| *sum > 0.0)
    };
    let names = largest(&data["interfaces"], 3, busy).into_iter();
    names
        .map(|name| {
            let rate = |label: &str, key: &str| {
                wish("network_monitor", label, &["interfaces", &name, key], MIB * 8.0)
            };
            let both = vec![rate("in", "rx_mb_s"), rate("out", "tx_mb_s")];
            sketch("network_monitor", format!("Network {name}"), "bit/s", both)
        })
        .collect()
}

fn pings(data: &Value) -> Vec<Sketch> {
    let names = largest(&data["hosts"], 3, |record| record["rtt_ms"].as_f64());
    let lines = |key: &str| -> Vec<Wish> {
        names.iter().map(|name| wish("ping_monitor", name, &["hosts", name, key], 1.0)).collect()
    };
    if names.is_empty() {
        return Vec::new();
    }
    vec![
        sketch("ping_monitor", "Ping".to_owned(), "ms", lines("rtt_ms")),
        sketch("ping_monitor", "Ping loss".to_owned(), "%", lines("loss_percent")),
    ]
}

fn pools(data: &Value) -> Vec<Sketch> {
    let names =
        largest(&data["pools"], 2, |record| record["capacity_percent"].as_f64()).into_iter();
    names
        .map(|pool| {
            let rate =
                |name: &str, key: &str| wish("zfs_monitor", name, &["pools", &pool, key], 1.0);
            let both = vec![rate("read", "read_bytes"), rate("written", "write_bytes")];
            sketch("zfs_monitor", format!("ZFS {pool}"), "B/s", both)
        })
        .collect()
}

/// Every number of a plugin of the site's own, and the performance values of the checks.
fn own(plugin: &str, data: &Value) -> Vec<Sketch> {
    let members = data.as_object().into_iter().flatten();
    let is_kept = |key: &str| {
        let dull = [
            "_status_code",
            "_exit_code",
            "_warn",
            "_crit",
            "_min",
            "_max",
            "started",
            "exit_code",
        ];
        !dull.iter().any(|end| key.ends_with(end))
    };
    members
        .filter(|(key, value)| value.is_number() && is_kept(key))
        .take(OWN_MAX)
        .map(|(key, _)| {
            let (label, _) = value::label(key);
            let unit = value::plain_unit(key).unwrap_or(if key.ends_with("_s") { "s" } else { "" });
            let title = format!("{} · {label}", value::plugin_title(plugin));
            sketch(plugin, title, unit, vec![wish(plugin, &label, &[key], 1.0)])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Series {
        let points = values.iter().enumerate();
        let points =
            points.map(|(i, v)| Point::flat(Wall::from_secs(i as i64 * 600), *v)).collect();
        Series { name: String::new(), metric: String::new(), points }
    }

    #[test]
    fn disk_that_fills_up_says_when_and_one_that_jumps_does_not() {
        let rising: Vec<f64> = (0..12).map(|i| 80.0 + f64::from(i) * 0.5).collect();
        assert_eq!(full_in(&line(&rising)), "full in about 4 h 50 m");
        assert_eq!(full_in(&line(&[80.0; 12])), "");
        assert_eq!(full_in(&line(&[80.0, 85.0])), "");
    }
}
