//! What a run will take, from what the runs of the sweep have taken: nothing is invented where nothing is known.

use std::collections::BTreeMap;

use crate::jobs::spec::Job;
use crate::record::{Environment, HistoryRecord, RunFolder, Stage, Summary, read_history, read_json};
use crate::search::methods::{Budget, Method};
use crate::units::Bytes;

/// What a run has to do: weight steps of each stage, or architectures to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    units: BTreeMap<Stage, u64>,
    /// Weight steps of an epoch of the search.
    search_steps: u64,
    /// Weight steps of an epoch of the final training.
    training_steps: u64,
    /// A search that lasts so long, s, whatever it does.
    seconds: f64,
}

impl Work {
    /// What a run of `job` has to do.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let steps = |images: u64, batch: u64| (images / batch.min(images).max(1)).max(1);
        let settings = &job.settings;
        let search_steps = steps(job.file.data.training.value, settings.batch);
        let (images, _) = job.file.learned();
        let training_steps = steps(images, job.file.training.batch.value);
        let operators = job.space.operators.iter().any(|choice| choice.candidates.len() > 1);
        let widths = job.space.widths.iter().any(|choice| choice.options.len() > 1);
        let of_operators = settings.operators.filter(|_| operators).map_or(0, |(stage, _)| stage.epochs);
        let of_widths = settings.widths.filter(|_| widths).map_or(0, |stage| stage.epochs);
        let epochs = |epochs: u32| u64::from(epochs) * search_steps;
        let mut seconds = 0.0;
        let mut count = |budget: Budget| match budget {
            Budget::Networks(networks) => u64::from(networks),
            Budget::Seconds(limit) => {
                seconds = limit;
                0
            }
        };
        let mut units = match settings.method {
            Method::Systole | Method::Darts { .. } | Method::Gdas => {
                vec![(Stage::Operators, epochs(of_operators)), (Stage::Widths, epochs(of_widths))]
            }
            Method::Random { budget, .. } | Method::Synflow { budget } => vec![(Stage::Candidates, count(budget))],
            Method::Evolution(evolution) => vec![
                (Stage::Supernet, epochs(of_operators + of_widths)),
                (Stage::Candidates, u64::from(evolution.evaluations)),
            ],
            // Against a table alone: [`Work::of_table`].
            Method::Nsga2 { .. } => Vec::new(),
        };
        units.push((Stage::Train, u64::from(job.training.epochs) * training_steps));
        let units = units.into_iter().filter(|(_, units)| *units > 0).collect();
        Self { units, search_steps, training_steps, seconds }
    }

    /// What a run has to do that makes so many evaluations in a table.
    #[must_use]
    pub fn of_table(evaluations: u32) -> Self {
        let units = BTreeMap::from([(Stage::Candidates, u64::from(evaluations))]);
        Self { units, search_steps: 1, training_steps: 1, seconds: 0.0 }
    }

    /// Stages with their units.
    #[must_use]
    pub fn units(&self) -> &BTreeMap<Stage, u64> {
        &self.units
    }

    /// Stage, units and seconds of a record.
    fn spent(&self, record: &HistoryRecord) -> Option<(Stage, Spent)> {
        let (stage, units, seconds) = match record {
            HistoryRecord::Epoch(epoch) => (Stage::from(epoch.stage), self.search_steps, epoch.seconds),
            HistoryRecord::Candidate(candidate) => (Stage::Candidates, 1, candidate.seconds),
            HistoryRecord::Train(epoch) => (Stage::Train, self.training_steps, epoch.seconds),
            HistoryRecord::Rollback(_) | HistoryRecord::End(_) => return None,
        };
        seconds.is_finite().then_some((stage, Spent { units, seconds }))
    }
}

/// Units that are done, and the time that they took, s.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Spent {
    units: u64,
    seconds: f64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.units += other.units;
        self.seconds += other.seconds;
    }
}

/// What the folder of a run tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    spent: BTreeMap<Stage, Spent>,
    /// Nothing until the run has written what it runs on.
    on: Option<On>,
    finished: bool,
}

/// What a run runs on.
#[derive(Debug, Clone, PartialEq)]
struct On {
    device: String,
    /// Memory at its fullest moment: as predicted, or as it was where nothing is predicted.
    peak: Option<Bytes>,
}

impl Known {
    /// What `folder`, of a run with `work` to do, tells; nothing of what cannot be read.
    #[must_use]
    pub fn read(folder: &std::path::Path, work: &Work) -> Self {
        let Ok(folder) = RunFolder::open(folder) else { return Self::default() };
        let mut spent: BTreeMap<Stage, Spent> = BTreeMap::new();
        for (stage, more) in read_history(&folder.history()).iter().flatten().filter_map(|record| work.spent(record)) {
            spent.entry(stage).or_default().add(more);
        }
        let summary: Option<Summary> = folder.read_summary().ok().flatten();
        let finished = summary.as_ref().filter(|summary| summary.is_finished());
        // A search against a table has no history; where it was stopped it starts anew.
        if let Some((table, seconds)) =
            finished.and_then(|summary| Some((summary.table.as_ref()?, summary.search_seconds)))
            && seconds.is_finite()
        {
            spent.entry(Stage::Candidates).or_default().add(Spent { units: table.limit.into(), seconds });
        }
        let measured = summary.as_ref().map(|summary| summary.peak_memory_bytes).filter(|bytes| bytes.0 > 0);
        let on = read_json::<Environment>(&folder.environment()).ok().map(|environment| On {
            peak: environment.memory.map(|memory| memory.peak_bytes).or(measured),
            device: environment.device,
        });
        Self { spent, on, finished: summary.is_some_and(|summary| summary.is_finished()) }
    }

