//! The spaces of benchmarks, against numbers worked by hand.

use super::*;
use crate::network::Network;

fn nas_bench_201() -> Space {
    shipped("nas-bench-201").space
}

/// Parameters and MACs of the cell that `string` names.
fn counted(string: &str) -> (u64, u64) {
    let space = nas_bench_201();
    let network = space.derive_benchmark(&space.parse_string(string).unwrap()).unwrap();
    (network.params(), network.macs().0)
}

/// What every network of NAS-Bench-201 pays outside its cells: stem 3x3 from 3 to 16 channels with batch norm; two
/// reductions, each 3x3, 3x3 and a 1x1 behind the mean, the first two with batch norm; the last batch norm; 64 to 10.
const FRAME_PARAMS: u64 = (9 * 3 * 16 + 2 * 16)
    + (9 * 16 * 32 + 64 + 9 * 32 * 32 + 64 + 16 * 32)
    + (9 * 32 * 64 + 128 + 9 * 64 * 64 + 128 + 32 * 64)
    + 2 * 64
    + (64 * 10 + 10);

/// As [`FRAME_PARAMS`], on maps of side 32, 16 and 8.
const FRAME_MACS: u64 = 9 * 3 * 16 * 1024
    + (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32) * 256
    + (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64) * 64
    + 64 * 10;

#[test]
fn the_cell_of_3x3_convolutions_has_the_published_size() {
    let string = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|";
    // 5 cells of 6 edges on each of 16, 32 and 64 channels; batch norms have a scale and a shift.
    let cells = |c: u64| 5 * 6 * (9 * c * c + 2 * c);
    let params = FRAME_PARAMS + cells(16) + cells(32) + cells(64);
    // The same MACs at each width: 9 * 16^2 * 32^2 = 9 * 32^2 * 16^2 = 9 * 64^2 * 8^2.
    let macs = FRAME_MACS + 3 * 5 * 6 * 9 * 16 * 16 * 1024;
    assert_eq!(counted(string), (params, macs));
    // Published: 1.531546 M parameters, and 220.11969 M "FLOPs", which are MACs with one more for each of the 10 biases.
    assert_eq!((params, macs), (1_531_546, 220_119_690 - 10));
}

#[test]
fn a_cell_with_skips_has_the_convolutions_that_its_string_says() {
    let string = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
    let space = nas_bench_201();
    let architecture = space.parse_string(string).unwrap();
    // Candidates are zero, identity, 1x1, 3x3, mean; the six shared choices come behind the stem's.
    let searched: Vec<usize> = space.operators.iter().zip(&architecture.operators).filter_map(chosen).collect();
    assert_eq!(searched, [3, 3, 3, 1, 3, 3]);
    let network = space.derive(&architecture).unwrap();
    let count = |op: &str| network.nodes().filter(|(_, node)| node.op.name() == op).count();
    // 15 cells of five convolutions, the stem, two reductions of three; two sums a cell, one a reduction.
    assert_eq!((count("conv2d"), count("add"), count("average-pool")), (15 * 5 + 1 + 6, 15 * 2 + 2, 2));
    let cells = |c: u64| 5 * 5 * (9 * c * c + 2 * c);
    assert_eq!(network.params(), FRAME_PARAMS + cells(16) + cells(32) + cells(64));
    assert_eq!(network.macs().0, FRAME_MACS + 3 * 5 * 5 * 9 * 16 * 16 * 1024);
}

fn chosen((choice, &chosen): (&crate::space::OperatorChoice, &usize)) -> Option<usize> {
    (choice.candidates.len() > 1).then_some(chosen)
}

#[test]
fn pooling_and_skips_cost_nothing() {
    let pools = "|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|";
    let skips = "|skip_connect~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|";
    assert_eq!(counted(pools), (FRAME_PARAMS, FRAME_MACS));
    assert_eq!(counted(skips), (FRAME_PARAMS, FRAME_MACS));
}

#[test]
fn a_cell_that_is_cut_off_pays_its_frame_alone() {
    let cut = [
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        // What feeds only a cut, and what is fed only by one.
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|",
    ];
    let space = nas_bench_201();
    for string in cut {
        let architecture = space.parse_string(string).unwrap();
        let network = space.derive_benchmark(&architecture).unwrap();
        assert_eq!((network.params(), network.macs().0), (FRAME_PARAMS, FRAME_MACS), "{string}");
        assert_eq!(Network::parse(&network.to_yaml(), "cut.yaml").unwrap(), network);
        let error = space.derive(&architecture).unwrap_err();
        let wanted =
            "the output cannot be reached: every way from the image to `layer3` goes over an edge that is `zero`";
        assert_eq!(error.to_string(), wanted);
    }
}

