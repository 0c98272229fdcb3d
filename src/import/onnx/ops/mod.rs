//! The operators of ONNX as operators of a network, by what they do.

mod arithmetic;
mod attention;
mod convolution;
mod einsum;
mod fold;
mod layout;
mod norm;
mod products;
mod reduce;
mod shapes;
mod window;

use super::call::{Call, Outputs, Value};
use super::steps::Refusal;

/// How a node counts among those that are covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// It becomes operators of the network.
    Operator,
    /// It costs nothing and leaves its input as it is.
    Free,
}

/// Turns a node into operators.
pub(super) fn lower(call: &mut Call<'_>) -> Outputs {
    let domain = call.node.domain.clone().unwrap_or_default();
    let operator = call.node.op_type.clone().unwrap_or_default();
    match domain.as_str() {
        "" | "ai.onnx" => standard(call, &operator),
        "com.microsoft" => microsoft(call, &operator),
        _ => Err(Refusal::Unknown(format!("operators of `{domain}` are not known"))),
    }
}

fn standard(call: &mut Call<'_>, operator: &str) -> Outputs {
    match operator {
        "Conv" => convolution::conv(call, 1, Some(2)),
        "ConvInteger" => convolution::conv(call, 1, None),
        "QLinearConv" => convolution::conv(call, 3, Some(8)),
        "ConvTranspose" => convolution::transposed(call),
        "Gemm" => products::gemm(call),
        "MatMul" | "MatMulInteger" => products::matmul(call, 1),
        "QLinearMatMul" => products::matmul(call, 3),
        "Einsum" => einsum::einsum(call),
        "Attention" => attention::attention(call),
        "MaxPool" | "AveragePool" | "LpPool" => window::pool(call, operator),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => reduce::global(call, operator),
        "Resize" | "Upsample" => window::resize(call),
        "Pad" => window::pad(call),
        "BatchNormalization" => norm::batch(call),
        "LayerNormalization" => norm::layer(call),
        "RMSNormalization" | "SimplifiedLayerNormalization" => norm::rms(call),
        "InstanceNormalization" => norm::instance(call),
        "GroupNormalization" => norm::group(call),
        "LRN" => norm::local_response(call),
        "Softmax" | "LogSoftmax" | "Hardmax" => norm::softmax(call),
        "Shape" | "Size" | "ConstantOfShape" | "Range" | "NonZero" => shapes::lower(call, operator),
        _ => free_or_layout(call, operator),
    }
}

fn free_or_layout(call: &mut Call<'_>, operator: &str) -> Outputs {
    match operator {
        "Identity"
        | "Dropout"
        | "Cast"
        | "CastLike"
        | "QuantizeLinear"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear" => shapes::unchanged(call, operator),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => layout::renamed(call, operator),
        "Transpose" | "Slice" | "Split" | "Gather" | "Concat" | "Expand" | "Tile" | "DepthToSpace" | "SpaceToDepth" => {
            layout::moved(call, operator)
        }
        _ => match reduce::reduction(operator) {
            Some(reduction) => reduce::reduce(call, reduction),
            None => arithmetic::lower(call, operator),
        },
    }
}

fn microsoft(call: &mut Call<'_>, operator: &str) -> Outputs {
    match operator {
        "FusedConv" => convolution::conv(call, 1, Some(2)),
        "FusedGemm" => products::gemm(call),
        "FusedMatMul" if call.int("transA", 0) == 0 && call.int("transB", 0) == 0 => products::matmul(call, 1),
        "SimplifiedLayerNormalization" => norm::rms(call),
        "QuantizeLinear" | "DequantizeLinear" => shapes::unchanged(call, operator),
        "Gelu" | "FastGelu" | "QuickGelu" => arithmetic::lower(call, "Gelu"),
        _ => Err(Refusal::Unknown("this operator is not known".to_owned())),
    }
}

/// Whether the operator leaves its input as it is.
pub(super) fn cover(operator: &str) -> Cover {
    match operator {
        "Identity" | "Dropout" | "Cast" | "CastLike" | "QuantizeLinear" | "DequantizeLinear" | "Reshape"
        | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Slice" | "Split" | "Gather" | "Concat" | "Expand"
        | "Tile" | "DepthToSpace" | "SpaceToDepth" | "Pad" => Cover::Free,
        _ => Cover::Operator,
    }
}

/// Whether every input that is there is a constant.
fn all_constant(call: &Call<'_>) -> bool {
    call.inputs.iter().all(|value| matches!(value, Value::Constant(_) | Value::Absent))
}
