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

/// Searches against a table, made by a formula over a chain of five layers with three operators each.
#[cfg(feature = "cli")]
mod tabular {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use systole::front::{Objective, non_dominated};
    use systole::jobs::progress::Progress;
    use systole::jobs::{Job, Overrides, TabularRequest, TabularRun, tabular};
    use systole::pareto::Table;
    use systole::record::Existing;
    use tempfile::TempDir;

    const JOB: &str = "
version: 1
name: chain
data: { set: shapes, training: 6000, selection: 2000 }
accelerator: small-32x32
space:
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
objective: { lambda: 0.2 }
search:
  operators: { epochs: 1 }
";

    /// `job.yaml` and `table.csv`: accuracy `95 - 30 / (1 + sum_i gain_i sqrt(digit_i))` %.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "arch,mean_acc\n".to_owned();
        for number in 0..243usize {
            let digits: Vec<usize> = (0..5).map(|layer| number / 3usize.pow(layer) % 3).collect();
            let gains = [1.0, 0.6, 0.9, 0.5, 0.3];
            let sum: f64 = digits.iter().zip(gains).map(|(&digit, gain)| gain * (digit as f64).sqrt()).sum();
            let arch: String = digits.iter().map(usize::to_string).collect();
            text.push_str(&format!("{arch},{}\n", 95.0 - 30.0 / (1.0 + sum)));
        }
        fs::write(folder.path().join("table.csv"), text).unwrap();
        fs::write(folder.path().join("job.yaml"), JOB).unwrap();
        folder
    }

    /// Exit code, stdout, stderr.
    fn search(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
        command.current_dir(folder).args(["search", "job.yaml", "--table", "table.csv", "--out", "run"]).args(more);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn rows(path: &Path) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    fn objectives(row: &[String]) -> [f64; 2] {
        [row[1].parse().unwrap(), row[2].parse().unwrap()]
    }

    #[test]
    fn a_search_for_the_whole_front_lists_its_fan_and_is_a_front_of_its_own() {
        let folder = folder();
        let preference = ["--evaluations", "120", "--set", "objective=preference"];
        let (code, out, err) = search(folder.path(), &preference);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        let run = folder.path().join("run");
        let front = rows(&run.join("front.csv"));
        let fan: Vec<&Vec<String>> = front[1..].iter().filter(|row| row[3] == "fan").collect();
        assert!(fan.len() >= 4, "{front:?}");
        assert!(front[1..].iter().all(|row| row[4] == "true" || row[3] == "fan"), "{front:?}");
        assert!(fan.iter().all(|row| (0.0..=1.0).contains(&row[5].parse::<f64>().unwrap())));
        let vectors: Vec<[f64; 2]> = front[1..].iter().map(|row| objectives(row)).collect();
        let members = non_dominated(&vectors, &[Objective::Minimise; 2]);
        assert!((0..vectors.len()).all(|place| (front[place + 1][4] == "true") == members.contains(&place)));
        for row in &front[1..] {
            let network = run.join("networks").join(format!("{}.yaml", row[0]));
            let job = Job::load(&folder.path().join("job.yaml"), &Overrides::default()).unwrap();
            let network = systole::network::Network::load(&network).unwrap();
            let target = systole::estimate::Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 };
            let estimate = systole::estimate::network(&network, &target).unwrap();
            assert_eq!(row[2], estimate.total.latency_ms.to_string(), "{}", row[0]);
        }
        let summary: serde_json::Value = serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
        let told = &summary["table"]["fan"];
        assert_eq!((&told["preferences"], &told["networks"]), (&101.into(), &fan.len().into()));
        assert!(told["hypervolume_share"].as_f64() <= summary["table"]["hypervolume_share"].as_f64());
        let looks = rows(&run.join("fan.csv"));
        assert_eq!(looks[0], ["evaluations", "networks", "hypervolume_share"]);
        assert_eq!(looks.last().unwrap()[2], told["hypervolume_share"].to_string());
        assert!(fs::read_to_string(run.join("plots/fan.svg")).unwrap().contains("different rows read"));
        assert!(out.contains("networks over 101 preferences"), "{out}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
        let output = command.current_dir(folder.path()).args(["pareto", "run", "--json"]).output().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["points"].as_array().unwrap().len(), front.len() - 1);
        assert_eq!(value["front"].as_array().unwrap().len(), members.len());
        // The same bytes again.
        let before = fs::read(run.join("front.csv")).unwrap();
        assert_eq!(search(folder.path(), &[&preference[..], &["--force"]].concat()).0, Some(0));
        assert_eq!(fs::read(run.join("front.csv")).unwrap(), before);
    }

    #[test]
    fn what_a_search_for_the_whole_front_has_no_place_for_is_named() {
        let folder = folder();
        for (set, message) in [
            ("objective={preference: {}, lambda: 1}", "leave out `lambda`"),
            ("objective={preference: {}, cost: flops}", "leave out `cost`"),
            ("objective={preference: {knots: 1}}", "knots must lie in 2..=65, got 1"),
            ("objective={beta: 0}", "missing field `lambda`, or `preference`"),
            ("objective=front", "the word `preference`"),
        ] {
            let (code, _, err) = search(folder.path(), &["--evaluations", "9", "--set", set]);
            assert!(code == Some(2) && err.contains(message), "{set}: {err}");
        }
        let other = ["--evaluations", "9", "--set", "objective=preference", "--set", "search.method=random"];
        let (code, _, err) = search(folder.path(), &other);
        assert!(code == Some(2) && err.contains("is searched by `search.method: systole`, not `random`"), "{err}");
        assert!(!folder.path().join("run").exists());
    }

    #[test]
    fn a_run_folder_holds_what_was_read_and_its_front() {
        let folder = folder();
        for method in ["random", "evolution", "nsga-2", "systole"] {
            let method = format!("search.method={method}");
            let small = ["--set", "search.evolution={population: 20, sample: 5, evaluations: 20}"];
            let (code, out, err) =
                search(folder.path(), &[&["--evaluations", "60", "--force", "--set", &method], &small[..]].concat());
            assert_eq!((code, err.as_str()), (Some(0), ""), "{method}: {out}");
            let run = folder.path().join("run");
            let evaluations = rows(&run.join("evaluations.csv"));
            let header = ["arch", "error", "latency_ms", "evaluation", "rows_read", "hypervolume_share"];
            assert_eq!((evaluations.len(), evaluations[0].as_slice()), (61, header.map(str::to_owned).as_slice()));
            let vectors: Vec<[f64; 2]> = evaluations[1..].iter().map(|row| objectives(row)).collect();
            let members = non_dominated(&vectors, &[Objective::Minimise; 2]);
            let mut wanted: Vec<[f64; 2]> = members.into_iter().map(|member| vectors[member]).collect();
            wanted.sort_by(|a, b| a[1].total_cmp(&b[1]));
            let front = rows(&run.join("front.csv"));
            assert_eq!(front[0], ["arch", "error", "latency_ms", "source", "on_front", "preference"]);
            let found: Vec<[f64; 2]> = front[1..].iter().map(|row| objectives(row)).collect();
            assert_eq!(found, wanted, "{method}");
            assert!(front[1..].iter().all(|row| row[3..] == ["archive", "true", ""]));
            let summary: serde_json::Value =
                serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
            assert_eq!(summary["table"]["evaluations"], 60);
            assert_eq!(summary["stop_reason"], "evaluation-limit");
            let [error, latency] = *found.last().unwrap();
            let accuracy = summary["accuracy"]["test"].as_f64().unwrap();
            assert!((1.0 - accuracy - error).abs() < 1e-12 && summary["latency_ms"] == latency, "{method}");
            for file in ["spec.yaml", "environment.json", "network.yaml", "architecture.yaml", "estimate.json"] {
                assert!(run.join(file).exists(), "{file}");
            }
        }
    }

    #[test]
    fn a_folder_that_exists_is_gone_on_with_only_by_the_same_search() {
        let folder = folder();
        let run = |more: &[&str]| search(folder.path(), &[&["--set", "search.method=random"], more].concat());
        assert_eq!(run(&["--evaluations", "30"]).0, Some(0));
        let summary = folder.path().join("run/summary.json");
        let before = fs::read(&summary).unwrap();
        let (code, _, err) = run(&["--evaluations", "30"]);
        assert!(code == Some(2) && err.contains("`run` exists; use --resume to go on or --force"), "{err}");
        assert_eq!(run(&["--evaluations", "30", "--resume"]).0, Some(0));
        assert_eq!(fs::read(&summary).unwrap(), before);
        for (more, wanted) in [
            (&["--evaluations", "31", "--resume"][..], "another number of evaluations (30, now 31)"),
            (&["--evaluations", "30", "--seed", "1", "--resume"][..], "another job"),
            (&["--evaluations", "30", "--reference", "0.9,9", "--resume"][..], "another reference"),
        ] {
            let (code, _, err) = run(more);
            assert!(code == Some(2) && err.contains(wanted), "{err}");
        }
        let table = folder.path().join("table.csv");
        fs::write(&table, fs::read_to_string(&table).unwrap().replace("00000,65", "00000,66")).unwrap();
        let (code, _, err) = run(&["--evaluations", "30", "--resume"]);
        assert!(code == Some(2) && err.contains("another table"), "{err}");
        assert_eq!(run(&["--evaluations", "31", "--force"]).0, Some(0));
    }

    #[test]
    fn what_cannot_be_searched_is_named_and_leaves_no_folder() {
        let folder = folder();
        fs::write(folder.path().join("bad.csv"), "arch,mean_acc\n00000,90\n0000,91\n").unwrap();
        for (more, wanted) in [
            (
                &["--evaluations", "9", "--set", "search.method=darts"][..],
                "search.method: darts cannot run against a table",
            ),
            (&["--evaluations", "9", "--accuracy-column", "best"], "a table needs a column `best`"),
            (&["--evaluations", "9", "--reference", "0.01,1"], "betters the reference 0.01,1"),
            (&["--evaluations", "0"], "--evaluations"),
            (&[], "--evaluations <N>"),
        ] {
            let (code, _, err) = search(folder.path(), more);
            assert!(code == Some(2) && err.contains(wanted), "{err}");
            assert!(!folder.path().join("run").exists());
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
        command.current_dir(folder.path());
        let output = command.args(["search", "job.yaml", "--table", "bad.csv", "--evaluations", "9"]).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.contains("bad.csv: line 3: `0000`: space `chain` needs 5 digits, got 4"), "{err}");
        assert!(!folder.path().join("results").exists());
    }

    /// Asks to stop after so many steps.
    struct After(u32);

    impl Progress for After {
        fn begin(&mut self, _: &str, _: u64, _: u64) {}

        fn step(&mut self) {
            self.0 -= 1;
        }

        fn say(&mut self, _: &str) {}

        fn interrupted(&self) -> bool {
            self.0 == 0
        }

        fn seconds(&self) -> f64 {
            0.0
        }
    }

    #[test]
    fn a_search_that_was_stopped_leaves_a_usable_folder_and_ends_as_one_without_a_stop() {
        let folder = folder();
        let job = Job::load(&folder.path().join("job.yaml"), &Overrides::default()).unwrap();
        let run = |out: PathBuf, existing, steps| -> TabularRun {
            let (table, column) = (folder.path().join("table.csv"), Table::ACCURACY.to_owned());
            let request = TabularRequest { table, column, evaluations: 60, reference: None, out, existing };
            tabular(&job, &request, &mut After(steps)).unwrap()
        };
        let [stopped, whole] = ["stopped", "whole"].map(|name| folder.path().join(name));
        let part = run(stopped.clone(), Existing::Refuse, 25);
        assert_eq!(
            (part.summary.stop_reason.as_str(), rows(&stopped.join("evaluations.csv")).len()),
            ("interrupted", 26)
        );
        assert!(stopped.join("front.csv").exists() && stopped.join("network.yaml").exists());
        let rest = run(stopped.clone(), Existing::Resume, 1000);
        let once = run(whole.clone(), Existing::Refuse, 1000);
        assert_eq!(rest.summary, once.summary);
        for file in ["evaluations.csv", "front.csv", "network.yaml", "architecture.yaml", "summary.json"] {
            assert_eq!(fs::read(stopped.join(file)).unwrap(), fs::read(whole.join(file)).unwrap(), "{file}");
        }
    }
}
