//! The first pass over a file: everything but the weights.
//!
//! Large payloads of tensors are passed over by their length, so that they are never read, however large the file is.

use std::io::{self, BufReader, Read, Seek};

/// Payloads up to this length may be shapes, axes or other values that later nodes compute with.
const SMALL_BYTES: u64 = 4096;
/// What is left of a file without its weights; a graph of 10,000 nodes takes a few MiB.
const MAX_BYTES: usize = 64 << 20;
/// Messages within messages; a graph inside a graph takes three.
const MAX_DEPTH: u32 = 64;

/// Why a text is no protobuf message of ONNX.
#[derive(Debug, thiserror::Error)]
pub(super) enum SlimError {
    #[error("byte {at}: a field of {length} bytes reaches past the end of what holds it")]
    Length { at: u64, length: u64 },
    #[error("byte {at}: the file ends within a field")]
    End { at: u64 },
    #[error("byte {at}: a number takes more than 10 bytes")]
    Varint { at: u64 },
    #[error("byte {at}: there is no wire type {wire}")]
    Wire { at: u64, wire: u64 },
    #[error("byte {at}: messages are nested deeper than {MAX_DEPTH}")]
    Depth { at: u64 },
    #[error("the graph without its weights is larger than {} MiB", MAX_BYTES >> 20)]
    Large,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The messages that are looked into.
#[derive(Debug, Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Function,
}

/// What becomes of a field that has a length.
enum Fate {
    Keep,
    KeepSmall,
    Drop,
    Enter(Message),
}

impl Message {
    /// Numbers of the fields as in [`super::proto`].
    fn fate(self, field: u64) -> Fate {
        match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Fate::Enter(Self::Graph),
            (Self::Model, 25) => Fate::Enter(Self::Function),
            (Self::Model, 2 | 8) => Fate::Keep,
            (Self::Graph, 1) | (Self::Function, 7) => Fate::Enter(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5) | (Self::SparseTensor, 1) => Fate::Enter(Self::Tensor),
            (Self::Graph, 15) => Fate::Enter(Self::SparseTensor),
            (Self::Graph, 2 | 11 | 12 | 13) => Fate::Keep,
            (Self::Node, 5) | (Self::Function, 11) => Fate::Enter(Self::Attribute),
            (Self::Node, 1 | 2 | 3 | 4 | 7 | 8) => Fate::Keep,
            (Self::Attribute, 1 | 4 | 7 | 8 | 21) => Fate::Keep,
            (Self::Tensor, 1 | 8 | 13) | (Self::SparseTensor, 3) => Fate::Keep,
            (Self::Tensor, 4 | 5 | 7 | 9 | 10 | 11) => Fate::KeepSmall,
            (Self::Function, 1 | 4 | 5 | 9 | 10 | 13) => Fate::Keep,
            (
                Self::Model
                | Self::Graph
                | Self::Node
                | Self::Attribute
                | Self::Tensor
                | Self::SparseTensor
                | Self::Function,
                _,
            ) => Fate::Drop,
        }
    }
}

/// The model in `source`, `length` bytes long, without large payloads.
pub(super) fn slim<R: Read + Seek>(source: R, length: u64) -> Result<Vec<u8>, SlimError> {
    let mut pass = Pass { source: BufReader::new(source), at: 0, kept: 0 };
    let mut out = Vec::new();
    pass.message(Message::Model, length, 0, &mut out)?;
    Ok(out)
}

struct Pass<R> {
    source: BufReader<R>,
    /// Bytes passed.
    at: u64,
    /// Bytes kept.
    kept: usize,
}

impl<R: Read + Seek> Pass<R> {
    fn message(&mut self, message: Message, end: u64, depth: u32, out: &mut Vec<u8>) -> Result<(), SlimError> {
        if depth > MAX_DEPTH {
            return Err(SlimError::Depth { at: self.at });
        }
        while self.at < end {
            let start = self.at;
            let tag = self.varint()?;
            match tag & 7 {
                0 => {
                    let value = self.varint()?;
                    put(tag, out);
                    put(value, out);
                }
                wire @ (1 | 5) => {
                    put(tag, out);
                    self.copy(if wire == 1 { 8 } else { 4 }, end, out)?;
                }
                2 => {
                    let length = self.varint()?;
                    if length > end.saturating_sub(self.at) {
                        return Err(SlimError::Length { at: start, length });
                    }
                    self.field(message.fate(tag >> 3), tag, length, depth, out)?;
                }
                wire => return Err(SlimError::Wire { at: start, wire }),
            }
        }
        if self.at > end { Err(SlimError::Length { at: end, length: self.at - end }) } else { Ok(()) }
    }

    fn field(&mut self, fate: Fate, tag: u64, length: u64, depth: u32, out: &mut Vec<u8>) -> Result<(), SlimError> {
        match fate {
            Fate::Enter(inner) => {
                let mut kept = Vec::new();
                self.message(inner, self.at + length, depth + 1, &mut kept)?;
                put(tag, out);
                put(kept.len() as u64, out);
                out.append(&mut kept);
                Ok(())
            }
            Fate::KeepSmall if length > SMALL_BYTES => self.skip(length),
            Fate::Keep | Fate::KeepSmall => {
                put(tag, out);
                put(length, out);
                self.copy(length, self.at + length, out)
            }
            Fate::Drop => self.skip(length),
        }
    }

    fn skip(&mut self, length: u64) -> Result<(), SlimError> {
        let offset = i64::try_from(length).map_err(|_| SlimError::Length { at: self.at, length })?;
        self.source.seek_relative(offset)?;
        self.at += length;
        Ok(())
    }

    fn copy(&mut self, length: u64, end: u64, out: &mut Vec<u8>) -> Result<(), SlimError> {
        if length > end.saturating_sub(self.at) {
            return Err(SlimError::Length { at: self.at, length });
        }
        let bytes = usize::try_from(length).map_err(|_| SlimError::Large)?;
        self.kept = self.kept.saturating_add(bytes).saturating_add(16);
        if self.kept > MAX_BYTES {
            return Err(SlimError::Large);
        }
        let from = out.len();
        out.resize(from + bytes, 0);
        self.source.read_exact(&mut out[from..]).map_err(|error| self.end(error))?;
        self.at += length;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, SlimError> {
        let start = self.at;
        let mut value = 0u64;
        for place in 0..10 {
            let mut byte = [0];
            self.source.read_exact(&mut byte).map_err(|error| self.end(error))?;
            self.at += 1;
            value |= u64::from(byte[0] & 0x7f) << (7 * place);
            if byte[0] < 0x80 {
                self.kept += 1;
                return if self.kept > MAX_BYTES { Err(SlimError::Large) } else { Ok(value) };
            }
        }
        Err(SlimError::Varint { at: start })
    }

    fn end(&self, error: io::Error) -> SlimError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => SlimError::End { at: self.at },
            _ => SlimError::Io(error),
        }
    }
}

fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}
