//! The folder of a run: who may write there, and where each file lies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::atomic::{UNFINISHED, sweep};
use super::{RecordError, Summary, read_json};

/// Files that only a run leaves behind.
pub(super) const MARKS: [&str; 3] = ["spec.yaml", "history.jsonl", "summary.json"];

/// The copy of an accelerator's file in a run folder.
pub const ACCELERATOR: &str = "accelerator.yaml";

/// What else a run writes; with [`MARKS`] all that `--force` takes away.
const PARTS: [&str; 14] = [
    ACCELERATOR,
    "environment.json",
    "checkpoint",
    "architecture.yaml",
    "network.yaml",
    "estimate.json",
    "weights.safetensors",
    "plots",
    "report.html",
    "front.csv",
    "evaluations.csv",
    "fan.csv",
    "networks",
    "rank-check.json",
];

const LOCK: &str = ".lock";

/// The plan of a sweep, by which its folder is told from a run's.
pub const SWEEP: &str = "sweep.json";

/// What to do with a folder that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone: an error.
    Refuse,
    /// Start anew: what a run wrote there is removed, anything else stays.
    Force,
    /// Go on with it.
    Resume,
}

/// The folder of a run; holds its lock where it was made for writing.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked as long as it is open; the system lets go when the process ends, however it ends.
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes or takes over the folder `path` for writing, and locks it until this value is dropped.
    ///
    /// Folders above it are made as needed. A folder that is not there is made whatever `existing` says.
    ///
    /// # Errors
    /// [`RecordError::Exists`] as `existing` says, [`RecordError::NotAFolder`] where it is a file, [`RecordError::NotARun`] where something else lies there,
    /// [`RecordError::InUse`] where another process writes there, [`RecordError::Write`] where the system refuses.
    pub fn create(path: &Path, existing: Existing) -> Result<Self, RecordError> {
        make(path, existing)?;
        let entries = entries(path)?;
        check_is_run(path, &entries)?;
        let lock = lock(path)?;
        match existing {
            Existing::Refuse | Existing::Resume => {}
            Existing::Force => clear(path, &entries)?,
        }
        let folder = Self { path: path.to_owned(), _lock: Some(lock) };
        for place in [folder.path().to_owned(), folder.checkpoint(), folder.plots()] {
            sweep(&place);
        }
        Ok(folder)
    }

    /// The run folder at `path`, for reading: nothing is locked or changed.
    ///
    /// # Errors
    /// [`RecordError::Read`] where there is no such folder, [`RecordError::NotARun`] where it is no run's.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        check_is_run(path, &entries(path)?)?;
        Ok(Self { path: path.to_owned(), _lock: None })
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `spec.yaml`: the job, resolved; runs again as it is.
    #[must_use]
    pub fn spec(&self) -> PathBuf {
        self.path.join("spec.yaml")
    }

    /// `accelerator.yaml`: the accelerator's file, where it is no shipped one.
    #[must_use]
    pub fn accelerator(&self) -> PathBuf {
        self.path.join(ACCELERATOR)
    }

    /// `environment.json`: an [`Environment`](super::Environment).
    #[must_use]
    pub fn environment(&self) -> PathBuf {
        self.path.join("environment.json")
    }

    /// `history.jsonl`: [`HistoryRecord`](super::HistoryRecord)s.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    /// `checkpoint/`: what it takes to go on; not made here.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// `architecture.yaml`: the choices.
    #[must_use]
    pub fn architecture(&self) -> PathBuf {
        self.path.join("architecture.yaml")
    }

    /// `network.yaml`: the network found.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.path.join("network.yaml")
    }

    /// `estimate.json`: what it costs on the accelerator.
    #[must_use]
    pub fn estimate(&self) -> PathBuf {
        self.path.join("estimate.json")
    }

    /// `weights.safetensors`: the trained weights.
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.path.join("weights.safetensors")
    }

    /// `plots/`; not made here.
    #[must_use]
    pub fn plots(&self) -> PathBuf {
        self.path.join("plots")
    }

    /// `report.html`: a page that shows the run.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `summary.json`: a [`Summary`].
    #[must_use]
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// `front.csv`: the front of a search on a table.
    #[must_use]
    pub fn front(&self) -> PathBuf {
        self.path.join("front.csv")
    }

    /// `evaluations.csv`: what a search on a table looked up, in order.
    #[must_use]
    pub fn evaluations(&self) -> PathBuf {
        self.path.join("evaluations.csv")
    }

    /// `fan.csv`: how the fan of a search over preferences came to be.
    #[must_use]
    pub fn fan(&self) -> PathBuf {
        self.path.join("fan.csv")
    }

    /// `rank-check.json`: a [`RankCheck`](super::RankCheck), where it was asked for.
    #[must_use]
    pub fn rank_check(&self) -> PathBuf {
        self.path.join("rank-check.json")
    }

    /// The summary, where there is one.
    ///
    /// # Errors
    /// [`RecordError`] where it cannot be read or is no summary.
    pub fn read_summary(&self) -> Result<Option<Summary>, RecordError> {
        match read_json(&self.summary()) {
            Ok(summary) => Ok(Some(summary)),
            Err(RecordError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the run came to its end: it has a summary, which does not say that it was interrupted.
    ///
    /// # Errors
    /// As [`RunFolder::read_summary`].
    pub fn is_finished(&self) -> Result<bool, RecordError> {
        Ok(self.read_summary()?.is_some_and(|summary| summary.is_finished()))
    }
}

/// Where a run goes unless told: `results/<name>-s<seed>`.
#[must_use]
pub fn default_path(name: &str, seed: u64) -> PathBuf {
    Path::new("results").join(format!("{name}-s{seed}"))
}

/// `path`, or the first of `path-2`, `path-3`, ... that is not there.
#[must_use]
pub fn next_free(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("-{number}"));
        PathBuf::from(name)
    };
    let mut candidates = std::iter::once(path.to_owned()).chain((2..).map(numbered));
    candidates.find(|candidate| candidate.symlink_metadata().is_err()).unwrap_or_else(|| path.to_owned())
}

