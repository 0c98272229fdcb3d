//! What a run needs to go on: a file of tensors, then the small file that names it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rank::Ranked;
use super::{SearchJobError, first_position};
use crate::cost::Probabilities;
use crate::record::{Position, RecordError, Rollback, RunFolder, Stage, read_json, write_json};
use crate::search::State;
use crate::space::Space;
use crate::supernet::Running;
use crate::train::TrainPlace;
use crate::units::Bytes;

const STATE: &str = "state.json";
/// How the names of the tensors begin that a state may name.
const TENSORS: [&str; 3] = ["search-", "train-", "rank-"];

/// `checkpoint/state.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The search, between two steps.
    pub(super) search: Option<State>,
    /// Sums of the search's epoch under way.
    #[serde(default)]
    pub(super) sums: Option<Running>,
    /// The final training, between two steps.
    #[serde(default)]
    pub(super) training: Option<TrainPlace>,
    /// Networks of the rank check, in the order of their training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ranked: Vec<Ranked>,
    /// The training of the one that is next, between two steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ranking: Option<TrainPlace>,
    /// The file of tensors that belongs to this state; nothing where a stage or the training begins.
    tensors: Option<String>,
    /// Seconds of search over all sittings.
    pub(super) search_seconds: f64,
    /// Seconds of training over all sittings.
    pub(super) train_seconds: f64,
    /// Seconds in checkpoints, over all sittings; part of the two above.
    #[serde(default)]
    pub(super) checkpoint_seconds: f64,
    /// Number of checkpoints, over all sittings.
    #[serde(default)]
    pub(super) checkpoints: u64,
    /// Most memory in use at a time, over all sittings.
    #[serde(default)]
    pub(super) peak_memory_bytes: Bytes,
    /// The same until the last epoch of the search.
    #[serde(default)]
    pub(super) search_peak_memory_bytes: Bytes,
}

impl Checkpoint {
    /// The state that `folder` holds of a search over `space`, or the beginning.
    pub(super) fn read(folder: &RunFolder, space: &Space) -> Result<Self, SearchJobError> {
        let path = folder.checkpoint().join(STATE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let read: Self = read_json(&path)?;
        let lengths = |choices: &[Vec<f64>]| choices.iter().map(Vec::len).collect::<Vec<_>>();
        let zeros = Probabilities::zeros(space);
        let fits = |state: &State| {
            let (a, b) = (&state.alpha, &zeros);
            lengths(&a.operators) == lengths(&b.operators) && lengths(&a.widths) == lengths(&b.widths)
        };
        if read.search.as_ref().is_some_and(|state| !fits(state)) {
            let reason = format!("{}: its choices are not those of the space", path.display());
            return Err(SearchJobError::Checkpoint { reason });
        }
        Ok(read)
    }

    /// The epoch that comes next, or is under way, in a run whose search has `stages` stages.
    pub(super) fn position(&self, stages: usize) -> Position {
        match (&self.search, &self.training) {
            (_, Some(place)) => Position { stage: Stage::Train, epoch: place.epoch + 1 },
            (None, None) => first_position(),
            (Some(state), None) if state.stage >= stages => Position { stage: Stage::Train, epoch: 1 },
            (Some(state), None) => {
                let stage = if state.operators.is_none() { Stage::Operators } else { Stage::Widths };
                Position { stage, epoch: state.epoch + 1 }
            }
        }
    }

    /// Every time that the run went back, in order.
    pub(super) fn rollbacks(&self) -> Vec<Rollback> {
        let search = self.search.as_ref().and_then(|state| state.rollback);
        let training = self.training.as_ref().and_then(|place| place.rollback);
        search.into_iter().chain(training).collect()
    }

    /// Where the tensors of this state lie.
    pub(super) fn tensors(&self, folder: &RunFolder) -> Option<PathBuf> {
        self.tensors.as_ref().map(|name| folder.checkpoint().join(name))
    }

    /// Writes the state that goes with the tensors `name`, which lie there already; then takes away all others.
    ///
    /// The state file names the new tensors before the old ones go: at any moment one whole checkpoint lies there.
    pub(super) fn write(&mut self, folder: &RunFolder, name: Option<String>) -> Result<(), RecordError> {
        self.tensors = name;
        let checkpoint = folder.checkpoint();
        write_json(&checkpoint.join(STATE), self)?;
        self.remove_others(&checkpoint);
        Ok(())
    }

    /// Writes the state anew, with the tensors that it has.
    pub(super) fn write_again(&mut self, folder: &RunFolder) -> Result<(), RecordError> {
        let name = self.tensors.take();
        self.write(folder, name)
    }

    /// Removes tensors that no state names: former ones, and those of a process that was killed before it named them.
    fn remove_others(&self, checkpoint: &Path) {
        let Ok(entries) = std::fs::read_dir(checkpoint) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = TENSORS.iter().any(|prefix| name.starts_with(prefix));
            if ours && self.tensors.as_ref() != Some(&name) {
                // A file that stays costs only room.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}
