//! The pages of a real server where it has something to say about itself: failed requests, what it cannot do now, and a
//! configuration that waits for a restart.

use crate::program::{Hbd, PATIENCE, Place, Sender, stderr};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// As a browser asks: head and body of the answer.
fn fetch(server: &Hbd, method: &str, path: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = server.http;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nAccept: text/html,*/*\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.take(1 << 24).read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The number that the page names, and that the log must name too.
fn number_of(page: &str) -> String {
    let (_, rest) =
        page.split_once("journalctl -u hbd --grep ").unwrap_or_else(|| panic!("{page}"));
    rest.split('<').next().unwrap().to_owned()
}

#[test]
fn page_whose_template_fails_has_a_number_that_the_log_has_too() {
    let place = Place::new();
    let dir = place.path().join("templates");
    std::fs::create_dir(&dir).unwrap();
    // It parses, and fails when it is rendered.
    std::fs::write(dir.join("events.html"), "{{ 1 / 0 }}{{ nothing.at.all }}").unwrap();
    place.configure(&format!("templates_dir: {}\n", dir.display()));
    let mut server = place.start();
    let (head, page) = fetch(&server, "GET", "/events", "");
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(
        head.contains("text/html") && page.contains("<h1>Something went wrong here"),
        "{head} {page}"
    );
    server.wait_for_log(&format!("id={} path=/events", number_of(&page)));
    assert!(server.log().contains("The template events.html fails"), "{}", server.log());
    // A program gets a document, and the other pages are well.
    let (head, problem) = fetch(&server, "GET", "/alerts", "");
    assert!(head.starts_with("HTTP/1.1 200 ") && problem.contains("<h1>Alerts"), "{head}");
}

#[test]
fn page_on_which_the_code_fails_costs_that_answer_alone() {
    let place = Place::new();
    let mut command = place.command(&["-f"]);
    command.env("HBD_FAULT", "panic:page:2");
    let mut server = Hbd::start(command);
    let (head, _) = fetch(&server, "GET", "/live", "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (head, page) = fetch(&server, "GET", "/settings", "");
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(head.contains("Content-Security-Policy: default-src 'none'"), "{head}");
    server.wait_for_log(&format!("id={} path=/settings", number_of(&page)));
    let (head, _) = fetch(&server, "GET", "/settings", "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[test]
fn form_whose_change_is_not_saved_is_told_so_and_may_be_sent_again() {
    let place = Place::new();
    let mut command = place.command(&["-f"]);
    command.env("HBD_FAULT", "stall:store_before_promise");
    let server = Hbd::start(command);
    Sender::to(server.udp).heartbeat("web1");
    let (head, page) = fetch(&server, "POST", "/alerts", "do=silence&host=web1&for=1h");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains("Retry-After: 5") && head.contains("text/html"), "{head}");
    assert!(page.contains("<h1>Not now") && page.contains("All hosts"), "{page}");
    // Who only looks is not held up.
    let (head, _) = fetch(&server, "GET", "/alerts", "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[test]
fn reload_shows_what_is_in_force_and_what_waits_for_a_restart() {
    let place = Place::new();
    place.configure(
        "interval: 30\nstatus_page: {public: true, groups: {Web: [web1]}}\nthreads: 4\n",
    );
    let server = place.start();
    let config = |server: &Hbd| -> Value { server.get("/api/0/config").1 };
    let remark = config(&server)["warnings"][0].as_str().unwrap_or_default().to_owned();
    assert!(remark.contains("threads: not needed any more, ignored"), "{remark}");
    let (_, page) = fetch(&server, "GET", "/settings?part=server", "");
    assert!(page.contains("Unknown and deprecated keys") && page.contains(&remark), "{page}");
    place.configure(
        "interval: 60\nhosts_max: 77\nstatus_page: {public: true, groups: {Web: [web1]}}\n",
    );
    let output = place.run(&["reload"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let config = config(&server);
    let key = |name: &str| config["config"][name].clone();
    // In force is what the server started with; the file's wish stands beside it.
    assert_eq!(key("hosts_max")["value"], Value::Null);
    assert_eq!(key("hosts_max")["restart"]["value"], 77);
    assert_eq!(
        (&key("interval")["value"], &key("interval")["changed"]),
        (&json!(60), &json!(true))
    );
    assert_eq!(key("status_page")["value"]["groups"]["value"]["Web"]["value"], json!(["web1"]));
    assert_eq!(config["warnings"], json!([]), "the key that is not needed is gone");
    let (_, page) = fetch(&server, "GET", "/settings?part=server", "");
    let row = page.split("<tr>").find(|row| row.contains(">hosts_max<")).unwrap();
    assert!(
        row.contains(">10000 <small") && row.contains("takes effect after a restart: 77 ("),
        "{row}"
    );
    assert!(
        page.contains(
            "<td class=\" mono in-2\" data-h=\"Key\" title=\"status_page.groups.Web\">Web"
        ),
        "{page}"
    );
}
