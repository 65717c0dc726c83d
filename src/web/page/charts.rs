//! Which charts a host's page has, from when to when, and the numbers for them: from the history, or, where it has
//! none, from the samples in memory.

use super::clock::{Clock, span};
use super::number::MIB;
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
const CHARTS_MAX: usize = 48;
const PARTITIONS_MAX: usize = 4;
/// Charts of one plugin of the site's own, and how deep in its data they are looked for.
const OWN_MAX: usize = 24;
const OWN_DEPTH: usize = 3;
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
    /// `10:20 – 16:20 CET · 2 m per point, band = min–max`
    pub words: String,
    pub from: i64,
    pub to: i64,
    /// As a field of a form has them, by the reader's clock.
    pub from_local: String,
    pub to_local: String,
    /// A range that no button has.
    pub is_custom: bool,
    /// What the form of a range keeps of the address.
    pub keep: Vec<(String, String)>,
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
    /// Shares that were lost, drawn as bars.
    lost: Vec<Wish>,
}

impl Sketch {
    /// All that is asked for, in one order everywhere.
    fn all(&self) -> impl Iterator<Item = &Wish> {
        self.wishes.iter().chain(&self.total).chain(&self.lost)
    }
}

/// `GET /plugins/H?r=6h` or `?from=&to=`, with `table=SLUG` for the numbers of a chart.
pub fn of_host(call: &Call<'_>, host: &Host, samples: &Samples<'_>, clock: &Clock) -> Charts {
    let now = call.context.now.wall;
    let (from, to, name) = range(call, host, clock, now);
    let mut sketches = sketches(host, samples);
    sketches.truncate(CHARTS_MAX);
    let paths: Vec<String> =
        sketches.iter().flat_map(Sketch::all).map(|wish| wish.path.clone()).collect();
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
    let zoomed = call.query.get("zoom").unwrap_or_default();
    let mut at = 0;
    let mut plots = Vec::new();
    for sketch in sketches {
        let mut lines = Vec::new();
        let ghost = match (compared, &before) {
            (Some((_, shift)), Some(found)) => ghost(&sketch, found, at, shift),
            _ => Vec::new(),
        };
        for wish in sketch.all() {
            let kept = history.as_ref().and_then(|found| {
                let line = found.lines.get(at)?;
                Some(points_of(&found.t, line, wish.factor)).filter(|points| !points.is_empty())
            });
            at += 1;
            lines.push(kept.unwrap_or_else(|| in_memory(host, samples, wish, &frame)));
        }
        let slug = super::plot::slug(&sketch.subject.title);
        let is_zoomed = slug == zoomed;
        let subject = Subject { ghost, is_zoomed, ..finish(sketch, lines, &rules, host, step) };
        let is_fixed = subject.unit == "%";
        let made = plot(subject, &frame, clock, slug == table).map(|plot| {
            let here = |name: &str, put: &[(&str, &str)]| {
                format!("{}#c-{}", here_with(call, &[name], put), plot.slug)
            };
            let zoom = match is_zoomed {
                true => ("zoomed", here("zoom", &[])),
                false => ("zoom", here("zoom", &[("zoom", &plot.slug)])),
            };
            let table_href = here("table", &[("table", &plot.slug)]);
            Plot { table_href, zoom: is_fixed.then_some(zoom), ..plot }
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
    let named = |wish: Wish, points| Series { name: wish.name, metric: wish.path, points };
    let lost = lines.split_off(lines.len().saturating_sub(sketch.lost.len()));
    subject.bars = sketch.lost.into_iter().zip(lost).map(|(w, points)| named(w, points)).collect();
    let judged = sketch.total.as_ref().or(sketch.wishes.first());
    if let Some(wish) = judged.filter(|_| subject.limits.is_empty()) {
        subject.limits = limits(rules, host, wish);
    }
    subject.judged = sketch.total.and_then(|wish| Some(named(wish, lines.pop()?)));
    let wishes = sketch.wishes.into_iter().zip(lines);
    subject.series = wishes.map(|(wish, points)| named(wish, points)).collect();
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

fn range(
    call: &Call<'_>,
    host: &Host,
    clock: &Clock,
    now: Wall,
) -> (Wall, Wall, Option<&'static str>) {
    let moment = |name: &str| {
        // Seconds, or as a field for a date sends it.
        clock.parse(call.query.get(name)?)
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
        Some(step) => format!("{} per point, band = min–max", span(step)),
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
        from_local: clock.field(from),
        to_local: clock.field(to),
        is_custom: name.is_none(),
        keep: kept(call),
        is_open: name.is_some(),
        earlier: moved(from - length, from),
        later: (to < now).then(|| moved(to, (to + length).min(now))),
        is_kept: step.is_some(),
        compare: comparisons(call),
    }
}

/// What a form with a range of its own carries along.
fn kept(call: &Call<'_>) -> Vec<(String, String)> {
    let names = ["vs", "zoom", "fs"];
    let given = names.into_iter().filter_map(|name| Some((name, call.query.get(name)?)));
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
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

/// The limits in force for a metric of the host.
pub fn limits_of(
    rules: &Ruleset,
    host: &Host,
    plugin: &str,
    place: &[&str],
) -> Vec<(&'static str, f64)> {
    limits(rules, host, &wish(plugin, "", place, 1.0))
}

pub fn rules(call: &Call<'_>, host: &Host) -> Ruleset {
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

/// Until a line of percents that rises steadily will have reached the hundred; `None` where it does not, or not within
/// ninety days.
pub fn left(points: &[Point]) -> Option<Duration> {
    let (first, last) = (points.first()?, points.last()?);
    let hours = last.at.since(first.at).as_secs_f64() / 3600.0;
    if hours < 0.5 || points.len() < 6 {
        return None;
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
    let is_near = slope >= 0.001 && left.is_finite() && left <= 24.0 * 90.0;
    is_near.then(|| Duration::from_secs_f64(left.max(0.0) * 3600.0))
}

fn full_in(series: &Series) -> String {
    left(&series.points).map_or_else(String::new, |left| format!("full in ~{}", span(left)))
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
    let cores = latest("os_info").and_then(|info| info["cpu_count"].as_f64());
    made.extend(latest("cpu_monitor").map(|data| cpu(data, cores)).into_iter().flatten());
    made.extend(latest("memory_monitor").map(memory).into_iter().flatten());
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
    Sketch { subject, plugin: plugin.to_owned(), wishes, total: None, lost: Vec::new() }
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
    let mut made = sketch("rtt", "Round-trip time".to_owned(), "ms", wishes);
    made.subject.is_by_median = true;
    made.subject.help = "From the agent to this server and back, measured by the agent.";
    let lost = host.connections().filter_map(|connection| connection.loss_percent);
    made.subject.note =
        lost.reduce(f32::max).map_or_else(String::new, |loss| format!("loss {loss:.0} %"));
    made
}

fn cpu(data: &Value, cores: Option<f64>) -> Vec<Sketch> {
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
            let stacked = shown.len();
            let mut all = sketch("cpu_monitor", "CPU".to_owned(), "%", shown);
            all.subject.stacked = stacked;
            all.total = Some(one("all", "cpu_percent"));
            all
        };
        all.subject.help = "Share of time that all cores together were busy.";
        all.subject.note = cores.map_or_else(String::new, |cores| format!("of {cores} cores"));
        made.push(all);
    }
    let loads = [("1 min", "load_1min"), ("5 min", "load_5min"), ("15 min", "load_15min")];
    let loads: Vec<Wish> =
        loads.iter().filter(|(_, key)| has(key)).map(|(name, key)| one(name, key)).collect();
    if !loads.is_empty() {
        let mut load = sketch("cpu_monitor", "Load average".to_owned(), "", loads);
        load.subject.help =
            "Processes that run or wait to run; above the line of the cores they wait.";
        load.subject.marks =
            cores.map(|cores| (cores, format!("{cores} cores"))).into_iter().collect();
        made.push(load);
    }
    if has("process_count") {
        let count = vec![one("processes", "process_count")];
        let mut processes = sketch("cpu_monitor", "Processes".to_owned(), "", count);
        processes.subject.help = "Processes and threads.";
        made.push(processes);
    }
    made
}

/// What is used, and what caches hold that can be given up, of the whole; swap beside it. Judged is the share that the
/// agent tells.
fn memory(data: &Value) -> Option<Sketch> {
    let number = |key: &str| data[key].as_f64().filter(|value| value.is_finite());
    let one = |name: &str, key: &str, factor| wish("memory_monitor", name, &[key], factor);
    let help = "What programs hold; caches that can be given up do not count as used.";
    let shown = |keys: &[(&str, &str)], factor: f64| -> Vec<Wish> {
        let known = keys.iter().filter(|(_, key)| number(key).is_some());
        known.map(|(name, key)| one(name, key, factor)).collect()
    };
    let title = "Memory".to_owned();
    let total = number("total_mb").filter(|total| *total > 0.0 && number("used_mb").is_some());
    let Some(total) = total else {
        let lines = shown(&[("used", "percent"), ("swap", "swap_percent")], 1.0);
        let mut made = sketch("memory_monitor", title, "%", lines);
        made.subject.help = help;
        return Some(made).filter(|made| !made.wishes.is_empty());
    };
    let parts = shown(&[("used", "used_mb"), ("ARC", "arc_mb"), ("cache", "cached_mb")], MIB);
    let stacked = parts.len();
    let swap = number("swap_total_mb").filter(|swap| *swap > 0.0);
    let swap = swap.map(|_| one("swap", "swap_used_mb", MIB));
    let mut made = sketch("memory_monitor", title, "B", parts.into_iter().chain(swap).collect());
    made.subject.stacked = stacked;
    made.subject.top = Some(total * MIB);
    made.subject.help = help;
    if number("percent").is_some() {
        let percent = total * MIB / 100.0;
        made.total = Some(one("used", "percent", percent));
        made.subject.read_as = Some((percent, "%".to_owned()));
        made.subject.note = format!("of {}", super::number::bytes(total * MIB));
    }
    Some(made)
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
        let mut disk = sketch("disk_monitor", format!("Disk {mount}"), "%", vec![used]);
        disk.subject.help = "Space in use; when it is full follows from the median of its slope.";
        made.push(disk);
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
            let mut made = sketch("network_monitor", format!("Network {name}"), "bit/s", both);
            made.subject.is_mirrored = true;
            made.subject.help = "Received above the middle, sent below it.";
            made
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
    let mut made = sketch("ping_monitor", "Ping targets".to_owned(), "ms", lines("rtt_ms"));
    made.lost = lines("loss_percent");
    made.subject.help = "Round trips from this host to its targets; bars are what was lost.";
    vec![made]
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

/// Every number of a plugin of the site's own, and the performance values of the checks with their limits.
fn own(plugin: &str, data: &Value) -> Vec<Sketch> {
    let mut found: Vec<(Vec<&str>, &Value)> = Vec::new();
    numbers(data, &mut Vec::new(), &mut found);
    let shown = found.into_iter().filter(|(place, _)| is_drawn(place.last().unwrap_or(&"")));
    shown.take(OWN_MAX).map(|(place, _)| own_value(plugin, data, &place)).collect()
}

/// Records within records, no deeper than they are shown.
fn numbers<'a>(
    data: &'a Value,
    above: &mut Vec<&'a str>,
    found: &mut Vec<(Vec<&'a str>, &'a Value)>,
) {
    for (key, value) in data.as_object().into_iter().flatten() {
        above.push(key);
        if value.is_number() {
            found.push((above.clone(), value));
        } else if above.len() < OWN_DEPTH {
            numbers(value, above, found);
        }
        above.pop();
    }
}

fn is_drawn(key: &str) -> bool {
    const DULL: [&str; 8] =
        ["_status_code", "_exit_code", "_warn", "_crit", "_min", "_max", "started", "exit_code"];
    !DULL.iter().any(|end| key.ends_with(end))
}

fn own_value(plugin: &str, data: &Value, place: &[&str]) -> Sketch {
    let (key, above) = place.split_last().map_or(("", &[][..]), |(key, above)| (*key, above));
    let (label, help) = value::label(key);
    let names = above.iter().copied().chain([&*label]).collect::<Vec<_>>().join(" · ");
    let (unit, factor) = guessed_unit(key);
    let title = format!("{} · {names}", value::plugin_title(plugin));
    let mut made = sketch(plugin, title, unit, vec![wish(plugin, &label, place, factor)]);
    made.subject.help = help;
    if plugin == "nagios_runner" {
        let of = |end: &str| data.get(format!("{key}{end}"));
        let limits = [("warning", of("_warn")), ("critical", of("_crit"))];
        let limits = limits.into_iter().filter_map(|(level, at)| Some((level, at?.as_f64()?)));
        made.subject.limits = limits.collect();
        let unit = of("_unit").and_then(Value::as_str).unwrap_or_default();
        made.subject.read_as = Some((1.0, unit.chars().take(12).collect()));
    }
    made
}

/// By the end of the key, as the agents' own plugins name theirs: the unit, and what the value is multiplied by.
fn guessed_unit(key: &str) -> (&'static str, f64) {
    let ends = [
        ("_mb_s", "B/s", MIB),
        ("_bytes_s", "B/s", 1.0),
        ("_mb", "B", MIB),
        ("_gb", "B", MIB * 1024.0),
        ("_bytes", "B", 1.0),
        ("_seconds", "s", 1.0),
        ("_s", "s", 1.0),
    ];
    let found = ends.into_iter().find(|(end, ..)| key.ends_with(end));
    found.map_or_else(|| (value::plain_unit(key).unwrap_or(""), 1.0), |(_, unit, f)| (unit, f))
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
    fn every_number_of_an_own_plugin_has_a_chart_with_a_unit() {
        let data = serde_json::json!({
            "queue_percent": 12.0, "spool_mb": 3, "oldest_ms": 40, "sent_bytes": 7, "name": "x", "up": true,
            "lanes": { "a": { "waiting": 3 } }, "exit_code": 0,
        });
        let made = own("mailer", &data);
        let shown: Vec<_> =
            made.iter().map(|s| format!("{} [{}]", s.subject.title, s.subject.unit)).collect();
        assert_eq!(
            shown,
            [
                "Mailer · a · Waiting []",
                "Mailer · Oldest [ms]",
                "Mailer · Queue [%]",
                "Mailer · Sent [B]",
                "Mailer · Spool [B]",
            ]
            .map(|line| line.replace("Mailer · a", "Mailer · lanes · a"))
        );
        assert_eq!(made[0].wishes[0].path, "mailer.lanes.a.waiting");
    }

    #[test]
    fn disk_that_fills_up_says_when_and_one_that_jumps_does_not() {
        let rising: Vec<f64> = (0..12).map(|i| 80.0 + f64::from(i) * 0.5).collect();
        assert_eq!(full_in(&line(&rising)), "full in ~4 h 50 m");
        assert_eq!(full_in(&line(&[80.0; 12])), "");
        assert_eq!(full_in(&line(&[80.0, 85.0])), "");
    }
}
