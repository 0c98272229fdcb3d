//! Keeps a run as it goes: checkpoints, history, progress.

use super::checkpoint::Checkpoint;
use super::pace::Pace;
use super::training::Role;
use super::{Run, SearchJobError, lines, rank};
use crate::jobs::progress::Progress;
use crate::record::{HistoryRecord, HistoryWriter, Place, Position, RecordError, Rollback, SearchEpoch, TrainEpoch};
use crate::search::{self, At, Health, Keeper, Stage, State};
use crate::supernet::{Supernet, SupernetError};
use crate::torch::file::TensorFileError;
use crate::torch::memory;
use crate::train::{self, TrainPlace, Trainer};

/// What a run's seconds count as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The search.
    Search,
    /// The training of the network found.
    Training,
}

/// The keeper of a run.
pub(super) struct Keep<'a> {
    run: &'a Run<'a>,
    /// What is kept, or is to be kept next.
    pub(super) checkpoint: Checkpoint,
    /// The history.
    pub(super) history: HistoryWriter,
    /// Who watches.
    pub(super) progress: &'a mut dyn Progress,
    pace: Pace,
    phase: Phase,
    /// On the clock of `progress`, s: what came before is in the seconds of `checkpoint`.
    counted: f64,
}

impl<'a> Keep<'a> {
    /// Goes on with `checkpoint`.
    pub(super) fn new(
        run: &'a Run<'a>,
        checkpoint: Checkpoint,
        history: HistoryWriter,
        progress: &'a mut dyn Progress,
    ) -> Self {
        let now = progress.seconds();
        let worked = checkpoint.search_seconds + checkpoint.train_seconds;
        let pace = Pace::new(run.checkpoint_seconds, now, checkpoint.checkpoint_seconds, worked);
        Self { run, checkpoint, history, progress, pace, phase: Phase::Search, counted: now }
    }

    /// From now on seconds count as `phase`.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.count();
        self.phase = phase;
    }

    /// Adds the time that passed to the phase's.
    pub(super) fn count(&mut self) {
        let now = self.progress.seconds();
        let seconds = match self.phase {
            Phase::Search => &mut self.checkpoint.search_seconds,
            Phase::Training => &mut self.checkpoint.train_seconds,
        };
        *seconds += now - self.counted;
        self.counted = now;
    }

    /// Keeps the most memory of this sitting and those before.
    pub(super) fn note_peak(&mut self) -> Result<(), SearchJobError> {
        let now = memory::peak(self.run.device)?.unwrap_or_default();
        self.checkpoint.peak_memory_bytes = self.checkpoint.peak_memory_bytes.max(now);
        Ok(())
    }

    /// Writes the checkpoint whose tensors were begun at `began` on the clock.
    fn write(&mut self, name: Option<String>, began: f64) -> Result<(), SearchJobError> {
        self.count();
        self.note_peak()?;
        if self.phase == Phase::Search {
            self.checkpoint.search_peak_memory_bytes = self.checkpoint.peak_memory_bytes;
        }
        self.checkpoint.checkpoints += 1;
        self.checkpoint.write(self.run.folder, name)?;
        self.pace.made(began, self.progress.seconds());
        self.checkpoint.checkpoint_seconds = self.pace.spent();
        Ok(())
    }

    /// Writes seconds and memory down, with the tensors that lie there.
    pub(super) fn measures(&mut self) -> Result<(), SearchJobError> {
        self.count();
        self.note_peak()?;
        Ok(self.checkpoint.write_again(self.run.folder)?)
    }

    /// An epoch of the final training is done.
    pub(super) fn trained_epoch(&mut self, record: TrainEpoch) -> Result<(), SearchJobError> {
        self.progress.say(&lines::training(&record));
        Ok(self.history.append(&HistoryRecord::Train(record))?)
    }

    /// Keeps a training where it stands.
    pub(super) fn training(&mut self, role: Role, trainer: &Trainer<'_>) -> Result<TrainPlace, SearchJobError> {
        let began = self.progress.seconds();
        let place = trainer.place();
        let name = format!("{}-{}-{}.safetensors", role.name(), place.epoch, place.step);
        let place = trainer.save(&self.run.folder.checkpoint().join(&name))?;
        *role.place(&mut self.checkpoint) = Some(place);
        self.write(Some(name), began)?;
        Ok(place)
    }

    /// Keeps that a network of the rank check is trained.
    pub(super) fn ranked(&mut self) -> Result<(), SearchJobError> {
        self.checkpoint.ranking = None;
        self.write(None, self.progress.seconds())
    }

    /// The training went back to what was kept last, which is now `place`.
    pub(super) fn training_rolled_back(&mut self, place: TrainPlace, rollback: Rollback) -> Result<(), SearchJobError> {
        self.checkpoint.training = Some(place);
        self.went_back(rollback)
    }

    /// Notes a rollback: the state first, from which the history can be mended.
    fn went_back(&mut self, rollback: Rollback) -> Result<(), SearchJobError> {
        self.count();
        self.checkpoint.write_again(self.run.folder)?;
        self.history.go_back(rollback.back_to.position())?;
        self.history.append(&HistoryRecord::Rollback(rollback))?;
        self.progress.say(&format!("warning: {}", rollback.warning()));
        Ok(())
    }
}

