//! What a step holds at its fullest, from the shapes of the supernet alone.
//!
//! The forward pass lays up what the backward pass needs; the backward pass goes through the edges in reverse, frees that,
//! and lays up the gradients of weights. The fullest moment lies between, and is found by going through it.

use super::super::net::unprojected;
use super::kept::Kept;
use crate::network::NetworkError;
use crate::search::{Paths, Stage};
use crate::space::{Candidate, DeriveError, End, Space, Width};
use crate::torch::Precision;
use crate::units::Bytes;

/// Bytes of a weight, a moment, a gradient: f32.
const WEIGHT_BYTES: u64 = 4;
/// Maps that are held for a moment beside those that are kept while an edge runs back: the gradients behind its weight,
/// its ReLU, its batch norm and its convolution.
const BACKWARD_MAPS: u64 = 4;
/// Maps that are held for a moment while an edge runs without a graph: before and behind its batch norm, and the product.
const FORWARD_MAPS: u64 = 3;

/// Bytes of a step at its fullest moment, beside what the process holds anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepMemory {
    /// Weights and statistics.
    pub weights: Bytes,
    /// Moments of the optimizer.
    pub moments: Bytes,
    /// Gradients of weights.
    pub gradients: Bytes,
    /// Maps that the backward pass needs, and weights in bfloat16.
    pub activations: Bytes,
    /// Gradients of maps, and what is held for a moment.
    pub workspace: Bytes,
}

impl StepMemory {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Bytes {
        [self.weights, self.moments, self.gradients, self.activations, self.workspace].into_iter().sum()
    }
}

/// What a stage runs in a step.
#[derive(Debug, Clone, Copy)]
pub enum Running<'a> {
    /// Every candidate is there, and these run.
    Operators {
        /// How many of an edge.
        paths: Paths,
        /// Option of each width choice.
        widths: &'a [usize],
    },
    /// One candidate of each edge is there.
    Widths {
        /// Candidate of each operator choice, where that is settled; else the largest counts.
        operators: Option<&'a [usize]>,
        /// Option of each width choice that tensors are sized for, where passes run on slices; else every width is at its
        /// widest, under a mask.
        sizes: Option<&'a [usize]>,
    },
}

impl<'a> Running<'a> {
    /// What `stage` runs.
    #[must_use]
    pub fn of(stage: &'a Stage, paths: Paths) -> Self {
        match stage {
            Stage::Operators { widths } => Self::Operators { paths, widths },
            Stage::Widths { operators } => Self::Widths { operators: Some(operators), sizes: None },
            Stage::Whole => Self::Widths { operators: None, sizes: None },
        }
    }
}

/// The candidates of a space as memory sees them.
#[derive(Debug)]
pub struct Inventory {
    /// By edge, by candidate that is there: what it holds; nothing for `zero`.
    edges: Vec<Vec<Option<Kept>>>,
    /// By edge, by candidate: whether it runs.
    runs: Vec<Vec<bool>>,
    /// By edge: from which join to which.
    ends: Vec<(usize, usize)>,
    /// By join: values of its map.
    maps: Vec<u64>,
    classifier: Kept,
    precision: Precision,
}

impl Inventory {
    /// What `running` of `space` holds in `precision`; where a draw decides, the one that holds most.
    ///
    /// # Errors
    /// [`DeriveError`] where a candidate does not fit its edge.
    pub fn new(space: &Space, running: Running<'_>, precision: Precision) -> Result<Self, DeriveError> {
        let options: Vec<usize> = match running {
            Running::Operators { widths: sizes, .. } | Running::Widths { sizes: Some(sizes), .. } => sizes.to_vec(),
            Running::Widths { sizes: None, .. } => space.widths.iter().map(|choice| choice.options.len() - 1).collect(),
        };
        let channels = |width: Width| space.channels(width, &options);
        let masked = |width: Width| match running {
            Running::Operators { .. } | Running::Widths { sizes: Some(_), .. } => false,
            Running::Widths { sizes: None, .. } => space.options_of(width).len() > 1,
        };
        let mut edges = Vec::with_capacity(space.edges.len());
        for edge in &space.edges {
            let kept = |candidate: &Candidate| -> Result<Option<Kept>, NetworkError> {
                if *candidate == Candidate::Zero {
                    return Ok(None);
                }
                let [from, to] = space.ends_of(edge, candidate);
                let candidate = unprojected(candidate);
                let (network, points) = space.fragment_with_masks(edge, candidate, channels(from), channels(to))?;
                let follows = |end: End| match end {
                    End::Source => masked(from),
                    End::Target => masked(to),
                };
                let mut masks: Vec<_> =
                    points.iter().filter(|point| follows(point.end)).map(|point| point.node).collect();
                if space.own_width(edge, candidate).is_some_and(|own| masked(own.into())) {
                    masks.push(network.output());
                }
                let kept = Kept::of(&network, &masks);
                let packs =
                    candidate.copies(edge.stride) && matches!(from, Width::Sum(_)) && from != to && masked(from);
                Ok(Some(if packs { kept.packed(channels(from) * space.join(edge.from).side.pow(2)) } else { kept }))
            };
            edges.push(space.candidates(edge).iter().map(kept).collect::<Result<Vec<_>, _>>()?);
        }
        let last = channels(space.join(space.last()).width);
        let mut inventory = Self {
            runs: edges.iter().map(|candidates| vec![true; candidates.len()]).collect(),
            edges,
            ends: space.edges.iter().map(|edge| (edge.from.0, edge.to.0)).collect(),
            maps: space.joins.iter().map(|join| channels(join.width) * join.side * join.side).collect(),
            classifier: Kept::of(&space.classifier_fragment(last)?, &[]),
            precision,
        };
        inventory.choose(space, running);
        Ok(inventory)
    }

