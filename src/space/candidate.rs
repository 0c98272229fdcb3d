//! Candidate operators: what an edge of a search space can be, and how each is wired at given widths.

use crate::network::{Activation, Bias, Conv2d, LastWindow, Network, NetworkError, NodeId, Op, Pool, PoolKind};

/// Order of normalisation and activation around a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Convolution, batch norm, ReLU.
    ConvNormRelu,
    /// ReLU, convolution, batch norm (NAS-Bench-201).
    ReluConvNorm,
    /// Convolution, batch norm.
    ConvNorm,
}

/// One candidate operator of an edge.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidate {
    /// Dense convolution with batch norm and ReLU; `dilation` 1 is the plain one.
    Conv {
        /// Side of the kernel, odd.
        kernel: u64,
        /// Distance of the kernel's taps.
        dilation: u64,
        /// Where the ReLU stands.
        order: Order,
    },
    /// Depthwise convolution, batch norm, ReLU, then 1x1 convolution, batch norm, ReLU.
    Separable {
        /// Side of the depthwise kernel, odd.
        kernel: u64,
    },
    /// `depth` inverted bottlenecks (MobileNetV2), the first of which takes the stride and changes the width.
    InvertedBottleneck(InvertedBottleneck),
    /// Pooling that keeps the width.
    Pool {
        /// Largest value or mean.
        kind: PoolKind,
        /// Side of the window.
        kernel: u64,
        /// Zeros around the map.
        padding: u64,
    },
    /// Batch norm and ReLU (the end of NAS-Bench-201's network).
    NormRelu,
    /// NAS-Bench-201's reduction: two 3x3 ReLU-convolution-norm, beside average pooling and a 1x1 convolution.
    Reduction,
    /// The channels that both ends have, zeros for the rest: free. At a stride, where nothing can be copied, a 1x1
    /// convolution with batch norm (NAS-Bench-Macro).
    Identity,
    /// Nothing: the edge is cut.
    Zero,
    /// 1x1 convolution, batch norm and ReLU to the width of a join that projects; nothing where its source is as wide
    /// (U-Boost NAS). Stands behind a branch, never among the candidates of a search.
    Project,
}

/// 1x1 expand, depthwise, squeeze-excitation if any, 1x1 project; batch norm each, ReLU after the first two; a shortcut
/// where stride is 1 and both ends have one width by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct InvertedBottleneck {
    /// Side of the depthwise kernel, odd.
    pub kernel: u64,
    /// Hidden channels for each input channel; at 1 there is no expanding convolution.
    pub expansion: u64,
    /// Squeezed channels as a share of the layer's input channels, at least 1 channel; 0 for none.
    pub squeeze_excitation: f64,
    /// Layers in a row.
    pub depth: u64,
}

/// Where a candidate is wired: the widths of both ends, the stride, and whether the ends share one width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Site {
    /// Channels that come in.
    pub in_width: u64,
    /// Channels that go out.
    pub out_width: u64,
    /// 1 or more.
    pub stride: u64,
    /// Whether both ends have one width by construction, not by chance.
    pub tied: bool,
}

/// Which end of an edge an inner width follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The edge's source.
    Source,
    /// The edge's target.
    Target,
}

/// How many channels inside a candidate belong to `width` channels of one of its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inner {
    /// `factor * width`.
    Times(u64),
    /// `max(1, floor(share * width))`.
    Share(f64),
}

impl Inner {
    /// Channels inside for `width` channels at the end.
    #[must_use]
    pub fn channels(self, width: u64) -> u64 {
        match self {
            Self::Times(factor) => factor.saturating_mul(width),
            Self::Share(share) => squeezed(width, share),
        }
    }
}

/// A node of a wired candidate whose channels follow the width of one end: where a supernet puts a mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaskPoint {
    /// The node: after batch norm, never before it (which would cancel the mask).
    pub node: NodeId,
    /// The end that it follows.
    pub end: End,
    /// By which rule.
    pub inner: Inner,
}

