use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::file::{Setting, SpaceFile};
use super::*;
use crate::load::{self, LoadError};
use crate::network::{Network, Op};

mod project;

const CELLS: &str = "stem:
  - conv: { kernel: 3, width: 8 }
body:
  cells:
    inputs: [before, last]
    preprocess: { kernel: 1 }
    nodes:
      - name: t1
        from: [last, before]
      - name: t2
        from: [t1, last]
    candidates:
      - conv: { kernel: 3 }
      - identity
      - zero
    width: { min: 8, max: 16, step: 4 }
    stack:
      - cells: { count: 1 }
      - max-pool: { kernel: 2 }
      - cells: { count: 1 }
classifier: flatten
";

const CHAIN: &str = "body:
  chain:
    candidates:
      - conv: { kernel: 3 }
      - identity
    stages:
      - { layers: 2, stride: 2, width: 24 }
      - { layers: 2, width: { min: 8, max: 24, step: 8 }, width-per: layer }
classifier: global-pool
";

fn read(text: &str) -> Result<Space, LoadError> {
    let file: SpaceFile = load::parse(text, "space.yaml")?;
    let input = Shape::new(&[3, 32, 32]).unwrap();
    file.into_space(&Setting { name: "small", origin: "space.yaml", input, classes: 10 })
}

fn space(text: &str) -> Space {
    read(text).unwrap()
}

/// The message where the first `from` of `text` is replaced by `to`.
fn message(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    read(&text.replacen(from, to, 1)).unwrap_err().to_string()
}

fn random_architecture(space: &Space, stream: &mut ChaCha8Rng) -> Architecture {
    let mut below = |options: usize| usize::try_from(stream.next_u64() % options as u64).unwrap();
    Architecture {
        operators: space.operators.iter().map(|choice| below(choice.candidates.len())).collect(),
        widths: space.widths.iter().map(|choice| below(choice.options.len())).collect(),
    }
}

/// The architecture with these candidates at the searched operators and these options at the searched widths.
fn architecture(space: &Space, operators: &[usize], widths: &[usize]) -> Architecture {
    let place = |searched: bool, next: &mut std::slice::Iter<'_, usize>| {
        if searched { *next.next().unwrap() } else { 0 }
    };
    let (mut o, mut w) = (operators.iter(), widths.iter());
    Architecture {
        operators: space.operators.iter().map(|choice| place(choice.candidates.len() > 1, &mut o)).collect(),
        widths: space.widths.iter().map(|choice| place(choice.options.len() > 1, &mut w)).collect(),
    }
}

/// Names of the nodes with a product.
fn products(network: &Network) -> Vec<&str> {
    let nodes = network.nodes().filter(|(_, node)| matches!(node.op, Op::Conv2d(_) | Op::Linear(_)));
    nodes.map(|(_, node)| node.name.as_str()).collect()
}

#[test]
fn a_cell_reads_the_two_elements_before_it() {
    let space = space(CELLS);
    let names: Vec<&str> = space.joins.iter().map(|join| join.name.as_str()).collect();
    let cells = |n| ["before", "last", "t1", "t2"].map(|name| format!("cell{n}/{name}"));
    let wanted =
        [vec!["image".to_owned(), "layer0".to_owned()], cells(0).into(), vec!["layer1".to_owned()], cells(1).into()];
    assert_eq!(names, wanted.concat());
    // The first cell reads the stem twice; the second the stem, of side 32, at stride 2, and the pooled first.
    let ends = |name: &str| {
        let edge = space.edges.iter().find(|edge| edge.name == name).unwrap();
        (space.join(edge.from).name.as_str(), edge.stride)
    };
    assert_eq!(ends("cell0/before"), ("layer0", 1));
    assert_eq!(ends("cell0/last"), ("layer0", 1));
    assert_eq!(ends("cell1/before"), ("layer0", 2));
    assert_eq!(ends("cell1/last"), ("layer1", 1));
    let sides: Vec<u64> = space.joins.iter().map(|join| join.side).collect();
    assert_eq!(sides, [32, 32, 32, 32, 32, 32, 16, 16, 16, 16, 16]);
    // Shared choices: four edges; a pool keeps the width of what it pools.
    assert_eq!(space.operators.iter().filter(|choice| choice.candidates.len() > 1).count(), 4);
    assert_eq!(space.join(JoinId(6)).width, space.join(JoinId(5)).width);
}

