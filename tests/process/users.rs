//! Users against a running server: signing in and out, what ends a session, what survives a kill, who is
//! kept out.

use crate::program::{Hbd, PATIENCE, Place, Sender, stderr, stdout, until};
use heartbeat::os::clock;
use heartbeat::time::Duration;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// `sesame`, with few iterations: what is tested here is not how long it takes.
const SESAME: &str = "pbkdf2:sha256:1000$Zq8xT3mLpV5nRw2c$\
                      973b74c0bfda05eea7ee9c6b3cad6a5abe0c2d87fa24c2cc70f49a210ed8dd22";

/// `new sesame`.
const NEW_SESAME: &str = "pbkdf2:sha256:1000$Zq8xT3mLpV5nRw2c$\
                          bd278933f41faab8b542cdf33d0275fb606a7571c5c29d1c2cde0f5728c1b0d0";

/// root is an admin; alice owns web1, max manages it, mona monitors it; olga has web2.
fn users() -> String {
    let user = |name: &str, more: &str| format!("  {name}: {{password: '{SESAME}'{more}}}\n");
    let mut text = "users:\n".to_owned();
    text += &user("root", ", admin: true");
    for name in ["alice", "max", "mona", "olga"] {
        text += &user(name, "");
    }
    text += "hosts:\n  web1: {owner: alice, managers: [max], monitors: [mona]}\n  web2: {owner: olga}\n";
    text
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(": ")?;
            own.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").expect("a cookie");
        cookie.split(';').next().expect("a pair").to_owned()
    }
}

/// Sends a request with these headers besides Host.
fn ask(server: &Hbd, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        server.http,
        body.len()
    )
    .unwrap();
    let mut bytes = Vec::new();
    stream.take(1 << 24).read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or_default(),
        text: body.to_owned(),
    }
}

/// A request with a Bearer token, as a program sends it.
fn api(server: &Hbd, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask(server, method, &format!("/api/0/{path}"), &headers, &body)
}

fn get(server: &Hbd, token: &str, path: &str) -> Answer {
    api(server, token, "GET", path, &Value::Null)
}

fn try_login(server: &Hbd, user: &str, password: &str) -> Answer {
    let body = json!({ "username": user, "password": password }).to_string();
    ask(server, "POST", "/api/0/auth/login", &[("Content-Type", "application/json")], &body)
}

#[track_caller]
fn login(server: &Hbd, user: &str) -> String {
    let answer = try_login(server, user, "sesame");
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["token"].as_str().unwrap().to_owned()
}

/// A live connection: the bytes after the handshake, or the status of its refusal.
fn live(server: &Hbd, headers: &[(&str, &str)]) -> Result<TcpStream, u16> {
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "GET /api/0/live/ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n",
        server.http
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    match head.split(' ').nth(1).unwrap().parse().unwrap() {
        101 => Ok(stream),
        status => Err(status),
    }
}

/// The code of the close frame that comes, and how long that took.
fn close_code(stream: &mut TcpStream) -> (u16, Duration) {
    let before = clock::now().mono;
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                stream.read_exact(&mut len).unwrap();
                usize::from(u16::from_be_bytes(len))
            }
            127 => panic!("no frame is that long here"),
            len => usize::from(len),
        };
        let mut payload = vec![0; len];
        stream.read_exact(&mut payload).unwrap();
        if head[0] & 0x0f == 8 {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            return (code, clock::now().mono.since(before));
        }
    }
}

