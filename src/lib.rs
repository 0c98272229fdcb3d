//! Hardware-aware neural architecture search for systolic-array accelerators: this page is the map of the code.
//!
//! | room | what |
//! |---|---|
//! | [`units`], [`load`] | quantities with units; YAML to any type, errors with file, line and column |
//! | [`network`] | the shared language: a directed acyclic graph of operators, shapes inferred on wiring, tensors' names, YAML form |
//! | [`accel`] | the accelerator: matrix products, vector work and bytes, tiles, four timings, laws fitted to measured times; knows no operators |
//! | [`import`] | foreign formats, a file each |
//! | [`estimate`] | network x accelerator: cycles, utilizations, bytes of every layer and the whole; advice, comparison, calibration |
//! | [`space`] | search spaces of cells and chains, candidates, widths, architecture strings, derivation to a network |
//! | [`cost`] | hardware cost over distributions of choices: value and gradient |
//! | [`record`] | run folders, history, summary, atomic files |
//! | [`front`], [`pareto`], [`plot`], [`report`] | dominance and hypervolume; points of runs; SVG and PNG; one HTML file |
//! | [`search`] | the search itself, on the host, without tensors; asks a [`search::TaskLoss`] |
//! | `torch`, `nn`, `data` | the libtorch border, operators as modules, data sets on the device (feature `torch`) |
//! | `supernet`, `train` | the task loss over images; training of a fixed network (feature `torch`) |
//! | [`export`] | networks as files of other programs: topologies of SCALE-Sim |
//! | [`jobs`], `cli` | one function for each verb, sweeps over a job as processes; the command (feature `cli`) |
//!
//! ```text
//! estimate: network.yaml | .csv -> Network + accel-models/x.yaml -> Accelerator -> Estimate -> table | JSON | CSV | plot
//! search:   job.yaml -> Space; loop { weight step (supernet) ; architecture step (task gradient + cost gradient) }
//!           -> derive -> Network -> estimate -> train -> run folder
//! calibrate: rows.csv + accel-models/x.yaml -> counts -> non-negative fit -> accelerator file with its calibration
//! pareto:   run folders -> points -> front, hypervolume -> CSV, SVG, PNG, HTML
//! ```

#![doc = include_str!("layers.txt")]

pub mod accel;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cost;
#[cfg(feature = "torch")]
pub mod data;
pub mod estimate;
pub mod export;
pub mod front;
pub mod import;
pub mod jobs;
pub mod load;
pub mod network;
#[cfg(feature = "torch")]
pub mod nn;
pub mod pareto;
pub mod plot;
pub mod record;
pub mod report;
pub mod search;
pub mod space;
#[cfg(feature = "torch")]
pub mod supernet;
#[cfg(feature = "torch")]
pub mod torch;
#[cfg(feature = "torch")]
pub mod train;
pub mod units;
