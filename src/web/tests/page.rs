//! The pages from outside: what they show, and that nothing slips into them.

use crate::engine::view::{Event, EventKind, Ghost, Plugin, Refusal, Sample, Severity, View};
use crate::prng::Prng;
use crate::web::Pages;
use crate::web::fixture::{self, Bench, NOW, request};
use crate::wire::Reject;
use std::sync::Arc;

/// Writes pages for a look at them: `HB_PREVIEW=DIR cargo test preview -- --ignored`.
#[test]
#[ignore = "writes files to look at"]
#[allow(clippy::disallowed_methods)]
fn preview_writes_the_pages() {
    let Some(dir) = std::env::var_os("HB_PREVIEW").map(std::path::PathBuf::from) else { return };
    let write = |name: &str, body: &[u8]| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    };
    for (size, name) in [(0, "empty"), (1, "one"), (16, "few"), (1212, "fleet"), (10_000, "large")]
    {
        let bench = Bench::new(size);
        for theme in ["light", "dark"] {
            let cookie = format!("hb_theme={theme}");
            let headers = [("Host", "mon.example.net:50004"), ("Cookie", &*cookie)];
            for (page, target) in [
                ("live", "/live"),
                ("host", "/plugins/db-01.bsl"),
                ("events", "/events"),
                ("none", "/plugins/db-02"),
            ] {
                let html = bench.get_with(target, &headers);
                let html = String::from_utf8(html.body.as_bytes().to_vec()).unwrap();
                // Without the server the live module would only say that it is not there.
                let html = html.replace("type=\"module\"", "type=\"text/plain\"");
                write(&format!("{name}-{page}-{theme}.html"), html.as_bytes());
            }
        }
        for asset in ["hb.css", "favicon.svg", "base.js", "chart.js", "live.js", "text.js"] {
            let url = bench.pages.assets.url(asset).unwrap();
            write(url.trim_start_matches('/'), bench.get(&url).body.as_bytes());
        }
    }
}

fn html(bench: &Bench, target: &str) -> String {
    let got = bench.get_with(target, &[("Host", "mon.example.net:50004")]);
    let kind = got.headers.iter().find(|(name, _)| *name == "Content-Type").unwrap();
    assert_eq!(kind.1, "text/html; charset=utf-8", "{target}");
    String::from_utf8(got.body.as_bytes().to_vec()).unwrap()
}

/// Each page over each fleet.
fn every_page(check: impl Fn(&str, &str)) {
    for size in [0, 1, 16, 1212, 10_000] {
        let mut bench = Bench::new(size);
        if size == 0 {
            bench.view = std::sync::Arc::new(troubled());
        }
        for target in [
            "/live",
            "/live?q=web+colour:red&state=down,critical&group=basel&sort=name",
            "/live?page=3",
            "/plugins/db-01.bsl",
            "/plugins/web-12.bsl",
            "/plugins/kiosk-31",
            "/plugins/nobody",
            "/alerts",
            "/alerts?q=db&severity=critical&by=host",
            "/alerts?act=ack&id=db-01.bsl/disk_monitor./var/lib/postgresql.percent",
            "/alerts?act=silence&host=db-01.bsl",
            "/alerts?act=maintenance",
            "/alerts?tab=acknowledged",
            "/alerts?tab=silences",
            "/alerts?tab=maintenance",
            "/alerts?tab=history",
            "/find",
            "/find?q=web",
            "/settings",
            "/settings?part=users",
            "/settings?part=thresholds&host=db-01.bsl&metric=cpu_monitor.cpu_percent",
            "/settings?part=notifications",
            "/settings?part=dns",
            "/settings?part=journal",
            "/settings?part=agents",
            "/settings?part=status",
            "/settings?part=tokens",
            "/settings?part=preferences",
            "/settings?part=about",
            "/wall",
            "/status",
            "/events",
            "/events?host=web-12.bsl&kind=state",
            "/nowhere",
        ] {
            check(&format!("{target} of {size}"), &html(&bench, target));
        }
    }
}

/// No host, but refusals and a ghost.
fn troubled() -> View {
    let mut view = fixture::view(0);
    let address = "192.0.2.7".parse().unwrap();
    let refusal = |reason, count| Refusal { address, reason, count, last: NOW.wall };
    view.refusals = vec![refusal(Reject::BadZlib, 3), refusal(Reject::UnknownHost, 1)].into();
    view.ghosts = vec![Ghost {
        name: "new1".into(),
        address,
        first: NOW.wall,
        last: NOW.wall,
        count: 4,
        reason: "unknown_host",
    }]
    .into();
    view
}

