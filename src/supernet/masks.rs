//! Prefix masks of widths.
//!
//! The channels of a concatenation are no prefix: each part has one of its own, with a gap behind it. Where the channels
//! inside a candidate belong to those of a concatenated source, `factor` to each, they have the same gaps. A number of
//! channels that is a share of all, as behind a squeeze, belongs to none of them: it is a prefix again, under the
//! distribution of the sum.
//!
//! Where joins project, each edge into one has a mask of its own behind its candidate, and the join none. What is inside a
//! candidate that reads it follows the widest of them: channel `k` is open as far as it is in any branch,
//! `1 - prod over live branches (1 - m_k)`, where a branch that copies is as open as its source.

use tch::{Device, Kind, Tensor};

use super::SupernetError;
use crate::search::Choices;
use crate::space::{Candidate, Edge, Inner, Space, Width, WidthId, WidthSum};

/// What masks are functions of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    /// Weights of each width choice, `[options]`.
    pub(super) widths: &'a [Tensor],
    /// Mixing weights of operators.
    pub(super) choices: &'a Choices,
    /// By join whether it has a source and reaches the output.
    pub(super) alive: &'a [bool],
    /// By slot the masks of joins, those that are known so far.
    pub(super) slots: &'a [Option<Tensor>],
}

/// How much each channel is open, `[channels]`, as a function of the weights of choices.
#[derive(Debug)]
pub(super) enum Mask {
    /// All are, whatever is chosen.
    Open(Tensor),
    /// A prefix by the option of a choice, `[options, channels]`.
    Prefix { choice: WidthId, prefixes: Tensor },
    /// One mask behind the other.
    Parts(Vec<Mask>),
    /// A prefix by the option of a sum, `[options, channels]`.
    Sum { sum: WidthSum, prefixes: Tensor },
    /// Behind an edge whose candidates choose or copy: by candidate whose mask it is, nothing of `zero`.
    Branch { operator: usize, candidates: Vec<Option<Part>>, channels: i64 },
    /// As open as any branch that is alive, each with its join.
    Max { branches: Vec<(usize, Part)>, channels: i64 },
    /// Of what is inside a candidate: by channel the one of the join `slot` that it needs, `[channels]`.
    Inside { slot: usize, places: Tensor },
}

/// The first channels of a join: open as its mask in `slot`, or all of them where that has none.
#[derive(Debug)]
pub(super) struct Part {
    slot: usize,
    /// All of them.
    open: Tensor,
}

impl Part {
    fn new(space: &Space, width: Width, device: Device) -> Result<Self, SupernetError> {
        let channels = space.options_of(width).last().map_or(0, |widest| widest.cast_signed());
        Ok(Self { slot: space.slot(width), open: Tensor::f_ones(channels, (Kind::Float, device))? })
    }

    /// Its mask with nought behind, `channels` in all.
    fn at(&self, slots: &[Option<Tensor>], channels: i64) -> Tensor {
        let mask = slots[self.slot].as_ref().unwrap_or(&self.open);
        mask.constant_pad_nd([0, channels - mask.numel() as i64])
    }
}

impl Mask {
    /// The mask of channels that follow `width` by the rule `inner`; nothing where all of them are always open.
    pub(super) fn new(
        space: &Space,
        width: Width,
        inner: Inner,
        device: Device,
    ) -> Result<Option<Self>, SupernetError> {
        if space.options_of(width).len() == 1 {
            return Ok(None);
        }
        let part = |choice: WidthId| match space.widths[choice.0].options.as_slice() {
            [only] => {
                let channels = inner.channels(*only).cast_signed();
                Ok(Self::Open(Tensor::f_ones(channels, (Kind::Float, device))?))
            }
            options => Ok(Self::Prefix { choice, prefixes: prefixes(options, inner, device)? }),
        };
        let mask = match (width, inner) {
            (Width::Choice(choice), _) => part(choice),
            (Width::Sum(id), Inner::Times(_)) => {
                let parts = space.sums[id.0].parts().iter().map(|&choice| part(choice));
                Ok(Self::Parts(parts.collect::<Result<_, SupernetError>>()?))
            }
            (Width::Sum(id), Inner::Share(_)) => {
                let sum = space.sums[id.0].clone();
                let prefixes = prefixes(sum.options(), inner, device)?;
                Ok(Self::Sum { sum, prefixes })
            }
            (Width::Branch(_) | Width::Max(_), _) => Self::inside(space, width, inner, device),
        };
        mask.map(Some)
    }

