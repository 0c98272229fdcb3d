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

/// A key that sorts names with their numbers by size: `layer2` before `layer10`.
pub(super) fn natural(name: &str) -> Vec<(u64, &str)> {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let mut rest = name;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let digits = rest.find(|letter| !is_digit(letter)).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (word, after) = after.split_at(after.find(is_digit).unwrap_or(after.len()));
        parts.push((number.parse().unwrap_or(u64::MAX * u64::from(digits > 0)), word));
        rest = after;
    }
    parts
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
    fn numbers_in_names_sort_by_size() {
        let mut names = ["t10/last", "t2/t1", "t2/before", "a", "t2"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["a", "t2", "t2/before", "t2/t1", "t10/last"]);
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in ["conv", "conv/conv", "conv/convolution", "encoder/layers/encoder_layer_1", ""] {
            assert_eq!(brief(name), name);
        }
    }
}
