//! The command as users run it: what it prints, how it ends, what it says of bad input.
//!
//! Goldens lie in `tests/golden`; `SYSTOLE_BLESS=1 cargo test --test cli` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SMALL: &str = "tests/data/small.yaml";

/// How the command ended and what it said.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("not killed by a signal"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// What it printed, which must be all that happened.
    fn done(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.done()).expect("JSON")
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

fn systole_in(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(command(folder, arguments).output().expect("the command starts"))
}

fn systole(arguments: &[&str]) -> Ran {
    systole_in(Path::new(ROOT), arguments)
}

/// Holds `text` against `tests/golden/NAME`, or writes it there where `SYSTOLE_BLESS` is set.
fn golden(name: &str, text: &str) {
    let path = Path::new(ROOT).join("tests/golden").join(name);
    if std::env::var_os("SYSTOLE_BLESS").is_some() {
        fs::write(&path, text).expect("goldens can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(text, expected, "{}", path.display());
}

/// Every YAML file in a folder of the repository, as paths below the root.
fn shipped(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy())).collect();
    names.retain(|name| name.ends_with(".yaml"));
    names.sort();
    assert!(!names.is_empty(), "{folder} holds YAML files");
    names
}

/// Names of the accelerators, as messages list them.
fn accelerators() -> String {
    let name = |path: &String| Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
    shipped("accel-models").iter().map(name).collect::<Vec<_>>().join(", ")
}

mod scale_sim {
    use super::*;

    const FOLDER: &str = "tests/data/scale-sim";
    const REPORTS: [&str; 3] = ["COMPUTE_REPORT.csv", "BANDWIDTH_REPORT.csv", "DETAILED_ACCESS_REPORT.csv"];

    fn config(name: &str) -> String {
        format!("{FOLDER}/{name}.cfg")
    }

    /// Cells of a report, the empty ones behind the last comma left out.
    fn cells(path: &Path) -> Vec<Vec<String>> {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let line = |line: &str| line.trim_end_matches(',').split(',').map(|cell| cell.trim().to_owned()).collect();
        text.lines().map(line).collect()
    }

    /// Runs `topology` on `config` and holds the reports against those in the folder `expected`; returns the places
    /// (report, line, column) that are left empty.
    fn against_scale_sim(topology: &str, config_name: &str, expected: &str) -> Vec<(usize, usize, usize)> {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("reports");
        let (topology, config) = (format!("{FOLDER}/{topology}"), config(config_name));
        let arguments = ["--quiet", "estimate", &topology, "--accel", &config, "--reports", out.to_str().unwrap()];
        systole(&arguments).done();
        let mut empty = Vec::new();
        for (report, name) in REPORTS.into_iter().enumerate() {
            let found = cells(&out.join(name));
            let expected = cells(&Path::new(ROOT).join(FOLDER).join(expected).join(name));
            assert_eq!(found.len(), expected.len(), "{name}");
            assert_eq!(found[0], expected[0], "{name}");
            for (line, (found, expected)) in found.iter().zip(&expected).enumerate().skip(1) {
                assert_eq!(found.len(), expected.len(), "{name}:{line}");
                for (column, (found, expected)) in found.iter().zip(expected).enumerate() {
                    if found.is_empty() {
                        empty.push((report, line, column));
                    } else {
                        assert!(same(found, expected), "{name}:{line}:{column}: expected {expected}, got {found}");
                    }
                }
            }
        }
        empty
    }

    /// Equal as text, or percentages that differ in their last digits: SCALE-Sim averages over tiles.
    fn same(found: &str, expected: &str) -> bool {
        let numbers = found.parse::<f64>().ok().zip(expected.parse::<f64>().ok());
        let close = |(found, expected): (f64, f64)| (found - expected).abs() <= 1e-11 * expected.abs();
        found == expected || (expected.contains('.') && !expected.ends_with(".0") && numbers.is_some_and(close))
    }

    #[test]
    fn reports_are_those_of_scale_sim() {
        // The output of the last layer, line 13, passes half of its memory: total with prefetch, its DRAM bandwidth,
        // and start, stop and writes. Input-stationary, the last tile of line 12 lies beyond the input.
        let output = [(0, 13, 1), (1, 13, 6), (2, 13, 16), (2, 13, 17), (2, 13, 18)];
        assert_eq!(against_scale_sim("topology.csv", "ws", "ws"), output);
        assert_eq!(against_scale_sim("topology.csv", "os", "os"), []);
        let input = [&output[..2], &[(2, 12, 2)], &output[2..]].concat();
        assert_eq!(against_scale_sim("topology.csv", "is", "is"), input);
        assert_eq!(against_scale_sim("gemm.csv", "ws", "gemm"), []);
    }

    #[test]
    fn what_a_configuration_says_in_vain_is_told() {
        let ran = systole(&["estimate", "tests/data/gemm.csv", "--accel", &config("ws"), "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains("without effect on cycles at infinite bandwidth: IfmapOffset, "), "{}", ran.stderr);
        assert!(ran.stderr.contains("the format has no clock, 1000 MHz is taken (--clock-mhz)"), "{}", ran.stderr);
        let value: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!([&value[0]["accelerator"], &value[0]["timing"]], ["tiny-ws", "scale-sim"]);
    }

    #[test]
    fn a_clock_changes_time_and_nothing_else() {
        let run = |clock: &str| {
            let config = config("os");
            systole(&["--quiet", "estimate", "tests/data/gemm.csv", "--accel", &config, "--json", "--clock-mhz", clock])
        };
        let [slow, fast] = ["250", "500"].map(|clock| run(clock).json()[0]["total"].clone());
        assert_eq!(slow["cycles"], fast["cycles"]);
        assert_eq!(slow["latency_ms"].as_f64().unwrap(), 2.0 * fast["latency_ms"].as_f64().unwrap());
        for (bad, rule) in [("0", "a finite number above 0, got 0"), ("x", "must be a number")] {
            let ran = run(bad);
            assert!(ran.code == 2 && ran.stderr.contains(rule), "{}", ran.stderr);
        }
    }

    #[test]
    fn a_configuration_becomes_an_accelerator_file() {
        let folder = TempDir::new().unwrap();
        let text = systole(&["--quiet", "accel", &config("is")]).done();
        fs::write(folder.path().join("is.yaml"), text).unwrap();
        let checked = systole_in(folder.path(), &["check", "is.yaml"]).done();
        let line = "accelerator `tiny-is`\n  8x4 PEs, input-stationary, 1000 MHz, timing scale-sim\n";
        assert_eq!(checked, format!("is.yaml: {line}"));
        assert_eq!(systole(&["check", &config("is")]).done(), format!("{}: {line}", config("is")));
        let job = fs::read_to_string(Path::new(ROOT).join("tests/data/job.yaml")).unwrap();
        fs::write(folder.path().join("job.yaml"), job.replace("small-32x32", "is.cfg")).unwrap();
        let ran = systole_in(folder.path(), &["check", "job.yaml"]);
        assert!(ran.code == 2 && ran.stderr.contains("`systole accel is.cfg > NAME.yaml`"), "{}", ran.stderr);
    }

    #[test]
    fn cycles_from_2_to_the_63_name_the_layer() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("t.csv"), "Layer, M, N, K,\nfits, 1, 1, 1,\nhuge, 9223372036854775807, 1, 1\n")
            .unwrap();
        fs::write(folder.path().join("x.cfg"), fs::read_to_string(Path::new(ROOT).join(config("ws"))).unwrap())
            .unwrap();
        let ran = systole_in(folder.path(), &["--quiet", "estimate", "t.csv", "--accel", "x.cfg"]);
        let rule =
            "the cycles of m 9223372036854775807 x n 1 x k 1 x repeats 1 must be below 2^63 under timing `scale-sim`";
        assert_eq!((ran.code, ran.stderr), (2, format!("error: t.csv on `tiny-ws`: layer `huge`: {rule}\n")));
    }

    #[test]
    fn what_cannot_be_reported_is_refused() {
        let (ws, topology) = (config("ws"), format!("{FOLDER}/topology.csv"));
        let cases: [(&[&str], &str); 5] = [
            (
                &[SMALL, "--accel", &ws],
                "tests/data/small.yaml: SCALE-Sim's reports are of a topology (.csv), got a network",
            ),
            (
                &[&topology, &topology, "--accel", &ws],
                "--reports takes one topology on one accelerator, got 2 estimates",
            ),
            (&[&topology, "--accel", &ws, "--batch", "2"], "--reports: SCALE-Sim knows one image, got batch 2"),
            (
                &[&topology, "--accel", "small-32x32"],
                "accelerator `small-32x32`: SCALE-Sim's reports need timing scale-sim, got ideal (--timing)",
            ),
            (&[&topology, "--accel", "no-such.cfg"], "no-such.cfg: No such file or directory (os error 2)"),
        ];
        let folder = TempDir::new().unwrap();
        for (arguments, message) in cases {
            let out = folder.path().join("reports");
            let all = [&["--quiet", "estimate"], arguments, &["--reports", out.to_str().unwrap()]].concat();
            let ran = systole(&all);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
            assert_eq!(ran.stderr, format!("error: {message}\n"));
            assert!(!out.exists(), "{arguments:?}");
        }
    }
}

mod estimate {
    use super::*;

    fn run(arguments: &[&str]) -> Ran {
        systole(&[&["estimate", SMALL, "--accel", "small-32x32"], arguments].concat())
    }

    #[test]
    fn a_network_is_shown_as_a_table() {
        golden("small.txt", &run(&[]).done());
    }

