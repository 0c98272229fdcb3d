//! One accelerator under one timing, checked once and asked often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accelerator::{Accelerator, Array, Dataflow, Depthwise, Precision};
use super::breakdown::{Bound, Breakdown, Marks};
use super::counts::{Wide, counted, small};
use super::energy::{self, Counts, EnergyTable};
use super::memory::{Dram, Memory, Overlap, Pace, WeightHome};
use super::tiling::{Extent, Passes, Sides, Split, Tiling};
use super::timing::uboost_csim::Arrival;
use super::timing::{ArrayCost, CostError, Parts, Timing, ideal, pipelined, scale_sim, uboost_csim};
use super::traffic::{Operands, Product, Traffic};
use super::vector::{VectorUnit, VectorWork};
use super::workload::{Gemm, GemmKind};
use crate::units::{Bytes, Cycles, Macs, Picojoules};

/// What an accelerator is asked to do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// What is computed.
    pub work: Work,
    /// What is read and written.
    pub operands: Operands,
}

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A matrix product.
    Product(Gemm),
    /// What a vector unit does; free, bytes included, where there is none.
    Vector(VectorWork),
    /// Nothing, or what another layer does on the way.
    Free,
}

/// What a layer costs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct LayerCost {
    /// What adds up over layers.
    pub cost: Cost,
    /// What limits the layer.
    pub bound: Bound,
    /// How several arrays share it.
    pub shares: Shares,
}

/// How several arrays share a layer; 1 and 1 where one does it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shares {
    /// Parts of the output channels, n.
    pub n: u64,
    /// Parts of the output pixels, m, of each.
    pub m: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { n: 1, m: 1 }
    }
}

/// Costs that add up over layers; a utilization of a sum is the ratio of the sums.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Cost {
    /// All cycles: those of the array, and under `pipelined` of memory and vector unit.
    pub cycles: Cycles,
    /// The arrays alone.
    pub array: ArrayCost,
    /// Cycles of the traffic, hidden or not.
    pub memory: Cycles,
    /// Cycles of the vector unit, hidden or not.
    pub vector: Cycles,
    /// Multiply-accumulates of arrays and vector unit.
    pub macs: Macs,
    /// What the cycles go to.
    pub breakdown: Breakdown,
    /// Bytes to and from DRAM.
    pub traffic: Traffic,
    /// Energy; 0 where the accelerator has no table.
    pub energy: Picojoules,
}

impl Cost {
    /// The cost of both, one after the other, or nothing where cycles reach 2^63 or another sum 2^64.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            cycles: self.cycles.checked_add(other.cycles).filter(|sum| sum.0 >> 63 == 0)?,
            array: self.array.checked_add(other.array)?,
            memory: self.memory.checked_add(other.memory)?,
            vector: self.vector.checked_add(other.vector)?,
            macs: Macs(self.macs.0.checked_add(other.macs.0)?),
            breakdown: self.breakdown.checked_add(other.breakdown)?,
            traffic: self.traffic.checked_add(other.traffic)?,
            energy: self.energy + other.energy,
        })
    }

    /// `all MACs / (PEs * all cycles)`: with memory, vector work and stalls; `None` where nothing was multiplied.
    #[must_use]
    pub fn end_to_end_utilization(&self, array: &Array) -> Option<f64> {
        super::timing::ratio(self.macs, array.pes(), self.cycles.0)
    }
}

/// An accelerator under a timing: its rules are checked, its rates are fractions in lowest terms.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    timing: Timing,
    array: Array,
    sides: Sides,
    pes: u64,
    dataflow: Dataflow,
    depthwise: Depthwise,
    memory: Memory,
    precision: Precision,
    vector: Option<VectorUnit>,
    energy: Option<EnergyTable>,
    dram: Rate,
    arrival: Option<Arrival>,
}

/// Cycles a byte on the way to DRAM.
#[derive(Debug, Clone, Copy)]
enum Rate {
    Unlimited,
    Shared(Pace),
    Ports { weights: Pace, inputs: Pace, outputs: Pace },
}

