//! Every change that the API takes is reachable by a form of some page.

use super::{alert, right};
use crate::calm::{Maintenance, Origin, Schedule};
use crate::engine::view::{Ghost, Severity};
use crate::prng::Prng;
use crate::time::Duration;
use crate::web::Method;
use crate::web::api::ROUTES;
use crate::web::fixture::{Bench, NOW, facts, host, of_hosts, request};
use std::sync::Arc;

/// Method and path of the API, page, and what stands in the form there.
const FORMS: [(Method, &str, &str, &str); 27] = [
    (Method::Delete, "hosts/{host}", "/plugins/web1.dyn.example.net", "value=\"drop\""),
    (Method::Put, "hosts/{host}/watch", "/plugins/web1.dyn.example.net", "value=\"watch\""),
    (Method::Post, "hosts/{host}/dns", "/plugins/web1.dyn.example.net", "value=\"dns\""),
    (Method::Post, "hosts/{host}/commands", "/plugins/web1.dyn.example.net", "value=\"command\""),
    (Method::Post, "hosts/{host}/upgrade", "/plugins/web1.dyn.example.net", "value=\"upgrade\""),
    (Method::Put, "hosts/{host}/access", "/plugins/web1.dyn.example.net", "value=\"access\""),
    (Method::Put, "hosts/{host}/tags", "/plugins/web1.dyn.example.net", "value=\"tags\""),
    (Method::Post, "alerts/ack", "/alerts?act=ack&id=web2/host", "value=\"ack\""),
    (Method::Delete, "alerts/ack/{id}", "/alerts?tab=acknowledged", "value=\"unack\""),
    (Method::Post, "silences", "/alerts?act=silence&host=web1", "value=\"silence\""),
    (Method::Delete, "silences/{id}", "/alerts?tab=silences", "value=\"unsilence\""),
    (Method::Post, "maintenance", "/alerts?act=maintenance", "value=\"maintenance\""),
    (Method::Delete, "maintenance/{id}", "/alerts?tab=maintenance", "value=\"end\""),
    (Method::Post, "auth/login", "/login", "action=\"/login"),
    (Method::Post, "auth/logout", "/live", "value=\"logout\""),
    (Method::Post, "auth/tokens", "/settings?part=tokens", "value=\"token-new\""),
    (Method::Delete, "auth/tokens/{id}", "/settings?part=tokens", "value=\"token-drop\""),
    (Method::Delete, "auth/sessions/{id}", "/settings?part=tokens", "value=\"session-end\""),
    (Method::Put, "users/{user}", "/settings?part=users", "value=\"user\""),
    (Method::Delete, "users/{user}", "/settings?part=users", "value=\"user-drop\""),
    (Method::Post, "ghosts/{name}", "/settings?part=agents", "value=\"ghost\""),
    (Method::Post, "keys", "/settings?part=agents", "value=\"keys-load\""),
    (Method::Post, "notify-test", "/settings?part=notifications", "value=\"notify-test\""),
    (Method::Post, "reload", "/settings", "value=\"reload\""),
    // For several hosts at once.
    (Method::Post, "silences", "/live?act=silence&host=web1&host=web2", "value=\"web2\""),
    (Method::Post, "alerts/ack", "/live?act=ack&host=web1", "value=\"web1/disk_monitor"),
    (Method::Put, "hosts/{host}/tags", "/live?act=tags&host=web1", "value=\"tag-hosts\""),
];

