//! A supernet whose tensors hold as many channels as an allocation says.
//!
//! A pass runs at one width of each choice, on slices: what is not asked for is not computed, and what is not allocated
//! is not there. A tensor that grows keeps what it had at its place, so that every former width computes to the bit what it
//! did before.

use super::memory::{Inventory, Running};
use super::mixing::{Differentiated, Mixing};
use super::{Now, Supernet, SupernetError, Together, sgd_config};
use crate::search::allocation::Resize;
use crate::search::{At, Choices, Elastic, Paths, Stage};
use crate::torch::{Sgd, mix};
use crate::units::Bytes;

/// Bytes of a weight with its gradient and its moment, each f32.
const BYTES: u64 = 3 * 4;

impl Elastic for Supernet<'_> {
    type Error = SupernetError;

    fn allocate(&mut self, widths: &[usize]) -> Result<(), SupernetError> {
        let stage = self.now.take().expect("a stage is entered before it is allocated").entered;
        self.now = Some(self.entered(stage, Some(widths.to_vec()))?);
        Ok(())
    }

    fn resize(&mut self, resize: Resize, at: At) -> Result<(), SupernetError> {
        let Resize { width, to, .. } = resize;
        let mut now = self.enter_epoch(at)?;
        let seed = mix(&[self.settings.seed, at.stage, u64::from(at.epoch), u64::from(at.step), width as u64]);
        let resized = self.resized(&mut now, (width, to), seed);
        self.now = Some(now);
        resized
    }

    fn probe(&mut self, choices: &[Choices], batches: u32, at: At) -> Result<Vec<f64>, SupernetError> {
        let now = self.enter_epoch(at)?;
        let losses = self.losses(&now, choices, batches, at);
        self.now = Some(now);
        losses
    }

    fn needed(&self, widths: &[usize]) -> Result<Bytes, SupernetError> {
        let now = self.now.as_ref().expect("a stage is entered before its sizes are asked for");
        let running = match &now.entered {
            Stage::Widths { operators } => Running::Widths { operators: Some(operators), sizes: Some(widths) },
            stage @ (Stage::Operators { .. } | Stage::Whole) => Running::of(stage, Paths::ONE),
        };
        let inventory = Inventory::new(self.space, running, self.settings.precision)?;
        let Together { step, report } = self.together(now.stage);
        let batch = |most: usize| most.min(self.settings.batch) as u64;
        Ok(inventory.weight_step(batch(step)).total().max(inventory.report(report as u64).total()))
    }

    fn allocated(&self) -> Bytes {
        let parameters = self.now.as_ref().map(|now| now.net.parameters()).unwrap_or_default();
        Bytes(BYTES * parameters.iter().map(|parameter| parameter.numel() as u64).sum::<u64>())
    }
}

impl Supernet<'_> {
    /// Option of each width choice that the tensors are sized for, where a stage is entered.
    #[must_use]
    pub fn tops(&self) -> Option<&[usize]> {
        self.now.as_ref().map(|now| now.net.sizes())
    }

    fn resized(&self, now: &mut Now<'_>, (width, option): (usize, usize), seed: u64) -> Result<(), SupernetError> {
        let moments = now.net.resize(self.space, (width, option), seed, now.sgd.momentum())?;
        now.sgd = Sgd::resumed(now.net.parameters(), moments, sgd_config(&self.settings.weights))?;
        Ok(())
    }

    /// Mean losses of `choices` over the same batches of the selection split.
    fn losses(&self, now: &Now<'_>, choices: &[Choices], batches: u32, at: At) -> Result<Vec<f64>, SupernetError> {
        let (_, _, selection) = now.epoch.as_ref().expect("the epoch is entered");
        let mut sums = vec![0.0; choices.len()];
        for number in 0..batches {
            let draw = [self.settings.seed, at.stage, u64::from(at.epoch), u64::from(at.step), u64::from(number)];
            let place = usize::try_from(mix(&draw) % selection.batches() as u64).expect("a place among the batches");
            let batch = selection.batch(place)?;
            for (part, share) in self.parts(&batch, at)? {
                for (sum, choices) in sums.iter_mut().zip(choices) {
                    let mixing = Mixing::new(self.space, &now.net, choices, Differentiated::Not, self.device())?;
                    let (loss, _) = tch::no_grad(|| self.loss(&now.net, &part, &mixing))?;
                    *sum += share * loss.double_value(&[]) / f64::from(batches);
                }
            }
        }
        Ok(sums)
    }
}
