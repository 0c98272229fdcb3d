//! What every node of a file puts out.

use super::call::Value;
use super::graph::Flat;

/// A value that a node puts out, as the importer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeValue {
    /// The node's name, those of the functions that it stands in before it.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// The value's name in the file.
    pub value: String,
    /// Its dimensions, a batch of 1 among them; nothing where an operator that is not covered puts it out.
    pub dims: Option<Vec<u64>>,
}

/// The values of `flat`, of which `value` says what is known.
pub(super) fn of(flat: &Flat, value: impl Fn(&str) -> Value) -> impl Iterator<Item = NodeValue> {
    flat.node.output.iter().filter(|name| !name.is_empty()).map(move |name| NodeValue {
        node: flat.name.clone(),
        operator: flat.operator(),
        value: name.clone(),
        dims: value(name).dims().map(<[u64]>::to_vec),
    })
}
