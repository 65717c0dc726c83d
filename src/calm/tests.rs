//! Behaviour of the calendar as its owner sees it: what is quiet, what changes, what outlives a restart.

use super::zone::fixture::{at, zones};
use super::*;
use crate::config::server::{End, Repeat, Start, TimeOfDay, Window};
use crate::limits;
use crate::time::{Duration, Now, Wall};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write as _;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// A calendar on a virtual clock, and what it said.
struct Rig {
    calendar: Calendar,
    now: Now,
    told: String,
}

impl Rig {
    /// At a local time of Zurich.
    fn new(start: &str) -> Rig {
        let wall = at("Europe/Zurich", start);
        let now = Now { wall, mono: crate::time::Mono::from_secs(1000) };
        Rig { calendar: Calendar::new(zones()), now, told: String::new() }
    }

    fn configure(&mut self, windows: &[Window]) -> Vec<(String, Fault)> {
        self.calendar.configure(self.now, zones(), windows)
    }

    fn turn(&mut self) {
        for change in self.calendar.turn(self.now) {
            let (verb, what) = match &change {
                Change::Began(what) => ("began", what),
                Change::Ended(what) => ("ended", what),
            };
            let name = match what {
                What::Maintenance(window) => window.id.to_string(),
                What::Silence(silence) => format!("{} {}", silence.id, silence.matcher),
                What::Acknowledgement(ack) => format!("{} {}", ack.id, ack.alert),
            };
            let _ = writeln!(self.told, "{} {verb} {name}", self.clock());
        }
    }

    fn clock(&self) -> String {
        let moment = jiff::Timestamp::from_microsecond(self.now.wall.as_micros()).unwrap();
        let zone = super::zone::fixture::find("Europe/Zurich").unwrap();
        moment.to_zoned(zone).strftime("%d %H:%M:%S").to_string()
    }

    /// Sleeps as an owner does: to each timeout, until `span` has passed.
    fn elapse(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.turn();
            let due = self.calendar.poll_timeout(self.now).unwrap_or(crate::time::Mono::MAX);
            assert!(due > self.now.mono, "a turn at its own timeout leaves nothing due");
            if due >= end.mono {
                break;
            }
            self.now = self.now + due.since(self.now.mono);
        }
        self.now = end;
        self.turn();
    }

    /// Moves the wall clock alone.
    fn step(&mut self, secs: i64) {
        self.now.wall = Wall::from_micros(self.now.wall.as_micros() + secs * 1_000_000);
        self.turn();
    }

    /// A restart: another calendar with the rows of this one.
    fn restart(&mut self, away: Duration, windows: &[Window], rows: &mut Rows) {
        rows.save(&mut self.calendar);
        self.now = self.now + away;
        self.calendar = Calendar::new(zones());
        self.configure(windows);
        for (key, json) in &rows.0 {
            self.calendar.restore(self.now, key, json).unwrap();
        }
        self.turn();
    }

    fn is_quiet(&self, host: &str) -> bool {
        self.calendar.quiet(&Target { host, ..Target::default() }).is_quiet()
    }

    fn silence(&mut self, body: &str) -> Result<String, Fault> {
        let request = SilenceRequest::parse(body.as_bytes())?;
        self.calendar.silence(self.now, request, Some("alice")).map(|made| made.id.to_string())
    }

    fn plan(&mut self, body: &str) -> Result<String, Fault> {
        let request = MaintenanceRequest::parse(body.as_bytes())?;
        self.calendar.plan(self.now, request, Some("alice")).map(|made| made.id.to_string())
    }

    fn acknowledge(&mut self, body: &str) -> Result<Vec<String>, Fault> {
        let request = AckRequest::parse(body.as_bytes())?;
        let made = self.calendar.acknowledge(self.now, request, Some("alice"))?;
        Ok(made.iter().map(|ack| ack.id.to_string()).collect())
    }

    fn check(&mut self, want: Expect) {
        want.assert_eq(&std::mem::take(&mut self.told));
    }
}

/// The store: the last row of each key.
#[derive(Default)]
struct Rows(std::collections::BTreeMap<String, Vec<u8>>);

