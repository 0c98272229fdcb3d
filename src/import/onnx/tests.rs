use prost::Message;

use super::proto::*;
use super::*;
use crate::network::Op;

const FLOAT: i32 = data_type::FLOAT;

fn dimension(text: &str) -> DimensionProto {
    match text.parse() {
        Ok(size) => DimensionProto { dim_value: Some(size), dim_param: None },
        Err(_) if text == "?" => DimensionProto::default(),
        Err(_) => DimensionProto { dim_value: None, dim_param: Some(text.to_owned()) },
    }
}

/// A value with its dimensions: `x[1, 3, h, ?]`.
fn info(text: &str) -> ValueInfoProto {
    let (name, dims) = text.split_once('[').unwrap();
    let dims = dims.trim_end_matches(']').split(',').map(str::trim).filter(|dim| !dim.is_empty());
    let shape = Some(TensorShapeProto { dim: dims.map(dimension).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: Some(FLOAT), shape });
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type }) }
}

/// A weight, whose values are left out.
fn weight(name: &str, dims: &[i64]) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(FLOAT), name: Some(name.to_owned()), ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len().try_into().unwrap()],
        data_type: Some(data_type::INT64),
        name: Some(name.to_owned()),
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

fn scalar(name: &str, value: f32) -> TensorProto {
    TensorProto {
        data_type: Some(FLOAT),
        name: Some(name.to_owned()),
        raw_data: Some(value.to_le_bytes().to_vec()),
        ..Default::default()
    }
}

fn attribute(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), ints: values.to_vec(), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), i: Some(value), ..Default::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), s: Some(value.as_bytes().to_vec()), ..Default::default() }
}

/// `a, b -> c = Operator`, named as its first output.
fn node(line: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    let (values, operator) = line.split_once(" = ").unwrap();
    let (inputs, outputs) = values.split_once("->").unwrap();
    let list = |names: &str| names.split(',').map(|name| name.trim().trim_matches('_').to_owned()).collect::<Vec<_>>();
    let (input, output) = (if inputs.trim().is_empty() { Vec::new() } else { list(inputs) }, list(outputs));
    NodeProto {
        name: Some(output[0].clone()),
        op_type: Some(operator.to_owned()),
        input,
        output,
        attribute,
        ..Default::default()
    }
}

fn model(inputs: &[&str], initializer: Vec<TensorProto>, nodes: Vec<NodeProto>, output: &str) -> ModelProto {
    let output = vec![ValueInfoProto { name: Some(output.to_owned()), r#type: None }];
    let input = inputs.iter().map(|input| info(input)).collect();
    let graph = GraphProto { node: nodes, initializer, input, output, ..Default::default() };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(18) }];
    ModelProto { ir_version: Some(10), graph: Some(graph), opset_import, ..Default::default() }
}

fn parse(model: &ModelProto) -> Result<Onnx, String> {
    parse_with(model, &[])
}

fn parse_with(model: &ModelProto, dims: &[(&str, u64)]) -> Result<Onnx, String> {
    let dims = dims.iter().map(|&(name, size)| (name.to_owned(), size)).collect();
    Onnx::parse(&model.encode_to_vec(), "net", &Options { dims }).map_err(|error| error.to_string())
}

/// The operators of a network with the shapes that they put out, the input left out.
fn operators(onnx: &Onnx) -> Vec<String> {
    let line = |node: &crate::network::Node| format!("{} {} {}", node.name, node.op.name(), node.shape);
    onnx.network.nodes().skip(1).map(|(_, node)| line(node)).collect()
}

/// One node behind `x`, with constants.
fn single(
    input: &str,
    line: &str,
    attributes: Vec<AttributeProto>,
    constants: Vec<TensorProto>,
) -> Result<Onnx, String> {
    parse(&model(&[input], constants, vec![node(line, attributes)], "y"))
}

#[test]
fn a_convolution_has_its_shape_its_products_and_its_parameters() {
    let attributes = vec![attribute("strides", &[2, 2]), attribute("pads", &[1, 1, 1, 1]), int("group", 3)];
    let found =
        single("x[1, 3, 9, 8]", "x, w, b -> y = Conv", attributes, vec![weight("w", &[6, 1, 3, 3]), weight("b", &[6])]);
    let found = found.unwrap();
    // (9 + 2 - 3) / 2 + 1 = 5, (8 + 2 - 3) / 2 + 1 = 4; 6 * 5 * 4 outputs of 9 products
    assert_eq!(operators(&found), ["y conv2d [6, 5, 4]"]);
    assert_eq!((found.network.macs().0, found.network.params()), (6 * 5 * 4 * 9, 6 * 9 + 6));
    assert_eq!((found.coverage.nodes, found.coverage.operators, found.coverage.macs), (1, 1, found.network.macs()));
}