/// What wiring a candidate gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Wired {
    /// The last node.
    pub output: NodeId,
    /// Inner widths that follow an end.
    pub masks: Vec<MaskPoint>,
}

fn squeezed(width: u64, share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "channels are far below 2^52 and the share lies in 0..=1"
    )]
    let channels = (width as f64 * share).floor() as u64;
    channels.max(1)
}

impl Candidate {
    /// The name in files, tables and architecture files.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Conv { kernel, dilation: 1, order: _ } => format!("conv{kernel}"),
            Self::Conv { kernel, dilation, order: _ } => format!("conv{kernel}_d{dilation}"),
            Self::Separable { kernel } => format!("separable{kernel}"),
            Self::InvertedBottleneck(block) => block.label(),
            Self::Pool { kind: PoolKind::Max, kernel, .. } => format!("max_pool{kernel}"),
            Self::Pool { kind: PoolKind::Average, kernel, .. } => format!("average_pool{kernel}"),
            Self::NormRelu => "norm_relu".to_owned(),
            Self::Reduction => "reduction".to_owned(),
            Self::Identity => "identity".to_owned(),
            Self::Zero => "zero".to_owned(),
            Self::Project => "project".to_owned(),
        }
    }

    /// Whether the candidate can change the number of channels by learned weights or by copying.
    #[must_use]
    pub fn changes_width(&self) -> bool {
        match self {
            Self::Conv { .. }
            | Self::Separable { .. }
            | Self::InvertedBottleneck(_)
            | Self::Reduction
            | Self::Identity
            | Self::Zero
            | Self::Project => true,
            Self::Pool { .. } | Self::NormRelu => false,
        }
    }

    /// Whether it copies the first channels of its source, in order, at this stride.
    #[must_use]
    pub fn copies(&self, stride: u64) -> bool {
        match self {
            Self::Pool { .. } | Self::NormRelu => true,
            Self::Identity => stride == 1,
            Self::Conv { .. }
            | Self::Separable { .. }
            | Self::InvertedBottleneck(_)
            | Self::Reduction
            | Self::Zero
            | Self::Project => false,
        }
    }

    /// Adds the candidate to `network` behind `input`; its nodes are named `prefix/...`.
    ///
    /// # Errors
    /// [`NetworkError`] where a window does not fit the map or a number overflows.
    pub fn wire(&self, network: &mut Network, prefix: &str, input: NodeId, site: Site) -> Result<Wired, NetworkError> {
        let mut wiring = Wiring { network, prefix, masks: Vec::new() };
        let output = match self {
            Self::Conv { kernel, dilation, order } => {
                let conv = Conv2d::same(site.in_width, site.out_width, *kernel).dilated(*dilation);
                wiring.conv("", conv.strided(site.stride), *order, input)?
            }
            Self::Separable { kernel } => wiring.separable(*kernel, input, site)?,
            Self::InvertedBottleneck(block) => wiring.bottlenecks(block, input, site)?,
            Self::Pool { kind, kernel, padding } => wiring.pool(*kind, *kernel, *padding, input, site)?,
            Self::NormRelu => {
                let norm = wiring.add("bn", Op::BatchNorm { channels: site.in_width }, &[input])?;
                wiring.add("act", Op::Activation(Activation::Relu), &[norm])?
            }
            Self::Reduction => wiring.reduction(input, site)?,
            Self::Identity => wiring.identity(input, site)?,
            Self::Zero => wiring.add("zero", Op::Zero { channels: site.out_width }, &[input])?,
            Self::Project if site.in_width == site.out_width => input,
            Self::Project => {
                let project = Conv2d::same(site.in_width, site.out_width, 1);
                wiring.conv("", project, Order::ConvNormRelu, input)?
            }
        };
        Ok(Wired { output, masks: wiring.masks })
    }
}

