use std::fs;

use tempfile::TempDir;

use super::*;
use crate::estimate;

/// Six networks of NAS-Bench-Macro with made accuracies.
const ROWS: &str = "arch,mean_acc\n00000000,60\n11111111,90\n22222222,91\n01201201,80\n20000000,61\n01000000,62\n";

struct Asked {
    folder: TempDir,
    accelerators: Vec<NamedAccelerator>,
}

impl Asked {
    fn new(text: &str, accelerators: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("table.csv"), text).unwrap();
        let accelerators = accelerators.iter().map(|name| NamedAccelerator::load(name, None).unwrap()).collect();
        Self { folder, accelerators }
    }

    fn request(&self) -> TableRequest<'_> {
        TableRequest {
            table: self.folder.path().join("table.csv"),
            column: Table::ACCURACY.to_owned(),
            space: "nas-bench-macro".to_owned(),
            accelerators: &self.accelerators,
            timing: None,
            objectives: crate::pareto::Objectives::default(),
            reference: None,
            co_search: None,
            shown: false,
        }
    }
}

fn message(text: &str, accelerators: &[&str]) -> String {
    pareto_table(&Asked::new(text, accelerators).request()).unwrap_err().to_string()
}

/// What an estimate says of every point.
fn check(front: &Front, accelerator: &Accelerator, strings: &Strings) {
    for point in front.points() {
        let network = strings.network(point.name.split('@').next().unwrap()).unwrap();
        let total = estimate::network(&network, &Target::of(accelerator)).unwrap().total;
        let found = (point.latency_ms.to_bits(), point.utilization, point.macs, point.params);
        let wanted = (total.latency_ms.to_bits(), total.overall_utilization, Some(total.macs), Some(total.params));
        assert_eq!(found, wanted, "{} on {}", point.name, accelerator.name);
        let weight_kib = total.weight_bytes.0 as f64 / 1024.0;
        assert_eq!((point.energy_uj, point.weight_kib), (total.energy_uj, Some(weight_kib)), "{}", point.name);
    }
}

#[test]
fn every_point_is_what_the_estimate_says_on_every_shipped_accelerator() {
    let names: Vec<&str> = Accelerator::shipped().iter().map(|shipped| shipped.name).collect();
    let asked = Asked::new(ROWS, &names);
    let outcome = pareto_table(&asked.request()).unwrap();
    let strings = Strings::load("nas-bench-macro").unwrap();
    assert_eq!(outcome.fronts.len(), names.len());
    for (front, named) in outcome.fronts.iter().zip(&asked.accelerators) {
        assert_eq!(front.accelerator(), named.accelerator.name);
        check(front, &named.accelerator, &strings);
        assert_eq!(front.points()[3].error, 1.0 - 80.0 / 100.0);
    }
}

#[test]
fn a_joint_front_holds_every_network_on_every_array() {
    let asked = Asked::new(ROWS, &["small-32x32"]);
    let co_search = Some("16x64,32x32,64x16".parse().unwrap());
    let outcome = pareto_table(&TableRequest { co_search, ..asked.request() }).unwrap();
    let [front] = &outcome.fronts[..] else { panic!("one accelerator") };
    let strings = Strings::load("nas-bench-macro").unwrap();
    for (place, [rows, cols]) in [[16, 64], [32, 32], [64, 16]].into_iter().enumerate() {
        let own = asked.accelerators[0].accelerator.clone();
        let array = Array { rows, cols, ..own.array };
        let points = front.points()[6 * place..6 * (place + 1)].to_vec();
        assert!(points.iter().all(|point| point.name.ends_with(&format!("@{rows}x{cols}"))));
        check(&Front::new("one", points, None).unwrap(), &Accelerator { array, ..own }, &strings);
    }
    let shares = outcome.said[0].co_search.as_ref().unwrap();
    assert_eq!(shares.iter().map(|share| share.on_front).sum::<usize>(), front.members().len());
    // To rounding: one array may hold the whole front.
    assert!(shares.iter().all(|share| share.hypervolume <= front.hypervolume() * (1.0 + 1e-12)));
    assert_eq!((outcome.said[0].by_macs.clone(), outcome.warnings), (None, Vec::new()));
}

/// `small-32x32` with an energy table.
fn with_energy(asked: &Asked) -> NamedAccelerator {
    let shipped = Accelerator::shipped().iter().find(|shipped| shipped.name == "small-32x32").unwrap();
    let table = "energy: { mac-pj: 0.2, register-pj-per-byte: 0.1, sram-pj-per-byte: 1.5, dram-pj-per-byte: 80 }\n";
    let text = format!("{}\n{table}", shipped.text.replacen("sources:", "sources:\n  energy: made up", 1));
    let path = asked.folder.path().join("energy.yaml");
    fs::write(&path, text).unwrap();
    NamedAccelerator::load(&path.display().to_string(), None).unwrap()
}

