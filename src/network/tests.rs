use super::*;

fn parse(text: &str) -> Result<Network, String> {
    Network::parse(text, "net.yaml").map_err(|error| error.to_string())
}

/// A header with nodes behind it.
fn nodes(nodes: &str) -> String {
    format!("version: 1\nname: n\ninput: [3, 32, 32]\nnodes:\n{nodes}")
}

fn message(text: &str) -> String {
    parse(&nodes(text)).unwrap_err()
}

#[test]
fn every_operator_survives_the_file() {
    let network = parse(EVERY_OPERATOR).unwrap();
    let shape = |name: &str| network.nodes().find(|(_, n)| n.name == name).unwrap().1.shape.to_string();
    // 32 rows: window 2*(3-1)+1 = 5, padding 2, stride 2: floor((32+4-5)/2)+1 = 16. Columns: same at stride 1.
    assert_eq!(shape("dw"), "[8, 16, 32]");
    assert_eq!(shape("pool"), "[8, 8, 16]");
    assert_eq!(shape("mean"), "[8, 17, 33]");
    assert_eq!(shape("scaled"), "[8, 8, 16]");
    assert_eq!(shape("both"), "[20, 8, 16]");
    assert_eq!(shape("prob"), "[10]");
    // 2 * (8 - 1) + 3 + 1 - 2 = 16 rows; (16 - 3) / 2 + 1 = 7.5, and the half counts; columns 32 -> 16.
    assert_eq!(shape("up"), "[6, 16, 32]");
    assert_eq!(shape("partial"), "[6, 8, 16]");
    assert_eq!(shape("part"), "[6, 9, 6]");
    assert_eq!(shape("scores"), "[55, 55]");
    assert_eq!(shape("again"), "[3, 8]");
    assert_eq!(shape("rows"), "[3, 8, 2]");
    assert_eq!(Network::parse(&network.to_yaml(), "again").unwrap(), network);
}

#[test]
fn macs_and_parameters_of_a_small_network_are_those_worked_by_hand() {
    let network = parse(&nodes(
        "  - { name: c, op: { conv2d: { out-channels: 4, kernel: 3, stride: 2 } } }
  - { name: b, op: batch-norm }
  - { name: g, op: global-average-pool }
  - { name: f, op: flatten }
  - { name: l, op: { linear: { out-features: 10 } } }
",
    ))
    .unwrap();
    // conv: 4 * 16 * 16 outputs * 27 = 27,648; linear: 40.
    assert_eq!(network.macs(), Macs(27_648 + 40));
    // conv 4 * 27, batch norm 2 * 4, linear 4 * 10 + 10.
    assert_eq!(network.params(), 108 + 8 + 50);
}

#[test]
fn operators_that_are_only_estimated_survive_the_file() {
    for text in ONLY_ESTIMATED {
        let network = parse(&nodes(text).replace("[3, 32, 32]", "[6, 8, 8]")).unwrap();
        assert_eq!(Network::parse(&network.to_yaml(), "again").unwrap(), network, "{text}");
    }
}

#[test]
fn products_of_tokens_are_those_worked_by_hand() {
    let text = "version: 1
name: n
input: [7, 4]
nodes:
  - { name: l, op: { linear: { out-features: 6 } } }
  - { name: m, op: { linear: { out-features: 6, bias: false } }, inputs: [input] }
  - { name: t, op: { transpose: { order: [1, 0] } } }
  - { name: p, op: matmul, inputs: [l, t] }
  - { name: r, op: { reshape: { shape: [1, 7, 7] } } }
  - { name: u, op: { conv-transpose2d: { out-channels: 3, kernel: 2, stride: 2 } } }
";
    let network = parse(text).unwrap();
    // Two linear layers of 7 * 4 * 6, a product of 7 * 6 * 7, 49 pixels of 1 channel for 3 * 4 products each.
    assert_eq!(network.macs(), Macs(2 * 168 + 294 + 49 * 12));
    assert_eq!(network.params(), 24 + 6 + 24 + 12);
}

#[test]
fn nodes_may_stand_in_any_order() {
    let network = parse(&nodes(
        "  - { name: b, op: relu, inputs: [a] }
  - { name: a, op: { conv2d: { out-channels: 4, kernel: 1 } }, inputs: [input] }
",
    ));
    // The output is the last of the list, and `b` is not on a way to it.
    assert!(network.unwrap_err().contains("net.yaml:5:13: node `b` is not on a way to the output `a`"));
}

#[test]
fn add_of_unequal_shapes_names_the_node() {
    let text = "  - { name: a, op: { conv2d: { out-channels: 4, kernel: 1 } } }
  - { name: s, op: add, inputs: [a, input] }
";
    assert_eq!(message(text), "net.yaml:6:13: node `s`: add needs equal shapes, got [4, 32, 32] and [3, 32, 32]");
}

#[test]
fn a_cycle_is_named_with_its_nodes() {
    let text = "  - { name: a, op: relu }
  - { name: b, op: add, inputs: [a, d] }
  - { name: c, op: relu }
  - { name: d, op: relu }
";
    assert_eq!(message(text), "net.yaml:6:13: a network has no cycle, but these nodes form one: b, c, d");
}