#[test]
fn every_value_that_a_node_puts_out_has_the_dimensions_of_the_file() {
    let nodes = vec![
        node("x -> s = Shape", vec![]),
        node("x -> r = Relu", vec![]),
        node("r -> d, mask = Dropout", vec![]),
        node("d -> y = Odd", vec![]),
        node("y -> z = Relu", vec![]),
        node("z, s -> out = Reshape", vec![]),
    ];
    let found = parse(&model(&["x[n, 3, 5]"], vec![], nodes, "out")).unwrap();
    let values =
        found.values.iter().map(|value| (value.operator.as_str(), value.value.as_str(), value.dims.as_deref()));
    let expected: [(&str, &str, Option<&[u64]>); 7] = [
        ("Shape", "s", Some(&[3])),
        ("Relu", "r", Some(&[1, 3, 5])),
        ("Dropout", "d", Some(&[1, 3, 5])),
        ("Dropout", "mask", None),
        ("Odd", "y", None),
        ("Relu", "z", None),
        ("Reshape", "out", None),
    ];
    assert_eq!(values.collect::<Vec<_>>(), expected);
}

#[test]
fn padding_that_differs_between_the_ends_stands_before_the_window() {
    let attributes = |pads: &str| vec![attribute("strides", &[2, 2]), text("auto_pad", pads)];
    // ceil(8 / 2) = 4 windows reach 3 * 2 + 3 = 9: one value of padding, at the far end
    let upper = single("x[1, 3, 8, 8]", "x, w -> y = Conv", attributes("SAME_UPPER"), vec![weight("w", &[4, 3, 3, 3])]);
    let upper = upper.unwrap();
    assert_eq!(operators(&upper), ["y/pad pad [3, 9, 9]", "y conv2d [4, 4, 4]"]);
    let pads = upper.network.nodes().find_map(|(_, node)| match &node.op {
        Op::Pad(pad) => Some((pad.before.clone(), pad.after.clone())),
        _ => None,
    });
    assert_eq!(pads, Some((vec![0, 0, 0], vec![0, 1, 1])));
    let lower = single("x[1, 3, 9, 9]", "x, w -> y = Conv", attributes("SAME_LOWER"), vec![weight("w", &[4, 3, 3, 3])]);
    // ceil(9 / 2) = 5 windows reach 11: one value at each end
    assert_eq!(operators(&lower.unwrap()), ["y conv2d [4, 5, 5]"]);
}

#[test]
fn a_signal_is_a_map_of_height_1() {
    let attributes = vec![attribute("dilations", &[2]), attribute("pads", &[2, 2])];
    let found = single("x[n, 4, 10]", "x, w -> y = Conv", attributes, vec![weight("w", &[8, 4, 3])]).unwrap();
    assert_eq!(
        operators(&found),
        ["y/reshape reshape [4, 1, 10]", "y conv2d [8, 1, 10]", "y/reshape_2 reshape [8, 10]"]
    );
    assert_eq!(found.network.macs().0, 8 * 10 * 4 * 3);
}

#[test]
fn a_transposed_convolution_multiplies_each_input_value() {
    let attributes =
        vec![attribute("strides", &[2, 2]), attribute("pads", &[1, 1, 1, 1]), attribute("output_padding", &[1, 1])];
    let found =
        single("x[1, 4, 5, 5]", "x, w -> y = ConvTranspose", attributes, vec![weight("w", &[4, 6, 3, 3])]).unwrap();
    // 2 * 4 + 3 + 1 - 2 = 10; 25 input pixels of 4 channels for 6 * 9 products each
    assert_eq!(operators(&found), ["y conv-transpose2d [6, 10, 10]"]);
    assert_eq!(found.network.macs().0, 25 * 4 * 54);
    let attributes = vec![attribute("strides", &[2, 2]), attribute("pads", &[0, 0, 1, 1])];
    let found =
        single("x[1, 4, 5, 5]", "x, w -> y = ConvTranspose", attributes, vec![weight("w", &[4, 6, 3, 3])]).unwrap();
    // 2 * 4 + 3 = 11, of which the last row and column are cut
    assert_eq!(
        operators(&found),
        ["y conv-transpose2d [6, 11, 11]", "y/crop slice [6, 10, 11]", "y/crop_2 slice [6, 10, 10]"]
    );
    assert_eq!(found.network.macs().0, 25 * 4 * 54);
}