    /// The mask of a join whose width follows from operators, too; nothing where it is one width.
    pub(super) fn following(space: &Space, width: Width, device: Device) -> Result<Option<Self>, SupernetError> {
        let options = space.options_of(width);
        let channels = options.last().map_or(0, |widest| widest.cast_signed());
        Ok(match width {
            _ if options.len() == 1 => None,
            Width::Choice(_) | Width::Sum(_) => Self::new(space, width, Inner::Times(1), device)?,
            Width::Branch(id) => {
                let join = space.branches[id.0].join;
                let edge = space.edges.iter().find(|edge| edge.to == join).expect("a branch has its edge");
                let candidate = |candidate: &Candidate| {
                    let [_, yields] = space.ends_of(edge, candidate);
                    (*candidate != Candidate::Zero).then(|| Part::new(space, yields, device)).transpose()
                };
                let candidates = space.candidates(edge).iter().map(candidate).collect::<Result<_, _>>()?;
                Some(Self::Branch { operator: edge.operator.0, candidates, channels })
            }
            Width::Max(id) => {
                let branch = |branch: &crate::space::Projection| {
                    Ok::<_, SupernetError>((branch.join.0, Part::new(space, space.join(branch.join).width, device)?))
                };
                let branches = space.maxima[id.0].branches.iter().map(branch).collect::<Result<_, _>>()?;
                Some(Self::Max { branches, channels })
            }
        })
    }

    /// The mask of what follows a join by the rule `inner`: a channel is open as far as the narrowest width is that has it.
    fn inside(space: &Space, width: Width, inner: Inner, device: Device) -> Result<Self, SupernetError> {
        let widest = space.options_of(width).last().copied().unwrap_or(0);
        let mut places = Vec::new();
        for channels in 1..=widest {
            places
                .resize(usize::try_from(inner.channels(channels)).unwrap_or(places.len()), channels.cast_signed() - 1);
        }
        Ok(Self::Inside { slot: space.slot(width), places: Tensor::f_from_slice(&places)?.f_to_device(device)? })
    }

    /// The mask where the choices have the weights of `opening`.
    pub(super) fn at(&self, opening: &Opening<'_>) -> Tensor {
        let widths = opening.widths;
        match self {
            Self::Open(ones) => ones.shallow_clone(),
            Self::Prefix { choice, prefixes } => widths[choice.0].matmul(prefixes),
            Self::Parts(parts) => Tensor::cat(&parts.iter().map(|part| part.at(opening)).collect::<Vec<_>>(), 0),
            Self::Sum { sum, prefixes } => distribution(sum, widths).matmul(prefixes),
            Self::Branch { operator, candidates, channels } => {
                let weights = &opening.choices.weights.operators[*operator];
                let parts = candidates.iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
                let parts =
                    parts.filter_map(|(part, weight)| Some(part.as_ref()?.at(opening.slots, *channels) * *weight));
                let nothing = || Tensor::zeros(*channels, (widths[0].kind(), widths[0].device()));
                parts.reduce(|sum, part| sum + part).unwrap_or_else(nothing)
            }
            Self::Max { branches, channels } => {
                let alive = branches.iter().filter(|(join, _)| opening.alive[*join]);
                let closed =
                    alive.map(|(_, part)| part.at(opening.slots, *channels)).map(|mask| mask.ones_like() - mask);
                let all = closed.reduce(|all, closed| all * closed);
                let nothing = || Tensor::zeros(*channels, (widths[0].kind(), widths[0].device()));
                all.map_or_else(nothing, |closed| closed.ones_like() - closed)
            }
            Self::Inside { slot, places } => {
                let mask = opening.slots[*slot].as_ref().expect("a join with several widths has a mask");
                mask.index_select(0, places)
            }
        }
    }
}

