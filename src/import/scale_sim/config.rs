//! Configuration files of SCALE-Sim v2 and v3 (`.cfg`) as accelerators under the timing `scale-sim`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ini::{Entry, Ini};
use crate::accel::{Accelerator, Array, Dataflow, Depthwise, Memory, Precision, Timing};
use crate::load;
use crate::units::Megahertz;

const GENERAL: &str = "general";
const ARCHITECTURE: &str = "architecture_presets";
const RUN: &str = "run_presets";
const SPARSITY: &str = "sparsity";

/// Every section that SCALE-Sim reads.
const SECTIONS: [&str; 6] = [GENERAL, ARCHITECTURE, RUN, SPARSITY, "layout", "network_presets"];

/// The keys that mean something here.
const USED: [(&str, &str); 9] = [
    (GENERAL, "run_name"),
    (ARCHITECTURE, "ArrayHeight"),
    (ARCHITECTURE, "ArrayWidth"),
    (ARCHITECTURE, "IfmapSramSzkB"),
    (ARCHITECTURE, "FilterSramSzkB"),
    (ARCHITECTURE, "OfmapSramSzkB"),
    (ARCHITECTURE, "Dataflow"),
    (RUN, "InterfaceBandwidth"),
    (SPARSITY, "SparsitySupport"),
];

/// The largest memory that is read, in KiB: 4 TiB.
const MAX_SRAM_KIB: u64 = 1 << 32;

/// What a configuration file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// One array under the timing `scale-sim`, with numbers of one byte and the clock that was handed in.
    pub accelerator: Accelerator,
    /// The memories, where all three are given. They bound nothing: SCALE-Sim's cycles are those of infinite bandwidth.
    pub sram: Option<SramKib>,
    /// What the file says in vain, a sentence each.
    pub notes: Vec<String>,
}

/// SCALE-Sim's memories, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SramKib {
    /// Of the input.
    pub ifmap: u64,
    /// Of the filters.
    pub filter: u64,
    /// Of the output.
    pub ofmap: u64,
}

/// Why a text is no configuration, with the line at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}:{line}: {fault}")]
pub struct ConfigError {
    /// The file, or what stands for it.
    pub origin: String,
    /// Line, from 1; of what is missing, that of its section or the first.
    pub line: u64,
    /// The rule that is broken.
    pub fault: ConfigFault,
}

/// The rules of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// The text is no INI file.
    #[error("{0}")]
    Ini(String),
    /// A section that SCALE-Sim does not have.
    #[error("section [{0}]: must be one of {list}", list = SECTIONS.join(", "))]
    Section(String),
    /// A key that is needed is not there.
    #[error("[{section}] {key}: must be given")]
    Missing {
        /// Where it belongs.
        section: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A name is empty.
    #[error("[{GENERAL}] run_name: must not be empty")]
    NoName,
    /// A number out of its range.
    #[error("[{ARCHITECTURE}] {key}: must be a whole number from 1 to {most}, got `{given}`")]
    Number {
        /// The key.
        key: &'static str,
        /// The most that is covered.
        most: u64,
        /// What stands there.
        given: String,
    },
    /// A word that is none of those known.
    #[error("[{section}] {key}: must be {expected}, got `{given}`")]
    Word {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// The words.
        expected: &'static str,
        /// What stands there.
        given: String,
    },
    /// Sparse filters are not covered.
    #[error("[{SPARSITY}] SparsitySupport: sparse filters are not covered, got `{0}`")]
    Sparse(String),
}

type Placed<T> = Result<T, (u64, ConfigFault)>;

impl Config {
    /// The clock where none is handed in: the file has none.
    pub const DEFAULT_CLOCK_MHZ: f64 = 1000.0;

    /// Reads `text`, in whose format there is no clock; `origin` is its name in errors.
    ///
    /// # Errors
    /// [`ConfigError`] with the line at fault.
    pub fn parse(text: &str, origin: &str, clock: Megahertz) -> Result<Self, ConfigError> {
        meant(text, clock).map_err(|(line, fault)| ConfigError { origin: origin.to_owned(), line, fault })
    }

    /// The accelerator as an accelerator file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let Accelerator { name, array, dataflow, clock, timing, sources, .. } = &self.accelerator;
        let array = ArrayWritten { rows: array.rows, cols: array.cols };
        load::to_yaml(&Written {
            version: 1,
            name,
            array,
            dataflow: *dataflow,
            clock_mhz: clock.get(),
            timing: *timing,
            sources,
        })
    }
}

/// An accelerator file, as far as a configuration fills it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Written<'a> {
    version: u32,
    name: &'a str,
    array: ArrayWritten,
    dataflow: Dataflow,
    clock_mhz: f64,
    timing: Timing,
    sources: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct ArrayWritten {
    rows: u64,
    cols: u64,
}