/// The tags of a page: name, attributes, and whether it closes.
fn tags(html: &str) -> Vec<(&str, &str, bool)> {
    let mut tags = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("every tag ends");
        let name_end = tag.find([' ', '/', '\n']).filter(|at| *at > 0).unwrap_or(tag.len());
        match tag.strip_prefix('/') {
            Some(name) => tags.push((name, "", true)),
            None => tags.push((&tag[..name_end], &tag[name_end..], false)),
        }
    }
    tags
}

#[test]
fn page_elements_are_closed_in_order() {
    const VOID: [&str; 5] = ["meta", "link", "input", "br", "!doctype"];
    every_page(|page, html| {
        let mut open: Vec<&str> = Vec::new();
        for (name, attributes, closes) in tags(html) {
            match closes {
                true => assert_eq!(open.pop(), Some(name), "{page}"),
                false if VOID.contains(&name) || attributes.ends_with('/') => {}
                false => open.push(name),
            }
        }
        assert!(open.is_empty(), "{page}: {open:?}");
    });
}

#[test]
fn page_has_no_inline_style_or_script_and_no_foreign_address() {
    every_page(|page, html| {
        assert!(!html.contains("style="), "{page}");
        for (name, attributes, closes) in tags(html) {
            let quoted = attributes.split('"').skip(1).step_by(2);
            let values: Vec<&str> = quoted.collect();
            assert!(name != "style", "{page}");
            assert!(name != "script" || closes || attributes.contains(" src=\"/static/"), "{page}");
            let names: String = attributes.split('"').step_by(2).collect();
            assert!(!names.contains(" on"), "{page}: {name} {attributes}");
            let foreign =
                |v: &&&str| v.contains("://") && !v.starts_with("ws://mon.example.net:50005/");
            assert_eq!(values.iter().find(foreign), None, "{page}: {name}");
        }
    });
}

#[test]
fn page_speaks_to_a_screen_reader() {
    every_page(|page, html| {
        for (name, attributes, closes) in tags(html) {
            let has = |what: &str| attributes.contains(what);
            match name {
                "svg" if !closes => {
                    let labelled =
                        has("role=\"img\"") && has("aria-label=\"") && !has("aria-label=\"\"");
                    assert!(labelled || has("aria-hidden=\"true\""), "{page}: {attributes}");
                }
                "th" if !closes => assert!(has("scope=\""), "{page}: {attributes}"),
                "time" if !closes => assert!(has("datetime=\"2"), "{page}: {attributes}"),
                "html" if !closes => assert!(has("lang=\"en\""), "{page}"),
                _ => {}
            }
        }
        assert_eq!(html.matches("<h1").count(), 1, "{page}");
        assert_eq!(html.matches("<main").count(), 1, "{page}");
        assert!(html.contains("role=\"status\"") || page.starts_with("/status"), "{page}");
    });
}

#[test]
fn ids_are_unique_and_links_lead_to_pages() {
    every_page(|page, html| {
        let ids: Vec<&str> =
            html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{page}");
        for rest in html.split(" href=\"").skip(1) {
            let link = rest.split('"').next().unwrap();
            let known = [
                "/live",
                "/alerts",
                "/events",
                "/find",
                "/settings",
                "/plugins/",
                "/static/",
                "/status",
                "/favicon.svg?",
                "/api/0/hosts",
                "/api/0/config",
            ];
            let inner = link.strip_prefix('#').is_some_and(|id| ids.contains(&id));
            assert!(inner || known.iter().any(|k| link.starts_with(k)), "{page}: {link}");
        }
    });
}

/// What a person reads of a page, and what is read out.
fn words_of(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<').skip(1) {
        let (tag, shown) = part.split_once('>').unwrap_or((part, ""));
        let spoken = ["aria-label=\"", "title=\"", "placeholder=\""];
        for name in spoken {
            text.extend(tag.split(name).nth(1).and_then(|rest| rest.split('"').next()));
            text.push(' ');
        }
        text.push_str(shown);
        text.push(' ');
    }
    text.to_lowercase()
}

