//! Agents and one engine over a faulty network, on a virtual clock. One seed is one run.
//!
//! `HB_SIM_SEED=N` runs one seed and says what happened; `HB_SIM_SEEDS` (256), `HB_SIM_MINUTES` (12) and
//! `HB_SIM_HOSTS` (6) size the suite's run. A failure prints its seed, the virtual time and the last things that happened.
//! `world` moves time, datagrams and faults; `shadow` says, independently of the engine, what must hold of the feed,
//! and `told` of what people get.

mod fault;
mod network;
mod pair;
mod queue;
mod shadow;
mod told;
mod world;

fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(seed: u64, minutes: u64, shape: fault::Shape) -> world::Report {
    let mut world = world::World::new(seed, shape);
    world.run(minutes * 60);
    world.heal();
    world.report()
}

#[test]
fn fleet_over_a_faulty_network_is_told_truly() {
    let minutes = knob("HB_SIM_MINUTES", 12);
    if let Ok(seed) = std::env::var("HB_SIM_SEED") {
        let seed = seed.parse().expect("HB_SIM_SEED is a number");
        let report = run(seed, minutes, fault::Shape::of_seed(seed));
        println!("seed {seed}: {report:?}");
        return;
    }
    let mut total = world::Report::default();
    let first = knob("HB_SIM_FIRST", 0);
    for seed in first..first + knob("HB_SIM_SEEDS", 256) {
        total.add(&run(seed, minutes, fault::Shape::of_seed(seed)));
    }
    println!("{total:?}");
    assert!(total.delivered > 0 && total.sealed > 0, "{total:?}");
    assert!(total.heartbeats > 0 && total.downs > 0 && total.restarts > 0, "{total:?}");
}

#[test]
fn same_seed_gives_the_same_run() {
    let shape = fault::Shape::of_seed(5);
    assert_eq!(run(5, 20, shape).fingerprint, run(5, 20, shape).fingerprint);
}

#[test]
fn twenty_percent_loss_alone_downs_nobody() {
    // Every one of 21 tries within the deadline would have to be lost: 2e-15.
    let shape = fault::Shape { loss: 0.2, ..fault::Shape::calm() };
    for seed in 0..8 {
        let report = run(seed, 240, shape);
        assert_eq!((report.downs, report.restarts), (0, 0), "seed {seed}: {report:?}");
        let report = run(seed, 240, fault::Shape { sealed: true, ..shape });
        assert_eq!((report.downs, report.restarts), (0, 0), "seed {seed}: {report:?}");
        assert!(report.sealed > 0, "seed {seed}: {report:?}");
    }
}
