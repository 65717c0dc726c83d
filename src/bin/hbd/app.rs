//! What the HTTP front asks of the server: answers from the published view, and orders to the engine.

use crate::accounts::{Accounts, Fault};
use crate::engine::{self, NotSaved};
use crate::history::Past;
use crate::shared::Shared;
use crate::{fault, gate, history, journal, notify, package, pulse, supervisor, vitals};
use crossbeam_channel::{Sender, bounded};
use heartbeat::account::{Key, NewToken, SessionShown, TokenShown};
use heartbeat::config::server::Server;
use heartbeat::engine::view::{Host, View};
use heartbeat::engine::{Command, Outcome, Package};
use heartbeat::limits;
use heartbeat::os::clock;
use heartbeat::time::Now;
use heartbeat::web::{
    self, Act, Attempt, Basis, Caller, Change, Context, Figure, Identity, JournalFact, Kept, Kind,
    Pages, Peer, Problem, QueueFact, Reduced, Refused, Request, Response, Shelf, SignedIn,
    identify_as,
};
use heartbeat::web::{ConfigChange, JournalFile, Pulse, TestRefusal, TestResult, TestTarget};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// The store answers within a commit; a disk that takes longer is told as a failure.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const RELOAD_WITHIN: Duration = Duration::from_secs(10);

pub struct App {
    shared: Arc<Shared>,
    engine: engine::Inbox,
    journal: journal::Handle,
    history: Past,
    notify: notify::Handle,
    supervisor: Sender<supervisor::Order>,
    pages: RwLock<Arc<Pages>>,
    /// Whoever has something to tell in `/metrics`.
    sources: RwLock<Vec<Source>>,
    accounts: Arc<Accounts>,
    /// Finished answers of the newest view.
    shelf: Mutex<Shelf>,
}

/// The figures of one worker.
pub type Source = Box<dyn Fn() -> Vec<Figure> + Send + Sync>;

impl App {
    pub fn new(
        shared: Arc<Shared>,
        engine: engine::Inbox,
        (journal, history, notify): (journal::Handle, Past, notify::Handle),
        supervisor: Sender<supervisor::Order>,
        pages: Pages,
        accounts: Arc<Accounts>,
    ) -> App {
        let (pages, sources) = (RwLock::new(Arc::new(pages)), RwLock::default());
        let shelf = Mutex::default();
        App {
            shared,
            engine,
            journal,
            history,
            notify,
            supervisor,
            pages,
            sources,
            accounts,
            shelf,
        }
    }

