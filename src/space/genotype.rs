//! Genotypes of DARTS: two cells as Python text, and the network that they make.
//!
//! H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055. A cell reads the
//! two cells before it; each of its nodes adds two operators, and its output is the concatenation of nodes. Cells of two
//! kinds, operators that take a stride on some edges, and halves of a strided skip are what no space of joins has. So a
//! genotype makes its network here, without a [`super::Space`].

mod parse;

pub use parse::GenotypeError;

use crate::network::{
    Activation, Bias, Conv2d, LastWindow, Linear, Network, NetworkError, NodeId, Op, Pool, PoolKind, Shape,
};

/// An operator of a genotype. At a stride, those that are learned take it in their first convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    /// Twice ReLU, depthwise convolution, 1x1 convolution, batch norm.
    SepConv(u64),
    /// ReLU, depthwise convolution of dilation 2, 1x1 convolution, batch norm.
    DilConv(u64),
    /// Pooling over 3x3, padding not counted.
    Pool(PoolKind),
    /// ReLU, 1x7 convolution, 7x1 convolution, batch norm (AmoebaNet).
    Conv7x1,
    /// Its input; at a stride two 1x1 convolutions of half the channels each.
    Skip,
}

impl Primitive {
    /// Every operator, in the order of messages.
    pub const ALL: [Self; 9] = [
        Self::SepConv(3),
        Self::SepConv(5),
        Self::SepConv(7),
        Self::DilConv(3),
        Self::DilConv(5),
        Self::Pool(PoolKind::Max),
        Self::Pool(PoolKind::Average),
        Self::Conv7x1,
        Self::Skip,
    ];

    /// Its name in genotypes.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::SepConv(kernel) => format!("sep_conv_{kernel}x{kernel}"),
            Self::DilConv(kernel) => format!("dil_conv_{kernel}x{kernel}"),
            Self::Pool(PoolKind::Max) => "max_pool_3x3".to_owned(),
            Self::Pool(PoolKind::Average) => "avg_pool_3x3".to_owned(),
            Self::Conv7x1 => "conv_7x1_1x7".to_owned(),
            Self::Skip => "skip_connect".to_owned(),
        }
    }
}

/// A cell: members 0 and 1 are the outputs of the cells before it, each node is the next member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellGenotype {
    /// What each node adds: two operators, and the member that each reads.
    nodes: Vec<[(Primitive, usize); 2]>,
    /// Members that the output concatenates, at least one.
    concat: Vec<usize>,
}

/// A normal cell and a reduction cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genotype {
    name: Option<String>,
    normal: CellGenotype,
    reduce: CellGenotype,
}

impl Genotype {
    /// The name before `=`, if the text has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// What stands around the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stem {
    /// 3x3 convolution to three times the channels, batch norm.
    Cifar,
    /// Three 3x3 convolutions of stride 2, so that the first cell's inputs differ in resolution.
    ImageNet,
}

/// A network without its cells: how many, how wide, on which images. The second and third part of three start with a
/// reduction cell, which halves the map and doubles the channels. There is no auxiliary head: it is for training alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skeleton {
    /// Channels of the first cells.
    pub channels: u64,
    /// Number of cells, at least 1.
    pub cells: u64,
    /// What stands before them.
    pub stem: Stem,
    /// Side of the images, pixels of three colours.
    pub side: u64,
    /// Number of classes.
    pub classes: u64,
}

impl Skeleton {
    /// The evaluation network of the paper on CIFAR-10: 20 cells from 36 channels.
    pub const CIFAR10: Self = Self { channels: 36, cells: 20, stem: Stem::Cifar, side: 32, classes: 10 };

    /// The evaluation network of the paper on ImageNet: 14 cells from 48 channels.
    pub const IMAGENET: Self = Self { channels: 48, cells: 14, stem: Stem::ImageNet, side: 224, classes: 1000 };

    /// Names that stand for a skeleton.
    pub const NAMES: [&str; 2] = ["darts", "darts-imagenet"];

