//! When each plugin runs, and what becomes of one that does not come back. Never runs one.

use super::api::Plan;
use crate::prng::Prng;
use crate::time::{Duration, Mono};

/// First runs begin within this time after the start, one after the other.
const FIRST_WITHIN: Duration = Duration::from_secs(4);
const FIRST_STEP: Duration = Duration::from_millis(150);

pub(super) struct Schedule {
    slots: Vec<Slot>,
    /// Where in their interval quick plugins run, in nanoseconds: the machine's own, so that a
    /// fleet is spread over it.
    phase: u64,
}

struct Slot {
    plan: Plan,
    due: Option<Mono>,
    state: State,
    ran: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Idle,
    /// Under way, given up at this time.
    Running(Mono),
    /// Given up, not back yet.
    Hung,
}

#[derive(Debug, PartialEq)]
pub(super) enum Due {
    Nothing,
    Collect(usize),
    Hung(usize),
}

impl Schedule {
    pub fn new(plans: Vec<Plan>, now: Mono, prng: &mut Prng) -> Schedule {
        let offset = FIRST_STEP.mul_f64(prng.fraction());
        let first = |place: usize| now + (offset + FIRST_STEP * place as u32).min(FIRST_WITHIN);
        let slot =
            |(place, plan)| Slot { plan, due: Some(first(place)), state: State::Idle, ran: false };
        let slots = plans.into_iter().enumerate().map(slot).collect();
        Schedule { slots, phase: prng.clone().next_u64() }
    }

    pub fn plan(&self, plugin: usize) -> Option<&Plan> {
        self.slots.get(plugin).map(|s| &s.plan)
    }

    /// One thing that is due; call again until `Due::Nothing`.
    pub fn tick(&mut self, now: Mono, prng: &mut Prng) -> Due {
        for (plugin, slot) in self.slots.iter_mut().enumerate() {
            match slot.state {
                State::Running(until) if until <= now && !slot.plan.stream => {
                    slot.state = State::Hung;
                    slot.ran = true;
                    return Due::Hung(plugin);
                }
                State::Idle if slot.due.is_some_and(|due| due <= now) => {
                    slot.begin(now, self.phase, prng);
                    return Due::Collect(plugin);
                }
                _ => {}
            }
        }
        Due::Nothing
    }

    pub fn timeout(&self) -> Option<Mono> {
        let due = |slot: &Slot| match slot.state {
            State::Idle => slot.due,
            State::Running(_) if slot.plan.stream => None,
            State::Running(until) => Some(until),
            State::Hung => None,
        };
        self.slots.iter().filter_map(due).min()
    }

    /// A plugin came back; says whether its answer counts.
    pub fn finished(&mut self, plugin: usize) -> bool {
        let Some(slot) = self.slots.get_mut(plugin) else { return false };
        let counts = matches!(slot.state, State::Running(_));
        slot.ran |= counts;
        if !slot.plan.stream {
            slot.state = State::Idle;
        }
        counts
    }

    /// Runs those info plugins again, soon, for which `wanted` says so.
    pub fn again(&mut self, now: Mono, wanted: impl Fn(usize) -> bool) {
        for (plugin, slot) in self.slots.iter_mut().enumerate() {
            if slot.plan.info && slot.due.is_none() && slot.state == State::Idle && wanted(plugin) {
                slot.due = Some(now);
            }
        }
    }

    pub fn stop(&mut self) {
        self.slots.clear();
    }

    pub fn all_ran(&self) -> bool {
        self.slots.iter().all(|s| s.ran)
    }
}

impl Slot {
    fn begin(&mut self, now: Mono, phase: u64, prng: &mut Prng) {
        self.state = State::Running(now + self.plan.timeout);
        let next = match self.plan.quick {
            true => in_phase(now, self.plan.every, phase),
            false => self.apart(now, prng),
        };
        self.due = (!self.plan.info && !self.plan.stream).then_some(next);
    }

    /// The second run comes up to a tenth early, so that plugins of one interval spread out.
    fn apart(&self, now: Mono, prng: &mut Prng) -> Mono {
        let early = if self.ran { 0.0 } else { prng.fraction() / 10.0 };
        let planned = self.due.unwrap_or(now) + self.plan.every.mul_f64(1.0 - early);
        if planned > now { planned } else { now + self.plan.every }
    }
}

