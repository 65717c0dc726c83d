//! The page on which people sign in, and the page that shows the way to the first heartbeat.

use super::right;
use crate::web::fixture::{Bench, request};
use crate::web::page::AgentFile;

fn bench() -> Bench {
    let mut bench = Bench::new(1);
    bench.config.users = [("alice".to_owned(), right::user(true))].into();
    bench
}

fn text(bench: &Bench, target: &str, headers: &[(&str, &str)]) -> String {
    let headers: Vec<_> = [("Host", "mon:50004")].iter().chain(headers).copied().collect();
    let got = bench.get_with(target, &headers);
    String::from_utf8(got.body.as_bytes().to_vec()).unwrap()
}

fn post(bench: &Bench, form: &str) -> (u16, String) {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let headers = [("Host", "mon"), ("Origin", "http://mon"), kind];
    let got = bench.ask(&request("POST", "/login", &headers, form.as_bytes()));
    (got.status, String::from_utf8(got.body.as_bytes().to_vec()).unwrap())
}

#[test]
fn refusal_says_how_many_tries_are_left_and_a_pause_is_counted_down() {
    let bench = bench();
    let (status, page) = post(&bench, "do=login&username=alice&password=wrong&next=/alerts");
    assert_eq!(status, 401);
    assert!(page.contains("role=\"alert\"") && page.contains("4 tries left before a 30 s pause."));
    assert!(page.contains("value=\"/alerts\"") && page.contains("value=\"alice\""));
    // The same of somebody who is not there.
    let (_, stranger) = post(&bench, "do=login&username=nobody&password=wrong&next=/alerts");
    assert_eq!(stranger.replace("nobody", "alice"), page);
    let (status, page) = post(&bench, "do=login&username=alice&password=slow");
    assert_eq!(status, 429);
    assert!(page.contains("<span data-wait=\"30\">Try again in 30 s.</span>"), "{page}");
}

#[test]
fn cookie_that_was_not_kept_is_told() {
    let bench = bench();
    let told = "Your browser blocked the session cookie";
    let hidden = "data-blocked hidden";
    let way = "/login?next=%2Flive";
    assert!(text(&bench, way, &[]).contains(hidden));
    for from in ["http://mon:50004/login", "https://mon/login?next=/live"] {
        let page = text(&bench, way, &[("Referer", from)]);
        assert!(page.contains(told) && !page.contains(hidden), "{from}");
    }
    for from in ["http://mon:50004/live", "http://mon:50004/plugins/login", "login"] {
        assert!(text(&bench, way, &[("Referer", from)]).contains(hidden), "{from}");
    }
}

#[test]
fn page_whose_session_ended_elsewhere_says_so() {
    let bench = bench();
    assert!(text(&bench, "/login?out=1&next=/live", &[]).contains("Signed out elsewhere"));
    assert!(!text(&bench, "/login?next=/live", &[]).contains("Signed out"));
}

#[test]
fn form_is_one_that_password_managers_know() {
    let page = text(&bench(), "/login", &[]);
    for want in [
        "<h1>Sign in to mon</h1>",
        "</svg>Heartbeat</p>",
        "autocomplete=\"username\" autocapitalize=\"off\"",
        "autocomplete=\"current-password\"",
        "Keep me signed in for 30 days",
        "An administrator runs <code>hbd passwd alice</code>",
    ] {
        assert!(page.contains(want), "{want}");
    }
    let open = Bench::new(1).get("/login");
    assert_eq!(open.status, 302, "nobody signs in where there are no users");
}

/// The commands of a way, in their order.
fn commands(page: &str) -> Vec<String> {
    let pre = page.split("data-copy>").skip(1).filter_map(|rest| rest.split("</pre>").next());
    pre.map(|text| text.replace("&quot;", "\"").replace("&#39;", "'").replace("&gt;", ">"))
        .collect()
}

#[test]
fn first_heartbeat_has_a_way_for_each_kind_of_host() {
    let mut bench = Bench::new(0);
    let page = |bench: &Bench, tab: &str| text(bench, &format!("/live?agent={tab}"), &[]);
    let without = commands(&page(&bench, "hbc-mini"));
    assert!(without[0].starts_with("sudo apt install ./hbc-mini_"), "{without:?}");
    assert_eq!(without[1..], ["hbc-mini mon", "hbc-mini --install-service mon"]);
    let names =
        ["hbc-mini-linux-x86_64", "hbc_0.1.0_amd64.deb", "hbc-mini_0.1.0-1_mipsel_24kc.ipk"];
    let files = names.map(|name| AgentFile {
        name: name.to_owned(),
        bytes: 1_100_000,
        sha256: "ab".repeat(32),
    });
    bench.pages = bench.pages.with_agents(files.to_vec());
    let html = page(&bench, "hbc-mini");
    assert_eq!(
        commands(&html),
        [
            "curl -fO http://mon:50004/agent/hbc-mini-linux-$(uname -m)\n\
             install -m 755 hbc-mini-linux-$(uname -m) hbc-mini",
            "./hbc-mini mon",
            "./hbc-mini --install-service mon",
        ]
    );
    assert!(html.contains("3 files of this server") && html.contains(&"ab".repeat(32)));
    assert_eq!(html.matches("aria-current=\"page\">hbc-mini</a>").count(), 1);
    let deb = commands(&page(&bench, "deb"));
    assert!(deb[0].starts_with("curl -fO http://mon:50004/agent/hbc_"), "{deb:?}");
    assert_eq!(deb[1], "hbc mon");
    assert!(deb[2].contains("servers: [\"mon\"]") && deb[2].contains("/etc/heartbeat/hbc.yaml"));
    let router = commands(&page(&bench, "openwrt"));
    assert!(
        router[0].contains("wget -P /tmp http://mon:50004/agent/hbc-mini_0.1.0-1_mipsel_24kc.ipk")
    );
    assert!(router[1].contains("uci add_list heartbeat.agent.server='mon'"));
    let container = commands(&page(&bench, "container"));
    assert!(container[1].contains("podman build") && container[2].ends_with(" hbc-mini mon"));
    assert_eq!(commands(&page(&bench, "no-such-way")), commands(&page(&bench, "hbc-mini")));
}