#[test]
fn a_last_partial_window_counts_where_the_file_says() {
    let attributes =
        |ceil: i64| vec![attribute("kernel_shape", &[3, 3]), attribute("strides", &[2, 2]), int("ceil_mode", ceil)];
    let shape = |ceil| operators(&single("x[1, 2, 8, 8]", "x -> y = MaxPool", attributes(ceil), vec![]).unwrap());
    // (8 - 3) / 2 + 1: 3.5
    assert_eq!(shape(0), ["y max-pool [2, 3, 3]"]);
    assert_eq!(shape(1), ["y max-pool [2, 4, 4]"]);
}

#[test]
fn a_product_with_weights_takes_the_bias_behind_it() {
    let nodes = vec![node("x, w -> p = MatMul", vec![]), node("b, p -> y = Add", vec![])];
    let found = parse(&model(&["x[n, 7, 4]"], vec![weight("w", &[4, 5]), weight("b", &[5])], nodes, "y")).unwrap();
    assert_eq!(operators(&found), ["p linear [7, 5]"]);
    assert_eq!((found.network.macs().0, found.network.params()), (7 * 4 * 5, 4 * 5 + 5));
    // The product is read once more: its bias stays apart.
    let nodes =
        vec![node("x, w -> p = MatMul", vec![]), node("b, p -> s = Add", vec![]), node("s, p -> y = Mul", vec![])];
    let found = parse(&model(&["x[n, 7, 4]"], vec![weight("w", &[4, 5]), weight("b", &[5])], nodes, "y")).unwrap();
    assert_eq!(
        operators(&found),
        ["p linear [7, 5]", "b tensor [5]", "s/reshape reshape [1, 5]", "s add [7, 5]", "y multiply [7, 5]"]
    );
    assert_eq!(found.network.params(), 4 * 5 + 5);
}

#[test]
fn a_product_of_activations_is_one_for_each_head() {
    let nodes =
        vec![node("x -> t = Transpose", vec![attribute("perm", &[0, 1, 3, 2])]), node("x, t -> y = MatMul", vec![])];
    let found = parse(&model(&["x[n, 3, 7, 4]"], vec![], nodes, "y")).unwrap();
    assert_eq!(operators(&found), ["t transpose [3, 4, 7]", "y matmul [3, 7, 7]"]);
    assert_eq!(found.network.macs().0, 3 * 7 * 7 * 4);
}

#[test]
fn an_einsum_is_the_product_it_says() {
    let equation = |text_: &str| vec![text("equation", text_)];
    let attention =
        |inputs: &[&str], e: &str| parse(&model(inputs, vec![], vec![node("q, k -> y = Einsum", equation(e))], "y"));
    let found = attention(&["q[n, 5, 3, 4]", "k[n, 6, 3, 4]"], "bqhd,bkhd->bhqk").unwrap();
    // 3 heads of [5, 4] by [4, 6]
    assert_eq!(found.network.macs().0, 3 * 5 * 4 * 6);
    assert_eq!(found.network.node(found.network.output()).shape.dims(), [3, 5, 6]);
    let line = "x, w -> y = Einsum";
    let found = single("x[n, 5, 4]", line, equation("nld,dhk->nlhk"), vec![weight("w", &[4, 2, 3])]).unwrap();
    assert_eq!((found.network.macs().0, found.network.params()), (5 * 4 * 6, 24));
    assert_eq!(found.network.node(found.network.output()).shape.dims(), [5, 2, 3]);
    let unknown = single("x[n, 5, 4]", line, equation("nld,dhk->nl"), vec![weight("w", &[4, 2, 3])]).unwrap();
    assert_eq!(unknown.coverage.unknown[0].reason, "the equation `nld,dhk->nl` is not covered");
}