/// The next time of an interval's common phase, at least half an interval from now.
fn in_phase(now: Mono, every: Duration, phase: u64) -> Mono {
    let every = (every.as_nanos() as u64).max(1);
    let (earliest, phase) = (now.as_nanos() + every / 2, phase % every);
    let past = (earliest + every - phase) % every;
    Mono::from_nanos(earliest + (every - past) % every)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, info: bool) -> Plan {
        let (every, timeout) = (Duration::from_secs(60), Duration::from_secs(30));
        Plan { name: name.into(), info, stream: false, every, timeout, quick: false }
    }

    fn schedule(plans: Vec<Plan>) -> (Schedule, Prng) {
        let mut prng = Prng::new(1);
        (Schedule::new(plans, Mono::ZERO, &mut prng), prng)
    }

    #[test]
    fn first_runs_begin_within_five_seconds_however_many() {
        let (mut schedule, mut prng) = schedule((0..60).map(|_| plan("p", false)).collect());
        let mut ran = 0;
        while let Due::Collect(plugin) = schedule.tick(Mono::from_secs(5), &mut prng) {
            assert!(schedule.finished(plugin));
            ran += 1;
        }
        assert_eq!(ran, 60);
        assert!(schedule.all_ran());
    }

    #[test]
    fn monitor_runs_every_interval_and_info_once() {
        let (mut schedule, mut prng) = schedule(vec![plan("m", false), plan("i", true)]);
        let mut runs = [0, 0];
        while let Some(now) = schedule.timeout().filter(|at| *at < Mono::from_secs(600)) {
            if let Due::Collect(plugin) = schedule.tick(now, &mut prng) {
                runs[plugin] += 1;
                schedule.finished(plugin);
            }
        }
        assert_eq!(runs, [11, 1]);
    }

    #[test]
    fn quick_plugins_of_one_interval_run_together_from_the_second_time_on() {
        let quick = Plan { quick: true, ..plan("m", false) };
        let slow = Plan { every: Duration::from_secs(120), ..quick.clone() };
        let (mut schedule, mut prng) = schedule(vec![quick.clone(), quick, slow]);
        let mut runs: Vec<(Mono, Vec<usize>)> = Vec::new();
        while let Some(now) = schedule.timeout().filter(|at| *at < Mono::from_secs(600)) {
            let mut together = Vec::new();
            while let Due::Collect(plugin) = schedule.tick(now, &mut prng) {
                together.push(plugin);
                schedule.finished(plugin);
            }
            runs.push((now, together));
        }
        let later = &runs[3..];
        assert!(later.iter().all(|(_, together)| together[..2] == [0, 1]), "{runs:?}");
        assert!(later.iter().filter(|(_, together)| together.len() == 3).count() >= 4);
        assert!(later.windows(2).all(|w| w[1].0.since(w[0].0) == Duration::from_secs(60)));
    }

    #[test]
    fn next_run_in_phase_is_half_to_one_and_a_half_intervals_away() {
        let (every, mut prng) = (Duration::from_secs(10), Prng::new(2));
        for _ in 0..1000 {
            let (now, phase) = (Mono::from_nanos(prng.below(1 << 40)), prng.next_u64());
            let next = in_phase(now, every, phase);
            assert_eq!(next.as_nanos() % 10_000_000_000, phase % 10_000_000_000);
            let wait = next.since(now);
            assert!(wait >= every / 2 && wait < every * 3 / 2, "{wait:?}");
        }
    }

    #[test]
    fn info_runs_again_when_asked() {
        let (mut schedule, mut prng) = schedule(vec![plan("i", true)]);
        let now = Mono::from_secs(9);
        assert_eq!(schedule.tick(now, &mut prng), Due::Collect(0));
        schedule.again(now, |_| true);
        assert!(schedule.finished(0));
        assert_eq!(schedule.tick(now, &mut prng), Due::Nothing, "it was under way when asked");
        schedule.again(now, |_| true);
        assert_eq!(schedule.tick(now, &mut prng), Due::Collect(0));
    }

    #[test]
    fn stream_is_begun_once_and_every_sample_counts() {
        let (mut schedule, mut prng) = schedule(vec![Plan { stream: true, ..plan("s", false) }]);
        let now = Mono::from_secs(5);
        assert_eq!(schedule.tick(now, &mut prng), Due::Collect(0));
        assert_eq!((schedule.timeout(), schedule.all_ran()), (None, false));
        assert!(schedule.finished(0) && schedule.finished(0) && schedule.all_ran());
        assert_eq!(schedule.tick(Mono::from_secs(90_000), &mut prng), Due::Nothing);
    }

    #[test]
    fn hung_plugin_is_told_once_and_runs_again_only_when_back() {
        let (mut schedule, mut prng) = schedule(vec![plan("m", false)]);
        let (start, late) = (Mono::from_secs(5), Mono::from_secs(500));
        assert_eq!(schedule.tick(start, &mut prng), Due::Collect(0));
        assert_eq!(schedule.timeout(), Some(Mono::from_secs(35)));
        assert_eq!(schedule.tick(Mono::from_secs(35), &mut prng), Due::Hung(0));
        assert_eq!(schedule.tick(late, &mut prng), Due::Nothing);
        assert_eq!(schedule.timeout(), None);
        assert!(!schedule.finished(0), "an answer after the timeout does not count");
        assert_eq!(schedule.tick(late, &mut prng), Due::Collect(0));
    }

    #[test]
    fn after_a_long_sleep_a_plugin_runs_once_not_once_for_each_missed_turn() {
        let (mut schedule, mut prng) = schedule(vec![plan("m", false)]);
        for now in [Mono::from_secs(5), Mono::from_secs(90_000)] {
            assert_eq!(schedule.tick(now, &mut prng), Due::Collect(0));
            schedule.finished(0);
            assert_eq!(schedule.tick(now, &mut prng), Due::Nothing);
        }
    }
}