/// A product on the arrays.
struct Mapped {
    split: Split,
    tiling: Tiling,
    blocks: Extent,
}

impl Accelerator {
    /// The accelerator under `timing`.
    ///
    /// # Errors
    /// [`CostError`] where the array is out of range, the timing does not cover the accelerator, or depthwise work has
    /// no vector unit.
    pub fn engine(&self, timing: Timing) -> Result<Engine, CostError> {
        self.array.check()?;
        timing.covers(self.dataflow, self.array.count)?;
        if self.depthwise == Depthwise::Vector && self.vector.is_none() {
            return Err(CostError::NoVectorUnit);
        }
        let pace = |bandwidth| Pace::new(bandwidth, self.clock);
        let dram = match self.memory.dram {
            Dram::Unlimited => Rate::Unlimited,
            Dram::Shared(bandwidth) => Rate::Shared(pace(bandwidth)),
            Dram::Ports { weights, inputs, outputs } => {
                Rate::Ports { weights: pace(weights), inputs: pace(inputs), outputs: pace(outputs) }
            }
        };
        let arrival = match timing {
            Timing::UboostCsim => Arrival::new(self),
            Timing::Ideal | Timing::Pipelined | Timing::ScaleSim => None,
        };
        Ok(Engine {
            timing,
            array: self.array,
            sides: Sides::of(&self.array),
            pes: self.array.pes(),
            dataflow: self.dataflow,
            depthwise: self.depthwise,
            memory: self.memory,
            precision: self.precision,
            vector: self.vector,
            energy: self.energy,
            dram,
            arrival,
        })
    }
}

impl Engine {
    /// What `gemm` costs on the arrays; several share it as [`Split`] says. Nothing where the vector unit does it.
    ///
    /// # Errors
    /// [`CostError::TooMany`] where the cycles reach 2^63.
    #[inline]
    pub fn array_cost(&self, gemm: &Gemm) -> Result<ArrayCost, CostError> {
        if self.is_in_turn(gemm) { self.cost_of(gemm, &self.in_turn(gemm)) } else { self.array_cost_if_mapped(gemm) }
    }

    /// [`Engine::array_cost`] of what is not simply tile after tile, kept out of its way.
    #[inline(never)]
    fn array_cost_if_mapped(&self, gemm: &Gemm) -> Result<ArrayCost, CostError> {
        if self.is_vector(gemm) { Ok(ArrayCost::default()) } else { self.cost_of(gemm, &self.map(gemm)) }
    }

    #[inline(always)]
    fn cost_of(&self, gemm: &Gemm, mapped: &Mapped) -> Result<ArrayCost, CostError> {
        let cycles = self.parts(mapped).and_then(|parts| counted(parts.cycles));
        let cycles = cycles.ok_or_else(|| self.too_many("cycles", gemm))?;
        Ok(mapped.cost(Cycles(cycles), gemm))
    }

    /// What `workload` costs, all in all.
    ///
    /// # Errors
    /// [`CostError`] where cycles reach 2^63 or bytes 2^64.
    #[inline]
    pub fn cost(&self, workload: &Workload) -> Result<LayerCost, CostError> {
        match (&workload.work, self.vector) {
            (Work::Product(gemm), Some(unit)) if self.is_vector(gemm) => {
                let work = VectorWork { operations: gemm.macs().0, exponentials: 0 };
                self.vector(unit, work, gemm.macs(), &workload.operands)
            }
            (Work::Product(gemm), _) => self.product(gemm, &workload.operands),
            (Work::Vector(work), Some(unit)) => self.vector(unit, *work, Macs(0), &workload.operands),
            (Work::Vector(_), None) | (Work::Free, _) => Ok(LayerCost::default()),
        }
    }

