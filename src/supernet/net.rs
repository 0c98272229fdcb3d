//! The modules of one stage, and the forward pass through them.

use tch::{Device, Kind, Tensor};

use super::SupernetError;
use super::masks;
use super::mixing::{Differentiated, Mixing};
use crate::network::Network;
use crate::nn::{Block, Module, Phase, fit_channels};
use crate::search::Stage;
use crate::space::{Candidate, Edge, End, Inner, Space, WidthChoice};
use crate::torch::{add_scaled, mix};

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
    /// Options of each width choice that is searched now.
    options: Vec<Option<Vec<u64>>>,
    /// For each join, after which join its value is not needed any more.
    last_use: Vec<usize>,
    device: Device,
}

/// What a pass leaves: all of it where it is to be differentiated by its operators, else the logits alone.
#[derive(Debug)]
pub(super) struct Pass {
    /// `[batch, classes]`.
    pub(super) logits: Tensor,
    /// By join: what its edges read; nothing where the join is not alive.
    pub(super) values: Vec<Option<Tensor>>,
    /// By join: what its edges add up to, before its mask.
    pub(super) sums: Vec<Option<Tensor>>,
    /// By edge, by candidate: what it put out, where it ran.
    pub(super) outputs: Vec<Vec<Option<Tensor>>>,
}

/// A candidate of an edge.
#[derive(Debug)]
pub(super) struct Branch {
    module: Module,
    /// By node of the module: the width choice that its channels follow, and the prefixes by option.
    masks: Vec<Option<(usize, Tensor)>>,
}

