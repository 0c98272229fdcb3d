//! Accuracy against latency: points of runs and tables, and the front of each accelerator.

mod arrays;
mod by_macs;
mod measure;
mod pick;
mod point;
mod runs;
mod table;
pub mod tabular;

use std::collections::HashSet;

use serde::{Serialize, Serializer};

use crate::front::Objective;
use crate::record::RecordError;

pub use arrays::{ArrayShare, array_name, shares};
pub use by_macs::{ByMacs, LatencyRatio};
pub use measure::{BadObjectives, Measure, Objectives};
pub use pick::{BadPick, Pick};
pub use point::{AccuracyFrom, Point};
pub use runs::{Runs, points_of_runs};
pub use table::{Repeated, Table, TableError, TableRow};

/// Error and latency, the objectives of a table as a task.
const OBJECTIVES: [Objective; 2] = [Objective::Minimise, Objective::Minimise];

/// Why points have no front.
#[derive(Debug, thiserror::Error)]
pub enum ParetoError {
    /// A folder that is no run's, or whose summary cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Of several folders some that are no run's, or whose summary cannot be read.
    #[error("{} of {given} run folders cannot be used; nothing was drawn{}", .errors.len(), listed(.errors))]
    Folders {
        /// How many folders were given.
        given: usize,
        /// What is wrong with each.
        errors: Vec<String>,
    },
    /// A number that no run can have.
    #[error("`{name}`: {rule}, got {given}")]
    Value {
        /// The point or folder.
        name: String,
        /// What must hold.
        rule: &'static str,
        /// What was found.
        given: f64,
    },
    /// Nothing is left to draw a front through.
    #[error("none of {given} run folders has an accuracy and a latency{}", listed(.skipped))]
    NoPoints {
        /// How many folders were given.
        given: usize,
        /// Why each was left out.
        skipped: Vec<String>,
    },
    /// A front would have two points of one name.
    #[error("two points on `{accelerator}` are named `{name}`; names must be unique")]
    SameName {
        /// The accelerator.
        accelerator: String,
        /// The name.
        name: String,
    },
    /// A reference that nothing dominates has no hypervolume.
    #[error(
        "no point on `{accelerator}` betters the reference {reference} in {}; {best}: give a reference beyond one of the points",
        all_of(.objectives)
    )]
    Reference {
        /// The accelerator.
        accelerator: String,
        /// What was given, values with commas between.
        reference: String,
        /// What the front is about.
        objectives: Objectives,
        /// The best value of the points in each objective.
        best: String,
    },
    /// A reference with more or fewer values than there are objectives.
    #[error("the reference has {given} values and the objectives {objectives} want one each, {}", .objectives.measures().len())]
    Corner {
        /// How many values were given.
        given: usize,
        /// What the front is about.
        objectives: Objectives,
    },
    /// No point has all of the objectives.
    #[error(
        "no point on `{accelerator}` has {missing}: energy wants an accelerator with an energy table, energy and weights of a \
         run its estimate.json; choose other objectives than {objectives}"
    )]
    Unknown {
        /// The accelerator.
        accelerator: String,
        /// What the front is about.
        objectives: Objectives,
        /// The first objective that no point has.
        missing: Measure,
    },
}

/// `error and latency both`, or with more names.
fn all_of(objectives: &Objectives) -> String {
    let names: Vec<&str> = objectives.measures().iter().map(|measure| measure.label()).collect();
    match names.split_last() {
        Some((last, [first])) => format!("{first} and {last} both"),
        Some((last, others)) => format!("{} and {last} alike", others.join(", ")),
        None => String::new(),
    }
}

fn listed(reasons: &[String]) -> String {
    reasons.iter().map(|reason| format!("\n  {reason}")).collect()
}

/// The corner that bounds the hypervolume.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reference {
    /// Error, a fraction.
    pub error: f64,
    /// Latency, ms.
    pub latency_ms: f64,
}

/// Points on one accelerator and which of them no other dominates; serializes to the form of `pareto --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Front {
    accelerator: String,
    points: Vec<Point>,
    #[serde(rename = "front")]
    names: Vec<String>,
    objectives: Objectives,
    #[serde(serialize_with = "named")]
    reference: Corner,
    hypervolume: f64,
    #[serde(skip)]
    members: Vec<usize>,
}

