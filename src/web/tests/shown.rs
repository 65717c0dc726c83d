//! What the pages tell beside the fleet: the line above them, their errors, and what the settings know.

use crate::account::SessionShown;
use crate::engine::view::{Dns, DnsRecord, DnsState, Severity};
use crate::prng::Prng;
use crate::time::{Duration, Mono};
use crate::web::fixture::{Bench, NOW, host, of_hosts, request};
use crate::web::{ChannelFact, ConfigChange, JournalFile, Pages, failed, unavailable};
use std::sync::Arc;

/// The banner of a page: its class and its text.
fn banner(bench: &Bench) -> Option<(String, String)> {
    let page = bench.text("/events");
    let (_, rest) = page.split_once("<p class=\"banner ")?;
    let (class, rest) = rest.split_once('"')?;
    let (inner, _) = rest.split_once("</p>")?;
    let (_, text) = inner.rsplit_once("<span>")?;
    Some((class.to_owned(), text.trim_end_matches("</span>").to_owned()))
}

fn bench() -> Bench {
    let mut bench = Bench::new(16);
    bench.facts.loopback_only = true;
    bench
}

fn chat(failing: bool) -> ChannelFact {
    let since = NOW.wall - Duration::from_secs(720);
    ChannelFact {
        name: "chat".to_owned(),
        kind: "mattermost",
        enabled: true,
        queued: 3,
        last_success: None,
        last_error: failing.then(|| (since, "status 500".to_owned())),
        failing_since: failing.then_some(since),
        delivered: 0,
        retried: 1,
        failed: 0,
    }
}

#[test]
fn banner_tells_each_trouble_and_the_worst_of_several() {
    assert_eq!(banner(&bench()), None);
    type Trouble = fn(&mut Bench);
    // From the last that is told to the first.
    let troubles: [(Trouble, &str, &str); 7] = [
        (|b| b.facts.loopback_only = false, "b-warn", "Open access: everybody who reaches"),
        (
            |b| Arc::make_mut(&mut b.view).counters.kernel_drops = 1200,
            "b-warn",
            "The system dropped 1\u{2009}200 datagrams",
        ),
        (
            |b| b.channels.push(chat(true)),
            "b-warn",
            "Notifications: chat failing for 12 m, 3 queued.",
        ),
        (
            |b| b.reload_fault = Some("hbd.yaml:41:7 warning is no number".into()),
            "b-warn",
            "Config reload failed: hbd.yaml:41:7 warning is no number; still running the old config.",
        ),
        (
            |b| {
                let broken = [("live.html".to_owned(), b"{% if %}".to_vec())];
                b.pages = Pages::with_overrides(broken.into());
            },
            "b-warn",
            "A file of templates_dir is not used: templates_dir: live.html:",
        ),
        (
            |b| {
                Arc::make_mut(&mut b.view).isolated_since = Some(NOW.wall - Duration::from_secs(30))
            },
            "b-down",
            "2 of 16 hosts fell silent within ",
        ),
        (
            |b| Arc::make_mut(&mut b.view).hold_until = Some(NOW.mono + Duration::from_secs(50)),
            "b-late",
            "hbd restarted ",
        ),
    ];
    let mut all = bench();
    for (trouble, class, text) in troubles {
        let mut alone = bench();
        trouble(&mut alone);
        trouble(&mut all);
        for bench in [&alone, &all] {
            let (is, said) = banner(bench).unwrap_or_default();
            assert!(is == class && said.starts_with(text), "{text}: {is} {said}");
        }
    }
    // What is over is told no longer.
    let mut over = bench();
    Arc::make_mut(&mut over.view).hold_until = Some(Mono::ZERO);
    over.channels.push(chat(false));
    assert_eq!(banner(&over), None);
}

#[test]
fn banner_of_the_servers_own_troubles_is_for_admins() {
    let mut bench = super::right::bench();
    bench.channels.push(chat(true));
    let page = |who: &str| {
        let bearer = format!("Bearer {who}");
        let got = bench.get_with("/events", &[("Host", "mon"), ("Authorization", &bearer)]);
        String::from_utf8_lossy(got.body.as_bytes()).into_owned()
    };
    assert!(page("root").contains("chat failing"));
    assert!(!page("alice").contains("chat failing"));
}

