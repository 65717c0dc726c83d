//! Answers that are given again: always those that would have been made anew, and nobody else's.

use super::right::bench;
use crate::config::server::Server;
use crate::web::caller::{Caller, identify};
use crate::web::fixture::{Bench, NOW, request};
use crate::web::{Basis, Body, Pages, Peer, Reduced, Request, Response, Shelf};
use std::sync::Arc;

const PATHS: [&str; 10] = [
    "/live",
    "/wall",
    "/alerts",
    "/events",
    "/api/0/hosts",
    "/api/0/alerts",
    "/api/0/events",
    "/api/0/messages",
    "/api/0/silences",
    "/api/0/maintenance",
];

/// What a request may show beside its path; each must lead to an answer of its own where it matters.
const SHOWN: [&[(&str, &str)]; 16] = [
    &[("Host", "mon")],
    &[("Host", "127.0.0.1:50004")],
    &[("Host", "evil.example")],
    &[("Host", "mon"), ("Origin", "http://evil.example")],
    &[("Host", "mon"), ("Authorization", "Bearer alice")],
    &[("Host", "mon"), ("Authorization", "Bearer alice/read")],
    &[("Host", "mon"), ("Authorization", "Bearer olga")],
    &[("Host", "mon"), ("Authorization", "Bearer mona")],
    &[("Host", "mon"), ("Authorization", "Bearer root")],
    &[("Host", "mon"), ("Cookie", "hb_session=alice")],
    &[("Host", "mon"), ("Cookie", "hb_session=olga")],
    &[("Host", "mon"), ("Cookie", "hb_session=root")],
    &[("Host", "mon"), ("Cookie", "hb_session=root; hb_theme=dark")],
    &[("Host", "mon"), ("Cookie", "hb_session=root; hb_tz=utc")],
    &[("Host", "mon"), ("Cookie", "hb_session=root"), ("Accept-Encoding", "gzip")],
    &[("Host", "mon"), ("Cookie", "hb_session=root"), ("X-Else", "1"), ("Referer", "http://mon/")],
];

/// The parts that are compared by identity.
struct Ground {
    bench: Bench,
    config: Arc<Server>,
    pages: Arc<Pages>,
    shelf: Shelf,
    found: usize,
}

impl Ground {
    fn new(bench: Bench) -> Ground {
        let config = Arc::new(bench.config.clone());
        let (pages, shelf) = (Arc::new(Pages::built_in()), Shelf::default());
        Ground { bench, config, pages, shelf, found: 0 }
    }

    /// As the shell does it: what is kept, or else made and kept.
    fn ask(&mut self, request: &Request<'_>, second: i64) -> Response {
        let asked = Reduced::of(request).expect("one of the paths that are kept");
        let basis = Basis::new(&self.bench.view, &self.config, &self.pages, second);
        let caller = self.bench.with(|context| identify(context, request));
        if let Some(kept) = self.shelf.find(&basis, &asked, &caller) {
            self.found += 1;
            return kept.response();
        }
        let mut response = self.bench.ask(&asked.request());
        self.shelf.keep(&basis, &asked, caller, &mut response);
        response
    }
}

