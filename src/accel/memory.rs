//! Memories of the accelerator and the way to DRAM.

use num_integer::gcd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{Wide, small};
use super::traffic::Operand;
use crate::units::{Bytes, Megahertz};

/// Memories and their bandwidths; what is not given is no limit, or the default of the timing that asks.
///
/// Bandwidths and `overlap` take time under `pipelined` alone; capacities and `weights` decide the traffic that every
/// timing reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Memory {
    /// Bandwidth at which weights arrive in the array under `uboost-csim`, which takes 80 GiB/s where it is not given;
    /// of a memory with [`Dram::Ports`] that of the weights' port.
    pub weight_bandwidth: Option<Bandwidth>,
    /// The way to DRAM, as `pipelined` charges it.
    pub dram: Dram,
    /// Memory for weights.
    pub weight_capacity: Option<Bytes>,
    /// Memory for activations; where it is not given none stays on chip from layer to layer.
    pub activation_capacity: Option<Bytes>,
    /// Where weights are before the network runs.
    pub weights: WeightHome,
    /// Rows of partial sums that an array accumulates at a time: under the weight-stationary dataflow a layer streams
    /// its m in blocks of so many, its weights once for each.
    pub accumulator_rows: Option<u64>,
    /// Whether traffic hides behind the array.
    pub overlap: Overlap,
}

/// The way to DRAM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dram {
    /// Traffic takes no time.
    #[default]
    Unlimited,
    /// All traffic goes one way.
    Shared(Bandwidth),
    /// Weights, inputs and outputs have a port each, side by side.
    Ports {
        /// Of the weights.
        weights: Bandwidth,
        /// Of input activations.
        inputs: Bandwidth,
        /// Of output activations.
        outputs: Bandwidth,
    },
}

/// Where weights are before the network runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightHome {
    /// In DRAM: each layer reads its own.
    #[default]
    Streamed,
    /// On chip, where those of the whole network fit the weight memory; else in DRAM.
    Resident,
    /// On chip, layer by layer in the network's order, where those of the layer fit what the layers before it left of
    /// the weight memory; else in DRAM.
    Cached,
}

/// Whether traffic and vector work of a layer hide behind its array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// A layer takes as long as the longest of array, memory and vector unit.
    #[default]
    Hidden,
    /// A layer takes the sum of the three.
    InTurn,
}

impl Memory {
    /// Room for the weights of a network, `all` in sum, before it runs.
    #[must_use]
    pub fn weight_room(&self, all: Bytes) -> WeightRoom {
        let capacity = self.weight_capacity.unwrap_or_default();
        match self.weights {
            // Without end: layers whose weights are rounded up each may need more than their sum.
            WeightHome::Resident if all <= capacity => WeightRoom { left: Bytes(u64::MAX) },
            WeightHome::Streamed | WeightHome::Resident => WeightRoom { left: Bytes(0) },
            WeightHome::Cached => WeightRoom { left: capacity },
        }
    }

    /// Whether a layer's weights fit, as they do where no capacity is given.
    pub(super) fn fits_weights(&self, weights: Bytes) -> bool {
        self.weight_capacity.is_none_or(|capacity| weights <= capacity)
    }

    /// Whether a layer's input fits, as it does where no capacity is given.
    pub(super) fn fits_input(&self, input: Bytes) -> bool {
        self.activation_capacity.is_none_or(|capacity| input <= capacity)
    }
}

/// What is left of the weight memory while the layers of a network take their place in it, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightRoom {
    left: Bytes,
}

impl WeightRoom {
    /// The weights of the next layer: on chip where they fit what is left, which they then take, else in DRAM.
    pub fn next(&mut self, weights: Bytes) -> Operand {
        match self.left.0.checked_sub(weights.0) {
            Some(left) => {
                self.left = Bytes(left);
                Operand::on_chip(weights)
            }
            None => Operand::off_chip(weights),
        }
    }
}

/// Bandwidth in whole bytes a second, above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bandwidth(u64);

/// A bandwidth that no memory has.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a bandwidth in GB/s must be from 1e-9 to 1e9, got {0}")]
pub struct BadBandwidth(pub f64);

impl Bandwidth {
    /// `gib` GiB/s, of 2^30 bytes.
    #[must_use]
    pub const fn gib_per_second(gib: u32) -> Self {
        assert!(gib > 0, "a bandwidth is above zero");
        Self((gib as u64) << 30)
    }

