//! The products of a candidate as functions of the widths of its ends: what formulas over expected widths are fed with.

use super::CostError;
use super::jet::Jet;
use crate::network::{Network, Op};
use crate::space::{Candidate, Edge, Order, Space};

/// A width at which shares of quarters and eighths are whole, to tell how the channels inside follow the ends.
const PROBE: u64 = 4096;

/// A product, with the channels that it has at one pair of widths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Product<T> {
    /// Whether each channel is convolved for itself.
    pub(super) depthwise: bool,
    /// Side of the kernel.
    pub(super) kernel: u64,
    /// Side of the output map.
    pub(super) side: u64,
    /// Side of the input map.
    pub(super) in_side: u64,
    /// Channels that come in.
    pub(super) inputs: T,
    /// Channels that go out.
    pub(super) outputs: T,
}

/// `constant + source * source width + target * target width`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    constant: f64,
    source: f64,
    target: f64,
}

/// A product whose channels follow the widths.
pub(super) type Layer = Product<Affine>;

impl Affine {
    pub(super) fn at(self, source: Jet, target: Jet) -> Jet {
        Jet::constant(self.constant) + source * self.source + target * self.target
    }
}

/// The products of `network`, in order.
pub(super) fn products(network: &Network) -> Vec<Product<u64>> {
    let side = |shape: &crate::network::Shape| shape.dims().get(1).copied().unwrap_or(1);
    let product = |(id, node): (crate::network::NodeId, &crate::network::Node)| {
        let from = network.sources(id).next().map(|source| &network.node(source).shape);
        let (depthwise, kernel, [inputs, outputs]) = match &node.op {
            Op::Conv2d(conv) => {
                let depthwise = conv.groups > 1 && conv.groups == conv.in_channels;
                (depthwise, conv.kernel[0], [conv.in_channels, conv.out_channels])
            }
            Op::Linear(linear) => (false, 1, [linear.in_features, linear.out_features]),
            _ => return None,
        };
        let in_side = from.map_or(1, side);
        Some(Product { depthwise, kernel, side: side(&node.shape), in_side, inputs, outputs })
    };
    network.nodes().filter_map(product).collect()
}

/// The products of `candidate` on `edge`.
pub(super) fn of_candidate(space: &Space, edge: &Edge, candidate: &Candidate) -> Result<Vec<Layer>, CostError> {
    // A projection as it is where there is one.
    let project = Candidate::Conv { kernel: 1, dilation: 1, order: Order::ConvNormRelu };
    let candidate = if *candidate == Candidate::Project { &project } else { candidate };
    let at = |source, target| {
        let fragment = space.fragment(edge, candidate, source, target);
        let fragment = fragment.map_err(|source| CostError::Network { edge: edge.name.clone(), source })?;
        Ok::<_, CostError>(products(&fragment))
    };
    if space.tied(edge) {
        return Ok(fitted(&at(PROBE, PROBE)?, &at(2 * PROBE, 2 * PROBE)?, &at(PROBE, PROBE)?));
    }
    Ok(fitted(&at(PROBE, PROBE)?, &at(2 * PROBE, PROBE)?, &at(PROBE, 2 * PROBE)?))
}

/// The products of the classifier; the source is the last join.
pub(super) fn of_classifier(space: &Space) -> Result<Vec<Layer>, CostError> {
    let at = |width| Ok::<_, CostError>(products(&space.classifier_fragment(width)?));
    Ok(fitted(&at(PROBE)?, &at(2 * PROBE)?, &at(PROBE)?))
}

/// The layers that have the channels of `once` where both widths are [`PROBE`], and the others' where one is twice that.
fn fitted(once: &[Product<u64>], source: &[Product<u64>], target: &[Product<u64>]) -> Vec<Layer> {
    #[expect(clippy::cast_precision_loss, reason = "channels are far below 2^52")]
    let affine = |once: u64, source: u64, target: u64| {
        let slope = |twice: u64| (twice as f64 - once as f64) / PROBE as f64;
        let (source, target) = (slope(source), slope(target));
        Affine { constant: once as f64 - (source + target) * PROBE as f64, source, target }
    };
    let layer = |((once, source), target): ((&Product<u64>, &Product<u64>), &Product<u64>)| Layer {
        depthwise: once.depthwise,
        kernel: once.kernel,
        side: once.side,
        in_side: once.in_side,
        inputs: affine(once.inputs, source.inputs, target.inputs),
        outputs: affine(once.outputs, source.outputs, target.outputs),
    };
    once.iter().zip(source).zip(target).map(layer).collect()
}
