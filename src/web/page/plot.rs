//! Charts with axes as SVG: drawn on the server, so that they are there without JavaScript, in
//! print and in mail.

use super::clock::Clock;
use super::number;
use crate::time::{Duration, Wall};
use serde::Serialize;
use std::fmt::Write as _;

/// The box in which lines are drawn, inside of 640 × 150.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 630.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 130.0;
const TICKS_MAX: i64 = 6;

/// A named line over time.
pub struct Series {
    pub name: String,
    /// Ascending in time.
    pub points: Vec<(Wall, f64)>,
}

/// What a chart shows, and how.
pub struct Subject<'a> {
    pub title: String,
    /// Behind the numbers of the axis; `B` steps in 1024.
    pub unit: &'a str,
    pub series: Vec<Series>,
    /// Fixed end of the axis, as for percent.
    pub top: Option<f64>,
    /// Points further apart than one and a half of this are not joined.
    pub interval: Duration,
    /// Path of the first series, for live updates.
    pub metric: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Plot {
    pub title: String,
    pub legend: Vec<String>,
    /// The newest value of the first series, and its unit.
    pub value: String,
    pub unit: String,
    pub metric: Option<String>,
    pub label: String,
    /// Height and text of a line of the grid.
    pub grid: Vec<(String, Option<String>)>,
    /// Place, anchor and text under the axis.
    pub ticks: Vec<(String, &'static str, String)>,
    /// Area of the first series, where there is one series alone.
    pub area: Option<String>,
    pub lines: Vec<String>,
}

/// `None` where no series has two points.
pub fn plot(subject: Subject<'_>, clock: &Clock, now: Wall) -> Option<Plot> {
    let mut series = subject.series;
    series.retain(|s| !s.points.is_empty());
    let first = series.first()?;
    if first.points.len() < 2 {
        return None;
    }
    let start = series.iter().map(|s| s.points[0].0).min()?;
    let range = (start.as_secs() as f64, now.as_secs().max(start.as_secs() + 60) as f64);
    let high = series.iter().flat_map(|s| &s.points).map(|(_, v)| *v).fold(0.0, f64::max);
    let step = if subject.unit.starts_with('B') { power_of_1024(high) } else { 1.0 };
    let fixed = subject.top.filter(|top| high <= *top);
    let top = fixed.unwrap_or_else(|| round_up(high / step) * step);
    let join = subject.interval.mul_f64(1.5) + Duration::from_secs(5);
    let frame = Frame { range, top, join };
    let (value, unit) = amount(first.points.last()?.1, subject.unit);
    let legend = series.iter().map(|s| s.name.clone()).collect();
    Some(Plot {
        label: summary(&subject.title, first, subject.unit),
        title: subject.title,
        legend,
        value,
        unit,
        metric: subject.metric,
        grid: grid(top, subject.unit),
        ticks: ticks(range, clock),
        area: (series.len() == 1).then(|| frame.path(&series[0].points, true)),
        lines: series.iter().map(|s| frame.path(&s.points, false)).collect(),
    })
}

struct Frame {
    range: (f64, f64),
    top: f64,
    join: Duration,
}

impl Frame {
    fn path(&self, points: &[(Wall, f64)], is_area: bool) -> String {
        let mut out = String::new();
        let mut before: Option<(Wall, f64)> = None;
        for (at, value) in points {
            let x = place(at.as_micros() as f64 / 1e6, self.range);
            let y = BOTTOM - (value / self.top).clamp(0.0, 1.0) * (BOTTOM - TOP);
            // Writing to a String cannot fail.
            let _ = match before.filter(|(last, _)| at.since(*last) <= self.join) {
                Some(_) => write!(out, "L{x:.1} {y:.1}"),
                None if is_area => {
                    if let Some((_, x)) = before {
                        let _ = write!(out, "L{x:.1} {BOTTOM}Z");
                    }
                    write!(out, "M{x:.1} {BOTTOM}L{x:.1} {y:.1}")
                }
                None => write!(out, "M{x:.1} {y:.1}"),
            };
            before = Some((*at, x));
        }
        if let (true, Some((_, x))) = (is_area, before) {
            let _ = write!(out, "L{x:.1} {BOTTOM}Z");
        }
        out
    }
}

fn place(at: f64, range: (f64, f64)) -> f64 {
    LEFT + ((at - range.0) / (range.1 - range.0)).clamp(0.0, 1.0) * (RIGHT - LEFT)
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

fn amount(value: f64, unit: &str) -> (String, String) {
    if unit != "B" && unit != "B/s" {
        return (number::short(value), unit.to_owned());
    }
    let text = number::bytes(value);
    let (value, prefix) = text.split_once(' ').unwrap_or((&text, "B"));
    (value.to_owned(), format!("{prefix}{}", unit.trim_start_matches('B')))
}

fn ticks(range: (f64, f64), clock: &Clock) -> Vec<(String, &'static str, String)> {
    const STEPS: [i64; 13] =
        [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800];
    let (start, end) = (range.0 as i64, range.1 as i64);
    let fitting = STEPS.into_iter().find(|step| (end - start) / step < TICKS_MAX);
    let step = fitting.unwrap_or((end - start) / TICKS_MAX + 1).max(1);
    let first = start.div_euclid(step) + 1;
    (first..=end.div_euclid(step))
        .map(|tick| {
            let x = place((tick * step) as f64, range);
            let anchor = match x {
                x if x > RIGHT - 16.0 => "end",
                x if x < LEFT + 16.0 => "start",
                _ => "middle",
            };
            (format!("{x:.1}"), anchor, clock.axis(Wall::from_secs(tick * step)))
        })
        .collect()
}

fn summary(title: &str, series: &Series, unit: &str) -> String {
    let values = || series.points.iter().map(|(_, v)| *v);
    let (low, high) = values().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let mean = values().sum::<f64>() / series.points.len().max(1) as f64;
    let text = |value: f64| {
        let (value, unit) = amount(value, unit);
        format!("{value} {unit}").trim().to_owned()
    };
    let now = series.points.last().map_or(f64::NAN, |(_, v)| *v);
    format!(
        "{title}, {}: least {}, mean {}, most {}, now {}",
        series.name,
        text(low),
        text(mean),
        text(high),
        text(now)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn subject(values: &[f64]) -> Subject<'static> {
        let points = values.iter().enumerate().map(|(i, v)| (Wall::from_secs(i as i64 * 60), *v));
        Subject {
            title: "Load".to_owned(),
            unit: "",
            series: vec![Series { name: "1 min".to_owned(), points: points.collect() }],
            top: None,
            interval: Duration::from_secs(60),
            metric: None,
        }
    }

    fn plot_of(values: &[f64]) -> Option<Plot> {
        let clock = Clock::new(Wall::from_secs(600), TimeZone::UTC);
        plot(subject(values), &clock, Wall::from_secs(600))
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
        let plot = plot_of(&[1.0, 2.0, 3.0, 2.4]).unwrap();
        assert_eq!(plot.label, "Load, 1 min: least 1, mean 2.1, most 3, now 2.4");
        assert_eq!(plot.lines[0], "M64.0 100.0L120.6 70.0L177.2 40.0L233.8 58.0");
        assert_eq!(plot.ticks.len(), 5);
        assert!(plot_of(&[1.0]).is_none());
        assert!(plot_of(&[]).is_none());
    }

    #[test]
    fn points_far_apart_are_not_joined() {
        let clock = Clock::new(Wall::from_secs(600), TimeZone::UTC);
        let mut subject = subject(&[1.0, 1.0, 1.0]);
        subject.series[0].points[2].0 = Wall::from_secs(600);
        let plot = plot(subject, &clock, Wall::from_secs(600)).unwrap();
        assert_eq!(plot.lines[0].matches('M').count(), 2);
        assert_eq!(plot.area.unwrap().matches('Z').count(), 2);
    }
}