/// Goes on with the history of a run whose next epoch is `next` and which went back as `rollbacks` say.
pub(super) fn mended_history(
    run: &Run<'_>,
    next: Position,
    rollbacks: &[Rollback],
) -> Result<HistoryWriter, RecordError> {
    let path = run.folder.history();
    let mut history = HistoryWriter::resume(&path, next)?;
    let there = crate::record::read_history(&path)?;
    for rollback in rollbacks {
        let record = HistoryRecord::Rollback(*rollback);
        if !there.contains(&record) {
            history.append(&record)?;
        }
    }
    Ok(history)
}

impl search::Observer for Keep<'_> {
    fn step(&mut self, _at: At, _steps: u32) {
        self.progress.step();
    }

    fn interrupted(&self) -> bool {
        self.progress.interrupted() || self.pace.is_due(self.progress.seconds())
    }

    fn seconds(&self) -> f64 {
        self.progress.seconds()
    }
}

impl train::Observer for Keep<'_> {
    fn step(&mut self, _epoch: u32, _step: usize, _steps: usize) {
        self.progress.step();
    }

    fn interrupted(&self) -> bool {
        search::Observer::interrupted(self)
    }

    fn seconds(&self) -> f64 {
        self.progress.seconds()
    }
}

impl Keeper<Supernet<'_>> for Keep<'_> {
    type Error = SearchJobError;

    fn stops(&self) -> bool {
        self.progress.interrupted()
    }

    fn keep(&mut self, state: &State, supernet: &Supernet<'_>) -> Result<Health, SearchJobError> {
        let began = self.progress.seconds();
        let (mut name, mut sums) = (None, None);
        if !state.begins_stage() {
            let file = format!("search-{}-{}-{}.safetensors", state.stage, state.epoch, state.step);
            match supernet.save(&self.run.folder.checkpoint().join(&file)) {
                Ok(running) => sums = Some(running),
                Err(SupernetError::File(TensorFileError::NotFinite { .. })) => return Ok(Health::NotFinite),
                Err(error) => return Err(error.into()),
            }
            name = Some(file);
        }
        (self.checkpoint.search, self.checkpoint.sums) = (Some(state.clone()), sums);
        self.write(name, began)?;
        Ok(Health::Finite)
    }

    fn restore(&mut self, state: &State, supernet: &mut Supernet<'_>) -> Result<(), SearchJobError> {
        let missing = || SearchJobError::Checkpoint {
            reason: format!("{}: it names no tensors", self.run.folder.checkpoint().join("state.json").display()),
        };
        let path = self.checkpoint.tensors(self.run.folder).ok_or_else(missing)?;
        let stage = if state.operators.is_none() { 0 } else { 1 };
        let at = At { stage, epoch: state.epoch, step: state.step };
        let sums = self.checkpoint.sums.unwrap_or_default();
        supernet.load(&path, at, sums).map_err(|error| SearchJobError::from(error).of_checkpoint())
    }

    fn epoch(&mut self, record: SearchEpoch) -> Result<(), SearchJobError> {
        self.progress.say(&lines::search(&record));
        Ok(self.history.append(&HistoryRecord::Epoch(record))?)
    }

    fn ended(&mut self, stage: &Stage, supernet: &mut Supernet<'_>) -> Result<(), SearchJobError> {
        if let Some(count) = self.run.rank_check {
            let judged = rank::judge(self.run, stage, supernet, count)?;
            self.checkpoint.ranked.extend(judged);
        }
        Ok(())
    }

    fn rolled_back(&mut self, state: &State, rollback: Rollback) -> Result<(), SearchJobError> {
        self.checkpoint.search = Some(state.clone());
        self.went_back(rollback)
    }
}

/// Where a training was lost, in its epoch `epoch`.
pub(super) fn lost_at(place: &TrainPlace, epoch: u32) -> Place {
    let step = u32::try_from(place.step).unwrap_or(u32::MAX).max(1);
    Place { stage: crate::record::Stage::Train, epoch, step }
}
