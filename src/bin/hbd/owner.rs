//! Who has a port: for the one error message that every operator meets. Reads `/proc`, only after a bind failed.

use crate::bind::Transport;
use heartbeat::os::file;
use heartbeat::text;
use std::path::Path;

const TABLE_MAX: usize = 8 << 20;
const CMDLINE_SHOWN_MAX: usize = 60;

/// `pid 812 "python3 -m hbd.server.cli"`; `None` where `/proc` does not tell (another user's process).
pub fn of_port(transport: Transport, port: u16) -> Option<String> {
    let tables = match transport {
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let inode = tables.iter().find_map(|table| {
        let bytes = file::read_bounded(Path::new(table), TABLE_MAX).ok()?;
        inode_of(&String::from_utf8_lossy(&bytes), transport, port)
    })?;
    let pid = holder(&format!("socket:[{inode}]"))?;
    let command = command_line(pid);
    Some(format!("pid {pid} \"{command}\""))
}

/// The socket inode of a local port in a table of proc(5); of TCP only sockets that listen.
fn inode_of(table: &str, transport: Transport, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, hex) = fields.get(1)?.rsplit_once(':')?;
        let matches = u16::from_str_radix(hex, 16).ok()? == port
            && (transport == Transport::Udp || *fields.get(3)? == LISTEN);
        let inode: u64 = fields.get(9)?.parse().ok()?;
        (matches && inode != 0).then_some(inode)
    })
}

fn holder(link: &str) -> Option<u32> {
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(descriptors) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            if std::fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == link)
            {
                return Some(pid);
            }
        }
    }
    None
}

fn command_line(pid: u32) -> String {
    let path = format!("/proc/{pid}/cmdline");
    let bytes = file::read_bounded(Path::new(&path), 64 << 10).unwrap_or_default();
    let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let line = text::escape_control(line.trim()).into_owned();
    let shown = text::cut(&line, CMDLINE_SHOWN_MAX);
    if shown.len() < line.len() { format!("{shown}…") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1024: 0100007F:C353 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
  100: 0100007F:C354 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0
  101: 00000000:C354 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 2 0000000000000000 0
";

    #[test]
    fn inode_is_that_of_the_bound_or_listening_socket() {
        assert_eq!(inode_of(TABLE, Transport::Udp, 50003), Some(4711));
        assert_eq!(inode_of(TABLE, Transport::Tcp, 50004), Some(4713));
        assert_eq!(inode_of(TABLE, Transport::Tcp, 50003), None);
        assert_eq!(inode_of("garbage\nmore garbage\n", Transport::Udp, 1), None);
    }
}
