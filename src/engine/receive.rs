//! Datagrams: who may speak, what each message changes, the ACK.
//!
//! The order is fixed: admit, answer, then change state; nothing is allocated before admission.

use super::feed::Entry;
use super::link::Link;
use super::tell::{Role, Saying};
use super::view::{ConnState, EventKind, Family, HostId, Level, Plugin, Sample, Severity, State};
use super::{Effect, Engine, Path, Record, Reply, sample, saved};
use crate::config::server::UdpPolicy;
use crate::limits;
use crate::notice::{self, Subject};
use crate::time::{Duration, Mono, Now, Wall};
use crate::wire::{self, Datagram, Htb, Kind, Message, Msg, Plg, Reject};
use std::sync::Arc;

/// Uptimes are whole seconds, and datagrams take their time.
const UPTIME_SLACK: Duration = Duration::from_secs(5);

/// After its first heartbeat an agent has so long to send its info plugins unasked; then it is asked, so often.
const INFO_WITHIN: Duration = Duration::from_secs(30);
const INFO_AGAIN: Duration = Duration::from_secs(300);

impl Engine {
    pub(super) fn receive(
        &mut self,
        now: Now,
        path: Path,
        len: usize,
        decoded: &Result<Datagram<'_>, Reject>,
    ) {
        self.counters.received += 1;
        let datagram = match decoded {
            Ok(datagram) => datagram,
            Err(reason) => return self.refuse(now, path.from.ip(), *reason),
        };
        let id = match self.admit(now, path, datagram) {
            Ok(id) => id,
            Err(reason) => return self.refuse(now, path.from.ip(), reason),
        };
        self.counters.accepted += 1;
        self.heard_somebody(now);
        // Agents that do not count their datagrams (those in Python) do not know what is wished.
        let beat = matches!(datagram.message, Message::Htb(_)) && datagram.seq.is_some();
        let want_info = beat && self.asks_info(now, id);
        self.acknowledge(path, len, datagram, want_info);
        if self.config.journal_enabled {
            let entry = super::Entry::Message { from: path.from, json: datagram.json.into() };
            self.effects.push_back(Effect::Journal(Record { at: now.wall, entry }));
        }
        match &datagram.message {
            Message::Htb(htb) => self.heartbeat(now, id, path, htb),
            Message::Plg(plg) => self.take_sample(now, id, path, plg),
            Message::Msg(msg) => self.one_off(now, id, msg),
        }
        self.note_seq(id, path, datagram.seq);
    }

    /// Finds the host that speaks, or makes it where the policy lets it appear.
    fn admit(&mut self, now: Now, path: Path, datagram: &Datagram<'_>) -> Result<HostId, Reject> {
        let policy = self.policy();
        if policy == UdpPolicy::Sealed {
            return Err(Reject::SealedOnly);
        }
        let address = path.from.ip();
        if let Some(id) = self.table.id(datagram.name) {
            let record = self.table.record(id).ok_or(Reject::UnknownHost)?;
            if record.keyed {
                self.tell_plain_for_keyed(now, id, path);
                return Err(Reject::PlainForKeyed);
            }
            if !record.allows(address) {
                return Err(Reject::AddressNotAllowed);
            }
            let granted = record.bucket.take(now.mono, limits::HOST_RATE, limits::HOST_BURST);
            return if granted { Ok(id) } else { Err(Reject::HostRate) };
        }
        if policy == UdpPolicy::Known && !self.accepted.contains(datagram.name) {
            let ghosts_max = self.config.ghosts_max;
            self.ghosts.note(now, datagram.name, address, Reject::UnknownHost, ghosts_max);
            return Err(Reject::UnknownHost);
        }
        if self.table.len() >= self.config.hosts_max {
            return Err(Reject::HostsFull);
        }
        if !self.newcomers.take(address, now.mono) {
            return Err(Reject::NewHostRate);
        }
        Ok(self.add_host(now, datagram.name))
    }

    /// Whether the answer to a heartbeat asks for the info plugins: nothing is known of them, although the host has
    /// reported for a while. Agents send them when they start; but a host can be dropped, and a store be lost.
    pub(super) fn asks_info(&mut self, now: Now, id: HostId) -> bool {
        let Some(record) = self.table.record(id) else { return false };
        match record.info_due {
            Some(at) if at > now.mono => false,
            Some(_) => {
                record.info_due = Some(now.mono + INFO_AGAIN);
                true
            }
            None => {
                record.info_due = Some(now.mono + INFO_WITHIN);
                false
            }
        }
    }

