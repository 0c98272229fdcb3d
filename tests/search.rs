//! `systole search` as a user runs it: small jobs on the embedded data set, as child processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The demonstration in a few seconds.
const SMALL: [&str; 8] = [
    "data.training=256",
    "data.selection=128",
    "search.batch=32",
    "search.operators.epochs=2",
    "search.operators.warm-up-epochs=1",
    "search.operators.paths=sampled",
    "search.widths.epochs=2",
    "training.epochs=2",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn command(job: &str, out: &Path, further: &[&str]) -> Command {
    with_threads("1", job, out, further)
}

fn with_threads(threads: &str, job: &str, out: &Path, further: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
    command.current_dir(root()).args(["search", job, "--threads", threads, "--out"]).arg(out);
    for set in SMALL {
        command.args(["--set", set]);
    }
    command.args(further).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn search(out: &Path, further: &[&str]) -> Output {
    command("search-spaces/demo.yaml", out, further).output().expect("the command starts")
}

fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().find_map(|line| line.strip_prefix("error: ")).expect("one clear error").to_owned()
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    (folder, out)
}

/// Starts a search and sends `signal` once the history has `lines` lines; how it ended.
fn stopped(out: &Path, further: &[&str], signal: &str, lines: usize) -> Output {
    let mut child = command("search-spaces/demo.yaml", out, further).spawn().expect("the command starts");
    after_lines(&mut child, out, lines);
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

/// Waits until the history of a run under way has `lines` lines.
fn after_lines(child: &mut Child, out: &Path, lines: usize) {
    let began = Instant::now();
    let history = out.join("history.jsonl");
    while fs::read_to_string(&history).map_or(0, |text| text.lines().count()) < lines {
        assert!(began.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none(), "no line {lines}");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_search_leaves_a_whole_folder_and_equal_runs_equal_bytes() {
    let (_kept, out) = folder();
    let output = search(&out, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("test accuracy") && told.contains(&out.display().to_string()), "{told}");
    for file in ["spec.yaml", "environment.json", "architecture.yaml", "plots/history.png", "plots/widths.svg"] {
        assert!(out.join(file).exists(), "{file}");
    }
    let (summary, estimate) = (json(out.join("summary.json")), json(out.join("estimate.json")));
    assert_eq!(summary["stop_reason"], "epoch-limit");
    assert_eq!(summary["cycles"], estimate[0]["total"]["cycles"]);
    assert_eq!(summary["params"], estimate[0]["total"]["params"]);
    let again = Command::new(env!("CARGO_BIN_EXE_systole"))
        .arg("estimate")
        .arg(out.join("network.yaml"))
        .args(["--accel", "small-32x32", "--json"])
        .output()
        .unwrap();
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again, estimate);
    // The resolved job runs again as it is, to the same bytes.
    let (_other, second) = folder();
    let spec = out.join("spec.yaml");
    let repeated = command(spec.to_str().unwrap(), &second, &[]).output().unwrap();
    assert!(repeated.status.success(), "{}", String::from_utf8_lossy(&repeated.stderr));
    for file in ["network.yaml", "weights.safetensors", "architecture.yaml"] {
        assert!(fs::read(out.join(file)).unwrap() == fs::read(second.join(file)).unwrap(), "{file} differs");
    }
    // Another seed is another run.
    let (_third, third) = folder();
    assert!(search(&third, &["--seed", "1"]).status.success());
    assert!(fs::read(out.join("weights.safetensors")).unwrap() != fs::read(third.join("weights.safetensors")).unwrap());
}

#[test]
fn an_accelerator_of_ones_own_is_kept_with_the_run() {
    let (kept, out) = folder();
    let accelerator = kept.path().join("mine.yaml");
    let text =
        "# of the tests\nname: mine\narray: { rows: 16, cols: 16 }\ndataflow: weight-stationary\nclock-mhz: 500\n";
    fs::write(&accelerator, text).unwrap();
    let path = accelerator.to_str().unwrap();
    let given = ["--accel", path, "--set", "training.epochs=0", "--checkpoint-seconds", "0"];
    let code = {
        let mut child = command("search-spaces/demo.yaml", &out, &given).spawn().unwrap();
        after_lines(&mut child, &out, 2);
        child.kill().unwrap();
        child.wait().unwrap().code()
    };
    assert_eq!(code, None, "killed");
    assert_eq!(fs::read_to_string(out.join("accelerator.yaml")).unwrap(), text);
    let spec = fs::read_to_string(out.join("spec.yaml")).unwrap();
    assert!(spec.contains("\naccelerator: accelerator.yaml\n"), "{spec}");
    let precision = &json(out.join("environment.json"))["precision"];
    assert!(spec.contains(&format!("\nprecision: {}\n", precision.as_str().unwrap())), "{spec}");
    // Another accelerator under the same name is not taken for the one that the run began with.
    fs::write(&accelerator, text.replace("cols: 16", "cols: 8")).unwrap();
    let message = failed(&search(&out, &[&given[..], &["--resume"]].concat()));
    assert!(message.contains("the accelerator's file has changed since the run began"), "{message}");
    // A sitting before this one took more memory.
    let state = out.join("checkpoint/state.json");
    let mut value = json(state.clone());
    assert!(value["peak_memory_bytes"].as_u64().unwrap() > 0);
    value["peak_memory_bytes"] = (1u64 << 50).into();
    fs::write(&state, value.to_string()).unwrap();
    // The folder alone is enough, wherever it is and whatever the present folder.
    fs::remove_file(&accelerator).unwrap();
    let moved = kept.path().join("moved");
    fs::rename(&out, &moved).unwrap();
    let mut go_on = Command::new(env!("CARGO_BIN_EXE_systole"));
    go_on.current_dir(kept.path()).args(["search", "moved/spec.yaml", "--out", "moved", "--resume", "--threads", "1"]);
    let output = go_on.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = json(moved.join("summary.json"));
    assert_eq!((&summary["accelerator"], &summary["peak_memory_bytes"]), (&"mine".into(), &(1u64 << 50).into()));
}

#[test]
fn a_damaged_checkpoint_is_an_error_with_the_cure() {
    let (_kept, out) = folder();
    // Kept after every step, and with so many epochs ahead the stage is still under way: at its end the next one would
    // begin without these tensors.
    let long = ["--set", "search.operators.epochs=1000", "--checkpoint-seconds", "0"];
    stopped(&out, &long, "-KILL", 2);
    let state = out.join("checkpoint/state.json");
    let text = fs::read_to_string(&state).unwrap();
    let cure = "; what the run left is damaged: start anew with --force, or use another --out";
    let refused = |what: &str| {
        let message = failed(&search(&out, &[&long[..], &["--resume"]].concat()));
        assert!(message.contains(what) && message.ends_with(cure), "{message}");
    };
    fs::write(&state, &text[..text.len() / 2]).unwrap();
    refused("state.json:");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["search"]["alpha"]["operators"].as_array_mut().unwrap().pop();
    fs::write(&state, value.to_string()).unwrap();
    refused("state.json: its choices are not those of the space");
    fs::write(&state, &text).unwrap();
    let tensors =
        out.join("checkpoint").join(serde_json::from_str::<Value>(&text).unwrap()["tensors"].as_str().unwrap());
    let bytes = fs::read(&tensors).unwrap();
    fs::write(&tensors, &bytes[..bytes.len() / 2]).unwrap();
    refused(".safetensors: ");
    fs::remove_file(&tensors).unwrap();
    refused(".safetensors: No such file");
    fs::write(&tensors, bytes).unwrap();
    fs::write(out.join("history.jsonl"), "{}\n").unwrap();
    refused("history.jsonl:1:");
    fs::write(out.join("summary.json"), "{}\n").unwrap();
    refused("summary.json:1:");
}

#[test]
fn a_stopped_run_is_usable_and_goes_on_to_the_same_bytes() {
    let (_whole, whole) = folder();
    assert!(search(&whole, &[]).status.success());
    // In the operator stage, in the width stage, in the training.
    for (signal, lines) in [("-INT", 1), ("-TERM", 3), ("-KILL", 4), ("-TERM", 5), ("-KILL", 2)] {
        let (_kept, out) = folder();
        let ended = stopped(&out, &[], signal, lines);
        if signal != "-KILL" {
            assert_eq!(ended.status.code(), Some(130), "{signal} after {lines}");
            let path = out.display();
            let how = format!("go on with       systole search {path}/spec.yaml --out {path} --resume --threads 1\n");
            assert!(String::from_utf8_lossy(&ended.stdout).ends_with(&how), "{how}");
            assert_eq!(json(out.join("summary.json"))["stop_reason"], "interrupted");
            assert!(out.join("network.yaml").exists());
        }
        let resumed = search(&out, &["--resume"]);
        assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
        for file in ["network.yaml", "weights.safetensors"] {
            assert!(
                fs::read(out.join(file)).unwrap() == fs::read(whole.join(file)).unwrap(),
                "{signal} {lines} {file}"
            );
        }
        assert_eq!(json(out.join("summary.json"))["stop_reason"], "epoch-limit");
        // Two epochs of each stage, two of training, the end: nothing twice, nothing lost.
        assert_eq!(timeless(&out), timeless(&whole), "{signal} {lines}");
    }
    // A finished run has nothing left to do, and a folder is never overwritten unasked.
    let before = fs::read(whole.join("summary.json")).unwrap();
    assert!(search(&whole, &["--resume"]).status.success());
    assert_eq!(fs::read(whole.join("summary.json")).unwrap(), before);
    let message = failed(&search(&whole, &[]));
    assert_eq!(message, format!("`{}` exists; use --resume to go on or --force to start anew", whole.display()));
    let message = failed(&search(&whole, &["--resume", "--set", "objective.lambda=0.7"]));
    assert!(message.contains("the folder was made by another job than this one"), "{message}");
}

/// The history without what a clock says.
fn timeless(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let without = |mut record: Value| {
        record.as_object_mut().unwrap().remove("seconds");
        record
    };
    records.map(without).collect()
}

/// The records of a kind in a history.
fn records(out: &Path, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|record| record["record"] == kind).collect()
}

fn warnings(out: &Path) -> Vec<String> {
    let summary = json(out.join("summary.json"));
    summary["warnings"]
        .as_array()
        .map_or_else(Vec::new, |all| all.iter().map(|w| w.as_str().unwrap().to_owned()).collect())
}

#[cfg(debug_assertions)]
#[test]
fn a_run_killed_in_the_middle_of_any_write_goes_on_to_the_same_bytes() {
    let (_whole, whole) = folder();
    assert!(search(&whole, &[]).status.success());
    let (_kept, out) = folder();
    // A sitting writes its environment, the job and the history it goes on with, then tensors and state after each step.
    let moments = [
        "torn:4",
        "renamed:4",
        "torn:5",
        "renamed:5",
        "begun:6",
        "written:7",
        "line-torn:1",
        "line:1",
        "torn:3",
        "line-torn:2",
    ];
    for moment in moments {
        let mut killed = command("search-spaces/demo.yaml", &out, &["--checkpoint-seconds", "0", "--resume"]);
        let status = killed.env("SYSTOLE_DIE_AT", moment).output().unwrap().status;
        assert_eq!(status.code(), None, "{moment} is reached");
    }
    let resumed = search(&out, &["--resume"]);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    for file in ["network.yaml", "weights.safetensors", "architecture.yaml"] {
        assert!(fs::read(out.join(file)).unwrap() == fs::read(whole.join(file)).unwrap(), "{file}");
    }
    // Nothing twice, nothing lost, nothing left lying about.
    assert_eq!(timeless(&out), timeless(&whole));
    for folder in [out.clone(), out.join("checkpoint"), out.join("plots")] {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.starts_with(".unfinished-")).count(), 0);
    }
}

