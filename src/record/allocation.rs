//! Widths under a dynamic allocation, in the history.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the widths are allocated where an epoch ends, and what was decided in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AllocationEpoch {
    /// Weight steps of the epoch.
    pub steps: u32,
    /// Bytes of the task's tensors that grow and shrink with the widths.
    pub allocated_bytes: u64,
    /// For each searched width, by name.
    pub widths: BTreeMap<String, AllocatedWidth>,
    /// What was decided, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<AllocationDecision>,
}

/// A width under a dynamic allocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AllocatedWidth {
    /// The options held, narrowest first; tensors are as wide as the last.
    pub window: Vec<WindowOption>,
    /// Slope that its options are judged by, nats for a doubling over `ln 2`.
    pub slope: f64,
    /// Slope that its own probes have measured.
    pub measured: Option<f64>,
}

/// An option of a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WindowOption {
    /// Its channels.
    pub channels: u64,
    /// Its probability.
    pub probability: f64,
    /// Architecture steps since it was added.
    pub age: u32,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllocationKind {
    /// An option came below the top.
    Add,
    /// An option below the top went.
    Drop,
    /// An option came above the top: tensors grew.
    Grow,
    /// The top went: tensors shrank.
    Shrink,
    /// An option above the top was worth a try, but a step would have outgrown the memory ceiling. Told once an epoch.
    HeldBack,
    /// Nothing is added from here on.
    Stop,
}

/// A decision about an option of a width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AllocationDecision {
    /// Weight step of the epoch after which it was taken, from 1.
    pub step: u32,
    /// What was decided.
    pub kind: AllocationKind,
    /// Name of the width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<String>,
    /// The option's channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u64>,
    /// Slope that it was judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slope: Option<f64>,
    /// Slope at which it is worth as much as the likeliest option; absent where it is that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_even: Option<f64>,
    /// Its probability, where it was in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Channels of the options held from there on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<u64>,
    /// Architecture steps since each of them was added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ages: Vec<u32>,
    /// Bytes of the task's tensors that grow and shrink with the widths, from there on.
    pub allocated_bytes: u64,
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;
    use serde_json::Value;

    use super::*;

    fn whole() -> AllocationEpoch {
        let window = vec![
            WindowOption { channels: 112, probability: 0.125, age: 40 },
            WindowOption { channels: 128, probability: 0.875, age: 5 },
        ];
        let decision = AllocationDecision {
            step: 12,
            kind: AllocationKind::Grow,
            width: Some("stage0".to_owned()),
            channels: Some(128),
            slope: Some(0.1),
            break_even: Some(0.125),
            probability: Some(0.25),
            window: vec![112, 128],
            ages: vec![40, 0],
            allocated_bytes: 4096,
        };
        AllocationEpoch {
            steps: 40,
            allocated_bytes: 4096,
            widths: BTreeMap::from([(
                "stage0".to_owned(),
                AllocatedWidth { window, slope: 0.1, measured: Some(0.0625) },
            )]),
            decisions: vec![decision],
        }
    }

    /// Names in `object`.
    fn names(object: &Value) -> Vec<&str> {
        let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_schema_names_every_field_that_is_written() {
        let schema = serde_json::to_value(schema_for!(AllocationEpoch)).unwrap();
        let written = serde_json::to_value(whole()).unwrap();
        assert_eq!(names(&schema["properties"]), names(&written));
        let of = |name: &str| names(&schema["$defs"][name]["properties"]);
        assert_eq!(of("AllocationDecision"), names(&written["decisions"][0]));
        assert_eq!(of("AllocatedWidth"), names(&written["widths"]["stage0"]));
        assert_eq!(of("WindowOption"), names(&written["widths"]["stage0"]["window"][0]));
    }

    #[test]
    fn a_stop_is_written_without_what_it_has_none_of_and_read_back() {
        let stop = AllocationDecision {
            step: 3,
            kind: AllocationKind::Stop,
            width: None,
            channels: None,
            slope: None,
            break_even: None,
            probability: None,
            window: Vec::new(),
            ages: Vec::new(),
            allocated_bytes: 8,
        };
        let text = serde_json::to_string(&stop).unwrap();
        assert_eq!(text, r#"{"step":3,"kind":"stop","allocated_bytes":8}"#);
        assert_eq!(serde_json::from_str::<AllocationDecision>(&text).unwrap(), stop);
        let epoch = serde_json::to_string(&whole()).unwrap();
        assert_eq!(serde_json::from_str::<AllocationEpoch>(&epoch).unwrap(), whole());
    }
}
