//! The array timings, the readers of SCALE-Sim and ONNX and the spaces of benchmarks against numbers that others produced.
//!
//! The data are no part of this package; without them each check is reported as ignored, with the reason in its name.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use systole::accel::{Accelerator, Array, Dataflow, Gemm, GemmKind, Operands, Timing, Work, Workload};
use systole::cost;
use systole::estimate::calibrate::{Host, Observation, Observed, Settings, calibrate, judge, shuffled};
use systole::estimate::{self, Target, measured_work};
use systole::import::onnx::{Onnx, Options};
use systole::import::scale_sim::{Row, read_topology};
use systole::jobs::{self, Job, NamedAccelerator, Overrides, Strings, TableRequest};
use systole::network::{Network, Node, NodeId, Op};
use systole::pareto::Table;
use systole::pareto::tabular::{self, Reader, Tabular, Watch};
use systole::space::Space;

type Check = fn(&Path) -> Result<(), Box<dyn Error>>;

const CHECKS: [(&str, &str, Check); 15] = [
    ("every_row_of_scale_sim_is_reproduced", "scale-sim.csv", scale_sim_rows),
    ("every_layer_of_scale_sim_reads_as_its_product", "scale-sim.csv", scale_sim_layers),
    ("every_row_of_scale_sim_is_in_its_reports", "scale-sim.csv", scale_sim_reports),
    ("every_entry_of_the_uboost_simulator_is_reproduced", "uboost-csim-lookup.json", uboost_entries),
    ("a_lookup_table_of_the_paper_s_space_has_the_simulator_s_times", "uboost-csim-lookup.json", lookup_table),
    ("every_network_of_nas_bench_macro_has_its_size", "nas-bench-macro-cifar10.csv", nas_bench_macro),
    ("searchers_find_the_front_of_nas_bench_macro", "nas-bench-macro-cifar10.csv", searchers),
    ("a_front_of_nas_bench_macro_has_the_latencies_of_estimates", "nas-bench-macro-cifar10.csv", macro_fronts),
    ("every_exported_network_has_its_macs_and_parameters", "onnx/expected.csv", onnx_networks),
    ("every_network_of_opset_9_has_its_macs", "onnx/light_vgg19.onnx", onnx_light_networks),
    ("every_network_of_accel_nasbench_has_its_size", MNASNET, mnasnet_sizes),
    ("tpu_v2_networks_are_calibrated_within_their_bounds", MNASNET, |file| networks(file, &TPU_V2)),
    ("tpu_v3_networks_are_calibrated_within_their_bounds", MNASNET, |file| networks(file, &TPU_V3)),
    ("tpu_v4_products_are_calibrated_within_their_bounds", "tpu-v4-matmul.csv", products),
    ("every_string_of_accel_nasbench_is_read_and_written", MNASNET, mnasnet_strings),
];

const MNASNET: &str = "tpu-v2-v3-mnasnet.csv";

/// What a calibration must reach on rows that it was not fitted to.
struct Bounds {
    accelerator: &'static str,
    column: &'static str,
    /// Rows as fast as this, in images/s, or faster are left out: their input pipeline was measured.
    below: f64,
    /// Five folds: mean absolute relative error in percent, and Spearman's rank correlation.
    mape_percent: f64,
    spearman: f64,
    /// Fitted to 50 rows and judged on the rest, mean of ten draws, percent.
    fifty_mape_percent: f64,
}