#[test]
fn widths_of_joins_that_are_cut_off_are_unused() {
    let space = space(CELLS);
    let unused = |operators: &[usize]| {
        let architecture = architecture(&space, operators, &[0; 16]);
        let searched =
            |name: &String| space.widths.iter().any(|choice| choice.name == *name && choice.options.len() > 1);
        space.unused_widths(&architecture).into_iter().filter(searched).collect::<Vec<_>>()
    };
    assert!(unused(&[0, 0, 0, 0]).is_empty());
    // t1 from last and before, t2 from t1 and last, in both cells: without t1 nothing reads `before`, either.
    let names = ["cell0/before", "cell0/t1", "cell1/before", "cell1/t1"];
    assert_eq!(unused(&[2, 2, 0, 0]), names);
    assert_eq!(unused(&[0, 0, 2, 0]), names);
    assert!(unused(&[2, 0, 0, 0]).is_empty());
}

#[test]
fn edges_without_source_or_way_to_the_output_are_pruned() {
    let space = space(CELLS);
    // Candidates: 0 conv, 1 identity, 2 zero; edges t1/last, t1/before, t2/t1, t2/last.
    let network = space.derive(&architecture(&space, &[0, 0, 2, 0], &[0; 8])).unwrap();
    // t1 reaches nothing, so nothing reads `before`; nor does the second cell read the stem.
    let wanted = [
        "layer0/conv",
        "cell0/last/conv",
        "cell0/t2/last/conv",
        "cell1/last/conv",
        "cell1/t2/last/conv",
        "classifier/linear",
    ];
    assert_eq!(products(&network), wanted);
    let error = space.derive(&architecture(&space, &[0, 0, 2, 2], &[0; 8])).unwrap_err();
    let wanted =
        "the output cannot be reached: every way from the image to `cell1/t2` goes over an edge that is `zero`";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn identity_fits_the_channels_of_its_target() {
    let space = space(CELLS);
    // 16 channels at `last` of the first cell, 12 at t2: identity drops four and costs nothing.
    let mut chosen = architecture(&space, &[2, 2, 2, 1], &[0; 8]);
    let width = |name: &str| space.widths.iter().position(|choice| choice.name == name).unwrap();
    chosen.widths[width("cell0/last")] = 2;
    chosen.widths[width("cell0/t2")] = 1;
    let network = space.derive(&chosen).unwrap();
    let fit = network.nodes().find(|(_, node)| node.name == "cell0/t2/last/fit").unwrap().1;
    assert_eq!((&fit.op, fit.shape.dims(), fit.params()), (&Op::FitChannels { channels: 12 }, &[12, 32, 32][..], 0));
    // 3x3 from 3 to 8, then 1x1 from 8 to 16 and from 12 to 8, a batch norm each; 8 * 16 * 16 values to 10 classes.
    assert_eq!(network.params(), (216 + 16) + (128 + 32) + (96 + 16) + (2_048 * 10 + 10));
}

#[test]
fn an_output_that_is_not_the_last_node_leaves_the_rest_out() {
    let text = CELLS.replace("    candidates:", "      - { name: t3, from: [t2] }\n    output: t2\n    candidates:");
    let space = space(&text);
    // Every cell ends in a join of its output alone, with its width.
    let ends: Vec<&Join> = space.joins.iter().filter(|join| join.name.ends_with("t2_out")).collect();
    assert_eq!(ends.len(), 2);
    assert_eq!(space.joins.last(), Some(ends[1]));
    assert_eq!(ends[0].width, space.joins.iter().find(|join| join.name == "cell0/t2").unwrap().width);
    let network = space.derive(&architecture(&space, &[0, 0, 0, 0, 0], &[0; 10])).unwrap();
    assert!(!products(&network).iter().any(|name| name.contains("t3")));
    assert!(products(&network).contains(&"cell1/t2/t1/conv"));
    // t3 reaches nothing: what its edge is makes no difference.
    assert_eq!(space.derive(&architecture(&space, &[0, 0, 0, 0, 2], &[0; 10])).unwrap(), network);
}

/// [`CELLS`] whose output is the concatenation of both nodes.
fn concatenated() -> Space {
    space(&CELLS.replace("    candidates:", "    output: [t1, t2]\n    candidates:"))
}

#[test]
fn a_concatenation_has_the_sum_of_its_parts_widths_and_no_choice_of_its_own() {
    let space = concatenated();
    let outs: Vec<&Join> = space.joins.iter().filter(|join| join.merge == Merge::Concatenate).collect();
    assert_eq!(outs.iter().map(|join| join.name.as_str()).collect::<Vec<_>>(), ["cell0/out", "cell1/out"]);
    assert_eq!(space.joins.last(), Some(outs[1]));
    // 8, 12 or 16 channels, twice: 16 to 32. The choices are those of the cell without it.
    assert_eq!(space.options_of(outs[0].width), [16, 20, 24, 28, 32]);
    assert_eq!(space.widths, self::space(CELLS).widths);
    // The pool behind the first cell keeps its width.
    let pooled = space.joins.iter().find(|join| join.name == "layer1").unwrap();
    assert_eq!((pooled.width, pooled.merge), (outs[0].width, Merge::Sum));
    let ends: Vec<[Width; 2]> =
        space.edges.iter().filter(|edge| edge.name.starts_with("cell0/out")).map(|edge| space.ends(edge)).collect();
    let width = |name: &str| space.joins.iter().find(|join| join.name == name).unwrap().width;
    assert_eq!(ends, [[width("cell0/t1"); 2], [width("cell0/t2"); 2]]);
}

#[test]
fn a_part_that_is_cut_off_is_zeros_of_its_width() {
    let space = concatenated();
    // Candidates: 0 conv, 1 identity, 2 zero; edges t1/last, t1/before, t2/t1, t2/last. Widths: of each cell before, last,
    // t1 and t2.
    let network = |operators: &[usize]| space.derive(&architecture(&space, operators, &[0, 0, 1, 2, 0, 0, 2, 0]));
    let shape = |network: &Network, name: &str| {
        let (_, node) = network.nodes().find(|(_, node)| node.name == name).unwrap();
        (node.op.clone(), node.shape.dims().to_vec())
    };
    let both = network(&[0, 2, 0, 2]).unwrap();
    assert_eq!(shape(&both, "cell0/out/concat"), (Op::Concat { axis: 0 }, vec![12 + 16, 32, 32]));
    assert_eq!(shape(&both, "cell1/out/concat"), (Op::Concat { axis: 0 }, vec![16 + 8, 16, 16]));
    let without_t1 = network(&[2, 2, 2, 0]).unwrap();
    assert_eq!(shape(&without_t1, "cell0/out/t1/zero"), (Op::Zero { channels: 12 }, vec![12, 32, 32]));
    assert_eq!(shape(&without_t1, "cell0/out/concat").1, [28, 32, 32]);
    // t1 is read by the concatenation alone: cutting t2 off changes nothing of it.
    let without_t2 = network(&[0, 0, 2, 2]).unwrap();
    assert_eq!(shape(&without_t2, "cell1/out/t2/zero"), (Op::Zero { channels: 8 }, vec![8, 16, 16]));
    let error = network(&[2, 2, 2, 2]).unwrap_err();
    assert_eq!(error, DeriveError::Unreachable { last: "cell1/out".to_owned() });
    // The widths of parts count, whether or not they are cut off.
    let unused = space.unused_widths(&architecture(&space, &[2, 2, 2, 0], &[0; 16]));
    assert_eq!(unused.into_iter().collect::<Vec<_>>(), ["cell0/before", "cell1/before"]);
}

#[test]
fn every_concatenation_is_as_wide_as_its_options_say() {
    let space = concatenated();
    let mut stream = ChaCha8Rng::seed_from_u64(2);
    let mut seen = 0;
    for _ in 0..100 {
        let architecture = random_architecture(&space, &mut stream);
        let Ok(network) = space.derive(&architecture) else { continue };
        for (place, join) in space.joins.iter().enumerate().filter(|(_, join)| join.merge == Merge::Concatenate) {
            let name = format!("{}/concat", join.name);
            // The first cell is not there where the second reads the stem alone.
            let Some((_, node)) = network.nodes().find(|(_, node)| node.name == name) else { continue };
            assert_eq!(node.shape.dims()[0], space.width(&architecture, JoinId(place)));
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn identity_behind_a_concatenation_copies_its_first_channels() {
    let text = CELLS.replace("    candidates:", "    output: [t1, t2]\n    candidates:");
    let text = text.replace("    preprocess: { kernel: 1 }\n", "").replace("[before, last]", "[last]");
    let space = space(&text.replace("[last, before]", "[last]"));
    // t1 and t2 of the second cell are the pooled concatenation of 8 and 12 channels, cut to 16 and to 8.
    let network = space.derive(&architecture(&space, &[1, 2, 1], &[0, 1, 2, 0])).unwrap();
    let fits = |name: &str| {
        let node = network.nodes().find(|(_, node)| node.name == name);
        node.map(|(_, node)| node.op.clone())
    };
    assert_eq!(fits("cell0/out/concat"), Some(Op::Concat { axis: 0 }));
    assert_eq!(fits("cell1/t1/last/fit"), Some(Op::FitChannels { channels: 16 }));
    assert_eq!(fits("cell1/t2/last/fit"), Some(Op::FitChannels { channels: 8 }));
}

#[test]
fn an_output_of_one_node_in_a_list_is_that_node() {
    let list = CELLS.replace("    candidates:", "    output: [t1]\n    candidates:");
    let name = CELLS.replace("    candidates:", "    output: t1\n    candidates:");
    assert_eq!(space(&list), space(&name));
}

#[test]
fn identity_at_a_stride_is_a_1x1_convolution() {
    let space = space(CHAIN);
    let network = space.derive(&architecture(&space, &[1, 1, 1, 1], &[2, 2])).unwrap();
    // 3 to 24 channels at stride 2 with a batch norm; the second layer copies, the others copy as well.
    assert_eq!(products(&network), ["layer0_s0/conv", "classifier/linear"]);
    let conv = network.nodes().find(|(_, node)| node.name == "layer0_s0/conv").unwrap().1;
    assert_eq!((conv.shape.dims(), conv.params()), (&[24, 16, 16][..], 3 * 24));
    assert_eq!(network.params(), 72 + 48 + (24 * 10 + 10));
}

/// The MnasNet space: seven stages of one width each, every stage with its own depths.
const MNASNET: &str = "stem:
  - conv: { kernel: 3, width: 32, stride: 2 }
body:
  chain:
    candidates:
      - inverted-bottleneck:
          kernel: [3, 5]
          expansion: [3, 6]
          squeeze-excitation: [0, 0.25]
          depth: [1, 2, 3, 4]
    stages:
      - { width: 16, candidates: [inverted-bottleneck: { kernel: 3, expansion: 1 }] }
      - { stride: 2, width: { min: 16, max: 32, step: 8 } }
      - { stride: 2, width: { min: 32, max: 48, step: 8 } }
      - { stride: 2, width: { min: 64, max: 96, step: 8 } }
      - { width: { min: 80, max: 128, step: 16 } }
      - { stride: 2, width: { min: 160, max: 224, step: 32 } }
      - { width: 320 }
head:
  - conv: { kernel: 1, width: 1280 }
classifier: global-pool
";

/// Values of one inverted bottleneck from `c` to `f` channels: expand, depthwise, project with a batch norm each, and
/// the two products with bias of squeeze-excitation where it has `squeezed` channels.
fn bottleneck(c: u64, f: u64, kernel: u64, expansion: u64, squeezed: u64) -> u64 {
    let hidden = expansion * c;
    let expand = if expansion > 1 { c * hidden + 2 * hidden } else { 0 };
    let gate = if squeezed > 0 { (hidden * squeezed + squeezed) + (squeezed * hidden + hidden) } else { 0 };
    expand + (kernel * kernel * hidden + 2 * hidden) + gate + (hidden * f + 2 * f)
}

#[test]
fn depth_and_squeeze_excitation_expand_to_their_layers() {
    let space = space(MNASNET);
    // 2 kernels x 2 expansions x 2 gates x 4 depths in six stages; 3, 3, 5, 4, 3 widths in five.
    let sizes = |lengths: Vec<usize>| lengths.into_iter().filter(|&length| length > 1).collect::<Vec<usize>>();
    assert_eq!(sizes(space.operators.iter().map(|choice| choice.candidates.len()).collect()), [32; 6]);
    assert_eq!(sizes(space.widths.iter().map(|choice| choice.options.len()).collect()), [3, 3, 5, 4, 3]);
    let labels: Vec<String> = space.candidates(&space.edges[2]).iter().map(Candidate::label).collect();
    assert_eq!((labels[0].as_str(), labels[31].as_str()), ("bottleneck3_e3", "bottleneck5_e6_se_x4"));
    let place = |label: &str| labels.iter().position(|other| other == label).unwrap();
    // Stage 2 from 16 to 24: three 5x5 layers, expansion 6, gates of max(1, floor(width / 4)) channels.
    let mut chosen = [place("bottleneck3_e3"); 6];
    let plain = space.derive(&architecture(&space, &chosen, &[1, 0, 0, 0, 0])).unwrap();
    chosen[0] = place("bottleneck5_e6_se_x3");
    let network = space.derive(&architecture(&space, &chosen, &[1, 0, 0, 0, 0])).unwrap();
    let stage = bottleneck(16, 24, 5, 6, 4) + 2 * bottleneck(24, 24, 5, 6, 6);
    assert_eq!(network.params() - plain.params(), stage - bottleneck(16, 24, 3, 3, 0));
    // Shortcuts in the two layers that keep map and width, and in none else.
    let adds: Vec<&str> =
        network.nodes().filter(|(_, node)| node.op == Op::Add).map(|(_, node)| node.name.as_str()).collect();
    assert_eq!(adds, ["layer1_s1/l1_add", "layer1_s1/l2_add"]);
    let frame = (27 * 32 + 64) + bottleneck(32, 16, 3, 1, 0) + (320 * 1280 + 2_560) + (1280 * 10 + 10);
    let rest = [(16, 24), (24, 32), (32, 64), (64, 80), (80, 160), (160, 320)];
    assert_eq!(plain.params(), frame + rest.map(|(c, f)| bottleneck(c, f, 3, 3, 0)).iter().sum::<u64>());
}

#[test]
fn widths_of_a_stage_are_one_choice_and_of_a_layer_their_own() {
    let space = space(CHAIN);
    let names: Vec<&str> = space.widths.iter().map(|choice| choice.name.as_str()).collect();
    assert_eq!(names, ["image", "stage0", "layer2_s1", "layer3_s1"]);
    let tied: Vec<bool> = space.edges.iter().map(|edge| space.tied(edge)).collect();
    assert_eq!(tied, [false, true, false, false]);
    assert_eq!(space.nearest(WidthId(2), 12), 0);
    assert_eq!(space.nearest(WidthId(2), 13), 1);
    assert_eq!(space.nearest(WidthId(2), 1000), 2);
}

#[test]
fn every_architecture_file_reads_as_the_architecture_that_it_was_written_from() {
    let mut stream = ChaCha8Rng::seed_from_u64(5);
    for space in [space(CELLS), space(CHAIN), space(MNASNET), concatenated()] {
        let mut read = 0;
        while read < 50 {
            let architecture = random_architecture(&space, &mut stream);
            let text = load::to_yaml(&space.architecture_file(&architecture));
            match space.derive(&architecture) {
                Ok(_) => {
                    assert_eq!(space.parse_architecture(&text, "a.yaml").unwrap(), architecture);
                    read += 1;
                }
                Err(error) => {
                    let message = space.parse_architecture(&text, "a.yaml").unwrap_err().to_string();
                    assert_eq!(message, format!("a.yaml:1:10: {error}"));
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_in_an_architecture_file_is_named_with_its_line() {
    let space = space(CHAIN);
    let text = "version: 1
space: small
operators:
  layer0_s0: conv3
  layer1_s0: identity
  layer2_s1: identity
  layer3_s1: conv3
widths:
  layer2_s1: 16
  layer3_s1: 8
";
    let parsed = space.parse_architecture(text, "a.yaml").unwrap();
    assert_eq!(parsed, architecture(&space, &[0, 1, 1, 0], &[1, 0]));
    let cases = [
        ("version: 1", "version: 2", "1:10: version must be 1, got 2"),
        ("space: small", "space: other", "2:8: space: this is an architecture of `other`, not of `small`"),
        ("  layer3_s1: conv3\n", "", "1:10: the choice `layer3_s1` is missing"),
        ("  layer3_s1: 8\n", "", "1:10: the choice `layer3_s1` is missing"),
        ("conv3\n  layer1", "conv5\n  layer1", "4:14: `layer0_s0` has no option `conv5`; it has conv3, identity"),
        ("layer2_s1: 16", "layer2_s1: 12", "9:14: `layer2_s1` has no option `12`; it has 8, 16, 24"),
        ("layer2_s1: 16", "layer2_s1: 16\n  stage0: 24", "10:11: the space has no choice `stage0`"),
        ("layer0_s0:", "layer9_s0:", "4:14: the space has no choice `layer9_s0`"),
        ("widths:", "width:", "8:1: unknown field `width`, expected one of version, space, operators, widths"),
    ];
    for (from, to, wanted) in cases {
        assert!(text.contains(from), "{from}");
        let error = space.parse_architecture(&text.replacen(from, to, 1), "a.yaml").unwrap_err();
        assert_eq!(error.to_string(), format!("a.yaml:{wanted}"));
    }
}

#[test]
fn what_is_wrong_in_a_space_of_cells_is_named_with_its_line() {
    let width = "{ min: 8, max: 16, step: 4 }";
    let cases = [
        (width, "{ min: 16, max: 8, step: 4 }", "16:12: width: the range 16 to 8 step 4 is empty"),
        (width, "{ min: 8, max: 16, step: 0 }", "16:12: width: the range 8 to 16 step 0 is empty"),
        (width, "{ min: 0, max: 16, step: 4 }", "16:12: width: channels lie in 1..=65536, got 0"),
        (width, "65537", "16:12: width: channels lie in 1..=65536, got 65537"),
        (width, "{ min: 1, max: 60000, step: 1 }", "16:12: width: at most 4096 options, got 60000"),
        ("    width: { min: 8, max: 16, step: 4 }\n", "", "17:9: neither these cells nor the body has a width"),
        ("- identity", "- conv: { kernel: [5, 3] }", "14:9: candidate `conv3` stands here twice"),
        ("- zero", "- identity", "15:9: candidate `identity` stands here twice"),
        ("{ kernel: 3 }\n      - id", "{ kernel: 4 }\n      - id", "13:9: kernel must be odd and at most 99, got 4"),
        ("preprocess: { kernel: 1 }", "preprocess: { kernel: 2 }", "6:17: kernel must be odd and at most 99, got 2"),
        (
            "    preprocess: { kernel: 1 }\n",
            "",
            "19:9: the two inputs of a cell differ in resolution: it needs a `preprocess`, which strides",
        ),
        ("[before, last]", "[a, b, c]", "5:13: a cell has one input or two, got 3"),
        ("[before, last]", "[last, last]", "5:13: input `last`: the name is taken"),
        ("[before, last]", "[before, Last]", "5:13: input `Last`: a name is [a-z][a-z0-9_]*"),
        ("name: t2", "name: sum", "10:15: node `sum`: a name is [a-z][a-z0-9_]*"),
        ("name: t2", "name: t1", "10:15: node `t1`: the name is taken"),
        ("[t1, last]", "[t1, t3]", "11:20: node `t2`: its source `t3` is no input and no node before it"),
        ("[t1, last]", "[t1, t2]", "11:20: node `t2`: its source `t2` is no input and no node before it"),
        ("[t1, last]", "[last, last]", "11:22: node `t2`: `last` stands here twice"),
        ("[t1, last]", "[]", "11:15: node `t2`: it needs a source"),
        ("    candidates:", "    output: t9\n    candidates:", "12:13: output: the cell has no node `t9`"),
        ("    candidates:", "    output: [t1, t9]\n    candidates:", "12:18: output: the cell has no node `t9`"),
        ("    candidates:", "    output: [t1, t1]\n    candidates:", "12:18: output: `t1` stands here twice"),
        ("    candidates:", "    output: []\n    candidates:", "12:13: output: a concatenation needs a node"),
        (
            "    candidates:",
            "    output: 3\n    candidates:",
            "12:5: invalid type: integer `3`, expected the name of a node, or a list of them",
        ),
        ("count: 1", "count: 0", "18:9: count must lie in 1..=1000, got 0"),
        (
            "max-pool: { kernel: 2 }",
            "max-pool: { kernel: 40 }",
            "19:9: pool: kernel 40 with stride 40 and padding 0 does not fit a map of side 32",
        ),
        (
            "conv: { kernel: 3, width: 8 }",
            "cells: { count: 1 }",
            "2:5: cells stand in the stack of a body of cells, nowhere else",
        ),
        (
            "conv: { kernel: 3, width: 8 }",
            "conv: { kernel: 3, width: 8, stride: 33 }",
            "2:5: stride must lie in 1..=32 on a map of side 32, got 33",
        ),
    ];
    for (from, to, wanted) in cases {
        assert_eq!(message(CELLS, from, to), format!("space.yaml:{wanted}"));
    }
    let taken = CELLS.replace("t2", "out").replace("    candidates:", "    output: [t1, out]\n    candidates:");
    let wanted = "space.yaml:12:13: output: the concatenation is called `out`, so no input or node may be";
    assert_eq!(read(&taken).unwrap_err().to_string(), wanted);
    let output = CELLS.replace("    candidates:", "    output: [t1, t2]\n    candidates:");
    let wanted = "space.yaml:19:9: output: a concatenation has at most 65536 channels and 4096 options, got 20000 channels \
                  and 5001 options: take narrower nodes or wider steps";
    assert_eq!(message(&output, width, "{ min: 5000, max: 10000, step: 2 }"), wanted);
    let only_zero = CELLS.replace("      - conv: { kernel: 3 }\n      - identity\n", "");
    let wanted = "space.yaml:13:7: the cell's output cannot be reached: `zero` is the only candidate";
    assert_eq!(read(&only_zero).unwrap_err().to_string(), wanted);
    let no_cells = format!(
        "{}    stack: [max-pool: {{ kernel: 2 }}]\nclassifier: flatten\n",
        CELLS.split("    stack").next().unwrap()
    );
    assert_eq!(read(&no_cells).unwrap_err().to_string(), "space.yaml:17:12: a stack needs at least one `cells`");
}

#[test]
fn what_is_wrong_in_a_chain_is_named_with_its_line() {
    let cases = [
        ("- identity", "- zero", "4:7: a layer of a chain cannot be `zero`: it would cut the output off"),
        (
            "- identity",
            "- conv5",
            "5:9: unknown variant `conv5`, expected one of conv, separable, inverted-bottleneck, max-pool, average-pool, identity, zero",
        ),
        ("- identity", "- max-pool: { kernel: 3 }", "4:7: `max_pool3` cannot take a stride, and this edge has one"),
        (
            "- identity",
            "- inverted-bottleneck: { kernel: 3, expansion: 0 }",
            "5:9: expansion must lie in 1..=64, got 0",
        ),
        (
            "- identity",
            "- inverted-bottleneck: { kernel: 3, expansion: 1, squeeze-excitation: 2 }",
            "5:9: squeeze-excitation must lie in 0..=1, got 2",
        ),
        (
            "- identity",
            "- inverted-bottleneck: { kernel: 3, expansion: 1, depth: [1, 0] }",
            "5:9: depth must lie in 1..=64, got 0",
        ),
        ("stride: 2", "stride: 33", "7:9: stride must lie in 1..=32 on a map of side 32, got 33"),
        ("layers: 2", "layers: 0", "7:9: layers must lie in 1..=1000, got 0"),
        ("width: 24", "width: 0", "7:40: width: channels lie in 1..=65536, got 0"),
        (
            "width: 24",
            "width: -1",
            "7:33: invalid value: integer `-1`, expected a number of channels, or { min, max, step }",
        ),
        (
            "    candidates:\n      - conv: { kernel: 3 }\n      - identity\n",
            "",
            "4:9: stage 1: neither it nor the chain has candidates",
        ),
    ];
    for (from, to, wanted) in cases {
        assert_eq!(message(CHAIN, from, to), format!("space.yaml:{wanted}"));
    }
    let odd = "body:\n  chain:\n    candidates: [identity]\n    stages: [{ stride: 3, width: 8 }]\nhead:\n  - reduction: { width: 16 }\nclassifier: global-pool\n";
    assert_eq!(read(odd).unwrap_err().to_string(), "space.yaml:6:5: a reduction halves a map of even side, got 11");
}

#[test]
fn strings_need_a_space_whose_architectures_they_tell_apart() {
    let strings = |text: &str, name: &str| read(&format!("{text}strings: {name}\n")).unwrap_err().to_string();
    assert_eq!(
        strings(CHAIN, "digits"),
        "space.yaml:10:10: strings: they name operators only, but the width `layer2_s1` is searched"
    );
    let fixed = CELLS.replace("{ min: 8, max: 16, step: 4 }", "8");
    assert_eq!(
        strings(&fixed, "nas-bench-201"),
        "space.yaml:22:10: strings: nas-bench-201 needs the searched edges n1/n0, n2/n0, n2/n1, n3/n0, n3/n1, n3/n2, \
         got t1/last, t1/before, t2/t1, t2/last"
    );
    let many = fixed.replace("- conv: { kernel: 3 }", "- conv: { kernel: [1, 3, 5, 7, 9, 11, 13, 15, 17] }");
    assert_eq!(
        strings(&many, "digits"),
        "space.yaml:22:10: strings: a digit tells 10 candidates apart, but `t1/last` has 11"
    );
    let chain = |candidates: &str| {
        format!("body:\n  chain:\n    candidates: [{candidates}]\n    stages: [{{ width: 8 }}]\nclassifier: flatten\n")
    };
    assert_eq!(
        strings(&chain("identity, conv: { kernel: 3 }"), "blocks"),
        "space.yaml:6:10: strings: blocks are inverted bottlenecks, and `layer0_s0` has others"
    );
    let block =
        "inverted-bottleneck: { kernel: [3, 5], expansion: [1, 6], squeeze-excitation: [0, 0.25], depth: [1, 4] }";
    let space = read(&format!("{}strings: blocks\n", chain(block))).unwrap();
    let architecture = space.parse_string("e6k5l4s").unwrap();
    assert_eq!(space.operators[0].candidates[architecture.operators[0]].label(), "bottleneck5_e6_se_x4");
    assert_eq!(space.to_string_of(&architecture).as_deref(), Some("e6k5l4s"));
    let error = |text: &str| space.parse_string(text).unwrap_err().to_string();
    assert_eq!(error("e6k5l4-e1k3l1"), "`e6k5l4-e1k3l1`: space `small` needs 1 blocks, joined by `-`, got 2");
    assert!(
        error("e6k7l4").starts_with("`e6k7l4`: `e6k7l4` at place 1 is none of e1k3l1, e1k5l1, "),
        "{}",
        error("e6k7l4")
    );
}

#[test]
fn a_space_may_be_made_for_other_images() {
    let text = "images: { side: 64, classes: 100 }\nbody:\n  chain:\n    candidates: [conv: { kernel: 3 }]\n    stages: [{ \
                stride: 2, width: 8 }]\nclassifier: global-pool\n";
    let space = read(text).unwrap();
    assert_eq!((space.input.dims(), space.classes), (&[3, 64, 64][..], 100));
    assert_eq!(space.join(space.last()).side, 32);
    let error = read(&text.replace("64", "0")).unwrap_err().to_string();
    assert_eq!(error, "space.yaml:1:9: images: side must lie in 1..=65536, got 0");
}

#[test]
fn masks_stand_where_inner_widths_follow_an_end() {
    let site = Site { in_width: 8, out_width: 12, stride: 1, tied: false };
    let masks = |candidate: Candidate| {
        let mut network = Network::new("one", Shape::new(&[8, 4, 4]).unwrap());
        let input = network.input();
        let wired = candidate.wire(&mut network, "op", input, site).unwrap();
        let one = |mask: &MaskPoint| {
            let node = network.node(mask.node);
            let width = match mask.end {
                End::Source => site.in_width,
                End::Target => site.out_width,
            };
            assert_eq!(node.shape.channels(), mask.inner.channels(width), "{}", node.name);
            node.name.clone()
        };
        wired.masks.iter().map(one).collect::<Vec<String>>()
    };
    assert_eq!(masks(Candidate::Separable { kernel: 3 }), ["op/dw_act"]);
    let block = InvertedBottleneck { kernel: 3, expansion: 2, squeeze_excitation: 0.25, depth: 2 };
    let wanted = ["op/expand_act", "op/dw_act", "op/se_act", "op/project_bn"];
    let inner = ["op/l1_expand_act", "op/l1_dw_act", "op/l1_se_act"];
    assert_eq!(masks(Candidate::InvertedBottleneck(block)), [&wanted[..], &inner[..]].concat());
    assert_eq!(masks(Candidate::Identity), [""; 0]);
}

/// Before a batch norm a mask has no gradient: the norm takes the scale out again.
#[test]
fn no_mask_stands_before_a_batch_norm() {
    let block = |expansion, squeeze_excitation, depth| {
        Candidate::InvertedBottleneck(InvertedBottleneck { kernel: 3, expansion, squeeze_excitation, depth })
    };
    let conv = |order| Candidate::Conv { kernel: 3, dilation: 1, order };
    let candidates = [
        conv(Order::ConvNormRelu),
        conv(Order::ConvNorm),
        conv(Order::ReluConvNorm),
        Candidate::Separable { kernel: 5 },
        block(1, 0.0, 1),
        block(3, 0.0, 3),
        block(6, 0.25, 2),
    ];
    let site = Site { in_width: 8, out_width: 12, stride: 1, tied: false };
    for candidate in candidates {
        let mut network = Network::new("one", Shape::new(&[8, 4, 4]).unwrap());
        let input = network.input();
        let wired = candidate.wire(&mut network, "op", input, site).unwrap();
        // The join behind it masks what it puts out.
        let masked: Vec<_> = wired.masks.iter().map(|point| point.node).chain([wired.output]).collect();
        let norms: Vec<_> = network.nodes().filter(|(_, node)| matches!(node.op, Op::BatchNorm { .. })).collect();
        assert!(!norms.is_empty());
        for (norm, node) in norms {
            assert!(network.inputs(norm).iter().all(|source| !masked.contains(source)), "{}", node.name);
        }
    }
}

#[test]
fn a_width_without_a_maximum_has_256_options() {
    let text = |width: &str| {
        format!(
            "stem: [{{ conv: {{ kernel: 3, width: 4 }} }}]\nbody:\n  chain:\n    candidates: [{{ conv: {{ kernel: 3 }} }}]\n    \
             stages: [{{ layers: 1, width: {width} }}]\nclassifier: global-pool\n"
        )
    };
    let options = |width: &str| read(&text(width)).unwrap().widths.last().unwrap().options.clone();
    assert_eq!(options("{ step: 8 }"), (1..=256).map(|count| 8 * count).collect::<Vec<u64>>());
    assert_eq!(options("{ min: 16, step: 4 }"), (0..256).map(|count| 16 + 4 * count).collect::<Vec<u64>>());
    assert_eq!(options("{ max: 24, step: 8 }"), [8, 16, 24]);
    let error = read(&text("{ step: 300 }")).unwrap_err().to_string();
    assert!(error.ends_with("width: channels lie in 1..=65536, got 65700"), "{error}");
    assert!(read(&text("{ step: 0 }")).unwrap_err().to_string().contains("is empty"));
    assert!(read(&text(&format!("{{ step: {} }}", u64::MAX))).is_err());
}
