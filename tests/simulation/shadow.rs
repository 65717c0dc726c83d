//! What must be told, worked out without the engine: from the heartbeats that reached a listening server and from
//! the times at which the server did not listen.

use heartbeat::engine::view::State;
use heartbeat::time::{Duration, Mono};
use std::collections::BTreeMap;

/// Silence after which a host with the default timing is down.
pub const DOWN_AFTER: Duration = Duration::from_secs(65);
/// The server may notice this much later (PROTOCOL C12, issue figures).
const NOTICE: Duration = Duration::from_millis(1100);
/// An absence below this shifts no deadline, and one above it shifts by up to a second less than its length.
const UNSEEN_ABSENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Host {
    heard: Option<Mono>,
    /// As the server last told: the truth it stands by.
    told_down: bool,
    told_shutdown: bool,
    /// It went down while the server held its notices: it may be told once more when that ends.
    held: bool,
    /// It was told that it never reported.
    told_never: bool,
    /// Whether the server still knows that is open: a kill took what came after it, and perhaps that too.
    unsure: bool,
}

#[derive(Default)]
pub struct Shadow {
    hosts: BTreeMap<String, Host>,
    /// Begin and end of every time at which the server did not listen.
    absences: Vec<(Mono, Mono)>,
    /// When the server's process began: from then on each host that was up has a full deadline.
    started: Mono,
    holding: bool,
    /// It was told that the server stands alone, and not yet that this is over. After a restart it may hold again
    /// without telling that a second time.
    isolated: bool,
}

impl Shadow {
    /// A heartbeat was handled by the server.
    pub fn heard(&mut self, now: Mono, name: &str) {
        self.hosts.entry(name.to_owned()).or_default().heard = Some(now);
    }

    pub fn absent(&mut self, from: Mono, to: Mono) {
        self.absences.push((from, to));
    }

    pub fn started(&mut self, now: Mono) {
        self.started = now;
        self.holding = false;
    }

    /// Whether DOWN notices are held.
    pub fn holds(&self) -> bool {
        self.holding
    }

    /// How long this server listened in vain since it last heard the host, and how far off that may be.
    fn listened_since(&self, heard: Mono, now: Mono) -> (Duration, Duration) {
        let heard = heard.max(self.started);
        let (mut absent, mut slack) = (Duration::ZERO, Duration::ZERO);
        for (from, to) in self.absences.iter().filter(|(_, to)| *to > heard) {
            absent += to.since(heard.max(*from));
            slack += UNSEEN_ABSENCE;
        }
        (now.since(heard).saturating_sub(absent), slack)
    }

    /// The server told something of a host: is it true, and is it news?
    pub fn told(&mut self, now: Mono, text: &str, silenced: bool) -> Result<(), String> {
        self.isolated |= text.starts_with("ISOLATED: ");
        // Found right after a start, it is told at once.
        self.holding |= text.ends_with("notices are held") || text.starts_with("ISOLATED: ");
        if text.starts_with("the server hears") {
            (self.holding, self.isolated) = (false, false);
        }
        let Some((verb, rest)) = text.split_once(": ") else { return Ok(()) };
        let name = rest.split(' ').next().unwrap_or_default();
        let heard = self.hosts.get(name).and_then(|h| h.heard);
        let listened = heard.map(|heard| self.listened_since(heard, now));
        let Some(host) = self.hosts.get_mut(name) else {
            if rest.ends_with("- never reported") {
                let host = self.hosts.entry(name.to_owned()).or_default();
                (host.told_down, host.told_never) = (true, true);
            }
            return Ok(());
        };
        match verb {
            "DOWN" if rest.ends_with("- shutdown") => {
                (host.told_down, host.told_shutdown) = (true, true);
            }
            // A kill right after it was told may have it told again.
            "DOWN" if rest.ends_with("- never reported") => {
                (host.told_down, host.told_never) = (true, true);
            }
            "NEW" if std::mem::take(&mut host.unsure) => host.told_down = false,
            "DOWN" => {
                let held = self.holding || self.isolated || silenced;
                let held = std::mem::replace(&mut host.held, held);
                if std::mem::replace(&mut host.told_down, true) {
                    // Told once more at the end of a quiet: it was judged before.
                    return if held { Ok(()) } else { Err(format!("{name} is told down twice")) };
                }
                if let Some((silent, slack)) = listened
                    && silent + slack < DOWN_AFTER
                {
                    return Err(format!("false DOWN: {name} was silent for {silent:?} only"));
                }
            }
            "UP" => {
                host.unsure = false;
                if !std::mem::replace(&mut host.told_down, false) {
                    return Err(format!("{name} is told up and was not down"));
                }
                if heard != Some(now) {
                    return Err(format!("{name} is told up without a heartbeat"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// After a tick: whoever has been silent for too long has been told.
    pub fn check(&self, now: Mono) -> Result<(), String> {
        for (name, host) in &self.hosts {
            let Some(heard) = host.heard else { continue };
            let (silent, slack) = self.listened_since(heard, now);
            if !host.told_down && silent > DOWN_AFTER + NOTICE + slack {
                return Err(format!("missed DOWN: {name} has been silent for {silent:?}"));
            }
        }
        Ok(())
    }

    /// A kill: the server may forget what it told and heard within the last second before it.
    pub fn forget_since(&mut self, saved: &BTreeMap<String, State>) {
        for (name, host) in &mut self.hosts {
            match saved.get(name) {
                Some(_) if host.heard.is_none() => {}
                // Its first heartbeat is forgotten.
                Some(State::Unknown) if host.told_never => {
                    (host.told_down, host.unsure) = (true, true);
                }
                Some(state) => host.told_down = *state == State::Down,
                None => *host = Host::default(),
            }
        }
    }
}
