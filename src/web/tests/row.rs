//! The rows of `/live` and what stands around them: heads that sort, modifiers, what is left out, what leaves as a
//! file, the foot.

use super::alert;
use crate::engine::view::{AlertCounts, ConnState, Host, Severity, State};
use crate::prng::Prng;
use crate::time::Duration;
use crate::web::fixture::{Bench, NOW, host, of_hosts};
use std::sync::Arc;

fn page(bench: &Bench, target: &str) -> String {
    let got = bench.get_with(target, &[("Host", "mon")]);
    assert_eq!(got.status, 200, "{target}");
    String::from_utf8(got.body.as_bytes().to_vec()).unwrap()
}

/// A fleet of these hosts, `web1` and so on.
fn fleet(count: u32, change: impl Fn(u32, &mut Host)) -> Bench {
    let mut prng = Prng::new(3);
    let hosts = (0..count).map(|id| {
        let mut host = host(id, &format!("web{}", id + 1), Severity::Up, &mut prng);
        (host.watch, host.message) = (true, None);
        change(id, &mut host);
        host
    });
    let mut bench = Bench::new(0);
    bench.view = Arc::new(of_hosts(hosts.collect()));
    bench
}

/// The row of a host.
fn row<'a>(page: &'a str, name: &str) -> &'a str {
    let link = format!(">{name}</a>");
    let at = page.find(&link).unwrap_or_else(|| panic!("no row of {name}"));
    let start = page[..at].rfind("<tr ").unwrap();
    let end = at + page[at..].find("</tr>").unwrap();
    &page[start..end]
}

fn names(page: &str) -> Vec<&str> {
    let cells = page.split("data-col=\"host\"><a").skip(1);
    cells.filter_map(|cell| cell.split_once('>')?.1.split('<').next()).collect()
}

#[test]
fn heads_are_links_that_sort_and_say_how_it_is_sorted() {
    let bench = Bench::new(16);
    let html = page(&bench, "/live?q=web");
    assert!(
        html.contains(
            "aria-sort=\"descending\"><a href=\"/live?q=web&amp;sort=severity\">State</a>"
        )
    );
    assert_eq!(html.matches("aria-sort").count(), 1);
    for (head, sort) in [
        ("Host", "name"),
        ("Alerts", "alerts"),
        ("IPv4", "rtt"),
        ("IPv6", "rtt"),
        ("RTT, 1 h", "rtt_p95"),
        ("Last seen", "last_seen"),
        ("Uptime", "boot"),
        ("CPU Mem Disk", "load"),
    ] {
        assert!(html.contains(&format!("sort={sort}\">{head}</a></th>")), "{head}");
        let sorted = page(&bench, &format!("/live?sort={sort}"));
        let orders = if sort == "rtt" { 2 } else { 1 };
        assert_eq!(sorted.matches("aria-sort").count(), orders, "{head}");
        assert_eq!(bench.get(&format!("/api/0/hosts?sort={sort}")).status, 200, "{sort}");
    }
    assert!(page(&bench, "/live?sort=name").contains("aria-sort=\"ascending\"><a"));
}

#[test]
fn orders_are_those_of_names_with_numbers_boots_and_gauges() {
    let bench = fleet(12, |id, host| {
        host.boot_time = Some(NOW.wall - Duration::from_secs(86_400 * u64::from(id + 1)));
        host.gauges.cpu = Some(id as f32);
        (host.gauges.memory, host.gauges.disk) = (None, Some(f32::from(u8::from(id == 4)) * 90.0));
    });
    assert_eq!(names(&page(&bench, "/live?sort=name"))[..3], ["web1", "web2", "web3"]);
    assert_eq!(names(&page(&bench, "/live?sort=name"))[9..], ["web10", "web11", "web12"]);
    assert_eq!(names(&page(&bench, "/live?sort=boot"))[..2], ["web1", "web2"], "the newest first");
    assert_eq!(names(&page(&bench, "/live?sort=load"))[..2], ["web5", "web12"]);
}