    /// Answers with an ACK that is never longer than the request (THREATS U3).
    fn acknowledge(&mut self, path: Path, len: usize, datagram: &Datagram<'_>, want_info: bool) {
        let mut reply = Reply::new();
        let written = reply.fill(|bytes| {
            let len_max = len.min(bytes.len());
            wire::encode_ack(bytes, datagram.seq, datagram.time, want_info, len_max)
        });
        if written == 0 || written > len {
            debug_assert!(written <= len, "an ACK longer than its request");
            self.counters.acks_withheld += 1;
            return;
        }
        self.effects.push_back(Effect::Send { path, reply });
    }

    fn note_seq(&mut self, id: HostId, path: Path, seq: Option<u64>) {
        let family = Family::of(path.from.ip());
        let Some(record) = self.table.record(id) else { return };
        if let (Some(seq), Some(link)) = (seq, &mut record.links[family as usize]) {
            link.loss.note(seq);
        }
    }

    pub(super) fn heartbeat(&mut self, now: Now, id: HostId, path: Path, htb: &Htb<'_>) {
        let listening = self.listening(now.mono);
        let address = path.from.ip().to_canonical();
        let family = Family::of(address);
        let Some(record) = self.table.record(id) else { return };
        if htb.interval.is_some() && htb.interval != record.promised {
            record.promised = htb.interval;
            self.resolve_interval(now, id);
        }
        let Some(record) = self.table.record(id) else { return };
        let mut stirred = false;
        let link = match &mut record.links[family as usize] {
            Some(link) => link,
            empty => {
                stirred = true;
                empty.insert(Link::new(family, address, now, listening))
            }
        };
        stirred |= link.state != ConnState::Up || link.address != address;
        if !stirred {
            link.heard = listening;
            link.heard_mono = Some(now.mono);
            link.heard_wall = now.wall;
        }
        link.rtt_ms = htb.rtt.map(|rtt| rtt as f32).or(link.rtt_ms);
        if let Some(rtt) = htb.rtt {
            record.note_rtt(now.wall, rtt as f32);
        }
        let interval = record.interval(&self.config);
        if stirred {
            self.revive(now, id, family, address);
        }
        self.note_dns(now, id, family);
        if let Some(rtt) = htb.rtt {
            self.record_rtt(now, id, family, rtt, interval);
            self.judge_rtt(now, id, rtt, interval);
        }
        self.note_uptime(now, id, htb.up);
        self.note_version(id, htb.version);
        for plg in &htb.plugins {
            self.take_sample(now, id, path, plg);
        }
        self.touch(id);
    }

    /// Marks the fast columns of a host for the next view.
    pub(super) fn touch(&mut self, id: HostId) {
        self.dirty = true;
        if let Some(record) = self.table.record(id)
            && !record.touched
        {
            record.touched = true;
            self.touched.push(id);
        }
    }

    /// The promise changed: the deadline moves, and an absurd promise is told.
    fn resolve_interval(&mut self, now: Now, id: HostId) {
        let config = self.config.clone();
        let Some(record) = self.table.record(id) else { return };
        record.resolve(&config);
        let interval = record.interval(&config);
        let excessive = record.excessive_promise(&config);
        self.table.change(id, |host| host.interval = interval);
        self.mark_unsaved(now, id);
        self.schedule(now, id);
        if let (Some((promised, interval_max)), Some(host)) = (excessive, self.table.host(id)) {
            let text = format!(
                "{} promises a heartbeat every {promised} s; it counts as {interval_max} s (interval_max)",
                host.name
            );
            let host = Some((id, host.name.clone()));
            let (from, to) = (None, None);
            let level = Some(Level::Warning);
            self.publish(now, Entry { kind: EventKind::Server, host, level, from, to, text });
        }
    }

