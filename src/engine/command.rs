//! Commands and updates on their way to agents: accept-then-run (PROTOCOL C7).
//!
//! Owns every host's queue. A command is offered until the agent has accepted it, the acceptance is on disk before
//! the agent hears of it, and from then on it is never offered again: it runs at most once.

use super::view::{CommandShown, CommandState, EventKind, HostId, Level};
use super::{Effect, Engine, Outcome, Path, Saved};
use crate::calm::Fault;
use crate::limits;
use crate::time::{Duration, Mono, Now, Wall};
use crate::wire::{Answered, Cmd, Res, ResState, Upd};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What keys of commands begin with in the store; then the host and the number.
pub const COMMANDS: &str = "command/";
/// The row with the number of the last command, which is never given twice.
const LAST: &str = "command-last";
/// A command is not offered twice within this, whatever comes in between.
const OFFER_GAP: Duration = Duration::from_secs(2);
const OFFER_GAP_MAX: Duration = Duration::from_secs(64);
/// The name that an update has among the commands.
pub const UPGRADE: &str = "upgrade";
/// How long an update is offered, seconds.
const UPGRADE_TTL: u32 = 3600;

/// A way back to whoever told a result: path, length of the request, key and number.
pub(super) type Asked = (Path, usize, usize, u64);

/// An update's particulars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    pub version: String,
    pub sha256: String,
    pub size: u64,
}

/// One command of one host.
pub struct Ticket {
    shown: CommandShown,
    package: Option<Package>,
    /// Until then it is offered.
    until: Mono,
    offered: Option<Mono>,
    offers: u32,
    /// What is shown is on disk, so the agent may hear of it.
    durable: bool,
    /// Results that wait for that.
    asked: Option<Asked>,
}

impl Ticket {
    fn is_open(&self) -> bool {
        matches!(self.shown.state, CommandState::Queued | CommandState::Sent)
    }

    fn is_over(&self) -> bool {
        !self.is_open() && self.shown.state != CommandState::Accepted
    }

    /// When it is offered next without being asked for.
    fn due(&self) -> Mono {
        let gap = OFFER_GAP * (1 << self.offers.saturating_sub(1).min(5));
        self.offered.map_or(Mono::ZERO, |at| at + gap.min(OFFER_GAP_MAX))
    }
}

#[derive(Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
    args: Vec<String>,
    state: String,
    by: Option<String>,
    queued: f64,
    sent: Option<f64>,
    accepted: Option<f64>,
    finished: Option<f64>,
    expires: f64,
    exit_code: Option<i32>,
    signal: Option<i32>,
    output: String,
    reason: Option<String>,
    #[serde(default)]
    package: Option<Package>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    pub name: String,
    pub args: Vec<String>,
    /// Seconds.
    pub ttl: u32,
    pub by: Option<String>,
}

impl Engine {
    pub(super) fn run(&mut self, now: Now, host: &str, wish: Wish) -> Outcome {
        let cmd = Cmd { cid: 1, name: wish.name, args: wish.args, ttl: wish.ttl };
        if let Err(what) = cmd.check() {
            let field = if what.starts_with("ttl") {
                "ttl"
            } else if what.starts_with("the name") {
                "name"
            } else {
                "args"
            };
            return Outcome::Refused(Fault::new(field, what));
        }
        self.queue(now, host, cmd, wish.by, None)
    }

    pub(super) fn upgrade(
        &mut self,
        now: Now,
        host: &str,
        package: Package,
        by: Option<String>,
    ) -> Outcome {
        let cmd = Cmd { cid: 1, name: UPGRADE.to_owned(), args: Vec::new(), ttl: UPGRADE_TTL };
        self.queue(now, host, cmd, by, Some(package))
    }

