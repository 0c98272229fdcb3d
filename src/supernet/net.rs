//! The modules of one stage, and the forward pass through them.

use tch::{Device, Kind, Tensor};

use super::SupernetError;
use super::masks::{self, Mask};
use super::mixing::{Differentiated, Mixing};
use super::packing::Packing;
use super::slices::{Fitted, Sizes};
use crate::network::Op;
use crate::nn::{Module, Phase, fit_channels};
use crate::search::Stage;
use crate::space::{Candidate, Edge, End, JoinId, Merge, Space, Width, WidthId};
use crate::torch::{add_scaled, mix};

/// All modules of a stage.
#[derive(Debug)]
pub(super) struct Net {
    /// For each edge, for each candidate that the stage may run: its module; nothing for `zero` and for what is fixed
    /// otherwise.
    edges: Vec<Vec<Option<Branch>>>,
    classifier: Module,
    /// By slot: channels of each width, fixed, or the widest option.
    channels: Vec<u64>,
    /// By slot: the mask of each width that is searched now.
    masks: Vec<Option<Mask>>,
    /// Whether widths are searched now.
    searched: bool,
    /// Whether they are under masks.
    is_masked: bool,
    /// Option of each width choice that the tensors are sized for.
    sizes: Vec<usize>,
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
    /// By join: what its edges add up to, before its mask, or their concatenation.
    pub(super) sums: Vec<Option<Tensor>>,
    /// By edge, by candidate: what it put out, where it ran.
    pub(super) outputs: Vec<Vec<Option<Tensor>>>,
}

/// A candidate of an edge.
#[derive(Debug)]
pub(super) struct Branch {
    module: Module,
    /// By node of the module: the mask of its channels, where they follow a width that is searched now.
    masks: Vec<Option<Mask>>,
    /// Takes the gaps out of its input, where it copies that in order.
    packing: Option<Packing>,
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
        let searched = match stage {
            Stage::Operators { .. } => false,
            Stage::Widths { .. } | Stage::Whole => space.widths.iter().any(|choice| choice.options.len() > 1),
        };
        let masked = searched && sizes.is_none();
        let sizes = sizes.unwrap_or_else(|| match stage {
            Stage::Operators { widths } => widths.clone(),
            Stage::Widths { .. } | Stage::Whole => space.widths.iter().map(|choice| choice.options.len() - 1).collect(),
        });
        let channels: Vec<u64> = space.all_widths().map(|width| space.channels(width, &sizes)).collect();
        let mask = |width| if masked { Mask::following(space, width, device) } else { Ok(None) };
        let masks = space.all_widths().map(mask).collect::<Result<Vec<_>, _>>()?;
        let last = channels[space.slot(space.join(space.last()).width)];
        let classifier = Module::new(&space.classifier_fragment(last)?, device, mix(&[seed, u64::MAX]))?;
        let mut last_use: Vec<usize> = (0..space.joins.len()).collect();
        for edge in &space.edges {
            last_use[edge.from.0] = last_use[edge.from.0].max(edge.to.0);
        }
        let mut net = Self {
            edges: Vec::new(),
            classifier,
            channels,
            masks,
            searched,
            is_masked: masked,
            sizes,
            last_use,
            device,
        };
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

    /// Channels that the tensors have at the join `id`.
    pub(super) fn room(&self, space: &Space, id: JoinId) -> u64 {
        self.channels[space.slot(space.join(id).width)]
    }