    /// Whether `workload` leaves its activations on chip: inputs, outputs and the working tile fit the activation memory.
    ///
    /// The working tile is what the arrays accumulate at a time: under the weight- and input-stationary dataflows the
    /// streamed length (at most the accumulator's rows) by the columns in use, under the output-stationary one the rows
    /// by the columns in use.
    #[must_use]
    pub fn keeps_activations(&self, workload: &Workload) -> bool {
        let Some(capacity) = self.memory.activation_capacity else { return false };
        let Operands { weights, inputs, outputs } = workload.operands;
        let (second, tile) = match workload.work {
            Work::Product(gemm) => (
                if gemm.kind() == GemmKind::Activations { weights.bytes } else { Bytes(0) },
                if self.is_vector(&gemm) { Bytes(0) } else { self.working_tile(&gemm) },
            ),
            Work::Vector(_) | Work::Free => (Bytes(0), Bytes(0)),
        };
        let all = [inputs.bytes, second, outputs.bytes, tile].into_iter().try_fold(Bytes(0), Bytes::checked_add);
        all.is_some_and(|all| all <= capacity)
    }

    /// Whether no tensor and no weights stay on chip for another layer's sake: the traffic of a layer is its own,
    /// wherever it stands and whatever else there is.
    #[must_use]
    pub fn keeps_nothing(&self) -> bool {
        self.memory.activation_capacity.is_none() && self.memory.weights == WeightHome::Streamed
    }

    /// Whether traffic takes time.
    #[must_use]
    pub fn times_traffic(&self) -> bool {
        self.timing == Timing::Pipelined && !matches!(self.dram, Rate::Unlimited)
    }

    /// Whether vector work takes time.
    #[must_use]
    pub fn times_vectors(&self) -> bool {
        self.timing == Timing::Pipelined && self.vector.is_some()
    }

    fn is_vector(&self, gemm: &Gemm) -> bool {
        self.depthwise == Depthwise::Vector && gemm.kind() == GemmKind::Depthwise
    }

    /// Whether `gemm` runs on one array, product after product, in one block.
    #[inline(always)]
    fn is_in_turn(&self, gemm: &Gemm) -> bool {
        self.array.count == 1
            && self.memory.accumulator_rows.is_none()
            && (self.depthwise == Depthwise::PerChannel || gemm.repeats() == 1 && gemm.kind() == GemmKind::Weights)
    }

    /// [`Engine::map`] where [`Engine::is_in_turn`].
    #[inline(always)]
    fn in_turn(&self, gemm: &Gemm) -> Mapped {
        let tiling = Tiling::in_turn(&self.sides, self.dataflow, gemm);
        let blocks = Extent { size: tiling.streamed, full: 1, rest: 0 };
        Mapped { split: Split { n: 1, m: 1, busiest: *gemm }, tiling, blocks }
    }

    #[inline(never)]
    fn map(&self, gemm: &Gemm) -> Mapped {
        if self.is_in_turn(gemm) {
            return self.in_turn(gemm);
        }
        let split = Split::new(&self.array, self.dataflow, gemm);
        let tiling = Tiling::mapped(&self.sides, self.dataflow, self.depthwise, &split.busiest);
        let whole = Extent { size: tiling.streamed, full: 1, rest: 0 };
        let blocks = match (self.dataflow, self.memory.accumulator_rows) {
            (Dataflow::WeightStationary, Some(rows)) if rows < tiling.streamed => Extent::new(tiling.streamed, rows),
            (Dataflow::WeightStationary | Dataflow::InputStationary | Dataflow::OutputStationary, _) => whole,
        };
        Mapped { split, tiling, blocks }
    }

    #[inline(always)]
    fn parts(&self, mapped: &Mapped) -> Option<Parts> {
        let Mapped { tiling, blocks, .. } = mapped;
        match self.timing {
            Timing::Ideal => Some(ideal::parts(tiling)),
            Timing::Pipelined => Some(pipelined::parts(&self.array, self.dataflow, tiling, blocks)),
            Timing::ScaleSim => Some(scale_sim::parts(&self.array, self.dataflow, tiling)),
            Timing::UboostCsim => uboost_csim::parts(self.array.rows, self.arrival?, tiling),
        }
    }

