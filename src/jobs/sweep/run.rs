//! The runs of a sweep as processes: so many at a time, each with a log; what stops the sweep stops them.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::forecast::{Forecast, Known};
use super::records::{Failure, Records, RunState, failures_before, log};
use super::{Sweep, SweepError};
use crate::jobs::progress::Progress;
use crate::record::{RecordError, holder};

/// Environment variable by which a run knows the process of its sweep, with which it ends.
pub const SWEEP_PROCESS: &str = "SYSTOLE_SWEEP_PROCESS";

/// Between two looks at the runs.
const LOOK: Duration = Duration::from_millis(50);
/// Looks between two at a folder that another process holds: the lock is tried for an instant.
const LOOKS_AT_OTHERS: u64 = 20;
/// Most bytes at a log's end that are read for its last line.
const LAST_BYTES: u64 = 4096;
/// Exit codes of a run that came to its end: all is well, and a target is missed.
const ENDED: [i32; 2] = [0, 1];
/// Exit code of a run that was stopped and goes on.
const STOPPED: i32 = 130;

/// A run under way.
struct Active {
    run: usize,
    process: Process,
}

enum Process {
    /// Of this sweep; what stands in its log before it is of earlier sittings.
    Own { child: Child, log: PathBuf, log_begins: u64 },
    /// Of someone else, who holds the folder.
    Other,
}

/// How a run under way ended.
enum Ended {
    /// It came to its end, or it was stopped.
    Well,
    /// It failed.
    Failed(Failure),
    /// Another process holds its folder.
    Held,
    /// The other process is gone.
    Free,
}

/// The runs under way and those to come.
struct Running<'a> {
    sweep: &'a Sweep,
    program: &'a Path,
    forecast: Forecast,
    queue: VecDeque<usize>,
    active: Vec<Active>,
    failed: Vec<Failure>,
    looks: u64,
}

impl Sweep {
    /// Runs what is left of the sweep: each run is `program search ...`, which goes on where its folder stands. After each
    /// that ends the records of the sweep are written. Where `progress` asks to stop, the runs are asked to stop and
    /// waited for. A run that another process holds is waited for as if it were our own.
    ///
    /// # Errors
    /// [`SweepError`] where the folder is another's, a record cannot be written, or the program does not start.
    pub fn run(&self, program: &Path, progress: &mut dyn Progress) -> Result<Records, SweepError> {
        let _opened = self.open()?;
        let records = self.records();
        let left = |run: &usize| records.runs[*run].state != RunState::Finished;
        let queue: VecDeque<usize> = (0..self.plan.runs.len()).filter(left).collect();
        let (all, done) = (self.plan.runs.len() as u64, (self.plan.runs.len() - queue.len()) as u64);
        progress.begin("sweep", all, done);
        let mut running = Running {
            sweep: self,
            program,
            forecast: self.forecast(),
            queue,
            active: Vec::new(),
            failed: failures_before(&self.out),
            looks: 0,
        };
        running.drive(progress)?;
        let records = running.records();
        records.write(&self.out, &self.plan)?;
        Ok(records)
    }
}

