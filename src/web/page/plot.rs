//! Charts with axes as SVG: drawn on the server, so that they are there without JavaScript, in print and in mail.
//!
//! Owns the geometry: lines, the band between least and most, limits, times of silence and of maintenance, ticks.
//! Knows nothing of where the numbers come from.

use super::clock::{Clock, When, span};
use super::plot_word::{amount, stat, summary, table};
use crate::time::{Duration, Wall};
use serde::Serialize;
use std::fmt::Write as _;

/// The box in which lines are drawn, inside of 640 × 150. chart.js draws by the same numbers.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 630.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 130.0;
const TICKS_MAX: i64 = 6;
/// A mark (the count of cores) further above the line than this would flatten it.
const MARK_NEAR: f64 = 4.0;

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

    /// Below the middle of a mirrored chart.
    fn upside_down(self) -> Point {
        Point { avg: -self.avg, min: -self.max, max: -self.min, ..self }
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
    /// So many of the first lines stand one on the other, as parts of a whole.
    pub stacked: usize,
    /// The second line goes down from the middle, as what is sent beside what is received.
    pub is_mirrored: bool,
    /// The axis ends at twice the median, or at the limit: noise never fills the height, and a spike does not flatten
    /// the rest.
    pub is_by_median: bool,
    /// The reader wants to see the line from near: the axis is about its least and its most.
    pub is_zoomed: bool,
    /// Shares of the height in percent, drawn as bars: what was lost.
    pub bars: Vec<Series>,
    /// Lines that are no limits: value and word.
    pub marks: Vec<(f64, String)>,
    /// Points further apart than one and a half of this are not joined.
    pub interval: Duration,
    /// `warning` or `critical`, and the value.
    pub limits: Vec<(&'static str, f64)>,
    /// What is judged, where it is no line of its own: the value, the sentence and the limits are of it.
    pub judged: Option<Series>,
    /// The judged values are divided by this and have this unit where they are read: percent of a whole that is drawn
    /// in bytes.
    pub read_as: Option<(f64, String)>,
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
    /// How old the newest value is.
    pub age: When,
    /// `current 34 % · average 31 % · peak 88 % at 14:02`
    pub stat: String,
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
    /// Left edge, top, width, height: what was lost.
    pub bars: Vec<(String, String, String, String)>,
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
    /// Word and address: the axis from near, or whole again; only where the axis is fixed.
    pub zoom: Option<(&'static str, String)>,
}

/// `None` where no line has a point.
pub fn plot(subject: Subject, frame: &Frame, clock: &Clock, with_table: bool) -> Option<Plot> {
    let mut series = subject.series.clone();
    series.retain(|s| !s.points.is_empty());
    let first = series.first()?.clone();
    let judged = subject.judged.as_ref().filter(|s| !s.points.is_empty()).unwrap_or(&first);
    let newest = *judged.points.last()?;
    let (factor, unit) = subject.read_as.clone().unwrap_or((1.0, subject.unit.to_owned()));
    let (value, shown_unit) = amount(newest.avg / factor, &unit);
    let label = summary(&subject.title, judged, factor, &unit, &subject.limits, clock);
    let table = if with_table { table(&series, subject.unit, clock) } else { Vec::new() };
    let legend = series.iter().map(|s| s.name.clone()).collect();
    let metrics = series.iter().map(|s| s.metric.clone()).collect::<Vec<_>>().join(",");
    let is_mirrored = subject.is_mirrored && series.len() == 2;
    let bases = stack(&mut series, subject.stacked);
    let (floor, top) = axis(&subject, &series, is_mirrored);
    if is_mirrored {
        series[1].points.iter_mut().for_each(|point| *point = point.upside_down());
    }
    let join = subject.interval.mul_f64(1.5) + Duration::from_secs(5);
    let pen = Pen { range: (seconds(frame.from), seconds(frame.to)), floor, top, join };
    let has_loss = subject.bars.iter().flat_map(|s| &s.points).any(|point| point.max > 0.0);
    Some(Plot {
        slug: slug(&subject.title),
        legend,
        value,
        unit: shown_unit,
        metric: judged.metric.clone(),
        age: clock.ago(newest.at),
        stat: stat(judged, factor, &unit, clock),
        metrics,
        label,
        grid: grid(floor, top, subject.unit, is_mirrored),
        ticks: ticks(pen.range, clock),
        spans: pen.spans(frame),
        limits: pen.limits(&subject, factor, &unit),
        bars: if has_loss { pen.bars(&subject.bars, subject.interval) } else { Vec::new() },
        areas: pen.areas(&series, &bases, is_mirrored),
        lines: series.iter().map(|s| pen.line(&s.points)).collect(),
        ghost: pen.line(&subject.ghost),
        top: format!("{top}"),
        table,
        table_href: String::new(),
        zoom: None,
        title: subject.title,
        help: subject.help,
        note: subject.note,
    })
}

/// The ends of the axis.
fn axis(subject: &Subject, series: &[Series], is_mirrored: bool) -> (f64, f64) {
    let points = || series.iter().flat_map(|s| &s.points);
    if subject.is_zoomed {
        let low = points().map(|p| p.min).fold(f64::MAX, f64::min);
        let high = points().map(|p| p.max).fold(f64::MIN, f64::max);
        let room = ((high - low) * 0.1).max(0.5);
        return ((low - room).floor().max(0.0), (high + room).ceil());
    }
    let before = subject.ghost.iter().map(|point| point.avg).fold(0.0, f64::max);
    let high = highest(series, subject).max(before);
    let step = if subject.unit.starts_with('B') { power_of_1024(high) } else { 1.0 };
    let fixed = subject.top.filter(|top| high <= *top);
    let top = match subject.is_by_median {
        true => round_up(by_median(series, &subject.limits)),
        false => fixed.unwrap_or_else(|| round_up(high / step) * step),
    };
    (if is_mirrored { -top } else { 0.0 }, top)
}

/// Twice the median, or the least limit.
fn by_median(series: &[Series], limits: &[(&'static str, f64)]) -> f64 {
    let mut values: Vec<f64> = series.iter().flat_map(|s| &s.points).map(|p| p.avg).collect();
    values.sort_by(f64::total_cmp);
    let median = values.get(values.len() / 2).copied().unwrap_or_default();
    let limit = limits.iter().map(|(_, limit)| *limit).fold(f64::MAX, f64::min);
    (median * 2.0).max(if limit == f64::MAX { 0.0 } else { limit })
}

/// Lays each of the first lines on those before it; gives back what each stands on.
fn stack(series: &mut [Series], stacked: usize) -> Vec<Vec<f64>> {
    let mut bases: Vec<Vec<f64>> = Vec::new();
    for at in 0..stacked.min(series.len()) {
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

fn highest(series: &[Series], subject: &Subject) -> f64 {
    let most = series.iter().flat_map(|s| &s.points).map(|p| p.max).fold(0.0, f64::max);
    // A limit is shown where it is near; a far one would flatten the line.
    let near = subject.limits.iter().map(|(_, limit)| *limit).filter(|limit| *limit <= most * 2.5);
    let marks = subject.marks.iter().map(|(mark, _)| *mark);
    near.chain(marks.filter(|mark| *mark <= most * MARK_NEAR)).fold(most, f64::max)
}

struct Pen {
    range: (f64, f64),
    floor: f64,
    top: f64,
    join: Duration,
}

impl Pen {
    fn x(&self, at: Wall) -> f64 {
        place(at.as_micros() as f64 / 1e6, self.range)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.floor) / (self.top - self.floor).max(f64::MIN_POSITIVE);
        BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
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
    fn areas(
        &self,
        series: &[Series],
        bases: &[Vec<f64>],
        is_mirrored: bool,
    ) -> Vec<(usize, &'static str, String)> {
        let mut areas = Vec::new();
        for (number, one) in series.iter().enumerate() {
            let points = &one.points;
            if let Some(base) = bases.get(number) {
                let area = self.area(points, &|i| points[i].avg, &|i| base[i]);
                areas.push((number + 1, "part", area));
                continue;
            }
            if series.len() == 1 || is_mirrored {
                let ground = self.area(points, &|i| points[i].avg, &|_| 0.0);
                areas.push((number + 1, "ground", ground));
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

    /// Limits and marks with their words: class, height, text.
    fn limits(
        &self,
        subject: &Subject,
        factor: f64,
        unit: &str,
    ) -> Vec<(&'static str, String, String)> {
        let is_shown = |value: f64| (self.floor.max(0.0)..=self.top).contains(&value);
        let limits = subject.limits.iter().filter(|(_, limit)| is_shown(*limit));
        let limits = limits.map(|(level, limit)| {
            let (value, unit) = amount(*limit / factor, unit);
            let text = format!("{level} {value} {unit}").trim().to_owned();
            (*level, format!("{:.1}", self.y(*limit)), text)
        });
        let marks = subject.marks.iter().filter(|(mark, _)| is_shown(*mark));
        let marks =
            marks.map(|(mark, word)| ("mark", format!("{:.1}", self.y(*mark)), word.clone()));
        limits.chain(marks).collect()
    }

    /// Where something was lost, up to the whole height.
    fn bars(&self, lost: &[Series], interval: Duration) -> Vec<(String, String, String, String)> {
        let length = (self.range.1 - self.range.0).max(1.0);
        let width = (interval.as_secs_f64() / length * (RIGHT - LEFT)).clamp(2.0, 24.0);
        let points = lost.iter().flat_map(|s| &s.points).filter(|point| point.max > 0.0);
        points
            .map(|point| {
                let height = (point.max / 100.0).clamp(0.02, 1.0) * (BOTTOM - TOP);
                let left = (self.x(point.at) - width / 2.0).clamp(LEFT, RIGHT - width);
                let top = BOTTOM - height;
                let text = |value: f64| format!("{value:.1}");
                (text(left), text(top), text(width), text(height))
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

fn grid(floor: f64, top: f64, unit: &str, is_mirrored: bool) -> Vec<(String, Option<String>)> {
    (0..=4)
        .map(|quarter| {
            let share = f64::from(quarter) / 4.0;
            let y = BOTTOM - share * (BOTTOM - TOP);
            let text = (quarter % 2 == 0).then(|| {
                let value = floor + (top - floor) * share;
                let (value, unit) = amount(if is_mirrored { value.abs() } else { value }, unit);
                format!("{value} {unit}").trim().to_owned()
            });
            (format!("{y}"), text)
        })
        .collect()
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
        let want = "Load, 1 min: min 1, avg 2.1, max 3 at 00:02, now 2.4";
        assert_eq!(plot.label, want);
        assert_eq!(plot.stat, "current 2.4 · average 2.1 · peak 3 at 00:02");
        assert_eq!(plot.age.text, "7 m ago");
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
        subject.stacked = 2;
        subject.top = Some(10.0);
        let plot = plot_of(subject).unwrap();
        assert_eq!(plot.lines[0], "M64.0 118.0L120.6 106.0");
        assert_eq!(plot.lines[1], "M64.0 106.0L120.6 82.0");
    }

    #[test]
    fn sent_stands_below_received_and_both_have_one_axis() {
        let mut subject = subject(&[1.0, 2.0]);
        let mut second = subject.series[0].clone();
        second.points.iter_mut().for_each(|point| *point = Point::flat(point.at, 4.0));
        subject.series.push(second);
        subject.is_mirrored = true;
        let plot = plot_of(subject).unwrap();
        // 0 is in the middle, 5 at both ends.
        assert_eq!(plot.lines[0], "M64.0 58.0L120.6 46.0");
        assert_eq!(plot.lines[1], "M64.0 118.0L120.6 118.0");
        let texts: Vec<_> = plot.grid.iter().filter_map(|(_, text)| text.as_deref()).collect();
        assert_eq!(texts, ["5", "0", "5"]);
    }

    #[test]
    fn axis_of_round_trips_ends_at_twice_the_median_or_at_the_limit() {
        let mut subject = subject(&[1.0, 1.2, 1.1, 40.0]);
        subject.is_by_median = true;
        let top = |subject: &Subject| plot_of(subject.clone()).unwrap().top;
        assert_eq!(top(&subject), "4");
        subject.limits = vec![("warning", 100.0), ("critical", 500.0)];
        assert_eq!(top(&subject), "200");
    }

    #[test]
    fn what_was_lost_is_a_bar_and_cores_are_a_mark() {
        let mut subject = subject(&[1.0, 3.0, 2.0]);
        let lost = [0.0, 50.0, 0.0].iter().enumerate();
        let points = lost.map(|(i, v)| Point::flat(Wall::from_secs(i as i64 * 60), *v)).collect();
        subject.bars = vec![Series { name: "loss".to_owned(), metric: String::new(), points }];
        subject.marks = vec![(8.0, "8 cores".to_owned())];
        let plot = plot_of(subject).unwrap();
        assert_eq!(plot.bars.len(), 1);
        assert_eq!((plot.bars[0].1.as_str(), plot.bars[0].3.as_str()), ("70.0", "60.0"));
        assert_eq!(plot.limits, [("mark", "34.0".to_owned(), "8 cores".to_owned())]);
    }

    #[test]
    fn percent_of_a_whole_is_read_as_such_though_bytes_are_drawn() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        let mut subject = subject(&[16.0 * gib, 32.0 * gib]);
        let points = [(0, 25.0), (60, 50.0)];
        let points =
            points.map(|(at, v)| Point::flat(Wall::from_secs(at), v * 0.64 * gib)).to_vec();
        (subject.unit, subject.top) = ("B", Some(64.0 * gib));
        subject.judged =
            Some(Series { name: "used".to_owned(), metric: "m.percent".to_owned(), points });
        subject.read_as = Some((0.64 * gib, "%".to_owned()));
        subject.limits = vec![("warning", 80.0 * 0.64 * gib)];
        let plot = plot_of(subject).unwrap();
        assert_eq!((plot.value.as_str(), plot.unit.as_str()), ("50", "%"));
        assert_eq!(plot.limits[0].2, "warning 80 %");
        assert_eq!(plot.grid[4].1.as_deref(), Some("64 GB"));
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