#[test]
fn arithmetic_with_shapes_is_followed() {
    // What exporters write for x.reshape(x.shape[0], 2, -1): Shape, Gather, Unsqueeze, Concat.
    let nodes = vec![
        node("x -> s = Shape", vec![]),
        node("s, zero -> g = Gather", vec![]),
        node("g, zeros -> u = Unsqueeze", vec![]),
        node("u, two, rest -> c = Concat", vec![int("axis", 0)]),
        node("x, c -> y = Reshape", vec![]),
    ];
    let zero = TensorProto { dims: vec![], ..ints("zero", &[0]) };
    let constants = vec![zero, ints("zeros", &[0]), ints("two", &[2]), ints("rest", &[-1])];
    let found = parse(&model(&["x[batch, 6, 4]"], constants, nodes, "y")).unwrap();
    assert_eq!(operators(&found), ["y reshape [2, 12]"]);
    assert_eq!((found.coverage.constant, found.coverage.free, found.coverage.nodes), (4, 1, 5));
}

#[test]
fn chains_for_expand_are_followed() {
    // What exporters write for w.expand(1, -1, 3): Equal, Where, ConstantOfShape.
    let nodes = vec![
        node("want -> shape = Shape", vec![]),
        node(
            "shape -> ones = ConstantOfShape",
            vec![AttributeProto { name: Some("value".into()), t: Some(ints("", &[1])), ..Default::default() }],
        ),
        node("ones, minus -> all = Mul", vec![]),
        node("want, all -> open = Equal", vec![]),
        node("open, ones, want -> to = Where", vec![]),
        node("w, to -> e = Expand", vec![]),
        node("x, e -> y = Concat", vec![int("axis", 1)]),
    ];
    let constants =
        vec![ints("want", &[1, -1, 3]), TensorProto { dims: vec![], ..ints("minus", &[-1]) }, weight("w", &[1, 1, 3])];
    let found = parse(&model(&["x[batch, 6, 3]"], constants, nodes, "y")).unwrap();
    assert_eq!(operators(&found), ["w tensor [1, 3]", "y concat [7, 3]"]);
    assert_eq!(found.network.params(), 3);
}

#[test]
fn what_several_operators_are_together_is_one() {
    let gelu = vec![
        node("x, r -> d = Div", vec![]),
        node("d -> e = Erf", vec![]),
        node("e, one -> s = Add", vec![]),
        node("x, s -> m = Mul", vec![]),
        node("m, half -> y = Mul", vec![]),
    ];
    let constants = vec![scalar("r", 1.414), scalar("one", 1.0), scalar("half", 0.5)];
    assert_eq!(operators(&parse(&model(&["x[n, 6]"], constants, gelu, "y")).unwrap()), ["m gelu [6]"]);
    let silu = vec![node("x -> g = Sigmoid", vec![]), node("g, x -> y = Mul", vec![])];
    assert_eq!(operators(&parse(&model(&["x[n, 6]"], vec![], silu, "y")).unwrap()), ["y silu [6]"]);
    let last = || vec![attribute("axes", &[-1])];
    let norm = vec![
        node("x -> mean = ReduceMean", last()),
        node("x, mean -> c = Sub", vec![]),
        node("c, two -> q = Pow", vec![]),
        node("q -> v = ReduceMean", last()),
        node("v, eps -> a = Add", vec![]),
        node("a -> d = Sqrt", vec![]),
        node("c, d -> n = Div", vec![]),
        node("n, w -> m = Mul", vec![]),
        node("m, b -> y = Add", vec![]),
    ];
    let constants = vec![scalar("two", 2.0), scalar("eps", 1e-5), weight("w", &[8]), weight("b", &[8])];
    let found = parse(&model(&["x[n, 6, 8]"], constants, norm, "y")).unwrap();
    assert_eq!(operators(&found), ["n layer-norm [6, 8]"]);
    assert_eq!(found.network.params(), 16);
}

#[test]
fn a_function_of_the_model_is_opened_with_the_attributes_of_its_call() {
    let leaky =
        AttributeProto { name: Some("alpha".into()), ref_attr_name: Some("slope".into()), ..Default::default() };
    let function = FunctionProto {
        name: Some("Act".into()),
        domain: Some("mine".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![node("a -> t = Identity", vec![]), node("t -> b = LeakyRelu", vec![leaky])],
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(18) }],
        ..Default::default()
    };
    let call = |line: &str, slope: f32| {
        let slope = AttributeProto { name: Some("slope".into()), f: Some(slope), ..Default::default() };
        NodeProto { domain: Some("mine".into()), ..node(line, vec![slope]) }
    };
    let mut model = model(&["x[n, 6]"], vec![], vec![call("x -> m = Act", 0.25), call("m -> y = Act", 0.5)], "y");
    model.functions = vec![function.clone()];
    let found = parse(&model).unwrap();
    assert_eq!(operators(&found), ["m/b leaky-relu [6]", "y/b leaky-relu [6]"]);
    let slopes = found.network.nodes().filter_map(|(_, node)| match node.op {
        Op::Activation(crate::network::Activation::LeakyRelu { slope }) => Some(slope),
        _ => None,
    });
    assert_eq!(slopes.collect::<Vec<_>>(), [0.25, 0.5]);
    // A function that calls itself.
    let itself = NodeProto { domain: Some("mine".into()), ..node("a -> b = Act", vec![]) };
    model.functions = vec![FunctionProto { node: vec![itself], ..function }];
    assert!(parse(&model).unwrap_err().contains("function `Act`: functions call each other deeper than 32 times"));
}

