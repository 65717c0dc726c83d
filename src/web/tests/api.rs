//! Bodies of the API, golden; selection; errors.

use crate::web::fixture::{Bench, request};
use expect_test::{Expect, expect};
use serde_json::Value;

fn json(bench: &Bench, target: &str) -> Value {
    serde_json::from_str(&bench.text(target)).unwrap()
}

fn names(bench: &Bench, target: &str) -> Vec<String> {
    let hosts = json(bench, target)["hosts"].as_array().unwrap().clone();
    hosts.iter().map(|h| h["name"].as_str().unwrap().to_owned()).collect()
}

fn check(bench: &Bench, target: &str, want: Expect) {
    let got = bench.get(target);
    let text = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
    want.assert_eq(&format!("{} {text}\n", got.status));
}

#[test]
fn host_list_has_the_documented_members() {
    check(
        &Bench::new(1),
        "/api/0/hosts",
        expect![[r#"
            200 {"hosts":[{"name":"db-01.bsl","state":"up","severity":"critical","watch":true,"owner":"alice","tags":["db","prod"],"group":"basel","maintenance":false,"interval":30.0,"last_seen":1795360824.004,"since":1795358561.0,"boot_time":1791361409.0,"version":"0.1.0","sealed":false,"connections":[{"family":"ipv4","address":"192.0.2.0","state":"up","rtt_ms":3.483,"loss_percent":0.0,"last_seen":1795360824.004},{"family":"ipv6","address":"2001:db8::","state":"up","rtt_ms":3.583,"loss_percent":0.0,"last_seen":1795360824.004}],"alerts":{"warning":1,"critical":1,"unknown":0},"why":"Disk /var/lib/postgresql 93 % (> 90 %)"}],"total":1}
        "#]],
    );
    check(
        &Bench::new(0),
        "/api/0/hosts",
        expect![[r#"
        200 {"hosts":[],"total":0}
    "#]],
    );
}

#[test]
fn events_come_newest_first_and_page_by_id() {
    let bench = Bench::new(16);
    check(
        &bench,
        "/api/0/events?limit=2",
        expect![[r#"
        200 {"events":[{"id":99006,"timestamp":1795360823.0,"kind":"state","host":"rtr-chur","level":null,"from":"up","to":"late","text":"LATE: rtr-chur - heartbeat overdue","user":null},{"id":99005,"timestamp":1795360181.0,"kind":"state","host":"rtr-aarau","level":"critical","from":"up","to":"down","text":"DOWN: rtr-aarau - no heartbeat for 65 s (ipv4 192.0.2.2)","user":null}],"next":99005}
    "#]],
    );
    assert_eq!(bench.text("/api/0/events?limit=2"), bench.text("/api/0/messages?limit=2"));
    let last = json(&bench, "/api/0/events?before=99001");
    assert_eq!((last["events"].as_array().unwrap().len(), &last["next"]), (1, &Value::Null));
    let one = json(&bench, "/api/0/events?host=WEB-12.bsl&kind=state,boot");
    assert_eq!(one["events"].as_array().unwrap().len(), 1);
}

#[test]
fn health_body_is_the_documented_one() {
    let mut bench = Bench::new(16);
    check(
        &bench,
        "/healthz",
        expect![[r#"
        200 {"status":"ok","version":"0.1.0","uptime_s":172800.0,"hosts":16,"datagrams":{"received":900123,"accepted":900120,"rejected":{"bad_zlib":3}},"channels":{},"queues":{"store":{"depth":3,"capacity":8192,"dropped":0}}}
    "#]],
    );
    bench.starting = true;
    let starting = bench.get("/healthz");
    assert_eq!(starting.status, 503);
    assert!(String::from_utf8_lossy(starting.body.as_bytes()).contains(r#""status":"starting""#));
}

#[test]
fn plugins_give_data_as_it_was_sent() {
    let bench = Bench::new(16);
    check(
        &bench,
        "/api/0/hosts/db-01.bsl/plugins/queue_depth?limit=2",
        expect![[r#"
            200 {"host":"db-01.bsl","plugin":"queue_depth","samples":[{"timestamp":1795360760.0,"data":{"consumer":"billing","oldest_ms":169.5,"stuck":false,"waiting":11.1}},{"timestamp":1795360820.0,"data":{"consumer":"billing","oldest_ms":204.4,"stuck":false,"waiting":17.3}}]}
        "#]],
    );
    let all = json(&bench, "/api/0/hosts/DB-01.bsl/plugins");
    assert_eq!(all["plugins"]["os_info"]["interval"], 86_400);
    assert_eq!(all["plugins"]["cpu_monitor"]["data"]["process_count"], 412);
    let fifty = json(&bench, "/api/0/hosts/db-01.bsl/plugins/cpu_monitor");
    let times: Vec<f64> = fifty["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["timestamp"].as_f64().unwrap())
        .collect();
    assert_eq!(times.len(), 50);
    assert!(times.is_sorted());
}

#[test]
fn order_is_severity_then_newest_change() {
    let bench = Bench::new(16);
    let all = names(&bench, "/api/0/hosts");
    assert_eq!(all[..5], ["rtr-aarau", "web-12.bsl", "mail-02.zrh", "db-01.bsl", "nas-03"]);
    assert_eq!(names(&bench, "/api/0/hosts?limit=2&offset=3"), all[3..5]);
    let by_name = names(&bench, "/api/0/hosts?sort=name");
    assert!(by_name.is_sorted());
    assert_eq!(names(&bench, "/api/0/hosts?sort=name&limit=3&offset=14"), by_name[14..]);
}

#[test]
fn pages_of_any_fleet_join_to_the_whole() {
    let bench = Bench::new(1212);
    let all = names(&bench, "/api/0/hosts");
    let mut joined = Vec::new();
    for offset in (0..1300).step_by(100) {
        joined.extend(names(&bench, &format!("/api/0/hosts?limit=100&offset={offset}")));
    }
    assert_eq!(joined, all);
    assert_eq!(all.len(), 1212);
}

#[test]
fn filters_narrow_the_list() {
    let bench = Bench::new(16);
    let table = [
        ("q=web", 5),
        ("q=web+tag:prod", 5),
        ("q=state:down", 2),
        ("q=state:down,crit", 5),
        ("q=192.0.2.3", 1),
        ("q=2001:db8::3", 1),
        ("q=nothing-like-it", 0),
        ("state=down", 2),
        ("state=degraded", 1),
        ("state=up&severity=critical", 3),
        ("severity=critical,warning", 6),
        ("tag=web", 5),
        ("tag=web,zfs", 6),
        ("group=edge+routers", 2),
        ("tag=web&group=zurich", 1),
    ];
    for (query, want) in table {
        let got = json(&bench, &format!("/api/0/hosts?limit=1&{query}"));
        assert_eq!(got["total"], want, "{query}");
        assert_eq!(got["hosts"].as_array().unwrap().len(), want.min(1), "{query}");
    }
}

#[test]
fn problems_say_what_and_how_to_mend() {
    let bench = Bench::new(16);
    check(
        &bench,
        "/api/0/hosts/db-02.bsl",
        expect![[r#"
            404 {"type":"about:blank","title":"Not Found","status":404,"detail":"There is no host db-02.bsl.","code":"no_such_host","hint":"Did you mean db-01.bsl, web-02.bsl?"}
        "#]],
    );
    check(
        &bench,
        "/api/0/hosts?limit=0",
        expect![[r#"
        400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"limit is not a number in range.","code":"bad_parameter","hint":"Give a whole number from 1 to 100000.","field":"limit"}
    "#]],
    );
    check(
        &bench,
        "/api/0/events?kind=nonsense",
        expect![[r#"
        400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"There is no such kind of event.","code":"bad_parameter","hint":"kind is one of state, alert, boot, shutdown, message, maintenance, command, update, dns, notify, user, config, key, security, ghost, server, journal; several with commas.","field":"kind"}
    "#]],
    );
    let table = [
        ("/api/0/nothing", 404),
        ("/api/1/hosts", 404),
        ("/api/0/hosts/", 404),
        ("/api/0/hosts/db-01.bsl/plugins/none", 404),
        ("/api/0/hosts/a%2f..%2fb", 404),
        ("/api/0/hosts/%ff", 404),
        ("/api/0/hosts?limit=-1", 400),
        ("/api/0/hosts?offset=x", 400),
        ("/api/0/hosts?sort=colour", 400),
        ("/api/0/hosts?state=dead", 400),
        ("/api/0/events?limit=1001", 400),
        ("/api/0/hosts/db-01.bsl/plugins/os_info?limit=1001", 400),
    ];
    for (target, want) in table {
        let got = bench.get(target);
        assert_eq!(got.status, want, "{target}");
        let kind = got.headers.iter().find(|(name, _)| *name == "Content-Type").unwrap();
        assert_eq!(kind.1, "application/problem+json", "{target}");
    }
}

#[test]
fn wrong_method_names_the_right_ones() {
    let bench = Bench::new(1);
    let headers = [("Host", "mon"), ("Origin", "http://mon")];
    let table = [
        ("POST", "/api/0/hosts", "GET, HEAD"),
        ("PUT", "/api/0/hosts/db-01.bsl", "GET, HEAD, DELETE"),
        ("GET", "/api/0/hosts/db-01.bsl/watch", "PUT"),
        ("DELETE", "/api/0/events", "GET, HEAD"),
        ("GET", "/api/0/reload", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
    ];
    for (method, path, allow) in table {
        let got = bench.ask(&request(method, path, &headers, b""));
        assert_eq!(got.status, 405, "{method} {path}");
        assert!(got.headers.contains(&("Allow", allow.to_owned())), "{method} {path}");
    }
}

#[test]
fn watch_body_table() {
    let bench = Bench::new(1);
    let table = [
        (r#"{"watch":true}"#, "application/json", 200),
        (r#"{"watch":true}"#, "application/json; charset=utf-8", 200),
        (r#"{"watch":true}"#, "text/plain", 415),
        (r#"{"watch":1}"#, "application/json", 422),
        (r#"{}"#, "application/json", 422),
        (r#"{"watch":true,"more":1}"#, "application/json", 422),
        (r#"{"watch":"#, "application/json", 400),
        ("", "application/json", 400),
    ];
    for (body, kind, want) in table {
        let headers = [("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", kind)];
        let ask = request("PUT", "/api/0/hosts/DB-01.bsl/watch", &headers, body.as_bytes());
        assert_eq!(bench.ask(&ask).status, want, "{body} as {kind}");
    }
    let none = [("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", "application/json")];
    let ask = request("PUT", "/api/0/hosts/nobody/watch", &none, br#"{"watch":true}"#);
    assert_eq!(bench.ask(&ask).status, 404);
}

#[test]
fn large_answers_are_compressed_where_the_client_takes_it() {
    let bench = Bench::new(100);
    let plain = bench.get("/api/0/hosts");
    let headers = [("Host", "mon"), ("Accept-Encoding", "gzip")];
    let packed = bench.get_with("/api/0/hosts", &headers);
    assert!(packed.headers.contains(&("Content-Encoding", "gzip".to_owned())));
    let bytes = packed.body.as_bytes();
    let inflated = miniz_oxide::inflate::decompress_to_vec(&bytes[10..bytes.len() - 8]).unwrap();
    assert_eq!(inflated, plain.body.as_bytes());
    assert!(plain.headers.contains(&("Vary", "Accept-Encoding".to_owned())));
}

#[test]
fn page_of_a_large_fleet_is_quick() {
    // The bound is loose: it catches a sort of the whole fleet by name, not a slow machine.
    let bench = Bench::new(20_000);
    let watch = crate::os::clock::now();
    let got = bench.get("/api/0/hosts?limit=50");
    let took = crate::os::clock::now().mono.since(watch.mono);
    assert_eq!(got.status, 200);
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    eprintln!("20,000 hosts, limit 50: {took:?}");
}
