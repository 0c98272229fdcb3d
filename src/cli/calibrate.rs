//! `systole calibrate`: an accelerator's latency from measured times.

use std::path::PathBuf;

use anyhow::ensure;

use crate::estimate::calibrate::{Errors, Host, Number, Report, Sense};
use crate::jobs::{self, CalibrateOutcome, CalibrateRequest, Judged};
use crate::plot;

use super::numbers::{digits, grouped};
use super::table::{Columns, list, table};
use super::{End, Notes};

const EXAMPLES: &str = "\
Examples:
  systole calibrate rows.csv --accel my-array.yaml --out calibrated.yaml --plot fit.png
  systole calibrate rows.csv --accel tpu-v3 --space search-spaces/mnasnet.yaml --host-ceiling --out tpu.yaml
  systole calibrate products.csv --accel tpu-v4 --json

The CSV has a header. Time: one column, `ms`, `us` (of an image or a product) or `images/s`; where runs are of several
images, `ms` and `us` of all with a column `batch`. What was run: `network` (the path of a network file, or an
architecture string with --space) or `M`, `N` and `K`. Other columns are left alone. At least 25 rows.";

/// What `calibrate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Measured rows, CSV
    #[arg(value_name = "ROWS")]
    rows: PathBuf,
    /// Accelerator to calibrate: a shipped name or a path
    #[arg(long, value_name = "A")]
    accel: String,
    /// Job whose space reads the architecture strings
    #[arg(long, value_name = "JOB")]
    space: Option<PathBuf>,
    /// Fit a ceiling as well: fast rows show a host or its input pipeline
    #[arg(long)]
    host_ceiling: bool,
    /// Write the accelerator file with its calibration
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Further rows, of the same form: predicted and judged, not fitted
    #[arg(long, value_name = "ROWS")]
    judge: Option<PathBuf>,
    /// Draw measured against predicted times to FILE, .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Products only: draw times over K to FILE, at the M and N with most rows, measured and modelled
    #[arg(long, value_name = "FILE")]
    staircase: Option<PathBuf>,
    /// Seed of the folds
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, notes: Notes) -> anyhow::Result<End> {
    for path in [&args.plot, &args.staircase].into_iter().flatten() {
        plot::check_path(path)?;
    }
    let outcome = jobs::calibrate(&CalibrateRequest {
        rows: args.rows,
        accelerator: args.accel,
        space: args.space,
        host: if args.host_ceiling { Host::Ceiling } else { Host::Absent },
        seed: args.seed,
        judge: args.judge,
    })?;
    let report = &outcome.calibrated.report;
    ensure!(
        args.staircase.is_none() || !outcome.staircases.is_empty(),
        "--staircase draws products of one M and N over at least three K, and these rows have none"
    );
    if let Some(path) = &args.out {
        jobs::write_calibrated(path, &outcome)?;
        notes.line(&format!("wrote {}", path.display()));
    }
    for (path, picture) in pictures(&args.plot, &args.staircase, &outcome) {
        plot::write(path, &picture)?;
        notes.line(&format!("wrote {}", path.display()));
    }
    let text = if args.json { json(&outcome)? } else { text(report, outcome.judged.as_ref()) };
    super::output(&text)?;
    Ok(End::Done)
}

fn pictures<'a>(
    plot: &'a Option<PathBuf>,
    staircase: &'a Option<PathBuf>,
    outcome: &CalibrateOutcome,
) -> Vec<(&'a PathBuf, String)> {
    let report = &outcome.calibrated.report;
    let title = format!("{}, {} measured rows", report.accelerator, report.rows);
    let fit = plot.as_ref().map(|path| {
        let points: Vec<[f64; 2]> = report.points.iter().map(|point| [point.measured_ms, point.predicted_ms]).collect();
        (path, plot::measured_svg(&points, &title, &format!("held out: {}", errors(&report.held_out))))
    });
    let stairs = staircase.as_ref().map(|path| {
        let caption = "rows of all sizes were fitted; the steps are the array's rows";
        (path, plot::staircase_svg(&outcome.staircases, &format!("{}: time over K", report.accelerator), caption))
    });
    fit.into_iter().chain(stairs).collect()
}

/// The report, and `judged` where there are rows to judge by.
fn json(outcome: &CalibrateOutcome) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(&outcome.calibrated.report)?;
    value["judged"] = serde_json::to_value(&outcome.judged)?;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn text(report: &Report, judged: Option<&Judged>) -> String {
    let mut errors_of =
        vec![("held out, five folds", errors(&report.held_out)), ("fitted rows", errors(&report.fitted))];
    if let Some(Judged { rows, errors: judged }) = judged {
        errors_of.push(("rows to judge by", format!("{}, n {rows}", errors(judged))));
    }
    let header = ["number", "ns each", "implied", "sense"];
    let columns = Columns { header: &header, left: &[0, 2, 3], name: 2 };
    let numbers = table(&columns, report.numbers.iter().map(row).collect());
    let forms = table(
        &Columns { header: &["form", "five-fold error"], left: &[0], name: 0 },
        report.forms.iter().map(|form| vec![form.form.clone(), percent(form.mape_percent)]).collect(),
    );
    format!(
        "{} calibrated to {} rows: {} numbers, form `{}`\n\n{numbers}\n{}\n{forms}\n{}",
        report.accelerator,
        grouped(u64::try_from(report.rows).unwrap_or(u64::MAX)),
        report.numbers_used,
        report.form,
        list("besides", &besides(report)),
        list("errors", &errors_of),
    )
}

fn besides(report: &Report) -> Vec<(&'static str, String)> {
    let ceiling = report.ceiling_ms.map_or("not asked for".to_owned(), |ms| {
        format!("{} ms, {} images/s at most", digits(ms, 4), digits(1e3 / ms, 4))
    });
    vec![("on-chip capacity", report.threshold_implied.clone()), ("host ceiling", ceiling)]
}

fn row(number: &Number) -> Vec<String> {
    let sense = match number.sense {
        Sense::Physical => "physical",
        Sense::TooFast => "above peak",
        Sense::NotNeeded | Sense::NotMeasured => "",
        Sense::Overhead => "overhead",
    };
    vec![number.term.clone(), digits(number.ns, 4), number.implied.clone(), sense.to_owned()]
}

fn errors(errors: &Errors) -> String {
    let Errors { mape_percent, spearman, kendall } = errors;
    format!("MAPE {}, Spearman {spearman:.4}, Kendall {kendall:.3}", percent(*mape_percent))
}

fn percent(value: f64) -> String {
    format!("{value:.2} %")
}
