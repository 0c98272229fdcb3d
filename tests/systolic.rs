//! A systolic array, stepped cycle by cycle: real processing elements with real numbers prove that `pipelined` counts a
//! machine that can be built, and that it multiplies right.

use proptest::prelude::*;
use systole::accel::Dataflow::{self, InputStationary, OutputStationary, WeightStationary};
use systole::accel::{Accelerator, Array, Depthwise, Gemm, GemmKind, Memory, Timing};

/// A matrix of whole numbers, row by row.
type Matrix = Vec<Vec<i64>>;

/// One tile: a stream of rows through what stays in the array, or two streams that meet in it.
struct Tile {
    /// `[rows][cols]` that stay; under output-stationary `[k][cols]` that stream from above.
    second: Matrix,
    /// `[streamed][rows]` from the left; under output-stationary `[rows][k]`.
    first: Matrix,
    /// Where the results go: product, first row and first column.
    product: usize,
    row: usize,
    col: usize,
}

/// An operand on its way: the value, and whether it is the first of its tile.
type Moving = Option<(i64, bool)>;

/// Sums by (tile, row of the result, column), and the cycles until the last column has drained.
struct Run {
    sums: Vec<Matrix>,
    cycles: u64,
}

/// Weights stay, activations move right, sums move down. A weight travels down its column to its row, behind it the
/// next tile's: each element has one weight at work and one waiting, and swaps when the first activation of a tile
/// arrives.
fn operand_stationary(rows: usize, cols: usize, tiles: &[Tile]) -> Run {
    let starts = {
        // A tile starts when the one before has streamed and its own weights are in.
        let mut starts = vec![tiles[0].second.len()];
        for pair in tiles.windows(2) {
            starts.push(starts[starts.len() - 1] + pair[0].first.len().max(pair[1].second.len()));
        }
        starts
    };
    let loads: Vec<usize> = std::iter::once(0).chain(starts.iter().copied()).collect();
    let mut moving: Vec<Vec<Moving>> = vec![vec![None; cols]; rows];
    let mut partial: Vec<Vec<Option<i64>>> = vec![vec![None; cols]; rows];
    let mut falling: Vec<Vec<Option<(usize, i64)>>> = vec![vec![None; cols]; rows];
    let mut waiting = vec![vec![0; cols]; rows];
    let mut working = vec![vec![0; cols]; rows];
    let mut sums: Vec<Matrix> = tiles.iter().map(|tile| vec![Vec::new(); tile.second[0].len()]).collect();
    let (mut cycle, mut drained) = (0, vec![0; cols]);
    let all: usize = tiles.iter().map(|tile| tile.first.len()).sum();
    while drained[cols - 1] < all {
        // From the far corner on, so that every element sees what its neighbours held a cycle ago.
        for i in (0..rows).rev() {
            for j in (0..cols).rev() {
                let arriving = if j > 0 { moving[i][j - 1] } else { injected(tiles, &starts, cycle, i) };
                let above = if i > 0 { partial[i - 1][j] } else { arriving.map(|_| 0) };
                let weight = if i > 0 { falling[i - 1][j] } else { inserted(tiles, &loads, cycle, j) };
                if let Some((value, first)) = arriving {
                    if first {
                        working[i][j] = waiting[i][j];
                    }
                    let sum = above.expect("a sum arrives with its activation") + value * working[i][j];
                    partial[i][j] = Some(sum);
                } else {
                    partial[i][j] = None;
                }
                moving[i][j] = arriving;
                falling[i][j] = weight.filter(|(row, _)| *row != i);
                if let Some((_, value)) = weight.filter(|(row, _)| *row == i) {
                    waiting[i][j] = value;
                }
            }
        }
        cycle += 1;
        for (j, count) in drained.iter_mut().enumerate() {
            let Some(sum) = partial[rows - 1][j] else { continue };
            let (tile, _) = place(tiles, *count);
            if let Some(column) = sums[tile].get_mut(j) {
                column.push(sum);
            }
            *count += 1;
        }
    }
    Run { sums, cycles: cycle as u64 }
}

/// Tile and row within it of the `nth` streamed row.
fn place(tiles: &[Tile], mut nth: usize) -> (usize, usize) {
    for (index, tile) in tiles.iter().enumerate() {
        if nth < tile.first.len() {
            return (index, nth);
        }
        nth -= tile.first.len();
    }
    unreachable!("no more rows drain than stream")
}