impl Net {
    /// The modules of `stage`: at the options `sizes` and without masks where that is said, else at what the stage fixes
    /// and the widest options of what it searches.
    pub(super) fn new(
        space: &Space,
        stage: &Stage,
        sizes: Option<Vec<usize>>,
        device: Device,
        seed: u64,
    ) -> Result<Self, SupernetError> {
        let masked = sizes.is_none();
        let searched = |width: usize| match stage {
            Stage::Operators { .. } => false,
            Stage::Widths { .. } | Stage::Whole => space.widths[width].options.len() > 1,
        };
        let channels: Vec<u64> = (0..space.widths.len())
            .map(|width| {
                let options = &space.widths[width].options;
                match (stage, &sizes) {
                    (_, Some(sizes)) => options[sizes[width]],
                    (Stage::Operators { widths }, None) => options[widths[width]],
                    (Stage::Widths { .. } | Stage::Whole, None) => options[options.len() - 1],
                }
            })
            .collect();
        let mut masks = Vec::with_capacity(channels.len());
        for (place, choice) in space.widths.iter().enumerate() {
            let prefixes =
                (masked && searched(place)).then(|| masks::prefixes(&choice.options, Inner::Times(1), device));
            masks.push(prefixes.transpose()?);
        }
        let options = |(place, choice): (usize, &WidthChoice)| searched(place).then(|| choice.options.clone());
        let options = space.widths.iter().enumerate().map(options).collect();
        let last = channels[space.join(space.last()).width.0];
        let classifier = Module::new(&space.classifier_fragment(last)?, device, mix(&[seed, u64::MAX]))?;
        let mut last_use: Vec<usize> = (0..space.joins.len()).collect();
        for edge in &space.edges {
            last_use[edge.from.0] = last_use[edge.from.0].max(edge.to.0);
        }
        let mut net = Self { edges: Vec::new(), classifier, channels, masks, options, last_use, device };
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

    /// Prefix masks of each width choice that is searched now.
    pub(super) fn masks(&self) -> &[Option<Tensor>] {
        &self.masks
    }

    /// Channels of every width choice where one is searched and each of those takes one option for certain.
    pub(super) fn certain(&self, widths: &[Vec<f64>]) -> Option<Vec<u64>> {
        if self.options.iter().all(Option::is_none) {
            return None;
        }
        let channels = self.options.iter().zip(widths).zip(&self.channels).map(|((options, weights), &fixed)| {
            let Some(options) = options else { return Some(fixed) };
            let mut taken = (0..weights.len()).filter(|&option| weights[option] != 0.0);
            let option = taken.next().filter(|&option| taken.next().is_none() && weights[option] == 1.0)?;
            Some(options[option])
        });
        channels.collect()
    }

    /// Gives the width choice `width` tensors of its option `option`, and the moments of all parameters, which were
    /// `moments` in order, in their new sizes.
    pub(super) fn resize(
        &mut self,
        space: &Space,
        (width, option): (usize, usize),
        seed: u64,
        moments: &[Tensor],
    ) -> Result<Vec<Tensor>, SupernetError> {
        let before = self.channels.clone();
        self.channels[width] = space.widths[width].options[option];
        let after = &self.channels;
        let input = |width: usize| [Block { from: 0, to: 0, length: before[width].min(after[width]) }];
        let mut resized = Vec::with_capacity(moments.len());
        let mut rest = moments.iter();
        let mut resize = |module: &mut Module, network: Option<(Network, usize)>, seed| -> Result<(), SupernetError> {
            let own: Vec<Tensor> = rest.by_ref().take(module.parameters().len()).map(Tensor::shallow_clone).collect();
            let Some((network, source)) = network else {
                resized.extend(own);
                return Ok(());
            };
            resized.extend(module.resized_moments(&own, &network, &input(source))?);
            *module = module.resized(&network, &input(source), seed)?;
            Ok(())
        };
        for (number, edge) in space.edges.iter().enumerate() {
            let [from, to] = [edge.from, edge.to].map(|join| space.join(join).width.0);
            let candidates = space.candidates(edge).iter().zip(&mut self.edges[number]).enumerate();
            for (place, (candidate, branch)) in candidates {
                let Some(branch) = branch else { continue };
                let network = if [from, to].contains(&width) {
                    Some((space.fragment(edge, candidate, after[from], after[to])?, from))
                } else {
                    None
                };
                resize(&mut branch.module, network, mix(&[seed, number as u64, place as u64]))?;
            }
        }
        let last = space.join(space.last()).width.0;
        let network = (last == width).then(|| space.classifier_fragment(after[last])).transpose()?;
        resize(&mut self.classifier, network.map(|network| (network, last)), mix(&[seed, u64::MAX]))?;
        Ok(resized)
    }

    /// The module and masks of a candidate; nothing for `zero` and for what the stage does not run.
    pub(super) fn branch_of(&self, edge: usize, candidate: usize) -> Option<&Branch> {
        self.edges[edge][candidate].as_ref()
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

    /// The pass of `images` `[batch, 3, height, width]` under `mixing`.
    pub(super) fn forward(&self, space: &Space, images: &Tensor, mixing: &Mixing<'_>) -> Result<Pass, SupernetError> {
        let alive = mixing.alive(space);
        let mut pass = Pass::new(space, images);
        for place in 1..space.joins.len() {
            let sum = if alive[place] { self.sum(space, place, &alive, mixing, &mut pass)? } else { None };
            let mask = mixing.masks[space.joins[place].width.0].as_ref();
            pass.values.push(match (&sum, mask) {
                (Some(sum), Some(mask)) => Some(masks::apply(sum, mask)),
                (Some(sum), None) => Some(sum.shallow_clone()),
                (None, _) => None,
            });
            match mixing.differentiated {
                Differentiated::ByOperators => pass.sums[place] = sum,
                Differentiated::ByWidths | Differentiated::Not => self.drop_unused(place, &mut pass.values),
            }
        }
        let nothing = || self.nothing(space, images, mixing);
        let last = pass.values[space.last().0].as_ref().map_or_else(nothing, Tensor::shallow_clone);
        pass.logits = match &mixing.channels {
            None => self.classify(&last),
            Some(channels) => {
                let width = channels[space.join(space.last()).width.0];
                let input = [Block { from: 0, to: 0, length: width }];
                self.classifier.sliced(&space.classifier_fragment(width)?, &input)?.run(&last, Phase::Batch)
            }
        };
        Ok(pass)
    }

    /// Logits behind the value of the last join at its full width.
    pub(super) fn classify(&self, last: &Tensor) -> Tensor {
        self.classifier.run(last, Phase::Batch)
    }

    /// What `branch`, the candidate `candidate` of `edge`, puts out on `x`.
    fn run(
        space: &Space,
        edge: &Edge,
        (candidate, branch): (usize, &Branch),
        x: &Tensor,
        mixing: &Mixing<'_>,
    ) -> Result<Tensor, SupernetError> {
        let Some(channels) = &mixing.channels else { return Ok(branch.run(x, mixing)) };
        let [from, to] = [edge.from, edge.to].map(|join| channels[space.join(join).width.0]);
        let fragment = space.fragment(edge, &space.candidates(edge)[candidate], from, to)?;
        let input = [Block { from: 0, to: 0, length: from }];
        Ok(branch.module.sliced(&fragment, &input)?.run(x, Phase::Batch))
    }

    /// What the edges into the join `place` add up to.
    fn sum(
        &self,
        space: &Space,
        place: usize,
        alive: &[bool],
        mixing: &Mixing<'_>,
        pass: &mut Pass,
    ) -> Result<Option<Tensor>, SupernetError> {
        let mut sum = Sum::Nothing;
        let into = space.edges.iter().enumerate().filter(|(_, edge)| edge.to.0 == place && alive[edge.from.0]);
        for (number, edge) in into {
            let Some(x) = pass.values[edge.from.0].as_ref() else { continue };
            for (candidate, branch) in self.edges[number].iter().enumerate() {
                let weight = mixing.weight(edge.operator.0, candidate);
                let Some(branch) = branch.as_ref().filter(|_| weight != 0.0) else { continue };
                let y = Self::run(space, edge, (candidate, branch), x, mixing)?;
                if mixing.differentiated == Differentiated::ByOperators {
                    pass.outputs[number][candidate] = Some(y.detach());
                }
                sum = sum.add(y, weight)?;
            }
        }
        let sum = sum.into_tensor();
        let learns = mixing.differentiated == Differentiated::ByOperators;
        // Behind what has no weights, such as a pool of the image, nothing else asks for a gradient.
        Ok(sum.map(|sum| if learns && !sum.requires_grad() { sum.set_requires_grad(true) } else { sum }))
    }

    /// Drops the values of joins that no edge behind the join `place` reads.
    fn drop_unused(&self, place: usize, values: &mut [Option<Tensor>]) {
        for (value, &last) in values.iter_mut().zip(&self.last_use).take(place) {
            if last <= place {
                *value = None;
            }
        }
    }

    /// Zeros in the shape of the last join: what is left where a draw cuts the output off.
    fn nothing(&self, space: &Space, images: &Tensor, mixing: &Mixing<'_>) -> Tensor {
        let join = space.join(space.last());
        let channels = mixing.channels.as_ref().unwrap_or(&self.channels)[join.width.0].cast_signed();
        let side = join.side.cast_signed();
        fit_channels(&Tensor::zeros([images.size()[0], 1, side, side], (Kind::Float, self.device)), channels)
    }
}

impl Pass {
    fn new(space: &Space, images: &Tensor) -> Self {
        let none = |count: usize| (0..count).map(|_| None).collect();
        let outputs = |edge: &Edge| none(space.operators[edge.operator.0].candidates.len());
        Self {
            logits: Tensor::new(),
            values: vec![Some(images.shallow_clone())],
            sums: none(space.joins.len()),
            outputs: space.edges.iter().map(outputs).collect(),
        }
    }
}

impl Branch {
    /// The candidate's output on `x`.
    pub(super) fn run(&self, x: &Tensor, mixing: &Mixing<'_>) -> Tensor {
        self.module.forward(x, Phase::Batch, |node, value| match &self.masks[node.index()] {
            None => value,
            Some((width, prefixes)) => masks::apply(&value, &mixing.widths[*width].matmul(prefixes)),
        })
    }
}

/// A weighted sum under way, in one tensor of its own from the second term on.
enum Sum {
    Nothing,
    One(Tensor, f64),
    Several(Tensor),
}

impl Sum {
    /// Adds `weight * y`.
    fn add(self, y: Tensor, weight: f64) -> Result<Self, SupernetError> {
        let mut sum = match self {
            Self::Nothing => return Ok(Self::One(y, weight)),
            Self::One(first, weight) => first * weight,
            Self::Several(sum) => sum,
        };
        add_scaled(&mut sum, &y, weight)?;
        Ok(Self::Several(sum))
    }

    /// The sum: never a handle of a term, whose gradient would be another.
    fn into_tensor(self) -> Option<Tensor> {
        match self {
            Self::Nothing => None,
            Self::One(only, 1.0) => Some(only.alias()),
            Self::One(only, weight) => Some(only * weight),
            Self::Several(sum) => Some(sum),
        }
    }
}
