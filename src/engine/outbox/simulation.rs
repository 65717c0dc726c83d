//! Random troubles against workers that are slow, full, failing and killed: what holds whatever
//! happens.

use super::tests::{config, mail, plain, secs};
use super::{Outbox, Outcome};
use crate::config::server::Level;
use crate::engine::Saved;
use crate::notice::{Fleet, Message, Notice, Receiver, Subject};
use crate::time::{Duration, Mono, Now, Wall};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Op {
    /// Trouble, receivers (bits), critical.
    Raise(u8, u8, bool),
    End(u8),
    Plain(u8),
    WaitMillis(u64),
    Answer(u8, Outcome),
    /// kill -9; whether what was in flight got through.
    Kill(bool),
}

fn op(gentle: bool) -> impl Strategy<Value = Op> {
    let failures = if gentle { 0 } else { 2 };
    let outcome = prop_oneof![
        4 => Just(Outcome::Done),
        1 => Just(Outcome::Full),
        2 => Just(Outcome::Retry { after: Duration::ZERO }),
        failures => Just(Outcome::Failed),
    ];
    let longest = if gentle { 120_000 } else { 5_000_000 };
    let wait = prop_oneof![2 => 0u64..5000, 2 => 5000u64..120_000, 1 => 5000u64..=longest];
    prop_oneof![
        4 => (0u8..4, 1u8..8, any::<bool>()).prop_map(|(t, to, bad)| Op::Raise(t, to, bad)),
        3 => (0u8..4).prop_map(Op::End),
        1 => (1u8..8).prop_map(Op::Plain),
        6 => wait.prop_map(Op::WaitMillis),
        6 => (any::<u8>(), outcome).prop_map(|(which, outcome)| Op::Answer(which, outcome)),
        1 => any::<bool>().prop_map(Op::Kill),
    ]
}

fn story(gentle: bool) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(gentle), 1..80)
}

/// Two outages and two metrics.
fn subject(trouble: u8) -> Subject {
    let host: Arc<str> = format!("h{trouble}").into();
    if trouble < 2 { Subject::Outage { host } } else { Subject::Alert { host, path: "m".into() } }
}

/// One trouble as the world knows it.
#[derive(Default)]
struct Story {
    raises: BTreeSet<u64>,
    critical: bool,
    end: Option<u64>,
    opened: Mono,
    lasted: Duration,
}

#[derive(Default)]
struct World {
    now: Now,
    next_id: u64,
    stories: Vec<Story>,
    open: BTreeMap<u8, usize>,
    story_of: BTreeMap<u64, usize>,
    /// Whom each notice was meant for.
    meant: BTreeMap<u64, BTreeSet<Receiver>>,
    /// What arrived where, in order: id and whether the line tells the whole trouble.
    arrived: BTreeMap<Receiver, Vec<(u64, bool)>>,
    /// What may arrive once more: it got through while the server was killed.
    again: BTreeMap<(Receiver, u64), u32>,
    handed: BTreeMap<Receiver, Vec<Mono>>,
    flying: Vec<Message>,
    store: BTreeMap<Arc<str>, Vec<u8>>,
    lost: bool,
}

struct Run {
    outbox: Outbox,
    world: World,
}

impl Run {
    fn new() -> Run {
        let now = Now { mono: Mono::from_secs(1000), wall: Wall::from_secs(1_800_000_000) };
        Run { outbox: Outbox::new(&config(), 3), world: World { now, ..World::default() } }
    }