#[test]
fn signing_in_and_out_by_api_and_by_page() {
    let place = Place::new();
    place.configure(&users());
    let server = place.start();
    let page = ask(&server, "GET", "/plugins/web1?x=1", &[], "");
    assert_eq!(
        (page.status, page.header("location")),
        (302, Some("/login?next=%2Fplugins%2Fweb1%3Fx%3D1"))
    );
    let refused = ask(&server, "GET", "/api/0/hosts", &[], "");
    assert_eq!((refused.status, refused.body["code"].as_str()), (401, Some("sign_in")));
    assert_eq!(ask(&server, "GET", "/login", &[], "").status, 200);

    let wrong = try_login(&server, "alice", "open");
    let unknown = try_login(&server, "nobody", "open");
    assert_eq!((wrong.status, &wrong.body), (401, &unknown.body));
    let answer = try_login(&server, "alice", "sesame");
    assert_eq!(
        answer.body["user"],
        json!({ "name": "alice", "full_name": "alice", "admin": false })
    );
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(
        cookie.starts_with("hb_session=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax")
    );
    let cookie = answer.cookie();
    let with_cookie = [("Cookie", &*cookie)];
    assert_eq!(
        ask(&server, "GET", "/api/0/auth/me", &with_cookie, "").body["user"]["name"],
        "alice"
    );
    assert_eq!(ask(&server, "GET", "/plugins/web1", &with_cookie, "").status, 200);
    assert_eq!(ask(&server, "GET", "/plugins/web2", &with_cookie, "").status, 404);

    let origin = format!("http://{}", server.http);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let body = "username=max&password=sesame&remember=1&next=%2Fevents";
    let foreign = [form, ("Origin", "http://evil.example")];
    assert_eq!(ask(&server, "POST", "/login", &foreign, body).status, 403);
    let posted = ask(&server, "POST", "/login", &[form, ("Origin", &*origin)], body);
    assert_eq!((posted.status, posted.header("location")), (303, Some("/events")));
    assert!(posted.header("set-cookie").unwrap().contains("; Max-Age=2592000"), "{}", posted.head);
    let again =
        ask(&server, "POST", "/login", &[form, ("Origin", &*origin)], "username=max&password=x");
    assert_eq!(again.status, 401);
    assert!(
        again.text.contains("User name or password is wrong.")
            && again.text.contains("value=\"max\"")
    );

    let max = posted.cookie();
    let with_max = [form, ("Origin", &*origin), ("Cookie", &*max)];
    let watch = ask(&server, "POST", "/plugins/web1", &with_max, "do=watch&to=off");
    assert_eq!((watch.status, watch.header("location")), (303, Some("/plugins/web1")));
    assert_eq!(get(&server, &login(&server, "root"), "hosts/web1").body["watch"], false);
    let drop = ask(&server, "POST", "/plugins/web1", &with_max, "do=drop&confirm=web1");
    assert_eq!(drop.status, 403);
    assert!(drop.text.contains("owner") && drop.text.contains("alice"), "{}", drop.text);
    let out = ask(&server, "POST", "/logout", &with_max, "do=logout");
    assert_eq!((out.status, out.header("location")), (303, Some("/login")));
    assert_eq!(ask(&server, "GET", "/api/0/auth/me", &[("Cookie", &*max)], "").status, 401);
}

#[test]
fn h4_changed_password_ends_cookie_and_live_connection_within_a_second() {
    let place = Place::new();
    place.configure(&users());
    let server = place.start();
    let (root, alice) = (login(&server, "root"), login(&server, "alice"));
    let cookie = format!("hb_session={alice}");
    let mut connection = live(&server, &[("Cookie", &*cookie)]).expect("opened");
    let body = json!({ "password": NEW_SESAME });
    assert_eq!(api(&server, &root, "PUT", "users/alice", &body).status, 204);
    assert_eq!(get(&server, &alice, "auth/me").status, 401);
    let (code, took) = close_code(&mut connection);
    assert_eq!(code, 4401);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(try_login(&server, "alice", "sesame").status, 401);
    assert_eq!(try_login(&server, "alice", "new sesame").status, 200);
    assert_eq!(get(&server, &root, "auth/me").status, 200, "nobody else is signed out");

    // Signing out and losing the account do the same.
    let max = login(&server, "max");
    let bearer = format!("Bearer {max}");
    let mut connection = live(&server, &[("Authorization", &*bearer)]).expect("opened");
    assert_eq!(api(&server, &max, "POST", "auth/logout", &Value::Null).status, 204);
    assert_eq!(close_code(&mut connection).0, 4401);
    let olga = login(&server, "olga");
    let bearer = format!("Bearer {olga}");
    let mut connection = live(&server, &[("Authorization", &*bearer)]).expect("opened");
    assert_eq!(api(&server, &root, "DELETE", "users/olga", &Value::Null).status, 204);
    assert_eq!(close_code(&mut connection).0, 4401);
    assert_eq!(get(&server, &olga, "auth/me").status, 401);

    // A file that is loaded again, too.
    let mona = login(&server, "mona");
    place.configure(&users().replace("1000$Zq8x", "1000$Yq8x"));
    assert_eq!(api(&server, &root, "POST", "reload", &Value::Null).status, 200);
    assert_eq!(get(&server, &mona, "auth/me").status, 401);
    let events = place.run(&["events"]);
    let events = String::from_utf8_lossy(&events.stdout).into_owned();
    assert!(events.contains("the password of mona was changed"), "{events}");
}

