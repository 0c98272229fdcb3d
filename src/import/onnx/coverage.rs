//! How much of a file an estimate speaks of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Macs;

/// How much of a file became a network. `nodes` is the sum of the four kinds and of the unknown ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Nodes that an output needs, bodies of functions in the places of their calls.
    pub nodes: u64,
    /// Those that are operators of the network, or part of one.
    pub operators: u64,
    /// Those that leave values as they are, or give them other places: they cost nothing.
    pub free: u64,
    /// Those that do not depend on the input: constants and arithmetic with shapes.
    pub constant: u64,
    /// Those that are not covered.
    pub unknown: Vec<UnknownNode>,
    /// Those behind unknown ones, of whose inputs the shapes are not known.
    pub behind: u64,
    /// Multiply-accumulates of the operators on one image; those of unknown nodes are not counted.
    pub macs: Macs,
    /// What was assumed, a sentence each.
    pub assumed: Vec<String>,
}

/// A node that is not covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnknownNode {
    /// Its name.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// Why.
    pub reason: String,
}

impl Coverage {
    /// Nodes that an estimate speaks of.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.operators + self.free + self.constant
    }

    /// Whether it speaks of all of them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.covered() == self.nodes
    }
}
