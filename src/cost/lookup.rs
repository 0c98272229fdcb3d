//! Tables of measured or simulated layers, in the form of the authors of U-Boost NAS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CostError;
use super::layers::{Product, products};
use super::table::pairs;
use crate::accel::Engine;
use crate::estimate::Target;
use crate::network::{Network, Node, NodeId};
use crate::space::{Candidate, Edge, Space};

/// Milliseconds of layers for one image: operator, side of the output map, kernel as `3x3`, input channels, output
/// channels.
///
/// Operators are `Conv2d`, under which linear layers are 1x1 on a map of side 1, and `DepthwiseConv2d`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lookup(BTreeMap<String, BTreeMap<u64, BTreeMap<String, ByChannels>>>);

type ByChannels = BTreeMap<u64, BTreeMap<u64, LookupEntry>>;

/// What a layer takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LookupEntry {
    /// Milliseconds for one image.
    #[serde(rename = "runtime_csim")]
    pub milliseconds: f64,
    /// Utilization as the table's maker counts it; costs do not use it.
    #[serde(rename = "util_csim", default)]
    pub utilization: f64,
}

/// Why a text is no lookup table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// It has another form.
    #[error(
        "{origin}: a lookup table is JSON keyed by operator, map side, kernel, input channels, output channels: {reason}"
    )]
    Form {
        /// The file.
        origin: String,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A time that no layer takes.
    #[error("{origin}: {key}: milliseconds must be a finite number of 0 or more, got {given}")]
    Milliseconds {
        /// The file.
        origin: String,
        /// Where it stands.
        key: String,
        /// As given.
        given: String,
    },
}

/// A layer of a space that a table does not cover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the lookup table has no {operator}, map side {side}, kernel {kernel}x{kernel}")]
pub struct Uncovered {
    /// The operator.
    pub operator: &'static str,
    /// Side of the output map.
    pub side: u64,
    /// Side of the kernel.
    pub kernel: u64,
}

impl Lookup {
    /// Reads JSON text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`LookupError`] where it has another form, or holds a time that no layer takes.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LookupError> {
        let form =
            |error: serde_json::Error| LookupError::Form { origin: origin.to_owned(), reason: error.to_string() };
        let table: Self = serde_json::from_str(text).map_err(form)?;
        let bad = table.entries().find(|(_, entry)| !(entry.milliseconds.is_finite() && entry.milliseconds >= 0.0));
        if let Some((key, entry)) = bad {
            let given = entry.milliseconds.to_string();
            return Err(LookupError::Milliseconds { origin: origin.to_owned(), key, given });
        }
        Ok(table)
    }

    /// The table as JSON text.
    ///
    /// # Panics
    /// Never: names and numbers are always written.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("maps of names and finite numbers are JSON")
    }

    /// Every entry with its keys, `operator.side.kernel.in.out`.
    pub fn entries(&self) -> impl Iterator<Item = (String, &LookupEntry)> {
        self.0.iter().flat_map(|(operator, sides)| {
            sides.iter().flat_map(move |(side, kernels)| {
                kernels.iter().flat_map(move |(kernel, inputs)| {
                    inputs.iter().flat_map(move |(input, outputs)| {
                        outputs
                            .iter()
                            .map(move |(output, entry)| (format!("{operator}.{side}.{kernel}.{input}.{output}"), entry))
                    })
                })
            })
        })
    }

    /// Every layer of `space` at every pair of widths, on `target`, which is asked for one image.
    ///
    /// # Errors
    /// [`CostError`] where a candidate does not fit its edge or a layer has no estimate.
    pub fn of(space: &Space, target: &Target<'_>) -> Result<Self, CostError> {
        let target = Target { batch: 1, ..*target };
        let engine = target.engine()?;
        let mut table = Self::default();
        for edge in &space.edges {
            for candidate in space.candidates(edge) {
                for [source, width] in widths(space, edge, candidate) {
                    let fragment = space.fragment(edge, candidate, source, width);
                    let fragment = fragment.map_err(|source| CostError::Network { edge: edge.name.clone(), source })?;
                    table.add(&fragment, &target, &engine)?;
                }
            }
        }
        for &width in space.options(space.last()) {
            table.add(&space.classifier_fragment(width)?, &target, &engine)?;
        }
        Ok(table)
    }

    fn add(&mut self, fragment: &Network, target: &Target<'_>, engine: &Engine) -> Result<(), CostError> {
        let is_product = |(_, node): &(NodeId, &Node)| {
            matches!(node.op, crate::network::Op::Conv2d(_) | crate::network::Op::Linear(_))
        };
        for ((id, node), product) in fragment.nodes().filter(is_product).zip(products(fragment)) {
            let (operator, kernel) = (operator(product.depthwise), kernel(product.kernel));
            let sides = self.0.entry(operator.to_owned()).or_default();
            let inputs = sides.entry(product.side).or_default().entry(kernel).or_default();
            let outputs = inputs.entry(product.inputs).or_default();
            if outputs.contains_key(&product.outputs) {
                continue;
            }
            let from = fragment.sources(id).next().unwrap_or_else(|| fragment.input());
            let mut alone = Network::new(&node.name, fragment.node(from).shape.clone());
            let input = alone.input();
            let output = alone.wire("layer", node.op.clone(), &[input]);
            let output = output.map_err(|source| CostError::Network { edge: node.name.clone(), source })?;
            alone.set_output(output);
            let cost = target.fragment_cost(engine, &alone)?.whole;
            let entry = LookupEntry {
                milliseconds: target.accelerator.clock.milliseconds(cost.cycles),
                utilization: cost.end_to_end_utilization(&target.accelerator.array).unwrap_or(0.0),
            };
            outputs.insert(product.outputs, entry);
        }
        Ok(())
    }

    /// The entries of a layer's operator, map side and kernel.
    ///
    /// # Errors
    /// [`Uncovered`] where there are none.
    pub(super) fn covering<T>(&self, layer: &Product<T>) -> Result<&ByChannels, Uncovered> {
        let operator = operator(layer.depthwise);
        let found = self.0.get(operator).and_then(|sides| sides.get(&layer.side));
        let found = found.and_then(|kernels| kernels.get(&kernel(layer.kernel))).filter(|inputs| !inputs.is_empty());
        found.ok_or(Uncovered { operator, side: layer.side, kernel: layer.kernel })
    }

    /// Milliseconds of the entry that is nearest to these input channels and, among those, to these output channels; the
    /// narrower of two. Nothing where the table does not cover the layer.
    pub(super) fn milliseconds<T>(&self, layer: &Product<T>, [inputs, outputs]: [f64; 2]) -> Option<f64> {
        let by_outputs = nearest(self.covering(layer).ok()?, inputs)?;
        nearest(by_outputs, outputs).map(|entry| entry.milliseconds)
    }
}

