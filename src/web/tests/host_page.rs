//! A host's page and the alerts, word by word as ui/UI.md 5.4 and 5.5 have them.

use super::right;
use crate::engine::view::{Plugin, Sample, Severity, Told};
use crate::prng::Prng;
use crate::time::{Duration, Wall};
use crate::web::fixture::{Bench, NOW, host, of_hosts, request};
use serde_json::{Value, json};
use std::sync::Arc;

/// Samples five minutes apart, the newest now.
fn plugin(name: &str, every: u32, samples: &[Value]) -> Plugin {
    let count = samples.len() as u64;
    let at = |i: usize| NOW.wall - Duration::from_secs(300 * (count - 1 - i as u64));
    let made = samples.iter().enumerate();
    let samples =
        made.map(|(i, data)| Arc::new(Sample { at: at(i), data: data.to_string().into() }));
    let info = matches!(name, "os_info" | "filesystem_info");
    Plugin { name: name.into(), interval: Some(every), info, samples: samples.collect() }
}

fn filling(i: usize) -> Value {
    json!({ "partitions": { "/": { "percent": 80.0 + i as f64 * 0.5, "total_gb": 80.0, "free_gb": 12.0,
        "inodes_percent": 18.2, "fstype": "ext4", "device": "/dev/sda1" } } })
}

fn bench() -> Bench {
    let mut prng = Prng::new(7);
    let mut own = host(0, "db-01", Severity::Down, &mut prng);
    own.last_seen = Some(NOW.wall - Duration::from_secs(8040));
    own.version = Some("0.0.9".into());
    own.managers = [Arc::from("bob")].into();
    own.told = Some(Arc::new(Told {
        at: NOW.wall - Duration::from_secs(600),
        to: vec!["alice (email)".to_owned()],
    }));
    let disks: Vec<Value> = (0..13).map(filling).collect();
    own.plugins = Arc::new(vec![
        plugin(
            "cpu_monitor",
            300,
            &[
                json!({ "cpu_percent": 34.0, "load_1min": 2.5, "process_count": 412, "per_core": [12.0, 96.4] }),
            ],
        ),
        plugin("disk_monitor", 300, &disks),
        plugin(
            "filesystem_info",
            300,
            &[json!({ "filesystems": {
            "/": { "device": "/dev/sda1", "fstype": "ext4", "options": "ro,relatime" },
            "/proc": { "device": "proc", "fstype": "proc", "options": "rw" } } })],
        ),
        plugin(
            "nagios_runner",
            300,
            &[json!({
            "check_a_status_code": 2, "check_a_output": "CRITICAL - line one\nline two", "check_a_exit_code": 2,
            "check_b_status_code": 0, "check_b_output": "OK", "check_b_exit_code": 0 })],
        ),
        plugin("os_info", 300, &[json!({ "system": "Linux", "cpu_count": 8 })]),
    ]);
    let mut bench = Bench::new(0);
    bench.view = Arc::new(of_hosts(vec![own]));
    bench
}

#[test]
fn hosts_page_speaks_as_it_is_specified() {
    let bench = bench();
    let page = bench.text("/plugins/db-01");
    for want in [
        // Heading and sentence.
        "<span id=\"mark\"><svg class=\"g s-down\" role=\"img\" aria-label=\"Down\">",
        "<span class=\"lbl\">Down</span> <small class=\"lbl\">for <time",
        // Facts.
        "behind: 0.1.0 available",
        "<dt>Thresholds</dt><dd title=\"default\">default <small><a href=\"/settings?part=thresholds&amp;host=db-01\">why?</a>",
        "managers bob",
        // Silent: the last values with their age.
        "Values are from <time",
        ", before the host fell silent.",
        // The outage, who was told.
        "notified alice (email) at 16:10",
        // Ranges and charts.
        "<summary>Custom</summary>",
        "name=\"from\" value=\"2026-11-22T",
        "Jump to metric",
        "<h2>Round-trip time</h2>",
        "<h2>Load average</h2>",
        "<h2>Processes</h2>",
        "8 cores",
        "current 34 % · average 34 % · peak 34 % at 16:20",
        "full in ~",
        "Show as table",
        "aria-label=\"What CPU is\">?</summary>",
        // Checks: counts, whole output, next run.
        "<span class=\"pill p-crit\">",
        "next run in 5 m",
        "line two</pre>",
        // Filesystems.
        "physical only · <a href=\"/plugins/db-01?fs=all#p-disk_monitor\">show all</a>",
        "ext4, read-only",
        "Per core",
        // System, as text.
        "Capabilities",
        "data-copy>",
        "No ZFS data: hbc-mini has no zfs_monitor",
        "Maintenance for 1 h",
        "hbc -m \"maintenance starting\"",
    ] {
        let seen = page.replace("&quot;", "\"");
        assert!(seen.contains(want), "{want}: {page}");
    }
    let row = "<td class=\"mono\" data-h=\"Mount\">/proc</td>";
    assert!(!page.contains(row), "what stands on no disk waits for a word");
    assert!(bench.text("/plugins/db-01?fs=all").contains(row));
    // From near, and whole again; a range of one's own by the reader's clock.
    let near = bench.text("/plugins/db-01?zoom=disk--");
    assert!(near.contains("class=\"chip-on\"") && near.contains("Zoomed<span"), "{near}");
    let own = bench.text("/plugins/db-01?from=2026-11-22T10:00&to=2026-11-22T12:00");
    assert!(own.contains("10:00 – 12:00 CET"), "{own}");
}

