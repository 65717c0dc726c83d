//! One address of one server: its heartbeats with their tries, its numbers, its round trips.
//! Decides when something is due; never encodes, never sends.

use super::api::{LinkId, LinkView};
use super::retry;
use crate::prng::Prng;
use crate::time::{Duration, Mono};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The item of a datagram that is neither a heartbeat nor of the outbox.
pub(super) const OTHER: u64 = 0;
/// Unanswered datagrams remembered; the oldest go first.
const SENT_MAX: usize = 64;

pub(super) struct Link {
    pub id: LinkId,
    pub address: SocketAddr,
    /// The last heartbeat was answered, or something since.
    pub answering: bool,
    /// Something was ever answered.
    proven: bool,
    /// Send errors and unanswered heartbeats since the last answer.
    failures: u32,
    /// `None`: this link sends no heartbeats.
    next_beat: Option<Mono>,
    first: bool,
    beat: Option<Beat>,
    seq: u64,
    sent: VecDeque<Sent>,
    /// Measured since the last heartbeat began: what the next one reports.
    rtt_new: Option<Duration>,
    rtt: Option<Duration>,
    answered: u64,
    /// The highest number of the server's that came this way, in its session.
    heard: Option<u64>,
}

/// The heartbeat under way.
struct Beat {
    tries: u8,
    /// The next try, or after the last one the verdict.
    due: Mono,
    rtt: Option<Duration>,
}

struct Sent {
    seq: u64,
    at: Mono,
    /// `None`: a heartbeat.
    item: Option<u64>,
}

/// What a link wants done now.
#[derive(Debug, PartialEq)]
pub(super) enum Due {
    Nothing,
    /// Send a heartbeat. `rtt`: what to report in it.
    Beat {
        attempt: u8,
        rtt: Option<Duration>,
    },
    /// A heartbeat stayed unanswered: a failure, to be told by `failed`.
    Failed,
}

/// What an acknowledgement meant.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// The sample or message it was for.
    pub item: Option<u64>,
    /// The link had not been answering before.
    pub back: bool,
}

impl Link {
    /// `heartbeat`: send the first one at once.
    pub fn new(id: LinkId, address: SocketAddr, heartbeat: bool, now: Mono) -> Link {
        Link {
            id,
            address,
            answering: false,
            proven: false,
            failures: 0,
            next_beat: heartbeat.then_some(now),
            first: true,
            beat: None,
            seq: 0,
            sent: VecDeque::new(),
            rtt_new: None,
            rtt: None,
            answered: 0,
            heard: None,
        }
    }

    /// When `tick` has something to say.
    pub fn timeout(&self) -> Option<Mono> {
        [self.next_beat, self.beat.as_ref().map(|b| b.due)].into_iter().flatten().min()
    }

    /// One thing that is due; call again until `Due::Nothing`.
    pub fn tick(&mut self, now: Mono, interval: Duration, prng: &mut Prng) -> Due {
        let next_due = self.next_beat.is_some_and(|at| at <= now);
        match &mut self.beat {
            Some(beat) if next_due || (beat.due <= now && beat.tries == retry::BEAT_TRIES) => {
                self.beat = None;
                Due::Failed
            }
            Some(beat) if beat.due <= now => {
                let attempt = beat.tries;
                beat.tries += 1;
                beat.due = now + retry::beat_gap(interval, attempt);
                Due::Beat { attempt, rtt: beat.rtt }
            }
            None if next_due => self.begin_beat(now, interval, prng),
            _ => Due::Nothing,
        }
    }