    /// Settles which candidates run, and drops those that are not there.
    fn choose(&mut self, space: &Space, running: Running<'_>) {
        for choice in 0..space.operators.len() {
            let candidates = space.operators[choice].candidates.len();
            let edges: Vec<usize> = (0..self.edges.len()).filter(|&e| space.edges[e].operator.0 == choice).collect();
            let mut order: Vec<usize> = (0..candidates).collect();
            let size = |candidate: usize| -> u64 {
                edges.iter().filter_map(|&edge| self.edges[edge][candidate].map(|kept| self.weight_of(&kept))).sum()
            };
            order.sort_by_key(|&candidate| std::cmp::Reverse(size(candidate)));
            let running = match running {
                Running::Operators { paths: Paths::Full, .. } => order,
                Running::Operators { paths: Paths::Sampled(count), .. } => {
                    order.into_iter().take(count.get()).collect()
                }
                Running::Widths { operators: Some(operators), .. } => vec![operators[choice]],
                Running::Operators { paths: Paths::Alone, .. } | Running::Widths { operators: None, .. } => {
                    order.into_iter().take(1).collect()
                }
            };
            for edge in edges {
                for candidate in 0..candidates {
                    self.runs[edge][candidate] = running.contains(&candidate);
                }
            }
        }
        if let Running::Widths { .. } = running {
            for (candidates, runs) in self.edges.iter_mut().zip(&self.runs) {
                for (kept, runs) in candidates.iter_mut().zip(runs) {
                    *kept = kept.filter(|_| *runs);
                }
            }
        }
    }

    /// Bytes of a value of a map.
    fn map_bytes(&self) -> u64 {
        match self.precision {
            Precision::Float32 => 4,
            Precision::Bfloat16 => 2,
        }
    }

    /// Bytes that a candidate lays up in a forward pass of `images`.
    fn held_by(&self, kept: &Kept, images: u64) -> u64 {
        let copies = match self.precision {
            Precision::Float32 => 0,
            Precision::Bfloat16 => kept.parameters * self.map_bytes(),
        };
        images * ((kept.inside + kept.output) * self.map_bytes() + kept.index_bytes) + copies
    }

    /// Bytes of a candidate that runs on one image, with its weights, their moments and their gradients.
    fn weight_of(&self, kept: &Kept) -> u64 {
        self.held_by(kept, 1) + 3 * WEIGHT_BYTES * kept.parameters
    }

    /// The candidates of an edge that run.
    fn running(&self, edge: usize) -> impl Iterator<Item = &Kept> {
        self.edges[edge].iter().zip(&self.runs[edge]).filter(|(_, runs)| **runs).filter_map(|(kept, _)| kept.as_ref())
    }

    /// Bytes that a join lays up in a forward pass of `images`: its sum where it is one, and its edges need it.
    fn join_bytes(&self, join: usize, images: u64) -> u64 {
        let into: usize =
            (0..self.ends.len()).filter(|&e| self.ends[e].1 == join).map(|e| self.running(e).count()).sum();
        let read = (0..self.ends.len()).filter(|&e| self.ends[e].0 == join);
        let needed = read.into_iter().any(|edge| self.running(edge).any(|kept| kept.input));
        if into > 1 && needed { images * self.maps[join] * self.map_bytes() } else { 0 }
    }

    fn all(&self) -> impl Iterator<Item = &Kept> {
        self.edges.iter().flatten().flatten().chain([&self.classifier])
    }

