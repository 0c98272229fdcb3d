//! How fast measures of fronts are, one JSON line each; one core.
//!
//! `cargo bench --no-default-features --features cli --bench front`. All points lie on the front, the slowest case;
//! `seconds` is the median of `runs`, with the least and the most beside it.

use std::time::Instant;

use systole::front::{Objective, hypervolume, hypervolume_2, hypervolume_3, layers, non_dominated};

const RUNS: usize = 9;

/// Points on a sphere's octant, one after the other along multiples of irrational numbers (fractions of roots of primes).
fn points<const N: usize>(count: u32) -> Vec<[f64; N]> {
    let roots = [2.0f64, 3.0, 5.0, 7.0, 11.0, 13.0].map(f64::sqrt);
    let point = |number: u32| {
        let raw: [f64; N] = std::array::from_fn(|i| (f64::from(number + 1) * roots[i]).fract() + 1e-3);
        let length = raw.iter().map(|value| value * value).sum::<f64>().sqrt();
        raw.map(|value| 1.0 - value / length)
    };
    (0..count).map(point).collect()
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(figure: &str, count: usize, work: impl Fn()) {
    work();
    let run = |_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..RUNS).map(run).collect();
    seconds.sort_by(f64::total_cmp);
    let (median, least, most) = (seconds[RUNS / 2], seconds[0], seconds[RUNS - 1]);
    println!(
        "{{\"figure\": \"{figure}\", \"runs\": {RUNS}, \"count\": {count}, \"seconds\": {median:.3e}, \"least\": \
         {least:.3e}, \"most\": {most:.3e}}}"
    );
}

fn main() {
    let positive = |volume: f64| assert!(std::hint::black_box(volume) > 0.0);
    let (two, three, four) = (points::<2>(100_000), points::<3>(1_000), points::<4>(100));
    let many = points::<3>(100_000);
    let (both, all) = ([Objective::Minimise; 2], [Objective::Minimise; 3]);
    say("hypervolume in 2 objectives", two.len(), || positive(hypervolume_2(&two, &both, [1.1; 2])));
    say("front in 2 objectives", two.len(), || assert!(!non_dominated(&two, &both).is_empty()));
    say("hypervolume in 3 objectives", three.len(), || positive(hypervolume_3(&three, &all, [1.1; 3])));
    say("hypervolume in 3 objectives", many.len(), || positive(hypervolume_3(&many, &all, [1.1; 3])));
    say("hypervolume in 4 objectives", four.len(), || {
        positive(hypervolume(&four, &[Objective::Minimise; 4], [1.1; 4]));
    });
    say("layers in 3 objectives", three.len(), || assert!(!layers(&three, &all).is_empty()));
}