    #[test]
    fn a_table_fits_into_a_hundred_columns() {
        let text = run(&["--accel", "uboost-128x128", "--batch", "64", "--layers", "--advice"]).done();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn a_timing_that_leaves_cycles_out_says_so_where_it_shows() {
        let folder = TempDir::new().unwrap();
        // One tile of 4 x 4 and 256 rows in two chunks, of which the last is not counted.
        fs::write(folder.path().join("one.csv"), "Layer, M, N, K,\na, 256, 4, 4,\n").unwrap();
        let told = |timing: &str| {
            let arguments = ["estimate", "one.csv", "--accel", "uboost-128x128", "--timing", timing];
            systole_in(folder.path(), &arguments).done()
        };
        let note = "\noverall above mapping utilization: uboost-csim counts no cycles for the last chunk of pixels\n";
        assert!(told("uboost-csim").contains(note), "{}", told("uboost-csim"));
        assert!(!told("pipelined").contains(note) && !told("ideal").contains(note));
    }

    #[test]
    fn long_names_give_way_and_numbers_stay_whole() {
        let folder = TempDir::new().unwrap();
        let name = format!("{}/conv", "long_name".repeat(9));
        let node = format!("  - {{ name: {name}, op: {{ conv2d: {{ out-channels: 2048, kernel: 9 }} }} }}\n");
        let text = format!("version: 1\nname: wide\ninput: [512, 512, 512]\nnodes:\n{node}");
        fs::write(folder.path().join("wide.yaml"), text).unwrap();
        let arguments = ["estimate", "wide.yaml", "--accel", "small-32x32", "--batch", "64", "--timing", "ideal"];
        let text = systole_in(folder.path(), &arguments).done();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        // 512 * 512 * 64 rows through 81 * 512 / 32 * 2048 / 32 = 82,944 tiles.
        assert_eq!(text.matches("1,391,569,403,904 ").count(), 1, "{text}");
    }

    #[test]
    fn a_network_is_given_as_json() {
        golden("small.json", &run(&["--json"]).done());
    }

    #[test]
    fn a_network_is_given_as_csv() {
        golden("small.csv", &run(&["--csv"]).done());
    }

    #[test]
    fn a_network_as_a_topology_keeps_its_cycles() {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("small-topology.csv");
        let out = out.to_str().unwrap();
        let ran = run(&["--timing", "scale-sim", "--csv", "--scale-sim", out]);
        assert_eq!(ran.code, 0);
        assert!(ran.stderr.contains(" layers as rows, "), "{}", ran.stderr);
        let cycles = |text: &str| -> Vec<(String, u64)> {
            let cells = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
            let layers = cells.filter(|cells| cells[6] != "0");
            layers.map(|cells| (cells[4].replace("DP", ""), cells[8].parse().unwrap())).collect()
        };
        let arguments = ["estimate", out, "--accel", "small-32x32", "--timing", "scale-sim", "--csv"];
        let again = systole(&arguments).done();
        assert!(cycles(&again).len() > 2, "{again}");
        assert_eq!(cycles(&again), cycles(&ran.stdout));
    }

    #[test]
    fn the_shape_of_every_node_is_written() {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("shapes.csv");
        assert_eq!(run(&["--quiet", "--shapes", out.to_str().unwrap()]).code, 0);
        let text = fs::read_to_string(out).unwrap();
        let input = text.lines().nth(1).unwrap();
        assert!(
            text.starts_with("node,operator,value,shape\n") && input.starts_with("input,input,input,\"["),
            "{text}"
        );
    }

    #[test]
    fn files_that_need_a_network_refuse_what_is_none() {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("out.csv");
        let cases: [(&[&str], &str); 3] = [
            (
                &["tests/data/alexnet.csv", "--scale-sim"],
                "--scale-sim needs a network with shapes (.yaml, .onnx), got the topology `alexnet`",
            ),
            (&[SMALL, SMALL, "--shapes"], "--shapes writes one network, got 2"),
            (&[SMALL, "--batch", "2", "--scale-sim"], "--scale-sim: SCALE-Sim knows one image, got batch 2"),
        ];
        for (arguments, message) in cases {
            let all = [&["--quiet", "estimate", "--accel", "tpu-v1"], arguments, &[out.to_str().unwrap()]].concat();
            let ran = systole(&all);
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (2, "", format!("error: {message}\n")));
            assert!(!out.exists(), "{arguments:?}");
        }
    }

    #[test]
    fn the_parts_of_the_cycles_are_shown_and_sum_to_them() {
        let text = run(&["--timing", "pipelined", "--breakdown"]).done();
        golden("breakdown.txt", &text);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let value = run(&["--timing", "pipelined", "--json"]).json();
        let sum = |part: &Value| -> u64 {
            part["breakdown"].as_object().unwrap().values().map(|cycles| cycles.as_u64().unwrap()).sum()
        };
        for layer in value[0]["layers"].as_array().unwrap() {
            assert_eq!(sum(layer), layer["cycles"]);
        }
        assert_eq!(sum(&value[0]["total"]), value[0]["total"]["cycles"]);
        // 27 rows load, 256 stream, 31 + 31 fill and drain; 256 * 27 * 16 MACs on 1,024 PEs are 108 useful cycles, half
        // of the columns are empty: 256 * 27 / 32 = 216.
        let first = &value[0]["layers"][0]["breakdown"];
        let parts = ["useful", "columns", "rows", "load", "fill_and_drain", "stall"].map(|part| &first[part]);
        assert_eq!(parts, [108, 108, 40, 27, 62, 0]);
        let ran = run(&["--breakdown", "--csv"]);
        assert_eq!(ran.code, 2);
    }

    #[test]
    fn memory_and_vector_work_stall_the_layers() {
        let folder = TempDir::new().unwrap();
        let (_, text) = whole_accelerator();
        fs::write(folder.path().join("whole.yaml"), text).unwrap();
        let network = Path::new(ROOT).join(SMALL);
        let arguments = ["estimate", network.to_str().unwrap(), "--accel", "whole.yaml", "--json"];
        let value = systole_in(folder.path(), &arguments).json();
        let (layers, total) = (&value[0]["layers"], &value[0]["total"]);
        // Two arrays share the 16 columns: they are one tile, so m = 256 is halved.
        assert_eq!(layers[0]["split"], serde_json::json!({"n": 1, "m": 2}));
        // Depthwise on the vector unit: 36,864 MACs, 128 a cycle.
        assert_eq!(layers[3]["units"], serde_json::json!({"array": 0, "memory": 0, "vector": 288}));
        assert_eq!((&layers[3]["bound"], &layers[3]["mapping_utilization"]), (&"vector".into(), &Value::Null));
        // The image at 12.8 GB/s and 800 MHz: 3,072 bytes, 16 a cycle.
        assert_eq!((&layers[0]["units"]["memory"], &layers[0]["bytes_read"]), (&192.into(), &3072.into()));
        assert!(total["energy_uj"].as_f64().unwrap() > 0.0);
        assert_eq!(total["traffic"], serde_json::json!({"weights": 0, "inputs": 3072, "outputs": 10}));
    }

    #[test]
    fn the_layers_worked_by_hand_are_right() {
        let value = run(&["--json"]).json();
        let layer = &value[0]["layers"][0];
        // 16 x 16 outputs, 16 channels, 3 * 3 * 3 products each: one tile of 27 x 16 through which 256 rows stream.
        assert_eq!([&layer["macs"], &layer["cycles"], &layer["params"]], [256 * 16 * 27, 256, 16 * 27]);
        assert_eq!(layer["mapping_utilization"], (27.0 * 16.0) / (32.0 * 32.0));
        // Depthwise: 16 channels one after the other, 256 rows each.
        assert_eq!(value[0]["layers"][3]["cycles"], 16 * 256);
        assert_eq!(value[0]["total"]["cycles"], 256 + 4096 + 256 + 1);
    }

    #[test]
    fn both_forms_of_a_topology_are_read() {
        let files = ["tests/data/conv.csv", "tests/data/gemm.csv"];
        let flags = ["--accel", "small-32x32", "--timing", "scale-sim", "--layers"];
        golden("topologies.txt", &systole(&[&["estimate"], &files[..], &flags].concat()).done());
        let value = systole(&["estimate", files[0], files[1], "--accel", "small-32x32", "--json"]).json();
        let names = |place: usize| -> Vec<&str> {
            value[place]["layers"].as_array().unwrap().iter().map(|layer| layer["name"].as_str().unwrap()).collect()
        };
        assert_eq!(names(0), ["Conv1", "DPdw", "Conv1"]);
        assert_eq!(names(1), ["qkv", "head"]);
        // Each value once: 34 * 34 * 16 of the map and 3 * 3 * 16 * 32 weights, a byte each.
        assert_eq!(value[0]["layers"][0]["bytes_read"], 34 * 34 * 16 + 3 * 3 * 16 * 32);
        assert_eq!(value[0]["total"]["peak_activation_bytes"], Value::Null);
    }

    #[test]
    fn networks_stand_outside_and_accelerators_inside() {
        let order = |arguments: &[&str]| -> Vec<[String; 2]> {
            let value = systole(&[&["estimate", "--json"], arguments].concat()).json();
            let names = |entry: &Value| ["network", "accelerator"].map(|key| entry[key].as_str().unwrap().to_owned());
            value.as_array().unwrap().iter().map(names).collect()
        };
        let expected = [
            ["small", "small-32x32"],
            ["small", "uboost-128x128"],
            ["gemm", "small-32x32"],
            ["gemm", "uboost-128x128"],
        ];
        assert_eq!(order(&["--accel", "small-32x32,uboost-128x128", SMALL, "tests/data/gemm.csv"]), expected);
        assert_eq!(
            order(&["--accel", "small-32x32", SMALL, "--accel", "uboost-128x128", "tests/data/gemm.csv"]),
            expected
        );
    }

    #[test]
    fn several_networks_and_accelerators_are_shown_as_a_matrix() {
        let accelerators = "small-32x32,uboost-128x128";
        let asked = ["estimate", SMALL, "tests/data/conv.csv", "--accel", accelerators];
        let matrix = systole(&asked).done();
        golden("matrix.txt", &matrix);
        let all = systole(&[&asked[..], &["--layers"]].concat()).done();
        let (grids, _) = matrix.split_once("\nthe layers of each").unwrap();
        assert!(all.ends_with(grids), "{all}");
        assert_eq!(all.matches("\ntotal\n").count(), 4, "{all}");
    }

    #[test]
    fn a_wide_matrix_goes_on_in_another_block() {
        let folder = TempDir::new().unwrap();
        let names: Vec<String> = (0..12).map(|place| format!("accelerator-{place}")).collect();
        for name in &names {
            let text =
                format!("name: {name}\narray: {{ rows: 8, cols: 8 }}\ndataflow: weight-stationary\nclock-mhz: 1\n");
            fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
        }
        fs::copy(Path::new(ROOT).join(SMALL), folder.path().join("net.yaml")).unwrap();
        let files: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
        let text = systole_in(folder.path(), &["estimate", "net.yaml", "--accel", &files.join(",")]).done();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        // Two matrices that name each.
        for name in &names {
            let heads = text.split_whitespace().filter(|word| word == name).count();
            assert_eq!(heads, 2, "{text}");
        }
        // Of one name they are told apart by what they were asked for by.
        let text = systole_in(folder.path(), &["estimate", "net.yaml", "./net.yaml", "--accel", &files[0]]).done();
        assert!(text.contains("\nnet.yaml ") && text.contains("\n./net.yaml "), "{text}");
    }

    #[test]
    fn advice_is_given_where_it_is_asked_for() {
        let asked = ["--timing", "pipelined", "--advice"];
        golden("advice.txt", &run(&asked).done());
        let advised = run(&[&asked[..], &["--json"]].concat()).json();
        let mut plain = run(&["--timing", "pipelined", "--json"]).json();
        let advice = advised[0]["total"]["advice"].as_array().unwrap();
        assert!(!advice.is_empty());
        for one in advice {
            assert_eq!(one["before"]["cycles"], plain[0]["total"]["cycles"]);
            let widths = one["widths"].as_array().unwrap().len();
            assert_eq!(widths > 0, ["width", "slack", "wider"].contains(&one["kind"].as_str().unwrap()), "{one}");
        }
        let layers = advised[0]["layers"].as_array().unwrap();
        assert!(layers.iter().any(|layer| layer["advice"][0]["kind"] == "layer-dataflow"), "{layers:?}");
        assert_eq!(plain[0]["total"]["advice"], Value::Array(Vec::new()));
        plain[0]["total"]["advice"] = advised[0]["total"]["advice"].clone();
        for (plain, advised) in plain[0]["layers"].as_array_mut().unwrap().iter_mut().zip(layers) {
            plain["advice"] = advised["advice"].clone();
        }
        assert_eq!(plain, advised);
    }

