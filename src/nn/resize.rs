//! A module with more or fewer channels: slices that share its tensors, and copies of another size.

use tch::Tensor;

use super::{Module, Named, NnError, init};
use crate::network::weights::{Role, tensor_name, tensors};
use crate::network::{Network, NodeId, Op};

/// Channels of a node that stand at `from` in the former size of a module, and at `to` in its other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// First channel before.
    pub from: u64,
    /// First channel after.
    pub to: u64,
    /// Number of channels.
    pub length: u64,
}

impl Module {
    /// The module of `network`, whose operators are those of this one with fewer channels, on a part of this one's
    /// tensors: where `channels` has blocks of a node these channels of it, else the first. They share memory as far as
    /// that is whole, and what the slice learns this one learns.
    ///
    /// # Errors
    /// [`NnError::Tensor`] where this one has no such tensor, or a smaller one.
    pub fn sliced(&self, network: &Network, channels: &[Option<Vec<Block>>]) -> Result<Self, NnError> {
        self.reshaped(network, channels, |place, old| {
            let mut view = old.value.shallow_clone();
            for (dimension, (&length, whole)) in place.shape.iter().zip(old.value.size()).enumerate() {
                if length > whole {
                    let reason = format!("has {whole} along dimension {dimension}, and {length} are asked for");
                    return Err(NnError::Tensor { name: old.name.clone(), reason });
                }
                view = match place.blocks(dimension) {
                    Some(blocks) => chosen(&view, dimension, blocks)?,
                    None if length < whole => view.f_narrow(dimension as i64, 0, length)?,
                    None => view,
                };
            }
            Ok(view)
        })
    }

    /// The module of `network`, whose operators are those of this one with more or fewer channels, with tensors of its
    /// own.
    ///
    /// What both have is copied, of a node of which `channels` has blocks those, else the first ones. New filters are drawn from
    /// `seed` as at the beginning, and what reads a new channel has weight 0 for it, new norms scale by 1 and shift by 0:
    /// at its former channels the module computes what it did, to the bit, and at all of its channels nothing that reads
    /// the new ones changes.
    ///
    /// # Errors
    /// [`NnError::Tensor`] where this one has no such tensor; [`NnError`] where there is no room.
    pub fn resized(&self, network: &Network, channels: &[Option<Vec<Block>>], seed: u64) -> Result<Self, NnError> {
        let mut draws = init::Draws::new(seed);
        self.reshaped(network, channels, |place, old| {
            let fresh = draws.tensor(place.op, place.name, place.shape)?.f_to_device(old.value.device())?;
            let fresh = like(&old.value, fresh)?;
            let moves = place.moves(&old.value);
            if let Some(dimension) = place.reads {
                forget_unknown(&fresh, dimension, &moves[dimension])?;
            }
            copy_blocks(&old.value, &fresh, &moves)?;
            Ok(if old.role == Role::Parameter { fresh.f_set_requires_grad(true)? } else { fresh })
        })
    }

    /// The moments of this module's parameters, which are `moments` in order, for the parameters of `network`: what both
    /// have is copied as by [`Module::resized`], the rest is 0.
    ///
    /// # Errors
    /// As [`Module::resized`].
    pub fn resized_moments(
        &self,
        moments: &[Tensor],
        network: &Network,
        channels: &[Option<Vec<Block>>],
    ) -> Result<Vec<Tensor>, NnError> {
        let mut moments = moments.iter();
        let resized = self.reshaped(network, channels, |place, old| {
            if old.role != Role::Parameter {
                return Ok(Tensor::new());
            }
            let moment = moments.next().expect("a moment for every parameter");
            let fresh = Tensor::f_zeros(place.shape, (moment.kind(), moment.device()))?;
            copy_blocks(moment, &fresh, &place.moves(moment))?;
            Ok(fresh)
        })?;
        let parameters = resized.tensors.into_iter().filter(|tensor| tensor.role == Role::Parameter);
        Ok(parameters.map(|tensor| tensor.value).collect())
    }

    /// The module of `network` with what `make` says for each of its tensors, given its place in the network and this
    /// module's tensor of the same name.
    fn reshaped(
        &self,
        network: &Network,
        channels: &[Option<Vec<Block>>],
        mut make: impl FnMut(&Place<'_>, &Named) -> Result<Tensor, NnError>,
    ) -> Result<Self, NnError> {
        let mut module = Self::bare(network);
        let mut named = self.tensors.iter();
        let blocks = |id: NodeId| blocks_of(network, channels, id);
        for (id, node) in network.nodes() {
            module.first.push(module.tensors.len());
            for spec in tensors(&node.op) {
                let name = tensor_name(&node.name, spec.name);
                // Both have their tensors in the order of their nodes.
                let Some(old) = named.find(|tensor| tensor.name == name) else {
                    return Err(NnError::Tensor { name, reason: "missing in the module of another width".to_owned() });
                };
                let shape: Vec<i64> = spec.shape.iter().map(|side| side.cast_signed()).collect();
                let source = network.inputs(id).first().and_then(|&input| blocks(input));
                let reads = inputs_of(&node.op, spec.name);
                let place = Place { op: &node.op, name: spec.name, shape: &shape, reads, source, own: blocks(id) };
                let value = make(&place, old)?;
                module.tensors.push(Named { name, role: spec.role, value });
            }
        }
        Ok(module)
    }
}

/// A tensor of a network, and where what its dimensions count stands.
struct Place<'a> {
    op: &'a Op,
    /// Its name within the operator.
    name: &'a str,
    shape: &'a [i64],
    /// The dimension that counts what is read.
    reads: Option<usize>,
    /// Blocks of what is read.
    source: Option<Vec<Block>>,
    /// Blocks of what the node puts out.
    own: Option<Vec<Block>>,
}

