//! The wires between agents and server: loss, bursts, duplicates, delay, partitions.

use crate::fault::Shape;
use heartbeat::prng::Prng;
use heartbeat::time::{Duration, Mono};

#[derive(Clone, Copy, Default)]
struct Cut {
    until: Mono,
    to_server: bool,
    to_agent: bool,
}

impl Cut {
    /// One way, the other way or both, from `now` on.
    fn begin(now: Mono, secs_max: f64, prng: &mut Prng) -> Cut {
        let ways = prng.below(3);
        let until = now + seconds(prng, secs_max);
        Cut { until, to_server: ways != 1, to_agent: ways != 2 }
    }
}

pub struct Network {
    shape: Shape,
    burst_until: Mono,
    cuts: Vec<Cut>,
}

impl Network {
    pub fn new(shape: Shape, hosts: usize) -> Network {
        Network { shape, burst_until: Mono::ZERO, cuts: vec![Cut::default(); hosts] }
    }

    /// From now on nothing is lost or late.
    pub fn heal(&mut self) {
        self.shape = Shape::calm();
        self.burst_until = Mono::ZERO;
        self.cuts.fill(Cut::default());
    }

    /// Once a second: lets faults begin.
    pub fn stir(&mut self, now: Mono, prng: &mut Prng) {
        if prng.chance(self.shape.burst) {
            self.burst_until = now + seconds(prng, 20.0);
        }
        for cut in &mut self.cuts {
            if prng.chance(self.shape.partition) {
                *cut = Cut::begin(now, 600.0, prng);
            }
        }
        let hosts = self.cuts.len() as u64;
        if prng.chance(self.shape.site) {
            // A site is three hosts in ten that stand side by side.
            let (first, count) = (prng.below(hosts), (hosts * 3).div_ceil(10));
            let cut = Cut::begin(now, 3600.0, prng);
            for host in first..first + count {
                self.cuts[(host % hosts) as usize] = cut;
            }
        }
        if prng.chance(self.shape.everybody) {
            let cut = Cut::begin(now, 900.0, prng);
            self.cuts.fill(cut);
        }
    }

    /// When the copies of a datagram arrive; none where it is lost.
    pub fn carry(&self, now: Mono, host: usize, to_server: bool, prng: &mut Prng) -> Vec<Mono> {
        let cut = &self.cuts[host];
        let is_cut = now < cut.until && if to_server { cut.to_server } else { cut.to_agent };
        let lost = prng.chance(self.shape.loss) || (now < self.burst_until && prng.chance(0.9));
        if is_cut || lost {
            return Vec::new();
        }
        let copies = if prng.chance(self.shape.duplicate) { 2 } else { 1 };
        (0..copies).map(|_| now + self.delay(prng)).collect()
    }

    fn delay(&self, prng: &mut Prng) -> Duration {
        if !prng.chance(self.shape.straggle) {
            return Duration::from_micros(200 + prng.below(20_000));
        }
        if prng.chance(0.1) { seconds(prng, 30.0) } else { seconds(prng, 2.0) }
    }
}

pub fn seconds(prng: &mut Prng, secs_max: f64) -> Duration {
    Duration::from_secs_f64(prng.fraction() * secs_max)
}
