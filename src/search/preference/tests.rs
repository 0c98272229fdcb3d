use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::load::{self, Ranges};
use crate::network::Shape;
use crate::space::file::{Setting, SpaceFile};

/// Four layers of three operators.
const SPACE: &str = "
stem: [{ conv: { kernel: 3, width: 8 } }]
body:
  chain:
    candidates:
      - identity
      - inverted-bottleneck: { kernel: 3, expansion: 2 }
      - inverted-bottleneck: { kernel: 5, expansion: 4 }
    stages:
      - { layers: 4, stride: 2, width: 16 }
classifier: global-pool
strings: digits
";

fn space() -> Space {
    let input = Shape::new(&[3, 32, 32]).unwrap();
    let setting = Setting { name: "chain", origin: "chain.yaml", input, classes: 10 };
    load::parse::<SpaceFile>(SPACE, "chain.yaml").unwrap().into_space(&setting).unwrap()
}

fn settings(text: &str) -> PreferenceSettings {
    load::parse::<PreferenceFile>(text, "job").unwrap().meant(&Ranges { origin: "job" }).unwrap()
}

fn search(text: &str) -> PreferenceSearch {
    PreferenceSearch::new(&space(), settings(text), &mut ChaCha8Rng::seed_from_u64(3))
}

fn network(digits: &str) -> Probabilities {
    let space = space();
    Probabilities::one_hot(&space, &space.parse_string(digits).unwrap())
}

/// The more the digits add up to the less its error and the more its latency: every sum is on the front.
fn judged(digits: &str) -> Judged {
    let sum = f64::from(digits.bytes().map(|digit| u32::from(digit - b'0')).sum::<u32>());
    Judged { one_hot: network(digits), objectives: [0.5 * 0.7f64.powf(sum), 1.5f64.powf(sum)] }
}

const DIGITS: [&str; 7] = ["0000", "1000", "1100", "1110", "1111", "2111", "2222"];

fn all() -> (Vec<Judged>, LogScale) {
    let judged: Vec<Judged> = DIGITS.iter().map(|digits| judged(digits)).collect();
    let scale = LogScale::of(judged.iter().map(|one| one.objectives));
    (judged, scale)
}

#[test]
fn the_scalar_is_the_augmented_chebyshev_of_shares_of_the_front() {
    let e = std::f64::consts::E;
    let scale = LogScale::of([[1.0, e * e], [e, 1.0]].into_iter());
    // f = (1, 1 / 2): max(0.75 * 1, 0.25 / 2) + 0.1 (0.75 + 0.125)
    assert!((scale.scalar(0.25, 0.1, [e, e]) - 0.8375).abs() < 1e-12);
    let alone = LogScale::of(std::iter::once([0.0, 2.0]));
    assert!(alone.scalar(0.5, 0.05, [0.0, 2.0]).abs() < 1e-12, "a lone point is its own scale, also without an error");
}

#[test]
fn the_grid_shifts_and_covers_all_preferences() {
    let mut search = search("preferences: 4");
    let mut found = Vec::new();
    for _ in 0..50 {
        let grid = search.grid();
        assert!(grid.windows(2).all(|pair| (pair[1] - pair[0] - 0.25).abs() < 1e-12));
        found.extend(grid);
        search.step += 1;
    }
    for bin in 0..10 {
        let within = 0.1 * f64::from(bin)..0.1 * f64::from(bin + 1);
        let count = found.iter().filter(|z| within.contains(z)).count();
        assert!((17..=23).contains(&count), "{bin}: {count}");
    }
}

#[test]
fn hats_are_linear_between_knots_and_one_on_them() {
    let search = search("knots: 5");
    let weight = |z: f64, knot: usize| search.hats(z).iter().filter(|hat| hat.0 == knot).map(|hat| hat.1).sum::<f64>();
    for (z, knot, expected) in [(0.0, 0, 1.0), (1.0, 4, 1.0), (0.25, 1, 1.0), (0.3125, 1, 0.75), (0.3125, 2, 0.25)] {
        assert!((weight(z, knot) - expected).abs() < 1e-12, "{z} {knot}");
    }
}

