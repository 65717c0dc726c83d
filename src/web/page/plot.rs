//! Charts with axes as SVG: drawn on the server, so that they are there without JavaScript, in print and in mail.
//!
//! Owns the geometry: lines, the band between least and most, limits, times of silence and of maintenance, ticks.
//! Knows nothing of where the numbers come from.

use super::clock::{Clock, span};
use super::number;
use crate::time::{Duration, Wall};
use serde::Serialize;
use std::fmt::Write as _;

/// The box in which lines are drawn, inside of 640 × 150. chart.js draws by the same numbers.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 630.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 130.0;
const TICKS_MAX: i64 = 6;
/// Rows of the table in the place of the chart.
const TABLE_ROWS: usize = 60;

/// One bucket of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: Wall,
    pub avg: f64,
    pub min: f64,
    pub max: f64,
}

impl Point {
    pub const fn flat(at: Wall, value: f64) -> Point {
        Point { at, avg: value, min: value, max: value }
    }
}

/// A named line over time.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    /// As thresholds and the API name it; the hook of live updates.
    pub metric: String,
    /// Ascending in time.
    pub points: Vec<Point>,
}

/// From when to when the page looks, and what was not normal then.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pub from: Wall,
    pub to: Wall,
    pub down: Vec<(Wall, Wall)>,
    pub maintenance: Vec<(Wall, Wall)>,
}

/// What a chart shows, and how.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    pub title: String,
    pub help: &'static str,
    /// Behind the numbers of the axis; `B` steps in 1024.
    pub unit: &'static str,
    pub series: Vec<Series>,
    /// Fixed end of the axis, as for percent.
    pub top: Option<f64>,
    /// One on the other, as parts of a whole.
    pub is_stacked: bool,
    /// Points further apart than one and a half of this are not joined.
    pub interval: Duration,
    /// `warning` or `critical`, and the value.
    pub limits: Vec<(&'static str, f64)>,
    /// In place of the newest value of the first line, with its metric.
    pub headline: Option<(f64, String)>,
    /// Behind the value: `full in ~3 h`.
    pub note: String,
    /// The first line as it was a day or a week before.
    pub ghost: Vec<Point>,
}