#[test]
fn data_that_is_old_says_how_old_and_is_dimmed() {
    let mut bench = bench();
    let mut hosts: Vec<_> = bench.view.hosts.iter().map(|host| (**host).clone()).collect();
    let old = Sample { at: NOW.wall - Duration::from_secs(8040), data: r#"{"waiting":3}"#.into() };
    let mut plugins = (*hosts[0].plugins).clone();
    plugins.push(Plugin {
        name: "queue".into(),
        interval: Some(60),
        info: false,
        samples: [Arc::new(old)].into(),
    });
    hosts[0].plugins = Arc::new(plugins);
    bench.view = Arc::new(of_hosts(hosts));
    let page = bench.text("/plugins/db-01");
    let card = page.split("<section class=\"card old\"").nth(1).unwrap();
    assert!(card.contains("queue · 2 h 14 m old · every 1 m"), "{card}");
}

#[test]
fn wrong_ways_are_told_as_specified() {
    let bench = right::bench();
    let page = |path: &str, who: &str| {
        let bearer = format!("Bearer {who}");
        let got = bench.get_with(path, &[("Host", "mon"), ("Authorization", &bearer)]);
        (got.status, String::from_utf8_lossy(got.body.as_bytes()).into_owned())
    };
    let first = bench.view.names[0].0.to_string();
    let (status, text) = page(&format!("/plugins/{first}x"), "root");
    assert_eq!(status, 404);
    let want = format!("No host {first}x. Did you mean <a href=\"/plugins/");
    assert!(text.contains(&want), "{want}: {text}");
}

#[test]
fn who_lacks_a_role_is_told_which_and_whom_to_ask() {
    let bench = right::bench();
    for host in bench.view.hosts.iter() {
        let Some(monitor) = host.monitors.first() else { continue };
        let bearer = format!("Bearer {monitor}");
        let headers = [
            ("Host", "mon"),
            ("Authorization", &*bearer),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let path = format!("/plugins/{}", host.name);
        let body = format!("do=drop&confirm={}", host.name);
        let got = bench.ask(&request("POST", &path, &headers, body.as_bytes()));
        let text = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
        assert_eq!(got.status, 403, "{text}");
        let want = format!("You are monitor of {}. Dropping it needs owner", host.name);
        assert!(text.contains(&want), "{want}: {text}");
        return;
    }
    panic!("no host has a monitor");
}

#[test]
fn times_of_forms_are_by_the_clock_that_the_page_shows() {
    let bench = Bench::new(16);
    let said = |zone: &str, body: &str| {
        let cookie = format!("hb_tz={zone}");
        let headers = [
            ("Host", "mon"),
            ("Origin", "http://mon"),
            ("Cookie", &*cookie),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        bench.engine.commands.lock().unwrap().clear();
        let got = bench.ask(&request("POST", "/alerts", &headers, body.as_bytes()));
        let text = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
        (got.status, format!("{:?} {text}", bench.engine.commands.lock().unwrap()))
    };
    let body = "do=silence&host=db-01.bsl&until=2026-11-22T18:00";
    let moment = |secs: i64| format!("{:?}", Wall::from_secs(secs));
    // 18:00 in Zurich is 17:00 UTC.
    let (_, server) = said("server", body);
    let (_, utc) = said("utc", body);
    assert_ne!(server, utc);
    assert!(server.contains(&moment(1_795_366_800)) || server.contains("1795366800"), "{server}");
    assert!(utc.contains(&moment(1_795_370_400)) || utc.contains("1795370400"), "{utc}");
    // More than a day needs a reason.
    let (status, text) = said("server", "do=silence&host=db-01.bsl&for=25h");
    assert!(
        status == 422 && text.contains("A silence of more than 24 h needs a reason."),
        "{text}"
    );
    assert_ne!(said("server", "do=silence&host=db-01.bsl&for=25h&reason=move").0, 422);
}

#[test]
fn window_shows_its_next_times_in_both_zones_before_it_is_planned() {
    let bench = Bench::new(16);
    let ask = |query: &str| {
        let path = format!("/alerts?act=maintenance&preview=1&{query}");
        let got = bench.get_with(&path, &[("Host", "mon"), ("Cookie", "hb_tz=utc")]);
        String::from_utf8_lossy(got.body.as_bytes()).into_owned()
    };
    let page = ask("hosts=web*&repeat=weekly&days=sun&start=03:00&for=30m&zone=UTC");
    for want in [
        "Next times, in your zone and in the server",
        "29 Nov 2026, 03:00 UTC to 03:30 · 29 Nov 2026, 04:00 CET to 04:30",
        "6 Dec 2026, 03:00 UTC",
        "13 Dec 2026, 03:00 UTC",
        "hbc -m &quot;maintenance starting&quot;",
    ] {
        assert!(page.contains(want), "{want}: {page}");
    }
    assert!(
        ask("repeat=weekly&start=03:00&for=30m").contains("role=\"alert\""),
        "days are missing"
    );
}

#[test]
fn history_is_a_table_and_a_file() {
    let bench = Bench::new(16);
    let page = bench.text("/alerts?tab=history");
    for want in ["Duration", "Acknowledged after", "goes on", "/alerts.csv?q=", "rtr-aarau"] {
        assert!(page.contains(want), "{want}");
    }
    let file = bench.text("/alerts.csv?q=rtr");
    let mut lines = file.lines();
    assert_eq!(
        lines.next(),
        Some("began,ended,duration_s,host,metric_path,worst,acknowledged_after_s,text")
    );
    let row = lines.next().unwrap();
    assert!(row.contains(",rtr-aarau,host,down,,") && lines.next().is_none(), "{file}");
}
