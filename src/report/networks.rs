//! Networks of a table's points: thousands that are alike.

use std::collections::HashMap;

use serde::Serialize;

use super::Layer;
use crate::estimate::Estimate;

/// The end of a line, and how a node begins.
const NODE: &str = "\n- name:";

/// The networks and layers of many points; each distinct part of YAML and each distinct layer is held once.
///
/// A part is a node, or what stands before the nodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Networks {
    /// Parts of YAML, whole lines.
    parts: Vec<String>,
    /// A network each: the places of its parts.
    texts: Vec<Vec<u32>>,
    /// Layers.
    layers: Vec<Layer>,
    /// For each front, for each of its points.
    points: Vec<Vec<Option<Shown>>>,
    #[serde(skip)]
    part_places: HashMap<String, u32>,
    #[serde(skip)]
    layer_places: HashMap<String, u32>,
}

/// What is shown of a point: the place of its network, and those of its layers in order. Serializes as a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown(u32, Vec<u32>);

impl Networks {
    /// Takes in the YAML of a network; its place.
    pub fn network(&mut self, yaml: &str) -> u32 {
        let Self { parts, part_places, texts, .. } = self;
        let one = |part: &str| match part_places.get(part) {
            Some(&place) => place,
            None => {
                let place = place(parts.len());
                parts.push(part.to_owned());
                part_places.insert(part.to_owned(), place);
                place
            }
        };
        texts.push(split(yaml).into_iter().map(one).collect());
        place(texts.len() - 1)
    }

    /// Takes in an estimate of the network at `network`.
    ///
    /// # Panics
    /// Never: layers always serialize.
    pub fn estimate(&mut self, network: u32, estimate: &Estimate) -> Shown {
        let Self { layers, layer_places, .. } = self;
        let layer = |layer: Layer| {
            let key = serde_json::to_string(&layer).expect("plain records always serialize");
            *layer_places.entry(key).or_insert_with(|| {
                layers.push(layer);
                place(layers.len() - 1)
            })
        };
        Shown(network, estimate.layers.iter().map(Layer::of).map(layer).collect())
    }

    /// Takes in the points of the next front, in its order; nothing for those that the page shows no network of.
    pub fn front(&mut self, points: Vec<Option<Shown>>) {
        self.points.push(points);
    }

    /// Points with a network.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.points.iter().flatten().flatten().count()
    }
}

/// `yaml` before each node.
fn split(yaml: &str) -> Vec<&str> {
    let mut cuts: Vec<usize> = yaml.match_indices(NODE).map(|(at, _)| at + 1).collect();
    cuts.insert(0, 0);
    cuts.push(yaml.len());
    cuts.windows(2).map(|cut| &yaml[cut[0]..cut[1]]).collect()
}

/// A page holds far fewer than 2^32 of anything.
fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_networks_share_are_held_once() {
        let mut networks = Networks::default();
        let [a, b] = ["name: a\nnodes:\n- name: x\n  op: y\n- name: z\n", "name: b\nnodes:\n- name: x\n  op: y\n"];
        assert_eq!([a, b, "", "name: c\n"].map(|yaml| networks.network(yaml)), [0, 1, 2, 3]);
        // Two heads and two nodes, the empty text and one without nodes.
        let parts = ["name: a\nnodes:\n", "- name: x\n  op: y\n", "- name: z\n", "name: b\nnodes:\n", "", "name: c\n"];
        assert_eq!(networks.parts, parts);
        assert_eq!(networks.texts, [vec![0, 1, 2], vec![3, 1], vec![4], vec![5]]);
    }
}
