//! Every action of a page's form as every kind of caller: whom it lets in, and what it orders.

use super::right::bench;
use crate::web::fixture::{Bench, request};
use expect_test::expect;
use std::fmt::Write as _;

const CALLERS: [&str; 6] = ["", "olga", "mona", "max", "alice", "root"];

/// Path, and the fields that are posted to it.
const FORMS: [(&str, &str); 26] = [
    ("/alerts", "do=ack&id=ALERT&for=2h&reason=known"),
    ("/alerts", "do=unack&id=ALERT"),
    ("/alerts", "do=silence&host=db-01.bsl&for=1h&reason=work"),
    ("/alerts", "do=silence&host=*&for=1h"),
    ("/plugins/db-01.bsl", "do=silence&plugin=cpu_monitor&for=1h"),
    ("/alerts", "do=unsilence&id=s1"),
    ("/alerts", "do=maintenance&hosts=db-01.bsl&for=30m&reason=disk"),
    ("/plugins/db-01.bsl", "do=maintenance&for=30m"),
    ("/alerts", "do=end&id=m1"),
    ("/live", "do=watch&host=db-01.bsl&to=off"),
    ("/plugins/db-01.bsl", "do=watch&to=on"),
    ("/plugins/db-01.bsl", "do=drop&confirm=db-01.bsl"),
    ("/plugins/db-01.bsl", "do=drop&confirm=other"),
    ("/plugins/db-01.bsl", "do=dns"),
    ("/plugins/db-01.bsl", "do=command&name=restart-web&args=a+b"),
    ("/plugins/db-01.bsl", "do=upgrade&version=0.2.0"),
    ("/plugins/db-01.bsl", "do=access&owner=alice&managers=max+olga"),
    ("/plugins/db-01.bsl", "do=tags&tags=web,prod&group=basel"),
    ("/settings", "do=ghost&name=new1&to=accept"),
    ("/settings", "do=notify-test&channel=chat"),
    ("/settings", "do=reload"),
    ("/settings", "do=token-new&name=script&scope=read&for=30d"),
    ("/settings", "do=token-drop&id=7"),
    ("/settings", "do=user&user=zoe&full_name=Zoe&admin=off"),
    ("/settings", "do=user-drop&user=mona"),
    ("/settings", "do=nonsense"),
];

fn alert(bench: &Bench) -> String {
    let headers = [("Host", "mon"), ("Authorization", "Bearer root")];
    let got = bench.get_with("/api/0/alerts?kind=all&host=db-01.bsl", &headers);
    let list: serde_json::Value = serde_json::from_slice(got.body.as_bytes()).unwrap();
    list["alerts"][0]["id"].as_str().expect("the first host has an alert").to_owned()
}

/// The answers to each caller, and what came of the admin's.
fn outcome(path: &str, fields: &str) -> String {
    let mut out = String::new();
    let kind = "application/x-www-form-urlencoded";
    for caller in CALLERS {
        let bench = bench();
        let fields = fields.replace("ALERT", &crate::web::query::encode(&alert(&bench)));
        let cookie = format!("hb_session={caller}");
        let mut headers = vec![("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", kind)];
        headers.extend((!caller.is_empty()).then_some(("Cookie", &*cookie)));
        let got = bench.ask(&request("POST", path, &headers, fields.as_bytes()));
        let _ = write!(out, "{} ", got.status);
        if caller == "root" {
            let orders = bench.engine.commands.lock().unwrap();
            let changes = bench.accounts.changes.lock().unwrap();
            let tokens = bench.accounts.tokens.lock().unwrap().len();
            let _ = write!(out, "orders {orders:?} changes {changes:?} tokens {tokens}");
        }
    }
    out
}

#[test]
fn h7_each_action_of_a_form_lets_in_whom_the_api_does() {
    let mut table = String::new();
    for (path, fields) in FORMS {
        let _ = writeln!(table, "{path} {fields}\n    {}", outcome(path, fields));
    }
    expect![[r#""#]].assert_eq(&table);
}

#[test]
fn h5_forms_of_other_origins_are_refused_whatever_they_would_do() {
    let bench = bench();
    let kind = "application/x-www-form-urlencoded";
    for (path, fields) in FORMS {
        for origin in [Some("http://evil.example"), Some("null"), None] {
            let mut headers =
                vec![("Host", "mon"), ("Content-Type", kind), ("Cookie", "hb_session=root")];
            headers.extend(origin.map(|origin| ("Origin", origin)));
            let got = bench.ask(&request("POST", path, &headers, fields.as_bytes()));
            assert_eq!(got.status, 403, "{path} {fields} {origin:?}");
        }
    }
    assert!(bench.engine.commands.lock().unwrap().is_empty());
    assert!(bench.accounts.changes.lock().unwrap().is_empty());
}
