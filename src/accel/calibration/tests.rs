use super::*;
use crate::accel::workload::{Gemm, GemmKind};

/// 4 rows and 8 columns, weight-stationary.
fn accelerator() -> Accelerator {
    let text = "name: a\narray: { rows: 4, cols: 8, count: 2 }\ndataflow: weight-stationary\nclock-mhz: 500\n\
                precision: { weight-bits: 16, activation-bits: 16 }\n";
    Accelerator::parse(text, "a.yaml").unwrap()
}

fn measured() -> Measured {
    Measured {
        rows: 30,
        from_ms: 1.0,
        to_ms: 2.0,
        form: "step, unpadded".to_owned(),
        folds: 5,
        seed: 0,
        mape_percent: 2.0,
        spearman: 0.99,
        kendall: 0.9,
    }
}

fn network(capacity: Option<f64>) -> Calibration {
    let law = NetworkLaw {
        capacity_elements: capacity,
        excess_lanes: Lanes::Unpadded,
        spilled_lanes: Lanes::Padded,
        // One prime each, so that a sum tells its parts.
        terms: [2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 37.0, 19.0, 23.0, 29.0, 31.0, 41.0, 43.0],
    };
    Calibration { law: Law::Network(law), ceiling_ms: None, measured: measured(), sources: BTreeMap::new() }
}

fn nanoseconds(calibration: &Calibration, work: &Work) -> f64 {
    calibration.work_ms(&accelerator(), work) * 1e6
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * b.abs(), "{a} is not {b}");
}

#[test]
fn every_term_of_a_layer_is_the_sum_worked_by_hand() {
    let dense = Work::Product(Gemm::new(10, 12, 9).unwrap());
    // ceil(9 / 4) * ceil(12 / 8) * 10 = 60 tile rows; 120 values, 160 padded to 16 channels; V = 100.
    let resident = 3.0 + 11.0 * 60.0 + 37.0 * 120.0;
    close(nanoseconds(&network(Some(100.0)), &dense), resident + 19.0 * 20.0 + 29.0 * 160.0);
    close(nanoseconds(&network(Some(120.0)), &dense), resident);
    close(nanoseconds(&network(None), &dense), resident);
    let depthwise = Work::Product(Gemm::new(10, 1, 9).unwrap().repeated(12, GemmKind::Depthwise).unwrap());
    // 10 positions, 12 channels padded to 16, 9 taps: 1,440.
    let resident = 5.0 + 13.0 * 1440.0 + 37.0 * 120.0;
    close(nanoseconds(&network(None), &depthwise), resident);
    let spilled = 23.0 * 20.0 + 31.0 * 160.0 + 43.0 * 1440.0;
    close(nanoseconds(&network(Some(100.0)), &depthwise), resident + spilled);
    let gate = Work::Gate { positions: 10, channels: 12 };
    close(nanoseconds(&network(None), &gate), 7.0 + 17.0 * 120.0);
    close(nanoseconds(&network(Some(100.0)), &gate), 7.0 + 17.0 * 120.0 + 41.0 * 160.0);
    close(network(None).constant_ms(), 2e-6);
}

#[test]
fn tile_rows_follow_the_dataflow() {
    let gemm = Work::Product(Gemm::new(10, 12, 9).unwrap());
    let rows = |dataflow: &str| {
        let text = format!("name: a\narray: {{ rows: 4, cols: 8 }}\ndataflow: {dataflow}\nclock-mhz: 500\n");
        let accelerator = Accelerator::parse(&text, "a.yaml").unwrap();
        (network(None).work_ms(&accelerator, &gemm) * 1e6 - 3.0 - 37.0 * 120.0) / 11.0
    };
    // k on rows, m on columns: 3 * 2 * 12; m on rows, n on columns: 3 * 2 * 9.
    close(rows("input-stationary"), 72.0);
    close(rows("output-stationary"), 54.0);
}

