//! Sweeps whose runs are a stand-in: a script that leaves a run's folder, fails or waits as it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::jobs::progress::Progress;

/// Takes `--out`, `--seed` and `--set`; writes what it was called with into `calls`. A lambda of 0.3 fails until there
/// is a file `cured`; while there is a file `slow` a run waits to be stopped.
const STAND_IN: &str = r#"#!/bin/sh
above=$(dirname "$0")
while [ $# -gt 0 ]; do
  case "$1" in --out) out="$2"; shift;; --seed) seed="$2"; shift;; --set) set="$2"; shift;; esac
  shift
done
mkdir -p "$out"
echo "${out##*/} $SYSTOLE_SWEEP_PROCESS" >> "$above/calls"
if [ "$set" = objective.lambda=0.3 ] && [ ! -e "$above/cured" ]; then
  echo "a line before"; echo "error: the stand-in fails" >&2; exit 2
fi
if [ -e "$above/slow" ]; then
  trap 'echo "name: x" > "$out/spec.yaml"; exit 130' TERM
  touch "$above/begun"
  while :; do sleep 0.02; done
fi
cat > "$out/summary.json" <<END
{"name": "demo", "seed": $seed, "stop_reason": "epoch-limit", "search_seconds": 3, "train_seconds": 1, "peak_memory_bytes": 7,
 "accuracy": {"validation": null, "test": 0.${seed}5}, "accelerator": "small-32x32", "latency_ms": 0.${seed}1,
 "mapping_utilization": 0.5, "overall_utilization": null, "macs": 9, "params": 3}
END
"#;

/// Remembers what was said, and stops when a file is there.
struct Watch {
    said: Vec<String>,
    stop: PathBuf,
}

impl Progress for Watch {
    fn begin(&mut self, phase: &str, steps: u64, done: u64) {
        self.said.push(format!("{phase} {done}/{steps}"));
    }

    fn step(&mut self) {}

    fn say(&mut self, line: &str) {
        self.said.push(line.to_owned());
    }

    fn interrupted(&self) -> bool {
        self.stop.exists()
    }

    fn seconds(&self) -> f64 {
        0.0
    }
}

struct Place {
    above: TempDir,
}

impl Place {
    fn new() -> Self {
        let above = tempfile::tempdir().unwrap();
        let program = above.path().join("stand-in");
        fs::write(&program, STAND_IN).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(above.path().join("job.yaml"), include_str!("../../../search-spaces/demo.yaml")).unwrap();
        Self { above }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.above.path().join(name)
    }

    fn request(&self, grid: &[&str], seeds: &[u64]) -> SweepRequest {
        SweepRequest {
            job: self.file("job.yaml"),
            grid: grid.iter().map(|&text| text.to_owned()).collect(),
            seeds: seeds.to_vec(),
            jobs: Some(2),
            out: Some(self.file("out")),
            ..SweepRequest::default()
        }
    }

    fn prepare(&self, grid: &[&str], seeds: &[u64]) -> Sweep {
        Sweep::prepare(&self.request(grid, seeds)).unwrap()
    }

    fn refused(&self, grid: &[&str], seeds: &[u64]) -> String {
        Sweep::prepare(&self.request(grid, seeds)).unwrap_err().to_string()
    }

    fn run(&self, sweep: &Sweep) -> (Records, Vec<String>) {
        let mut watch = Watch { said: Vec::new(), stop: self.file("begun") };
        let records = sweep.run(&self.file("stand-in"), &mut watch).unwrap();
        (records, watch.said)
    }

    /// Names of the runs that were started since the last time, sorted.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file("calls")).unwrap_or_default();
        let _none = fs::remove_file(self.file("calls"));
        let own = std::process::id().to_string();
        let name = |line: &str| {
            let (name, process) = line.split_once(' ').unwrap();
            assert_eq!(process, own);
            name.to_owned()
        };
        let mut names: Vec<String> = text.lines().map(name).collect();
        names.sort();
        names
    }
}

const GRID: [&str; 1] = ["objective.lambda=0.02,0.3"];