/// ui/UI.md section 6: one word for one thing.
#[test]
fn pages_keep_to_one_vocabulary() {
    const BANNED: [&str; 12] = [
        "offline",
        "dead",
        "healthy",
        "unhealthy",
        "failing",
        "mute",
        "muted",
        "snooze",
        "snoozed",
        "problem-id",
        "ok'd",
        "unreachability",
    ];
    every_page(|page, html| {
        let text = words_of(html);
        let words = text.split(|c: char| !c.is_alphanumeric() && !['-', '_', '\''].contains(&c));
        let found: Vec<&str> = words.filter(|word| BANNED.contains(word)).collect();
        assert!(found.is_empty(), "{page}: {found:?}");
    });
    // The eight states are written alike everywhere, in their one order.
    let page = html(&Bench::new(16), "/live");
    let tiles = page.split("class=\"tiles\"").nth(1).unwrap().split("</form>").next().unwrap();
    let words: Vec<&str> =
        tiles.split("<span>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    let want =
        ["Down", "Critical", "Warning", "Late", "Unreachable", "Unknown", "Maintenance", "Up"];
    assert_eq!(words, want);
}

#[test]
fn first_view_of_live_keeps_its_budget() {
    let bench = Bench::new(1212);
    let packed = bench.get_with("/live", &[("Host", "mon"), ("Accept-Encoding", "gzip")]);
    let mut bytes = packed.body.as_bytes().len();
    let mut parts = vec![bytes];
    // base.js comes when the page stands.
    let assets = &bench.pages.assets;
    let own = ["hb.css", "live.js"].map(|name| assets.url(name).unwrap());
    for url in own.into_iter().chain(assets.imports_of_live()) {
        let got = bench.get_with(&url, &[("Host", "mon"), ("Accept-Encoding", "gzip")]);
        assert!(got.headers.iter().any(|(_, v)| v.contains("immutable")));
        bytes += got.body.as_bytes().len();
        parts.push(got.body.as_bytes().len());
    }
    let nodes = tags(&html(&bench, "/live")).iter().filter(|(_, _, closes)| !closes).count();
    assert!(nodes <= 2500, "{nodes} elements");
    assert!(bytes <= 30_000, "{bytes} bytes: {parts:?}");
}

#[test]
fn empty_page_gives_the_commands_and_explains_refusals() {
    let mut bench = Bench::new(0);
    bench.view = std::sync::Arc::new(troubled());
    bench.facts.udp = Some(50103);
    let page = html(&bench, "/live");
    for want in [
        "hbc-mini mon.example.net:50103",
        "hbc-mini --install-service mon.example.net:50103",
        "Listening on UDP 50103, 0 datagrams so far. This page changes by itself.",
        "3 datagrams from 192.0.2.7 could not be parsed (bad zlib header or data)",
        "1 datagram from 192.0.2.7 was refused: not a known host (udp_policy)",
        "hbc doctor mon.example.net:50103",
        "hbd ghosts accept new1",
        "data-empty",
    ] {
        assert!(page.contains(want), "{want}");
    }
    let local = bench.get_with("/live", &[("Host", "127.0.0.1:50004")]);
    let local = String::from_utf8_lossy(local.body.as_bytes()).into_owned();
    assert!(
        local.contains("hbc-mini 127.0.0.1:50103") && local.contains("<code>mon.example.net:50103")
    );
}

#[test]
fn live_shows_the_worst_first_and_hooks_for_the_live_module() {
    let page = html(&Bench::new(16), "/live");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(place(">rtr-aarau</a>") < place(">web-12.bsl</a>"));
    assert!(place(">web-12.bsl</a>") < place(">mail-02.zrh</a>"));
    assert!(page.contains("<title>(2 down, 3 critical) Live – Heartbeat</title>"));
    for hook in [
        "data-epoch=\"9f3c1a\" data-ver=\"48211\"",
        "<tr data-id=\"2\" data-place=\"-1795360181\"",
        "id=\"hosts\" data-sort=\"state\" data-size=\"50\"",
        "id=\"link\" role=\"status\"",
        "<ol class=\"feed\" id=\"feed\">",
        "data-state=\"down\" name=\"state\" value=\"down\" aria-pressed=\"false\"",
        "data-live=\"ws://mon.example.net:50005/\"",
    ] {
        assert!(page.contains(hook), "{hook}");
    }
    for column in ["state", "host", "why", "alerts", "r4", "r6", "seen", "up", "res"] {
        assert!(page.contains(&format!("data-col=\"{column}\"")), "{column}");
    }
}

#[test]
fn pages_of_the_table_follow_the_filter() {
    let bench = Bench::new(1212);
    let page = html(&bench, "/live?q=tag:prod&page=2");
    assert!(page.contains(">51–100 of "));
    assert!(page.contains("href=\"/live?q=tag%3Aprod&amp;page=1\""));
    let last = html(&bench, "/live?page=999");
    assert!(last.contains("1\u{2009}151–1\u{2009}200 of 1\u{2009}200"));
    assert!(
        html(&bench, "/live?q=no-such-host").contains("No host matches <code>no-such-host</code>")
    );
    assert!(html(&bench, "/live?q=colour:red").contains("<code>colour:red</code>"));
}

/// What strangers might put into names, tags, messages and plugin output.
const PAYLOADS: [&str; 23] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</title><script>",
    "</textarea><script>",
    "<svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7777*7777 }}",
    "{% include 'base.html' %}",
    "&lt;b&gt;",
    "a\" onmouseover=\"alert(1)",
    "a' style='x",
    "--><script>",
    "<!--",
    "]]>",
    "\u{202e}gnp.exe",
    "\u{2066}isolate",
    "\x1b[31mred",
    "\0null",
    "line\r\nSet-Cookie: x=1",
    "=cmd|' /C calc'!A0",
    "${jndi:ldap://x}",
    "<iframe src=//evil>",
];

