//! How much of an ONNX file an estimate covers.

use crate::cli::numbers::grouped;
use crate::import::onnx::{Coverage, UnknownNode};

/// Unknown nodes that are named one by one.
const SHOWN: usize = 10;

/// How much of an ONNX file is covered, and what is not.
pub(super) fn covered(network: &str, coverage: &Coverage) -> Vec<String> {
    let Coverage { nodes, unknown, behind, macs, assumed, .. } = coverage;
    let unknown_count = unknown.len();
    let rest = match (unknown_count, behind) {
        (0, 0) => String::new(),
        (count, 0) => format!("; {count} unknown, whose MACs are not counted"),
        (count, behind) => format!("; {count} unknown and {behind} behind them, whose MACs are not counted"),
    };
    let share = format!("{} of {nodes} nodes covered, {} MACs an image{rest}", coverage.covered(), grouped(macs.0));
    let mut lines = vec![format!("{network}: {share}")];
    lines.extend(assumed.iter().map(|assumption| format!("{network}: {assumption}")));
    let name = |node: &UnknownNode| format!("{network}: node `{}` ({}): {}", node.node, node.operator, node.reason);
    lines.extend(unknown.iter().take(SHOWN).map(name));
    if unknown_count > SHOWN {
        lines.push(format!("{network}: and {} more; --json names all", unknown_count - SHOWN));
    }
    lines
}
