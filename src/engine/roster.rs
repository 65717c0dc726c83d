//! Which hosts there are: declared, appeared, accepted, dropped; what is restored and what is saved of them.

use super::feed::Entry;
use super::host::{Record, severity_of};
use super::view::{self, AlertCounts, EventKind, Gauges, HostId, Plugin, Sample, State};
use super::{Command, Effect, Engine, Outcome, Saved, metric, saved};
use crate::alert::RulesetTable;
use crate::config::server;
use crate::time::{Duration, Mono, Now, Wall};
use std::sync::Arc;

impl Engine {
    /// Takes a record of the store. To be called before the first event, in the order: meta, hosts, samples,
    /// events. What cannot be read is left out and named in the log.
    pub fn restore(&mut self, now: Now, saved: Saved) {
        let restored = match &saved {
            Saved::Host { name, json } => self.restore_host(now, name, json),
            Saved::Sample { host, plugin, json } => self.restore_sample(host, plugin, json),
            Saved::Event { id, json } => self.restore_event(*id, json),
            Saved::Meta { key, json } if &**key == saved::META_KEY => self.restore_meta(json),
            Saved::Part { key, json } => {
                self.told_stale = true;
                self.restore_part(now, key, json)
            }
            Saved::Meta { .. }
            | Saved::HostGone { .. }
            | Saved::EventsBefore { .. }
            | Saved::PartGone { .. } => Some(()),
        };
        if restored.is_none() {
            log::warn!("a saved record could not be read and is left out: {}", label(&saved));
        }
    }

    fn restore_host(&mut self, now: Now, name: &Arc<str>, json: &[u8]) -> Option<()> {
        let row: saved::HostRow = serde_json::from_slice(json).ok()?;
        let name = crate::text::parse_name(name).ok()?;
        if self.table.id(&name).is_none() && self.table.len() >= self.config.hosts_max {
            return None;
        }
        let id = self.table.id(&name).unwrap_or_else(|| self.add_host(now, &name));
        let listening = self.listening(now.mono);
        let config = self.config.clone();
        let record = self.table.record(id)?;
        for link in &row.links {
            let link = link.link(listening);
            let family = link.family as usize;
            record.links[family] = Some(link);
        }
        record.promised = row.promised.filter(|p| p.is_finite() && *p > 0.0);
        record.uptime = row.uptime;
        record.watch_override = row.watch_override;
        record.never_told = row.never_told;
        record.unsaved = false;
        record.resolve(&config);
        let shared: Arc<str> = Arc::from(&*name);
        let parse = |key: &String| metric::parse_subject(&shared, key);
        record.untold = row.untold.iter().filter_map(parse).collect();
        record.flapping = row
            .flapping
            .and_then(|left| Duration::try_from_secs_f64(left).ok())
            .map(|left| listening + left.min(config.flap_window));
        let (mut state, interval) = (record.state(), record.interval(&config));
        let deadline = listening + record.patience.down_after;
        if state == State::Down && row.state == State::Unreachable.as_str() {
            // Its parents may come back without it: it has a deadline to show that.
            state = State::Unreachable;
            record.reprieve = Some(deadline);
        }
        if !record.untold.is_empty() {
            self.restored_until = Some(self.restored_until.map_or(deadline, |u| u.max(deadline)));
        }
        let is_gone = matches!(state, State::Down | State::Unreachable);
        record.gone_at = is_gone.then_some(Mono::ZERO);
        let heard = !row.links.is_empty();
        if heard && !is_gone {
            let until = now.mono + record.patience.down_after;
            self.hold_until = Some(self.hold_until.map_or(until, |u| u.max(until)));
        }
        let record = self.table.record_ref(id)?;
        let mut shown = (**self.table.host(id)?).clone();
        record.show(&mut shown);
        shown.state = state;
        shown.severity = severity_of(state);
        shown.degraded = state == State::Degraded;
        shown.shutdown = row.shutdown;
        shown.since = Wall::from_secs_f64(row.since);
        shown.interval = interval;
        shown.boot_time = row.boot_time.map(Wall::from_secs_f64);
        shown.version = row.version.map(Arc::from);
        shown.message = row.message.map(|(at, text)| (Wall::from_secs_f64(at), Arc::from(text)));
        shown.why = row.why.into();
        shown.watch = record.watch_override.unwrap_or(shown.watch);
        shown.first_seen = Wall::from_secs_f64(row.first_seen);
        self.table.change(id, |host| *host = shown);
        if let Some(dns) = row.dns {
            self.restore_dns(now, id, dns);
        }
        self.restore_metrics(now, id, row.alerts);
        self.restore_raised(now, id, row.raised);
        self.plan_down_reminder(id, state, listening);
        self.schedule(now, id);
        Some(())
    }