/// A reference: each objective's field and value.
type Corner = Vec<(&'static str, f64)>;

fn named<S: Serializer>(corner: &Corner, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(corner.iter().copied())
}

impl Front {
    /// The front of error and latency of `points`, all on `accelerator`, as [`Front::over`].
    ///
    /// # Errors
    /// [`ParetoError::NoPoints`] without points, [`ParetoError::SameName`], [`ParetoError::Value`] where an error or a
    /// latency is no such number, [`ParetoError::Reference`] where a given reference is dominated by no point.
    pub fn new(accelerator: &str, points: Vec<Point>, reference: Option<Reference>) -> Result<Self, ParetoError> {
        let corner = reference.map(|given| [given.error, given.latency_ms]);
        Self::over(accelerator, points, &Objectives::default(), corner.as_ref().map(|corner| &corner[..]))
    }

    /// The front of `objectives` of `points`, all on `accelerator`. A point without one of them is on no front
    /// ([`Front::unknown`]).
    ///
    /// Without a `reference`, a value for each objective in its unit, it lies a tenth beyond the front's worst values
    /// ([`nadir_reference`](crate::front::nadir_reference)), so it moves with the points: compare hypervolumes under one
    /// reference only.
    ///
    /// # Errors
    /// As [`Front::new`]; [`ParetoError::Corner`] where the reference has not a value for each objective,
    /// [`ParetoError::Unknown`] where no point has all objectives.
    pub fn over(
        accelerator: &str,
        points: Vec<Point>,
        objectives: &Objectives,
        reference: Option<&[f64]>,
    ) -> Result<Self, ParetoError> {
        check(accelerator, &points)?;
        if let Some(given) = reference.filter(|given| given.len() != objectives.measures().len()) {
            return Err(ParetoError::Corner { given: given.len(), objectives: objectives.clone() });
        }
        let members = objectives.members(&points);
        let Some(nadir) = objectives.nadir(&points) else {
            return Err(without_front(accelerator, &points, objectives));
        };
        let corner = reference.map_or(nadir, <[f64]>::to_vec);
        let hypervolume = objectives.volume(&points, &corner);
        if reference.is_some() && hypervolume <= 0.0 {
            return Err(unreached(accelerator, &points, objectives, &corner));
        }
        let names = members.iter().map(|&i| points[i].name.clone()).collect();
        let reference = objectives.measures().iter().map(|measure| measure.field()).zip(corner).collect();
        let (accelerator, objectives) = (accelerator.to_owned(), objectives.clone());
        Ok(Self { accelerator, points, names, objectives, reference, hypervolume, members })
    }

    /// What it is about.
    #[must_use]
    pub fn objectives(&self) -> &Objectives {
        &self.objectives
    }

    /// How many points are on no front since an objective of theirs is not known.
    #[must_use]
    pub fn unknown(&self) -> usize {
        let is_known = |point: &&Point| self.objectives.measures().iter().all(|measure| measure.of(point).is_some());
        self.points.len() - self.points.iter().filter(is_known).count()
    }

    /// The hypervolume of `points` over that of this front, under its reference; 0 where this front has none.
    #[must_use]
    pub fn share_of(&self, points: &[Point]) -> f64 {
        if self.hypervolume > 0.0 { self.objectives.volume(points, &self.corner()) / self.hypervolume } else { 0.0 }
    }

    /// Name of the accelerator.
    #[must_use]
    pub fn accelerator(&self) -> &str {
        &self.accelerator
    }

    /// All points, in the order given.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The places in [`Front::points`] of those on the front, ascending.
    #[must_use]
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// The names of those on the front, in the same order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The corner of the hypervolume: a value for each objective, in its unit.
    #[must_use]
    pub fn corner(&self) -> Vec<f64> {
        self.reference.iter().map(|(_, value)| *value).collect()
    }

    /// Names of the points that the reference does not bound: what they dominate is no part of the hypervolume.
    #[must_use]
    pub fn outside(&self) -> Vec<&str> {
        let limits: Vec<(&Measure, f64)> = self.objectives.measures().iter().zip(self.corner()).collect();
        let beyond = |point: &Point, measure: &Measure, limit: f64| {
            let turned = |value| measure.objective().minimised(value);
            measure.of(point).is_some_and(|value| turned(value) >= turned(limit))
        };
        let is_outside = |point: &&Point| limits.iter().any(|(measure, limit)| beyond(point, measure, *limit));
        self.points.iter().filter(is_outside).map(|point| point.name.as_str()).collect()
    }

    /// Area that the front dominates up to the reference, in the product of the objectives' units (ms of error and latency); more is better.
    #[must_use]
    pub fn hypervolume(&self) -> f64 {
        self.hypervolume
    }

    /// The points as CSV with a header; `error` and `utilization` are fractions, `on_front` is `true` or `false`.
    ///
    /// # Panics
    /// Never: memory is always written to.
    #[must_use]
    pub fn to_csv(&self) -> String {
        csv(std::slice::from_ref(self))
    }
}

/// One front for each accelerator, in the order in which they first occur.
///
/// # Errors
/// As [`Front::new`]; a given `reference` must be dominated on every accelerator.
pub fn fronts(points: Vec<Point>, reference: Option<Reference>) -> Result<Vec<Front>, ParetoError> {
    let corner = reference.map(|given| [given.error, given.latency_ms]);
    fronts_over(points, &Objectives::default(), corner.as_ref().map(|corner| &corner[..]))
}

/// The front of `objectives` on each accelerator of `points`, in the order in which these first occur.
///
/// # Errors
/// As [`Front::over`]; a given `reference` must be dominated on every accelerator.
pub fn fronts_over(
    points: Vec<Point>,
    objectives: &Objectives,
    reference: Option<&[f64]>,
) -> Result<Vec<Front>, ParetoError> {
    let mut groups: Vec<(String, Vec<Point>)> = Vec::new();
    for point in points {
        match groups.iter_mut().find(|(accelerator, _)| *accelerator == point.accelerator) {
            Some((_, group)) => group.push(point),
            None => groups.push((point.accelerator.clone(), vec![point])),
        }
    }
    groups.into_iter().map(|(accelerator, group)| Front::over(&accelerator, group, objectives, reference)).collect()
}

/// What `pareto --json` prints: the object of the one accelerator, or an array of several; ends in a newline.
///
/// # Panics
/// Never: fronts hold finite numbers and strings.
#[must_use]
pub fn json<T: Serialize>(fronts: &[T]) -> String {
    let text = match fronts {
        [one] => serde_json::to_string_pretty(one),
        several => serde_json::to_string_pretty(several),
    };
    text.expect("plain records always serialize") + "\n"
}

/// The points of all `fronts` as one CSV, as [`Front::to_csv`].
///
/// # Panics
/// Never: memory is always written to.
#[must_use]
pub fn csv(fronts: &[Front]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).expect("memory is always written to");
    for front in fronts {
        let members: HashSet<usize> = front.members.iter().copied().collect();
        for (i, point) in front.points.iter().enumerate() {
            writer.write_record(row(point, members.contains(&i))).expect("memory is always written to");
        }
    }
    String::from_utf8(writer.into_inner().expect("memory is always written to")).expect("strings went in")
}

