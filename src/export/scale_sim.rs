//! The layers of a network as a topology of SCALE-Sim v3.
//!
//! | layer | row |
//! |---|---|
//! | convolution, depthwise convolution | itself, over the part of its padded input that it reads |
//! | every other single product `[m, k] x [k, n]` | a 1x1 convolution of a map `[k, m, 1]` to `n` filters |
//! | every other layer of several products | a depthwise layer of as many channels, each a map of height `m k`, filters of height `k`, stride `k` |
//!
//! A row is the layer's matrix products: SCALE-Sim's cycles for it are those of the timing `scale-sim` with depthwise
//! `per-channel`.

use std::fmt::Write as _;

use crate::accel::Gemm;
use crate::estimate::{EstimateError, gemm};
use crate::import::scale_sim::{Conv, Row, RowKind};
use crate::network::{Conv2d, Network, Node, Op, Shape};

const HEADER: &str =
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n";
/// What makes a layer depthwise, somewhere in its name; a network's own names are in lower case.
const DEPTHWISE: &str = "DP";

/// What a topology says of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// A row for each layer that multiplies, in the network's order.
    pub rows: Vec<Row>,
    /// Layers whose row is their products and not they themselves: grouped, dilated and transposed convolutions, those
    /// of two strides, and products of two activations. A linear layer is a convolution and not among them.
    pub as_products: Vec<String>,
    /// Layers that multiply nothing, which no row can say.
    pub left_out: usize,
}

impl Topology {
    /// The topology of `network` for one image.
    ///
    /// # Errors
    /// [`EstimateError::Workload`] for a layer whose products are too large to count.
    pub fn of(network: &Network) -> Result<Self, EstimateError> {
        let mut topology = Self { rows: Vec::new(), as_products: Vec::new(), left_out: 0 };
        for (_, node) in network.nodes().skip(1) {
            let error = |source| EstimateError::Workload { layer: node.name.clone(), source };
            match gemm(&node.op, &node.shape, 1).map_err(error)? {
                Some(gemm) => topology.push(node, &gemm),
                None => topology.left_out += 1,
            }
        }
        Ok(topology)
    }

    fn push(&mut self, node: &Node, gemm: &Gemm) {
        let conv = match &node.op {
            Op::Conv2d(conv) => itself(conv, &node.shape),
            _ => None,
        };
        let is_itself = conv.is_some() || matches!(node.op, Op::Linear(_));
        let conv = conv.unwrap_or_else(|| products(gemm));
        if !is_itself {
            self.as_products.push(node.name.clone());
        }
        let name = if conv.depthwise { format!("{DEPTHWISE}{}", node.name) } else { node.name.clone() };
        // The header is line 1.
        let line = self.rows.len() as u64 + 2;
        self.rows.push(Row { name, line, kind: RowKind::Conv(conv) });
    }

    /// The file: a header, a line for each row.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for row in &self.rows {
            let RowKind::Conv(conv) = row.kind else { unreachable!("every row is made as a convolution") };
            let Conv { ifmap_h, ifmap_w, filter_h, filter_w, channels, filters, stride_h, .. } = conv;
            let name = &row.name;
            let line =
                format!("{name}, {ifmap_h}, {ifmap_w}, {filter_h}, {filter_w}, {channels}, {filters}, {stride_h},");
            writeln!(text, "{line}").expect("a string takes every line");
        }
        text
    }
}

/// The row of a convolution that SCALE-Sim has: dense or depthwise, of one stride, its filter without holes.
///
/// Input `(output - 1) * stride + filter` a side: values behind the last window are left out, since SCALE-Sim rounds the
/// number of windows up.
fn itself(conv: &Conv2d, out: &Shape) -> Option<Conv> {
    let depthwise = conv.groups > 1 && conv.groups == conv.in_channels;
    let [_, out_h, out_w] = out.as_map()?;
    let [stride, other] = conv.stride;
    if stride != other || conv.dilation != [1, 1] || (conv.groups > 1 && !depthwise) {
        return None;
    }
    let [filter_h, filter_w] = conv.kernel;
    Some(Conv {
        ifmap_h: (out_h - 1) * stride + filter_h,
        ifmap_w: (out_w - 1) * stride + filter_w,
        filter_h,
        filter_w,
        channels: conv.in_channels,
        filters: conv.out_channels / conv.groups,
        stride_h: stride,
        stride_w: stride,
        depthwise,
    })
}

/// A row whose products are `gemm`: `repeats` of them are the channels of a depthwise layer.
fn products(gemm: &Gemm) -> Conv {
    let one = Conv {
        ifmap_h: gemm.m(),
        ifmap_w: 1,
        filter_h: 1,
        filter_w: 1,
        channels: gemm.k(),
        filters: gemm.n(),
        stride_h: 1,
        stride_w: 1,
        depthwise: false,
    };
    if gemm.repeats() == 1 {
        return one;
    }
    // m k is at most the product's MACs, which are below 2^64.
    let (m, k) = (gemm.m(), gemm.k());
    Conv { ifmap_h: m * k, filter_h: k, channels: gemm.repeats(), stride_h: k, stride_w: k, depthwise: true, ..one }
}

#[cfg(test)]
mod tests;
