use proptest::prelude::*;

use super::*;
use crate::accel::{Accelerator, Timing};
use crate::estimate::{self, Target};
use crate::import::scale_sim::read_topology;
use crate::network::EVERY_OPERATOR;

fn topology(nodes: &str, input: [u64; 3]) -> (Network, Topology) {
    let text = format!("version: 1\nname: net\ninput: {input:?}\nnodes:\n{nodes}");
    let network = Network::parse(&text, "net.yaml").unwrap_or_else(|error| panic!("{error}"));
    let topology = Topology::of(&network).unwrap();
    (network, topology)
}

/// m, n, k and repeats of every product of `network`, and of every row of what is read from its topology's text.
fn both(network: &Network, topology: &Topology) -> [Vec<[u64; 4]>; 2] {
    let sizes = |gemm: Gemm| [gemm.m(), gemm.n(), gemm.k(), gemm.repeats()];
    let nodes = network.nodes().filter_map(|(_, node)| gemm(&node.op, &node.shape, 1).unwrap());
    let rows = read_topology(&topology.text(), "net.csv").unwrap();
    assert_eq!(rows, topology.rows);
    [nodes.map(sizes).collect(), rows.iter().map(|row| sizes(row.gemm(1).unwrap())).collect()]
}

fn assert_same_cycles(network: &Network, topology: &Topology) {
    for dataflow in ["weight-stationary", "input-stationary", "output-stationary"] {
        let text = format!("name: a\narray: {{ rows: 8, cols: 4 }}\ndataflow: {dataflow}\nclock-mhz: 1000\n");
        let accelerator = Accelerator::parse(&text, "a.yaml").unwrap();
        let target = Target { timing: Timing::ScaleSim, ..Target::of(&accelerator) };
        let layers = estimate::network(network, &target).unwrap().layers;
        let wanted: Vec<u64> = layers.iter().filter(|layer| layer.macs.0 > 0).map(|layer| layer.cycles.0).collect();
        let rows = estimate::rows("net", &topology.rows, &target).unwrap().layers;
        assert_eq!(rows.iter().map(|row| row.cycles.0).collect::<Vec<_>>(), wanted, "{dataflow}");
    }
}

#[test]
fn a_convolution_is_written_over_the_input_that_it_reads() {
    let conv = "{ conv2d: { out-channels: 8, kernel: 3, stride: 2, padding: 1 } }";
    let (network, topology) = topology(&format!("  - {{ name: c, op: {conv} }}\n"), [3, 8, 8]);
    // outputs floor((8 + 2 - 3) / 2) + 1 = 4 a side; they read (4 - 1) * 2 + 3 = 9 of the 10 padded rows
    assert_eq!(topology.text().lines().nth(1), Some("c, 9, 9, 3, 3, 3, 8, 2,"));
    assert_eq!(both(&network, &topology), [vec![[16, 8, 27, 1]], vec![[16, 8, 27, 1]]]);
    assert_eq!((topology.as_products.len(), topology.left_out), (0, 0));
}

#[test]
fn a_linear_layer_is_a_convolution_of_one_pixel_a_token() {
    let nodes = "  - { name: flat, op: flatten }\n  - { name: fc, op: { linear: { out-features: 10 } } }\n";
    let (_, topology) = topology(nodes, [2, 3, 3]);
    assert_eq!(topology.text().lines().nth(1), Some("fc, 1, 1, 1, 1, 18, 10, 1,"));
    assert_eq!((topology.as_products.len(), topology.left_out), (0, 1));
}

#[test]
fn a_depthwise_convolution_has_dp_in_its_name() {
    let conv = "{ conv2d: { out-channels: 12, kernel: [3, 5], groups: 6 } }";
    let (_, topology) = topology(&format!("  - {{ name: dw, op: {conv} }}\n"), [6, 8, 8]);
    // outputs 8 x 8, since the padding is the kernel's half; they read 7 + 3 by 7 + 5
    assert_eq!(topology.text().lines().nth(1), Some("DPdw, 10, 12, 3, 5, 6, 2, 1,"));
    assert_eq!(topology.as_products, [""; 0]);
}

#[test]
fn groups_are_products_side_by_side_and_named() {
    let conv = "{ conv2d: { out-channels: 4, kernel: 3, padding: 0, groups: 2 } }";
    let (network, topology) = topology(&format!("  - {{ name: g, op: {conv} }}\n"), [6, 4, 4]);
    // 2 x 2 outputs, k = 9 * 6 / 2 = 27, height 4 * 27
    assert_eq!(topology.text().lines().nth(1), Some("DPg, 108, 1, 27, 1, 2, 2, 27,"));
    assert_eq!(topology.as_products, ["g"]);
    assert_eq!(both(&network, &topology), [vec![[4, 2, 27, 2]], vec![[4, 2, 27, 2]]]);
}

#[test]
fn every_operator_that_multiplies_keeps_its_products_and_cycles() {
    let network = Network::parse(EVERY_OPERATOR, "every.yaml").unwrap();
    let topology = Topology::of(&network).unwrap();
    let [nodes, rows] = both(&network, &topology);
    assert!(nodes.len() > 4, "{nodes:?}");
    assert_eq!(nodes, rows);
    assert_eq!(topology.left_out + topology.rows.len() + 1, network.len());
    assert_same_cycles(&network, &topology);
}

proptest! {
    #[test]
    fn convolutions_of_all_kinds_keep_their_products_and_cycles(
        side in (3..14_u64, 3..14_u64),
        kernel in (1..4_u64, 1..4_u64),
        (stride, other) in (1..4_u64, 1..4_u64),
        dilation in prop_oneof![Just(1_u64), Just(2)],
        padding in 0..3_u64,
        (groups, fan_in, fan_out) in (1..4_u64, 1..4_u64, 1..4_u64),
        equal in any::<bool>(),
    ) {
        let stride = [stride, if equal { stride } else { other }];
        let nodes = format!(
            "  - {{ name: c, op: {{ conv2d: {{ out-channels: {}, kernel: [{}, {}], stride: {stride:?}, \
             dilation: {dilation}, padding: {padding}, groups: {groups} }} }} }}\n",
            groups * fan_out, kernel.0, kernel.1,
        );
        let text = format!("version: 1\nname: net\ninput: [{}, {}, {}]\nnodes:\n{nodes}", groups * fan_in, side.0, side.1);
        let parsed = Network::parse(&text, "net.yaml");
        prop_assume!(parsed.is_ok());
        let network = parsed.unwrap();
        let topology = Topology::of(&network).unwrap();
        let [nodes, rows] = both(&network, &topology);
        prop_assert_eq!(nodes, rows);
        assert_same_cycles(&network, &topology);
    }
}