fn make(path: &Path, existing: Existing) -> Result<(), RecordError> {
    let refused = |source| RecordError::write(path, source);
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above).map_err(refused)?;
    }
    // Not `create_dir_all`: of two runs that start at once, one must find that the folder exists.
    match std::fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !path.is_dir() => {
            Err(RecordError::NotAFolder { path: path.to_owned() })
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match existing {
            Existing::Refuse => Err(RecordError::Exists { path: path.to_owned() }),
            Existing::Force | Existing::Resume => Ok(()),
        },
        Err(error) => Err(refused(error)),
    }
}

/// The names in the folder, sorted.
fn entries(path: &Path) -> Result<Vec<String>, RecordError> {
    if path.is_file() {
        return Err(RecordError::NotAFolder { path: path.to_owned() });
    }
    let unreadable = |source| RecordError::read(path, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn is_ours(name: &str) -> bool {
    MARKS.contains(&name) || PARTS.contains(&name) || name == LOCK || name.starts_with(UNFINISHED)
}

/// A run's folder has one of its marks, or nothing that a run does not write.
fn check_is_run(path: &Path, entries: &[String]) -> Result<(), RecordError> {
    let marked = entries.iter().any(|name| MARKS.contains(&name.as_str())) && !entries.iter().any(|name| name == SWEEP);
    match entries.iter().find(|name| !is_ours(name)) {
        Some(found) if !marked => Err(RecordError::NotARun { path: path.to_owned(), found: found.clone() }),
        Some(_) | None => Ok(()),
    }
}

/// Locks the folder `path` as long as the file that is returned is open.
///
/// # Errors
/// [`RecordError::InUse`] where another process has it, [`RecordError::Write`] where the system refuses.
pub fn lock(path: &Path) -> Result<File, RecordError> {
    let lock = path.join(LOCK);
    let refused = |source| RecordError::write(path, source);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = holder_in(&lock);
            return Err(RecordError::InUse { path: path.to_owned(), lock, holder });
        }
        Err(TryLockError::Error(source)) => return Err(RecordError::write(&lock, source)),
    }
    // For whoever reads it; the lock is the system's, not this text.
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(refused)?;
    Ok(file)
}

