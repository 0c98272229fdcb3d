//! The YAML form of a network.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::path::Path;

use petgraph::algo::toposort;
use petgraph::graph::DiGraph;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Activation, Affine, Bias, Conv2d, ConvTranspose2d, Embedding, Function, Gather, LastWindow, Linear, Network,
    NetworkError, NodeId, Norm, NormKind, Op, Pad, Pool, PoolKind, Reduce, Resize, Shape, ShapeError, Slice, Tensor,
};
use crate::load::{self, LoadError, Place, Spanned, unplaced};

/// A network as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkFile {
    /// Version of this form: 1.
    #[schemars(with = "u32", range(min = 1, max = 1))]
    version: Spanned<u32>,
    /// Name of the network.
    name: String,
    /// Shape of the input without the batch: `[channels, height, width]` or `[features]`.
    #[schemars(with = "Vec<u64>")]
    input: Spanned<Vec<u64>>,
    /// The operators.
    #[schemars(with = "Vec<NodeFile>")]
    nodes: Spanned<Vec<NodeFile>>,
    /// Name of the output node; the last of the list where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    output: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NodeFile {
    /// Parts `[a-z][a-z0-9_]*` joined by `/`, unique.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// The operator.
    op: OpFile,
    /// Names of the nodes it reads; the node before it in the list (or `input`) where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    inputs: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum OpFile {
    Conv2d(Conv2dFile),
    ConvTranspose2d(ConvTransposeFile),
    Linear(LinearFile),
    Matmul,
    Embedding(Embedding),
    BatchNorm,
    LayerNorm(NormFile),
    RmsNorm(NormFile),
    GroupNorm(GroupNormFile),
    LocalResponseNorm {
        size: u64,
    },
    Relu,
    Relu6,
    LeakyRelu {
        slope: f64,
    },
    Sigmoid,
    HardSigmoid,
    Silu,
    HardSwish,
    Gelu,
    Tanh,
    Elu {
        alpha: f64,
    },
    Softplus,
    Clip {
        low: f64,
        high: f64,
    },
    MaxPool(PoolFile),
    AveragePool(PoolFile),
    GlobalAveragePool,
    Reduce(Reduce),
    Add,
    Multiply,
    Elementwise {
        function: Function,
    },
    /// Along axis 0: the channels.
    Concat,
    /// Along another axis.
    ConcatAlong {
        axis: u64,
    },
    Identity,
    FitChannels {
        channels: u64,
    },
    Zero {
        channels: u64,
    },
    Flatten,
    Reshape {
        shape: Vec<u64>,
    },
    Transpose {
        order: Vec<u64>,
    },
    Slice(Slice),
    Gather(Gather),
    Pad(Pad),
    Expand {
        shape: Vec<u64>,
    },
    Resize(Resize),
    Tensor(Tensor),
    /// Along axis 0.
    Softmax,
    /// Along another axis.
    SoftmaxAlong {
        axis: u64,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConvTransposeFile {
    out_channels: u64,
    kernel: Pair,
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    stride: Pair,
    /// What is cut from each end of the output.
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    padding: Pair,
    /// What is added to the far end of the output.
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    output_padding: Pair,
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    dilation: Pair,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    groups: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    bias: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NormFile {
    /// Values that are normalised together: the product of the innermost dimensions.
    features: u64,
    affine: Affine,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GroupNormFile {
    groups: u64,
    affine: Affine,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Conv2dFile {
    out_channels: u64,
    kernel: Pair,
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    stride: Pair,
    /// Zeros around the map; `dilation * (kernel - 1) / 2` where absent, which keeps the map at stride 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    padding: Option<Pair>,
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    dilation: Pair,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    groups: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    bias: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LinearFile {
    out_features: u64,
    /// Length of the innermost dimension; the input is a vector or `[tokens, features]` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_features: Option<u64>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    bias: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PoolFile {
    kernel: Pair,
    /// The kernel where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stride: Option<Pair>,
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    padding: Pair,
    /// Whether a last window that leaves the padded map is kept.
    #[serde(default, skip_serializing_if = "is_false")]
    ceil: bool,
}

/// `[height, width]`, or one number for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair(pub [u64; 2]);

impl Pair {
    fn one() -> Self {
        Self([1; 2])
    }

    fn zero() -> Self {
        Self([0; 2])
    }

    fn is_one(&self) -> bool {
        *self == Self::one()
    }

    fn is_zero(&self) -> bool {
        *self == Self::zero()
    }
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if hands a reference")]
fn is_one(value: &u64) -> bool {
    *value == 1
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if hands a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if hands a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0[0] == self.0[1] { self.0[0].serialize(serializer) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairVisitor)
    }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Pair;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or [height, width]")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Pair, E> {
        Ok(Pair([value; 2]))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Pair, E> {
        let value = u64::try_from(value).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))?;
        Ok(Pair([value; 2]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Pair, A::Error> {
        let mut next = |place| items.next_element::<u64>()?.ok_or_else(|| missing(place));
        let pair = Pair([next(0)?, next(1)?]);
        match items.next_element::<u64>()? {
            None => Ok(pair),
            Some(_) => Err(serde::de::Error::invalid_length(3, &"[height, width]")),
        }
    }
}

fn missing<E: serde::de::Error>(length: usize) -> E {
    E::invalid_length(length, &"[height, width]")
}

impl JsonSchema for Pair {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pair".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "[height, width], or one number for both",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 2, "maxItems": 2 }
            ]
        })
    }
}

impl OpFile {
    /// The operator behind inputs of these shapes; channels that the file leaves out are the first input's.
    fn op(&self, inputs: &[&Shape]) -> Op {
        let channels = inputs.first().map_or(0, |shape| shape.channels());
        let innermost = inputs.first().and_then(|shape| shape.dims().last()).copied().unwrap_or(0);
        match self {
            Self::Conv2d(conv) => Op::Conv2d(conv.conv(channels)),
            Self::Linear(linear) => Op::Linear(Linear {
                in_features: linear.in_features.unwrap_or(innermost),
                out_features: linear.out_features,
                bias: if linear.bias { Bias::With } else { Bias::Without },
            }),
            Self::ConvTranspose2d(conv) => Op::ConvTranspose2d(conv.conv(channels)),
            Self::Matmul => Op::MatMul { inner: innermost },
            Self::Embedding(embedding) => Op::Embedding(embedding.clone()),
            Self::BatchNorm => Op::BatchNorm { channels },
            Self::LayerNorm(norm) => norm.norm(NormKind::Layer),
            Self::RmsNorm(norm) => norm.norm(NormKind::Rms),
            Self::GroupNorm(GroupNormFile { groups, affine }) => {
                Op::Norm(Norm { kind: NormKind::Group { groups: *groups }, features: channels, affine: *affine })
            }
            Self::LocalResponseNorm { size } => Op::LocalResponseNorm { size: *size },
            Self::Relu => Op::Activation(Activation::Relu),
            Self::Relu6 => Op::Activation(Activation::Relu6),
            Self::LeakyRelu { slope } => Op::Activation(Activation::LeakyRelu { slope: *slope }),
            Self::Sigmoid => Op::Activation(Activation::Sigmoid),
            Self::HardSigmoid => Op::Activation(Activation::HardSigmoid),
            Self::Silu => Op::Activation(Activation::Silu),
            Self::HardSwish => Op::Activation(Activation::HardSwish),
            Self::Gelu => Op::Activation(Activation::Gelu),
            Self::Tanh => Op::Activation(Activation::Tanh),
            Self::Elu { alpha } => Op::Activation(Activation::Elu { alpha: *alpha }),
            Self::Softplus => Op::Activation(Activation::Softplus),
            Self::Clip { low, high } => Op::Activation(Activation::Clip { low: *low, high: *high }),
            Self::MaxPool(pool) => Op::Pool(pool.pool(PoolKind::Max)),
            Self::AveragePool(pool) => Op::Pool(pool.pool(PoolKind::Average)),
            Self::GlobalAveragePool => Op::GlobalAveragePool,
            Self::Reduce(reduce) => Op::Reduce(reduce.clone()),
            Self::Add => Op::Add,
            Self::Multiply => Op::Multiply,
            Self::Elementwise { function } => Op::Elementwise(*function),
            Self::Concat => Op::Concat { axis: 0 },
            Self::ConcatAlong { axis } => Op::Concat { axis: *axis },
            Self::Identity => Op::Identity,
            Self::FitChannels { channels } => Op::FitChannels { channels: *channels },
            Self::Zero { channels } => Op::Zero { channels: *channels },
            Self::Flatten => Op::Flatten,
            Self::Reshape { shape } => Op::Reshape { shape: shape.clone() },
            Self::Transpose { order } => Op::Transpose { order: order.clone() },
            Self::Slice(slice) => Op::Slice(slice.clone()),
            Self::Gather(gather) => Op::Gather(gather.clone()),
            Self::Pad(pad) => Op::Pad(pad.clone()),
            Self::Expand { shape } => Op::Expand { shape: shape.clone() },
            Self::Resize(resize) => Op::Resize(resize.clone()),
            Self::Tensor(tensor) => Op::Tensor(tensor.clone()),
            Self::Softmax => Op::Softmax { axis: 0 },
            Self::SoftmaxAlong { axis } => Op::Softmax { axis: *axis },
        }
    }

    /// How `op` with output `out` is written; nothing for the input, which is no node of the list.
    fn of(op: &Op, out: &Shape) -> Option<Self> {
        Some(match op {
            Op::Input => return None,
            Op::Conv2d(conv) => Self::Conv2d(Conv2dFile::of(conv)),
            Op::ConvTranspose2d(conv) => Self::ConvTranspose2d(ConvTransposeFile::of(conv)),
            Op::Linear(linear) => Self::Linear(LinearFile {
                out_features: linear.out_features,
                in_features: (out.dims().len() > 2).then_some(linear.in_features),
                bias: linear.bias == Bias::With,
            }),
            Op::MatMul { .. } => Self::Matmul,
            Op::Embedding(embedding) => Self::Embedding(embedding.clone()),
            Op::Norm(Norm { kind, features, affine }) => match *kind {
                NormKind::Layer => Self::LayerNorm(NormFile { features: *features, affine: *affine }),
                NormKind::Rms => Self::RmsNorm(NormFile { features: *features, affine: *affine }),
                NormKind::Group { groups } => Self::GroupNorm(GroupNormFile { groups, affine: *affine }),
            },
            Op::LocalResponseNorm { size } => Self::LocalResponseNorm { size: *size },
            Op::BatchNorm { .. } => Self::BatchNorm,
            Op::Activation(activation) => match activation {
                Activation::Relu => Self::Relu,
                Activation::Relu6 => Self::Relu6,
                Activation::LeakyRelu { slope } => Self::LeakyRelu { slope: *slope },
                Activation::Sigmoid => Self::Sigmoid,
                Activation::HardSigmoid => Self::HardSigmoid,
                Activation::Silu => Self::Silu,
                Activation::HardSwish => Self::HardSwish,
                Activation::Gelu => Self::Gelu,
                Activation::Tanh => Self::Tanh,
                Activation::Elu { alpha } => Self::Elu { alpha: *alpha },
                Activation::Softplus => Self::Softplus,
                Activation::Clip { low, high } => Self::Clip { low: *low, high: *high },
            },
            Op::Pool(pool) => match pool.kind {
                PoolKind::Max => Self::MaxPool(PoolFile::of(pool)),
                PoolKind::Average => Self::AveragePool(PoolFile::of(pool)),
            },
            Op::GlobalAveragePool => Self::GlobalAveragePool,
            Op::Reduce(reduce) => Self::Reduce(reduce.clone()),
            Op::Add => Self::Add,
            Op::Multiply => Self::Multiply,
            Op::Elementwise(function) => Self::Elementwise { function: *function },
            Op::Concat { axis: 0 } => Self::Concat,
            Op::Concat { axis } => Self::ConcatAlong { axis: *axis },
            Op::Identity => Self::Identity,
            Op::FitChannels { channels } => Self::FitChannels { channels: *channels },
            Op::Zero { channels } => Self::Zero { channels: *channels },
            Op::Flatten => Self::Flatten,
            Op::Reshape { shape } => Self::Reshape { shape: shape.clone() },
            Op::Transpose { order } => Self::Transpose { order: order.clone() },
            Op::Slice(slice) => Self::Slice(slice.clone()),
            Op::Gather(gather) => Self::Gather(gather.clone()),
            Op::Pad(pad) => Self::Pad(pad.clone()),
            Op::Expand { shape } => Self::Expand { shape: shape.clone() },
            Op::Resize(resize) => Self::Resize(resize.clone()),
            Op::Tensor(tensor) => Self::Tensor(tensor.clone()),
            Op::Softmax { axis: 0 } => Self::Softmax,
            Op::Softmax { axis } => Self::SoftmaxAlong { axis: *axis },
        })
    }
}

impl Conv2dFile {
    fn conv(&self, in_channels: u64) -> Conv2d {
        let Pair(kernel) = self.kernel;
        let Pair(dilation) = self.dilation;
        let same = [0, 1].map(|axis: usize| dilation[axis].saturating_mul(kernel[axis].saturating_sub(1)) / 2);
        Conv2d {
            in_channels,
            out_channels: self.out_channels,
            kernel,
            stride: self.stride.0,
            padding: self.padding.map_or(same, |pair| pair.0),
            dilation,
            groups: self.groups,
            bias: if self.bias { Bias::With } else { Bias::Without },
        }
    }

    fn of(conv: &Conv2d) -> Self {
        let mut file = Self {
            out_channels: conv.out_channels,
            kernel: Pair(conv.kernel),
            stride: Pair(conv.stride),
            padding: None,
            dilation: Pair(conv.dilation),
            groups: conv.groups,
            bias: conv.bias == Bias::With,
        };
        if file.conv(conv.in_channels).padding != conv.padding {
            file.padding = Some(Pair(conv.padding));
        }
        file
    }
}

impl ConvTransposeFile {
    fn conv(&self, in_channels: u64) -> ConvTranspose2d {
        ConvTranspose2d {
            in_channels,
            out_channels: self.out_channels,
            kernel: self.kernel.0,
            stride: self.stride.0,
            padding: self.padding.0,
            output_padding: self.output_padding.0,
            dilation: self.dilation.0,
            groups: self.groups,
            bias: if self.bias { Bias::With } else { Bias::Without },
        }
    }

    fn of(conv: &ConvTranspose2d) -> Self {
        Self {
            out_channels: conv.out_channels,
            kernel: Pair(conv.kernel),
            stride: Pair(conv.stride),
            padding: Pair(conv.padding),
            output_padding: Pair(conv.output_padding),
            dilation: Pair(conv.dilation),
            groups: conv.groups,
            bias: conv.bias == Bias::With,
        }
    }
}

impl NormFile {
    fn norm(&self, kind: NormKind) -> Op {
        Op::Norm(Norm { kind, features: self.features, affine: self.affine })
    }
}

impl PoolFile {
    fn pool(&self, kind: PoolKind) -> Pool {
        let last = if self.ceil { LastWindow::Partial } else { LastWindow::Whole };
        let stride = self.stride.unwrap_or(self.kernel).0;
        Pool { kind, kernel: self.kernel.0, stride, padding: self.padding.0, last }
    }

    fn of(pool: &Pool) -> Self {
        let stride = (pool.stride != pool.kernel).then_some(Pair(pool.stride));
        let ceil = pool.last == LastWindow::Partial;
        Self { kernel: Pair(pool.kernel), stride, padding: Pair(pool.padding), ceil }
    }
}

impl NetworkFile {
    /// The network that is meant; `origin` names the text in errors.
    ///
    /// # Errors
    /// The first rule that is broken, with its line: version, shapes, unknown inputs, a cycle, a node that the output
    /// does not depend on.
    pub fn into_network(self, origin: &str) -> Result<Network, LoadError> {
        Wiring { file: &self, origin }.wire()
    }
}

struct Wiring<'a> {
    file: &'a NetworkFile,
    origin: &'a str,
}

impl Wiring<'_> {
    fn wire(&self) -> Result<Network, LoadError> {
        let file = self.file;
        if file.version.value != 1 {
            return Err(self.reject(&file.version, format!("version must be 1, got {}", file.version.value)));
        }
        let input =
            Shape::new(&file.input.value).map_err(|error| self.reject(&file.input, format!("input: {error}")))?;
        if file.nodes.value.is_empty() {
            return Err(self.reject(&file.nodes, "a network needs at least one node"));
        }
        let sources = self.sources()?;
        let mut network = Network::new(&file.name, input);
        let mut wired: HashMap<usize, NodeId> = HashMap::new();
        for place in self.order(&sources)? {
            let node = &file.nodes.value[place];
            let inputs: Vec<NodeId> =
                sources[place].iter().map(|source| source.map_or(network.input(), |index| wired[&index])).collect();
            let shapes: Vec<&Shape> = inputs.iter().map(|&id| &network.node(id).shape).collect();
            self.vector_or_tokens(node, &shapes)?;
            let op = node.op.op(&shapes);
            let id = network.wire(&node.name.value, op, &inputs).map_err(|error| self.reject(&node.name, error))?;
            wired.insert(place, id);
        }
        self.finish(network, &wired)
    }

    fn finish(&self, mut network: Network, wired: &HashMap<usize, NodeId>) -> Result<Network, LoadError> {
        let nodes = &self.file.nodes.value;
        let output = match &self.file.output {
            None => nodes.len() - 1,
            Some(name) => nodes
                .iter()
                .position(|node| node.name.value == name.value)
                .ok_or_else(|| self.reject(name, format!("output: there is no node `{}`", name.value)))?,
        };
        network.set_output(wired[&output]);
        let used = network.used();
        match (0..nodes.len()).find(|place| !used[wired[place].index()]) {
            None => Ok(network),
            Some(dead) => {
                let (dead, output) = (&nodes[dead].name, &nodes[output].name.value);
                Err(self.reject(
                    dead,
                    format!("node `{}` is not on a way to the output `{output}`; remove it or wire it", dead.value),
                ))
            }
        }
    }

    /// A linear layer that does not say how many features it reads is not meant for the width of a map.
    fn vector_or_tokens(&self, node: &NodeFile, inputs: &[&Shape]) -> Result<(), LoadError> {
        match (&node.op, inputs) {
            (OpFile::Linear(LinearFile { in_features: None, .. }), [given]) if given.dims().len() > 2 => {
                let source = ShapeError::NeedsVector { op: "linear", given: (*given).clone() };
                let error = NetworkError::Shape { node: node.name.value.clone(), source };
                Err(self.reject(&node.name, error))
            }
            _ => Ok(()),
        }
    }

    /// For each node the places of its inputs, `None` for the network's input.
    fn sources(&self) -> Result<Vec<Vec<Option<usize>>>, LoadError> {
        let nodes = &self.file.nodes.value;
        let mut places = HashMap::new();
        for (place, node) in nodes.iter().enumerate() {
            if node.name.value == "input" || places.insert(node.name.value.as_str(), place).is_some() {
                return Err(self.reject(&node.name, format!("node `{}`: the name is taken", node.name.value)));
            }
        }
        let find = |node: &NodeFile, input: &Spanned<String>| match input.value.as_str() {
            "input" => Ok(None),
            name => places.get(name).copied().map(Some).ok_or_else(|| {
                self.reject(input, format!("node `{}`: its input `{name}` does not exist", node.name.value))
            }),
        };
        nodes
            .iter()
            .enumerate()
            .map(|(place, node)| match &node.inputs {
                None => Ok(vec![place.checked_sub(1)]),
                Some(inputs) => inputs.iter().map(|input| find(node, input)).collect(),
            })
            .collect()
    }

    /// A topological order that keeps the file's where it can: of the nodes whose inputs are done, the first. A cycle is
    /// an error with the names on it.
    fn order(&self, sources: &[Vec<Option<usize>>]) -> Result<Vec<usize>, LoadError> {
        let mut readers = vec![Vec::new(); sources.len()];
        let mut waits: Vec<usize> = Vec::with_capacity(sources.len());
        for (place, from) in sources.iter().enumerate() {
            from.iter().flatten().for_each(|&source: &usize| readers[source].push(place));
            waits.push(from.iter().flatten().count());
        }
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..waits.len()).filter(|&place| waits[place] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(sources.len());
        while let Some(Reverse(place)) = ready.pop() {
            order.push(place);
            for &reader in &readers[place] {
                waits[reader] -= 1;
                if waits[reader] == 0 {
                    ready.push(Reverse(reader));
                }
            }
        }
        if order.len() == sources.len() { Ok(order) } else { Err(self.cycle(sources)) }
    }

    fn cycle(&self, sources: &[Vec<Option<usize>>]) -> LoadError {
        let nodes = &self.file.nodes.value;
        let edges =
            sources.iter().enumerate().flat_map(|(to, from)| from.iter().flatten().map(move |&from| (from, to)));
        let graph: DiGraph<(), (), usize> = DiGraph::from_edges(edges);
        let first = toposort(&graph, None).map_or_else(|cycle| cycle.node_id().index(), |_| 0);
        // Walk back inside the cycle that holds `first` to name its members.
        let strong = petgraph::algo::tarjan_scc(&graph);
        let members = strong.into_iter().find(|scc| scc.iter().any(|n| n.index() == first)).unwrap_or_default();
        let mut members: Vec<usize> = members.into_iter().map(|n| n.index()).collect();
        members.sort_unstable();
        let names: Vec<&str> = members.iter().map(|&place| nodes[place].name.value.as_str()).collect();
        let place = members.first().copied().unwrap_or(first);
        self.reject(
            &nodes[place].name,
            format!("a network has no cycle, but these nodes form one: {}", names.join(", ")),
        )
    }

    fn reject<T>(&self, value: &Spanned<T>, reason: impl fmt::Display) -> LoadError {
        Place::of(value).reject(self.origin, reason)
    }
}

