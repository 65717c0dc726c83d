//! Who may what: every route with every kind of caller, against the table of SPEC section 6.

use crate::config::server::{Server, User};
use crate::web::api::ROUTES;
use crate::web::fixture::{Bench, request};
use crate::web::route::{Handle, Route};
use crate::web::{Method, PAGES, Peer};
use serde_json::Value;
use std::sync::Arc;

const HOST: &str = "db-01.bsl";
const OTHER: &str = "web-12.bsl";

/// Kinds of caller: how it is called, and what it shows.
pub const CALLERS: [(&str, Option<&str>); 9] = [
    ("nobody", None),
    ("a wrong token", Some("mallory")),
    ("owner of another host", Some("olga")),
    ("monitor", Some("mona")),
    ("manager", Some("max")),
    ("owner", Some("alice")),
    ("admin", Some("root")),
    ("owner's read token", Some("alice/read")),
    ("owner's operate token", Some("alice/operate")),
];

/// What a refusal says; `None` where the request came through to its handler.
type Refusal = Option<&'static str>;

/// The table: the right of a row, and what each caller is told in the order of `CALLERS`. `_` stands
/// for writes.
const EXPECTED: [(&str, [Refusal; 9]); 10] = {
    const S: Refusal = Some("sign_in");
    const H: Refusal = Some("no_such_host");
    const R: Refusal = Some("role_missing");
    const A: Refusal = Some("not_admin");
    const T: Refusal = Some("token_scope");
    const O: Refusal = None;
    [
        ("public GET", [O, O, O, O, O, O, O, O, O]),
        ("public write", [O, O, O, O, O, O, O, O, O]),
        ("reader GET", [S, S, O, O, O, O, O, O, O]),
        ("member write", [S, S, O, O, O, O, O, T, O]),
        ("monitor GET", [S, S, H, O, O, O, O, O, O]),
        ("manager GET", [S, S, H, R, O, O, O, O, O]),
        ("manager write", [S, S, H, R, O, O, O, T, O]),
        ("owner write", [S, S, H, R, R, O, O, T, T]),
        ("admin GET", [S, S, A, A, A, A, O, A, A]),
        ("admin write", [S, S, A, A, A, A, O, A, A]),
    ]
};

/// Codes that only a refusal for want of a right has.
const REFUSALS: [&str; 6] =
    ["sign_in", "no_such_host", "role_missing", "not_admin", "token_scope", "control_socket_only"];

pub fn user(admin: bool) -> User {
    User {
        full_name: String::new(),
        avatar: None,
        password: None,
        admin,
        notification_channels: Vec::new(),
    }
}

/// A fleet whose first host has one of each role, and whose second has another owner.
pub fn bench() -> Bench {
    let mut bench = Bench::new(16);
    let mut view = (*bench.view).clone();
    let chunk = Arc::make_mut(&mut view.hosts.chunks[0]);
    for (_, host) in chunk.slots.iter_mut().flatten() {
        let host = Arc::make_mut(host);
        host.owner = match &*host.name {
            HOST => Some(Arc::from("alice")),
            OTHER => Some(Arc::from("olga")),
            _ => None,
        };
        if &*host.name == HOST {
            host.managers = Arc::from([Arc::from("max")]);
            host.monitors = Arc::from([Arc::from("mona")]);
        }
    }
    bench.view = Arc::new(view);
    let names = ["olga", "mona", "max", "alice"].map(|name| (name.to_owned(), user(false)));
    let users = names.into_iter().chain([("root".to_owned(), user(true))]).collect();
    bench.config = Server { users, ..Server::default() };
    bench
}

/// The code of a refusal for want of a right.
fn refusal(bench: &Bench, route: &Route, base: &str, token: Option<&str>, peer: Peer) -> Refusal {
    let path = route.path.replace("{host}", HOST).replace(['{', '}'], "");
    let target = format!("{base}{path}");
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("Host", "mon"),
        ("Origin", "http://mon"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
    ];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let mut ask = request(route.method.as_str(), &target, &headers, b"{}");
    ask.peer = peer;
    let response = bench.ask(&ask);
    let body = response.body.as_bytes();
    let code = serde_json::from_slice::<Value>(body).ok();
    let code = code.and_then(|body| body["code"].as_str().map(str::to_owned));
    let location = response.headers.iter().find(|(name, _)| *name == "Location");
    if location.is_some_and(|(_, to)| to.starts_with("/login?next=")) {
        return Some("sign_in");
    }
    let found = REFUSALS.into_iter().find(|known| code.as_deref() == Some(known));
    assert_eq!(
        found.is_some_and(|code| code != "no_such_host"),
        matches!(response.status, 401 | 403) && code.as_deref() != Some("scope_too_wide"),
        "{} {target}: {} {code:?}",
        route.method.as_str(),
        response.status
    );
    found
}

