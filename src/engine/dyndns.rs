//! Dynamic DNS: which record a host has, which address it shall have, and when that is told to the name server.
//!
//! Decides only; the worker `dns` runs `nsupdate`. One update is under way at a time and the next is made from
//! what is wanted when its turn comes, so the latest wins and nothing queues up. A record is never taken away.

use super::feed::Entry;
use super::host::Record;
use super::view::{self, DnsState, EventKind, Family, HostId, Level};
use super::{Command, Effect, Engine, Outcome, saved};
use crate::calm::{Fault, FaultKind};
use crate::config::agent::parse_server;
use crate::config::server::{self, DnsName};
use crate::notice::nsupdate::{self, DomainName, NameServer, Update};
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Two updates of one name are at least this far apart (THREATS U12).
const UPDATE_EVERY: Duration = Duration::from_secs(60);
/// A change waits this long, so that both families of a host that appears go together.
const GATHER: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(3600);
/// Refusals of one host are told this far apart: an address may come and go with each heartbeat.
const REFUSAL_EVERY: Duration = Duration::from_secs(600);
/// Longest reason that is kept of a failure.
const REASON_MAX: usize = 256;

/// One update for the worker: what to run, and what to feed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub host: Arc<str>,
    pub update: Update,
    pub program: PathBuf,
    pub key: Option<PathBuf>,
    pub timeout: Duration,
}

/// The engine's part of dynamic DNS.
#[derive(Default)]
pub struct Dyndns {
    /// Names and who keeps them: the host that had it first.
    names: BTreeMap<DomainName, HostId>,
    /// Who is to be updated, by when.
    due: BTreeSet<(Mono, HostId)>,
    /// The update that the worker has.
    under_way: Option<(HostId, Update)>,
}

impl Dyndns {
    pub fn poll_timeout(&self) -> Option<Mono> {
        let next = || self.due.first().map(|(due, _)| *due);
        if self.under_way.is_some() { None } else { next() }
    }
}

/// One host's record.
pub struct Slot {
    /// As the host or its configuration gives it.
    text: Arc<str>,
    target: Aim,
    records: [Keep; 2],
    /// When an update was begun last.
    tried: Option<(Mono, Wall)>,
    failures: u32,
    error: Option<Arc<str>>,
    due: Option<Mono>,
    /// A manager wants it done whatever is known.
    asked: bool,
    /// When a refusal was told last.
    told: Option<Mono>,
}

/// A target, or why there is none.
type Aim = Result<Target, Arc<str>>;

#[derive(Clone, PartialEq)]
struct Target {
    name: DomainName,
    zone: DomainName,
}

/// One family of a record.
#[derive(Clone, Copy, Default)]
struct Keep {
    /// What the name server took last, and when.
    set: Option<(IpAddr, Wall)>,
    /// What it shall be.
    wish: Option<IpAddr>,
    /// An address that it may not move to, as it was told.
    refused: Option<IpAddr>,
}

impl Keep {
    fn is_due(&self) -> bool {
        self.wish.is_some() && self.wish != self.set.map(|(address, _)| address)
    }
}

impl Slot {
    fn is_due(&self) -> bool {
        let wished = self.records.iter().any(|keep| keep.wish.is_some());
        self.target.is_ok() && wished && (self.asked || self.records.iter().any(Keep::is_due))
    }

    /// The addresses of the next update.
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let asked = self.asked;
        self.records.iter().filter(move |k| asked || k.is_due()).filter_map(|keep| keep.wish)
    }

    fn state(&self, under_way: bool) -> DnsState {
        let refused = self.records.iter().any(|keep| keep.refused.is_some());
        let known = self.records.iter().any(|keep| keep.wish.or(keep.set.map(|s| s.0)).is_some());
        match () {
            () if self.target.is_err() => DnsState::Refused,
            () if under_way => DnsState::Updating,
            () if self.failures > 0 => DnsState::Failed,
            () if refused => DnsState::Refused,
            () if self.is_due() => DnsState::Waiting,
            () if !known => DnsState::Unconfirmed,
            () => DnsState::Ok,
        }
    }

    fn shown(&self, now: Now, under_way: bool) -> view::Dns {
        let record = |family: Family| {
            let keep = &self.records[family as usize];
            view::DnsRecord {
                address: keep.set.map(|(address, _)| address),
                updated: keep.set.map(|(_, at)| at),
                wanted: keep.wish.filter(|_| keep.is_due()),
                refused: keep.refused,
            }
        };
        view::Dns {
            name: self.text.clone(),
            zone: self.target.as_ref().ok().map(|target| target.zone.as_str().into()),
            state: self.state(under_way),
            records: Family::ALL.map(record),
            tried: self.tried.map(|(_, at)| at),
            next: self.due.map(|due| now.wall + due.since(now.mono)),
            error: self.target.as_ref().err().cloned().or_else(|| self.error.clone()),
        }
    }
}