/// What enters row `i` of the array in `cycle`: row `i` lags `i` cycles; unused rows get zeros.
fn injected(tiles: &[Tile], starts: &[usize], cycle: usize, i: usize) -> Moving {
    let lagged = cycle.checked_sub(i)?;
    let (tile, start) = tiles.iter().zip(starts).rev().find(|(_, start)| **start <= lagged)?;
    let row = tile.first.get(lagged - start)?;
    Some((row.get(i).copied().unwrap_or(0), lagged == *start))
}

/// The weight that enters column `j` in `cycle`, with its row; column `j` lags `j` cycles, unused columns get none.
fn inserted(tiles: &[Tile], loads: &[usize], cycle: usize, j: usize) -> Option<(usize, i64)> {
    let lagged = cycle.checked_sub(j)?;
    let (tile, load) = tiles.iter().zip(loads).rev().find(|(_, load)| **load <= lagged)?;
    let row = lagged - load;
    Some((row, *tile.second.get(row)?.get(j)?))
}

/// Sums stay, both operands move. A finished sum waits beside its element until its column is done, then the column
/// moves down a chain, a row a cycle.
fn output_stationary(rows: usize, cols: usize, tiles: &[Tile]) -> Run {
    let length = |tile: &Tile| tile.second.len();
    let mut starts = vec![0];
    for pair in tiles.windows(2) {
        // Ends of tiles lie at least the rows apart, so that a column has drained before the next is done.
        starts.push(starts[starts.len() - 1] + length(&pair[0]) + rows.saturating_sub(length(&pair[1])));
    }
    let mut right: Vec<Vec<Option<i64>>> = vec![vec![None; cols]; rows];
    let mut down: Vec<Vec<Option<i64>>> = vec![vec![None; cols]; rows];
    let mut sum = vec![vec![0; cols]; rows];
    let mut done = vec![vec![None; cols]; rows];
    let mut chain: Vec<Vec<Option<i64>>> = vec![vec![None; cols]; rows];
    let mut steps = vec![vec![0; cols]; rows];
    let mut columns: Vec<Vec<Vec<i64>>> = vec![Vec::new(); cols];
    let (mut cycle, wanted) = (0, tiles.len() * rows);
    let edge = |cycle: usize, lag: usize, from: &dyn Fn(&Tile, usize) -> i64| -> Option<i64> {
        let lagged = cycle.checked_sub(lag)?;
        let (tile, start) = tiles.iter().zip(&starts).rev().find(|(_, start)| **start <= lagged)?;
        (lagged - start < length(tile)).then(|| from(tile, lagged - start))
    };
    while columns[cols - 1].len() < wanted {
        for (j, drained) in columns.iter_mut().enumerate() {
            if let Some(value) = chain[rows - 1][j] {
                drained.push(vec![value]);
            }
            for i in (0..rows).rev() {
                chain[i][j] = if i > 0 { chain[i - 1][j] } else { None };
            }
        }
        for i in (0..rows).rev() {
            for j in (0..cols).rev() {
                let left = |tile: &Tile, t: usize| tile.first.get(i).map_or(0, |row| row[t]);
                let top = |tile: &Tile, t: usize| tile.second[t].get(j).copied().unwrap_or(0);
                right[i][j] = if j > 0 { right[i][j - 1] } else { edge(cycle, i, &left) };
                down[i][j] = if i > 0 { down[i - 1][j] } else { edge(cycle, j, &top) };
                let (Some(a), Some(b)) = (right[i][j], down[i][j]) else { continue };
                sum[i][j] += a * b;
                steps[i][j] += 1;
                let mut ended = 0;
                if tiles.iter().any(|tile| {
                    ended += length(tile);
                    ended == steps[i][j]
                }) {
                    assert_eq!(done[i][j], None, "the sum before has left");
                    done[i][j] = Some(std::mem::take(&mut sum[i][j]));
                }
            }
        }
        for j in (0..cols).filter(|&j| (0..rows).all(|i| done[i][j].is_some())).collect::<Vec<_>>() {
            for i in 0..rows {
                assert_eq!(chain[i][j], None, "the chain is empty when a column is done");
                chain[i][j] = done[i][j].take();
            }
        }
        cycle += 1;
    }
    let sums = (0..tiles.len()).map(|tile| {
        // Rows leave the last first.
        let of = |column: &Vec<Vec<i64>>| (0..rows).map(|i| column[tile * rows + rows - 1 - i][0]).collect();
        columns.iter().map(of).collect()
    });
    Run { sums: sums.collect(), cycles: cycle as u64 }
}

