use super::*;
use crate::accel::Timing;
use crate::import::scale_sim;

const NETWORK: &str = "version: 1
name: small
input: [3, 8, 8]
nodes:
  - { name: conv, op: { conv2d: { out-channels: 40, kernel: 3 } } }
  - { name: act, op: relu }
  - { name: dw, op: { conv2d: { out-channels: 40, kernel: 3, groups: 40 } } }
  - { name: sum, op: add, inputs: [act, dw] }
  - { name: pool, op: global-average-pool }
  - { name: flat, op: flatten }
  - { name: fc, op: { linear: { out-features: 10 } } }
";

fn small() -> Network {
    Network::parse(NETWORK, "small.yaml").unwrap()
}

fn accelerator() -> Accelerator {
    Accelerator::named_or_path("small-32x32").unwrap()
}

#[test]
fn the_layers_are_those_worked_by_hand() {
    let accelerator = accelerator();
    let estimate = network(&small(), &Target::of(&accelerator)).unwrap();
    let cycles: Vec<u64> = estimate.layers.iter().map(|layer| layer.cycles.0).collect();
    // conv: k = 27 in one row tile, n = 40 in two column tiles, m = 64: 128. Depthwise: 40 channels x 64.
    // Linear: k = 40 in two row tiles, n = 10, m = 1: 2.
    assert_eq!(cycles, [128, 0, 40 * 64, 0, 0, 0, 2]);
    assert_eq!(estimate.total.cycles, Cycles(128 + 2560 + 2));
    // Ratio of sums: MACs 64*40*27 + 64*40*9 + 400 over 1,024 PEs and all cycles.
    let macs = 64 * 40 * 27 + 64 * 40 * 9 + 400;
    assert_eq!(estimate.total.macs, Macs(macs));
    assert_eq!(estimate.total.mapping_utilization, Some(macs as f64 / (1024.0 * 2690.0)));
    // At the depthwise layer its input, which is read again by the sum, and its output: 2 * 40 * 64 values; at the sum
    // its own output as well.
    assert_eq!(estimate.total.peak_activation_bytes, Some(Bytes(3 * 40 * 64)));
}

#[test]
fn the_parts_sum_to_the_total_under_every_timing() {
    let accelerator = accelerator();
    for timing in Timing::ALL {
        for batch in [1, 3] {
            let target = Target { timing, batch, ..Target::of(&accelerator) };
            let estimate = network(&small(), &target).unwrap();
            let cycles: Cycles = estimate.layers.iter().map(|layer| layer.cycles).sum();
            assert_eq!(cycles, estimate.total.cycles, "{timing:?}");
            assert_eq!(target.network_cost(&small()).unwrap().cycles, cycles, "{timing:?}");
        }
    }
}

#[test]
fn rows_and_network_of_one_convolution_cost_the_same() {
    let accelerator = accelerator();
    let text = "Layer, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n\
                c, 10, 10, 3, 3, 3, 40, 1,\n";
    let list = scale_sim::read_topology(text, "t.csv").unwrap();
    let from_rows = rows("t", &list, &Target::of(&accelerator)).unwrap();
    let from_network = network(&small(), &Target::of(&accelerator)).unwrap();
    assert_eq!(from_rows.layers.len(), 1);
    assert_eq!(from_rows.layers[0].cycles, from_network.layers[0].cycles);
}

#[test]
fn a_batch_of_none_is_an_error() {
    let accelerator = accelerator();
    let target = Target { batch: 0, ..Target::of(&accelerator) };
    assert_eq!(network(&small(), &target).unwrap_err(), EstimateError::Batch);
}

#[test]
fn a_sum_of_layers_from_2_to_the_63_cycles_is_an_error() {
    let mut accelerator = accelerator();
    accelerator.array = crate::accel::Array { rows: 1, cols: 1, count: 1 };
    let text = "Layer, M, N, K,\na, 4611686018427387904, 1, 1,\nb, 4611686018427387903, 1, 1,\nc, 1, 1, 1,\n";
    let list = scale_sim::read_topology(text, "t.csv").unwrap();
    assert_eq!(rows("t", &list[..2], &Target::of(&accelerator)).unwrap().total.cycles, Cycles((1 << 63) - 1));
    let error = rows("t", &list, &Target::of(&accelerator)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the sums over the layers up to `c` must be below 2^63 cycles and below 2^64 of anything else"
    );
    let text = "Layer, M, N, K,\na, 9223372036854775808, 1, 1,\n";
    let list = scale_sim::read_topology(text, "t.csv").unwrap();
    let error = rows("t", &list, &Target::of(&accelerator)).unwrap_err().to_string();
    assert!(error.starts_with("layer `a`: the cycles of m 9223372036854775808 x n 1"), "{error}");
}