/// What a host's record is called, where it lies in one of our zones.
fn target_of(config: &server::Server, host: &str) -> Option<(Arc<str>, Aim)> {
    let text = match config.hosts.get(host).map(|declared| &declared.dns) {
        Some(DnsName::Off) => return None,
        Some(DnsName::Name(name)) => name.as_str(),
        Some(DnsName::Own) | None => host,
    };
    match DomainName::parse(text) {
        Ok(name) => {
            let zone = nsupdate::zone_of(&name, &config.dyndomains)?;
            Some((text.into(), Ok(Target { name, zone })))
        }
        Err(fault) => {
            // Of a name in none of our zones nobody wants to hear.
            let ours = |zone: &String| text.len() > zone.len() && text.contains(zone.as_str());
            let meant = config.dyndomains.iter().any(ours);
            meant.then(|| (text.into(), Err(fault.to_string().into())))
        }
    }
}

impl Engine {
    /// Gives a host the record that the configuration means it to have; what is known of it stays where its name
    /// does.
    pub(super) fn configure_dns(&mut self, id: HostId) {
        let config = self.config.clone();
        let target = target_of(&config, &self.name_of(id));
        let known = self.table.record(id).and_then(|record| record.dns.take());
        self.dns.due.retain(|(_, other)| *other != id);
        self.dns.names.retain(|_, other| *other != id);
        let Some((text, target)) = target else { return self.show_dns(self.turn, id) };
        let same = known.filter(|slot| slot.text == text);
        let mut slot = same.unwrap_or_else(|| Box::new(Slot::new(text, target.clone())));
        slot.target = target;
        slot.due = None;
        for keep in &mut slot.records {
            (keep.wish, keep.refused) = (None, None);
        }
        if let Some(record) = self.table.record(id) {
            record.dns = Some(slot);
        }
        self.claim_dns(id);
        let now = self.turn;
        Family::ALL.into_iter().for_each(|family| self.note_dns(now, id, family));
        self.plan_dns(now, id);
        self.show_dns(now, id);
    }