/// Who holds the lock of the folder `path` at this moment; nothing where it is free.
///
/// It is tried for an instant, so do not ask while a process of one's own is about to take it.
#[must_use]
pub fn holder(path: &Path) -> Option<String> {
    let lock = path.join(LOCK);
    let file = File::open(&lock).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| holder_in(&lock))
}

fn holder_in(lock: &Path) -> String {
    let process = std::fs::read_to_string(lock).ok().filter(|text| !text.trim().is_empty());
    process.map_or("another process".to_owned(), |id| format!("process {}", id.trim()))
}

/// Removes what a run wrote, links themselves rather than what they point to; the lock stays, since it is held.
fn clear(path: &Path, entries: &[String]) -> Result<(), RecordError> {
    for name in entries.iter().filter(|name| is_ours(name) && *name != LOCK) {
        let entry = path.join(name);
        let folder = entry.symlink_metadata().is_ok_and(|data| data.is_dir());
        let removed = if folder { std::fs::remove_dir_all(&entry) } else { std::fs::remove_file(&entry) };
        removed.map_err(|source| RecordError::write(&entry, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::write;

    fn put(folder: &Path, name: &str) {
        write(&folder.join(name), b"x").unwrap();
    }

    #[test]
    fn the_folder_of_a_sweep_is_no_run() {
        let above = tempfile::tempdir().unwrap();
        put(above.path(), SWEEP);
        put(above.path(), "summary.json");
        let message = RunFolder::create(above.path(), Existing::Force).unwrap_err().to_string();
        assert!(message.contains("is not a run folder: it holds `sweep.json`"), "{message}");
        assert!(above.path().join("summary.json").exists());
    }

    #[test]
    fn the_holder_of_a_lock_is_told_while_it_is_held() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder(folder.path()), None);
        let held = lock(folder.path()).unwrap();
        assert_eq!(holder(folder.path()), Some(format!("process {}", std::process::id())));
        assert!(lock(folder.path()).unwrap_err().to_string().contains("is in use by process"));
        drop(held);
        assert_eq!(holder(folder.path()), None);
    }

    #[test]
    fn a_folder_that_exists_is_refused_unless_told() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("results/demo-s0");
        drop(RunFolder::create(&path, Existing::Refuse).unwrap());
        let message = RunFolder::create(&path, Existing::Refuse).unwrap_err().to_string();
        let expected = format!("`{}` exists; use --resume to go on or --force to start anew", path.display());
        assert_eq!(message, expected);
        drop(RunFolder::create(&path, Existing::Resume).unwrap());
        drop(RunFolder::create(&path, Existing::Force).unwrap());
    }

    #[test]
    fn force_removes_what_a_run_wrote_and_nothing_else() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("run");
        let folder = RunFolder::create(&path, Existing::Resume).unwrap();
        std::fs::create_dir(folder.checkpoint()).unwrap();
        for name in ["spec.yaml", "notes.txt", "weights.safetensors", "checkpoint/state"] {
            put(&path, name);
        }
        drop(folder);
        let folder = RunFolder::create(&path, Existing::Force).unwrap();
        assert_eq!(entries(folder.path()).unwrap(), [".lock", "notes.txt"]);
    }

    #[test]
    fn what_a_killed_process_had_not_finished_is_swept_away() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("run");
        let folder = RunFolder::create(&path, Existing::Refuse).unwrap();
        for name in [".unfinished-a", "checkpoint/.unfinished-b", "plots/.unfinished-c", "spec.yaml"] {
            put(&path, name);
        }
        let held = RunFolder::create(&path, Existing::Resume).unwrap_err();
        assert!(matches!(held, RecordError::InUse { .. }) && path.join(".unfinished-a").exists());
        drop(folder);
        let folder = RunFolder::create(&path, Existing::Resume).unwrap();
        assert_eq!(entries(&path).unwrap(), [".lock", "checkpoint", "plots", "spec.yaml"]);
        assert!(entries(&folder.checkpoint()).unwrap().is_empty() && entries(&folder.plots()).unwrap().is_empty());
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let above = tempfile::tempdir().unwrap();
        put(above.path(), "thesis.tex");
        put(above.path(), "weights.safetensors");
        for existing in [Existing::Force, Existing::Resume] {
            let message = RunFolder::create(above.path(), existing).unwrap_err().to_string();
            assert!(message.contains("is not a run folder: it holds `thesis.tex`"), "{message}");
        }
        assert_eq!(entries(above.path()).unwrap(), ["thesis.tex", "weights.safetensors"]);
    }

    #[test]
    fn a_run_killed_before_its_first_file_can_start_again() {
        let above = tempfile::tempdir().unwrap();
        put(above.path(), LOCK);
        put(above.path(), "environment.json");
        let folder = RunFolder::create(above.path(), Existing::Force).unwrap();
        assert_eq!(entries(folder.path()).unwrap(), [LOCK]);
    }

    #[test]
    fn a_lock_that_is_held_names_its_holder_and_one_left_behind_does_not_block() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("run");
        let held = RunFolder::create(&path, Existing::Refuse).unwrap();
        let message = RunFolder::create(&path, Existing::Resume).unwrap_err().to_string();
        assert!(message.contains(&format!("is in use by process {}", std::process::id())), "{message}");
        assert!(message.contains(".lock"), "{message}");
        drop(held);
        assert!(path.join(LOCK).exists());
        RunFolder::create(&path, Existing::Resume).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let above = tempfile::tempdir().unwrap();
        put(above.path(), "file");
        let message = RunFolder::create(&above.path().join("file/run"), Existing::Resume).unwrap_err().to_string();
        assert!(message.contains("file/run cannot be written: "), "{message}");
        let file = above.path().join("file");
        let wanted = format!("`{}` is a file, and a run needs a folder; choose another name", file.display());
        for existing in [Existing::Refuse, Existing::Force, Existing::Resume] {
            assert_eq!(RunFolder::create(&file, existing).unwrap_err().to_string(), wanted);
        }
        assert_eq!(RunFolder::open(&file).unwrap_err().to_string(), wanted);
    }

    #[test]
    fn a_run_is_finished_once_its_summary_says_so() {
        let above = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&above.path().join("run"), Existing::Refuse).unwrap();
        assert!(!folder.is_finished().unwrap());
        let summary = |reason: &str| {
            format!(
                r#"{{"name":"demo","seed":0,"stop_reason":"{reason}","search_seconds":0.0,"train_seconds":0.0,
                "peak_memory_bytes":0,"accuracy":{{"validation":null,"test":null}},"accelerator":"a","latency_ms":1.0,
                "mapping_utilization":null,"overall_utilization":null,"macs":0,"params":0}}"#
            )
        };
        for (reason, finished) in [("interrupted", false), ("epoch-limit", true)] {
            write(&folder.summary(), summary(reason).as_bytes()).unwrap();
            assert_eq!(folder.is_finished().unwrap(), finished, "{reason}");
        }
        put(folder.path(), "summary.json");
        assert!(folder.is_finished().is_err());
    }

    #[test]
    fn the_next_free_folder_is_numbered_from_two() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("demo-s0");
        assert_eq!(next_free(&path), path);
        std::fs::create_dir(&path).unwrap();
        assert_eq!(next_free(&path), above.path().join("demo-s0-2"));
        assert_eq!(default_path("demo", 0), Path::new("results/demo-s0"));
    }
}
