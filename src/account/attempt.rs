//! How often a password may be tried: by account, by address, and by both for who is known there.
//!
//! Tables of fixed size; two names that share a slot share its limit. The slot of a name depends on
//! a seed, so that nobody can pick names that share one with somebody.

use crate::time::{Duration, Mono};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// Slots of each table.
const SLOTS: usize = 2048;

/// A burst, and the time until one more attempt is free.
#[derive(Clone, Copy)]
struct Rate {
    burst: f64,
    every: f64,
}

/// How long somebody waits at most for the next try with a name.
pub const PAUSE_S: u64 = 30;
const ACCOUNT: Rate = Rate { burst: 5.0, every: PAUSE_S as f64 };
const ADDRESS: Rate = Rate { burst: 20.0, every: 180.0 };
/// Of a user at an address where that user is signed in: not the account's limit, so that nobody
/// can lock the user out from elsewhere.
const KNOWN: Rate = Rate { burst: 10.0, every: 30.0 };

/// Tokens that were taken and when; a slot never used is full.
#[derive(Clone, Copy, Default)]
struct Bucket {
    missing: f64,
    at: Mono,
}

impl Bucket {
    fn missing(&self, rate: Rate, now: Mono) -> f64 {
        (self.missing - now.since(self.at).as_secs_f64() / rate.every).max(0.0)
    }

    /// How long until an attempt is free; zero: now.
    fn wait(&self, rate: Rate, now: Mono) -> Duration {
        let over = self.missing(rate, now) + 1.0 - rate.burst;
        Duration::from_secs_f64((over * rate.every).max(0.0))
    }

    fn take(&mut self, rate: Rate, now: Mono) -> u32 {
        self.missing = self.missing(rate, now) + 1.0;
        self.at = now;
        (rate.burst - self.missing).max(0.0) as u32
    }
}

/// Too often: how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    pub wait: Duration,
}

pub struct Attempts {
    seed: u64,
    accounts: Box<[Bucket]>,
    addresses: Box<[Bucket]>,
    known: Box<[Bucket]>,
}

impl Attempts {
    pub fn new(seed: u64) -> Attempts {
        let table = || vec![Bucket::default(); SLOTS].into_boxed_slice();
        Attempts { seed, accounts: table(), addresses: table(), known: table() }
    }

    /// Takes an attempt. Answers how many more there are, or how long to wait. `known`: the user has
    /// a session from this address.
    pub fn take(
        &mut self,
        user: &str,
        address: Option<IpAddr>,
        known: bool,
        now: Mono,
    ) -> Result<u32, Denied> {
        let place = address.map(block);
        if known {
            let slot = self.slot(&(user, place));
            let left = try_take(&mut [(&mut self.known[slot], KNOWN)], now)?;
            // What is told of an account must not tell that there is one.
            return Ok(left.saturating_sub((KNOWN.burst - ACCOUNT.burst) as u32));
        }
        let at = self.slot(&user);
        let place = place.map(|place| self.slot(&place));
        let account = (&mut self.accounts[at], ACCOUNT);
        match place {
            Some(at) => try_take(&mut [account, (&mut self.addresses[at], ADDRESS)], now),
            None => try_take(&mut [account], now),
        }
    }

    /// The password was right: the account's limit starts anew, and the address has its attempt back.
    pub fn forgive(&mut self, user: &str, address: Option<IpAddr>, now: Mono) {
        let account = self.slot(&user);
        self.accounts[account] = Bucket::default();
        if let Some(place) = address.map(block) {
            let at = self.slot(&place);
            let missing = self.addresses[at].missing(ADDRESS, now);
            self.addresses[at] = Bucket { missing: (missing - 1.0).max(0.0), at: now };
            let pair = self.slot(&(user, Some(place)));
            self.known[pair] = Bucket::default();
        }
    }

    fn slot<T: Hash>(&self, what: &T) -> usize {
        slot(self.seed, what)
    }
}

fn slot<T: Hash>(seed: u64, what: &T) -> usize {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    what.hash(&mut hasher);
    hasher.finish() as usize % SLOTS
}

/// One of all of them, or none of any.
fn try_take(buckets: &mut [(&mut Bucket, Rate)], now: Mono) -> Result<u32, Denied> {
    let wait = buckets.iter().map(|(bucket, rate)| bucket.wait(*rate, now)).max();
    match wait {
        Some(wait) if !wait.is_zero() => Err(Denied { wait }),
        _ => Ok(buckets.iter_mut().map(|(b, rate)| b.take(*rate, now)).min().unwrap_or(0)),
    }
}

/// What counts as one address: of IPv6 the network of one site.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono::from_secs(1000);

    fn after(secs: u64) -> Mono {
        START + Duration::from_secs(secs)
    }

    fn address(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    #[test]
    fn h3_account_has_five_attempts_and_then_one_in_thirty_seconds() {
        let mut attempts = Attempts::new(7);
        for left in (0..5).rev() {
            assert_eq!(attempts.take("alice", address(left as u8), false, START), Ok(left));
        }
        let wait = |secs| Err(Denied { wait: Duration::from_secs(secs) });
        assert_eq!(attempts.take("alice", address(9), false, START), wait(30));
        assert_eq!(attempts.take("alice", address(9), false, after(10)), wait(20));
        assert_eq!(attempts.take("bob", address(9), false, START), Ok(4), "nobody else waits");
        assert_eq!(attempts.take("alice", address(9), false, after(30)), Ok(0));
        assert_eq!(attempts.take("alice", address(9), false, after(30)), wait(30));
    }

    #[test]
    fn h3_address_has_twenty_attempts_whatever_names_it_tries() {
        let mut attempts = Attempts::new(7);
        let mut taken = 0;
        while attempts.take(&format!("user{taken}"), address(1), false, START).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, 20);
        assert!(attempts.take("user99", address(2), false, START).is_ok());
        let v6 = |text: &str| Some(text.parse().expect("an address"));
        for n in 0..20 {
            let from = v6(&format!("2001:db8:1:2::{n:x}"));
            assert!(attempts.take(&format!("six{n}"), from, false, START).is_ok(), "{n}");
        }
        assert!(attempts.take("six", v6("2001:db8:1:2:ffff::1"), false, START).is_err());
    }

    #[test]
    fn h3_attacker_elsewhere_locks_nobody_out_who_is_known_at_an_address() {
        let mut attempts = Attempts::new(7);
        for n in 0..50 {
            let _ = attempts.take("alice", address(n), false, START);
        }
        assert!(attempts.take("alice", address(77), false, START).is_err());
        assert!(attempts.take("alice", address(77), true, START).is_ok());
    }

    #[test]
    fn right_password_gives_the_attempts_back() {
        let mut attempts = Attempts::new(7);
        for _ in 0..100 {
            assert!(attempts.take("alice", address(1), false, START).is_ok());
            attempts.forgive("alice", address(1), START);
        }
    }
}
