//! What marks of a front are told apart by, and how runs of one job under several seeds spread.

use std::collections::BTreeMap;

use super::measures::Axes;
use crate::pareto::{Front, Point};

/// More seeds than this are no series.
const MOST_SEEDS: usize = 7;

/// What has a shape and a colour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Accelerator,
    Method,
    Seed,
}

/// The series of all points.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) by: By,
    /// Of methods and seeds, in the order in which they first occur.
    pub(super) names: Vec<String>,
}

impl Series {
    /// Accelerators where there are several, else methods, else seeds of jobs that ran under a few.
    pub(super) fn of(fronts: &[Front]) -> Self {
        let accelerators = Self { by: By::Accelerator, names: Vec::new() };
        if fronts.len() != 1 {
            return accelerators;
        }
        let points = fronts[0].points();
        let methods = Self { by: By::Method, names: distinct(By::Method, points) };
        let seeds = Self { by: By::Seed, names: distinct(By::Seed, points) };
        let repeated = seeds.names.len() <= MOST_SEEDS && !spreads(points, Axes::of(fronts)).is_empty();
        match (methods.names.len(), seeds.names.len()) {
            (2.., _) => methods,
            (_, 2..) if repeated => seeds,
            (_, _) => accelerators,
        }
    }

    /// The number of the series of a point on the front `number`.
    pub(super) fn number(&self, number: usize, point: &Point) -> usize {
        match self.by {
            By::Accelerator => number,
            By::Method | By::Seed => self.names.iter().position(|name| *name == name_of(self.by, point)).unwrap_or(0),
        }
    }
}

fn distinct(by: By, points: &[Point]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in points.iter().map(|point| name_of(by, point)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn name_of(by: By, point: &Point) -> String {
    match by {
        By::Accelerator => point.accelerator.clone(),
        By::Method => point.method.clone().unwrap_or_else(|| "no method".to_owned()),
        By::Seed => point.seed.map_or("no seed".to_owned(), |seed| format!("seed {seed}")),
    }
}

/// Runs of one job under several seeds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread<'a> {
    /// Of its first point.
    pub(super) first: &'a Point,
    /// Mean and sample standard deviation along the axis to the right.
    pub(super) x: [f64; 2],
    /// Mean and sample standard deviation along the axis upwards.
    pub(super) y: [f64; 2],
}

impl<'a> Spread<'a> {
    fn of(runs: &[(&'a Point, [f64; 2])]) -> Self {
        let along = |axis: usize| moments(&runs.iter().map(|(_, place)| place[axis]).collect::<Vec<_>>());
        Self { first: runs[0].0, x: along(0), y: along(1) }
    }
}

/// The spread of each job with two seeds at least, by its name.
pub(super) fn spreads(points: &[Point], axes: Axes) -> Vec<Spread<'_>> {
    let mut jobs: BTreeMap<&str, Vec<(&Point, [f64; 2])>> = BTreeMap::new();
    for point in points.iter().filter(|point| point.job() != point.name) {
        if let Some(place) = axes.place(point) {
            jobs.entry(point.job()).or_default().push((point, place));
        }
    }
    jobs.into_values().filter(|runs| runs.len() > 1).map(|runs| Spread::of(&runs)).collect()
}

/// Mean and sample standard deviation of two values at least.
fn moments(values: &[f64]) -> [f64; 2] {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    [mean, (squares / (values.len() - 1) as f64).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(job: &str, method: &str, seed: u64, objectives: [f64; 2]) -> Point {
        let name = format!("{job}-s{seed}");
        Point { method: Some(method.to_owned()), seed: Some(seed), ..Point::new(&name, "tpu-v1", objectives) }
    }

    fn by(points: Vec<Point>) -> By {
        Series::of(&crate::pareto::fronts(points, None).unwrap()).by
    }

    #[test]
    fn accelerators_go_before_methods_and_methods_before_seeds() {
        let runs = vec![run("a", "darts", 0, [0.5, 1.0]), run("a", "gdas", 1, [0.25, 2.0])];
        assert_eq!(by(runs.clone()), By::Method);
        let mut other = runs.clone();
        other[1].accelerator = "small".to_owned();
        assert_eq!(by(other), By::Accelerator);
        let mut one = runs.clone();
        one[1].method = Some("darts".to_owned());
        assert_eq!(by(one.clone()), By::Seed);
        // Two jobs, each under a seed of its own, are no series of seeds.
        one[1].name = "b-s1".to_owned();
        assert_eq!(by(one), By::Accelerator);
        let series = Series::of(&crate::pareto::fronts(runs.clone(), None).unwrap());
        assert_eq!((series.number(0, &runs[0]), series.number(0, &runs[1])), (0, 1));
        assert_eq!(Series::of(&[]).by, By::Accelerator);
    }

    #[test]
    fn seeds_of_a_job_have_a_mean_and_a_deviation() {
        let points = [
            run("a", "darts", 0, [0.5, 1.0]),
            run("a", "darts", 1, [0.25, 4.0]),
            run("b", "darts", 0, [0.5, 1.0]),
            Point::new("table", "tpu-v1", [0.5, 1.0]),
        ];
        let spreads = spreads(&points, Axes::of(&[]));
        assert_eq!(spreads.len(), 1);
        // Latency: (1 + 4) / 2, sqrt((1.5^2 + 1.5^2) / 1); accuracy: (50 + 75) / 2 %, sqrt(2 * 12.5^2)
        let expected = [[2.5, 4.5_f64.sqrt()], [62.5, 312.5_f64.sqrt()]];
        assert_eq!([spreads[0].x, spreads[0].y], expected);
    }
}
