//! The vector unit: what is no matrix product.

use serde::Serialize;

use super::counts::{Wide, small};

/// `lanes` lanes of `ops_per_cycle` operations each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VectorUnit {
    /// Lanes side by side, 1 to [`VectorUnit::MAX_LANES`].
    pub lanes: u64,
    /// Operations of a lane in a cycle, 1 to [`VectorUnit::MAX_RATE`].
    pub ops_per_cycle: u64,
    /// Operations that one exponential counts as, 1 to [`VectorUnit::MAX_RATE`].
    pub exponential_factor: u64,
}

/// Operations of a vector unit.
///
/// | work | operations |
/// |---|---|
/// | k x k pooling to c channels of h x w | `2 k k c h w b` |
/// | elementwise, two operands | `c h w b` for each operand after the first |
/// | activation, batch norm that is not fused | `c h w b` |
/// | softmax, sigmoid and SiLU that are not fused | `c h w b` exponentials |
/// | depthwise product under `depthwise: vector` | its multiply-accumulates |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VectorWork {
    /// Operations that take a lane one slot.
    pub operations: u64,
    /// Operations that take as many slots as the unit's exponential factor.
    pub exponentials: u64,
}

impl VectorUnit {
    /// The most lanes that are covered.
    pub const MAX_LANES: u64 = 1 << 20;
    /// The most operations a cycle, and the largest factor.
    pub const MAX_RATE: u64 = 1 << 16;

    /// `ceil((operations + factor * exponentials) / (lanes * operations a cycle))`.
    pub(super) fn cycles(&self, work: VectorWork) -> Wide {
        let slots = Wide::from(work.operations) + Wide::from(self.exponential_factor) * Wide::from(work.exponentials);
        small::div_ceil(slots, self.lanes * self.ops_per_cycle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_take_as_many_slots_as_their_factor() {
        let unit = VectorUnit { lanes: 8, ops_per_cycle: 2, exponential_factor: 5 };
        // 33 operations in slots of 16: 3 cycles; 33 + 5 * 7 = 68: 5 cycles
        assert_eq!(unit.cycles(VectorWork { operations: 33, exponentials: 0 }), 3);
        assert_eq!(unit.cycles(VectorWork { operations: 33, exponentials: 7 }), 5);
        assert_eq!(unit.cycles(VectorWork::default()), 0);
    }

    #[test]
    fn the_most_work_does_not_wrap() {
        let unit = VectorUnit { lanes: 1, ops_per_cycle: 1, exponential_factor: VectorUnit::MAX_RATE };
        let most = u64::MAX;
        assert_eq!(unit.cycles(VectorWork { operations: most, exponentials: most }), Wide::from(most) * 65_537);
    }
}
