//! What each receiver must have been told, and must not, worked out from the feed and from what was delivered.

use heartbeat::notice::Message;
use heartbeat::time::{Duration, Mono};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An outage that ends within this is told to nobody (SPEC section 2).
const SHORT: Duration = Duration::from_secs(4);
const MINUTE: Duration = Duration::from_secs(60);
/// What a kill may have taken: rows that were not on disk.
const UNSAVED: Duration = Duration::from_secs(1);
pub const PER_MINUTE: usize = 6;

#[derive(Default)]
struct Receiver {
    /// Hosts and metrics that it believes to be in trouble.
    troubles: BTreeSet<String>,
    /// Outages that it has still to hear of, by host: since when.
    debts: BTreeMap<String, Vec<Mono>>,
    /// When messages were handed over, within the last minute.
    sent: VecDeque<Mono>,
    /// One message at a time.
    flying: bool,
}

#[derive(Default)]
pub struct Told {
    receivers: BTreeMap<String, Receiver>,
    /// Since when each host that was told down in the feed is, if that was owed to people.
    down: BTreeMap<String, Mono>,
    pub delivered: u64,
    /// Something may have been sent that nobody remembers.
    killed: bool,
}

impl Told {
    pub fn new(receivers: &[&str]) -> Told {
        let fresh = |name: &&str| ((*name).to_owned(), Receiver::default());
        Told { receivers: receivers.iter().map(fresh).collect(), ..Told::default() }
    }

    /// An entry of the feed. `quiet`: nothing is owed of it.
    pub fn published(&mut self, now: Mono, text: &str, quiet: bool) {
        let Some((verb, rest)) = text.split_once(": ") else { return };
        let host = rest.split(' ').next().unwrap_or_default().to_owned();
        match verb {
            "DOWN" if !rest.ends_with("shutdown") && !quiet => {
                self.down.insert(host.clone(), now);
                for receiver in self.receivers.values_mut() {
                    receiver.debts.entry(host.clone()).or_default().push(now);
                }
            }
            "UP" => {
                let since = self.down.remove(&host);
                let Some(since) = since.filter(|since| now.since(*since) < SHORT) else { return };
                for receiver in self.receivers.values_mut() {
                    let debts = receiver.debts.entry(host.clone()).or_default();
                    debts.retain(|at| *at != since);
                }
            }
            _ => {}
        }
    }

    /// A message is handed to a worker.
    pub fn handed(&mut self, now: Mono, message: &Message) -> Result<(), String> {
        let name = message.receiver.render();
        let receiver = self.receivers.get_mut(&name).ok_or(format!("{name} is no receiver"))?;
        if std::mem::replace(&mut receiver.flying, true) {
            return Err(format!("{name} has two messages at once"));
        }
        while receiver.sent.front().is_some_and(|at| now.since(*at) >= MINUTE) {
            receiver.sent.pop_front();
        }
        receiver.sent.push_back(now);
        if receiver.sent.len() > PER_MINUTE {
            return Err(format!("{name} gets {} messages in a minute", receiver.sent.len()));
        }
        Ok(())
    }

    /// The worker had no room: nothing was sent.
    pub fn turned_back(&mut self, message: &Message) {
        if let Some(receiver) = self.receivers.get_mut(&message.receiver.render()) {
            receiver.sent.pop_back();
            receiver.flying = false;
        }
    }

    pub fn failed(&mut self, message: &Message) {
        if let Some(receiver) = self.receivers.get_mut(&message.receiver.render()) {
            receiver.flying = false;
        }
    }

    /// It arrived.
    pub fn delivered(&mut self, message: &Message) -> Result<(), String> {
        let name = message.receiver.render();
        let killed = self.killed;
        let receiver = self.receivers.get_mut(&name).ok_or(format!("{name} is no receiver"))?;
        receiver.flying = false;
        self.delivered += 1;
        let mut notices = message.notices.clone();
        notices.sort_by_key(|notice| notice.id);
        for notice in notices {
            receiver.hear(&notice.text, killed).map_err(|problem| format!("{name}: {problem}"))?;
        }
        Ok(())
    }

    /// The server's process is gone, and with it what it had not saved.
    pub fn killed(&mut self, now: Mono) {
        self.killed = true;
        let lost = |at: &Mono| now.since(*at) < UNSAVED;
        self.down.retain(|_, at| !lost(at));
        for receiver in self.receivers.values_mut() {
            receiver.flying = false;
            receiver.sent.clear();
            receiver.debts.values_mut().for_each(|debts| debts.retain(|at| !lost(at)));
        }
    }

    /// Everything has healed: nothing is owed, and everybody believes what is so.
    pub fn check(&self, down: impl Fn(&str) -> Option<bool>) -> Result<(), String> {
        for (name, receiver) in &self.receivers {
            if let Some((host, debts)) = receiver.debts.iter().find(|(_, debts)| !debts.is_empty())
            {
                return Err(format!("{name} was never told of {host} at {debts:?}"));
            }
            let believed = receiver.troubles.iter().filter(|t| !t.contains(' '));
            if let Some(host) = believed.clone().find(|host| down(host) == Some(false)) {
                return Err(format!("{name} still believes {host} to be down"));
            }
        }
        Ok(())
    }
}

impl Receiver {
    fn hear(&mut self, text: &str, killed: bool) -> Result<(), String> {
        let Some((verb, rest)) = text.split_once(": ") else { return Ok(()) };
        let host = rest.split(' ').next().unwrap_or_default().to_owned();
        let metric = || rest.split(" = ").next().unwrap_or_default().replace(" - ", " ");
        let verb = verb.strip_prefix("STILL ").unwrap_or(verb);
        match verb {
            "DOWN" => {
                self.debts.remove(&host);
                if rest.contains(", UP again") {
                    // The whole outage in one line; it may repeat a DOWN whose delivery a kill made forget.
                    self.troubles.remove(&host);
                } else if !self.troubles.insert(host.clone()) && !killed {
                    return Err(format!("{host} is told down twice: {text}"));
                }
            }
            "UP" if !self.troubles.remove(&host) && !killed => {
                return Err(format!("UP without DOWN: {text}"));
            }
            "WARNING" | "CRITICAL" | "UNKNOWN" => {
                self.troubles.insert(metric());
            }
            "RECOVERED" if !self.troubles.remove(&metric()) && !killed => {
                return Err(format!("the end of what was never told: {text}"));
            }
            // It settled: what was told of an outage in between is over with it.
            "SETTLED" if rest.ends_with(" up") => {
                self.troubles.remove(&host);
            }
            _ => {}
        }
        Ok(())
    }
}
