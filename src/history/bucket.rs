//! Points over time as the buckets of a chart.
//!
//! Owns how long a bucket is, what is in it, and what counts as a gap: between two points further apart than one and
//! a half intervals nothing is known.

use super::Line;
use super::rollup::Summary;
use crate::time::{Duration, Wall};

/// Values of one metric at one time; `span` is 0 for a sample, and an hour for what was rolled up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since 1970.
    pub at: i64,
    pub span: i64,
    /// Milliseconds to the next one, as promised.
    pub every: i64,
    pub summary: Summary,
}

/// The buckets of a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Milliseconds since 1970, a multiple of the step.
    pub from: i64,
    pub step: i64,
    pub len: usize,
}

impl Grid {
    /// At most `points` buckets that cover `from` to `to`, none shorter than a second, nor than `spacing`
    /// milliseconds, at which the points stand: thinner ones would mostly be empty. They begin at multiples of their
    /// length, so that the same question a moment later gives the same buckets.
    pub fn new(from: Wall, to: Wall, points: usize, spacing: i64) -> Grid {
        let (from, to) = (from.as_micros().div_euclid(1000), to.as_micros().div_euclid(1000));
        let points = points.max(1) as i64;
        let whole = (to - from).max(1);
        let mut step = div_ceil(whole, points).max(spacing);
        step = div_ceil(step, 1000).max(1) * 1000;
        loop {
            let begin = from.div_euclid(step) * step;
            let len = div_ceil(to - begin, step).max(1);
            if len <= points || points == 1 && step > whole * 2 {
                return Grid { from: begin, step, len: len.min(points) as usize };
            }
            step += (step / 600_000).max(1) * 1000;
        }
    }

    pub fn times(&self) -> Vec<Wall> {
        (0..self.len as i64)
            .map(|i| Wall::from_micros((self.from + i * self.step) * 1000))
            .collect()
    }

    pub fn step(&self) -> Duration {
        Duration::from_millis(self.step as u64)
    }

    fn index(&self, at: i64) -> i64 {
        (at - self.from).div_euclid(self.step)
    }
}

fn div_ceil(a: i64, b: i64) -> i64 {
    (a + b - 1).div_euclid(b)
}

/// How close the points stand: the least distance between neighbours, in milliseconds; 0 where there are none.
pub fn spacing(points: &[Point]) -> i64 {
    points.windows(2).map(|pair| pair[1].at - pair[0].at).filter(|gap| *gap > 0).min().unwrap_or(0)
}

/// Fills the buckets from points in the order of their times.
pub fn fill(grid: &Grid, points: &[Point]) -> Line {
    let mut buckets: Vec<Option<Summary>> = vec![None; grid.len];
    for point in points {
        if let Ok(at) = usize::try_from(grid.index(point.at))
            && let Some(bucket) = buckets.get_mut(at)
        {
            *bucket = Some(bucket.map_or(point.summary, |known| known.with(&point.summary)));
        }
    }
    for pair in points.windows(2) {
        bridge(grid, &mut buckets, &pair[0], &pair[1]);
    }
    if let Some(last) = points.last().filter(|last| last.span > 0) {
        // An hour lasts until its end, whatever comes after it.
        let end = Point { at: last.at + last.span, ..*last };
        bridge(grid, &mut buckets, last, &end);
    }
    let pick = |pick: fn(&Summary) -> f64| -> Vec<Option<f64>> {
        buckets.iter().map(|b| b.as_ref().map(pick).filter(|v| v.is_finite())).collect()
    };
    Line { is_known: true, avg: pick(Summary::avg), min: pick(|s| s.min), max: pick(|s| s.max) }
}

