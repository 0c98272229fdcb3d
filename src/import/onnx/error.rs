//! Why a file is no network.

use super::slim::SlimError;
use crate::network::NetworkError;

/// Why an ONNX file is no network.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {fault}")]
pub struct OnnxError {
    /// The file.
    pub origin: String,
    /// The rule that is broken.
    pub fault: Box<Fault>,
}

/// The rules of an ONNX file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be opened.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Its bytes are no message.
    #[error("this is no ONNX model, or a damaged one: {0}")]
    Protobuf(String),
    /// It holds no graph.
    #[error("this is no ONNX model: it holds no graph")]
    NoGraph,
    /// It has no input.
    #[error("the graph has no input that is no initialiser")]
    NoInput,
    /// It has no output.
    #[error("the graph has no output")]
    NoOutput,
    /// A node breaks a rule.
    #[error("node `{node}` ({operator}): {reason}{hint}")]
    Node {
        /// Its name, or what it puts out.
        node: String,
        /// Its operator.
        operator: String,
        /// The rule, and what was given.
        reason: String,
        /// What may have led to it.
        hint: String,
    },
    /// A value that is read and never made.
    #[error("node `{node}` ({operator}): its input `{input}` is put out by no node, and is no input or initialiser")]
    Missing {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// The value.
        input: String,
    },
    /// Nodes that wait for each other.
    #[error("a network has no cycle, but these nodes form one: {}", .0.join(", "))]
    Cycle(Vec<String>),
    /// A value that is made twice.
    #[error("the value `{0}` is put out by two nodes")]
    Twice(String),
    /// An output that is never made.
    #[error("the output `{0}` is put out by no node")]
    Output(String),
    /// A function that calls itself, or too many calls.
    #[error("function `{0}`: functions call each other deeper than 32 times, or come to more than 1,000,000 nodes")]
    Functions(String),
    /// An input of which a size is open.
    #[error("input `{input}`: its dimension `{dimension}` is open; give --dim {dimension}=N")]
    Open {
        /// The input.
        input: String,
        /// Its dimension, as it is to be given.
        dimension: String,
    },
    /// A size for a dimension that is not there.
    #[error("there is no dimension `{name}`; those of this file are {}", list(.known))]
    Dimension {
        /// What was given.
        name: String,
        /// What could be.
        known: Vec<String>,
    },
    /// An input of a kind that is not read.
    #[error("input `{input}`: {reason}")]
    Input {
        /// The input.
        input: String,
        /// The rule.
        reason: String,
    },
    /// The operators do not make a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl From<SlimError> for Fault {
    fn from(error: SlimError) -> Self {
        match error {
            SlimError::Io(error) => Self::Io(error),
            error => Self::Protobuf(error.to_string()),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