    fn receivers(bits: u8) -> BTreeSet<Receiver> {
        let all = [mail(), plain("chat"), plain("hook")];
        all.into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, r)| r).collect()
    }

    fn notice(&mut self, level: Level) -> Notice {
        self.world.next_id += 1;
        let id = self.world.next_id;
        Notice::new(id, self.world.now.wall, "state", level, &format!("#{id}"))
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Raise(trouble, to, bad) => self.raise(*trouble, *to, *bad),
            Op::End(trouble) => self.end(*trouble),
            Op::Plain(to) => {
                let notice = self.notice(Level::Info);
                let to = Run::receivers(*to);
                self.world.meant.insert(notice.id, to.clone());
                self.outbox.post(self.world.now, notice, to);
            }
            Op::WaitMillis(millis) => {
                self.world.now = self.world.now + Duration::from_millis(*millis);
            }
            Op::Answer(which, outcome) => self.answer(*which, *outcome),
            Op::Kill(landed) => self.kill(*landed),
        }
        self.save();
        self.fly();
    }

    fn raise(&mut self, trouble: u8, to: u8, bad: bool) {
        // Within one trouble the level only rises: de-escalation is never told.
        let rose = self.world.open.get(&trouble).is_some_and(|i| self.world.stories[*i].critical);
        let critical = bad || rose || trouble < 2;
        let level = if critical { Level::Critical } else { Level::Warning };
        let notice = self.notice(level).about(subject(trouble));
        let now = self.world.now;
        let story = *self.world.open.entry(trouble).or_insert_with(|| {
            self.world.stories.push(Story { opened: now.mono, ..Story::default() });
            self.world.stories.len() - 1
        });
        self.world.stories[story].critical = critical;
        self.world.stories[story].raises.insert(notice.id);
        self.world.story_of.insert(notice.id, story);
        self.world.meant.insert(notice.id, Run::receivers(to));
        self.outbox.post(now, notice, Run::receivers(to));
    }

    fn end(&mut self, trouble: u8) {
        let notice = self.notice(Level::Critical).about(subject(trouble));
        let now = self.world.now;
        if let Some(story) = self.world.open.remove(&trouble) {
            self.world.stories[story].end = Some(notice.id);
            self.world.stories[story].lasted = now.mono.since(self.world.stories[story].opened);
            self.world.story_of.insert(notice.id, story);
        }
        self.outbox.end(now, &subject(trouble), notice);
    }

    fn save(&mut self) {
        for row in self.outbox.rows() {
            match row {
                Saved::Part { key, json } => drop(self.world.store.insert(key, json)),
                Saved::PartGone { key } => drop(self.world.store.remove(&key)),
                other => panic!("{other:?}"),
            }
        }
        let reports = self.outbox.reports();
        self.world.lost |= reports.iter().any(|report| report.fallback.is_none());
    }

    fn fly(&mut self) {
        let now = self.world.now;
        while let Some(message) = self.outbox.poll_message(now, Fleet::default()) {
            let same = |m: &Message| m.receiver == message.receiver;
            assert!(!self.world.flying.iter().any(same), "two in flight to one receiver");
            let handed = self.world.handed.entry(message.receiver.clone()).or_default();
            handed.push(now.mono);
            let minute = handed.iter().filter(|at| now.mono.since(**at) < secs(60)).count();
            assert!(minute <= 6, "{minute} messages in a minute");
            self.world.flying.push(message);
        }
        assert!(self.outbox.poll_timeout().is_none_or(|due| due > now.mono));
    }

    fn answer(&mut self, which: u8, outcome: Outcome) {
        if self.world.flying.is_empty() {
            return;
        }
        let message = self.world.flying.remove(which as usize % self.world.flying.len());
        match outcome {
            Outcome::Done => self.world.arrive(&message),
            Outcome::Full => drop(self.world.handed.get_mut(&message.receiver).map(Vec::pop)),
            _ => {}
        }
        self.outbox.delivered(self.world.now, message.id, outcome);
    }

    fn kill(&mut self, landed: bool) {
        for message in std::mem::take(&mut self.world.flying) {
            if landed {
                self.world.arrive(&message);
                for notice in &message.notices {
                    let key = (message.receiver.clone(), notice.id);
                    *self.world.again.entry(key).or_default() += 1;
                }
            }
        }
        self.world.handed.clear();
        let spent = secs(2);
        self.world.now = self.world.now + spent;
        self.outbox = Outbox::new(&config(), 5);
        for (key, json) in &self.world.store {
            self.outbox.restore(self.world.now, key, json).expect("its own row");
        }
    }

    /// From here on every worker delivers.
    fn calm(&mut self) {
        for _ in 0..200 {
            while !self.world.flying.is_empty() {
                self.answer(0, Outcome::Done);
                self.save();
            }
            self.fly();
            if let Some(due) = self.outbox.poll_timeout() {
                self.world.now = self.world.now + due.since(self.world.now.mono);
            }
            self.fly();
        }
        assert!(self.world.flying.is_empty() && self.outbox.poll_timeout().is_none());
        let troubles = self.world.store.keys().filter(|key| key.starts_with("t/")).count();
        assert_eq!(self.world.store.len(), troubles, "only open troubles stay");
        assert!(troubles <= self.world.open.len());
    }
}