impl Rows {
    fn save(&mut self, calendar: &mut Calendar) {
        for Saved { key, json } in calendar.take_unsaved() {
            match json {
                Some(json) => self.0.insert(key, json),
                None => self.0.remove(&key),
            };
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// 22:00 to 23:00 every day on hosts `web*`.
fn nightly() -> Window {
    let time = |hour| TimeOfDay { hour, minute: 0, second: 0 };
    Window {
        id: "nightly".to_owned(),
        hosts: vec!["web*".to_owned()],
        tags: Vec::new(),
        groups: Vec::new(),
        start: Start::Daily(time(22)),
        end: End::At(Start::Daily(time(23))),
        repeat: Repeat::Daily,
        days: Vec::new(),
        zone: None,
        reason: None,
    }
}

fn nightly_rig(start: &str) -> Rig {
    let mut rig = Rig::new(start);
    assert!(rig.configure(&[nightly()]).is_empty());
    rig.turn();
    rig
}

#[test]
fn window_of_the_configuration_begins_and_ends_on_time() {
    let mut rig = nightly_rig("2026-11-22T12:00");
    rig.elapse(36 * HOUR);
    rig.check(expect![[r#"
        22 22:00:00 began nightly
        22 23:00:00 ended nightly
        23 22:00:00 began nightly
        23 23:00:00 ended nightly
    "#]]);
    let mut rig = nightly_rig("2026-11-22T22:59");
    assert!(rig.is_quiet("web1") && !rig.is_quiet("db1"));
    let quiet = rig.calendar.quiet(&Target { host: "web1", ..Target::default() });
    assert_eq!(quiet.maintenance.as_deref(), Some("nightly"));
    rig.elapse(MINUTE);
    assert!(!rig.is_quiet("web1"));
}

#[test]
fn silence_ends_at_its_time_and_is_forgotten() {
    let mut rig = Rig::new("2026-11-22T12:00");
    assert_eq!(
        rig.silence(r#"{"match":{"host":"web*"},"duration":"30m","reason":"x"}"#).unwrap(),
        "s1"
    );
    assert_eq!(
        rig.silence(r#"{"match":{"plugin":"cpu*"},"until":"2026-11-22T13:00"}"#).unwrap(),
        "s2"
    );
    let cpu = Target { host: "web1", plugin: Some("cpu_monitor"), ..Target::default() };
    assert_eq!(
        rig.calendar.quiet(&cpu).silence.as_deref(),
        Some("s2"),
        "the one that lasts longest"
    );
    assert!(rig.is_quiet("web1") && !rig.is_quiet("db1"));
    rig.elapse(2 * HOUR);
    rig.check(expect![[r#"
        22 12:00:00 began s1 host:web*
        22 12:00:00 began s2 plugin:cpu*
        22 12:30:00 ended s1 host:web*
        22 13:00:00 ended s2 plugin:cpu*
    "#]]);
    assert_eq!(rig.calendar.silences().count(), 0);
    assert_eq!(rig.calendar.poll_timeout(rig.now), None);
}

#[test]
fn silence_that_is_taken_back_ends_at_once() {
    let mut rig = Rig::new("2026-11-22T12:00");
    let id = rig.silence(r#"{"match":{"host":"*"},"duration":"30m"}"#).unwrap();
    rig.turn();
    assert_eq!(rig.calendar.unsilence("s9").unwrap_err().kind, FaultKind::NotFound);
    rig.calendar.unsilence(&id).unwrap();
    assert!(!rig.is_quiet("web1"));
    assert_eq!(rig.calendar.poll_timeout(rig.now), Some(rig.now.mono), "the end is to be told");
    rig.elapse(HOUR);
    rig.check(expect![[r#"
        22 12:00:00 began s1 host:*
        22 12:00:00 ended s1 host:*
    "#]]);
}

#[test]
fn acknowledgement_lasts_until_its_time_or_the_recovery() {
    let mut rig = Rig::new("2026-11-22T12:00");
    let ids =
        rig.acknowledge(r#"{"ids":["web1/host","db1/cpu_monitor.cpu_percent"],"reason":"r"}"#);
    assert_eq!(ids.unwrap(), ["a1", "a2"]);
    // Again: the same id with new words and an end.
    let again = rig.acknowledge(r#"{"ids":["web1/host"],"until":"2026-11-22T13:00","reason":"s"}"#);
    assert_eq!(again.unwrap(), ["a1"]);
    let ack = rig.calendar.acknowledged("web1/host").unwrap();
    assert_eq!((ack.by.as_deref(), ack.reason.as_str()), (Some("alice"), "s"));
    assert_eq!(ack.until, Some(at("Europe/Zurich", "2026-11-22T13:00")));
    rig.elapse(2 * HOUR);
    rig.check(expect![[r#"
        22 12:00:00 began a1 web1/host
        22 12:00:00 began a2 db1/cpu_monitor.cpu_percent
        22 12:00:00 began a1 web1/host
        22 13:00:00 ended a1 web1/host
    "#]]);
    assert!(rig.calendar.acknowledged("web1/host").is_none());
    assert!(rig.calendar.acknowledged("db1/cpu_monitor.cpu_percent").is_some());
    rig.calendar.recovered("db1/cpu_monitor.cpu_percent");
    assert_eq!(rig.calendar.acknowledgements().count(), 0);
    rig.turn();
    rig.check(expect![[""]]);
}

#[test]
fn acknowledgement_is_taken_back_by_either_id() {
    let mut rig = Rig::new("2026-11-22T12:00");
    rig.acknowledge(r#"{"ids":["web1/host","web1/a.b"]}"#).unwrap();
    rig.calendar.unacknowledge("a1").unwrap();
    rig.calendar.unacknowledge("web1/a.b").unwrap();
    assert_eq!(rig.calendar.unacknowledge("a1").unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(rig.calendar.acknowledgements().count(), 0);
}

#[test]
fn planned_window_begins_ends_and_is_forgotten() {
    let mut rig = Rig::new("2026-11-22T12:00");
    let id = rig
        .plan(r#"{"hosts":["web1"],"start":"2026-11-22T13:00","end":"2026-11-22T14:00"}"#)
        .unwrap();
    assert_eq!(id, "m1");
    // From now on, in another zone: 18:00 in Kathmandu is 13:15 here.
    rig.plan(r#"{"hosts":["db1"],"end":"2026-11-22T18:00","zone":"Asia/Kathmandu"}"#).unwrap();
    rig.elapse(3 * HOUR);
    rig.check(expect![[r#"
        22 12:00:00 began m2
        22 13:00:00 began m1
        22 13:15:00 ended m2
        22 14:00:00 ended m1
    "#]]);
    assert_eq!(rig.calendar.maintenances().count(), 0);
}

#[test]
fn window_is_ended_through_the_api_unless_it_is_the_configurations() {
    let mut rig = nightly_rig("2026-11-22T22:30");
    rig.plan(r#"{"duration":"2h"}"#).unwrap();
    rig.turn();
    rig.calendar.end("m1").unwrap();
    assert_eq!(rig.calendar.end("m1").unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(rig.calendar.end("nightly").unwrap_err().kind, FaultKind::Configured);
    rig.turn();
    rig.check(expect![[r#"
        22 22:30:00 began nightly
        22 22:30:00 began m1
        22 22:30:00 ended m1
    "#]]);
}

#[test]
fn host_plans_its_own_maintenance_and_ends_it() {
    let mut rig = Rig::new("2026-11-22T12:00");
    rig.calendar.plan_own(rig.now, "web1", HOUR, "kernel");
    assert!(rig.is_quiet("web1") && !rig.is_quiet("web11"));
    rig.elapse(30 * MINUTE);
    rig.calendar.plan_own(rig.now, "web1", HOUR, "longer");
    rig.calendar.plan_own(rig.now, "web2", HOUR, "");
    rig.elapse(15 * MINUTE);
    rig.calendar.plan_own(rig.now, "web2", Duration::ZERO, "");
    rig.elapse(2 * HOUR);
    rig.check(expect![[r#"
        22 12:00:00 began host:web1
        22 12:30:00 began host:web2
        22 12:45:00 ended host:web2
        22 13:30:00 ended host:web1
    "#]]);
    rig.calendar.plan_own(rig.now, "web1", HOUR, "kernel");
    rig.turn();
    rig.calendar.end("host:web1").unwrap();
    assert!(!rig.is_quiet("web1"));
}

#[test]
fn requests_that_make_no_sense_now_are_refused() {
    let mut rig = Rig::new("2026-11-22T12:00");
    let show = |fault: Option<Fault>| fault.map(|fault| fault.to_string()).unwrap_or_default();
    let table = [
        (
            show(rig.silence(r#"{"match":{"host":"a"},"until":5}"#).err()),
            "until: that time is over",
        ),
        (
            show(rig.acknowledge(r#"{"ids":["a/host"],"until":5}"#).err()),
            "until: that time is over",
        ),
        (show(rig.plan(r#"{"start":1,"end":5}"#).err()), "end: that time is over"),
        (
            show(rig.plan(r#"{"end":"2026-11-22T11:00"}"#).err()),
            "end: the window ends before it starts",
        ),
        (
            show(rig.plan(r#"{"end":"2026-11-22T18:00","zone":"Mars/Olympus"}"#).err()),
            "zone: the time zone \"Mars/Olympus\" is not known here",
        ),
    ];
    for (got, want) in table {
        assert_eq!(got, want);
    }
    assert_eq!(rig.calendar.take_unsaved(), []);
}

#[test]
fn tables_have_bounds() {
    let mut rig = Rig::new("2026-11-22T12:00");
    for _ in 0..limits::SILENCES {
        rig.silence(r#"{"match":{"host":"a"},"duration":60}"#).unwrap();
    }
    let over = rig.silence(r#"{"match":{"host":"a"},"duration":60}"#).unwrap_err();
    assert_eq!(over.kind, FaultKind::Full);
    for _ in 0..limits::MAINTENANCE {
        rig.plan(r#"{"hosts":["a"],"duration":60}"#).unwrap();
    }
    assert_eq!(rig.plan(r#"{"duration":60}"#).unwrap_err().kind, FaultKind::Full);
    let ids: Vec<String> = (0..limits::ACKNOWLEDGEMENTS).map(|i| format!("h{i}/host")).collect();
    let request = |ids| AckRequest { ids, until: None, reason: String::new() };
    rig.calendar.acknowledge(rig.now, request(ids.clone()), None).unwrap();
    rig.calendar.acknowledge(rig.now, request(ids), None).expect("those that are there already");
    let more = rig.calendar.acknowledge(rig.now, request(vec!["x/host".to_owned()]), None);
    assert_eq!(more.unwrap_err().kind, FaultKind::Full);
    // All of it passes.
    rig.elapse(MINUTE);
    assert_eq!((rig.calendar.silences().count(), rig.calendar.maintenances().count()), (0, 0));
}

#[test]
fn clock_set_forward_over_the_end_ends_the_window_once() {
    let mut rig = nightly_rig("2026-11-22T22:30");
    rig.step(3600);
    rig.elapse(MINUTE);
    rig.step(-3600);
    rig.elapse(2 * HOUR);
    rig.check(expect![[r#"
        22 22:30:00 began nightly
        22 23:30:00 ended nightly
    "#]]);
    // The next day's is another one.
    rig.elapse(24 * HOUR);
    rig.check(expect![[r#"
        23 22:00:00 began nightly
        23 23:00:00 ended nightly
    "#]]);
}

#[test]
fn clock_set_back_over_the_end_does_not_repeat_it() {
    let mut rig = nightly_rig("2026-11-22T21:00");
    rig.elapse(2 * HOUR + 10 * MINUTE);
    rig.step(-3600);
    rig.elapse(2 * HOUR);
    rig.check(expect![[r#"
        22 22:00:00 began nightly
        22 23:00:00 ended nightly
    "#]]);
}

#[test]
fn clock_set_back_before_the_start_goes_on_to_the_same_end() {
    let mut rig = nightly_rig("2026-11-22T22:30");
    rig.step(-3600);
    assert!(rig.is_quiet("web1"));
    rig.elapse(3 * HOUR);
    rig.check(expect![[r#"
        22 22:30:00 began nightly
        22 23:00:00 ended nightly
    "#]]);
}

#[test]
fn clock_at_1970_for_a_while_neither_loses_nor_repeats_an_end() {
    let mut rig = nightly_rig("2026-11-22T22:30");
    let id = rig.silence(r#"{"match":{"host":"db*"},"duration":"1h"}"#).unwrap();
    rig.turn();
    let back = rig.now.wall.as_secs() - 100;
    rig.step(-back);
    rig.elapse(10 * MINUTE);
    assert!(rig.is_quiet("web1") && rig.is_quiet("db1"), "{id}");
    rig.step(back);
    rig.elapse(2 * HOUR);
    rig.check(expect![[r#"
        22 22:30:00 began nightly
        22 22:30:00 began s1 host:db*
        22 23:00:00 ended nightly
        22 23:30:00 ended s1 host:db*
    "#]]);
}

#[test]
fn clock_that_stays_at_1970_keeps_nothing_quiet_for_ever() {
    let mut rig = nightly_rig("2026-11-22T22:30");
    rig.silence(r#"{"match":{"host":"db*"},"duration":"1h"}"#).unwrap();
    rig.turn();
    rig.check(expect![[r#"
        22 22:30:00 began nightly
        22 22:30:00 began s1 host:db*
    "#]]);
    // To noon of 1970: half an hour and an hour were left, and two hours more are allowed.
    rig.step(-rig.now.wall.as_secs() + 11 * 3600);
    rig.elapse(4 * HOUR);
    rig.check(expect![[r#"
        01 14:30:00 ended nightly
        01 15:00:00 ended s1 host:db*
    "#]]);
}

#[test]
fn clock_far_ahead_for_a_while_loses_no_planned_window() {
    let mut rig = Rig::new("2026-11-22T12:00");
    rig.plan(r#"{"start":"2026-11-22T13:00","end":"2026-11-22T14:00"}"#).unwrap();
    rig.step(70 * 365 * 86_400);
    rig.elapse(10 * MINUTE);
    rig.step(-70 * 365 * 86_400);
    rig.elapse(5 * HOUR);
    rig.check(expect![[r#"
        22 13:00:00 began m1
        22 14:00:00 ended m1
    "#]]);
    assert_eq!(rig.calendar.maintenances().count(), 0);
}

#[test]
fn restart_keeps_all_and_tells_the_end_that_it_slept_through() {
    let windows = [nightly()];
    let mut rig = nightly_rig("2026-11-22T22:30");
    let mut rows = Rows::default();
    rig.silence(r#"{"match":{"host":"db*","path":"disk*"},"duration":"2h","reason":"r"}"#).unwrap();
    rig.acknowledge(r#"{"ids":["web1/host"]}"#).unwrap();
    rig.plan(r#"{"tags":["lab"],"start":"03:00","end":"04:00","repeat":"monthly","days":["2nd tue",31]}"#)
        .unwrap();
    rig.calendar.plan_own(rig.now, "pc", HOUR, "kernel");
    rig.turn();
    let shown = |rig: &Rig| {
        let silences: Vec<Silence> = rig.calendar.silences().map(|s| (**s).clone()).collect();
        let acks: Vec<Acknowledgement> =
            rig.calendar.acknowledgements().map(|a| (**a).clone()).collect();
        let windows: Vec<_> =
            rig.calendar.maintenances().map(|(m, r)| ((**m).clone(), r)).collect();
        (silences, acks, windows)
    };
    let before = shown(&rig);
    rig.told.clear();
    rig.restart(MINUTE, &windows, &mut rows);
    rig.check(expect![[""]]);
    assert_eq!(shown(&rig), before);
    assert_eq!(
        rows.keys(),
        ["ack/web1/host", "api/m3", "config/nightly", "host/pc", "next", "silence/s1"]
    );
    rig.restart(HOUR, &windows, &mut rows);
    rig.check(expect![[r#"
        22 23:31:00 ended nightly
        22 23:31:00 ended host:pc
    "#]]);
    // It is over for good, and ids are not given again.
    rig.restart(MINUTE, &windows, &mut rows);
    rig.check(expect![[""]]);
    assert_eq!(rig.silence(r#"{"match":{"host":"a"},"duration":60}"#).unwrap(), "s4");
    rows.save(&mut rig.calendar);
    assert_eq!(rows.keys().iter().filter(|key| key.starts_with("host/")).count(), 0);
}

#[test]
fn window_taken_out_of_the_file_ends_when_it_is_noticed() {
    let mut rig = nightly_rig("2026-11-22T22:30");
    let mut rows = Rows::default();
    rig.told.clear();
    rig.restart(MINUTE, &[], &mut rows);
    rig.check(expect![[r#"
        22 22:31:00 ended nightly
    "#]]);
    rows.save(&mut rig.calendar);
    assert!(rows.keys().is_empty());
    // The same by a reload.
    let mut rig = nightly_rig("2026-11-22T22:30");
    rig.told.clear();
    rig.configure(&[]);
    rig.turn();
    rig.check(expect![[r#"
        22 22:30:00 ended nightly
    "#]]);
}

#[test]
fn window_changed_while_it_runs_goes_on_or_ends() {
    let until = |hour| End::At(Start::Daily(TimeOfDay { hour, minute: 0, second: 0 }));
    let starts = |hour| Start::Daily(TimeOfDay { hour, minute: 0, second: 0 });
    let longer = Window { end: until(23), start: starts(21), ..nightly() };
    let moved = Window { start: starts(1), end: until(2), ..nightly() };
    let other = Window { hosts: vec!["db*".to_owned()], ..nightly() };
    for (changed, want) in [
        (nightly(), expect![[""]]),
        (longer, expect![[""]]),
        (
            moved,
            expect![[r#"
                22 22:30:00 ended nightly
            "#]],
        ),
        (
            other,
            expect![[r#"
                22 22:30:00 ended nightly
                22 22:30:00 began nightly
            "#]],
        ),
    ] {
        let mut rig = nightly_rig("2026-11-22T22:30");
        rig.told.clear();
        rig.configure(std::slice::from_ref(&changed));
        rig.turn();
        // The same where the file was changed while the server was down.
        let mut restarted = nightly_rig("2026-11-22T22:30");
        restarted.told.clear();
        restarted.restart(Duration::ZERO, &[changed], &mut Rows::default());
        assert_eq!(restarted.told, rig.told);
        rig.check(want);
    }
}

#[test]
fn window_in_an_unknown_zone_is_left_out_and_named() {
    let mut rig = Rig::new("2026-11-22T12:00");
    let mars = Window { id: "m".to_owned(), zone: Some("Mars/Olympus".to_owned()), ..nightly() };
    let faults = rig.configure(&[mars, nightly()]);
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].0.as_str(), faults[0].1.field), ("m", Some("zone")));
    assert_eq!(rig.calendar.maintenances().count(), 1);
}

#[test]
fn window_without_a_zone_follows_the_servers_zone() {
    let mut rig = Rig::new("2026-11-22T12:00");
    rig.plan(r#"{"start":"13:00","end":"14:00","repeat":"daily"}"#).unwrap();
    rig.plan(r#"{"start":"13:00","end":"14:00","repeat":"daily","zone":"Europe/Zurich"}"#).unwrap();
    let find = super::zone::fixture::find;
    rig.calendar.configure(rig.now, Zones::new(find, find("UTC").unwrap()), &[]);
    rig.elapse(3 * HOUR);
    rig.check(expect![[r#"
        22 13:00:00 began m2
        22 14:00:00 began m1
        22 14:00:00 ended m2
        22 15:00:00 ended m1
    "#]]);
}

#[test]
fn dropped_host_takes_along_what_was_about_it_alone() {
    let mut rig = Rig::new("2026-11-22T12:00");
    rig.acknowledge(r#"{"ids":["web1/host","web1/a.b","web11/host","web/host"]}"#).unwrap();
    rig.calendar.plan_own(rig.now, "web1", HOUR, "");
    rig.calendar.forget_host("web1");
    let left: Vec<&str> = rig.calendar.acknowledgements().map(|ack| &*ack.alert).collect();
    assert_eq!(left, ["web/host", "web11/host"]);
    assert!(!rig.is_quiet("web1"));
}

#[test]
fn rows_that_cannot_be_read_are_left_out_with_a_reason() {
    let mut rig = Rig::new("2026-11-22T12:00");
    let table = [
        ("silence/s1", "{", "the row silence/s1 is unreadable"),
        ("silence/s1", "{}", "match: the scope is empty"),
        ("silence/s1", r#"{"match":{"moon":"x"}}"#, "match: there is no kind of scope \"moon\""),
        ("api/m1", "{}", "start: the saved times cannot be read"),
        ("weather/x", "{}", "no row is called weather/x"),
    ];
    for (key, json, want) in table {
        let fault = rig.calendar.restore(rig.now, key, json.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), want, "{key} {json}");
    }
    // Members that a later version added do no harm.
    let row = br#"{"match":{"host":"a"},"until":1795400000.0,"colour":"red"}"#;
    rig.calendar.restore(rig.now, "silence/s7", row).unwrap();
    assert_eq!(rig.silence(r#"{"match":{"host":"a"},"duration":60}"#).unwrap(), "s8");
}

#[test]
fn rules_are_shown_as_the_specification_writes_them() {
    let mut rig = Rig::new("2026-11-22T12:00");
    rig.silence(r#"{"match":{"host":"web*","path":"disk*"},"duration":"2h","reason":"r"}"#)
        .unwrap();
    rig.acknowledge(r#"{"ids":["web1/host"],"reason":"r"}"#).unwrap();
    rig.plan(r#"{"hosts":["pc"],"duration":"1h"}"#).unwrap();
    rig.plan(
        r#"{"tags":["lab"],"start":"03:00","end":"04:00","repeat":"monthly",
        "days":["2nd tue",31],"zone":"Asia/Kathmandu"}"#,
    )
    .unwrap();
    let mut shown = String::new();
    for silence in rig.calendar.silences() {
        shown += &serde_json::to_string(&SilenceShown::of(silence)).unwrap();
    }
    for ack in rig.calendar.acknowledgements() {
        shown = shown + "\n" + &serde_json::to_string(&AckShown::listed(ack)).unwrap();
    }
    let ack = rig.calendar.acknowledged("web1/host").unwrap();
    shown = shown + "\n" + &serde_json::to_string(&AckShown::of(ack)).unwrap();
    for (window, running) in rig.calendar.maintenances() {
        let window = MaintenanceShown::of(window, running, rig.now.wall);
        shown = shown + "\n" + &serde_json::to_string(&window).unwrap();
    }
    expect![[r#"
        {"id":"s1","match":{"host":"web*","path":"disk*"},"by":"alice","reason":"r","since":1795345200.0,"until":1795352400.0}
        {"id":"a2","alert":"web1/host","by":"alice","reason":"r","since":1795345200.0,"until":null}
        {"id":"a2","by":"alice","reason":"r","since":1795345200.0,"until":null}
        {"id":"m3","hosts":["pc"],"tags":[],"groups":[],"start":1795345200.0,"end":1795348800.0,"duration":null,"repeat":"once","days":[],"zone":null,"reason":"","by":"alice","origin":"api","active":[1795345200.0,1795348800.0],"next":[]}
        {"id":"m4","hosts":[],"tags":["lab"],"groups":[],"start":"03:00","end":"04:00","duration":null,"repeat":"monthly","days":["2nd tue","31"],"zone":"Asia/Kathmandu","reason":"","by":"alice","origin":"api","active":null,"next":[[1796678100.0,1796681700.0],[1798665300.0,1798668900.0],[1799702100.0,1799705700.0]]}"#]].assert_eq(&shown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the wall clock does: beginnings and ends alternate, no occurrence begins twice, and after a
    /// last stretch without steps the window is as its schedule says.
    #[test]
    fn s8_steps_of_the_clock_neither_skip_nor_repeat_an_end(
        moves in prop::collection::vec((0..180u64, -7200..7200i64), 1..25),
    ) {
        let mut rig = nightly_rig("2026-11-22T20:00");
        let (mut was_running, mut begun) = (false, Vec::new());
        for (minutes, secs) in moves {
            for _ in 0..minutes {
                rig.now = rig.now + MINUTE;
                rig.turn();
                note(&mut rig, &mut was_running, &mut begun)?;
            }
            // Half of the steps are none.
            rig.step(if secs % 2 == 0 { secs } else { 0 });
            note(&mut rig, &mut was_running, &mut begun)?;
        }
        rig.elapse(48 * HOUR);
        rig.told.clear();
        rig.elapse(24 * HOUR);
        prop_assert_eq!(rig.told.matches("began").count(), 1);
        prop_assert_eq!(rig.told.matches("ended").count(), 1);
    }
}

fn note(rig: &mut Rig, was_running: &mut bool, begun: &mut Vec<Span>) -> Result<(), TestCaseError> {
    let told = std::mem::take(&mut rig.told);
    let running = rig.calendar.maintenances().next().and_then(|(_, running)| running);
    prop_assert_eq!(told.contains("began"), !*was_running && running.is_some());
    prop_assert_eq!(told.contains("ended"), *was_running && running.is_none());
    if let Some(span) = running
        && !*was_running
    {
        prop_assert!(!begun.contains(&span), "{span:?} begins again");
        begun.push(span);
    }
    *was_running = running.is_some();
    Ok(())
}