/// The masks of all joins by slot, in the order in which they follow from each other; nothing where `masks` has none.
pub(super) fn of_joins(space: &Space, masks: &[Option<Mask>], opening: &Opening<'_>) -> Vec<Option<Tensor>> {
    let mut slots: Vec<Option<Tensor>> = masks.iter().map(|_| None).collect();
    let first = space.first_follower();
    let follows = space.joins.iter().map(|join| space.slot(join.width)).filter(|&slot| slot >= first);
    for slot in (0..first).chain(follows) {
        let mask = masks[slot].as_ref().map(|mask| mask.at(&Opening { slots: &slots, ..*opening }));
        slots[slot] = mask;
    }
    slots
}

/// The mask behind `candidate` of `edge`, where that chooses its width and others of the edge copy theirs.
pub(super) fn behind(
    space: &Space,
    edge: &Edge,
    candidate: &Candidate,
    device: Device,
) -> Result<Option<Mask>, SupernetError> {
    match space.own_width(edge, candidate) {
        Some(own) => Mask::new(space, own.into(), Inner::Times(1), device),
        None => Ok(None),
    }
}

/// The distribution of `sum`, `[options]`, where the choices have the weights `widths`.
///
/// Weights of choices of one option are constants.
pub(super) fn distribution(sum: &WidthSum, widths: &[Tensor]) -> Tensor {
    let mut so_far: Option<Tensor> = None;
    for (choice, places, options) in sum.folds() {
        let p = &widths[choice.0];
        let p = if p.numel() == 1 { p.detach() } else { p.shallow_clone() };
        let pairs = so_far.map_or_else(|| p.shallow_clone(), |before| before.outer(&p).flatten(0, -1));
        let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let places = Tensor::from_slice(&places).to_device(p.device());
        so_far = Some(Tensor::zeros(options as i64, (p.kind(), p.device())).index_add(0, &places, &pairs));
    }
    so_far.expect("a concatenation has a part")
}

/// For each option of a width, which of the channels are open: `[options, channels]`, f32.
///
/// `options` are numbers of channels at the join; `inner` says how many channels that is here.
fn prefixes(options: &[u64], inner: Inner, device: Device) -> Result<Tensor, SupernetError> {
    let open: Vec<u64> = options.iter().map(|&width| inner.channels(width)).collect();
    let widest = open.iter().copied().max().unwrap_or(0).cast_signed();
    let open: Vec<i64> = open.into_iter().map(u64::cast_signed).collect();
    let open = Tensor::f_from_slice(&open)?.f_unsqueeze(1)?;
    let channels = Tensor::f_arange(widest, (Kind::Int64, Device::Cpu))?.f_unsqueeze(0)?;
    Ok(channels.f_lt_tensor(&open)?.f_to_kind(Kind::Float)?.f_to_device(device)?)
}

/// `x * mask` over channels: `x` `[batch, channels, height, width]`, `mask` `[channels]`.
pub(super) fn apply(x: &Tensor, mask: &Tensor) -> Tensor {
    x * mask.to_kind(x.kind()).view([1, -1, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_option_opens_a_prefix_of_a_wider_one() {
        let masks = prefixes(&[1, 3], Inner::Times(2), Device::Cpu).unwrap();
        let rows: Vec<Vec<f64>> = Vec::try_from(masks.to_kind(Kind::Double)).unwrap();
        assert_eq!(rows, [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [1.0; 6]]);
    }
}