/// A problem: `repeats` products of `[m, k]` by `[k, n]`, and how it is mapped.
#[derive(Debug, Clone)]
struct Problem {
    rows: usize,
    cols: usize,
    size: [usize; 3],
    repeats: usize,
    block: usize,
    depthwise: Depthwise,
}

impl Problem {
    fn left(&self, repeat: usize) -> Matrix {
        let [m, _, k] = self.size;
        numbers(m, k, 7 + repeat)
    }

    fn right(&self, repeat: usize) -> Matrix {
        let [_, n, k] = self.size;
        numbers(k, n, 100 + repeat)
    }

    fn products(&self) -> Vec<Matrix> {
        (0..self.repeats).map(|repeat| multiply(&self.left(repeat), &self.right(repeat))).collect()
    }

    fn estimated(&self, dataflow: Dataflow, timing: Timing) -> u64 {
        let [m, n, k] = self.size.map(|length| length as u64);
        let kind = if self.repeats > 1 { GemmKind::Depthwise } else { GemmKind::Weights };
        let gemm = Gemm::new(m, n, k).unwrap().repeated(self.repeats as u64, kind).unwrap();
        let array = Array { rows: self.rows as u64, cols: self.cols as u64, count: 1 };
        let memory = Memory { accumulator_rows: Some(self.block as u64), ..Memory::default() };
        let accelerator = Accelerator::named_or_path("small-32x32").unwrap();
        let accelerator = Accelerator { array, dataflow, memory, depthwise: self.depthwise, ..accelerator };
        accelerator.array_cost(timing, &gemm).unwrap().cycles.0
    }

    /// Products one after the other on the array, tile by tile; the results, and the cycles.
    fn run(&self, dataflow: Dataflow) -> (Vec<Matrix>, u64) {
        let [m, n, _] = self.size;
        let mut results = vec![vec![vec![0; n]; m]; self.repeats];
        let (tiles, run) = match dataflow {
            WeightStationary => {
                let tiles = self.stationary(|repeat| (self.left(repeat), self.right(repeat)), self.block);
                let run = operand_stationary(self.rows, self.cols, &tiles);
                (tiles, run)
            }
            // The transposed product: what stays is the input, what streams are the weights.
            InputStationary => {
                let tiles = self
                    .stationary(|repeat| (transposed(&self.right(repeat)), transposed(&self.left(repeat))), usize::MAX);
                let run = operand_stationary(self.rows, self.cols, &tiles);
                (tiles, run)
            }
            OutputStationary => {
                let tiles = self.meeting();
                let run = output_stationary(self.rows, self.cols, &tiles);
                (tiles, run)
            }
        };
        for (tile, sums) in tiles.iter().zip(&run.sums) {
            for (j, column) in sums.iter().enumerate() {
                for (i, sum) in column.iter().enumerate() {
                    let (row, col) = (tile.row + i, tile.col + j);
                    let place = match dataflow {
                        InputStationary => results[tile.product].get_mut(col).and_then(|line| line.get_mut(row)),
                        WeightStationary | OutputStationary => {
                            results[tile.product].get_mut(row).and_then(|line| line.get_mut(col))
                        }
                    };
                    if let Some(place) = place {
                        *place += sum;
                    }
                }
            }
        }
        (results, run.cycles)
    }

    /// Tiles of a streamed and a staying matrix: blocks of the stream, then repeats, then rows, then columns.
    fn stationary(&self, operands: impl Fn(usize) -> (Matrix, Matrix), block: usize) -> Vec<Tile> {
        let mut tiles = Vec::new();
        let streamed = operands(0).0.len();
        for from in (0..streamed).step_by(block.min(streamed)) {
            for product in 0..self.repeats {
                let (first, second) = operands(product);
                let rows = &first[from..streamed.min(from.saturating_add(block))];
                for held in (0..second.len()).step_by(self.rows) {
                    for col in (0..second[0].len()).step_by(self.cols) {
                        tiles.push(Tile {
                            second: cut(&second, held, self.rows, col, self.cols),
                            first: cut(rows, 0, rows.len(), held, self.rows),
                            product,
                            row: from,
                            col,
                        });
                    }
                }
            }
        }
        tiles
    }

    fn meeting(&self) -> Vec<Tile> {
        let [m, n, k] = self.size;
        let mut tiles = Vec::new();
        for product in 0..self.repeats {
            let (left, right) = (self.left(product), self.right(product));
            for row in (0..m).step_by(self.rows) {
                for col in (0..n).step_by(self.cols) {
                    tiles.push(Tile {
                        second: cut(&right, 0, k, col, self.cols),
                        first: cut(&left, row, self.rows, 0, k),
                        product,
                        row,
                        col,
                    });
                }
            }
        }
        tiles
    }
}