#[test]
fn an_unknown_input_is_named_with_its_line() {
    let text = "  - { name: a, op: relu }\n  - { name: b, op: add, inputs: [a, nowhere] }\n";
    assert_eq!(message(text), "net.yaml:6:37: node `b`: its input `nowhere` does not exist");
}

#[test]
fn bad_networks_get_one_clear_message() {
    let cases = [
        ("  []\n", "a network needs at least one node"),
        ("  - { name: a, op: relux }\n", "net.yaml:5:20: unknown variant `relux`"),
        ("  - { name: A, op: relu }\n", "node `A`: a name is made of parts [a-z][a-z0-9_]* joined by `/`"),
        ("  - { name: a, op: relu }\n  - { name: a, op: relu }\n", "net.yaml:6:13: node `a`: the name is taken"),
        ("  - { name: a, op: linear }\n", "net.yaml:5:27: expected mapping start"),
        ("  - { name: a, op: { linear: { out-features: 3 } } }\n", "linear needs a vector [features], got [3, 32, 32]"),
        ("  - { name: a, op: { conv2d: { out-channels: 3, kernel: 0 } } }\n", "conv2d needs a kernel of at least 1"),
        (
            "  - { name: a, op: { conv2d: { out-channels: 4, kernel: 3, groups: 2 } } }\n",
            "conv2d: groups = 2 must divide 3 input and 4 output channels",
        ),
        (
            "  - { name: a, op: { conv2d: { out-channels: 4, kernel: 40, padding: 0 } } }\n",
            "a window of [40, 40] does not fit an input of [3, 32, 32] with padding [0, 0]",
        ),
        ("  - { name: a, op: { conv2d: { out-channels: 0, kernel: 3 } } }\n", "each at least 1, got [0, 32, 32]"),
        ("  - { name: a, op: { max-pool: { kernel: 2, padding: 2 } } }\n", "must be less than the kernel"),
        (
            "  - { name: a, op: { conv2d: { out-channels: 9223372036854775807, kernel: 3 } } }\n",
            "holds more values than a 64-bit number counts",
        ),
        (
            "  - { name: a, op: { reshape: { shape: [5] } } }\n",
            "reshape keeps the number of values, got [3, 32, 32] for [5]",
        ),
        (
            "  - { name: a, op: { transpose: { order: [0, 1] } } }\n",
            "each dimension of [3, 32, 32] once, got the order [0, 1]",
        ),
        (
            "  - { name: a, op: { slice: { axis: 0, start: 2, stop: 4 } } }\n",
            "slice needs 0 <= start < stop <= 3 and a step, got 2..4 in steps of 1",
        ),
        ("  - { name: a, op: { softmax-along: { axis: 3 } } }\n", "softmax: there is no axis 3 in [3, 32, 32]"),
        (
            "  - { name: a, op: { reshape: { shape: [96, 32] } } }\n  - { name: b, op: matmul, inputs: [a, a] }\n",
            "matmul needs [.., m, k] and [.., k, n] with equal dimensions before, or 1, got [96, 32] and [96, 32]",
        ),
        (
            "  - { name: a, op: { expand: { shape: [3, 32, 64] } } }\n",
            "expand repeats along sides of 1, got [3, 32, 32]",
        ),
        (
            "  - { name: a, op: { pad: { before: [1], after: [1] } } }\n",
            "pad is made for 1 dimensions, got [3, 32, 32]",
        ),
        ("  - { name: a, op: { layer-norm: { features: 5, affine: none } } }\n", "layer-norm is made for 5 features"),
        (
            "  - { name: a, op: { group-norm: { groups: 2, affine: none } } }\n",
            "group-norm: groups = 2 must divide 3 input",
        ),
        ("  - { name: a, op: add }\n", "add takes two inputs or more, got 1"),
        ("  - { name: a, op: relu, inputs: [] }\n", "relu takes one input, got 0"),
        ("  - { name: a, op: { conv2d: { out-channels: 4, kernel: [1, 2, 3] } } }\n", "[height, width]"),
        ("  - { name: a, op: { conv2d: { out-channels: 4, kernel: -3 } } }\n", "net.yaml:5:"),
    ];
    for (text, wanted) in cases {
        let message = message(text);
        assert!(message.contains(wanted), "{message}\nshould say: {wanted}");
        assert!(message.starts_with("net.yaml:"), "{message}");
    }
}

#[test]
fn an_output_that_does_not_exist_is_named() {
    let text = format!("{}output: z\n", nodes("  - { name: a, op: relu }\n"));
    assert_eq!(parse(&text).unwrap_err(), "net.yaml:6:9: output: there is no node `z`");
}

#[test]
fn another_version_is_refused() {
    let text = "version: 2\nname: n\ninput: [3]\nnodes:\n  - { name: a, op: relu }\n";
    assert_eq!(parse(text).unwrap_err(), "net.yaml:1:10: version must be 1, got 2");
}

#[test]
fn a_convolution_is_depthwise_where_each_of_several_channels_is_its_own_group() {
    let depthwise = |channels, groups| Conv2d::same(channels, 2 * channels, 3).grouped(groups).is_depthwise();
    assert!(depthwise(8, 8) && depthwise(2, 2));
    assert!(!depthwise(8, 1) && !depthwise(8, 4) && !depthwise(1, 1));
}
