//! Every type of channel as a table: what is sent for one sentence, a recovery, a group, a digest; and a table of
//! hostile names and outputs through every one of them.

use super::*;
use crate::config::secret::{Reference, Secret};
use crate::config::server::{Level, Setting};
use crate::notice::hostile::hostile;
use crate::notice::{Draft, Fleet, Notice, Receiver, Subject, Tally};
use crate::time::Duration;
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: i64 = 1_800_000_000;

fn nothing(_: Reference<'_>) -> Result<String, String> {
    Err("not here".to_owned())
}

fn channel(kind: ChannelType, keys: &[(&'static str, Setting)]) -> Channel {
    Channel {
        kind,
        enabled: true,
        min_level: Level::Warning,
        timeout: Duration::from_secs(10),
        retry_for: Duration::from_secs(3600),
        fallback: None,
        proxy: None,
        to: Vec::new(),
        settings: keys.iter().cloned().collect(),
    }
}

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

fn secret(text: &str) -> Setting {
    Setting::Secret(Secret::Text(text.to_owned()))
}

fn map(pairs: &[(&str, &str)]) -> Setting {
    let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), Secret::Text((*v).to_owned()));
    Setting::Map(pairs.iter().map(pair).collect())
}

fn notice(host: &str, subject: Subject, level: Level, words: &str) -> Notice {
    Notice::new(7, Wall::from_secs(NOW), "state", level, words)
        .about(Subject::clone(&subject))
        .named(host)
}

impl Notice {
    fn named(mut self, host: &str) -> Notice {
        self.host = self.host.map(|_| host.into());
        self
    }
}

fn down(host: &str) -> Notice {
    let words = format!("DOWN: {host} - no heartbeat for 65 s (ipv4 192.0.2.10)");
    notice(host, Subject::Outage { host: host.into() }, Level::Critical, &words)
}

fn message_to(to: Option<&str>, notices: Vec<Notice>) -> Message {
    let to = to.map(|to| crate::notice::Destination::Text(to.into()));
    Message::compose(Draft {
        id: 3,
        receiver: Receiver { channel: "c".into(), to },
        notices: notices.into_iter().map(Arc::new).collect(),
        tally: Tally::default(),
        held: false,
        fleet: Fleet { up: 46, total: 50 },
        site: "Basel".into(),
        public_url: None,
    })
}

fn prepare_it(channel: &Channel, message: &Message) -> Result<Delivery, Fault> {
    let purse = Purse::new(&nothing);
    let occasion = Occasion { now: Wall::from_secs(NOW + 5), machine: "mon.example.net" };
    prepare(channel, message, &purse, &occasion)
}

fn http(channel: &Channel, message: &Message) -> HttpRequest {
    match prepare_it(channel, message) {
        Ok(Delivery::Http(request)) => request,
        Ok(_) => panic!("no request"),
        Err(fault) => panic!("{fault:?}"),
    }
}

fn shown(request: &HttpRequest) -> String {
    let mut out = format!("{} {}\n", request.method, request.url);
    for (name, value) in &request.headers {
        out.push_str(&format!("{name}: {value}\n"));
    }
    out + "\n" + std::str::from_utf8(&request.body).unwrap() + "\n"
}

