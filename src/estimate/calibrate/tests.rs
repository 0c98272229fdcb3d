use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::fit::Matrix;
use super::*;
use crate::accel::GemmKind;
use crate::accel::calibration::{Lanes, Law, NetworkLaw, NetworkTerm, ProductLaw, ProductTerm};

/// A made-up device that is no TPU: 16 x 32, three arrays, 800 MHz.
fn device(law: Law, ceiling_ms: Option<f64>) -> Accelerator {
    let text = "name: made-up\narray: { rows: 16, cols: 32, count: 3 }\ndataflow: weight-stationary\n\
                clock-mhz: 800\nprecision: { weight-bits: 8, activation-bits: 16 }\n";
    let measured = Measured {
        rows: 0,
        from_ms: 0.0,
        to_ms: 0.0,
        form: String::new(),
        folds: FOLDS,
        seed: 0,
        mape_percent: 0.0,
        spearman: 1.0,
        kendall: 1.0,
    };
    let calibration = Calibration { law, ceiling_ms, measured, sources: BTreeMap::new() };
    Accelerator { calibration: Some(calibration), ..Accelerator::parse(text, "made-up.yaml").unwrap() }
}

/// What the made-up device takes for networks: an inference engine whose products run at half of the clock, with hinges
/// beyond 60,000 values of a tensor.
fn network_law() -> NetworkLaw {
    let mut terms = [0.0; NetworkTerm::COUNT];
    // 2 cycles of 800 MHz a row on three arrays: 2 * 1.25 / 3.
    terms[NetworkTerm::TileRow as usize] = 0.833;
    terms[NetworkTerm::Constant as usize] = 40_000.0;
    terms[NetworkTerm::DepthwiseLaunch as usize] = 3_000.0;
    terms[NetworkTerm::Tap as usize] = 0.02;
    terms[NetworkTerm::GateElement as usize] = 0.15;
    terms[NetworkTerm::DenseExcess as usize] = 0.3;
    terms[NetworkTerm::DepthwiseExcess as usize] = 0.5;
    NetworkLaw {
        capacity_elements: Some(60_000.0),
        excess_lanes: Lanes::Unpadded,
        spilled_lanes: Lanes::Unpadded,
        terms,
    }
}

fn product_law() -> ProductLaw {
    let mut terms = [0.0; ProductTerm::COUNT];
    terms[ProductTerm::Launch as usize] = 3_000.0;
    terms[ProductTerm::OneShotTileRow as usize] = 1.5;
    terms[ProductTerm::OneShotByte as usize] = 0.01;
    terms[ProductTerm::StreamedLaunch as usize] = 4_000.0;
    terms[ProductTerm::StreamedTileRow as usize] = 1.9;
    terms[ProductTerm::StreamedResultByte as usize] = 0.02;
    ProductLaw { one_shot_bytes: Some(600_000.0), terms }
}

struct Draws(ChaCha8Rng);

impl Draws {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn pick(&mut self, options: &[u64]) -> u64 {
        options[usize::try_from(self.0.next_u64() % options.len() as u64).unwrap()]
    }

    /// About normal: the sum of twelve uniform draws less six.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| f64::from(self.0.next_u32()) / f64::from(u32::MAX)).sum::<f64>() - 6.0
    }
}

/// Inverted bottlenecks and plain 3x3 convolutions on falling maps of 64 x 64: not the space of any benchmark.
fn random_network(draws: &mut Draws) -> Vec<Work> {
    let product = |m, n, k| Work::Product(Gemm::new(m, n, k).unwrap());
    let mut works = vec![product(64 * 64, 16, 27)];
    let (mut side, mut width) = (64, 16);
    for stage in 0..4 {
        let next = draws.pick(&[[16, 24, 32], [32, 40, 64], [64, 72, 96], [96, 120, 160]][stage]);
        for layer in 0..draws.pick(&[1, 2, 3]) {
            let expansion = draws.pick(&[1, 2, 4, 6]);
            let hidden = expansion * width;
            if expansion > 1 {
                works.push(product(side * side, hidden, width));
            }
            side /= if layer == 0 { 2 } else { 1 };
            let kernel = draws.pick(&[3, 5, 7]);
            let depthwise = Gemm::new(side * side, 1, kernel * kernel).unwrap();
            works.push(Work::Product(depthwise.repeated(hidden, GemmKind::Depthwise).unwrap()));
            if draws.pick(&[0, 1]) == 1 {
                works.push(Work::Gate { positions: side * side, channels: hidden });
            }
            works.push(product(side * side, next, hidden));
            width = next;
        }
        if draws.pick(&[0, 1]) == 1 {
            works.push(product(side * side, width, 9 * width));
        }
    }
    works.push(product(1, 100, width));
    works
}

