//! Who may ask, what a scrape has in it, and that hostile names stay inside their labels.

use crate::config::secret::Secret;
use crate::engine::view::{Plugin, Sample, Severity};
use crate::notice::hostile::hostile;
use crate::prng::Prng;
use crate::time::Wall;
use crate::web::fixture::{Bench, host, of_hosts, request};
use crate::web::http::Peer;
use std::net::IpAddr;
use std::sync::Arc;

fn elsewhere(bench: &Bench, target: &str, token: Option<&str>) -> (u16, Option<String>) {
    let authorization = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
    let headers = [("Host", "mon"), ("Authorization", &*authorization)];
    let mut ask = request("GET", target, &headers[..1 + usize::from(token.is_some())], b"");
    ask.peer = Peer::Remote(IpAddr::from([192, 0, 2, 1]));
    let got = bench.ask(&ask);
    let challenge = got.headers.iter().find(|(name, _)| *name == "WWW-Authenticate");
    (got.status, challenge.map(|(_, value)| value.clone()))
}

#[test]
fn metrics_and_health_are_for_loopback_and_for_who_has_the_token() {
    let mut bench = Bench::new(1);
    for target in ["/metrics", "/healthz"] {
        bench.config.metrics_token = None;
        assert_eq!(bench.get(target).status, 200);
        assert_eq!(
            elsewhere(&bench, target, Some("")),
            (403, None),
            "an empty token opens nothing"
        );
        bench.config.metrics_token = Some(Secret::Text("abc".to_owned()));
        assert_eq!(elsewhere(&bench, target, Some("abc")).0, 200);
        for wrong in [None, Some("abd"), Some("ab"), Some(""), Some("abc d")] {
            let (status, challenge) = elsewhere(&bench, target, wrong);
            assert_eq!(status, 401, "{wrong:?}");
            assert!(challenge.is_some_and(|text| text.starts_with("Bearer")));
        }
        assert_eq!(bench.get(target).status, 200, "loopback needs none");
    }
    assert_eq!(bench.ask(&request("POST", "/metrics", &[("Host", "mon")], b"")).status, 403);
}

#[test]
fn scrape_has_the_fleet_and_the_server() {
    let bench = Bench::new(16);
    let got = bench.get("/metrics");
    let kind = got.headers.iter().find(|(name, _)| *name == "Content-Type").unwrap().1.clone();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = bench.text("/metrics");
    for line in [
        "heartbeat_build_info{version=\"0.1.0\"} 1\n",
        "heartbeat_datagrams_received_total 900123\n",
        "heartbeat_datagrams_rejected_total{reason=\"bad_zlib\"} 3\n",
        "heartbeat_queue_capacity{queue=\"store\"} 8192\n",
        "heartbeat_hosts{state=\"down\"} 2\n",
        "heartbeat_host_up{host=\"web-12.bsl\"} 0\n",
        "heartbeat_host_up{host=\"web-01.bsl\"} 1\n",
        "heartbeat_uptime_seconds 172800\n",
        "heartbeat_exposition_omitted_samples 0\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(!text.contains("heartbeat_host_up{host=\"kiosk-31\"}"), "never heard");
    // Each family is told once and its samples stand together.
    let mut families: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let all = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), all);
}