#[test]
fn a_product_is_one_shot_up_to_its_bytes_and_streams_above() {
    let law = |bytes| ProductLaw {
        one_shot_bytes: bytes,
        terms: [2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0, 29.0, 31.0],
    };
    let ns = |law: ProductLaw| law.nanoseconds(&accelerator(), &Work::Product(Gemm::new(10, 20, 9).unwrap()));
    // Bytes: 2 * (90 + 180 + 200) = 940. Rows: 3 row tiles; n: ceil(20 / 8) = 3 column tiles times m = 30, m: 2 times
    // n = 40, so 90 over 2 arrays; in pairs 4 times 10 or 2 times 20, so 120 over 2. Fill: 8 of 8 columns, then 10 / 8.
    let one_shot = 2.0 + 3.0 + 5.0 * 45.0 + 7.0 * 60.0 + 11.0 * 3.0 + 13.0 * 940.0 + 17.0 * 1.25;
    close(ns(law(Some(940.0))), one_shot);
    close(ns(law(None)), one_shot);
    // Streamed: 3 * 3 tiles, 90 rows over 2 arrays, 400 bytes of result.
    close(ns(law(Some(939.0))), 2.0 + 3.0 + 19.0 + 23.0 * 45.0 + 29.0 * 9.0 + 31.0 * 400.0);
}

#[test]
fn a_ceiling_is_a_soft_maximum_with_its_slope() {
    let calibration = Calibration { ceiling_ms: Some(3.0), ..network(None) };
    let far = calibration.image(30.0);
    assert!((far.ms - 30.0).abs() < 1e-4 && (far.slope - 1.0).abs() < 1e-4, "{far:?}");
    let near = calibration.image(0.3);
    assert!((near.ms - 3.0).abs() < 1e-9 && near.slope < 1e-9, "{near:?}");
    let at = calibration.image(3.0 - calibration.constant_ms());
    close(at.ms, 3.0 * 2f64.powf(1.0 / 16.0));
    let step = 1e-6;
    let difference = (calibration.image(2.8 + step).ms - calibration.image(2.8 - step).ms) / (2.0 * step);
    assert!((difference - calibration.image(2.8).slope).abs() < 1e-6);
    // Far beyond what a power of 16 of the values themselves would hold.
    assert!(soft_maximum(1e30, 1e29).0.is_finite() && soft_maximum(0.0, 0.0).0 == 0.0);
}

#[test]
fn what_is_written_is_read_again() {
    let base = "name: a\narray: { rows: 4, cols: 8 }\ndataflow: weight-stationary\nclock-mhz: 500\n";
    let products = Law::Products(ProductLaw { one_shot_bytes: Some(4e6), terms: [0.1; ProductTerm::COUNT] });
    for calibration in [network(Some(0.1 + 0.2)), Calibration { law: products, ceiling_ms: Some(0.3), ..network(None) }]
    {
        let block = crate::load::to_yaml(&BTreeMap::from([("calibration", CalibrationFile::from(&calibration))]));
        let read = Accelerator::parse(&format!("{base}{block}"), "a.yaml").unwrap();
        assert_eq!(read.calibration, Some(calibration), "{block}");
    }
}

#[test]
fn numbers_that_no_clock_has_name_their_place() {
    let base = "name: a\narray: { rows: 4, cols: 8 }\ndataflow: weight-stationary\nclock-mhz: 500\n";
    let measured = "  measured: { rows: 30, from-ms: 1, to-ms: 2, form: a, folds: 5, seed: 0, mape-percent: 2, \
                    spearman: 1, kendall: 1 }\n";
    let error = |law: &str| {
        let text = format!("{base}calibration:\n  law: {law}\n{measured}");
        Accelerator::parse(&text, "a.yaml").unwrap_err().to_string()
    };
    for (law, expected) in [
        (
            "{ network: { terms: { constant-ns: -1 } } }",
            "a.yaml:6:43: calibration.law: a number of nanoseconds must be finite and not below 0, got -1",
        ),
        (
            "{ network: { capacity-elements: 0, terms: {} } }",
            "a.yaml:6:40: calibration.capacity-elements: must be finite and above 0, got 0",
        ),
        (
            "{ products: { one-shot-bytes: .inf, terms: {} } }",
            "a.yaml:6:38: calibration.one-shot-bytes: must be finite and above 0, got inf",
        ),
    ] {
        assert_eq!(error(law), expected);
    }
    let unknown = error("{ network: { terms: { tap: 1 } } }");
    assert!(unknown.starts_with("a.yaml:6:") && unknown.contains("tap"), "{unknown}");
}