#[test]
fn bytes_follow_the_precision() {
    let mut accelerator = accelerator();
    let total = |accelerator: &Accelerator| network(&small(), &Target::of(accelerator)).unwrap().total;
    let eight = total(&accelerator);
    // 3 * 9 * 40 + 40 * 9 + 40 * 10 + 10 weights
    assert_eq!(eight.weight_bytes, Bytes(1080 + 360 + 410));
    accelerator.precision.weight_bits = 4;
    accelerator.precision.activation_bits = 16;
    let mixed = total(&accelerator);
    assert_eq!(mixed.weight_bytes, Bytes(925));
    assert_eq!(mixed.peak_activation_bytes.unwrap().0, 2 * eight.peak_activation_bytes.unwrap().0);
    assert_eq!(mixed.bytes_written.0, 2 * eight.bytes_written.0);
    assert_eq!((mixed.traffic.weights, eight.traffic.weights), (Bytes(925), Bytes(1850)));
}

/// The small network with a vector unit, sums and pools that take time, and a capacity for activations.
fn with_vector_unit(capacity_kib: u64) -> Accelerator {
    let text = format!(
        "name: v
array: {{ rows: 32, cols: 32 }}
dataflow: weight-stationary
clock-mhz: 1000
vector: {{ lanes: 8, ops-per-cycle: 2, exponential-factor: 4 }}
memory: {{ activation-capacity-kib: {capacity_kib}, weight-capacity-kib: 2, weights: resident, accumulator-rows: 16 }}
"
    );
    Accelerator::parse(&text, "v.yaml").unwrap()
}

#[test]
fn sums_and_pools_take_the_vector_unit_and_fused_activations_nothing() {
    let accelerator = with_vector_unit(1);
    let estimate = network(&small(), &Target { batch: 3, ..Target::of(&accelerator) }).unwrap();
    let vector: Vec<u64> = estimate.layers.iter().map(|layer| layer.units.vector.0).collect();
    // conv, act (fused), dw, sum of 40 * 64 * 3 values, pool of 2 * 64 taps for 40 * 3 values, flatten, fc
    assert_eq!(vector, [0, 0, 0, 7680 / 16, 2 * 64 * 120 / 16, 0, 0]);
    assert_eq!(estimate.layers[3].bound, Bound::Vector);
    assert_eq!(estimate.layers[1].bound, Bound::None);
    assert_eq!(estimate.layers[1].bytes_read, Bytes(0));
    // Nothing fits 1 KiB: the sum reads both maps and writes one.
    assert_eq!(estimate.layers[3].bytes_read, Bytes(2 * 7680));
    assert_eq!(estimate.layers[3].bytes_written, Bytes(7680));
    let cycles: Cycles = estimate.layers.iter().map(|layer| layer.breakdown.total()).sum();
    assert_eq!((cycles, estimate.total.breakdown.total()), (estimate.total.cycles, estimate.total.cycles));
}

#[test]
fn activations_that_do_not_follow_a_product_or_are_read_elsewhere_are_not_fused() {
    let text = "version: 1
name: acts
input: [4, 8, 8]
nodes:
  - { name: pool, op: { max-pool: { kernel: 2 } } }
  - { name: after_pool, op: silu }
  - { name: conv, op: { conv2d: { out-channels: 4, kernel: 1 } } }
  - { name: bn, op: batch-norm }
  - { name: gate, op: sigmoid }
  - { name: product, op: multiply, inputs: [bn, gate] }
  - { name: act, op: relu }
  - { name: soft, op: softmax }
";
    let accelerator = with_vector_unit(1);
    let estimate = network(&Network::parse(text, "acts.yaml").unwrap(), &Target::of(&accelerator)).unwrap();
    let vector: Vec<u64> = estimate.layers.iter().map(|layer| layer.units.vector.0).collect();
    // 64 values in slots of 16: pool 2 * 4 taps; silu behind a pool 4 slots each; the batch norm is fused, the sigmoid
    // is not, since the product reads what stands before it; the relu behind the product is fused; softmax.
    assert_eq!(vector, [32, 16, 0, 0, 16, 4, 0, 16]);
}

