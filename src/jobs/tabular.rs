//! `search --table`: a job's search against the table of a benchmark, in a run folder.

use std::path::PathBuf;

use super::pareto::write_networks;
use super::progress::Progress;
use super::spec::{Job, JobError, Overrides};
use crate::estimate::{self, Estimate, EstimateError, Target};
use crate::load;
use crate::pareto::tabular::{self, Evaluation, Fan, FanLook, Reader, Stopped, Tabular, TabularError, Watch};
use crate::pareto::{Reference, Table, TableError};
use crate::plot::{self, PlotError};
use crate::record::{
    Accuracy, Environment, Existing, FanFound, INTERRUPTED, RecordError, RunFolder, Summary, TableSearch, read_json,
    write, write_json,
};
use crate::search::preference::{LEAST_FAN, SWEEP};
use crate::space::DeriveError;
use crate::units::Bytes;

/// All evaluations were made.
const LIMIT: &str = "evaluation-limit";
/// Every row was read, or the search had an end of its own.
const DONE: &str = "done";
const EVALUATIONS: [&str; 6] = ["arch", "error", "latency_ms", "evaluation", "rows_read", "hypervolume_share"];
const FRONT: [&str; 6] = ["arch", "error", "latency_ms", "source", "on_front", "preference"];
const FAN: [&str; 3] = ["evaluations", "networks", "hypervolume_share"];
/// Of a row of the front that the search had read.
const ARCHIVE: &str = "archive";
/// Of a network of the fan.
const SWEPT: &str = "fan";
/// Points of what was read between two neighbours of a fan, from which on the fan has a gap.
const GAP: usize = 5;

/// Which table, how much of it, and where to.
#[derive(Debug, Clone)]
pub struct TabularRequest {
    /// The table.
    pub table: PathBuf,
    /// The column of accuracies.
    pub column: String,
    /// Most look-ups.
    pub evaluations: u32,
    /// The corner of the hypervolume share, where not found from the exact front.
    pub reference: Option<Reference>,
    /// The run folder.
    pub out: PathBuf,
    /// What to do where it exists.
    pub existing: Existing,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct TabularRun {
    /// The run folder.
    pub folder: PathBuf,
    /// The summary that lies there.
    pub summary: Summary,
}

/// Why a search against a table fails.
#[derive(Debug, thiserror::Error)]
pub enum TabularJobError {
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What the table holds, or how it is searched.
    #[error("{}: {source}", path.display())]
    Tabular {
        /// The table.
        path: PathBuf,
        /// Why.
        source: Box<TabularError>,
    },
    /// A method that cannot read a table.
    #[error(transparent)]
    Method(Box<TabularError>),
    /// The run folder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The job that the folder keeps.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The network found.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// Its estimate.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// A folder of another search.
    #[error("{}: the folder was made with another {what} ({before}, now {now}); use another --out", path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What it was.
        before: String,
        /// What it is.
        now: String,
    },
    /// Nothing was read.
    #[error("the search was stopped before its first evaluation; go on with --resume")]
    Nothing,
}

/// Runs the search of `job` against the table, or repeats it where it was stopped.
///
/// # Errors
/// [`TabularJobError`]; a table or a method that cannot be used leaves no folder.
pub fn tabular(
    job: &Job,
    request: &TabularRequest,
    progress: &mut dyn Progress,
) -> Result<TabularRun, TabularJobError> {
    tabular::takes(job.settings.method).map_err(|error| TabularJobError::Method(Box::new(error)))?;
    let wrong = |source| TabularJobError::Tabular { path: request.table.clone(), source: Box::new(source) };
    let table = Table::load(&request.table, &request.column)?;
    for warning in table.warnings() {
        progress.say(&format!("warning: {}: {warning}", request.table.display()));
    }
    let target = Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 };
    let tabular = Tabular::new(&table, &job.space, &target, request.reference).map_err(wrong)?;
    let job = &job.clone().settled(job.file.precision);
    let target = Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 };
    let folder = RunFolder::create(&request.out, request.existing)?;
    let before = kept(job, &folder, request, &tabular)?;
    if let Some(summary) = before.filter(Summary::is_finished) {
        progress.say("the run is finished");
        return Ok(TabularRun { folder: request.out.clone(), summary });
    }
    write_job(job, &folder)?;
    let began = progress.seconds();
    progress.begin("search", u64::from(request.evaluations), 0);
    let mut told = Told { progress };
    let mut reader = Reader::new(&tabular, request.evaluations, &mut told);
    let stopped = tabular::search(&mut reader, &job.space, &target, &job.settings).map_err(wrong)?;
    let evaluations = reader.evaluations().to_vec();
    let fan = reader.fan().cloned();
    let run = Run { job, folder: &folder, request, tabular: &tabular, evaluations: &evaluations, fan: fan.as_ref() };
    let summary = run.write(&stopped, progress.seconds() - began)?;
    Ok(TabularRun { folder: request.out.clone(), summary })
}