#[test]
fn h6_live_connection_needs_a_session_and_an_own_origin_and_shows_what_lists_show() {
    let place = Place::new();
    place.configure(&users());
    let server = place.start();
    Sender::to(server.udp).heartbeat("web1");
    assert_eq!(live(&server, &[]).err(), Some(401));
    let cookie = format!("hb_session={}", login(&server, "alice"));
    let evil = [("Cookie", &*cookie), ("Origin", "http://evil.example")];
    assert_eq!(live(&server, &evil).err(), Some(403));
    let origin = format!("http://{}", server.http);
    assert!(live(&server, &[("Cookie", &*cookie), ("Origin", &*origin)]).is_ok());
    for (user, sees) in [("alice", true), ("max", true), ("mona", false), ("olga", false)] {
        let frame = get(&server, &login(&server, user), "live").body.to_string();
        assert_eq!(frame.contains("\"web1\""), sees, "{user}: {frame}");
    }
    server.kill();
    place.configure("");
    let server = place.start();
    assert_eq!(live(&server, &[("Origin", "http://evil.example")]).err(), Some(403));
    assert!(live(&server, &[]).is_ok());
}

#[test]
fn what_the_api_changed_outlives_a_kill_and_never_touches_the_file() {
    let place = Place::new();
    place.configure(&users());
    let file = || std::fs::metadata(place.path().join("hbd.yaml")).unwrap().modified().unwrap();
    let before = file();
    let server = place.start();
    let (root, alice) = (login(&server, "root"), login(&server, "alice"));
    let access = json!({ "managers": ["olga"], "owner": "max" });
    let changed = api(&server, &alice, "PUT", "hosts/web1/access", &access);
    assert_eq!(changed.body, json!({ "owner": "max", "managers": ["olga"], "monitors": ["mona"] }));
    let tags = json!({ "tags": ["prod"], "group": "basel" });
    assert_eq!(api(&server, &root, "PUT", "hosts/web2/tags", &tags).status, 200);
    let eve = json!({ "full_name": "Eve", "password": NEW_SESAME, "admin": true });
    assert_eq!(api(&server, &root, "PUT", "users/eve", &eve).status, 201);
    assert_eq!(api(&server, &root, "DELETE", "users/mona", &Value::Null).status, 204);
    let made = json!({ "name": "backup", "scope": "read", "expires": null });
    let made = api(&server, &root, "POST", "auth/tokens", &made);
    assert_eq!(made.status, 201);
    let token = made.body["token"].as_str().unwrap().to_owned();
    // What was answered is on disk: no waiting before the kill.
    server.kill();
    let server = place.start();
    assert_eq!(get(&server, &alice, "hosts/web1/access").status, 404, "alice gave it away");
    let now = get(&server, &root, "hosts/web1/access").body;
    assert_eq!(now, json!({ "owner": "max", "managers": ["olga"], "monitors": ["mona"] }));
    let web2 = get(&server, &token, "hosts/web2").body;
    assert_eq!((&web2["tags"], &web2["group"]), (&json!(["prod"]), &json!("basel")));
    assert_eq!(
        api(&server, &token, "PUT", "hosts/web2/watch", &json!({ "watch": false })).status,
        403
    );
    assert_eq!(try_login(&server, "eve", "new sesame").status, 200);
    assert_eq!(try_login(&server, "mona", "sesame").status, 401);
    let config = get(&server, &root, "config");
    assert_eq!(config.body["overlay"]["users"]["mona"]["removed"], true);
    assert!(!config.text.contains("pbkdf2"));
    assert_eq!(file(), before);
    // There is always an admin.
    assert_eq!(api(&server, &root, "DELETE", "users/eve", &Value::Null).status, 204);
    let last = api(&server, &root, "DELETE", "users/root", &Value::Null);
    assert_eq!((last.status, last.body["code"].as_str()), (409, Some("last_admin")));
    let unknown = api(&server, &root, "PUT", "hosts/web1/access", &json!({ "owner": "zoe" }));
    assert_eq!((unknown.status, unknown.body["field"].as_str()), (422, Some("owner")));
}

