//! What a run ran on.

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// `environment.json`: with `spec.yaml` what it takes to repeat a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of this package.
    pub version: String,
    /// Commit that it was built from, where known.
    pub commit: Option<String>,
    /// `cpu` or `cuda:0`, with the card's name where it has one.
    pub device: String,
    /// Threads of the host that tensors use.
    pub threads: usize,
    /// Version of libtorch; nothing where none was used.
    pub libtorch: Option<String>,
    /// Number format of convolutions: `f32` or `bf16`; nothing where nothing was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Operating system and processor architecture, as `linux x86_64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// What the search was predicted to hold at most; nothing where it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<PredictedMemory>,
    /// What sittings before ran on where it was something else, the first first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Environment>,
}

/// Memory at the fullest moment of the stage that needs most, as predicted before its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictedMemory {
    /// All of it.
    pub peak_bytes: Bytes,
    /// What the process held before the first step.
    pub present_bytes: Bytes,
    /// Weights and statistics.
    pub weights_bytes: Bytes,
    /// Moments of the optimizer.
    pub moments_bytes: Bytes,
    /// Gradients of weights.
    pub gradients_bytes: Bytes,
    /// Maps that the backward pass needs.
    pub activations_bytes: Bytes,
    /// Gradients of maps, and what is held for a moment.
    pub workspace_bytes: Bytes,
    /// Images that go through together in each stage.
    pub micro_batches: Vec<u64>,
}

impl Environment {
    /// This one, for a run that ran on `before` until now.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        let Self { earlier, .. } = before.clone();
        // What was predicted says nothing of what it ran on.
        let alone = Self { earlier: Vec::new(), memory: None, ..before };
        let mut earlier: Vec<Self> = earlier.into_iter().chain([alone]).collect();
        earlier.dedup();
        if earlier.as_slice() == [Self { memory: None, ..self.clone() }] {
            earlier.clear();
        }
        Self { earlier, ..self }
    }

    /// A sentence for each thing that the results' bits depend on and that is not what the run began with.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        let sittings: Vec<&Self> = self.earlier.iter().chain([self]).collect();
        for pair in sittings.windows(2) {
            let (first, now) = (sittings[0].parts(), pair[1].parts());
            for ((name, began), (_, now)) in first.iter().zip(&now).filter(|((_, a), (_, b))| a != b) {
                let sentence = format!(
                    "the run went on with {name} {now}, having begun with {began}: it may end in other bits than one without \
                     a stop"
                );
                if !told.contains(&sentence) {
                    told.push(sentence);
                }
            }
        }
        told
    }

    /// What the bits depend on, by name.
    fn parts(&self) -> [(&'static str, String); 6] {
        let or = |text: &Option<String>, otherwise: &str| text.clone().unwrap_or_else(|| otherwise.to_owned());
        [
            ("systole", format!("{} of commit {}", self.version, or(&self.commit, "unknown"))),
            ("device", self.device.clone()),
            ("threads", self.threads.to_string()),
            ("precision", or(&self.precision, "unknown")),
            ("libtorch", or(&self.libtorch, "none")),
            ("system", or(&self.os, "unknown")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(device: &str, threads: usize) -> Environment {
        Environment {
            version: "0.1.0".to_owned(),
            commit: None,
            device: device.to_owned(),
            threads,
            libtorch: Some("2.11.0".to_owned()),
            precision: Some("f32".to_owned()),
            os: None,
            memory: None,
            earlier: Vec::new(),
        }
    }

    #[test]
    fn a_run_that_goes_on_with_the_same_says_nothing() {
        let same = on("cpu", 2).after(on("cpu", 2));
        assert_eq!((same.clone(), same.changes()), (on("cpu", 2), Vec::new()));
    }

    #[test]
    fn every_change_is_told_once_with_both_sides_and_never_forgotten() {
        let second = on("cuda:0", 1).after(on("cpu", 2));
        let sentence = |name, now, began| {
            format!(
                "the run went on with {name} {now}, having begun with {began}: it may end in other bits than one without a \
                 stop"
            )
        };
        let wanted = [sentence("device", "cuda:0", "cpu"), sentence("threads", "1", "2")];
        assert_eq!(second.changes(), wanted);
        // A third sitting like the second, and a fourth like the first: what was different stays told.
        let third = on("cuda:0", 1).after(second.clone());
        assert_eq!(third.changes(), wanted);
        assert_eq!(on("cpu", 2).after(third).changes(), wanted);
        let mut other = Environment { libtorch: Some("2.12.0".to_owned()), ..on("cpu", 2) };
        other.precision = Some("bf16".to_owned());
        let wanted = [sentence("precision", "bf16", "f32"), sentence("libtorch", "2.12.0", "2.11.0")];
        assert_eq!(other.after(on("cpu", 2)).changes(), wanted);
    }

    #[test]
    fn an_environment_without_earlier_sittings_is_read_as_before() {
        let text = serde_json::to_string(&on("cpu", 2)).unwrap();
        assert!(!text.contains("earlier"));
        assert_eq!(serde_json::from_str::<Environment>(&text).unwrap(), on("cpu", 2));
    }
}
