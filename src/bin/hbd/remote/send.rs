//! The thread `remote-send`: hands the receiver one request after another, and waits where it does not take them.
//!
//! Owns the connection. Nothing of a receiver's answer is believed but its status and how long it wants to be left
//! alone; of a refusal the first line is told.

use super::queue::{Queue, Taken};
use super::{Settings, Tell};
use crate::pulse;
use heartbeat::engine::view::Level;
use heartbeat::os::clock;
use heartbeat::remote::{Backoff, Verdict, halves, judge};
use heartbeat::text;
use heartbeat::time::{Duration, Mono, Wall};
use std::io::Read;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use ureq::{Agent, http};

/// Requests that one block may become where the receiver refuses a part of it.
const PARTS_MAX: u32 = 64;
/// Failures in a row before people are told.
const TELL_AFTER: u32 = 3;
const REASON_MAX: u64 = 512;
const HEAD_MAX: usize = 32 << 10;

/// What both threads and the figures know of the receiver.
#[derive(Default)]
pub struct Receiver {
    pub settings: Mutex<Option<Settings>>,
    pub requests: AtomicU64,
    pub failures: AtomicU64,
    /// Unix seconds; 0: never.
    pub last_success: AtomicI64,
}

/// A request, or what is left of one.
struct Piece {
    body: Vec<u8>,
    samples: u32,
}

pub struct Sender {
    queue: Arc<Queue>,
    receiver: Arc<Receiver>,
    tell: Tell,
    client: Option<(Agent, Settings)>,
    backoff: Backoff,
    /// Parts of the block that is out; empty: it is sent as it is.
    parts: Vec<Piece>,
    requests: u32,
    told: bool,
}

impl Sender {
    pub fn new(queue: Arc<Queue>, receiver: Arc<Receiver>, tell: Tell) -> Sender {
        let backoff = Backoff::new(clock::now().mono.as_nanos());
        let (client, parts) = (None, Vec::new());
        Sender { queue, receiver, tell, client, backoff, parts, requests: 0, told: false }
    }

    pub fn run(mut self) {
        let mut not_before = Mono::ZERO;
        loop {
            // Whatever it waits for has a limit: a receiver, a pause.
            pulse::waits();
            match self.queue.next(not_before) {
                Some(taken) => not_before = self.deliver(&taken),
                None if self.queue.is_stopping() => return,
                None => {
                    if self.queue.take_changed() {
                        let settings = self.receiver.settings.lock();
                        let settings = settings.unwrap_or_else(PoisonError::into_inner).clone();
                        self.client = settings.map(|settings| (agent(&settings), settings));
                        not_before = Mono::ZERO;
                    }
                }
            }
        }
    }

    /// Sends what is next of the block; when to go on.
    fn deliver(&mut self, taken: &Taken) -> Mono {
        if self.parts.is_empty() {
            let Block { body, samples, .. } = &*taken.block;
            self.parts.push(Piece { body: body.clone(), samples: *samples });
            self.requests = 0;
        }
        let Some(piece) = self.parts.last() else { return Mono::ZERO };
        let (verdict, why) = self.send(&piece.body);
        self.receiver.requests.fetch_add(1, Ordering::Relaxed);
        match verdict {
            Verdict::Done => self.take_off(true),
            Verdict::Refused => self.divide(&why),
            Verdict::Retry(after) => return self.fail(after, &why),
        }
        self.succeed();
        if self.parts.is_empty() {
            self.queue.done();
        }
        Mono::ZERO
    }

    fn take_off(&mut self, sent: bool) {
        let Some(piece) = self.parts.pop() else { return };
        let counter = if sent { &self.queue.sent } else { &self.queue.refused };
        counter.fetch_add(u64::from(piece.samples), Ordering::Relaxed);
    }

