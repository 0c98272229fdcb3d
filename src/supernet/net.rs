//! The modules of one stage, and the forward pass through them.

use tch::{Device, Kind, Tensor};

use super::SupernetError;
use super::masks;
use crate::nn::{Module, Phase, fit_channels};
use crate::search::{Choices, Paths, Stage};
use crate::space::{Candidate, Edge, End, Inner, Space};
use crate::torch::mix;

/// All modules of a stage.
#[derive(Debug)]
pub(super) struct Net {
    /// For each edge, for each candidate that the stage may run: its module; nothing for `zero` and for what is fixed
    /// otherwise.
    edges: Vec<Vec<Option<Branch>>>,
    classifier: Module,
    /// Channels of each width choice: fixed, or the widest option.
    channels: Vec<u64>,
    /// Prefix masks of each width choice that is searched now: `[options, channels]`.
    masks: Vec<Option<Tensor>>,
    device: Device,
}

#[derive(Debug)]
struct Branch {
    module: Module,
    /// By node of the module: the width choice that its channels follow, and the prefixes by option.
    masks: Vec<Option<(usize, Tensor)>>,
}

impl Net {
    pub(super) fn new(space: &Space, stage: &Stage, device: Device, seed: u64) -> Result<Self, SupernetError> {
        let searched = |width: usize| match stage {
            Stage::Operators { .. } => false,
            Stage::Widths { .. } | Stage::Whole => space.widths[width].options.len() > 1,
        };
        let channels: Vec<u64> = (0..space.widths.len())
            .map(|width| {
                let options = &space.widths[width].options;
                match stage {
                    Stage::Operators { widths } => options[widths[width]],
                    Stage::Widths { .. } | Stage::Whole => options[options.len() - 1],
                }
            })
            .collect();
        let mut masks = Vec::with_capacity(channels.len());
        for (place, choice) in space.widths.iter().enumerate() {
            let prefixes = searched(place).then(|| masks::prefixes(&choice.options, Inner::Times(1), device));
            masks.push(prefixes.transpose()?);
        }
        let last = channels[space.join(space.last()).width.0];
        let classifier = Module::new(&space.classifier_fragment(last)?, device, mix(&[seed, u64::MAX]))?;
        let mut net = Self { edges: Vec::new(), classifier, channels, masks, device };
        for (number, edge) in space.edges.iter().enumerate() {
            let mut branches = Vec::new();
            for (place, candidate) in space.candidates(edge).iter().enumerate() {
                let wanted = match stage {
                    Stage::Operators { .. } | Stage::Whole => true,
                    Stage::Widths { operators } => operators[edge.operator.0] == place,
                };
                let seed = mix(&[seed, number as u64, place as u64]);
                let branch =
                    (wanted && *candidate != Candidate::Zero).then(|| net.branch(space, edge, candidate, seed));
                branches.push(branch.transpose()?);
            }
            net.edges.push(branches);
        }
        Ok(net)
    }

    fn branch(&self, space: &Space, edge: &Edge, candidate: &Candidate, seed: u64) -> Result<Branch, SupernetError> {
        let (from, to) = (space.join(edge.from).width.0, space.join(edge.to).width.0);
        let (network, points) = space.fragment_with_masks(edge, candidate, self.channels[from], self.channels[to])?;
        let mut masks: Vec<Option<(usize, Tensor)>> = (0..network.len()).map(|_| None).collect();
        for point in points {
            let width = match point.end {
                End::Source => from,
                End::Target => to,
            };
            if self.masks[width].is_some() {
                let prefixes = masks::prefixes(&space.widths[width].options, point.inner, self.device)?;
                masks[point.node.index()] = Some((width, prefixes));
            }
        }
        Ok(Branch { module: Module::new(&network, self.device, seed)?, masks })
    }

