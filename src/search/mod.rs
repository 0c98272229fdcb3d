//! The search: architecture parameters on the host, moved by the task's gradient and the hardware's.
//!
//! Nothing here knows images or tensors. A [`TaskLoss`] answers with a loss and its gradient by the mixing weights of
//! the choices, [`crate::cost`] with latency and utilization and their gradients by the probabilities.

mod adam;
pub mod allocation;
mod drive;
mod engine;
mod goals;
mod guard;
mod lagrangian;
pub mod methods;
mod objective;
mod paths;
pub mod preference;
mod rank;
pub mod repair;
mod sample;
mod settings;
mod task;

pub use adam::{Adam, AdamConfig};
pub use drive::{Driven, Health, Keeper, ROLLBACK_FACTOR, drive};
pub use engine::{Observer, Outcome, Search, SearchError, State, StopReason};
pub use goals::{Form, PenaltyFile, PricesFile, TargetsFile};
pub use guard::{mean_entropy, skips};
pub use lagrangian::{ENOUGH, Multiplier, Penalty};
pub use objective::{Loss, Objective, Pressed, Price, Priced, Slopes};
pub use paths::{Paths, PathsFile};
pub use rank::uniform;
pub use sample::{Draw, Temperature};
pub(crate) use sample::{Purpose, stream, uniform as unit};
pub use settings::{
    CostFile, Initial, LatencyUnit, ObjectiveFile, ObjectiveForms, OperatorStageFile, Schedule, SearchFile, Settings,
    SettingsError, StageSettings, SumsFile, TemperatureFile, WeightSettings, WeightsFile, WidthStageFile,
};
pub use task::{At, Choices, Elastic, EpochReport, Stage, TaskGradient, TaskLoss, TaskSlopes};

#[cfg(test)]
mod drive_tests;
#[cfg(test)]
mod tests;
