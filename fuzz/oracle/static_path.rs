//! What must hold of static files and of the agents' binaries, whatever path is asked for: what is served is one of the
//! files there are, whole, under one path component; every answer has the headers that keep a browser from guessing
//! (THREATS H9).

use super::agent_dir;
use heartbeat::account::{Key, NewToken, SessionShown, TokenShown};
use heartbeat::config::server::Server;
use heartbeat::engine::view::{Host, View};
use heartbeat::engine::{Command, Engine, Outcome, Package};
use heartbeat::history::{PastSample, Reader, Series, SeriesAsk, Span, Unavailable};
use heartbeat::time::{Now, Wall};
use heartbeat::web::{
    self, Accounts, Act, Attempt, Change, ConfigChange, Context, Facts, Identity, Method, Pages,
    Peer, Problem, Refused, Request, Response, SignedIn, TestRefusal, TestResult, TestTarget,
};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OWN: &str = "own.css";
const AGENT: &str = "hbc-linux-x86_64";
const NOW: Now =
    Now { mono: heartbeat::time::Mono::from_secs(1), wall: Wall::from_secs(1_800_000_000) };

/// A server that has nothing but its pages.
struct Nothing;

impl Act for Nothing {
    fn act(&self, _: Command) -> Outcome {
        Outcome::Done
    }
    fn reload(&self) -> Result<Vec<String>, Vec<String>> {
        Err(Vec::new())
    }
    fn preview(&self) -> Result<Vec<ConfigChange>, Vec<String>> {
        Err(Vec::new())
    }
    fn load_keys(&self) -> Result<(), String> {
        Err(String::new())
    }
    fn package(&self, _: &Host, _: Option<&str>) -> Result<Package, String> {
        Err(String::new())
    }
    fn notify_test(&self, _: &TestTarget) -> Result<Vec<TestResult>, TestRefusal> {
        Err(TestRefusal::Busy)
    }
}

impl Accounts for Nothing {
    fn identify(&self, _: &str) -> Option<Identity> {
        None
    }
    fn sign_in(&self, _: &Attempt<'_>) -> Result<SignedIn, Refused> {
        Err(Refused::Busy)
    }
    fn end(&self, _: Key) {}
    fn sessions(&self, _: Option<&str>) -> Vec<SessionShown> {
        Vec::new()
    }
    fn tokens(&self, _: Option<&str>) -> Vec<TokenShown> {
        Vec::new()
    }
    fn make_token(&self, _: NewToken) -> Option<(TokenShown, String)> {
        None
    }
    fn hash(&self, _: &str) -> Result<String, Refused> {
        Err(Refused::Busy)
    }
    fn change(&self, _: Change) -> Result<(), Problem> {
        Ok(())
    }
    fn settings(&self) -> Arc<str> {
        "{}".into()
    }
}

impl Reader for Nothing {
    fn series(&self, _: &SeriesAsk<'_>) -> Result<Series, Unavailable> {
        Err(Unavailable::Disabled)
    }
    fn standings(&self, _: &str, _: Wall, _: Wall) -> Result<Vec<Span>, Unavailable> {
        Err(Unavailable::Disabled)
    }
    fn samples(&self, _: &str, _: &str, _: Wall, _: usize) -> Result<Vec<PastSample>, Unavailable> {
        Err(Unavailable::Disabled)
    }
}

pub struct Oracle {
    view: Arc<View>,
    config: Arc<Server>,
    pages: Pages,
    facts: Facts,
    /// Of each file that is served: its bytes as they go out.
    served: BTreeMap<String, Vec<u8>>,
    agents: PathBuf,
}