fn rows() -> impl Iterator<Item = (&'static str, &'static Route)> {
    let pages = PAGES.iter().filter(|route| route.path != "healthz").map(|route| ("/", route));
    ROUTES.iter().map(|route| ("/api/0/", route)).chain(pages)
}

#[test]
fn h7_every_route_lets_in_exactly_whom_the_table_says() {
    let bench = bench();
    let here = Peer::Remote([127, 0, 0, 1].into());
    let mut seen = 0;
    for (base, route) in rows() {
        let kind = if route.method == Method::Get { "GET" } else { "write" };
        let right = format!("{} {kind}", route.handle.right());
        let (_, expected) = EXPECTED
            .iter()
            .find(|(name, _)| *name == right)
            .unwrap_or_else(|| panic!("{}: no row for {right}", route.path));
        for ((name, token), want) in CALLERS.into_iter().zip(expected) {
            // A page shows the 404 of its own and has no code.
            if base == "/" && route.path.contains("{host}") && want.is_none() && kind == "GET" {
                continue;
            }
            let got = refusal(&bench, route, base, token, here);
            assert_eq!(got, *want, "{} {base}{}: {name}", route.method.as_str(), route.path);
            seen += 1;
        }
        assert_eq!(refusal(&bench, route, base, None, Peer::Control), None, "{}", route.path);
    }
    assert!(seen > 250, "{seen}");
}

/// The rows that stay shut over the network while there are no users.
const CLOSED: &[&str] = &[
    "DELETE hosts/{host}",
    "POST hosts/{host}/commands",
    "POST hosts/{host}/upgrade",
    "POST ghosts/{name}",
    "GET keys",
    "POST keys",
    "POST auth/tokens",
    "DELETE auth/tokens/{id}",
    "DELETE auth/sessions/{id}",
    "GET users",
    "PUT users/{user}",
    "DELETE users/{user}",
    "PUT hosts/{host}/access",
    "POST notify-test",
    "POST reload",
];

#[test]
fn h11_without_users_the_dangerous_rows_are_for_the_control_socket_alone() {
    let mut bench = bench();
    bench.config.users.clear();
    let here = Peer::Remote([127, 0, 0, 1].into());
    let mut shut = Vec::new();
    for (base, route) in rows() {
        match refusal(&bench, route, base, None, here) {
            None => {}
            Some("control_socket_only") => {
                shut.push(format!("{} {}", route.method.as_str(), route.path));
            }
            Some(code) => panic!("{}: {code}", route.path),
        }
        assert_eq!(refusal(&bench, route, base, None, Peer::Control), None, "{}", route.path);
    }
    shut.sort();
    let mut closed = CLOSED.to_vec();
    closed.sort_unstable();
    assert_eq!(shut, closed);
}

#[test]
fn h7_forbidden_host_and_missing_host_are_the_same_answer() {
    let bench = bench();
    let headers = [("Host", "mon"), ("Authorization", "Bearer olga"), ("Origin", "http://mon")];
    let strip = |host: &str, text: &[u8]| String::from_utf8_lossy(text).replace(host, "H");
    let host_rows = ROUTES.iter().filter(|route| {
        !matches!(route.handle, Handle::Public(_)) && route.path.starts_with("hosts/{host}")
    });
    for route in host_rows {
        let ask = |host: &str| {
            let target = format!("/api/0/{}", route.path.replace("{host}", host));
            let target = target.replace(['{', '}'], "");
            let got = bench.ask(&request(route.method.as_str(), &target, &headers, b""));
            (got.status, strip(host, got.body.as_bytes()))
        };
        assert_eq!(ask(HOST), ask("db-91.bsl"), "{}", route.path);
        assert_eq!(ask(HOST).0, 404);
    }
    for target in ["/plugins/H", "/api/0/thresholds?host=H", "/api/0/explain?host=H&metric=x.y"] {
        let ask = |host: &str| {
            let target = target.replace('H', host);
            let got = bench.ask(&request("GET", &target, &headers, b""));
            (got.status, strip(host, got.body.as_bytes()))
        };
        assert_eq!(ask(HOST), ask("db-91.bsl"), "{target}");
        assert_eq!(ask(HOST).0, 404);
    }
}

