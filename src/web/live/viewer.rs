//! One client on the live protocol: what it asked for, what it holds, and which frames are due.

use super::frame::{self, Change, Fast};
use super::request::{HostTopic, Open, Request};
use super::{BEAT_MS, Close, Scope, is_resumable};
use crate::engine::view::{Event, Host, HostId, View};
use crate::time::{Duration, Mono, Now, Wall};
use crate::web::Caller;
use crate::web::authz::{Level, is_event_shown, level, live_scope, reach};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of the feed told on `open`.
const EVENTS_AT_OPEN_MAX: usize = 50;
/// Entries in one later frame; a client that fell further behind asks `GET events` for the rest.
const EVENTS_PER_FRAME_MAX: usize = 200;
/// A client that asks again and again costs at most one snapshot in this time.
const SNAP_GAP: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_millis(BEAT_MS);

/// One browser or tool; the shell owns its socket. The contract: `hello` once, then `receive` what
/// comes, and `poll` when a view was published or `poll_timeout` passed, but only after all that
/// was returned before has left for the network. So a slow client's frames never pile up (rule 5).
pub struct Viewer {
    scope: Scope,
    caller: Caller,
    /// Set by `open`; nothing is sent before.
    open: Option<Topics>,
    /// Epoch and version that the client holds; `None` asks for a snapshot.
    have: Option<(u32, u64)>,
    /// Up to here there was nothing to tell beyond `have`.
    scanned: u64,
    /// The counts the client holds.
    sum: Option<[u32; 8]>,
    /// Rows on its screen, sorted.
    shown: Vec<HostId>,
    /// Those of `shown` whose fast columns it may never have got.
    fresh: Vec<HostId>,
    /// The newest entry of the feed that it was told.
    event: Option<u64>,
    host: Option<HostTopic>,
    /// Of that host: when the last sample told was collected, by plugin.
    samples: BTreeMap<Arc<str>, Wall>,
    /// No delta before.
    next_frame: Mono,
    next_snap: Mono,
    next_beat: Mono,
    /// Something may be waiting for `next_frame`.
    pending: bool,
}

struct Topics {
    fleet: bool,
    events: bool,
    interval: Duration,
}

impl Viewer {
    /// A client that may see every host.
    pub fn new(now: Mono) -> Viewer {
        Viewer::scoped(now, Scope::all())
    }

    /// The client of somebody: it may see what lists show them.
    pub fn of(now: Mono, caller: &Caller) -> Viewer {
        Viewer { caller: caller.clone(), ..Viewer::scoped(now, live_scope(caller)) }
    }

    pub fn scoped(now: Mono, scope: Scope) -> Viewer {
        Viewer {
            scope,
            caller: Caller::Open,
            open: None,
            have: None,
            scanned: 0,
            sum: None,
            shown: Vec::new(),
            fresh: Vec::new(),
            event: None,
            host: None,
            samples: BTreeMap::new(),
            next_frame: now,
            next_snap: now,
            next_beat: now + BEAT,
            pending: false,
        }
    }

    /// The client's roles changed: it is told anew what it may see (rule 6).
    pub fn rescope(&mut self, scope: Scope) {
        self.scope = scope;
        self.have = None;
        self.pending = true;
    }

    /// The first frame.
    pub fn hello(&self, view: &View, now: Now) -> String {
        frame::hello(view, now, &self.caller)
    }

    /// Takes a text message of the client. An error closes the connection.
    pub fn receive(&mut self, now: Now, text: &str) -> Result<(), Close> {
        match Request::parse(text)? {
            Request::Open(open) => {
                // Which hosts: of a user's own choice, within what they may see.
                if let Caller::User(_) = self.caller {
                    self.scope =
                        if open.all { reach(&self.caller) } else { live_scope(&self.caller) };
                }
                self.handle_open(now.mono, &open);
            }
            Request::View(ids) => {
                let known = |id: &HostId| self.shown.binary_search(id).is_ok();
                let waiting = |id: &HostId| self.fresh.contains(id);
                let fresh = ids.iter().copied().filter(|id| !known(id) || waiting(id)).collect();
                self.fresh = fresh;
                self.shown = ids;
            }
            Request::Host(topic) => {
                self.host = topic;
                self.samples.clear();
            }
            Request::Resync => self.have = None,
            Request::Pong => return Ok(()),
        }
        self.pending = true;
        Ok(())
    }

    /// The frames due now, in order; deltas are conflated into one from what the client holds to
    /// this view.
    pub fn poll(&mut self, now: Now, view: &Arc<View>) -> Vec<String> {
        let mut frames = Vec::new();
        let Some(topics) = &self.open else { return frames };
        let (fleet, events, interval) = (topics.fleet, topics.events, topics.interval);
        let beat = now.mono >= self.next_beat;
        if now.mono < self.next_frame && !beat {
            self.pending = true;
            return frames;
        }
        if fleet && !self.poll_fleet(now.mono, view, beat, &mut frames) {
            self.pending = true;
            self.next_frame = self.next_snap;
            self.next_beat = self.next_beat.max(self.next_snap);
            return frames;
        }
        if events {
            self.poll_events(view, &mut frames);
        }
        self.poll_samples(view, &mut frames);
        if !frames.is_empty() {
            self.next_frame = now.mono + interval;
        }
        if beat {
            frames.push(frame::beat(view.ver, now));
            self.next_beat = now.mono + BEAT;
        }
        self.pending = false;
        frames
    }

