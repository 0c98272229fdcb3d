//! The YAML form of a search space: one grammar for cells and chains.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Candidate, Classifier, Edge, Encoding, InvertedBottleneck, Join, JoinId, Merge, OperatorChoice, OperatorId, Order,
    Space, SumId, Width, WidthChoice, WidthId, WidthSum,
};
use crate::load::{LoadError, Place, Spanned, unplaced};
use crate::network::{PoolKind, Shape};

/// A search space as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SpaceFile {
    /// The images that the space is made for, where they are not those of the data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ImagesFile>")]
    images: Option<Spanned<ImagesFile>>,
    /// Layers before the searched part.
    #[serde(default)]
    #[schemars(with = "Vec<LayerFile>")]
    stem: Vec<Spanned<LayerFile>>,
    /// The searched part.
    body: BodyFile,
    /// Layers between the searched part and the classifier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<LayerFile>")]
    head: Vec<Spanned<LayerFile>>,
    /// What turns the last map into class scores.
    classifier: ClassifierFile,
    /// How a benchmark writes the architectures of this space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<EncodingFile>")]
    strings: Option<Spanned<EncodingFile>>,
}

/// Images of another data set than the job's: its networks can be estimated, not trained.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ImagesFile {
    /// Height and width, pixels; images have 3 channels.
    #[schemars(range(min = 1, max = 65_536))]
    side: u64,
    /// Classes to tell apart.
    #[schemars(range(min = 1, max = 65_536))]
    classes: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ClassifierFile {
    /// The map as a vector, then a linear layer.
    Flatten,
    /// The mean of each channel, then a linear layer.
    GlobalPool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum EncodingFile {
    /// One digit a layer: the place of its candidate.
    #[serde(rename = "digits")]
    Digits,
    /// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.
    #[serde(rename = "nas-bench-201")]
    NasBench201,
    /// `e6k5l3s-e1k3l1-...`: expansion, kernel, layers and squeeze-excitation of each block.
    #[serde(rename = "blocks")]
    Blocks,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum BodyFile {
    /// Cells: small graphs with an operator for each edge.
    Cells(Box<CellsFile>),
    /// A chain: one block after the other.
    Chain(ChainFile),
}

/// A fixed layer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum LayerFile {
    /// Convolution, batch norm, ReLU (in the given order).
    Conv(ConvLayerFile),
    /// Maximum over windows.
    MaxPool(PoolLayerFile),
    /// Mean over windows.
    AveragePool(PoolLayerFile),
    /// One inverted bottleneck.
    InvertedBottleneck(BottleneckLayerFile),
    /// Batch norm and ReLU.
    NormRelu,
    /// NAS-Bench-201's residual reduction to half the map.
    Reduction(ReductionFile),
    /// In a stack only: cells.
    Cells(StackedCellsFile),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConvLayerFile {
    kernel: u64,
    width: WidthFile,
    #[serde(default = "one")]
    stride: u64,
    #[serde(default)]
    order: OrderFile,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BottleneckLayerFile {
    kernel: u64,
    expansion: u64,
    width: WidthFile,
    #[serde(default = "one")]
    stride: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PoolLayerFile {
    kernel: u64,
    /// The kernel where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stride: Option<u64>,
    #[serde(default)]
    padding: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReductionFile {
    width: WidthFile,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StackedCellsFile {
    /// How many, one after the other.
    #[serde(default = "one")]
    count: u64,
    /// Width of their joins; the body's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<WidthFile>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OrderFile {
    #[default]
    ConvNormRelu,
    ReluConvNorm,
    ConvNorm,
}

impl From<OrderFile> for Order {
    fn from(file: OrderFile) -> Self {
        match file {
            OrderFile::ConvNormRelu => Self::ConvNormRelu,
            OrderFile::ReluConvNorm => Self::ReluConvNorm,
            OrderFile::ConvNorm => Self::ConvNorm,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CellsFile {
    /// Names of the cell's inputs: one is the element before the cell, two are the two before it.
    #[schemars(with = "Vec<String>")]
    inputs: Spanned<Vec<String>>,
    /// Convolution that each input passes first, strided where the two inputs differ in resolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PreprocessFile>")]
    preprocess: Option<Spanned<PreprocessFile>>,
    /// The joins, each after those that it reads.
    #[schemars(with = "Vec<CellNodeFile>")]
    nodes: Spanned<Vec<CellNodeFile>>,
    /// The node that is the cell's output, or several whose concatenation is; the last node where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<OutputFile>,
    /// What every edge may be.
    #[schemars(with = "Vec<CandidateFile>")]
    candidates: Spanned<Vec<Spanned<CandidateFile>>>,
    /// Whether all cells have the same operators, or each its own.
    #[serde(default)]
    choices: Sharing,
    /// Width of the joins of cells; where they project, of every edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<WidthFile>,
    /// What brings the edges into a node to one width.
    #[serde(default = "JoinFile::one_width", skip_serializing_if = "JoinFile::is_one_width")]
    #[schemars(with = "JoinFile")]
    join: Spanned<JoinFile>,
    /// Cells and the fixed layers between them.
    #[schemars(with = "Vec<LayerFile>")]
    stack: Spanned<Vec<Spanned<LayerFile>>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Sharing {
    /// One set of operator choices for all cells.
    #[default]
    Shared,
    /// One for each cell.
    Own,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum JoinFile {
    /// A node has one width, and every edge into it yields that.
    #[default]
    OneWidth,
    /// Every edge has a width of its own; a node is as wide as the widest that is live, to which narrower ones pass a 1x1
    /// convolution.
    Project,
}

impl JoinFile {
    fn one_width() -> Spanned<Self> {
        unplaced(Self::OneWidth)
    }

    fn is_one_width(join: &Spanned<Self>) -> bool {
        join.value == Self::OneWidth
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PreprocessFile {
    kernel: u64,
    #[serde(default)]
    order: OrderFile,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CellNodeFile {
    #[schemars(with = "String")]
    name: Spanned<String>,
    #[schemars(with = "Vec<String>")]
    from: Spanned<Vec<Spanned<String>>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ChainFile {
    /// What every layer may be, where its stage does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<CandidateFile>>")]
    candidates: Option<Spanned<Vec<Spanned<CandidateFile>>>>,
    #[schemars(with = "Vec<StageFile>")]
    stages: Spanned<Vec<Spanned<StageFile>>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StageFile {
    #[serde(default = "one")]
    layers: u64,
    /// Of the first layer.
    #[serde(default = "one")]
    stride: u64,
    width: WidthFile,
    /// Whether all layers of the stage have one width, or each its own.
    #[serde(default)]
    width_per: WidthPer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<CandidateFile>>")]
    candidates: Option<Spanned<Vec<Spanned<CandidateFile>>>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum WidthPer {
    #[default]
    Stage,
    Layer,
}

/// A candidate, or several where a value is a list: each combination is one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum CandidateFile {
    Conv(ConvFile),
    Separable(SeparableFile),
    InvertedBottleneck(BottleneckFile),
    MaxPool(PoolFile),
    AveragePool(PoolFile),
    Identity,
    Zero,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConvFile {
    kernel: Many<u64>,
    #[serde(default = "Many::one")]
    dilation: Many<u64>,
    #[serde(default)]
    order: OrderFile,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SeparableFile {
    kernel: Many<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BottleneckFile {
    kernel: Many<u64>,
    expansion: Many<u64>,
    /// Squeezed channels as a share of the layer's input channels; 0 for none.
    #[serde(default = "Many::nought")]
    squeeze_excitation: Many<f64>,
    #[serde(default = "Many::one")]
    depth: Many<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PoolFile {
    kernel: Many<u64>,
}

fn one() -> u64 {
    1
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq)]
struct Many<T>(Vec<T>);

impl Many<u64> {
    fn one() -> Self {
        Self(vec![1])
    }
}

impl Many<f64> {
    fn nought() -> Self {
        Self(vec![0.0])
    }
}

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

struct ManyVisitor<T>(std::marker::PhantomData<T>);

impl<'de> Deserialize<'de> for Many<u64> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyVisitor::<u64>(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Many<f64> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyVisitor::<f64>(std::marker::PhantomData))
    }
}

fn sequence<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(mut items: A) -> Result<Many<T>, A::Error> {
    let mut values = Vec::new();
    while let Some(value) = items.next_element()? {
        values.push(value);
    }
    if values.is_empty() {
        return Err(serde::de::Error::invalid_length(0, &"at least one value"));
    }
    Ok(Many(values))
}

impl<'de> Visitor<'de> for ManyVisitor<u64> {
    type Value = Many<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or a list of them")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Many(vec![value]))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        let value = u64::try_from(value).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))?;
        Ok(Many(vec![value]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        sequence(items)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares written as whole numbers are 0 or 1")]
impl<'de> Visitor<'de> for ManyVisitor<f64> {
    type Value = Many<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list of them")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Many(vec![value]))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Many(vec![value as f64]))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Many(vec![value as f64]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        sequence(items)
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMore_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
    }
}

/// Channels: one number, or a range with a step that a search chooses from.
#[derive(Debug, Clone)]
struct WidthFile(Spanned<WidthValue>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WidthValue {
    Fixed(u64),
    Range(WidthRange),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WidthRange {
    /// Narrowest option, a step where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>", extend("type" = "integer"))]
    min: Option<u64>,
    /// Widest option; where absent there are as many as a grid without an end has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>", extend("type" = "integer"))]
    max: Option<u64>,
    step: u64,
}

impl WidthRange {
    /// Narrowest and widest.
    fn ends(self) -> [u64; 2] {
        let min = self.min.unwrap_or(self.step);
        [min, self.max.unwrap_or(min.saturating_add((OPEN_OPTIONS - 1).saturating_mul(self.step)))]
    }
}

impl Serialize for WidthFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.value {
            WidthValue::Fixed(width) => width.serialize(serializer),
            WidthValue::Range(range) => range.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for WidthFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for WidthValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WidthVisitor)
    }
}

struct WidthVisitor;

impl<'de> Visitor<'de> for WidthVisitor {
    type Value = WidthValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of channels, or { min, max, step }")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<WidthValue, E> {
        Ok(WidthValue::Fixed(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<WidthValue, E> {
        let value = u64::try_from(value).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))?;
        Ok(WidthValue::Fixed(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WidthValue, A::Error> {
        WidthRange::deserialize(MapAccessDeserializer::new(map)).map(WidthValue::Range)
    }
}

impl JsonSchema for WidthFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Width".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let range = generator.subschema_for::<WidthRange>();
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, range] })
    }
}

/// What a cell puts out: a node, or the concatenation of several.
#[derive(Debug, Clone)]
struct OutputFile(Spanned<OutputValue>);

#[derive(Debug, Clone)]
enum OutputValue {
    Node(String),
    Concatenation(Vec<Spanned<String>>),
}

impl Serialize for OutputFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.value {
            OutputValue::Node(name) => name.serialize(serializer),
            OutputValue::Concatenation(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OutputFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for OutputValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OutputVisitor)
    }
}

struct OutputVisitor;

impl<'de> Visitor<'de> for OutputVisitor {
    type Value = OutputValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a node, or a list of them")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<OutputValue, E> {
        Ok(OutputValue::Node(name.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OutputValue, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        Ok(OutputValue::Concatenation(names))
    }
}

impl JsonSchema for OutputFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Many::<String>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Many::<String>::json_schema(generator)
    }
}

/// What a space is read with besides its own text.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// Name of the space.
    pub name: &'a str,
    /// Name of the text in errors.
    pub origin: &'a str,
    /// Shape of an image, `[channels, height, width]`, a square map.
    pub input: Shape,
    /// Number of classes.
    pub classes: u64,
}

impl SpaceFile {
    /// The space that is meant.
    ///
    /// # Errors
    /// The first rule that is broken, with its line.
    pub fn into_space(self, setting: &Setting<'_>) -> Result<Space, LoadError> {
        self.into_space_and_open_width(setting).map(|(space, _)| space)
    }

    /// The space, and where a width of no maximum stands, if there is one: only a search that allocates widths as it goes
    /// can take it.
    ///
    /// # Errors
    /// As [`SpaceFile::into_space`].
    pub fn into_space_and_open_width(self, setting: &Setting<'_>) -> Result<(Space, Option<Place>), LoadError> {
        let images = self.images.as_ref().map(|images| images_of(images, setting)).transpose()?;
        let mut builder = Builder::new(images.as_ref().unwrap_or(setting))?;
        builder.layers(&self.stem)?;
        match &self.body {
            BodyFile::Cells(cells) => builder.cells(cells)?,
            BodyFile::Chain(chain) => builder.chain(chain)?,
        }
        builder.layers(&self.head)?;
        let Builder { mut space, open, .. } = builder;
        space.classifier = match self.classifier {
            ClassifierFile::Flatten => Classifier::Flatten,
            ClassifierFile::GlobalPool => Classifier::GlobalPool,
        };
        if let Some(strings) = &self.strings {
            if space.projects() {
                let reason = "strings: no benchmark has joins that project: take join: one-width";
                return Err(Place::of(strings).reject(setting.origin, reason));
            }
            space.encoding = Some(match strings.value {
                EncodingFile::Digits => Encoding::Digits,
                EncodingFile::NasBench201 => Encoding::NasBench201,
                EncodingFile::Blocks => Encoding::Blocks,
            });
            space.encodable().map_err(|reason| Place::of(strings).reject(setting.origin, reason))?;
        }
        Ok((space, open))
    }
}

/// `setting` with the images that the space is made for.
fn images_of<'a>(images: &Spanned<ImagesFile>, setting: &Setting<'a>) -> Result<Setting<'a>, LoadError> {
    let ImagesFile { side, classes } = images.value;
    for (name, given) in [("side", side), ("classes", classes)] {
        if !(1..=MOST_CHANNELS).contains(&given) {
            let reason = format!("images: {name} must lie in 1..={MOST_CHANNELS}, got {given}");
            return Err(Place::of(images).reject(setting.origin, reason));
        }
    }
    let input = Shape::new(&[3, side, side]).map_err(|error| Place::of(images).reject(setting.origin, error))?;
    Ok(Setting { input, classes, ..setting.clone() })
}

/// Largest number of channels, options, layers and cells that a file may ask for: far beyond use, far below overflow.
const MOST_CHANNELS: u64 = 65_536;
const MOST_OPTIONS: u64 = 4_096;
/// Options of a width without a maximum. Far beyond what a search comes to hold, and few enough that tables of pairs of
/// options stay small beside the rest.
const OPEN_OPTIONS: u64 = 256;
const MOST_LAYERS: u64 = 1_000;
const MOST_CANDIDATES: usize = 1_000;

/// Name of what a cell puts out where it concatenates nodes.
const OUTPUT: &str = "out";

struct Builder<'a> {
    setting: &'a Setting<'a>,
    space: Space,
    fixed: usize,
    /// The first width of no maximum.
    open: Option<Place>,
    /// The operator of all projections.
    project: Option<OperatorId>,
}

impl<'a> Builder<'a> {
    fn new(setting: &'a Setting<'a>) -> Result<Self, LoadError> {
        let [channels, height, width] = setting.input.as_map().unwrap_or([0; 3]);
        if height == 0 || height != width {
            let reason = format!("a space needs square images, got {}", setting.input);
            return Err(Place { line: 1, column: 1 }.reject(setting.origin, reason));
        }
        let space = Space {
            name: setting.name.to_owned(),
            input: setting.input.clone(),
            classes: setting.classes,
            widths: vec![WidthChoice { name: "image".to_owned(), options: vec![channels] }],
            sums: Vec::new(),
            branches: Vec::new(),
            maxima: Vec::new(),
            operators: Vec::new(),
            joins: vec![Join { name: "image".to_owned(), width: WidthId(0).into(), side: height, merge: Merge::Sum }],
            edges: Vec::new(),
            classifier: Classifier::GlobalPool,
            encoding: None,
        };
        Ok(Self { setting, space, fixed: 0, open: None, project: None })
    }

    fn reject<T>(&self, value: &Spanned<T>, reason: impl fmt::Display) -> LoadError {
        Place::of(value).reject(self.setting.origin, reason)
    }

    fn width(&mut self, name: &str, file: &WidthFile) -> Result<WidthId, LoadError> {
        let options = match file.0.value {
            WidthValue::Fixed(width) => vec![width],
            WidthValue::Range(range @ WidthRange { step, .. }) => {
                let [min, max] = range.ends();
                if range.max.is_none() {
                    self.open.get_or_insert(Place::of(&file.0));
                }
                if step == 0 || min > max {
                    let reason = format!("width: the range {min} to {max} step {step} is empty");
                    return Err(self.reject(&file.0, reason));
                }
                if (max - min) / step >= MOST_OPTIONS {
                    let reason = format!("width: at most {MOST_OPTIONS} options, got {}", (max - min) / step + 1);
                    return Err(self.reject(&file.0, reason));
                }
                (0..=(max - min) / step).map(|place| min + place * step).collect()
            }
        };
        if let Some(bad) = options.iter().find(|width| !(1..=MOST_CHANNELS).contains(width)) {
            return Err(self.reject(&file.0, format!("width: channels lie in 1..={MOST_CHANNELS}, got {bad}")));
        }
        self.space.widths.push(WidthChoice { name: name.to_owned(), options });
        Ok(WidthId(self.space.widths.len() - 1))
    }

    fn operator(&mut self, name: &str, candidates: Vec<Candidate>) -> OperatorId {
        self.space.operators.push(OperatorChoice { name: name.to_owned(), candidates });
        OperatorId(self.space.operators.len() - 1)
    }

    fn join(&mut self, name: &str, width: impl Into<Width>, side: u64) -> JoinId {
        self.space.joins.push(Join { name: name.to_owned(), width: width.into(), side, merge: Merge::Sum });
        self.space.last()
    }

    fn layers(&mut self, layers: &[Spanned<LayerFile>]) -> Result<(), LoadError> {
        layers.iter().try_for_each(|layer| self.layer(layer))
    }

    /// Adds a fixed layer behind the last join.
    fn layer(&mut self, layer: &Spanned<LayerFile>) -> Result<(), LoadError> {
        let from = self.space.last();
        let side = self.space.join(from).side;
        let name = format!("layer{}", self.fixed);
        self.fixed += 1;
        let (candidate, width, stride, target) = match &layer.value {
            LayerFile::Conv(conv) => {
                self.odd(layer, conv.kernel)?;
                let candidate = Candidate::Conv { kernel: conv.kernel, dilation: 1, order: conv.order.into() };
                (candidate, Some(&conv.width), conv.stride, self.strided(layer, side, conv.stride)?)
            }
            LayerFile::InvertedBottleneck(block) => {
                self.odd(layer, block.kernel)?;
                let candidate = Candidate::InvertedBottleneck(InvertedBottleneck {
                    kernel: block.kernel,
                    expansion: self.positive(layer, "expansion", block.expansion)?,
                    squeeze_excitation: 0.0,
                    depth: 1,
                });
                (candidate, Some(&block.width), block.stride, self.strided(layer, side, block.stride)?)
            }
            LayerFile::MaxPool(pool) => self.pool(layer, PoolKind::Max, pool)?,
            LayerFile::AveragePool(pool) => self.pool(layer, PoolKind::Average, pool)?,
            LayerFile::NormRelu => (Candidate::NormRelu, None, 1, side),
            LayerFile::Reduction(reduction) => {
                if side % 2 == 1 {
                    return Err(self.reject(layer, format!("a reduction halves a map of even side, got {side}")));
                }
                (Candidate::Reduction, Some(&reduction.width), 2, self.strided(layer, side, 2)?)
            }
            LayerFile::Cells(_) => {
                return Err(self.reject(layer, "cells stand in the stack of a body of cells, nowhere else"));
            }
        };
        let width = match width {
            Some(width) => self.width(&name, width)?.into(),
            None => self.space.join(from).width,
        };
        let operator = self.operator(&name, vec![candidate]);
        let to = self.join(&name, width, target);
        self.space.edges.push(Edge { name, from, to, operator, stride });
        Ok(())
    }

    fn pool<'b>(
        &self,
        layer: &Spanned<LayerFile>,
        kind: PoolKind,
        pool: &'b PoolLayerFile,
    ) -> Result<(Candidate, Option<&'b WidthFile>, u64, u64), LoadError> {
        let stride = pool.stride.unwrap_or(pool.kernel);
        let side = self.space.join(self.space.last()).side;
        let padded = side + 2 * pool.padding.min(MOST_CHANNELS);
        if stride == 0 || pool.kernel == 0 || pool.padding >= pool.kernel || padded < pool.kernel {
            let reason = format!(
                "pool: kernel {} with stride {stride} and padding {} does not fit a map of side {side}",
                pool.kernel, pool.padding
            );
            return Err(self.reject(layer, reason));
        }
        let target = (padded - pool.kernel) / stride + 1;
        Ok((Candidate::Pool { kind, kernel: pool.kernel, padding: pool.padding }, None, stride, target))
    }

    /// Side of a map behind a "same" padded window with this stride.
    fn strided<T>(&self, place: &Spanned<T>, side: u64, stride: u64) -> Result<u64, LoadError> {
        if stride == 0 || stride > side {
            return Err(
                self.reject(place, format!("stride must lie in 1..={side} on a map of side {side}, got {stride}"))
            );
        }
        Ok((side - 1) / stride + 1)
    }

    fn odd<T>(&self, place: &Spanned<T>, kernel: u64) -> Result<u64, LoadError> {
        if kernel.is_multiple_of(2) || kernel > 99 {
            return Err(self.reject(place, format!("kernel must be odd and at most 99, got {kernel}")));
        }
        Ok(kernel)
    }

    fn positive<T>(&self, place: &Spanned<T>, what: &str, value: u64) -> Result<u64, LoadError> {
        if value == 0 || value > 64 {
            return Err(self.reject(place, format!("{what} must lie in 1..=64, got {value}")));
        }
        Ok(value)
    }

    fn candidates(&self, list: &Spanned<Vec<Spanned<CandidateFile>>>) -> Result<Vec<Candidate>, LoadError> {
        let mut all: Vec<Candidate> = Vec::new();
        for file in &list.value {
            for candidate in self.expand(file)? {
                if all.iter().any(|other| other.label() == candidate.label()) {
                    return Err(self.reject(file, format!("candidate `{}` stands here twice", candidate.label())));
                }
                all.push(candidate);
            }
        }
        if all.is_empty() || all.len() > MOST_CANDIDATES {
            let reason = format!("candidates: 1 to {MOST_CANDIDATES} are needed, got {}", all.len());
            return Err(self.reject(list, reason));
        }
        Ok(all)
    }

    fn expand(&self, file: &Spanned<CandidateFile>) -> Result<Vec<Candidate>, LoadError> {
        let odd = |kernel: &u64| self.odd(file, *kernel);
        match &file.value {
            CandidateFile::Identity => Ok(vec![Candidate::Identity]),
            CandidateFile::Zero => Ok(vec![Candidate::Zero]),
            CandidateFile::Separable(separable) => {
                separable.kernel.0.iter().map(|k| Ok(Candidate::Separable { kernel: odd(k)? })).collect()
            }
            CandidateFile::MaxPool(pool) => self.pools(file, PoolKind::Max, pool),
            CandidateFile::AveragePool(pool) => self.pools(file, PoolKind::Average, pool),
            CandidateFile::Conv(conv) => {
                let order = conv.order.into();
                let one = |&kernel: &u64, &dilation: &u64| {
                    let (kernel, dilation) = (odd(&kernel)?, self.positive(file, "dilation", dilation)?);
                    Ok(Candidate::Conv { kernel, dilation, order })
                };
                conv.dilation.0.iter().flat_map(|d| conv.kernel.0.iter().map(move |k| one(k, d))).collect()
            }
            CandidateFile::InvertedBottleneck(block) => self.bottlenecks(file, block),
        }
    }

    fn pools<T>(&self, place: &Spanned<T>, kind: PoolKind, pool: &PoolFile) -> Result<Vec<Candidate>, LoadError> {
        let one = |&kernel: &u64| {
            let kernel = self.odd(place, kernel)?;
            Ok(Candidate::Pool { kind, kernel, padding: kernel / 2 })
        };
        pool.kernel.0.iter().map(one).collect()
    }

    fn bottlenecks<T>(&self, place: &Spanned<T>, file: &BottleneckFile) -> Result<Vec<Candidate>, LoadError> {
        let mut blocks = Vec::new();
        for &depth in &file.depth.0 {
            for &squeeze_excitation in &file.squeeze_excitation.0 {
                if !(0.0..=1.0).contains(&squeeze_excitation) {
                    let reason = format!("squeeze-excitation must lie in 0..=1, got {squeeze_excitation}");
                    return Err(self.reject(place, reason));
                }
                for &expansion in &file.expansion.0 {
                    for &kernel in &file.kernel.0 {
                        blocks.push(Candidate::InvertedBottleneck(InvertedBottleneck {
                            kernel: self.odd(place, kernel)?,
                            expansion: self.positive(place, "expansion", expansion)?,
                            squeeze_excitation,
                            depth: self.positive(place, "depth", depth)?,
                        }));
                    }
                }
            }
        }
        Ok(blocks)
    }

    fn chain(&mut self, chain: &ChainFile) -> Result<(), LoadError> {
        if chain.stages.value.is_empty() {
            return Err(self.reject(&chain.stages, "a chain needs at least one stage"));
        }
        let mut layer = 0;
        for (number, spanned) in chain.stages.value.iter().enumerate() {
            let stage = &spanned.value;
            let list = stage.candidates.as_ref().or(chain.candidates.as_ref()).ok_or_else(|| {
                self.reject(spanned, format!("stage {}: neither it nor the chain has candidates", number + 1))
            })?;
            let candidates = self.candidates(list)?;
            if candidates.contains(&Candidate::Zero) {
                return Err(self.reject(list, "a layer of a chain cannot be `zero`: it would cut the output off"));
            }
            if stage.layers == 0 || stage.layers > MOST_LAYERS {
                let reason = format!("layers must lie in 1..={MOST_LAYERS}, got {}", stage.layers);
                return Err(self.reject(spanned, reason));
            }
            let mut width = None;
            for place in 0..stage.layers {
                let stride = if place == 0 { stage.stride } else { 1 };
                let from = self.space.last();
                let side = self.strided(spanned, self.space.join(from).side, stride)?;
                let name = format!("layer{layer}_s{number}");
                layer += 1;
                let own = match (width, stage.width_per) {
                    (Some(width), WidthPer::Stage) => width,
                    (None, WidthPer::Stage) => self.width(&format!("stage{number}"), &stage.width)?,
                    (_, WidthPer::Layer) => self.width(&name, &stage.width)?,
                };
                width = Some(own);
                let to = self.join(&name, own, side);
                let usable = self.fitting(list, &candidates, (from, to))?;
                let operator = self.operator(&name, usable);
                self.space.edges.push(Edge { name, from, to, operator, stride });
            }
        }
        Ok(())
    }

    /// The candidates, after checking that those which keep the width may stand between these joins.
    fn fitting<T>(
        &self,
        place: &Spanned<T>,
        candidates: &[Candidate],
        (from, to): (JoinId, JoinId),
    ) -> Result<Vec<Candidate>, LoadError> {
        let strided = self.space.join(from).side != self.space.join(to).side;
        match candidates.iter().find(|candidate| strided && !candidate.changes_width()) {
            None => Ok(candidates.to_vec()),
            Some(candidate) => {
                Err(self.reject(place, format!("`{}` cannot take a stride, and this edge has one", candidate.label())))
            }
        }
    }

    fn cells(&mut self, cells: &CellsFile) -> Result<(), LoadError> {
        let plan = CellPlan::new(self, cells)?;
        let operators = match cells.choices {
            Sharing::Shared => Some(self.cell_operators("", &plan)),
            Sharing::Own => None,
        };
        // The outputs of the elements so far: a cell reads the last, or the last two.
        let mut trail = vec![self.space.last(), self.space.last()];
        let mut number = 0;
        for element in &cells.stack.value {
            let LayerFile::Cells(stacked) = &element.value else {
                self.layer(element)?;
                *trail.last_mut().expect("the trail starts with two") = self.space.last();
                continue;
            };
            if stacked.count == 0 || stacked.count > MOST_LAYERS {
                return Err(self.reject(element, format!("count must lie in 1..={MOST_LAYERS}, got {}", stacked.count)));
            }
            for _ in 0..stacked.count {
                let width = stacked
                    .width
                    .as_ref()
                    .or(cells.width.as_ref())
                    .ok_or_else(|| self.reject(element, "neither these cells nor the body has a width"))?;
                let operators = match &operators {
                    Some(shared) => shared.clone(),
                    None => self.cell_operators(&format!("cell{number}/"), &plan),
                };
                let inputs = &trail[trail.len() - plan.inputs.len()..].to_vec();
                let cell = CellSite { number, inputs, width, operators: &operators, element };
                let output = self.cell(&plan, &cell)?;
                trail.push(output);
                number += 1;
            }
        }
        if number == 0 {
            return Err(self.reject(&cells.stack, "a stack needs at least one `cells`"));
        }
        Ok(())
    }

    fn cell_operators(&mut self, prefix: &str, plan: &CellPlan) -> Vec<OperatorId> {
        let mut operators = Vec::new();
        for (name, from) in &plan.nodes {
            for &source in from {
                let name = format!("{prefix}{name}/{}", plan.name(source));
                operators.push(self.operator(&name, plan.candidates.clone()));
            }
        }
        operators
    }

    fn cell(&mut self, plan: &CellPlan, cell: &CellSite<'_>) -> Result<JoinId, LoadError> {
        let mut members = match plan.preprocess {
            Some(order_kernel) => self.preprocessed(plan, cell, order_kernel)?,
            None => cell.inputs.clone(),
        };
        let side = self.space.join(members[0]).side;
        if members.iter().any(|&member| self.space.join(member).side != side) {
            let reason = "the two inputs of a cell differ in resolution: it needs a `preprocess`, which strides";
            return Err(self.reject(cell.element, reason));
        }
        let mut operators = cell.operators.iter();
        for (node, from) in &plan.nodes {
            let name = format!("cell{}/{node}", cell.number);
            if plan.join == JoinFile::Project {
                let into = from.iter().map(|&source| (plan.name(source), members[source]));
                let branches: Vec<(OperatorId, &str, JoinId)> =
                    operators.by_ref().zip(into).map(|(&operator, (source, from))| (operator, source, from)).collect();
                members.push(self.projected(plan, cell, &name, &branches)?);
                continue;
            }
            let width = self.width(&name, cell.width)?;
            let to = self.join(&name, width, side);
            for &source in from {
                let operator = *operators.next().expect("one operator for each edge of the plan");
                let from = members[source];
                let name = format!("{name}/{}", plan.name(source));
                self.space.edges.push(Edge { name, from, to, operator, stride: 1 });
            }
            members.push(to);
        }
        match plan.output[..] {
            [only] => self.make_last(members[plan.inputs.len() + only]),
            _ => self.concatenate(plan, cell, &members[plan.inputs.len()..])?,
        }
        Ok(self.space.last())
    }

    /// Adds the node `name` and its `branches`, each an operator out of a join that has a name in the cell.
    fn projected(
        &mut self,
        plan: &CellPlan,
        cell: &CellSite<'_>,
        name: &str,
        branches: &[(OperatorId, &str, JoinId)],
    ) -> Result<JoinId, LoadError> {
        let side = self.space.join(branches[0].2).side;
        let chooses = |candidate: &Candidate| *candidate != Candidate::Zero && !candidate.copies(1);
        let mut joins = Vec::new();
        for &(operator, source, from) in branches {
            let edge = format!("{name}/{source}");
            let own = plan.candidates.iter().any(chooses).then(|| self.width(&edge, cell.width)).transpose()?;
            let width = self.space.branch_width(own, self.space.join(from).width, &plan.candidates);
            // One branch alone is as wide as its join.
            let to = self.join(if branches.len() == 1 { name } else { &edge }, width, side);
            self.space.edges.push(Edge { name: edge, from, to, operator, stride: 1 });
            joins.push(to);
        }
        if let [only] = joins[..] {
            return Ok(only);
        }
        let operator = self.project.unwrap_or_else(|| self.operator("project", vec![Candidate::Project]));
        self.project = Some(operator);
        let width = self.space.max_width(&joins);
        let to = self.join(name, width, side);
        for (from, (_, source, _)) in joins.into_iter().zip(branches) {
            let name = format!("{name}/{source}/project");
            self.space.edges.push(Edge { name, from, to, operator, stride: 1 });
        }
        Ok(to)
    }

    /// Adds the concatenation of the output's `nodes` behind a cell.
    fn concatenate(&mut self, plan: &CellPlan, cell: &CellSite<'_>, nodes: &[JoinId]) -> Result<(), LoadError> {
        let parts: Vec<JoinId> = plan.output.iter().map(|&node| nodes[node]).collect();
        let choices: Vec<WidthId> =
            parts.iter().flat_map(|&part| self.space.parts(self.space.join(part).width)).collect();
        let of_choices = || choices.iter().map(|choice| &self.space.widths[choice.0].options);
        let widest: u64 = of_choices().filter_map(|options| options.last()).sum();
        // The nodes of a cell have one range, so their sums have one step.
        let options = 1 + of_choices().map(|options| options.len() as u64 - 1).sum::<u64>();
        if options > MOST_OPTIONS || widest > MOST_CHANNELS {
            let reason = format!(
                "output: a concatenation has at most {MOST_CHANNELS} channels and {MOST_OPTIONS} options, got {widest} \
                 channels and {options} options: take narrower nodes or wider steps"
            );
            return Err(self.reject(cell.element, reason));
        }
        let sum = WidthSum::new(choices, &self.space.widths);
        self.space.sums.push(sum);
        let (name, side) = (format!("cell{}/{OUTPUT}", cell.number), self.space.join(parts[0]).side);
        let to = self.join(&name, Width::Sum(SumId(self.space.sums.len() - 1)), side);
        self.space.joins[to.0].merge = Merge::Concatenate;
        for (&node, from) in plan.output.iter().zip(parts) {
            let name = format!("{name}/{}", plan.nodes[node].0);
            let operator = self.operator(&name, vec![Candidate::Identity]);
            self.space.edges.push(Edge { name, from, to, operator, stride: 1 });
        }
        Ok(())
    }

    /// Moves the join `output` of the cell behind its siblings, so that the last join is what the next layer reads.
    fn make_last(&mut self, output: JoinId) {
        if output == self.space.last() {
            return;
        }
        // An identity edge of one fixed candidate: free, and gone in the derived network.
        let name = format!("{}_out", self.space.join(output).name);
        let (width, side) = (self.space.join(output).width, self.space.join(output).side);
        let operator = self.operator(&name, vec![Candidate::Identity]);
        let to = self.join(&name, width, side);
        self.space.edges.push(Edge { name, from: output, to, operator, stride: 1 });
    }

    fn preprocessed(
        &mut self,
        plan: &CellPlan,
        cell: &CellSite<'_>,
        (kernel, order): (u64, Order),
    ) -> Result<Vec<JoinId>, LoadError> {
        let smallest = cell.inputs.iter().map(|&join| self.space.join(join).side).min().expect("a cell has an input");
        let mut members = Vec::new();
        for (input, &from) in plan.inputs.iter().zip(cell.inputs) {
            let stride = self.space.join(from).side.div_ceil(smallest);
            if self.strided(cell.element, self.space.join(from).side, stride)? != smallest {
                let reason = format!("a map of side {} cannot be strided to {smallest}", self.space.join(from).side);
                return Err(self.reject(cell.element, reason));
            }
            let name = format!("cell{}/{input}", cell.number);
            let width = self.width(&name, cell.width)?;
            let operator = self.operator(&name, vec![Candidate::Conv { kernel, dilation: 1, order }]);
            let to = self.join(&name, width, smallest);
            self.space.edges.push(Edge { name, from, to, operator, stride });
            members.push(to);
        }
        Ok(members)
    }
}

/// One cell of the stack.
struct CellSite<'a> {
    number: u64,
    inputs: &'a Vec<JoinId>,
    width: &'a WidthFile,
    operators: &'a [OperatorId],
    element: &'a Spanned<LayerFile>,
}

/// The cell that is meant: members are its inputs, then its nodes.
struct CellPlan {
    inputs: Vec<String>,
    nodes: Vec<(String, Vec<usize>)>,
    /// The node that is the output, or those that it concatenates.
    output: Vec<usize>,
    candidates: Vec<Candidate>,
    preprocess: Option<(u64, Order)>,
    join: JoinFile,
}

impl CellPlan {
    fn new(builder: &Builder<'_>, cells: &CellsFile) -> Result<Self, LoadError> {
        let inputs = cells.inputs.value.clone();
        if inputs.is_empty() || inputs.len() > 2 {
            return Err(builder.reject(&cells.inputs, format!("a cell has one input or two, got {}", inputs.len())));
        }
        if inputs.len() == 2 && inputs[0] == inputs[1] {
            return Err(builder.reject(&cells.inputs, format!("input `{}`: the name is taken", inputs[0])));
        }
        if let Some(name) = inputs.iter().find(|name| !is_part(name)) {
            return Err(builder.reject(&cells.inputs, format!("input `{name}`: a name is [a-z][a-z0-9_]*")));
        }
        let mut plan = Self {
            inputs,
            nodes: Vec::new(),
            output: Vec::new(),
            candidates: builder.candidates(&cells.candidates)?,
            preprocess: None,
            join: cells.join.value,
        };
        if let Some(preprocess) = &cells.preprocess {
            let kernel = builder.odd(preprocess, preprocess.value.kernel)?;
            plan.preprocess = Some((kernel, preprocess.value.order.into()));
        }
        for node in &cells.nodes.value {
            plan.node(builder, node)?;
        }
        if plan.nodes.is_empty() {
            return Err(builder.reject(&cells.nodes, "a cell needs at least one node"));
        }
        plan.output = match &cells.output {
            None => vec![plan.nodes.len() - 1],
            Some(output) => plan.outputs(builder, output)?,
        };
        if plan.join == JoinFile::Project && plan.output.len() > 1 {
            let reason = "join: project makes nodes whose width follows from operators, and a concatenation needs widths \
                          that are chosen: put out one node, or take join: one-width";
            return Err(builder.reject(&cells.join, reason));
        }
        // Every node has a source before it, so only `zero` can cut the output off.
        if plan.candidates == [Candidate::Zero] {
            let reason = "the cell's output cannot be reached: `zero` is the only candidate";
            return Err(builder.reject(&cells.candidates, reason));
        }
        Ok(plan)
    }

    /// Places of the nodes of `output`.
    fn outputs(&self, builder: &Builder<'_>, OutputFile(output): &OutputFile) -> Result<Vec<usize>, LoadError> {
        let place = |name: &str| {
            let place = self.nodes.iter().position(|(node, _)| node == name);
            place.ok_or_else(|| format!("output: the cell has no node `{name}`"))
        };
        let names = match &output.value {
            OutputValue::Node(name) => return Ok(vec![place(name).map_err(|reason| builder.reject(output, reason))?]),
            OutputValue::Concatenation(names) if names.is_empty() => {
                return Err(builder.reject(output, "output: a concatenation needs a node"));
            }
            OutputValue::Concatenation(names) => names,
        };
        let mut places = Vec::new();
        for name in names {
            let found = place(&name.value).map_err(|reason| builder.reject(name, reason))?;
            if places.contains(&found) {
                return Err(builder.reject(name, format!("output: `{}` stands here twice", name.value)));
            }
            places.push(found);
        }
        if places.len() > 1 && (0..self.members()).any(|member| self.name(member) == OUTPUT) {
            let reason = format!("output: the concatenation is called `{OUTPUT}`, so no input or node may be");
            return Err(builder.reject(output, reason));
        }
        Ok(places)
    }

    fn name(&self, member: usize) -> &str {
        match member.checked_sub(self.inputs.len()) {
            None => &self.inputs[member],
            Some(node) => &self.nodes[node].0,
        }
    }

    fn members(&self) -> usize {
        self.inputs.len() + self.nodes.len()
    }

    fn node(&mut self, builder: &Builder<'_>, file: &CellNodeFile) -> Result<(), LoadError> {
        let name = &file.name.value;
        if !is_part(name) {
            return Err(builder.reject(&file.name, format!("node `{name}`: a name is [a-z][a-z0-9_]*")));
        }
        if (0..self.members()).any(|member| self.name(member) == name) {
            return Err(builder.reject(&file.name, format!("node `{name}`: the name is taken")));
        }
        let mut from: Vec<usize> = Vec::new();
        for source in &file.from.value {
            let found = (0..self.members()).find(|&member| self.name(member) == source.value);
            let found = found.ok_or_else(|| {
                let reason = format!("node `{name}`: its source `{}` is no input and no node before it", source.value);
                builder.reject(source, reason)
            })?;
            if from.contains(&found) {
                return Err(builder.reject(source, format!("node `{name}`: `{}` stands here twice", source.value)));
            }
            from.push(found);
        }
        if from.is_empty() {
            return Err(builder.reject(&file.from, format!("node `{name}`: it needs a source")));
        }
        self.nodes.push((name.clone(), from));
        Ok(())
    }
}

fn is_part(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name != "sum"
}