#[test]
fn a_run_that_goes_on_with_other_threads_and_precision_says_so() {
    let (_kept, out) = folder();
    stopped(&out, &["--set", "precision=f32"], "-TERM", 1);
    let other = ["--set", "precision=bf16", "--resume"];
    let mut go_on = with_threads("2", "search-spaces/demo.yaml", &out, &other);
    let output = go_on.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    for change in ["threads 2, having begun with 1", "precision bf16, having begun with f32"] {
        let sentence = format!("the run went on with {change}: it may end in other bits than one without a stop");
        assert!(told.contains(&format!("warning: {sentence}\n")), "{told}");
        assert!(warnings(&out).contains(&sentence), "{:?}", warnings(&out));
    }
}

#[test]
fn a_rank_check_that_was_stopped_comes_to_the_same_figures() {
    let check = ["--rank-check", "3", "--set", "training.rank-check-epochs=2", "--checkpoint-seconds", "0"];
    let (_whole, whole) = folder();
    let output = search(&whole, &check);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(whole.join("rank-check.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let stages = value["stages"].as_array().unwrap();
    assert_eq!((value["epochs"].as_u64(), stages.len()), (Some(2), 2));
    for (stage, summary) in stages.iter().zip(json(whole.join("summary.json"))["rank_check"].as_array().unwrap()) {
        assert_eq!(stage["correlation"], summary["correlation"]);
        assert_eq!((stage["correlation"]["n"].as_u64(), stage["networks"].as_array().unwrap().len()), (Some(3), 3));
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("operators ranked Spearman "));
    // After the fourth line, that of the last epoch of the search, the networks are trained one after the other.
    let (_kept, out) = folder();
    let ended = stopped(&out, &check, "-TERM", 4);
    assert_eq!(ended.status.code(), Some(130));
    let resumed = search(&out, &[&check[..], &["--resume"]].concat());
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_eq!(fs::read_to_string(out.join("rank-check.json")).unwrap(), text);
    assert!(fs::read(out.join("weights.safetensors")).unwrap() == fs::read(whole.join("weights.safetensors")).unwrap());
}

#[test]
fn a_loss_that_is_no_number_twice_ends_the_run_and_leaves_a_folder() {
    // A rate of 100 on a decay of 1 multiplies every weight by 99 in each step, one of 50 by 49.
    let wild =
        |part: &str| ["learning-rate=100", "weight-decay=1", "clip=1e9"].map(|setting| format!("{part}.{setting}"));
    let run = |settings: &[String]| {
        let (kept, out) = folder();
        let further: Vec<&str> = settings.iter().flat_map(|set| ["--set", set.as_str()]).collect();
        let message = failed(&search(&out, &further));
        let again = failed(&search(&out, &[&further[..], &["--resume"]].concat()));
        assert!(
            again.contains("the run ended since its loss was not finite, also with half the learning rates"),
            "{again}"
        );
        (kept, out, message)
    };
    let left = |out: &Path, stage: &str| {
        assert!(out.join("network.yaml").exists() && out.join("spec.yaml").exists());
        assert_eq!(json(out.join("summary.json"))["stop_reason"], "not-finite");
        let rollbacks = records(out, "rollback");
        assert_eq!(rollbacks.len(), 1);
        assert_eq!(
            (&rollbacks[0]["not_finite"]["stage"], &rollbacks[0]["learning_rate_factor"]),
            (&stage.into(), &0.5.into())
        );
        assert!(warnings(out).iter().any(|warning| warning.starts_with("the loss was not finite in ")));
    };
    let mut training = wild("training").to_vec();
    training.push("training.epochs=30".to_owned());
    let (_kept, out, message) = run(&training);
    assert!(message.starts_with("the loss is not finite in epoch"), "{message}");
    assert!(message.ends_with("try a lower `training.learning-rate`"), "{message}");
    left(&out, "train");
    assert_eq!(records(&out, "epoch").len(), 4);
    let mut searching = wild("search.weights").to_vec();
    searching.push("search.operators.epochs=30".to_owned());
    let (_kept, out, message) = run(&searching);
    assert!(message.starts_with("the loss is not finite in stage `"), "{message}");
    assert!(message.ends_with("try a lower `search.weights.learning-rate`"), "{message}");
    left(&out, "operators");
}

#[test]
fn a_target_of_half_the_latency_is_kept_and_told() {
    let untrained = ["--set", "training.epochs=0"];
    let (_free, free) = folder();
    assert!(search(&free, &untrained).status.success());
    let summary = json(free.join("summary.json"));
    assert!(summary.get("targets").is_none());
    let half = summary["latency_ms"].as_f64().unwrap() / 2.0;
    let target = format!("objective.targets.latency-ms=<= {half}");
    let held = [&untrained[..], &["--set", &target]].concat();
    let (_kept, out) = folder();
    let output = search(&out, &held);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = told.lines().find_map(|line| line.strip_prefix("target           latency-ms <= ")).expect("it is told");
    assert!(line.starts_with(&half.to_string()) && line.ends_with(" to spare"), "{line}");
    let summary = json(out.join("summary.json"));
    let result = &summary["targets"][0];
    assert_eq!(
        (&result["metric"], &result["relation"], &result["met"]),
        (&"latency-ms".into(), &"<=".into(), &true.into())
    );
    // The hardware batch of the job is 1.
    assert_eq!(result["value"], summary["latency_ms"]);
    assert_eq!(result["target"].as_f64().unwrap(), half);
    assert!(result["value"].as_f64().unwrap() <= half);
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let epochs: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(epochs[2]["targets"][0]["target"].as_f64().unwrap(), half);
    // Stopped in the operator stage it has a network that keeps the target, and goes on to the same bytes.
    let (_stopped, stopped_out) = folder();
    assert_eq!(stopped(&stopped_out, &held, "-INT", 1).status.code(), Some(130));
    assert_eq!(json(stopped_out.join("summary.json"))["targets"][0]["met"], true);
    assert!(search(&stopped_out, &[&held[..], &["--resume"]].concat()).status.success());
    for file in ["network.yaml", "architecture.yaml"] {
        assert!(fs::read(out.join(file)).unwrap() == fs::read(stopped_out.join(file)).unwrap(), "{file} differs");
    }
}

#[test]
fn a_target_that_no_network_keeps_ends_in_the_cheapest_and_exit_code_1() {
    let (_kept, out) = folder();
    let output = search(&out, &["--set", "training.epochs=0", "--set", "objective.targets.params=<= 1"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let [told, notes] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let params = json(out.join("summary.json"))["params"].as_u64().unwrap();
    assert!(told.contains(&format!("params <= 1: {params}.000000, missed by {}.000000", params - 1)), "{told}");
    let line = "no network of the space keeps the targets; of the cheapest params <= 1 is missed by";
    assert!(notes.contains(line), "{notes}");
}

#[test]
fn a_target_is_read_with_the_job() {
    let (_kept, out) = folder();
    let refused = |set: &str| failed(&search(&out, &["--set", set]));
    let message = refused("objective.targets.utilization=<= 0.5");
    assert!(
        message.ends_with("utilization: a target on it says at least, must be `>= NUMBER`, got `<= 0.5`"),
        "{message}"
    );
    let message = refused("objective.targets.energy-uj=<= 0.5");
    assert!(message.ends_with("which `small-32x32` does not have"), "{message}");
    let message = refused("objective.targets.flops=<= 0.5");
    assert!(message.contains("unknown field `flops`, expected one of latency-ms"), "{message}");
}

/// Two cells whose output is the concatenation of their nodes; the second reads the first through its preprocess.
const CONCATENATION: &str = "version: 1
name: concatenation
data: { set: shapes, training: 256, selection: 128 }
accelerator: small-32x32
space:
  stem: [conv: { kernel: 3, width: 8, stride: 4 }]
  body:
    cells:
      inputs: [a]
      preprocess: { kernel: 1 }
      nodes: [{ name: t1, from: [a] }, { name: t2, from: [t1, a] }]
      output: [t1, t2]
      candidates: [conv: { kernel: 3 }, max-pool: { kernel: 3 }, identity, zero]
      width: { min: 4, max: 12, step: 4 }
      stack: [cells: { count: 2 }]
  classifier: global-pool
objective: { lambda: 0.1, targets: { peak-activation-kib: \"<= 4\" } }
search: { operators: { epochs: 2 }, widths: { epochs: 2 } }
training: { epochs: 2 }
";

#[test]
fn a_search_over_concatenations_derives_what_its_run_folder_says() {
    let (kept, out) = folder();
    let job = kept.path().join("job.yaml");
    fs::write(&job, CONCATENATION).unwrap();
    let output = command(job.to_str().unwrap(), &out, &[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let network = fs::read_to_string(out.join("network.yaml")).unwrap();
    assert!(network.contains("cell1/out/concat"), "{network}");
    let (summary, estimate) = (json(out.join("summary.json")), json(out.join("estimate.json")));
    assert_eq!(summary["cycles"], estimate[0]["total"]["cycles"]);
    // Choices have a width in the history, concatenations have none of their own.
    let epochs = records(&out, "epoch");
    let widths = epochs.iter().rev().find_map(|epoch| epoch["widths"].as_object().filter(|widths| !widths.is_empty()));
    let names: Vec<&String> = widths.unwrap().keys().collect();
    assert_eq!(names, ["cell0/a", "cell0/t1", "cell0/t2", "cell1/a", "cell1/t1", "cell1/t2"]);
    // The resolved job and the architecture are read as they were written.
    let (spec, architecture) = (out.join("spec.yaml"), out.join("architecture.yaml"));
    let checked =
        Command::new(env!("CARGO_BIN_EXE_systole")).arg("check").args([&spec, &architecture]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let (_other, second) = folder();
    let evolution = "search.evolution={ population: 4, sample: 2, evaluations: 6 }";
    let further = ["--set", "search.method=evolution", "--set", evolution];
    let output = command(spec.to_str().unwrap(), &second, &further).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_search_over_joins_that_project_derives_what_its_run_folder_says() {
    let (kept, out) = folder();
    let job = kept.path().join("job.yaml");
    let text = CONCATENATION
        .replace("      output: [t1, t2]\n", "      join: project\n")
        .replace("[t1, a] }]", "[t1, a] }, { name: t3, from: [t2, a] }]");
    fs::write(&job, &text).unwrap();
    let output = command(job.to_str().unwrap(), &out, &["--rank-check", "4"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (summary, estimate) = (json(out.join("summary.json")), json(out.join("estimate.json")));
    assert_eq!(summary["cycles"], estimate[0]["total"]["cycles"]);
    // Every edge has a width in the history, nodes have none of their own.
    let epochs = records(&out, "epoch");
    let widths = epochs.iter().rev().find_map(|epoch| epoch["widths"].as_object().filter(|widths| !widths.is_empty()));
    let edges = ["a", "t1/a", "t2/a", "t2/t1", "t3/a", "t3/t2"];
    let wanted: Vec<String> = [0, 1].iter().flat_map(|cell| edges.map(|edge| format!("cell{cell}/{edge}"))).collect();
    assert_eq!(widths.unwrap().keys().cloned().collect::<Vec<_>>(), wanted);
    let (spec, architecture) = (out.join("spec.yaml"), out.join("architecture.yaml"));
    let checked =
        Command::new(env!("CARGO_BIN_EXE_systole")).arg("check").args([&spec, &architecture]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let (_other, second) = folder();
    let evolution = "search.evolution={ population: 4, sample: 2, evaluations: 6 }";
    let further = ["--set", "search.method=evolution", "--set", evolution];
    let output = command(spec.to_str().unwrap(), &second, &further).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let refused = search_refused(job.to_str().unwrap(), "search.widths={ epochs: 2, policy: dynamic }");
    assert!(refused.contains("policy: dynamic needs a space whose joins have one width"), "{refused}");
}

/// What a job says that is refused with `key` set.
fn search_refused(job: &str, key: &str) -> String {
    let (_kept, out) = folder();
    let output = command(job, &out, &["--set", key]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    failed(&output)
}

/// Sizes are part of what is kept: a run whose widths grow and shrink goes on in the middle of its width stage.
#[test]
fn a_dynamic_allocation_goes_on_to_the_same_bytes() {
    let (kept, whole) = folder();
    let job = kept.path().join("job.yaml");
    fs::write(&job, CONCATENATION).unwrap();
    let job = job.to_str().unwrap();
    let eager =
        "search.widths={ epochs: 3, warm-up-epochs: 1, policy: dynamic, dynamic: { check-every: 1, start: 8 } }";
    let dynamic = ["--set", eager, "--set", "objective.lambda=0"];
    assert!(command(job, &whole, &dynamic).output().unwrap().status.success());
    let epochs = records(&whole, "epoch");
    let allocations: Vec<&Value> = epochs.iter().map(|epoch| &epoch["allocation"]).filter(|a| a.is_object()).collect();
    assert_eq!(allocations.len(), 3, "one in each epoch of the width stage");
    let decided = |kind: &str| {
        let decisions = allocations.iter().filter_map(|allocation| allocation["decisions"].as_array()).flatten();
        decisions.filter(|decision| decision["kind"] == kind).count()
    };
    assert!(decided("grow") > 0, "what costs nothing grows");
    for (signal, lines) in [("-KILL", 3), ("-TERM", 3), ("-TERM", 4)] {
        let (_kept, out) = folder();
        let mut child = command(job, &out, &dynamic).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        after_lines(&mut child, &out, lines);
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        child.wait().unwrap();
        let resumed = command(job, &out, &[&dynamic[..], &["--resume"]].concat()).output().unwrap();
        assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
        for file in ["network.yaml", "weights.safetensors"] {
            let [found, wanted] = [&out, &whole].map(|folder| fs::read(folder.join(file)).unwrap());
            assert!(found == wanted, "{file} after {signal} at {lines} lines");
        }
        assert_eq!(timeless(&out), timeless(&whole));
    }
}

#[test]
fn a_loss_that_is_huge_and_finite_is_warned_of() {
    let (_kept, out) = folder();
    let output = search(&out, &["--set", "training.learning-rate=100", "--set", "training.clip=1e9"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let diverged = "the training diverged: its last epoch has a training loss of ";
    assert!(told.contains(&format!("\nwarning: {diverged}")), "{told}");
    let warnings = warnings(&out);
    let found: Vec<&String> = warnings.iter().filter(|warning| warning.starts_with(diverged)).collect();
    assert!(found.len() == 1 && found[0].ends_with("try a lower `training.learning-rate`"), "{warnings:?}");
}

#[test]
fn what_the_environment_lacks_is_named_with_its_cure() {
    let (kept, out) = folder();
    let output = search(&out, &["--device", "cuda:3", "--data", "nowhere"]);
    let message = failed(&output);
    assert!(message.starts_with("device cuda:3: ") && message.contains("libtorch_cuda.so"), "{message}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("warning: --data nowhere is not used: the data set shapes is built in\n"), "{told}");
    let cifar = |further: &[&str]| {
        let mut args = vec!["search", "search-spaces/cifar10-small.yaml", "--out", out.to_str().unwrap()];
        args.extend(further);
        Command::new(env!("CARGO_BIN_EXE_systole")).current_dir(root()).args(args).output().unwrap()
    };
    assert!(failed(&cifar(&[])).contains("data set cifar10 needs its files: give --data DIR"));
    let mut mnasnet = Command::new(env!("CARGO_BIN_EXE_systole"));
    mnasnet.current_dir(root()).args(["search", "search-spaces/mnasnet.yaml", "--out", out.to_str().unwrap()]);
    let message = failed(&mnasnet.output().unwrap());
    assert!(message.contains("the space is made for [3, 224, 224] images of 1000 classes"), "{message}");
    let absent = kept.path().join("nowhere");
    assert!(failed(&cifar(&["--data", absent.to_str().unwrap()])).contains(absent.to_str().unwrap()));
    let file = kept.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("run");
    let message = failed(&search(&below, &[]));
    assert!(message.contains(below.to_str().unwrap()), "{message}");
}

/// The keys of a run of `method` in a few seconds.
fn baseline(method: &str) -> Vec<String> {
    let own: &[&str] = match method {
        "random" => &["random={ budget: { networks: 3 }, epochs: 1 }"],
        "synflow" => &["synflow.budget.networks=12"],
        "evolution" => &["evolution={ population: 4, sample: 2, evaluations: 10 }", "operators.epochs=1"],
        _ => &["operators.epochs=1", "widths.epochs=1", "operators.warm-up-epochs=0"],
    };
    let mut keys = vec!["training.epochs=1".to_owned(), format!("search.method={method}")];
    keys.extend(own.iter().map(|key| format!("search.{key}")));
    if method == "evolution" {
        keys.push("search.operators.warm-up-epochs=0".to_owned());
    }
    keys.into_iter().flat_map(|key| ["--set".to_owned(), key]).collect()
}

#[test]
fn every_method_leaves_the_same_folder() {
    for method in ["darts", "gdas", "random", "synflow", "evolution"] {
        let (_kept, out) = folder();
        let keys = baseline(method);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let output = search(&out, &keys);
        assert!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
        for file in ["architecture.yaml", "network.yaml", "weights.safetensors", "plots/history.png"] {
            assert!(out.join(file).exists(), "{method}: {file}");
        }
        let summary = json(out.join("summary.json"));
        assert_eq!((&summary["method"], &summary["stop_reason"]), (&method.into(), &"epoch-limit".into()));
        let candidates = records(&out, "candidate");
        let wanted = match method {
            "random" => 3,
            "synflow" => 12,
            "evolution" => 10,
            _ => 0,
        };
        assert_eq!(candidates.len(), wanted, "{method}");
        assert_eq!(out.join("plots/candidates.png").exists(), wanted > 0, "{method}");
        let latency = summary["hardware_batch_latency_ms"].as_f64().unwrap();
        if method == "random" || method == "evolution" {
            // The network found is the candidate of the lowest objective, at its exact latency.
            let objective = |record: &&Value| record["objective"].as_f64().unwrap();
            let best = candidates.iter().min_by(|a, b| objective(a).total_cmp(&objective(b))).unwrap();
            assert_eq!(best["latency_ms"].as_f64().unwrap(), latency);
        }
        if method == "synflow" {
            assert!(candidates.iter().all(|record| record["score"].is_f64() && record["accuracy"].is_null()));
            assert!(candidates.iter().any(|record| record["latency_ms"].as_f64() == Some(latency)));
        }
        // One epoch of each stage for its logits, two stages' worth for the single paths of the supernet.
        let epochs = records(&out, "epoch");
        let stages: Vec<&str> = epochs.iter().map(|record| record["stage"].as_str().unwrap()).collect();
        match method {
            "darts" | "gdas" => assert_eq!(stages, ["operators", "widths"]),
            "evolution" => assert_eq!(stages, ["supernet"; 3]),
            _ => assert!(stages.is_empty()),
        }
    }
}

#[test]
fn a_stopped_list_goes_on_to_the_same_bytes() {
    // Random search in its second network; evolution in its supernet, and among its candidates.
    for (method, stops) in [("random", &[("-TERM", 1)][..]), ("evolution", &[("-KILL", 1), ("-INT", 5)])] {
        let keys = baseline(method);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (_whole, whole) = folder();
        assert!(search(&whole, &keys).status.success());
        for &(signal, lines) in stops {
            let (_kept, out) = folder();
            stopped(&out, &keys, signal, lines);
            let resumed = search(&out, &[&keys[..], &["--resume"]].concat());
            assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
            for file in ["network.yaml", "weights.safetensors", "architecture.yaml"] {
                let same = fs::read(out.join(file)).unwrap() == fs::read(whole.join(file)).unwrap();
                assert!(same, "{method} {lines} {file}");
            }
            let verdicts = |out: &Path| -> Vec<[Value; 4]> {
                let fields = ["number", "parent", "objective", "operators"];
                records(out, "candidate").iter().map(|record| fields.map(|field| record[field].clone())).collect()
            };
            assert_eq!(verdicts(&out), verdicts(&whole), "{method} {lines}");
        }
    }
    // A list that was damaged is an error with the cure.
    let (_kept, out) = folder();
    let keys = baseline("random");
    let keys: Vec<&str> =
        [keys.iter().map(String::as_str).collect(), vec!["--set", "search.random.budget={ networks: 500 }"]].concat();
    stopped(&out, &keys, "-TERM", 1);
    fs::write(out.join("checkpoint/candidates.json"), "{\"supernet_epochs\": 0").unwrap();
    let message = failed(&search(&out, &[&keys[..], &["--resume"]].concat()));
    assert!(message.contains("candidates.json:") && message.ends_with("start anew with --force, or use another --out"));
}

#[test]
fn a_batch_that_does_not_fit_goes_through_in_parts_and_one_that_never_fits_is_refused() {
    let (kept, out) = folder();
    let short = [
        "search.batch=128",
        "search.operators.epochs=1",
        "search.operators.warm-up-epochs=0",
        "search.operators.paths=full",
        "search.widths.epochs=1",
        "training.epochs=0",
    ];
    let short: Vec<&str> = short.iter().flat_map(|set| ["--set", set]).collect();
    let output = search(&out, &short);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let memory = &json(out.join("environment.json"))["memory"];
    assert_eq!(memory["micro_batches"], serde_json::json!([128, 128]));
    let bytes = |key: &str| memory[key].as_u64().unwrap();
    let measured = json(out.join("summary.json"))["search_peak_memory_bytes"].as_u64().unwrap();
    assert!(bytes("present_bytes") < measured, "{memory} {measured}");
    // Room for all but half of the activations.
    let limit = format!("search.memory-limit-mib={}", (bytes("peak_bytes") - bytes("activations_bytes") / 2) >> 20);
    let second = kept.path().join("second");
    let output = search(&second, &[&short[..], &["--set", &limit]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("takes its batches of 128 in parts of "), "{told}");
    let parts = &json(second.join("environment.json"))["memory"]["micro_batches"];
    assert!(parts.as_array().unwrap().iter().any(|part| part.as_u64().unwrap() < 128), "{parts}");
    // Parts have batch norms of their own, so the run is another.
    let history = |out: &Path| fs::read_to_string(out.join("history.jsonl")).unwrap();
    let loss =
        |out: &Path| serde_json::from_str::<Value>(history(out).lines().next().unwrap()).unwrap()["train_loss"].clone();
    assert_ne!(loss(&out), loss(&second));
    let third = kept.path().join("third");
    let message = failed(&search(&third, &[&short[..], &["--set", "search.memory-limit-mib=20"]].concat()));
    assert!(
        message.contains("memory: stage `") && message.contains("20 MiB is `search.memory-limit-mib`"),
        "{message}"
    );
    assert!(!third.exists());
}

/// `systole sweep` over a small demonstration in the folder `out`: two weights of latency, two seeds.
fn sweep(out: &Path, further: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
    command.current_dir(root()).args(["sweep", "search-spaces/demo.yaml", "--seeds", "0,1", "--threads", "1", "--out"]);
    command.arg(out);
    for set in SMALL {
        command.args(["--set", set]);
    }
    command.args(further).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_sweep_that_was_stopped_goes_on_to_the_same_runs_and_names_the_one_that_fails() {
    let (_kept, out) = folder();
    let grid = ["--grid", "objective.lambda=0.02,0.3", "--jobs", "2"];
    let child = sweep(&out, &grid).spawn().expect("the command starts");
    let first = out.join("lambda-0.02_s0");
    let began = Instant::now();
    while fs::read_to_string(first.join("history.jsonl")).map_or(0, |text| text.lines().count()) < 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "no second line");
        sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let stopped = child.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(130), "{}", String::from_utf8_lossy(&stopped.stderr));
    assert_eq!(json(first.join("summary.json"))["stop_reason"], "interrupted");
    // No process of it is left: each folder is free.
    for entry in fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        assert_eq!(systole::record::holder(&entry), None, "{}", entry.display());
    }
    // A folder that is no run's: that one fails, the others come to their ends.
    let foreign = out.join("lambda-0.3_s1");
    assert!(!foreign.exists(), "two of four had begun");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("notes.txt"), "").unwrap();
    let resumed = sweep(&out, &grid).output().unwrap();
    let told = String::from_utf8_lossy(&resumed.stdout).into_owned();
    assert_eq!(resumed.status.code(), Some(1), "{}", String::from_utf8_lossy(&resumed.stderr));
    let failure =
        told.lines().find(|line| line.starts_with("lambda-0.3_s1: failed (exit code 2), see ")).expect("told");
    assert!(failure.contains("is not a run folder: it holds `notes.txt`"), "{failure}");
    let summary = json(out.join("summary.json"));
    assert_eq!((&summary["finished"], &summary["runs"]), (&3.into(), &4.into()));
    fs::remove_dir_all(&foreign).unwrap();
    let last = sweep(&out, &[&grid[..], &["--json"]].concat()).output().unwrap();
    assert_eq!(last.status.code(), Some(0), "{}", String::from_utf8_lossy(&last.stderr));
    let printed: Value = serde_json::from_slice(&last.stdout).unwrap();
    assert_eq!(printed, json(out.join("summary.json")));
    assert_eq!((&printed["finished"], &printed["fronts"][0]["points"].as_array().unwrap().len()), (&4.into(), &4));
    // The run that was stopped is that of a plain search.
    let (_plain, plain) = folder();
    assert!(search(&plain, &["--set", "objective.lambda=0.02"]).status.success());
    for file in ["weights.safetensors", "network.yaml"] {
        assert!(fs::read(first.join(file)).unwrap() == fs::read(plain.join(file)).unwrap(), "{file} differs");
    }
}