/// Tells the job's progress of evaluations.
struct Told<'a> {
    progress: &'a mut dyn Progress,
}

impl Watch for Told<'_> {
    fn interrupted(&self) -> bool {
        self.progress.interrupted()
    }

    fn evaluated(&mut self) {
        self.progress.step();
    }
}

/// The summary of the folder, where it has one; that it is of the same job, table and number of evaluations.
fn kept(
    job: &Job,
    folder: &RunFolder,
    request: &TabularRequest,
    tabular: &Tabular,
) -> Result<Option<Summary>, TabularJobError> {
    let other = |what, before: String, now: String| {
        Err(TabularJobError::Other { path: folder.path().to_owned(), what, before, now })
    };
    if folder.spec().exists() {
        let kept = Job::load(&folder.spec(), &Overrides::default())?;
        if kept.accelerator != job.accelerator {
            return other("accelerator", kept.accelerator.name.clone(), job.accelerator.name.clone());
        }
        let kept = kept.settled(job.file.precision);
        if kept.to_yaml() != job.to_yaml() {
            return other("job", format!("{} with seed {}", kept.name, kept.settings.seed), as_told(job));
        }
    }
    let Some(summary) = folder.read_summary()? else { return Ok(None) };
    let Some(before) = &summary.table else {
        return other("task", "images".to_owned(), "a table".to_owned());
    };
    if before.fingerprint != fingerprint(tabular) {
        return other("table", before.file.clone(), request.table.display().to_string());
    }
    if before.limit != request.evaluations {
        return other("number of evaluations", before.limit.to_string(), request.evaluations.to_string());
    }
    let Reference { error, latency_ms } = tabular.exact().reference;
    if [before.reference_error, before.reference_latency_ms] != [error, latency_ms] {
        let was = format!("{},{}", before.reference_error, before.reference_latency_ms);
        return other("reference", was, format!("{error},{latency_ms}"));
    }
    Ok(Some(summary))
}

fn as_told(job: &Job) -> String {
    format!("{} with seed {} and other keys", job.name, job.settings.seed)
}

fn fingerprint(tabular: &Tabular) -> String {
    format!("{:016x}", tabular.fingerprint())
}

/// `spec.yaml`, the accelerator's file and `environment.json`.
fn write_job(job: &Job, folder: &RunFolder) -> Result<(), RecordError> {
    if let Some(text) = job.accelerator_text.as_ref().filter(|_| !folder.accelerator().exists()) {
        write(&folder.accelerator(), text.as_bytes())?;
    }
    write(&folder.spec(), job.to_yaml().as_bytes())?;
    let now = Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("SYSTOLE_COMMIT").map(str::to_owned),
        device: "cpu".to_owned(),
        threads: rayon::current_num_threads(),
        libtorch: None,
        precision: None,
        os: Some(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        memory: None,
        earlier: Vec::new(),
    };
    let path = folder.environment();
    let now = if path.exists() { now.after(read_json(&path)?) } else { now };
    write_json(&path, &now)
}

/// A search that has ended.
struct Run<'a> {
    job: &'a Job,
    folder: &'a RunFolder,
    request: &'a TabularRequest,
    tabular: &'a Tabular,
    evaluations: &'a [Evaluation],
    fan: Option<&'a Fan>,
}

