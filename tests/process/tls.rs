//! `https_port` and `wss_port`, spoken to by curl and by a WebSocket over rustls, with certificates that openssl
//! made.

use crate::program::{Hbd, PATIENCE, Place, Sender, until};
use heartbeat::os::file::read_bounded;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A self-made certificate for `localhost`, in the places that the defaults name.
fn make_certificate(dir: &Path) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(dir.join("privkey.pem"))
        .arg("-out")
        .arg(dir.join("fullchain.pem"))
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn place_with_tls() -> Place {
    let place = Place::new();
    make_certificate(place.path());
    place
        .configure(&format!("https_port: 0\nwss_port: 0\ncert_path: {}\n", place.path().display()));
    place
}

/// curl's output, with what it was told of the certificate.
fn curl(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(place.path().join("fullchain.pem"))
        .args(args)
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

/// A connection over TLS that trusts the certificate of this place.
fn connect(place: &Place, to: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
    let pem = read_bounded(&place.path().join("fullchain.pem"), 1 << 20).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let tcp = TcpStream::connect(to).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp)
}

fn get(stream: &mut (impl Read + Write), path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.take(1 << 24).read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn pages_and_api_over_https_with_curl() {
    let place = place_with_tls();
    let server = place.start();
    let port = server.address("https").unwrap().port();
    Sender::to(server.udp).heartbeat("web1");
    let url = |path: &str| format!("https://localhost:{port}{path}");
    let (status, text) = curl(&place, &[&url("/api/0/hosts")]);
    assert!(status == Some(0) && text.contains("\"web1\""), "{text}");
    // A body larger than a record, a kept connection, gzip, and a static file that is not sent twice.
    let (_, page) = curl(&place, &["--compressed", "--include", &url("/live"), &url("/live")]);
    assert_eq!(page.to_ascii_lowercase().matches("content-encoding: gzip").count(), 2, "{page}");
    assert_eq!(page.matches("</html>").count(), 2, "{page}");
    let at = page.find("/static/hb.").expect("the page links its style");
    let path = page[at..].split('"').next().unwrap();
    let (_, head) = curl(&place, &["--include", "--output", "/dev/null", "-D", "-", &url(path)]);
    assert!(head.contains("immutable"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().trim();
    let field = format!("If-None-Match: {tag}");
    let (_, again) = curl(&place, &["--include", "-H", &field, &url(path)]);
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
}

#[test]
fn request_over_tls_is_secure_and_its_origin_is_https() {
    let place = place_with_tls();
    let server = place.start();
    let port = server.address("https").unwrap().port();
    Sender::to(server.udp).heartbeat("web1");
    let post = |scheme: &str| {
        let url = format!("https://localhost:{port}/api/0/hosts/web1/watch");
        let origin = format!("Origin: {scheme}://localhost:{port}");
        let json = "Content-Type: application/json";
        let args = ["-X", "PUT", "-w", " %{http_code}", "-H", &origin, "-H", json];
        curl(&place, &[&args[..], &["-d", "{\"watch\": false}", &url]].concat()).1
    };
    assert!(
        post("https").ends_with(" 200") || post("https").ends_with(" 204"),
        "{}",
        post("https")
    );
    assert!(post("http").ends_with(" 403"), "{}", post("http"));
}

#[test]
fn live_connection_over_wss_says_hello() {
    let place = place_with_tls();
    let server = place.start();
    for (name, path) in [("wss", "/"), ("https", "/api/0/live/ws")] {
        let to = server.address(name).unwrap();
        let url = format!("wss://localhost:{}{path}", to.port());
        let stream = connect(&place, to);
        let (mut socket, _) = tungstenite::client(url, stream).expect("the handshake");
        let first = socket.read().expect("a message");
        assert!(first.to_text().unwrap().contains("\"t\":\"hello\""), "{first}");
        let open = r#"{"t":"open","topics":["fleet","ev","al"],"rate":4}"#;
        socket.send(tungstenite::Message::text(open)).unwrap();
        let snap = socket.read().expect("a message");
        assert!(snap.to_text().unwrap().contains("\"t\":\"snap\""), "{snap}");
    }
}

#[test]
fn certificate_that_changes_is_used_without_a_restart() {
    let place = place_with_tls();
    let mut server = place.start();
    let to = server.address("https").unwrap();
    let mut old = connect(&place, to);
    assert!(get(&mut old, "/healthz").starts_with("HTTP/1.1 200"));
    make_certificate(place.path());
    server.wait_for_log("the certificate is renewed");
    assert!(get(&mut connect(&place, to), "/healthz").starts_with("HTTP/1.1 200"));
    // One that cannot be used leaves the last one in force, and is told once.
    let good = read_bounded(&place.path().join("fullchain.pem"), 1 << 20).unwrap();
    std::fs::write(place.path().join("fullchain.pem"), "no certificate\n").unwrap();
    server.wait_for_log("the certificate of before stays in use");
    std::fs::write(place.path().join("unused.pem"), good).unwrap();
    let (status, _) =
        curl(&place, &["--insecure", &format!("https://localhost:{}/healthz", to.port())]);
    assert_eq!(status, Some(0));
    assert_eq!(server.log().matches("stays in use").count(), 1);
}

#[test]
fn missing_certificate_is_one_warning_and_everything_else_runs() {
    let place = Place::new();
    let dir = place.path().join("nowhere");
    place.configure(&format!("https_port: 0\nwss_port: 0\ncert_path: {}\n", dir.display()));
    let mut server = place.start();
    let want = format!("{}/fullchain.pem: ", dir.display());
    server.wait_for_log(&want);
    let log = server.log().to_owned();
    assert_eq!(log.matches("https_port and wss_port stay closed").count(), 1, "{log}");
    assert_eq!(log.matches(" WARN ").count(), 1, "{log}");
    assert!(server.address("https").is_none() && server.address("wss").is_none());
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn h1_what_is_no_handshake_harms_nobody() {
    let place = place_with_tls();
    let server = place.start();
    let to = server.address("https").unwrap();
    let held: Vec<TcpStream> = (0..40)
        .map(|n| {
            let mut stream = TcpStream::connect(to).unwrap();
            // Half a record of a handshake, a request in the clear, or nothing at all.
            let bytes: &[u8] = match n % 3 {
                0 => &[0x16, 3, 1, 2, 0, 1, 0],
                1 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                _ => b"",
            };
            let _ = stream.write_all(bytes);
            stream
        })
        .collect();
    until("a good request is answered", || {
        let answer = get(&mut connect(&place, to), "/healthz");
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
    assert_eq!(held.len(), 40);
    let _: &Hbd = &server;
}

#[test]
fn subcommands_ask_over_https() {
    let place = place_with_tls();
    let server = place.start();
    Sender::to(server.udp).heartbeat("web1");
    let url = format!("https://localhost:{}", server.address("https").unwrap().port());
    let ca = place.path().join("fullchain.pem");
    let ca = ca.to_str().unwrap();
    let output = place.run(&["hosts", "--names", "--server", &url, "--ca-file", ca]);
    assert_eq!(crate::program::stdout(&output), "web1\n", "{output:?}");
    let output = place.run(&["hosts", "--server", &url]);
    assert_eq!(output.status.code(), Some(3), "a stranger's certificate is not trusted");
    assert!(crate::program::stderr(&output).contains("cannot reach hbd at https://"), "{output:?}");
}

#[test]
fn a_port_without_its_certificate_opens_when_the_files_are_there() {
    let place = Place::new();
    let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.configure(&format!(
        "https_port: {}\nwss_port: null\ncert_path: {}\n",
        at.port(),
        place.path().display()
    ));
    let mut server = place.start();
    server.wait_for_log("https_port stays closed until it is there");
    assert!(TcpStream::connect(at).is_err());
    make_certificate(place.path());
    server.wait_for_log("the certificate is there, https=127.0.0.1");
    let answer = get(&mut connect(&place, at), "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
