//! One try of one message: rendered, sent, judged. Its error is fit to be shown: no value of a secret is in it.

use super::http;
use super::{Common, smtp};
use heartbeat::config::secret::Reference;
use heartbeat::config::server::{Channel, ChannelType};
use heartbeat::notice::Message;
use heartbeat::notice::channel::{
    self, Delivery, HttpAnswer, HttpRequest, Occasion, Purse, Run, Verdict,
};
use heartbeat::os::child::{self, Exit, Program};
use heartbeat::os::{clock, file};
use heartbeat::text::{cut, escape_control};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECRET_MAX: usize = 64 << 10;
const ERROR_MAX: usize = 300;
/// What is shown of a refusal's body.
const EXCERPT_MAX: usize = 160;
const RETRY: Verdict = Verdict::Retry { after: Duration::ZERO };

pub struct Attempt {
    pub verdict: Verdict,
    pub error: Option<String>,
    pub ms: u64,
}

/// Tries once, by the configuration as it is now.
pub fn attempt(common: &Common, message: &Message) -> Attempt {
    let begun = clock::now().mono;
    let config = common.shared.config();
    let purse = Purse::new(&read_secret);
    let tried = match config.channels.get(&*message.receiver.channel) {
        Some(channel) if channel.enabled => attempt_by(common, channel, message, &purse),
        Some(_) => Err((Verdict::Failed, "the channel is disabled".to_owned())),
        None => Err((Verdict::Failed, "the channel is not configured any more".to_owned())),
    };
    let ms = clock::now().mono.since(begun).as_millis() as u64;
    match tried {
        Ok(()) => Attempt { verdict: Verdict::Done, error: None, ms },
        Err((verdict, error)) => {
            let error = escape_control(&purse.hide(&error)).into_owned();
            Attempt { verdict, error: Some(cut(&error, ERROR_MAX).to_owned()), ms }
        }
    }
}

type Tried = Result<(), (Verdict, String)>;

fn attempt_by(common: &Common, channel: &Channel, message: &Message, purse: &Purse<'_>) -> Tried {
    let facts = &common.shared.facts;
    let machine = facts.full_name.as_deref().unwrap_or(&facts.hostname);
    let machine = if machine.is_empty() { "localhost" } else { machine };
    let occasion = Occasion { now: clock::now().wall, machine };
    let prepared = channel::prepare(channel, message, purse, &occasion);
    let delivery = prepared
        .map_err(|fault| (if fault.lasting { Verdict::Failed } else { RETRY }, fault.text))?;
    if let Some(proxy) = &channel.proxy {
        purse.remember(proxy);
    }
    match delivery {
        Delivery::Http(request) => send_http(common, channel, &request),
        Delivery::Mail(mail) => {
            if let Some((_, password)) = &mail.login {
                purse.remember(password);
            }
            let limits = smtp::Limits { timeout: channel.timeout, proxy: channel.proxy.as_deref() };
            smtp::send(&mail, &limits, &common.roots)
        }
        Delivery::Program(run) => run_program(&run, channel.timeout),
    }
}

fn send_http(common: &Common, channel: &Channel, request: &HttpRequest) -> Tried {
    let limits = http::Limits {
        timeout: channel.timeout,
        proxy: channel.proxy.as_deref(),
        read_success: channel::reads_success(channel.kind),
    };
    let answer = http::send(request, &limits, &common.roots).map_err(|error| (RETRY, error))?;
    let judged = HttpAnswer {
        status: answer.status,
        retry_after: answer.retry_after.as_deref(),
        body: &answer.body,
    };
    let verdict = channel::of_http(channel.kind, &judged, clock::now().wall);
    if verdict == Verdict::Done {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&answer.body);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = match answer.status {
        300..=399 => {
            "answered with a redirect, which is not followed; write the address it leads to"
        }
        _ if words.is_empty() => "refused it",
        _ => cut(&words, EXCERPT_MAX),
    };
    Err((verdict, format!("status {}: {what}", answer.status)))
}

fn run_program(run: &Run, timeout: Duration) -> Tried {
    let name = run.argv.first().map(String::as_str).unwrap_or_default();
    let path = absolute(name).ok_or_else(|| {
        (Verdict::Failed, format!("{name} is not in {} or /usr/local/bin", child::PATH))
    })?;
    child::check(&path).map_err(|why| (Verdict::Failed, format!("{} {why}", path.display())))?;
    let mut argv = run.argv.clone();
    argv[0] = path.to_string_lossy().into_owned();
    let mut env = run.env.clone();
    if run.kind == ChannelType::Signal {
        // signal-cli keeps its keys below the home directory.
        for key in ["HOME", "XDG_DATA_HOME"] {
            env.extend(std::env::var(key).ok().map(|value| (key.to_owned(), value)));
        }
    }
    let program = Program { argv, env, timeout: Some(timeout), stdin: run.stdin.clone() };
    let ended =
        child::run(&program).map_err(|error| (RETRY, format!("{}: {error}", path.display())))?;
    let code = match ended.exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(_) => None,
    };
    let verdict = channel::of_program(run.kind, code, ended.timed_out);
    if verdict == Verdict::Done {
        return Ok(());
    }
    let how = match (ended.timed_out, ended.exit) {
        (true, _) => format!("did not end within {} s", timeout.as_secs()),
        (_, Exit::Code(code)) => format!("exit status {code}"),
        (_, Exit::Signal(signal)) => format!("died of signal {signal}"),
    };
    let output = if ended.stderr.is_empty() { &ended.stdout } else { &ended.stderr };
    let last = String::from_utf8_lossy(output);
    let last = last.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let colon = if last.is_empty() { "" } else { ": " };
    Err((verdict, format!("{} {how}{colon}{}", path.display(), cut(last.trim(), EXCERPT_MAX))))
}

fn absolute(name: &str) -> Option<PathBuf> {
    let local = Path::new("/usr/local/bin").join(name);
    child::find(name).or_else(|| child::check(&local).is_ok().then_some(local))
}

/// The value behind `{file: …}`, `{env: …}` or `{credential: …}`, read each time: it may have been changed.
pub fn read_secret(reference: Reference<'_>) -> Result<String, String> {
    let read = |path: &Path| {
        let bytes = file::read_bounded(path, SECRET_MAX);
        let bytes = bytes.map_err(|error| format!("{}: {error}", path.display()))?;
        String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))
    };
    match reference {
        Reference::File(path) => read(path),
        Reference::Env(name) => {
            std::env::var(name).map_err(|_| format!("the environment has no {name}"))
        }
        Reference::Credential(name) => {
            let dir = std::env::var_os("CREDENTIALS_DIRECTORY");
            let dir = dir.ok_or("there is no $CREDENTIALS_DIRECTORY: systemd sets it")?;
            read(&Path::new(&dir).join(name))
        }
    }
}