fn meant(text: &str, clock: Megahertz) -> Placed<Config> {
    let ini = Ini::parse(text).map_err(|(line, fault)| (line, ConfigFault::Ini(fault.to_string())))?;
    if let Some((name, line)) = ini.sections.iter().find(|(name, _)| !SECTIONS.contains(&name.as_str())) {
        return Err((*line, ConfigFault::Section(name.clone())));
    }
    dense(&ini)?;
    let rows = number(needed(&ini, ARCHITECTURE, "ArrayHeight")?, "ArrayHeight", Array::MAX_SIDE)?;
    let cols = number(needed(&ini, ARCHITECTURE, "ArrayWidth")?, "ArrayWidth", Array::MAX_SIDE)?;
    let accelerator = Accelerator {
        name: name(&ini)?,
        array: Array { rows, cols, count: 1 },
        dataflow: dataflow(&ini)?,
        clock,
        timing: Timing::ScaleSim,
        depthwise: Depthwise::PerChannel,
        memory: Memory::default(),
        vector: None,
        energy: None,
        calibration: None,
        precision: Precision::default(),
        sources: ["array", "dataflow"].map(|key| (key.to_owned(), "SCALE-Sim configuration".to_owned())).into(),
    };
    Ok(Config { accelerator, sram: sram(&ini)?, notes: notes(&ini)? })
}

fn needed<'a>(ini: &'a Ini, section: &'static str, key: &'static str) -> Placed<&'a Entry> {
    let line = || ini.sections.iter().find(|(name, _)| name == section).map_or(1, |(_, line)| *line);
    ini.get(section, key).ok_or_else(|| (line(), ConfigFault::Missing { section, key }))
}

fn number(entry: &Entry, key: &'static str, most: u64) -> Placed<u64> {
    let number = entry.value.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| (entry.line, ConfigFault::Number { key, most, given: entry.value.clone() }))
}

/// `run_name`, without the quotes that older files put around it.
fn name(ini: &Ini) -> Placed<String> {
    let entry = needed(ini, GENERAL, "run_name")?;
    let name = entry.value.trim_matches('"').trim();
    if name.is_empty() { Err((entry.line, ConfigFault::NoName)) } else { Ok(name.to_owned()) }
}

fn dataflow(ini: &Ini) -> Placed<Dataflow> {
    let (section, key, expected) = (ARCHITECTURE, "Dataflow", "os, ws or is");
    let entry = needed(ini, section, key)?;
    match entry.value.to_ascii_lowercase().as_str() {
        "os" => Ok(Dataflow::OutputStationary),
        "ws" => Ok(Dataflow::WeightStationary),
        "is" => Ok(Dataflow::InputStationary),
        _ => Err((entry.line, ConfigFault::Word { section, key, expected, given: entry.value.clone() })),
    }
}

fn sram(ini: &Ini) -> Placed<Option<SramKib>> {
    let size = |key| ini.get(ARCHITECTURE, key).map(|entry| number(entry, key, MAX_SRAM_KIB)).transpose();
    let sizes = (size("IfmapSramSzkB")?, size("FilterSramSzkB")?, size("OfmapSramSzkB")?);
    let (Some(ifmap), Some(filter), Some(ofmap)) = sizes else { return Ok(None) };
    Ok(Some(SramKib { ifmap, filter, ofmap }))
}

/// SCALE-Sim takes any word but `true` for no.
fn dense(ini: &Ini) -> Placed<()> {
    let sparse = ini.get(SPARSITY, "SparsitySupport").filter(|entry| entry.value.eq_ignore_ascii_case("true"));
    sparse.map_or(Ok(()), |entry| Err((entry.line, ConfigFault::Sparse(entry.value.clone()))))
}

