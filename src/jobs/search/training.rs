//! The final training of a run.

use super::checkpoint::Checkpoint;
use super::keep::{Keep, Phase, lost_at};
use super::{Run, SearchJobError, TrainingImages};
use crate::network::Network;
use crate::record::{Place, Rollback, Stage};
use crate::search::ROLLBACK_FACTOR;
use crate::train::{Evaluation, Outcome, Recipe, TrainError, TrainPlace, Trainer};

/// A network after training.
pub(super) struct Trained {
    /// Whether the training came to its end.
    pub(super) finished: bool,
    /// Accuracy on the selection split, where it was held out.
    pub(super) validation: Option<f64>,
    /// Loss and accuracy on the test images.
    pub(super) test: Option<Evaluation>,
    /// Weights by name.
    pub(super) weights: Vec<(String, tch::Tensor)>,
}

/// What a training is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The network found: its epochs are in the history.
    Final,
    /// A network of the rank check: judged on the selection split alone.
    Ranked,
}

impl Role {
    /// How the names of its tensors begin.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Final => "train",
            Self::Ranked => "rank",
        }
    }

    /// Where a checkpoint keeps its place.
    pub(super) fn place(self, checkpoint: &mut Checkpoint) -> &mut Option<TrainPlace> {
        match self {
            Self::Final => &mut checkpoint.training,
            Self::Ranked => &mut checkpoint.ranking,
        }
    }
}

/// The training of one network.
pub(super) struct Training<'a> {
    /// The run.
    pub(super) run: &'a Run<'a>,
    /// The network.
    pub(super) network: &'a Network,
    /// Images that it learns from.
    pub(super) split: &'a [i64],
    /// How.
    pub(super) recipe: Recipe,
    /// What for.
    pub(super) role: Role,
}

/// Trains `network` from where its checkpoint stands to the end, or until it is told to stop.
pub(super) fn train(run: &Run<'_>, network: &Network, keep: &mut Keep<'_>) -> Result<Trained, SearchJobError> {
    keep.enter(Phase::Training);
    // Tensors of a rank check that is not gone on with give way to those of this training.
    keep.checkpoint.ranking = None;
    let split = run.training_split();
    let training = Training { run, network, split: &split, recipe: run.recipe(), role: Role::Final };
    let trained = training.to_the_end(keep);
    keep.count();
    trained
}

impl Training<'_> {
    /// Trains from where the checkpoint stands to the end, or until it is told to stop.
    pub(super) fn to_the_end(&self, keep: &mut Keep<'_>) -> Result<Trained, SearchJobError> {
        let mut kept = self.role.place(&mut keep.checkpoint).unwrap_or_default();
        let mut trainer = self.trainer(keep, kept)?;
        let steps = trainer.steps() as u64;
        let done = steps * u64::from(kept.epoch) + kept.step as u64;
        keep.progress.begin("training", steps * u64::from(self.recipe.epochs), done);
        while !trainer.is_finished() {
            match self.onwards(&mut trainer, keep) {
                Ok(None) => {}
                Ok(Some(_)) if keep.progress.interrupted() => return Ok(Trained::interrupted(&trainer)),
                Ok(Some(place)) => kept = place,
                Err(SearchJobError::Train(error)) if self.role == Role::Final => {
                    kept = taken_back(error, &trainer.place(), kept)?;
                    trainer = self.trainer(keep, kept)?;
                    keep.training_rolled_back(kept, kept.rollback.expect("it was just taken back"))?;
                }
                Err(error) => return Err(error),
            }
        }
        self.judged(&trainer)
    }

    /// The trainer at `place`, with the weights of the checkpoint where there are any.
    fn trainer(&self, keep: &mut Keep<'_>, place: TrainPlace) -> Result<Trainer<'_>, SearchJobError> {
        let mut trainer = Trainer::new(self.network, self.run.loader, self.split, self.recipe)?;
        let begun = self.role.place(&mut keep.checkpoint).is_some();
        match keep.checkpoint.tensors(self.run.folder).filter(|_| begun) {
            Some(path) => trainer.load(&path, place).map_err(|error| SearchJobError::from(error).of_checkpoint())?,
            None => trainer.stand(place),
        }
        Ok(trainer)
    }

    /// Trains to the end of the epoch or to the next checkpoint; where it stands if that was kept.
    fn onwards(&self, trainer: &mut Trainer<'_>, keep: &mut Keep<'_>) -> Result<Option<TrainPlace>, SearchJobError> {
        if let Outcome::Epoch(mut record) = trainer.epoch(keep)? {
            if self.role == Role::Final {
                if self.holds_out() {
                    record.validation_accuracy = Some(trainer.evaluate(&self.run.splits.selection)?.accuracy);
                }
                keep.trained_epoch(record)?;
            }
            if !crate::train::Observer::interrupted(keep) || trainer.is_finished() {
                return Ok(None);
            }
        }
        keep.training(self.role, trainer).map(Some)
    }

    /// Whether it learns nothing from the selection split.
    fn holds_out(&self) -> bool {
        match self.role {
            Role::Final => self.run.job.training.images == TrainingImages::Training,
            Role::Ranked => true,
        }
    }

    fn judged(&self, trainer: &Trainer<'_>) -> Result<Trained, SearchJobError> {
        let trained = self.recipe.epochs > 0;
        let (held_out, tested) = (trained && self.holds_out(), trained && self.role == Role::Final);
        Ok(Trained {
            finished: true,
            validation: held_out
                .then(|| trainer.evaluate(&self.run.splits.selection))
                .transpose()?
                .map(|it| it.accuracy),
            test: tested.then(|| trainer.evaluate(&self.run.splits.test)).transpose()?,
            weights: trainer.weights(),
        })
    }
}

impl Trained {
    fn interrupted(trainer: &Trainer<'_>) -> Self {
        Self { finished: false, validation: None, test: None, weights: trainer.weights() }
    }
}

/// Where a training goes on that failed with `error` at `place`, having been kept at `kept`; the error itself where it is
/// of another kind, or the second of its kind.
fn taken_back(error: TrainError, place: &TrainPlace, kept: TrainPlace) -> Result<TrainPlace, TrainError> {
    let Some(epoch) = error.not_finite(place) else { return Err(error) };
    if let Some(first) = place.rollback {
        return Err(TrainError::NotFiniteAgain { epoch, first: first.not_finite.epoch });
    }
    let step = u32::try_from(kept.step).unwrap_or(u32::MAX).saturating_add(1);
    let back_to = Place { stage: Stage::Train, epoch: kept.epoch + 1, step };
    let rollback = Rollback { not_finite: lost_at(place, epoch), back_to, learning_rate_factor: ROLLBACK_FACTOR };
    let mut back = kept;
    back.rollback = Some(rollback);
    Ok(back)
}
