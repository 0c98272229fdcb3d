//! Channels of a concatenation without the gaps behind its parts.
//!
//! In a supernet each part has room for its widest option; in the network that is derived the parts stand one behind the
//! other. What copies channels in order, `identity` and pools, copies those of the network: channel `i` of part `k` stands
//! at place `i + s` with the probability that the parts before it have `s` channels.

use tch::{Device, Kind, Tensor};

use super::SupernetError;
use super::masks::distribution;
use crate::space::{Space, SumId, WidthSum};

/// Where the channels of a concatenation stand without gaps.
#[derive(Debug)]
pub(super) struct Packing {
    parts: Vec<Part>,
    /// Channels with all gaps.
    channels: i64,
}

/// A part of it.
#[derive(Debug)]
struct Part {
    /// Channels of the parts before it; nothing of the first.
    before: Option<WidthSum>,
    /// Channels of each option of `before`.
    options: Tensor,
    /// By place and channel of the part, `[channels * channels of the part]`: how far it moved, or `channels` where that is
    /// not forward.
    shifts: Tensor,
}

impl Packing {
    pub(super) fn new(space: &Space, id: SumId, device: Device) -> Result<Self, SupernetError> {
        let all = space.sums[id.0].parts();
        let widest = |part: usize| space.widths[all[part].0].options.last().map_or(0, |&widest| widest.cast_signed());
        let channels: i64 = (0..all.len()).map(widest).sum();
        let mut parts = Vec::with_capacity(all.len());
        for place in 0..all.len() {
            let before = (place > 0).then(|| WidthSum::new(all[..place].to_vec(), &space.widths));
            let options = before.as_ref().map_or(&[0][..], WidthSum::options);
            let options: Vec<i64> = options.iter().map(|&option| option.cast_signed()).collect();
            let shift = |to: i64| (0..widest(place)).map(move |from| if to < from { channels } else { to - from });
            let shifts: Vec<i64> = (0..channels).flat_map(shift).collect();
            let [options, shifts] = [options, shifts].map(|numbers| Tensor::f_from_slice(&numbers));
            parts.push(Part { before, options: options?.f_to_device(device)?, shifts: shifts?.f_to_device(device)? });
        }
        Ok(Self { parts, channels })
    }

    /// `x` `[batch, channels, height, width]` without gaps where the choices have the weights `widths`.
    pub(super) fn apply(&self, x: &Tensor, widths: &[Tensor]) -> Tensor {
        let matrix = self.matrix(widths).to_kind(x.kind()).view([self.channels, self.channels, 1, 1]);
        x.conv2d(&matrix, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1)
    }

    /// How much of each channel stands at each place, `[place, channel]`.
    fn matrix(&self, widths: &[Tensor]) -> Tensor {
        let part = |part: &Part| {
            let device = part.options.device();
            let before = match &part.before {
                Some(before) => distribution(before, widths),
                None => Tensor::ones([1], (Kind::Float, device)),
            };
            let dense = Tensor::zeros([self.channels + 1], (Kind::Float, device)).index_add(0, &part.options, &before);
            dense.index_select(0, &part.shifts).view([self.channels, -1])
        };
        Tensor::cat(&self.parts.iter().map(part).collect::<Vec<_>>(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;
    use crate::network::Shape;
    use crate::space::file::{Setting, SpaceFile};

    fn space() -> Space {
        let text = "
body:
  cells:
    inputs: [a]
    nodes: [{ name: t, from: [a] }, { name: u, from: [a] }]
    output: [t, u]
    candidates: [conv: { kernel: 1 }]
    width: { min: 1, max: 3, step: 2 }
    stack: [{ cells: { count: 1 } }]
classifier: global-pool
";
        let file: SpaceFile = load::parse(text, "space").unwrap();
        let input = Shape::new(&[3, 8, 8]).unwrap();
        file.into_space(&Setting { name: "s", origin: "space", input, classes: 2 }).unwrap()
    }

    fn packed(t: [f32; 2], u: [f32; 2]) -> Vec<Vec<f64>> {
        let space = space();
        let packing = Packing::new(&space, SumId(0), Device::Cpu).unwrap();
        // The image has one option, then t and u.
        let widths = [&[1.0][..], &t, &u].map(Tensor::from_slice);
        Vec::try_from(packing.matrix(&widths).to_kind(Kind::Double)).unwrap()
    }

    #[test]
    fn the_second_part_moves_to_the_end_of_the_first() {
        // Three channels of t, then u as it is.
        let one = |place: usize| (0..6).map(|channel| f64::from(u8::from(channel == place))).collect::<Vec<f64>>();
        assert_eq!(packed([0.0, 1.0], [1.0, 0.0]), (0..6).map(one).collect::<Vec<_>>());
        // One channel of t: u begins at place 1; the closed channels of t stand there as well, and are nought.
        let narrow = packed([1.0, 0.0], [1.0, 0.0]);
        assert_eq!(narrow[1], [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(narrow[3], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(narrow[4], [0.0; 6]);
    }

    #[test]
    fn a_channel_stands_at_its_places_by_their_probabilities() {
        let mixed = packed([0.25, 0.75], [0.5, 0.5]);
        // The first channel of u at place 1 or 3.
        let first: Vec<f64> = mixed.iter().map(|row| row[3]).collect();
        assert_eq!(first, [0.0, 0.25, 0.0, 0.75, 0.0, 0.0]);
    }
}
