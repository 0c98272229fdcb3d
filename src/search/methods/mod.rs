//! Published methods beside the search of this project, in the same spaces and under the same objective.
//!
//! [`Method::Darts`] and [`Method::Gdas`] are the loop of [`super::Search`] under another relaxation of the choices.
//! [`Method::Random`], [`Method::Synflow`] and [`Method::Evolution`] judge one architecture after the other: a
//! [`Listing`] proposes the next and remembers what was found; who judges it is the caller's. [`Method::Nsga2`] searches
//! tables alone.

mod darts;
mod draws;
mod file;
mod listing;
mod method;
mod single_path;

pub(in crate::search) use darts::derived;
pub(crate) use draws::below;
pub use draws::{mutated, reaches, uniform};
pub use file::{BudgetFile, DartsFile, EvolutionFile, MethodFile, Nsga2File, RandomFile, SynflowFile};
pub use listing::{Costs, Judged, Listing, Proposal, Verdict};
pub use method::{Budget, Evolution, Method};
pub use single_path::SinglePaths;
