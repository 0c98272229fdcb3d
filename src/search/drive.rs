//! A search to its end: kept now and then, taken back once where a loss is not finite.

use super::engine::{Observer, Outcome, Search, SearchError, State};
use super::task::{Stage, TaskLoss};
use crate::record::{Place, Rollback, SearchEpoch};

/// Factor on the learning rates of weights and logits after a search went back.
pub const ROLLBACK_FACTOR: f64 = 0.5;

/// Whether what was to be kept is worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is kept.
    Finite,
    /// A weight or a sum of losses is not finite: nothing was kept.
    NotFinite,
}

/// What keeps a search: its state, and what the task has besides.
///
/// [`Observer::interrupted`] says when it wants to be asked.
pub trait Keeper<T: TaskLoss>: Observer {
    /// Why it fails.
    type Error: From<SearchError<T::Error>>;

    /// Whether the search is to end where it stands.
    fn stops(&self) -> bool;

    /// Keeps `state`, and of the task what it takes to go on from there: nothing at the beginning of a stage.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn keep(&mut self, state: &State, task: &T) -> Result<Health, Self::Error>;

    /// Brings the task, which has entered the stage anew, to where it was when `state` was kept.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn restore(&mut self, state: &State, task: &mut T) -> Result<(), Self::Error>;

    /// An epoch is done.
    ///
    /// # Errors
    /// Where it cannot be written down.
    fn epoch(&mut self, record: SearchEpoch) -> Result<(), Self::Error>;

    /// A stage is done; the task has its weights still.
    ///
    /// # Errors
    /// Where what is to be measured there fails.
    fn ended(&mut self, stage: &Stage, task: &mut T) -> Result<(), Self::Error>;

    /// The search went back to what was kept last, which is now `state`.
    ///
    /// # Errors
    /// Where that cannot be written down.
    fn rolled_back(&mut self, state: &State, rollback: Rollback) -> Result<(), Self::Error>;
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// All stages are done.
    Done,
    /// It was told to stop; what it takes to go on is kept.
    Stopped,
}

/// Runs `search` on `task` to its end, or until `keeper` stops it.
///
/// Where a loss is not finite, the search goes back to what was kept last and on from there with half the learning
/// rates, once.
///
/// # Errors
/// Those of the task and the keeper; [`SearchError::NotFiniteAgain`] where a loss is not finite for the second time.
pub fn drive<T: TaskLoss, K: Keeper<T>>(
    search: &mut Search<'_>,
    task: &mut T,
    keeper: &mut K,
) -> Result<Driven, K::Error> {
    search.is_served_by(task)?;
    let mut kept = search.state().clone();
    let mut entered = None;
    while let Some(stage) = search.stage() {
        if entered.as_ref() != Some(&stage) {
            task.enter(&stage).map_err(SearchError::Task)?;
            search.allocate(task)?;
            if !search.state().begins_stage() {
                keeper.restore(search.state(), task)?;
            }
            entered = Some(stage.clone());
        }
        let lost = match search.epoch(task, keeper) {
            Ok(Outcome::Epoch(record)) => {
                keeper.epoch(*record)?;
                if search.state().begins_stage() {
                    keeper.ended(&stage, task)?;
                } else if !keeper.interrupted() {
                    continue;
                }
                None
            }
            Ok(Outcome::Interrupted) => None,
            Err(SearchError::NotFinite { stage: _, epoch, step }) => {
                Some(Place { stage: stage.name().into(), epoch, step })
            }
            Err(error) => return Err(error.into()),
        };
        let lost = match lost {
            Some(place) => Some(place),
            None => match keeper.keep(search.state(), task)? {
                Health::Finite => None,
                Health::NotFinite => Some(search.place_before()),
            },
        };
        match lost {
            None if keeper.stops() => return Ok(Driven::Stopped),
            None => kept = search.state().clone(),
            Some(place) => {
                take_back(search, &kept, place)?;
                kept = search.state().clone();
                let rollback = kept.rollback.expect("it was just taken back");
                keeper.rolled_back(&kept, rollback)?;
                entered = None;
            }
        }
    }
    Ok(Driven::Done)
}

/// Takes `search`, which was lost at `place`, back to `kept` with lower learning rates, unless that was done before.
fn take_back<E: std::error::Error + 'static>(
    search: &mut Search<'_>,
    kept: &State,
    place: Place,
) -> Result<(), SearchError<E>> {
    if let Some(first) = search.state().rollback {
        return Err(SearchError::NotFiniteAgain { first: first.not_finite, again: place });
    }
    let mut state = kept.clone();
    search.go_back(kept.clone());
    let back_to = search.place();
    state.rollback = Some(Rollback { not_finite: place, back_to, learning_rate_factor: ROLLBACK_FACTOR });
    search.go_back(state);
    Ok(())
}
