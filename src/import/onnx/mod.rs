//! ONNX files: the network in them, without their weights.
//!
//! A first pass leaves the weights out, so that a file of any size is read in milliseconds. Nodes then run in order on
//! shapes: what does not depend on the input is folded, what does becomes an operator of a [`Network`]. The batch is
//! the first dimension of the inputs; it is taken as 1, since a network speaks of one image.
//!
//! Nodes of later versions or other domains that are not known are left out and counted: see [`Coverage`].

mod call;
mod constant;
mod coverage;
mod error;
mod evaluate;
mod graph;
mod names;
mod ops;
pub(crate) mod proto;
mod slim;
mod steps;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use prost::Message;

pub use coverage::{Coverage, UnknownNode};
pub use error::{Fault, OnnxError};
pub use values::NodeValue;

use crate::network::Network;

/// What a file leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Sizes of dimensions by their names; a dimension without one is `INPUT/PLACE`, places from 0.
    pub dims: BTreeMap<String, u64>,
}

/// A file as a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Onnx {
    /// The network, its batch 1.
    pub network: Network,
    /// How much of the file it is.
    pub coverage: Coverage,
    /// What every node that an output needs puts out, in the order in which they run.
    pub values: Vec<NodeValue>,
}

impl Onnx {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`OnnxError`] with the node and the rule that is broken. Operators that are not known are none.
    pub fn load(path: &Path, options: &Options) -> Result<Self, OnnxError> {
        let origin = path.display().to_string();
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let fail = |fault: Fault| OnnxError { origin: origin.clone(), fault: Box::new(fault) };
        let file = File::open(path).map_err(|error| fail(error.into()))?;
        let length = file.metadata().map_err(|error| fail(error.into()))?.len();
        read(file, length, &name, options).map_err(fail)
    }

    /// Reads the bytes of a file; `origin` names them in errors, and is the network's name.
    ///
    /// # Errors
    /// As [`Onnx::load`].
    pub fn parse(bytes: &[u8], origin: &str, options: &Options) -> Result<Self, OnnxError> {
        let found = read(Cursor::new(bytes), bytes.len() as u64, origin, options);
        found.map_err(|fault| OnnxError { origin: origin.to_owned(), fault: Box::new(fault) })
    }
}

fn read<R: Read + Seek>(source: R, length: u64, name: &str, options: &Options) -> Result<Onnx, Fault> {
    let bytes = slim::slim(source, length)?;
    let model = proto::ModelProto::decode(bytes.as_slice()).map_err(|error| Fault::Protobuf(error.to_string()))?;
    evaluate::network(&model, name, options)
}