impl Oracle {
    /// `dir`: an empty directory of the caller's, which holds the agents.
    pub fn new(dir: PathBuf) -> Oracle {
        let config = Arc::new(Server::default());
        let overrides = BTreeMap::from([(OWN.to_owned(), b".own{}".to_vec())]);
        let view = Engine::new(Arc::clone(&config), 1, NOW).view();
        let mut oracle = Oracle {
            view,
            config,
            pages: Pages::with_overrides(overrides),
            facts: Facts::default(),
            served: BTreeMap::new(),
            agents: dir.join("agents"),
        };
        for name in own_files().chain([OWN.to_owned()]) {
            let response = oracle.get(&format!("/static/{name}"));
            assert_eq!(response.status, 200, "{name}");
            oracle.served.insert(name, response.body.as_bytes().to_vec());
        }
        let write = |path: PathBuf, text: &str| std::fs::write(path, text).expect("written");
        std::fs::create_dir_all(oracle.agents.join("below")).expect("made");
        write(oracle.agents.join(AGENT), "binary");
        write(oracle.agents.join(".hidden"), "CANARY");
        write(oracle.agents.join("below/file"), "CANARY");
        write(dir.join("outside"), "CANARY");
        let link = oracle.agents.join("link");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(dir.join("outside"), link).expect("linked");
        oracle
    }

    fn get(&self, path: &str) -> Response {
        let context = Context {
            view: Arc::clone(&self.view),
            config: Arc::clone(&self.config),
            now: NOW,
            pages: &self.pages,
            facts: &self.facts,
            queues: &[],
            journal: None,
            channels: &[],
            engine: &Nothing,
            accounts: &Nothing,
            history: &Nothing,
            reload_fault: None,
            starting: false,
            pulse: web::Pulse::default(),
        };
        let peer = Peer::Remote([192, 0, 2, 1].into());
        let headers = &[("Host", "localhost")];
        let method = Method::Get;
        let request = Request { method, path, query: "", headers, body: b"", peer, secure: false };
        web::respond(&context, &request)
    }

    pub fn check(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.check_static(&text);
        self.check_agent(&text);
    }

    fn check_static(&self, name: &str) {
        let path = format!("/static/{name}");
        let response = self.get(&path);
        let header = |name: &str| {
            let named = response.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.as_str())
        };
        assert_eq!(header("X-Content-Type-Options"), Some("nosniff"), "{path:?}");
        assert!(header("Content-Security-Policy").is_some(), "{path:?}");
        assert!(response.headers.iter().all(|(_, value)| !value.contains(['\r', '\n', '\0'])));
        if response.status != 200 {
            assert_eq!(response.status, 404, "{path:?}");
            return;
        }
        let decoded = decode(name);
        assert!(!decoded.contains(['/', '\\', '\0']) && !decoded.starts_with('.'), "{path:?}");
        let (known, body) = self
            .served
            .iter()
            .find(|(known, _)| decoded == **known || is_hashed(&decoded, known))
            .unwrap_or_else(|| panic!("{path:?} is no file of ours"));
        assert_eq!(response.body.as_bytes(), body);
        let tag = header("ETag").unwrap_or_default().trim_matches('"');
        let is_forever = header("Cache-Control").is_some_and(|value| value.contains("immutable"));
        assert_eq!(is_forever, decoded != **known && decoded.contains(tag), "{path:?}");
    }

    fn check_agent(&self, name: &str) {
        match agent_dir::open(&self.agents, name) {
            Err(_) => assert_ne!(name, AGENT),
            Ok((mut file, len)) => {
                let mut text = String::new();
                file.read_to_string(&mut text).expect("it is text");
                assert_eq!((name, text.as_str(), len), (AGENT, "binary", 6));
            }
        }
    }
}

/// What lies in `templates/static`, all of which is built in.
fn own_files() -> impl Iterator<Item = String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = here.ancestors().map(|dir| dir.join("templates/static")).find(|dir| dir.is_dir());
    let entries = std::fs::read_dir(dir.expect("it is in the repository")).expect("readable");
    entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
}

/// `hb.0123abcd.css` for `hb.css`, whatever the hash: a page of before an update asks for the old one.
fn is_hashed(name: &str, known: &str) -> bool {
    let (stem, extension) = known.rsplit_once('.').expect("it has one");
    let hash = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
    let hash = hash.and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
    hash.is_some_and(|hash| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Percent signs, by hand.
fn decode(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
