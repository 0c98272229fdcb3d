//! The rows that no other row read so far dominates.

use super::super::{OBJECTIVES, Reference};
use crate::front::{dominates, hypervolume_2};

/// Least range of an objective by which values are scaled.
const LEAST_RANGE: f64 = 1e-12;

/// A front that grows.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// Place of each row, with error and latency.
    members: Vec<(usize, [f64; 2])>,
}

/// Where a front begins and how far it goes, in error and latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Least values.
    pub(super) least: [f64; 2],
    /// Ranges, above 0.
    pub(super) range: [f64; 2],
}

impl Archive {
    pub(super) fn add(&mut self, place: usize, objectives: [f64; 2]) {
        let beaten = |other: &[f64; 2]| *other == objectives || dominates(other, &objectives, &OBJECTIVES);
        if self.members.iter().any(|(_, other)| beaten(other)) {
            return;
        }
        self.members.retain(|(_, other)| !dominates(&objectives, other, &OBJECTIVES));
        self.members.push((place, objectives));
    }

    pub(super) fn hypervolume(&self, reference: Reference) -> f64 {
        let points: Vec<[f64; 2]> = self.members.iter().map(|(_, objectives)| *objectives).collect();
        hypervolume_2(&points, &OBJECTIVES, [reference.error, reference.latency_ms])
    }

    /// Error and latency of each member.
    pub(super) fn objectives(&self) -> impl Iterator<Item = [f64; 2]> + Clone {
        self.members.iter().map(|(_, objectives)| *objectives)
    }

    /// The scale of the front.
    pub(super) fn scale(&self) -> Scale {
        let values = |i: usize| self.members.iter().map(move |(_, objectives)| objectives[i]);
        let least = [0, 1].map(|i| values(i).fold(f64::INFINITY, f64::min));
        let most = [0, 1].map(|i| values(i).fold(f64::NEG_INFINITY, f64::max));
        let range = [0, 1].map(|i| most[i] - least[i]);
        // A front of one point has no range: its values are then taken as they are.
        Scale { least, range: range.map(|range| if range > LEAST_RANGE { range } else { 1.0 }) }
    }
}

impl Scale {
    /// Values as shares of the range.
    pub(super) fn scaled(&self, objectives: [f64; 2]) -> [f64; 2] {
        std::array::from_fn(|i| (objectives[i] - self.least[i]) / self.range[i])
    }
}
