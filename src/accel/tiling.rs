//! How a matrix product is cut into tiles that fit the array, and shared among several arrays.

use super::accelerator::{Array, Dataflow, Depthwise};
use super::counts::Divisor;
use super::workload::{Gemm, GemmKind};

/// A length cut into pieces of `size`: `full` whole ones and a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Length of a whole piece: the rows or columns of the array.
    pub size: u64,
    /// Whole pieces.
    pub full: u64,
    /// Length of the last, partial piece; 0 where there is none.
    pub rest: u64,
}

impl Extent {
    /// `length` in pieces of `size`, both at least 1.
    #[must_use]
    #[inline]
    pub fn new(length: u64, size: u64) -> Self {
        Self { size, full: length / size, rest: length % size }
    }

    #[inline(always)]
    fn cut(length: u64, side: Divisor) -> Self {
        let (full, rest) = side.div_rem(length);
        Self { size: side.get(), full, rest }
    }

    /// `ceil(length / size)`.
    #[must_use]
    #[inline]
    pub fn pieces(&self) -> u64 {
        self.full + u64::from(self.rest > 0)
    }

    /// Length of the piece at `index`, from 0.
    #[must_use]
    #[inline]
    pub fn piece(&self, index: u64) -> u64 {
        if index < self.full { self.size } else { self.rest }
    }

    /// The two kinds of pieces as (length, how many): whole and partial.
    #[must_use]
    #[inline]
    pub fn kinds(&self) -> [(u64, u64); 2] {
        [(self.size, self.full), (self.rest, u64::from(self.rest > 0))]
    }
}

/// The tiles of `repeats` equal products on one array.
///
/// | dataflow | rows hold | columns hold | streams |
/// |---|---|---|---|
/// | weight-stationary | k | n | m |
/// | input-stationary | k | m | n |
/// | output-stationary | m | n | k |
///
/// Every tile streams the same length, so there are at most four kinds: whole or partial rows by whole or partial
/// columns. Order: repeats, then row tiles, then column tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// What the rows hold, cut by the rows of the array.
    pub rows: Extent,
    /// What the columns hold, cut by the columns of the array.
    pub cols: Extent,
    /// Length that each tile streams, in cycles: `T`.
    pub streamed: u64,
    /// Products of this shape, one after the other.
    pub repeats: u64,
    /// Products that share a tile along the diagonal; 1 where none do.
    pub shared: u64,
}

/// The sides of an array, ready to cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    rows: Divisor,
    cols: Divisor,
}

impl Sides {
    /// Those of an array whose sides are in range.
    pub(super) fn of(array: &Array) -> Self {
        Self { rows: Divisor::new(array.rows), cols: Divisor::new(array.cols) }
    }
}

/// How often each operand of a product goes through the array.
///
/// | dataflow | inputs | weights | sums |
/// |---|---|---|---|
/// | weight-stationary | ceil(n/C) | loads | ceil(k/R) |
/// | input-stationary | loads | ceil(m/C) | ceil(k/R) |
/// | output-stationary | ceil(n/C) | ceil(m/R) | 1 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passes {
    /// Times that each input value is read.
    pub inputs: u64,
    /// Times that each weight is read.
    pub weights: u64,
    /// Times that each sum is written.
    pub sums: u64,
}

impl Tiling {
    /// The tiles of `gemm` on one array of `array`, one product after the other.
    ///
    /// # Panics
    /// For an array out of its range ([`Array::check`]).
    #[must_use]
    pub fn new(array: &Array, dataflow: Dataflow, gemm: &Gemm) -> Self {
        assert_eq!(array.check(), Ok(()), "an array is checked before it is tiled");
        Self::in_turn(&Sides::of(array), dataflow, gemm)
    }

    /// [`Tiling::new`] on sides that are ready.
    #[inline(always)]
    pub(super) fn in_turn(sides: &Sides, dataflow: Dataflow, gemm: &Gemm) -> Self {
        let Held { rows, cols, streamed } = Held::new(dataflow, gemm);
        Self {
            rows: Extent::cut(rows, sides.rows),
            cols: Extent::cut(cols, sides.cols),
            streamed,
            repeats: gemm.repeats(),
            shared: 1,
        }
    }

    /// The tiles of `gemm` under a depthwise rule.
    ///
    /// Under `diagonal`, `p = max(1, min(floor(R / rows held), floor(C / columns held)))` groups share a tile, each in
    /// rows and columns of its own: `ceil(groups / p)` tiles that hold `p` times the rows of one, the last fewer.
    #[inline]
    pub(super) fn mapped(sides: &Sides, dataflow: Dataflow, depthwise: Depthwise, gemm: &Gemm) -> Self {
        match (depthwise, gemm.kind()) {
            (Depthwise::Diagonal, GemmKind::Weights | GemmKind::Depthwise) if gemm.repeats() > 1 => {
                Self::diagonal(sides, dataflow, gemm)
            }
            (Depthwise::Diagonal | Depthwise::PerChannel | Depthwise::Vector, _) => {
                Self::in_turn(sides, dataflow, gemm)
            }
        }
    }

