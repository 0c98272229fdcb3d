//! The shared language: a network is a directed acyclic graph of operators, and every edge has a shape.

mod file;
mod function;
mod layout;
mod norm;
mod op;
mod shape;
pub mod weights;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

pub use file::{NetworkFile, Pair};
pub use function::{Function, Reduce, Reduction};
pub use layout::{Embedding, Gather, Origin, Pad, Resize, ResizeMode, Slice, Tensor};
pub use norm::{Affine, Norm, NormKind};
pub use op::{Activation, Bias, Conv2d, ConvTranspose2d, LastWindow, Linear, Op, Pool, PoolKind};
pub use shape::{Shape, ShapeError};

use crate::units::Macs;

/// A node of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(NodeIndex);

impl NodeId {
    /// Position in the network's order.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }
}

/// One operator with its name and the shape of what it puts out.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// `[a-z][a-z0-9_]*`, joined by `/`; unique in the network.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Shape of its output for one image.
    pub shape: Shape,
}

impl Node {
    /// Multiply-accumulates on one image.
    #[must_use]
    pub fn macs(&self) -> Macs {
        Macs(self.op.macs(&self.shape).expect("wire() refuses nodes whose MACs pass u64"))
    }

    /// Learned values.
    #[must_use]
    pub fn params(&self) -> u64 {
        weights::parameters(&self.op).expect("wire() refuses nodes whose parameters pass u64")
    }
}

/// Why a node cannot join a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The operator does not take these inputs.
    #[error("node `{node}`: {source}")]
    Shape {
        /// The node.
        node: String,
        /// The rule that is broken.
        source: ShapeError,
    },
    /// Two nodes of one name.
    #[error("node `{0}`: the name is taken by a node before it")]
    Duplicate(String),
    /// A name that is not `[a-z][a-z0-9_]*` joined by `/`.
    #[error("node `{0}`: a name is made of parts [a-z][a-z0-9_]* joined by `/`")]
    Name(String),
    /// A number of MACs or parameters that no 64-bit number holds.
    #[error("node `{0}`: its MACs or parameters pass 64 bits")]
    Overflow(String),
}

/// A network: operators, wired, with one input and one output.
///
/// Nodes keep the order in which they were wired, which is topological: an input of a node stands before it.
#[derive(Debug, Clone)]
pub struct Network {
    name: String,
    graph: DiGraph<Node, usize>,
    output: NodeIndex,
    /// Hashes of the nodes' names, and of those that were refused: only a name whose hash is here can be taken.
    hashes: HashSet<u64>,
}

impl Network {
    /// A network that is only its input.
    #[must_use]
    pub fn new(name: &str, input: Shape) -> Self {
        let mut graph = DiGraph::new();
        let output = graph.add_node(Node { name: "input".to_owned(), op: Op::Input, shape: input });
        Self { name: name.to_owned(), graph, output, hashes: HashSet::from([hash("input")]) }
    }

    /// Adds a node behind `inputs`, infers its shape, and makes it the output.
    ///
    /// # Errors
    /// [`NetworkError`] where the operator does not take these inputs or the name is bad.
    pub fn wire(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId, NetworkError> {
        if !is_name(name) {
            return Err(NetworkError::Name(name.to_owned()));
        }
        if !self.hashes.insert(hash(name)) && self.graph.node_weights().any(|node| node.name == name) {
            return Err(NetworkError::Duplicate(name.to_owned()));
        }
        let shapes: Vec<&Shape> = inputs.iter().map(|id| &self.graph[id.0].shape).collect();
        let shape =
            shape::infer(&op, &shapes).map_err(|source| NetworkError::Shape { node: name.to_owned(), source })?;
        if op.macs(&shape).is_none() || weights::parameters(&op).is_none() {
            return Err(NetworkError::Overflow(name.to_owned()));
        }
        let id = self.graph.add_node(Node { name: name.to_owned(), op, shape });
        for (place, input) in inputs.iter().enumerate() {
            self.graph.add_edge(input.0, id, place);
        }
        self.output = id;
        Ok(NodeId(id))
    }

    /// Makes `node` the output.
    pub fn set_output(&mut self, node: NodeId) {
        self.output = node.0;
    }

    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same network under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The input node.
    #[must_use]
    pub fn input(&self) -> NodeId {
        NodeId(NodeIndex::new(0))
    }

    /// The output node.
    #[must_use]
    pub fn output(&self) -> NodeId {
        NodeId(self.output)
    }

    /// The node `id`.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.graph[id.0]
    }

