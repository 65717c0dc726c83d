//! Coming in: taking connections from the listeners, and who makes room for whom.

use super::answer;
use super::conn::{Conn, Phase};
use super::counter::Count;
use super::front::{FIRST_CONN, Gate};
use super::peer;
use super::reader::Reader;
use heartbeat::limits;
use heartbeat::time::{Duration, Now};
use mio::{Interest, Token};
use std::io::{self, Write};
use std::net::IpAddr;

/// Connections taken in of one listener before others have their turn.
const ACCEPT_BATCH: usize = 64;
/// After an error of `accept`: descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections on the control socket.
const CONTROL_CONNS: usize = 16;

impl Gate {
    pub fn accept(&mut self, now: Now) {
        if self.work.paused_until.is_some_and(|until| until > now.mono) {
            return;
        }
        self.work.paused_until = None;
        for at in 0..self.doors.len() {
            for _ in 0..ACCEPT_BATCH {
                if !self.doors[at].ready {
                    break;
                }
                match self.doors[at].accept() {
                    Ok((stream, address)) => {
                        self.counters.add(Count::Accepted);
                        let conn = Conn::new(stream, self.doors[at].kind, address, now.mono);
                        self.welcome(conn, now);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.doors[at].ready = false,
                    Err(e) if is_of_one_connection(&e) => {}
                    Err(e) => return self.recover(&e, now),
                }
            }
        }
    }

    /// `accept` failed for want of descriptors or memory: make room, wait a little, go on.
    fn recover(&mut self, error: &io::Error, now: Now) {
        self.counters.add(Count::AcceptErrors);
        self.work.warn("a connection could not be accepted", error, now);
        if let Some(victim) = self.work.table.victim(None, now.mono) {
            self.counters.add(Count::Evicted);
            self.close(victim);
        }
        self.work.paused_until = Some(now.mono + ACCEPT_PAUSE);
    }

    fn welcome(&mut self, mut conn: Conn, now: Now) {
        if !self.has_room(conn.address, now) {
            self.counters.add(Count::TurnedAway);
            let bytes = answer::refusal(503, "too many connections", Reader::Program, now.wall);
            let _ = conn.stream.write(&bytes);
            return;
        }
        let slot = self.work.table.insert(conn);
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(FIRST_CONN + 2 * slot);
        if let Err(e) = self.poll.registry().register(&mut conn.stream, token, interest) {
            log::error!("a connection cannot be watched error={e}");
            return self.close(slot);
        }
        let deadline = now.mono + Duration::from_secs(limits::HEAD_DEADLINE_S);
        self.work.table.set_deadline(slot, deadline);
        self.drive(slot, now);
    }

    /// Whether one more of `address` fits, after closing what is idle.
    fn has_room(&mut self, address: Option<IpAddr>, now: Now) -> bool {
        let who = address.map(peer::block);
        let proxies = &self.app.config().trusted_proxies;
        let each = match address {
            None => CONTROL_CONNS,
            Some(address) if peer::is_trusted(address, proxies) => usize::MAX,
            Some(_) => limits::HTTP_CONNS_PER_ADDRESS.min(self.budget.conns),
        };
        if self.work.table.count(who) >= each && !self.evict(Some(who), now) {
            return false;
        }
        address.is_none()
            || self.work.table.count_remote() < self.budget.conns
            || self.evict(None, now)
    }

    fn evict(&mut self, who: Option<Option<IpAddr>>, now: Now) -> bool {
        let Some(victim) = self.work.table.victim(who, now.mono) else { return false };
        self.counters.add(Count::Evicted);
        if matches!(self.work.table.get_mut(victim), Some(conn) if is_asking(conn)) {
            // Its place in flight is not free before the pool is done; its descriptor is.
            self.lose(victim);
            return false;
        }
        self.close(victim);
        true
    }
}

fn is_asking(conn: &Conn) -> bool {
    matches!(conn.phase, Phase::Asking(_))
}

/// Errors of `accept` that concern the connection that was to come, and not the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), Interrupted | ConnectionAborted | ConnectionReset | PermissionDenied)
}