    fn diagonal(sides: &Sides, dataflow: Dataflow, gemm: &Gemm) -> Self {
        let Held { rows, cols, streamed } = Held::new(dataflow, gemm);
        let shared = (sides.rows.get() / rows).min(sides.cols.get() / cols).min(gemm.repeats());
        if shared < 2 {
            return Self::in_turn(sides, dataflow, gemm);
        }
        let full = gemm.repeats() / shared;
        let rest = gemm.repeats() % shared * rows;
        Self {
            rows: Extent { size: shared * rows, full, rest },
            cols: Extent { size: cols, full: 1, rest: 0 },
            streamed,
            repeats: 1,
            shared,
        }
    }

    /// Parts that begin anew: the repeats, or the passes of repeats that share the array.
    #[must_use]
    #[inline]
    pub fn runs(&self) -> u64 {
        if self.shared > 1 { self.rows.pieces() } else { self.repeats }
    }

    /// Rows in use, summed over the tiles of all repeats; what the rows hold, times columns of tiles and repeats.
    #[must_use]
    #[inline]
    pub fn rows_in_use(&self) -> u128 {
        let held = self.rows.full * self.rows.size + self.rows.rest;
        u128::from(held) * u128::from(self.cols.pieces()) * u128::from(self.repeats)
    }

    /// How often each operand goes through the array, where what stays in it is loaded `loads` times.
    #[must_use]
    #[inline]
    pub fn passes(&self, dataflow: Dataflow, loads: u64) -> Passes {
        let row_tiles = if self.shared > 1 { 1 } else { self.rows.pieces() };
        let col_tiles = self.cols.pieces();
        match dataflow {
            Dataflow::WeightStationary => Passes { inputs: col_tiles, weights: loads, sums: row_tiles },
            Dataflow::InputStationary => Passes { inputs: loads, weights: col_tiles, sums: row_tiles },
            Dataflow::OutputStationary => Passes { inputs: col_tiles, weights: row_tiles, sums: 1 },
        }
    }

    /// Tiles of one product, `ceil(rows held / rows) * ceil(columns held / cols)`.
    #[must_use]
    #[inline]
    pub fn tiles_of_one(&self) -> u64 {
        self.rows.pieces() * self.cols.pieces()
    }

    /// Tiles of all repeats.
    #[must_use]
    #[inline]
    pub fn tiles(&self) -> u64 {
        self.tiles_of_one() * self.repeats
    }

    /// The streamed length summed over all tiles; it never passes the MACs.
    #[must_use]
    #[inline]
    pub fn total_streamed(&self) -> u64 {
        self.tiles() * self.streamed
    }
}

/// What the rows and columns of an array hold of one product, and what streams through.
struct Held {
    rows: u64,
    cols: u64,
    streamed: u64,
}

impl Held {
    #[inline(always)]
    fn new(dataflow: Dataflow, gemm: &Gemm) -> Self {
        let (rows, cols, streamed) = match dataflow {
            Dataflow::WeightStationary => (gemm.k(), gemm.n(), gemm.m()),
            Dataflow::InputStationary => (gemm.k(), gemm.m(), gemm.n()),
            Dataflow::OutputStationary => (gemm.m(), gemm.n(), gemm.k()),
        };
        Self { rows, cols, streamed }
    }
}

/// How several arrays share a product: n is split first, m among the arrays that are left.
///
/// Pieces are whole tiles where the dimension lies along the array's sides, single elements where it streams.
/// Repeats are not shared: each array does its part of every repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Parts of n.
    pub n: u64,
    /// Parts of m, for each part of n.
    pub m: u64,
    /// The share of the busiest array; every other has as much or less.
    pub busiest: Gemm,
}

impl Split {
    /// The split of `gemm` over the arrays of `array`.
    #[must_use]
    #[inline(always)]
    pub fn new(array: &Array, dataflow: Dataflow, gemm: &Gemm) -> Self {
        if array.count == 1 {
            return Self { n: 1, m: 1, busiest: *gemm };
        }
        Self::shared(array, dataflow, gemm)
    }

    fn shared(array: &Array, dataflow: Dataflow, gemm: &Gemm) -> Self {
        let (m_size, n_size) = match dataflow {
            Dataflow::WeightStationary => (1, array.cols),
            Dataflow::InputStationary => (array.cols, 1),
            Dataflow::OutputStationary => (array.rows, array.cols),
        };
        let n_pieces = gemm.n().div_ceil(n_size);
        let m_pieces = gemm.m().div_ceil(m_size);
        let n = array.count.min(n_pieces);
        let m = (array.count / n).min(m_pieces);
        let busiest = gemm.shrunk(share(m_pieces, m, m_size), share(n_pieces, n, n_size));
        Self { n, m, busiest }
    }
}

