use proptest::prelude::*;

use super::*;
use crate::accel::breakdown::Part;
use crate::accel::memory::Bandwidth;
use crate::accel::timing::tests::{accelerator, gemm};
use crate::accel::traffic::Operand;
use Dataflow::{InputStationary, OutputStationary, WeightStationary};

const ALL: [Dataflow; 3] = [WeightStationary, InputStationary, OutputStationary];

fn gb_per_s(gb: f64) -> Bandwidth {
    Bandwidth::from_gb_per_second(gb).unwrap()
}

/// A product whose operands are in DRAM, a byte a value.
fn layer(size: [u64; 3], repeats: u64) -> Workload {
    let gemm = gemm(size, repeats);
    let [m, n, k] = size;
    let bytes = |a: u64, b: u64| Operand::off_chip(Bytes(a.saturating_mul(b).saturating_mul(repeats)));
    let operands = Operands { weights: bytes(k, n), inputs: bytes(m, k), outputs: bytes(m, n) };
    Workload { work: Work::Product(gemm), operands }
}

fn cost(accelerator: &Accelerator, timing: Timing, layer: &Workload) -> LayerCost {
    let found = accelerator.engine(timing).unwrap().cost(layer).unwrap();
    assert_eq!(found.cost.breakdown.total(), found.cost.cycles);
    found
}

fn parts(cost: &LayerCost) -> [u64; 8] {
    Part::ALL.map(|part| cost.cost.breakdown.part(part).0)
}

// The five goldens of `pipelined`; parts are useful, imbalance, columns, rows, load, fill and drain, stall, vector.

#[test]
fn golden_one_tile() {
    // load 4, stream 5, fill and drain 3 + 3
    let found = cost(&accelerator(4, 4, WeightStationary), Timing::Pipelined, &layer([5, 4, 4], 1));
    assert_eq!(found.cost.cycles, Cycles(15));
    assert_eq!(parts(&found), [5, 0, 0, 0, 4, 6, 0, 0]);
    assert_eq!((found.bound, found.shares), (Bound::Array, Shares { n: 1, m: 1 }));
}

#[test]
fn golden_partial_edges() {
    // k = 4 + 2 by n = 4 + 1, 2 streamed: 8 cycles of stream over four tiles. Rows in use 4 + 4 + 2 + 2 = 12 of 16:
    // 12 * 2 / 4 = 6, so rows lose 2. MACs 2 * 5 * 6 = 60: floor(60 / 16) = 3, so columns lose 3. Loads: 4 before the
    // first, then max(0, 4 - 2) behind it: 6. Fill and drain 6: 8 + 6 + 6 = 20.
    let found = cost(&accelerator(4, 4, WeightStationary), Timing::Pipelined, &layer([2, 5, 6], 1));
    assert_eq!(found.cost.cycles, Cycles(20));
    assert_eq!(parts(&found), [3, 0, 3, 2, 6, 6, 0, 0]);
}

#[test]
fn golden_memory_bound() {
    let mut accelerator = accelerator(4, 4, WeightStationary);
    accelerator.memory.dram = Dram::Shared(gb_per_s(2.0));
    // 16 weights, 20 inputs, 20 outputs at 2 bytes a cycle: 28 cycles, 13 more than the array's 15
    let found = cost(&accelerator, Timing::Pipelined, &layer([5, 4, 4], 1));
    assert_eq!((found.cost.cycles, found.cost.memory, found.cost.array.cycles), (Cycles(28), Cycles(28), Cycles(15)));
    assert_eq!(parts(&found), [5, 0, 0, 0, 4, 6, 13, 0]);
    assert_eq!(found.bound, Bound::Memory);
    // one behind the other: 15 + 28
    accelerator.memory.overlap = Overlap::InTurn;
    let found = cost(&accelerator, Timing::Pipelined, &layer([5, 4, 4], 1));
    assert_eq!((found.cost.cycles, found.cost.breakdown.stall), (Cycles(43), Cycles(28)));
    // a port each, weights 16 / 4, inputs 20 / 1, outputs 20 / 2: the inputs take 20
    accelerator.memory.overlap = Overlap::Hidden;
    accelerator.memory.dram = Dram::Ports { weights: gb_per_s(4.0), inputs: gb_per_s(1.0), outputs: gb_per_s(2.0) };
    let found = cost(&accelerator, Timing::Pipelined, &layer([5, 4, 4], 1));
    assert_eq!((found.cost.cycles, found.cost.memory), (Cycles(20), Cycles(20)));
    // the other timings charge no memory
    for timing in [Timing::Ideal, Timing::ScaleSim, Timing::UboostCsim] {
        let found = cost(&accelerator, timing, &layer([5, 4, 4], 1));
        assert_eq!((found.cost.cycles, found.cost.memory), (found.cost.array.cycles, Cycles(0)), "{timing}");
        assert_eq!(found.cost.traffic.total(), Some(Bytes(56)));
    }
}

