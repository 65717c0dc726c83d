//! The server's own agent (`--with-agent`): hbc's loop on a thread of hbd, reporting over loopback.

use heartbeat::agent::{SPOOL_DEFAULT, Setup, Target};
use heartbeat::collect;
use heartbeat::config::agent::{Agent, ServerEntry};
use heartbeat::os::agent_loop::{self, Extras, Runtime, Task};
use heartbeat::os::{agent_key, agent_program, name, thread};
use heartbeat::text;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

/// Compressing a sample in a debug build needs several hundred kilobytes; untouched pages cost nothing.
const STACK: usize = 1 << 20;

pub struct AgentThread {
    /// The loop ends when this is closed.
    stop: UnixStream,
    thread: JoinHandle<()>,
}

impl AgentThread {
    /// Starts the thread `agent`, which reports this machine to `udp`.
    pub fn start(config: &Agent, udp: SocketAddr) -> Result<AgentThread, String> {
        let (stop, stopped) = UnixStream::pair().map_err(|e| e.to_string())?;
        // The loop looks at it between other things.
        stopped.set_nonblocking(true).map_err(|e| e.to_string())?;
        let plugins = collect::builtin(config, collect::FULL);
        let key = agent_key::of_server(&ServerEntry::default(), config)?;
        let setup = Setup {
            name: host_name(config)?.into(),
            version: env!("CARGO_PKG_VERSION"),
            interval: config.interval,
            targets: vec![Target { key, ..target(udp) }],
            plugins: agent_loop::plans(config, &plugins),
            spool_max: config.spool_max.unwrap_or(SPOOL_DEFAULT),
            boot: config.boot,
            heartbeat: true,
            trust: agent_program::trust(config),
            booted: agent_loop::booted(&config.procfs),
        };
        let body = move || {
            let fd = stopped.as_fd();
            if let Err(error) = agent_loop::run(
                setup,
                plugins,
                Runtime::THREADS,
                Task::Report,
                Extras::default(),
                fd,
            ) {
                log::error!("cannot run error={error}");
            }
        };
        let thread = thread::spawn("agent", STACK, body).map_err(|e| e.to_string())?;
        Ok(AgentThread { stop, thread })
    }

    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

fn host_name(config: &Agent) -> Result<String, String> {
    if let Some(name) = &config.name {
        return Ok(name.clone());
    }
    let name = name::host_name().map_err(|e| format!("no host name: {e}"))?;
    match text::parse_name(&name) {
        Ok(name) => Ok(name.into_owned()),
        Err(error) => Err(format!("the host name {name:?} {error} - set agent.name")),
    }
}

/// The address to report to: loopback where the server hears all addresses.
fn target(udp: SocketAddr) -> Target {
    let address = match udp.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Target {
        host: address.to_string(),
        port: udp.port(),
        ipv4: address.is_ipv4(),
        ipv6: address.is_ipv6(),
        key: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_reports_over_loopback_where_the_server_hears_everything() {
        let table =
            [("0.0.0.0:5", "127.0.0.1:5"), ("[::]:5", "[::1]:5"), ("192.0.2.1:5", "192.0.2.1:5")];
        for (udp, want) in table {
            assert_eq!(target(udp.parse().unwrap()).to_string(), want);
        }
    }
}