#[test]
fn a_failed_run_stops_no_other_and_is_tried_again_alone() {
    let place = Place::new();
    let (records, said) = place.run(&place.prepare(&GRID, &[1, 2]));
    let states: Vec<&str> = records.runs.iter().map(|run| run.state.name()).collect();
    assert_eq!(states, ["finished", "failed", "finished", "failed"]);
    let Failure { run, how, log, last_line } = &records.summary.failed[0];
    let told = [run, how, log, last_line].map(String::as_str);
    assert_eq!(told, ["lambda-0.3_s1", "exit code 2", "logs/lambda-0.3_s1.log", "error: the stand-in fails"]);
    let line = said.iter().find(|line| line.starts_with("lambda-0.3_s1: failed (exit code 2), see ")).unwrap();
    assert!(line.contains("logs/lambda-0.3_s1.log: error: the stand-in fails; "), "{line}");
    assert_eq!(place.calls().len(), 4);
    // Mean of 0.15 and 0.25; deviation of +-0.05 about it: sqrt(2 * 0.0025 / 1).
    let spread = records.summary.points[0].test_accuracy.unwrap();
    assert!((spread.mean - 0.2).abs() < 1e-12 && (spread.deviation.unwrap() - 0.005f64.sqrt()).abs() < 1e-12);
    let csv = fs::read_to_string(place.file("out/runs.csv")).unwrap();
    assert!(csv.starts_with("run,objective.lambda,seed,state,on_front,test_accuracy,"), "{csv}");
    assert!(csv.contains("\nlambda-0.02_s1,0.02,1,finished,true,0.15,,0.11,0.5,,,,9,3,3,1,7,small-32x32,\n"), "{csv}");
    assert!(csv.contains("\nlambda-0.3_s2,0.3,2,failed,,,"), "{csv}");
    // Of two points neither of which is better in both, both are on the front, named as the runs.
    assert_eq!(records.summary.fronts[0].names(), ["lambda-0.02_s1", "lambda-0.02_s2"]);
    for file in ["front.csv", "front.svg", "front.png", "summary.json", "sweep.json", "job.yaml"] {
        assert!(place.file("out").join(file).exists(), "{file}");
    }
    // The failure is still told where nothing is run, and the call without a grid goes on with the plan.
    assert_eq!(place.prepare(&[], &[]).records(), records);
    fs::write(place.file("cured"), "").unwrap();
    let (records, said) = place.run(&place.prepare(&[], &[]));
    assert_eq!((said[0].as_str(), records.summary.finished, records.summary.failed.len()), ("sweep 2/4", 4, 0));
    assert_eq!(place.calls(), ["lambda-0.3_s1", "lambda-0.3_s2"]);
    // Finished: nothing is started.
    let (again, _) = place.run(&place.prepare(&GRID, &[1, 2]));
    assert_eq!((again, place.calls()), (records, vec![]));
}

#[test]
fn a_stop_is_passed_on_waited_for_and_gone_on_from() {
    let place = Place::new();
    fs::write(place.file("slow"), "").unwrap();
    let sweep = place.prepare(&["objective.lambda=0.02,0.08"], &[1, 2]);
    let (records, said) = place.run(&sweep);
    assert!(said.iter().any(|line| line.starts_with("stopping: waiting for ")), "{said:?}");
    let begun = place.calls();
    assert!((1..=2).contains(&begun.len()), "{begun:?}");
    // A run that was stopped before it could listen is no failure either.
    assert_eq!((records.summary.failed.len(), records.summary.finished), (0, 0));
    assert_eq!(records.summary.interrupted.len() + records.summary.waiting.len(), 4);
    fs::remove_file(place.file("slow")).unwrap();
    fs::remove_file(place.file("begun")).unwrap();
    let (records, _) = place.run(&sweep_again(&place));
    assert_eq!((records.summary.finished, place.calls().len()), (4, 4));
}

fn sweep_again(place: &Place) -> Sweep {
    place.prepare(&["objective.lambda=0.02,0.08"], &[1, 2])
}

#[test]
fn a_folder_that_another_process_holds_is_waited_for() {
    let place = Place::new();
    drop(place.prepare(&["objective.lambda=0.02"], &[1]).open().unwrap());
    let sweep = place.prepare(&[], &[]);
    let folder = place.file("out/lambda-0.02_s1");
    fs::create_dir_all(&folder).unwrap();
    let held = lock(&folder).unwrap();
    let free = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
        Instant::now()
    });
    let (records, said) = place.run(&sweep);
    assert!(free.join().unwrap() <= Instant::now());
    assert!(said[1].starts_with(&format!("lambda-0.02_s1: process {} is at it", std::process::id())), "{said:?}");
    assert_eq!((records.summary.finished, place.calls().len()), (1, 1));
}