#[test]
fn cached_weights_stay_on_chip_layer_by_layer() {
    // weights: conv 1,080, dw 360, fc 410, together 1,850; of 1 KiB dw takes 360 and fc 410, conv is streamed
    let weights = |kib: u64| {
        let memory = format!("memory: {{ weight-capacity-kib: {kib}, weights: cached }}");
        let text =
            format!("name: c\narray: {{ rows: 8, cols: 8 }}\ndataflow: weight-stationary\nclock-mhz: 1\n{memory}\n");
        let accelerator = Accelerator::parse(&text, "c.yaml").unwrap();
        let estimate = network(&small(), &Target::of(&accelerator)).unwrap();
        [0, 2, 6].map(|place: usize| estimate.layers[place].traffic.weights.0)
    };
    assert_eq!(weights(1), [1080, 0, 0]);
    assert_eq!(weights(2), [0, 0, 0]);
}

#[test]
fn tensors_stay_on_chip_where_the_layers_around_them_fit() {
    // conv: 192 in, 2,560 out, 16 rows by 32 columns of sums of 4 bytes: 4,800. dw: 2,560 + 2,560 + 16 * 4 = 5,184.
    // sum: 3 * 2,560 = 7,680. pool: 2,600. fc: 40 + 10 + 40 = 90. Weights 1,850 fit 2 KiB.
    let traffic = |kib| {
        let accelerator = with_vector_unit(kib);
        let estimate = network(&small(), &Target::of(&accelerator)).unwrap();
        assert_eq!(estimate.total.traffic.weights, Bytes(0));
        let layers = [0, 2, 3, 4, 6].map(|place: usize| estimate.layers[place].traffic);
        layers.map(|traffic| [traffic.inputs.0, traffic.outputs.0])
    };
    // 8 KiB hold all: the image comes in, ten values go out.
    assert_eq!(traffic(8), [[192, 0], [0, 0], [0, 0], [0, 0], [0, 10]]);
    // 7 KiB do not hold the sum, so its inputs and its output go through DRAM.
    assert_eq!(traffic(7), [[192, 2560], [2560, 2560], [5120, 2560], [2560, 0], [0, 10]]);
    // 2 KiB hold the classifier alone; the inputs of the depthwise layer no longer fit, n = 1 reads them once.
    assert_eq!(traffic(2), [[192, 2560], [2560, 2560], [5120, 2560], [2560, 40], [40, 10]]);
    // a batch of two needs twice the memory
    let accelerator = with_vector_unit(8);
    let two = network(&small(), &Target { batch: 2, ..Target::of(&accelerator) }).unwrap();
    assert_eq!(two.layers[3].traffic.inputs, Bytes(2 * 5120));
}

#[test]
fn weights_that_do_not_all_fit_are_streamed_for_each_block_of_m() {
    let mut accelerator = with_vector_unit(8);
    accelerator.memory.weight_capacity = Some(Bytes(1849));
    let estimate = network(&small(), &Target::of(&accelerator)).unwrap();
    // 64 pixels in blocks of 16: four times, the classifier's one row once
    assert_eq!(estimate.total.traffic.weights, Bytes(4 * 1080 + 4 * 360 + 410));
}

#[test]
fn a_fragment_keeps_its_ends_on_chip_where_its_layers_do() {
    let accelerator = with_vector_unit(8);
    let target = Target::of(&accelerator);
    assert_eq!(target.network_cost(&small()).unwrap().traffic.total(), Some(Bytes(202)));
    assert_eq!(
        target.fragment_cost(&target.engine().unwrap(), &small()).unwrap().whole.traffic.total(),
        Some(Bytes(0))
    );
}

#[test]
fn the_total_is_that_of_the_network_cost() {
    for capacity in [1, 7, 8] {
        let accelerator = with_vector_unit(capacity);
        for timing in Timing::ALL {
            let target = Target { timing, batch: 2, ..Target::of(&accelerator) };
            let (total, cost) = (network(&small(), &target).unwrap().total, target.network_cost(&small()).unwrap());
            assert_eq!((total.cycles, total.breakdown, total.traffic), (cost.cycles, cost.breakdown, cost.traffic));
        }
    }
}