    fn restore_sample(&mut self, host: &str, plugin: &Arc<str>, json: &[u8]) -> Option<()> {
        let row: saved::SampleRow = serde_json::from_slice(json).ok()?;
        let id = self.table.id(host)?;
        let data = row.data.get().into();
        let sample = Arc::new(Sample { at: Wall::from_secs_f64(row.at), data });
        let interval = row.interval;
        self.table.refresh(id, |host| {
            let plugins = Arc::make_mut(&mut host.plugins);
            let at = plugins.partition_point(|p| p.name < *plugin);
            let samples = [sample.clone()].into();
            plugins.insert(at, Plugin { name: plugin.clone(), interval, info: true, samples });
        });
        self.samples.note(id, plugin.clone(), &sample);
        self.table.record(id)?.info_due = Some(Mono::MAX);
        Some(())
    }

    fn restore_event(&mut self, id: u64, json: &[u8]) -> Option<()> {
        let row: saved::EventRow = serde_json::from_slice(json).ok()?;
        let event = row.event(id, |name| self.table.id(name))?;
        self.feed.restore(Arc::new(event));
        Some(())
    }

    fn restore_meta(&mut self, json: &[u8]) -> Option<()> {
        let row: saved::MetaRow = serde_json::from_slice(json).ok()?;
        self.accepted = row.accepted.into_iter().collect();
        Some(())
    }

    /// Makes a host that appeared; what the configuration says of it applies at once.
    pub(super) fn add_host(&mut self, now: Now, name: &str) -> HostId {
        let config = self.config.clone();
        let declared = config.hosts.get(name);
        let record = Record::new(now, &config, declared);
        let mut host = view::Host {
            id: 0,
            name: name.into(),
            state: State::Unknown,
            severity: severity_of(State::Unknown),
            since: now.wall,
            first_seen: now.wall,
            shutdown: false,
            degraded: false,
            watch: true,
            declared: false,
            owner: None,
            managers: Arc::default(),
            monitors: Arc::default(),
            group: None,
            tags: Arc::default(),
            description: None,
            interval: record.interval(&config),
            last_seen: None,
            boot_time: None,
            version: None,
            sealed: false,
            maintenance: false,
            connections: [None, None],
            confirmed: [None, None],
            commands: Arc::default(),
            alerts: AlertCounts::default(),
            alert_list: Arc::default(),
            flapping: false,
            outage_silenced: false,
            outage_taken: false,
            gauges: Gauges::default(),
            rtt_hour: None,
            dns: None,
            plugins: Arc::default(),
            why: Arc::from("Never heard from"),
            message: None,
            told: None,
            slow_ver: 0,
            fast_ver: 0,
        };
        describe(&mut host, &config, record.watch_override);
        self.ghosts.forget(name);
        let id = self.table.insert(host, record);
        self.use_ruleset(id);
        self.configure_dns(id);
        self.show_quiet(id);
        self.mark_unsaved(now, id);
        self.dirty = true;
        id
    }

    /// Makes every host that the configuration names; each has one deadline to report.
    pub(super) fn declare(&mut self, now: Now) {
        let config = self.config.clone();
        for name in config.hosts.keys() {
            if self.table.id(name).is_none() && self.table.len() < config.hosts_max {
                let id = self.add_host(now, name);
                self.schedule_never(now, id);
            }
        }
    }