#[test]
fn answer_of_500_and_503_is_a_page_for_a_person_and_a_document_for_a_program() {
    let pages = Pages::built_in();
    let asks = [
        ("GET", "/live", Some("text/html,*/*"), true),
        ("POST", "/alerts", Some("text/html"), true),
        ("GET", "/api/0/hosts", Some("text/html"), false),
        ("GET", "/live", None, false),
    ];
    for (method, path, accept, is_page) in asks {
        let headers: Vec<_> = accept.map(|kinds| ("Accept", kinds)).into_iter().collect();
        let request = request(method, path, &headers, b"");
        let broken = failed(&request, &pages, "1f-7");
        let busy = unavailable(&request, &pages, "busy", "The server has too much to do.");
        for (answer, status, want) in
            [(broken, 500, "journalctl -u hbd --grep 1f-7"), (busy, 503, "too much to do")]
        {
            let header = |name: &str| {
                let found = answer.headers.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let body = String::from_utf8_lossy(answer.body.as_bytes());
            let what = format!("{method} {path} {status}: {body}");
            assert_eq!(answer.status, status, "{what}");
            assert!(body.contains(want), "{what}");
            assert_eq!(header("Retry-After").is_empty(), status == 500, "{what}");
            if is_page {
                assert!(header("Content-Type").starts_with("text/html"), "{what}");
                assert!(header("Content-Security-Policy").contains("default-src 'none'"), "{what}");
                assert!(body.contains("<h1>") && !body.contains("<script"), "{what}");
                // What was sent may not be sent twice by a click.
                let again = body.contains(&format!("href=\"{path}\">Try again"));
                assert_eq!(again, status == 503 && method == "GET", "{what}");
            } else {
                assert_eq!(header("Content-Type"), "application/problem+json", "{what}");
            }
        }
    }
}

fn session(id: &str, user: &str, age: i64) -> SessionShown {
    let now = NOW.wall.as_secs();
    let address = Some("192.0.2.9".parse().unwrap());
    let (created, last_used) = (now - age - 3600, now - age);
    SessionShown {
        id: id.to_owned(),
        user: user.to_owned(),
        created,
        last_used,
        remember: true,
        address,
    }
}

#[test]
fn sessions_are_listed_and_ended_by_their_user_and_by_an_admin() {
    let mut bench = super::right::bench();
    bench.accounts.sessions =
        vec![session("1", "alice", 5), session("2", "alice", 7200), session("3", "max", 60)];
    let get = |who: &str, target: &str| {
        let cookie = format!("hb_session={who}");
        let got = bench.get_with(target, &[("Host", "mon"), ("Cookie", &cookie)]);
        (got.status, String::from_utf8_lossy(got.body.as_bytes()).into_owned())
    };
    let (_, own) = get("alice", "/api/0/auth/sessions?all=1");
    assert!(own.contains("\"id\":\"2\"") && !own.contains("\"id\":\"3\""), "{own}");
    assert!(
        own.contains(
            "\"last_used\":1795360836,\"remember\":true,\"address\":\"192.0.2.9\",\"current\":true"
        ),
        "{own}"
    );
    assert!(get("root", "/api/0/auth/sessions?all=1").1.contains("\"id\":\"3\""));
    assert_eq!(get("root", "/api/0/auth/sessions?all=perhaps").0, 400);
    let (_, page) = get("alice", "/settings?part=tokens");
    // The session that looks is left to the way out that every page has.
    assert!(page.contains("this browser") && page.contains("name=\"id\" value=\"2\""), "{page}");
    assert!(!page.contains("name=\"id\" value=\"1\"") && !page.contains("name=\"id\" value=\"3\""));
    let (_, page) = get("root", "/settings?part=users");
    assert!(page.contains("name=\"id\" value=\"3\""), "{page}");
    let end = |who: &str, id: &str| {
        let cookie = format!("hb_session={who}");
        let form = "application/x-www-form-urlencoded";
        let headers = [
            ("Host", "mon"),
            ("Origin", "http://mon"),
            ("Cookie", &*cookie),
            ("Content-Type", form),
        ];
        let body = format!("do=session-end&id={id}");
        bench.ask(&request("POST", "/settings?part=tokens", &headers, body.as_bytes())).status
    };
    assert_eq!(end("alice", "3"), 404, "another's session is none");
    assert_eq!((end("alice", "2"), end("root", "3")), (303, 303));
    let ended = bench.accounts.ended.lock().unwrap().clone();
    assert_eq!(ended, [crate::account::Key::Session(2), crate::account::Key::Session(3)]);
}

#[test]
fn settings_show_what_a_reload_would_change_before_it_does() {
    let mut bench = super::right::bench();
    let headers = [("Host", "mon"), ("Cookie", "hb_session=root")];
    let page = |bench: &Bench| {
        let got = bench.get_with("/settings?part=server&check=1", &headers);
        String::from_utf8_lossy(got.body.as_bytes()).into_owned()
    };
    assert!(page(&bench).contains("Nothing: the files say what is in force."));
    let change = |key: &str, old: Option<&str>, new: Option<&str>, live| ConfigChange {
        key: key.to_owned(),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
        live,
    };
    bench.engine.preview = Some(Ok(vec![
        change("interval", Some("30"), Some("60"), true),
        change("hb_port", None, Some("50103"), false),
        change("users.alice", None, None, true),
    ]));
    let shown = page(&bench);
    for want in
        ["interval", "60", "after a restart", "not written", "differs, not shown", "Reload now"]
    {
        assert!(shown.contains(want), "{want}: {shown}");
    }
    let got = bench.get_with("/api/0/reload/preview", &headers);
    assert!(
        String::from_utf8_lossy(got.body.as_bytes())
            .contains(r#"{"key":"interval","old":"30","new":"60","live":true}"#)
    );
    bench.engine.preview = Some(Err(vec!["hbd.yaml:3:7: bad".to_owned()]));
    assert!(page(&bench).contains("hbd.yaml:3:7: bad"));
    assert_eq!(bench.get_with("/api/0/reload/preview", &headers).status, 422);
    // Who is no admin has no such part.
    let other = bench.get_with(
        "/settings?part=server&check=1",
        &[("Host", "mon"), ("Cookie", "hb_session=alice")],
    );
    assert!(!String::from_utf8_lossy(other.body.as_bytes()).contains("a reload would change"));
}

#[test]
fn settings_know_the_journals_files_and_how_the_last_update_of_a_name_ended() {
    let mut bench = bench();
    let file = |name: &str, bytes| JournalFile {
        name: name.to_owned(),
        bytes,
        written: Some(NOW.wall - Duration::from_secs(90)),
    };
    bench.engine.journal_files =
        vec![file("messages.journal", 5 << 20), file("messages.journal.1", 100 << 20)];
    let page = bench.text("/settings?part=journal");
    for want in ["messages.journal.1", "100 MB", "105 MB", "of 1.07 GB at most", "1 m 30 s ago"] {
        assert!(page.contains(want), "{want}: {page}");
    }
    let dns = |state, age: u64, error: Option<&str>| Dns {
        name: "web1.dyn.example.net".into(),
        zone: None,
        state,
        records: [DnsRecord {
            address: Some("192.0.2.10".parse().unwrap()),
            updated: None,
            wanted: None,
            refused: None,
        }; 2],
        tried: Some(NOW.wall - Duration::from_secs(age)),
        next: None,
        error: error.map(Into::into),
    };
    let mut prng = Prng::new(1);
    let mut hosts = ["ok1", "bad1"].map(|name| host(0, name, Severity::Up, &mut prng)).to_vec();
    hosts[0].dns = Some(Arc::new(dns(DnsState::Ok, 600, None)));
    hosts[1].id = 1;
    hosts[1].dns = Some(Arc::new(dns(DnsState::Failed, 50, Some("update failed: REFUSED"))));
    bench.view = Arc::new(of_hosts(hosts));
    bench.config.dyndomains = vec!["dyn.example.net".to_owned()];
    let page = bench.text("/settings?part=dns");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place("50 s ago, bad1") < place("update failed: REFUSED"));
    assert!(place("/plugins/bad1#dns") < place("/plugins/ok1#dns"), "trouble comes first");
}

#[test]
fn messages_of_live_are_narrowed_by_their_chips() {
    let bench = bench();
    let page = bench.text("/live?feed=alerts&owner=all");
    let feed =
        page.split("id=\"feed\"").nth(1).and_then(|rest| rest.split("</ol>").next()).unwrap();
    assert!(feed.starts_with(" data-kinds=\"alert\""), "{feed}");
    assert!(
        page.contains(
            "<a href=\"/live?owner=all&amp;feed=alerts#messages\" aria-current=\"true\">Alerts</a>"
        ),
        "{page}"
    );
    assert!(page.contains("<a href=\"/live?owner=all#messages\">All</a>"));
    let all = bench.text("/live");
    assert!(!all.contains("data-kinds"));
    let items =
        |page: &str| page.split("id=\"feed\"").nth(1).unwrap().matches("<li data-id").count();
    let sum: usize = ["states", "alerts", "rest"]
        .iter()
        .map(|chip| items(&bench.text(&format!("/live?feed={chip}"))))
        .sum();
    assert!(sum >= items(&all) && items(&page) < items(&all), "{sum} {}", items(&all));
}
