//! What a network is, for other programs: its layers as a topology of SCALE-Sim, the shape of every value.

use super::estimate::{EstimateJobError, EstimateRequest, Model, model};
use super::strings::Strings;
use crate::estimate::EstimateError;
use crate::export::scale_sim::Topology;
use crate::network::Network;

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The network cannot be read.
    #[error(transparent)]
    Model(#[from] EstimateJobError),
    /// Not one network is asked for.
    #[error("{flag} writes one network, got {given}")]
    Networks {
        /// The flag.
        flag: &'static str,
        /// How many.
        given: usize,
    },
    /// A list of rows has no network.
    #[error("{flag} needs a network with shapes (.yaml, .onnx), got the topology `{name}`")]
    Rows {
        /// The flag.
        flag: &'static str,
        /// The topology.
        name: String,
    },
    /// A batch, which SCALE-Sim does not know.
    #[error("--scale-sim: SCALE-Sim knows one image, got batch {0}")]
    Batch(u64),
    /// A layer that no row can say.
    #[error("--scale-sim: {0}")]
    Layer(#[from] EstimateError),
}

/// A file and what a user should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub text: String,
    /// What it cannot say, a sentence each.
    pub notes: Vec<String>,
}

/// The network of `request` as a topology of SCALE-Sim.
///
/// # Errors
/// [`FilesError`] with what is asked for wrongly, or the layer.
pub fn topology(request: &EstimateRequest<'_>) -> Result<Written, FilesError> {
    const FLAG: &str = "--scale-sim";
    if request.batch != 1 {
        return Err(FilesError::Batch(request.batch));
    }
    let topology = match the_model(request, FLAG)? {
        Model::Network(network) => Topology::of(&network)?,
        Model::Onnx(onnx) => Topology::of(&onnx.network)?,
        Model::Rows { name, .. } => return Err(FilesError::Rows { flag: FLAG, name }),
    };
    Ok(Written { text: topology.text(), notes: notes(&topology) })
}

fn notes(topology: &Topology) -> Vec<String> {
    let Topology { rows, as_products, left_out } = topology;
    let mut notes = vec![format!("{} layers as rows, {left_out} that multiply nothing left out", rows.len())];
    if !as_products.is_empty() {
        notes.push(format!(
            "as their matrix products, whose cycles are theirs and whose addresses are not: {}",
            as_products.join(", ")
        ));
    }
    notes
}

/// What every node of the network of `request` puts out, as CSV.
///
/// # Errors
/// [`FilesError`] with what is asked for wrongly.
pub fn shapes(request: &EstimateRequest<'_>) -> Result<String, FilesError> {
    const FLAG: &str = "--shapes";
    let values = match the_model(request, FLAG)? {
        Model::Network(network) => of_nodes(&network),
        Model::Onnx(onnx) => {
            let values = onnx.values.into_iter();
            values.map(|value| [value.node, value.operator, value.value, written(value.dims.as_deref())]).collect()
        }
        Model::Rows { name, .. } => return Err(FilesError::Rows { flag: FLAG, name }),
    };
    Ok(csv(&values))
}

fn the_model(request: &EstimateRequest<'_>, flag: &'static str) -> Result<Model, FilesError> {
    let [network] = request.networks.as_slice() else {
        return Err(FilesError::Networks { flag, given: request.networks.len() });
    };
    let strings = request.space.as_deref().map(Strings::load).transpose().map_err(EstimateJobError::from)?;
    Ok(model(network, strings.as_ref(), &request.onnx)?)
}

fn of_nodes(network: &Network) -> Vec<[String; 4]> {
    let nodes = network.nodes().map(|(_, node)| {
        let shape = written(Some(node.shape.dims()));
        [node.name.clone(), node.op.name().to_owned(), node.name.clone(), shape]
    });
    nodes.collect()
}

/// Dimensions as JSON; nothing where they are not known.
fn written(dims: Option<&[u64]>) -> String {
    dims.map_or_else(String::new, |dims| format!("{dims:?}"))
}

fn csv(values: &[[String; 4]]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["node", "operator", "value", "shape"].map(str::to_owned);
    for record in std::iter::once(&header).chain(values) {
        writer.write_record(record).expect("a record of four into memory");
    }
    let bytes = writer.into_inner().expect("memory takes every byte");
    String::from_utf8(bytes).expect("what was written is UTF-8")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::estimate::Detail;
    use super::*;

    fn request(network: &Path, batch: u64) -> EstimateRequest<'static> {
        EstimateRequest {
            networks: vec![network.to_owned()],
            space: None,
            accelerators: &[],
            batch,
            timing: None,
            detail: Detail::Costs,
            onnx: crate::import::onnx::Options::default(),
        }
    }

    fn data(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    #[test]
    fn shapes_of_a_network_file_are_those_of_its_nodes() {
        let text = shapes(&request(&data("small.yaml"), 1)).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("node,operator,value,shape"));
        assert!(lines.next().unwrap().starts_with("input,input,input,\"["), "{text}");
    }

    #[test]
    fn a_topology_is_no_network_and_a_batch_no_image() {
        let rows = topology(&request(&data("alexnet.csv"), 1)).unwrap_err().to_string();
        assert_eq!(rows, "--scale-sim needs a network with shapes (.yaml, .onnx), got the topology `alexnet`");
        let rows = shapes(&request(&data("alexnet.csv"), 1)).unwrap_err().to_string();
        assert!(rows.starts_with("--shapes needs a network"), "{rows}");
        let batch = topology(&request(&data("small.yaml"), 2)).unwrap_err().to_string();
        assert_eq!(batch, "--scale-sim: SCALE-Sim knows one image, got batch 2");
        let two = EstimateRequest { networks: vec![data("small.yaml"), data("small.yaml")], ..request(&data("x"), 1) };
        assert_eq!(shapes(&two).unwrap_err().to_string(), "--shapes writes one network, got 2");
    }

    #[test]
    fn what_a_topology_cannot_say_is_named() {
        let conv = |groups| format!("{{ conv2d: {{ out-channels: 8, kernel: 3, groups: {groups} }} }}");
        let nodes = format!(
            "  - {{ name: a, op: {} }}\n  - {{ name: b, op: relu }}\n  - {{ name: c, op: {} }}\n",
            conv(1),
            conv(2)
        );
        let text = format!("version: 1\nname: net\ninput: [4, 9, 9]\nnodes:\n{nodes}");
        let network = Network::parse(&text, "net.yaml").unwrap();
        let expected = [
            "2 layers as rows, 1 that multiply nothing left out",
            "as their matrix products, whose cycles are theirs and whose addresses are not: c",
        ];
        assert_eq!(notes(&Topology::of(&network).unwrap()), expected);
    }
}