#[test]
fn draws_are_as_often_as_the_softmax_says() {
    let search = search("");
    let mut draws = ChaCha8Rng::seed_from_u64(1);
    let mut count = Probabilities::zeros(&space());
    for _ in 0..3000 {
        let drawn = search.draw(0.4, &mut draws);
        assert!(drawn.one_hot.choices().all(|choice| choice.iter().sum::<f64>() == 1.0));
        count.add_scaled(&drawn.one_hot, 1.0 / 3000.0);
    }
    let is_even = |choice: &Vec<f64>| choice.iter().all(|part| (part - 1.0 / choice.len() as f64).abs() < 0.04);
    assert!(count.choices().all(is_even) && count.choices().any(|choice| choice.len() == 3));
}

#[test]
fn the_slope_of_the_entropy_is_that_of_differences() {
    let logits = [0.3, -0.7, 1.1];
    let negative = |logits: &[f64]| crate::cost::softmax(logits).iter().map(|p| p * p.ln()).sum::<f64>();
    let slope = entropy_slope(&Probabilities { operators: vec![logits.to_vec()], widths: Vec::new() }.softmax());
    for option in 0..3 {
        let [mut more, mut less] = [logits; 2];
        (more[option], less[option]) = (more[option] + 1e-5, less[option] - 1e-5);
        let difference = (negative(&more) - negative(&less)) / 2e-5;
        assert!((slope.operators[0][option] - difference).abs() < 1e-8);
    }
}

#[test]
fn a_search_that_judges_everything_ends_with_a_fan_along_the_front() {
    let (archive, scale) = all();
    let mut search = search("");
    let mut draws = ChaCha8Rng::seed_from_u64(5);
    let objectives = |one_hot: &Probabilities| {
        let digits = space().to_string_of(&one_hot.argmax()).unwrap();
        judged(&digits).objectives
    };
    for step in 0..300 {
        let drawn: Vec<(Drawn, Objectives)> = search
            .grid()
            .into_iter()
            .map(|z| {
                let drawn = search.draw(z, &mut draws);
                let objectives = objectives(&drawn.one_hot);
                (drawn, objectives)
            })
            .collect();
        search.learn(&drawn, &archive, (&scale, f64::from(step) / 300.0));
    }
    let fan = search.fan();
    assert!(fan.len() >= LEAST_FAN, "{fan:?}");
    let sums: Vec<f64> =
        fan.iter().map(|(_, network)| objectives(&Probabilities::one_hot(&space(), network))[1]).collect();
    assert!(
        sums.first() > sums.last(),
        "at the preference for error the slowest, at that for latency the fastest: {sums:?}"
    );
}

#[test]
fn a_collapsed_fan_is_seen_and_restarted_from_what_was_judged() {
    let (archive, scale) = all();
    let mut search = search("knots: 9");
    for choice in search.parameters[0].choices_mut() {
        *choice.last_mut().unwrap() = 5.0;
    }
    assert_eq!(search.fan().len(), 1);
    assert!(search.has_collapsed(&archive, &scale));
    assert!(!search.has_collapsed(&archive[..2], &scale), "two networks have no fan of four");
    search.restart(&archive, &scale);
    assert!(search.fan().len() >= LEAST_FAN && !search.has_collapsed(&archive, &scale), "{:?}", search.fan());
}

#[test]
fn settings_out_of_range_are_refused_with_their_line() {
    let refused = |text: &str| {
        let file = load::parse::<PreferenceFile>(text, "job").unwrap();
        file.meant(&Ranges { origin: "job" }).unwrap_err().to_string()
    };
    assert_eq!(refused("knots: 1"), "job:1:8: knots must lie in 2..=65, got 1");
    assert!(refused("entropy: -1").contains("entropy must lie in 0..=100, got -1"));
    assert_eq!(settings(""), settings("{ knots: 9, preferences: 4, learning-rate: 0.03, top: 3, start: 32 }"));
}