impl Running<'_> {
    fn drive(&mut self, progress: &mut dyn Progress) -> Result<(), SweepError> {
        let mut told = false;
        while !(self.active.is_empty() && self.queue.is_empty()) {
            if progress.interrupted() && !told {
                told = true;
                self.stop(progress);
            }
            let failure = self.look(progress).and_then(|()| if told { Ok(()) } else { self.start(progress) });
            if let Err(error) = failure {
                self.stop(progress);
                self.wait();
                return Err(error);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Starts what may start.
    fn start(&mut self, progress: &mut dyn Progress) -> Result<(), SweepError> {
        while let Some(&next) = self.queue.front() {
            self.learn();
            let going: Vec<usize> = self.active.iter().map(|active| active.run).collect();
            if !self.sweep.admits(&self.forecast, &going, next) {
                break;
            }
            self.queue.pop_front();
            let name = &self.sweep.plan.runs[next].name;
            let process = match holder(&self.sweep.out.join(name)) {
                Some(holder) => {
                    progress.say(&format!("{name}: {holder} is at it; waiting for that"));
                    Process::Other
                }
                None => self.begin(next)?,
            };
            self.active.push(Active { run: next, process });
        }
        Ok(())
    }

    /// Starts the process of `run`, in a group of its own: what a terminal sends to the sweep, the sweep passes on.
    fn begin(&mut self, run: usize) -> Result<Process, SweepError> {
        let planned = &self.sweep.plan.runs[run];
        let path = self.sweep.out.join(log(&planned.name));
        let refused = |source| RecordError::Write { path: path.clone(), source };
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(refused)?;
        let log_begins = log.metadata().map_err(refused)?.len();
        let errors = log.try_clone().map_err(refused)?;
        let mut command = Command::new(self.program);
        command.args(self.sweep.arguments(planned)).env(SWEEP_PROCESS, std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().map_err(|source| SweepError::Start { program: self.program.to_owned(), source })?;
        // What failed before is tried anew.
        self.failed.retain(|failure| failure.run != planned.name);
        Ok(Process::Own { child, log: path, log_begins })
    }

    /// Reads what runs under way have told since.
    fn learn(&mut self) {
        for active in &self.active {
            if !self.forecast.known(active.run).has_begun() {
                let folder = self.sweep.out.join(&self.sweep.plan.runs[active.run].name);
                self.forecast.know(active.run, Known::read(&folder, &self.sweep.work[active.run]));
            }
        }
    }

    /// Looks at the runs under way, and writes down those that have ended.
    fn look(&mut self, progress: &mut dyn Progress) -> Result<(), SweepError> {
        self.looks += 1;
        let mut still = Vec::new();
        let mut ended = Vec::new();
        for mut active in std::mem::take(&mut self.active) {
            match self.ended(&mut active) {
                None => still.push(active),
                Some(Ended::Held) => still.push(Active { run: active.run, process: Process::Other }),
                Some(end) => ended.push((active.run, end)),
            }
        }
        self.active = still;
        for (run, end) in ended {
            self.close(run, end, progress)?;
        }
        Ok(())
    }

    fn ended(&self, active: &mut Active) -> Option<Ended> {
        let name = &self.sweep.plan.runs[active.run].name;
        let folder = self.sweep.out.join(name);
        match &mut active.process {
            Process::Other if !self.looks.is_multiple_of(LOOKS_AT_OTHERS) => None,
            Process::Other => holder(&folder).is_none().then_some(Ended::Free),
            Process::Own { child, log: path, log_begins } => {
                // A child that cannot be asked is not there any more.
                let status = child.try_wait().transpose()?.ok();
                if status.is_some_and(is_well) {
                    return Some(Ended::Well);
                }
                if holder(&folder).is_some() {
                    return Some(Ended::Held);
                }
                let how = status.map_or_else(|| "its end is not known".to_owned(), how);
                let last_line = last_line(path, *log_begins);
                Some(Ended::Failed(Failure { run: name.clone(), how, log: log(name), last_line }))
            }
        }
    }

    /// Writes down that `run` has ended.
    fn close(&mut self, run: usize, end: Ended, progress: &mut dyn Progress) -> Result<(), SweepError> {
        let Sweep { plan, out, work, .. } = self.sweep;
        let name = plan.runs[run].name.clone();
        self.forecast.know(run, Known::read(&out.join(&name), &work[run]));
        let stopping = progress.interrupted();
        let freed = matches!(end, Ended::Free);
        match end {
            Ended::Failed(failure) if !stopping || !was_stopped(&failure) => self.failed.push(failure),
            Ended::Failed(_) | Ended::Well | Ended::Free | Ended::Held => {}
        }
        let records = self.records();
        let record = &records.runs[run];
        if freed && record.state == RunState::Interrupted && !stopping {
            self.queue.push_front(run);
            return Ok(());
        }
        let mut line = match (&record.summary, self.failed.iter().find(|failure| failure.run == name)) {
            (Some(summary), _) => {
                let accuracy = summary.accuracy.test.map(|test| format!("test accuracy {:.2} %, ", 100.0 * test));
                let seconds = summary.search_seconds + summary.train_seconds;
                let accuracy = accuracy.unwrap_or_default();
                format!("{name}: finished, {accuracy}latency {:.6} ms, {seconds:.0} s", summary.latency_ms)
            }
            (None, Some(failure)) => told(out, failure),
            (None, None) => format!("{name}: {}", record.state.name()),
        };
        if record.state == RunState::Finished {
            progress.step();
        }
        let left: Vec<usize> = self.active.iter().map(|active| active.run).chain(self.queue.iter().copied()).collect();
        line.push_str(&format!("; {} of {} done", records.summary.finished, plan.runs.len()));
        if let Some(seconds) = self.forecast.seconds_of_all(&left, self.sweep.at_once(&self.forecast)) {
            line.push_str(&format!(", about {seconds:.0} s left"));
        }
        progress.say(&line);
        records.write(out, plan)
    }

    /// Asks the runs under way to stop, and starts no more; the runs of others are left to them.
    fn stop(&mut self, progress: &mut dyn Progress) {
        self.queue.clear();
        self.active.retain(|active| matches!(active.process, Process::Own { .. }));
        progress.say(&format!("stopping: waiting for {} runs to keep where they stand", self.active.len()));
        for active in &self.active {
            if let Process::Own { child, .. } = &active.process {
                // One that has ended already needs no word.
                let _ended = kill_process(Pid::from_child(child), Signal::TERM);
            }
        }
    }

    /// Waits for the runs under way.
    fn wait(&mut self) {
        for active in &mut self.active {
            if let Process::Own { child, .. } = &mut active.process {
                let _gone = child.wait();
            }
        }
        self.active.clear();
    }

    fn records(&self) -> Records {
        Records::read(&self.sweep.out, &self.sweep.plan, &self.failed)
    }
}

/// A failure in a line, with its log.
#[must_use]
pub fn told(out: &Path, failure: &Failure) -> String {
    let Failure { run, how, log, last_line } = failure;
    format!("{run}: failed ({how}), see {}: {last_line}", out.join(log).display())
}

fn is_well(status: ExitStatus) -> bool {
    status.code().is_some_and(|code| ENDED.contains(&code) || code == STOPPED)
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "its end is not known".to_owned(),
    }
}

/// Whether our own word ended it, before it listened to signals.
fn was_stopped(failure: &Failure) -> bool {
    failure.how == format!("signal {}", Signal::TERM.as_raw())
}

/// The last line that is not blank of the file at `path` from the byte `from` on; empty where there is none.
fn last_line(path: &Path, from: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(end.saturating_sub(LAST_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}