impl Run<'_> {
    /// `evaluations.csv`, `front.csv`, the most accurate network, and `summary.json` last.
    fn write(&self, stopped: &Stopped, seconds: f64) -> Result<Summary, TabularJobError> {
        let places: Vec<usize> = self.evaluations.iter().map(|evaluation| evaluation.place).collect();
        let front = self.tabular.front(&places);
        let Some(last) = self.evaluations.last() else { return Err(TabularJobError::Nothing) };
        write(&self.folder.evaluations(), self.evaluations_csv().as_bytes())?;
        write(&self.folder.front(), self.front_csv(&front).as_bytes())?;
        if let Some(fan) = self.fan {
            self.write_fan(fan, &front)?;
        }
        let best = *front.last().expect("a row was read");
        let estimate = self.write_network(best)?;
        let table = Some(self.found(last, &front));
        let warnings = self.fan.map_or_else(Vec::new, |fan| self.doubts(fan, &front));
        let summary = Summary { table, warnings, ..self.summary(best, estimate, stopped) };
        let summary = Summary { search_seconds: seconds, ..summary };
        write_json(&self.folder.summary(), &summary)?;
        Ok(summary)
    }

    fn evaluations_csv(&self) -> String {
        let rows = self.evaluations.iter().enumerate().map(|(number, evaluation)| {
            let Evaluation { place, rows_read, share } = *evaluation;
            let [arch, error, latency] = self.row(place);
            [arch, error, latency, (number + 1).to_string(), rows_read.to_string(), share.to_string()]
        });
        csv_of(&EVALUATIONS, rows)
    }

    fn front_csv(&self, front: &[usize]) -> String {
        let rows = self.listed(front).into_iter().map(|place| {
            let [arch, error, latency] = self.row(place);
            let preference = self.fan.and_then(|fan| fan.networks.iter().find(|(_, other)| *other == place));
            let source = if preference.is_some() { SWEPT } else { ARCHIVE };
            let preference = preference.map_or(String::new(), |(z, _)| z.to_string());
            [arch, error, latency, source.to_owned(), front.contains(&place).to_string(), preference]
        });
        csv_of(&FRONT, rows)
    }

    /// The front, and the networks of the fan that are not on it, from the fastest.
    fn listed(&self, front: &[usize]) -> Vec<usize> {
        let mut places = front.to_vec();
        places.extend(self.swept().into_iter().filter(|place| !front.contains(place)));
        let latency = |place: usize| self.tabular.rows()[place].latency_ms;
        places.sort_by(|&a, &b| latency(a).total_cmp(&latency(b)));
        places
    }

    /// The places of the networks of the fan.
    fn swept(&self) -> Vec<usize> {
        self.fan.map_or_else(Vec::new, |fan| fan.networks.iter().map(|(_, place)| *place).collect())
    }

    /// `fan.csv`, and every network that `front.csv` lists.
    fn write_fan(&self, fan: &Fan, front: &[usize]) -> Result<(), TabularJobError> {
        let looks = fan.looks.iter().map(|FanLook { evaluations, networks, share }| {
            [evaluations.to_string(), networks.to_string(), share.to_string()]
        });
        write(&self.folder.fan(), csv_of(&FAN, looks).as_bytes())?;
        let looks: Vec<[f64; 2]> = fan.looks.iter().map(|look| [look.evaluations as f64, look.share]).collect();
        let read: Vec<[f64; 2]> =
            self.evaluations.iter().map(|evaluation| [evaluation.rows_read as f64, evaluation.share]).collect();
        let picture = plot::fan_svg(&looks, &read);
        for name in ["fan.svg", "fan.png"] {
            plot::write(&self.folder.plots().join(name), &picture)?;
        }
        let network = |place: usize| {
            let row = &self.tabular.rows()[place];
            Ok::<_, TabularJobError>(self.job.space.derive_benchmark(&row.architecture)?.named(&row.arch))
        };
        let networks = self.listed(front).into_iter().map(network).collect::<Result<Vec<_>, _>>()?;
        write_networks(self.folder.path(), &networks)?;
        Ok(())
    }

    /// What casts doubt on the fan, a sentence each.
    fn doubts(&self, fan: &Fan, front: &[usize]) -> Vec<String> {
        let mut doubts = Vec::new();
        if fan.restarts > 0 {
            doubts.push(format!(
                "the fan had collapsed {} times to fewer than {LEAST_FAN} networks and was restarted from what had been read",
                fan.restarts
            ));
        }
        if fan.networks.len() < LEAST_FAN {
            doubts.push(format!(
                "the fan has collapsed: {} different networks over {SWEEP} preferences; the front of what was read has {}",
                fan.networks.len(),
                front.len()
            ));
        }
        let own = self.tabular.front(&self.swept());
        for pair in own.windows(2) {
            let [fast, slow] = [pair[0], pair[1]].map(|place| &self.tabular.rows()[place]);
            let is_between = |place: &&usize| {
                let latency = self.tabular.rows()[**place].latency_ms;
                fast.latency_ms < latency && latency < slow.latency_ms
            };
            let between = front.iter().filter(is_between).count();
            if between >= GAP && 2 * between > front.len() {
                doubts.push(format!(
                    "the fan has lost a part of the front: no network of it lies between {} ms (`{}`) and {} ms (`{}`), where \
                     the search has read {between} better ones; front.csv has them",
                    fast.latency_ms, fast.arch, slow.latency_ms, slow.arch
                ));
            }
        }
        doubts
    }

    fn row(&self, place: usize) -> [String; 3] {
        let row = &self.tabular.rows()[place];
        [row.arch.clone(), row.error.to_string(), row.latency_ms.to_string()]
    }

    /// `architecture.yaml`, `network.yaml`, `estimate.json` of the row at `place`.
    fn write_network(&self, place: usize) -> Result<Estimate, TabularJobError> {
        let Self { job, folder, .. } = self;
        let architecture = &self.tabular.rows()[place].architecture;
        let network = job.space.derive_benchmark(architecture)?.named(&job.name);
        let target = Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 };
        let estimate = estimate::network(&network, &target)?;
        write(&folder.architecture(), load::to_yaml(&job.space.architecture_file(architecture)).as_bytes())?;
        write(&folder.network(), network.to_yaml().as_bytes())?;
        write_json(&folder.estimate(), &[&estimate])?;
        Ok(estimate)
    }

    fn found(&self, last: &Evaluation, front: &[usize]) -> TableSearch {
        let exact = self.tabular.exact();
        TableSearch {
            file: self.request.table.display().to_string(),
            column: self.request.column.clone(),
            rows: self.tabular.rows().len(),
            fingerprint: fingerprint(self.tabular),
            limit: self.request.evaluations,
            evaluations: self.evaluations.len(),
            rows_read: last.rows_read,
            front: front.len(),
            reference_error: exact.reference.error,
            reference_latency_ms: exact.reference.latency_ms,
            reference_margin: exact.margin,
            hypervolume: last.share * exact.hypervolume,
            hypervolume_share: last.share,
            fan: self.fan.map(|fan| FanFound {
                preferences: SWEEP,
                networks: fan.networks.len(),
                on_front: fan.networks.iter().filter(|(_, place)| front.contains(place)).count(),
                hypervolume_share: self.tabular.share(&self.swept()),
                restarts: fan.restarts,
            }),
        }
    }

    /// What holds of the row at `place`, and of the job.
    fn summary(&self, place: usize, estimate: Estimate, stopped: &Stopped) -> Summary {
        let (job, total) = (self.job, estimate.total);
        Summary {
            name: job.name.clone(),
            seed: job.settings.seed,
            stop_reason: reason(stopped, self.evaluations.len() >= self.request.evaluations as usize).to_owned(),
            search_seconds: 0.0,
            train_seconds: 0.0,
            peak_memory_bytes: Bytes(0),
            search_peak_memory_bytes: None,
            accuracy: Accuracy { validation: None, test: Some(1.0 - self.tabular.rows()[place].error) },
            test_loss: None,
            accelerator: job.accelerator.name.clone(),
            latency_ms: total.latency_ms,
            mapping_utilization: total.mapping_utilization,
            overall_utilization: total.overall_utilization,
            macs: total.macs,
            params: total.params,
            cycles: Some(total.cycles),
            timing: Some(estimate.timing),
            end_to_end_utilization: total.end_to_end_utilization,
            hardware_batch: None,
            hardware_batch_latency_ms: None,
            lambda: None,
            beta: None,
            cost: None,
            method: Some(job.settings.method.name().to_owned()),
            data: None,
            targets: Vec::new(),
            skips: None,
            stages: Vec::new(),
            rank_check: Vec::new(),
            checkpoints: None,
            checkpoint_seconds: None,
            table: None,
            warnings: Vec::new(),
        }
    }
}

fn reason(stopped: &Stopped, all: bool) -> &'static str {
    match stopped {
        Stopped::Interrupted => INTERRUPTED,
        Stopped::Limit => LIMIT,
        Stopped::Done | Stopped::Missing { .. } | Stopped::Failed { .. } => {
            if all {
                LIMIT
            } else {
                DONE
            }
        }
    }
}

fn csv_of<const N: usize>(header: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).expect("memory is always written to");
    for row in rows {
        writer.write_record(row).expect("memory is always written to");
    }
    String::from_utf8(writer.into_inner().expect("memory is always written to")).expect("strings went in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_a_reason() {
        assert_eq!(reason(&Stopped::Interrupted, false), "interrupted");
        assert_eq!(reason(&Stopped::Done, true), "evaluation-limit");
        assert_eq!(reason(&Stopped::Done, false), "done");
    }
}
