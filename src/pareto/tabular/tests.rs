use proptest::prelude::*;

use super::*;
use crate::accel::{Accelerator, Timing};
use crate::load;
use crate::network::Shape;
use crate::search::methods::{Budget, Evolution};
use crate::search::{ObjectiveFile, SearchFile};
use crate::space::file::{Setting, SpaceFile};

/// A chain of five layers, three operators each: 243 networks.
const SPACE: &str = "
stem: [{ conv: { kernel: 3, width: 8 } }]
body:
  chain:
    candidates:
      - identity
      - inverted-bottleneck: { kernel: 3, expansion: 2 }
      - inverted-bottleneck: { kernel: 5, expansion: 4 }
    stages:
      - { layers: 2, stride: 2, width: 16 }
      - { layers: 3, stride: 2, width: 32 }
classifier: global-pool
strings: digits
";

fn space() -> Space {
    let input = Shape::new(&[3, 32, 32]).unwrap();
    let setting = Setting { name: "chain", origin: "chain.yaml", input, classes: 10 };
    load::parse::<SpaceFile>(SPACE, "chain.yaml").unwrap().into_space(&setting).unwrap()
}

/// All 243 networks. The accuracy rises with every operator and saturates: `95 - 30 / (1 + sum_i gain_i)` %, later layers
/// of the same stage gaining less.
fn table() -> Table {
    let mut text = "arch,mean_acc\n".to_owned();
    for number in 0..243usize {
        let digits: Vec<usize> = (0..5).map(|layer| number / 3usize.pow(layer) % 3).collect();
        let gains = [1.0, 0.6, 0.9, 0.5, 0.3];
        let sum: f64 = digits.iter().zip(gains).map(|(&digit, gain)| gain * (digit as f64).sqrt()).sum();
        let arch: String = digits.iter().map(usize::to_string).collect();
        text.push_str(&format!("{arch},{}\n", 95.0 - 30.0 / (1.0 + sum)));
    }
    Table::parse(text.as_bytes(), "table.csv", Table::ACCURACY).unwrap()
}

fn accelerator() -> Accelerator {
    Accelerator::named_or_path("small-32x32").unwrap()
}

fn tabular() -> Tabular {
    let accelerator = accelerator();
    let target = Target { accelerator: &accelerator, timing: Timing::Ideal, batch: 1 };
    Tabular::new(&table(), &space(), &target, None).unwrap()
}

fn settings(method: Method, seed: u64) -> Settings {
    let objective: ObjectiveFile = load::parse("lambda: 0", "objective").unwrap();
    let search: SearchFile = load::parse("operators: { epochs: 1 }", "search").unwrap();
    Settings { method, ..search.settings(&objective, seed, "search").unwrap() }
}

const METHODS: [Method; 4] = [
    Method::Random { budget: Budget::Networks(1), epochs: 1 },
    Method::Evolution(Evolution { population: 10, sample: 4, evaluations: 10 }),
    Method::Nsga2 { population: 10 },
    Method::Systole,
];

fn preference(seed: u64) -> Settings {
    let objective: ObjectiveFile = load::parse("preference: {}", "objective").unwrap();
    let search: SearchFile = load::parse("operators: { epochs: 1 }", "search").unwrap();
    search.settings(&objective, seed, "search").unwrap()
}

fn fan_of(tabular: &Tabular, seed: u64, limit: u32, stop: usize) -> (Stopped, Vec<Evaluation>, Fan) {
    let accelerator = accelerator();
    let target = Target { accelerator: &accelerator, timing: Timing::Ideal, batch: 1 };
    let mut watch = After(stop);
    let mut reader = Reader::new(tabular, limit, &mut watch);
    let stopped = search(&mut reader, &space(), &target, &preference(seed)).unwrap();
    (stopped, reader.evaluations().to_vec(), reader.fan().unwrap().clone())
}