impl InvertedBottleneck {
    fn label(&self) -> String {
        let mut label = format!("bottleneck{}_e{}", self.kernel, self.expansion);
        if self.squeeze_excitation > 0.0 {
            label.push_str("_se");
        }
        if self.depth > 1 {
            label.push_str(&format!("_x{}", self.depth));
        }
        label
    }
}

struct Wiring<'a> {
    network: &'a mut Network,
    prefix: &'a str,
    masks: Vec<MaskPoint>,
}

impl Wiring<'_> {
    fn add(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId, NetworkError> {
        self.network.wire(&format!("{}/{name}", self.prefix), op, inputs)
    }

    fn mask(&mut self, node: NodeId, end: End, inner: Inner) {
        self.masks.push(MaskPoint { node, end, inner });
    }

    /// Convolution, batch norm and ReLU in `order`; the nodes are `{stem}conv`, `{stem}bn`, `{stem}act`.
    fn conv(&mut self, stem: &str, conv: Conv2d, order: Order, input: NodeId) -> Result<NodeId, NetworkError> {
        let channels = conv.out_channels;
        let relu = Op::Activation(Activation::Relu);
        let before = match order {
            Order::ReluConvNorm => self.add(&format!("{stem}act"), relu.clone(), &[input])?,
            Order::ConvNormRelu | Order::ConvNorm => input,
        };
        let conv = self.add(&format!("{stem}conv"), Op::Conv2d(conv), &[before])?;
        let norm = self.add(&format!("{stem}bn"), Op::BatchNorm { channels }, &[conv])?;
        match order {
            Order::ConvNormRelu => self.add(&format!("{stem}act"), relu, &[norm]),
            Order::ReluConvNorm | Order::ConvNorm => Ok(norm),
        }
    }

    fn separable(&mut self, kernel: u64, input: NodeId, site: Site) -> Result<NodeId, NetworkError> {
        let width = site.in_width;
        let depthwise = Conv2d::same(width, width, kernel).grouped(width).strided(site.stride);
        let hidden = self.conv("dw_", depthwise, Order::ConvNormRelu, input)?;
        self.mask(hidden, End::Source, Inner::Times(1));
        self.conv("pw_", Conv2d::same(width, site.out_width, 1), Order::ConvNormRelu, hidden)
    }

    fn pool(
        &mut self,
        kind: PoolKind,
        kernel: u64,
        padding: u64,
        input: NodeId,
        site: Site,
    ) -> Result<NodeId, NetworkError> {
        let pool = Pool {
            kind,
            kernel: [kernel; 2],
            stride: [site.stride; 2],
            padding: [padding; 2],
            last: LastWindow::Whole,
        };
        let pooled = self.add("pool", Op::Pool(pool), &[input])?;
        if site.in_width == site.out_width {
            return Ok(pooled);
        }
        self.add("fit", Op::FitChannels { channels: site.out_width }, &[pooled])
    }

    fn identity(&mut self, input: NodeId, site: Site) -> Result<NodeId, NetworkError> {
        if site.stride > 1 {
            let project = Conv2d::same(site.in_width, site.out_width, 1).strided(site.stride);
            return self.conv("", project, Order::ConvNorm, input);
        }
        if site.in_width == site.out_width {
            return Ok(input);
        }
        self.add("fit", Op::FitChannels { channels: site.out_width }, &[input])
    }

    fn reduction(&mut self, input: NodeId, site: Site) -> Result<NodeId, NetworkError> {
        let Site { in_width, out_width, stride, .. } = site;
        let first = Conv2d::same(in_width, out_width, 3).strided(stride);
        let first = self.conv("a_", first, Order::ReluConvNorm, input)?;
        self.mask(first, End::Target, Inner::Times(1));
        let second = self.conv("b_", Conv2d::same(out_width, out_width, 3), Order::ReluConvNorm, first)?;
        let kernel = [stride; 2];
        let pool = Pool { kind: PoolKind::Average, kernel, stride: kernel, padding: [0; 2], last: LastWindow::Whole };
        let pooled = self.add("pool", Op::Pool(pool), &[input])?;
        let project = Conv2d { bias: Bias::Without, ..Conv2d::same(in_width, out_width, 1) };
        let short = self.add("project", Op::Conv2d(project), &[pooled])?;
        self.add("add", Op::Add, &[second, short])
    }

    fn bottlenecks(&mut self, block: &InvertedBottleneck, input: NodeId, site: Site) -> Result<NodeId, NetworkError> {
        let mut output = self.bottleneck("", block, input, End::Source, site)?;
        for layer in 1..block.depth {
            self.mask(output, End::Target, Inner::Times(1));
            let inner = Site { in_width: site.out_width, stride: 1, tied: true, ..site };
            output = self.bottleneck(&format!("l{layer}_"), block, output, End::Target, inner)?;
        }
        Ok(output)
    }

    fn bottleneck(
        &mut self,
        stem: &str,
        block: &InvertedBottleneck,
        input: NodeId,
        end: End,
        site: Site,
    ) -> Result<NodeId, NetworkError> {
        let hidden_width = block.expansion.saturating_mul(site.in_width);
        let inner = Inner::Times(block.expansion);
        let mut hidden = input;
        if block.expansion > 1 {
            let expand = Conv2d::same(site.in_width, hidden_width, 1);
            hidden = self.conv(&format!("{stem}expand_"), expand, Order::ConvNormRelu, hidden)?;
            self.mask(hidden, end, inner);
        }
        let depthwise = Conv2d::same(hidden_width, hidden_width, block.kernel).grouped(hidden_width);
        hidden = self.conv(&format!("{stem}dw_"), depthwise.strided(site.stride), Order::ConvNormRelu, hidden)?;
        self.mask(hidden, end, inner);
        if block.squeeze_excitation > 0.0 {
            let gate = Gate { width: hidden_width, base: site.in_width, share: block.squeeze_excitation, end };
            hidden = self.squeeze_excitation(stem, hidden, gate)?;
        }
        let project = Conv2d::same(hidden_width, site.out_width, 1);
        let projected = self.conv(&format!("{stem}project_"), project, Order::ConvNorm, hidden)?;
        if site.stride == 1 && site.tied {
            return self.add(&format!("{stem}add"), Op::Add, &[projected, input]);
        }
        Ok(projected)
    }

    /// `x * sigmoid(W2 relu(W1 mean(x)))`, both products 1x1 convolutions with bias (Hu et al. 2018).
    fn squeeze_excitation(&mut self, stem: &str, input: NodeId, gate: Gate) -> Result<NodeId, NetworkError> {
        let with_bias = |conv: Conv2d| Op::Conv2d(Conv2d { bias: Bias::With, ..conv });
        let inner = Inner::Share(gate.share);
        let squeeze = inner.channels(gate.base);
        let mean = self.add(&format!("{stem}se_mean"), Op::GlobalAveragePool, &[input])?;
        let reduce = with_bias(Conv2d::same(gate.width, squeeze, 1));
        let reduce = self.add(&format!("{stem}se_reduce"), reduce, &[mean])?;
        let relu = self.add(&format!("{stem}se_act"), Op::Activation(Activation::Relu), &[reduce])?;
        self.mask(relu, gate.end, inner);
        let expand = with_bias(Conv2d::same(squeeze, gate.width, 1));
        let expand = self.add(&format!("{stem}se_expand"), expand, &[relu])?;
        let sigmoid = self.add(&format!("{stem}se_gate"), Op::Activation(Activation::Sigmoid), &[expand])?;
        self.add(&format!("{stem}se"), Op::Multiply, &[input, sigmoid])
    }
}

/// A squeeze-excitation: channels that it scales, the width that its squeezed channels are a share of.
#[derive(Debug, Clone, Copy)]
struct Gate {
    width: u64,
    base: u64,
    share: f64,
    end: End,
}
