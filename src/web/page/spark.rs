//! Small charts without axes, as one path: relative whole coordinates keep a row of the table
//! small.

use super::number;
use serde::Serialize;

pub const HEIGHT: f64 = 20.0;
/// A limit so many times as high as the highest value leaves the line nothing of the box.
const LIMIT_SHOWN: f64 = 4.0;

/// A line over equally spaced points with the area under it, in a box of `width` × 20.
#[derive(Clone, Debug, Serialize)]
pub struct Spark {
    pub width: usize,
    /// Closed below the box, so that only the line itself is seen as a stroke.
    pub path: String,
    /// Where nothing came until now: start and width.
    pub gap: Option<(usize, usize)>,
    /// How high the limit lies, where the box reaches that far.
    pub limit: Option<i64>,
    /// What a reader hears.
    pub label: String,
}

/// `None` where there are fewer than two values.
pub fn spark(name: &str, unit: &str, series: &[Option<f64>]) -> Option<Spark> {
    limited(name, unit, series, None)
}

/// As [`spark`], with a limit that the values are held against. It is drawn where they come near it.
pub fn limited(
    name: &str,
    unit: &str,
    series: &[Option<f64>],
    limit: Option<f64>,
) -> Option<Spark> {
    let known: Vec<f64> = series.iter().flatten().copied().collect();
    if known.len() < 2 {
        return None;
    }
    let (low, high) = known.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    let label = format!(
        "{name}: min {}, avg {}, max {}{}{unit}",
        number::short(low),
        number::short(mean),
        number::short(high),
        if unit.is_empty() { "" } else { " " }
    );
    let last = series.iter().rposition(Option::is_some).unwrap_or(0);
    let width = series.len() - 1;
    let gap = (width - last >= 3).then_some((last, width - last));
    let near = limit.filter(|limit| *limit > 0.0 && *limit <= high * LIMIT_SHOWN);
    let high = near.map_or(high, |limit| high.max(limit));
    let top = if high > 0.0 { high * 1.1 } else { 1.0 };
    let floor = low.min(0.0);
    let y = |value: f64| {
        let share = (value - floor) / (top - floor);
        (HEIGHT - 1.0 - share * (HEIGHT - 3.0)).round() as i64
    };
    Some(Spark { width, path: path(series, y), gap, limit: near.map(y), label })
}

fn path(series: &[Option<f64>], y: impl Fn(f64) -> i64) -> String {
    let bottom = HEIGHT as i64 + 2;
    let mut out = String::new();
    let mut pen: Option<i64> = None;
    for (x, value) in series.iter().enumerate() {
        match (value, pen) {
            (Some(value), None) => {
                let at = y(*value);
                // The sides of the area lie outside of the box, where there is no gap.
                match x {
                    0 => out.push_str(&format!("M-2 {bottom}V{at}H0")),
                    x => out.push_str(&format!("M{x} {bottom}V{at}")),
                }
                pen = Some(at);
            }
            (Some(value), Some(before)) => {
                let at = y(*value);
                let rise = at - before;
                // `l1-2` needs no separator where the sign is one.
                let gap = if rise < 0 { "" } else { " " };
                out.push_str(&format!("l1{gap}{rise}"));
                pen = Some(at);
            }
            (None, Some(_)) => {
                out.push_str(&format!("V{bottom}"));
                pen = None;
            }
            (None, None) => {}
        }
    }
    if pen.is_some() {
        out.push_str(&format!("h2V{bottom}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spark_breaks_at_a_gap_and_marks_the_silence_at_the_end() {
        let series: Vec<_> = [1.0, 2.0, f64::NAN, 4.0, 4.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN]
            .map(|v| Some(v).filter(|v: &f64| v.is_finite()))
            .to_vec();
        let spark = spark("RTT", "ms", &series).unwrap();
        assert_eq!(spark.path, "M-2 22V15H0l1-4V22M3 22V4l1 0V22");
        assert_eq!(spark.gap, Some((4, 4)));
        assert_eq!(spark.label, "RTT: min 1, avg 2.75, max 4 ms");
    }

    #[test]
    fn spark_shows_a_limit_that_its_values_come_near() {
        let series = [Some(50.0), Some(100.0)];
        let of = |limit| limited("RTT", "ms", &series, limit).unwrap().limit;
        assert_eq!(of(None), None);
        assert_eq!(of(Some(80.0)), Some(7));
        assert_eq!(of(Some(200.0)), Some(4));
        assert_eq!(of(Some(401.0)), None, "so far above that the line would be flat");
    }

    #[test]
    fn spark_of_one_value_is_none() {
        assert!(spark("x", "", &[None, Some(1.0)]).is_none());
        assert!(spark("x", "", &[]).is_none());
    }

    #[test]
    fn spark_of_zeros_and_negatives_stays_in_the_box() {
        for series in [[0.0, 0.0], [-5.0, 5.0], [-5.0, -1.0]] {
            let spark = spark("x", "", &series.map(Some)).unwrap();
            assert!(!spark.path.contains("NaN") && !spark.path.contains("inf"), "{}", spark.path);
        }
    }
}