/// A fleet in which everything can be done, for an admin.
fn bench() -> Bench {
    let mut bench = alert::bench();
    let mut prng = Prng::new(1);
    let mut named = host(7, "web1.dyn.example.net", Severity::Up, &mut prng);
    named.sealed = true;
    let old = (*bench.view).clone();
    let mut hosts: Vec<_> = old.hosts.iter().map(|host| (**host).clone()).chain([named]).collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    hosts.iter_mut().enumerate().for_each(|(at, host)| host.id = at as u32);
    let mut view = of_hosts(hosts);
    (view.silences, view.acknowledgements) = (old.silences, old.acknowledgements);
    let address = "192.0.2.7".parse().unwrap();
    let (first, last) = (NOW.wall, NOW.wall);
    view.ghosts = Arc::new(vec![Ghost {
        name: "new1".into(),
        address,
        first,
        last,
        count: 4,
        reason: "unknown_host",
    }]);
    let hour = Duration::from_secs(3600);
    let window = Maintenance {
        id: "m1".into(),
        hosts: vec!["web*".to_owned()],
        tags: Vec::new(),
        groups: Vec::new(),
        schedule: Schedule::once(NOW.wall - hour, NOW.wall + hour).unwrap(),
        zone: None,
        reason: String::new(),
        by: None,
        origin: Origin::Api,
    };
    view.maintenances = Arc::new(vec![(Arc::new(window), true)]);
    bench.view = Arc::new(view);
    bench.facts = facts();
    bench.config.dyndomains = vec!["dyn.example.net".to_owned()];
    let names = [("root", true), ("bob", false)];
    bench.config.users =
        names.map(|(name, admin)| (name.to_owned(), right::user(admin))).into_iter().collect();
    bench.accounts.sessions = vec![crate::account::SessionShown {
        id: "9".to_owned(),
        user: "root".to_owned(),
        created: 1_795_000_000,
        last_used: 1_795_000_000,
        remember: false,
        address: None,
    }];
    bench.accounts.tokens.lock().unwrap().push(crate::account::TokenShown {
        id: "t1".to_owned(),
        user: "root".to_owned(),
        name: "ci".to_owned(),
        scope: crate::account::Reach::Read,
        created: 1_795_000_000,
        last_used: None,
        expires: None,
    });
    bench
}

#[test]
fn every_change_of_the_api_has_a_form() {
    let bench = bench();
    for route in ROUTES.iter().filter(|route| route.method != Method::Get) {
        let has = |(method, path, ..): &&(Method, &str, &str, &str)| {
            *method == route.method && *path == route.path
        };
        assert!(FORMS.iter().any(|form| has(&form)), "{:?} {}", route.method, route.path);
    }
    for (method, path, page, field) in FORMS {
        assert!(ROUTES.iter().any(|r| r.method == method && r.path == path), "no route {path}");
        let headers = [("Host", "mon"), ("Authorization", "Bearer root")];
        let signed_in = if page == "/login" { &headers[..1] } else { &headers[..] };
        let got = bench.get_with(page, signed_in);
        let html = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
        assert_eq!(got.status, 200, "{page}");
        let forms: Vec<&str> =
            html.split("<form").skip(1).filter_map(|f| f.split("</form>").next()).collect();
        let is_form =
            forms.iter().any(|form| form.contains("method=\"post\"") && form.contains(field));
        assert!(is_form, "{page} has no form for {path}: {field}");
    }
}

/// A page, what stands in a form there, and who of monitor, manager, owner and admin has it.
const ROLES: [(&str, &str, [bool; 4]); 18] = {
    const NAME: &str = "/plugins/web1.dyn.example.net";
    const MANAGER: [bool; 4] = [false, true, true, true];
    const OWNER: [bool; 4] = [false, false, true, true];
    const ADMIN: [bool; 4] = [false, false, false, true];
    const ALL: [bool; 4] = [true; 4];
    [
        (NAME, "value=\"watch\"", MANAGER),
        (NAME, "value=\"dns\"", MANAGER),
        (NAME, "value=\"command\"", MANAGER),
        (NAME, "value=\"upgrade\"", MANAGER),
        (NAME, "value=\"tags\"", MANAGER),
        (NAME, "value=\"access\"", OWNER),
        (NAME, "value=\"drop\"", OWNER),
        ("/alerts?act=silence&host=web1.dyn.example.net", "value=\"silence\"", MANAGER),
        ("/alerts?act=maintenance&host=web1.dyn.example.net", "value=\"maintenance\"", MANAGER),
        ("/live?act=tags&host=web1.dyn.example.net", "value=\"tag-hosts\"", MANAGER),
        ("/settings?part=agents", "value=\"ghost\"", ADMIN),
        ("/settings?part=agents", "value=\"keys-load\"", ADMIN),
        ("/settings?part=notifications", "value=\"notify-test\"", ADMIN),
        ("/settings?part=server", "value=\"reload\"", ADMIN),
        ("/settings?part=users", "value=\"user\"", ADMIN),
        ("/settings?part=tokens", "value=\"token-new\"", ALL),
        ("/live", "value=\"logout\"", ALL),
        ("/live", "value=\"theme\"", ALL),
    ]
};