    fn queue(
        &mut self,
        now: Now,
        host: &str,
        cmd: Cmd,
        by: Option<String>,
        package: Option<Package>,
    ) -> Outcome {
        let Some(id) = self.table.id(host) else { return Outcome::NoSuchHost };
        if !self.table.record_ref(id).is_some_and(|record| record.keyed) {
            return Outcome::NoKey;
        }
        let name = self.name_of(id);
        let tickets = self.commands.entry(name.clone()).or_default();
        if tickets.iter().filter(|ticket| !ticket.is_over()).count() >= limits::CMD_QUEUE {
            return Outcome::QueueFull;
        }
        self.last_command += 1;
        let cid = self.last_command;
        let ttl = Duration::from_secs(u64::from(cmd.ttl));
        let shown = CommandShown {
            id: cid,
            name: cmd.name.into(),
            args: cmd.args.iter().map(|text| Arc::from(text.as_str())).collect(),
            state: CommandState::Queued,
            by: by.map(Arc::from),
            queued: now.wall,
            sent: None,
            accepted: None,
            finished: None,
            expires: now.wall + ttl,
            exit_code: None,
            signal: None,
            output: Arc::from(""),
            reason: None,
        };
        let until = now.mono + ttl;
        let (offered, offers, durable, asked) = (None, 0, true, None);
        tickets.push(Ticket { shown, package, until, offered, offers, durable, asked });
        let mut gone = Vec::new();
        while tickets.len() > limits::CMD_KEPT {
            let Some(at) = tickets.iter().position(Ticket::is_over) else { break };
            gone.push(tickets.remove(at).shown.id);
        }
        let rows = gone.into_iter().map(|cid| Saved::PartGone { key: row_key(&name, cid) });
        let mut rows: Vec<Saved> = rows.collect();
        rows.push(Saved::Part { key: LAST.into(), json: cid.to_string().into_bytes() });
        // A host that has just appeared may not be on disk yet, and nothing is kept of one that is not.
        rows.extend(self.row(id));
        self.effects.push_back(Effect::Persist(rows));
        self.command_changed(now, id, cid, true);
        self.offer(now, &name);
        Outcome::Queued(cid)
    }

    /// Something fresh came from the host: what waits for it is sent, if it was not sent just now.
    pub(super) fn offer_after(&mut self, now: Now, host: &str) {
        let Some(tickets) = self.commands.get(host) else { return };
        let next = tickets.iter().find(|ticket| ticket.is_open());
        if next.is_some_and(|t| t.offered.is_none_or(|at| now.mono.since(at) >= OFFER_GAP)) {
            self.offer(now, host);
        }
    }

    /// Sends the host's oldest command that it has not accepted, to where its agent was last.
    fn offer(&mut self, now: Now, host: &str) {
        let Some(tickets) = self.commands.get_mut(host) else { return };
        let open = tickets.iter_mut().find(|t| t.is_open() && t.until > now.mono);
        let Some(ticket) = open else { return };
        let mut text = String::new();
        encode(ticket, now.mono, &mut text);
        let cid = ticket.shown.id;
        if !self.order(host, &text) {
            return;
        }
        let Some(ticket) = self.ticket(host, cid) else { return };
        ticket.offered = Some(now.mono);
        ticket.offers += 1;
        if ticket.shown.state == CommandState::Queued {
            ticket.shown.state = CommandState::Sent;
            ticket.shown.sent = Some(now.wall);
            if let Some(id) = self.table.id(host) {
                self.command_changed(now, id, cid, true);
            }
        }
    }

    fn ticket(&mut self, host: &str, cid: u64) -> Option<&mut Ticket> {
        self.commands.get_mut(host)?.iter_mut().find(|ticket| ticket.shown.id == cid)
    }

    /// Offers again what was not heard of, and ends what nobody accepted in time.
    pub(super) fn tick_commands(&mut self, now: Now) {
        if self.commands.is_empty() {
            return;
        }
        let mut due: Vec<(Arc<str>, Option<u64>)> = Vec::new();
        for (host, tickets) in &mut self.commands {
            for ticket in tickets.iter_mut().filter(|t| t.is_open() && t.until <= now.mono) {
                ticket.shown.state = CommandState::Expired;
                ticket.shown.finished = Some(now.wall);
                due.push((host.clone(), Some(ticket.shown.id)));
            }
            if tickets.iter().find(|t| t.is_open()).is_some_and(|t| t.due() <= now.mono) {
                due.push((host.clone(), None));
            }
        }
        for (host, expired) in due {
            match (expired, self.table.id(&host)) {
                (Some(cid), Some(id)) => self.command_changed(now, id, cid, true),
                (None, Some(_)) => self.offer(now, &host),
                (_, None) => {}
            }
        }
    }