    fn parameters(&self) -> u64 {
        self.all().map(|kept| kept.parameters).sum::<u64>() * WEIGHT_BYTES
    }

    fn weights(&self) -> u64 {
        self.parameters() + self.all().map(|kept| kept.statistics).sum::<u64>() * WEIGHT_BYTES
    }

    /// A weight step on `images` at once, at its fullest.
    #[must_use]
    pub fn weight_step(&self, images: u64) -> StepMemory {
        let images_bytes = images * self.map_bytes();
        let mut held: u64 =
            (0..self.ends.len()).flat_map(|e| self.running(e)).map(|kept| self.held_by(kept, images)).sum();
        held += (1..self.maps.len()).map(|join| self.join_bytes(join, images)).sum::<u64>();
        let mut gradients = self.classifier.parameters * WEIGHT_BYTES;
        // Joins whose gradient is under way.
        let mut open = vec![false; self.maps.len()];
        let mut fullest = StepMemory::default();
        for (edge, &(from, to)) in self.ends.iter().enumerate().rev() {
            open[to] = true;
            open[from] |= from > 0;
            let maps: u64 = open.iter().zip(&self.maps).filter(|(open, _)| **open).map(|(_, values)| values).sum();
            for kept in self.running(edge) {
                gradients += kept.parameters * WEIGHT_BYTES;
                let step = StepMemory {
                    weights: Bytes(self.weights()),
                    moments: Bytes(self.parameters()),
                    gradients: Bytes(gradients),
                    activations: Bytes(held),
                    workspace: Bytes((maps + BACKWARD_MAPS * kept.largest) * images_bytes),
                };
                fullest = fuller(fullest, step);
                held -= self.held_by(kept, images);
            }
            // Edges are in the order of their targets.
            if edge == 0 || self.ends[edge - 1].1 != to {
                open[to] = false;
                held -= self.join_bytes(to, images);
            }
        }
        let after = StepMemory { gradients: Bytes(gradients), activations: Bytes(0), workspace: Bytes(0), ..fullest };
        fuller(fullest, after)
    }

    /// A pass of `images` without a graph, at its fullest.
    #[must_use]
    pub fn report(&self, images: u64) -> StepMemory {
        let last_use = |join: usize| self.ends.iter().filter(|ends| ends.0 == join).map(|ends| ends.1).max();
        let largest = |edge: usize| self.running(edge).map(|kept| kept.largest).max().unwrap_or(0);
        let at = |edge: usize| {
            let (_, to) = self.ends[edge];
            let alive = (0..=to).filter(|&join| join == to || last_use(join).is_some_and(|last| last >= to));
            alive.map(|join| self.maps[join]).sum::<u64>() + FORWARD_MAPS * largest(edge)
        };
        let values = (0..self.ends.len()).map(at).max().unwrap_or(0);
        StepMemory {
            weights: Bytes(self.weights()),
            moments: Bytes(self.parameters()),
            workspace: Bytes(values * images * self.map_bytes()),
            ..StepMemory::default()
        }
    }
}