#[test]
fn each_role_has_the_forms_of_what_it_may_do_and_no_others() {
    let mut bench = bench();
    let mut view = (*bench.view).clone();
    let mut hosts: Vec<_> = view.hosts.iter().map(|host| (**host).clone()).collect();
    for host in &mut hosts {
        host.owner = Some(Arc::from("olive"));
        host.managers = Arc::from([Arc::from("max")]);
        host.monitors = Arc::from([Arc::from("mona")]);
    }
    let named = of_hosts(hosts);
    (view.hosts, view.names) = (named.hosts, named.names);
    bench.view = Arc::new(view);
    for name in ["olive", "max", "mona"] {
        bench.config.users.insert(name.to_owned(), right::user(false));
    }
    let mut wrong = Vec::new();
    for (page, field, want) in ROLES {
        for (who, want) in ["mona", "max", "olive", "root"].into_iter().zip(want) {
            let bearer = format!("Bearer {who}");
            let got = bench.get_with(page, &[("Host", "mon"), ("Authorization", &bearer)]);
            let html = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
            let forms = html.split("<form").skip(1).filter_map(|f| f.split("</form>").next());
            let has =
                forms.filter(|form| form.contains("method=\"post\"")).any(|f| f.contains(field));
            if has != want {
                wrong.push(format!(
                    "{page} {field}: {who} {}",
                    if has { "has it" } else { "lacks it" }
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a caller is told, in the order of `right::CALLERS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    SignIn,
    Missing,
    Forbidden,
    In,
}

/// By the right that it takes (SPEC section 6).
const TOLD: [(&str, [Told; 9]); 6] = {
    use Told::{Forbidden as F, In as I, Missing as M, SignIn as S};
    [
        ("public", [I, I, I, I, I, I, I, I, I]),
        ("own", [S, S, M, M, M, I, I, F, I]),
        ("member", [S, S, I, I, I, I, I, F, I]),
        ("manager", [S, S, M, F, I, I, I, F, I]),
        ("owner", [S, S, M, F, F, I, I, F, F]),
        ("admin", [S, S, F, F, F, F, I, F, F]),
    ]
};

/// What `do` may be, the page it is posted to, the other fields (`H` is the host), and the right that it takes.
const ACTIONS: [(&str, &str, &str, &str); 30] = [
    ("watch", "/plugins/H", "to=off", "manager"),
    ("watch", "/live", "host=H&to=off", "manager"),
    ("dns", "/plugins/H", "", "manager"),
    ("command", "/plugins/H", "name=restart", "manager"),
    ("upgrade", "/plugins/H", "", "manager"),
    ("tags", "/plugins/H", "tags=web", "manager"),
    ("tag-hosts", "/live", "host=H&add=web", "manager"),
    ("ack", "/alerts", "id=H/disk_monitor./.percent", "manager"),
    ("unack", "/alerts", "id=a2", "manager"),
    ("silence", "/alerts", "host=H&for=2h", "manager"),
    ("maintenance", "/alerts", "hosts=H&for=2h", "manager"),
    ("drop", "/plugins/H", "confirm=H", "owner"),
    ("access", "/plugins/H", "owner=alice", "owner"),
    ("unsilence", "/alerts", "id=s1", "manager"),
    ("end", "/alerts", "id=m1", "manager"),
    ("ghost", "/settings", "name=new1&to=accept", "admin"),
    ("notify-test", "/settings", "", "admin"),
    ("reload", "/settings", "", "admin"),
    ("keys-load", "/settings", "", "admin"),
    ("user", "/settings", "user=carol", "admin"),
    ("user-drop", "/settings", "user=mona", "admin"),
    ("hash", "/settings", "user=carol&password=sesame", "admin"),
    ("token-new", "/settings", "name=ci&scope=read", "member"),
    ("token-drop", "/settings", "id=1", "own"),
    ("session-end", "/settings", "id=9", "own"),
    ("theme", "/live", "to=dark", "public"),
    ("zone", "/live", "to=utc", "public"),
    ("notices", "/settings", "to=off", "public"),
    ("keys", "/live", "to=on", "public"),
    ("live", "/live", "to=on", "public"),
];

/// The fleet of `bench`, with one of each role on every host. Who owns another host sees none of these.
fn with_roles() -> Bench {
    let mut bench = bench();
    let mut view = (*bench.view).clone();
    for chunk in &mut view.hosts.chunks {
        for (_, host) in Arc::make_mut(chunk).slots.iter_mut().flatten() {
            let host = Arc::make_mut(host);
            host.owner = Some(Arc::from("alice"));
            host.managers = Arc::from([Arc::from("max")]);
            host.monitors = Arc::from([Arc::from("mona")]);
        }
    }
    bench.view = Arc::new(view);
    let names = ["olga", "mona", "max", "alice"].map(|name| (name.to_owned(), right::user(false)));
    bench.config.users.extend(names);
    let mut tokens = bench.accounts.tokens.lock().unwrap();
    tokens[0].id = "1".to_owned();
    tokens[0].user = "alice".to_owned();
    drop(tokens);
    bench.accounts.sessions[0].user = "alice".to_owned();
    bench
}

fn told(bench: &Bench, page: &str, body: &str, token: Option<&str>) -> (Told, u16) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("Host", "mon"),
        ("Origin", "http://mon"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let got = bench.ask(&request("POST", page, &headers, body.as_bytes()));
    let to_login =
        got.headers.iter().any(|(name, to)| *name == "Location" && to.starts_with("/login?"));
    let told = match got.status {
        _ if to_login => Told::SignIn,
        401 => Told::SignIn,
        403 => Told::Forbidden,
        404 => Told::Missing,
        _ => Told::In,
    };
    (told, got.status)
}

#[test]
fn h7_every_action_of_a_form_lets_in_exactly_whom_the_table_says() {
    let (mut wrong, bench) = (Vec::new(), with_roles());
    for (action, page, fields, right) in ACTIONS {
        let (_, expected) = TOLD.iter().find(|(name, _)| *name == right).expect("a right");
        for ((name, token), want) in right::CALLERS.into_iter().zip(expected) {
            let (page, fields) = (page.replace('H', "web1"), fields.replace('H', "web1"));
            let (got, status) = told(&bench, &page, &format!("do={action}&{fields}"), token);
            if got != *want {
                wrong.push(format!("{action} at {page}, {name}: {got:?} ({status}), not {want:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table of docs/HTTP_API.md names every action, so that none is missing above.
#[test]
fn every_action_of_a_form_is_in_the_table_of_rights() {
    let page = include_str!("../../../docs/HTTP_API.md");
    let table = page.split("| `do` | fields | as |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut names = 0;
    for row in rows {
        let cell = row.split('|').nth(1).unwrap_or_default();
        for name in cell.split(',').map(|name| name.trim().trim_matches('`')) {
            assert!(ACTIONS.iter().any(|(action, ..)| *action == name), "{name}");
            names += 1;
        }
    }
    assert!(names >= 24, "{names}");
}
