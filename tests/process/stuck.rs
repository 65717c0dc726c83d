//! A channel that never answers and an nsupdate that never ends, beside a server that has neither: the other
//! channels deliver as soon, and heartbeats are answered as fast. Prints what it measured.

use crate::dns;
use crate::program::{Hbd, Place, Sender, until};
use crate::stand_in::{Manner, StandIn};
use heartbeat::os::clock;
use heartbeat::time::Duration;
use serde_json::json;

const EVENTS: usize = 20;
const BEATS: usize = 4000;

fn configuration(told: &str, fine: &StandIn, more: &str) -> String {
    format!(
        "group_wait: 0\nnotify_per_minute: 1000\ndns_trust_plain: true\npushsrv: {told}\n\
         channels:\n  fine: {{type: webhook, url: \"{}\"}}\n{more}\
         thresholds:\n  cpu_monitor: {{cpu_percent: {{warning: 80, critical: 90}}}}\n",
        fine.url("/")
    )
}

/// Lets hosts fall into trouble one after the other: how long each notice took to arrive.
fn deliveries(server: &Hbd, fine: &StandIn) -> Vec<Duration> {
    let sender = Sender::to(server.udp);
    let mut took = Vec::new();
    for n in 0..EVENTS {
        let words = format!("CRITICAL: h{n} ");
        let message = json!({
            "ID": "PLG", "name": format!("h{n}"), "plugin": "cpu_monitor", "every": 300,
            "data": { "cpu_percent": 95.0 },
        });
        let sent = clock::now().mono;
        sender.send(message.to_string().as_bytes());
        let arrived = until(&format!("{words} arrives"), || {
            let seen = fine.seen();
            seen.into_iter().find(|seen| seen.body.contains(&words)).map(|seen| seen.at)
        });
        took.push(arrived.since(sent));
    }
    took.sort();
    took
}

/// How long heartbeats to both servers waited for their ACK, by turns, so that both see the same machine.
fn acks(servers: [&Hbd; 2]) -> [Vec<Duration>; 2] {
    let senders = servers.map(|server| Sender::to(server.udp));
    let mut took = [Vec::new(), Vec::new()];
    for n in 0..BEATS {
        let beat = format!(r#"{{"ID":"HTB","name":"h{}","interval":600}}"#, n % EVENTS);
        // Neither has always the turn after the other.
        for which in [n % 2, 1 - n % 2] {
            let sent = clock::now().mono;
            senders[which].ask(&beat);
            took[which].push(clock::now().mono.since(sent));
        }
    }
    took.iter_mut().for_each(|took| took.sort());
    took
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn s14_tarpit_and_hanging_nsupdate_delay_no_other_channel_and_no_ack() {
    let (fine, other, tarpit) = (
        StandIn::start(Manner::Status(200)),
        StandIn::start(Manner::Status(200)),
        StandIn::start(Manner::Tarpit),
    );
    let (calm, stuck) = (Place::new(), Place::new());
    calm.configure(&configuration("[fine]", &fine, ""));
    let calm = calm.start();
    let program = dns::stand_in(&stuck, "exec sleep 600");
    let more = format!(
        "  tarpit: {{type: webhook, url: \"{}\", timeout: 60}}\ndyndomains: [dyn.example.net]\n\
         nsupdate_bin: {program}\ndns_timeout: 60\n",
        tarpit.url("/")
    );
    stuck.configure(&configuration("[fine, tarpit]", &other, &more));
    let server = stuck.start();
    let state = |host: &str| server.get(&format!("/api/0/hosts/{host}")).1["dns"]["state"].clone();
    Sender::to(server.udp).heartbeat("web1.dyn.example.net");
    until("nsupdate hangs", || (state("web1.dyn.example.net") == "updating").then_some(()));

    let (normal, beside) = (deliveries(&calm, &fine), deliveries(&server, &other));
    assert_eq!(tarpit.seen().len(), 1, "the tarpit has the first message and holds it");
    let [without, with] = acks([&calm, &server]);
    assert_eq!(state("web1.dyn.example.net"), "updating", "it has hung all the time");
    let (_, health) = server.get("/healthz");
    assert_eq!(health["channels"]["tarpit"]["queued"], EVENTS, "{health}");
    let show = |what: &str, took: &[Duration]| {
        let (median, high) = (percentile(took, 50), percentile(took, 99));
        println!("{what}: p50 {median:?}, p99 {high:?}, max {:?}", took[took.len() - 1]);
    };
    show("delivery, normal", &normal);
    show("delivery, beside a tarpit and a hanging nsupdate", &beside);
    show("ACK, normal", &without);
    show("ACK, beside them", &with);
    let late = beside[EVENTS - 1].saturating_sub(normal[EVENTS - 1]);
    assert!(late < Duration::from_secs(1), "{late:?} later than normal");
    // What else runs on this machine takes its turns from both, but never alike: the median shows a delay of each
    // ACK, and the highest in a hundred may be a turn of somebody else's.
    let limit = percentile(&without, 50) * 2 + Duration::from_millis(1);
    assert!(percentile(&with, 50) < limit, "{:?}, limit {limit:?}", percentile(&with, 50));
    let limit = percentile(&without, 99) * 3 + Duration::from_millis(10);
    assert!(percentile(&with, 99) < limit, "{:?}, limit {limit:?}", percentile(&with, 99));
}