    /// From GB/s of 10^9 bytes, rounded to whole bytes.
    ///
    /// # Errors
    /// [`BadBandwidth`] outside 1e-9 to 1e9 GB/s.
    pub fn from_gb_per_second(gb: f64) -> Result<Self, BadBandwidth> {
        if !(1e-9..=1e9).contains(&gb) {
            return Err(BadBandwidth(gb));
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounded, and from 1 to 1e18")]
        let bytes = (gb * 1e9).round() as u64;
        Ok(Self(bytes.max(1)))
    }

    /// Bytes a second.
    #[must_use]
    pub fn bytes_per_second(self) -> u64 {
        self.0
    }
}

/// Cycles a byte at one bandwidth and clock, as a fraction in lowest terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    cycles: Wide,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(bandwidth: Bandwidth, clock: Megahertz) -> Self {
        let bytes = bandwidth.bytes_per_second();
        let hertz = clock.hertz();
        let common = gcd(Wide::from(bytes), hertz);
        #[expect(clippy::cast_possible_truncation, reason = "the divisor of a u64")]
        let divisor = common as u64;
        Self { cycles: hertz / common, bytes: bytes / divisor }
    }

    /// Cycles in which `bytes` arrive, rounded up; nothing where they pass `u128`.
    #[inline]
    pub(super) fn cycles(&self, bytes: u64) -> Option<Wide> {
        Some(small::div_ceil(Wide::from(bytes).checked_mul(self.cycles)?, self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_gib_are_exact_in_gb() {
        // 80 * 2^30 = 85,899,345,920
        let written = Bandwidth::from_gb_per_second(85.899_345_92).unwrap();
        assert_eq!(written, Bandwidth::gib_per_second(80));
        assert_eq!(written.bytes_per_second(), 85_899_345_920);
    }

    #[test]
    fn bytes_arrive_in_whole_cycles() {
        // 12.8 GB/s at 700 MHz: 18.2857... bytes a cycle; 183 bytes need 10.008 cycles
        let pace = Pace::new(Bandwidth::from_gb_per_second(12.8).unwrap(), Megahertz::new(700.0).unwrap());
        assert_eq!([0, 1, 18, 19, 182, 183].map(|bytes| pace.cycles(bytes).unwrap()), [0, 1, 1, 2, 10, 11]);
    }

    /// Which of layers with these weights have theirs on chip, in a weight memory of 100 bytes.
    fn on_chip(weights: WeightHome, layers: &[u64]) -> Vec<bool> {
        let memory = Memory { weight_capacity: Some(Bytes(100)), weights, ..Memory::default() };
        let mut room = memory.weight_room(Bytes(layers.iter().sum()));
        layers.iter().map(|&bytes| room.next(Bytes(bytes)) == Operand::on_chip(Bytes(bytes))).collect()
    }

    #[test]
    fn weights_stay_on_chip_where_asked_and_where_they_fit() {
        assert_eq!(on_chip(WeightHome::Streamed, &[1, 99]), [false, false]);
        assert_eq!(on_chip(WeightHome::Resident, &[1, 99]), [true, true]);
        assert_eq!(on_chip(WeightHome::Resident, &[1, 100]), [false, false]);
        let memory = Memory { weight_capacity: Some(Bytes(100)), ..Memory::default() };
        assert!(memory.fits_weights(Bytes(100)) && !memory.fits_weights(Bytes(101)));
        assert!(Memory::default().fits_weights(Bytes(u64::MAX)) && Memory::default().fits_input(Bytes(u64::MAX)));
    }

    #[test]
    fn cached_weights_take_what_the_layers_before_them_left() {
        assert_eq!(on_chip(WeightHome::Cached, &[1, 99]), [true, true]);
        // 100 - 60 leave 40, which 41 pass and 40 fill
        assert_eq!(on_chip(WeightHome::Cached, &[60, 41, 40, 1]), [true, false, true, false]);
        assert_eq!(on_chip(WeightHome::Cached, &[101, 100]), [false, true]);
    }

    #[test]
    fn a_bandwidth_of_nothing_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Bandwidth::from_gb_per_second(bad).is_err(), "{bad}");
        }
    }
}