fn check(kind: ChannelType, keys: &[(&'static str, Setting)], to: Option<&str>, want: Expect) {
    want.assert_eq(&shown(&http(&channel(kind, keys), &message_to(to, vec![down("web1")]))));
}

#[test]
fn chats_get_their_documented_request() {
    let url = || ("url", secret("https://chat.example.net/hooks/abc"));
    check(
        ChannelType::Mattermost,
        &[url()],
        None,
        expect![[r#"
        POST https://chat.example.net/hooks/abc
        Content-Type: application/json

        {"text":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)"}
    "#]],
    );
    let named = [url(), ("username", text("hb")), ("icon_url", text("https://x/i.png"))];
    check(
        ChannelType::Mattermost,
        &named,
        Some("@alice"),
        expect![[r#"
        POST https://chat.example.net/hooks/abc
        Content-Type: application/json

        {"channel":"@alice","icon_url":"https://x/i.png","text":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)","username":"hb"}
    "#]],
    );
    check(
        ChannelType::Slack,
        &[url()],
        None,
        expect![[r#"
        POST https://chat.example.net/hooks/abc
        Content-Type: application/json

        {"mrkdwn":false,"text":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)"}
    "#]],
    );
    check(
        ChannelType::Discord,
        &[url()],
        None,
        expect![[r#"
        POST https://chat.example.net/hooks/abc
        Content-Type: application/json

        {"allowed_mentions":{"parse":[]},"content":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)"}
    "#]],
    );
    check(
        ChannelType::Teams,
        &[url()],
        None,
        expect![[r#"
        POST https://chat.example.net/hooks/abc
        Content-Type: application/json

        {"attachments":[{"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","body":[{"inlines":[{"text":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)","type":"TextRun"}],"type":"RichTextBlock"}],"msteams":{"width":"Full"},"type":"AdaptiveCard","version":"1.4"},"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null}],"type":"message"}
    "#]],
    );
    let telegram = [("token", secret("123:AbC_d-e")), ("thread_id", text("7"))];
    check(
        ChannelType::Telegram,
        &telegram,
        Some("-100200"),
        expect![[r#"
        POST https://api.telegram.org/bot123:AbC_d-e/sendMessage
        Content-Type: application/json

        {"chat_id":-100200,"link_preview_options":{"is_disabled":true},"message_thread_id":7,"text":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)"}
    "#]],
    );
    let matrix = [("url", text("https://matrix.example.net/")), ("token", secret("syt_x"))];
    check(
        ChannelType::Matrix,
        &matrix,
        Some("!room:example.net"),
        expect![[r#"
        PUT https://matrix.example.net/_matrix/client/v3/rooms/%21room%3Aexample.net/send/m.room.message/6a841e3393a220e2fb280e1edb657518
        Content-Type: application/json
        Authorization: Bearer syt_x

        {"body":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)","msgtype":"m.text"}
    "#]],
    );
}

#[test]
fn phones_get_their_documented_request() {
    let pushover = [("token", secret("app")), ("sound", text("siren")), ("device", text("phone"))];
    check(
        ChannelType::Pushover,
        &pushover,
        Some("userkey"),
        expect![[r#"
        POST https://api.pushover.net/1/messages.json
        Content-Type: application/json

        {"device":"phone","message":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)","priority":1,"sound":"siren","title":"Basel","token":"app","user":"userkey"}
    "#]],
    );
    let ntfy = [("url", text("https://ntfy.sh")), ("token", secret("tk_1"))];
    check(
        ChannelType::Ntfy,
        &ntfy,
        Some("alerts"),
        expect![[r#"
        POST https://ntfy.sh
        Content-Type: application/json
        Authorization: Bearer tk_1

        {"message":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)","priority":5,"tags":["rotating_light"],"title":"Basel","topic":"alerts"}
    "#]],
    );
    let gotify = [("url", text("https://push.example.net")), ("token", secret("AbC"))];
    check(
        ChannelType::Gotify,
        &gotify,
        None,
        expect![[r#"
        POST https://push.example.net/message
        Content-Type: application/json
        X-Gotify-Key: AbC

        {"extras":{"client::display":{"contentType":"text/plain"}},"message":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)","priority":8,"title":"Basel"}
    "#]],
    );
    let signal = [("url", text("http://127.0.0.1:8080")), ("account", text("+41790000001"))];
    check(
        ChannelType::Signal,
        &signal,
        Some("+41790000000"),
        expect![[r#"
        POST http://127.0.0.1:8080/v2/send
        Content-Type: application/json

        {"message":"DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)","number":"+41790000001","recipients":["+41790000000"]}
    "#]],
    );
}

#[test]
fn discord_says_whether_a_message_was_kept() {
    for (configured, want) in [
        ("https://discord.com/api/webhooks/1/t", "https://discord.com/api/webhooks/1/t?wait=true"),
        (
            "https://discord.com/api/webhooks/1/t?thread_id=2",
            "https://discord.com/api/webhooks/1/t?thread_id=2&wait=true",
        ),
        (
            "https://discord.com/api/webhooks/1/t?wait=false",
            "https://discord.com/api/webhooks/1/t?wait=false",
        ),
    ] {
        let discord = channel(ChannelType::Discord, &[("url", secret(configured))]);
        assert_eq!(http(&discord, &message_to(None, vec![down("web1")])).url, want);
    }
}

#[test]
fn signal_cli_gets_arguments_and_no_shell() {
    let signal = channel(
        ChannelType::Signal,
        &[("program", text("signal-cli")), ("account", text("+41790000001"))],
    );
    let run = |to: &str| match prepare_it(&signal, &message_to(Some(to), vec![down("web1")])) {
        Ok(Delivery::Program(run)) => run.argv,
        Ok(_) => panic!("no program"),
        Err(fault) => panic!("{fault:?}"),
    };
    let words = "DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)";
    assert_eq!(
        run("+41790000000"),
        ["signal-cli", "-a", "+41790000001", "send", "-m", words, "+41790000000"]
    );
    assert_eq!(
        run("group.QUJD=")[5..],
        ["-m".to_owned(), words.to_owned(), "-g".to_owned(), "QUJD=".to_owned()][1..]
    );
    assert!(prepare_it(&signal, &message_to(Some("--config"), vec![down("web1")])).is_err());
}

#[test]
fn webhook_is_the_notice_as_json_signed_or_a_template() {
    let url = ("url", secret("https://hook.example.net/in"));
    let message = message_to(None, vec![down("web1")]);
    let signed = channel(ChannelType::Webhook, &[url.clone(), ("hmac_secret", secret("key"))]);
    let request = http(&signed, &message);
    assert_eq!(request.body, message.to_json().into_bytes());
    // printf '%s' BODY | openssl dgst -sha256 -hmac key
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Content-Type", "X-Heartbeat-Signature"]);
    let own = [
        url.clone(),
        ("method", text("PUT")),
        ("headers", map(&[("X-Token", "s3cret")])),
        (
            "body",
            text(
                r#"{"msg": "{{ text }}", "up": {{ hosts_up }}, "v": {{ value }}, "l": {{ lines|tojson }}}"#,
            ),
        ),
    ];
    expect![[r#"
        PUT https://hook.example.net/in
        Content-Type: application/json
        X-Token: s3cret

        {"msg": "DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)", "up": 46, "v": null, "l": ["DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)"]}
    "#]].assert_eq(&shown(&http(&channel(ChannelType::Webhook, &own), &message)));
    let plain = [
        url.clone(),
        ("body", text("{{ level|upper }} {{ host }}{% if recovery %} over{% endif %}")),
    ];
    expect![[r#"
        POST https://hook.example.net/in
        Content-Type: text/plain; charset=utf-8

        CRITICAL web1
    "#]]
    .assert_eq(&shown(&http(&channel(ChannelType::Webhook, &plain), &message)));
    let endless = [
        url,
        (
            "body",
            text("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}"),
        ),
    ];
    assert!(
        prepare_it(&channel(ChannelType::Webhook, &endless), &message).is_err_and(|f| f.lasting)
    );
}

#[test]
fn template_of_a_body_is_checked_before_a_notice_is_due() {
    let good = [
        "{{ level|upper }} {{ host }}{% if recovery %} over{% endif %}",
        r#"{"title": "{{ text }}", "open": {{ not recovery }}, "details": {{ lines|tojson }}}"#,
        "{% for n in notices %}{{ loop.index }} {{ n.text }} {% endfor %}{% for i in range(3) %}{{ i }}{% endfor %}",
        "{% set short = text[:20] %}{{ short }}",
        "plain",
    ];
    for template in good {
        assert_eq!(template_fault(template), None, "{template}");
    }
    let bad = [
        ("{{ text", "line 1 of it: syntax error"),
        ("a\n{% if recovery %}", "line 2 of it: syntax error"),
        ("{{ txet }}", "a notice has no \"txet\""),
        ("{{ text|no_such_filter }}", "unknown filter"),
        ("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}", "fuel"),
    ];
    for (template, want) in bad {
        let found = template_fault(template).unwrap_or_default();
        assert!(found.contains(want), "{template}: {found}");
    }
}

#[test]
fn signature_is_hmac_sha256_in_hexadecimal() {
    // RFC 4231, test case 2.
    let url = ("url", secret("https://hook.example.net/in"));
    let keys =
        [url, ("body", text("what do ya want for nothing?")), ("hmac_secret", secret("Jefe"))];
    let request =
        http(&channel(ChannelType::Webhook, &keys), &message_to(None, vec![down("web1")]));
    let signature = request.headers.iter().find(|(name, _)| name == "X-Heartbeat-Signature");
    assert_eq!(
        signature.map(|(_, value)| value.as_str()),
        Some("sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    );
}

#[test]
fn exec_gets_the_notice_on_its_input() {
    let keys = [
        ("argv", Setting::Texts(vec!["/bin/x".to_owned(), "-y".to_owned()])),
        ("env", map(&[("TOKEN", "s3cret")])),
    ];
    let message = message_to(None, vec![down("web1")]);
    let Ok(Delivery::Program(run)) = prepare_it(&channel(ChannelType::Exec, &keys), &message)
    else {
        panic!("no program")
    };
    assert_eq!((run.argv.len(), run.env["TOKEN"].as_str()), (2, "s3cret"));
    assert_eq!(run.stdin, (message.to_json() + "\n").into_bytes());
}

fn alerts(notices: Vec<Notice>) -> Vec<Value> {
    let keys = [("url", text("http://am:9093/")), ("labels", map(&[("team", "ops")]))];
    let request = http(&channel(ChannelType::Alertmanager, &keys), &message_to(None, notices));
    assert_eq!(request.url, "http://am:9093/api/v2/alerts");
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn alertmanager_resolves_what_it_fired_by_the_same_labels() {
    let fired = alerts(vec![down("web1")]);
    assert_eq!(fired.len(), 1);
    let labels = json!({
        "alertname": "HostDown", "host": "web1", "instance": "web1", "severity": "critical", "team": "ops",
    });
    assert_eq!(fired[0]["labels"], labels);
    assert_eq!(fired[0]["startsAt"], "2027-01-15T08:00:00.000Z");
    let up = Notice { recovery: true, ..down("web1") };
    let up = Notice { time: Wall::from_secs(NOW + 100), span: Some(Duration::from_secs(90)), ..up };
    let resolved = alerts(vec![up]);
    assert_eq!((resolved.len(), &resolved[0]["labels"]), (1, &labels));
    assert_eq!(resolved[0]["endsAt"], "2027-01-15T08:01:40.000Z");
    assert_eq!(resolved[0]["startsAt"], "2027-01-15T08:00:10.000Z");
}

#[test]
fn alertmanager_hears_of_one_severity_at_a_time() {
    let alert = |level: Level, recovery: bool| {
        let subject = Subject::Alert { host: "web1".into(), path: "cpu".into() };
        Notice { recovery, ..notice("web1", subject, level, "cpu = 96.0") }
    };
    let firing = |notices: Vec<Notice>| -> Vec<(String, bool)> {
        let end = |alert: &Value| alert["endsAt"].as_str().unwrap().starts_with("2028");
        let severity = |alert: &Value| alert["labels"]["severity"].as_str().unwrap().to_owned();
        alerts(notices).iter().map(|alert| (severity(alert), end(alert))).collect()
    };
    let all = |critical, unknown, warning| {
        vec![
            ("critical".to_owned(), critical),
            ("unknown".to_owned(), unknown),
            ("warning".to_owned(), warning),
        ]
    };
    assert_eq!(firing(vec![alert(Level::Warning, false)]), all(false, false, true));
    assert_eq!(firing(vec![alert(Level::Critical, false)]), all(true, false, false));
    // It fell to a warning, of which nobody was told, before it ended.
    assert_eq!(firing(vec![alert(Level::Warning, true)]), all(false, false, false));
    let both = vec![alert(Level::Warning, false), alert(Level::Critical, false)];
    assert_eq!(firing(both), all(true, false, false));
}

#[test]
fn end_of_a_trouble_wakes_nobody() {
    let up = Notice { recovery: true, ..down("web1") };
    let keys =
        [("token", secret("app")), ("priority", Setting::Levels([(Level::Critical, 2)].into()))];
    let pushover = channel(ChannelType::Pushover, &keys);
    let body = |notice| -> Value {
        serde_json::from_slice(&http(&pushover, &message_to(Some("u"), vec![notice])).body).unwrap()
    };
    let fired = body(down("web1"));
    assert_eq!(
        (&fired["priority"], &fired["retry"], &fired["expire"]),
        (&2.into(), &60.into(), &3600.into())
    );
    let over = body(up);
    assert_eq!((&over["priority"], &over["retry"]), (&0.into(), &Value::Null));
}

fn mail_channel() -> Channel {
    channel(
        ChannelType::Email,
        &[
            ("host", text("mx.example.net")),
            ("port", Setting::Number(587)),
            ("tls", text("starttls")),
            ("from", text("Heartbeat <hb@example.net>")),
        ],
    )
}

fn mail_of(message: &Message) -> Mail {
    match prepare_it(&mail_channel(), message) {
        Ok(Delivery::Mail(mail)) => *mail,
        Ok(_) => panic!("no mail"),
        Err(fault) => panic!("{fault:?}"),
    }
}

#[test]
fn s2_mail_of_one_sentence() {
    let mail = mail_of(&message_to(Some("ops@example.net"), vec![down("web1")]));
    expect![[r#"
        Date: Fri, 15 Jan 2027 08:00:05 +0000
        From: "Heartbeat" <hb@example.net>
        To: ops@example.net
        Subject: DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)
        Message-ID: <99408f1a62bb55cb36a3c854e65dc257@example.net>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 7bit
        Auto-Submitted: auto-generated
        X-Heartbeat-Level: critical

        DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)
    "#]]
    .assert_eq(&String::from_utf8(mail.bytes).unwrap().replace('\r', ""));
    let long = "WARNING: web1 - nagios_runner.status_code = 1 (Datenträger läuft voll: noch 3 %)";
    let subject = Subject::Alert { host: "web1".into(), path: "x".into() };
    let notice = notice("web1", subject, Level::Warning, long);
    let mail = mail_of(&message_to(Some("ops@example.net"), vec![notice]));
    expect![[r#"
        Date: Fri, 15 Jan 2027 08:00:05 +0000
        From: "Heartbeat" <hb@example.net>
        To: ops@example.net
        Subject: =?UTF-8?B?V0FSTklORzogd2ViMSAtIG5hZ2lvc19ydW5uZXIuc3RhdHVz?=
         =?UTF-8?B?X2NvZGUgPSAxIChEYXRlbnRyw6RnZXIgbMOkdWZ0IHZvbGw6?=
         =?UTF-8?B?IG5vY2ggMyAlKQ==?=
        Message-ID: <a9f677cc4451eb66465a0abd365017dc@example.net>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: quoted-printable
        Auto-Submitted: auto-generated
        X-Heartbeat-Level: warning

        WARNING: web1 - nagios_runner.status_code =3D 1 (Datentr=C3=A4ger l=C3=A4uf=
        t voll: noch 3 %)
    "#]]
    .assert_eq(&String::from_utf8(mail.bytes).unwrap().replace('\r', ""));
}

#[test]
fn s2_addresses_are_mailboxes_or_nothing() {
    let table = [
        ("a@b.c", Some("a@b.c")),
        ("Name <a@b.c>", Some("a@b.c")),
        ("\"N, M\" <a@[192.0.2.1]>", Some("a@[192.0.2.1]")),
        ("a", None),
        ("a@b.c\r\nRCPT TO:<x@y>", None),
        ("a b@c", None),
        ("<a@b>x", None),
        ("a@b>\r\nDATA", None),
        ("ä@b.c", None),
        ("@b", None),
        ("a@", None),
    ];
    for (written, want) in table {
        let got = mail::Address::parse(written).map(|a| a.mailbox);
        assert_eq!(got.as_deref(), want, "{written:?}");
    }
}

fn hostile_message(words: &str, to: &str) -> Message {
    // A name that is checked nowhere on its way, and an output.
    let subject = Subject::Alert { host: words.into(), path: words.into() };
    let line = format!("WARNING: {words} - x = 1.0 {words}");
    let one = Notice::new(1, Wall::from_secs(NOW), "alert", Level::Warning, &line).about(subject);
    let two = Notice::new(2, Wall::from_secs(NOW), "message", Level::Info, words);
    message_to(Some(to).filter(|to| !to.is_empty()), vec![one, two])
}

fn sinks() -> Vec<(Channel, &'static str)> {
    let url = || ("url", secret("https://h.example/abc"));
    let token = || ("token", secret("123:abc"));
    let template = r#"{"a": "{{ text }}", "b": "{{ host }}", "n": {{ notices|tojson }}, "c": "x{{ lines[1] }}"}"#;
    vec![
        (channel(ChannelType::Mattermost, &[url()]), ""),
        (channel(ChannelType::Slack, &[url()]), ""),
        (channel(ChannelType::Discord, &[url()]), ""),
        (channel(ChannelType::Teams, &[url()]), ""),
        (channel(ChannelType::Telegram, &[token()]), "1"),
        (channel(ChannelType::Matrix, &[("url", text("https://m")), token()]), "!r:x"),
        (channel(ChannelType::Pushover, &[token()]), "u"),
        (channel(ChannelType::Ntfy, &[("url", text("https://n"))]), "t"),
        (channel(ChannelType::Gotify, &[("url", text("https://g")), token()]), ""),
        (channel(ChannelType::Signal, &[("url", text("http://s")), ("account", text("+1"))]), "+2"),
        (channel(ChannelType::Webhook, &[url()]), ""),
        (channel(ChannelType::Webhook, &[url(), ("body", text(template))]), ""),
        (channel(ChannelType::Alertmanager, &[("url", text("http://a"))]), ""),
    ]
}

#[test]
fn s2_hostile_text_stays_text_in_every_request() {
    for (channel, to) in sinks() {
        let plain = http(&channel, &hostile_message("web1", to));
        let shape: Value = serde_json::from_slice(&plain.body).unwrap();
        for words in hostile() {
            let request = http(&channel, &hostile_message(&words, to));
            let body: Value = serde_json::from_slice(&request.body)
                .unwrap_or_else(|e| panic!("{:?} {words:?}: {e}", channel.kind));
            assert_eq!(keys(&body), keys(&shape), "{:?} {words:?}", channel.kind);
            let head = |r: &HttpRequest| {
                (
                    r.method,
                    r.url.split("/m.room.message/").next().unwrap().to_owned(),
                    r.headers.clone(),
                )
            };
            assert_eq!(head(&request), head(&plain), "{:?} {words:?}", channel.kind);
            let misled = texts(&body)
                .iter()
                .any(|t| t.chars().any(|c| crate::text::is_hostile(c) && c != '\n'));
            // The labels and the fields of the notice are data; what people read is escaped.
            let data = matches!(channel.kind, ChannelType::Webhook | ChannelType::Alertmanager);
            assert!(data || !misled, "{:?} {words:?}", channel.kind);
        }
    }
}

/// Every key of a value, with how deep it is, without counting the lines of a card.
fn keys(value: &Value) -> std::collections::BTreeSet<String> {
    fn walk(value: &Value, at: &str, out: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                out.insert(format!("{at}/{key}"));
                walk(value, &format!("{at}/{key}"), out);
            }),
            Value::Array(list) => {
                list.iter().for_each(|value| walk(value, &format!("{at}/*"), out))
            }
            _ => {}
        }
    }
    let mut out = std::collections::BTreeSet::new();
    walk(value, "", &mut out);
    out
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn s2_hostile_text_stays_one_argument_and_one_input() {
    let signal = channel(ChannelType::Signal, &[("program", text("s")), ("account", text("+1"))]);
    let exec = channel(ChannelType::Exec, &[("argv", Setting::Texts(vec!["x".to_owned()]))]);
    for words in hostile() {
        let run = |channel: &Channel, to| match prepare_it(channel, &hostile_message(&words, to)) {
            Ok(Delivery::Program(run)) => run,
            Ok(_) => panic!("no program"),
            Err(fault) => panic!("{fault:?}"),
        };
        let argv = run(&signal, "+2").argv;
        assert_eq!(argv.len(), 7, "{words:?}");
        assert!(argv.iter().all(|a| !a.contains('\0') && a.len() < 100_000), "{words:?}");
        let stdin = run(&exec, "").stdin;
        assert_eq!(stdin.iter().filter(|b| **b == b'\n').count(), 1, "{words:?}");
        serde_json::from_slice::<Value>(&stdin).unwrap();
    }
}

/// What must hold of every mail; the fuzz target `mail_build` holds it too.
fn check_mail(bytes: &[u8], what: &str) {
    let mail = std::str::from_utf8(bytes).unwrap();
    assert!(mail.is_ascii(), "{what}");
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head
        .split("\r\n")
        .filter(|l| !l.starts_with(' '))
        .filter_map(|l| l.split(':').next())
        .collect();
    assert_eq!(names, mail::HEADERS, "{what}");
    for line in mail.split("\r\n") {
        assert!(line.len() <= mail::LINE_MAX && !line.contains(['\r', '\n']), "{what}: {line:?}");
    }
    let wire = mail::stuff(bytes);
    let ends = wire.windows(5).filter(|w| w == b"\r\n.\r\n").count();
    assert_eq!((ends, wire.ends_with(b"\r\n.\r\n")), (1, true), "{what}");
}

#[test]
fn s2_hostile_text_adds_no_header_and_ends_no_mail() {
    for words in hostile() {
        let message = hostile_message(&words, "ops@example.net");
        check_mail(&mail_of(&message).bytes, &words);
        let site = Message { site: words.as_str().into(), subject_line: words.clone(), ..message };
        check_mail(&mail_of(&site).bytes, &words);
    }
}

#[test]
fn s2_stuffed_mail_ends_once_whatever_is_in_it() {
    let table: [(&[u8], &[u8]); 7] = [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n", b"a\r\n..b\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\n\r\n..\r\n.\r\n"),
    ];
    for (mail, want) in table {
        assert_eq!(mail::stuff(mail), want, "{mail:?}");
    }
}

#[test]
fn same_notices_have_the_same_id_and_others_another() {
    let id = |message: &Message| fingerprint(message);
    let one = message_to(Some("a"), vec![down("web1")]);
    let again = Message { id: 99, hosts_up: 3, ..one.clone() };
    assert_eq!(id(&one), id(&again));
    assert_ne!(id(&one), id(&message_to(Some("b"), vec![down("web1")])));
    assert_ne!(id(&one), id(&message_to(Some("a"), vec![down("web2")])));
}
