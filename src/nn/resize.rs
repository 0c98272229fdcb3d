//! A module with more or fewer channels: slices that share its tensors, and copies of another size.

use tch::Tensor;

use super::{Module, Named, NnError, init};
use crate::network::weights::{Role, tensor_name, tensors};
use crate::network::{Network, Op};

impl Module {
    /// The module of `network`, whose operators are those of this one with fewer channels, on the first elements of this
    /// one's tensors along every dimension: they share memory, and what it learns this one learns.
    ///
    /// # Errors
    /// [`NnError::Tensor`] where this one has no such tensor, or a smaller one.
    pub fn sliced(&self, network: &Network) -> Result<Self, NnError> {
        self.reshaped(network, |_, wide, shape| Ok(prefix(wide, shape)?))
    }

    /// The module of `network`, whose operators are those of this one with more or fewer channels, with tensors of its
    /// own.
    ///
    /// What both have is copied. New filters are drawn from `seed` as at the beginning, and what reads a new channel has
    /// weight 0 for it, new norms scale by 1 and shift by 0: at its former channels the module computes what it did, to
    /// the bit, and at all of its channels nothing that reads the new ones changes.
    ///
    /// # Errors
    /// [`NnError::Tensor`] where this one has no such tensor; [`NnError`] where there is no room.
    pub fn resized(&self, network: &Network, seed: u64) -> Result<Self, NnError> {
        let mut draws = init::Draws::new(seed);
        self.reshaped(network, |op, old, shape| {
            let fresh = draws.tensor(op, leaf(&old.name), shape)?.f_to_device(old.value.device())?;
            if let Some(dimension) = inputs_of(op, &old.name) {
                let known = old.value.size()[dimension].min(shape[dimension]);
                let new = fresh.f_narrow(dimension as i64, known, shape[dimension] - known)?;
                let _ = tch::no_grad(|| new.shallow_clone().f_zero_())?;
            }
            let fresh = like(&old.value, fresh)?;
            copy_overlap(&old.value, &fresh)?;
            Ok(if old.role == Role::Parameter { fresh.f_set_requires_grad(true)? } else { fresh })
        })
    }

    /// The module of `network` with what `make` says for each of its tensors, given its operator, this module's tensor of
    /// the same name and its own shape.
    fn reshaped(
        &self,
        network: &Network,
        mut make: impl FnMut(&Op, &Named, &[i64]) -> Result<Tensor, NnError>,
    ) -> Result<Self, NnError> {
        let mut module = Self::bare(network);
        let mut named = self.tensors.iter();
        for (_, node) in network.nodes() {
            module.first.push(module.tensors.len());
            for spec in tensors(&node.op) {
                let name = tensor_name(&node.name, spec.name);
                // Both have their tensors in the order of their nodes.
                let Some(old) = named.find(|tensor| tensor.name == name) else {
                    return Err(NnError::Tensor { name, reason: "missing in the module of another width".to_owned() });
                };
                let shape: Vec<i64> = spec.shape.iter().map(|side| side.cast_signed()).collect();
                let value = make(&node.op, old, &shape)?;
                module.tensors.push(Named { name, role: spec.role, value });
            }
        }
        Ok(module)
    }
}

/// `tensor` in another size, zeros where it had nothing: as [`Module::resized`] does with a parameter, for its moments.
///
/// # Errors
/// [`NnError`] where there is no room.
pub fn resized_moment(moment: &Tensor, parameter: &Tensor) -> Result<Tensor, NnError> {
    let fresh = parameter.detach().f_zeros_like()?;
    copy_overlap(moment, &fresh)?;
    Ok(fresh)
}

/// The first elements of `wide` along every dimension: a view of `shape`.
fn prefix(wide: &Named, shape: &[i64]) -> Result<Tensor, NnError> {
    let mut view = wide.value.shallow_clone();
    for (dimension, (&length, whole)) in shape.iter().zip(wide.value.size()).enumerate() {
        if length > whole {
            let reason = format!("has {whole} along dimension {dimension}, and {length} are asked for");
            return Err(NnError::Tensor { name: wide.name.clone(), reason });
        }
        if length < whole {
            view = view.f_narrow(dimension as i64, 0, length)?;
        }
    }
    Ok(view)
}

/// Copies the block that both tensors have from `old` to `new`.
fn copy_overlap(old: &Tensor, new: &Tensor) -> Result<(), NnError> {
    let (mut from, mut to) = (old.detach(), new.detach());
    for (dimension, (a, b)) in old.size().into_iter().zip(new.size()).enumerate() {
        let both = a.min(b);
        from = from.f_narrow(dimension as i64, 0, both)?;
        to = to.f_narrow(dimension as i64, 0, both)?;
    }
    tch::no_grad(|| to.f_copy_(&from))?;
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
    match (op, leaf(name)) {
        (Op::Conv2d(conv), "weight") if conv.groups == 1 => Some(1),
        (Op::Linear(_), "weight") => Some(1),
        (Op::ConvTranspose2d(_), "weight") => Some(0),
        _ => None,
    }
}

/// `weight` of `body.conv.weight`.
fn leaf(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