    /// The skeleton of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|known| *known == name).map(|place| [Self::CIFAR10, Self::IMAGENET][place])
    }

    /// The network of `genotype`; what no output depends on is left out.
    ///
    /// The second half of a strided skip, and of an input at twice the resolution, reads the pixels between those of the
    /// first; here it reads the same ones: equal shapes, parameters and MACs.
    ///
    /// # Errors
    /// [`NetworkError`] where a number overflows.
    ///
    /// # Panics
    /// Where the skeleton has images without pixels.
    pub fn network(&self, genotype: &Genotype) -> Result<Network, NetworkError> {
        let image = Shape::new(&[3, self.side, self.side]).expect("images have pixels");
        let name = genotype.name().unwrap_or("genotype");
        let mut builder = Builder { network: Network::new(name, image) };
        let [mut before, mut last] = builder.stem(self)?;
        let mut halved = self.stem == Stem::ImageNet;
        let mut channels = self.channels;
        for number in 0..self.cells {
            let reduces = number == self.cells / 3 || number == 2 * self.cells / 3;
            if reduces {
                channels = channels.saturating_mul(2);
            }
            let cell = if reduces { &genotype.reduce } else { &genotype.normal };
            let site = CellSite { number, channels, halved, stride: if reduces { 2 } else { 1 } };
            (before, last) = (last, builder.cell(cell, site, [before, last])?);
            halved = reduces;
        }
        builder.classifier(last, self.classes)?;
        Ok(builder.network.pruned())
    }
}

/// Where a cell stands.
#[derive(Debug, Clone, Copy)]
struct CellSite {
    number: u64,
    channels: u64,
    /// Whether the first input has twice the resolution of the second.
    halved: bool,
    /// Of operators on the two inputs.
    stride: u64,
}

struct Builder {
    network: Network,
}

impl Builder {
    fn stem(&mut self, skeleton: &Skeleton) -> Result<[NodeId; 2], NetworkError> {
        let (image, channels) = (self.network.input(), skeleton.channels);
        match skeleton.stem {
            Stem::Cifar => {
                let conv = Conv2d::same(3, channels.saturating_mul(3), 3);
                let stem = self.conv_norm("stem", conv, image)?;
                Ok([stem; 2])
            }
            Stem::ImageNet => {
                let half = channels / 2;
                let first = self.conv_norm("stem0/first", Conv2d::same(3, half, 3).strided(2), image)?;
                let second = Conv2d::same(half, channels, 3).strided(2);
                let second = self.relu_conv_norm("stem0/second", second, first)?;
                let third = Conv2d::same(channels, channels, 3).strided(2);
                Ok([second, self.relu_conv_norm("stem1", third, second)?])
            }
        }
    }

    fn cell(&mut self, cell: &CellGenotype, site: CellSite, inputs: [NodeId; 2]) -> Result<NodeId, NetworkError> {
        let prefix = format!("cell{}", site.number);
        let [before, last] = inputs;
        let from = |builder: &Self, node| builder.network.node(node).shape.dims()[0];
        let first = if site.halved {
            self.factorized_reduce(&format!("{prefix}/in0"), before, site.channels)?
        } else {
            let conv = Conv2d::same(from(self, before), site.channels, 1);
            self.relu_conv_norm(&format!("{prefix}/in0"), conv, before)?
        };
        let conv = Conv2d::same(from(self, last), site.channels, 1);
        let mut members = vec![first, self.relu_conv_norm(&format!("{prefix}/in1"), conv, last)?];
        for node in &cell.nodes {
            let name = format!("{prefix}/n{}", members.len());
            let mut both = Vec::new();
            for ((primitive, member), side) in node.iter().zip(["a", "b"]) {
                let prefix = format!("{name}/{side}_{}", primitive.name());
                let stride = if *member < 2 { site.stride } else { 1 };
                both.push(self.primitive(*primitive, &prefix, members[*member], (site.channels, stride))?);
            }
            members.push(self.network.wire(&format!("{name}/sum"), Op::Add, &both)?);
        }
        let parts: Vec<NodeId> = cell.concat.iter().map(|&member| members[member]).collect();
        match parts[..] {
            [only] => Ok(only),
            _ => self.network.wire(&format!("{prefix}/out"), Op::Concat { axis: 0 }, &parts),
        }
    }