fn fuller(a: StepMemory, b: StepMemory) -> StepMemory {
    if b.total() > a.total() { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;
    use crate::network::Shape;
    use crate::space::file::{Setting, SpaceFile};

    /// A stem to 4 channels on 8 x 8, then one edge of two convolutions, an identity and nothing.
    fn space() -> Space {
        let text = "
stem: [{ conv: { kernel: 3, width: 4 } }]
body:
  cells:
    inputs: [a]
    nodes: [{ name: t, from: [a] }]
    candidates: [{ conv: { kernel: [1, 3] } }, identity, zero]
    width: { min: 4, max: 8, step: 4 }
    stack: [{ cells: { count: 1 } }]
classifier: global-pool
";
        let file: SpaceFile = load::parse(text, "space").unwrap();
        let input = Shape::new(&[3, 8, 8]).unwrap();
        file.into_space(&Setting { name: "s", origin: "space", input, classes: 2 }).unwrap()
    }

    fn inventory(paths: Paths, precision: Precision) -> Inventory {
        let space = space();
        let widths: Vec<usize> = space.widths.iter().map(|_| 0).collect();
        Inventory::new(&space, Running::Operators { paths, widths: &widths }, precision).unwrap()
    }

    // The stem: 3 x 4 x 9 + 8 = 116 weights; 1x1: 16 + 8 = 24; 3x3: 144 + 8 = 152; classifier 4 x 2 + 2 = 10; statistics
    // 8 for each of three batch norms. A map of 4 channels has 256 values, the image 192.
    const WEIGHTS: u64 = 4 * (116 + 24 + 152 + 10);
    const MAP: u64 = 4 * 256;

    #[test]
    fn a_full_step_is_counted_by_hand() {
        let step = inventory(Paths::Full, Precision::Float32).weight_step(2);
        assert_eq!((step.weights, step.moments), (Bytes(WEIGHTS + 4 * 24), Bytes(WEIGHTS)));
        // Before the first candidate runs back: its input is the stem's ReLU. Two maps of the stem, two of each
        // convolution; the sum is read by no convolution. The identity comes first: no weights of its own. Two joins are
        // open, four maps more are held for a moment.
        assert_eq!(step.activations, Bytes(2 * 6 * MAP));
        assert_eq!(step.workspace, Bytes(2 * 6 * MAP));
    }

    #[test]
    fn one_path_holds_its_largest_candidate_alone_and_all_weights() {
        let [one, full] = [Paths::ONE, Paths::Full].map(|paths| inventory(paths, Precision::Float32).weight_step(2));
        assert_eq!((one.weights, one.moments), (full.weights, full.moments));
        assert_eq!(one.activations, Bytes(2 * 4 * MAP));
        assert!(one.total() < full.total());
    }

    #[test]
    fn bfloat16_halves_maps_and_adds_copies_of_the_weights() {
        let step = inventory(Paths::Full, Precision::Bfloat16).weight_step(2);
        assert_eq!(step.activations, Bytes(2 * 6 * MAP / 2 + 2 * (116 + 24 + 152)));
        assert_eq!(step.workspace, Bytes(2 * 6 * MAP / 2));
    }

    #[test]
    fn after_the_maps_are_gone_all_gradients_are_left() {
        let inventory = inventory(Paths::Full, Precision::Float32);
        // With no images nothing is held but weights, moments and gradients.
        let step = inventory.weight_step(0);
        assert_eq!((step.gradients, step.activations, step.workspace), (Bytes(WEIGHTS), Bytes(0), Bytes(0)));
    }

    #[test]
    fn a_stage_of_widths_has_one_candidate_at_its_widest() {
        let space = space();
        let all: Vec<usize> = space.operators.iter().map(|choice| usize::from(choice.candidates.len() > 1)).collect();
        let settled =
            Inventory::new(&space, Running::Widths { operators: Some(&all), sizes: None }, Precision::Float32).unwrap();
        let open =
            Inventory::new(&space, Running::Widths { operators: None, sizes: None }, Precision::Float32).unwrap();
        // The 3x3 convolution is the largest: it is what counts where nothing is settled.
        assert_eq!(settled.weight_step(3), open.weight_step(3));
        // 4 to 8 channels: 3 x 3 x 4 x 8 + 16 weights, a classifier of 8 x 2 + 2; no other convolution.
        assert_eq!(settled.weight_step(3).moments, Bytes(4 * (116 + 288 + 16 + 18)));
    }

    #[test]
    fn a_concatenation_is_a_map_of_all_its_parts() {
        let text = "
stem: [{ conv: { kernel: 3, width: 4 } }]
body:
  cells:
    inputs: [a]
    nodes: [{ name: t, from: [a] }, { name: u, from: [a] }]
    output: [t, u]
    candidates: [conv: { kernel: 1 }]
    width: { min: 4, max: 8, step: 4 }
    stack: [{ cells: { count: 2 } }]
classifier: global-pool
";
        let file: SpaceFile = load::parse(text, "space").unwrap();
        let input = Shape::new(&[3, 8, 8]).unwrap();
        let space = file.into_space(&Setting { name: "s", origin: "space", input, classes: 2 }).unwrap();
        let widths =
            Inventory::new(&space, Running::Widths { operators: None, sizes: None }, Precision::Float32).unwrap();
        // Of 64 pixels: the image, the stem, t and u of 8 channels each, and 16 of both; then once more.
        assert_eq!(widths.maps, [3, 4, 8, 8, 16, 8, 8, 16].map(|channels| 64 * channels));
        // The convolutions of the second cell read the first concatenation; of the second nothing needs the values.
        assert_eq!([widths.join_bytes(4, 1), widths.join_bytes(7, 1)], [4 * 64 * 16, 0]);
    }

    #[test]
    fn a_report_holds_the_values_that_are_still_read() {
        // Image of 192 and stem's map, three maps for a moment; then stem, sum and three maps: 5 x 256.
        let report = inventory(Paths::Full, Precision::Float32).report(10);
        assert_eq!(report.workspace, Bytes(10 * 5 * MAP));
        assert_eq!(report.gradients, Bytes(0));
    }
}
