//! `network_monitor`: traffic, errors and state of the interfaces, numbers of connections, and how
//! full the table of tracked connections is.

use super::kernel_file::{BYTES_MAX, KernelFile, LONG_MAX};
use super::rate::{self, Interval};
use super::{CollectError, ObjectWriter, Plugin, PluginKind, Source, scan, socket};
use super::{link::Link, netdev};
use crate::config::agent;
use crate::glob;
use crate::time::Now;
use netdev::Counters;
use std::path::{Path, PathBuf};

pub const NAME: &str = "network_monitor";

const MB: f64 = (1u64 << 20) as f64;

pub struct NetworkMonitor {
    netdev: KernelFile,
    snmp: KernelFile,
    sockstat: KernelFile,
    /// Absent where IPv6 is.
    sockstat6: Option<KernelFile>,
    /// Of the firewall: entries and their bound. Absent where it tracks nothing.
    conntrack: Option<[KernelFile; 2]>,
    class: PathBuf,
    include: Vec<String>,
    exclude: Vec<String>,
    interval: Interval,
    last: Vec<Counters>,
    links: Vec<Link>,
    buffer: Vec<u8>,
}

impl NetworkMonitor {
    /// Takes the first reading, so that the first sample has rates.
    pub fn new(source: &Source, settings: &agent::Plugin) -> Result<NetworkMonitor, CollectError> {
        // With another root that is the host's: its first process is in the host's network.
        let foreign = source.procfs != Path::new("/proc");
        let host = source.procfs.join("1/net");
        let net = if foreign && host.exists() { host } else { source.procfs.join("net") };
        let mut netdev = KernelFile::new(net.join("dev"), LONG_MAX);
        let mut buffer = Vec::new();
        let lo = || if settings.include.is_empty() { vec!["lo".to_owned()] } else { Vec::new() };
        let exclude = settings.exclude.clone().unwrap_or_else(lo);
        let bytes = netdev.require(&mut buffer)?;
        let last = netdev::parse_netdev(bytes, |name| shows(&settings.include, &exclude, name));
        let sockstat6 = net.join("sockstat6");
        Ok(NetworkMonitor {
            netdev,
            snmp: KernelFile::new(net.join("snmp"), BYTES_MAX),
            sockstat: KernelFile::new(net.join("sockstat"), BYTES_MAX),
            sockstat6: sockstat6.exists().then(|| KernelFile::new(sockstat6, BYTES_MAX)),
            conntrack: conntrack(source),
            class: source.sysfs.join("class/net"),
            include: settings.include.clone(),
            exclude,
            interval: Interval::new(source),
            last,
            links: Vec::new(),
            buffer,
        })
    }

    /// The states of the interfaces of `counters`, in their order; known ones keep their files.
    fn update_links(&mut self, counters: &[Counters]) {
        let mut known = std::mem::take(&mut self.links);
        self.links = counters
            .iter()
            .map(|counter| match known.iter().position(|link| link.name() == counter.name) {
                Some(at) => known.swap_remove(at),
                None => Link::new(&self.class, &counter.name),
            })
            .collect();
        for link in &mut self.links {
            link.update(&mut self.buffer);
        }
    }

    fn write_sockets(&mut self, object: &mut ObjectWriter<'_>) {
        let buffer = &mut self.buffer;
        let established = self.snmp.read(buffer).ok().and_then(socket::parse_established);
        object.integer_if("tcp_established", established);
        let v4 = self.sockstat.read(buffer).ok().map(socket::parse_sockstat).unwrap_or_default();
        object.integer_if("tcp_time_wait", v4.tcp_time_wait);
        let v6 = match &mut self.sockstat6 {
            Some(file) => file.read(buffer).ok().map(socket::parse_sockstat).unwrap_or_default(),
            None => socket::Sockstat::default(),
        };
        let udp = v4.udp.map(|count| count.saturating_add(v6.udp.unwrap_or(0)));
        object.integer_if("udp_sockets", udp);
        self.write_conntrack(object);
    }

    fn write_conntrack(&mut self, object: &mut ObjectWriter<'_>) {
        let Some([count, max]) = &mut self.conntrack else { return };
        let buffer = &mut self.buffer;
        let count = count.read(buffer).ok().and_then(|bytes| scan::number(bytes.trim_ascii()));
        let max = max.read(buffer).ok().and_then(|bytes| scan::number(bytes.trim_ascii()));
        object.integer_if("conntrack_count", count);
        object.integer_if("conntrack_max", max);
        let share = count.zip(max.filter(|max| *max > 0));
        let percent = share.map(|(count, max)| count as f64 / max as f64 * 100.0);
        object.number_if("conntrack_percent", percent, 2);
    }
}

fn conntrack(source: &Source) -> Option<[KernelFile; 2]> {
    let dir = source.procfs.join("sys/net/netfilter");
    let files = ["nf_conntrack_count", "nf_conntrack_max"].map(|name| dir.join(name));
    let all = files.iter().all(|path| path.exists());
    all.then(|| files.map(|path| KernelFile::new(path, BYTES_MAX)))
}

/// Whether the settings want an interface.
fn shows(include: &[String], exclude: &[String], name: &[u8]) -> bool {
    (include.is_empty() || glob::matches_any(include, name)) && !glob::matches_any(exclude, name)
}

impl Plugin for NetworkMonitor {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Monitor
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn collect(&mut self, now: Now, out: &mut String) -> Result<(), CollectError> {
        let bytes = self.netdev.require(&mut self.buffer)?;
        let wanted = |name: &[u8]| shows(&self.include, &self.exclude, name);
        let counters = netdev::parse_netdev(bytes, wanted);
        let seconds = self.interval.next(now.mono, &mut self.buffer);
        self.update_links(&counters);
        let mut object = ObjectWriter::new(out);
        object.begin("interfaces");
        for (counter, link) in counters.iter().zip(&self.links) {
            let before = self.last.iter().find(|last| last.name == counter.name);
            object.begin(&counter.name);
            write_interface(&mut object, counter, before.zip(seconds), link);
            object.end();
        }
        object.end();
        let sum =
            |count: fn(&Counters) -> u64| counters.iter().map(count).fold(0, u64::saturating_add);
        object.integer("errors_total", sum(Counters::errors));
        object.integer("dropped_total", sum(Counters::dropped));
        self.write_sockets(&mut object);
        object.finish();
        self.last = counters;
        Ok(())
    }
}

fn write_interface(
    object: &mut ObjectWriter<'_>,
    counter: &Counters,
    before: Option<(&Counters, f64)>,
    link: &Link,
) {
    if let Some((before, seconds)) = before {
        let mb_s = |count, before| Some(rate::per_second(count, before, seconds)? / MB);
        object.number_if("rx_mb_s", mb_s(counter.rx_bytes, before.rx_bytes), 4);
        object.number_if("tx_mb_s", mb_s(counter.tx_bytes, before.tx_bytes), 4);
    }
    object.integer("rx_bytes", counter.rx_bytes);
    object.integer("tx_bytes", counter.tx_bytes);
    object.integer("rx_packets", counter.rx_packets);
    object.integer("tx_packets", counter.tx_packets);
    object.integer("errors_total", counter.errors());
    object.integer("dropped_total", counter.dropped());
    if let Some(up) = link.up() {
        object.bool("up", up);
    }
    object.integer_if("speed_mbit", link.speed());
}
