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
