//! Notices from the datagram to the service: what arrives, how often, what a service that fails does to the others.

use crate::program::{Hbd, Place, Sender, stderr, stdout, until};
use crate::stand_in::{Manner, StandIn};
use heartbeat::os::file;
use heartbeat::time::Duration;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A host is down after three seconds of silence, and everything is told at once.
const FAST: &str = "interval: 1\ngrace: 0\ngroup_wait: 0\nnotify_per_minute: 1000\n";

fn cpu(sender: &Sender, host: &str, seq: u32, percent: f64) {
    let message = json!({
        "ID": "PLG", "name": host, "plugin": "cpu_monitor", "every": 300, "seq": seq,
        "data": { "cpu_percent": percent },
    });
    sender.send(message.to_string().as_bytes());
}

fn texts(stand_in: &StandIn) -> Vec<String> {
    stand_in.seen().iter().map(|seen| seen.json()["text"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn wait_for_text(stand_in: &StandIn, text: &str) {
    until(&format!("{text:?} arrives"), || texts(stand_in).iter().any(|t| t == text).then_some(()));
}

/// Killed when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It says nothing of its processor: what a busy machine would say is not what a test sends in its name.
fn agent(place: &Path, server: &Hbd) -> Agent {
    let quiet = "name: web1\ninterval: 1\nplugins: {cpu_monitor: {enabled: false}}\n";
    std::fs::write(place.join("hbc.yaml"), quiet).unwrap();
    let agent = Command::new(env!("CARGO_BIN_EXE_hbc"))
        .env_clear()
        .env("HOME", place)
        .args(["-c", "hbc.yaml", &server.udp.to_string()])
        .current_dir(place)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Agent(agent.unwrap())
}

#[test]
fn sentences_of_the_seed_arrive_at_a_chat_and_a_webhook() {
    let (chat, hook) = (StandIn::start(Manner::Status(200)), StandIn::start(Manner::Status(200)));
    let place = Place::new();
    place.configure(&format!(
        "{FAST}pushsrv: [mattermost, hook]\nchannels:\n  mattermost: {{url: \"{}\", min_level: info}}\n  \
         hook: {{type: webhook, url: \"{}\", hmac_secret: k, min_level: info}}\n\
         thresholds:\n  cpu_monitor: {{cpu_percent: {{warning: 80, critical: 90}}}}\n",
        chat.url("/hooks/x"),
        hook.url("/in")
    ));
    let server = place.start();
    let hbc = agent(place.path(), &server);
    server.wait_for_host("web1");
    let sender = Sender::to(server.udp);
    for (seq, percent) in [(1, 85.0), (2, 95.0), (3, 10.0)] {
        cpu(&sender, "web1", seq, percent);
        until("it is stored", || {
            let (_, body) = server.get("/api/0/hosts/web1/plugins/cpu_monitor");
            body.to_string().contains(&format!("{percent:?}")).then_some(())
        });
    }
    for text in [
        "WARNING: web1 - cpu_monitor.cpu_percent = 85.0",
        "CRITICAL: web1 - cpu_monitor.cpu_percent = 95.0",
        "RECOVERED: web1 - cpu_monitor.cpu_percent = 10.0 (was CRITICAL)",
    ] {
        // What stands behind the value is the engine's; the sentence begins so.
        let begin = text.split(" (was").next().unwrap();
        until(&format!("{begin:?} arrives"), || {
            texts(&chat).iter().any(|t| t.starts_with(begin)).then_some(())
        });
    }
    drop(hbc);
    let down = until("DOWN arrives", || texts(&chat).into_iter().find(|t| t.starts_with("DOWN: ")));
    assert_eq!(down, "DOWN: web1 - no heartbeat for 3 s (ipv4 127.0.0.1)");
    let hbc = agent(place.path(), &server);
    let up = until("UP arrives", || texts(&chat).into_iter().find(|t| t.starts_with("UP: ")));
    assert!(up.starts_with("UP: web1 - back after "), "{up}");
    wait_for_text(&hook, &up);
    drop(hbc);
    let seen = hook.seen();
    let down = seen.iter().map(|seen| seen.json()).find(|json| json["text"] == *down).unwrap();
    assert_eq!(
        (&down["level"], &down["kind"], &down["to"]),
        (&json!("critical"), &json!("state"), &json!("down"))
    );
    assert_eq!(
        (&down["host"], &down["hosts_up"], &down["hosts_total"]),
        (&json!("web1"), &json!(0), &json!(1))
    );
    assert!(seen.iter().all(|seen| seen.headers["x-heartbeat-signature"].len() == 7 + 64));
    let (_, health) = server.get("/healthz");
    let channel = &health["channels"]["hook"];
    assert_eq!(
        (&channel["ok"], &channel["queued"], &channel["last_error"]),
        (&json!(true), &json!(0), &Value::Null)
    );
    assert!(channel["last_success"].is_number());
}

/// One channel of each type that speaks HTTP.
fn every_service(service: &StandIn) -> String {
    let url = |path: &str| service.url(path);
    format!(
        "channels:\n  pushover: {{token: CANARY-app, to: CANARY-user, url: \"{base}\"}}\n  \
         mattermost: {{url: \"{mm}\", channel: town}}\n  \
         signal: {{account: \"+41790000001\", url: \"{base}\", to: \"+41790000000\"}}\n  \
         ntfy: {{url: \"{base}\", topic: alerts, user: hb, password: CANARY-ntfy}}\n  \
         gotify: {{url: \"{base}\", token: CANARY-gotify}}\n  \
         telegram: {{token: \"1:CANARY-tg\", chat_id: \"-100\", url: \"{base}\"}}\n  \
         matrix: {{url: \"{base}\", token: CANARY-mx, room: \"!r:example.net\"}}\n  \
         slack: {{url: \"{slack}\"}}\n  discord: {{url: \"{discord}\"}}\n  teams: {{url: \"{teams}\"}}\n  \
         webhook: {{url: \"{hook}\", headers: {{X-Token: CANARY-header}}, hmac_secret: CANARY-hmac}}\n  \
         alertmanager: {{url: \"{base}\", token: CANARY-am}}\n",
        base = url(""),
        mm = url("/hooks/CANARY-mm"),
        slack = url("/services/CANARY-slack"),
        discord = url("/api/webhooks/CANARY-discord"),
        teams = url("/workflows/CANARY-teams"),
        hook = url("/CANARY-hook"),
    )
}

#[test]
fn every_service_gets_its_documented_request() {
    let service = StandIn::start(Manner::Status(200));
    let place = Place::new();
    place.configure(&every_service(&service));
    let _server = place.start();
    let output = place.run(&["notify-test", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let body: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = body["results"].as_array().unwrap();
    assert_eq!(results.len(), 12, "{body}");
    assert!(results.iter().all(|r| r["ok"] == true && r["error"].is_null() && r["ms"].is_number()));
    let seen = service.seen();
    let of = |path: &str| {
        seen.iter().find(|seen| seen.path.starts_with(path)).unwrap_or_else(|| panic!("{path}"))
    };
    let text = |value: &Value| {
        value.as_str().unwrap_or_default().starts_with("TEST: Heartbeat - channel ")
    };
    let pushover = of("/1/messages.json").json();
    assert_eq!(
        (&pushover["token"], &pushover["user"]),
        (&json!("CANARY-app"), &json!("CANARY-user"))
    );
    assert!(text(&pushover["message"]));
    let mattermost = of("/hooks/CANARY-mm").json();
    assert!(text(&mattermost["text"]) && mattermost["channel"] == "town");
    let signal = of("/v2/send").json();
    assert!(text(&signal["message"]) && signal["recipients"] == json!(["+41790000000"]));
    let ntfy = seen.iter().find(|seen| seen.path == "/").unwrap();
    assert_eq!(
        (&ntfy.json()["topic"], ntfy.headers["authorization"].as_str()),
        (&json!("alerts"), "Basic aGI6Q0FOQVJZLW50Znk=")
    );
    let gotify = of("/message");
    assert_eq!(gotify.headers["x-gotify-key"], "CANARY-gotify");
    assert!(text(&of("/bot1:CANARY-tg/sendMessage").json()["text"]));
    let matrix = of("/_matrix/client/v3/rooms/%21r%3Aexample.net/send/m.room.message/");
    assert_eq!(
        (matrix.method.as_str(), matrix.headers["authorization"].as_str()),
        ("PUT", "Bearer CANARY-mx")
    );
    assert!(text(&of("/services/CANARY-slack").json()["text"]));
    assert!(text(&of("/api/webhooks/CANARY-discord?wait=true").json()["content"]));
    assert_eq!(of("/workflows/CANARY-teams").json()["type"], "message");
    let hook = of("/CANARY-hook");
    assert!(
        hook.headers["x-token"] == "CANARY-header"
            && hook.headers.contains_key("x-heartbeat-signature")
    );
    let alert = of("/api/v2/alerts");
    assert_eq!(
        (alert.headers["authorization"].as_str(), alert.json().as_array().unwrap().len()),
        ("Bearer CANARY-am", 1)
    );
}

#[test]
fn h12_no_secret_of_a_channel_shows_in_logs_errors_or_answers() {
    // It refuses everything and repeats the address it was asked for.
    let service = StandIn::start(Manner::Echo);
    let place = Place::new();
    place.configure(&every_service(&service));
    let mut server = place.start_with(&["-v", "-v", "-v"]);
    let output = place.run(&["notify-test"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("status 404: Cannot POST"), "{}", stdout(&output));
    let one = place.run(&["notify-test", "slack"]);
    assert_eq!(one.status.code(), Some(1));
    let none = place.run(&["notify-test", "nobody"]);
    assert!(
        none.status.code() == Some(1) && stderr(&none).contains("\"nobody\""),
        "{}",
        stderr(&none)
    );
    server.wait_for_log("channel slack fails");
    let (_, health) = server.get("/healthz");
    assert_eq!(health["channels"]["slack"]["ok"], false);
    let printed = place.run(&["check-config", "--print"]);
    let everything = [
        stdout(&output),
        stderr(&output),
        stdout(&one),
        health.to_string(),
        server.log().to_owned(),
        stdout(&printed),
        server.get("/api/0/events").1.to_string(),
    ];
    for (i, text) in everything.iter().enumerate() {
        assert!(!text.contains("CANARY"), "{i}: {text}");
    }
}

#[test]
fn s14_service_that_fails_holds_up_no_other_and_is_tried_again() {
    let manners = [
        ("fine", Manner::Status(200)),
        ("busy", Manner::Patience(6)),
        ("broken", Manner::Stumble),
        ("garbage", Manner::Garbage),
        ("tarpit", Manner::Tarpit),
        ("endless", Manner::Endless),
        ("teams", Manner::Throttled),
        ("gone", Manner::Status(404)),
        ("moved", Manner::Redirect("http://127.0.0.1:1/".to_owned())),
        ("spare", Manner::Status(200)),
    ];
    let services: Vec<(&str, StandIn)> =
        manners.into_iter().map(|(name, manner)| (name, StandIn::start(manner))).collect();
    let of = |name: &str| &services.iter().find(|(n, _)| *n == name).unwrap().1;
    let place = Place::new();
    let mut channels = String::new();
    for (name, service) in &services {
        let url = match *name {
            "garbage" => service.url("/").replace("http:", "https:"),
            _ => service.url("/"),
        };
        let more = if *name == "gone" { ", fallback: spare" } else { "" };
        let kind = if *name == "teams" { "teams" } else { "webhook" };
        channels
            .push_str(&format!("  {name}: {{type: {kind}, timeout: 2, url: \"{url}\"{more}}}\n"));
    }
    let told: Vec<&str> =
        services.iter().map(|(name, _)| *name).filter(|name| *name != "spare").collect();
    place.configure(&format!("{FAST}pushsrv: [{}]\nchannels:\n{channels}", told.join(", ")));
    let server = place.start();
    let sender = Sender::to(server.udp);
    sender.ask(r#"{"ID":"HTB","name":"web1","interval":1}"#);
    let first = |name: &str| until(name, || of(name).seen().first().map(|seen| seen.at));
    // All in one turn of the engine; the slowest of those that work within a second of the first of all.
    let began = first("tarpit");
    for name in ["fine", "endless", "busy", "broken", "teams", "gone", "moved", "spare"] {
        let after = first(name).since(began);
        assert!(after < Duration::from_secs(1), "{name}: {after:?}");
    }
    let again =
        |name: &str| until(name, || of(name).seen().get(1).map(|seen| seen.at.since(first(name))));
    assert!(again("busy") >= Duration::from_secs(6));
    assert!(again("broken") >= Duration::from_secs(5));
    assert!(again("teams") >= Duration::from_secs(5));
    until("the tarpit was given up and tried again", || of("tarpit").seen().get(1).cloned());
    assert_eq!(of("busy").seen()[0].body, of("busy").seen()[1].body);
    let (_, health) = server.get("/healthz");
    let channel = |name: &str| health["channels"][name].clone();
    for (name, ok, error) in [
        ("fine", true, ""),
        ("busy", true, "status 429"),
        ("broken", true, "status 500"),
        ("teams", true, "HTTP error 429"),
        ("endless", true, ""),
        ("tarpit", false, "no answer within 2 s"),
        ("gone", false, "status 404: told"),
        ("moved", false, "redirect"),
        ("garbage", false, "TLS"),
    ] {
        let fact = channel(name);
        assert_eq!(fact["ok"], ok, "{name} {fact}");
        assert!(fact["last_error"].as_str().unwrap_or_default().contains(error), "{name} {fact}");
    }
    assert!(channel("tarpit")["queued"].as_u64() >= Some(1), "{health}");
    assert_eq!(
        (of("gone").seen().len(), of("moved").seen().len(), of("fine").seen().len()),
        (1, 1, 1)
    );
    let events = server.get("/api/0/events").1.to_string();
    assert!(events.contains("gone could not deliver 1 notice: handed to spare"), "{events}");
    assert!(events.contains("moved could not deliver 1 notice: given up"), "{events}");
}

#[test]
fn s13_new_channel_works_after_a_reload_and_the_dead_man_is_told() {
    let (first, second) =
        (StandIn::start(Manner::Status(200)), StandIn::start(Manner::Status(200)));
    let place = Place::new();
    let one = format!("channels:\n  one: {{type: webhook, url: \"{}\"}}\n", first.url("/"));
    place.configure(&one);
    let mut server = place.start();
    assert_eq!(place.run(&["notify-test", "one"]).status.code(), Some(0));
    let two = format!("  two: {{type: webhook, url: \"{}\"}}\n", second.url("/"));
    place.configure(&format!("{one}{two}dead_man_url: \"{}\"\n", first.url("/alive")));
    assert_eq!(place.run(&["reload"]).status.code(), Some(0));
    assert_eq!(place.run(&["notify-test", "two"]).status.code(), Some(0));
    assert_eq!((first.seen().len() <= 2, second.seen().len()), (true, 1));
    let ping = until("the ping", || first.seen().into_iter().find(|seen| seen.path == "/alive"));
    assert_eq!(ping.method, "GET");
    place.configure(&format!("channels:\n{two}"));
    assert_eq!(place.run(&["reload"]).status.code(), Some(0));
    assert_eq!(place.run(&["notify-test", "one"]).status.code(), Some(1));
    server.signal(libc::SIGTERM);
    let (status, took) = server.wait();
    assert!(status == Some(0) && took < Duration::from_secs(5), "{status:?} {took:?}");
}

#[test]
fn programs_get_their_arguments_and_their_input() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let program = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    };
    let dir = place.path().display();
    let signal =
        program("signal-cli", &format!("printf '%s\\n' \"$@\" > {dir}/argv; env > {dir}/env"));
    let exec = program("exec", &format!("cat > {dir}/stdin.$1; exit $1"));
    place.configure(&format!(
        "channels:\n  signal: {{account: \"+41790000001\", program: {signal}, to: \"+41790000000\"}}\n  \
         good: {{type: exec, argv: [{exec}, \"0\"], env: {{TOKEN: CANARY}}}}\n  \
         later: {{type: exec, argv: [{exec}, \"75\"]}}\n  bad: {{type: exec, argv: [{exec}, \"1\"]}}\n  \
         slow: {{type: exec, timeout: 1, argv: [/bin/sleep, \"60\"]}}\n  \
         absent: {{type: exec, argv: [no-such-program]}}\n"
    ));
    let server = place.start();
    let output = place.run(&["notify-test", "--json"]);
    let body: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = |name: &str| {
        let results = body["results"].as_array().unwrap();
        let found = results.iter().find(|r| r["channel"] == name).unwrap();
        found["error"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!((error("signal").as_str(), error("good").as_str()), ("ok", "ok"));
    assert!(error("later").ends_with("exit status 75") && error("bad").ends_with("exit status 1"));
    assert!(error("slow").contains("did not end within 1 s"), "{}", error("slow"));
    assert!(error("absent").contains("no-such-program is not in"), "{}", error("absent"));
    let read = |name: &str| {
        String::from_utf8(file::read_bounded(&place.path().join(name), 1 << 16).unwrap()).unwrap()
    };
    let want = "-a\n+41790000001\nsend\n-m\nTEST: Heartbeat - channel signal works\n+41790000000\n";
    assert_eq!(read("argv"), want);
    let env = read("env");
    assert!(env.contains("LC_ALL=C.UTF-8") && !env.contains("HBD_CONFIG"), "{env}");
    let notice: Value = serde_json::from_str(&read("stdin.0")).unwrap();
    assert_eq!((&notice["version"], &notice["kind"]), (&json!(1), &json!("notify")));
    drop(server);
}

#[test]
fn template_of_a_webhook_is_checked_by_check_config_and_keeps_a_reload_out() {
    let place = Place::new();
    let write = |body: &str| {
        place.configure(&format!(
            "channels:\n  hook: {{type: webhook, url: \"http://127.0.0.1:1/\", body: '{body}'}}\n"
        ));
    };
    write("{{ text }} of {{ site }}");
    let output = place.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let server = place.start();
    for (body, what) in [("{{ txet }}", "has no \"txet\""), ("{{ text", "syntax error")] {
        write(body);
        let output = place.run(&["check-config"]);
        let said = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(78), "{said}");
        for part in ["hbd.yaml:9:", "channels.hook.body", what] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(place.run(&["reload"]).status.code(), Some(78), "{body}");
    }
    drop(server);
}