    /// What an agent says of a command. The answer waits until what it changes is on disk.
    pub(super) fn take_result(&mut self, now: Now, host: &Arc<str>, res: &Res<'_>, asked: Asked) {
        let Some(ticket) = self.ticket(host, res.cid) else {
            // Not a command of ours: it hears so, and is never told to run it.
            return self.answer_result(asked, None);
        };
        let shown = &mut ticket.shown;
        let accepted = res.state == ResState::Accepted;
        let mut changed = true;
        match (shown.state, accepted) {
            (CommandState::Queued | CommandState::Sent, true) => {
                shown.state = CommandState::Accepted;
                shown.accepted = Some(now.wall);
            }
            (CommandState::Queued | CommandState::Sent | CommandState::Accepted, false) => {
                finish(shown, now.wall, res);
            }
            (CommandState::Accepted, true) if !ticket.durable => changed = false,
            (CommandState::Accepted, true) => return self.answer_result(asked, Some(res.cid)),
            _ if !ticket.durable => changed = false,
            _ => return self.answer_result(asked, None),
        }
        ticket.durable = false;
        ticket.asked = Some(asked);
        if let Some(id) = self.table.id(host) {
            self.command_changed(now, id, res.cid, changed);
        }
        self.effects.push_back(Effect::Secure { token: res.cid });
    }

    /// What `Effect::Secure` asked for is on disk, or could not be written: then the agent says it again.
    pub(super) fn secured(&mut self, token: u64, saved: bool) {
        let found = self.commands.values_mut().flatten().find(|ticket| ticket.shown.id == token);
        let Some(ticket) = found.filter(|_| saved) else { return };
        ticket.durable = true;
        let acc = (ticket.shown.state == CommandState::Accepted).then_some(token);
        if let Some(asked) = ticket.asked.take() {
            self.answer_result(asked, acc);
        }
    }

    fn answer_result(&mut self, (path, len, slot, seq): Asked, acc: Option<u64>) {
        self.answer_sealed(path, len, slot, Answered { ack: seq, acc, want_info: false });
    }

    /// Shows, saves and tells where a command stands.
    fn command_changed(&mut self, now: Now, id: HostId, cid: u64, changed: bool) {
        let host = self.name_of(id);
        let Some(tickets) = self.commands.get(&host) else { return };
        let Some(ticket) = tickets.iter().find(|ticket| ticket.shown.id == cid) else { return };
        let json = serde_json::to_vec(&row_of(ticket)).unwrap_or_default();
        let (kind, level, text) = story(&host, ticket);
        let shown: Arc<[CommandShown]> = tickets.iter().map(|t| t.shown.clone()).collect();
        let saved = Saved::Part { key: row_key(&host, cid), json };
        self.effects.push_back(Effect::Persist(vec![saved]));
        self.table.change(id, |host| host.commands = shown);
        self.dirty = true;
        if let Some(text) = text.filter(|_| changed) {
            self.tell_kind(now, id, kind, level, text);
        }
    }

    /// Forgets a host's commands with the host.
    pub(super) fn forget_commands(&mut self, host: &str) {
        let Some(tickets) = self.commands.remove(host) else { return };
        let gone = tickets.iter().map(|t| Saved::PartGone { key: row_key(host, t.shown.id) });
        self.effects.push_back(Effect::Persist(gone.collect()));
    }

    pub(super) fn restore_command(&mut self, now: Now, key: &str, json: &[u8]) -> Option<()> {
        if key == LAST {
            let last: u64 = std::str::from_utf8(json).ok()?.parse().ok()?;
            self.last_command = self.last_command.max(last);
            return Some(());
        }
        let (host, _) = key.strip_prefix(COMMANDS)?.rsplit_once('/')?;
        let id = self.table.id(host)?;
        let row: Row = serde_json::from_slice(json).ok()?;
        let ticket = ticket_of(now, row)?;
        self.last_command = self.last_command.max(ticket.shown.id);
        let tickets = self.commands.entry(host.into()).or_default();
        let at = tickets.partition_point(|known| known.shown.id < ticket.shown.id);
        tickets.insert(at, ticket);
        let shown: Arc<[CommandShown]> = tickets.iter().map(|t| t.shown.clone()).collect();
        self.table.change(id, |host| host.commands = shown);
        Some(())
    }
}

fn encode(ticket: &Ticket, now: Mono, out: &mut String) {
    let shown = &ticket.shown;
    match &ticket.package {
        Some(Package { version, sha256, size }) => {
            let (version, sha256) = (version.clone(), sha256.clone());
            Upd { cid: shown.id, version, sha256, size: *size }.encode(out);
        }
        None => {
            let left = ticket.until.since(now).as_secs().clamp(1, 3600) as u32;
            let args = shown.args.iter().map(|text| text.to_string()).collect();
            let name = shown.name.to_string();
            Cmd { cid: shown.id, name, args, ttl: left }.encode(out);
        }
    }
}

