//! Where a window stands: running, over, or to come. Each occurrence begins at most once and, once begun,
//! ends exactly once, whatever the wall clock does.

use super::schedule::{Schedule, Span};
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::VecDeque;

/// How much longer than planned something may stay quiet while the wall clock was set back: more than a
/// mistake of the summer time. A clock that fell back to 1970 must not keep a fleet quiet for decades.
pub const OVERTIME: Duration = Duration::from_secs(2 * 3600);
/// Ended occurrences that are remembered, so that a clock set back does not begin them again.
const ENDED_MAX: usize = 8;

/// A stretch of quiet and the monotonic instant at which it is over even if the wall clock disagrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Running {
    pub span: Span,
    deadline: Mono,
}

impl Running {
    pub fn new(span: Span, now: Now) -> Running {
        let left = span.end.since(now.wall).min(span.length());
        Running { span, deadline: now.mono + left + OVERTIME }
    }

    /// It ends by the wall clock, and goes on where that was set back before its start.
    pub fn is_over(&self, now: Now) -> bool {
        now.wall >= self.span.end || now.mono >= self.deadline
    }

    pub fn due(&self, now: Now) -> Mono {
        (now.mono + self.span.end.since(now.wall)).min(self.deadline)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Began,
    Ended,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    running: Option<Running>,
    /// Newest last.
    ended: VecDeque<Span>,
    /// No occurrence covers any moment in this span, so that the zone need not be asked.
    idle: Option<Span>,
}

impl Course {
    /// As it was saved.
    pub fn restored(running: Option<Span>, ended: Vec<Span>, now: Now) -> Course {
        let skipped = ended.len().saturating_sub(ENDED_MAX);
        Course {
            running: running.map(|span| Running::new(span, now)),
            ended: ended.into_iter().skip(skipped).collect(),
            idle: None,
        }
    }

    pub fn running(&self) -> Option<Span> {
        self.running.map(|running| running.span)
    }

    pub fn ended(&self) -> impl Iterator<Item = Span> + '_ {
        self.ended.iter().copied()
    }

    /// Brings the course to `now`. One occurrence that follows another without a pause is no turn.
    pub fn turn(&mut self, schedule: &Schedule, now: Now) -> Option<Turn> {
        let was_running = self.running.is_some();
        if let Some(running) = self.running
            && running.is_over(now)
        {
            self.note_ended(running.span);
            self.running = None;
        }
        if self.running.is_none() {
            self.begin(schedule, now);
        }
        match (was_running, self.running.is_some()) {
            (false, true) => Some(Turn::Began),
            (true, false) => Some(Turn::Ended),
            _ => None,
        }
    }

    /// Follows a schedule that was changed: goes on where the new one covers `now` too.
    pub fn follow(&mut self, schedule: &Schedule, now: Now) -> Option<Turn> {
        self.idle = None;
        let Some(running) = self.running else { return self.turn(schedule, now) };
        self.running = None;
        self.begin(schedule, now);
        if self.running.is_some() {
            return None;
        }
        self.note_ended(running.span);
        Some(Turn::Ended)
    }

    /// When it turns next at the latest; `None` where never.
    pub fn due(&self, now: Now) -> Option<Mono> {
        match (self.running, self.idle) {
            (Some(running), _) => Some(running.due(now)),
            (None, Some(idle)) if idle.end == Wall::from_micros(i64::MAX) => None,
            (None, Some(idle)) => Some(now.mono + idle.end.since(now.wall)),
            (None, None) => Some(now.mono),
        }
    }

    fn begin(&mut self, schedule: &Schedule, now: Now) {
        if self.idle.is_some_and(|idle| idle.contains(now.wall)) {
            return;
        }
        let active = schedule.active(now.wall);
        if let Some(span) = active
            && !self.ended.contains(&span)
        {
            self.running = Some(Running::new(span, now));
            self.idle = None;
            return;
        }
        // What is active still is over already, by a clock that was ahead.
        let next = schedule.next(now.wall, 1).first().map(|span| span.start);
        let end = next.unwrap_or(Wall::from_micros(i64::MAX));
        self.idle = Some(Span { start: now.wall, end });
    }

    fn note_ended(&mut self, span: Span) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(span);
    }
}