    #[inline]
    fn product(&self, gemm: &Gemm, operands: &Operands) -> Result<LayerCost, CostError> {
        let mapped = self.map(gemm);
        let too_many = || self.too_many("cycles", gemm);
        let parts = self.parts(&mapped).ok_or_else(too_many)?;
        let array = counted(parts.cycles).map(Cycles).ok_or_else(too_many)?;
        let product = Product {
            tiling: &mapped.tiling,
            dataflow: self.dataflow,
            kind: gemm.kind(),
            loads: mapped.blocks.pieces(),
        };
        let traffic = Traffic::of_product(&product, &self.memory, operands).ok_or(CostError::Traffic)?;
        let times = Times { array, vector: Cycles(0), memory: self.memory_cycles(&traffic)? };
        let cost = Cost {
            cycles: times.layer(self.overlap()).ok_or_else(too_many)?,
            array: mapped.cost(array, gemm),
            memory: times.memory,
            vector: times.vector,
            macs: gemm.macs(),
            breakdown: self.marks(&mapped, &parts, gemm).breakdown(array),
            traffic,
            energy: self.energy(&traffic, || energy::counts(&self.precision, gemm, self.sram_passes(&mapped, gemm))),
        };
        let shares = Shares { n: mapped.split.n, m: mapped.split.m };
        Ok(LayerCost { cost: times.explained(cost, self.overlap()), bound: times.bound(Bound::Array), shares })
    }

    fn vector(
        &self,
        unit: VectorUnit,
        work: VectorWork,
        macs: Macs,
        operands: &Operands,
    ) -> Result<LayerCost, CostError> {
        let traffic = Traffic::compulsory(operands);
        let cycles = match self.timing {
            Timing::Pipelined => counted(unit.cycles(work)).ok_or(CostError::Vector)?,
            Timing::Ideal | Timing::ScaleSim | Timing::UboostCsim => 0,
        };
        let times = Times { array: Cycles(0), vector: Cycles(cycles), memory: self.memory_cycles(&traffic)? };
        let through = [operands.weights, operands.inputs, operands.outputs];
        let sram_bits = || through.iter().map(|operand| Wide::from(operand.bytes.0) * 8).sum();
        let cost = Cost {
            cycles: times.layer(self.overlap()).ok_or(CostError::Vector)?,
            memory: times.memory,
            vector: times.vector,
            macs,
            traffic,
            energy: self.energy(&traffic, || Counts { macs: macs.0, register_bits: 0, sram_bits: sram_bits() }),
            ..Cost::default()
        };
        let cost = times.explained(cost, self.overlap());
        Ok(LayerCost { cost, bound: times.bound(Bound::None), shares: Shares::default() })
    }

    fn overlap(&self) -> Overlap {
        self.memory.overlap
    }

    /// Cycles of traffic: under `pipelined` that of the busiest port, where ports are limited.
    #[inline]
    fn memory_cycles(&self, traffic: &Traffic) -> Result<Cycles, CostError> {
        let rate = match self.timing {
            Timing::Pipelined => self.dram,
            Timing::Ideal | Timing::ScaleSim | Timing::UboostCsim => Rate::Unlimited,
        };
        let cycles = match rate {
            Rate::Unlimited => return Ok(Cycles(0)),
            Rate::Shared(pace) => traffic.total().and_then(|all| pace.cycles(all.0)),
            Rate::Ports { weights, inputs, outputs } => {
                let ports = [(weights, traffic.weights), (inputs, traffic.inputs), (outputs, traffic.outputs)];
                ports.into_iter().try_fold(0, |most, (pace, bytes)| Some(pace.cycles(bytes.0)?.max(most)))
            }
        };
        cycles.and_then(counted).map(Cycles).ok_or(CostError::Traffic)
    }