/// Empty buckets between two points that are close enough hold what the first one said.
fn bridge(grid: &Grid, buckets: &mut [Option<Summary>], from: &Point, to: &Point) {
    let close = from.every.max(from.span) * 3 / 2;
    let upto = if to.at - from.at <= close { to.at } else { from.at + from.span };
    let first = grid.index(from.at).max(-1) + 1;
    let end = grid.index(upto - 1).min(grid.len as i64 - 1);
    for at in first..=end {
        if let Some(bucket) = buckets.get_mut(at as usize) {
            bucket.get_or_insert(from.summary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(secs: i64, every: i64, value: f64) -> Point {
        let summary = Summary { min: value, max: value, sum: value, count: 1 };
        Point { at: secs * 1000, span: 0, every: every * 1000, summary }
    }

    fn grid(from: i64, to: i64, points: usize, spacing: i64) -> Grid {
        Grid::new(Wall::from_secs(from), Wall::from_secs(to), points, spacing * 1000)
    }

    #[test]
    fn a_silence_of_more_than_one_and_a_half_intervals_is_a_gap() {
        let points = [point(0, 60, 1.0), point(90, 60, 2.0), point(181, 60, 3.0)];
        let line = fill(&grid(0, 240, 8, 0), &points);
        let want = [Some(1.0), Some(1.0), Some(1.0), Some(2.0), None, None, Some(3.0), None];
        assert_eq!(line.avg, want);
    }

    #[test]
    fn a_spike_is_seen_however_long_the_bucket() {
        let mut points: Vec<Point> = (0..1000).map(|i| point(i * 10, 10, 1.0)).collect();
        points[500] = point(5000, 10, 99.0);
        let line = fill(&grid(0, 10_000, 10, 0), &points);
        assert_eq!(line.max[5], Some(99.0));
        assert_eq!((line.min[5], line.avg[5]), (Some(1.0), Some(1.98)));
        assert_eq!(line.max[4], Some(1.0));
    }

    #[test]
    fn a_rolled_up_hour_lasts_an_hour() {
        let hour = Point { span: 3_600_000, ..point(3600, 300, 5.0) };
        let later = Point { at: 4 * 3_600_000, ..hour };
        let line = fill(&grid(0, 18_000, 10, 0), &[hour, later]);
        let five = Some(5.0);
        let want = [None, None, five, five, None, None, None, None, five, five];
        assert_eq!(line.max, want);
    }

    #[test]
    fn buckets_are_no_more_than_asked_for_and_stand_still() {
        let day = grid(1_795_360_841 - 86_400, 1_795_360_841, 600, 0);
        assert_eq!((day.step, day.from % day.step), (145_000, 0));
        let later = grid(1_795_360_841 - 86_390, 1_795_360_851, 600, 0);
        assert_eq!(later.step, day.step);
        assert_eq!(grid(0, 100, 600, 0).step, 1000);
        assert_eq!(grid(0, 3600, 600, 300).step, 300_000);
    }

    proptest! {
        #[test]
        fn grids_cover_what_was_asked(
            from in -10_000_000i64..4_000_000_000, span in 0i64..70_000_000, points in 1usize..2000,
        ) {
            let grid = grid(from, from + span, points, 0);
            prop_assert!(grid.len <= points);
            prop_assert!(grid.from <= from * 1000);
            if points > 1 {
                prop_assert!(grid.from + grid.step * grid.len as i64 >= (from + span) * 1000);
            }
        }

        #[test]
        fn buckets_equal_brute_force(
            times in prop::collection::btree_set(0i64..5000, 1..60), points in 2usize..50,
        ) {
            let points_in: Vec<Point> =
                times.iter().map(|t| point(*t, 0, (*t * 31 % 101) as f64)).collect();
            let grid = grid(0, 5000, points, 0);
            let line = fill(&grid, &points_in);
            for i in 0..grid.len {
                let from = grid.from + i as i64 * grid.step;
                let within: Vec<f64> = points_in.iter()
                    .filter(|p| (from..from + grid.step).contains(&p.at)).map(|p| p.summary.sum).collect();
                let max = within.iter().copied().reduce(f64::max);
                prop_assert_eq!(line.max[i], max);
                let avg = (!within.is_empty()).then(|| within.iter().sum::<f64>() / within.len() as f64);
                prop_assert_eq!(line.avg[i], avg);
            }
        }
    }
}
