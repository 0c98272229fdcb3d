//! Architecture strings through `estimate`.

use super::*;
use crate::estimate::Estimate;
use crate::import::onnx::Options;

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";

const PC_DARTS: &str = "PC_DARTS_cifar = Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), \
    ('dil_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], \
    normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), \
    ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], \
    reduce_concat=range(2, 6))";

fn estimated(networks: &[&str], space: Option<&str>) -> Result<Vec<Estimate>, EstimateJobError> {
    let accelerators = [NamedAccelerator::load("small-32x32", None).unwrap()];
    estimate(&EstimateRequest {
        networks: networks.iter().map(PathBuf::from).collect(),
        space: space.map(str::to_owned),
        accelerators: &accelerators,
        batch: 1,
        timing: None,
        detail: Detail::Costs,
        onnx: Options::default(),
    })
}

fn message(networks: &[&str], space: Option<&str>) -> String {
    estimated(networks, space).unwrap_err().to_string()
}

#[test]
fn strings_and_files_stand_side_by_side_and_a_string_is_the_network_of_its_space() {
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.yaml");
    let job = path("nas-bench-201").display().to_string();
    let estimates = estimated(&[CELL, small], Some(&job)).unwrap();
    let space = shipped("nas-bench-201").space;
    let network = space.derive_benchmark(&space.parse_string(CELL).unwrap()).unwrap();
    assert_eq!(estimates[0].network, CELL);
    assert_eq!((estimates[0].total.macs, estimates[0].total.params), (network.macs(), network.params()));
    assert_eq!(estimates[1].network, "small");
    let digits = path("nas-bench-macro").display().to_string();
    assert_eq!(estimated(&["02012100"], Some(&digits)).unwrap()[0].network, "02012100");
}

#[test]
fn a_genotype_has_the_name_that_its_text_gives_it() {
    let estimates = estimated(&[PC_DARTS], Some("darts")).unwrap();
    assert_eq!(estimates[0].network, "PC_DARTS_cifar");
    // The paper: 3.6 M parameters
    assert_eq!(estimates[0].total.params / 10_000, 363);
    let (_, bare) = PC_DARTS.split_once(" = ").unwrap();
    assert_eq!(estimated(&[bare], Some("darts-imagenet")).unwrap()[0].network, "genotype");
}

#[test]
fn a_shipped_space_is_that_of_its_file() {
    for (name, string) in [("nas-bench-201", CELL), ("nas-bench-macro", "02012100")] {
        let job = path(name).display().to_string();
        assert_eq!(estimated(&[string], Some(name)).unwrap(), estimated(&[string], Some(&job)).unwrap());
    }
    let blocks = "e1k3l1-e6k3l2-e6k5l2s-e6k3l3-e6k5l3s-e6k5l4s-e6k3l1";
    assert_eq!(estimated(&[blocks], Some("mnasnet")).unwrap()[0].network, blocks);
}

#[test]
fn what_is_no_string_or_no_space_is_named() {
    let job = path("nas-bench-201").display().to_string();
    assert_eq!(message(&["Genotype()"], None), "a genotype needs --space darts or --space darts-imagenet");
    assert_eq!(
        message(&["0"], Some("dart")),
        "space `dart`: must be the path of a job, or one of mnasnet, nas-bench-201, nas-bench-macro, darts, darts-imagenet"
    );
    let demo = path("demo").display().to_string();
    assert_eq!(
        message(&["0"], Some(&demo)),
        "space `demo` says no `strings`, so it reads no architecture string, got `0`"
    );
    assert!(message(&["0"], Some(&job)).starts_with("`0`: space `nas-bench-201` needs 6 edges"));
    assert!(message(&["no.yaml"], Some("darts")).starts_with("no.yaml: "), "files stay files");
    assert_eq!(message(&["|x~0|"], Some("darts")), "genotype, character 1: `Genotype(` is needed, got `|`");
}