#[test]
fn a_front_may_be_of_other_objectives() {
    let mut asked = Asked::new(ROWS, &[]);
    asked.accelerators = vec![with_energy(&asked)];
    let strings = Strings::load("nas-bench-macro").unwrap();
    let objectives: Objectives = "error,energy-uj,weight-kib".parse().unwrap();
    let outcome = pareto_table(&TableRequest { objectives: objectives.clone(), ..asked.request() }).unwrap();
    let [front] = &outcome.fronts[..] else { panic!("one accelerator") };
    check(front, &asked.accelerators[0].accelerator, &strings);
    assert!(front.points().iter().all(|point| point.energy_uj.unwrap() > 0.0));
    let beats = |a: &Point, b: &Point| {
        let values = |point| objectives.measures().iter().map(|measure| measure.of(point).unwrap()).collect::<Vec<_>>();
        let (a, b) = (values(a), values(b));
        a.iter().zip(&b).all(|(a, b)| a <= b) && a != b
    };
    let points = front.points();
    let best: Vec<&str> = points
        .iter()
        .filter(|point| !points.iter().any(|other| beats(other, point)))
        .map(|point| point.name.as_str())
        .collect();
    assert_eq!(front.names(), best);
    assert_eq!((front.corner().len(), outcome.said[0].by_macs.clone()), (3, None));
    let reference = Some(vec![0.5, 1e9]);
    let error = pareto_table(&TableRequest { objectives, reference, ..asked.request() }).unwrap_err().to_string();
    assert_eq!(error, "the reference has 2 values and the objectives error, energy-uj, weight-kib want one each, 3");
}

#[test]
fn an_objective_that_no_point_has_is_an_error() {
    let asked = Asked::new(ROWS, &["small-32x32"]);
    let objectives = "error,energy-uj".parse().unwrap();
    let error = pareto_table(&TableRequest { objectives, ..asked.request() }).unwrap_err().to_string();
    assert!(error.starts_with("no point on `small-32x32` has energy-uj: energy wants"), "{error}");
}

#[test]
fn arrays_of_other_sizes_are_warned_of() {
    let asked = Asked::new(ROWS, &["small-32x32"]);
    let co_search = Some("16x16,32x32".parse().unwrap());
    let warnings = pareto_table(&TableRequest { co_search, ..asked.request() }).unwrap().warnings;
    let wanted =
        "the arrays of --co-search on `small-32x32` have from 256 to 1024 PEs: larger ones are faster for that alone";
    assert_eq!(warnings, [wanted]);
}

#[test]
fn the_networks_of_all_fronts_come_each_once_in_the_order_of_the_table() {
    let asked = Asked::new(ROWS, &["small-32x32", "tpu-v2"]);
    let outcome = pareto_table(&asked.request()).unwrap();
    let order: Vec<&str> = ROWS.lines().skip(1).map(|line| &line[..8]).collect();
    let on_a_front = |arch: &&str| outcome.fronts.iter().any(|front| front.names().contains(&(*arch).to_owned()));
    let wanted: Vec<&str> = order.into_iter().filter(on_a_front).collect();
    let names: Vec<&str> = outcome.networks.iter().map(Network::name).collect();
    assert_eq!(names, wanted);
}

#[test]
fn an_architecture_that_the_space_does_not_have_is_named_by_its_line() {
    let error = message("arch,mean_acc\n00000000,60\n00000003,60\n", &["small-32x32"]);
    assert!(error.ends_with("table.csv, line 3: `00000003`: `3` at place 8 is none of 0, 1, 2"), "{error}");
    let error = message("arch,mean_acc\n0000,60\n", &["small-32x32"]);
    assert!(error.ends_with("line 2: `0000`: space `nas-bench-macro` needs 8 digits, got 4"), "{error}");
}

#[test]
fn accelerators_of_one_name_are_refused() {
    let wanted = "two accelerators are named `tpu-v2`; fronts are told apart by the accelerator's name";
    assert_eq!(message(ROWS, &["tpu-v2", "tpu-v2"]), wanted);
}

#[test]
fn a_timing_that_an_accelerator_refuses_is_refused() {
    let asked = Asked::new(ROWS, &["tpu-v4"]);
    let error = pareto_table(&TableRequest { timing: Some(Timing::UboostCsim), ..asked.request() }).unwrap_err();
    assert!(error.to_string().starts_with("accelerator `tpu-v4`: "), "{error}");
}

#[test]
fn a_page_of_a_table_holds_the_network_and_the_layers_of_every_point() {
    let asked = Asked::new(ROWS, &["small-32x32", "tpu-v2"]);
    let outcome = pareto_table(&TableRequest { shown: true, ..asked.request() }).unwrap();
    let value = serde_json::to_value(outcome.shown.unwrap()).unwrap();
    let strings = Strings::load("nas-bench-macro").unwrap();
    for (number, (front, named)) in outcome.fronts.iter().zip(&asked.accelerators).enumerate() {
        for (place, point) in front.points().iter().enumerate() {
            let network = strings.network(&point.name).unwrap();
            let places = |list: &serde_json::Value| -> Vec<usize> {
                list.as_array().unwrap().iter().map(|at| usize::try_from(at.as_u64().unwrap()).unwrap()).collect()
            };
            let pair = &value["points"][number][place];
            let text = usize::try_from(pair[0].as_u64().unwrap()).unwrap();
            let parts = places(&value["texts"][text]);
            let text: String = parts.iter().map(|&at| value["parts"][at].as_str().unwrap()).collect();
            assert_eq!(text, network.to_yaml(), "{}", point.name);
            let estimate = estimate::network(&network, &Target::of(&named.accelerator)).unwrap();
            let layers: Vec<&serde_json::Value> = places(&pair[1]).iter().map(|&at| &value["layers"][at]).collect();
            assert_eq!(layers.len(), estimate.layers.len());
            for (layer, wanted) in layers.iter().zip(&estimate.layers) {
                assert_eq!((&layer["name"], &layer["cycles"]), (&wanted.name.clone().into(), &wanted.cycles.0.into()));
            }
        }
    }
    // Six rows, of 8 places of 3 operators each: parts and layers are shared.
    let count = |key: &str| value[key].as_array().unwrap().len();
    let all: usize = value["texts"].as_array().unwrap().iter().map(|text| text.as_array().unwrap().len()).sum();
    assert!(count("texts") == 6 && count("parts") < all, "{} parts of {all}", count("parts"));
}
