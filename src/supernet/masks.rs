//! Prefix masks of widths.
//!
//! The channels of a concatenation are no prefix: each part has one of its own, with a gap behind it. Where the channels
//! inside a candidate belong to those of a concatenated source, `factor` to each, they have the same gaps. A number of
//! channels that is a share of all, as behind a squeeze, belongs to none of them: it is a prefix again, under the
//! distribution of the sum.

use tch::{Device, Kind, Tensor};

use super::SupernetError;
use crate::space::{Inner, Space, Width, WidthId, WidthSum};

/// How much each channel is open, `[channels]`, as a function of the weights of width choices.
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
        };
        mask.map(Some)
    }

    /// The mask where the choices have the weights `widths`, each `[options]`.
    pub(super) fn at(&self, widths: &[Tensor]) -> Tensor {
        match self {
            Self::Open(ones) => ones.shallow_clone(),
            Self::Prefix { choice, prefixes } => widths[choice.0].matmul(prefixes),
            Self::Parts(parts) => Tensor::cat(&parts.iter().map(|part| part.at(widths)).collect::<Vec<_>>(), 0),
            Self::Sum { sum, prefixes } => distribution(sum, widths).matmul(prefixes),
        }
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
