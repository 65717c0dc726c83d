//! Which faults a run has and how often.

use heartbeat::prng::Prng;

/// Probabilities of faults, and their sizes. Times are seconds.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Each datagram is lost with this chance.
    pub loss: f64,
    /// Losses that come together: chance a second that a burst of up to 20 s begins.
    pub burst: f64,
    pub duplicate: f64,
    /// Chance of a delay of up to 2 s instead of milliseconds; one in ten of those up to 30 s.
    pub straggle: f64,
    /// Chance a second that a host is cut off, one way or both, for up to 10 minutes.
    pub partition: f64,
    /// Chance a second that a site, three hosts in ten, is cut off together, for up to an hour.
    pub site: f64,
    /// Chance a second that all hosts are cut off together, for up to 15 minutes.
    pub everybody: f64,
    /// Chance a second that the server stands still for 0.5 to 300 s.
    pub stall: f64,
    /// Chance a second that the server is killed and started again within 90 s.
    pub restart: f64,
    /// Chance a second that an agent is killed; half of them for good, the others for up to 10 minutes.
    pub agent_death: f64,
    /// Chance a second that the server's wall clock steps by up to an hour.
    pub step: f64,
    /// Each hand-over to a channel's worker fails for now, or finds it full, with this chance; others are slow.
    pub channel: f64,
    /// Chance a second that a host is silenced for up to 200 s.
    pub silence: f64,
    /// Flapping is told as such, with the default limit.
    pub flaps: bool,
    /// Datagrams a second of strangers.
    pub flood: u64,
    /// Every other host has a key.
    pub sealed: bool,
}

impl Shape {
    pub const fn calm() -> Shape {
        Shape {
            loss: 0.0,
            burst: 0.0,
            duplicate: 0.0,
            straggle: 0.0,
            partition: 0.0,
            site: 0.0,
            everybody: 0.0,
            stall: 0.0,
            restart: 0.0,
            agent_death: 0.0,
            step: 0.0,
            channel: 0.0,
            silence: 0.0,
            flaps: false,
            flood: 0,
            sealed: false,
        }
    }

    /// A different mixture for each seed; every fault is off in some of them.
    pub fn of_seed(seed: u64) -> Shape {
        let mut prng = Prng::new(seed ^ 0x5ee_d0ff);
        let mut pick = |choices: &[f64]| choices[prng.below(choices.len() as u64) as usize];
        Shape {
            loss: pick(&[0.0, 0.05, 0.2, 0.3, 0.5]),
            burst: pick(&[0.0, 0.002]),
            duplicate: pick(&[0.0, 0.05]),
            straggle: pick(&[0.0, 0.1]),
            partition: pick(&[0.0, 0.001, 0.005]),
            stall: pick(&[0.0, 0.001, 0.004]),
            restart: pick(&[0.0, 0.001, 0.004]),
            agent_death: pick(&[0.0, 0.0005, 0.002]),
            step: pick(&[0.0, 0.001]),
            channel: pick(&[0.0, 0.1, 0.6]),
            silence: pick(&[0.0, 0.002, 0.005]),
            flood: pick(&[0.0, 0.0, 5.0]) as u64,
            flaps: pick(&[0.0, 1.0]) > 0.0,
            site: pick(&[0.0, 0.0, 0.0005]),
            everybody: pick(&[0.0, 0.0, 0.0003]),
            sealed: pick(&[0.0, 1.0, 0.0]) > 0.0,
        }
    }
}
