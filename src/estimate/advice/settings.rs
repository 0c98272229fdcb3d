//! Another accelerator or batch for the same network.

use std::fmt::Display;

use super::{Advice, AdviceKind, Setting, Subject, each, layer_changes};
use crate::accel::{Accelerator, Array, Dataflow, Depthwise, Dram, Engine, Overlap, WeightHome};
use crate::estimate::{Estimate, Target};

/// Arrays are proposed up to this ratio of their sides.
const MOST_UNEQUAL: u64 = 16;
/// The batch is doubled so often at most.
const DOUBLINGS: u32 = 8;
/// A batch is doubled again while that saves at least this share of the cycles for each image.
const WORTH_DOUBLING: f64 = 0.01;

const DATAFLOWS: [Dataflow; 3] = [Dataflow::WeightStationary, Dataflow::InputStationary, Dataflow::OutputStationary];

/// A target that is tried instead.
#[derive(Debug, Clone)]
struct Variant {
    kind: AdviceKind,
    change: String,
    settings: Vec<Setting>,
    accelerator: Accelerator,
}

/// What other settings save.
pub(super) fn of(subject: Subject<'_>, target: &Target<'_>, before: &Estimate) -> Vec<Advice> {
    let accelerator = target.accelerator;
    if accelerator.calibration.is_some() {
        return Vec::new();
    }
    let variants = [arrays(accelerator), counts(accelerator), depthwise(accelerator), memory(accelerator)].concat();
    let mut advice = each(&variants, |variant| {
        let after = subject.estimate(&Target { accelerator: &variant.accelerator, ..*target }).ok();
        after.map(|after| variant.advice(before, &after)).into_iter().collect()
    });
    advice.extend(batches(subject, target, before));
    advice.retain(|advice| advice.saved > 0.0);
    advice
}

/// What other dataflows save.
pub(super) struct Dataflows {
    /// For all layers.
    pub(super) whole: Vec<Advice>,
    /// For each layer by itself, in the order of the estimate's.
    pub(super) of_layers: Vec<Vec<Advice>>,
}

/// A dataflow that is tried, for all layers at first.
struct Tried {
    variant: Variant,
    engine: Engine,
    after: Estimate,
}

/// Other dataflows for all layers, for each layer by itself, and for every layer its best.
pub(super) fn dataflows(subject: Subject<'_>, target: &Target<'_>, before: &Estimate) -> Dataflows {
    let Accelerator { dataflow: now, calibration, .. } = target.accelerator;
    let others = DATAFLOWS.into_iter().filter(|dataflow| dataflow != now && calibration.is_none());
    let variants: Vec<Variant> = others.map(|dataflow| with_dataflow(target.accelerator, dataflow)).collect();
    let tried = each(&variants, |variant| {
        let changed = Target { accelerator: &variant.accelerator, ..*target };
        let tried = changed.engine().and_then(|engine| Ok((engine, subject.estimate(&changed)?)));
        tried.ok().map(|(engine, after)| Tried { variant: variant.clone(), engine, after }).into_iter().collect()
    });
    let Ok(engine) = target.engine() else { return Dataflows { whole: Vec::new(), of_layers: Vec::new() } };
    let mixed = Mixed { subject, target, before, engine: &engine, tried: &tried };
    let places: Vec<usize> = (0..before.layers.len()).collect();
    let of_layers = each(&places, |&place| vec![mixed.of_layer(place)]);
    let mut whole: Vec<Advice> = tried.iter().map(|tried| tried.variant.advice(before, &tried.after)).collect();
    whole.extend(mixed.of_all());
    whole.retain(|advice| advice.saved > 0.0);
    Dataflows { whole, of_layers }
}

/// Layers under dataflows of their own.
struct Mixed<'a> {
    subject: Subject<'a>,
    target: &'a Target<'a>,
    before: &'a Estimate,
    engine: &'a Engine,
    tried: &'a [Tried],
}

impl Mixed<'_> {
    /// The dataflows that take fewer cycles for one layer and for the network with it, the best first.
    fn of_layer(&self, place: usize) -> Vec<Advice> {
        let faster = self.tried.iter().filter(|tried| self.helps(tried, place));
        let advice = faster.filter_map(|tried| {
            let mut engines = vec![self.engine; self.before.layers.len()];
            engines[place] = &tried.engine;
            let after = self.subject.estimate_on(self.target, &engines).ok()?;
            let layers = layer_changes(self.before, &after, |_| false);
            let change = format!("{}: {}", self.before.layers[place].name, tried.variant.accelerator.dataflow);
            Some(Advice { layers, ..Advice::new(AdviceKind::LayerDataflow, change, self.before, &after) })
        });
        let mut advice: Vec<Advice> = advice.filter(|advice| advice.saved > 0.0).collect();
        advice.sort_by(|a, b| b.saved.total_cmp(&a.saved));
        advice
    }

    /// Each layer under the dataflow that takes fewest cycles for it, its own where none takes fewer.
    fn of_all(&self) -> Option<Advice> {
        let best = |place: usize| {
            let faster = self.tried.iter().filter(|tried| self.helps(tried, place));
            faster.min_by_key(|tried| tried.after.layers[place].cycles).map_or(self.engine, |tried| &tried.engine)
        };
        let engines: Vec<&Engine> = (0..self.before.layers.len()).map(best).collect();
        let after = self.subject.estimate_on(self.target, &engines).ok()?;
        let layers = layer_changes(self.before, &after, |_| false);
        let change = format!("a dataflow for each layer: another for {} of them", layers.len());
        Some(Advice { layers, ..Advice::new(AdviceKind::LayerDataflow, change, self.before, &after) })
    }

    fn helps(&self, tried: &Tried, place: usize) -> bool {
        tried.after.layers[place].cycles < self.before.layers[place].cycles
    }
}

