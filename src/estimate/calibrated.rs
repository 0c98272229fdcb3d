//! Calibrated times in the place of cycles over clock.
//!
//! A calibration holds for one image at the batch of its measurements: the latency of a batch is so many times that of an
//! image. The times of layers are their shares of the sum; constant and ceiling are in the total alone.

use super::lower::{EstimateError, Target, gemm};
use super::{Estimate, LayerEstimate};
use crate::accel::calibration::Work;
use crate::accel::{Calibration, WorkloadError};
use crate::import::scale_sim::Row;
use crate::network::{Network, Op, Shape};

/// What of `op` with output `out` takes measured time, for one image: its product, or the gate that it is. Nothing for
/// operators that run fused into those.
///
/// # Errors
/// As [`gemm`].
pub fn measured_work(op: &Op, out: &Shape) -> Result<Option<Work>, WorkloadError> {
    match (op, out.as_map()) {
        (Op::Multiply, Some([channels, height, width])) => {
            Ok(Some(Work::Gate { positions: height.saturating_mul(width), channels }))
        }
        _ => Ok(gemm(op, out, 1)?.map(Work::Product)),
    }
}

impl Target<'_> {
    /// Calibrated milliseconds that the layers of `network` add for one image, without the constant; nought where the
    /// accelerator is not calibrated.
    ///
    /// # Errors
    /// [`EstimateError`] with the layer whose product is too large.
    pub fn network_layers_ms(&self, network: &Network) -> Result<f64, EstimateError> {
        let Some(calibration) = &self.accelerator.calibration else { return Ok(0.0) };
        let mut sum = 0.0;
        for (_, node) in network.nodes() {
            let work = measured_work(&node.op, &node.shape)
                .map_err(|source| EstimateError::Workload { layer: node.name.clone(), source })?;
            sum += work.map_or(0.0, |work| calibration.work_ms(self.accelerator, &work));
        }
        Ok(sum)
    }
}

/// Puts the calibrated times of `network` into its estimate, where the accelerator is calibrated.
pub(super) fn network(estimate: &mut Estimate, network: &Network, target: &Target<'_>) -> Result<(), EstimateError> {
    let Some(calibration) = &target.accelerator.calibration else { return Ok(()) };
    let one = |(layer, (_, node)): (&LayerEstimate, (_, &crate::network::Node))| {
        let work = measured_work(&node.op, &node.shape);
        work.map_err(|source| EstimateError::Workload { layer: layer.name.clone(), source })
    };
    let works: Result<Vec<Option<Work>>, EstimateError> =
        estimate.layers.iter().zip(network.nodes().skip(1)).map(one).collect();
    put(estimate, &works?, calibration, target);
    Ok(())
}

/// As [`network`], for the rows of a topology.
pub(super) fn rows(estimate: &mut Estimate, rows: &[Row], target: &Target<'_>) -> Result<(), EstimateError> {
    let Some(calibration) = &target.accelerator.calibration else { return Ok(()) };
    let works: Result<Vec<Option<Work>>, EstimateError> =
        rows.iter().map(|row| Ok(Some(Work::Product(row.gemm(1)?)))).collect();
    put(estimate, &works?, calibration, target);
    Ok(())
}

fn put(estimate: &mut Estimate, works: &[Option<Work>], calibration: &Calibration, target: &Target<'_>) {
    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^53")]
    let images = target.batch as f64;
    let mut sum = 0.0;
    for (layer, work) in estimate.layers.iter_mut().zip(works) {
        let ms = work.map_or(0.0, |work| calibration.work_ms(target.accelerator, &work));
        layer.latency_ms = images * ms;
        sum += ms;
    }
    let image = calibration.image(sum).ms;
    estimate.total.latency_ms = images * image;
    estimate.total.images_per_second = (image > 0.0).then(|| 1e3 / image);
}
