//! Live connections: the handshake, its refusals, and frames.

use super::rig::{Client, Rig, connect};
use heartbeat::config::server::Server;
use heartbeat::limits;
use heartbeat::os;
use std::net::TcpStream;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

const KEY: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn handshake(path: &str, extra: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:50005\r\nUpgrade: websocket\r\n\
         Connection: keep-alive, Upgrade\r\n{KEY}{extra}\r\n"
    )
}

/// Opens a live connection that has had no frame yet.
fn open(mut client: Client<TcpStream>, path: &str) -> WebSocket<TcpStream> {
    client.send(handshake(path, "").as_bytes());
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let leftover = client.leftover();
    WebSocket::from_partially_read(client.stream, leftover, Role::Client, None)
}

fn text(socket: &mut WebSocket<TcpStream>) -> String {
    loop {
        match socket.read().expect("a message") {
            Message::Text(text) => return text.as_str().to_owned(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn close_code(socket: &mut WebSocket<TcpStream>) -> u16 {
    loop {
        match socket.read().expect("a message") {
            Message::Close(Some(frame)) => return frame.code.into(),
            Message::Text(_) | Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn handshake_is_accepted_as_the_rfc_says() {
    let rig = Rig::new();
    for (address, path) in [(rig.ws, "/"), (rig.ws, "/any"), (rig.http, "/api/0/live/ws")] {
        let mut client = connect(address);
        let extra = "Origin: http://localhost:50004\r\n\
                     Sec-WebSocket-Protocol: other, heartbeat.live.v1\r\n";
        client.send(handshake(path, extra).as_bytes());
        let head = client.head();
        assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        assert!(head.contains("Sec-WebSocket-Protocol: heartbeat.live.v1\r\n"), "{head}");
    }
    assert_eq!(rig.count("ws_upgrades"), 3);
    rig.front.stop();
}

#[test]
fn h6_handshake_is_refused_to_foreign_pages_and_wrong_requests() {
    let rig = Rig::with(Server { http_hosts: vec!["mon.example".to_owned()], ..Server::default() });
    let good = handshake("/", "");
    let table = [
        (handshake("/", "Origin: http://evil.example\r\n"), "403"),
        (handshake("/", "Origin: null\r\n"), "403"),
        (handshake("/", "Origin: http://mon.example\r\n"), "101"),
        (good.replace("localhost:50005", "evil.example"), "403"),
        (good.replace("Version: 13", "Version: 8"), "426"),
        (good.replace("Upgrade: websocket\r\n", ""), "426"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), "400"),
        (good.replace("GET", "POST"), "400"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "426"),
    ];
    for (request, want) in table {
        let mut client = connect(rig.ws);
        client.send(request.as_bytes());
        assert_eq!(&client.head()[9..12], want, "{request}");
    }
    rig.front.stop();
}

#[test]
fn live_client_gets_hello_snapshot_and_what_changes() {
    let rig = Rig::new();
    let mut socket = open(rig.connect(), "/api/0/live/ws");
    assert!(text(&mut socket).contains(r#""t":"hello""#));
    socket.send(Message::text(r#"{"t":"open","topics":["fleet"]}"#)).expect("open");
    let snap = text(&mut socket);
    assert!(snap.contains(r#""t":"snap""#) && snap.contains(r#""seq":1"#), "{snap}");
    rig.app.publish(1, 1);
    let stopped = os::thread::spawn("stop", 64 << 10, || rig.front.stop()).expect("a thread");
    let bye = text(&mut socket);
    assert!(bye.contains(r#""t":"bye""#), "{bye}");
    assert_eq!(close_code(&mut socket), 1001);
    while socket.read().is_ok() {}
    drop(socket);
    stopped.join().expect("stopped");
}

#[test]
fn h2_stalled_client_neither_grows_nor_holds_up_others() {
    const ROUND: usize = 50;
    let rig = Rig::new();
    let mut stalled = open(rig.connect(), "/api/0/live/ws");
    let mut quick = open(rig.connect(), "/api/0/live/ws");
    for socket in [&mut stalled, &mut quick] {
        assert!(text(socket).contains("hello"));
        socket.send(Message::text(r#"{"t":"open","topics":["ev"]}"#)).expect("open");
    }
    let mut next = 1;
    for round in 1..=6 {
        rig.app.publish(ROUND, 20 << 10);
        while next <= round * ROUND {
            let frame = text(&mut quick);
            for item in frame.split(r#"{"id":"#).skip(1) {
                assert!(item.starts_with(&format!("{next},")), "{}", &item[..20]);
                next += 1;
            }
        }
    }
    assert_eq!(rig.count("ws_too_slow"), 0, "its time is not over");
    drop((stalled, quick));
    rig.front.stop();
}

#[test]
fn frame_that_came_with_the_handshake_is_not_lost() {
    let rig = Rig::new();
    let mut client = rig.connect();
    let mut bytes = handshake("/api/0/live/ws", "").into_bytes();
    // A masked text frame `hi` with a zero mask: not a message we know.
    bytes.extend_from_slice(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
    client.send(&bytes);
    client.head();
    let leftover = client.leftover();
    let mut socket = WebSocket::from_partially_read(client.stream, leftover, Role::Client, None);
    assert_eq!(close_code(&mut socket), 4400);
    drop(socket);
    rig.front.stop();
}

#[test]
fn h2_message_over_the_limit_closes_with_4400() {
    let rig = Rig::new();
    let mut socket = open(rig.connect(), "/api/0/live/ws");
    socket.send(Message::text("x".repeat(limits::WS_IN_MAX + 1))).expect("sent");
    assert_eq!(close_code(&mut socket), 4400);
    drop(socket);
    rig.front.stop();
}

#[test]
fn h2_one_address_too_many_closes_with_4429_and_frees_places() {
    let rig = Rig::new();
    let mut held: Vec<_> = (0..limits::WS_CONNS_PER_ADDRESS)
        .map(|_| open(connect(rig.ws), "/"))
        .map(|mut socket| {
            text(&mut socket);
            socket
        })
        .collect();
    assert_eq!(close_code(&mut open(connect(rig.ws), "/")), 4429);
    let mut first = held.remove(0);
    first.close(None).expect("open");
    while first.read().is_ok() {}
    drop(first);
    let mut again = open(connect(rig.ws), "/");
    assert!(text(&mut again).contains("hello"));
    drop((held, again));
    rig.front.stop();
}