    /// The second heartbeat comes up to a tenth of the interval early, so that a fleet that starts
    /// together does not stay together; from then on they keep their distance.
    fn begin_beat(&mut self, now: Mono, interval: Duration, prng: &mut Prng) -> Due {
        let planned = self.next_beat.unwrap_or(now) + interval;
        let early = interval.mul_f64(prng.fraction() / 10.0);
        self.next_beat = Some(match std::mem::take(&mut self.first) {
            true => now + (interval - early),
            false if planned <= now => now + interval,
            false => planned,
        });
        let rtt = self.rtt_new.take();
        self.beat = Some(Beat { tries: 1, due: now + retry::beat_gap(interval, 0), rtt });
        Due::Beat { attempt: 0, rtt }
    }

    /// The next heartbeat goes out now; where one is under way, its next try does.
    pub fn hurry(&mut self, now: Mono) {
        match &mut self.beat {
            Some(beat) if beat.tries < retry::BEAT_TRIES => beat.due = now,
            Some(_) => {}
            None => self.next_beat = self.next_beat.map(|at| at.min(now)),
        }
    }

    /// The number of the next datagram, which is about to be sent.
    pub fn next_seq(&mut self, now: Mono, item: Option<u64>) -> u64 {
        self.note_sent(now, self.seq + 1, item);
        self.seq
    }

    /// A datagram with this number is about to be sent.
    pub fn note_sent(&mut self, now: Mono, seq: u64, item: Option<u64>) {
        self.seq += 1;
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { seq, at: now, item });
    }

    /// A number of the server's came this way.
    pub fn hear(&mut self, seq: u64) {
        self.heard = self.heard.max(Some(seq));
    }

    pub fn heard(&self) -> Option<u64> {
        self.heard
    }

    /// What was sent counts no more. With `again` the heartbeat under way goes out anew, or the next
    /// one at once.
    pub fn void(&mut self, now: Mono, again: bool) {
        self.sent.clear();
        self.heard = None;
        match &mut self.beat {
            Some(beat) if again => (beat.tries, beat.due) = (0, now),
            None if again && self.next_beat.is_some() => self.next_beat = Some(now),
            _ => {}
        }
    }

    /// An acknowledgement; `seq` is `None` where the server does not echo it: then it is for the
    /// oldest thing that is open, and measures nothing. `None` back: it answers nothing of ours.
    pub fn acknowledged(&mut self, now: Mono, seq: Option<u64>) -> Option<Answer> {
        let place = match seq {
            Some(seq) => self.sent.iter().position(|s| s.seq == seq)?,
            None if self.sent.is_empty() => return None,
            None => 0,
        };
        let sent = self.sent.remove(place)?;
        if sent.item.is_none() {
            self.beat = None;
            self.sent.retain(|s| s.item.is_some() || s.seq > sent.seq);
            if seq.is_some() {
                self.rtt = Some(now.since(sent.at));
                self.rtt_new = self.rtt;
            }
        }
        self.answered += 1;
        self.proven = true;
        self.failures = 0;
        Some(Answer { item: sent.item, back: !std::mem::replace(&mut self.answering, true) })
    }

    /// A send error, or a heartbeat without an answer.
    pub fn failed(&mut self) {
        self.failures += 1;
        self.answering = false;
    }

    /// A heartbeat is under way.
    pub fn is_beating(&self) -> bool {
        self.beat.is_some()
    }

    pub fn is_dead(&self) -> bool {
        self.failures >= retry::FAILURES
    }

    /// IPv6 that never worked here.
    pub fn is_hopeless(&self) -> bool {
        self.is_dead() && !self.proven && self.address.is_ipv6()
    }

    /// Tells whether a name is due to be looked up anew: at every third failure in a row.
    pub fn failed_thrice(&self) -> bool {
        self.failures > 0 && self.failures.is_multiple_of(retry::FAILURES)
    }

    /// No heartbeat from here on, no try either.
    pub fn stop_beats(&mut self) {
        self.next_beat = None;
        self.beat = None;
    }

    pub fn view(&self) -> LinkView {
        LinkView {
            address: self.address,
            answering: self.answering,
            rtt: self.rtt,
            sent: self.seq,
            answered: self.answered,
        }
    }
}
