//! Estimates as CSV.

use anyhow::bail;

use super::tables::bound;
use crate::estimate::{Estimate, LayerEstimate, Part};

const CSV_HEADER: [&str; 34] = [
    "network",
    "accelerator",
    "timing",
    "batch",
    "name",
    "op",
    "macs",
    "params",
    "cycles",
    "latency_ms",
    "mapping_utilization",
    "overall_utilization",
    "bytes_read",
    "bytes_written",
    "energy_uj",
    "bound",
    "end_to_end_utilization",
    "units_array",
    "units_memory",
    "units_vector",
    "breakdown_useful",
    "breakdown_imbalance",
    "breakdown_columns",
    "breakdown_rows",
    "breakdown_load",
    "breakdown_fill_and_drain",
    "breakdown_stall",
    "breakdown_vector",
    "largest_loss",
    "traffic_weights",
    "traffic_inputs",
    "traffic_outputs",
    "split_n",
    "split_m",
];

/// One line per layer; what is not known is empty.
pub(super) fn csv(estimates: &[Estimate]) -> anyhow::Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(CSV_HEADER)?;
    for estimate in estimates {
        for layer in &estimate.layers {
            writer.write_record(csv_row(estimate, layer))?;
        }
    }
    match writer.into_inner() {
        Ok(bytes) => Ok(String::from_utf8(bytes)?),
        Err(error) => bail!("the CSV cannot be finished: {error}"),
    }
}

fn csv_row(estimate: &Estimate, layer: &LayerEstimate) -> [String; CSV_HEADER.len()] {
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let [useful, imbalance, columns, rows, load, fill_and_drain, stall, vector] =
        Part::ALL.map(|part| layer.breakdown.part(part).to_string());
    [
        estimate.network.clone(),
        estimate.accelerator.clone(),
        estimate.timing.clone(),
        estimate.batch.to_string(),
        layer.name.clone(),
        layer.op.clone(),
        layer.macs.to_string(),
        layer.params.to_string(),
        layer.cycles.to_string(),
        layer.latency_ms.to_string(),
        optional(layer.mapping_utilization),
        optional(layer.overall_utilization),
        layer.bytes_read.0.to_string(),
        layer.bytes_written.0.to_string(),
        optional(layer.energy_uj),
        bound(layer.bound).to_owned(),
        optional(layer.end_to_end_utilization),
        layer.units.array.to_string(),
        layer.units.memory.to_string(),
        layer.units.vector.to_string(),
        useful,
        imbalance,
        columns,
        rows,
        load,
        fill_and_drain,
        stall,
        vector,
        layer.largest_loss.map_or_else(String::new, |part| part.name().to_owned()),
        layer.traffic.weights.0.to_string(),
        layer.traffic.inputs.0.to_string(),
        layer.traffic.outputs.0.to_string(),
        layer.split.n.to_string(),
        layer.split.m.to_string(),
    ]
}
