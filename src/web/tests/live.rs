//! `/live` from outside: what a reader chooses of it, what it says where nothing is found, what leaves it as a file.

use super::{alert, right};
use crate::engine::Outcome;
use crate::web::fixture::{Bench, request};
use serde_json::Value;

const SITE: [(&str, &str); 2] = [("Host", "mon"), ("Origin", "http://mon")];

fn page(bench: &Bench, target: &str, cookie: &str) -> String {
    let got = bench.get_with(target, &[("Host", "mon"), ("Cookie", cookie)]);
    assert_eq!(got.status, 200, "{target}");
    String::from_utf8(got.body.as_bytes().to_vec()).unwrap()
}

fn post(bench: &Bench, target: &str, form: &str) -> (u16, Vec<(&'static str, String)>) {
    let headers = [SITE[0], SITE[1], ("Content-Type", "application/x-www-form-urlencoded")];
    let got = bench.ask(&request("POST", target, &headers, form.as_bytes()));
    (got.status, got.headers)
}

fn header<'a>(headers: &'a [(&str, String)], name: &str) -> &'a str {
    headers.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)
}

#[test]
fn columns_density_and_map_are_kept_in_a_cookie_and_said_by_the_address() {
    let bench = Bench::new(16);
    let form = "do=live&cols=&cols=seen&cols=owner&cols=agent&density=compact&map=agent&colour=cpu";
    let (status, headers) = post(&bench, "/live?q=web&map=tag", form);
    assert_eq!((status, header(&headers, "Location")), (303, "/live?q=web"));
    let cookie = header(&headers, "Set-Cookie").split(';').next().unwrap();
    let kept = page(&bench, "/live", cookie);
    assert!(
        kept.contains("<th scope=\"col\" class=\"c-x\">Owner</th>")
            && kept.contains("hosts compact")
    );
    assert!(!kept.contains("c-rtt") && !kept.contains("data-col=\"why\""));
    assert!(kept.contains("data-map=\"map=agent&amp;colour=cpu\"") && kept.contains("m-q3"));
    // The address comes before the cookie, and nothing of it is kept.
    let said = page(&bench, "/live?cols=rtt&map=none&colour=rtt", cookie);
    assert!(said.contains("c-rtt") && said.contains("map=none&amp;colour=rtt"));
    let plain = page(&bench, "/live", "");
    assert!(plain.contains("data-col=\"why\"") && plain.contains("map=group&amp;colour=state"));
    let (_, headers) = post(&bench, "/live", "do=live&open=no");
    let hidden = page(&bench, "/live", header(&headers, "Set-Cookie").split(';').next().unwrap());
    assert!(!hidden.contains("class=\"grp\"") && hidden.contains("Show<span"));
}