    #[test]
    fn what_is_proposed_for_a_width_holds_when_the_file_is_changed() {
        let folder = TempDir::new().unwrap();
        let network = |first: u64| {
            let conv = |name: &str, channels: u64| {
                format!("  - {{ name: {name}, op: {{ conv2d: {{ out-channels: {channels}, kernel: 3 }} }} }}\n")
            };
            let nodes = [conv("first", first), conv("second", 128)].concat();
            format!("version: 1\nname: n\ninput: [3, 16, 16]\nnodes:\n{nodes}")
        };
        let run = |first: u64| {
            fs::write(folder.path().join("n.yaml"), network(first)).unwrap();
            let arguments =
                ["estimate", "n.yaml", "--accel", "uboost-128x128", "--timing", "ideal", "--advice", "--json"];
            systole_in(folder.path(), &arguments).json()[0]["total"].clone()
        };
        let now = run(144);
        let advice: Vec<&Value> =
            now["advice"].as_array().unwrap().iter().filter(|one| one["widths"] != json_list()).collect();
        let widths: Vec<u64> = advice.iter().map(|one| one["widths"][0]["after"].as_u64().unwrap()).collect();
        assert_eq!(widths, [128, 142, 156, 256]);
        for (one, width) in advice.iter().zip(widths) {
            assert_eq!(
                [&one["after"]["cycles"], &one["after"]["params"]],
                [&run(width)["cycles"], &run(width)["params"]]
            );
        }
    }

    fn json_list() -> Value {
        Value::Array(Vec::new())
    }

    #[test]
    fn two_estimates_are_compared_layer_by_layer() {
        let accelerators = ["--accel", "small-32x32,uboost-128x128", "--timing", "pipelined"];
        let text = systole(&[&["estimate", SMALL, "--diff"], &accelerators[..]].concat()).done();
        golden("diff.txt", &text);
        let value = systole(&[&["estimate", SMALL, "--diff", "--json"], &accelerators[..]].concat()).json();
        let each = systole(&[&["estimate", SMALL, "--json"], &accelerators[..]].concat()).json();
        for (side, key) in [(0, "cycles_before"), (1, "cycles_after")] {
            assert_eq!(value["total"][key], each[side]["total"]["cycles"]);
            for (layer, estimated) in
                value["layers"].as_array().unwrap().iter().zip(each[side]["layers"].as_array().unwrap())
            {
                assert_eq!(layer["difference"][key], estimated["cycles"]);
                assert_eq!([&layer["before"], &layer["after"]], [&estimated["name"], &estimated["name"]]);
            }
        }
        let networks = systole(&["estimate", SMALL, "tests/data/conv.csv", "--accel", "small-32x32", "--diff"]).done();
        assert!(networks.contains("\nstem/conv / Conv1 "), "{networks}");
        assert!(networks.contains("\nclassifier (gone) "), "{networks}");
        let same = systole(&["estimate", SMALL, SMALL, "--accel", "small-32x32", "--diff"]).done();
        let equal = |line: &&str| line.split_whitespace().skip(1).eq(["256", "256", "=", "=", "-", "-"]);
        assert_eq!(same.lines().filter(equal).count(), 2, "{same}");
    }

    #[test]
    fn the_batch_scales_work_and_not_weights() {
        let totals = |batch: &str| run(&["--json", "--batch", batch]).json()[0]["total"].clone();
        let (one, eight) = (totals("1"), totals("8"));
        assert_eq!(eight["macs"].as_u64().unwrap(), 8 * one["macs"].as_u64().unwrap());
        assert_eq!(eight["weight_bytes"], one["weight_bytes"]);
    }

    #[test]
    fn the_worst_layers_come_first_and_totals_stay() {
        let (all, worst) = (run(&["--json"]).json(), run(&["--json", "--worst", "2"]).json());
        let names: Vec<&Value> = worst[0]["layers"].as_array().unwrap().iter().map(|layer| &layer["name"]).collect();
        // Cycles times the idle share: 4096 * 0.991, 256 * 0.75, 256 * 0.578, 1 * 0.844.
        assert_eq!(names, ["block/dw", "block/pw"]);
        assert_eq!(worst[0]["total"], all[0]["total"]);
        let text = run(&["--worst", "2"]).done();
        assert!(text.contains("at most 2\n") && !text.contains("stem/conv"), "{text}");
    }

    #[test]
    fn a_plot_is_written_in_the_form_of_its_name() {
        let folder = TempDir::new().unwrap();
        for (name, start) in [("a.svg", "<svg".as_bytes()), ("a.png", b"\x89PNG")] {
            let path = folder.path().join(name);
            for flag in ["--plot", "--roofline"] {
                let ran = run(&[flag, path.to_str().unwrap()]);
                assert_eq!((ran.code, ran.stderr), (0, format!("wrote {}\n", path.display())));
                assert!(fs::read(&path).unwrap().starts_with(start), "{name}");
                run(&["--quiet", flag, path.to_str().unwrap()]).done();
            }
        }
    }

    /// `x[batch, 4]` through one operator, as ONNX writes it: fields 7 graph; 1 node, 11 input, 12 output; 1 inputs,
    /// 2 outputs, 4 operator.
    fn onnx(operator: &str) -> Vec<u8> {
        let field = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
        let dimension = |inner: Vec<u8>| field(1, &inner);
        let shape = [dimension(field(2, b"batch")), dimension(vec![8, 4])].concat();
        let tensor = [vec![8, 1], field(2, &shape)].concat();
        let input = [field(1, b"x"), field(2, &field(1, &tensor))].concat();
        let node = [field(1, b"x"), field(2, b"y"), field(4, operator.as_bytes())].concat();
        field(7, &[field(1, &node), field(11, &input), field(12, &field(1, b"y"))].concat())
    }

    #[test]
    fn an_onnx_file_says_how_much_of_it_is_covered() {
        let folder = TempDir::new().unwrap();
        let accel = ["--accel", "small-32x32"];
        fs::write(folder.path().join("relu.onnx"), onnx("Relu")).unwrap();
        let ran = systole_in(folder.path(), &[&["estimate", "relu.onnx"], accel.as_slice()].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, "relu: 1 of 1 nodes covered, 0 MACs an image\n"));
        fs::write(folder.path().join("odd.onnx"), onnx("Odd")).unwrap();
        let ran = systole_in(folder.path(), &[&["estimate", "odd.onnx", "--json"], accel.as_slice()].concat());
        let lines = "odd: 0 of 1 nodes covered, 0 MACs an image; 1 unknown, whose MACs are not counted\n\
                     odd: node `y` (Odd): this operator is not known\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (1, lines));
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(json[0]["coverage"]["unknown"][0]["operator"], "Odd");
        let allowed = ["estimate", "odd.onnx", "--allow-unknown", "--quiet"];
        let ran = systole_in(folder.path(), &[&allowed, accel.as_slice()].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        let asked = ["estimate", "odd.onnx", "--dim", "sequence=4"];
        let ran = systole_in(folder.path(), &[&asked, accel.as_slice()].concat());
        let known = "error: odd.onnx: there is no dimension `sequence`; those of this file are batch, x/1\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (2, known));
    }

    #[test]
    fn the_pictures_hold_the_numbers_of_the_table() {
        let folder = TempDir::new().unwrap();
        let [cycles, roof] = ["cycles.svg", "roof.svg"].map(|name| folder.path().join(name));
        let paths = [&cycles, &roof].map(|path| path.to_str().unwrap());
        let arguments = ["--quiet", "estimate", SMALL, "--accel", "tpu-v1", "--json", "--plot", paths[0]];
        let value = systole(&[&arguments[..], &["--roofline", paths[1]]].concat()).json();
        let [cycles, roof] = [cycles, roof].map(|path| fs::read_to_string(path).unwrap());
        let layers = value[0]["layers"].as_array().unwrap();
        let timed: Vec<&Value> = layers.iter().filter(|layer| layer["bound"] != "none").collect();
        assert!(timed.len() > 1);
        for layer in timed {
            let number = layer["cycles"].as_u64().unwrap().to_string();
            let thousands = number.as_bytes().rchunks(3).rev().map(|digits| std::str::from_utf8(digits).unwrap());
            assert!(cycles.contains(&thousands.collect::<Vec<_>>().join("\u{2009}")), "{layer}");
            assert!(cycles.contains(layer["name"].as_str().unwrap()));
        }
        // 65,536 PEs at 700 MHz, 34 GB/s: 45.9 TMACs/s and 1349 MACs a byte
        assert!(roof.contains("peak 45.9 TMACs/s; memory 34 GB/s; they meet at 1349 MACs/byte"));
    }

    #[test]
    fn an_architecture_string_is_a_network_where_a_space_reads_it() {
        let space = ["--space", "search-spaces/nas-bench-macro.yaml", "--accel", "edge-tpu"];
        let text = systole(&[&["estimate", "--layers", "02012100", "11111111"][..], &space].concat()).done();
        assert!(text.starts_with("02012100 on edge-tpu") && text.contains("\n11111111 on edge-tpu"), "{text}");
        let ran = systole(&[&["estimate", "0201210"][..], &space].concat());
        let message = "error: `0201210`: space `nas-bench-macro` needs 8 digits, got 7\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (2, message));
    }

    #[test]
    fn bad_requests_have_one_clear_message() {
        let folder = TempDir::new().unwrap();
        let output_stationary = "name: os\narray: { rows: 8, cols: 8 }\ndataflow: output-stationary\nclock-mhz: 1000\n";
        fs::write(folder.path().join("os.yaml"), output_stationary).unwrap();
        fs::write(folder.path().join("net.onnx"), "").unwrap();
        fs::write(folder.path().join("bad.csv"), "Layer, M, N, K,\na, 1, 0, 2,\n").unwrap();
        fs::copy(Path::new(ROOT).join(SMALL), folder.path().join("net.yaml")).unwrap();
        let read = "what is read is .yaml or .yml (network file), .onnx and .csv (SCALE-Sim topology)";
        let small = ["--accel", "small-32x32"];
        let diff = |count: u64| {
            format!("--diff compares two networks on one accelerator, or one network on two, got {count} estimates")
        };
        let cases: [(&[&str], String); 14] = [
            (&["net.yaml", small[0], small[1], "--diff"], diff(1)),
            (&["net.yaml", "net.yaml", "--accel", "small-32x32,small-32x32", "--diff"], diff(4)),
            (&["no.yaml", small[0], small[1]], "no.yaml: No such file or directory (os error 2)".into()),
            (&["net.onnx", small[0], small[1]], "net.onnx: this is no ONNX model: it holds no graph".into()),
            (&["net", small[0], small[1]], format!("net: the extension is of no format that is read; {read}")),
            (&["os.yaml", small[0], small[1]], "os.yaml: this is an accelerator, and a network is needed".into()),
            (
                &["bad.csv", small[0], small[1]],
                "bad.csv:2: N: must be a whole number from 1 to 2^64 - 1, got `0`".into(),
            ),
            (
                &["net.yaml", "--accel", "os.yaml", "--timing", "uboost-csim"],
                "accelerator `os`: timing `uboost-csim` needs dataflow weight-stationary, got output-stationary".into(),
            ),
            (
                &["net.yaml", "--accel", "small"],
                format!("accelerator `small`: must be a path or one of {}", accelerators()),
            ),
            (
                &["net.yaml", small[0], small[1], "--batch", "0"],
                "net.yaml on `small-32x32`: the batch must be at least 1, got 0".into(),
            ),
            (
                &["net.yaml", small[0], small[1], "--plot", "a.pdf"],
                "`a.pdf`: a plot is written as .svg or .png, by the file's extension".into(),
            ),
            (
                &["net.yaml", "--accel", "small-32x32,small-32x32", "--plot", "a.svg"],
                "--plot draws one network on one accelerator, got 2 estimates".into(),
            ),
            (
                &["net.yaml", small[0], small[1], "--roofline", "a"],
                "`a`: a plot is written as .svg or .png, by the file's extension".into(),
            ),
            (
                &["net.yaml", small[0], small[1], "--plot", "net.yaml/a.svg"],
                "net.yaml/a.svg cannot be written: File exists (os error 17)".into(),
            ),
        ];
        for (arguments, message) in cases {
            let ran = systole_in(folder.path(), &[&["estimate"], arguments].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
            assert_eq!(ran.stderr, format!("error: {message}\n"), "{arguments:?}");
        }
    }
}

mod usage {
    use super::*;

