//! Who is let in: Host, Origin, content type, control socket, security headers.

use crate::web::Peer;
use crate::web::fixture::{Bench, request};

#[test]
fn host_header_table() {
    let mut bench = Bench::new(1);
    bench.config.http_hosts = vec!["status.example.org".to_owned()];
    bench.config.public_url = Some("https://hb.example.com:8443/x".to_owned());
    let table = [
        ("127.0.0.1:50004", 200),
        ("[::1]:50004", 200),
        ("192.0.2.10", 200),
        ("localhost", 200),
        ("LOCALHOST:50004", 200),
        ("mon", 200),
        ("mon.example.net.:50004", 200),
        ("status.example.org", 200),
        ("hb.example.com:8443", 200),
        ("evil.example", 421),
        ("mon.example.net.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("mon:x", 421),
        ("[::1", 421),
        ("mon/../", 421),
        ("a;b", 421),
        ("", 421),
    ];
    for (host, want) in table {
        let got = bench.get_with("/api/0/hosts", &[("Host", host)]);
        assert_eq!(got.status, want, "{host}");
        let text = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
        assert_eq!(text.contains("http_hosts"), want == 421, "{host}: {text}");
    }
    assert_eq!(bench.get_with("/api/0/hosts", &[]).status, 421, "no Host at all");
}

#[test]
fn write_without_proof_of_origin_is_refused() {
    let bench = Bench::new(1);
    let table: [(&[(&str, &str)], u16); 11] = [
        (&[], 403),
        (&[("Origin", "http://mon:50004")], 200),
        (&[("Origin", "HTTP://MON:50004")], 200),
        (&[("Sec-Fetch-Site", "same-origin")], 200),
        (&[("Sec-Fetch-Site", "same-site")], 403),
        (&[("Sec-Fetch-Site", "none")], 403),
        (&[("Origin", "null")], 403),
        (&[("Origin", "http://mon:50005")], 403),
        (&[("Origin", "https://mon:50004")], 403),
        (&[("Origin", "http://evil.example")], 403),
        (&[("Origin", "http://mon:50004"), ("Sec-Fetch-Site", "cross-site")], 403),
    ];
    for (extra, want) in table {
        let mut headers = vec![("Host", "mon:50004"), ("Content-Type", "application/json")];
        headers.extend_from_slice(extra);
        let path = "/api/0/hosts/db-01.bsl/watch";
        let got = bench.ask(&request("PUT", path, &headers, br#"{"watch":false}"#));
        assert_eq!(got.status, want, "{extra:?}");
    }
    assert_eq!(bench.engine.commands.lock().unwrap().len(), 3);
}

#[test]
fn what_needs_an_owner_is_for_the_control_socket() {
    let bench = Bench::new(1);
    let headers = [("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", "application/json")];
    let table = [
        ("DELETE", "/api/0/hosts/db-01.bsl", "", 204),
        ("POST", "/api/0/reload", "", 200),
        ("POST", "/api/0/ghosts/new1", r#"{"do":"accept"}"#, 200),
    ];
    for (method, path, body, want) in table {
        let mut ask = request(method, path, &headers, body.as_bytes());
        assert_eq!(bench.ask(&ask).status, 403, "{method} {path}");
        ask.peer = Peer::Control;
        assert_eq!(bench.ask(&ask).status, want, "{method} {path}");
    }
    assert_eq!(bench.engine.commands.lock().unwrap().len(), 2);
}

#[test]
fn every_answer_has_the_security_headers() {
    let bench = Bench::new(1);
    for (target, host) in
        [("/api/0/hosts", "mon:50004"), ("/nowhere", "mon"), ("/live", "evil.example")]
    {
        let got = bench.get_with(target, &[("Host", host)]);
        let header = |name: &str| {
            got.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()).unwrap_or_default()
        };
        let policy = header("Content-Security-Policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(policy.ends_with("base-uri 'none'; frame-ancestors 'none'"), "{policy}");
        assert_eq!(policy.contains(" ws://mon:50005;"), host != "evil.example", "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("X-Content-Type-Options"), "nosniff");
        assert_eq!(header("Referrer-Policy"), "same-origin");
        assert_eq!(header("Cross-Origin-Opener-Policy"), "same-origin");
        assert!(header("Permissions-Policy").contains("camera=()"));
    }
}