    pub fn add_source(&self, source: Source) {
        self.sources.write().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// The engine's thread and the journal.
    fn own_figures(&self) -> [Figure; 2] {
        let turns = pulse::turns("engine") as f64;
        let written = self.journal.written() as f64;
        let help = "Turns of the engine's loop, at least one a second.";
        [
            Figure::new("heartbeat_engine_turns_total", Kind::Counter, help, turns),
            Figure::new(
                "heartbeat_journal_lines_total",
                Kind::Counter,
                "Lines written to the message journal.",
                written,
            ),
        ]
    }

    /// Answers what others will ask again; perhaps somebody did already.
    fn respond_and_keep(
        &self,
        context: &Context<'_>,
        pages: &Arc<Pages>,
        asked: &Reduced<'_>,
    ) -> Response {
        let request = asked.request();
        let basis = Basis::new(&context.view, &context.config, pages, context.now.wall.as_secs());
        let caller = web::identify(context, &request);
        if let Some(kept) = self.shelf().find(&basis, asked, &caller) {
            return kept.response();
        }
        let mut response = web::respond_to(context, &request, &caller);
        self.shelf().keep(&basis, asked, caller, &mut response);
        response
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_pages(&self, pages: Pages) {
        *self.pages.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pages);
    }

    fn pages(&self) -> Arc<Pages> {
        Arc::clone(&self.pages.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn journal_fact(&self, config: &Server) -> Option<JournalFact> {
        let (bytes, failing) = self.journal.standing();
        config.journal_enabled.then(|| JournalFact {
            bytes,
            bytes_max: config.journal_max_size * (u64::from(config.journal_max_backups) + 1),
            written: self.journal.written(),
            dropped: self.journal.dropped(),
            ok: !failing,
            disk: self.journal.disk(),
        })
    }

    fn pulse(&self) -> Pulse {
        let (rate, p99) = *self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner);
        Pulse { rate, p99, viewers: self.shared.viewers.load(Ordering::Relaxed) }
    }

    fn queues(&self) -> [QueueFact; 4] {
        let replies = self.shared.replies_dropped.load(Ordering::Relaxed);
        let orders = self.shared.orders_dropped.load(Ordering::Relaxed);
        let history = self.history.handle();
        [
            QueueFact {
                name: "journal",
                depth: self.journal.depth(),
                capacity: limits::JOURNAL_QUEUE as u64,
                dropped: self.journal.dropped(),
            },
            QueueFact {
                name: "history",
                depth: history.depth(),
                capacity: (limits::HISTORY_PENDING_BYTES / history::RECORD_BYTES) as u64,
                dropped: history.dropped(),
            },
            QueueFact {
                name: "orders",
                depth: self.engine.len() as u64,
                capacity: engine::ORDERS_MAX as u64,
                dropped: orders,
            },
            QueueFact {
                name: "replies",
                depth: 0,
                capacity: crate::udp::BATCH as u64,
                dropped: replies,
            },
        ]
    }
}

impl gate::App for App {
    /// A panic in a view costs this answer and nothing else: views are read only.
    fn respond(&self, request: &Request<'_>) -> Response {
        let hand = Hand { app: self, failure: Cell::new(None) };
        let pages = self.pages();
        let response = fault::guard(|| {
            fault::point("page");
            let (view, config) = (self.shared.view(), self.shared.config());
            let context = Context {
                view: Arc::clone(&view),
                config: Arc::clone(&config),
                now: clock::now(),
                pages: &pages,
                facts: &self.shared.facts,
                queues: &self.queues(),
                channels: &self.notify.board().facts(&config, &view),
                journal: self.journal_fact(&config),
                engine: &hand,
                accounts: &hand,
                history: &self.history,
                reload_fault: self
                    .shared
                    .reload_fault
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
                starting: false,
                pulse: self.pulse(),
            };
            match Reduced::of(request) {
                Some(asked) => self.respond_and_keep(&context, &pages, &asked),
                None => web::respond(&context, request),
            }
        });
        match (hand.failure.get(), response) {
            (Some(failure), _) => {
                web::unavailable(request, &pages, failure.code(), failure.words())
            }
            // A template that cannot be rendered, say: the reason is for the log.
            (None, Some(response)) if response.status == 500 => {
                failed(request, &pages, &reason(&response))
            }
            (None, Some(response)) => response,
            (None, None) => failed(request, &pages, "the code failed, see the line before"),
        }
    }

    fn note_viewers(&self, open: usize) {
        self.shared.viewers.store(open, Ordering::Relaxed);
    }

    fn kept(&self, request: &Request<'_>) -> Option<Arc<Kept>> {
        let asked = Reduced::of(request)?;
        let view = self.shared.view_if_fresh()?;
        let (config, pages) = (self.shared.config(), self.pages());
        let basis = Basis::new(&view, &config, &pages, clock::now().wall.as_secs());
        let caller = match request.peer {
            Peer::Control => Caller::Control,
            Peer::Remote(_) => self.caller(web::secret(request)),
        };
        // A thread of the pool that has it just now will not keep it for long; nobody waits here.
        self.shelf.try_lock().ok()?.find(&basis, &asked, &caller)
    }

    fn view(&self) -> Arc<View> {
        self.shared.view()
    }

    fn config(&self) -> Arc<Server> {
        self.shared.config()
    }

    fn now(&self) -> Now {
        clock::now()
    }

    fn machine_names(&self) -> Vec<String> {
        self.shared.facts.names()
    }

    fn caller(&self, secret: Option<&str>) -> Caller {
        let found = secret.and_then(|secret| self.accounts.identify(secret));
        identify_as(&self.shared.config(), found)
    }

    fn again(&self, caller: &Caller) -> Caller {
        self.accounts.again(caller)
    }
}

impl web::Accounts for Hand<'_> {
    fn identify(&self, secret: &str) -> Option<Identity> {
        self.app.accounts.identify(secret)
    }

    fn sign_in(&self, attempt: &Attempt<'_>) -> Result<SignedIn, Refused> {
        self.app.accounts.sign_in(attempt)
    }

    fn end(&self, key: Key) {
        if !self.app.accounts.end(key) {
            self.failure.set(Some(Failure::NotSaved));
        }
    }

    fn sessions(&self, user: Option<&str>) -> Vec<SessionShown> {
        self.app.accounts.sessions(user)
    }

    fn tokens(&self, user: Option<&str>) -> Vec<TokenShown> {
        self.app.accounts.tokens(user)
    }

    fn make_token(&self, new: NewToken) -> Option<(TokenShown, String)> {
        let (shown, secret, on_disk) = self.app.accounts.make_token(new)?;
        if !on_disk {
            self.failure.set(Some(Failure::NotSaved));
        }
        Some((shown, secret))
    }

    fn hash(&self, password: &str) -> Result<String, Refused> {
        self.app.accounts.hash(password)
    }

    fn change(&self, change: Change) -> Result<(), Problem> {
        match self.app.accounts.change(&change) {
            Ok(()) => Ok(()),
            Err(Fault::LastAdmin) => Err(Problem::new(
                409,
                "last_admin",
                "Nobody would be left who manages users: there must be an admin.",
            )
            .hint("Make another admin first.")),
            Err(Fault::NotSaved) => {
                self.failure.set(Some(Failure::NotSaved));
                Ok(())
            }
            Err(Fault::Busy) => {
                self.failure.set(Some(Failure::Busy));
                Ok(())
            }
        }
    }

    fn settings(&self) -> Arc<str> {
        self.app.accounts.settings()
    }
}

/// Why an order was not carried out for certain.
#[derive(Clone, Copy)]
enum Failure {
    Busy,
    NotSaved,
}

impl Failure {
    const fn code(self) -> &'static str {
        match self {
            Failure::Busy => "busy",
            Failure::NotSaved => "not_saved",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Failure::Busy => "The server has too much to do, or is stopping. Try again.",
            Failure::NotSaved => {
                "The change is in force but not on disk: the state directory cannot be written. \
                 It is tried again every 10 s."
            }
        }
    }
}

