//! The `memory` of an accelerator file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{reject, within};
use crate::accel::memory::{Bandwidth, Dram, Memory, Overlap, WeightHome};
use crate::load::{LoadError, Spanned};
use crate::units::Bytes;

/// The largest memory that is covered, 4 TiB.
const MAX_KIB: u64 = 1 << 32;
/// The most rows of accumulators that are covered.
const MAX_ACCUMULATOR_ROWS: u64 = 1 << 32;

/// Memories as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemoryFile {
    /// Bandwidth to DRAM that weights, inputs and outputs share, in GB/s of 10^9 bytes; timing `pipelined` charges it.
    #[schemars(with = "Option<f64>")]
    pub bandwidth_gb_per_s: Option<Spanned<f64>>,
    /// Bandwidth of the weights in GB/s of 10^9 bytes. Alone it is what the timing `uboost-csim` charges, which takes
    /// 85.89934592 (80 GiB/s) where it is not given; with those of inputs and outputs, a port of its own.
    #[schemars(with = "Option<f64>")]
    pub weight_bandwidth_gb_per_s: Option<Spanned<f64>>,
    /// Bandwidth of the port for input activations, in GB/s of 10^9 bytes; all three ports or none.
    #[schemars(with = "Option<f64>")]
    pub input_bandwidth_gb_per_s: Option<Spanned<f64>>,
    /// Bandwidth of the port for output activations, in GB/s of 10^9 bytes; all three ports or none.
    #[schemars(with = "Option<f64>")]
    pub output_bandwidth_gb_per_s: Option<Spanned<f64>>,
    /// Memory for weights in KiB of 1024 bytes; default no limit.
    #[schemars(with = "Option<u64>", range(min = 1, max = 4_294_967_296_u64))]
    pub weight_capacity_kib: Option<Spanned<i64>>,
    /// Memory for activations in KiB of 1024 bytes; default no limit, and no activation stays on chip.
    #[schemars(with = "Option<u64>", range(min = 1, max = 4_294_967_296_u64))]
    pub activation_capacity_kib: Option<Spanned<i64>>,
    /// Where weights are before the network runs: `streamed` from DRAM for each layer, the default; `resident` where
    /// those of the whole network fit the weight memory; `cached` layer by layer as far as the weight memory reaches.
    #[schemars(with = "Option<WeightHome>")]
    pub weights: Option<Spanned<WeightHome>>,
    /// Rows of partial sums that an array accumulates at a time; default no limit. Under the weight-stationary dataflow
    /// m streams in blocks of so many.
    #[schemars(with = "Option<u64>", range(min = 1, max = 4_294_967_296_u64))]
    pub accumulator_rows: Option<Spanned<i64>>,
    /// Whether traffic and vector work hide behind the array, the default, or come on top.
    pub overlap: Option<bool>,
}

impl MemoryFile {
    pub(super) fn resolve(self, origin: &str) -> Result<Memory, LoadError> {
        let dram = self.dram(origin)?;
        let kib = |key, given: &Option<Spanned<i64>>| {
            let kib = given.as_ref().map(|given| within(key, given, MAX_KIB, origin)).transpose()?;
            Ok(kib.map(|kib: u64| Bytes(kib * 1024)))
        };
        let weight_capacity = kib("memory.weight-capacity-kib", &self.weight_capacity_kib)?;
        if let Some(weights) = self.weights.as_ref().filter(|weights| weights.value != WeightHome::Streamed)
            && weight_capacity.is_none()
        {
            let home = if weights.value == WeightHome::Cached { "cached" } else { "resident" };
            let reason = format!("memory.weights: `{home}` needs memory.weight-capacity-kib, got none");
            return Err(reject(weights, origin, reason));
        }
        let rows = self.accumulator_rows.as_ref();
        let rows = rows.map(|rows| within("memory.accumulator-rows", rows, MAX_ACCUMULATOR_ROWS, origin));
        Ok(Memory {
            weight_bandwidth: optional("weight", self.weight_bandwidth_gb_per_s.as_ref(), origin)?,
            dram,
            weight_capacity,
            activation_capacity: kib("memory.activation-capacity-kib", &self.activation_capacity_kib)?,
            weights: self.weights.map_or_else(WeightHome::default, |weights| weights.value),
            accumulator_rows: rows.transpose()?,
            overlap: if self.overlap == Some(false) { Overlap::InTurn } else { Overlap::Hidden },
        })
    }

    /// One shared way, a port each, or no limit.
    fn dram(&self, origin: &str) -> Result<Dram, LoadError> {
        let weights = self.weight_bandwidth_gb_per_s.as_ref();
        let inputs = self.input_bandwidth_gb_per_s.as_ref();
        let outputs = self.output_bandwidth_gb_per_s.as_ref();
        if let Some(shared) = &self.bandwidth_gb_per_s {
            if let Some(port) = weights.or(inputs).or(outputs) {
                let reason = "memory: must have one shared bandwidth-gb-per-s or one for each port, got both";
                return Err(reject(port, origin, reason));
            }
            return Ok(Dram::Shared(bandwidth("memory.bandwidth-gb-per-s", shared, origin)?));
        }
        match (weights, inputs, outputs) {
            (_, None, None) => Ok(Dram::Unlimited),
            (Some(weights), Some(inputs), Some(outputs)) => Ok(Dram::Ports {
                weights: bandwidth(&port_key("weight"), weights, origin)?,
                inputs: bandwidth(&port_key("input"), inputs, origin)?,
                outputs: bandwidth(&port_key("output"), outputs, origin)?,
            }),
            (_, Some(port), _) | (_, _, Some(port)) => {
                let given = [("weight", weights), ("input", inputs), ("output", outputs)];
                let missing = given.iter().filter(|(_, port)| port.is_none()).map(|(name, _)| port_key(name));
                let missing = missing.collect::<Vec<_>>().join(" and ");
                Err(reject(
                    port,
                    origin,
                    format!("memory: a bandwidth for each port must name all three, without {missing}"),
                ))
            }
        }
    }
}