/// Length of the largest of `parts` parts of `pieces` pieces.
fn share(pieces: u64, parts: u64, size: u64) -> u64 {
    pieces.div_ceil(parts).saturating_mul(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Dataflow; 3] = [Dataflow::WeightStationary, Dataflow::InputStationary, Dataflow::OutputStationary];

    #[test]
    fn a_length_is_cut_into_whole_pieces_and_a_rest() {
        // 300 = 2 * 128 + 44
        let extent = Extent::new(300, 128);
        assert_eq!(extent.kinds(), [(128, 2), (44, 1)]);
        assert_eq!(extent.pieces(), 3);
        assert_eq!([0, 1, 2].map(|i| extent.piece(i)), [128, 128, 44]);
        assert_eq!(Extent::new(256, 128).kinds(), [(128, 2), (0, 0)]);
    }

    #[test]
    fn each_dataflow_holds_and_streams_its_own_dimensions() {
        let array = Array { rows: 4, cols: 8, count: 1 };
        let gemm = Gemm::new(10, 20, 30).unwrap();
        // WS: ceil(30/4) * ceil(20/8) = 8 * 3, m streams; IS: 8 * ceil(10/8) = 8 * 2, n streams;
        // OS: ceil(10/4) * ceil(20/8) = 3 * 3, k streams.
        let found = ALL.map(|d| Tiling::new(&array, d, &gemm)).map(|t| (t.tiles(), t.streamed, t.total_streamed()));
        assert_eq!(found, [(24, 10, 240), (16, 20, 320), (9, 30, 270)]);
    }

    #[test]
    fn groups_share_the_diagonal_of_the_array() {
        // 3x3 kernels on 32 rows: floor(32 / 9) = 3 groups a tile, 10 groups in 4 tiles of 27, 27, 27 and 9 rows
        let array = Array { rows: 32, cols: 32, count: 1 };
        let gemm = Gemm::new(50, 1, 9).unwrap().repeated(10, GemmKind::Depthwise).unwrap();
        let tiling = Tiling::mapped(&Sides::of(&array), Dataflow::WeightStationary, Depthwise::Diagonal, &gemm);
        assert_eq!((tiling.shared, tiling.tiles(), tiling.runs(), tiling.total_streamed()), (3, 4, 4, 200));
        assert_eq!(tiling.rows.kinds(), [(27, 3), (9, 1)]);
        assert_eq!(tiling.rows_in_use(), 90);
        assert_eq!(
            tiling.passes(Dataflow::WeightStationary, 1),
            Tiling::new(&array, Dataflow::WeightStationary, &gemm).passes(Dataflow::WeightStationary, 1)
        );
        // output-stationary holds the 50 pixels in the rows: none shares
        let tiling = Tiling::mapped(&Sides::of(&array), Dataflow::OutputStationary, Depthwise::Diagonal, &gemm);
        assert_eq!((tiling.shared, tiling.tiles()), (1, 20));
        // a product of activations is none of the rule's
        let heads = gemm.repeated(10, GemmKind::Activations).unwrap();
        let tiling = Tiling::mapped(&Sides::of(&array), Dataflow::WeightStationary, Depthwise::Diagonal, &heads);
        assert_eq!(tiling, Tiling::new(&array, Dataflow::WeightStationary, &heads));
    }

    #[test]
    fn arrays_split_whole_column_tiles_then_pixels() {
        // 320 columns = 3 tiles of 128: of 7 arrays 3 take one tile each, and 7 / 3 = 2 share the 100 pixels.
        let array = Array { rows: 128, cols: 128, count: 7 };
        let gemm = Gemm::new(100, 320, 64).unwrap();
        let split = Split::new(&array, Dataflow::WeightStationary, &gemm);
        assert_eq!((split.n, split.m), (3, 2));
        assert_eq!((split.busiest.n(), split.busiest.m(), split.busiest.k()), (128, 50, 64));
    }

    #[test]
    fn one_array_takes_the_whole_product() {
        let gemm = Gemm::new(u64::MAX, 1, 1).unwrap();
        for dataflow in ALL {
            let split = Split::new(&Array { rows: 3, cols: 5, count: 1 }, dataflow, &gemm);
            assert_eq!((split.n, split.m, split.busiest), (1, 1, gemm));
        }
    }

    proptest! {
        #[test]
        fn pieces_sum_to_the_length(length in 1..500_u64, size in 1..70_u64) {
            let extent = Extent::new(length, size);
            prop_assert_eq!((0..extent.pieces()).map(|i| extent.piece(i)).sum::<u64>(), length);
            prop_assert_eq!(extent.kinds().iter().map(|(piece, count)| piece * count).sum::<u64>(), length);
        }

        #[test]
        fn the_parts_of_all_arrays_cover_the_product(
            size in (1..40_u64, 1..40_u64, 1..40_u64), side in (1..9_u64, 1..9_u64), count in 1..20_u64,
        ) {
            let gemm = Gemm::new(size.0, size.1, size.2).unwrap();
            for dataflow in ALL {
                let split = Split::new(&Array { rows: side.0, cols: side.1, count }, dataflow, &gemm);
                prop_assert!(split.n * split.m <= count);
                prop_assert!(split.busiest.n() * split.n >= gemm.n());
                prop_assert!(split.busiest.m() * split.m >= gemm.m());
            }
        }
    }
}