impl Variant {
    fn advice(&self, before: &Estimate, after: &Estimate) -> Advice {
        let settings = self.settings.clone();
        Advice { settings, ..Advice::new(self.kind, self.change.clone(), before, after) }
    }
}

fn setting(key: &str, before: impl Display, after: impl Display) -> Setting {
    Setting { key: key.to_owned(), before: before.to_string(), after: after.to_string() }
}

fn with_dataflow(accelerator: &Accelerator, dataflow: Dataflow) -> Variant {
    Variant {
        kind: AdviceKind::Dataflow,
        change: format!("dataflow {dataflow}"),
        settings: vec![setting("dataflow", accelerator.dataflow, dataflow)],
        accelerator: Accelerator { dataflow, ..accelerator.clone() },
    }
}

fn with_array(accelerator: &Accelerator, array: Array) -> Variant {
    let now = accelerator.array;
    let fields = [("rows", now.rows, array.rows), ("cols", now.cols, array.cols), ("count", now.count, array.count)];
    let changed = fields.into_iter().filter(|(_, before, after)| before != after);
    let (kind, arrays) = match array.count {
        count if count == now.count => (AdviceKind::Array, "array".to_owned()),
        1 => (AdviceKind::Count, "one array".to_owned()),
        count => (AdviceKind::Count, format!("{count} arrays")),
    };
    Variant {
        kind,
        change: format!("{arrays} of {} x {} PEs", array.rows, array.cols),
        settings: changed.map(|(field, before, after)| setting(&format!("array.{field}"), before, after)).collect(),
        accelerator: Accelerator { array, ..accelerator.clone() },
    }
}

/// Arrays of other sides with as many PEs.
fn arrays(accelerator: &Accelerator) -> Vec<Variant> {
    let now = accelerator.array;
    let pes = now.rows * now.cols;
    let least = (1..=now.rows.max(now.cols)).find(|side| side * side * MOST_UNEQUAL >= pes).unwrap_or(1);
    let sides = (least..=pes / least).take_while(|&rows| rows <= Array::MAX_SIDE);
    let shapes = sides.filter(|rows| pes.is_multiple_of(*rows)).map(|rows| Array { rows, cols: pes / rows, ..now });
    let shapes = shapes.filter(|&shape| shape != now && shape.check().is_ok());
    shapes.map(|shape| with_array(accelerator, shape)).collect()
}

/// Four times as many arrays of half the sides, and the reverse.
fn counts(accelerator: &Accelerator) -> Vec<Variant> {
    let now = accelerator.array;
    let more = Array { rows: now.rows / 2, cols: now.cols / 2, count: now.count.saturating_mul(4) };
    let fewer = Array { rows: now.rows * 2, cols: now.cols * 2, count: now.count / 4 };
    let equal = |array: &Array| array.check().is_ok() && array.pes() == now.pes();
    [more, fewer].into_iter().filter(equal).map(|array| with_array(accelerator, array)).collect()
}

fn depthwise(accelerator: &Accelerator) -> Vec<Variant> {
    let rules = [Depthwise::PerChannel, Depthwise::Diagonal, Depthwise::Vector];
    let others = rules.into_iter().filter(|&rule| rule != accelerator.depthwise);
    let variant = |depthwise: Depthwise| Variant {
        kind: AdviceKind::Depthwise,
        change: format!("depthwise {depthwise}"),
        settings: vec![setting("depthwise", accelerator.depthwise, depthwise)],
        accelerator: Accelerator { depthwise, ..accelerator.clone() },
    };
    others.map(variant).collect()
}

/// Weights that stay on chip where there is a memory for them, traffic that hides behind the array.
fn memory(accelerator: &Accelerator) -> Vec<Variant> {
    let mut variants = Vec::new();
    let now = accelerator.memory;
    let variant = |change: &str, setting: Setting, memory| Variant {
        kind: AdviceKind::Memory,
        change: change.to_owned(),
        settings: vec![setting],
        accelerator: Accelerator { memory, ..accelerator.clone() },
    };
    let limited = now.dram != Dram::Unlimited;
    if limited && now.weights == WeightHome::Streamed && now.weight_capacity.is_some() {
        let memory = crate::accel::Memory { weights: WeightHome::Resident, ..now };
        let setting = setting("memory.weights", "streamed", "resident");
        variants.push(variant("weights resident on chip", setting, memory));
    }
    if now.overlap == Overlap::InTurn {
        let memory = crate::accel::Memory { overlap: Overlap::Hidden, ..now };
        let setting = setting("memory.overlap", false, true);
        variants.push(variant("traffic and vector work behind the array", setting, memory));
    }
    variants
}

/// Twice as many images again and again, while that pays.
fn batches(subject: Subject<'_>, target: &Target<'_>, before: &Estimate) -> Vec<Advice> {
    let mut advice: Vec<Advice> = Vec::new();
    for doubling in 1..=DOUBLINGS {
        let Some(batch) = target.batch.checked_mul(1 << doubling) else { break };
        let Ok(after) = subject.estimate(&Target { batch, ..*target }) else { break };
        let settings = vec![setting("batch", target.batch, batch)];
        let new = Advice::new(AdviceKind::Batch, format!("batch {batch}"), before, &after);
        if new.saved - advice.last().map_or(0.0, |last| last.saved) < WORTH_DOUBLING {
            break;
        }
        advice.push(Advice { settings, ..new });
    }
    advice
}