fn numbers(rows: usize, cols: usize, seed: usize) -> Matrix {
    (0..rows).map(|i| (0..cols).map(|j| ((i * 31 + j * 17 + seed * 13) % 23) as i64 - 11).collect()).collect()
}

fn multiply(left: &Matrix, right: &Matrix) -> Matrix {
    let entry = |row: &Vec<i64>, j: usize| row.iter().zip(right).map(|(a, line)| a * line[j]).sum();
    left.iter().map(|row| (0..right[0].len()).map(|j| entry(row, j)).collect()).collect()
}

fn transposed(matrix: &Matrix) -> Matrix {
    (0..matrix[0].len()).map(|j| matrix.iter().map(|row| row[j]).collect()).collect()
}

fn cut(matrix: &[Vec<i64>], row: usize, rows: usize, col: usize, cols: usize) -> Matrix {
    matrix.iter().skip(row).take(rows).map(|line| line.iter().skip(col).take(cols).copied().collect()).collect()
}

const ALL: [Dataflow; 3] = [WeightStationary, InputStationary, OutputStationary];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pipelined_counts_the_cycles_of_an_array_that_multiplies_right(
        side in [1..=8_usize, 1..=8], size in [1..20_usize, 1..20, 1..20], repeats in 1..4_usize, block in 1..25_usize,
    ) {
        let depthwise = Depthwise::PerChannel;
        let problem = Problem { rows: side[0], cols: side[1], size, repeats, block, depthwise };
        for dataflow in ALL {
            let (results, cycles) = problem.run(dataflow);
            prop_assert_eq!(&results, &problem.products(), "{}", dataflow);
            prop_assert_eq!(cycles, problem.estimated(dataflow, Timing::Pipelined), "{}", dataflow);
        }
    }

    #[test]
    fn one_full_tile_ends_a_cycle_behind_the_last_index_of_scale_sim(
        side in [1..=8_usize, 1..=8], streamed in 1..20_usize,
    ) {
        let [rows, cols] = side;
        let sizes = [[streamed, cols, rows], [cols, streamed, rows], [rows, cols, streamed]];
        for (dataflow, size) in ALL.into_iter().zip(sizes) {
            let problem =
                Problem { rows, cols, size, repeats: 1, block: usize::MAX >> 1, depthwise: Depthwise::PerChannel };
            let more = if dataflow == OutputStationary { 1 + rows as u64 } else { 1 };
            prop_assert_eq!(problem.run(dataflow).1, problem.estimated(dataflow, Timing::ScaleSim) + more);
        }
    }

    /// Groups on the diagonal: what stays is a block diagonal matrix, what streams the groups side by side.
    #[test]
    fn groups_on_the_diagonal_multiply_right_in_the_cycles_of_pipelined(
        held in [1..=4_usize, 1..=4], more in [0..7_usize, 0..7], m in 1..12_usize, groups in 2..9_usize,
    ) {
        let [k, n] = held;
        let side = [(2 * k + more[0]).min(8), (2 * n + more[1]).min(8)];
        let problem = Problem {
            rows: side[0], cols: side[1], size: [m, n, k], repeats: groups, block: 30, depthwise: Depthwise::Diagonal,
        };
        let shared = (side[0] / k).min(side[1] / n).min(groups);
        prop_assert!(shared > 1);
        let mut tiles = Vec::new();
        for from in (0..groups).step_by(shared) {
            let group: Vec<usize> = (from..groups.min(from + shared)).collect();
            let second = group.iter().enumerate().flat_map(|(place, &g)| {
                problem.right(g).into_iter().map(move |row| {
                    let mut line = vec![0; place * n];
                    line.extend(row);
                    line
                })
            });
            let mut second: Matrix = second.collect();
            second.iter_mut().for_each(|line| line.resize(group.len() * n, 0));
            let first = (0..m).map(|i| group.iter().flat_map(|&g| problem.left(g)[i].clone()).collect()).collect();
            tiles.push(Tile { second, first, product: from, row: 0, col: 0 });
        }
        let run = operand_stationary(side[0], side[1], &tiles);
        for (tile, sums) in tiles.iter().zip(&run.sums) {
            for (j, column) in sums.iter().enumerate() {
                let expected: Vec<i64> =
                    problem.products()[tile.product + j / n].iter().map(|row| row[j % n]).collect();
                prop_assert_eq!(column, &expected);
            }
        }
        prop_assert_eq!(run.cycles, problem.estimated(WeightStationary, Timing::Pipelined));
    }
}
