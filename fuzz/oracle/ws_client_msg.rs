//! What must hold of a live connection, whatever its client says: frames are JSON within their bound, nobody is told of
//! a host that they may not see, no shell would spin, and a client that asks for all anew holds the server's fleet.

use heartbeat::account::{Key, Reach};
use heartbeat::config::node::Document;
use heartbeat::config::server::{self, Server};
use heartbeat::engine::view::View;
use heartbeat::engine::{Engine, Event, Path};
use heartbeat::time::{Duration, Mono, Now, Wall};
use heartbeat::web::live::{BEAT_MS, Close, Reducer, Step, Viewer};
use heartbeat::web::{Caller, Identity};
use heartbeat::wire::Decoder;
use heartbeat::yaml;
use std::collections::BTreeSet;
use std::sync::Arc;

const CONFIG: &str = "
users: {alice: {}, bob: {admin: true}}
hosts:
  web1: {owner: alice, tags: [web], group: basel}
  db1: {owner: bob, managers: [alice]}
  mon1: {owner: bob, monitors: [alice]}
  hidden1: {owner: bob, tags: [hidden-tag], group: hidden-group}
";
const ALL: [&str; 4] = ["db1", "hidden1", "mon1", "web1"];
const OF_ALICE: [&str; 2] = ["db1", "web1"];
/// Messages of one run; the rest is thrown away.
const MESSAGES_MAX: usize = 48;
const FRAME_MAX: usize = 64 << 10;
const START: Now = Now { mono: Mono::from_secs(1000), wall: Wall::from_secs(1_763_798_441) };
const STEP: Duration = Duration::from_millis(300);

pub struct Oracle {
    /// As time goes on.
    views: Vec<Arc<View>>,
}

impl Default for Oracle {
    fn default() -> Oracle {
        let mut engine = Engine::new(Arc::new(config()), 1, START);
        let (mut decoder, mut views) = (Decoder::new(), Vec::new());
        for round in 0..4 {
            for name in ALL.iter().skip(usize::from(round == 2)) {
                let htb = format!("{{\"ID\":\"HTB\",\"name\":\"{name}\",\"interval\":30}}");
                receive(&mut engine, &mut decoder, &htb);
                let plg = format!(
                    "{{\"ID\":\"PLG\",\"name\":\"{name}\",\"plugin\":\"cpu_monitor\",\
                     \"data\":{{\"cpu_percent\":{}}}}}",
                    20 + round
                );
                receive(&mut engine, &mut decoder, &plg);
            }
            views.push(engine.view());
        }
        assert_eq!(views.last().map(|view| view.hosts.len), Some(ALL.len()));
        Oracle { views }
    }
}

fn config() -> Server {
    let (root, _) = yaml::read(CONFIG, "c").expect("it is YAML");
    let document = Document { file: "c".to_owned(), text: CONFIG.to_owned(), root };
    server::check(&[document]).0
}

fn receive(engine: &mut Engine, decoder: &mut Decoder, text: &str) {
    let path = Path { from: ([192, 0, 2, 1], 4000).into(), to: None };
    let decoded = decoder.decode(text.as_bytes());
    assert!(decoded.is_ok(), "{text}");
    engine.handle(START, Event::Datagram { path, len: text.len(), decoded });
    while engine.poll_effect().is_some() {}
}

struct Run<'a> {
    oracle: &'a Oracle,
    viewer: Viewer,
    reducer: Reducer,
    now: Now,
    view: usize,
    is_alice: bool,
}

impl Oracle {
    /// The first byte says who it is; each line is a message.
    pub fn check(&self, bytes: &[u8]) {
        let Some((who, bytes)) = bytes.split_first() else { return };
        let user = |name: &str, admin| {
            let key = Key::Session(1);
            Caller::User(Arc::new(Identity { user: name.into(), admin, reach: Reach::Admin, key }))
        };
        let caller = [Caller::Open, user("alice", false), user("bob", true)];
        let caller = &caller[usize::from(*who) % 3];
        let is_alice = caller.user() == Some("alice");
        let viewer = Viewer::of(START.mono, caller);
        let mut run =
            Run { oracle: self, viewer, reducer: Reducer::new(), now: START, view: 0, is_alice };
        run.see(&run.viewer.hello(run.current(), START));
        let text = String::from_utf8_lossy(bytes);
        for (nth, message) in text.split('\n').take(MESSAGES_MAX).enumerate() {
            run.view = (nth / 4).min(self.views.len() - 1);
            match run.viewer.receive(run.now, message) {
                Ok(()) => run.turn(),
                Err(close) => {
                    assert_eq!(close.code, Close::BAD_MESSAGE, "{message:?}");
                    assert!(close.reason.is_ascii() && close.reason.len() <= 123);
                    return;
                }
            }
        }
        run.settle();
    }
}

impl Run<'_> {
    fn current(&self) -> &Arc<View> {
        &self.oracle.views[self.view]
    }

    fn turn(&mut self) {
        self.now = self.now + STEP;
        let view = Arc::clone(self.current());
        for frame in self.viewer.poll(self.now, &view) {
            self.see(&frame);
            self.reducer.apply(&frame);
        }
        assert!(self.viewer.poll_timeout() > self.now.mono, "a shell would spin");
    }

    fn see(&self, frame: &str) {
        assert!(frame.len() <= FRAME_MAX, "{} bytes", frame.len());
        let value: serde_json::Value = serde_json::from_str(frame).expect("a frame is JSON");
        assert!(value["t"].is_string(), "{frame}");
        assert!(!self.is_alice || !frame.contains("hidden"), "told of what is hidden: {frame}");
    }

    /// Asks for all anew, and compares.
    fn settle(&mut self) {
        for message in ["{\"t\":\"resync\"}", "{\"t\":\"open\"}"] {
            assert_eq!(self.viewer.receive(self.now, message), Ok(()));
        }
        self.reducer = Reducer::new();
        for _ in 0..3 {
            self.now = self.now + Duration::from_millis(BEAT_MS);
            self.turn();
        }
        assert_eq!(self.reducer.apply("{\"t\":\"ev\"}"), Step::Ok);
        assert!(self.reducer.resume().is_some(), "no snapshot came");
        let rows = self.reducer.rows().values();
        let names: BTreeSet<&str> = rows.filter_map(|row| row.get("name")?.as_str()).collect();
        let want: &[&str] = if self.is_alice { &OF_ALICE } else { &ALL };
        assert_eq!(names, want.iter().copied().collect());
        assert_eq!(self.reducer.sum().values().sum::<u64>(), want.len() as u64);
    }
}