#[test]
fn a_sweep_that_is_held_refuses_another_and_a_folder_of_something_else_is_left_alone() {
    let place = Place::new();
    let sweep = place.prepare(&GRID, &[]);
    let opened = sweep.open().unwrap();
    let message = sweep.open().unwrap_err().to_string();
    assert!(message.contains("is in use by process"), "{message}");
    drop(opened);
    // The plan that was prepared before the folder had one is not written over it.
    let message = sweep.open().unwrap_err().to_string();
    assert!(message.ends_with("another call has changed the plan at this moment; repeat this one"), "{message}");
    fs::remove_dir_all(place.file("out")).unwrap();
    fs::create_dir(place.file("out")).unwrap();
    fs::write(place.file("out/notes.txt"), "").unwrap();
    let message = place.refused(&GRID, &[]);
    assert!(message.contains("is not the folder of a sweep: it holds `notes.txt` and no sweep.json"), "{message}");
}

#[test]
fn another_sweep_in_the_folder_is_refused_with_what_differs_and_more_runs_are_added() {
    let place = Place::new();
    fs::write(place.file("cured"), "").unwrap();
    place.run(&place.prepare(&GRID, &[1]));
    place.calls();
    let message = place.refused(&["objective.lambda=0.02"], &[1]);
    assert!(message.contains("holds another sweep: its run `lambda-0.3_s1` (objective.lambda=0.3, seed 1) is not"));
    let mut other = place.request(&GRID, &[1]);
    other.set = vec!["training.epochs=3".to_owned()];
    let message = Sweep::prepare(&other).unwrap_err().to_string();
    let differs = "its job has `training.epochs: 10`, that of this call `training.epochs: 3`";
    assert!(message.contains(differs), "{message}");
    let (records, said) = place.run(&place.prepare(&["objective.lambda=0.02,0.08,0.3"], &[1, 2]));
    assert_eq!((said[0].as_str(), records.summary.finished), ("sweep 2/6", 6));
    assert_eq!(place.calls(), ["lambda-0.02_s2", "lambda-0.08_s1", "lambda-0.08_s2", "lambda-0.3_s2"]);
}

#[test]
fn what_is_needed_is_named_before_anything_is_written() {
    let place = Place::new();
    let message = place.refused(&[], &[]);
    assert!(message.starts_with("a sweep needs --grid KEY=V,V,... or --seeds N,N,..."), "{message}");
    let mut request = place.request(&GRID, &[]);
    request.set = vec!["data.set=cifar10".to_owned()];
    let message = Sweep::prepare(&request).unwrap_err().to_string();
    assert!(message.starts_with("data set cifar10 needs its files"), "{message}");
    request.means.data = Some(place.file("nowhere"));
    let message = Sweep::prepare(&request).unwrap_err().to_string();
    assert!(message.ends_with("nowhere: there is no such file or folder"), "{message}");
    assert!(!place.file("out").exists());
}

#[test]
fn runs_are_told_how_to_run_and_later_calls_remember() {
    let place = Place::new();
    let mut request = place.request(&["search.operators.paths=[full, {sampled: 1}]"], &[4]);
    request.means =
        Means { data: Some(place.file("job.yaml")), device: Some("cpu".to_owned()), threads: Some(3), table: None };
    let sweep = Sweep::prepare(&request).unwrap();
    drop(sweep.open().unwrap());
    let later = Sweep::prepare(&place.request(&[], &[])).unwrap();
    let (out, data) = (place.file("out"), place.file("job.yaml"));
    let words = later.arguments(&later.plan().runs[1]);
    let expected = format!(
        "search {0}/job.yaml --set search.operators.paths={{\"sampled\":1}} --seed 4 --data {1} --device cpu --threads 3 --out \
         {0}/paths-sampled-1_s4 --resume",
        out.display(),
        data.display()
    );
    assert_eq!(words.join(" "), expected);
    // The job in the folder is read as that of the call.
    let kept = Job::load(&out.join(JOB), &Overrides::default()).unwrap();
    assert_eq!(kept.to_yaml(), later.base.to_yaml());
}