#[test]
fn a_branch_is_taken_where_a_constant_chooses_it() {
    let branch = |name: &str, operator: &str| {
        let body = node(&format!("x -> {name}_out = {operator}"), vec![]);
        let output = vec![ValueInfoProto { name: Some(format!("{name}_out")), r#type: None }];
        let graph = GraphProto { node: vec![body], output, ..Default::default() };
        AttributeProto { name: Some(format!("{name}_branch")), g: Some(graph), ..Default::default() }
    };
    let branches = || vec![branch("then", "Relu"), branch("else", "Sigmoid")];
    let nodes = |condition: &str| vec![node(&format!("{condition} -> y = If"), branches())];
    let truth = TensorProto {
        dims: vec![],
        data_type: Some(data_type::BOOL),
        raw_data: Some(vec![1]),
        name: Some("t".into()),
        ..Default::default()
    };
    let found = parse(&model(&["x[n, 6]"], vec![truth], nodes("t"), "y")).unwrap();
    assert_eq!(operators(&found), ["then_out relu [6]"]);
    let found = parse(&model(&["x[n, 6]"], vec![], nodes("x"), "y")).unwrap();
    assert_eq!(found.coverage.unknown[0].reason, "which branch runs depends on the values of the input");
}

#[test]
fn an_unknown_operator_is_named_and_what_the_file_states_is_followed() {
    let nodes = vec![
        node("x, w -> a = MatMul", vec![]),
        node("a -> b = Bogus", vec![]),
        node("b, w -> c = MatMul", vec![]),
        node("c -> y = Relu", vec![]),
    ];
    let mut model = model(&["x[n, 4]"], vec![weight("w", &[4, 4])], nodes, "y");
    let found = parse(&model).unwrap();
    let unknown =
        UnknownNode { node: "b".into(), operator: "Bogus".into(), reason: "this operator is not known".into() };
    assert_eq!(found.coverage.unknown, [unknown]);
    // The product before it is estimated, those behind it are not.
    assert_eq!((found.coverage.operators, found.coverage.behind, found.network.macs().0), (1, 2, 16));
    model.graph.as_mut().unwrap().value_info = vec![info("b[n, 4]")];
    let found = parse(&model).unwrap();
    assert_eq!((found.coverage.operators, found.coverage.behind, found.network.macs().0), (3, 0, 32));
    assert!(!found.coverage.is_complete());
}

#[test]
fn open_dimensions_are_asked_for_by_name() {
    let of = |input: &str| model(&[input], vec![], vec![node("x -> y = Relu", vec![])], "y");
    let open = of("x[batch, tokens, ?]");
    assert_eq!(parse(&open).unwrap_err(), "net: input `x`: its dimension `tokens` is open; give --dim tokens=N");
    assert_eq!(
        parse_with(&open, &[("tokens", 5)]).unwrap_err(),
        "net: input `x`: its dimension `x/2` is open; give --dim x/2=N"
    );
    assert_eq!(operators(&parse_with(&open, &[("tokens", 5), ("x/2", 8)]).unwrap()), ["y relu [5, 8]"]);
    assert_eq!(
        parse_with(&of("x[batch, 4]"), &[("token", 5)]).unwrap_err(),
        "net: there is no dimension `token`; those of this file are batch, x/1"
    );
}

#[test]
fn a_fixed_batch_is_taken_as_images_and_said() {
    let found = parse(&model(&["x[8, 3, 4, 4]"], vec![], vec![node("x -> y = Relu", vec![])], "y")).unwrap();
    assert_eq!(operators(&found), ["y relu [3, 4, 4]"]);
    assert_eq!(found.coverage.assumed, ["input `x`: the first of its dimensions, 8, is taken as the batch"]);
    let fixed = vec![node("x, s -> y = Reshape", vec![])];
    let message = parse(&model(&["x[8, 3, 4, 4]"], vec![ints("s", &[8, 48])], fixed, "y")).unwrap_err();
    assert_eq!(
        message,
        "net: node `y` (Reshape): [1, 3, 4, 4] and [8, 48] hold different numbers of values; \
         input `x`: the first of its dimensions, 8, is taken as the batch"
    );
}

#[test]
fn graphs_that_cannot_run_are_refused_with_their_nodes() {
    let of = |nodes: Vec<NodeProto>| parse(&model(&["x[n, 4]"], vec![], nodes, "y")).unwrap_err();
    assert_eq!(
        of(vec![node("x, z -> y = Add", vec![])]),
        "net: node `y` (Add): its input `z` is put out by no node, and is no input or initialiser"
    );
    let cycle = vec![
        node("x, c -> a = Add", vec![]),
        node("a -> b = Relu", vec![]),
        node("b -> c = Relu", vec![]),
        node("c -> y = Relu", vec![]),
    ];
    assert_eq!(of(cycle), "net: a network has no cycle, but these nodes form one: b, c, a");
    assert_eq!(
        of(vec![node("x -> y = Relu", vec![]), node("x -> y = Relu", vec![])]),
        "net: the value `y` is put out by two nodes"
    );
    assert_eq!(of(vec![node("x -> z = Relu", vec![])]), "net: the output `y` is put out by no node");
    assert_eq!(
        of(vec![node("x -> y = Transpose", vec![attribute("perm", &[0, 0])])]),
        "net: node `y` (Transpose): perm [0, 0] does not name each of 2 dimensions once"
    );
}

#[test]
fn nodes_may_stand_in_any_order_and_what_no_output_needs_is_left_out() {
    let nodes =
        vec![node("a -> y = Relu", vec![]), node("a -> dead = Bogus", vec![]), node("x -> a = Sigmoid", vec![])];
    let found = parse(&model(&["x[n, 4]"], vec![], nodes, "y")).unwrap();
    assert_eq!(operators(&found), ["a sigmoid [4]", "y relu [4]"]);
    assert_eq!(found.coverage.nodes, 2);
}

#[test]
fn weights_are_passed_over_and_never_asked_for() {
    let small = model(&["x[n, 4]"], vec![weight("w", &[4, 4])], vec![node("x, w -> y = MatMul", vec![])], "y");
    let mut large = small.clone();
    large.graph.as_mut().unwrap().initializer[0].raw_data = Some(vec![7; 5000]);
    let bytes = large.encode_to_vec();
    let slimmed = slim::slim(std::io::Cursor::new(&bytes), bytes.len() as u64).unwrap();
    // Fields in any order: both are read back before they are compared.
    assert_eq!(ModelProto::decode(slimmed.as_slice()).unwrap(), small);
    assert_eq!(parse(&large).unwrap().network, parse(&small).unwrap().network);
}

#[test]
fn every_cut_of_a_file_is_refused_or_read_without_a_panic() {
    let nodes = vec![node("x, w -> p = MatMul", vec![]), node("b, p -> y = Add", vec![])];
    let bytes = model(&["x[n, 7, 4]"], vec![weight("w", &[4, 5]), weight("b", &[5])], nodes, "y").encode_to_vec();
    let read = (0..bytes.len()).filter(|&end| Onnx::parse(&bytes[..end], "net", &Options::default()).is_ok());
    // The field behind the graph, the version of the operators, takes 4 bytes and may be absent.
    assert_eq!(read.collect::<Vec<_>>(), [bytes.len() - 4]);
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            drop(Onnx::parse(&changed, "net", &Options::default()));
        }
    }
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let message = |bytes: &[u8]| Onnx::parse(bytes, "net", &Options::default()).unwrap_err().to_string();
    assert_eq!(message(b""), "net: this is no ONNX model: it holds no graph");
    assert_eq!(
        message(b"version: 1\n"),
        "net: this is no ONNX model, or a damaged one: byte 0: there is no wire type 6"
    );
    // Field 7, of 2^63 bytes.
    let long = [0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    assert_eq!(
        message(&long),
        "net: this is no ONNX model, or a damaged one: byte 0: a field of 9223372036854775808 bytes reaches past the end \
         of what holds it"
    );
}