    /// `primitive` behind `input`, from and to `channels`.
    fn primitive(
        &mut self,
        primitive: Primitive,
        prefix: &str,
        input: NodeId,
        (channels, stride): (u64, u64),
    ) -> Result<NodeId, NetworkError> {
        let depthwise = |kernel| Conv2d::same(channels, channels, kernel).grouped(channels);
        match primitive {
            Primitive::SepConv(kernel) => {
                let half = self.separated(&format!("{prefix}/first"), depthwise(kernel).strided(stride), input)?;
                self.separated(&format!("{prefix}/second"), depthwise(kernel), half)
            }
            Primitive::DilConv(kernel) => self.separated(prefix, depthwise(kernel).dilated(2).strided(stride), input),
            Primitive::Pool(kind) => {
                let pool = Pool { kind, kernel: [3; 2], stride: [stride; 2], padding: [1; 2], last: LastWindow::Whole };
                self.network.wire(&format!("{prefix}/pool"), Op::Pool(pool), &[input])
            }
            Primitive::Conv7x1 => {
                let flat = Conv2d { kernel: [1, 7], padding: [0, 3], ..Conv2d::same(channels, channels, 1) };
                let upright = Conv2d { kernel: [7, 1], padding: [3, 0], ..Conv2d::same(channels, channels, 1) };
                let relu = self.relu(prefix, input)?;
                let flat = Op::Conv2d(Conv2d { stride: [1, stride], ..flat });
                let flat = self.network.wire(&format!("{prefix}/conv_1x7"), flat, &[relu])?;
                self.conv_norm(prefix, Conv2d { stride: [stride, 1], ..upright }, flat)
            }
            Primitive::Skip if stride == 1 => Ok(input),
            Primitive::Skip => self.factorized_reduce(prefix, input, channels),
        }
    }

    /// ReLU, depthwise convolution, 1x1 convolution, batch norm.
    fn separated(&mut self, prefix: &str, depthwise: Conv2d, input: NodeId) -> Result<NodeId, NetworkError> {
        let channels = depthwise.out_channels;
        let relu = self.relu(prefix, input)?;
        let depthwise = self.network.wire(&format!("{prefix}/dw"), Op::Conv2d(depthwise), &[relu])?;
        self.conv_norm(prefix, Conv2d::same(channels, channels, 1), depthwise)
    }

    /// ReLU, two 1x1 convolutions of stride 2 with half the channels each, batch norm.
    fn factorized_reduce(&mut self, prefix: &str, input: NodeId, channels: u64) -> Result<NodeId, NetworkError> {
        let in_channels = self.network.node(input).shape.dims()[0];
        let relu = self.relu(prefix, input)?;
        let half = channels / 2;
        let conv = |out| Op::Conv2d(Conv2d::same(in_channels, out, 1).strided(2));
        let even = self.network.wire(&format!("{prefix}/even"), conv(half), &[relu])?;
        let odd = self.network.wire(&format!("{prefix}/odd"), conv(channels - half), &[relu])?;
        let both = self.network.wire(&format!("{prefix}/concat"), Op::Concat { axis: 0 }, &[even, odd])?;
        self.network.wire(&format!("{prefix}/bn"), Op::BatchNorm { channels }, &[both])
    }

    fn relu(&mut self, prefix: &str, input: NodeId) -> Result<NodeId, NetworkError> {
        self.network.wire(&format!("{prefix}/act"), Op::Activation(Activation::Relu), &[input])
    }

    fn relu_conv_norm(&mut self, prefix: &str, conv: Conv2d, input: NodeId) -> Result<NodeId, NetworkError> {
        let relu = self.relu(prefix, input)?;
        self.conv_norm(prefix, conv, relu)
    }

    fn conv_norm(&mut self, prefix: &str, conv: Conv2d, input: NodeId) -> Result<NodeId, NetworkError> {
        let channels = conv.out_channels;
        let conv = self.network.wire(&format!("{prefix}/conv"), Op::Conv2d(conv), &[input])?;
        self.network.wire(&format!("{prefix}/bn"), Op::BatchNorm { channels }, &[conv])
    }

    fn classifier(&mut self, last: NodeId, classes: u64) -> Result<NodeId, NetworkError> {
        let pooled = self.network.wire("classifier/pool", Op::GlobalAveragePool, &[last])?;
        let flat = self.network.wire("classifier/flatten", Op::Flatten, &[pooled])?;
        let in_features = self.network.node(flat).shape.elements();
        let linear = Linear { in_features, out_features: classes, bias: Bias::With };
        self.network.wire("classifier/linear", Op::Linear(linear), &[flat])
    }
}

#[cfg(test)]
mod tests;
