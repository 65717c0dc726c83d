//! What was done is told on the next page, with the way to take it back; and what a reader prefers.

use super::alert;
use crate::engine::Outcome;
use crate::web::fixture::{Bench, request};

fn post(bench: &Bench, target: &str, form: &str) -> (u16, Vec<(&'static str, String)>) {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let headers = [("Host", "mon"), ("Origin", "http://mon"), kind];
    let got = bench.ask(&request("POST", target, &headers, form.as_bytes()));
    (got.status, got.headers)
}

fn cookie(headers: &[(&'static str, String)], name: &str) -> Option<String> {
    let set = headers.iter().filter(|(header, _)| *header == "Set-Cookie");
    let own = set.filter(|(_, value)| value.starts_with(&format!("{name}=")));
    own.map(|(_, value)| value.split(';').next().unwrap_or_default().to_owned()).next()
}

/// The toast of the page that follows a form.
fn toast(bench: &Bench, target: &str, form: &str) -> String {
    let (status, headers) = post(bench, target, form);
    assert_eq!(status, 303, "{form}");
    let told = cookie(&headers, "hb_told").unwrap_or_else(|| panic!("{form}: {headers:?}"));
    let got = bench.get_with(target, &[("Host", "mon"), ("Cookie", &told)]);
    let cleared = cookie(&got.headers, "hb_told");
    assert_eq!(cleared.as_deref(), Some("hb_told="), "it is told once");
    let page = String::from_utf8(got.body.as_bytes().to_vec()).unwrap();
    page.split("<form class=\"toast\"").nth(1).unwrap().split("</form>").next().unwrap().to_owned()
}

#[test]
fn toast_says_what_was_done_and_takes_it_back() {
    let mut bench = alert::bench();
    let id = "web1/disk_monitor./.percent";
    bench.engine.outcome = Some(Outcome::Acknowledged(Vec::new()));
    let said = toast(&bench, "/alerts", &format!("do=ack&id={id}&for=1h"));
    assert!(said.contains("<span>web1 acknowledged until "), "{said}");
    assert!(
        said.contains("value=\"unack\"") && said.contains(&format!("value=\"{id}\"")),
        "{said}"
    );
    let said = toast(&bench, "/alerts", &format!("do=ack&id={id}&id=web2/host"));
    assert!(said.contains("<span>web1 and 1 more acknowledged until recovered</span>"), "{said}");
    assert_eq!(said.matches("name=\"id\"").count(), 2);
    bench.engine.outcome = None;
    let (status, _) = post(&bench, "/alerts", &format!("do=unack&id={id}&id=web2/host"));
    assert_eq!(status, 303, "both at once");
    bench.engine.outcome = Some(Outcome::Made("s7".to_owned()));
    let said = toast(&bench, "/live", "do=silence&host=web1&for=1h");
    assert!(
        said.contains("web1 silenced until ") && said.contains("value=\"unsilence\""),
        "{said}"
    );
    assert!(said.contains("name=\"id\" value=\"s7\""), "{said}");
    let said = toast(&bench, "/plugins/web3", "do=maintenance&for=1h");
    assert!(said.contains("value=\"end\""), "{said}");
    bench.engine.outcome = None;
    let said = toast(&bench, "/plugins/web3", "do=watch&to=off");
    assert!(
        said.contains("web3 is not watched") && said.contains("name=\"to\" value=\"on\""),
        "{said}"
    );
}

#[test]
fn cookie_of_a_stranger_is_text_and_undoes_nothing_else() {
    let bench = alert::bench();
    let told = |cookie: &str| {
        let cookie = format!("hb_told={cookie}");
        let got = bench.get_with("/live", &[("Host", "mon"), ("Cookie", &cookie)]);
        String::from_utf8(got.body.as_bytes().to_vec()).unwrap()
    };
    let page = told("text=%3Cscript%3Ealert(1)%3C/script%3E&do=drop&host=web1");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>alert"));
    assert!(!page.contains("value=\"drop\"") && !page.contains(">Undo<"));
    assert!(!told("do=unack&id=x").contains("class=\"toast\""), "nothing to say");
    assert!(!told(&"x".repeat(3000)).contains("class=\"toast\""));
}

#[test]
fn keys_are_chosen_one_for_each_thing() {
    let bench = Bench::new(1);
    let usual = [
        ("find", "/"),
        ("go", "g"),
        ("next", "j"),
        ("previous", "k"),
        ("open", "o"),
        ("select", "x"),
        ("ack", "a"),
        ("silence", "s"),
        ("maintenance", "m"),
        ("host-before", "["),
        ("host-after", "]"),
        ("times", "t"),
        ("pause", "p"),
        ("help", "?"),
    ];
    let form = |other: &[(&str, &str)]| {
        let own = |name| other.iter().find(|(own, _)| *own == name).map(|(_, key)| *key);
        let field = |(name, key)| {
            format!("&key-{name}={}", crate::web::query::encode(own(name).unwrap_or(key)))
        };
        format!("do=keys{}", usual.map(field).concat())
    };
    let kept = |form: &str| {
        let (status, headers) = post(&bench, "/settings", form);
        (status, cookie(&headers, "hb_keys"))
    };
    assert_eq!(kept(&form(&[])), (303, Some("hb_keys=on".to_owned())));
    let moved = form(&[("ack", "e"), ("find", "f"), ("next", "&")]);
    assert_eq!(kept(&moved), (303, Some("hb_keys=%2F=f&j=%26&a=e".to_owned())));
    for wrong in
        [("ack", "s"), ("ack", ""), ("ack", "ab"), ("ack", "4"), ("ack", "ä"), ("ack", " ")]
    {
        let (status, set) = kept(&form(&[wrong]));
        let is_usual = wrong.1.is_empty();
        assert_eq!(
            (status, set.is_some()),
            if is_usual { (303, true) } else { (422, false) },
            "{wrong:?}"
        );
    }
    assert_eq!(kept("do=keys&to=off"), (303, Some("hb_keys=off".to_owned())));
    assert_eq!(kept("do=notices&to=on").0, 303);
    let cookie = [("Host", "mon"), ("Cookie", "hb_keys=%2F=f&a=e")];
    let got = bench.get_with("/settings?part=preferences", &cookie);
    let page = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
    assert!(
        page.contains("name=\"key-ack\" value=\"e\"")
            && page.contains("name=\"key-find\" value=\"f\"")
    );
    assert!(page.contains("name=\"key-pause\" value=\"p\""));
}