    fn branch(&self, space: &Space, edge: &Edge, candidate: &Candidate, seed: u64) -> Result<Branch, SupernetError> {
        let [from, to] = space.ends_of(edge, candidate);
        let [in_width, out_width] = [from, to].map(|width| self.channels[space.slot(width)]);
        let (mut network, points) = space.fragment_with_masks(edge, unprojected(candidate), in_width, out_width)?;
        let output = network.output();
        // Narrower than what others of its edge yield.
        let room = self.channels[space.slot(space.ends(edge)[1])];
        if room != network.node(output).shape.channels() {
            let fit =
                network.wire(&format!("{}/fit_branch", edge.name), Op::FitChannels { channels: room }, &[output])?;
            network.set_output(fit);
        }
        let mut masks: Vec<Option<Mask>> = (0..network.len()).map(|_| None).collect();
        if self.is_masked {
            masks[output.index()] = masks::behind(space, edge, candidate, self.device)?;
        }
        for point in points {
            let width = match point.end {
                End::Source => from,
                End::Target => to,
            };
            if self.masks[space.slot(width)].is_some() {
                masks[point.node.index()] = Mask::new(space, width, point.inner, self.device)?;
            }
        }
        let packing = match from {
            Width::Sum(sum)
                if candidate.copies(edge.stride) && from != to && self.masks[space.slot(from)].is_some() =>
            {
                Some(Packing::new(space, sum, self.device)?)
            }
            Width::Sum(_) | Width::Choice(_) | Width::Branch(_) | Width::Max(_) => None,
        };
        Ok(Branch { module: Module::new(&network, self.device, seed)?, masks, packing })
    }

    /// By slot: the mask of each width that is searched now.
    pub(super) fn masks(&self) -> &[Option<Mask>] {
        &self.masks
    }