const TPU_V2: Bounds = Bounds {
    accelerator: "tpu-v2",
    column: "throughput_tpuv2",
    below: 1700.0,
    mape_percent: 2.8,
    spearman: 0.996,
    fifty_mape_percent: 3.2,
};
const TPU_V3: Bounds = Bounds {
    accelerator: "tpu-v3",
    column: "throughput_tpuv3",
    below: 1280.0,
    mape_percent: 2.1,
    spearman: 0.991,
    fifty_mape_percent: 2.5,
};
const TPU_V4: Bounds = Bounds {
    accelerator: "tpu-v4",
    column: "fusion_us_avg",
    below: f64::INFINITY,
    mape_percent: 6.0,
    spearman: 0.996,
    fifty_mape_percent: 7.2,
};

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let trials = CHECKS.map(|(name, file, check)| trial(name, folder.join(file), check));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn trial(name: &str, file: PathBuf, check: Check) -> Trial {
    if !file.exists() {
        let reason = format!("no reference data: {}", file.display());
        let failure = reason.clone();
        return Trial::test(format!("{name} ({reason})"), move || Err(failure.into())).with_ignored_flag(true);
    }
    Trial::test(name, move || check(&file).map_err(|error| error.to_string().into()))
}

/// One row of SCALE-Sim's results, by the names of its columns.
type Fields = BTreeMap<String, String>;

fn rows(file: &Path) -> Result<Vec<Fields>, Box<dyn Error>> {
    let mut reader = csv::Reader::from_path(file)?;
    let rows = reader.deserialize().collect::<Result<Vec<Fields>, _>>()?;
    equal("rows", rows.len(), 342)?;
    Ok(rows)
}

fn number(row: &Fields, column: &str) -> Result<u64, Box<dyn Error>> {
    row[column].parse().map_err(|error| format!("column {column}: {error}, got {}", row[column]).into())
}

fn numbers<const N: usize>(row: &Fields, columns: [&str; N]) -> Result<[u64; N], Box<dyn Error>> {
    let mut found = [0; N];
    for (value, column) in found.iter_mut().zip(columns) {
        *value = number(row, column)?;
    }
    Ok(found)
}

fn accelerator(row: &Fields) -> Result<Accelerator, Box<dyn Error>> {
    let dataflow = match row["dataflow"].as_str() {
        "ws" => Dataflow::WeightStationary,
        "is" => Dataflow::InputStationary,
        "os" => Dataflow::OutputStationary,
        other => return Err(format!("dataflow {other}").into()),
    };
    let [rows, cols] = numbers(row, ["rows", "cols"])?;
    let array = Array { rows, cols, count: 1 };
    Ok(Accelerator { array, dataflow, ..Accelerator::named_or_path("small-32x32")? })
}

fn scale_sim_rows(file: &Path) -> Result<(), Box<dyn Error>> {
    for row in rows(file)? {
        let accelerator = accelerator(&row)?;
        let [m, n, k, repeats] = numbers(&row, ["M", "N", "K", "repeat"])?;
        let one = Gemm::new(m, n, k)?;
        let cost = accelerator.array_cost(Timing::ScaleSim, &one)?;
        explained(&accelerator, &one)?;
        let report = accelerator.scale_sim_report(&one)?;
        let counted = [cost.cycles.0, report.ifmap_reads, report.filter_reads, report.ofmap_writes];
        let columns = ["compute_cycles", "ifmap_sram_reads", "filter_sram_reads", "ofmap_sram_writes"];
        equal(&format!("{row:?}"), counted, numbers(&row, columns)?)?;
        let shares = [
            ("overall_util", cost.overall_utilization(&accelerator.array)),
            ("mapping_eff", cost.mapping_utilization(&accelerator.array)),
            ("compute_util", Some(report.compute_utilization)),
        ];
        for (column, share) in shares {
            let percent: f64 = row[column].parse()?;
            if !share.is_some_and(|share| (share * 100.0 - percent).abs() <= 1e-9 * percent) {
                return Err(format!("{row:?}: {column} {share:?}").into());
            }
        }
        let all = accelerator.array_cost(Timing::ScaleSim, &one.repeated(repeats, GemmKind::Depthwise)?)?;
        equal(&format!("{row:?}"), all.cycles.0, repeats * cost.cycles.0)?;
    }
    Ok(())
}