#[test]
fn map_names_its_cells_in_the_order_in_which_they_are_drawn() {
    let bench = Bench::new(1212);
    for by in ["group", "tag", "owner", "profile", "agent", "none"] {
        let html = page(&bench, &format!("/live?map={by}"), "");
        let cells: Value =
            serde_json::from_str(&bench.text(&format!("/live/map?map={by}"))).unwrap();
        let groups = cells["groups"].as_array().unwrap();
        let drawn: Vec<&str> = html.split("<div class=\"grp\"><h3>").skip(1).collect();
        assert_eq!(groups.len(), drawn.len(), "{by}");
        let mut all = 0;
        for (group, drawn) in groups.iter().zip(drawn) {
            let name = group[0].as_str().unwrap();
            assert!(
                name.is_empty() || drawn.split("<span>").next().unwrap().contains(name),
                "{by}: {name}"
            );
            all += group[1].as_array().unwrap().len();
            // The first that is down stands where its cross is drawn.
            let rows: usize = drawn
                .split("data-rows=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            let at = group[1].as_array().unwrap().iter().position(|cell| cell[1] == 0);
            if let Some(at) = at {
                let (x, y) = ((at / rows * 8) as f32 + 1.5, (at % rows * 8) as f32 + 1.5);
                assert!(drawn.contains(&format!("M{x} {y}l4 4")), "{by} {name}: cell {at}");
            }
        }
        assert_eq!(all, 1212, "{by}");
    }
}

#[test]
fn filter_that_finds_nothing_offers_what_was_meant() {
    let bench = Bench::new(16);
    for (q, meant, address) in [
        ("tag:wbe", "tag:web", "q=tag%3Aweb"),
        ("tagg:web", "tag:web", "q=tag%3Aweb"),
        ("db-02", "db-01.bsl", "q=db-01.bsl"),
    ] {
        let html = page(&bench, &format!("/live?q={q}"), "");
        let want = format!("{address}\">{meant}</a>");
        assert!(html.contains("No host matches") && html.contains(&want), "{q}: {want}");
    }
    assert!(!page(&bench, "/live?q=zzzzzz", "").contains("Did you mean"));
    let count = |q: &str| page(&bench, &format!("/live?q={q}"), "").matches("<tr data-id").count();
    assert_eq!(count("os:no-such-system"), 0);
    assert!(count("agent:%3C9") > 0 && count("agent:%3C0.0.1") == 0);
    let count =
        |q: &str| page(&alert::bench(), &format!("/live?q={q}"), "").matches("<tr data-id").count();
    assert_eq!((count("alert:disk_monitor"), count("alert:memory_monitor")), (1, 0), "raised ones");
}

#[test]
fn table_leaves_as_csv_with_the_columns_that_it_shows() {
    let bench = Bench::new(1212);
    let csv = bench.text("/live.csv?state=down,critical&cols=why.owner.seen");
    let mut lines = csv.split("\r\n");
    assert_eq!(lines.next(), Some("state,since,host,tags,why,last_seen,owner"));
    let shown = page(&bench, "/live?state=down,critical", "").matches("<tr data-id").count();
    assert_eq!(lines.filter(|line| !line.is_empty()).count(), shown);
    assert_eq!(bench.text("/live.csv").split("\r\n").count(), 1212 + 2, "all pages of it");
}

#[test]
fn reader_sees_mine_first_and_all_that_they_may_when_asked() {
    let bench = right::bench();
    let get = |who: &str, target: &str| {
        let bearer = format!("Bearer {who}");
        let got = bench.get_with(target, &[("Host", "mon"), ("Authorization", &bearer)]);
        String::from_utf8_lossy(got.body.as_bytes()).into_owned()
    };
    let mine = get("mona", "/live");
    assert!(mine.contains("You own no hosts.") && mine.contains("<p>16 exist"));
    assert!(mine.contains("/live?owner=all"));
    let all = get("mona", "/live?owner=all");
    assert_eq!(all.matches("<tr data-id").count(), 1, "what she monitors");
    // She may look at it: no box, no way to change it.
    assert!(!all.contains("name=\"host\" value") && !all.contains("Acknowledge…"));
    assert!(get("olga", "/live?owner=all").matches("<tr data-id").count() == 1);
    let menu = get("mona", "/live?owner=all&act=menu&host=db-01.bsl");
    assert!(menu.contains("id=\"act\"") && !menu.contains("#drop"));
    assert!(get("alice", "/live?act=menu&host=db-01.bsl").contains("/plugins/db-01.bsl#drop"));
    assert!(!get("alice", "/live?act=menu&host=web-12.bsl").contains("id=\"act\""));
}

#[test]
fn chosen_rows_are_acted_on_together() {
    let panel = page(&alert::bench(), "/live?act=ack&host=web1&host=web2", "");
    // What is acknowledged already is left as it is.
    assert!(panel.contains("value=\"web1/disk_monitor./.percent\""));
    assert!(!panel.contains("name=\"id\" value=\"web1/cpu_monitor.cpu_percent\""));
    let mut bench = Bench::new(16);
    let panel = page(&bench, "/live?act=silence&host=web-12.bsl&host=db-01.bsl", "");
    assert!(panel.contains("Silence 2 hosts"));
    let panel = page(&bench, "/live?act=maintenance&host=web-12.bsl&host=db-01.bsl", "");
    assert!(panel.contains("value=\"web-12.bsl, db-01.bsl\""));
    bench.engine.outcome = Some(Outcome::Made("s7".to_owned()));
    let (status, _) = post(&bench, "/live", "do=silence&host=web-12.bsl&host=db-01.bsl&for=1h");
    assert_eq!(status, 303);
    assert_eq!(bench.engine.commands.lock().unwrap().len(), 2, "one silence for each");
    let (status, headers) =
        post(&bench, "/live?q=web", "do=tag-hosts&host=web-12.bsl&add=blue&remove=prod");
    assert_eq!((status, header(&headers, "Location")), (303, "/live?q=web"));
    let changes = format!("{:?}", bench.accounts.changes.lock().unwrap());
    assert!(changes.contains("blue") && !changes.contains("prod"), "{changes}");
}