    /// The marks of the streamed cycles: each drops one loss from the cycles in which the busiest array streams.
    #[inline]
    fn marks(&self, mapped: &Mapped, parts: &Parts, gemm: &Gemm) -> Marks {
        let Mapped { split, tiling, .. } = mapped;
        let busiest = Wide::from(split.busiest.macs().0);
        let in_use = tiling.rows_in_use() * Wide::from(tiling.streamed);
        Marks {
            useful: small::div(Wide::from(gemm.macs().0), self.pes),
            imbalance: small::div(busiest, self.array.rows * self.array.cols),
            columns: small::div(in_use, self.array.rows),
            stream: parts.stream,
            load: parts.stream + parts.load,
            fill_and_drain: parts.stream + parts.load + parts.fill_and_drain,
        }
    }

    #[inline]
    fn energy(&self, traffic: &Traffic, counts: impl FnOnce() -> Counts) -> Picojoules {
        self.energy.map_or(Picojoules(0.0), |table| table.energy(counts(), traffic))
    }

    /// How often operands go from the memories on chip to all arrays: each array loads what stays in it for itself.
    fn sram_passes(&self, mapped: &Mapped, gemm: &Gemm) -> Passes {
        let whole = Tiling::mapped(&self.sides, self.dataflow, self.depthwise, gemm);
        let loads = match self.dataflow {
            Dataflow::WeightStationary => mapped.blocks.pieces().saturating_mul(mapped.split.m),
            Dataflow::InputStationary => mapped.split.n,
            Dataflow::OutputStationary => 1,
        };
        whole.passes(self.dataflow, loads)
    }

    fn working_tile(&self, gemm: &Gemm) -> Bytes {
        let Mapped { split, tiling, blocks } = self.map(gemm);
        let cols = tiling.cols.piece(0);
        let sums = match self.dataflow {
            Dataflow::WeightStationary | Dataflow::InputStationary => {
                blocks.size.saturating_mul(cols).saturating_mul(tiling.shared)
            }
            Dataflow::OutputStationary => tiling.rows.piece(0).saturating_mul(cols),
        };
        self.precision.accumulator_bytes(sums.saturating_mul(split.n * split.m))
    }

    #[cold]
    fn too_many(&self, what: &'static str, gemm: &Gemm) -> CostError {
        CostError::TooMany { what, timing: self.timing, gemm: *gemm }
    }
}

impl Mapped {
    #[inline(always)]
    fn cost(&self, cycles: Cycles, gemm: &Gemm) -> ArrayCost {
        ArrayCost {
            cycles,
            tiles: self.tiling.tiles().saturating_mul(self.blocks.pieces()),
            streamed: self.tiling.total_streamed(),
            macs: gemm.macs(),
        }
    }
}

/// How long each unit works on a layer.
#[derive(Debug, Clone, Copy)]
struct Times {
    array: Cycles,
    vector: Cycles,
    memory: Cycles,
}

impl Times {
    /// `max(array, vector, memory)`, or their sum where nothing hides; nothing where it reaches 2^63.
    #[inline]
    fn layer(&self, overlap: Overlap) -> Option<Cycles> {
        let Self { array, vector, memory } = *self;
        let all = match overlap {
            Overlap::Hidden => array.max(vector).max(memory),
            Overlap::InTurn => array.checked_add(vector)?.checked_add(memory)?,
        };
        (all.0 >> 63 == 0).then_some(all)
    }

    /// `cost` with its cycles beyond those of the array as parts: the vector unit's first, the rest is stall.
    #[inline]
    fn explained(&self, mut cost: Cost, overlap: Overlap) -> Cost {
        let vector = match overlap {
            Overlap::Hidden => self.vector.0.saturating_sub(self.array.0),
            Overlap::InTurn => self.vector.0,
        };
        cost.breakdown.vector = Cycles(vector);
        cost.breakdown.stall.0 += cost.cycles.0 - self.array.0 - vector;
        cost
    }

    /// The longest, the array before the vector unit before memory; `idle` where none works.
    #[inline]
    fn bound(&self, idle: Bound) -> Bound {
        let Self { array, vector, memory } = *self;
        if array.max(vector).max(memory) == Cycles(0) {
            idle
        } else if array >= vector.max(memory) {
            Bound::Array
        } else if vector >= memory {
            Bound::Vector
        } else {
            Bound::Memory
        }
    }
}

#[cfg(test)]
mod tests;
