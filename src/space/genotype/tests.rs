use super::*;

/// The second-order cells of the DARTS paper.
const DARTS_V2: &str = "DARTS_V2 = Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
    ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
    normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
    ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
    reduce_concat=[2, 3, 4, 5])";

/// AmoebaNet-A as the code of DARTS has it: an operator of its own, and nodes that are not concatenated.
const AMOEBA_NET: &str = "AmoebaNet = Genotype(
  normal = [ ('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0),
    ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 1), ('skip_connect', 0), ('avg_pool_3x3', 1), ],
  normal_concat = [4, 5, 6],
  reduce = [ ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2), ('sep_conv_7x7', 0),
    ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('conv_7x1_1x7', 0), ('sep_conv_3x3', 5), ],
  reduce_concat = [3, 4, 6]
)";

fn genotype(text: &str) -> Genotype {
    text.parse().unwrap()
}

/// A genotype of one node whose normal cells are two of `primitive`, whose reduction cells pool.
fn one(primitive: &str) -> Genotype {
    genotype(&format!(
        "Genotype(normal=[('{primitive}', 0), ('{primitive}', 1)], normal_concat=[2], \
         reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1)], reduce_concat=[2])"
    ))
}

#[test]
fn second_order_darts_has_its_published_size() {
    let network = Skeleton::CIFAR10.network(&genotype(DARTS_V2)).unwrap();
    assert_eq!(network.name(), "DARTS_V2");
    // The authors' code counts 3.349342 M without the auxiliary head; the paper says 3.3 M. Others count 528 M MACs.
    assert_eq!(network.params(), 3_349_342);
    assert_eq!(network.macs().0, 528_359_040);
    // The paper: 4.7 M on ImageNet.
    let network = Skeleton::IMAGENET.network(&genotype(DARTS_V2)).unwrap();
    assert_eq!(network.params(), 4_718_752);
}

#[test]
fn one_cell_has_the_parameters_and_macs_of_hand_arithmetic() {
    // One cell of 4 channels on 8x8: 0 and 0 of 1 cell are reductions, so a skeleton of two has one of each.
    let skeleton = Skeleton { channels: 4, cells: 2, stem: Stem::Cifar, side: 8, classes: 10 };
    let frame = skeleton.network(&one("skip_connect")).unwrap();
    // Cell 0 reduces (0 = 2/3): stem 3 -> 12; in0, in1 12 -> 8 on 8x8; max pools to 4x4. Cell 1 reduces as well (1 = 4/3):
    // in0 12 -> 16 from 8x8 to 4x4 in two halves, in1 8 -> 16 on 4x4; pools to 2x2; linear 16 -> 10.
    let stem = [27 * 12 + 24, 27 * 12 * 64];
    let first = [2 * (12 * 8 + 16), 2 * 12 * 8 * 64];
    let second = [12 * 16 + 32 + 8 * 16 + 32, 12 * 16 * 16 + 8 * 16 * 16];
    let linear = [16 * 10 + 10, 16 * 10];
    let total = |i: usize| stem[i] + first[i] + second[i] + linear[i];
    assert_eq!([frame.params(), frame.macs().0], [total(0), total(1)]);
}

#[test]
fn each_operator_has_the_parameters_of_its_convolutions() {
    // Of 4 cells the second and third reduce; the first and last are normal: 8 channels on 16x16, 32 on 4x4.
    let skeleton = Skeleton { channels: 8, cells: 4, stem: Stem::Cifar, side: 16, classes: 10 };
    let params = |primitive: &str| skeleton.network(&one(primitive)).unwrap().params();
    let beyond_skips = |primitive: &str| params(primitive) - params("skip_connect");
    // For c channels, two operators a cell.
    let two = |count: fn(u64) -> u64| 2 * (count(8) + count(32));
    assert_eq!(beyond_skips("sep_conv_3x3"), two(|c| 2 * (9 * c + c * c + 2 * c)));
    assert_eq!(beyond_skips("sep_conv_7x7"), two(|c| 2 * (49 * c + c * c + 2 * c)));
    assert_eq!(beyond_skips("dil_conv_5x5"), two(|c| 25 * c + c * c + 2 * c));
    assert_eq!(beyond_skips("conv_7x1_1x7"), two(|c| 2 * 7 * c * c + 2 * c));
    assert_eq!(beyond_skips("avg_pool_3x3"), 0);
}

#[test]
fn reductions_halve_the_map_at_thirds_and_nodes_are_concatenated() {
    let network = Skeleton::CIFAR10.network(&genotype(DARTS_V2)).unwrap();
    let shape = |cell: u64| {
        let name = format!("cell{cell}/out");
        network.nodes().find(|(_, node)| node.name == name).unwrap().1.shape.dims().to_vec()
    };
    assert_eq!(shape(5), [144, 32, 32]);
    assert_eq!(shape(6), [288, 16, 16]);
    assert_eq!(shape(12), [288, 16, 16]);
    assert_eq!(shape(13), [576, 8, 8]);
    assert_eq!(shape(19), [576, 8, 8]);
}

