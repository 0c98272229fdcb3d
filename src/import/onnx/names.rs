//! Names of ONNX as names of a network.

use std::collections::HashMap;

/// Hands out names `[a-z][a-z0-9_]*` joined by `/`, each once.
#[derive(Debug)]
pub(super) struct Names {
    /// For each name how often it was asked for.
    taken: HashMap<String, u64>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { taken: HashMap::from([("input".to_owned(), 1)]) }
    }

    /// `wanted` in the network's letters, with a number behind it where it is taken.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let base = clean(wanted);
        let mut name = base.clone();
        loop {
            let times = self.taken.entry(name.clone()).or_insert(0);
            *times += 1;
            if *times == 1 {
                return name;
            }
            let number =
                *self.taken.entry(base.clone()).and_modify(|times| *times += u64::from(name != base)).or_insert(1);
            name = format!("{base}_{number}");
        }
    }
}

/// Lower case; every other letter than `[a-z0-9_/]` becomes `_`, a part that starts with none gets an `n` before it.
fn clean(wanted: &str) -> String {
    let part = |part: &str| {
        let lower = part.chars().map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_') => c,
            _ => '_',
        });
        let lower: String = lower.collect();
        if lower.starts_with(|c: char| c.is_ascii_lowercase()) { lower } else { format!("n{lower}") }
    };
    let parts: Vec<String> = wanted.split('/').filter(|part| !part.is_empty()).map(part).collect();
    if parts.is_empty() { "node".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_a_user_recognises() {
        let mut names = Names::new();
        for (given, name) in [
            ("/layer1/layer1.0/conv1/Conv", "layer1/layer1_0/conv1/conv"),
            ("node_Conv_291", "node_conv_291"),
            ("input", "input_2"),
            ("564", "n564"),
            ("gpu_0/res_conv1_bn_s", "gpu_0/res_conv1_bn_s"),
            ("564", "n564_2"),
            ("n564_2", "n564_2_2"),
            ("564", "n564_3"),
            ("//", "node"),
            ("résumé", "r_sum_"),
        ] {
            assert_eq!(names.unique(given), name, "{given}");
        }
    }
}