    /// Option of each width choice that the tensors are sized for.
    pub(super) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// By slot the channels of every width, where widths are searched and each choice takes one option for certain; never
    /// where joins project, whose branches are brought to one width by masks alone.
    pub(super) fn certain(&self, space: &Space, widths: &[Vec<f64>]) -> Option<Vec<u64>> {
        if !self.searched || space.projects() {
            return None;
        }
        let certain = |weights: &Vec<f64>| {
            let mut taken = (0..weights.len()).filter(|&option| weights[option] != 0.0);
            taken.next().filter(|&option| taken.next().is_none() && weights[option] == 1.0)
        };
        let options = widths.iter().map(certain).collect::<Option<Vec<usize>>>()?;
        Some(space.all_widths().map(|width| space.channels(width, &options)).collect())
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
        self.sizes[width] = option;
        self.channels = space.all_widths().map(|width| space.channels(width, &self.sizes)).collect();
        let sizes = Sizes { from: &before, to: &self.channels };
        let follows = |other: Width| space.parts(other).contains(&WidthId(width));
        let mut resized = Vec::with_capacity(moments.len());
        let mut rest = moments.iter();
        let mut resize = |module: &mut Module, fitted: Option<Fitted>, seed| -> Result<(), SupernetError> {
            let own: Vec<Tensor> = rest.by_ref().take(module.parameters().len()).map(Tensor::shallow_clone).collect();
            let Some(fitted) = fitted else {
                resized.extend(own);
                return Ok(());
            };
            let (other, moments) = fitted.resize(module, &own, seed)?;
            *module = other;
            resized.extend(moments);
            Ok(())
        };
        for (number, edge) in space.edges.iter().enumerate() {
            let is_other = space.ends(edge).into_iter().any(follows);
            for (place, branch) in self.edges[number].iter_mut().enumerate() {
                let Some(branch) = branch else { continue };
                let candidate = &space.candidates(edge)[place];
                let fitted = is_other.then(|| Fitted::candidate(space, edge, candidate, sizes)).transpose()?;
                resize(&mut branch.module, fitted, mix(&[seed, number as u64, place as u64]))?;
            }
        }
        let is_other = follows(space.join(space.last()).width);
        let fitted = is_other.then(|| Fitted::classifier(space, sizes)).transpose()?;
        resize(&mut self.classifier, fitted, mix(&[seed, u64::MAX]))?;
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
        let alive = &mixing.alive;
        let mut pass = Pass::new(space, images);
        for place in 1..space.joins.len() {
            let join = &space.joins[place];
            let (sum, mask) = match join.merge {
                _ if !alive[place] => (None, None),
                Merge::Sum => {
                    let mask = match join.width {
                        Width::Choice(_) | Width::Sum(_) => mixing.masks[space.slot(join.width)].as_ref(),
                        // Its edges are masked already.
                        Width::Branch(_) | Width::Max(_) => None,
                    };
                    (self.sum(space, place, alive, mixing, &mut pass)?, mask)
                }
                // Its parts are masked already.
                Merge::Concatenate => (Some(self.concatenation(space, place, mixing, &mut pass)?), None),
            };
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
        let last = match &pass.values[space.last().0] {
            Some(last) => last.shallow_clone(),
            None => self.zeros(space, space.last(), images.size()[0], mixing),
        };
        pass.logits = match &mixing.channels {
            None => self.classify(&last),
            Some(channels) => {
                let fitted = Fitted::classifier(space, Sizes { from: &self.channels, to: channels })?;
                fitted.slice(&self.classifier)?.run(&last, Phase::Batch)
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
        &self,
        space: &Space,
        edge: &Edge,
        (candidate, branch): (usize, &Branch),
        x: &Tensor,
        mixing: &Mixing<'_>,
    ) -> Result<Tensor, SupernetError> {
        let Some(channels) = &mixing.channels else { return Ok(branch.run(x, mixing)) };
        let candidate = &space.candidates(edge)[candidate];
        let fitted = Fitted::candidate(space, edge, candidate, Sizes { from: &self.channels, to: channels })?;
        Ok(fitted.slice(&branch.module)?.run(x, Phase::Batch))
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
                let y = self.run(space, edge, (candidate, branch), x, mixing)?;
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

    /// The parts of the concatenation `place` one behind the other, zeros for those that are cut off.
    ///
    /// Where the pass is to be differentiated by operators those zeros are the sum of their join, so that what would bring
    /// it back has a gradient.
    fn concatenation(
        &self,
        space: &Space,
        place: usize,
        mixing: &Mixing<'_>,
        pass: &mut Pass,
    ) -> Result<Tensor, SupernetError> {
        let parts: Vec<JoinId> = space.edges.iter().filter(|edge| edge.to.0 == place).map(|edge| edge.from).collect();
        let live = parts.iter().find_map(|part| pass.values[part.0].as_ref()).map(Tensor::shallow_clone);
        let live = live.expect("a concatenation that is alive has a part that is");
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            all.push(match &pass.values[part.0] {
                Some(value) => value.shallow_clone(),
                None => {
                    let zeros = self.zeros(space, part, live.size()[0], mixing).to_kind(live.kind());
                    if mixing.differentiated == Differentiated::ByOperators {
                        pass.sums[part.0] = Some(zeros.set_requires_grad(true));
                    }
                    pass.sums[part.0].as_ref().unwrap_or(&zeros).shallow_clone()
                }
            });
        }
        Ok(Tensor::f_cat(&all, 1)?)
    }

    /// Drops the values of joins that no edge behind the join `place` reads.
    fn drop_unused(&self, place: usize, values: &mut [Option<Tensor>]) {
        for (value, &last) in values.iter_mut().zip(&self.last_use).take(place) {
            if last <= place {
                *value = None;
            }
        }
    }

    /// Zeros in the shape of a join: what is left where a draw cuts it off.
    fn zeros(&self, space: &Space, join: JoinId, images: i64, mixing: &Mixing<'_>) -> Tensor {
        let join = space.join(join);
        let channels = mixing.channels.as_ref().unwrap_or(&self.channels)[space.slot(join.width)].cast_signed();
        let side = join.side.cast_signed();
        fit_channels(&Tensor::zeros([images, 1, side, side], (Kind::Float, self.device)), channels)
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
        let packed = self.packing.as_ref().map(|packing| packing.apply(x, &mixing.widths));
        self.module.forward(packed.as_ref().unwrap_or(x), Phase::Batch, |node, value| match &self.masks[node.index()] {
            None => value,
            Some(mask) => masks::apply(&value, &mask.at(&mixing.opening())),
        })
    }
}

/// What stands for `candidate` in a supernet, where a projection is none: the channels of a branch, noughts behind them.
pub(super) fn unprojected(candidate: &Candidate) -> &Candidate {
    if *candidate == Candidate::Project { &Candidate::Identity } else { candidate }
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