/// Under every timing the parts of a product sum to its cycles, and `pipelined` lies between `ideal` and `scale-sim`
/// with the cycle and the drain that its index leaves out.
fn explained(accelerator: &Accelerator, gemm: &Gemm) -> Result<(), Box<dyn Error>> {
    let layer = Workload { work: Work::Product(*gemm), operands: Operands::default() };
    let mut cycles = Vec::new();
    for timing in [Timing::Ideal, Timing::Pipelined, Timing::ScaleSim] {
        let cost = accelerator.engine(timing)?.cost(&layer)?.cost;
        equal(&format!("{gemm:?} under {timing}"), cost.breakdown.total(), cost.cycles)?;
        let useful = gemm.macs().0 / accelerator.array.pes();
        equal(&format!("{gemm:?} under {timing}"), cost.breakdown.useful.0, useful)?;
        cycles.push(cost.cycles.0);
    }
    let most = cycles[2] + 1 + accelerator.array.rows;
    if cycles[0] < cycles[1] && cycles[1] <= most {
        return Ok(());
    }
    Err(format!("{gemm:?}: ideal, pipelined and scale-sim are {cycles:?}").into())
}

fn scale_sim_layers(file: &Path) -> Result<(), Box<dyn Error>> {
    for row in rows(file)? {
        let gemm = topology(&row)?[0].gemm(1)?;
        equal(&format!("{row:?}"), [gemm.m(), gemm.n(), gemm.k()], numbers(&row, ["M", "N", "K"])?)?;
    }
    Ok(())
}

