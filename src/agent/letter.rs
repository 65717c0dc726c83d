//! The agent's messages as datagrams (PROTOCOL C1). Fills in fields; the bytes are `wire`'s.

use super::api::Plan;
use super::outbox::{Body, Item};
use super::schedule::Schedule;
use super::session::Session;
use crate::limits;
use crate::time::{Duration, Mono};
use crate::wire::seal::OVERHEAD;
use crate::wire::{self, HtbOut, MaintenanceOut, MsgOut, PlgOut};

/// A sample younger than this is told as if it were new: its first try was lost, nothing more.
const AGE_MIN: Duration = Duration::from_secs(10);
/// What a number and an age add to a packed sample.
const VARYING_MAX: usize = 48;
/// A packed datagram of the usual length fits in; the room of the longest would be mapped anew for each.
const ROOM: usize = 640;

/// Under which number something is said, and whether in the clear.
pub(super) enum Voice<'s> {
    Plain(u64),
    Sealed {
        session: &'s mut Session,
        seq: u64,
        /// The highest number of the server's that came the same way.
        heard: Option<u64>,
    },
}

impl Voice<'_> {
    /// The name and the number that stand in the message itself: none where the seal has them.
    fn signed<'n>(&self, name: &'n str) -> (&'n str, Option<u64>) {
        match self {
            Voice::Plain(seq) => (name, Some(*seq)),
            Voice::Sealed { .. } => ("", None),
        }
    }
}

/// Writes datagrams into buffers that it keeps.
pub(super) struct Writer {
    name: std::sync::Arc<str>,
    version: &'static str,
    interval: Duration,
    booted: Option<Mono>,
    /// What a datagram holds less, for the seal around it.
    overhead: usize,
    /// Of a server that is one of a pair.
    pub note: Option<std::sync::Arc<str>>,
    json: String,
}

impl Writer {
    pub fn new(setup: &super::Setup) -> Writer {
        Writer {
            name: setup.name.clone(),
            version: setup.version,
            interval: setup.interval,
            booted: setup.booted,
            overhead: if setup.targets.iter().any(|t| t.key.is_some()) { OVERHEAD } else { 0 },
            note: None,
            json: String::with_capacity(256),
        }
    }

    pub fn heartbeat(
        &mut self,
        now: Mono,
        voice: Voice<'_>,
        attempt: u8,
        rtt: Option<Duration>,
    ) -> Vec<u8> {
        let (name, seq) = voice.signed(&self.name);
        HtbOut {
            name,
            seq,
            interval: Some(self.interval.as_secs_f64()),
            rtt: rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            attempt,
            up: self.booted.map(|booted| now.since(booted).as_secs()),
            version: Some(self.version),
            ack: match &voice {
                Voice::Plain(_) => None,
                Voice::Sealed { heard, .. } => *heard,
            },
            pair: match &voice {
                Voice::Plain(_) => None,
                Voice::Sealed { .. } => self.note.as_deref(),
            },
        }
        .encode(&mut self.json);
        self.dispatch(now, voice)
    }

    /// `None` where the item names a plugin that is not in the schedule.
    pub fn item(
        &mut self,
        now: Mono,
        voice: Voice<'_>,
        item: &Item,
        schedule: &Schedule,
    ) -> Option<Vec<u8>> {
        let (name, seq) = voice.signed(&self.name);
        match &item.body {
            Body::Sample { plugin, data, part } => {
                let plan = schedule.plan(*plugin)?;
                let age = now.since(item.born);
                let age_ms = (age >= AGE_MIN).then_some(age.as_millis() as u32);
                PlgOut { seq, data, age_ms, part: *part, ..sample(name, plan) }
                    .encode(&mut self.json);
            }
            Body::Job { plugin, data, part, .. } => {
                let age = now.since(item.born);
                let age_ms = (age >= AGE_MIN).then_some(age.as_millis() as u32);
                let plan = plan_of_a_job(plugin);
                PlgOut { seq, data, age_ms, part: *part, ..sample(name, &plan) }
                    .encode(&mut self.json);
            }
            Body::Message { mid, kind, text } => {
                MsgOut { name, seq, kind: *kind, text, mid: Some(*mid) }.encode(&mut self.json)
            }
            Body::Maintenance { mid, seconds, text } => {
                MaintenanceOut { seconds: *seconds, text, mid: *mid }.encode(&mut self.json)
            }
        }
        Some(self.dispatch(now, voice))
    }

    fn dispatch(&self, now: Mono, voice: Voice<'_>) -> Vec<u8> {
        match voice {
            Voice::Plain(_) => self.pack(),
            Voice::Sealed { session, seq, .. } => session.seal(now, seq, &self.json),
        }
    }

    /// A sample's data in pieces of which each fits a datagram: one where compression makes it fit.
    pub fn parts(&mut self, data: &str, plan: &Plan) -> Vec<String> {
        let piece_max = limits::SEND_MAX - wire::ENVELOPE_MAX - self.overhead;
        if data.len() > piece_max {
            PlgOut { data, ..sample(&self.name, plan) }.encode(&mut self.json);
            if self.pack().len() <= limits::SEND_MAX - VARYING_MAX - self.overhead {
                return vec![data.to_owned()];
            }
        }
        wire::split(data, piece_max)
    }

    fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.json.len().min(ROOM));
        wire::pack(&self.json, &mut bytes);
        bytes
    }
}

fn sample<'a>(name: &'a str, plan: &'a Plan) -> PlgOut<'a> {
    let every = Some(plan.every.as_secs() as u32).filter(|every| !plan.info && *every > 0);
    PlgOut { name, plugin: &plan.name, every, info: plan.info, ..PlgOut::default() }
}

/// A job is no plugin that comes again: it promises no next sample.
pub(super) fn plan_of_a_job(plugin: &str) -> Plan {
    Plan {
        name: plugin.into(),
        info: false,
        stream: false,
        every: Duration::ZERO,
        timeout: Duration::ZERO,
        quick: false,
    }
}

/// The data object that tells why a plugin gave none.
pub(super) fn error_data(reason: &str) -> String {
    let reason = crate::text::cut(reason, 256);
    let mut json = String::from("{\"error\":");
    wire::push_string(&mut json, reason);
    json.push('}');
    json
}