/// The orders of one request. `Act` has no words for a full inbox or a full disk: they are noted here, and the
/// answer is replaced.
struct Hand<'a> {
    app: &'a App,
    failure: Cell<Option<Failure>>,
}

impl Act for Hand<'_> {
    fn act(&self, command: Command) -> Outcome {
        let (answer, answered) = bounded(1);
        if !self.app.engine.send(engine::Order::Command { command, answer }) {
            self.app.shared.orders_dropped.fetch_add(1, Ordering::Relaxed);
            self.failure.set(Some(Failure::Busy));
            return Outcome::Done;
        }
        match answered.recv_timeout(ANSWER_WITHIN) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(NotSaved)) | Err(_) => {
                self.failure.set(Some(Failure::NotSaved));
                Outcome::Done
            }
        }
    }

    fn load_keys(&self) -> Result<(), String> {
        let (answer, answered) = bounded(1);
        if self.app.supervisor.try_send(supervisor::Order::Keys { answer }).is_err() {
            self.failure.set(Some(Failure::Busy));
            return Ok(());
        }
        answered.recv_timeout(RELOAD_WITHIN).unwrap_or_else(|_| {
            self.failure.set(Some(Failure::Busy));
            Ok(())
        })
    }

    fn package(&self, host: &Host, version: Option<&str>) -> Result<Package, String> {
        let config = self.app.shared.config();
        package::find(config.agent_dir.as_deref(), host, version)
    }

    fn figures(&self) -> Vec<Figure> {
        let mut figures = vitals::figures();
        figures.extend(self.app.own_figures());
        let sources = self.app.sources.read().unwrap_or_else(PoisonError::into_inner);
        figures.extend(sources.iter().flat_map(|source| source()));
        figures
    }

    fn preview(&self) -> Result<Vec<ConfigChange>, Vec<String>> {
        let (answer, answered) = bounded(1);
        if self.app.supervisor.try_send(supervisor::Order::Preview { answer }).is_err() {
            self.failure.set(Some(Failure::Busy));
            return Ok(Vec::new());
        }
        answered.recv_timeout(RELOAD_WITHIN).unwrap_or_else(|_| {
            self.failure.set(Some(Failure::Busy));
            Ok(Vec::new())
        })
    }

    fn journal_files(&self) -> Vec<JournalFile> {
        self.app.journal.files()
    }

    fn notify_test(&self, target: &TestTarget) -> Result<Vec<TestResult>, TestRefusal> {
        self.app.notify.test(target)
    }

    fn reload(&self) -> Result<Vec<String>, Vec<String>> {
        let (answer, answered) = bounded(1);
        if self.app.supervisor.try_send(supervisor::Order::Reload { answer }).is_err() {
            self.failure.set(Some(Failure::Busy));
            return Ok(Vec::new());
        }
        answered.recv_timeout(RELOAD_WITHIN).unwrap_or_else(|_| {
            self.failure.set(Some(Failure::Busy));
            Ok(Vec::new())
        })
    }
}

/// What a problem document says.
fn reason(response: &Response) -> String {
    let document: serde_json::Value =
        serde_json::from_slice(response.body.as_bytes()).unwrap_or_default();
    document["detail"].as_str().unwrap_or("no reason given").to_owned()
}

/// A request that failed: the log names it by the same number as the answer.
fn failed(request: &Request<'_>, pages: &Pages, why: &str) -> Response {
    static FAILED: AtomicU64 = AtomicU64::new(1);
    let id = format!("{:x}-{}", std::process::id(), FAILED.fetch_add(1, Ordering::Relaxed));
    let path = heartbeat::text::cut(request.path, 200);
    log::error!("a request failed: {why} id={id} path={path}");
    web::failed(request, pages, &id)
}