#[test]
fn what_is_not_watched_is_left_out_until_somebody_asks() {
    let bench = fleet(3, |id, host| {
        host.watch = id != 1;
        host.severity = if id == 1 { Severity::Critical } else { Severity::Up };
    });
    let html = page(&bench, "/live");
    assert_eq!(names(&html), ["web1", "web3"]);
    assert!(html.contains("1 not watched is hidden · <a href=\"/live?unwatched=1\">show</a>"));
    assert!(html.contains(">1–2 of 2<"));
    // It counts all the same: the tiles tell of every host.
    assert!(html.contains("value=\"critical\" aria-pressed=\"false\">"));
    let all = page(&bench, "/live?unwatched=1");
    assert_eq!(names(&all), ["web2", "web1", "web3"]);
    assert!(!all.contains("hidden · "));
    assert!(row(&all, "web2").contains("aria-label=\"not watched\""));
    assert!(!row(&all, "web1").contains("not watched"));
    // Who looks for something finds it.
    assert_eq!(names(&page(&bench, "/live?q=web2")), ["web2"]);
    assert_eq!(names(&page(&bench, "/live?state=critical")), ["web2"]);
    let none = page(&fleet(1, |_, host| host.watch = false), "/live");
    assert!(none.contains("1 not watched is hidden") && !none.contains("No host matches"));
}

#[test]
fn modifiers_stand_beside_the_state_and_pills_lead_to_the_alerts() {
    let html = page(&alert::bench(), "/live");
    let web1 = row(&html, "web1");
    let state = web1.split("</td>").find(|cell| cell.contains("data-col=\"state\"")).unwrap();
    assert!(state.contains("aria-label=\"acknowledged\"") && state.contains("#i-tick"), "{state}");
    assert!(state.contains("aria-label=\"silenced\"") && state.contains("#i-hush"), "{state}");
    assert!(web1.contains("<a class=\"pill p-crit\" href=\"/alerts?q=host%3Aweb1\">"), "{web1}");
    // An outage that somebody has taken on.
    assert!(row(&html, "web2").contains("aria-label=\"acknowledged\""));
    assert!(!row(&html, "web3").contains("aria-label=\"acknowledged\""));
}

#[test]
fn outage_that_is_acknowledged_stands_below_others_and_above_everything_else() {
    let bench = fleet(4, |id, host| {
        (host.state, host.severity) = match id {
            3 => (State::Up, Severity::Critical),
            _ => (State::Down, Severity::Down),
        };
        host.outage_taken = id == 0;
        // The newest change would be the first.
        host.since = NOW.wall - Duration::from_secs(60 + u64::from(id));
    });
    let html = page(&bench, "/live");
    assert_eq!(names(&html), ["web2", "web3", "web1", "web4"]);
    let places = ["web2", "web3", "web1", "web4"].map(|name| -> i64 {
        let (_, rest) = row(&html, name).split_once("data-place=\"").unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    });
    assert!(places.is_sorted(), "{places:?}");
    // By name where nobody asks for the worst.
    assert_eq!(names(&page(&bench, "/live?sort=name")), ["web1", "web2", "web3", "web4"]);
}

#[test]
fn outage_is_acknowledged_by_itself_and_not_by_an_alert_of_the_host() {
    let bench = alert::bench();
    let mut host = (**bench.view.hosts.iter().next().unwrap()).clone();
    assert_eq!((&*host.name, host.flags() & 4), ("web1", 4));
    (host.state, host.severity) = (State::Down, Severity::Down);
    assert_eq!((host.flags() & 4, host.rank()), (0, 0));
    host.outage_taken = true;
    assert_eq!((host.flags() & 4, host.rank()), (4, 1));
}

#[test]
fn reason_says_how_many_more_there_are() {
    let with = |critical| {
        let mut bench = alert::bench();
        let mut view = (*bench.view).clone();
        let mut hosts: Vec<Host> = view.hosts.iter().map(|host| (**host).clone()).collect();
        hosts[0].alerts = AlertCounts { warning: 1, critical, unknown: 0 };
        view.hosts = of_hosts(hosts).hosts;
        bench.view = Arc::new(view);
        page(&bench, "/live")
    };
    assert!(row(&with(2), "web1").contains("Disk / 93.1 % (&gt; 90 %), +2 more"));
    assert!(!row(&with(0), "web1").contains("more"));
}

#[test]
fn family_that_works_alone_is_marked_and_the_other_is_lost() {
    let bench = fleet(1, |_, host| {
        host.degraded = true;
        host.state = State::Degraded;
        host.connections.iter_mut().flatten().skip(1).for_each(|c| c.state = ConnState::Down);
    });
    let html = page(&bench, "/live");
    let cells: Vec<&str> = row(&html, "web1").split("</td>").collect();
    let cell = |col: &str| {
        cells.iter().find(|cell| cell.contains(&format!("data-col=\"{col}\""))).unwrap()
    };
    assert!(
        cell("r4").ends_with(" ms !") && cell("r4").contains("only this family works"),
        "{}",
        cell("r4")
    );
    assert!(cell("r6").ends_with(">lost"), "{}", cell("r6"));
}