    pub(super) fn reload(&mut self, now: Now, config: Arc<server::Server>) {
        self.config = config;
        self.rules = RulesetTable::compile(&self.config);
        self.outbox.configure(&self.config);
        self.relate();
        self.plan(now);
        self.declare(now);
        let config = self.config.clone();
        for id in self.table.ids() {
            let name = self.name_of(id);
            let declared = config.hosts.get(&*name);
            let was_declared = self.table.host(id).is_some_and(|h| h.declared);
            let Some(record) = self.table.record(id) else { continue };
            let never_heard = record.links.iter().all(Option::is_none);
            if declared.is_none() && never_heard && was_declared && !record.keyed {
                self.remove_host(&name);
                continue;
            }
            record.configure(&config, declared);
            let (watch_override, interval) = (record.watch_override, record.interval(&config));
            self.table.change(id, |host| {
                describe(host, &config, watch_override);
                host.declared |= host.sealed;
                host.interval = interval;
            });
            self.use_ruleset(id);
            self.drop_unruled(now, id);
            self.settle(now, id, None);
            self.schedule(now, id);
            self.catch_up(now, id);
        }
        self.configure_all_dns();
        self.turn_calendar(now);
        self.dirty = true;
    }

    pub(super) fn command(&mut self, now: Now, command: Command) -> Outcome {
        match command {
            Command::Dns { .. } => self.ask_dns(now, &command),
            Command::Watch { host, watch } => self.set_watch(now, &host, watch),
            Command::Drop { host } => self.drop_host(now, &host),
            Command::Run { host, wish } => self.run(now, &host, wish),
            Command::Upgrade { host, package, by } => self.upgrade(now, &host, package, by),
            Command::Ghost { name, accept } => self.answer_ghost(now, &name, accept),
            Command::Acknowledge { request, by } => {
                let made = self.calendar.acknowledge(now, request, by.as_deref());
                self.answer(now, made, Outcome::Acknowledged)
            }
            Command::Unacknowledge { id } => {
                let made = self.calendar.unacknowledge(&id);
                self.answer(now, made, |_| Outcome::Done)
            }
            Command::Silence { request, by } => {
                let made = self.calendar.silence(now, request, by.as_deref());
                self.answer(now, made, |silence| Outcome::Made(silence.id.to_string()))
            }
            Command::Unsilence { id } => {
                let made = self.calendar.unsilence(&id);
                self.answer(now, made, |_| Outcome::Done)
            }
            Command::Plan { request, by } => {
                let made = self.calendar.plan(now, request, by.as_deref());
                self.answer(now, made, |window| Outcome::Made(window.id.to_string()))
            }
            Command::EndPlan { id } => {
                let made = self.calendar.end(&id);
                self.answer(now, made, |_| Outcome::Done)
            }
            Command::By { user, command } => {
                self.actor = Some(user);
                let outcome = self.command(now, *command);
                self.actor = None;
                outcome
            }
            Command::Configure { config } => {
                self.reload(now, config.0);
                Outcome::Done
            }
            Command::Note { kind, host, level, text } => {
                let host = host.and_then(|name| Some((self.table.id(&name)?, name)));
                let (from, to) = (None, None);
                self.publish(now, Entry { kind, host, level, from, to, text });
                Outcome::Done
            }
        }
    }

    fn set_watch(&mut self, now: Now, name: &str, watch: bool) -> Outcome {
        let Some(id) = self.table.id(name) else { return Outcome::NoSuchHost };
        if let Some(record) = self.table.record(id) {
            record.watch_override = Some(watch);
        }
        self.table.change(id, |host| host.watch = watch);
        self.mark_unsaved(now, id);
        self.save();
        let text = format!("{name} is {}", if watch { "watched" } else { "not watched any more" });
        self.tell_host(now, id, EventKind::Config, None, text);
        self.catch_up(now, id);
        Outcome::Done
    }

    fn drop_host(&mut self, now: Now, name: &str) -> Outcome {
        if self.table.id(name).is_none() {
            return Outcome::NoSuchHost;
        }
        self.remove_host(name);
        if self.accepted.remove(name) {
            self.save_meta();
        }
        let (from, to, level, host) = (None, None, None, None);
        let text = format!("{name} was dropped");
        self.publish(now, Entry { kind: EventKind::Config, host, level, from, to, text });
        // A declared host stays declared: it waits for its first heartbeat anew. So does one with a key.
        self.declare(now);
        self.declare_keyed(now);
        Outcome::Done
    }

    pub(super) fn remove_host(&mut self, name: &str) {
        let Some(id) = self.table.id(name) else { return };
        let Some(host) = self.table.remove(id) else { return };
        self.forget_dns(id);
        for sample in host.plugins.iter().flat_map(|p| &p.samples) {
            self.samples.forget(sample);
        }
        self.dirty = true;
        self.outbox.close_host(self.turn, &host.name);
        self.calendar.forget_host(&host.name);
        self.outbox_stirred = true;
        self.record_gone(&host.name);
        self.forget_commands(&host.name);
        self.effects.push_back(Effect::Persist(vec![Saved::HostGone { name: host.name.clone() }]));
    }