    /// The receiver refused a request for the sake of something in it: the rest is sent in smaller ones.
    fn divide(&mut self, why: &str) {
        self.requests += 1;
        let Some(piece) = self.parts.last() else { return };
        let plain = snap::raw::Decoder::new().decompress_vec(&piece.body).unwrap_or_default();
        let parts = halves(&plain).filter(|_| self.requests < PARTS_MAX);
        let Some(parts) = parts else {
            log::warn!("remote_write: {} samples are refused: {why}", piece.samples);
            return self.take_off(false);
        };
        self.parts.pop();
        for (body, samples) in parts.into_iter().rev() {
            if let Ok(body) = snap::raw::Encoder::new().compress_vec(&body) {
                self.parts.push(Piece { body, samples });
            }
        }
    }

    fn succeed(&mut self) {
        self.backoff.succeeded();
        self.receiver.last_success.store(clock::now().wall.as_secs(), Ordering::Relaxed);
        if self.told
            && (self.tell)(Level::Info, "the receiver of samples takes them again".to_owned())
        {
            self.told = false;
        }
    }

    fn fail(&mut self, after: Option<Duration>, why: &str) -> Mono {
        self.receiver.failures.fetch_add(1, Ordering::Relaxed);
        self.queue.failed();
        let pause = self.backoff.failed(after);
        if self.backoff.failures() >= TELL_AFTER && !self.told {
            let text =
                format!("the receiver of samples does not take them: {why}; they wait on disk");
            self.told = (self.tell)(Level::Warning, text);
        }
        log::debug!("remote_write: {why}; tried again in {} s", pause.as_secs());
        clock::now().mono + pause
    }

    fn send(&self, body: &[u8]) -> (Verdict, String) {
        let Some((agent, settings)) = &self.client else {
            return (Verdict::Retry(None), "it is not known".to_owned());
        };
        let request = match request(settings, body) {
            Ok(request) => request,
            Err(why) => return (Verdict::Retry(None), why),
        };
        match agent.run(request) {
            Ok(response) => answer(response),
            Err(error) => (Verdict::Retry(None), words(&error, settings.timeout)),
        }
    }
}

use heartbeat::remote::Block;

fn request<'a>(settings: &Settings, body: &'a [u8]) -> Result<http::Request<&'a [u8]>, String> {
    let mut builder = http::Request::post(settings.url.as_str())
        .header("Content-Encoding", "snappy")
        .header("Content-Type", "application/x-protobuf")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0");
    if let Some(authorization) = &settings.authorization {
        builder = builder.header("Authorization", authorization.as_str());
    }
    if let Some(tenant) = &settings.tenant {
        builder = builder.header("X-Scope-OrgID", tenant.as_str());
    }
    builder.body(body).map_err(|_| "the address or a header cannot be used".to_owned())
}

fn answer(mut response: http::Response<ureq::Body>) -> (Verdict, String) {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let verdict = judge(status, retry_after);
    let mut said = Vec::new();
    if verdict != Verdict::Done {
        let _ = response.body_mut().as_reader().take(REASON_MAX).read_to_end(&mut said);
    } else {
        // The connection is used again only once its answer is read.
        let _ = response.body_mut().as_reader().take(REASON_MAX).read_to_end(&mut said);
        said.clear();
    }
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().next().unwrap_or_default();
    (verdict, format!("status {status} {}", text::escape_control(text::cut(line, 200))))
}

/// Every limit of time set: the library has none of its own.
fn agent(settings: &Settings) -> Agent {
    let timeout = Some(settings.timeout);
    let config = Agent::config_builder()
        .timeout_global(timeout)
        .timeout_connect(timeout)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(HEAD_MAX)
        .max_idle_connections(1)
        .user_agent(concat!("Heartbeat/", env!("CARGO_PKG_VERSION")))
        .proxy(None)
        .tls_config(super::tls())
        .build();
    config.new_agent()
}

/// In words of our own where the library would name the address.
fn words(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", timeout.as_secs()),
        ureq::Error::HostNotFound => "its name has no address".to_owned(),
        ureq::Error::ConnectionFailed => "it cannot be connected to".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::Tls(what) => format!("TLS: {what}"),
        _ => "it does not answer as a receiver does".to_owned(),
    }
}

/// When the last request was taken.
pub fn last_success(receiver: &Receiver) -> Option<Wall> {
    let secs = receiver.last_success.load(Ordering::Relaxed);
    (secs != 0).then(|| Wall::from_secs(secs))
}
