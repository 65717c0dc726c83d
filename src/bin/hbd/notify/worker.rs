//! The loop of one thread: take a message, wait until it is in the store, try once, answer.

use super::board::Turn;
use super::transport::{self, Attempt};
use super::{Common, Job};
use crate::{engine, fault, pulse};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use heartbeat::engine::outbox::Outcome;
use heartbeat::notice::channel::Verdict;
use heartbeat::os::clock;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A disk that hangs longer than this must not silence a monitor: then the message goes unsaved.
const SAVED_WITHIN: Duration = Duration::from_secs(2);
/// How often a thread without work looks whether the server ends.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two tries to put an answer into a full inbox of the engine.
const ANSWER_EVERY: Duration = Duration::from_millis(20);

pub fn run(common: &Common, jobs: &Receiver<Job>) {
    loop {
        pulse::waits();
        if common.stopping.load(Ordering::Acquire) {
            return;
        }
        match jobs.recv_timeout(LOOK_EVERY) {
            Ok(job) => carry_out(common, job),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A try has its own time limit; what must not stand still is what comes before and after it.
fn carry_out(common: &Common, job: Job) {
    pulse::works();
    fault::point("notify");
    let _ = job.saved.recv_timeout(SAVED_WITHIN);
    if common.stopping.load(Ordering::Acquire) {
        return;
    }
    let channel = &job.message.receiver.channel;
    fault::point("notify_before_send");
    pulse::waits();
    let attempt = transport::attempt(common, &job.message);
    pulse::works();
    fault::point("notify_after_send");
    note(common, channel, &attempt);
    let outcome = match attempt.verdict {
        Verdict::Done => Outcome::Done,
        Verdict::Retry { after } => Outcome::Retry { after },
        Verdict::Failed => Outcome::Failed,
    };
    answer(common, job.message.id, outcome);
}

/// Into the health of the channel, and into the log where that changed.
pub fn note(common: &Common, channel: &str, attempt: &Attempt) {
    let error = attempt.error.as_deref();
    let turn = common.board.note(channel, clock::now().wall, attempt.verdict, error);
    let words = error.unwrap_or_default();
    match (turn, attempt.verdict) {
        (Turn::Broke, _) => log::warn!("channel {channel} fails error={words}"),
        (Turn::Healed, _) => log::info!("channel {channel} works again"),
        (Turn::Same, Verdict::Done) => log::debug!("channel {channel} delivered ms={}", attempt.ms),
        (Turn::Same, _) => log::debug!("channel {channel} fails error={words}"),
    }
}

/// An answer is never lost, or its receiver would wait for ever; the engine empties its inbox each turn.
fn answer(common: &Common, message: u64, outcome: Outcome) {
    let Some(engine) = common.engine.get() else { return };
    let (_keep, never) = bounded::<()>(0);
    while !engine.send(engine::Order::Delivered { message, outcome }) {
        if common.stopping.load(Ordering::Acquire) {
            return;
        }
        let _ = never.recv_timeout(ANSWER_EVERY);
    }
}
