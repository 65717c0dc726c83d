//! One connection of a host: when it was last heard over an address family, what is lost on the way.
//!
//! Owns the loss window and the verdict over one family. Never decides about the host.

use super::view::{ConnState, Family};
use crate::time::{Duration, Mono, Now, Wall};
use std::net::IpAddr;

/// How long a host may be silent, resolved for that host (SPEC section 2, PROTOCOL C12).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// `late` from here on: interval + grace.
    pub late_after: Duration,
    /// `down` from here on: interval × misses + grace.
    pub down_after: Duration,
}

impl Patience {
    /// `misses` `None`: 2, or 3 where the interval is 10 s or less.
    pub fn new(interval: f64, misses: Option<u32>, grace: Duration) -> Patience {
        let misses = misses.unwrap_or(if interval <= 10.0 { 3 } else { 2 });
        let interval = Duration::try_from_secs_f64(interval).unwrap_or(Duration::from_secs(30));
        Patience { late_after: interval + grace, down_after: interval * misses + grace }
    }
}

/// Which of the last 128 numbered datagrams arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossWindow {
    /// Bit `i`: number `top - i` arrived.
    seen: u128,
    top: u64,
    /// Numbers judged so far, at most 128.
    span: u8,
}

impl LossWindow {
    const WIDTH: u64 = 128;

    pub fn note(&mut self, seq: u64) {
        if self.span == 0 || seq + Self::WIDTH <= self.top {
            // The first number, or a sender that began anew.
            *self = LossWindow { seen: 1, top: seq, span: 1 };
        } else if seq > self.top {
            let step = seq - self.top;
            self.seen = if step >= Self::WIDTH { 0 } else { self.seen << step } | 1;
            self.top = seq;
            self.span = (u64::from(self.span) + step).min(Self::WIDTH) as u8;
        } else {
            let back = self.top - seq;
            self.seen |= 1 << back;
            self.span = self.span.max(back as u8 + 1);
        }
    }

    /// Percent of the numbers in the window that never arrived; `None` without numbers.
    pub fn loss_percent(&self) -> Option<f32> {
        if self.span == 0 {
            return None;
        }
        let mask = if self.span as u64 == Self::WIDTH { u128::MAX } else { (1 << self.span) - 1 };
        let arrived = (self.seen & mask).count_ones();
        Some(100.0 * (1.0 - arrived as f32 / f32::from(self.span)))
    }
}

#[derive(Clone, Debug)]
pub struct Link {
    pub family: Family,
    pub address: IpAddr,
    pub state: ConnState,
    /// The last heartbeat on the listening clock (the monotonic one without the server's own absences).
    pub heard: Mono,
    /// The same on the plain monotonic clock; `None` where it was heard before this process started.
    pub heard_mono: Option<Mono>,
    pub heard_wall: Wall,
    pub rtt_ms: Option<f32>,
    pub loss: LossWindow,
    /// Its loss was told while another family was up.
    pub told_lost: bool,
}

/// How silent a link is, by its clock alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    Fresh,
    Late,
    Over,
}

impl Link {
    pub fn new(family: Family, address: IpAddr, now: Now, listening: Mono) -> Link {
        Link {
            family,
            address,
            state: ConnState::Up,
            heard: listening,
            heard_mono: Some(now.mono),
            heard_wall: now.wall,
            rtt_ms: None,
            loss: LossWindow::default(),
            told_lost: false,
        }
    }

    pub fn silence(&self, listening: Mono, patience: Patience) -> Silence {
        let silent = listening.since(self.heard);
        if silent >= patience.down_after {
            Silence::Over
        } else if silent >= patience.late_after {
            Silence::Late
        } else {
            Silence::Fresh
        }
    }

    pub fn is_down(&self) -> bool {
        self.state == ConnState::Down
    }

    /// How long ago it was heard, for people. Before this process, only the wall clock can tell.
    pub fn silent_for(&self, now: Now) -> Duration {
        match self.heard_mono {
            Some(heard) => now.mono.since(heard),
            None => now.wall.since(self.heard_wall),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_interval_misses_and_grace() {
        let grace = Duration::from_secs(5);
        let table = [
            (30.0, None, 35, 65),
            (10.0, None, 15, 35),
            (30.0, Some(4), 35, 125),
            (0.5, None, 5, 6),
        ];
        for (interval, misses, late, down) in table {
            let patience = Patience::new(interval, misses, grace);
            assert_eq!(
                (patience.late_after.as_secs(), patience.down_after.as_secs()),
                (late, down)
            );
        }
    }

    #[test]
    fn loss_counts_gaps_and_forgives_reordering_and_restarts() {
        let mut window = LossWindow::default();
        assert_eq!(window.loss_percent(), None);
        for seq in [1, 2, 4, 3, 4] {
            window.note(seq);
        }
        assert_eq!(window.loss_percent(), Some(0.0));
        window.note(8);
        assert_eq!(window.loss_percent(), Some(37.5));
        for seq in 1000..1200 {
            window.note(seq);
        }
        assert_eq!(window.loss_percent(), Some(0.0));
        window.note(1);
        assert_eq!((window.top, window.loss_percent()), (1, Some(0.0)));
        window.note(u64::MAX >> 11);
        assert!(window.loss_percent() > Some(99.0));
    }
}
