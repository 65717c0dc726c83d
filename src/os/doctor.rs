//! `doctor SERVER`: tries everything between this machine and a server, one after the other, and
//! says of each how it went and how to mend it.
//!
//! Changes nothing at the server: what it sends is the sample of `os_info`, which the agent sends
//! too, and no heartbeat; so a machine without an agent is not missed afterwards.

use super::agent_program::{
    BAD_CONFIGURATION, Exit, FAILED, NOT_ACKNOWLEDGED, Program, USAGE, own_name, print, tell,
};
use super::{agent_key, clock, entropy, fetch, runner};
use crate::agent::Target;
use crate::collect;
use crate::config::agent::{self as config, Agent};
use crate::limits;
use crate::time::{self, Duration};
use crate::wire::seal::{self, Header, SealKind};
use crate::wire::{self, Key, PlgOut};
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

const TRIES: u32 = 3;
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A clock that is further off than this confuses whoever compares two logs.
const CLOCK_OFF: f64 = 5.0;
/// Where a server's pages are, unless it was told otherwise.
const HTTP_PORT: u16 = 50004;

struct Report {
    text: String,
    failed: bool,
    answered: bool,
}

pub(super) fn run(program: &Program, agent: &Agent, server: &str) -> Result<u8, Exit> {
    let entry = config::parse_server(server).map_err(|what| {
        tell(&format!("{}: {what}", program.name));
        Exit(USAGE)
    })?;
    // The key of that server as the configuration has it, if it has it.
    let known = agent.servers.iter().find(|server| server.host == entry.host);
    let key = agent_key::of_server(known.unwrap_or(&entry), agent).map_err(|what| {
        tell(&format!("{}: {what}", program.name));
        Exit(BAD_CONFIGURATION)
    })?;
    let target = Target::new(&entry, agent, key);
    let name = own_name(program, agent)?;
    let mut report = Report { text: String::new(), failed: false, answered: false };
    let addresses = runner::resolve(&target.host, target.port);
    report.name(&target, &addresses);
    let probe = match &target.key {
        Some(key) => Probe::Hello(key.clone(), entropy::seed(&agent.procfs).number),
        None => Probe::Sample(letter(agent, program, &name)),
    };
    let mut own = Vec::new();
    for (word, wanted, any) in [
        ("IPv4", target.ipv4, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        ("IPv6", target.ipv6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    ] {
        let mut family = addresses.iter().filter(|address| address.is_ipv4() == any.is_ipv4());
        match family.next() {
            _ if !wanted => report.line("skip", word, "switched off in the configuration"),
            None => report.line("skip", word, "the name has no such address"),
            Some(address) => own.extend(report.family(word, *address, any, &probe)),
        }
    }
    if !addresses.is_empty() {
        report.clock(&target);
        report.namesake(&target, &name, &own);
    }
    print(&report.text)?;
    match (report.failed, report.answered) {
        (_, false) => Err(Exit(NOT_ACKNOWLEDGED)),
        (true, true) => Err(Exit(FAILED)),
        (false, true) => Ok(0),
    }
}

/// The sample of `os_info` as the agent sends it.
fn letter(agent: &Agent, program: &Program, name: &str) -> Vec<u8> {
    let mut json = String::new();
    let mut plugins = collect::probe(agent, program.plugins).into_iter();
    let data = plugins.find_map(|(_, plugin)| {
        let mut plugin = plugin.ok().filter(|plugin| plugin.name() == "os_info")?;
        runner::collect(plugin.as_mut(), String::new()).ok()
    });
    let data = data.unwrap_or_else(|| "{}".to_owned());
    let seq = Some(1);
    PlgOut { name, seq, plugin: "os_info", data: &data, info: true, ..PlgOut::default() }
        .encode(&mut json);
    let mut bytes = Vec::new();
    wire::pack(&json, &mut bytes);
    bytes
}

impl Report {
    fn line(&mut self, state: &str, what: &str, text: &str) {
        self.failed |= state == "FAIL";
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.text, "{state:<5} {what:<8} {}", crate::text::escape_control(text));
    }

    fn fix(&mut self, text: &str) {
        let _ = writeln!(self.text, "      fix: {text}");
    }

    fn name(&mut self, target: &Target, addresses: &[SocketAddr]) {
        let host = &target.host;
        if addresses.is_empty() {
            self.line("FAIL", "name", &format!("{host} has no address"));
            self.fix("check the spelling and the name servers of this machine, or give an address");
            return;
        }
        let mut shown: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
        shown.dedup();
        self.line("ok", "name", &format!("{host} -> {}", shown.join(", ")));
    }

    /// Tries one address; this machine's own address on that way.
    fn family(
        &mut self,
        word: &str,
        address: SocketAddr,
        any: IpAddr,
        probe: &Probe,
    ) -> Option<IpAddr> {
        let port = address.port();
        let socket = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect(address)?;
            socket.set_read_timeout(Some(ANSWER_WITHIN))?;
            Ok(socket)
        });
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => {
                self.line("FAIL", word, &format!("{}: {error}", address.ip()));
                self.fix(&format!("give this machine a route, or set {}: false", key(any)));
                return None;
            }
        };
        let own = socket.local_addr().ok().map(|own| own.ip());
        match ask(&socket, probe) {
            Ok(took) => {
                self.answered = true;
                let (tenths, how) = (took.as_micros().div_ceil(100), probe.answer());
                let took = format!("{}.{} ms", tenths / 10, tenths % 10);
                self.line("ok", word, &format!("udp/{port} answered in {took} ({how})"));
            }
            Err(error) => {
                let ip = address.ip();
                let (what, fix) = match error.kind() {
                    io::ErrorKind::ConnectionRefused => (
                        format!("{ip} says that nothing listens on udp/{port}"),
                        format!("start hbd there, or name its port: SERVER:PORT (hb_port: {port})"),
                    ),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => (
                        format!("no answer in {TRIES} tries"),
                        format!(
                            "open udp/{port} to {ip} on the firewall, see whether the server {}, or \
                             set {}: false",
                            probe.condition(),
                            key(any)
                        ),
                    ),
                    _ => (
                        format!("{ip}: {error}"),
                        format!(
                            "open udp/{port} to {ip} on the firewall, or set {}: false",
                            key(any)
                        ),
                    ),
                };
                self.line("FAIL", word, &what);
                self.fix(&fix);
            }
        }
        own
    }

    /// A server's web pages tell its time, to the second.
    fn clock(&mut self, target: &Target) {
        let authority = authority(target);
        let date = fetch::date(&authority);
        let there = match date.as_deref().map(time::parse_http_date) {
            Ok(Some(there)) => there,
            Ok(None) => return self.line("skip", "clock", "the server's date cannot be read"),
            Err(why) => {
                let what = format!("no page at http://{authority}/ to ask the time: {why}");
                return self.line("skip", "clock", &what);
            }
        };
        // The field has whole seconds: it is half a second late on average.
        let off = (clock::now().wall.as_secs_f64() - there.as_secs_f64() - 0.5).abs();
        let tenths = (off * 10.0).round() as u64;
        let what = format!("{}.{} s off the server's", tenths / 10, tenths % 10);
        if off <= CLOCK_OFF {
            self.line("ok", "clock", &what);
        } else {
            self.line("warn", "clock", &what);
            self.fix("let chrony or systemd-timesyncd set the clock; heartbeats do not need it");
        }
    }

    /// Whether the server has this name from another address; where it may be asked.
    fn namesake(&mut self, target: &Target, name: &str, own: &[IpAddr]) {
        let url = format!("http://{}/api/0/hosts/{name}", authority(target));
        let mut body = Vec::new();
        let got = fetch::fetch(&url, limits::BODY_MAX as u64, &mut |part| {
            body.extend_from_slice(part);
            Ok(())
        });
        let host = got.ok().and_then(|_| serde_json::from_slice::<HostFact>(&body).ok());
        for connection in host.map(|host| host.connections).unwrap_or_default() {
            let same_family = own.iter().any(|ip| ip.is_ipv4() == connection.address.is_ipv4());
            let lives = connection.state == "up" || connection.state == "late";
            if lives && same_family && !own.contains(&connection.address) {
                let what = format!(
                    "of this host \"{name}\" is also reported by {} (ghost?)",
                    connection.address
                );
                self.line("warn", "name", &what);
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct HostFact {
    connections: Vec<ConnectionFact>,
}

#[derive(serde::Deserialize)]
struct ConnectionFact {
    address: IpAddr,
    state: String,
}

fn authority(target: &Target) -> String {
    match target.host.contains(':') {
        true => format!("[{}]:{HTTP_PORT}", target.host),
        false => format!("{}:{HTTP_PORT}", target.host),
    }
}

fn key(any: IpAddr) -> &'static str {
    if any.is_ipv4() { "ipv4" } else { "ipv6" }
}

/// What is sent to see whether anybody answers.
enum Probe {
    /// To a server without a key.
    Sample(Vec<u8>),
    /// The greeting of a session, which changes nothing at a server and ends no session there; with
    /// the number of this incarnation.
    Hello(Key, u64),
}

impl Probe {
    fn bytes(&self, number: u32) -> Vec<u8> {
        match self {
            Probe::Sample(bytes) => bytes.clone(),
            Probe::Hello(key, aid) => {
                let (key_id, sid, aid, seq) = (key.id(), 0, *aid, u64::from(number) + 1);
                let header =
                    Header { key_id, sid, aid, kind: SealKind::Hello, seq, deflated: false };
                let mut bytes = Vec::new();
                seal::seal(key, header, b"", &mut bytes);
                bytes
            }
        }
    }

    fn is_answer(&self, bytes: &[u8]) -> bool {
        match self {
            Probe::Sample(_) => wire::decode_ack(bytes).is_ok(),
            Probe::Hello(key, aid) => {
                let welcome = |header: &Header| header.kind == SealKind::Welcome;
                let header = Header::parse(bytes).ok().filter(welcome);
                header.is_some_and(|header| header.key_id == key.id() && header.aid == *aid)
                    && seal::open(key, bytes, &mut Vec::new()).is_ok()
            }
        }
    }

    fn answer(&self) -> &'static str {
        match self {
            Probe::Sample(_) => "ACK",
            Probe::Hello(..) => "sealed, WELCOME",
        }
    }

    /// What a silent server may be at odds with.
    fn condition(&self) -> &'static str {
        match self {
            Probe::Sample(_) => "takes this host (udp_policy)",
            Probe::Hello(..) => "has this key (hbd key list)",
        }
    }
}

