//! The mixing weights of a step.

use tch::{Device, Tensor};

use super::SupernetError;
use super::masks::{self, Opening};
use super::net::Net;
use crate::search::{Choices, Paths, Stage};
use crate::space::{Edge, Space};

/// What a pass is differentiated by, besides the weights of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Differentiated {
    /// Nothing.
    Not,
    /// Every candidate of its edges.
    ByOperators,
    /// Every option of its widths.
    ByWidths,
}

impl Differentiated {
    /// What an architecture step of `stage` asks for.
    pub(super) fn by_choices_of(stage: &Stage) -> Self {
        match stage {
            Stage::Operators { .. } => Self::ByOperators,
            Stage::Widths { .. } => Self::ByWidths,
            Stage::Whole => Self::Not,
        }
    }
}

/// The mixing weights of a step: operators as numbers, widths as tensors.
#[derive(Debug)]
pub(super) struct Mixing<'a> {
    choices: &'a Choices,
    pub(super) differentiated: Differentiated,
    /// One number for every option of every width; learns where it is asked for.
    pub(super) flat: Tensor,
    /// Weights of each width choice, `[options]`.
    pub(super) widths: Vec<Tensor>,
    /// By join whether it has a source and reaches the output over edges of which a candidate runs.
    pub(super) alive: Vec<bool>,
    /// By slot: the mask of each width that is searched now, `[channels]`; none where [`Mixing::channels`] slices.
    pub(super) masks: Vec<Option<Tensor>>,
    /// Channels of each width choice, where every one of them is certain and nothing is differentiated by them: then the
    /// pass runs on slices of that many channels, and no masks.
    pub(super) channels: Option<Vec<u64>>,
}

impl<'a> Mixing<'a> {
    /// The weights `choices` for a pass through `net`.
    pub(super) fn new(
        space: &Space,
        net: &Net,
        choices: &'a Choices,
        differentiated: Differentiated,
        device: Device,
    ) -> Result<Self, SupernetError> {
        #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
        let numbers: Vec<f32> = choices.weights.widths.iter().flatten().map(|&weight| weight as f32).collect();
        let learns = differentiated == Differentiated::ByWidths;
        let flat = Tensor::f_from_slice(&numbers)?.f_to_device(device)?.f_set_requires_grad(learns)?;
        let channels = if learns { None } else { net.certain(space, &choices.weights.widths) };
        let mut first = 0;
        let mut widths = Vec::with_capacity(choices.weights.widths.len());
        for choice in &choices.weights.widths {
            let options = choice.len() as i64;
            widths.push(flat.f_narrow(0, first, options)?);
            first += options;
        }
        let alive = alive(space, choices);
        let opening = Opening { widths: &widths, choices, alive: &alive, slots: &[] };
        let masks = match channels {
            None => masks::of_joins(space, net.masks(), &opening),
            Some(_) => net.masks().iter().map(|_| None).collect(),
        };
        Ok(Self { choices, differentiated, flat, widths, alive, masks, channels })
    }

    /// What masks inside candidates are functions of.
    pub(super) fn opening(&self) -> Opening<'_> {
        Opening { widths: &self.widths, choices: self.choices, alive: &self.alive, slots: &self.masks }
    }

    /// Whether candidates that do not run have a gradient as well.
    pub(super) fn judges_all(&self) -> bool {
        match self.choices.paths {
            Paths::Full | Paths::Sampled(_) => true,
            Paths::Alone => false,
        }
    }

    /// The weight of a candidate.
    pub(super) fn weight(&self, operator: usize, candidate: usize) -> f64 {
        self.choices.weights.operators[operator][candidate]
    }
}

/// Joins that have a source and reach the output over edges of which a candidate runs.
fn alive(space: &Space, choices: &Choices) -> Vec<bool> {
    let cut = |edge: &Edge| {
        let zero = space.operators[edge.operator.0].zero();
        let weights = &choices.weights.operators[edge.operator.0];
        weights.iter().enumerate().all(|(candidate, &weight)| Some(candidate) == zero || weight == 0.0)
    };
    let mut alive = vec![false; space.joins.len()];
    for (edge, _) in space.edges.iter().zip(space.live(cut)).filter(|(_, live)| *live) {
        alive[edge.from.0] = true;
        alive[edge.to.0] = true;
    }
    alive
}
