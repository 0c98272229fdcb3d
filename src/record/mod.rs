//! The run folder: what a search or a training leaves behind, written whole or not at all.
//!
//! [`RunFolder`] knows where each file lies and holds the lock, [`Summary`], [`Environment`] and [`HistoryRecord`] are
//! the records in them, [`write()`], [`write_json`] and [`read_json`] the way in and out.

mod allocation;
mod atomic;
mod diverged;
mod environment;
pub mod fault;
mod folder;
mod guards;
mod history;
mod host;
mod nullable;
mod rank;
mod rollback;
mod summary;
mod target;

use std::path::{Path, PathBuf};

pub use allocation::{AllocatedWidth, AllocationDecision, AllocationEpoch, AllocationKind, WindowOption};
pub use atomic::{read_json, write, write_json};
pub use diverged::diverged;
pub use environment::{Environment, PredictedMemory};
pub use folder::{ACCELERATOR, Existing, RunFolder, SWEEP, default_path, holder, lock, next_free};
pub use guards::{Skips, StageEnd, doubts, held_back, stage_ends};
pub use history::{
    Ended, HistoryRecord, HistoryWriter, JudgedCandidate, Position, SearchEpoch, SearchStage, Stage, TrainEpoch,
    WidthChoice, read_history,
};
pub use host::free_memory;
pub use nullable::number as nullable_number;
pub use rank::{RankCheck, RankCorrelation, RankNetwork, RankStage, RankSummary};
pub use rollback::{Place, Rollback};
pub use summary::{Accuracy, FanFound, INTERRUPTED, Summary, TableSearch};
pub use target::{HardTarget, Relation, TargetEpoch, TargetResult};

/// Why a run folder or a file in it could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The system would not read it.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system would not write it.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A JSON file that is not what it should be.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0 at the end of the text.
        column: usize,
        /// The rule, and what was given.
        reason: String,
    },
    /// A run must not write over what is there.
    #[error("`{}` exists; use --resume to go on or --force to start anew", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file has the name of the folder.
    #[error("`{}` is a file, and a run needs a folder; choose another name", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// Something else lies there, which is not ours to change.
    #[error("`{}` is not a run folder: it holds `{found}` and none of {}; choose another folder", path.display(), folder::MARKS.join(", "))]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The first entry that no run writes, by name.
        found: String,
    },
    /// Another process writes there at this moment.
    #[error("`{}` is in use by {holder}, which holds the lock {}; wait for it or choose another folder", path.display(), lock.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// Who holds it, as far as the file says.
        holder: String,
    },
}

impl RecordError {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    /// `line_offset` is how many lines stand before the text that was parsed.
    pub(crate) fn json(path: &Path, error: &serde_json::Error, line_offset: usize) -> Self {
        // The message ends in its own " at line L column C"; the place stands in front of it here.
        let mut reason = error.to_string();
        if let Some(end) = reason.rfind(" at line ") {
            reason.truncate(end);
        }
        Self::Json { path: path.to_owned(), line: error.line() + line_offset, column: error.column(), reason }
    }
}
