//! `notify-test`: the same message by each channel, now, past the outbox, and what came of it.

use super::worker::note;
use super::{Handle, transport};
use crossbeam_channel::bounded;
use heartbeat::config::server::{Level, Server};
use heartbeat::notice::channel::Verdict;
use heartbeat::notice::{Draft, Fleet, Message, Notice, Receiver, Tally, escalation, own};
use heartbeat::os::{clock, thread};
use heartbeat::web::{TestRefusal, TestResult, TestTarget};
use std::sync::Arc;
use std::time::Duration;

const STACK: usize = 256 << 10;
/// Destinations of one test.
const RECEIVERS_MAX: usize = 32;
/// Beyond the time limit of a try: for the threads' own work.
const GRACE: Duration = Duration::from_secs(3);

impl Handle {
    /// Tries each receiver in a thread of its own; one test at a time.
    pub fn test(&self, target: &TestTarget) -> Result<Vec<TestResult>, TestRefusal> {
        let Ok(_one) = self.testing.try_lock() else { return Err(TestRefusal::Busy) };
        let config = self.common.shared.config();
        let (receivers, mut results) = receivers(&config, target)?;
        if receivers.len() > RECEIVERS_MAX {
            return Err(TestRefusal::TooMany(RECEIVERS_MAX));
        }
        let timeouts = receivers.iter().filter_map(|r| config.channels.get(&*r.channel));
        let longest = timeouts.map(|channel| channel.timeout).max().unwrap_or_default();
        let (sender, answers) = bounded(receivers.len().max(1));
        let mut missing: Vec<Option<Receiver>> = Vec::new();
        for (i, receiver) in receivers.into_iter().enumerate() {
            missing.push(Some(receiver.clone()));
            let (common, sender) = (Arc::clone(&self.common), sender.clone());
            let message = message(&config, receiver);
            let body = move || {
                let attempt = transport::attempt(&common, &message);
                note(&common, &message.receiver.channel, &attempt);
                let _ = sender.try_send((i, attempt));
            };
            if let Err(error) = thread::spawn("notify-test", STACK, body) {
                log::error!("notify-test: no thread error={error}");
            }
        }
        drop(sender);
        let until = clock::now().mono + longest + GRACE;
        while let Ok((i, attempt)) = answers.recv_timeout(until.since(clock::now().mono)) {
            let Some(receiver) = missing.get_mut(i).and_then(Option::take) else { continue };
            results.push(TestResult {
                channel: receiver.channel.to_string(),
                ok: attempt.verdict == Verdict::Done,
                ms: attempt.ms,
                error: attempt.error,
            });
        }
        results.extend(missing.into_iter().flatten().map(|receiver| TestResult {
            channel: receiver.channel.to_string(),
            ok: false,
            ms: (longest + GRACE).as_millis() as u64,
            error: Some("no answer in time".to_owned()),
        }));
        results.sort_by(|a, b| a.channel.cmp(&b.channel));
        Ok(results)
    }
}

/// Whom a test goes to, and what cannot be tested and why.
fn receivers(
    config: &Server,
    target: &TestTarget,
) -> Result<(Vec<Receiver>, Vec<TestResult>), TestRefusal> {
    let names: Vec<&String> = match target {
        TestTarget::User(name) if !config.users.contains_key(name) => {
            return Err(TestRefusal::NoSuchUser);
        }
        TestTarget::User(name) => {
            let found = escalation(config, std::slice::from_ref(name), Level::Critical);
            return Ok((found.into_iter().map(|a| a.receiver).collect(), Vec::new()));
        }
        TestTarget::Channel(name) if !config.channels.contains_key(name) => {
            return Err(TestRefusal::NoSuchChannel);
        }
        TestTarget::Channel(name) => vec![name],
        TestTarget::All => config.channels.keys().collect(),
    };
    let (mut receivers, mut results) = (Vec::new(), Vec::new());
    for name in names {
        let Some(channel) = config.channels.get(name) else { continue };
        let own = own(name, channel);
        if own.is_empty() {
            let error = "it has no destination of its own: set to, or test a user".to_owned();
            results.push(TestResult {
                channel: name.clone(),
                ok: false,
                ms: 0,
                error: Some(error),
            });
        }
        receivers.extend(own);
    }
    Ok((receivers, results))
}

fn message(config: &Server, receiver: Receiver) -> Message {
    let now = clock::now();
    let text = format!("TEST: {} - channel {} works", config.site_name, receiver.channel);
    // Of no event: a number of its own keeps one test apart from the next.
    let notice = Notice::new(now.mono.as_nanos(), now.wall, "notify", Level::Info, &text);
    Message::compose(Draft {
        id: notice.id,
        receiver,
        notices: vec![Arc::new(notice)],
        tally: Tally::default(),
        held: false,
        fleet: Fleet::default(),
        site: config.site_name.as_str().into(),
        public_url: config.public_url.as_deref().map(Arc::from),
    })
}