fn whole(response: &Response) -> (u16, Vec<(&'static str, String)>, Vec<u8>) {
    (response.status, response.headers.clone(), response.body.as_bytes().to_vec())
}

#[test]
fn h7_kept_answers_are_those_that_would_be_made_for_whoever_asks() {
    let mut ground = Ground::new(bench());
    let near = Peer::Remote([127, 0, 0, 1].into());
    let seats = [
        (near, false),
        (near, true),
        (Peer::Remote([192, 0, 2, 7].into()), false),
        (Peer::Control, false),
    ];
    for path in PATHS.into_iter().chain(["/live?sort=name", "/api/0/hosts?limit=3"]) {
        let is_short = path.starts_with("/api/0/hosts");
        for (peer, secure) in seats.into_iter().take(if is_short { 4 } else { 1 }) {
            for shown in SHOWN {
                let mut asked = request("GET", path, shown, b"");
                (asked.peer, asked.secure) = (peer, secure);
                let anew = whole(&ground.bench.ask(&asked));
                for _ in 0..2 {
                    let got = whole(&ground.ask(&asked, 1));
                    assert!(anew == got, "{path} {shown:?} {peer:?} {secure}");
                }
            }
        }
    }
    // Those that were not refused, the second time each.
    assert!(ground.found > 150, "{}", ground.found);
}

#[test]
fn an_answer_is_kept_for_one_view_configuration_pages_second_and_caller() {
    let mut ground = Ground::new(bench());
    let shown = [("Host", "mon"), ("Cookie", "hb_session=alice")];
    let asked = request("GET", "/live", &shown, b"");
    let hits = |ground: &mut Ground, second| {
        let before = ground.found;
        ground.ask(&asked, second);
        ground.found - before
    };
    assert_eq!((hits(&mut ground, 1), hits(&mut ground, 1)), (0, 1));
    assert_eq!((hits(&mut ground, 2), hits(&mut ground, 2)), (0, 1));
    ground.bench.view = Arc::new((*ground.bench.view).clone());
    assert_eq!((hits(&mut ground, 2), hits(&mut ground, 2)), (0, 1));
    ground.config = Arc::new((*ground.config).clone());
    assert_eq!((hits(&mut ground, 2), hits(&mut ground, 2)), (0, 1));
    ground.pages = Arc::new(Pages::built_in());
    assert_eq!((hits(&mut ground, 2), hits(&mut ground, 2)), (0, 1));
    // The session ended between: the cookie is the same, who shows it is not.
    let basis = Basis::new(&ground.bench.view, &ground.config, &ground.pages, 2);
    let reduced = Reduced::of(&asked).unwrap();
    assert!(ground.shelf.find(&basis, &reduced, &Caller::Anonymous).is_none());
}

#[test]
fn what_changes_something_or_is_for_once_is_not_kept() {
    let shown = [("Host", "mon")];
    for (method, target) in [
        ("POST", "/live"),
        ("HEAD", "/live"),
        ("GET", "/login"),
        ("GET", "/settings"),
        ("GET", "/api/0/live"),
        ("GET", "/api/0/auth/me"),
        ("GET", "/api/0/config"),
        ("GET", "/healthz"),
    ] {
        assert!(Reduced::of(&request(method, target, &shown, b"")).is_none(), "{method} {target}");
    }
    let mut ground = Ground::new(bench());
    let asked = request("GET", "/live", &shown, b"");
    assert_eq!(ground.ask(&asked, 1).status, 302);
    assert_eq!(ground.ask(&asked, 1).status, 302);
    assert_eq!(ground.found, 0);
}

#[test]
fn a_shelf_holds_so_many_answers_and_so_many_bytes() {
    let ground = Ground::new(Bench::new(1));
    let basis = Basis::new(&ground.bench.view, &ground.config, &ground.pages, NOW.wall.as_secs());
    let kept = |body: usize| {
        let mut shelf = Shelf::default();
        let targets: Vec<String> = (0..300).map(|n| format!("/live?page={n}")).collect();
        for target in &targets {
            let asked = request("GET", target, &[], b"");
            let mut response =
                Response { status: 200, headers: Vec::new(), body: Body::Owned(vec![b'x'; body]) };
            shelf.keep(&basis, &Reduced::of(&asked).unwrap(), Caller::Open, &mut response);
        }
        let held = |target: &&String| {
            let asked = request("GET", target, &[], b"");
            shelf.find(&basis, &Reduced::of(&asked).unwrap(), &Caller::Open).is_some()
        };
        targets.iter().filter(held).count()
    };
    assert_eq!(kept(10), crate::limits::KEPT_ANSWERS_MAX);
    assert_eq!(kept(1 << 20), crate::limits::KEPT_BYTES_MAX / (1 << 20) - 1);
}
