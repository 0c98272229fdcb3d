//! Names of layers in few letters.

/// `name` without the parts that the next part repeats: `conv_1` of `conv_1/conv_1_0`.
pub(super) fn brief(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    let repeated = |at: usize| {
        let after = parts.get(at + 1).and_then(|next| next.strip_prefix(parts[at]));
        after.is_some_and(|after| after.starts_with('_'))
    };
    let kept = (0..parts.len()).filter(|&at| !repeated(at)).map(|at| parts[at]);
    kept.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_the_next_one_repeats_is_left_out() {
        assert_eq!(brief("features/features_3/conv/conv_1/conv_1_0/conv"), "features_3/conv_1_0/conv");
        assert_eq!(brief("layer4/layer4_0/downsample/downsample_0/conv"), "layer4_0/downsample_0/conv");
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in ["conv", "conv/conv", "conv/convolution", "encoder/layers/encoder_layer_1", ""] {
            assert_eq!(brief(name), name);
        }
    }
}
