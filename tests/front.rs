//! Measures of fronts against those of another implementation; `scripts/front-goldens.py` makes the golden file.

use serde::Deserialize;
use systole::front::{Objective, attainment, hypervolume, igd_plus, layers};

const GOLDEN: &str = include_str!("golden/front-measures.json");

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    attainment: Attainment,
}

#[derive(Deserialize)]
struct Case {
    maximise: Vec<bool>,
    points: Vec<Vec<f64>>,
    target: Vec<Vec<f64>>,
    reference: Vec<f64>,
    hypervolume: f64,
    igd_plus: f64,
    layers: Vec<usize>,
}

#[derive(Deserialize)]
struct Attainment {
    runs: Vec<Vec<[f64; 2]>>,
    levels: std::collections::BTreeMap<usize, Vec<[f64; 2]>>,
}

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).expect("the golden file has this form")
}

fn point<const N: usize>(values: &[f64]) -> [f64; N] {
    values.try_into().expect("a case has one number of objectives")
}

fn agrees<const N: usize>(case: &Case) {
    let direction = |maximise: &bool| if *maximise { Objective::Maximise } else { Objective::Minimise };
    let objectives: [Objective; N] = std::array::from_fn(|i| direction(&case.maximise[i]));
    let points: Vec<[f64; N]> = case.points.iter().map(|values| point(values)).collect();
    let target: Vec<[f64; N]> = case.target.iter().map(|values| point(values)).collect();
    let name = format!("{} points in {N} objectives", points.len());
    let volume = hypervolume(&points, &objectives, point(&case.reference));
    assert!((volume - case.hypervolume).abs() < 1e-12 * case.hypervolume, "{name}: hypervolume {volume}");
    let distance = igd_plus(&points, &target, &objectives).expect("there are points");
    assert!((distance - case.igd_plus).abs() < 1e-12, "{name}: IGD+ {distance}");
    let mut found = vec![usize::MAX; points.len()];
    for (layer, members) in layers(&points, &objectives).into_iter().enumerate() {
        members.into_iter().for_each(|member| found[member] = layer);
    }
    assert_eq!(found, case.layers, "{name}: layers");
}

#[test]
fn measures_are_those_of_another_implementation() {
    let golden = golden();
    assert_eq!(golden.cases.len(), 8);
    for case in &golden.cases {
        match case.maximise.len() {
            2 => agrees::<2>(case),
            3 => agrees::<3>(case),
            4 => agrees::<4>(case),
            5 => agrees::<5>(case),
            6 => agrees::<6>(case),
            other => panic!("no case has {other} objectives"),
        }
    }
}

#[test]
fn what_runs_attain_is_that_of_another_implementation() {
    let Attainment { runs, levels } = golden().attainment;
    assert_eq!(levels.len(), runs.len());
    for (level, corners) in levels {
        assert_eq!(attainment(&runs, &[Objective::Minimise; 2], level), corners, "level {level}");
    }
}