fn operator(depthwise: bool) -> &'static str {
    if depthwise { "DepthwiseConv2d" } else { "Conv2d" }
}

fn kernel(side: u64) -> String {
    format!("{side}x{side}")
}

#[expect(clippy::cast_precision_loss, reason = "channels are far below 2^52")]
fn nearest<T>(by_channels: &BTreeMap<u64, T>, channels: f64) -> Option<&T> {
    let distance = |key: u64| (key as f64 - channels).abs();
    by_channels.iter().reduce(|best, one| if distance(*one.0) < distance(*best.0) { one } else { best }).map(|(_, t)| t)
}

/// Channels that the ends of `candidate` may have together.
fn widths(space: &Space, edge: &Edge, candidate: &Candidate) -> Vec<[u64; 2]> {
    if *candidate == Candidate::Project {
        return pairs(space, edge);
    }
    let [from, to] = space.ends_of(edge, candidate);
    let (sources, targets) = (space.options_of(from), space.options_of(to));
    if from == to {
        return sources.iter().map(|&width| [width; 2]).collect();
    }
    sources.iter().flat_map(|&source| targets.iter().map(move |&target| [source, target])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{"Conv2d": {"8": {"3x3": {
        "16": {"16": {"runtime_csim": 1.0, "util_csim": 0.5}, "32": {"runtime_csim": 2.0}},
        "48": {"64": {"runtime_csim": 3.0}}}}}}"#;

    fn layer(kernel: u64) -> Product<()> {
        Product { depthwise: false, kernel, side: 8, in_side: 8, inputs: (), outputs: () }
    }

    #[test]
    fn the_nearest_entry_is_sought_by_inputs_first() {
        let table = Lookup::parse(TABLE, "t.json").unwrap();
        // 32 is as near to 16 as to 48: the narrower. 33 is nearer to 48, which has 64 only.
        for (channels, ms) in [([16.0, 16.0], 1.0), ([32.0, 25.0], 2.0), ([32.0, 24.0], 1.0), ([33.0, 16.0], 3.0)] {
            assert_eq!(table.milliseconds(&layer(3), channels), Some(ms), "{channels:?}");
        }
        assert_eq!(table.milliseconds(&layer(5), [16.0, 16.0]), None);
    }

    #[test]
    fn what_a_table_lacks_is_named() {
        let table = Lookup::parse(TABLE, "t.json").unwrap();
        let message = table.covering(&layer(5)).unwrap_err().to_string();
        assert_eq!(message, "the lookup table has no Conv2d, map side 8, kernel 5x5");
    }

    #[test]
    fn a_table_of_another_form_and_a_negative_time_are_refused() {
        let message = Lookup::parse("[1]", "t.json").unwrap_err().to_string();
        assert!(message.starts_with("t.json: a lookup table is JSON keyed by operator"), "{message}");
        let message = Lookup::parse(&TABLE.replace("3.0", "-3"), "t.json").unwrap_err().to_string();
        assert_eq!(message, "t.json: Conv2d.8.3x3.48.64: milliseconds must be a finite number of 0 or more, got -3");
    }

    #[test]
    fn a_table_is_read_back_as_it_was_written() {
        let table = Lookup::parse(TABLE, "t.json").unwrap();
        assert_eq!(Lookup::parse(&table.to_json(), "t.json").unwrap(), table);
    }
}