    /// Whether the run has said what it runs on.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.on.is_some()
    }
}

/// The runs of a sweep as far as they are known; runs of one group differ in their seeds alone.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    runs: Vec<(usize, Work, Known)>,
}

impl Forecast {
    /// The forecast of `runs`: group, work, and what is known of each.
    #[must_use]
    pub fn new(runs: Vec<(usize, Work, Known)>) -> Self {
        Self { runs }
    }

    /// More is known of `run`.
    pub fn know(&mut self, run: usize, known: Known) {
        self.runs[run].2 = known;
    }

    /// What is known of `run`.
    #[must_use]
    pub fn known(&self, run: usize) -> &Known {
        &self.runs[run].2
    }

    /// Seconds that `run` still takes: for each stage the steps that are left, at the mean time of a step in runs that
    /// differ in their seeds alone, where there is none in all runs. Nothing where a stage has not been seen.
    #[must_use]
    pub fn seconds_left(&self, run: usize) -> Option<f64> {
        let (group, work, known) = &self.runs[run];
        if known.finished {
            return Some(0.0);
        }
        let mut seconds = work.seconds;
        for (stage, &units) in &work.units {
            let done = known.spent.get(stage).map_or(0, |spent| spent.units);
            let left = units.saturating_sub(done);
            if left > 0 {
                seconds += self.unit_seconds(*group, *stage)? * count(left);
            }
        }
        Some(seconds)
    }

    /// Mean time of a step of `stage`, s.
    fn unit_seconds(&self, group: usize, stage: Stage) -> Option<f64> {
        let mean = |among: &dyn Fn(usize) -> bool| {
            let mut sum = Spent::default();
            let runs = self.runs.iter().filter(|(group, ..)| among(*group));
            runs.filter_map(|(_, _, known)| known.spent.get(&stage)).for_each(|spent| sum.add(*spent));
            (sum.units > 0).then(|| sum.seconds / count(sum.units))
        };
        mean(&|other| other == group).or_else(|| mean(&|_| true))
    }

    /// Seconds until the last of `runs` ends, `at_once` at a time, each begun in turn where one has ended. Nothing where
    /// one of them is not known.
    #[must_use]
    pub fn seconds_of_all(&self, runs: &[usize], at_once: usize) -> Option<f64> {
        let mut lanes = vec![0.0f64; at_once.max(1)];
        for &run in runs {
            let first = lanes.iter_mut().min_by(|a, b| a.total_cmp(b))?;
            *first += self.seconds_left(run)?;
        }
        lanes.into_iter().max_by(f64::total_cmp)
    }

    /// Memory of `run` at its fullest moment: its own prediction, else the largest of its group, else of all runs.
    #[must_use]
    pub fn peak(&self, run: usize) -> Option<Bytes> {
        let own = |place: usize| self.runs[place].2.on.as_ref().and_then(|on| on.peak);
        let most = |among: &dyn Fn(usize) -> bool| {
            (0..self.runs.len()).filter(|&place| among(self.runs[place].0)).filter_map(own).max()
        };
        let group = self.runs[run].0;
        own(run).or_else(|| most(&|other| other == group)).or_else(|| most(&|_| true))
    }

    /// Whether runs use a device of their own, whose memory is not the host's.
    #[must_use]
    pub fn on_a_device(&self) -> bool {
        let devices = self.runs.iter().filter_map(|(_, _, known)| known.on.as_ref());
        devices.into_iter().any(|on| on.device.starts_with("cuda"))
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of steps are far below 2^52")]
fn count(units: u64) -> f64 {
    units as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::spec::Overrides;

    fn work(set: &[&str]) -> Work {
        let set = set.iter().map(|&set| set.to_owned()).collect();
        let text = include_str!("../../../search-spaces/demo.yaml");
        Work::of(&Job::parse(text, "demo.yaml", &Overrides { set, ..Overrides::default() }).unwrap())
    }

    fn units(work: &Work) -> Vec<(Stage, u64)> {
        work.units().iter().map(|(stage, units)| (*stage, *units)).collect()
    }

    #[test]
    fn searches_of_a_table_take_what_those_before_took() {
        let above = tempfile::tempdir().unwrap();
        let run = |name: &str, reason: &str| {
            let folder = above.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let text = format!(
                r#"{{"name":"t","seed":0,"stop_reason":"{reason}","search_seconds":3.0,"train_seconds":0.0,
                "peak_memory_bytes":0,"accuracy":{{"validation":null,"test":0.5}},"accelerator":"tpu-v1","latency_ms":1.0,
                "mapping_utilization":null,"overall_utilization":0.5,"macs":7,"params":3,"table":{{"file":"t.csv",
                "column":"mean_acc","rows":9,"fingerprint":"0","limit":600,"evaluations":450,"rows_read":450,"front":2,
                "reference_error":0.5,"reference_latency_ms":2.0,"reference_margin":0.05,"hypervolume":0.1,
                "hypervolume_share":0.5}}}}"#
            );
            std::fs::write(folder.join("summary.json"), text).unwrap();
            Known::read(&folder, &Work::of_table(600))
        };
        let runs = vec![
            (0, Work::of_table(600), run("done", "done")),
            (0, Work::of_table(600), run("stopped", "interrupted")),
            (1, Work::of_table(1200), Known::default()),
        ];
        let forecast = Forecast::new(runs);
        let left = [0, 1, 2].map(|run| forecast.seconds_left(run));
        assert_eq!(left, [Some(0.0), Some(3.0), Some(6.0)]);
    }

