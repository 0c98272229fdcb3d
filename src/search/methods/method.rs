//! Which method searches, as it is meant.

use super::super::paths::Paths;
use super::super::sample::{Draw, Temperature};
use crate::cost::Probabilities;
use rand_chacha::ChaCha8Rng;

/// The methods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The search of this project.
    Systole,
    /// First-order DARTS (Liu, Simonyan, Yang 2019): the softmax of the logits, without noise or temperature.
    Darts {
        /// Edges that a join keeps where the architecture is derived.
        inputs: usize,
    },
    /// GDAS (Dong, Yang 2019): one drawn option runs, and the gradient passes through it alone.
    Gdas,
    /// Architectures drawn uniformly, each trained by itself.
    Random {
        /// How many.
        budget: Budget,
        /// Passes of each over the training split.
        epochs: u32,
    },
    /// Architectures drawn uniformly, each scored by its synaptic flow (Tanaka et al. 2020) without data.
    Synflow {
        /// How many.
        budget: Budget,
    },
    /// Regularised evolution (Real et al. 2019) with the weights of a single-path supernet (Guo et al. 2020).
    Evolution(Evolution),
    /// NSGA-II (Deb et al. 2002), against a table alone.
    Nsga2 {
        /// Networks that live at once, and children of a generation.
        population: u32,
    },
}

/// How long architectures are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// So many of them.
    Networks(u32),
    /// As many as seconds allow.
    Seconds(f64),
}

/// The sizes of regularised evolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evolution {
    /// The last architectures, from which parents are taken: P.
    pub population: u32,
    /// Draws from the population, the best of which is the parent: S.
    pub sample: u32,
    /// Architectures judged, the first population included: C.
    pub evaluations: u32,
}

impl Method {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Systole => "systole",
            Self::Darts { .. } => "darts",
            Self::Gdas => "gdas",
            Self::Random { .. } => "random",
            Self::Synflow { .. } => "synflow",
            Self::Evolution(_) => "evolution",
            Self::Nsga2 { .. } => "nsga-2",
        }
    }

    /// Whether architectures are judged one after the other, and no logits learned.
    #[must_use]
    pub fn lists(self) -> bool {
        match self {
            Self::Systole | Self::Darts { .. } | Self::Gdas => false,
            Self::Random { .. } | Self::Synflow { .. } | Self::Evolution(_) | Self::Nsga2 { .. } => true,
        }
    }

    /// How operators are mixed where the job asks for `asked`.
    #[must_use]
    pub fn paths(self, asked: Paths) -> Paths {
        match self {
            Self::Darts { .. } => Paths::Full,
            Self::Gdas => Paths::Alone,
            Self::Systole | Self::Random { .. } | Self::Synflow { .. } | Self::Evolution(_) | Self::Nsga2 { .. } => {
                asked
            }
        }
    }

    /// The temperature in `epoch`, from 0, of a stage of `epochs`: 1 under DARTS, linear under GDAS.
    #[must_use]
    pub(in crate::search) fn temperature(self, temperature: &Temperature, epoch: u32, epochs: u32) -> f64 {
        match self {
            Self::Darts { .. } => 1.0,
            Self::Gdas => temperature.linear(epoch, epochs),
            Self::Systole | Self::Random { .. } | Self::Synflow { .. } | Self::Evolution(_) | Self::Nsga2 { .. } => {
                temperature.at(epoch)
            }
        }
    }

    /// The mixing weights of the parameters `alpha` at temperature `tau`.
    pub(in crate::search) fn draw(self, alpha: &Probabilities, tau: f64, stream: &mut ChaCha8Rng) -> Draw {
        match self {
            Self::Darts { .. } => Draw::plain(alpha),
            Self::Gdas => Draw::new(alpha, tau, stream).through_the_drawn_alone(),
            Self::Systole | Self::Random { .. } | Self::Synflow { .. } | Self::Evolution(_) | Self::Nsga2 { .. } => {
                Draw::new(alpha, tau, stream)
            }
        }
    }
}