impl World {
    fn arrive(&mut self, message: &Message) {
        let arrived = self.arrived.entry(message.receiver.clone()).or_default();
        for notice in &message.notices {
            arrived.push((notice.id, notice.text.contains("UP again")));
        }
    }

    /// Twice only after a kill, in order for each trouble, and no end without what it ends.
    fn check_order(&self) {
        for (receiver, arrived) in &self.arrived {
            let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
            let mut last: BTreeMap<usize, u64> = BTreeMap::new();
            for (id, whole) in arrived {
                *counts.entry(*id).or_default() += 1;
                let allowed = self.again.get(&(receiver.clone(), *id)).copied().unwrap_or(0);
                assert!(counts[id] <= 1 + allowed, "#{id} twice at {receiver:?}");
                let Some(story) = self.story_of.get(id) else { continue };
                let before = last.insert(*story, *id).unwrap_or(0);
                let again = |id: u64| self.again.contains_key(&(receiver.clone(), id));
                let repeated = again(*id) || again(before);
                assert!(*id > before || repeated, "#{id} after #{before} at {receiver:?}");
                if self.stories[*story].end == Some(*id) && !whole {
                    let stand_in = *receiver == plain("chat") && self.told(*story, &mail());
                    let told = before != 0 || stand_in;
                    assert!(told, "end #{id} to {receiver:?} who was not told");
                }
            }
        }
    }

    fn told(&self, story: usize, receiver: &Receiver) -> bool {
        let arrived = self.arrived.get(receiver);
        arrived.is_some_and(|ids| ids.iter().any(|(id, _)| self.stories[story].raises.contains(id)))
    }

    /// Without failures for good: everybody who was meant heard of it, and of its end.
    fn check_complete(&self) {
        for (id, receivers) in &self.meant {
            for receiver in receivers {
                let arrived = self.arrived.get(receiver).map(Vec::as_slice).unwrap_or_default();
                let got = |id: u64| arrived.iter().any(|(other, _)| *other == id);
                let Some(story) = self.story_of.get(id).map(|story| &self.stories[*story]) else {
                    assert!(got(*id), "#{id} never came to {receiver:?}");
                    continue;
                };
                let raised = story.raises.iter().any(|id| got(*id));
                let ended = story.end.is_some_and(got);
                let short = story.lasted < secs(4) && story.end.is_some();
                assert!(raised || ended || short, "#{id} never came to {receiver:?}");
                let over = story.end.is_some();
                assert!(!(over && raised) || ended, "no end of #{id} to {receiver:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn notices_to_slow_and_killed_workers_are_complete(ops in story(true)) {
        let mut run = Run::new();
        ops.iter().for_each(|op| run.step(op));
        run.calm();
        run.world.check_order();
        if !run.world.lost {
            run.world.check_complete();
        }
    }

    #[test]
    fn notices_to_failing_workers_keep_their_order(ops in story(false)) {
        let mut run = Run::new();
        ops.iter().for_each(|op| run.step(op));
        run.calm();
        run.world.check_order();
    }
}