    #[test]
    fn the_steps_of_a_job_are_its_epochs_of_whole_batches() {
        // 6000 images in batches of 16 are 375 steps; 8000 in batches of 64 are 125.
        let expected = [(Stage::Operators, 5 * 375), (Stage::Widths, 4 * 375), (Stage::Train, 10 * 125)];
        assert_eq!(units(&work(&[])), expected);
        let random = work(&["search.method=random", "search.random.budget={ networks: 7 }", "training.epochs=0"]);
        assert_eq!(units(&random), [(Stage::Candidates, 7)]);
        let timed = work(&["search.method=random", "search.random.budget={ seconds: 60 }", "training.epochs=0"]);
        assert_eq!((units(&timed), timed.seconds), (vec![], 60.0));
        let evolution = "search.evolution={ population: 4, sample: 2, evaluations: 6 }";
        let evolution = work(&["search.method=evolution", evolution, "training.images=training"]);
        // 6000 images in batches of 64 are 93 steps.
        let expected = [(Stage::Supernet, 9 * 375), (Stage::Candidates, 6), (Stage::Train, 930)];
        assert_eq!(units(&evolution), expected);
    }

    fn known(spent: &[(Stage, u64, f64)]) -> Known {
        let spent = spent.iter().map(|&(stage, units, seconds)| (stage, Spent { units, seconds })).collect();
        Known { spent, ..Known::default() }
    }

    fn three(first: Known) -> Forecast {
        let work = work(&[]);
        let runs = [(0, first), (1, Known::default()), (1, Known::default())];
        Forecast::new(runs.into_iter().map(|(group, known)| (group, work.clone(), known)).collect())
    }

    #[test]
    fn nothing_is_foretold_of_a_stage_that_no_run_has_seen() {
        let searched = known(&[(Stage::Operators, 375, 37.5), (Stage::Widths, 375, 15.0)]);
        let mut forecast = three(searched);
        assert_eq!((forecast.seconds_left(0), forecast.seconds_of_all(&[0, 1], 2)), (None, None));
        // Steps of 0.1, 0.04 and 0.01 s: 187.5 + 60 + 12.5 = 260 s, of which one and one epochs are done, 52.5 s.
        let all = known(&[(Stage::Operators, 375, 37.5), (Stage::Widths, 375, 15.0), (Stage::Train, 125, 1.25)]);
        forecast.know(0, all);
        let close = |found: Option<f64>, wanted: f64| assert!((found.unwrap() - wanted).abs() < 1e-9, "{found:?}");
        close(forecast.seconds_left(1), 260.0);
        close(forecast.seconds_left(0), 260.0 - 52.5 - 1.25);
        // Two lanes: the third run follows the first, which ends first.
        close(forecast.seconds_of_all(&[0, 1, 2], 2), 206.25 + 260.0);
        close(forecast.seconds_of_all(&[0, 1, 2], 1), 206.25 + 520.0);
        assert_eq!(forecast.seconds_of_all(&[], 2), Some(0.0));
        // What differs in its seed alone is the better guide.
        forecast.know(2, known(&[(Stage::Operators, 1875, 1875.0)]));
        close(forecast.seconds_left(1), 1875.0 + 60.0 + 12.5);
    }

    #[test]
    fn the_memory_of_a_run_is_its_own_or_that_of_the_runs_nearest_to_it() {
        let on = |mib: u64| Known {
            on: Some(On { device: "cpu".to_owned(), peak: Some(Bytes(mib << 20)) }),
            ..Known::default()
        };
        let mut forecast = three(Known::default());
        assert_eq!(forecast.peak(1), None);
        forecast.know(0, on(900));
        assert_eq!(forecast.peak(1), Some(Bytes(900 << 20)));
        forecast.know(2, on(300));
        assert_eq!([0, 1, 2].map(|run| forecast.peak(run).unwrap().0 >> 20), [900, 300, 300]);
        assert!(!forecast.on_a_device());
        forecast.know(1, Known { on: Some(On { device: "cuda:0 H200".to_owned(), peak: None }), ..Known::default() });
        assert!(forecast.on_a_device());
    }
}
