//! Requests and answers one at a time.

use super::rig::{HUGE, LARGE, Rig};
use heartbeat::limits;
use heartbeat::time::Duration;
use std::io::{Read, Write};

const GOOD: &[u8] = b"GET /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[test]
fn request_is_answered_by_the_app_and_the_connection_stays() {
    let rig = Rig::new();
    let mut client = rig.connect();
    for _ in 0..3 {
        client.send(b"GET /a/b?c=d HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer(), (200, "Get /a/b c=d".to_owned()));
    }
    client.send(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.answer(), (200, "5".to_owned()));
    client.send(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.head();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 8\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nDate: "), "{head}");
    assert!(client.head().starts_with("HTTP/1.1 304 "));
    client.send(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let rest = client.rest();
    assert!(rest.contains("Connection: close\r\n") && rest.ends_with("Get /last "), "{rest}");
    rig.front.stop();
}

#[test]
fn h1_refusals_have_their_status_and_close() {
    let rig = Rig::new();
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(17 << 10));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(70));
    let post = |field: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n");
    let table = [
        ("GET /\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), "505"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\nHost: x\n\n".to_owned(), "400"),
        (post("Content-Length: 100000000000"), "413"),
        (post("Content-Length: 65537"), "413"),
        (post("Content-Length: 5x"), "400"),
        (post("Content-Length: +5"), "400"),
        (post("Content-Length: 5\r\nContent-Length: 5"), "400"),
        (post("Transfer-Encoding: chunked"), "400"),
        (post("Expect: gold"), "417"),
        (long, "431"),
        (many, "431"),
    ];
    for (request, want) in &table {
        let answer = rig.ask(request.as_bytes());
        assert_eq!(status(&answer), *want, "{} -> {answer}", &request[..request.len().min(80)]);
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
    }
    assert_eq!(rig.count("http_refused"), table.len() as u64);
    rig.front.stop();
}

#[test]
fn http_1_0_is_answered_and_closed_unless_it_asks_to_stay() {
    let rig = Rig::new();
    assert!(rig.ask(b"GET / HTTP/1.0\r\n\r\n").ends_with("Get / "));
    let mut client = rig.connect();
    for _ in 0..2 {
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.answer().0, 200);
    }
    rig.front.stop();
}