#[test]
fn h3_tries_are_limited_by_account_and_nobody_is_locked_out_where_they_are_known() {
    let place = Place::new();
    place.configure(&users());
    let server = place.start();
    let statuses: Vec<u16> = (0..7).map(|_| try_login(&server, "olga", "x").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
    let slow = try_login(&server, "olga", "sesame");
    assert_eq!((slow.status, slow.body["code"].as_str()), (429, Some("too_many_tries")));
    assert!(slow.header("retry-after").is_some());
    login(&server, "alice");
    for _ in 0..6 {
        try_login(&server, "alice", "x");
    }
    login(&server, "alice");
    let events = until("the feed tells of it", || {
        let text = String::from_utf8_lossy(&place.run(&["events"]).stdout).into_owned();
        text.contains("login failed for olga from 127.0.0.1").then_some(text)
    });
    assert!(!events.contains("sesame"));
}

#[test]
fn passwd_prints_a_line_that_signs_in_and_tokens_come_from_the_command_line() {
    let place = Place::new();
    let passwd = |user: &str, typed: &str| {
        let mut command = place.command(&["passwd", user]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may have refused the name before it reads.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait_with_output().unwrap()
    };
    let line = passwd("zoe", "correct horse\nnot this\n");
    assert_eq!(line.status.code(), Some(0), "{}", stderr(&line));
    let line = stdout(&line);
    let parts: Vec<&str> = line.trim_end().split('$').collect();
    assert!(parts[0] == "pbkdf2:sha256:600000" && parts[1].len() == 16 && parts[2].len() == 64);
    for (user, typed, status) in [("zoe", "", 1), ("zoe", "\n", 1), ("Zoë", "x\n", 2)] {
        let refused = passwd(user, typed);
        assert_eq!(refused.status.code(), Some(status), "{user:?} {typed:?}");
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty());
    }
    place.configure(&format!("users:\n  zoe: {{admin: true, password: '{}'}}\n", line.trim_end()));
    let server = place.start();
    assert_eq!(try_login(&server, "zoe", "correct horse").status, 200);
    assert_eq!(try_login(&server, "zoe", "correct horsf").status, 401);

    let made = place.run(&["token", "new", "backup", "--scope", "read", "--for", "30d"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let token = stdout(&made).trim_end().to_owned();
    assert_eq!(get(&server, &token, "auth/me").body["scope"], "read");
    let url = format!("http://{}", server.http);
    let remote = |token: &str, args: &[&str]| {
        let mut command = place.command(&[args, &["--server", &url]].concat());
        command.env("HBD_TOKEN", token).output().unwrap()
    };
    assert_eq!(remote(&token, &["hosts"]).status.code(), Some(0));
    assert_eq!(remote(&token, &["reload"]).status.code(), Some(4), "the scope is too small");
    assert_eq!(remote("wrong", &["hosts"]).status.code(), Some(4));
    let listed = stdout(&place.run(&["token", "list"]));
    assert!(listed.contains("\tzoe\tread\t") && listed.contains("\tbackup"), "{listed}");
    let id = listed.lines().nth(1).unwrap().split('\t').next().unwrap().to_owned();
    assert_eq!(place.run(&["token", "drop", &id]).status.code(), Some(0));
    assert_eq!(get(&server, &token, "auth/me").status, 401);
    assert_eq!(place.run(&["token", "drop", &id]).status.code(), Some(1));
}

/// A secret in every place that takes one, none of them ever to be seen again.
const CANARIES: &str = "\
metrics_token: CANARY-1
dead_man_url: http://127.0.0.1:1/CANARY-2
status_page: {token: CANARY-3}
pushsrv: all
channels:
  mail:
    {type: email, host: 127.0.0.1, port: 1, tls: none, from: a@example.net, to: b@example.net,
     user: u, password: CANARY-4}
  push: {type: pushover, url: 'http://127.0.0.1:1/', token: CANARY-5, to: CANARY-6}
  chat: {type: mattermost, url: 'http://127.0.0.1:1/CANARY-7'}
  note: {type: ntfy, url: 'http://127.0.0.1:1/', topic: t, token: CANARY-8}
  got: {type: gotify, url: 'http://127.0.0.1:1/', token: CANARY-9}
  tele: {type: telegram, url: 'http://127.0.0.1:1/', token: CANARY-10, chat_id: '1'}
  room: {type: matrix, url: 'http://127.0.0.1:1/', token: CANARY-11, room: '!r:x'}
  slack: {url: 'http://127.0.0.1:1/CANARY-12'}
  discord: {url: 'http://127.0.0.1:1/CANARY-13'}
  teams: {url: 'http://127.0.0.1:1/CANARY-14'}
  hook:
    {type: webhook, url: 'http://127.0.0.1:1/CANARY-15', headers: {X-Key: CANARY-16},
     hmac_secret: CANARY-17}
  prog: {type: exec, argv: [/bin/false], env: {KEY: CANARY-18}}
  manager: {type: alertmanager, url: 'http://127.0.0.1:1/CANARY-19', token: CANARY-20}
thresholds: {cpu_monitor: {cpu_percent: {critical: 90}}}
hosts: {web1: {owner: alice}}
";

/// With a user who has one as the salt and one as the destination of their notices.
fn canaries() -> String {
    let salted = SESAME.replace("Zq8xT3mLpV5nRw2c", "CANARY-21");
    format!(
        "{CANARIES}users:\n  root: {{admin: true, password: '{SESAME}'}}\n  alice:\n    \
         {{password: '{salted}', notification_channels: [{{channel: push, to: CANARY-22}}]}}\n"
    )
}

/// All files below a directory, as bytes.
fn files_below(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.is_file() {
            let bytes = heartbeat::os::file::read_bounded(&path, 64 << 20).unwrap_or_default();
            found.push((path, bytes));
        }
    }
    found
}

#[test]
fn h12_no_secret_of_the_configuration_is_seen_anywhere() {
    let place = Place::new();
    place.configure(&canaries());
    let checked = place.run(&["check-config", "--print"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let mut server = place.start_with(&["-vv"]);
    let sender = Sender::to(server.udp);
    sender.heartbeat("web1");
    let data = r#""interval":300,"data":{"cpu_percent":99}}"#;
    sender.ask(&format!(r#"{{"ID":"PLG","name":"web1","plugin":"cpu_monitor",{data}"#));
    let root = login(&server, "root");
    let described = get(&server, &root, "openapi.json").body;
    let mut seen: Vec<(String, String)> = vec![
        ("check-config --print".to_owned(), stdout(&checked) + &stderr(&checked)),
        ("print --json".to_owned(), stdout(&place.run(&["check-config", "--print", "--json"]))),
    ];
    let bearer = format!("Bearer {root}");
    let mut look = |path: &str| {
        let answer = ask(&server, "GET", path, &[("Authorization", &*bearer)], "");
        assert!(answer.status < 500, "{path}: {}", answer.text);
        seen.push((path.to_owned(), answer.head + &answer.text));
    };
    for (path, methods) in described["paths"].as_object().unwrap() {
        if methods.get("get").is_some() {
            let path = path.replace("{host}", "web1").replace("{plugin}", "cpu_monitor");
            look(&path.replace(['{', '}'], ""));
        }
    }
    look("/api/0/explain?host=web1&metric=cpu_monitor.cpu_percent");
    for page in [
        "live",
        "events",
        "alerts",
        "settings",
        "plugins/web1",
        "status",
        "wall",
        "healthz",
        "metrics",
    ] {
        look(&format!("/{page}"));
    }
    for channel in ["mail", "push", "chat", "note", "hook", "prog", "manager"] {
        let tested = api(&server, &root, "POST", "notify-test", &json!({ "channel": channel }));
        seen.push((format!("notify-test {channel}"), tested.head + &tested.text));
    }
    assert_eq!(api(&server, &root, "POST", "reload", &Value::Null).status, 200);
    seen.push(("log".to_owned(), server.log().to_owned()));
    for (what, text) in &seen {
        let at = text.find("CANARY");
        assert!(at.is_none(), "{what}: {}", &text[at.unwrap_or(0).saturating_sub(80)..]);
    }
    server.signal(libc::SIGTERM);
    let _ = server.wait();
    for (path, bytes) in files_below(place.path()) {
        if path.ends_with("hbd.yaml") {
            continue;
        }
        // A notice that waits in the outbox knows where it goes: in the store, which only its owner reads.
        let text =
            String::from_utf8_lossy(&bytes).replace("CANARY-22", "").replace("CANARY-6\"", "");
        assert!(!text.contains("CANARY"), "{}", path.display());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{}", path.display());
        if path.ends_with("state/heartbeat.redb") {
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