fn networks(truth: &Accelerator, rows: usize, noise: f64, seed: u64) -> Vec<Observation> {
    let mut draws = Draws::new(seed);
    let one = |row| {
        let observed = Observed::Network(random_network(&mut draws));
        let ms = predict_ms(truth, &observed).unwrap() * (1.0 + noise * draws.normal());
        Observation { name: format!("network {row}"), observed, ms }
    };
    (0..rows).map(one).collect()
}

fn products(truth: &Accelerator, rows: usize, noise: f64, seed: u64) -> Vec<Observation> {
    let mut draws = Draws::new(seed);
    let sides: Vec<u64> = (1..=40).map(|part| 24 * part).collect();
    let one = |row| {
        let [m, n, k] = [0; 3].map(|_| draws.pick(&sides));
        let observed = Observed::Product(Gemm::new(m, n, k).unwrap());
        let ms = predict_ms(truth, &observed).unwrap() * (1.0 + noise * draws.normal());
        Observation { name: format!("product {row}"), observed, ms }
    };
    (0..rows).map(one).collect()
}

fn settings(host: Host) -> Settings {
    Settings { seed: 0, host, sources: BTreeMap::new() }
}

/// The device as it is fitted to rows of itself.
fn fitted(truth: &Accelerator, rows: &[Observation], host: Host) -> (Accelerator, Report) {
    let bare = Accelerator { calibration: None, ..truth.clone() };
    let Calibrated { calibration, report } = calibrate(&bare, rows, &settings(host)).unwrap();
    (Accelerator { calibration: Some(calibration), ..bare }, report)
}

fn ns(report: &Report, term: &str) -> f64 {
    report.numbers.iter().find(|number| number.term == term).unwrap().ns
}

fn within(what: &str, found: f64, truth: f64, share: f64) {
    assert!((found / truth - 1.0).abs() <= share, "{what}: {found} is not {truth} within {share}");
}

#[test]
fn a_device_is_recovered_exactly_where_there_is_no_noise() {
    let truth = device(Law::Network(network_law()), None);
    let (calibrated, report) = fitted(&truth, &networks(&truth, 120, 0.0, 1), Host::Absent);
    // The capacity lies between two thresholds of the grid, so the hinge is not quite the same.
    let errors = judge(&calibrated, &networks(&truth, 200, 0.0, 2)).unwrap();
    assert!(errors.mape_percent < 0.5 && errors.spearman > 0.9995, "{errors:?}");
    within("tile row", ns(&report, "tile-row-ns"), 0.833, 0.1);
    within("tap", ns(&report, "depthwise-tap-ns"), 0.02, 0.1);
    within("gate", ns(&report, "gate-element-ns"), 0.15, 0.1);
}

#[test]
fn a_device_is_recovered_from_noisy_rows() {
    let truth = device(Law::Network(network_law()), None);
    let (calibrated, report) = fitted(&truth, &networks(&truth, 250, 0.03, 3), Host::Absent);
    // 3 % of normal noise are 2.4 % on average; against the truth far less is left.
    assert!((1.8..3.2).contains(&report.held_out.mape_percent), "{:?}", report.held_out);
    let errors = judge(&calibrated, &networks(&truth, 300, 0.0, 4)).unwrap();
    assert!(errors.mape_percent < 1.0 && errors.spearman > 0.998, "{errors:?}");
    within("tile row", ns(&report, "tile-row-ns"), 0.833, 0.2);
    within("tap", ns(&report, "depthwise-tap-ns"), 0.02, 0.2);
    within("gate", ns(&report, "gate-element-ns"), 0.15, 0.2);
    within("capacity", report.threshold.unwrap(), 60_000.0, 0.5);
}

#[test]
fn fifty_noisy_rows_are_enough_for_a_device_that_is_no_tpu() {
    let truth = device(Law::Network(network_law()), None);
    let test = networks(&truth, 300, 0.0, 6);
    let errors: Vec<f64> = (10..13)
        .map(|seed| {
            let (calibrated, _) = fitted(&truth, &networks(&truth, 50, 0.03, seed), Host::Absent);
            judge(&calibrated, &test).unwrap().mape_percent
        })
        .collect();
    let mean = errors.iter().sum::<f64>() / 3.0;
    assert!(mean < 3.5, "{errors:?}");
}

