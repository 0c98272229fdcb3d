//! Calibrated times in the place of cycles over clock.
//!
//! A calibration holds for one image at the batch of its measurements: the latency of a batch is so many times that of an
//! image. The times of layers are their shares of the sum; constant and ceiling are in the total alone.

use super::lower::{EstimateError, Target, work};
use super::{Estimate, LayerEstimate};
use crate::accel::Calibration;
use crate::accel::calibration::Work;
use crate::import::scale_sim::Row;
use crate::network::Network;

/// Puts the calibrated times of `network` into its estimate, where the accelerator is calibrated.
pub(super) fn network(estimate: &mut Estimate, network: &Network, target: &Target<'_>) -> Result<(), EstimateError> {
    let Some(calibration) = &target.accelerator.calibration else { return Ok(()) };
    let one = |(layer, (_, node)): (&LayerEstimate, (_, &crate::network::Node))| {
        let work = work(&node.op, &node.shape);
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