fn port_key(port: &str) -> String {
    format!("memory.{port}-bandwidth-gb-per-s")
}

fn optional(port: &str, given: Option<&Spanned<f64>>, origin: &str) -> Result<Option<Bandwidth>, LoadError> {
    given.map(|given| bandwidth(&port_key(port), given, origin)).transpose()
}

fn bandwidth(key: &str, given: &Spanned<f64>, origin: &str) -> Result<Bandwidth, LoadError> {
    Bandwidth::from_gb_per_second(given.value).map_err(|error| reject(given, origin, format!("{key}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::Accelerator;

    fn read(memory: &str) -> Result<Memory, String> {
        let text = format!(
            "name: a\narray: {{ rows: 4, cols: 4 }}\ndataflow: weight-stationary\nclock-mhz: 1000\nmemory: {memory}\n"
        );
        Accelerator::parse(&text, "a.yaml").map(|a| a.memory).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let memory = read(
            "{ bandwidth-gb-per-s: 25.6, weight-capacity-kib: 512, activation-capacity-kib: 256, weights: resident, \
             accumulator-rows: 1024, overlap: false }",
        )
        .unwrap();
        let expected = Memory {
            weight_bandwidth: None,
            dram: Dram::Shared(Bandwidth::from_gb_per_second(25.6).unwrap()),
            weight_capacity: Some(Bytes(512 * 1024)),
            activation_capacity: Some(Bytes(256 * 1024)),
            weights: WeightHome::Resident,
            accumulator_rows: Some(1024),
            overlap: Overlap::InTurn,
        };
        assert_eq!(memory, expected);
        assert_eq!(read("{ weights: cached, weight-capacity-kib: 1 }").unwrap().weights, WeightHome::Cached);
        assert_eq!(read("{ overlap: true, weights: streamed }"), Ok(Memory::default()));
    }

    #[test]
    fn the_weights_bandwidth_alone_limits_no_port() {
        let memory = read("{ weight-bandwidth-gb-per-s: 2 }").unwrap();
        let two = Bandwidth::from_gb_per_second(2.0).unwrap();
        assert_eq!((memory.weight_bandwidth, memory.dram), (Some(two), Dram::Unlimited));
        let ports = "{ weight-bandwidth-gb-per-s: 2, input-bandwidth-gb-per-s: 3, output-bandwidth-gb-per-s: 4 }";
        let [three, four] = [3.0, 4.0].map(|gb| Bandwidth::from_gb_per_second(gb).unwrap());
        let memory = read(ports).unwrap();
        assert_eq!(memory.dram, Dram::Ports { weights: two, inputs: three, outputs: four });
        assert_eq!(memory.weight_bandwidth, Some(two));
    }

    #[test]
    fn settings_that_contradict_each_other_name_their_place() {
        let cases = [
            (
                "{ weights: resident }",
                "a.yaml:5:20: memory.weights: `resident` needs memory.weight-capacity-kib, got none",
            ),
            ("{ weights: cached }", "a.yaml:5:20: memory.weights: `cached` needs memory.weight-capacity-kib, got none"),
            (
                "{ bandwidth-gb-per-s: 1, input-bandwidth-gb-per-s: 2 }",
                "a.yaml:5:60: memory: must have one shared bandwidth-gb-per-s or one for each port, got both",
            ),
            (
                "{ input-bandwidth-gb-per-s: 2 }",
                "a.yaml:5:37: memory: a bandwidth for each port must name all three, without \
                 memory.weight-bandwidth-gb-per-s and memory.output-bandwidth-gb-per-s",
            ),
            (
                "{ weight-bandwidth-gb-per-s: 1, output-bandwidth-gb-per-s: 2 }",
                "a.yaml:5:68: memory: a bandwidth for each port must name all three, without \
                 memory.input-bandwidth-gb-per-s",
            ),
            (
                "{ bandwidth-gb-per-s: -1 }",
                "a.yaml:5:31: memory.bandwidth-gb-per-s: a bandwidth in GB/s must be from 1e-9 to 1e9, got -1",
            ),
            ("{ accumulator-rows: 0 }", "a.yaml:5:29: memory.accumulator-rows: must be from 1 to 4294967296, got 0"),
            (
                "{ weight-capacity-kib: -4 }",
                "a.yaml:5:32: memory.weight-capacity-kib: must be from 1 to 4294967296, got -4",
            ),
        ];
        for (memory, expected) in cases {
            assert_eq!(read(memory), Err(expected.to_owned()));
        }
    }
}