#[test]
fn body_waits_for_continue_where_it_was_expected() {
    let rig = Rig::new();
    let mut client = rig.connect();
    client.send(
        b"PUT /length HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"abc");
    assert_eq!(client.answer(), (200, "3".to_owned()));
    rig.front.stop();
}

#[test]
fn largest_body_passes_whole() {
    let rig = Rig::new();
    let mut client = rig.connect();
    client.send(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n");
    client.send(&[7; 65536]);
    assert_eq!(client.answer(), (200, "65536".to_owned()));
    rig.front.stop();
}

#[test]
fn half_closed_peer_still_gets_its_answer() {
    let rig = Rig::new();
    let mut client = rig.connect();
    client.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    client.stream.shutdown(std::net::Shutdown::Write).expect("open");
    assert!(client.rest().ends_with("Get /x "));
    rig.front.stop();
}

#[test]
fn internal_fields_from_outside_never_reach_the_app() {
    let rig = Rig::new();
    let mut client = rig.connect();
    client.send(
        b"GET /headers HTTP/1.1\r\nHost: x\r\nX-Gate-Peer: control\r\nx-gate-secure: 1\r\n\
          TE: chunked\r\nX-Gate-Other: 1\r\nCookie: a=\xc3\xa9; s=1\r\n\r\n",
    );
    let (status, body) = client.answer();
    assert_eq!(status, 200);
    assert_eq!(body, "Host=x;Cookie=a=??; s=1;Content-Length=0;Connection=close;");
    client.send(
        b"GET /peer HTTP/1.1\r\nHost: x\r\nX-Gate-Peer: control\r\n\
          X-Forwarded-For: 9.9.9.9\r\n\r\n",
    );
    assert_eq!(client.answer().1, "Remote(127.0.0.1) false");
    rig.front.stop();
}

#[test]
fn forwarded_address_counts_behind_a_trusted_proxy() {
    let rig = Rig::behind_proxy();
    let mut client = rig.connect();
    client.send(
        b"GET /peer HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.9, 192.0.2.1\r\n\
          X-Forwarded-Proto: https\r\n\r\n",
    );
    assert_eq!(client.answer().1, "Remote(192.0.2.1) true");
    rig.front.stop();
}

#[test]
fn control_socket_is_told_from_others() {
    let rig = Rig::new();
    let mut client = rig.control();
    client.send(b"GET /peer HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer().1, "Control false");
    rig.front.stop();
}

#[test]
fn panicking_page_answers_500_and_the_next_one_is_fine() {
    let rig = Rig::new();
    let mut client = rig.connect();
    for _ in 0..6 {
        client.send(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer().0, 500);
    }
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer().0, 200);
    assert_eq!(rig.count("http_panics"), 6);
    rig.front.stop();
}

#[test]
fn connection_closes_after_its_share_of_requests() {
    let rig = Rig::new();
    let mut client = rig.connect();
    for n in 1..=100 {
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let head = client.head();
        assert_eq!(head.contains("Connection: close"), n == 100, "request {n}");
        client.body(6);
    }
    rig.front.stop();
}

#[test]
fn large_answer_arrives_whole_though_the_peer_is_slow_and_others_are_served() {
    let rig = Rig::behind_proxy();
    let mut slow: Vec<_> = (0..8).map(|_| rig.connect()).collect();
    for client in &mut slow {
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    let mut quick = rig.connect();
    quick.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(quick.answer().0, 200);
    for client in &mut slow {
        assert!(client.head().starts_with("HTTP/1.1 200"));
        assert_eq!(client.rest().len(), LARGE);
    }
    rig.front.stop();
}

#[test]
fn h1_pipelined_requests_wait_in_the_kernel() {
    let rig = Rig::new();
    let mut client = rig.connect();
    let one = b"GET /p HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send(&one.repeat(99));
    for n in 0..99 {
        assert_eq!(client.answer(), (200, "Get /p ".to_owned()), "answer {n}");
    }
    // Many more than may wait: the peer's own writes stall or fail, and the front answers others.
    client.stream.set_write_timeout(Some(Duration::from_millis(200))).expect("set");
    let _ = client.stream.write_all(&one.repeat(40_000));
    let mut other = rig.connect();
    other.send(one);
    assert_eq!(other.answer().0, 200);
    rig.front.stop();
}

#[test]
fn long_answers_beyond_the_memory_for_slow_peers_are_refused_and_short_ones_are_not() {
    let rig = Rig::behind_proxy();
    let huge = b"GET /huge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut slow = rig.connect();
    slow.send(huge);
    assert!(slow.head().starts_with("HTTP/1.1 200 "));
    for _ in 0..8 {
        assert!(rig.ask(huge).starts_with("HTTP/1.1 503 "));
        assert!(rig.ask(b"GET /a HTTP/1.0\r\n\r\n").ends_with("Get /a "));
    }
    assert_eq!(slow.rest().len(), HUGE);
    let mut next = rig.connect();
    next.send(huge);
    assert!(next.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(rig.count("http_memory_full"), 8);
    rig.front.stop();
}

#[test]
fn h1_deadlines_end_what_is_slow() {
    let rig = Rig::new();
    let mut silent = rig.connect();
    let mut head = rig.connect();
    head.send(b"GET / HT");
    let mut body = rig.connect();
    body.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    let mut idle = rig.connect();
    idle.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(idle.answer().0, 200);
    let mut later = rig.connect();
    later.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(later.answer().0, 200);
    later.send(b"GET /again HT");
    rig.ask(b"GET / HTTP/1.0\r\n\r\n");

    rig.app.advance(Duration::from_secs(limits::HEAD_DEADLINE_S));
    rig.ask(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(silent.rest(), "");
    assert!(head.rest().starts_with("HTTP/1.1 408 "));
    assert!(later.rest().starts_with("HTTP/1.1 408 "));
    idle.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(idle.answer().0, 200);

    rig.app.advance(Duration::from_secs(limits::BODY_DEADLINE_S - limits::HEAD_DEADLINE_S));
    rig.ask(b"GET / HTTP/1.0\r\n\r\n");
    assert!(body.rest().starts_with("HTTP/1.1 408 "));

    rig.app.advance(Duration::from_secs(limits::KEEP_ALIVE_S));
    rig.ask(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(idle.rest(), "");
    assert_eq!(rig.count("http_overdue"), 3);
    rig.front.stop();
}

#[test]
fn stop_ends_though_peers_are_idle_or_slow() {
    let rig = Rig::new();
    let mut idle = rig.connect();
    let mut stalled = rig.connect();
    stalled.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    stalled.head();
    let before = heartbeat::os::clock::now();
    rig.front.stop();
    let took = heartbeat::os::clock::now().mono.since(before.mono);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let mut byte = [0];
    assert!(matches!(idle.stream.read(&mut byte), Ok(0) | Err(_)));
}

#[test]
fn pool_is_found_again_after_its_directory_was_taken_away() {
    let rig = Rig::new();
    let old = rig.front.pool.door().path;
    std::fs::remove_dir_all(old.parent().expect("a directory")).expect("removed");
    assert_eq!(status(&rig.ask(GOOD)), "200");
    assert_ne!(old, rig.front.pool.door().path);
    assert_eq!((rig.count("http_pool_failed"), rig.count("http_refused")), (0, 0));
    rig.front.stop();
}

#[test]
fn requests_that_a_lost_server_of_the_pool_has_taken_are_answered() {
    let rig = Rig::new();
    let wait = b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    // More than there are threads: the rest waits in tiny_http's queue.
    let mut asked: Vec<_> = (0..crate::pool::IN_FLIGHT)
        .map(|_| {
            let mut client = rig.connect();
            client.send(wait);
            client
        })
        .collect();
    while rig.count("http_requests") < crate::pool::IN_FLIGHT as u64 {
        std::thread::yield_now();
    }
    // Nobody is told that it is gone, and whoever looks finds another.
    let door = rig.front.pool.door();
    std::fs::remove_file(&*door.path).expect("removed");
    assert!(rig.front.pool.revive(&door));
    rig.app.release();
    for client in &mut asked {
        let answer = client.rest();
        assert!(answer.ends_with("waited, told: true"), "{answer}");
    }
    assert_eq!(status(&rig.ask(GOOD)), "200");
    assert_eq!(rig.count("http_pool_failed"), 0);
    rig.front.stop();
}