#[derive(Debug, Serialize)]
pub struct Plot {
    pub slug: String,
    pub title: String,
    pub help: &'static str,
    pub legend: Vec<String>,
    /// The newest value, its unit and its metric.
    pub value: String,
    pub unit: String,
    pub metric: String,
    pub note: String,
    /// Of all lines, for the module in the browser.
    pub metrics: String,
    pub label: String,
    /// Height and text of a line of the grid.
    pub grid: Vec<(String, Option<String>)>,
    /// Place, anchor and text under the axis.
    pub ticks: Vec<(String, &'static str, String)>,
    /// Class, left edge, width, text: silence and maintenance.
    pub spans: Vec<(&'static str, String, String, String)>,
    /// Class, height, text.
    pub limits: Vec<(&'static str, String, String)>,
    /// Number of the line and its area: parts of a whole, or between least and most.
    pub areas: Vec<(usize, &'static str, String)>,
    pub lines: Vec<String>,
    /// As it was before; empty where nothing is compared.
    pub ghost: String,
    /// The end of the axis, for the module.
    pub top: String,
    /// Time and a value for each line; only where the reader asked for the table.
    pub table: Vec<(String, Vec<String>)>,
    /// The way to the table.
    pub table_href: String,
}

/// `None` where no line has a point.
pub fn plot(subject: Subject, frame: &Frame, clock: &Clock, with_table: bool) -> Option<Plot> {
    let mut series = subject.series;
    series.retain(|s| !s.points.is_empty());
    let first = series.first()?;
    let (newest, metric) = match subject.headline {
        Some((value, metric)) => (value, metric),
        None => (first.points.last()?.avg, first.metric.clone()),
    };
    let label = summary(&subject.title, first, subject.unit, &subject.limits);
    let table = if with_table { table(&series, subject.unit, clock) } else { Vec::new() };
    let legend = series.iter().map(|s| s.name.clone()).collect();
    let metrics = series.iter().map(|s| s.metric.clone()).collect::<Vec<_>>().join(",");
    let bases = if subject.is_stacked { stack(&mut series) } else { Vec::new() };
    let before = subject.ghost.iter().map(|point| point.avg).fold(0.0, f64::max);
    let high = highest(&series, &subject.limits).max(before);
    let step = if subject.unit.starts_with('B') { power_of_1024(high) } else { 1.0 };
    let fixed = subject.top.filter(|top| high <= *top);
    let top = fixed.unwrap_or_else(|| round_up(high / step) * step);
    let join = subject.interval.mul_f64(1.5) + Duration::from_secs(5);
    let pen = Pen { range: (seconds(frame.from), seconds(frame.to)), top, join };
    let (value, unit) = amount(newest, subject.unit);
    Some(Plot {
        slug: slug(&subject.title),
        title: subject.title,
        help: subject.help,
        legend,
        value,
        unit,
        metric,
        note: subject.note,
        metrics,
        label,
        grid: grid(top, subject.unit),
        ticks: ticks(pen.range, clock),
        spans: pen.spans(frame),
        limits: pen.limits(&subject.limits, subject.unit),
        areas: pen.areas(&series, &bases),
        lines: series.iter().map(|s| pen.line(&s.points)).collect(),
        ghost: pen.line(&subject.ghost),
        top: format!("{top}"),
        table,
        table_href: String::new(),
    })
}

/// Lays each line on those before it; gives back what each stands on.
fn stack(series: &mut [Series]) -> Vec<Vec<f64>> {
    let mut bases: Vec<Vec<f64>> = Vec::new();
    for at in 0..series.len() {
        let (below, rest) = series.split_at_mut(at);
        let Some(own) = rest.first_mut() else { break };
        let base: Vec<f64> = own
            .points
            .iter()
            .map(|point| {
                let under = below.last().and_then(|s| {
                    let found = s.points.binary_search_by(|p| p.at.cmp(&point.at)).ok()?;
                    s.points.get(found)
                });
                under.map_or(0.0, |p| p.avg)
            })
            .collect();
        for (point, base) in own.points.iter_mut().zip(&base) {
            *point = Point::flat(point.at, point.avg + base);
        }
        bases.push(base);
    }
    bases
}

fn highest(series: &[Series], limits: &[(&'static str, f64)]) -> f64 {
    let most = series.iter().flat_map(|s| &s.points).map(|p| p.max).fold(0.0, f64::max);
    // A limit is shown where it is near; a far one would flatten the line.
    let near = limits.iter().map(|(_, limit)| *limit).filter(|limit| *limit <= most * 2.5);
    near.fold(most, f64::max)
}

struct Pen {
    range: (f64, f64),
    top: f64,
    join: Duration,
}

impl Pen {
    fn x(&self, at: Wall) -> f64 {
        place(at.as_micros() as f64 / 1e6, self.range)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (value / self.top).clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    /// The runs of points that belong together.
    fn runs<'p>(&self, points: &'p [Point]) -> Vec<(usize, &'p [Point])> {
        let mut runs = Vec::new();
        let mut start = 0;
        for at in 1..=points.len() {
            let ends = at == points.len() || points[at].at.since(points[at - 1].at) > self.join;
            if ends {
                runs.push((start, &points[start..at]));
                start = at;
            }
        }
        runs
    }

    fn line(&self, points: &[Point]) -> String {
        let mut out = String::new();
        for (_, run) in self.runs(points) {
            for (i, point) in run.iter().enumerate() {
                let pen = if i == 0 { 'M' } else { 'L' };
                // Writing to a String cannot fail.
                let _ = write!(out, "{pen}{:.1} {:.1}", self.x(point.at), self.y(point.avg));
            }
            if run.len() == 1 {
                // A dash: a dot of the line's own width would be overlooked.
                out.push_str("h3m-6 0h3");
            }
        }
        out
    }

    /// What lies between two heights along a line, run by run.
    fn area(
        &self,
        points: &[Point],
        upper: &dyn Fn(usize) -> f64,
        lower: &dyn Fn(usize) -> f64,
    ) -> String {
        let mut out = String::new();
        for (start, run) in self.runs(points) {
            if run.len() < 2 {
                continue;
            }
            for (i, point) in run.iter().enumerate() {
                let pen = if i == 0 { 'M' } else { 'L' };
                let _ = write!(out, "{pen}{:.1} {:.1}", self.x(point.at), self.y(upper(start + i)));
            }
            for (i, point) in run.iter().enumerate().rev() {
                let _ = write!(out, "L{:.1} {:.1}", self.x(point.at), self.y(lower(start + i)));
            }
            out.push('Z');
        }
        out
    }

    /// Parts of a whole have an area each; a lone line has the ground under it; and each line that is a mean has the
    /// band between least and most.
    fn areas(&self, series: &[Series], bases: &[Vec<f64>]) -> Vec<(usize, &'static str, String)> {
        let mut areas = Vec::new();
        for (number, one) in series.iter().enumerate() {
            let points = &one.points;
            if let Some(base) = bases.get(number) {
                let area = self.area(points, &|i| points[i].avg, &|i| base[i]);
                areas.push((number + 1, "part", area));
                continue;
            }
            if series.len() == 1 {
                areas.push((1, "ground", self.area(points, &|i| points[i].avg, &|_| 0.0)));
            }
            if points.iter().any(|p| p.max - p.min > self.top * 0.002) {
                let band = self.area(points, &|i| points[i].max, &|i| points[i].min);
                areas.push((number + 1, "band", band));
            }
        }
        areas
    }

    fn spans(&self, frame: &Frame) -> Vec<(&'static str, String, String, String)> {
        let kinds = [("maint", "maintenance", &frame.maintenance), ("down", "down", &frame.down)];
        let mut spans = Vec::new();
        for (key, word, times) in kinds {
            for (from, to) in times.iter() {
                let (left, right) = (self.x((*from).max(frame.from)), self.x((*to).min(frame.to)));
                let width = (right - left).max(1.0);
                let text = format!("{word} {}", span(to.since(*from)));
                // Where it ends before the edge; a letter is about six units wide.
                let fits = left + 4.0 + text.len() as f64 * 6.0 < RIGHT;
                let text = if fits { text } else { String::new() };
                spans.push((key, format!("{left:.1}"), format!("{width:.1}"), text));
            }
        }
        spans
    }

    fn limits(
        &self,
        limits: &[(&'static str, f64)],
        unit: &str,
    ) -> Vec<(&'static str, String, String)> {
        let shown = limits.iter().filter(|(_, limit)| (0.0..=self.top).contains(limit));
        shown
            .map(|(level, limit)| {
                let (value, unit) = amount(*limit, unit);
                let text = format!("{level} {value} {unit}").trim().to_owned();
                (*level, format!("{:.1}", self.y(*limit)), text)
            })
            .collect()
    }
}

fn seconds(at: Wall) -> f64 {
    at.as_micros() as f64 / 1e6
}

fn place(at: f64, range: (f64, f64)) -> f64 {
    let length = (range.1 - range.0).max(1.0);
    LEFT + ((at - range.0) / length).clamp(0.0, 1.0) * (RIGHT - LEFT)
}

/// The name of a chart in addresses.
pub fn slug(title: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    title.chars().map(word).collect()
}

/// The next of 1, 2, 4, 5, 8 × 10^n above the value, so that quarters are round.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let scale = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0, 20.0];
    let fits = steps.iter().find(|step| **step * scale >= value * 1.05);
    fits.unwrap_or(&20.0) * scale
}

/// The size of the prefix under which the value is shown.
fn power_of_1024(value: f64) -> f64 {
    let mut step = 1.0;
    while value / step >= 999.5 {
        step *= 1024.0;
    }
    step
}

fn grid(top: f64, unit: &str) -> Vec<(String, Option<String>)> {
    (0..=4)
        .map(|quarter| {
            let share = f64::from(quarter) / 4.0;
            let y = BOTTOM - share * (BOTTOM - TOP);
            let text = (quarter % 2 == 0).then(|| {
                let (value, unit) = amount(top * share, unit);
                format!("{value} {unit}").trim().to_owned()
            });
            (format!("{y}"), text)
        })
        .collect()
}

/// A number as its unit wants it: bytes in steps of 1024, bits in steps of 1000.
fn amount(value: f64, unit: &str) -> (String, String) {
    match unit {
        "B" | "B/s" => {
            let text = number::bytes(value);
            let (value, prefix) = text.split_once(' ').unwrap_or((&text, "B"));
            (value.to_owned(), format!("{prefix}{}", unit.trim_start_matches('B')))
        }
        "bit/s" => {
            let text = number::bits(value);
            let (value, unit) = text.split_once(' ').unwrap_or((&text, "bit/s"));
            (value.to_owned(), unit.to_owned())
        }
        _ => (number::short(value), unit.to_owned()),
    }
}

fn text_of(value: f64, unit: &str) -> String {
    let (value, unit) = amount(value, unit);
    format!("{value} {unit}").trim().to_owned()
}

/// At round local times; a day that has 23 or 25 hours keeps its midnights.
fn ticks(range: (f64, f64), clock: &Clock) -> Vec<(String, &'static str, String)> {
    const STEPS: [i64; 17] = [
        60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000,
        864_000, 2_592_000, 7_776_000,
    ];
    let (start, end) = (range.0 as i64, range.1 as i64);
    let fitting = STEPS.into_iter().find(|step| (end - start) / step < TICKS_MAX);
    let step = fitting.unwrap_or((end - start) / TICKS_MAX + 1).max(1);
    let mut made = Vec::new();
    let mut at = clock.next_tick(Wall::from_secs(start), step);
    while at.as_secs() <= end && made.len() <= 2 * TICKS_MAX as usize {
        let x = place(at.as_secs() as f64, range);
        let anchor = match x {
            x if x > RIGHT - 16.0 => "end",
            x if x < LEFT + 16.0 => "start",
            _ => "middle",
        };
        let text = if step >= 86_400 { clock.day(at) } else { clock.axis(at) };
        made.push((format!("{x:.1}"), anchor, text));
        at = clock.next_tick(at, step);
    }
    made
}

/// `CPU, all: least 3 %, mean 31 %, most 88 % at 14:02, now 34 %; 2 times over 80 %`
fn summary(title: &str, series: &Series, unit: &str, limits: &[(&'static str, f64)]) -> String {
    let points = &series.points;
    let low = points.iter().map(|p| p.min).fold(f64::MAX, f64::min);
    let high = points.iter().map(|p| p.max).fold(f64::MIN, f64::max);
    let mean = points.iter().map(|p| p.avg).sum::<f64>() / points.len().max(1) as f64;
    let now = points.last().map_or(f64::NAN, |p| p.avg);
    let mut text = format!(
        "{title}, {}: least {}, mean {}, most {}, now {}",
        series.name,
        text_of(low, unit),
        text_of(mean, unit),
        text_of(high, unit),
        text_of(now, unit)
    );
    for (level, limit) in limits {
        let is_over = |p: &&Point| p.max > *limit;
        let crossings = points.windows(2).filter(|w| !is_over(&&w[0]) && is_over(&&w[1])).count();
        let crossings = crossings + usize::from(points.first().is_some_and(|p| is_over(&p)));
        if crossings > 0 {
            let times =
                if crossings == 1 { "once".to_owned() } else { format!("{crossings} times") };
            let _ = write!(text, ", {times} over {level} {}", text_of(*limit, unit));
        }
    }
    text
}

fn table(series: &[Series], unit: &str, clock: &Clock) -> Vec<(String, Vec<String>)> {
    let Some(first) = series.first() else { return Vec::new() };
    let skip = first.points.len().div_ceil(TABLE_ROWS).max(1);
    let rows = first.points.iter().rev().step_by(skip);
    rows.map(|point| {
        let values = series.iter().map(|one| {
            let found = one.points.iter().rev().find(|p| p.at <= point.at);
            found.map_or("–".to_owned(), |p| text_of(p.avg, unit))
        });
        (clock.time(point.at).text, values.collect())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn subject(values: &[f64]) -> Subject {
        let points = values.iter().enumerate();
        let points = points.map(|(i, v)| Point::flat(Wall::from_secs(i as i64 * 60), *v)).collect();
        Subject {
            title: "Load".to_owned(),
            series: vec![Series {
                name: "1 min".to_owned(),
                metric: "cpu_monitor.load_1min".to_owned(),
                points,
            }],
            interval: Duration::from_secs(60),
            ..Subject::default()
        }
    }

    fn frame() -> Frame {
        Frame { to: Wall::from_secs(600), ..Frame::default() }
    }

    fn clock() -> Clock {
        Clock::new(Wall::from_secs(600), TimeZone::UTC)
    }

    fn plot_of(subject: Subject) -> Option<Plot> {
        plot(subject, &frame(), &clock(), false)
    }

    #[test]
    fn axis_ends_at_a_round_number_above_the_highest() {
        let table = [(0.0, 1.0), (0.9, 1.0), (1.0, 2.0), (3.0, 4.0), (7.9, 10.0), (96.0, 200.0)];
        for (high, want) in table {
            assert_eq!(round_up(high), want, "{high}");
        }
    }

    #[test]
    fn chart_has_a_sentence_and_stays_in_its_box() {
        let plot = plot_of(subject(&[1.0, 2.0, 3.0, 2.4])).unwrap();
        assert_eq!(plot.label, "Load, 1 min: least 1, mean 2.1, most 3, now 2.4");
        assert_eq!(plot.lines[0], "M64.0 100.0L120.6 70.0L177.2 40.0L233.8 58.0");
        assert_eq!(plot.ticks.len(), 5);
        assert!(plot_of(subject(&[])).is_none());
    }

    #[test]
    fn points_far_apart_are_not_joined() {
        let mut subject = subject(&[1.0, 1.0, 1.0, 1.0]);
        subject.series[0].points[2].at = Wall::from_secs(540);
        subject.series[0].points[3].at = Wall::from_secs(600);
        let plot = plot_of(subject).unwrap();
        assert_eq!(plot.lines[0].matches('M').count(), 2);
        assert_eq!(plot.areas[0].2.matches('Z').count(), 2);
    }

    #[test]
    fn spike_stays_visible_as_a_band_and_counts_as_a_crossing() {
        let mut subject = subject(&[1.0, 1.0, 1.0]);
        subject.series[0].points[1].max = 9.0;
        subject.limits = vec![("warning", 6.0), ("critical", 60.0)];
        let plot = plot_of(subject).unwrap();
        assert!(plot.areas.iter().any(|(_, kind, _)| *kind == "band"));
        assert!(plot.label.ends_with(", once over warning 6"), "{}", plot.label);
        // The far limit would flatten the line.
        assert_eq!(plot.limits.len(), 1);
        assert_eq!(plot.limits[0].2, "warning 6");
    }

    #[test]
    fn parts_of_a_whole_stand_on_each_other() {
        let mut subject = subject(&[1.0, 2.0]);
        let mut second = subject.series[0].clone();
        second.name = "5 min".to_owned();
        subject.series.push(second);
        subject.is_stacked = true;
        subject.top = Some(10.0);
        let plot = plot_of(subject).unwrap();
        assert_eq!(plot.lines[0], "M64.0 118.0L120.6 106.0");
        assert_eq!(plot.lines[1], "M64.0 106.0L120.6 82.0");
    }

    #[test]
    fn silence_and_maintenance_are_bands_with_words() {
        let at = Wall::from_secs;
        let frame = Frame {
            down: vec![(at(60), at(180))],
            maintenance: vec![(at(300), at(900))],
            ..frame()
        };
        let plot = plot(subject(&[1.0, 2.0]), &frame, &clock(), true).unwrap();
        let spans: Vec<_> = plot
            .spans
            .iter()
            .map(|(key, x, width, text)| format!("{key} {x} {width} {text}"))
            .collect();
        assert_eq!(spans, ["maint 347.0 283.0 maintenance 10 m", "down 120.6 113.2 down 2 m"]);
        assert_eq!(plot.table[0], ("00:01:00".to_owned(), vec!["2".to_owned()]));
    }
}
