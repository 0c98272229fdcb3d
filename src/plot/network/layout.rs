//! Where boxes lie: in layers from above, wires downwards, as few crossings as the method of Sugiyama finds.

use std::ops::Range;

use rust_sugiyama::configure::Config;
use rust_sugiyama::from_vertices_and_edges;

use super::boxes::Boxes;

/// Width and height of a box, and room around each, pixels.
pub(super) const BOX: [f64; 2] = [178.0, 50.0];
pub(super) const GAP: [f64; 2] = [18.0, 30.0];
/// Room that a wire takes where it passes a layer, pixels.
const PASS: f64 = 8.0;

/// Where everything lies, pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// For each box its layer, from 0, and the middle of its width.
    pub(super) boxes: Vec<(usize, f64)>,
    /// For each wire the places where it passes the layers between its ends, in order.
    pub(super) passes: Vec<Vec<f64>>,
    /// The box in which each wire begins.
    sources: Vec<usize>,
    pub(super) layers: usize,
    pub(super) width: f64,
}

impl Layout {
    pub(super) fn new(boxes: &Boxes) -> Self {
        let layer = layers(boxes);
        // A vertex for each layer that a wire passes: with these each edge leads to the next layer, which settles the
        // layers of the layout, too.
        let mut vertices: Vec<f64> = vec![BOX[0]; boxes.units.len()];
        let mut edges = Vec::new();
        let mut passed = Vec::new();
        for &(from, to) in &boxes.wires {
            let between: Vec<usize> = (vertices.len()..).take(layer[to] - layer[from] - 1).collect();
            vertices.resize(vertices.len() + between.len(), PASS);
            let path: Vec<usize> = [&[from], &between[..], &[to]].concat();
            edges.extend(path.windows(2).map(|pair| (index(pair[0]), index(pair[1]))));
            passed.push(between);
        }
        let centres = centres(&vertices, &edges);
        let left = vertices.iter().zip(&centres).map(|(width, x)| x - width / 2.0).fold(f64::INFINITY, f64::min);
        let right = vertices.iter().zip(&centres).map(|(width, x)| x + width / 2.0).fold(left, f64::max);
        let at = |vertex: usize| centres[vertex] - left;
        Self {
            sources: boxes.wires.iter().map(|(from, _)| *from).collect(),
            layers: layer.iter().max().map_or(0, |last| last + 1),
            boxes: layer.into_iter().enumerate().map(|(unit, layer)| (layer, at(unit))).collect(),
            passes: passed.iter().map(|path| path.iter().map(|&vertex| at(vertex)).collect()).collect(),
            width: (right - left).max(BOX[0]),
        }
    }
}

impl Layout {
    /// From where to where something lies in `layers`.
    pub(super) fn span(&self, layers: Range<usize>) -> [f64; 2] {
        let boxes = self.boxes.iter().map(|&(layer, x)| (layer, x, BOX[0]));
        let passes = self.passes.iter().zip(&self.sources).flat_map(|(passes, &source)| {
            passes.iter().zip(self.boxes[source].0 + 1..).map(|(&x, layer)| (layer, x, PASS))
        });
        let within = boxes.chain(passes).filter(|(layer, _, _)| layers.contains(layer));
        within.fold([f64::INFINITY, 0.0], |[from, to], (_, x, width)| {
            [from.min(x - width / 2.0), to.max(x + width / 2.0)]
        })
    }
}

fn index(place: usize) -> u32 {
    u32::try_from(place).expect("a picture has some hundred boxes")
}

/// The middle of each vertex.
fn centres(vertices: &[f64], edges: &[(u32, u32)]) -> Vec<f64> {
    let sized: Vec<(u32, (f64, f64))> = (0..).zip(vertices).map(|(vertex, width)| (vertex, (*width, BOX[1]))).collect();
    let config = Config { vertex_spacing: GAP[0], ..Config::default() };
    let mut centres = vec![0.0; vertices.len()];
    for (component, _, _) in from_vertices_and_edges(&sized, edges, &config) {
        for (vertex, (x, _)) in component {
            centres[vertex] = x;
        }
    }
    centres
}