const HEADER: [&str; 14] = [
    "name",
    "error",
    "latency_ms",
    "utilization",
    "on_front",
    "accelerator",
    "params",
    "macs",
    "seed",
    "accuracy_from",
    "run",
    "energy_uj",
    "weight_kib",
    "seconds",
];

fn row(point: &Point, on_front: bool) -> [String; HEADER.len()] {
    [
        point.name.clone(),
        point.error.to_string(),
        point.latency_ms.to_string(),
        written(point.utilization),
        on_front.to_string(),
        point.accelerator.clone(),
        written(point.params),
        written(point.macs),
        written(point.seed),
        point.accuracy_from.to_string(),
        point.run.clone().unwrap_or_default(),
        written(point.energy_uj),
        written(point.weight_kib),
        written(point.seconds),
    ]
}

fn written<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn check(accelerator: &str, points: &[Point]) -> Result<(), ParetoError> {
    let mut names = HashSet::new();
    for point in points {
        point.check()?;
        if !names.insert(point.name.as_str()) {
            return Err(ParetoError::SameName { accelerator: accelerator.to_owned(), name: point.name.clone() });
        }
    }
    Ok(())
}

fn unreached(accelerator: &str, points: &[Point], objectives: &Objectives, corner: &[f64]) -> ParetoError {
    let best = |measure: &Measure| {
        let turned = |value| measure.objective().minimised(value);
        let values = points.iter().filter_map(|point| measure.of(point)).map(turned);
        let value = turned(values.fold(f64::INFINITY, f64::min));
        let which = if measure.objective() == Objective::Minimise { "least" } else { "greatest" };
        let unit = if measure.unit().is_empty() { String::new() } else { format!(" {}", measure.unit()) };
        (which, measure.label(), format!("{value}{unit}"))
    };
    let bests = objectives.measures().iter().map(best).enumerate();
    let told = bests.map(|(place, (which, label, value))| match place {
        0 => format!("the {which} {label} is {value}"),
        _ => format!("the {which} {label} {value}"),
    });
    ParetoError::Reference {
        accelerator: accelerator.to_owned(),
        reference: corner.iter().map(f64::to_string).collect::<Vec<_>>().join(","),
        objectives: objectives.clone(),
        best: told.collect::<Vec<_>>().join(", "),
    }
}