    /// Two hosts with one name would take it from each other every minute: the first has it.
    fn claim_dns(&mut self, id: HostId) {
        let Some(slot) = self.table.record_ref(id).and_then(|r| r.dns.as_ref()) else { return };
        let Ok(target) = &slot.target else { return };
        let name = target.name.clone();
        let owner = *self.dns.names.entry(name.clone()).or_insert(id);
        if owner != id {
            let why = format!("{name} is kept for the host {}", self.name_of(owner));
            if let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) {
                slot.target = Err(why.into());
            }
        }
    }

    /// The host is gone; whoever waited for its name may have it.
    pub(super) fn forget_dns(&mut self, id: HostId) {
        self.dns.due.retain(|(_, other)| *other != id);
        let names = self.dns.names.len();
        self.dns.names.retain(|_, other| *other != id);
        if self.dns.names.len() == names {
            return;
        }
        for other in self.table.ids() {
            let slot = self.table.record_ref(other).and_then(|record| record.dns.as_ref());
            if slot.is_some_and(|slot| slot.target.is_err()) {
                self.configure_dns(other);
            }
        }
    }

    /// All hosts anew, in their order: a name that became free goes to the first that wants it.
    pub(super) fn configure_all_dns(&mut self) {
        self.dns.names.clear();
        self.table.ids().into_iter().for_each(|id| self.configure_dns(id));
    }

    /// The address over one family that may go into the DNS.
    fn dns_address(&self, id: HostId, family: Family) -> Option<IpAddr> {
        let record = self.table.record_ref(id)?;
        if record.keyed {
            return record.confirmed[family as usize];
        }
        let link = record.links[family as usize].as_ref()?;
        let heard = link.heard_mono.is_some();
        (self.config.dns_trust_plain && heard).then_some(link.address)
    }

    /// To be called when an address was heard or confirmed. Costs next to nothing where nothing changed.
    pub(super) fn note_dns(&mut self, now: Now, id: HostId, family: Family) {
        let Some(slot) = self.table.record_ref(id).and_then(|r| r.dns.as_ref()) else { return };
        let keep = slot.records[family as usize];
        let Some(address) = self.dns_address(id, family) else { return };
        if keep.wish == Some(address) && keep.refused.is_none() || keep.refused == Some(address) {
            return;
        }
        if !nsupdate::is_host_address(address) {
            return self.refuse_dns(now, id, family, address, "it is not an address for others");
        }
        let before = keep.set.map(|(address, _)| address).or(keep.wish);
        let flips = |old| nsupdate::is_private(old) != nsupdate::is_private(address);
        if before.is_some_and(flips) && !self.config.dns_private_flip {
            let why =
                "a name does not move between private and public addresses (dns_private_flip)";
            return self.refuse_dns(now, id, family, address, why);
        }
        if let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) {
            let keep = &mut slot.records[family as usize];
            (keep.wish, keep.refused) = (Some(address), None);
            slot.failures = 0;
        }
        self.plan_dns(now, id);
        self.show_dns(now, id);
    }

    fn refuse_dns(&mut self, now: Now, id: HostId, family: Family, address: IpAddr, why: &str) {
        let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) else { return };
        slot.records[family as usize].refused = Some(address);
        if slot.told.is_none_or(|told| now.mono.since(told) >= REFUSAL_EVERY) {
            slot.told = Some(now.mono);
            let text = format!("{} is not moved to {address}: {why}", slot.text);
            self.tell_dns(now, id, Level::Warning, text);
        }
        self.show_dns(now, id);
    }

    /// Puts a host into the order of those that are due, or takes it out.
    fn plan_dns(&mut self, now: Now, id: HostId) {
        let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) else { return };
        if let Some(due) = slot.due.take() {
            self.dns.due.remove(&(due, id));
        }
        if !slot.is_due() {
            return;
        }
        let wait = match slot.failures {
            0 => UPDATE_EVERY,
            n => UPDATE_EVERY.saturating_mul(1 << (n - 1).min(8)).min(RETRY_MAX),
        };
        let soon = now.mono + if slot.asked { Duration::ZERO } else { GATHER };
        let due = slot.tried.map_or(soon, |(tried, _)| soon.max(tried + wait));
        slot.due = Some(due);
        self.dns.due.insert((due, id));
    }

    /// Hands the worker the next update that is due, if it has none.
    pub(super) fn tick_dns(&mut self, now: Now) {
        // The other server of a pair does it.
        if self.outbox.is_silent() {
            return;
        }
        while self.dns.under_way.is_none()
            && let Some((due, id)) = self.dns.due.first().copied()
            && due <= now.mono
        {
            self.dns.due.remove(&(due, id));
            self.update_dns(now, id);
        }
    }

    fn update_dns(&mut self, now: Now, id: HostId) {
        let config = self.config.clone();
        let host = self.name_of(id);
        let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) else { return };
        slot.due = None;
        slot.tried = Some((now.mono, now.wall));
        let Ok(Target { name, zone }) = slot.target.clone() else { return };
        let server = config.dns_server.as_deref().map(name_server).transpose();
        let update = server.and_then(|server| {
            let made = Update::new(server, zone, name, config.dns_ttl, slot.addresses());
            made.map_err(|fault| fault.to_string())
        });
        match update {
            Ok(update) => {
                self.dns.under_way = Some((id, update.clone()));
                let (program, key) = (config.nsupdate_bin.clone(), config.nsupdate_key.clone());
                let timeout = config.dns_timeout;
                let job = Job { host, update, program, key, timeout };
                self.effects.push_back(Effect::Dns(Box::new(job)));
            }
            Err(why) => self.fail_dns(now, id, &why),
        }
        self.show_dns(now, id);
        self.mark_unsaved(now, id);
    }

    /// What the worker made of the update that it had.
    pub(super) fn dns_done(&mut self, now: Now, outcome: Result<(), String>) {
        let Some((id, update)) = self.dns.under_way.take() else { return };
        match outcome {
            Ok(()) => self.succeed_dns(now, id, &update),
            Err(why) => self.fail_dns(now, id, &why),
        }
        self.plan_dns(now, id);
        self.show_dns(now, id);
        self.mark_unsaved(now, id);
        self.tick_dns(now);
    }

    fn succeed_dns(&mut self, now: Now, id: HostId, update: &Update) {
        let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) else { return };
        if slot.target.as_ref().is_ok_and(|target| target.name != *update.name()) {
            // The configuration gave it another name meanwhile.
            return;
        }
        let mut told = Vec::new();
        for address in update.addresses() {
            slot.records[Family::of(address) as usize].set = Some((address, now.wall));
            told.push(address.to_string());
        }
        (slot.failures, slot.error, slot.asked) = (0, None, false);
        let text = format!("{} is now at {}", update.name(), told.join(" and "));
        self.tell_dns(now, id, Level::Info, text);
    }

    fn fail_dns(&mut self, now: Now, id: HostId, why: &str) {
        let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) else { return };
        let first = slot.failures == 0 && slot.error.is_none();
        slot.failures = slot.failures.saturating_add(1);
        let why = crate::text::escape_control(crate::text::cut(why, REASON_MAX)).into_owned();
        let text = format!("{} cannot be updated: {why}", slot.text);
        slot.error = Some(why.into());
        if first {
            self.tell_dns(now, id, Level::Warning, text);
        }
    }

    fn tell_dns(&mut self, now: Now, id: HostId, level: Level, text: String) {
        let host = Some((id, self.name_of(id)));
        let (kind, level, from, to) = (EventKind::Dns, Some(level), None, None);
        self.publish(now, Entry { kind, host, level, from, to, text });
    }

    pub(super) fn show_dns(&mut self, now: Now, id: HostId) {
        let under_way = self.dns.under_way.as_ref().is_some_and(|(other, _)| *other == id);
        let slot = self.table.record_ref(id).and_then(|record| record.dns.as_ref());
        let shown = slot.map(|slot| Arc::new(slot.shown(now, under_way)));
        if self.table.host(id).is_some_and(|host| host.dns != shown) {
            self.table.change(id, |host| host.dns = shown);
            self.dirty = true;
        }
    }

    /// A manager asks for an update: it is made as soon as the name's minute is over.
    pub(super) fn ask_dns(&mut self, now: Now, command: &Command) -> Outcome {
        let Command::Dns { host } = command else { return Outcome::NoSuchHost };
        let Some(id) = self.table.id(host) else { return Outcome::NoSuchHost };
        let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) else {
            let what =
                format!("{host} has no record to keep: its name lies below none of dyndomains.");
            return refused(
                what,
                "Set dyndomains, or hosts.<name>.dns to a name below one of them.",
            );
        };
        if let Err(why) = &slot.target {
            return refused(
                format!("{} is not kept: {why}.", slot.text),
                "Give it another hosts.<name>.dns.",
            );
        }
        if slot.records.iter().all(|keep| keep.wish.is_none()) {
            let what = format!("No address of {host} is confirmed.");
            let hint =
                "A sealed host confirms its address by itself; a plain one needs dns_trust_plain.";
            return refused(what, hint);
        }
        (slot.asked, slot.failures) = (true, 0);
        self.plan_dns(now, id);
        self.mark_unsaved(now, id);
        self.save();
        self.tick_dns(now);
        self.show_dns(now, id);
        Outcome::Done
    }
}