#[test]
fn golden_output_stationary() {
    // two tiles of 2: stream 4, wait 4 - 2 for the first to drain, fill 3 + 3, drain 4
    let found = cost(&accelerator(4, 4, OutputStationary), Timing::Pipelined, &layer([8, 4, 2], 1));
    assert_eq!(found.cost.cycles, Cycles(16));
    assert_eq!(parts(&found), [4, 0, 0, 0, 0, 12, 0, 0]);
}

#[test]
fn golden_one_row() {
    // two tiles of 4 rows: 4 + max(1, 4) + 1 + 6; streamed 2, loads 4 + 3
    let found = cost(&accelerator(4, 4, WeightStationary), Timing::Pipelined, &layer([1, 4, 8], 1));
    assert_eq!(found.cost.cycles, Cycles(15));
    assert_eq!(parts(&found), [2, 0, 0, 0, 7, 6, 0, 0]);
    assert_eq!(found.cost.breakdown.largest_loss(), Some(Part::Load));
}

#[test]
fn several_arrays_lose_what_the_others_wait_for_the_busiest() {
    let mut accelerator = accelerator(4, 4, WeightStationary);
    accelerator.array.count = 2;
    // 12 columns: the busiest has 8 of them. 10 streamed; 240 MACs / 32 = 7 of 10 at the busiest's 160 / 16
    let found = cost(&accelerator, Timing::Ideal, &layer([5, 12, 4], 1));
    assert_eq!(parts(&found), [7, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(found.shares, Shares { n: 2, m: 1 });
}

#[test]
fn the_last_index_of_scale_sim_leaves_out_a_cycle_at_the_end() {
    // one tile: load 4, stream 5, fill and drain 6, less one
    let found = cost(&accelerator(4, 4, WeightStationary), Timing::ScaleSim, &layer([5, 4, 4], 1));
    assert_eq!(parts(&found), [5, 0, 0, 0, 4, 5, 0, 0]);
    // a single element streams for one cycle, of index 0
    let found = cost(&accelerator(1, 1, OutputStationary), Timing::ScaleSim, &layer([1, 1, 1], 1));
    assert_eq!((parts(&found), found.bound), ([0; 8], Bound::Array));
}

#[test]
fn the_simulator_of_uboost_waits_for_weights() {
    // 16 weights at 2 bytes a cycle: ready 8, load 4, one chunk of 1 cycle, closing 2; the last chunk is left out
    let mut accelerator = accelerator(4, 4, WeightStationary);
    accelerator.memory.weight_bandwidth = Some(gb_per_s(2.0));
    let found = cost(&accelerator, Timing::UboostCsim, &layer([1, 4, 4], 1));
    assert_eq!(parts(&found), [0, 0, 0, 0, 4, 3, 8, 0]);
}

#[test]
fn m_streams_in_blocks_of_the_accumulators() {
    let mut accelerator = accelerator(4, 4, WeightStationary);
    accelerator.memory.accumulator_rows = Some(3);
    // m = 3 + 2, two row tiles of 4 and 2: 4 + max(3, 2) + max(3, 4) + max(2, 2) + 2 + 6; weights twice
    let found = cost(&accelerator, Timing::Pipelined, &layer([5, 4, 6], 1));
    assert_eq!(found.cost.cycles, Cycles(4 + 3 + 4 + 2 + 2 + 6));
    assert_eq!(found.cost.traffic.weights, Bytes(2 * 24));
    assert_eq!(found.cost.array.tiles, 4);
    // input-stationary streams n, so m is in no blocks
    accelerator.dataflow = InputStationary;
    assert_eq!(cost(&accelerator, Timing::Pipelined, &layer([5, 4, 6], 1)).cost.traffic.weights, Bytes(24));
}

#[test]
fn the_vector_unit_takes_depthwise_products_and_what_multiplies_nothing() {
    let mut accelerator = accelerator(4, 4, WeightStationary);
    accelerator.depthwise = Depthwise::Vector;
    assert_eq!(accelerator.engine(Timing::Ideal).unwrap_err(), CostError::NoVectorUnit);
    accelerator.vector = Some(VectorUnit { lanes: 8, ops_per_cycle: 2, exponential_factor: 3 });
    // 5 * 9 * 4 = 180 MACs in 16 a cycle: 12
    let found = cost(&accelerator, Timing::Pipelined, &layer([5, 1, 9], 4));
    assert_eq!((found.cost.cycles, found.bound, parts(&found)[7]), (Cycles(12), Bound::Vector, 12));
    assert_eq!((found.cost.macs, found.cost.array.macs), (Macs(180), Macs(0)));
    assert_eq!(found.cost.array.mapping_utilization(&accelerator.array), None);
    assert_eq!(found.cost.end_to_end_utilization(&accelerator.array), Some(180.0 / (16.0 * 12.0)));
    // a softmax of 20 values: 60 operations; 20 bytes in and out at 1 byte a cycle take 40
    let operand = Operand::off_chip(Bytes(20));
    let softmax = Workload {
        work: Work::Vector(VectorWork { operations: 0, exponentials: 20 }),
        operands: Operands { inputs: operand, outputs: operand, ..Operands::default() },
    };
    assert_eq!(cost(&accelerator, Timing::Pipelined, &softmax).cost.cycles, Cycles(4));
    accelerator.memory.dram = Dram::Shared(gb_per_s(1.0));
    let found = cost(&accelerator, Timing::Pipelined, &softmax);
    assert_eq!((found.cost.cycles, found.bound), (Cycles(40), Bound::Memory));
    assert_eq!((parts(&found)[6], parts(&found)[7]), (36, 4));
    accelerator.memory.overlap = Overlap::InTurn;
    assert_eq!(cost(&accelerator, Timing::Pipelined, &softmax).cost.cycles, Cycles(44));
    // without a unit it is free, bytes included
    accelerator.vector = None;
    accelerator.depthwise = Depthwise::PerChannel;
    assert_eq!(cost(&accelerator, Timing::Pipelined, &softmax), LayerCost::default());
}

#[test]
fn groups_on_the_diagonal_share_a_pass() {
    let mut accelerator = accelerator(32, 32, WeightStationary);
    accelerator.depthwise = Depthwise::Diagonal;
    // 10 groups of 9 x 1 in 4 passes of 50; useful 4,500 / 1,024 = 4; rows in use 90 * 50 / 32 = 140 of 200
    let found = cost(&accelerator, Timing::Ideal, &layer([50, 1, 9], 10));
    assert_eq!(parts(&found), [4, 0, 136, 60, 0, 0, 0, 0]);
    // SCALE-Sim would run each pass for itself: 4 * (2 * 32 + 32 + 50 - 2 - 1)
    assert_eq!(cost(&accelerator, Timing::ScaleSim, &layer([50, 1, 9], 10)).cost.cycles, Cycles(4 * 143));
}

#[test]
fn energy_is_that_of_arrays_memories_and_dram() {
    let mut accelerator = accelerator(4, 4, WeightStationary);
    let table = EnergyTable { mac_pj: 1.0, register_pj_per_byte: 0.0, sram_pj_per_byte: 0.0, dram_pj_per_byte: 0.0 };
    accelerator.energy = Some(table);
    // 5 * 8 * 6 MACs
    let energy = |accelerator: &Accelerator| cost(accelerator, Timing::Pipelined, &layer([5, 8, 6], 1)).cost.energy.0;
    assert_eq!(energy(&accelerator), 240.0);
    accelerator.energy = Some(EnergyTable { mac_pj: 0.0, sram_pj_per_byte: 1.0, ..table });
    // inputs 30 * 2, weights 48, sums 40 * 3 of 4 bytes, and 30 + 48 + 40 from and to DRAM
    assert_eq!(energy(&accelerator), f64::from(60 + 48 + 480 + 118));
    // two arrays, 4 columns each: the same accesses
    accelerator.array.count = 2;
    assert_eq!(energy(&accelerator), f64::from(60 + 48 + 480 + 118));
    // four: two parts of n by two of m, and each part of m loads its weights
    accelerator.array.count = 4;
    assert_eq!(energy(&accelerator), f64::from(60 + 96 + 480 + 118));
}

#[test]
fn activations_are_kept_where_inputs_outputs_and_the_working_tile_fit() {
    let mut accelerator = accelerator(4, 4, WeightStationary);
    let keeps = |accelerator: &Accelerator| {
        accelerator.engine(Timing::Pipelined).unwrap().keeps_activations(&layer([10, 8, 6], 1))
    };
    assert!(!keeps(&accelerator));
    // 60 in, 80 out, and 10 streamed by 4 columns of 4 bytes: 300
    accelerator.memory.activation_capacity = Some(Bytes(300));
    assert!(keeps(&accelerator));
    accelerator.memory.activation_capacity = Some(Bytes(299));
    assert!(!keeps(&accelerator));
    // 4 rows of accumulators by 4 columns of 4 bytes: 204
    accelerator.memory =
        Memory { accumulator_rows: Some(4), activation_capacity: Some(Bytes(204)), ..accelerator.memory };
    assert!(keeps(&accelerator));
    // output-stationary: 4 rows by 4 columns
    accelerator.dataflow = OutputStationary;
    accelerator.memory.accumulator_rows = None;
    assert!(keeps(&accelerator));
}

/// Lengths of any magnitude.
fn length() -> impl Strategy<Value = u64> {
    (0..64_u32, 0..=u64::MAX).prop_map(|(shift, bits)| (bits >> shift).max(1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_parts_sum_to_the_cycles(
        size in [1..200_u64, 1..200, 1..200], side in [1..20_u64, 1..20], repeats in 1..6_u64,
        (count, block, gb) in (1..9_u64, 1..100_u64, 1..100_u32), rule in 0..3_usize,
    ) {
        for dataflow in ALL {
            let mut accelerator = accelerator(side[0], side[1], dataflow);
            accelerator.array.count = count;
            accelerator.depthwise = [Depthwise::PerChannel, Depthwise::Diagonal, Depthwise::Vector][rule];
            accelerator.vector = Some(VectorUnit { lanes: 4, ops_per_cycle: 1, exponential_factor: 1 });
            accelerator.memory.dram = Dram::Shared(gb_per_s(f64::from(gb) / 7.0));
            accelerator.memory.accumulator_rows = Some(block);
            for timing in Timing::ALL.into_iter().filter(|timing| timing.covers(dataflow, count).is_ok()) {
                let found = cost(&accelerator, timing, &layer(size, repeats));
                let array = accelerator.array_cost(timing, &gemm(size, repeats)).unwrap();
                prop_assert_eq!(found.cost.array, array);
                prop_assert!(found.cost.cycles >= array.cycles);
            }
        }
    }

    /// Every count is right or refused: of any size, nothing wraps.
    #[test]
    fn products_of_any_size_are_counted_or_refused(
        size in [length(), length(), length()], repeats in length(), side in [1..=65_536_u64, 1..=65_536],
        count in 1..=1024_u64, block in length(), gb in 1e-9..1e9_f64, clock in 1e-3..1e6_f64, bits in 1..=64_u32,
        rule in 0..3_usize,
    ) {
        let Ok(one) = Gemm::new(size[0], size[1], size[2]) else { return Ok(()) };
        let Ok(gemm) = one.repeated(repeats, GemmKind::Depthwise) else { return Ok(()) };
        let operand = Operand::off_chip(Bytes(u64::MAX / 3));
        let layer = Workload {
            work: Work::Product(gemm),
            operands: Operands { weights: operand, inputs: operand, outputs: operand },
        };
        for dataflow in ALL {
            let mut accelerator = accelerator(side[0], side[1], dataflow);
            accelerator.array.count = count;
            accelerator.clock = crate::units::Megahertz::new(clock).unwrap();
            accelerator.precision = Precision { weight_bits: bits, activation_bits: bits, accumulator_bits: bits };
            accelerator.depthwise = [Depthwise::PerChannel, Depthwise::Diagonal, Depthwise::Vector][rule];
            accelerator.vector = Some(VectorUnit { lanes: 1, ops_per_cycle: 1, exponential_factor: 1 });
            accelerator.memory.dram = Dram::Shared(gb_per_s(gb));
            accelerator.memory.accumulator_rows = Some(block);
            accelerator.memory.activation_capacity = Some(Bytes(1 << 20));
            accelerator.energy =
                Some(EnergyTable { mac_pj: 1.0, register_pj_per_byte: 1.0, sram_pj_per_byte: 1.0, dram_pj_per_byte: 1.0 });
            for timing in Timing::ALL.into_iter().filter(|timing| timing.covers(dataflow, count).is_ok()) {
                let engine = accelerator.engine(timing).unwrap();
                let _ = engine.keeps_activations(&layer);
                if let Ok(found) = engine.cost(&layer) {
                    prop_assert!(found.cost.cycles.0 < 1 << 63);
                    prop_assert_eq!(found.cost.breakdown.total(), found.cost.cycles);
                    // No array is faster than all of its PEs.
                    let most = Wide::from(found.cost.array.cycles.0) * Wide::from(engine.pes);
                    let book_keeping = matches!(timing, Timing::ScaleSim | Timing::UboostCsim);
                    prop_assert!(book_keeping || most >= Wide::from(found.cost.array.macs.0));
                }
            }
        }
    }
}