    #[test]
    fn bad_flags_are_named() {
        let cases: [(&[&str], &str); 10] = [
            (
                &["estimate", SMALL, "--accel", "x", "--diff", "--csv"],
                "error: the argument '--diff' cannot be used with '--csv'",
            ),
            (
                &["estimate", SMALL, "--accel", "x", "--advice", "--csv"],
                "error: the argument '--advice' cannot be used with '--csv'",
            ),
            (
                &["estimate", SMALL, "--accel", "x", "--layers", "--json"],
                "error: the argument '--layers' cannot be used with '--json'",
            ),
            (&["estimate", SMALL, "--acel", "x"], "error: unexpected argument '--acel' found"),
            (&["estimate", SMALL], "error: the following required arguments were not provided:\n  --accel <A>"),
            (&["estimate", SMALL, "--accel", "a", "--batch", "-1"], "error: unexpected argument '-1' found"),
            (
                &["estimate", SMALL, "--accel", "a", "--timing", "fast"],
                "error: invalid value 'fast' for '--timing <T>': timing `fast`: must be one of ideal, pipelined",
            ),
            (
                &["estimate", SMALL, "--accel", "a", "--json", "--csv"],
                "error: the argument '--json' cannot be used with '--csv'",
            ),
            (&["pareto", "a", "--reference", "0.5"], "error: invalid value '0.5' for '--reference <ERROR,MS>'"),
            (&["check", "--schema", "x"], "error: invalid value 'x' for '--schema <KIND>': schema `x`: must be one of"),
        ];
        for (arguments, message) in cases {
            let ran = systole(arguments);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
            assert!(ran.stderr.starts_with(message), "{arguments:?}: {}", ran.stderr);
        }
    }