    fn answer_ghost(&mut self, now: Now, name: &str, accept: bool) -> Outcome {
        if !self.ghosts.forget(name) {
            return Outcome::NoSuchHost;
        }
        self.dirty = true;
        if accept {
            self.accepted.insert(name.to_owned());
            self.save_meta();
        }
        let text = format!("{name} was {}", if accept { "accepted" } else { "ignored" });
        let (from, to, level, host) = (None, None, None, None);
        self.publish(now, Entry { kind: EventKind::Ghost, host, level, from, to, text });
        Outcome::Done
    }

    fn save_meta(&mut self) {
        let row = saved::MetaRow { accepted: self.accepted.iter().cloned().collect() };
        if let Ok(json) = serde_json::to_vec(&row) {
            self.effects.push_back(Effect::Persist(vec![Saved::Meta {
                key: saved::META_KEY.into(),
                json,
            }]));
        }
    }

    /// Hands out the rows of all hosts.
    pub(super) fn save_all(&mut self) {
        let rows: Vec<Saved> = self.table.ids().into_iter().filter_map(|id| self.row(id)).collect();
        for id in self.unsaved.drain(..) {
            if let Some(record) = self.table.record(id) {
                record.unsaved = false;
            }
        }
        self.save_due = None;
        if !rows.is_empty() {
            self.effects.push_back(Effect::Persist(rows));
        }
    }

    pub(super) fn row(&self, id: HostId) -> Option<Saved> {
        let (host, record) = (self.table.host(id)?, self.table.record_ref(id)?);
        let row = saved::HostRow {
            state: host.state.as_str().to_owned(),
            since: host.since.as_secs_f64(),
            shutdown: host.shutdown,
            links: record.links.iter().flatten().map(saved::LinkRow::of).collect(),
            promised: record.promised,
            uptime: record.uptime,
            boot_time: host.boot_time.map(Wall::as_secs_f64),
            version: host.version.as_deref().map(str::to_owned),
            message: host.message.as_ref().map(|(at, text)| (at.as_secs_f64(), text.to_string())),
            why: host.why.to_string(),
            watch_override: record.watch_override,
            never_told: record.never_told,
            first_seen: host.first_seen.as_secs_f64(),
            alerts: self.alert_rows(id),
            raised: self.raised_rows(id),
            untold: record.untold.iter().map(metric::subject_key).collect(),
            dns: super::dyndns::row(record),
            flapping: record
                .flapping
                .map(|until| until.since(self.listening(self.turn.mono)).as_secs_f64()),
        };
        let json = serde_json::to_vec(&row).ok()?;
        Some(Saved::Host { name: host.name.clone(), json })
    }
}

/// Copies onto a host what its configuration says; without one, what holds for a host that just appeared.
fn describe(host: &mut view::Host, config: &server::Server, watch_override: Option<bool>) {
    let declared = config.hosts.get(&*host.name);
    let roles = config.roles(&host.name);
    let names = |list: &[String]| list.iter().map(|name| Arc::from(&**name)).collect();
    let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
    host.declared = declared.is_some();
    host.watch = watch_override.unwrap_or(declared.is_none_or(|d| d.watch));
    host.owner = roles.owner.map(Arc::from);
    host.managers = names(roles.managers);
    host.monitors = names(roles.monitors);
    host.group = config.group(&host.name).map(Arc::from);
    host.description = declared.and_then(|d| shared(&d.description));
    host.tags = names(config.tags(&host.name));
    if host.state == State::Unknown {
        host.why = Arc::from(match declared {
            Some(_) => "In the configuration, never heard from",
            None => "Never heard from",
        });
    }
}

fn label(saved: &Saved) -> String {
    match saved {
        Saved::Host { name, .. } | Saved::HostGone { name } => format!("host {name}"),
        Saved::Sample { host, plugin, .. } => format!("sample {plugin} of {host}"),
        Saved::Event { id, .. } | Saved::EventsBefore { id } => format!("event {id}"),
        Saved::Meta { key, .. } => format!("meta {key}"),
        Saved::Part { key, .. } | Saved::PartGone { key } => key.to_string(),
    }
}