#[test]
fn a_cell_that_is_cut_in_part_pays_what_is_live() {
    // n1 and the way over n2 are dead; a 1x1 convolution from n0 to n3 is left.
    let string = "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|";
    let cells = |c: u64| 5 * (c * c + 2 * c);
    let params = FRAME_PARAMS + cells(16) + cells(32) + cells(64);
    assert_eq!(counted(string), (params, FRAME_MACS + 3 * 5 * 16 * 16 * 1024));
    let space = nas_bench_201();
    let architecture = space.parse_string(string).unwrap();
    assert_eq!(space.derive(&architecture), space.derive_benchmark(&architecture));
}

#[test]
fn strings_name_the_architecture_that_they_were_written_for() {
    let mut stream = ChaCha8Rng::seed_from_u64(3);
    for name in ["nas-bench-201", "nas-bench-macro"] {
        let space = shipped(name).space;
        for _ in 0..100 {
            let architecture = random_architecture(&space, &mut stream);
            let string = space.to_string_of(&architecture).unwrap();
            assert_eq!(space.parse_string(&string).unwrap(), architecture, "{string}");
        }
    }
    assert_eq!(shipped("demo").space.to_string_of(&shipped("demo").space.first()), None);
}

#[test]
fn a_string_that_names_no_architecture_says_what_is_wrong() {
    let error = |name: &str, string: &str| shipped(name).space.parse_string(string).unwrap_err().to_string();
    assert_eq!(error("demo", "012"), "space `demo` says no `strings`, so it reads no architecture string, got `012`");
    assert_eq!(error("nas-bench-macro", "0120"), "`0120`: space `nas-bench-macro` needs 8 digits, got 4");
    assert_eq!(error("nas-bench-macro", "01201203"), "`01201203`: `3` at place 8 is none of 0, 1, 2");
    let string = "|none~0|+|none~0|none~1|+|none~0|none~1|conv~2|";
    let options = "none~2, skip_connect~2, nor_conv_1x1~2, nor_conv_3x3~2, avg_pool_3x3~2";
    assert_eq!(error("nas-bench-201", string), format!("`{string}`: `conv~2` at place 6 is none of {options}"));
    assert_eq!(
        error("nas-bench-201", "|none~0|"),
        "`|none~0|`: space `nas-bench-201` needs 6 edges, |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, got 1"
    );
    let unordered = "|none~0|none~0|+|none~1|none~0|none~1|none~2|";
    let ordered = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
    assert_eq!(
        error("nas-bench-201", unordered),
        format!("`{unordered}`: space `nas-bench-201` writes this architecture as `{ordered}`")
    );
}

#[test]
fn a_layer_of_nas_bench_macro_is_what_its_digit_says() {
    let space = shipped("nas-bench-macro").space;
    let params = |string: &str| space.derive(&space.parse_string(string).unwrap()).unwrap().params();
    // Stem 3 to 32; 1x1 to 64, 128, 256 at the strides, where nothing can be copied; head 256 to 1280; 1280 to 10.
    let stem_and_head = (27 * 32 + 64) + (256 * 1280 + 2 * 1280) + (1280 * 10 + 10);
    let projections = (32 * 64 + 128) + (64 * 128 + 256) + (128 * 256 + 512);
    assert_eq!(params("00000000"), stem_and_head + projections);
    // A bottleneck from c channels to f with kernel k and e: expand, depthwise, project, a batch norm each.
    let bottleneck = |c: u64, f: u64, k: u64, e: u64| {
        let hidden = e * c;
        (c * hidden + 2 * hidden) + (k * k * hidden + 2 * hidden) + (hidden * f + 2 * f)
    };
    assert_eq!(params("01000000"), stem_and_head + projections + bottleneck(64, 64, 3, 3));
    let strided = projections - (32 * 64 + 128) + bottleneck(32, 64, 5, 6);
    assert_eq!(params("20000000"), stem_and_head + strided);
}