/// The row as the one layer of a topology.
fn topology(row: &Fields) -> Result<Vec<Row>, Box<dyn Error>> {
    let sizes = ["ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "filters", "stride_h", "stride_w"];
    let layer = sizes.map(|column| row[column].as_str()).join(", ");
    Ok(read_topology(&format!("Layer name, sizes of the layer\n{}, {layer},\n", row["layer"]), "row")?)
}

/// The columns of its report files, as text: percentages to 11 digits, everything else to the letter.
fn scale_sim_reports(file: &Path) -> Result<(), Box<dyn Error>> {
    for row in rows(file)? {
        let reports = estimate::reports(&topology(&row)?, &accelerator(&row)?, None)?;
        let cells = |text: &str| -> Vec<String> {
            text.lines().nth(1).unwrap_or_default().split(',').map(|cell| cell.trim().to_owned()).collect()
        };
        let (compute, access) = (cells(&reports.compute), cells(&reports.access));
        let exact = [
            ("compute_cycles", &compute[2]),
            ("ifmap_sram_reads", &access[3]),
            ("filter_sram_reads", &access[6]),
            ("ofmap_sram_writes", &access[9]),
        ];
        for (column, found) in exact {
            equal(&format!("{row:?}: {column}"), found, &row[column])?;
        }
        for (column, found) in [("overall_util", 4), ("mapping_eff", 5), ("compute_util", 6)] {
            let (found, expected): (f64, f64) = (compute[found].parse()?, row[column].parse()?);
            if (found - expected).abs() > 1e-11 * expected {
                return Err(format!("{row:?}: {column} {found}").into());
            }
        }
    }
    Ok(())
}

/// Cycles of the authors' simulator: the table holds milliseconds at 1 GHz.
#[derive(serde::Deserialize)]
struct Entry {
    #[serde(rename = "runtime_csim")]
    milliseconds: f64,
}

/// By operator, map side, kernel, channels in and channels out.
type Lookup = BTreeMap<String, BTreeMap<u64, BTreeMap<String, BTreeMap<u64, BTreeMap<u64, Entry>>>>>;

fn uboost_entries(file: &Path) -> Result<(), Box<dyn Error>> {
    let lookup: Lookup = serde_json::from_reader(File::open(file)?)?;
    let mut entries = 0;
    for (operator, by_side) in &lookup {
        for (side, by_kernel) in by_side {
            for (kernel, by_channels) in by_kernel {
                for (channels, by_filters) in by_channels {
                    for (filters, entry) in by_filters {
                        check_entry(&product(operator, *side, kernel, [*channels, *filters])?, entry)?;
                        entries += 1;
                    }
                }
            }
        }
    }
    equal("entries", entries, 5024)
}

/// Every layer of `cifar10-uboost` that the simulator has as well.
fn lookup_table(file: &Path) -> Result<(), Box<dyn Error>> {
    let theirs = cost::Lookup::parse(&std::fs::read_to_string(file)?, &file.display().to_string())?;
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/cifar10-uboost.yaml");
    let accelerator = Accelerator::named_or_path("uboost-128x128")?;
    let target = Target { timing: Timing::UboostCsim, ..Target::of(&accelerator) };
    let ours = cost::Lookup::of(&Job::space_of(&job)?, &target)?;
    let theirs: BTreeMap<String, f64> = theirs.entries().map(|(key, entry)| (key, entry.milliseconds)).collect();
    let mut both = 0;
    for (key, entry) in ours.entries() {
        let Some(expected) = theirs.get(&key) else { continue };
        both += 1;
        if (entry.milliseconds - expected).abs() * 1e6 >= 0.01 {
            return Err(format!("{key}: expected {expected} ms, got {} ms", entry.milliseconds).into());
        }
    }
    // Dense: 12 or 13 widths of 64, 80, .. 256 on both sides, 3 kernels, 3 map sides; depthwise: 13 widths, 2 kernels.
    if both < 1_000 { Err(format!("{both} layers in both").into()) } else { Ok(()) }
}

/// The product of an entry: `kernel` is written `3x3`, the channels are in and out.
fn product(operator: &str, side: u64, kernel: &str, channels: [u64; 2]) -> Result<Gemm, Box<dyn Error>> {
    let (kernel, _) = kernel.split_once('x').ok_or("a kernel is written AxA")?;
    let area = kernel.parse::<u64>()?.pow(2);
    let [input, output] = channels;
    match operator {
        "Conv2d" => Ok(Gemm::new(side * side, output, area * input)?),
        "DepthwiseConv2d" => Ok(Gemm::new(side * side, 1, area)?.repeated(input, GemmKind::Depthwise)?),
        other => Err(format!("operator {other}").into()),
    }
}

fn check_entry(gemm: &Gemm, entry: &Entry) -> Result<(), Box<dyn Error>> {
    let accelerator = Accelerator::named_or_path("uboost-128x128")?;
    let cycles = accelerator.array_cost(Timing::UboostCsim, gemm)?.cycles;
    // Milliseconds at 1 GHz, times 10^6; the table's own error is far below half a cycle.
    let milliseconds = accelerator.clock.milliseconds(cycles);
    if (milliseconds - entry.milliseconds).abs() * 1e6 < 0.01 {
        return Ok(());
    }
    Err(format!("{gemm:?}: expected {} ms, got {milliseconds} ms", entry.milliseconds).into())
}

/// Parameters and MACs of all 6,561 networks, which the table calls `params` and `flops`.
fn nas_bench_macro(file: &Path) -> Result<(), Box<dyn Error>> {
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/nas-bench-macro.yaml");
    let space = Job::load(&job, &Overrides::default())?.space;
    let mut networks = 0;
    for row in csv::Reader::from_path(file)?.deserialize() {
        let row: Fields = row?;
        let network = space.derive(&space.parse_string(&row["arch"])?)?;
        equal(&format!("{row:?}"), [network.params(), network.macs().0], numbers(&row, ["params", "flops"])?)?;
        networks += 1;
    }
    equal("networks", networks, 6561)
}

/// All points are there, every 61st has the latency of its estimate to the last bit, and nothing dominates the front.
/// Reads on whatever happens.
struct Unwatched;

impl Watch for Unwatched {
    fn interrupted(&self) -> bool {
        false
    }

    fn evaluated(&mut self) {}
}

/// The exact fronts on two arrays have 52 and 46 networks; random draws find on average 0.89 and 0.88 of their
/// hypervolumes at 100 rows, 0.964 and 0.960 at 1,000, deviations 0.04 and 0.017 (300 samples each, by a few lines of another
/// language).
fn searchers(file: &Path) -> Result<(), Box<dyn Error>> {
    let table = Table::load(file, Table::ACCURACY)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/nas-bench-macro.yaml");
    for (side, networks) in [(128, 52), (32, 46)] {
        let mut accelerator = Accelerator::named_or_path("small-32x32")?;
        accelerator.array = Array { rows: side, cols: side, count: 1 };
        let target = Target { accelerator: &accelerator, timing: Timing::Ideal, batch: 1 };
        let space = Job::load(&path, &Overrides::default())?.space;
        let tabular = Tabular::new(&table, &space, &target, None)?;
        let all: Vec<usize> = (0..tabular.rows().len()).collect();
        equal("networks on the front", tabular.front(&all).len(), networks)?;
        let share = |method: &str, seed, evaluations| -> Result<f64, Box<dyn Error>> {
            let set = vec![format!("search.method={method}")];
            let job = Job::load(&path, &Overrides { seed: Some(seed), set, ..Overrides::default() })?;
            let mut watch = Unwatched;
            let mut reader = Reader::new(&tabular, evaluations, &mut watch);
            tabular::search(&mut reader, &job.space, &target, &job.settings)?;
            Ok(reader.evaluations().last().ok_or("nothing was read")?.share)
        };
        let (alone, read) = fan_of(&path, &tabular, &target)?;
        if alone < 0.97 || read < 0.99 {
            return Err(format!("the fan on {side} x {side}: {alone}, with what was read {read}").into());
        }
        for (method, least) in [("evolution", 0.97), ("nsga-2", 0.99), ("systole", 0.99)] {
            let found = share(method, 0, 1600)?;
            if found < least {
                return Err(format!("{method} on {side} x {side}: {found}").into());
            }
        }
        for (evaluations, range) in [(100, 0.85..0.92), (1000, 0.95..0.98)] {
            let shares = (0..20).map(|seed| share("random", seed, evaluations)).collect::<Result<Vec<_>, _>>()?;
            let mean = shares.iter().sum::<f64>() / 20.0;
            if !range.contains(&mean) {
                return Err(format!("random on {side} x {side}, {evaluations} evaluations: {mean}").into());
            }
        }
    }
    Ok(())
}

/// Shares of the hypervolume of one search over preferences: of its fan alone, and of all that was read.
fn fan_of(job: &Path, tabular: &Tabular, target: &Target<'_>) -> Result<(f64, f64), Box<dyn Error>> {
    let set = vec!["objective=preference".to_owned()];
    let job = Job::load(job, &Overrides { seed: Some(0), set, ..Overrides::default() })?;
    let mut watch = Unwatched;
    let mut reader = Reader::new(tabular, 800, &mut watch);
    tabular::search(&mut reader, &job.space, target, &job.settings)?;
    let fan = reader.fan().ok_or("there is no fan")?;
    let places: Vec<usize> = fan.networks.iter().map(|(_, place)| *place).collect();
    Ok((tabular.share(&places), reader.evaluations().last().ok_or("nothing was read")?.share))
}

fn macro_fronts(file: &Path) -> Result<(), Box<dyn Error>> {
    let names = Accelerator::shipped().iter().map(|shipped| shipped.name);
    let accelerators: Vec<NamedAccelerator> =
        names.map(|name| NamedAccelerator::load(name, None)).collect::<Result<_, _>>()?;
    let request = TableRequest {
        table: file.to_owned(),
        column: Table::ACCURACY.to_owned(),
        space: "nas-bench-macro".to_owned(),
        accelerators: &accelerators,
        timing: None,
        objectives: systole::pareto::Objectives::default(),
        reference: None,
        co_search: None,
        shown: false,
    };
    let strings = Strings::load("nas-bench-macro")?;
    for (front, named) in jobs::pareto_table(&request)?.fronts.iter().zip(&accelerators) {
        equal("networks", front.points().len(), 6561)?;
        for point in front.points().iter().step_by(61) {
            let estimate = estimate::network(&strings.network(&point.name)?, &Target::of(&named.accelerator))?;
            equal(&point.name, point.latency_ms.to_bits(), estimate.total.latency_ms.to_bits())?;
        }
        for member in front.members().iter().map(|&member| &front.points()[member]) {
            let better = front.points().iter().find(|point| {
                point.error <= member.error
                    && point.latency_ms <= member.latency_ms
                    && (point.error, point.latency_ms) != (member.error, member.latency_ms)
            });
            equal(&member.name, better, None)?;
        }
    }
    Ok(())
}

fn fields(file: &Path) -> Result<Vec<Fields>, Box<dyn Error>> {
    Ok(csv::Reader::from_path(file)?.deserialize().collect::<Result<Vec<Fields>, _>>()?)
}

fn mnasnet() -> Result<Space, Box<dyn Error>> {
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/mnasnet.yaml");
    Ok(Job::load(&job, &Overrides::default())?.space)
}

/// The architecture string of a row.
fn string_of(row: &Fields) -> String {
    let block = |number: usize| {
        let value = |key: &str| row[&format!("block{number}_{key}")].as_str();
        let gate = if value("se") == "1" { "s" } else { "" };
        format!("e{}k{}l{}{gate}", value("e"), value("k"), value("l"))
    };
    (0..7).map(block).collect::<Vec<_>>().join("-")
}

fn mnasnet_strings(file: &Path) -> Result<(), Box<dyn Error>> {
    let space = mnasnet()?;
    for row in fields(file)? {
        let string = string_of(&row);
        equal(&string, space.to_string_of(&space.parse_string(&string)?), Some(string.clone()))?;
    }
    Ok(())
}

/// Parameters as they are; the table's MACs count 4 for each value of a batch norm, and 1 for each that a mean over the map
/// reads or writes besides. It has six digits.
fn mnasnet_sizes(file: &Path) -> Result<(), Box<dyn Error>> {
    let space = mnasnet()?;
    let rows = fields(file)?;
    for row in &rows {
        let string = string_of(row);
        let network = space.derive(&space.parse_string(&string)?)?;
        let counted = network.macs().0 + network.nodes().map(|(id, node)| besides(&network, id, node)).sum::<u64>();
        for (column, number) in [("params_M", network.params()), ("macs_M", counted)] {
            let given = 1e6 * row[column].parse::<f64>()?;
            // Half of the sixth digit, and what binary fractions add to it.
            let half = 0.501 * 10f64.powf(given.log10().floor() - 5.0);
            if (given - number as f64).abs() > half {
                return Err(format!("{string}: {column}: expected {given}, got {number}").into());
            }
        }
    }
    equal("networks", rows.len(), 1000)
}

/// What the table counts of a node besides its multiply-accumulates.
fn besides(network: &Network, id: NodeId, node: &Node) -> u64 {
    match &node.op {
        Op::BatchNorm { .. } => 4 * node.shape.elements(),
        Op::GlobalAveragePool => {
            let read: u64 = network.inputs(id).iter().map(|&input| network.node(input).shape.elements()).sum();
            read + node.shape.elements()
        }
        _ => 0,
    }
}

fn networks(file: &Path, bounds: &Bounds) -> Result<(), Box<dyn Error>> {
    let space = mnasnet()?;
    let mut observations = Vec::new();
    for row in fields(file)? {
        let Ok(rate) = row[bounds.column].parse::<f64>() else { continue };
        if rate < bounds.below {
            let name = string_of(&row);
            let network = space.derive(&space.parse_string(&name)?)?;
            let works = network.nodes().map(|(_, node)| measured_work(&node.op, &node.shape));
            let works: Result<Vec<_>, _> = works.filter_map(Result::transpose).collect();
            observations.push(Observation { name, observed: Observed::Network(works?), ms: 1e3 / rate });
        }
    }
    calibrated(&observations, bounds)
}

fn products(file: &Path) -> Result<(), Box<dyn Error>> {
    let mut observations = Vec::new();
    for row in fields(file)? {
        let [m, n, k] = numbers(&row, ["M", "N", "K"])?;
        let ms = row[TPU_V4.column].parse::<f64>()? / 1e3;
        let observed = Observed::Product(Gemm::new(m, n, k)?);
        observations.push(Observation { name: format!("{m}x{n}x{k}"), observed, ms });
    }
    calibrated(&observations, &TPU_V4)
}

/// Holds five folds, and ten draws of 50 rows, to their bounds.
fn calibrated(observations: &[Observation], bounds: &Bounds) -> Result<(), Box<dyn Error>> {
    let accelerator = Accelerator::named_or_path(bounds.accelerator)?;
    let settings = |seed| Settings { seed, host: Host::Absent, sources: BTreeMap::new() };
    let errors = calibrate(&accelerator, observations, &settings(0))?.report.held_out;
    if errors.mape_percent > bounds.mape_percent || errors.spearman < bounds.spearman {
        return Err(format!("five folds of {} rows: {errors:?}", observations.len()).into());
    }
    let mut sum = 0.0;
    for draw in 0..10 {
        let order = shuffled(observations.len(), draw);
        let of = |places: &[usize]| -> Vec<Observation> {
            places.iter().map(|&place| observations[place].clone()).collect()
        };
        let calibration = calibrate(&accelerator, &of(&order[..50]), &settings(draw))?.calibration;
        let fitted = Accelerator { calibration: Some(calibration), ..accelerator.clone() };
        sum += judge(&fitted, &of(&order[50..])).ok_or("it is calibrated")?.mape_percent;
    }
    if sum / 10.0 > bounds.fifty_mape_percent {
        return Err(format!("50 rows: {} % on average", sum / 10.0).into());
    }
    Ok(())
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, got {found:?}").into()) }
}

/// The networks that others exported, with the MACs and parameters that PyTorch counts.
fn onnx_networks(file: &Path) -> Result<(), Box<dyn Error>> {
    let folder = file.parent().ok_or("the table lies in a folder")?;
    let mut networks = 0;
    for row in csv::ReaderBuilder::new().has_headers(false).from_path(file)?.records() {
        let row = row?;
        let onnx = unpacked(&folder.join(format!("{}.xz", &row[0])))?;
        let network = &onnx.network;
        equal(&row[0], (network.macs().0, onnx.coverage.is_complete()), (row[1].parse()?, true))?;
        equal(&row[0], network.params() + left_out(&row[0]), row[2].parse()?)?;
        networks += 1;
    }
    equal("networks", networks, 13)
}

fn unpacked(packed: &Path) -> Result<Onnx, Box<dyn Error>> {
    let mut unpacked = tempfile::NamedTempFile::new()?;
    let mut reader = lzma_rust2::XzReader::new(BufReader::new(File::open(packed)?), false);
    std::io::copy(&mut reader, &mut unpacked)?;
    Ok(Onnx::load(unpacked.path(), &Options::default())?)
}

/// Parameters of the PyTorch model that its file does not hold.
fn left_out(file: &str) -> u64 {
    match file {
        // Two classifiers that only training uses.
        "googlenet.ts.onnx" => 6_379_984,
        // Batch norms folded into the convolutions before them: a bias for a scale and a shift of 4,800 channels.
        "resnet18.dynamo.onnx" => 4_800,
        _ => 0,
    }
}

/// ONNX's own test networks of opset 9, with their GMACs.
fn onnx_light_networks(file: &Path) -> Result<(), Box<dyn Error>> {
    let folder = file.parent().ok_or("the file lies in a folder")?;
    let gmacs = [
        ("bvlc_alexnet", "0.655"),
        ("densenet121", "2.834"),
        ("inception_v1", "1.432"),
        ("inception_v2", "2.019"),
        ("resnet50", "4.089"),
        ("shufflenet", "0.125"),
        ("squeezenet", "0.349"),
        ("vgg19", "19.632"),
        ("zfnet512", "1.482"),
    ];
    for (name, expected) in gmacs {
        let onnx = Onnx::load(&folder.join(format!("light_{name}.onnx")), &Options::default())?;
        let counted = format!("{:.3}", onnx.network.macs().0 as f64 / 1e9);
        equal(name, (counted.as_str(), onnx.coverage.is_complete()), (expected, true))?;
    }
    Ok(())
}