/// How long the answer took.
fn ask(socket: &UdpSocket, probe: &Probe) -> io::Result<Duration> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for number in 0..TRIES {
        let began = clock::now().mono;
        let mut buffer = [0; 2048];
        match socket.send(&probe.bytes(number)).and_then(|_| socket.recv(&mut buffer)) {
            Ok(len) if probe.is_answer(&buffer[..len]) => {
                return Ok(clock::now().mono.since(began));
            }
            Ok(_) => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::JoinHandle;

    #[allow(clippy::disallowed_methods, reason = "the test joins it")]
    fn server() -> (SocketAddr, JoinHandle<Vec<u8>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let address = socket.local_addr().expect("an address");
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let (len, from) = socket.recv_from(&mut buffer).expect("a datagram");
            socket.send_to(br#"{"ID":"ACK","ack":1}"#, from).expect("sent");
            buffer[..len].to_vec()
        });
        (address, thread)
    }

    #[test]
    fn answering_address_is_ok_and_a_closed_port_is_named() {
        let (address, thread) = server();
        let mut report = Report { text: String::new(), failed: false, answered: false };
        let any = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        let probe = Probe::Sample(b"{}".to_vec());
        let own = report.family("IPv4", address, any, &probe);
        assert_eq!(own, Some(IpAddr::from(Ipv4Addr::LOCALHOST)));
        assert!(report.answered && !report.failed);
        assert_eq!(thread.join().expect("joined"), b"{}");
        // The server has ended: its port is closed.
        report.family("IPv4", address, any, &probe);
        let port = address.port();
        let (first, rest) = report.text.split_once('\n').expect("two lines");
        assert!(first.starts_with(&format!("ok    IPv4     udp/{port} answered in ")), "{first}");
        let want = format!(
            "FAIL  IPv4     127.0.0.1 says that nothing listens on udp/{port}\n      \
             fix: start hbd there, or name its port: SERVER:PORT (hb_port: {port})\n"
        );
        assert_eq!(rest, want);
        assert!(report.failed);
    }
}