impl Place<'_> {
    /// Blocks of the dimension, where it is not the first elements.
    fn blocks(&self, dimension: usize) -> Option<&[Block]> {
        match (self.reads == Some(dimension), dimension) {
            (true, _) => self.source.as_deref(),
            (false, 0) => self.own.as_deref(),
            (false, _) => None,
        }
    }

    /// For every dimension what moves where.
    fn moves(&self, old: &Tensor) -> Vec<Vec<Block>> {
        let first = |(old, new): (i64, &i64)| vec![Block { from: 0, to: 0, length: old.min(*new).unsigned_abs() }];
        let sizes = old.size().into_iter().zip(self.shape).enumerate();
        sizes.map(|(dimension, sizes)| self.blocks(dimension).map_or_else(|| first(sizes), <[Block]>::to_vec)).collect()
    }
}

/// Blocks of a node: of a map that is flattened those of its channels, in elements.
fn blocks_of(network: &Network, channels: &[Option<Vec<Block>>], id: NodeId) -> Option<Vec<Block>> {
    if network.node(id).op != Op::Flatten {
        return channels.get(id.index())?.clone();
    }
    let input = *network.inputs(id).first()?;
    let each: u64 = network.node(input).shape.dims()[1..].iter().product();
    let scaled = |block: Block| Block { from: block.from * each, to: block.to * each, length: block.length * each };
    Some(blocks_of(network, channels, input)?.into_iter().map(scaled).collect())
}

/// The blocks of `tensor` along `dimension`, one behind the other: a view where they are one.
fn chosen(tensor: &Tensor, dimension: usize, blocks: &[Block]) -> Result<Tensor, NnError> {
    let whole = tensor.size()[dimension];
    let dimension = dimension as i64;
    let part = |block: &Block| tensor.f_narrow(dimension, block.from.cast_signed(), block.length.cast_signed());
    match blocks {
        [only] if only.from == 0 && only.length.cast_signed() == whole => Ok(tensor.shallow_clone()),
        [only] => Ok(part(only)?),
        several => {
            let parts = several.iter().map(part).collect::<Result<Vec<_>, _>>()?;
            Ok(Tensor::f_cat(&parts, dimension)?)
        }
    }
}

/// Makes `fresh` 0 wherever `blocks` bring nothing along `dimension`.
fn forget_unknown(fresh: &Tensor, dimension: usize, blocks: &[Block]) -> Result<(), NnError> {
    let mut end = 0;
    let whole = fresh.size()[dimension];
    let gaps = blocks.iter().map(|block| {
        let gap = (end, block.to.cast_signed() - end);
        end = (block.to + block.length).cast_signed();
        gap
    });
    let mut gaps: Vec<(i64, i64)> = gaps.collect();
    gaps.push((end, whole - end));
    for (start, length) in gaps.into_iter().filter(|(_, length)| *length > 0) {
        let mut gap = fresh.f_narrow(dimension as i64, start, length)?;
        let _ = tch::no_grad(|| gap.f_zero_())?;
    }
    Ok(())
}

/// Copies every combination of blocks of the dimensions from `old` to `new`.
fn copy_blocks(old: &Tensor, new: &Tensor, moves: &[Vec<Block>]) -> Result<(), NnError> {
    let mut pairs = vec![(old.detach(), new.detach())];
    for (dimension, blocks) in moves.iter().enumerate() {
        let mut parts = Vec::with_capacity(pairs.len() * blocks.len());
        for (from, to) in &pairs {
            for block in blocks.iter().filter(|block| block.length > 0) {
                let [at, place, length] = [block.from, block.to, block.length].map(u64::cast_signed);
                let dimension = dimension as i64;
                parts.push((from.f_narrow(dimension, at, length)?, to.f_narrow(dimension, place, length)?));
            }
        }
        pairs = parts;
    }
    for (from, mut to) in pairs {
        tch::no_grad(|| to.f_copy_(&from))?;
    }
    Ok(())
}

/// `fresh` laid out in memory as `old` is.
fn like(old: &Tensor, fresh: Tensor) -> Result<Tensor, NnError> {
    if old.dim() == 4 && crate::torch::is_channels_last(old) {
        return Ok(crate::torch::channels_last(&fresh)?);
    }
    Ok(fresh)
}

/// The dimension of the tensor `name` of `op` that counts the channels which it reads.
fn inputs_of(op: &Op, name: &str) -> Option<usize> {
    match (op, name) {
        (Op::Conv2d(conv), "weight") if conv.groups == 1 => Some(1),
        (Op::Linear(_), "weight") => Some(1),
        (Op::ConvTranspose2d(_), "weight") => Some(0),
        _ => None,
    }
}