#[test]
fn lists_name_what_the_user_owns_or_manages_and_alerts_what_they_monitor_too() {
    let bench = bench();
    let names = |who: &str, target: &str, list: &str| {
        let bearer = format!("Bearer {who}");
        let headers = [("Host", "mon"), ("Authorization", &*bearer)];
        let got = bench.get_with(target, &headers);
        let body: Value = serde_json::from_slice(got.body.as_bytes()).expect("JSON");
        let key = if list == "hosts" { "name" } else { "host" };
        let mut names: Vec<String> = body[list]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| entry[key].as_str().unwrap_or("-").to_owned())
            .collect();
        names.dedup();
        names
    };
    for who in ["alice", "max"] {
        assert_eq!(names(who, "/api/0/hosts", "hosts"), [HOST]);
    }
    assert_eq!(names("mona", "/api/0/hosts", "hosts"), [""; 0]);
    assert_eq!(names("olga", "/api/0/hosts", "hosts"), [OTHER]);
    assert_eq!(names("root", "/api/0/hosts", "hosts").len(), 16);
    assert_eq!(
        names("mona", "/api/0/alerts?all=1", "alerts"),
        names("alice", "/api/0/alerts?all=1", "alerts")
    );
    assert_eq!(names("olga", "/api/0/events", "events"), [OTHER]);
    assert_eq!(names("alice", "/api/0/events", "events"), [""; 0]);
    let live = |who: &str| {
        let bearer = format!("Bearer {who}");
        let got = bench.get_with("/live", &[("Host", "mon"), ("Authorization", &bearer)]);
        String::from_utf8_lossy(got.body.as_bytes()).into_owned()
    };
    assert!(live("alice").contains(HOST) && !live("alice").contains(OTHER));
    // A monitor's page links to what they may look at: no table, and not the name of any other host.
    assert!(live("mona").contains(&format!(r#"<a href="/plugins/{HOST}">"#)));
    assert!(!live("mona").contains("<tr") && !live("mona").contains(OTHER));
    let frame = |who: &str| {
        let bearer = format!("Bearer {who}");
        let got = bench.get_with("/api/0/live", &[("Host", "mon"), ("Authorization", &bearer)]);
        String::from_utf8_lossy(got.body.as_bytes()).into_owned()
    };
    assert!(frame("olga").contains(OTHER) && !frame("olga").contains(HOST));
    assert!(frame("root").contains(OTHER) && frame("root").contains(HOST));
}

#[test]
fn h5_origin_matrix() {
    let with_users = bench();
    let mut without = bench();
    without.config.users.clear();
    let origins: [(&str, &[(&str, &str)]); 6] = [
        ("none", &[]),
        ("same", &[("Origin", "http://mon")]),
        ("same site", &[("Sec-Fetch-Site", "same-origin")]),
        ("foreign", &[("Origin", "http://evil.example")]),
        ("null", &[("Origin", "null")]),
        ("foreign site", &[("Origin", "http://mon"), ("Sec-Fetch-Site", "cross-site")]),
    ];
    type Shown<'a> = (&'a str, &'a Bench, Option<(&'a str, &'a str)>);
    let shown: [Shown<'_>; 3] = [
        ("cookie", &with_users, Some(("Cookie", "a=b; hb_session=root"))),
        ("bearer", &with_users, Some(("Authorization", "Bearer root"))),
        ("no users", &without, None),
    ];
    for (base, route) in rows() {
        let target = route.path.replace("{host}", HOST).replace(['{', '}'], "");
        let target = format!("{base}{target}");
        for (origin, headers) in origins {
            for (kind, bench, credential) in shown {
                let mut all = vec![("Host", "mon"), ("Content-Type", "application/json")];
                all.extend_from_slice(headers);
                all.extend(credential);
                let got = bench.ask(&request(route.method.as_str(), &target, &all, b"{}"));
                let body: Value = serde_json::from_slice(got.body.as_bytes()).unwrap_or_default();
                let code = body["code"].as_str().filter(|code| code.ends_with("_origin"));
                let is_login = route.path == "auth/login";
                let want = match (origin, route.method.is_safe()) {
                    ("foreign" | "null", _) | ("foreign site", false) => Some("foreign_origin"),
                    ("none", false) if kind != "bearer" && !is_login => Some("no_origin"),
                    _ => None,
                };
                let what = format!("{} {target}: {origin}, {kind}", route.method.as_str());
                assert_eq!(code, want, "{what}");
                let cors = got.headers.iter().find(|(name, _)| name.starts_with("Access-Control"));
                assert_eq!(cors, None, "{what}");
            }
        }
    }
    // A cookie beside a token that is nobody's counts for nothing.
    let both = [("Host", "mon"), ("Cookie", "hb_session=root"), ("Authorization", "Bearer /x")];
    let got = with_users.ask(&request("DELETE", "/api/0/hosts/db-01.bsl", &both, b""));
    assert_eq!(got.status, 401);
    assert!(with_users.engine.commands.lock().unwrap().iter().all(|command| {
        !matches!(command, crate::engine::Command::By { user, .. } if &**user != "root")
    }));
}

#[test]
fn get_never_changes_anything() {
    let bench = bench();
    for (base, route) in rows().filter(|(_, route)| route.method == Method::Get) {
        let target =
            format!("{base}{}", route.path.replace("{host}", HOST).replace(['{', '}'], ""));
        let headers = [("Host", "mon"), ("Authorization", "Bearer root")];
        bench.get_with(&target, &headers);
    }
    assert!(bench.engine.commands.lock().unwrap().is_empty());
    assert!(bench.accounts.changes.lock().unwrap().is_empty());
    assert!(bench.accounts.ended.lock().unwrap().is_empty());
}