#[test]
fn hostile_text_is_shown_and_never_obeyed() {
    let mut prng = Prng::new(1);
    for payload in PAYLOADS {
        let mut host = fixture::host(0, "victim", Severity::Warning, &mut prng);
        let text: Arc<str> = payload.into();
        host.tags = [Arc::clone(&text)].into();
        host.group = Some(Arc::clone(&text));
        host.description = Some(Arc::clone(&text));
        host.owner = Some(Arc::clone(&text));
        host.why = Arc::clone(&text);
        host.version = Some(Arc::clone(&text));
        let record = serde_json::json!({ payload: { payload: payload, "percent": 5 } });
        let data = serde_json::json!({
            "value": payload, payload: 1, "list": [payload], "partitions": record,
            "x_status_code": 2, "x_output": payload, "error": payload,
        });
        let plugins = ["disk_monitor", "nagios_runner", "os_info", "own"];
        host.plugins = Arc::new(plugins.map(|name| plugin(name, &data)).to_vec());
        let mut view = fixture::of_hosts(vec![host]);
        view.events = Arc::new([event(&text)].into());
        let mut bench = Bench::new(0);
        bench.view = Arc::new(view);
        for target in ["/live", "/plugins/victim", "/events"] {
            let page = html(&bench, target);
            for (name, attributes, closes) in tags(&page) {
                assert!(
                    !["img", "iframe", "title><script"].contains(&name),
                    "{payload} in {target}"
                );
                assert!(
                    name != "script" || closes || attributes.contains(" src=\"/static/"),
                    "{payload}"
                );
                let names: String = attributes.split('"').step_by(2).collect();
                assert!(!names.contains(" on") && !names.contains(" style="), "{payload}");
            }
            let hostile = |c: char| crate::text::is_hostile(c) && c != '\n' && c != '\t';
            assert!(!page.contains(hostile), "{payload:?} in {target}");
            assert!(!page.contains("60481729"), "{payload}: {target} computed it");
        }
        let quoted = crate::web::query::encode(payload);
        for target in
            [format!("/live?q={quoted}"), format!("/plugins/{quoted}"), format!("/{quoted}")]
        {
            let page = html(&bench, &target);
            assert!(
                !page.contains("<script>") && !page.contains("<img") && !page.contains("<iframe")
            );
        }
    }
}

fn plugin(name: &str, data: &serde_json::Value) -> Plugin {
    let sample = Sample { at: NOW.wall, data: data.to_string().into() };
    let samples = [Arc::new(sample)].into();
    Plugin { name: name.into(), interval: Some(60), info: name == "os_info", samples }
}

fn event(text: &Arc<str>) -> Arc<Event> {
    Arc::new(Event {
        id: 1,
        at: NOW.wall,
        kind: EventKind::Message,
        host: Some((0, "victim".into())),
        level: None,
        from: None,
        to: None,
        text: Arc::clone(text),
        user: Some(Arc::clone(text)),
    })
}

