//! What a run needs to go on: after every epoch one file of tensors, then the small file that names it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Run, SearchJobError, first_position};
use crate::cost::Probabilities;
use crate::record::{Position, RunFolder, Stage, read_json, write_json};
use crate::search::{Search, State};
use crate::space::Space;
use crate::supernet::Supernet;
use crate::torch::memory;
use crate::train::Trainer;
use crate::units::Bytes;

/// `checkpoint/state.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The search after its last whole epoch.
    pub(super) search: Option<State>,
    /// Epochs of training that are done.
    trained: Option<u32>,
    /// The file of tensors that belongs to this state.
    tensors: Option<String>,
    /// Seconds of search over all sittings.
    pub(super) search_seconds: f64,
    /// Seconds of training over all sittings.
    pub(super) train_seconds: f64,
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
        let path = folder.checkpoint().join("state.json");
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

    /// Keeps the most memory of this sitting and those before.
    pub(super) fn note_peak(&mut self, run: &Run<'_>) -> Result<(), SearchJobError> {
        let now = memory::peak(run.device)?.unwrap_or_default();
        self.peak_memory_bytes = self.peak_memory_bytes.max(now);
        Ok(())
    }

    /// The epoch that comes next in a run whose search has `stages` stages.
    pub(super) fn position(&self, stages: usize) -> Position {
        match (&self.search, self.trained) {
            (_, Some(done)) => Position { stage: Stage::Train, epoch: done + 1 },
            (None, None) => first_position(),
            (Some(state), None) if state.stage >= stages => Position { stage: Stage::Train, epoch: 1 },
            (Some(state), None) => {
                let stage = if state.operators.is_none() { Stage::Operators } else { Stage::Widths };
                Position { stage, epoch: state.epoch + 1 }
            }
        }
    }

    /// The supernet's tensors, where the stage of `state` is under way.
    pub(super) fn supernet(&self, folder: &RunFolder, state: &State) -> Option<PathBuf> {
        let name = self.tensors.as_ref().filter(|_| self.trained.is_none() && state.epoch > 0)?;
        Some(folder.checkpoint().join(name))
    }

    /// The trainer's tensors and the epochs behind them.
    pub(super) fn trainer(&self, folder: &RunFolder) -> Option<(PathBuf, u32)> {
        Some((folder.checkpoint().join(self.tensors.as_ref()?), self.trained?))
    }

    /// Writes seconds and memory down, with the tensors that lie there: nothing else has changed since the last epoch.
    pub(super) fn keep_measures(&mut self, run: &Run<'_>) -> Result<(), SearchJobError> {
        self.note_peak(run)?;
        Ok(write_json(&run.folder.checkpoint().join("state.json"), self)?)
    }

    pub(super) fn after_search_epoch(
        &mut self,
        run: &Run<'_>,
        search: &Search<'_>,
        supernet: &Supernet<'_>,
    ) -> Result<(), SearchJobError> {
        let name = format!("search-{}-{}.safetensors", search.state().stage, search.state().epoch);
        supernet.save(&run.folder.checkpoint().join(&name))?;
        self.search = Some(search.state().clone());
        self.note_peak(run)?;
        self.search_peak_memory_bytes = self.peak_memory_bytes;
        self.write(run.folder, name)
    }

    pub(super) fn after_train_epoch(&mut self, run: &Run<'_>, trainer: &Trainer<'_>) -> Result<(), SearchJobError> {
        let name = format!("train-{}.safetensors", trainer.done());
        trainer.save(&run.folder.checkpoint().join(&name))?;
        self.trained = Some(trainer.done());
        self.note_peak(run)?;
        self.write(run.folder, name)
    }

    /// The state file names the new tensors before the old ones go: at any moment one whole checkpoint lies there.
    fn write(&mut self, folder: &RunFolder, name: String) -> Result<(), SearchJobError> {
        let old = self.tensors.replace(name.clone()).filter(|old| *old != name);
        write_json(&folder.checkpoint().join("state.json"), self)?;
        if let Some(old) = old {
            // A file that stays costs only room.
            let _ = std::fs::remove_file(folder.checkpoint().join(old));
        }
        Ok(())
    }
}