#[test]
fn an_array_at_its_clock_is_pinned_to_it_with_few_rows() {
    let mut law = network_law();
    law.terms[NetworkTerm::TileRow as usize] = 1.25 / 3.0;
    let truth = device(Law::Network(law), None);
    let (_, report) = fitted(&truth, &networks(&truth, 60, 0.03, 7), Host::Absent);
    assert!(report.form.ends_with("1 pass at the clock"), "{}", report.form);
    within("tile row", ns(&report, "tile-row-ns"), 1.25 / 3.0, 1e-9);
    // With a hundred rows and more it is free.
    let (_, report) = fitted(&truth, &networks(&truth, 120, 0.03, 7), Host::Absent);
    assert!(!report.form.contains("clock"), "{}", report.form);
    within("tile row", ns(&report, "tile-row-ns"), 1.25 / 3.0, 0.4);
}

#[test]
fn a_device_of_products_is_recovered() {
    let truth = device(Law::Products(product_law()), None);
    let (calibrated, report) = fitted(&truth, &products(&truth, 250, 0.03, 8), Host::Absent);
    assert!((1.8..3.2).contains(&report.held_out.mape_percent), "{:?}", report.held_out);
    let errors = judge(&calibrated, &products(&truth, 300, 0.0, 9)).unwrap();
    assert!(errors.mape_percent < 1.5 && errors.spearman > 0.998, "{errors:?} {:?}", report.numbers);
    within("streamed row", ns(&report, "streamed-tile-row-ns"), 1.9, 0.1);
    within("one-shot row", ns(&report, "one-shot-tile-row-ns"), 1.5, 0.25);
    within("one-shot byte", ns(&report, "one-shot-byte-ns"), 0.01, 0.3);
    within("threshold", report.threshold.unwrap(), 600_000.0, 0.5);
    let (calibrated, _) = fitted(&truth, &products(&truth, 50, 0.03, 8), Host::Absent);
    let errors = judge(&calibrated, &products(&truth, 300, 0.0, 9)).unwrap();
    assert!(errors.mape_percent < 4.0, "{errors:?}");
}

#[test]
fn a_host_is_told_from_the_accelerator() {
    let truth = device(Law::Network(network_law()), Some(0.25));
    let rows = networks(&truth, 150, 0.01, 11);
    let (calibrated, with) = fitted(&truth, &rows, Host::Ceiling);
    let (_, without) = fitted(&truth, &rows, Host::Absent);
    within("ceiling", with.ceiling_ms.unwrap(), 0.25, 0.05);
    assert!(with.held_out.mape_percent < without.held_out.mape_percent, "{with:?} {without:?}");
    let errors = judge(&calibrated, &networks(&truth, 200, 0.0, 12)).unwrap();
    assert!(errors.mape_percent < 1.5, "{errors:?}");
}

#[test]
fn what_no_row_counts_is_said_to_be_unknown() {
    let truth = device(Law::Network(network_law()), None);
    let mut rows = networks(&truth, 60, 0.0, 13);
    for row in &mut rows {
        let Observed::Network(works) = &mut row.observed else { panic!("networks") };
        works.retain(|work| matches!(work, Work::Product(_)));
        row.ms = predict_ms(&truth, &row.observed).unwrap();
    }
    let (_, report) = fitted(&truth, &rows, Host::Absent);
    let sense = |term: &str| report.numbers.iter().find(|number| number.term == term).unwrap().sense;
    assert_eq!(sense("gate-element-ns"), Sense::NotMeasured);
    assert_eq!(sense("constant-ns"), Sense::Overhead);
    assert_eq!(sense("tile-row-ns"), Sense::Physical);
}

#[test]
fn rows_that_say_nothing_are_refused() {
    let truth = device(Law::Network(network_law()), None);
    let bare = Accelerator { calibration: None, ..truth.clone() };
    let rows = networks(&truth, 30, 0.0, 14);
    let error = |rows: &[Observation]| calibrate(&bare, rows, &settings(Host::Absent)).unwrap_err();
    assert_eq!(error(&rows[..24]), CalibrateError::TooFew(24));
    assert_eq!(error(&[]), CalibrateError::TooFew(0));
    let constant: Vec<Observation> = rows.iter().map(|row| Observation { ms: 1.5, ..row.clone() }).collect();
    assert_eq!(error(&constant), CalibrateError::Constant(1.5));
    let mut same = vec![rows[0].clone(); 30];
    same[3].ms *= 1.1;
    assert_eq!(error(&same), CalibrateError::Same);
    for bad in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
        let mut rows = rows.clone();
        rows[4].ms = bad;
        assert!(matches!(error(&rows), CalibrateError::Time { name, .. } if name == "network 4"));
    }
    let mut mixed = rows.clone();
    mixed[7].observed = Observed::Product(Gemm::new(1, 2, 3).unwrap());
    assert_eq!(error(&mixed), CalibrateError::Mixed("network 7".to_owned()));
}