/// One more than the deepest source; a box without sources lies right above the first that it feeds.
fn layers(boxes: &Boxes) -> Vec<usize> {
    let mut layer = vec![0; boxes.units.len()];
    // Wires are sorted by their ends, which stand in topological order.
    for &(from, to) in &boxes.wires {
        layer[to] = layer[to].max(layer[from] + 1);
    }
    for unit in 1..layer.len() {
        let fed = boxes.wires.iter().filter(|(from, _)| *from == unit).map(|&(_, to)| layer[to]).min();
        if let Some(first) = fed.filter(|_| boxes.wires.iter().all(|(_, to)| *to != unit)) {
            layer[unit] = first - 1;
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::boxes::Unit;
    use super::*;

    fn unit() -> Unit {
        Unit {
            name: "a".to_owned(),
            what: String::new(),
            then: Vec::new(),
            shape: Vec::new(),
            utilization: None,
            share: 0.0,
        }
    }

    /// A box behind earlier ones; the first is the input of those that name none.
    fn boxes(sources: &[Vec<usize>]) -> Boxes {
        let wires = sources.iter().enumerate().flat_map(|(place, sources)| {
            let mut sources: Vec<usize> = sources.iter().map(|source| source % (place + 1)).collect();
            sources.sort_unstable();
            sources.dedup();
            sources.into_iter().map(move |source| (source, place + 1))
        });
        Boxes { wires: wires.collect(), units: vec![unit(); sources.len() + 1] }
    }

    #[test]
    fn a_wire_over_two_layers_passes_the_one_between() {
        // input -> a -> b, and input -> b
        let layout = Layout::new(&boxes(&[vec![0], vec![0, 1]]));
        assert_eq!(layout.boxes.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(layout.passes.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
        let (a, pass) = (layout.boxes[1].1, layout.passes[1][0]);
        assert!((a - pass).abs() >= (BOX[0] + PASS) / 2.0, "the wire goes by beside the box: {a} {pass}");
    }

    #[test]
    fn a_box_without_sources_lies_above_the_first_that_it_feeds() {
        // input -> a -> b -> c, and d -> c
        let boxes = Boxes { wires: vec![(0, 1), (1, 2), (2, 4), (3, 4)], units: vec![unit(); 5] };
        assert_eq!(layers(&boxes), [0, 1, 2, 2, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn nothing_overlaps_and_equal_graphs_lie_alike(sources in prop::collection::vec(prop::collection::vec(0_usize..40, 1..4), 1..40)) {
            let boxes = boxes(&sources);
            let layout = Layout::new(&boxes);
            prop_assert_eq!(&layout, &Layout::new(&boxes));
            let mut spans: Vec<(usize, f64, f64)> =
                layout.boxes.iter().map(|&(layer, x)| (layer, x - BOX[0] / 2.0, x + BOX[0] / 2.0)).collect();
            for (&(from, _), passes) in boxes.wires.iter().zip(&layout.passes) {
                spans.extend(passes.iter().zip(layout.boxes[from].0 + 1..).map(|(x, layer)| (layer, x - PASS / 2.0, x + PASS / 2.0)));
            }
            for (place, a) in spans.iter().enumerate() {
                prop_assert!(a.1 >= -1e-6 && a.2 <= layout.width + 1e-6);
                for b in &spans[..place] {
                    prop_assert!(a.0 != b.0 || a.1 >= b.2 - 1e-6 || b.1 >= a.2 - 1e-6, "{:?} {:?}", a, b);
                }
            }
            for &(from, to) in &boxes.wires {
                prop_assert!(layout.boxes[from].0 < layout.boxes[to].0);
            }
        }
    }
}