    fn modules(&self) -> impl Iterator<Item = (String, &Module)> {
        let branches = self.edges.iter().enumerate().flat_map(|(edge, branches)| {
            let there = branches.iter().enumerate().filter_map(|(place, branch)| Some((place, branch.as_ref()?)));
            there.map(move |(place, branch)| (format!("edge{edge:03}.candidate{place:03}"), &branch.module))
        });
        branches.chain([("classifier".to_owned(), &self.classifier)])
    }

    /// All learned tensors in order.
    pub(super) fn parameters(&self) -> Vec<Tensor> {
        self.modules().flat_map(|(_, module)| module.parameters()).collect()
    }

    /// All tensors by name, in order.
    pub(super) fn tensors(&self) -> Vec<(String, Tensor)> {
        let named = |(prefix, module): (String, &Module)| -> Vec<(String, Tensor)> {
            module.tensors().map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)).collect()
        };
        self.modules().flat_map(named).collect()
    }

    /// Logits `[batch, classes]` of `images` `[batch, 3, height, width]`.
    pub(super) fn forward(&self, space: &Space, images: &Tensor, mixing: &Mixing<'_>) -> Tensor {
        let alive = mixing.alive(space);
        let mut values: Vec<Option<Tensor>> = vec![Some(images.shallow_clone())];
        for (place, join) in space.joins.iter().enumerate().skip(1) {
            let mut sum: Option<Tensor> = None;
            let into = space.edges.iter().enumerate().filter(|(_, edge)| edge.to.0 == place && alive[place]);
            for (number, edge) in into {
                let Some(x) = values[edge.from.0].as_ref().filter(|_| alive[edge.from.0]) else { continue };
                for (candidate, branch) in self.edges[number].iter().enumerate() {
                    let Some(branch) = branch else { continue };
                    let Some(y) = mixing.contribution((edge.operator.0, candidate), || branch.run(x, mixing)) else {
                        continue;
                    };
                    sum = Some(match sum {
                        None => y,
                        Some(sum) => sum + y,
                    });
                }
            }
            values.push(sum.map(|sum| match mixing.masks[join.width.0].as_ref() {
                None => sum,
                Some(mask) => masks::apply(&sum, mask),
            }));
        }
        let last = values.pop().flatten().unwrap_or_else(|| self.nothing(space, images));
        self.classifier.run(&last, Phase::Batch)
    }

    /// Zeros in the shape of the last join: what is left where a draw cuts the output off.
    fn nothing(&self, space: &Space, images: &Tensor) -> Tensor {
        let join = space.join(space.last());
        let channels = self.channels[join.width.0].cast_signed();
        let side = join.side.cast_signed();
        fit_channels(&Tensor::zeros([images.size()[0], 1, side, side], (Kind::Float, self.device)), channels)
    }
}

impl Branch {
    fn run(&self, x: &Tensor, mixing: &Mixing<'_>) -> Tensor {
        self.module.forward(x, Phase::Batch, |node, value| match &self.masks[node.index()] {
            None => value,
            Some((width, prefixes)) => masks::apply(&value, &mixing.weights[*width].matmul(prefixes)),
        })
    }
}

/// The mixing weights of a step as tensors.
#[derive(Debug)]
pub(super) struct Mixing<'a> {
    choices: &'a Choices,
    /// One number for every option of every choice, operators first; learns in an architecture step.
    flat: Tensor,
    /// Where each operator choice starts in `flat`.
    operators: Vec<i64>,
    /// Weights of each width choice, `[options]`.
    weights: Vec<Tensor>,
    /// Mask of each width choice that is searched now, `[channels]`.
    masks: Vec<Option<Tensor>>,
    learns: bool,
}

impl<'a> Mixing<'a> {
    /// Weights that do not learn.
    pub(super) fn constant(
        space: &Space,
        net: &Net,
        choices: &'a Choices,
        device: Device,
    ) -> Result<Self, SupernetError> {
        Self::new(space, net, choices, device, false)
    }