    #[test]
    fn help_of_each_verb_shows_examples() {
        for verb in ["", "search", "estimate", "pareto", "sweep", "calibrate", "check", "accel"] {
            let arguments: Vec<&str> = [verb, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
            let text = systole(&arguments).done();
            assert!(text.contains("Examples:\n  systole "), "{verb}: {text}");
        }
        let version = systole(&["--version"]).done();
        assert_eq!(version, format!("systole {}\n", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn output_that_no_one_reads_is_a_quiet_end() {
        let mut child = command(Path::new(ROOT), &["check", "--schema", "job"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }

    #[cfg(not(feature = "torch"))]
    #[test]
    fn search_without_training_says_how_to_get_it() {
        let ran = systole(&["search", "search-spaces/demo.yaml", "--set", "search.batch=32", "--device", "cuda:1"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert_eq!(
            ran.stderr,
            "error: this `systole` was installed without training; in a clone run `make install PREFIX=DIR`, or \
             `make search` to try it\n"
        );
    }

    #[cfg(not(feature = "torch"))]
    #[test]
    fn search_is_left_to_the_program_that_trains_where_it_lies_beside() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = TempDir::new().unwrap();
        let [this, training] = ["systole", "systole-torch"].map(|name| folder.path().join(name));
        fs::copy(env!("CARGO_BIN_EXE_systole"), &this).unwrap();
        let arguments = ["--quiet", "search", "a job.yaml", "--seed", "3"];
        let run = || Ran::of(Command::new(&this).args(arguments).env_remove("OMP_WAIT_POLICY").output().unwrap());

        fs::write(&training, "#!/bin/sh\nprintf '%s|' $GOMP_SPINCOUNT \"$@\"\nexit 7\n").unwrap();
        let ran = run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert!(
            ran.stderr.starts_with(&format!("error: {}: cannot be started: ", training.display())),
            "{}",
            ran.stderr
        );

        fs::set_permissions(&training, fs::Permissions::from_mode(0o755)).unwrap();
        let ran = run();
        assert_eq!((ran.code, ran.stdout.as_str()), (7, "10000|--quiet|search|a job.yaml|--seed|3|"));
    }

    #[test]
    fn a_search_goes_on_or_starts_anew_not_both() {
        let ran = systole(&["search", "a.yaml", "--resume", "--force"]);
        assert_eq!(ran.code, 2);
        assert!(
            ran.stderr.starts_with("error: the argument '--resume' cannot be used with '--force'"),
            "{}",
            ran.stderr
        );
    }
}

mod accel {
    use super::*;

    #[test]
    fn the_list_has_every_shipped_file() {
        let text = systole(&["accel"]).done();
        for file in shipped("accel-models") {
            let name = file.trim_start_matches("accel-models/").trim_end_matches(".yaml");
            assert!(text.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {text}");
            assert_eq!(systole(&["accel", name]).done(), fs::read_to_string(Path::new(ROOT).join(&file)).unwrap());
        }
    }

    #[test]
    fn an_unknown_name_lists_what_there_is() {
        let ran = systole(&["accel", "tpu-v9"]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.starts_with("error: accelerator `tpu-v9`: must be a path or one of "), "{}", ran.stderr);
    }
}

mod pareto {
    use super::*;

    struct Run<'a> {
        folder: &'a str,
        test: &'a str,
        latency: f64,
        accelerator: &'a str,
    }

    fn runs(runs: &[Run<'_>]) -> TempDir {
        let above = TempDir::new().unwrap();
        for run in runs {
            let folder = above.path().join(run.folder);
            fs::create_dir(&folder).unwrap();
            let summary = format!(
                r#"{{"name": "{}", "seed": 0, "stop_reason": "epoch-limit", "search_seconds": 1.0, "train_seconds": 1.0,
                "peak_memory_bytes": 1, "accuracy": {{"validation": null, "test": {}}}, "accelerator": "{}",
                "latency_ms": {}, "mapping_utilization": 0.75, "overall_utilization": 0.5, "macs": 1000, "params": 100}}"#,
                run.folder, run.test, run.accelerator, run.latency
            );
            fs::write(folder.join("summary.json"), summary).unwrap();
        }
        above
    }

    const A: Run<'static> = Run { folder: "a", test: "0.5", latency: 1.0, accelerator: "small-32x32" };
    const B: Run<'static> = Run { folder: "b", test: "0.75", latency: 2.0, accelerator: "small-32x32" };
    const C: Run<'static> = Run { folder: "c", test: "0.5", latency: 3.0, accelerator: "small-32x32" };

    #[test]
    fn a_front_is_shown_with_its_reference() {
        let above = runs(&[C, A, B]);
        golden("front.txt", &systole_in(above.path(), &["pareto", "c", "a", "b"]).done());
    }

    #[test]
    fn a_front_is_given_as_json() {
        let above = runs(&[C, A, B]);
        let value = systole_in(above.path(), &["pareto", "c", "a", "b", "--json", "--reference", "1,4"]).json();
        assert_eq!(value["front"], serde_json::json!(["a", "b"]));
        assert_eq!(value["reference"], serde_json::json!({"error": 1.0, "latency_ms": 4.0}));
        // (1 - 0.5) * (4 - 1) + (0.5 - 0.25) * (4 - 2)
        assert_eq!(value["hypervolume"], 2.0);
        let names: Vec<&Value> = value["points"].as_array().unwrap().iter().map(|point| &point["name"]).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }

    #[test]
    fn several_accelerators_are_an_array() {
        let above = runs(&[A, Run { accelerator: "uboost-128x128", ..B }]);
        let value = systole_in(above.path(), &["pareto", "a", "b", "--json"]).json();
        let names: Vec<&Value> = value.as_array().unwrap().iter().map(|front| &front["accelerator"]).collect();
        assert_eq!(names, ["small-32x32", "uboost-128x128"]);
    }

    #[test]
    fn files_are_written_into_the_folder_asked_for() {
        let above = runs(&[A, B]);
        systole_in(above.path(), &["pareto", "a", "b", "--quiet", "--out", "deep/front"]).done();
        let out = above.path().join("deep/front");
        assert!(fs::read_to_string(out.join("front.csv")).unwrap().starts_with("name,error,latency_ms,"));
        assert!(fs::read_to_string(out.join("front.svg")).unwrap().starts_with("<svg"));
        assert!(fs::read(out.join("front.png")).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn a_run_without_a_result_makes_the_answer_partial() {
        let above = runs(&[A, Run { test: "null", ..B }]);
        let ran = systole_in(above.path(), &["pareto", "a", "b"]);
        assert_eq!(ran.code, 1);
        assert_eq!(
            ran.stderr,
            "warning: `b` is left out: its summary.json has neither a test nor a validation accuracy\n"
        );
        assert!(ran.stdout.contains("front on small-32x32: 1 of 1 points"), "{}", ran.stdout);
        assert_eq!(systole_in(above.path(), &["pareto", "a", "b", "--quiet"]).stderr, "");
        let ran = systole_in(above.path(), &["pareto", "nowhere"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        let reason = "nowhere cannot be read: No such file or directory (os error 2)";
        assert_eq!(ran.stderr, format!("error: {reason}\n"));
        let ran = systole_in(above.path(), &["pareto", "a", "nowhere", "b"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        let wanted = format!("error: 1 of 3 run folders cannot be used; nothing was drawn\n  {reason}\n");
        assert_eq!(ran.stderr, wanted);
        let ran = systole_in(above.path(), &["pareto", "a/summary.json"]);
        let wanted = "error: `a/summary.json` is a file, and a run needs a folder; choose another name\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (2, wanted));
    }
}

/// Tables of benchmarks; `benchmark.csv` has 27 networks of accuracy `100 - 40 * 0.8^s`, `s` the sum of the digits.
mod table {
    use super::*;

    const TABLE: [&str; 5] = ["pareto", "--table", "benchmark.csv", "--space", "nas-bench-macro"];

    fn asked(further: &[&str]) -> Ran {
        systole_in(&Path::new(ROOT).join("tests/data"), &[&TABLE[..], further].concat())
    }

    fn names(value: &Value) -> Vec<&str> {
        value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
    }

    #[test]
    fn the_front_of_a_table_is_shown_without_the_points_behind_it() {
        golden("table.txt", &asked(&["--accel", "tpu-v2"]).done());
    }

    #[test]
    fn a_joint_front_is_shown_with_its_arrays() {
        golden("arrays.txt", &asked(&["--accel", "small-32x32", "--co-search", "16x64,32x32,64x16"]).done());
    }

    #[test]
    fn json_has_the_points_in_the_order_of_the_table() {
        let value = asked(&["--accel", "tpu-v2,edge-tpu", "--json"]).json();
        let [tpu, edge] = &value.as_array().unwrap()[..] else { panic!("two fronts") };
        assert_eq!([&tpu["accelerator"], &edge["accelerator"]], ["tpu-v2", "edge-tpu"]);
        let points = tpu["points"].as_array().unwrap();
        assert_eq!((points.len(), &points[1]["name"]), (27, &serde_json::json!("00000111")));
        // 100 - 40 * 0.8^3 = 79.52
        assert_eq!(points[1]["error"], 1.0 - 79.52 / 100.0);
        assert_eq!((&tpu["table"]["column"], &tpu["table"]["networks"]), (&"mean_acc".into(), &27.into()));
        let chosen = names(&tpu["by_macs"]["front"]);
        let wrong: Vec<&str> = chosen.into_iter().filter(|name| !names(&tpu["front"]).contains(name)).collect();
        assert_eq!(names(&tpu["by_macs"]["not_on_front"]), wrong);
        assert!(tpu["by_macs"]["latency_ratio"]["greatest"].as_f64().unwrap() >= 1.0);
    }

    #[test]
    fn the_networks_of_a_front_are_written_and_have_its_latency() {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("front").display().to_string();
        let value = asked(&["--accel", "small-32x32", "--json", "--quiet", "--out", &out]).json();
        assert_eq!(fs::read_to_string(folder.path().join("front/front.csv")).unwrap().lines().count(), 28);
        let front = names(&value["front"]);
        let name = front[front.len() / 2];
        let network = format!("{out}/networks/{name}.yaml");
        let estimate = systole(&["estimate", &network, "--accel", "small-32x32", "--json"]).json();
        let points = value["points"].as_array().unwrap();
        let point = points.iter().find(|point| point["name"] == name).unwrap();
        assert_eq!(estimate[0]["total"]["latency_ms"], point["latency_ms"]);
        assert_eq!(fs::read_dir(folder.path().join("front/networks")).unwrap().count(), front.len());
    }

    #[test]
    fn one_point_is_picked() {
        let value = asked(&["--accel", "tpu-v2", "--json", "--pick", "accuracy>=0.9"]).json();
        let point = &value["pick"]["point"];
        assert_eq!(value["pick"]["rule"], "accuracy>=0.9");
        let fastest =
            value["points"].as_array().unwrap().iter().filter(|point| point["error"].as_f64().unwrap() <= 0.1);
        let fastest = fastest.map(|point| point["latency_ms"].as_f64().unwrap()).fold(f64::INFINITY, f64::min);
        assert_eq!(point["latency_ms"], fastest);
        let shown = asked(&["--accel", "tpu-v2", "--pick", "knee"]).done();
        assert!(shown.starts_with("knee on tpu-v2\n  name"), "{shown}");
        let none = asked(&["--accel", "tpu-v2", "--pick", "latency-ms<=0"]);
        assert_eq!((none.code, none.stdout.as_str()), (1, "latency-ms<=0 on tpu-v2: none\n"));
        assert!(
            none.stderr.contains("no point on `tpu-v2` has latency-ms<=0; the least latency is "),
            "{}",
            none.stderr
        );
    }

    #[test]
    fn a_front_of_three_objectives_is_shown_and_written() {
        let objectives = ["--accel", "tpu-v2", "--objectives", "error,latency-ms,weight-kib"];
        golden("objectives.txt", &asked(&objectives).done());
        let folder = TempDir::new().unwrap();
        let out = folder.path().display().to_string();
        let value =
            asked(&[&objectives[..], &["--json", "--quiet", "--reference", "0.5,1,4000", "--out", &out]].concat())
                .json();
        assert_eq!(value["objectives"], serde_json::json!(["error", "latency-ms", "weight-kib"]));
        assert_eq!(value["reference"], serde_json::json!({"error": 0.5, "latency_ms": 1.0, "weight_kib": 4000.0}));
        assert!(fs::read_to_string(folder.path().join("front.svg")).unwrap().contains("weight-kib"));
        let refused = asked(&["--accel", "tpu-v2", "--objectives", "error,speed"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
        assert!(
            refused.stderr.contains("must be two to four different ones of error, latency-ms"),
            "{}",
            refused.stderr
        );
        let refused = asked(&["--accel", "tpu-v2", "--objectives", "error,energy-uj"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
        assert!(refused.stderr.contains("has energy-uj: energy wants an accelerator"), "{}", refused.stderr);
    }

    #[test]
    fn the_readme_shows_what_is_picked() {
        let table = "tests/data/benchmark.csv";
        let pick = ["--accel", "tpu-v2", "--pick", "accuracy>=0.9"];
        let shown = systole(&[&["pareto", "--table", table, "--space", "nas-bench-macro"], &pick[..]].concat()).done();
        let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
        assert!(readme.contains(&shown), "{shown}");
    }

    #[test]
    fn what_is_wrong_with_a_table_is_named() {
        let folder = TempDir::new().unwrap();
        for (text, reason) in [
            ("arch,mean_acc\n", "table.csv: a table needs a row with an accuracy, this one has none in 0 rows"),
            ("arch,acc\n0,1\n", "table.csv: a table needs a column `mean_acc`, this one has `arch`, `acc`; "),
            (
                "arch,mean_acc\n00000000,101\n",
                "table.csv, line 2: `mean_acc` must be an accuracy in percent from 0 to 100",
            ),
            ("arch,mean_acc\n00000009,1\n", "table.csv, line 2: `00000009`: `9` at place 8 is none of 0, 1, 2"),
        ] {
            fs::write(folder.path().join("table.csv"), text).unwrap();
            let ran = systole_in(
                folder.path(),
                &["pareto", "--table", "table.csv", "--space", "nas-bench-macro", "--accel", "tpu-v2"],
            );
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
            assert!(ran.stderr.starts_with(&format!("error: {reason}")), "{}", ran.stderr);
        }
        for (further, reason) in [
            (&["--accel", "tpu-v2,tpu-v2"][..], "error: two accelerators are named `tpu-v2`"),
            (
                &["--accel", "tpu-v2", "--reference", "0.001,1"],
                "error: no point on `tpu-v2` betters the reference 0.001,1",
            ),
            (
                &["--accel", "tpu-v2", "--co-search", "9"],
                "error: --co-search on `tpu-v2`: sides that are powers of two",
            ),
            (&[], "error: the following required arguments were not provided"),
        ] {
            let ran = asked(further);
            assert_eq!(ran.code, 2);
            assert!(ran.stderr.starts_with(reason), "{}", ran.stderr);
        }
    }

    #[test]
    fn rows_without_an_accuracy_make_the_answer_partial() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("table.csv"), "arch,mean_acc\n00000000,50\n11111111,\n00000000,50\n").unwrap();
        let ran = systole_in(
            folder.path(),
            &["pareto", "--table", "table.csv", "--space", "nas-bench-macro", "--accel", "tpu-v2"],
        );
        let wanted = "warning: 1 row has no `mean_acc` and is left out: line 3\n\
            warning: 1 row repeats another, and the first counts: line 4 (as 2)\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (1, wanted));
    }
}

mod check {
    use super::*;

    #[test]
    fn every_shipped_file_is_right() {
        let files = [shipped("search-spaces"), shipped("accel-models")].concat();
        let arguments: Vec<&str> = ["check"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let text = systole(&arguments).done();
        for file in &files {
            let kind = if file.starts_with("search-spaces") { "job" } else { "accelerator" };
            assert!(text.contains(&format!("{file}: {kind} `")), "{file}: {text}");
        }
    }

    #[test]
    fn spaces_of_benchmarks_hold_as_many_as_their_papers_say() {
        let text = systole(&["check", "search-spaces/nas-bench-201.yaml", "search-spaces/nas-bench-macro.yaml"]).done();
        assert!(text.contains("15,625 architectures: 6 searched operators, 0 searched widths"), "{text}");
        assert!(text.contains("6,561 architectures: 8 searched operators, 0 searched widths"), "{text}");
    }

    #[test]
    fn the_facts_of_each_kind_are_shown() {
        let files = ["search-spaces/demo.yaml", "accel-models/small-32x32.yaml", SMALL, "tests/data/conv.csv"];
        golden("check.txt", &systole(&[&["check"], &files[..]].concat()).done());
    }

    /// A job with each `(what, by what)` replaced once.
    fn demo(changes: &[(&str, &str)]) -> String {
        let mut text = fs::read_to_string(Path::new(ROOT).join("tests/data/job.yaml")).unwrap();
        for (old, new) in changes {
            assert_eq!(text.matches(old).count(), 1, "`{old}` stands once in the job");
            text = text.replace(old, new);
        }
        text
    }

    fn network(nodes: &str) -> String {
        format!("version: 1\nname: n\ninput: [3, 32, 32]\nnodes:\n{nodes}")
    }

    /// What is wrong with a file of this text, after its name.
    fn message(text: &str) -> String {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("bad.yaml"), text).unwrap();
        let ran = systole_in(folder.path(), &["check", "bad.yaml"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{text}");
        let line = ran.stderr.strip_prefix("error: bad.yaml:").unwrap_or_else(|| panic!("{}", ran.stderr));
        line.trim_end().to_owned()
    }

    #[test]
    fn bad_jobs_have_one_clear_message_with_its_place() {
        let cases: [(&[(&str, &str)], &str); 22] = [
            (&[("objective: { lambda: 0.1, beta: 0.1 }\n", "")], "32:1: missing field `objective`"),
            (
                &[("lambda: 0.1", "lamda: 0.1")],
                "28:14: unknown field `lamda`, expected one of lambda, preference, beta, cost, sums, lookup-table, \
                 latency, hardware-batch, form, weights, targets, penalty",
            ),
            (&[("  batch: 64\n", "  batch: 64\n  batch: 32\n")], "33:3: duplicate mapping key: batch"),
            (&[("training: 6000", "training: many")], "4:32: invalid u64, got `many`"),
            (&[("epochs: 12", "epochs: 1.5")], "33:21: invalid u64, got `1.5`"),
            (&[("lambda: 0.1", "lambda: .nan")], "28:22: invalid number: must be finite, got `.nan`"),
            (&[("lambda: 0.1", "lambda: -1")], "28:22: lambda must lie in 0..=1000000000, got -1"),
            (&[("operators: { epochs: 4", "operators: { epochs: 0")], "30:24: epochs must lie in 1..=1000000, got 0"),
            // The second candidate of the list, the second kernel of its list.
            (&[("kernel: [3, 5]", "kernel: [3, 4]")], "18:11: kernel must be odd and at most 99, got 4"),
            (&[("- identity", "- conv: { kernel: 0 }")], "20:11: kernel must be odd and at most 99, got 0"),
            (&[("min: 12, max: 68", "min: 70, max: 68")], "22:14: width: the range 70 to 68 step 8 is empty"),
            (&[("step: 8", "step: -8")], "22:40: invalid u64, got `-8`"),
            (&[(", step: 8", "")], "22:25: missing field `step`"),
            (&[("width: 16", "width: 0")], "8:33: width: channels lie in 1..=65536, got 0"),
            (
                &[("- identity", "- identty")],
                "20:11: unknown variant `identty`, expected one of conv, separable, inverted-bottleneck, max-pool, \
                 average-pool, identity, zero",
            ),
            (&[("from: [a]", "from: []")], "13:29: node `t1`: it needs a source"),
            (
                &[(
                    "        - conv: { kernel: 3 }\n        - separable: { kernel: [3, 5] }\n        - conv: { kernel: 3, dilation: 2 }\n        - identity\n",
                    "",
                )],
                "17:9: the cell's output cannot be reached: `zero` is the only candidate",
            ),
            (
                &[("from: [t1, a]", "from: [t3, a]")],
                "14:30: node `t2`: its source `t3` is no input and no node before it",
            ),
            (
                &[("accelerator: small-32x32", "accelerator: small-32x33")],
                "5:14: accelerator `small-32x33`: must be a path or one of SHIPPED",
            ),
            (
                &[("selection: 2000", "selection: 3000")],
                "4:49: training and selection are drawn from 8000 images, got 6000 + 3000 = 9000",
            ),
            (
                &[("  operators: { epochs: 4, width: 28 }\n", "")],
                "31:10: search: the space has candidate operators, so it needs `operators: { epochs }`",
            ),
            (
                &[("name: demo", "name: a/b")],
                "3:7: name: letters, digits, `-`, `_` and `.` make a folder's name, got `a/b`",
            ),
        ];
        for (changes, expected) in cases {
            let expected = expected.replace("SHIPPED", &accelerators());
            assert_eq!(message(&demo(changes)), expected, "{changes:?}");
        }
    }

    #[test]
    fn bad_networks_have_one_clear_message_with_its_place() {
        let cases = [
            (
                "  - { name: a, op: relux }\n",
                "5:20: unknown variant `relux`, expected one of conv2d, conv-transpose2d,",
            ),
            ("  - { name: a, op: relu, inputs: [b] }\n", "5:35: node `a`: its input `b` does not exist"),
            (
                "  - { name: a, op: relu }\n  - { name: b, op: add, inputs: [a, c] }\n  - { name: c, op: relu }\n",
                "6:13: a network has no cycle, but these nodes form one: b, c",
            ),
            (
                "  - { name: a, op: relu }\n  - { name: b, op: relu, inputs: [input] }\n",
                "5:13: node `a` is not on a way to the output `b`; remove it or wire it",
            ),
            ("  - { name: a, op: { leaky-relu: { slope: 0.1, bias: 1 } } }\n", "5:48: unknown field `bias`"),
            ("  - { name: a, op: { conv2d: { out-channels: 4, kernel: 99, padding: 0 } } }\n", "5:13: node `a`: "),
        ];
        for (nodes, expected) in cases {
            let message = message(&network(nodes));
            assert!(message.starts_with(expected), "{message}\nshould start: {expected}");
        }
    }

    #[test]
    fn what_is_no_file_of_ours_is_said_to_be_none() {
        assert_eq!(message("- a\n"), "1:1: expected mapping start");
        assert!(message("").ends_with("this file has nothing"));
        assert!(message("services: 1\n").ends_with("this file has `services`"));
        assert_eq!(
            message("name: a\narray: { rows: 0, cols: 4 }\ndataflow: weight-stationary\nclock-mhz: 1\n"),
            "2:16: array.rows: must be from 1 to 65536, got 0"
        );
    }

    #[test]
    fn what_runs_and_sweeps_write_is_checked_by_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            let ran = systole(&["check", &file.display().to_string()]);
            (ran.code, (ran.stdout + &ran.stderr).replace(&format!("{}/", folder.path().display()), ""))
        };
        let plan = r#"{"version": 1, "name": "demo", "grid": [{"key": "a", "values": [1, 2]}], "seeds": [0], "means": {},
            "runs": [{"name": "a-1_s0", "set": {"a": 1}, "seed": 0}, {"name": "a-2_s0", "set": {"a": 2}, "seed": 0}]}"#;
        let told = "sweep.json: sweep\n  of job `demo`: 2 runs over 1 key and 1 seed\n";
        assert_eq!(check("sweep.json", plan), (0, told.to_owned()));
        let missing = plan.replace("[1, 2]", "[1, 2, 3]");
        let told = "error: sweep.json: runs: grid and seeds make 3, got 2\n";
        assert_eq!(check("sweep.json", &missing), (2, told.to_owned()));
        let (code, told) = check("sweep.json", &plan.replace("\"seed\": 0}]", "\"sed\": 0}]"));
        assert!(
            code == 2 && told.starts_with("error: sweep.json:2:") && told.contains("unknown field `sed`"),
            "{told}"
        );
        let (code, told) = check("history.jsonl", "{\"stage\": 7}\n");
        assert!(code == 2 && told.starts_with("error: history.jsonl:1:"), "{told}");
        let (code, told) = check("history.jsonl", "");
        assert_eq!((code, told.as_str()), (0, "history.jsonl: history\n  0 records, without an end\n"));
        let small = systole(&["estimate", SMALL, "--accel", "tpu-v1", "--json"]).stdout;
        let (code, told) = check("estimate.json", &small);
        assert!(
            code == 0 && told.starts_with("estimate.json: estimate\n  `") && told.ends_with("on tpu-v1\n"),
            "{told}"
        );
    }

    #[test]
    fn json_files_are_refused_with_what_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("other.json");
        fs::write(&file, "{\"services\": 1}").unwrap();
        let ran = systole(&["check", &file.display().to_string()]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert_eq!(
            ran.stderr,
            format!(
                "error: {}: of JSON files `check` takes estimate.json, a run's summary.json, history.jsonl and sweep.json; this \
                 one has the keys of none of them\n",
                file.display()
            )
        );
        assert!(systole(&["check", "no.json"]).stderr.starts_with("error: no.json: No such file"));
    }

    #[test]
    fn all_files_are_checked_whatever_is_wrong_with_the_first() {
        let ran = systole(&["check", "no.yaml", SMALL, "nor-this.yaml"]);
        assert_eq!(ran.code, 2);
        assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
        assert!(ran.stderr.starts_with("error: no.yaml: No such file"), "{}", ran.stderr);
        assert!(ran.stdout.starts_with("tests/data/small.yaml: network `small`\n"), "{}", ran.stdout);
    }

    #[test]
    fn an_architecture_is_held_against_its_job() {
        let folder = TempDir::new().unwrap();
        let examples = examples();
        let text = |name: &str| &examples.iter().find(|(other, _)| other == name).unwrap().1;
        fs::write(folder.path().join("job.yaml"), text("job.yaml")).unwrap();
        let architecture = folder.path().join("architecture.yaml");
        fs::write(&architecture, text("architecture.yaml")).unwrap();
        let alone = systole_in(folder.path(), &["check", "architecture.yaml"]).done();
        assert!(alone.contains("to check its choices give the job of `least` as well"), "{alone}");
        fs::write(&architecture, text("architecture.yaml").replace("conv5", "conv7")).unwrap();
        let ran = systole_in(folder.path(), &["check", "architecture.yaml", "job.yaml"]);
        assert_eq!(ran.code, 2);
        assert_eq!(
            ran.stderr,
            "error: architecture.yaml:3:25: `layer0_s0` has no option `conv7`; it has conv3, conv5\n"
        );
    }
}

mod calibrate {
    use std::fmt::Write as _;

    use super::*;

    /// Products of a device that takes 2 us, 1 ns for each row of tiles of 32 x 32 and 0.01 ns for each of `m * n`.
    fn rows(count: u64) -> String {
        let mut text = "M,N,K,us\n".to_owned();
        for row in 0..count {
            let [m, n, k] = [16 * (1 + row % 7), 16 * (1 + row % 5), 16 * (1 + row % 11)];
            let tile_rows = k.div_ceil(32) * (n.div_ceil(32) * m).min(m.div_ceil(32) * n);
            let us = 2.0 + 1e-3 * tile_rows as f64 + 1e-5 * (m * n) as f64;
            writeln!(text, "{m},{n},{k},{us}").unwrap();
        }
        text
    }

    /// The command on `text` as `rows.csv` beside the small network.
    fn run(text: &str, more: &[&str]) -> (TempDir, Ran) {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("rows.csv"), text).unwrap();
        fs::copy(Path::new(ROOT).join(SMALL), folder.path().join("net.yaml")).unwrap();
        let arguments = [&["calibrate", "rows.csv", "--accel", "small-32x32"], more].concat();
        let ran = systole_in(folder.path(), &arguments);
        (folder, ran)
    }

    #[test]
    fn a_calibrated_file_is_used_by_estimate() {
        let (folder, ran) = run(&rows(80), &["--out", "fast.yaml", "--plot", "fit.png", "--staircase", "k.svg"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, "wrote fast.yaml\nwrote fit.png\nwrote k.svg\n"));
        assert!(ran.stdout.starts_with("small-32x32 calibrated to 80 rows: "), "{}", ran.stdout);
        assert!(ran.stdout.lines().all(|line| line.chars().count() <= 100), "{}", ran.stdout);
        let text = fs::read_to_string(folder.path().join("fast.yaml")).unwrap();
        let before = fs::read_to_string(Path::new(ROOT).join("accel-models/small-32x32.yaml")).unwrap();
        assert!(text.starts_with(&before), "the file keeps what it had:\n{text}");
        systole_in(folder.path(), &["check", "fast.yaml"]).done();
        fs::write(folder.path().join("t.csv"), "Layer, M, N, K,\na, 64, 64, 64,\nb, 64, 64, 64,\n").unwrap();
        let estimate = |accel: &str| {
            systole_in(folder.path(), &["estimate", "t.csv", "--accel", accel, "--json"]).json()[0].clone()
        };
        let (fast, plain) = (estimate("fast.yaml"), estimate("small-32x32"));
        // Each: 2 us, 2 * 2 * 64 rows at 1 ns, 4,096 results at 0.01 ns.
        let expected = 2.0 * (2e-3 + 256e-6 + 40.96e-6);
        let found = fast["total"]["latency_ms"].as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 0.02, "{found} is not {expected}");
        let layers = fast["layers"].as_array().unwrap().iter().map(|layer| layer["latency_ms"].as_f64().unwrap());
        assert!((layers.sum::<f64>() / found - 1.0).abs() < 1e-9);
        assert_eq!(fast["total"]["cycles"], plain["total"]["cycles"]);
        assert_ne!(fast["total"]["latency_ms"], plain["total"]["latency_ms"]);
    }

    #[test]
    fn a_file_is_calibrated_again_over_its_old_calibration() {
        let (folder, _) = run(&rows(60), &["--out", "fast.yaml", "--quiet"]);
        let arguments = ["calibrate", "rows.csv", "--accel", "fast.yaml", "--out", "again.yaml", "--quiet"];
        systole_in(folder.path(), &arguments).done();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("again.yaml"), read("fast.yaml"));
    }

    #[test]
    fn the_report_is_given_as_json_with_rows_to_judge_by() {
        let (_folder, ran) = run(&rows(60), &["--judge", "rows.csv", "--json", "--seed", "3"]);
        let value = ran.json();
        assert_eq!((&value["rows"], &value["seed"], &value["judged"]["rows"]), (&60.into(), &3.into(), &60.into()));
        assert!(value["held_out"]["mape_percent"].as_f64().unwrap() < 1.0, "{value}");
        assert_eq!(value["points"].as_array().unwrap().len(), 60);
        assert!(value["forms"].as_array().unwrap().iter().all(|form| form["mape_percent"].is_number()));
    }

    #[test]
    fn networks_are_named_by_file_or_by_string() {
        let space = Path::new(ROOT).join("search-spaces/mnasnet.yaml");
        let mut text = "network,images/s\n".to_owned();
        for row in 0..30 {
            let block = |place: u32| format!("e{}k{}l{}", [1, 4, 6][(row + place as usize) % 3], 3, 1 + row % 3);
            let blocks: Vec<String> = (0..7).map(block).collect();
            writeln!(text, "{},{}", blocks.join("-"), 900 - 7 * row).unwrap();
        }
        text.push_str("net.yaml,2000\n");
        let (_folder, ran) = run(&text, &["--space", space.to_str().unwrap(), "--json"]);
        let value = ran.json();
        assert_eq!((&value["law"], &value["rows"]), (&"network".into(), &31.into()));
    }

    #[test]
    fn bad_rows_have_one_clear_message_with_their_line() {
        let good = rows(40);
        let few: String = good.lines().take(20).flat_map(|line| [line, "\n"]).collect();
        let line = |number: usize, by: &str| {
            let replaced = good.lines().enumerate().map(|(place, line)| if place + 1 == number { by } else { line });
            replaced.flat_map(|line| [line, "\n"]).collect::<String>()
        };
        let constant = format!("M,N,K,us\n{}", (1..40).map(|m| format!("{m},8,8,3\n")).collect::<String>());
        let same = format!("M,N,K,us\n{}", (1..40).map(|us| format!("8,8,8,{us}\n")).collect::<String>());
        let needs = "a calibration needs at least 25 measured rows, for up to 16 numbers; got";
        let time = "one column of measured times is needed, of `ms`, `us`, `images/s`";
        let cases = [
            (String::new(), "rows.csv:1: a column `network`, or the columns `M`, `N` and `K` are needed; the header has nothing".to_owned()),
            ("M,N,K,us\n".to_owned(), format!("rows.csv: {needs} 0")),
            (few, format!("rows.csv: {needs} 19")),
            (constant, "rows.csv: every measured time is 0.003 ms: a constant says nothing of the accelerator".to_owned()),
            (same, "rows.csv: every row runs the same work, so differences of its times are noise; measure different networks or products".to_owned()),
            (line(1, "M,N,K,seconds"), format!("rows.csv:1: {time}; the header has `M`, `N`, `K`, `seconds`")),
            (line(1, "M,N,us,ms"), "rows.csv:1: a column `network`, or the columns `M`, `N` and `K` are needed; the header has `M`, `N`, `us`, `ms`".to_owned()),
            (line(1, "network,N,K,us"), "rows.csv:1: rows are either of networks (`network`) or of products (`M`, `N`, `K`), not both; the header has `network`, `N`, `K`, `us`".to_owned()),
            ("M,N,K,us,ms\n".to_owned(), format!("rows.csv:1: {time}; the header has `M`, `N`, `K`, `us`, `ms`")),
            (line(4, "8,8,8,-3"), "rows.csv:4: us: must be a number above 0, got `-3`".to_owned()),
            (line(4, "8,8,8,"), "rows.csv:4: us: must be a number above 0, got ``".to_owned()),
            (line(4, "8,8,8,NaN"), "rows.csv:4: us: must be a number above 0, got `NaN`".to_owned()),
            (line(4, "8,8,8,inf"), "rows.csv:4: us: must be a number above 0, got `inf`".to_owned()),
            (line(4, "8,x,8,3"), "rows.csv:4: N: must be a whole number from 1, got `x`".to_owned()),
            (line(4, "8,0,8,3"), "rows.csv:4: n of a matrix product must be at least 1, got 0".to_owned()),
            ("network,ms\nno.yaml,1\n".to_owned(), "rows.csv:2: network `no.yaml`: no.yaml: No such file or directory (os error 2)".to_owned()),
            ("network,ms\ne1k3l1,1\n".to_owned(), "rows.csv:2: network `e1k3l1`: it is no file of networks (.yaml, .yml or .csv), and no --space reads strings".to_owned()),
            ("network,ms,batch\nnet.yaml,1,0\n".to_owned(), "rows.csv:2: batch: must be a whole number from 1, got `0`".to_owned()),
        ];
        for (text, message) in cases {
            let (_folder, ran) = run(&text, &[]);
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (2, "", format!("error: {message}\n")), "{text}");
        }
        let (_folder, ran) = run(&line(4, "8,8,8"), &[]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.starts_with("error: rows.csv: CSV error: record 3 (line: 4"), "{}", ran.stderr);
    }

    #[test]
    fn what_cannot_be_written_or_drawn_is_said() {
        for (more, message) in [
            (&["--plot", "a.pdf"][..], "`a.pdf`: a plot is written as .svg or .png, by the file's extension"),
            (&["--out", "net.yaml/a.yaml"], "net.yaml/a.yaml cannot be written: File exists (os error 17)"),
            (&["--accel", "none"], ""),
        ] {
            let (_folder, ran) = run(&rows(40), more);
            assert_eq!(ran.code, 2, "{more:?}");
            assert!(ran.stderr.contains(message), "{}", ran.stderr);
        }
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("rows.csv"), rows(40)).unwrap();
        let flow = "{ name: a, array: { rows: 8, cols: 8 }, dataflow: weight-stationary, clock-mhz: 100 }\n";
        fs::write(folder.path().join("a.yaml"), flow).unwrap();
        let ran = systole_in(folder.path(), &["calibrate", "rows.csv", "--accel", "a.yaml", "--out", "b.yaml"]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("takes no further block"), "{}", ran.stderr);
    }
}

mod schema {
    use super::*;

    fn schema(kind: &str) -> Value {
        systole(&["check", "--schema", kind]).json()
    }

    fn names(value: &Value) -> Vec<&str> {
        value.as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
    }

    /// Top-level keys of a YAML text: what stands at the start of a line.
    fn keys(text: &str) -> Vec<String> {
        let starts = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
        text.lines().filter(starts).filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
    }

    #[test]
    fn every_kind_has_one_that_names_its_fields() {
        for kind in ["network", "accelerator", "job", "architecture", "estimate", "comparison", "summary", "sweep"] {
            let schema = schema(kind);
            assert!(schema["$schema"].is_string() && schema["properties"].is_object(), "{kind}: {schema}");
        }
        assert_eq!(schema("history")["oneOf"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn the_files_that_ship_have_the_keys_of_their_schema() {
        for (folder, kind) in [("search-spaces", "job"), ("accel-models", "accelerator")] {
            let schema = schema(kind);
            for file in shipped(folder) {
                let keys = keys(&fs::read_to_string(Path::new(ROOT).join(&file)).unwrap());
                for key in &keys {
                    assert!(schema["properties"].get(key).is_some(), "{file}: {key}");
                }
                for name in names(&schema["required"]) {
                    assert!(keys.iter().any(|key| key == name), "{file}: {name}");
                }
            }
        }
    }

    #[test]
    fn an_estimate_has_the_fields_of_its_schema() {
        let schema = schema("estimate");
        let value = systole(&["estimate", SMALL, "--accel", "small-32x32", "--json", "--advice"]).json();
        let described = |value: &Value, schema: &Value| {
            for field in value.as_object().unwrap().keys() {
                assert!(schema["properties"].get(field).is_some(), "{field}");
            }
        };
        described(&value[0], &schema);
        described(&value[0]["total"]["advice"][0], &schema["$defs"]["Advice"]);
        let accelerators = "small-32x32,uboost-128x128";
        let value = systole(&["estimate", SMALL, "--accel", accelerators, "--json", "--diff"]).json();
        let schema = self::schema("comparison");
        described(&value, &schema);
        described(&value["before"], &schema["$defs"]["Compared"]);
        described(&value["layers"][0], &schema["$defs"]["LayerDifference"]);
    }
}

/// The accelerator file of `docs/formats.md` that has every key.
fn whole_accelerator() -> (String, String) {
    examples_of("whole").into_iter().next().expect("the page has a whole accelerator")
}

/// The examples of `docs/formats.md` that are the least of their kind.
fn examples() -> Vec<(String, String)> {
    examples_of("least")
}

/// Name and text of each block of `docs/formats.md` behind `<!-- KIND: NAME -->`.
fn examples_of(kind: &str) -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/formats.md")).unwrap();
    let example = |part: &str| {
        let (name, rest) = part.split_once(" -->\n```").expect("a block follows the name");
        let (_, text) = rest.split_once('\n').expect("the fence ends its line");
        (name.to_owned(), text.split_once("```").expect("the block ends").0.to_owned())
    };
    page.split(&format!("<!-- {kind}: ")).skip(1).map(example).collect()
}

#[test]
fn the_examples_of_the_formats_page_are_valid() {
    let folder = TempDir::new().unwrap();
    let examples = examples();
    for (name, text) in &examples {
        let path: PathBuf = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut names: Vec<&str> = examples.iter().map(|(name, _)| name.as_str()).collect();
    names.retain(|name| name.ends_with(".yaml"));
    assert_eq!(names, ["network.yaml", "accelerator.yaml", "job.yaml", "architecture.yaml"]);
    let text = systole_in(folder.path(), &[&["check"], &names[..]].concat()).done();
    assert!(text.contains("architecture of space `least`\n  1,228,960 MACs"), "{text}");
    systole_in(folder.path(), &["estimate", "network.yaml", "--accel", "accelerator.yaml"]).done();
    systole_in(folder.path(), &["--quiet", "estimate", "topology.csv", "--accel", "scale.cfg"]).done();
    systole_in(folder.path(), &["pareto", "run"]).done();
    let history = systole::record::read_history(&folder.path().join("run/history.jsonl")).unwrap();
    assert_eq!(history.len(), 5);
}

/// Every key of the schema stands in the whole file, but those that exclude each other and what `calibrate` writes.
#[test]
fn the_whole_accelerator_of_the_formats_page_has_every_key() {
    let (name, text) = whole_accelerator();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(&name), &text).unwrap();
    systole_in(folder.path(), &["check", &name]).done();
    let schema = systole(&["check", "--schema", "accelerator"]).json();
    let mut keys: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    keys.retain(|key| key != "calibration");
    for part in ["ArrayFile", "MemoryFile", "PrecisionFile", "VectorUnitFile", "EnergyFile"] {
        keys.extend(schema["$defs"][part]["properties"].as_object().unwrap().keys().cloned());
    }
    let ports = ["weight", "input", "output"].map(|port| format!("{port}-bandwidth-gb-per-s"));
    for key in keys.iter().filter(|key| !ports.contains(key)) {
        assert!(text.contains(&format!("{key}:")), "{key}");
    }
}

/// Of each example, no key that the page calls needed may be left out.
#[test]
fn the_examples_of_the_formats_page_are_the_least() {
    let folder = TempDir::new().unwrap();
    for (name, text) in examples().iter().filter(|(name, _)| name.ends_with(".yaml")) {
        let lines: Vec<&str> = text.lines().collect();
        for (place, line) in lines.iter().enumerate() {
            let rest = lines.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, line)| *line);
            let shorter: String = rest.flat_map(|line| [line, "\n"]).collect();
            fs::write(folder.path().join(name), shorter).unwrap();
            let ran = systole_in(folder.path(), &["check", name]);
            assert_eq!(ran.code, 2, "{name} needs no `{line}`");
            assert!(ran.stderr.starts_with(&format!("error: {name}:")), "{}", ran.stderr);
        }
    }
}

mod estimate_page {
    use super::*;

    fn page() -> String {
        fs::read_to_string(Path::new(ROOT).join("docs/estimate.md")).unwrap()
    }

    #[test]
    fn its_python_example_runs() {
        let page = page();
        let (_, code) = page.split_once("```python\n").unwrap();
        let (code, _) = code.split_once("```").unwrap();
        let folder = Path::new(env!("CARGO_BIN_EXE_systole")).parent().unwrap();
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&rest))).unwrap();
        let mut python = Command::new("python3");
        python.current_dir(ROOT).env("PATH", path).args(["-c", code]).stdin(Stdio::null());
        let text = Ran::of(python.output().expect("python3 starts: the build needs it as well")).done();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (8, "tpu-v1 1.869 ms"), "{text}");
        assert!(lines[1].starts_with("  Conv1") && lines[4].starts_with("edge-tpu "), "{text}");
    }

    #[test]
    fn its_table_of_batches_is_what_the_command_says() {
        let page = page();
        let row = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
        let rows = page.lines().map(row).filter(|cells| cells.len() == 7 && cells[1].parse::<u64>().is_ok());
        let rows: Vec<Vec<String>> = rows.collect();
        assert_eq!(rows.len(), 4);
        for cells in rows {
            let arguments = ["estimate", "tests/data/alexnet.csv", "--accel", "tpu-v1", "--batch", &cells[1]];
            let text = systole(&arguments).done();
            for (name, value) in
                [("latency", &cells[2]), ("images/s", &cells[3]), ("end-to-end utilization", &cells[4])]
            {
                let value = value.replace(' ', "");
                let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
                assert!(line.contains(&value), "batch {}: `{line}` is not {value}", cells[1]);
            }
            assert!(text.contains(&format!("stall {}", cells[5].replace(' ', ""))), "batch {}: {text}", cells[1]);
        }
    }

    #[test]
    fn its_table_and_its_totals_are_what_the_command_prints() {
        let page = page();
        let (_, shown) = page.split_once("--breakdown\n").unwrap();
        let (shown, _) = shown.split_once("```").unwrap();
        let text = systole(&["estimate", "tests/data/alexnet.csv", "--accel", "tpu-v1", "--breakdown"]).done();
        for line in shown.lines().filter(|line| *line != "...") {
            assert!(text.lines().any(|printed| printed == line), "`{line}` is not in\n{text}");
        }
    }
}

mod sweep {
    use super::*;

    /// `search` of the stand-in: leaves a finished run; while there is a file `slow` it waits for its end.
    #[cfg(not(feature = "torch"))]
    const STAND_IN: &str = r#"#!/bin/bash
above=$(dirname "$0")
while [ $# -gt 0 ]; do case "$1" in --out) out="$2"; shift;; --seed) seed="$2"; shift;; esac; shift; done
mkdir -p "$out"
if [ -e "$above/slow" ]; then
  trap 'echo 130 > "$above/ended"; exit 130' TERM
  echo $$ > "$above/begun"
  while :; do sleep 0.02; done
fi
echo '{"name": "demo", "seed": '$seed', "stop_reason": "epoch-limit", "search_seconds": 3, "train_seconds": 1,
 "peak_memory_bytes": 7, "accuracy": {"validation": null, "test": 0.'$seed'5}, "accelerator": "small-32x32", "latency_ms": 0.1,
 "mapping_utilization": 0.5, "overall_utilization": null, "macs": 9, "params": 3}' > "$out/summary.json"
"#;

    const JOB: &str = "search-spaces/demo.yaml";

    #[test]
    fn a_plan_is_shown_without_writing_and_says_what_is_not_known() {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("out");
        let call = ["sweep", JOB, "--grid", "objective.lambda=0.02,0.08", "--seeds", "0,1", "--dry-run", "--jobs", "3"];
        let text = systole(&[&call[..], &["--threads", "2", "--out", out.to_str().unwrap()]].concat()).done();
        // 375 steps in each of 9 epochs of the search, 125 in each of 10 of the training.
        assert!(text.contains("\nlambda-0.08_s1  waiting  4,625             -\n"), "{text}");
        assert!(text.contains(" 4 left, 3 at a time with threads 2\n"), "{text}");
        assert!(text.contains("\nhow long they take is not known: no run of this folder has done an epoch"), "{text}");
        assert!(!out.exists());
        let plan = systole(&[&call[..], &["--json", "--out", out.to_str().unwrap()]].concat()).json();
        assert_eq!(
            (&plan["at_once"], &plan["seconds_left"], &plan["runs"][3]["seed"]),
            (&3.into(), &Value::Null, &1.into())
        );
    }

    #[test]
    fn what_is_wrong_is_one_error_before_any_run() {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("out");
        let refused = |further: &[&str]| {
            let ran = systole(&[&["sweep", JOB, "--out", out.to_str().unwrap()], further].concat());
            assert_eq!((ran.code, ran.stdout.as_str(), out.exists()), (2, "", false), "{}", ran.stderr);
            ran.stderr
        };
        let message = refused(&["--grid", "objective.lambda=0.1,-1"]);
        assert!(
            message.starts_with("error: --grid objective.lambda=-1: ") && message.lines().count() == 1,
            "{message}"
        );
        let message = refused(&["--grid", "objective.lambda="]);
        assert!(message.contains("must have a value at least"), "{message}");
        assert!(refused(&["--seeds", "0,0"]).contains("--seeds: 0 stands twice"));
        assert!(refused(&[]).starts_with("error: a sweep needs --grid KEY=V,V,... or --seeds N,N,..."));
        #[cfg(not(feature = "torch"))]
        assert!(refused(&["--seeds", "0"]).starts_with("error: this `systole` was installed without training; "));
    }

    #[cfg(not(feature = "torch"))]
    struct Place {
        folder: TempDir,
    }

    #[cfg(not(feature = "torch"))]
    impl Place {
        fn new() -> Self {
            use std::os::unix::fs::PermissionsExt as _;
            let folder = TempDir::new().unwrap();
            fs::copy(env!("CARGO_BIN_EXE_systole"), folder.path().join("systole")).unwrap();
            let stand_in = folder.path().join("systole-torch");
            fs::write(&stand_in, STAND_IN).unwrap();
            fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
            fs::copy(Path::new(ROOT).join(JOB), folder.path().join("a job.yaml")).unwrap();
            Self { folder }
        }

        fn file(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn command(&self, further: &[&str]) -> Command {
            let mut command = Command::new(self.file("systole"));
            command.current_dir(self.folder.path()).args(["sweep", "a job.yaml", "--out", "it's out"]);
            command.args(further).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        }

        fn run(&self, further: &[&str]) -> Ran {
            Ran::of(self.command(further).output().unwrap())
        }

        fn wait_for(&self, name: &str) {
            let began = std::time::Instant::now();
            while fs::read_to_string(self.file(name)).unwrap_or_default().is_empty() {
                assert!(began.elapsed().as_secs() < 60, "no {name}");
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }

    #[cfg(not(feature = "torch"))]
    #[test]
    fn printed_commands_run_in_a_shell_and_are_collected() {
        let place = Place::new();
        let grid = ["--grid", "search.operators.paths=[full, {sampled: 1}]", "--seeds", "1,2"];
        let commands = place.run(&[&grid[..], &["--print-commands"]].concat()).done();
        assert_eq!(commands.lines().count(), 4, "{commands}");
        let collected = place.run(&[&grid[..], &["--collect"]].concat());
        assert_eq!(collected.code, 1, "nothing is finished");
        for line in commands.lines().take(3) {
            let shell = Command::new("bash").current_dir("/").args(["-c", line]).output().unwrap();
            assert!(shell.status.success(), "{line}: {shell:?}");
        }
        let collected = place.run(&["--collect", "--json"]);
        let value: Value = serde_json::from_str(&collected.stdout).unwrap();
        assert_eq!(
            (collected.code, &value["finished"], &value["waiting"][0]),
            (1, &3.into(), &"paths-sampled-1_s2".into())
        );
        let left = place.run(&["--print-commands"]).done();
        assert!(left.lines().count() == 1 && left.contains("paths-sampled-1_s2"), "{left}");
        let ran = place.run(&[]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains("paths-sampled-1_s2: finished, test accuracy 25.00 %"), "{}", ran.stderr);
        assert!(ran.stdout.contains("\n4 runs: 4 finished; in it's out\n"), "{}", ran.stdout);
        assert!(place.file("it's out/front.png").exists());
    }

    #[cfg(all(not(feature = "torch"), target_os = "linux"))]
    #[test]
    fn runs_end_with_a_sweep_that_is_killed_and_the_next_goes_on() {
        let place = Place::new();
        let grid = ["--grid", "objective.lambda=0.02", "--jobs", "1"];
        fs::write(place.file("slow"), "").unwrap();
        let mut child = place.command(&grid).spawn().unwrap();
        place.wait_for("begun");
        child.kill().unwrap();
        child.wait().unwrap();
        place.wait_for("ended");
        fs::remove_file(place.file("slow")).unwrap();
        let ran = place.run(&grid);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }

    #[cfg(not(feature = "torch"))]
    #[test]
    fn a_signal_to_the_sweep_is_passed_on() {
        let place = Place::new();
        fs::write(place.file("slow"), "").unwrap();
        for signal in ["-INT", "-TERM"] {
            let child = place.command(&["--seeds", "1,2", "--jobs", "1"]).spawn().unwrap();
            place.wait_for("begun");
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
            let ran = Ran::of(child.wait_with_output().unwrap());
            assert_eq!(ran.code, 130, "{}", ran.stderr);
            assert!(place.file("ended").exists(), "the run was waited for");
            fs::remove_file(place.file("begun")).unwrap();
            fs::remove_file(place.file("ended")).unwrap();
        }
    }
}
