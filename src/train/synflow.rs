//! Synaptic flow: a score of a network that has learned nothing.

use tch::{Device, Kind, Tensor};

use super::{STREAM, TrainError};
use crate::network::{Network, NodeId, Op};
use crate::nn::{Module, Phase};
use crate::torch::mix;

/// `ln S`, `S = sum over weights of |theta * dR / dtheta|`, `R` the sum of all outputs on one image of ones with `|theta|`
/// for every weight (Tanaka et al. 2020, equations 2 and 3); minus infinity where nothing flows.
///
/// Weights are those of convolutions and linear layers, drawn from `seed`; biases start at 0 and add nothing. Batch norms
/// are left out, as Abdelfattah et al. 2021 do: their statistics are none before training, and what they divide by would
/// hide the flow. Numbers are 64-bit floating point, since flows grow with the product of all widths.
///
/// # Errors
/// [`TrainError`] where the network cannot be a module.
pub fn log_synflow(network: &Network, device: Device, seed: u64) -> Result<f64, TrainError> {
    let mut module = Module::new(&without_norms(network)?, device, mix(&[seed, STREAM]))?;
    module.change(|tensor| tensor.abs().to_kind(Kind::Double))?;
    Ok(flow(&module)?.ln())
}

/// The network with nothing in place of batch norms.
fn without_norms(network: &Network) -> Result<Network, TrainError> {
    let mut bare = Network::new(network.name(), network.node(network.input()).shape.clone());
    let mut places: Vec<NodeId> = Vec::with_capacity(network.len());
    for (id, node) in network.nodes() {
        let inputs: Vec<NodeId> = network.inputs(id).into_iter().map(|input| places[input.index()]).collect();
        places.push(match node.op {
            Op::Input => bare.input(),
            Op::BatchNorm { .. } => inputs[0],
            _ => bare.wire(&node.name, node.op.clone(), &inputs)?,
        });
    }
    bare.set_output(places[network.output().index()]);
    Ok(bare)
}

/// `sum |theta * dR / dtheta|` of a module whose tensors are not negative.
fn flow(module: &Module) -> Result<f64, TrainError> {
    let parameters = module.parameters();
    let device = parameters.first().map_or(Device::Cpu, Tensor::device);
    let network = module.network();
    let dims = network.node(network.input()).shape.dims().iter().map(|side| side.cast_signed());
    let image: Vec<i64> = std::iter::once(1).chain(dims).collect();
    let image = Tensor::f_ones(image, (Kind::Double, device))?;
    let output = module.run(&image, Phase::Evaluate).f_sum(Kind::Double)?;
    let gradients = Tensor::f_run_backward(&[&output], &parameters, false, false)?;
    let mut sum = Tensor::f_zeros([], (Kind::Double, device))?;
    for (weight, gradient) in parameters.iter().zip(gradients).filter(|(_, gradient)| gradient.defined()) {
        sum += (weight.detach() * gradient).f_abs()?.f_sum(Kind::Double)?;
    }
    Ok(sum.f_double_value(&[])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(nodes: &str, input: &str) -> Network {
        Network::parse(&format!("version: 1\nname: n\ninput: {input}\nnodes:\n{nodes}"), "n").unwrap()
    }

    const TWO_LAYERS: &str = "  - { name: a, op: { linear: { out-features: 2, bias: false } } }
  - { name: r, op: relu }
  - { name: b, op: { linear: { out-features: 1 } } }
";

    /// The two layers with the weights `[[1, -2], [3, 4]]` and `[[1, -5]]`, their signs taken away.
    fn module(network: &Network) -> Module {
        let mut module = Module::new(network, Device::Cpu, 0).unwrap();
        let value = |name: &str| match name {
            "a.weight" => Tensor::from_slice(&[1.0f32, -2.0, 3.0, 4.0]).view([2, 2]),
            "b.weight" => Tensor::from_slice(&[1.0f32, -5.0]).view([1, 2]),
            _ => Tensor::zeros([1], (Kind::Float, Device::Cpu)),
        };
        module.load(|name| Some(value(name))).unwrap();
        module.change(|tensor| tensor.abs().to_kind(Kind::Double)).unwrap();
        module
    }

    #[test]
    fn the_flow_of_two_layers_is_as_worked_by_hand() {
        // Ones through |A|: [1 + 2, 3 + 4] = [3, 7]; through |B|: R = 1 * 3 + 5 * 7 = 38.
        // B: theta * dR/dtheta = [1 * 3, 5 * 7], sum 38. A: dR/dA_ij = |B_i|, so [1 * 1 + 2 * 1, 3 * 5 + 4 * 5], sum 38.
        // Every layer carries the whole flow R; the bias is 0 and carries none.
        assert_eq!(flow(&module(&network(TWO_LAYERS, "[2]"))).unwrap(), 76.0);
    }

    #[test]
    fn norms_are_left_out_and_every_layer_carries_the_whole_flow() {
        let plain = "  - { name: c, op: { conv2d: { out-channels: 4, kernel: 3 } } }
  - { name: r, op: relu }
  - { name: d, op: { conv2d: { out-channels: 6, kernel: 1 } } }
  - { name: p, op: global-average-pool }
  - { name: f, op: flatten }
  - { name: l, op: { linear: { out-features: 10 } } }
";
        let norm = plain.replace("  - { name: r", "  - { name: n, op: batch-norm }\n  - { name: r");
        let score = |nodes: &str, seed| log_synflow(&network(nodes, "[3, 8, 8]"), Device::Cpu, seed).unwrap();
        assert_eq!(score(plain, 5), score(&norm, 5));
        assert_ne!(score(plain, 5), score(plain, 6));
        // Three layers of weights: S = 3 R.
        let mut module = Module::new(&network(plain, "[3, 8, 8]"), Device::Cpu, mix(&[5, STREAM])).unwrap();
        module.change(|tensor| tensor.abs().to_kind(Kind::Double)).unwrap();
        let ones = Tensor::ones([1, 3, 8, 8], (Kind::Double, Device::Cpu));
        let output = module.run(&ones, Phase::Evaluate).sum(Kind::Double).double_value(&[]);
        assert!((score(plain, 5) - (3.0 * output).ln()).abs() < 1e-12);
    }

    #[test]
    fn wider_layers_carry_more() {
        let score = |channels: u64| {
            let nodes = format!(
                "  - {{ name: c, op: {{ conv2d: {{ out-channels: {channels}, kernel: 3 }} }} }}\n  \
                 - {{ name: f, op: flatten }}\n  - {{ name: l, op: {{ linear: {{ out-features: 10 }} }} }}\n"
            );
            log_synflow(&network(&nodes, "[3, 8, 8]"), Device::Cpu, 1).unwrap()
        };
        assert!(score(4) < score(16) && score(16) < score(64));
    }
}
