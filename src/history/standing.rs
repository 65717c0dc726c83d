//! Standings over time: spans from changes, and how much of each day a host was what.
//!
//! Owns the arithmetic. Never knows of a calendar: whoever asks says when each day begins.

use super::Span;
use crate::engine::record::Standing;
use crate::time::{Duration, Wall};

/// Seconds by standing, and how many outages began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub up: Duration,
    pub down: Duration,
    pub maintenance: Duration,
    pub unknown: Duration,
    pub outages: u32,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.up += other.up;
        self.down += other.down;
        self.maintenance += other.maintenance;
        self.unknown += other.unknown;
        self.outages += other.outages;
    }

    fn of(&mut self, standing: Standing) -> &mut Duration {
        match standing {
            Standing::Up => &mut self.up,
            Standing::Down => &mut self.down,
            Standing::Maintenance => &mut self.maintenance,
            Standing::Unknown => &mut self.unknown,
        }
    }
}

/// Spans from `from` to `to`: `changes` in the order of their times, the last one before `from` among them where
/// there is one. While the server was absent nobody knows, and before the first change neither.
pub fn spans(
    changes: &[(Wall, Standing)],
    absences: &[(Wall, Wall)],
    from: Wall,
    to: Wall,
) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut cuts: Vec<Wall> = changes.iter().map(|(at, _)| *at).collect();
    cuts.extend(absences.iter().flat_map(|(begin, end)| [*begin, *end]));
    cuts.retain(|at| *at > from && *at < to);
    cuts.extend([from, to]);
    cuts.sort_unstable();
    cuts.dedup();
    for pair in cuts.windows(2) {
        let (begin, end) = (pair[0], pair[1]);
        let absent = absences.iter().any(|(from, to)| *from <= begin && begin < *to);
        let known = changes[..changes.partition_point(|(at, _)| *at <= begin)].last();
        let standing = match known {
            Some((_, standing)) if !absent => *standing,
            _ => Standing::Unknown,
        };
        match spans.last_mut() {
            Some(last) if last.standing == standing => last.to = end,
            _ => spans.push(Span { from: begin, to: end, standing }),
        }
    }
    spans
}

/// How much of what there was in each day; day `i` lasts from `days[i]` to `days[i + 1]`. An outage counts on the
/// day on which it began, one that ran already when the first day began on that.
pub fn tally(spans: &[Span], days: &[Wall]) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); days.len().saturating_sub(1)];
    for (i, tally) in tallies.iter_mut().enumerate() {
        let (begin, end) = (days[i], days[i + 1]);
        let mut known = None;
        for span in spans.iter().take_while(|span| span.from < end) {
            let goes_on = known == Some(Standing::Down);
            if span.standing != Standing::Unknown {
                known = Some(span.standing);
            }
            if span.to <= begin {
                continue;
            }
            *tally.of(span.standing) += span.to.min(end).since(span.from.max(begin));
            let began_here = !goes_on && (span.from >= begin || i == 0);
            tally.outages += u32::from(span.standing == Standing::Down && began_here);
        }
    }
    tallies
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Wall {
        Wall::from_secs(secs)
    }

    fn shown(spans: &[Span]) -> String {
        let one = |s: &Span| format!("{:?} {}-{}", s.standing, s.from.as_secs(), s.to.as_secs());
        spans.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_servers_own_absence_is_unknown() {
        let changes = [(at(10), Standing::Up), (at(50), Standing::Down), (at(60), Standing::Up)];
        let absences = [(at(20), at(30)), (at(55), at(70))];
        assert_eq!(
            shown(&spans(&changes, &absences, at(0), at(100))),
            "Unknown 0-10, Up 10-20, Unknown 20-30, Up 30-50, Down 50-55, Unknown 55-70, Up 70-100"
        );
        assert_eq!(shown(&spans(&changes, &[], at(52), at(55))), "Down 52-55");
        assert_eq!(shown(&spans(&[], &[], at(5), at(6))), "Unknown 5-6");
    }

    #[test]
    fn an_outage_counts_on_the_day_on_which_it_began() {
        let changes = [
            (at(-5), Standing::Down),
            (at(10), Standing::Up),
            (at(90), Standing::Down),
            (at(120), Standing::Maintenance),
            (at(130), Standing::Up),
        ];
        let spans = spans(&changes, &[], at(0), at(200));
        let tallies = tally(&spans, &[at(0), at(100), at(200)]);
        let secs = |t: &Tally| [t.up, t.down, t.maintenance, t.unknown].map(|d| d.as_secs());
        assert_eq!(secs(&tallies[0]), [80, 20, 0, 0]);
        assert_eq!(secs(&tallies[1]), [70, 20, 10, 0]);
        assert_eq!((tallies[0].outages, tallies[1].outages), (2, 0));
    }

    proptest! {
        #[test]
        fn every_moment_is_counted_once(
            changes in prop::collection::btree_map(-100i64..1100, 0usize..4, 0..30),
            absences in prop::collection::vec((0i64..1000, 1i64..100), 0..5),
        ) {
            let changes: Vec<_> =
                changes.into_iter().map(|(t, s)| (at(t), Standing::ALL[s])).collect();
            let absences: Vec<_> = absences.into_iter().map(|(t, d)| (at(t), at(t + d))).collect();
            let spans = spans(&changes, &absences, at(0), at(1000));
            prop_assert_eq!((spans[0].from, spans.last().unwrap().to), (at(0), at(1000)));
            prop_assert!(spans.windows(2).all(|p| p[0].to == p[1].from && p[0].standing != p[1].standing));
            let mut total = Tally::default();
            tally(&spans, &[at(0), at(300), at(600), at(1000)]).iter().for_each(|t| total.add(t));
            prop_assert_eq!(total.up + total.down + total.maintenance + total.unknown, Duration::from_secs(1000));
            let known: Vec<_> = spans.iter().map(|s| s.standing).filter(|s| *s != Standing::Unknown).collect();
            let began = |i: usize| known[i] == Standing::Down && (i == 0 || known[i - 1] != Standing::Down);
            let outages = (0..known.len()).filter(|i| began(*i)).count();
            prop_assert_eq!(total.outages as usize, outages);
        }
    }
}