fn notes(ini: &Ini) -> Placed<Vec<String>> {
    let mut notes = Vec::new();
    if let Some(entry) = ini.get(RUN, "InterfaceBandwidth") {
        match entry.value.to_ascii_uppercase().as_str() {
            "CALC" => {}
            "USER" => notes.push("InterfaceBandwidth USER: the bandwidth is taken as infinite, as for CALC".to_owned()),
            _ => {
                let (section, key, expected) = (RUN, "InterfaceBandwidth", "CALC or USER");
                return Err((entry.line, ConfigFault::Word { section, key, expected, given: entry.value.clone() }));
            }
        }
    }
    let is_used = |entry: &Entry| {
        USED.iter().any(|(section, key)| entry.section == *section && entry.key.eq_ignore_ascii_case(key))
    };
    let unused: Vec<String> = ini.entries.iter().filter(|e| !is_used(e)).map(|e| e.key.clone()).collect();
    if !unused.is_empty() {
        notes.push(format!("without effect on cycles at infinite bandwidth: {}", unused.join(", ")));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "[general]\nrun_name = tiny\n\n[architecture_presets]\nArrayHeight: 8\nArrayWidth:  4\nDataflow : ws\n";

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "x.cfg", Megahertz::new(Config::DEFAULT_CLOCK_MHZ).unwrap())
    }

    fn fault(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn the_least_file_is_an_array_under_the_timing_of_scale_sim() {
        let config = read(LEAST).unwrap();
        assert_eq!(config.accelerator.name, "tiny");
        assert_eq!(config.accelerator.array, Array { rows: 8, cols: 4, count: 1 });
        assert_eq!(config.accelerator.dataflow, Dataflow::WeightStationary);
        assert_eq!(config.accelerator.timing, Timing::ScaleSim);
        assert_eq!((config.sram, config.notes), (None, vec![]));
    }

    #[test]
    fn a_file_of_version_3_names_what_has_no_effect() {
        let more = "ifmapsramszkb: 64\nFilterSramSzkB: 32\nOfmapSramSzkB: 16\nIfmapOffset: 0\nBandwidth: 10\n\
                    [layout]\nIfmapCustomLayout: False\n[sparsity]\nSparsitySupport: false\nBlockSize: 8\n\
                    [run_presets]\nInterfaceBandwidth: USER\nUseRamulatorTrace: False\n";
        let config = read(&format!("{LEAST}{more}")).unwrap();
        assert_eq!(config.sram, Some(SramKib { ifmap: 64, filter: 32, ofmap: 16 }));
        let expected = [
            "InterfaceBandwidth USER: the bandwidth is taken as infinite, as for CALC",
            "without effect on cycles at infinite bandwidth: IfmapOffset, Bandwidth, IfmapCustomLayout, BlockSize, \
             UseRamulatorTrace",
        ];
        assert_eq!(config.notes, expected);
    }

    #[test]
    fn as_an_accelerator_file_it_reads_back() {
        for name in ["tiny", "\"a: b # c\"", "yes", "1e3", "it's"] {
            let config = read(&LEAST.replace("tiny", name)).unwrap();
            let again = Accelerator::parse(&config.to_yaml(), "x.yaml").unwrap();
            assert_eq!(again, config.accelerator);
        }
    }

    #[test]
    fn every_rule_names_its_line() {
        let sides = "must be a whole number from 1 to 65536, got";
        let cases = [
            ("Height: 8", "Height: 0", format!("x.cfg:5: [architecture_presets] ArrayHeight: {sides} `0`")),
            ("Height: 8", "Height: -8", format!("x.cfg:5: [architecture_presets] ArrayHeight: {sides} `-8`")),
            ("Width:  4", "Width: 4.5", format!("x.cfg:6: [architecture_presets] ArrayWidth: {sides} `4.5`")),
            ("Width:  4", "Width: 65537", format!("x.cfg:6: [architecture_presets] ArrayWidth: {sides} `65537`")),
            ("ArrayWidth:  4\n", "", "x.cfg:4: [architecture_presets] ArrayWidth: must be given".into()),
            (": ws", ": rs", "x.cfg:7: [architecture_presets] Dataflow: must be os, ws or is, got `rs`".into()),
            ("= tiny", "= \"\"", "x.cfg:2: [general] run_name: must not be empty".into()),
            ("run_name = tiny", "", "x.cfg:1: [general] run_name: must be given".into()),
            (
                "[general]",
                "[generel]",
                "x.cfg:1: section [generel]: must be one of general, architecture_presets, run_presets, sparsity, \
                 layout, network_presets"
                    .into(),
            ),
            (
                "Dataflow : ws",
                "Dataflow",
                "x.cfg:7: a line must be `[section]`, `key = value`, `key: value` or a comment, got `Dataflow`".into(),
            ),
        ];
        for (good, bad, expected) in cases {
            assert_eq!(fault(&LEAST.replace(good, bad)), expected);
        }
        let cases = [
            (
                "OfmapSramSzkB: 1e3\n",
                "x.cfg:8: [architecture_presets] OfmapSramSzkB: must be a whole number from 1 to 4294967296, got `1e3`",
            ),
            (
                "[sparsity]\nSparsitySupport: True\n",
                "x.cfg:9: [sparsity] SparsitySupport: sparse filters are not covered, got `True`",
            ),
            (
                "[run_presets]\nInterfaceBandwidth: FAST\n",
                "x.cfg:9: [run_presets] InterfaceBandwidth: must be CALC or USER, got `FAST`",
            ),
        ];
        for (more, expected) in cases {
            assert_eq!(fault(&format!("{LEAST}{more}")), expected);
        }
        assert_eq!(fault(""), "x.cfg:1: [architecture_presets] ArrayHeight: must be given");
    }
}