    /// Weights whose gradient is asked for.
    pub(super) fn learning(
        space: &Space,
        net: &Net,
        choices: &'a Choices,
        device: Device,
    ) -> Result<Self, SupernetError> {
        Self::new(space, net, choices, device, true)
    }

    fn new(
        space: &Space,
        net: &Net,
        choices: &'a Choices,
        device: Device,
        learns: bool,
    ) -> Result<Self, SupernetError> {
        #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
        let numbers: Vec<f32> = choices.weights.choices().flatten().map(|&weight| weight as f32).collect();
        let flat = Tensor::f_from_slice(&numbers)?.f_to_device(device)?.f_set_requires_grad(learns)?;
        let mut first = 0;
        let mut operators = Vec::with_capacity(space.operators.len());
        for choice in &space.operators {
            operators.push(first);
            first += choice.candidates.len() as i64;
        }
        let mut weights = Vec::with_capacity(space.widths.len());
        let mut masks = Vec::with_capacity(space.widths.len());
        for (choice, prefixes) in space.widths.iter().zip(&net.masks) {
            let options = choice.options.len() as i64;
            let weight = flat.f_narrow(0, first, options)?;
            masks.push(prefixes.as_ref().map(|prefixes| weight.f_matmul(prefixes)).transpose()?);
            weights.push(weight);
            first += options;
        }
        Ok(Self { choices, flat, operators, weights, masks, learns })
    }

    /// Gradient of `loss` by every mixing weight, in the order of the choices.
    pub(super) fn gradient(&self, loss: &Tensor) -> Result<Tensor, SupernetError> {
        let gradients = Tensor::f_run_backward(&[loss], &[&self.flat], false, false)?;
        match gradients.into_iter().next() {
            Some(gradient) if gradient.defined() => Ok(gradient),
            _ => Ok(self.flat.detach().f_zeros_like()?),
        }
    }

    fn weight(&self, operator: usize, candidate: usize) -> f64 {
        self.choices.weights.operators[operator][candidate]
    }

    /// Joins that have a source and reach the output: with one drawn path, over the edges that it has.
    fn alive(&self, space: &Space) -> Vec<bool> {
        let cut = |edge: &Edge| match self.choices.paths {
            Paths::Full => false,
            Paths::Sampled | Paths::One => {
                let zero = space.operators[edge.operator.0].zero();
                zero.is_some_and(|zero| self.weight(edge.operator.0, zero) == 1.0)
            }
        };
        let live = space.live(cut);
        let mut alive = vec![false; space.joins.len()];
        for (edge, _) in space.edges.iter().zip(live).filter(|(_, live)| *live) {
            alive[edge.from.0] = true;
            alive[edge.to.0] = true;
        }
        alive
    }

    /// What a candidate adds to its join: its output times its weight. On a drawn path a candidate that was not drawn
    /// adds nothing, but its output times its weight of nought carries the weight's gradient (straight-through).
    fn contribution(&self, (operator, candidate): (usize, usize), run: impl FnOnce() -> Tensor) -> Option<Tensor> {
        let weight = self.weight(operator, candidate);
        let as_tensor = || self.flat.narrow(0, self.operators[operator] + candidate as i64, 1).view([1, 1, 1, 1]);
        let only = self.choices.weights.operators[operator].len() == 1;
        match (self.choices.paths, self.learns) {
            _ if only => Some(run()),
            (Paths::Full, true) => {
                let y = run();
                Some(&y * as_tensor().to_kind(y.kind()))
            }
            (Paths::Full, false) => Some(run() * weight),
            (Paths::Sampled | Paths::One, false) => (weight == 1.0).then(run),
            (Paths::One, true) if weight != 1.0 => None,
            (Paths::Sampled | Paths::One, true) => {
                let y = if weight == 1.0 { run() } else { tch::no_grad(run) };
                Some(&y * as_tensor().to_kind(y.kind()))
            }
        }
    }
}