#[test]
fn equal_rows_and_seeds_give_equal_calibrations() {
    let truth = device(Law::Network(network_law()), None);
    let rows = networks(&truth, 40, 0.03, 15);
    assert_eq!(fitted(&truth, &rows, Host::Absent), fitted(&truth, &rows, Host::Absent));
}

#[test]
fn the_law_predicts_what_the_fit_predicts() {
    for (rows, truth) in
        [(true, device(Law::Network(network_law()), Some(0.2))), (false, device(Law::Products(product_law()), None))]
    {
        let rows = if rows { networks(&truth, 40, 0.02, 16) } else { products(&truth, 40, 0.02, 16) };
        let host = if truth.calibration.as_ref().unwrap().ceiling_ms.is_some() { Host::Ceiling } else { Host::Absent };
        let (calibrated, report) = fitted(&truth, &rows, host);
        let errors = judge(&calibrated, &rows).unwrap();
        assert!((errors.mape_percent - report.fitted.mape_percent).abs() < 1e-9, "{errors:?} {:?}", report.fitted);
    }
}

/// Non-negative least squares by trying every set of columns: the oracle.
fn naive(matrix: &Matrix, times: &[f64]) -> f64 {
    let columns = matrix.columns;
    let residual = |numbers: &[f64]| -> f64 {
        let one = |row: usize| {
            let sum: f64 = matrix.row(row).iter().zip(numbers).map(|(count, number)| count * number).sum();
            (sum / times[row] - 1.0).powi(2)
        };
        (0..times.len()).map(one).sum()
    };
    let mut best = residual(&vec![0.0; columns]);
    for set in 1..1u32 << columns {
        let chosen: Vec<usize> = (0..columns).filter(|column| set >> column & 1 == 1).collect();
        let Some(solved) = solve(matrix, times, &chosen) else { continue };
        if solved.iter().all(|number| *number >= 0.0) {
            let mut numbers = vec![0.0; columns];
            chosen.iter().zip(&solved).for_each(|(&column, number)| numbers[column] = *number);
            best = best.min(residual(&numbers));
        }
    }
    best
}

/// The unconstrained least squares over `chosen`, by elimination with pivots.
fn solve(matrix: &Matrix, times: &[f64], chosen: &[usize]) -> Option<Vec<f64>> {
    let n = chosen.len();
    let mut system = vec![vec![0.0; n + 1]; n];
    for (row, time) in times.iter().enumerate() {
        let line: Vec<f64> = chosen.iter().map(|&column| matrix.row(row)[column] / time).collect();
        for i in 0..n {
            for j in 0..n {
                system[i][j] += line[i] * line[j];
            }
            system[i][n] += line[i];
        }
    }
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| system[a][i].abs().total_cmp(&system[b][i].abs()))?;
        system.swap(i, pivot);
        if system[i][i].abs() < 1e-9 {
            return None;
        }
        for row in 0..n {
            if row != i {
                let factor = system[row][i] / system[i][i];
                let pivot = system[i].clone();
                for (slot, value) in system[row].iter_mut().zip(&pivot).skip(i) {
                    *slot -= factor * value;
                }
            }
        }
    }
    Some((0..n).map(|i| system[i][n] / system[i][i]).collect())
}

proptest! {
    #[test]
    fn the_least_squares_are_those_of_every_set_of_columns(
        counts in prop::collection::vec(0.0..10.0f64, 48),
        times in prop::collection::vec(1.0..20.0f64, 12),
    ) {
        let matrix = Matrix { columns: 4, values: counts };
        let numbers = fit::plain_least_squares(&matrix, &times);
        prop_assert!(numbers.iter().all(|number| *number >= 0.0));
        let one = |row: usize| {
            let sum: f64 = matrix.row(row).iter().zip(&numbers).map(|(count, number)| count * number).sum();
            (sum / times[row] - 1.0).powi(2)
        };
        let found: f64 = (0..times.len()).map(one).sum();
        prop_assert!(found <= naive(&matrix, &times) + 1e-6, "{} {}", found, naive(&matrix, &times));
    }
}