#[test]
fn one_search_over_preferences_ends_with_a_fan_of_rows_that_it_read() {
    let tabular = tabular();
    let (stopped, evaluations, fan) = fan_of(&tabular, 1, 120, usize::MAX);
    assert_eq!(stopped, Stopped::Done);
    assert!(evaluations.len() <= 120);
    let places: Vec<usize> = evaluations.iter().map(|evaluation| evaluation.place).collect();
    assert!(evaluations.iter().enumerate().all(|(number, one)| one.rows_read == number + 1), "no row is read twice");
    assert!(fan.networks.len() >= 4 && fan.networks.iter().all(|(_, place)| places.contains(place)), "{fan:?}");
    assert!(fan.networks.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let latency = |place: usize| tabular.rows()[place].latency_ms;
    let (first, last) = (fan.networks[0].1, fan.networks[fan.networks.len() - 1].1);
    assert!(latency(first) > latency(last), "error alone is slow, latency alone is fast");
    let own: Vec<usize> = fan.networks.iter().map(|(_, place)| *place).collect();
    assert_eq!(fan.looks.last().unwrap().share, tabular.share(&own));
    assert_eq!(fan_of(&tabular, 1, 120, usize::MAX).1, evaluations, "equal seeds read equal rows");
    assert_ne!(fan_of(&tabular, 2, 120, usize::MAX).1, evaluations);
}

#[test]
fn a_search_over_preferences_that_is_stopped_has_the_fan_of_what_it_read() {
    let tabular = tabular();
    let (stopped, evaluations, fan) = fan_of(&tabular, 1, 120, 50);
    assert_eq!((stopped, evaluations.len()), (Stopped::Interrupted, 50));
    let places: Vec<usize> = evaluations.iter().map(|evaluation| evaluation.place).collect();
    assert!(fan.networks.iter().all(|(_, place)| places.contains(place)));
    // Fewer look-ups than it starts with are no error either.
    let (stopped, evaluations, _) = fan_of(&tabular, 1, 1, usize::MAX);
    assert!(matches!(stopped, Stopped::Done | Stopped::Limit) && evaluations.len() == 1);
}

/// Stops after so many evaluations.
struct After(usize);

impl Watch for After {
    fn interrupted(&self) -> bool {
        self.0 == 0
    }

    fn evaluated(&mut self) {
        self.0 -= 1;
    }
}

fn read(tabular: &Tabular, method: Method, seed: u64, limit: u32) -> (Stopped, Vec<Evaluation>) {
    read_until(tabular, (method, seed), limit, usize::MAX)
}

fn read_until(tabular: &Tabular, (method, seed): (Method, u64), limit: u32, stop: usize) -> (Stopped, Vec<Evaluation>) {
    let accelerator = accelerator();
    let target = Target { accelerator: &accelerator, timing: Timing::Ideal, batch: 1 };
    let mut watch = After(stop);
    let mut reader = Reader::new(tabular, limit, &mut watch);
    let stopped = search(&mut reader, &space(), &target, &settings(method, seed)).unwrap();
    (stopped, reader.evaluations().to_vec())
}

#[test]
fn every_method_makes_as_many_evaluations_as_it_may_and_equal_seeds_read_alike() {
    let tabular = tabular();
    for method in METHODS {
        let (stopped, evaluations) = read(&tabular, method, 3, 100);
        let ended = if method == Method::Systole { Stopped::Done } else { Stopped::Limit };
        assert_eq!((stopped, evaluations.len()), (ended, 100), "{}", method.name());
        assert_eq!(read(&tabular, method, 3, 100).1, evaluations, "{}", method.name());
        assert_ne!(read(&tabular, method, 4, 100).1, evaluations, "{}", method.name());
    }
}

#[test]
fn what_was_read_is_counted_and_its_share_is_that_of_its_front() {
    let tabular = tabular();
    let Exact { reference, hypervolume, .. } = tabular.exact();
    for method in METHODS {
        let (_, evaluations) = read(&tabular, method, 1, 80);
        for (last, evaluation) in evaluations.iter().enumerate() {
            let places: Vec<usize> = evaluations[..=last].iter().map(|evaluation| evaluation.place).collect();
            let points: Vec<[f64; 2]> = places.iter().map(|&place| tabular.rows()[place].objectives()).collect();
            let naive = hypervolume_2(&points, &OBJECTIVES, [reference.error, reference.latency_ms]) / hypervolume;
            assert!((evaluation.share - naive).abs() < 1e-12, "{}: {} {naive}", method.name(), evaluation.share);
            let distinct: std::collections::HashSet<usize> = places.into_iter().collect();
            assert_eq!(evaluation.rows_read, distinct.len());
            if method != Method::Systole {
                assert_eq!(evaluation.rows_read, last + 1, "{} reads no row twice", method.name());
            }
        }
    }
}

#[test]
fn a_search_that_may_read_more_than_there_is_finds_the_exact_front_and_ends() {
    let tabular = tabular();
    for method in &METHODS[..3] {
        let (stopped, evaluations) = read(&tabular, *method, 2, 1000);
        assert_eq!((stopped, evaluations.len()), (Stopped::Done, 243), "{}", method.name());
        let last = evaluations.last().unwrap();
        assert!((last.share - 1.0).abs() < 1e-12 && last.rows_read == 243, "{last:?}");
    }
}

#[test]
fn a_search_that_is_stopped_has_read_the_beginning() {
    let tabular = tabular();
    for method in METHODS {
        let (_, whole) = read(&tabular, method, 5, 100);
        let (stopped, part) = read_until(&tabular, (method, 5), 100, 37);
        assert_eq!((stopped, part.as_slice()), (Stopped::Interrupted, &whole[..37]), "{}", method.name());
    }
}

#[test]
fn gradient_searches_of_all_weights_take_turns_so_that_a_stop_leaves_a_whole_front() {
    let tabular = tabular();
    // 32 random rows, then turns of 8 searches with (400 - 32) / 8 = 46 evaluations each; stopped after 30 turns.
    let (stopped, evaluations) = read_until(&tabular, (Method::Systole, 1), 400, 32 + 8 * 30);
    assert_eq!(stopped, Stopped::Interrupted);
    let latency = |number: usize| -> f64 {
        let turns = evaluations[32..].chunks(8).skip(20);
        turns.map(|turn| tabular.rows()[turn[number].place].latency_ms).sum()
    };
    assert!(latency(0) > latency(7), "{} {}", latency(0), latency(7));
}

#[test]
fn searches_with_a_direction_find_more_than_random_draws() {
    let tabular = tabular();
    let mean = |method| (0..5).map(|seed| read(&tabular, method, seed, 80).1.last().unwrap().share).sum::<f64>() / 5.0;
    let [random, evolution, nsga2, systole] = METHODS.map(mean);
    assert!(evolution > random && nsga2 > random && systole > random, "{random} {evolution} {nsga2} {systole}");
}

#[test]
fn methods_that_a_table_cannot_serve_are_refused_by_name() {
    for method in [Method::Darts { inputs: 2 }, Method::Gdas, Method::Synflow { budget: Budget::Networks(1) }] {
        let message = takes(method).unwrap_err().to_string();
        assert!(message.starts_with(&format!("search.method: {} cannot run against a table", method.name())));
        assert!(message.ends_with("take systole, random, evolution or nsga-2"), "{message}");
    }
}

#[test]
fn a_search_by_gradients_names_the_row_that_is_missing() {
    let accelerator = accelerator();
    let target = Target { accelerator: &accelerator, timing: Timing::Ideal, batch: 1 };
    let rows = tabular().rows()[..9].to_vec();
    let tabular = Tabular::of(rows, None).unwrap();
    let mut watch = After(usize::MAX);
    let mut reader = Reader::new(&tabular, 50, &mut watch);
    let error = search(&mut reader, &space(), &target, &settings(Method::Systole, 0)).unwrap_err();
    assert!(matches!(&error, TabularError::Missing { arch } if arch.len() == 5), "{error}");
    for method in &METHODS[..3] {
        assert_eq!(read(&tabular, *method, 0, 50).1.len(), 9, "{}", method.name());
    }
}

#[test]
fn the_reference_is_five_hundredths_of_the_range_beyond_the_worst_unless_given() {
    let rows = || tabular().rows()[..3].to_vec();
    let mut three = rows();
    for (row, [error, latency_ms]) in three.iter_mut().zip([[0.5, 1.0], [0.3, 3.0], [0.6, 9.0]]) {
        (row.error, row.latency_ms) = (error, latency_ms);
    }
    // Of [0.5, 1] and [0.3, 3]: 0.5 + 0.05 * 0.2 and 3 + 0.05 * 2; (0.51 - 0.5) (3.1 - 1) + (0.5 - 0.3) (3.1 - 3)
    let exact = Tabular::of(three.clone(), None).unwrap().exact();
    assert!((exact.reference.error - 0.51).abs() < 1e-12 && (exact.reference.latency_ms - 3.1).abs() < 1e-12);
    assert!((exact.hypervolume - 0.041).abs() < 1e-12 && exact.margin == Some(0.05), "{exact:?}");
    let given = Reference { error: 1.0, latency_ms: 2.0 };
    let exact = Tabular::of(three.clone(), Some(given)).unwrap().exact();
    assert_eq!((exact.reference, exact.hypervolume, exact.margin), (given, 0.5, None));
    let given = Reference { error: 0.4, latency_ms: 2.0 };
    let message = Tabular::of(three.clone(), Some(given)).unwrap_err().to_string();
    assert!(message.contains("betters the reference 0.4,2") && message.contains("least error is 0.3"), "{message}");
    three.truncate(1);
    assert!(matches!(Tabular::of(three, None), Err(TabularError::OnePoint)));
}

#[test]
fn a_string_that_the_space_does_not_have_is_named_by_its_line() {
    let accelerator = accelerator();
    let target = Target { accelerator: &accelerator, timing: Timing::Ideal, batch: 1 };
    let table = Table::parse("arch,mean_acc\n00000,90\n00003,91\n".as_bytes(), "t", Table::ACCURACY).unwrap();
    let message = Tabular::new(&table, &space(), &target, None).unwrap_err().to_string();
    assert_eq!(message, "line 3: `00003`: `3` at place 5 is none of 0, 1, 2");
}

proptest! {
    #[test]
    fn an_archive_is_the_front_of_what_went_in(
        points in proptest::collection::vec(proptest::array::uniform2((0u8..9).prop_map(f64::from)), 1..24),
    ) {
        let mut archive = archive::Archive::default();
        for (place, point) in points.iter().enumerate() {
            archive.add(place, *point);
        }
        let reference = Reference { error: 9.0, latency_ms: 9.0 };
        prop_assert_eq!(archive.hypervolume(reference), hypervolume_2(&points, &OBJECTIVES, [9.0; 2]));
        let front: Vec<[f64; 2]> = non_dominated(&points, &OBJECTIVES).into_iter().map(|i| points[i]).collect();
        let scale = archive.scale();
        for i in 0..2 {
            let least = front.iter().map(|point| point[i]).fold(f64::INFINITY, f64::min);
            let most = front.iter().map(|point| point[i]).fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(scale.least[i], least);
            prop_assert_eq!(scale.range[i], if most > least { most - least } else { 1.0 });
        }
    }
}