#[test]
fn machine_that_has_just_come_up_says_so_for_an_hour() {
    let bench = fleet(2, |id, host| {
        host.boot_time = Some(NOW.wall - Duration::from_secs(if id == 0 { 180 } else { 3600 }));
    });
    let html = page(&bench, "/live");
    assert!(row(&html, "web1").contains("data-rel=\"boot\">rebooted 3 m ago</time>"));
    assert!(row(&html, "web2").contains("data-rel=\"for\">1 h</time>"));
}

#[test]
fn limit_of_the_round_trip_is_drawn_into_its_picture() {
    let mut bench = Bench::new(16);
    assert!(!page(&bench, "/live").contains("class=\"lim\""));
    let yaml = "thresholds: {rtt: {'*': {warning: 5, critical: 200}}}\n";
    bench.config = crate::alert::fixture::server(yaml);
    let html = page(&bench, "/live");
    let drawn = html.matches("class=\"lim\"").count();
    assert!(drawn > 3, "{drawn}");
    assert!(html.contains("Round trip, last hour: min "));
}

#[test]
fn table_is_copied_as_it_is_filtered() {
    let bench = Bench::new(16);
    let html = page(&bench, "/live?q=tag:web&state=up&sort=name&page=1");
    let csv = "href=\"/live.csv?q=tag%3Aweb&amp;state=up&amp;sort=name\" data-copied>CSV</a>";
    let json =
        "href=\"/api/0/hosts?q=tag%3Aweb&amp;severity=up&amp;sort=name\" data-copied>JSON</a>";
    assert!(html.contains(csv) && html.contains(json), "{html}");
    let api = "/api/0/hosts?q=tag%3Aweb&severity=up&sort=name";
    let found: serde_json::Value = serde_json::from_str(&bench.text(api)).unwrap();
    assert_eq!(found["total"].as_u64().unwrap() as usize, names(&html).len());
}

#[test]
fn table_goes_on_to_its_bound_for_who_scrolls() {
    let bench = Bench::new(1212);
    let count = |target: &str| page(&bench, target).matches("<tr data-id").count();
    assert_eq!([count("/live"), count("/live?rows=100"), count("/live?rows=9999")], [50, 100, 300]);
    assert_eq!([count("/live?rows=1"), count("/live?rows=100&page=2")], [50, 50]);
    let html = page(&bench, "/live?rows=100");
    assert!(html.contains("data-size=\"100\"") && html.contains(">1–100 of "));
    assert!(html.contains("href=\"/live?page=2\""), "pages are of fifty");
}

#[test]
fn icon_carries_the_alarm_from_the_first_byte_and_tells_strangers_nothing() {
    let mut bench = Bench::new(16);
    let html = page(&bench, "/live");
    assert!(html.contains("rel=\"icon\" href=\"/favicon.svg?d=2&amp;c=3&amp;w="), "{html}");
    assert!(page(&bench, "/events").contains("/favicon.svg?d=2&amp;c=3"));
    bench.config.users = [("root".to_owned(), super::right::user(true))].into();
    let login = page(&bench, "/login");
    assert!(login.contains("href=\"/static/favicon.") && !login.contains("favicon.svg?d="));
}

#[test]
fn foot_tells_how_busy_the_server_is() {
    let mut bench = Bench::new(16);
    bench.journal = Some(crate::web::JournalFact {
        bytes: 71 << 20,
        bytes_max: 1100 << 20,
        written: 9,
        dropped: 0,
        ok: true,
        disk: None,
    });
    let html = page(&bench, "/live");
    let foot = html.split("<footer").nth(1).unwrap();
    bench.config.units_si = true;
    assert!(page(&bench, "/live").contains("journal 74.4 MB of 1.15 GB"));
    for fact in
        ["41.3 heartbeats/s · 0.3 ms p99", "journal 71 MB of 1.07 GB", "3 viewers", "all times "]
    {
        assert!(foot.contains(&format!("<span>{fact}")), "{fact}: {foot}");
    }
}

#[test]
fn foot_tells_strangers_nothing_of_the_server() {
    let mut bench = Bench::new(16);
    bench.config.users = [("root".to_owned(), super::right::user(true))].into();
    let login = page(&bench, "/login");
    assert!(!login.contains("heartbeats/s") && !login.contains("viewers"));
}

#[test]
fn open_access_is_told_in_the_bar() {
    let mut bench = Bench::new(1);
    let link = "<a class=\"open-access\" href=\"/settings?part=users\"";
    assert!(page(&bench, "/live").contains(link));
    bench.config.users = [("root".to_owned(), super::right::user(true))].into();
    let got = bench.get_with("/live", &[("Host", "mon"), ("Authorization", "Bearer root")]);
    assert!(!String::from_utf8_lossy(got.body.as_bytes()).contains(link));
}