#[test]
fn runs_search_the_table_that_the_sweep_was_given_and_no_other_later() {
    let place = Place::new();
    let mut request = place.request(&["search.method=random,nsga-2"], &[4]);
    let table = |evaluations: u32, name: &str| TableMeans {
        file: place.file(name),
        evaluations,
        accuracy_column: None,
        reference: Some("0.5,2".to_owned()),
    };
    request.means.table = Some(table(90, "nowhere.csv"));
    let message = Sweep::prepare(&request).unwrap_err().to_string();
    assert!(message.starts_with("--table ") && message.ends_with("nowhere.csv: there is no such file"), "{message}");
    request.means.table = Some(table(90, "job.yaml"));
    drop(Sweep::prepare(&request).unwrap().open().unwrap());
    let later = Sweep::prepare(&place.request(&[], &[])).unwrap();
    let words = later.arguments(&later.plan().runs[1]).join(" ");
    let expected = format!("--table {} --evaluations 90 --reference 0.5,2 --out", place.file("job.yaml").display());
    assert!(words.contains("--set search.method=nsga-2 --seed 4") && words.contains(&expected), "{words}");
    request.means.table = Some(table(91, "job.yaml"));
    let message = Sweep::prepare(&request).unwrap_err().to_string();
    assert!(message.contains("--evaluations 90") && message.contains("--evaluations 91"), "{message}");
}

#[test]
fn runs_at_a_time_stay_within_cores_and_memory() {
    let place = Place::new();
    let mut sweep = place.prepare(&["objective.lambda=0.02,0.08,0.3"], &[1]);
    let known = |peak: u64| -> Known {
        let folder = tempfile::tempdir().unwrap();
        let memory = format!(
            r#"{{"peak_bytes":{peak},"present_bytes":0,"weights_bytes":0,"moments_bytes":0,"gradients_bytes":0,
            "activations_bytes":0,"workspace_bytes":0,"micro_batches":[]}}"#
        );
        let text =
            format!(r#"{{"version":"0","commit":null,"device":"cpu","threads":1,"libtorch":null,"memory":{memory}}}"#);
        fs::write(folder.path().join("environment.json"), text).unwrap();
        fs::write(folder.path().join("spec.yaml"), "").unwrap();
        Known::read(folder.path(), &sweep.work()[0])
    };
    let (large, small) = (known(600), known(300));
    sweep.jobs = None;
    sweep.plan.means.threads = Some(2);
    let admits = |cores: u32, memory: u64, knowns: [&Known; 2], going: &[usize], sweep: &mut Sweep| {
        sweep.machine = Machine { cores, memory: Some(Bytes(memory)) };
        let mut forecast = sweep.forecast();
        forecast.know(0, knowns[0].clone());
        forecast.know(1, knowns[1].clone());
        sweep.admits(&forecast, going, 2)
    };
    let nothing = Known::default();
    // One always starts; a second where the first has told what it takes, cores are left, and memory suffices.
    assert!(admits(1, 1, [&nothing, &nothing], &[], &mut sweep));
    assert!(!admits(8, 5000, [&nothing, &nothing], &[0], &mut sweep));
    assert!(admits(4, 1200, [&large, &nothing], &[0], &mut sweep));
    assert!(!admits(4, 1199, [&large, &nothing], &[0], &mut sweep));
    assert!(!admits(3, 1200, [&large, &nothing], &[0], &mut sweep));
    assert!(admits(6, 1500, [&large, &small], &[0, 1], &mut sweep));
    assert!(!admits(6, 1499, [&large, &small], &[0, 1], &mut sweep));
    sweep.plan.means.device = Some("cuda:0".to_owned());
    assert!(!admits(8, 5000, [&large, &small], &[0], &mut sweep));
    // What is asked for is done.
    sweep.jobs = Some(2);
    assert!(admits(1, 1, [&nothing, &nothing], &[0], &mut sweep));
    assert!(!admits(8, 5000, [&large, &small], &[0, 1], &mut sweep));
}

proptest! {
    #[test]
    fn threads_and_runs_at_a_time_never_exceed_the_cores(cores in 1u32..200, jobs in proptest::option::of(1u32..300), runs in 1usize..300) {
        let threads = Machine { cores, memory: None }.threads(jobs, runs);
        let at_once = jobs.unwrap_or(cores).min(u32::try_from(runs).unwrap());
        prop_assert!(threads >= 1 && (threads == 1 || threads * at_once <= cores));
        prop_assert!(threads * (at_once + 1) > cores || (threads + 1) * at_once > cores);
    }
}