    /// A machine that booted after it was last heard has rebooted; no clock of the agent is needed, and an old
    /// heartbeat that comes late deceives nobody.
    fn note_uptime(&mut self, now: Now, id: HostId, up: Option<u64>) {
        let (Some(up), Some(record)) = (up, self.table.record(id)) else { return };
        let heard = record.uptime_heard.replace((up, now.mono));
        let rebooted = match (heard, record.uptime) {
            (Some((_, at)), _) => now.mono.since(at) + UPTIME_SLACK >= Duration::from_secs(up),
            // Before this process: only the numbers themselves can tell.
            (None, Some(before)) => {
                Duration::from_secs(up) + UPTIME_SLACK < Duration::from_secs(before)
            }
            (None, None) => false,
        } && record.uptime.is_some_and(|before| up < before);
        let first = record.uptime.is_none();
        record.uptime = Some(up);
        let booted = now.wall - Duration::from_secs(up);
        let told = record.boot_told.is_some_and(|told| told + UPTIME_SLACK >= booted);
        if rebooted && !told {
            record.boot_told = Some(now.wall);
            let text = notice::reboot(&self.name_of(id), Duration::from_secs(up));
            self.tell_host(now, id, EventKind::Boot, Some(Level::Info), text);
        }
        if first || rebooted {
            self.table.change(id, |host| host.boot_time = Some(booted));
            self.mark_unsaved(now, id);
        }
    }

    fn note_version(&mut self, id: HostId, version: Option<&str>) {
        let Some(version) = version else { return };
        let known = self.table.host(id).and_then(|h| h.version.clone());
        if known.as_deref() != Some(version) {
            let version: Arc<str> = version.into();
            self.table.change(id, |host| host.version = Some(version));
            self.mark_unsaved(self.turn, id);
        }
    }

    pub(super) fn take_sample(&mut self, now: Now, id: HostId, path: Path, plg: &Plg<'_>) {
        let at = sample::collected_at(now.wall, plg.age_ms);
        match self.keep_sample(id, plg, at) {
            Ok(()) => self.dirty = true,
            Err(reason) => return self.refuse(now, path.from.ip(), reason),
        }
        self.record_sample(id, plg, at);
        // What waited in an agent's spool fills the history and raises nothing.
        if plg.age_ms.is_none() {
            self.judge_sample(now, id, plg);
        }
        while let Some((id, plugin)) = self.samples.next_over() {
            self.drop_oldest_sample(id, &plugin);
        }
        if plg.info {
            if let Some(record) = self.table.record(id) {
                record.info_due = Some(Mono::MAX);
            }
            self.save_sample(id, plg.plugin);
        }
    }

    fn keep_sample(&mut self, id: HostId, plg: &Plg<'_>, at: Wall) -> Result<(), Reject> {
        let host = self.table.host(id).ok_or(Reject::UnknownHost)?;
        let known = host.plugin(plg.plugin);
        if known.is_none() && host.plugins.len() >= limits::PLUGINS_PER_HOST {
            return Err(Reject::PluginsFull);
        }
        let continues = plg.part.is_some_and(|(i, _)| i > 1);
        let merged = match known.and_then(Plugin::latest).filter(|_| continues) {
            Some(latest) => sample::merge(&latest.data, plg.data),
            None => None,
        };
        let replaces = merged.is_some();
        self.count_metrics(id, plg)?;
        let sample = Arc::new(Sample { at, data: merged.unwrap_or_else(|| plg.data.into()) });
        let mut name: Arc<str> = Arc::from("");
        let mut gone = None;
        self.table.refresh(id, |host| {
            host.gauges = sample::gauge(host.gauges, plg.plugin, plg.leaves);
            let plugins = Arc::make_mut(&mut host.plugins);
            let at = plugins.partition_point(|p| &*p.name < plg.plugin);
            if plugins.get(at).is_none_or(|p| &*p.name != plg.plugin) {
                let samples = Default::default();
                let name = plg.plugin.into();
                plugins.insert(at, Plugin { name, interval: None, info: plg.info, samples });
            }
            let plugin = &mut plugins[at];
            plugin.interval = plg.every.or(plugin.interval);
            plugin.info = plg.info;
            name = plugin.name.clone();
            if replaces || plg.info {
                gone = plugin.samples.pop_back();
            }
            gone = sample::insert(plugin, sample.clone()).or(gone.take());
        });
        if let Some(gone) = gone {
            self.samples.forget(&gone);
        }
        self.samples.note(id, name, &sample);
        Ok(())
    }