#[test]
fn operators_of_other_networks_and_any_concatenation_are_read() {
    for skeleton in [Skeleton::CIFAR10, Skeleton::IMAGENET] {
        let network = skeleton.network(&genotype(AMOEBA_NET)).unwrap();
        assert!(network.nodes().any(|(_, node)| node.name.ends_with("conv_7x1_1x7/conv_1x7")));
        // Node 5 of a reduction cell is read by node 6 alone; nothing is left over.
        assert!(network.used().iter().all(|used| *used));
    }
}

#[test]
fn forms_of_the_same_genotype_are_equal() {
    let bare = DARTS_V2.split_once(" = ").unwrap().1;
    let forms = [
        bare.replace("[2, 3, 4, 5]", "range(2, 6)"),
        bare.replace("[2, 3, 4, 5]", "list(range(2,6))"),
        bare.replace('\'', "\""),
        bare.replace("), (", " ) ,\n\t( "),
        bare.replace(")]", "),]"),
    ];
    for form in forms {
        assert_eq!(genotype(&form), genotype(bare), "{form}");
    }
    let named = genotype(DARTS_V2);
    assert_eq!((named.name(), genotype(bare).name()), (Some("DARTS_V2"), None));
}

#[test]
fn every_operator_is_read_by_its_name() {
    for primitive in Primitive::ALL {
        let cell = one(&primitive.name()).normal;
        assert_eq!(cell.nodes, [[(primitive, 0), (primitive, 1)]]);
    }
}

#[test]
fn bad_texts_have_one_clear_message() {
    const GOOD: &str = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], \
                        reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])";
    let all = Primitive::ALL.map(Primitive::name).join(", ");
    let cases = [
        ("Genotype(", "Genome(", "genotype, character 1: `Genotype(` is needed, got `Genome`".to_owned()),
        ("Genotype(", "", "genotype, character 8: `Genotype(` is needed, got `[`".to_owned()),
        ("'skip_connect'", "skip_connect", "genotype, character 19: a name in quotes is needed, got `s`".to_owned()),
        ("skip_connect", "none", format!("genotype, character 19: operator `none` is none of {all}")),
        (
            "reduce_concat=[2])",
            "reduce_concat=[2]",
            "genotype, character 148: `,` or `)` is needed, got the end".to_owned(),
        ),
        (
            ", reduce_concat=[2]",
            "",
            "genotype: the field `reduce_concat` is missing; it has normal, normal_concat, reduce, reduce_concat"
                .to_owned(),
        ),
        (
            "normal_concat",
            "concat",
            "genotype, character 61: `concat` is no field; it has normal, normal_concat, reduce, reduce_concat"
                .to_owned(),
        ),
        (
            "normal_concat",
            "reduce_concat",
            "genotype, character 131: the field `reduce_concat` stands here twice".to_owned(),
        ),
        (", ('skip_connect', 1)]", "]", "genotype: `normal` needs two operators for each node, got 1".to_owned()),
        (
            "('skip_connect', 1)",
            "('skip_connect', 2)",
            "genotype: node 2 of `normal` reads members below 2, got 2".to_owned(),
        ),
        (
            "normal_concat=[2]",
            "normal_concat=[3]",
            "genotype: `normal_concat` names members below 3, each once and at least one, got [3]".to_owned(),
        ),
        (
            "normal_concat=[2]",
            "normal_concat=[2, 2]",
            "genotype: `normal_concat` names members below 3, each once and at least one, got [2, 2]".to_owned(),
        ),
        (
            "normal_concat=[2]",
            "normal_concat=range(2, 2)",
            "genotype: `normal_concat` names members below 3, each once and at least one, got []".to_owned(),
        ),
        (
            "('skip_connect', 1)",
            "('skip_connect', 99999999999999999999)",
            "genotype, character 56: the number of a member is needed, got `9`".to_owned(),
        ),
    ];
    for (from, to, message) in cases {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        assert_eq!(text.parse::<Genotype>().unwrap_err().to_string(), message, "{text}");
    }
    let long = GOOD.replace("normal_concat=[2]", "normal_concat=range(0, 18446744073709551615)");
    assert!(long.parse::<Genotype>().is_err());
    assert!("".parse::<Genotype>().is_err());
}

#[test]
fn sizes_that_pass_64_bits_are_an_error_and_never_a_panic() {
    for channels in [1, u64::MAX / 2, u64::MAX] {
        for stem in [Stem::Cifar, Stem::ImageNet] {
            let skeleton = Skeleton { channels, stem, ..Skeleton::CIFAR10 };
            let error = skeleton.network(&genotype(DARTS_V2)).map(|network| network.params());
            assert!(error.is_err() || (channels == 1 && stem == Stem::Cifar), "{channels}: {error:?}");
        }
    }
}
