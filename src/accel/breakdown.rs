//! What the cycles of a layer go to, in whole cycles that sum to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{Wide, counted};
use crate::units::Cycles;

/// The cycles of a layer, by what they go to. The parts sum to the layer's cycles.
///
/// The first four are the cycles in which operands stream; they are rounded cumulatively, so that no cycle is lost:
/// `useful` ends at `floor(MACs / PEs)`, and with each loss after it the mark that its name leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Breakdown {
    /// `array MACs / PEs`: what the layer would take if every PE worked in every cycle.
    pub useful: Cycles,
    /// Streamed while an array had less to do than the busiest one.
    pub imbalance: Cycles,
    /// Streamed past columns that held nothing: partial column tiles, and under `diagonal` what lies off the diagonal.
    pub columns: Cycles,
    /// Streamed past rows that held nothing: partial row tiles.
    pub rows: Cycles,
    /// The operand that stays is loaded, and nothing streams.
    pub load: Cycles,
    /// The array fills and drains.
    pub fill_and_drain: Cycles,
    /// The layer waits for memory.
    pub stall: Cycles,
    /// The vector unit works, and the array does not.
    pub vector: Cycles,
}

/// A part of a breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields of Breakdown say what each is")]
pub enum Part {
    Useful,
    Imbalance,
    Columns,
    Rows,
    Load,
    FillAndDrain,
    Stall,
    Vector,
}

impl Part {
    /// Every part, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::Useful,
        Self::Imbalance,
        Self::Columns,
        Self::Rows,
        Self::Load,
        Self::FillAndDrain,
        Self::Stall,
        Self::Vector,
    ];

    /// Its name in tables and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Useful => "useful",
            Self::Imbalance => "imbalance",
            Self::Columns => "columns",
            Self::Rows => "rows",
            Self::Load => "load",
            Self::FillAndDrain => "fill-and-drain",
            Self::Stall => "stall",
            Self::Vector => "vector",
        }
    }
}

/// What limits a layer: the longest of the times of array, vector unit and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The array.
    Array,
    /// Memory traffic.
    Memory,
    /// The vector unit.
    Vector,
    /// Nothing: the layer is free.
    #[default]
    None,
}

impl Breakdown {
    /// The cycles of one part.
    #[must_use]
    pub fn part(&self, part: Part) -> Cycles {
        match part {
            Part::Useful => self.useful,
            Part::Imbalance => self.imbalance,
            Part::Columns => self.columns,
            Part::Rows => self.rows,
            Part::Load => self.load,
            Part::FillAndDrain => self.fill_and_drain,
            Part::Stall => self.stall,
            Part::Vector => self.vector,
        }
    }

    /// The sum of the parts: the layer's cycles.
    #[must_use]
    pub fn total(&self) -> Cycles {
        Part::ALL.into_iter().map(|part| self.part(part)).sum()
    }

    /// The largest part that is not useful, the first of equal ones; nothing where all cycles are useful.
    #[must_use]
    pub fn largest_loss(&self) -> Option<Part> {
        let losses = Part::ALL.into_iter().filter(|&part| part != Part::Useful && self.part(part).0 > 0);
        losses.rev().max_by_key(|&part| self.part(part))
    }

    /// Both, one after the other, or nothing where a part would pass `u64`.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            useful: self.useful.checked_add(other.useful)?,
            imbalance: self.imbalance.checked_add(other.imbalance)?,
            columns: self.columns.checked_add(other.columns)?,
            rows: self.rows.checked_add(other.rows)?,
            load: self.load.checked_add(other.load)?,
            fill_and_drain: self.fill_and_drain.checked_add(other.fill_and_drain)?,
            stall: self.stall.checked_add(other.stall)?,
            vector: self.vector.checked_add(other.vector)?,
        })
    }
}

/// Where each part of the array's cycles would end if it were counted for itself, each from the start.
pub(super) struct Marks {
    pub(super) useful: Wide,
    pub(super) imbalance: Wide,
    pub(super) columns: Wide,
    /// All streamed cycles.
    pub(super) stream: Wide,
    pub(super) load: Wide,
    pub(super) fill_and_drain: Wide,
}

impl Marks {
    /// The breakdown of `cycles` of the array; what lies behind the last mark is stall.
    ///
    /// A mark beyond the next one, or beyond the whole, is moved back to it: the last index of `scale-sim` leaves out a
    /// cycle, the book-keeping of `uboost-csim` some of the stream.
    #[inline]
    pub(super) fn breakdown(&self, cycles: Cycles) -> Breakdown {
        let clipped = |mark: Wide, end: u64| counted(mark).unwrap_or(u64::MAX).min(end);
        let filled = clipped(self.fill_and_drain, cycles.0);
        let loaded = clipped(self.load, filled);
        let streamed = clipped(self.stream, loaded);
        let columns = clipped(self.columns, streamed);
        let imbalance = clipped(self.imbalance, columns);
        let useful = clipped(self.useful, imbalance);
        Breakdown {
            useful: Cycles(useful),
            imbalance: Cycles(imbalance - useful),
            columns: Cycles(columns - imbalance),
            rows: Cycles(streamed - columns),
            load: Cycles(loaded - streamed),
            fill_and_drain: Cycles(filled - loaded),
            stall: Cycles(cycles.0 - filled),
            vector: Cycles(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_beyond_the_whole_are_moved_back() {
        let marks = Marks { useful: 3, imbalance: 3, columns: 5, stream: 9, load: 9, fill_and_drain: 20 };
        let parts = |cycles| {
            let breakdown = marks.breakdown(Cycles(cycles));
            assert_eq!(breakdown.total(), Cycles(cycles));
            Part::ALL.map(|part| breakdown.part(part).0)
        };
        assert_eq!(parts(22), [3, 0, 2, 4, 0, 11, 2, 0]);
        assert_eq!(parts(7), [3, 0, 2, 2, 0, 0, 0, 0]);
        assert_eq!(parts(0), [0; 8]);
    }

    #[test]
    fn the_largest_loss_is_the_first_of_equal_ones() {
        let breakdown = Breakdown { useful: Cycles(9), rows: Cycles(3), load: Cycles(3), ..Breakdown::default() };
        assert_eq!(breakdown.largest_loss(), Some(Part::Rows));
        assert_eq!(Breakdown { useful: Cycles(9), ..Breakdown::default() }.largest_loss(), None);
    }

    #[test]
    fn names_are_those_of_files() {
        for part in Part::ALL {
            assert_eq!(serde_json::to_value(part).unwrap(), part.name());
        }
    }
}