    /// When to poll at the latest; a view published before may give cause to poll earlier.
    pub fn poll_timeout(&self) -> Mono {
        match &self.open {
            None => Mono::MAX,
            Some(_) if self.pending => self.next_frame.min(self.next_beat),
            Some(_) => self.next_beat,
        }
    }

    fn handle_open(&mut self, now: Mono, open: &Open) {
        self.have = open.resume;
        self.scanned = open.resume.map_or(0, |(_, seq)| seq);
        self.sum = None;
        self.fresh = self.shown.clone();
        self.event = None;
        self.next_beat = now + BEAT;
        self.open = Some(Topics {
            fleet: open.fleet,
            events: open.events,
            interval: Duration::from_secs_f64(1.0 / open.rate),
        });
    }

    /// `false` where a snapshot is wanted too soon after the last one.
    fn poll_fleet(&mut self, now: Mono, view: &View, beat: bool, frames: &mut Vec<String>) -> bool {
        match self.have {
            // Rule 3 also for a connected client: below the floor there may be rows it must drop.
            Some((epoch, have)) if is_resumable(view, (epoch, self.scanned)) => {
                frames.extend(self.delta(view, have, beat));
            }
            _ if now < self.next_snap => return false,
            _ => {
                let counts = frame::sum(view, &self.scope);
                frames.push(frame::snap(view, &self.scope, &counts, None));
                self.sum = Some(counts);
                self.next_snap = now + SNAP_GAP;
                self.hold(view);
            }
        }
        true
    }

    /// The delta from `have`. There is none where nothing concerns this client, except before a
    /// beat: so the client can compare the beat's version with its own, and its place to resume
    /// from stays young.
    fn delta(&mut self, view: &View, have: u64, beat: bool) -> Option<String> {
        if view.ver == have {
            return None;
        }
        let fast = Fast::Shown { ids: &self.shown, fresh: &self.fresh };
        let change = Change::collect(view, self.scanned, &fast, &self.scope);
        if change.is_empty() && !beat {
            self.scanned = view.ver;
            return None;
        }
        let counts = frame::sum(view, &self.scope);
        let frame = frame::delta(view, have, &change, (&counts, self.sum.as_ref()), None);
        self.sum = Some(counts);
        self.hold(view);
        Some(frame)
    }

    fn hold(&mut self, view: &View) {
        self.have = Some((view.epoch & 0xff_ffff, view.ver));
        self.scanned = view.ver;
        self.fresh.clear();
    }

    fn poll_events(&mut self, view: &View, frames: &mut Vec<String>) {
        let newest = view.events.back().map_or(0, |event| event.id);
        let (told, count_max) = match self.event {
            Some(told) => (told, EVENTS_PER_FRAME_MAX),
            None => (0, EVENTS_AT_OPEN_MAX),
        };
        if newest <= told {
            return;
        }
        let new = view.events.iter().rev().take_while(|event| event.id > told);
        let mut items: Vec<&Arc<Event>> =
            new.filter(|event| self.shows(view, event)).take(count_max).collect();
        items.reverse();
        if !items.is_empty() {
            frames.push(frame::events(view.ver, items));
        }
        self.event = Some(newest);
    }

    fn shows(&self, view: &View, event: &Event) -> bool {
        match &event.host {
            _ if self.scope.is_all() => true,
            Some((id, _)) => view.hosts.get(*id).is_some_and(|host| self.scope.shows(host)),
            None => is_event_shown(event, &self.caller, &|_| false),
        }
    }

    fn poll_samples(&mut self, view: &View, frames: &mut Vec<String>) {
        let Some(topic) = &self.host else { return };
        // A monitor's host is in no list, and its page has the numbers all the same.
        let reaches = |host: &Host| match self.caller {
            Caller::User(_) => level(&self.caller, host) > Level::Nothing,
            _ => self.scope.shows(host),
        };
        let Some(host) = view.hosts.get(topic.id).filter(|host| reaches(host)) else { return };
        for plugin in host.plugins.iter().filter(|plugin| topic.plugins.contains(&plugin.name)) {
            let Some(sample) = plugin.latest() else { continue };
            if self.samples.insert(plugin.name.clone(), sample.at) != Some(sample.at) {
                frames.push(frame::metric(host.id, &plugin.name, sample));
            }
        }
        if self.samples.len() > host.plugins.len() {
            self.samples.retain(|name, _| host.plugin(name).is_some());
        }
    }
}