fn finish(shown: &mut CommandShown, now: Wall, res: &Res<'_>) {
    shown.state = match res.state {
        ResState::Refused => CommandState::Refused,
        ResState::Failed => CommandState::Failed,
        ResState::Done | ResState::Accepted => CommandState::Done,
    };
    shown.finished = Some(now);
    match res.code {
        Some(code) if code < 0 => shown.signal = Some(i32::from(-code)),
        code => shown.exit_code = code.map(i32::from),
    }
    if shown.state == CommandState::Done {
        shown.output = res.output.into();
    } else {
        shown.reason = Some(res.output.into());
    }
}

/// How the feed tells it: kind, level, words; none for the steps between.
fn story(host: &str, ticket: &Ticket) -> (EventKind, Level, Option<String>) {
    let shown = &ticket.shown;
    let kind = if ticket.package.is_some() { EventKind::Update } else { EventKind::Command };
    let by = shown.by.as_deref().map_or(String::new(), |by| format!(" by {by}"));
    let CommandShown { id, name, .. } = shown;
    let reason = shown.reason.as_deref().filter(|reason| !reason.is_empty());
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    let (level, words) = match shown.state {
        CommandState::Queued => (Level::Info, format!("was asked for{by}")),
        CommandState::Sent | CommandState::Accepted => return (kind, Level::Info, None),
        CommandState::Done => match (shown.exit_code, shown.signal) {
            (_, Some(signal)) => (Level::Warning, format!("was ended by signal {signal}")),
            (Some(code), _) if code != 0 => (Level::Warning, format!("ended with {code}")),
            _ => (Level::Info, "is done".to_owned()),
        },
        CommandState::Refused => (Level::Warning, format!("was refused{reason}")),
        CommandState::Failed => (Level::Warning, format!("failed{reason}")),
        CommandState::Expired => (Level::Warning, "expired: the agent did not take it".to_owned()),
    };
    (kind, level, Some(format!("{host}: command {id} {name} {words}")))
}

fn row_key(host: &str, cid: u64) -> Arc<str> {
    format!("{COMMANDS}{host}/{cid}").into()
}

fn row_of(ticket: &Ticket) -> Row {
    let shown = &ticket.shown;
    let secs = |at: Option<Wall>| at.map(Wall::as_secs_f64);
    Row {
        id: shown.id,
        name: shown.name.to_string(),
        args: shown.args.iter().map(|text| text.to_string()).collect(),
        state: shown.state.as_str().to_owned(),
        by: shown.by.as_deref().map(str::to_owned),
        queued: shown.queued.as_secs_f64(),
        sent: secs(shown.sent),
        accepted: secs(shown.accepted),
        finished: secs(shown.finished),
        expires: shown.expires.as_secs_f64(),
        exit_code: shown.exit_code,
        signal: shown.signal,
        output: shown.output.to_string(),
        reason: shown.reason.as_deref().map(str::to_owned),
        package: ticket.package.clone(),
    }
}

fn ticket_of(now: Now, row: Row) -> Option<Ticket> {
    let wall = |at: Option<f64>| at.map(Wall::from_secs_f64);
    let expires = Wall::from_secs_f64(row.expires);
    let shown = CommandShown {
        id: row.id,
        name: row.name.into(),
        args: row.args.iter().map(|text| Arc::from(text.as_str())).collect(),
        state: CommandState::parse(&row.state)?,
        by: row.by.map(Arc::from),
        queued: Wall::from_secs_f64(row.queued),
        sent: wall(row.sent),
        accepted: wall(row.accepted),
        finished: wall(row.finished),
        expires,
        exit_code: row.exit_code,
        signal: row.signal,
        output: row.output.into(),
        reason: row.reason.map(Arc::from),
    };
    // A wall clock that was set back keeps nothing alive for longer than it was asked for.
    let left = expires.since(now.wall).min(Duration::from_secs(3600));
    let (offered, offers, durable, asked) = (None, 0, true, None);
    Some(Ticket {
        shown,
        package: row.package,
        until: now.mono + left,
        offered,
        offers,
        durable,
        asked,
    })
}