/// Why `points` have no front at all.
fn without_front(accelerator: &str, points: &[Point], objectives: &Objectives) -> ParetoError {
    let absent = |measure: &&Measure| !points.iter().any(|point| measure.of(point).is_some());
    match objectives.measures().iter().find(absent).filter(|_| !points.is_empty()) {
        Some(&missing) => {
            ParetoError::Unknown { accelerator: accelerator.to_owned(), objectives: objectives.clone(), missing }
        }
        None => ParetoError::NoPoints { given: points.len(), skipped: Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, error: f64, latency_ms: f64) -> Point {
        Point::new(name, "tpu-v1", [error, latency_ms])
    }

    #[test]
    fn the_json_has_the_form_that_was_promised() {
        let points = vec![point("a", 0.5, 1.0), point("b", 0.25, 2.0), point("c", 0.5, 2.0)];
        let front = Front::new("tpu-v1", points, Some(Reference { error: 1.0, latency_ms: 4.0 })).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json(std::slice::from_ref(&front))).unwrap();
        assert_eq!(value["front"], serde_json::json!(["a", "b"]));
        assert_eq!(value["reference"], serde_json::json!({"error": 1.0, "latency_ms": 4.0}));
        // (1 - 0.5) * (4 - 1) + (0.5 - 0.25) * (4 - 2)
        assert_eq!(value["hypervolume"], 2.0);
        assert_eq!(value["accelerator"], "tpu-v1");
        assert_eq!(value["points"][1]["name"], "b");
        assert_eq!(value["points"][1]["error"], 0.25);
        assert_eq!(value["points"][1]["latency_ms"], 2.0);
        assert!(serde_json::from_str::<serde_json::Value>(&json(&[front.clone(), front])).unwrap().is_array());
    }

    #[test]
    fn each_accelerator_has_a_front_of_its_own() {
        let mut slow = point("a", 0.5, 9.0);
        slow.accelerator = "small".to_owned();
        let fronts = fronts(vec![point("a", 0.5, 1.0), slow, point("b", 0.25, 2.0)], None).unwrap();
        let names: Vec<_> = fronts.iter().map(|front| (front.accelerator(), front.names())).collect();
        let expected = [("tpu-v1", &["a".to_owned(), "b".to_owned()][..]), ("small", &["a".to_owned()][..])];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_default_reference_is_a_tenth_beyond_the_front() {
        let front = Front::new("tpu-v1", vec![point("a", 0.5, 1.0), point("b", 0.25, 2.0)], None).unwrap();
        let corner = front.corner();
        assert!((corner[0] - 0.55).abs() < 1e-12 && (corner[1] - 2.2).abs() < 1e-12);
        assert!(front.hypervolume() > 0.0);
    }

    #[test]
    fn points_beyond_the_reference_or_level_with_it_are_outside() {
        let points = vec![point("a", 0.5, 1.0), point("b", 0.25, 2.0), point("c", 0.75, 1.5), point("d", 0.4, 9.0)];
        let reference = Some(Reference { error: 0.75, latency_ms: 3.0 });
        assert_eq!(Front::new("tpu-v1", points.clone(), reference).unwrap().outside(), ["c", "d"]);
        let reference = Some(Reference { error: 1.0, latency_ms: 10.0 });
        assert!(Front::new("tpu-v1", points, reference).unwrap().outside().is_empty());
    }

    #[test]
    fn a_reference_that_nothing_dominates_is_refused() {
        let reference = Some(Reference { error: 0.5, latency_ms: 4.0 });
        let message = Front::new("tpu-v1", vec![point("a", 0.5, 1.0)], reference).unwrap_err().to_string();
        assert!(message.contains("no point on `tpu-v1` betters the reference 0.5,4"), "{message}");
        assert!(message.contains("least error is 0.5"), "{message}");
    }

    #[test]
    fn numbers_that_no_run_has_are_refused() {
        for (bad, rule) in [
            (point("a", 1.5, 1.0), "an error is a fraction from 0 to 1, got 1.5"),
            (point("a", 0.5, -1.0), "a latency in ms must be finite and not negative, got -1"),
            (point("a", f64::NAN, 1.0), "got NaN"),
        ] {
            let message = Front::new("tpu-v1", vec![bad], None).unwrap_err().to_string();
            assert!(message.contains(rule), "{message}");
        }
        let twice = vec![point("a", 0.5, 1.0), point("a", 0.25, 2.0)];
        assert!(matches!(Front::new("tpu-v1", twice, None), Err(ParetoError::SameName { .. })));
    }

    #[test]
    fn the_csv_says_what_is_on_the_front() {
        let front = Front::new("tpu-v1", vec![point("a,b", 0.5, 1.0), point("c", 0.75, 1.5)], None).unwrap();
        let text = front.to_csv();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "name,error,latency_ms,utilization,on_front,accelerator,params,macs,seed,accuracy_from,run,energy_uj,weight_kib,seconds"
        );
        assert_eq!(lines[1], "\"a,b\",0.5,1,,true,tpu-v1,,,,test,,,,");
        assert_eq!(lines[2], "c,0.75,1.5,,false,tpu-v1,,,,test,,,,");
    }
}
