//! A network in the language of Graphviz.

use std::fmt::Write as _;

use super::boxes::what;
use crate::network::Network;

/// `network` as DOT text: a node for each of its nodes with operator and shape, an edge for each wire, in its order.
///
/// Nodes that the output does not depend on are dashed.
///
/// # Panics
/// Never: text is always written to.
#[must_use]
pub fn network_dot(network: &Network) -> String {
    let used = network.used();
    let mut text = format!("digraph {} {{\n  node [shape=box];\n", quoted(network.name()));
    for (id, node) in network.nodes() {
        let shape = node.shape.dims().iter().map(u64::to_string).collect::<Vec<_>>().join("×");
        let label = format!("{}\n{}\n{shape}", node.name, what(&node.op));
        let style = if used[id.index()] { "" } else { ", style=dashed" };
        writeln!(text, "  {} [label={}{style}];", quoted(&node.name), quoted(&label)).expect("text takes all");
    }
    for (id, node) in network.nodes() {
        for input in network.inputs(id) {
            let source = &network.node(input).name;
            writeln!(text, "  {} -> {};", quoted(source), quoted(&node.name)).expect("text takes all");
        }
    }
    text + "}\n"
}

/// A string of DOT: in quotes, which are escaped in it, with its lines centred.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Conv2d, Op, Shape};

    #[test]
    fn every_node_and_wire_stands_in_the_text() {
        let mut network = Network::new("a \"b\" \\", Shape::new(&[3, 8, 8]).unwrap());
        let conv = network.wire("c/conv", Op::Conv2d(Conv2d::same(3, 4, 3).strided(2)), &[network.input()]).unwrap();
        let unused = network.wire("unused", Op::Identity, &[conv]).unwrap();
        let sum = network.wire("sum", Op::Add, &[conv, conv]).unwrap();
        network.set_output(sum);
        assert_ne!(unused, sum);
        let expected = r#"digraph "a \"b\" \\" {
  node [shape=box];
  "input" [label="input\ninput\n3×8×8"];
  "c/conv" [label="c/conv\nconv 3×3 /2\n4×4×4"];
  "unused" [label="unused\nidentity\n4×4×4", style=dashed];
  "sum" [label="sum\nadd\n4×4×4"];
  "input" -> "c/conv";
  "c/conv" -> "unused";
  "c/conv" -> "sum";
  "c/conv" -> "sum";
}
"#;
        assert_eq!(network_dot(&network), expected);
    }
}
