//! What a chart says in words and numbers: its sentence, its newest, mean and highest value, its table.
//!
//! Knows nothing of geometry.

use super::clock::Clock;
use super::number;
use super::plot::{Point, Series};
use std::fmt::Write as _;

/// Rows of the table in the place of the chart.
const TABLE_ROWS: usize = 60;

/// A number as its unit wants it: bytes in steps of 1024, bits in steps of 1000.
pub fn amount(value: f64, unit: &str) -> (String, String) {
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

fn mean(points: &[Point]) -> f64 {
    points.iter().map(|p| p.avg).sum::<f64>() / points.len().max(1) as f64
}

fn peak(points: &[Point]) -> Option<&Point> {
    points.iter().max_by(|a, b| a.max.total_cmp(&b.max))
}

/// `current 34 % · average 31 % · peak 88 % at 14:02`
pub fn stat(series: &Series, factor: f64, unit: &str, clock: &Clock) -> String {
    let points = &series.points;
    let (Some(last), Some(peak)) = (points.last(), peak(points)) else { return String::new() };
    format!(
        "current {} · average {} · peak {} at {}",
        text_of(last.avg / factor, unit),
        text_of(mean(points) / factor, unit),
        text_of(peak.max / factor, unit),
        clock.short(peak.at)
    )
}

/// `CPU, all: min 3 %, avg 31 %, max 88 % at 14:02, now 34 %, twice over warning 80 %`
pub fn summary(
    title: &str,
    series: &Series,
    factor: f64,
    unit: &str,
    limits: &[(&'static str, f64)],
    clock: &Clock,
) -> String {
    let points = &series.points;
    let (Some(last), Some(peak)) = (points.last(), peak(points)) else { return title.to_owned() };
    let low = points.iter().map(|p| p.min).fold(f64::MAX, f64::min);
    let mut text = format!(
        "{title}, {}: min {}, avg {}, max {} at {}, now {}",
        series.name,
        text_of(low / factor, unit),
        text_of(mean(points) / factor, unit),
        text_of(peak.max / factor, unit),
        clock.short(peak.at),
        text_of(last.avg / factor, unit)
    );
    for (level, limit) in limits {
        let is_over = |p: &&Point| p.max > *limit;
        let crossings = points.windows(2).filter(|w| !is_over(&&w[0]) && is_over(&&w[1])).count();
        let crossings = crossings + usize::from(points.first().is_some_and(|p| is_over(&p)));
        let times = match crossings {
            0 => continue,
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            n => format!("{n} times"),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, ", {times} over {level} {}", text_of(*limit / factor, unit));
    }
    text
}

/// The numbers of all lines, newest first.
pub fn table(series: &[Series], unit: &str, clock: &Clock) -> Vec<(String, Vec<String>)> {
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