    /// All nodes in topological order, the input first.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.graph.node_indices().map(|index| (NodeId(index), &self.graph[index]))
    }

    /// Number of nodes, the input included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether it is only its input.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 1
    }

    /// The inputs of `id`, in the operator's order.
    #[must_use]
    pub fn inputs(&self, id: NodeId) -> Vec<NodeId> {
        let mut inputs: Vec<(usize, NodeId)> =
            self.graph.edges_directed(id.0, Direction::Incoming).map(|e| (*e.weight(), NodeId(e.source()))).collect();
        inputs.sort_unstable();
        inputs.into_iter().map(|(_, id)| id).collect()
    }

    /// The inputs of `id` in no particular order, without a list of them.
    pub fn sources(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.graph.neighbors_directed(id.0, Direction::Incoming).map(NodeId)
    }

    /// Which nodes the output depends on, by position.
    #[must_use]
    pub fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.len()];
        let mut open = vec![self.output()];
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut used[id.index()], true) {
                open.extend(self.sources(id));
            }
        }
        used
    }

    /// The network without the nodes that its output does not depend on; the input stays.
    #[must_use]
    pub fn pruned(self) -> Self {
        let used = self.used();
        if used.iter().skip(1).all(|&used| used) {
            return self;
        }
        let mut pruned = Self::new(&self.name, self.node(self.input()).shape.clone());
        let mut moved = vec![pruned.input(); self.len()];
        for (id, node) in self.nodes().skip(1).filter(|(id, _)| used[id.index()]) {
            let inputs: Vec<NodeId> = self.inputs(id).iter().map(|input| moved[input.index()]).collect();
            let wired = pruned.wire(&node.name, node.op.clone(), &inputs);
            moved[id.index()] = wired.expect("a node that was wired once is wired again on equal inputs");
        }
        pruned
    }

    /// Multiply-accumulates on one image; 2^64 - 1 where they are more.
    #[must_use]
    pub fn macs(&self) -> Macs {
        Macs(self.graph.node_weights().map(|node| node.macs().0).fold(0, u64::saturating_add))
    }

    /// Learned values; 2^64 - 1 where they are more.
    #[must_use]
    pub fn params(&self) -> u64 {
        self.graph.node_weights().map(Node::params).fold(0, u64::saturating_add)
    }
}

/// Two networks are equal where their names, nodes, wires and outputs are.
impl PartialEq for Network {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.output == other.output
            && self.len() == other.len()
            && self.nodes().zip(other.nodes()).all(|((a, x), (b, y))| x == y && self.inputs(a) == other.inputs(b))
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn is_name(name: &str) -> bool {
    name.split('/').all(|part| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

/// A network file with every operator in it, for the tests of all rooms that handle each.
#[cfg(test)]
pub(crate) const EVERY_OPERATOR: &str = include_str!("every_operator.yaml");

/// Nodes behind an input of `[6, 8, 8]` with every operator that can be estimated and not run.
#[cfg(test)]
pub(crate) const ONLY_ESTIMATED: [&str; 5] = [
    "  - { name: a, op: { elementwise: { function: scale } } }\n",
    "  - { name: a, op: { gather: { axis: 1, count: 5 } } }\n",
    "  - { name: a, op: { resize: { shape: [6, 16, 16], mode: nearest } } }\n",
    "  - { name: a, op: { local-response-norm: { size: 5 } } }\n",
    "  - { name: t, op: { tensor: { shape: [6, 1, 1], origin: given } }, inputs: [] }\n  - { name: a, op: add, inputs: [input, t] }\n",
];

#[cfg(test)]
mod tests;
