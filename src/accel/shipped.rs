//! The accelerators that come with the program, and how a name or a path becomes one.

use std::path::Path;

use super::accelerator::Accelerator;
use crate::load::LoadError;

/// An accelerator file embedded in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// Its name: that of the file, without `.yaml`.
    pub name: &'static str,
    /// The file, with the source of every number.
    pub text: &'static str,
}

const SHIPPED: &[Shipped] = &[
    Shipped { name: "edge-tpu", text: include_str!("../../accel-models/edge-tpu.yaml") },
    Shipped { name: "gemmini-16x16", text: include_str!("../../accel-models/gemmini-16x16.yaml") },
    Shipped { name: "scale-sim-default", text: include_str!("../../accel-models/scale-sim-default.yaml") },
    Shipped { name: "small-32x32", text: include_str!("../../accel-models/small-32x32.yaml") },
    Shipped { name: "tpu-v1", text: include_str!("../../accel-models/tpu-v1.yaml") },
    Shipped { name: "tpu-v2", text: include_str!("../../accel-models/tpu-v2.yaml") },
    Shipped { name: "tpu-v3", text: include_str!("../../accel-models/tpu-v3.yaml") },
    Shipped { name: "tpu-v4", text: include_str!("../../accel-models/tpu-v4.yaml") },
    Shipped { name: "uboost-128x128", text: include_str!("../../accel-models/uboost-128x128.yaml") },
];

/// Why there is no such accelerator.
#[derive(Debug, thiserror::Error)]
pub enum AccelError {
    /// Neither shipped nor a file.
    #[error("accelerator `{name}`: must be a path or one of {}", names())]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A file that is no accelerator.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Accelerator {
    /// The accelerators that come with the program, by name.
    #[must_use]
    pub fn shipped() -> &'static [Shipped] {
        SHIPPED
    }

    /// The shipped accelerator of this name, else the file at this path.
    ///
    /// # Errors
    /// [`AccelError::Unknown`] for what is neither shipped, nor there, nor looks like a path; [`AccelError::Load`] for
    /// a file that cannot be read as an accelerator.
    pub fn named_or_path(name: &str) -> Result<Self, AccelError> {
        if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) {
            return Ok(shipped.accelerator()?);
        }
        let path = Path::new(name);
        if looks_like_a_path(name) || path.exists() {
            return Ok(Self::load(path)?);
        }
        Err(AccelError::Unknown { name: name.to_owned() })
    }
}

impl Shipped {
    /// The accelerator that is meant.
    ///
    /// # Errors
    /// None for a released program: a test reads every shipped file.
    pub fn accelerator(&self) -> Result<Accelerator, LoadError> {
        Accelerator::parse(self.text, &format!("accel-models/{}.yaml", self.name))
    }
}

/// Whether `name` is meant as a path, there or not: it has an extension or a folder.
pub(crate) fn looks_like_a_path(name: &str) -> bool {
    let path = Path::new(name);
    path.extension().is_some() || path.components().count() > 1
}

fn names() -> String {
    SHIPPED.iter().map(|shipped| shipped.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::{Array, Dataflow, Dram, Timing};

    #[test]
    fn every_shipped_file_reads_and_has_its_own_name() {
        for shipped in Accelerator::shipped() {
            let accelerator = Accelerator::named_or_path(shipped.name).unwrap();
            assert_eq!(accelerator.name, shipped.name);
            for key in ["array", "dataflow", "clock-mhz", "precision"] {
                assert!(accelerator.sources.contains_key(key), "{}: no source of {key}", shipped.name);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("accel-models");
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let names: Vec<_> = files.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, Accelerator::shipped().iter().map(|shipped| shipped.name).collect::<Vec<_>>());
        for path in &files {
            Accelerator::named_or_path(path.to_str().unwrap()).unwrap();
        }
    }

    #[test]
    fn uboost_is_the_array_of_the_paper() {
        let accelerator = Accelerator::named_or_path("uboost-128x128").unwrap();
        assert_eq!(accelerator.array, Array { rows: 128, cols: 128, count: 1 });
        assert_eq!(accelerator.dataflow, Dataflow::WeightStationary);
        assert_eq!(accelerator.timing, Timing::UboostCsim);
        assert_eq!(accelerator.clock.get(), 1000.0);
        assert_eq!(accelerator.memory.weight_bandwidth.unwrap().bytes_per_second(), 80 << 30);
    }

    #[test]
    fn the_first_tpu_has_its_published_peak_and_ridge() {
        let accelerator = Accelerator::named_or_path("tpu-v1").unwrap();
        // 2 * 65536 * 700 MHz = 91.75 TOPS, published as 92
        let macs_per_second = accelerator.array.pes() as f64 * accelerator.clock.get() * 1e6;
        assert!((2e-12 * macs_per_second - 91.75).abs() < 0.01);
        let Dram::Shared(bandwidth) = accelerator.memory.dram else { panic!("{:?}", accelerator.memory.dram) };
        // the paper: about 1350 operations a byte of weights reach the peak
        let ridge = macs_per_second / bandwidth.bytes_per_second() as f64;
        assert!((1345.0..1355.0).contains(&ridge), "{ridge}");
        // 2048 rows of 256 sums of 4 bytes, twice, are the 4 MiB of accumulators
        assert_eq!(2 * accelerator.memory.accumulator_rows.unwrap() * 256 * 4, 4 << 20);
    }

    #[test]
    fn the_edge_tpu_stays_below_its_four_tera_operations() {
        let accelerator = Accelerator::named_or_path("edge-tpu").unwrap();
        let operations = 2.0 * accelerator.array.pes() as f64 * accelerator.clock.get() * 1e6;
        assert!((3.9e12..=4e12).contains(&operations), "{operations}");
    }

    #[test]
    fn every_number_of_a_shipped_file_has_its_source() {
        for shipped in Accelerator::shipped() {
            let accelerator = shipped.accelerator().unwrap();
            let has = |key: &str| accelerator.sources.contains_key(key);
            let memory = &accelerator.memory;
            let keys = [
                ("memory.bandwidth-gb-per-s", matches!(memory.dram, Dram::Shared(_))),
                ("memory.weight-bandwidth-gb-per-s", memory.weight_bandwidth.is_some()),
                ("memory.weight-capacity-kib", memory.weight_capacity.is_some()),
                ("memory.activation-capacity-kib", memory.activation_capacity.is_some()),
                ("memory.accumulator-rows", memory.accumulator_rows.is_some()),
                ("vector", accelerator.vector.is_some()),
                ("energy", accelerator.energy.is_some()),
            ];
            for (key, given) in keys {
                assert_eq!(has(key), given, "{}: `{key}` and its source go together", shipped.name);
            }
        }
    }

    #[test]
    fn an_unknown_name_lists_what_is_shipped() {
        let error = Accelerator::named_or_path("tpu-v9").unwrap_err();
        let names: Vec<_> = Accelerator::shipped().iter().map(|shipped| shipped.name).collect();
        let expected = format!("accelerator `tpu-v9`: must be a path or one of {}", names.join(", "));
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_missing_path_is_named() {
        let error = Accelerator::named_or_path("no-such-folder/a.yaml").unwrap_err();
        assert!(error.to_string().starts_with("no-such-folder/a.yaml: "), "{error}");
    }
}