impl From<&Network> for NetworkFile {
    fn from(network: &Network) -> Self {
        let mut before = network.input();
        let mut nodes = Vec::with_capacity(network.len());
        for (id, node) in network.nodes() {
            let Some(op) = OpFile::of(&node.op, &node.shape) else { continue };
            let inputs = network.inputs(id);
            let names = || inputs.iter().map(|&id| unplaced(network.node(id).name.clone())).collect();
            let inputs = (inputs != [before]).then(names);
            nodes.push(NodeFile { name: unplaced(node.name.clone()), op, inputs });
            before = id;
        }
        let output = (network.output() != before).then(|| unplaced(network.node(network.output()).name.clone()));
        Self {
            version: unplaced(1),
            name: network.name().to_owned(),
            input: unplaced(network.node(network.input()).shape.dims().to_vec()),
            nodes: unplaced(nodes),
            output,
        }
    }
}

impl Network {
    /// Reads the YAML file at `path`.
    ///
    /// # Errors
    /// [`LoadError`] with the line of what is wrong.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::parse(&load::text(path)?, &path.display().to_string())
    }

    /// Reads YAML text; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, LoadError> {
        load::parse::<NetworkFile>(text, origin)?.into_network(origin)
    }

    /// The YAML form; [`Network::parse`] gives back an equal network where every node is on a way to the output.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        load::to_yaml(&NetworkFile::from(self))
    }
}
