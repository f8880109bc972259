//! The ledger over thousands of hours: a whole stream on a virtual clock, with faults drawn from a seed.
//!
//! A seed that fails is printed by the test; `OVERDUB_SIM_SEED=n` runs that one alone, `OVERDUB_SIM_HOURS=n` runs
//! so many hours of each.

mod checks;
mod world;

use checks::Checks;
use world::{Plan, World};

const HOUR_US: i64 = 3_600_000_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed for so many hours of the source, then lets everything come to its end.
fn run(seed: u64, hours: u64) -> Checks {
    println!("OVERDUB_SIM_SEED={seed}");
    let mut world = World::new(Plan::from_seed(seed), seed);
    world.run_for(hours.cast_signed() * HOUR_US);
    world.settle();
    world.checks.at_the_end(&world.ledger);
    world.checks
}

#[test]
fn for_thousands_of_hours_of_faults_each_batch_airs_once_in_order_and_on_time() {
    let hours = number("OVERDUB_SIM_HOURS").unwrap_or(50);
    let seeds = number("OVERDUB_SIM_SEED").map_or(0..40, |seed| seed..seed + 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seeds: Vec<u64> = seeds.collect();
    let totals = std::thread::scope(|scope| {
        let shares = seeds.chunks(seeds.len().div_ceil(threads));
        let runs: Vec<_> = shares
            .map(|share| {
                scope.spawn(|| share.iter().map(|seed| (*seed, run(*seed, hours))).collect::<Vec<_>>())
            })
            .collect();
        // A panic has printed its seed.
        runs.into_iter().flat_map(|run| run.join().expect("a seed failed: see above")).collect::<Vec<_>>()
    });
    let sum = |of: fn(&Checks) -> u64| totals.iter().map(|(_, checks)| of(checks)).sum::<u64>();
    println!(
        "{} hours: {} batches aired, {} fallbacks, {} gaps, {} crashes, {} children replaced, {} clock jumps",
        hours * totals.len() as u64,
        sum(|checks| checks.aired()),
        sum(|checks| checks.fallbacks),
        sum(|checks| checks.gaps),
        sum(|checks| checks.crashes),
        sum(|checks| checks.replaced),
        sum(|checks| checks.jumps),
    );
    // A simulation in which nothing goes wrong shows nothing.
    for (name, count) in [
        ("fallbacks", sum(|checks| checks.fallbacks)),
        ("gaps", sum(|checks| checks.gaps)),
        ("crashes", sum(|checks| checks.crashes)),
        ("replaced", sum(|checks| checks.replaced)),
        ("skipped", sum(|checks| checks.skipped)),
    ] {
        assert!(count > 0 || totals.len() < 10, "no {name} in all these hours");
    }
}

#[test]
fn a_seed_runs_the_same_each_time() {
    let ends: Vec<String> = (0..2).map(|_| format!("{:?}", run(7, 2))).collect();
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn a_crash_after_any_event_reaches_the_same_end() {
    let calm = Plan { crash_at: None, ..Plan::calm() };
    let whole = |plan: Plan| {
        let mut world = World::new(plan, 1);
        world.run_for(150_000_000);
        world.settle();
        world.checks.at_the_end(&world.ledger);
        (world.events, world.outcome())
    };
    let (events, expected) = whole(calm.clone());
    assert!(events > 100, "{events} events are no story");
    for at in 0..events {
        let (_, outcome) = whole(Plan { crash_at: Some(at), ..calm.clone() });
        assert_eq!(outcome, expected, "with a crash after event {at}");
    }
}
