//! CPU per datagram through the real socket path: hbd beside a bare recvmmsg/sendmmsg echo and two Python servers,
//! all in one run. `cargo bench --bench datagram`; docs/PERFORMANCE.md tells how to read it.
//!
//! The generator keeps a window of datagrams in flight, so that the server is always saturated, and reads the
//! server's CPU time from /proc. Loopback only; ends by itself after about a minute.

#![allow(clippy::disallowed_methods)] // A benchmark reads the clock.

mod shape;
mod socket;

use shape::{Load, Shape};
use socket::Batch;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HOSTS: usize = 4000;
const RUN: Duration = Duration::from_secs(4);

fn main() {
    if std::env::args().any(|a| a == "--echo") {
        return socket::echo();
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    println!(
        "{:<28}{:>14}{:>14}{:>12}",
        "server, datagram", "per second", "CPU us each", "answered"
    );
    let shapes = [Shape::Htb, Shape::Plg, Shape::Garbage];
    let mut cost = std::collections::BTreeMap::new();
    for (name, shapes) in [
        ("echo", &shapes[..1]),
        ("hbd", &shapes[..]),
        ("hbd+journal", &shapes[..2]),
        ("hbd+history", &shapes[..2]),
        ("asyncio", &shapes[1..2]),
        ("uvloop", &shapes[1..2]),
    ] {
        for shape in shapes {
            let Some(mut server) = Server::start(name, dir.path()) else {
                println!("{name}: not measured, its parts are not installed");
                continue;
            };
            let result = server.drive(*shape);
            println!(
                "{:<28}{:>14.0}{:>14.2}{:>11.2}%",
                format!("{name}, {shape:?}"),
                result.per_second,
                result.cpu_us,
                result.answered
            );
            cost.insert((name, *shape), result.cpu_us);
            server.stop();
        }
    }
    let ratio = |a, b| match (cost.get(&a), cost.get(&b)) {
        (Some(a), Some(b)) => format!("{:.2}", a / b),
        _ => "not measured".to_owned(),
    };
    println!(
        "HTB, hbd over echo: {} (at most 1.6)",
        ratio(("hbd", Shape::Htb), ("echo", Shape::Htb))
    );
    println!(
        "HTB, hbd with its journal over hbd without: {}",
        ratio(("hbd+journal", Shape::Htb), ("hbd", Shape::Htb))
    );
    println!(
        "PLG, asyncio over hbd: {} (at least 4.5)",
        ratio(("asyncio", Shape::Plg), ("hbd", Shape::Plg))
    );
    println!(
        "PLG, uvloop over hbd: {} (at least 1.5)",
        ratio(("uvloop", Shape::Plg), ("hbd", Shape::Plg))
    );
    paced(dir.path());
}

/// 100,000 datagrams a second for 10 s: none may be lost.
fn paced(dir: &std::path::Path) {
    let Some(server) = Server::start("hbd", dir) else { return };
    let load = Load::new(Shape::Htb, HOSTS);
    let before = server.cpu();
    let (sent, answered) = socket::paced(server.address, &load, 100_000, Duration::from_secs(10));
    let cpu = server.cpu() - before;
    println!(
        "paced: {sent} sent in 10 s, {answered} answered, {} lost, {:.0} % of a core",
        sent - answered,
        cpu.as_secs_f64() * 10.0
    );
    server.stop();
}

struct Outcome {
    per_second: f64,
    cpu_us: f64,
    answered: f64,
}

struct Server {
    child: Child,
    address: SocketAddr,
    http: Option<SocketAddr>,
}

impl Server {
    fn start(name: &str, dir: &std::path::Path) -> Option<Server> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/asyncio_server.py");
        let mut command = match name {
            "hbd" | "hbd+journal" | "hbd+history" => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_hbd"));
                let config =
                    socket::config(dir, HOSTS, name == "hbd+journal", name == "hbd+history");
                command.arg("-f").arg("-c").arg(config);
                command
            }
            "echo" => {
                let mut command = Command::new(std::env::current_exe().ok()?);
                command.arg("--echo");
                command
            }
            _ => {
                let mut command = Command::new("python3");
                command.arg(script).args((name == "uvloop").then_some("--fast"));
                command
            }
        };
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().ok()?;
        let mut lines = BufReader::new(child.stderr.take()?).lines();
        let ready = lines.by_ref().map_while(Result::ok).find(|l| l.contains("ready udp="));
        // Whatever it says later must not block it.
        std::thread::Builder::new().spawn(move || lines.for_each(drop)).ok()?;
        let Some(ready) = ready else {
            let _ = child.wait();
            return None;
        };
        let field = |key: &str| {
            ready.split_whitespace().find_map(|w| w.strip_prefix(key))?.parse::<SocketAddr>().ok()
        };
        let port = field("udp=")?.port();
        Some(Server { child, address: ([127, 0, 0, 1], port).into(), http: field("http=") })
    }

    fn drive(&mut self, shape: Shape) -> Outcome {
        let load = Load::new(shape, HOSTS);
        let mut batch = Batch::new(self.address);
        batch.run(&load, Duration::from_millis(300));
        let (cpu, begin, taken) = (self.cpu(), Instant::now(), self.received());
        let (sent, answered) = batch.run(&load, RUN);
        let (cpu, wall) = (self.cpu() - cpu, begin.elapsed());
        // Garbage is not answered: the server's own count tells how much it took.
        let handled = if shape == Shape::Garbage { self.received() - taken } else { answered };
        Outcome {
            per_second: handled as f64 / wall.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 / handled.max(1) as f64,
            answered: 100.0 * answered as f64 / sent.max(1) as f64,
        }
    }

    /// CPU time of the server so far, all its threads.
    fn cpu(&self) -> Duration {
        socket::cpu_of(self.child.id())
    }

    fn received(&self) -> u64 {
        self.http.map_or(0, socket::received)
    }

    fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