#[test]
fn choice_of_theme_and_zone_is_a_cookie_and_changes_the_page() {
    let bench = Bench::new(16);
    let form = "application/x-www-form-urlencoded";
    let headers = [("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", form)];
    let table = [
        ("do=theme&to=dark", 303, "hb_theme=dark; Path=/; Max-Age=31536000; SameSite=Lax"),
        ("do=zone&to=utc", 303, "hb_tz=utc; Path=/; Max-Age=31536000; SameSite=Lax"),
        ("do=theme&to=pink", 422, ""),
        ("do=dance&to=x", 422, ""),
    ];
    for (body, status, cookie) in table {
        let got = bench.ask(&request("POST", "/live?q=web", &headers, body.as_bytes()));
        assert_eq!(got.status, status, "{body}");
        if status == 303 {
            assert!(got.headers.contains(&("Location", "/live?q=web".to_owned())), "{body}");
            assert!(got.headers.contains(&("Set-Cookie", cookie.to_owned())), "{body}");
        }
    }
    let foreign = [("Host", "mon"), ("Origin", "http://evil"), ("Content-Type", form)];
    assert_eq!(bench.ask(&request("POST", "/live", &foreign, b"do=theme&to=dark")).status, 403);
    let page =
        bench.get_with("/live", &[("Host", "mon"), ("Cookie", "a=b; hb_theme=dark; hb_tz=utc")]);
    let page = String::from_utf8_lossy(page.body.as_bytes()).into_owned();
    assert!(page.contains("data-theme=\"dark\"") && page.contains("data-tz=\"UTC\""));
    assert!(page.contains("15:20:41</time>"));
    let odd = bench.get_with("/live", &[("Host", "mon"), ("Cookie", "hb_theme=\"><script>")]);
    assert!(String::from_utf8_lossy(odd.body.as_bytes()).contains("data-theme=\"system\""));
}

#[test]
fn redirect_never_leaves_the_server() {
    let bench = Bench::new(1);
    let root = bench.get("/");
    assert_eq!(root.status, 302);
    assert!(root.headers.contains(&("Location", "/live".to_owned())));
    let form = "application/x-www-form-urlencoded";
    let headers = [("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", form)];
    let got = bench.ask(&request("POST", "//evil.example/live", &headers, b"do=theme&to=dark"));
    let away = got.headers.iter().any(|(name, to)| *name == "Location" && to.starts_with("//"));
    assert!(!away);
}

#[test]
fn static_files_come_from_a_table_of_names() {
    let bench = Bench::new(0);
    let url = bench.pages.assets.url("hb.css").unwrap();
    let header = |target: &str, name: &str| {
        let got = bench.get(target);
        got.headers.into_iter().find(|(n, _)| *n == name).map(|(_, v)| v).unwrap_or_default()
    };
    assert_eq!(header(&url, "Cache-Control"), "public, max-age=31536000, immutable");
    assert_eq!(header("/static/hb.css", "Cache-Control"), "no-cache");
    assert_eq!(header("/static/hb.00000000.css", "Cache-Control"), "no-cache");
    let tag = header("/static/hb.css", "ETag");
    let known = bench.get_with("/static/hb.css", &[("Host", "mon"), ("If-None-Match", &tag)]);
    assert_eq!((known.status, known.body.as_bytes().len()), (304, 0));
    for target in [
        "/static/",
        "/static/../Cargo.toml",
        "/static/..%2fhb.css",
        "/static/%2e%2e",
        "/static/hb",
        "/static/.hb.css",
        "/static/a/hb.css",
        "/static/hb.css%00",
    ] {
        assert_eq!(bench.get(target).status, 404, "{target}");
    }
}

#[test]
fn override_wins_and_a_broken_one_is_told() {
    let files = [
        ("error.html", &b"<p>ours: {{ detail }}</p>"[..]),
        ("hb.css", b"body{}"),
        ("live.html", b"{% if %}"),
        (
            "events.html",
            b"{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
        ),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    let mut bench = Bench::new(1);
    bench.pages = Pages::with_overrides(files.into());
    assert_eq!(bench.text("/nowhere"), "<p>ours: There is nothing at this path.</p>");
    assert_eq!(bench.text("/static/hb.css"), "body{}");
    assert!(bench.text("/live").contains("Fleet map"), "the built-in stays");
    assert_eq!(bench.get("/events").status, 500, "a template that never ends is stopped");
    assert_eq!(bench.pages.problems().len(), 1);
    assert!(bench.pages.problems()[0].contains("live.html"));
}