#[test]
fn scrape_has_the_health_of_every_channel() {
    let mut bench = Bench::new(1);
    assert!(!bench.text("/metrics").contains("heartbeat_channel"));
    bench.channels = vec![crate::web::ChannelFact {
        name: "chat".to_owned(),
        kind: "mattermost",
        enabled: true,
        queued: 3,
        last_success: None,
        last_error: Some((Wall::from_secs(7), "status 500".to_owned())),
        failing_since: Some(Wall::from_secs(7)),
        delivered: 0,
        retried: 4,
        failed: 1,
    }];
    let text = bench.text("/metrics?collect=self");
    for line in [
        "heartbeat_channel_up{channel=\"chat\",type=\"mattermost\"} 0\n",
        "heartbeat_channel_queued{channel=\"chat\"} 3\n",
        "heartbeat_channel_tries_total{channel=\"chat\",outcome=\"retried\"} 4\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn scrape_is_narrowed_by_part_and_host() {
    let bench = Bench::new(16);
    let text = bench.text("/metrics?collect=hosts&host=web-0*");
    let hosts = text.lines().filter(|line| line.starts_with("heartbeat_host_up{")).count();
    assert_eq!(hosts, 3, "{text}");
    assert!(!text.contains("heartbeat_build_info") && !text.contains("heartbeat_metric"));
    assert!(bench.text("/metrics?collect=self").contains("heartbeat_build_info"));
    assert_eq!(bench.get("/metrics?collect=everything").status, 400);
}

#[test]
fn u8_hostile_keys_stay_inside_their_labels() {
    let mut prng = Prng::new(1);
    let mut web1 = host(0, "web1", Severity::Up, &mut prng);
    let data = r#"{"partitions":{"/":{"percent":93.5},"x\"} 1\nevil 666":{"percent":1}},
                   "a.b":1,"a":{"b":2},"text":"no","up":true}"#;
    let sample = Arc::new(Sample { at: Wall::from_secs(1), data: data.into() });
    let plugin = |name: &str, info| Plugin {
        name: name.into(),
        interval: Some(300),
        info,
        samples: [sample.clone()].into(),
    };
    web1.plugins = Arc::new(vec![plugin("disk_monitor", false), plugin("os_info", true)]);
    let mut bench = Bench::new(0);
    bench.view = Arc::new(of_hosts(vec![web1]));
    let text = bench.text("/metrics?collect=metrics");
    let lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with("heartbeat_metric{")).collect();
    let of = |metric: &str, value: &str| {
        format!(
            r#"heartbeat_metric{{host="web1",plugin="disk_monitor",metric="{metric}"}} {value}"#
        )
    };
    let want = [of("/.percent", "93.5"), of(r#"x\"} 1\nevil 666.percent"#, "1"), of("a.b", "1")];
    assert_eq!(lines, want, "{text}");
    assert!(!text.contains("\nevil"));
}

#[test]
fn s2_hostile_text_stays_in_its_label() {
    let mut prng = Prng::new(1);
    let mut bench = Bench::new(0);
    let mut usual = None;
    for words in ["plain".to_owned()].into_iter().chain(hostile()) {
        let mut web1 = host(0, "web1", Severity::Up, &mut prng);
        let data = serde_json::json!({ &*words: 1.5 }).to_string();
        let sample = Arc::new(Sample { at: Wall::from_secs(1), data: data.into() });
        let samples = [sample].into();
        let plugin = Plugin { name: "own".into(), interval: Some(300), info: false, samples };
        web1.plugins = Arc::new(vec![plugin]);
        bench.view = Arc::new(of_hosts(vec![web1]));
        let text = bench.text("/metrics?collect=metrics");
        let count = text.split('\n').count();
        assert_eq!(*usual.get_or_insert(count), count, "{words:?}: {text}");
        let lines: Vec<&str> =
            text.split('\n').filter(|line| line.starts_with("heartbeat_metric{")).collect();
        let [line] = lines[..] else { panic!("{words:?}: {text}") };
        let label = line
            .strip_prefix(r#"heartbeat_metric{host="web1",plugin="own",metric=""#)
            .and_then(|rest| rest.strip_suffix(r#""} 1.5"#))
            .unwrap_or_else(|| panic!("{words:?}: {line}"));
        // The three escapes of the text format, and no other.
        let told = label.replace(r"\\", "\0\0").replace(r"\n", "\n").replace(r#"\""#, "\"");
        assert_eq!(told.replace("\0\0", "\\"), words, "{label:?}");
    }
}