    /// Holds the bound on metrics of a host, all its plugins together.
    fn count_metrics(&mut self, id: HostId, plg: &Plg<'_>) -> Result<(), Reject> {
        let record = self.table.record(id).ok_or(Reject::UnknownHost)?;
        let count = plg.leaves.len().min(u16::MAX as usize) as u16;
        let slot = record.metrics_by_plugin.iter().position(|(name, _)| &**name == plg.plugin);
        let before = slot.map_or(0, |i| record.metrics_by_plugin[i].1);
        // A part adds to what came with the others; the largest count stands for all.
        let count = if plg.part.is_some() { count.max(before) } else { count };
        let metrics = record.metrics - before as usize + count as usize;
        if metrics > limits::METRICS_PER_HOST {
            return Err(Reject::MetricsFull);
        }
        record.metrics = metrics;
        match slot {
            Some(i) => record.metrics_by_plugin[i].1 = count,
            None => record.metrics_by_plugin.push((plg.plugin.into(), count)),
        }
        Ok(())
    }

    /// Makes room: the oldest sample of that plugin goes, the latest never.
    fn drop_oldest_sample(&mut self, id: HostId, plugin: &str) {
        let has_more =
            self.table.host(id).and_then(|h| h.plugin(plugin)).is_some_and(|p| p.samples.len() > 1);
        if !has_more {
            return;
        }
        let mut gone = None;
        self.table.refresh(id, |host| {
            let plugins = Arc::make_mut(&mut host.plugins);
            if let Some(plugin) = plugins.iter_mut().find(|p| &*p.name == plugin) {
                gone = plugin.samples.pop_front();
            }
        });
        if let Some(gone) = gone {
            self.samples.forget(&gone);
        }
    }

    fn save_sample(&mut self, id: HostId, plugin: &str) {
        let Some(host) = self.table.host(id) else { return };
        let Some(plugin) = host.plugin(plugin) else { return };
        let Some(sample) = plugin.latest() else { return };
        let Ok(data) = serde_json::value::RawValue::from_string(sample.data.to_string()) else {
            return;
        };
        let row = saved::SampleRow { at: sample.at.as_secs_f64(), interval: plugin.interval, data };
        if let Ok(json) = serde_json::to_vec(&row) {
            let (host, plugin) = (host.name.clone(), plugin.name.clone());
            self.effects.push_back(Effect::Persist(vec![super::Saved::Sample {
                host,
                plugin,
                json,
            }]));
        }
    }

    pub(super) fn one_off(&mut self, now: Now, id: HostId, msg: &Msg<'_>) {
        let Some(record) = self.table.record(id) else { return };
        if record.is_repeated(msg.mid) {
            return;
        }
        match msg.kind {
            Kind::Boot => {
                record.boot_told = Some(now.wall);
                let name = self.name_of(id);
                self.tell_host(now, id, EventKind::Boot, Some(Level::Info), notice::boot(&name));
            }
            Kind::Shutdown => self.shut_down(now, id),
            Kind::Text => {
                let name = self.name_of(id);
                let text: Arc<str> = msg.text.into();
                self.table.change(id, |host| host.message = Some((now.wall, text)));
                self.mark_unsaved(now, id);
                let text = notice::message(&name, msg.text);
                self.tell_host(now, id, EventKind::Message, Some(Level::Info), text);
            }
        }
    }

    pub(super) fn name_of(&self, id: HostId) -> Arc<str> {
        self.table.host(id).map_or_else(|| Arc::from(""), |h| h.name.clone())
    }

    pub(super) fn severity(&self, id: HostId) -> Option<Severity> {
        self.table.host(id).map(|h| h.severity)
    }

    pub(super) fn state(&self, id: HostId) -> Option<State> {
        self.table.host(id).map(|h| h.state)
    }

    /// Something about one host that has no end: a boot, a message.
    pub(super) fn tell_host(
        &mut self,
        now: Now,
        id: HostId,
        kind: EventKind,
        level: Option<Level>,
        text: String,
    ) {
        let subject = Subject::Outage { host: self.name_of(id) };
        let role = if level.is_some() { Role::Plain } else { Role::Shown };
        self.say(now, Saying { kind, level, ..Saying::new(role, Some(id), subject, text) });
    }
}