fn refused(what: String, hint: &'static str) -> Outcome {
    Outcome::Refused(Fault::of(FaultKind::Configured, what).hint(hint))
}

fn name_server(text: &str) -> Result<NameServer, String> {
    let entry = parse_server(text)?;
    NameServer::new(&entry.host, entry.port).map_err(|fault| format!("dns_server: {fault}"))
}

impl Slot {
    fn new(text: Arc<str>, target: Aim) -> Slot {
        let records = [Keep::default(); 2];
        let (tried, failures, error, due, asked, told) = (None, 0, None, None, false, None);
        Slot { text, target, records, tried, failures, error, due, asked, told }
    }
}

/// The saved form: what the name server took, and what is owed.
pub fn row(record: &Record) -> Option<saved::DnsRow> {
    let slot = record.dns.as_ref()?;
    let set = slot.records.iter().filter_map(|keep| keep.set);
    Some(saved::DnsRow {
        name: slot.text.to_string(),
        set: set.map(|(address, at)| (address, at.as_secs_f64())).collect(),
        tried: slot.tried.map(|(_, at)| at.as_secs_f64()),
        error: slot.error.as_deref().map(str::to_owned),
        failures: slot.failures,
        asked: slot.asked,
    })
}

impl Engine {
    /// Takes over what was saved, where the name is still the same. The name's minute goes on.
    pub(super) fn restore_dns(&mut self, now: Now, id: HostId, row: saved::DnsRow) {
        let Some(slot) = self.table.record(id).and_then(|r| r.dns.as_mut()) else { return };
        if *slot.text != *row.name {
            return;
        }
        for (address, at) in row.set {
            let keep = &mut slot.records[Family::of(address) as usize];
            keep.set = Some((address, Wall::from_secs_f64(at)));
        }
        slot.tried = row.tried.map(Wall::from_secs_f64).map(|at| {
            let ago = now.wall.since(at).min(UPDATE_EVERY);
            // A clock that went back owes no more than one minute.
            (now.mono - ago, at)
        });
        slot.error = row.error.map(Arc::from);
        (slot.failures, slot.asked) = (row.failures, row.asked);
        self.show_dns(now, id);
    }
}
