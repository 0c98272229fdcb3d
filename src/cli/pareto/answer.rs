//! Fronts as text.

use crate::cli::numbers::{digits, grouped, percent, short};
use crate::cli::table::{Columns, list, table};
use crate::jobs::{Answer, Picked, Said, TableFacts};
use crate::pareto::{ArrayShare, ByMacs, Front, Measure, Point};

/// The front, or the one point that was asked for.
pub(super) fn text(answer: &Answer<'_>) -> String {
    let Answer { front, said } = answer;
    match &said.pick {
        Some(picked) => one(front, picked),
        None => whole(front, said),
    }
}

/// Why there is not the point that was asked for.
pub(super) fn unmet(answer: &Answer<'_>) -> Option<String> {
    let Answer { front, said } = answer;
    let picked = said.pick.as_ref().filter(|picked| picked.point.is_none())?;
    let least = |value: fn(&Point) -> f64| front.points().iter().map(value).fold(f64::INFINITY, f64::min);
    Some(format!(
        "no point on `{}` has {}; the least latency is {} ms, the least error {}",
        front.accelerator(),
        picked.rule,
        least(|point| point.latency_ms),
        least(|point| point.error)
    ))
}

fn one(front: &Front, picked: &Picked) -> String {
    let Some(point) = &picked.point else { return format!("{} on {}: none\n", picked.rule, front.accelerator()) };
    let Point { name, error, latency_ms, utilization, .. } = point;
    let mut facts = vec![
        ("name", name.clone()),
        ("accuracy", accuracy(point)),
        ("error", digits(*error, 6)),
        ("latency", format!("{} ms", digits(*latency_ms, 6))),
        ("utilization", percent(*utilization)),
        ("params", count(point.params)),
        ("MACs", count(point.macs.map(|macs| macs.0))),
    ];
    let energy = point.energy_uj.map(|energy| ("energy", format!("{} uJ", digits(energy, 6))));
    facts.extend(energy);
    facts.extend(point.weight_kib.map(|weights| ("weights", format!("{} KiB", digits(weights, 6)))));
    facts.extend(point.run.clone().map(|run| ("run", run)));
    list(&format!("{} on {}", picked.rule, front.accelerator()), &facts)
}

fn whole(front: &Front, said: &Said) -> String {
    let mut header = vec!["front", "name", "accuracy", "error", "latency ms", "utilization", "params", "MACs"];
    let further: Vec<(&str, Measure)> = [("energy uJ", Measure::EnergyUj), ("weights KiB", Measure::WeightKib)]
        .into_iter()
        .filter(|(_, measure)| front.objectives().measures().contains(measure))
        .collect();
    header.extend(further.iter().map(|(title, _)| *title));
    // Of a table the front alone is shown: there may be thousands of points.
    let skipped = usize::from(said.table.is_some());
    let columns = Columns { header: &header[skipped..], left: [&[0, 1][..], &[0]][skipped], name: 1 - skipped };
    let mut order: Vec<usize> =
        if said.table.is_some() { front.members().to_vec() } else { (0..front.points().len()).collect() };
    order.sort_by(|&a, &b| front.points()[a].latency_ms.total_cmp(&front.points()[b].latency_ms));
    let rows = order.into_iter().map(|place| {
        let point = &front.points()[place];
        let mut row = row(point, front.members().binary_search(&place).is_ok());
        let value = |measure: Measure| measure.of(point).map_or("-".to_owned(), |value| digits(value, 4));
        row.extend(further.iter().map(|(_, measure)| value(*measure)));
        row[skipped..].to_vec()
    });
    let mut volume = vec![("hypervolume", hypervolume(front)), ("reference", reference(front))];
    if let Some(names) = some_of(&front.outside()) {
        volume.push(("outside", format!("{names}: beyond the reference, no part of the hypervolume")));
    }
    let [members, points] = [front.members().len(), front.points().len()].map(|count| grouped(count as u64));
    let objectives = front.objectives();
    let about = if objectives.is_default() { String::new() } else { format!(" of {objectives}") };
    let title = format!("front{about} on {}: {members} of {points} points", front.accelerator());
    let mut text =
        format!("{title}\n\n{}\n{}", table(&columns, rows.collect()), list("area below the reference", &volume));
    let further = [
        said.co_search.as_ref().map(|shares| arrays(front, shares)),
        said.by_macs.as_ref().map(|by_macs| chosen_by_macs(front, by_macs)),
        said.table.as_ref().map(origin),
    ];
    for part in further.into_iter().flatten() {
        text.push('\n');
        text.push_str(&part);
    }
    text
}

fn reference(front: &Front) -> String {
    let value = |(measure, value): (&Measure, f64)| {
        format!("{} {} {}", measure.label(), digits(value, 6), measure.unit()).trim_end().to_owned()
    };
    front.objectives().measures().iter().zip(front.corner()).map(value).collect::<Vec<_>>().join(", ")
}

fn hypervolume(front: &Front) -> String {
    format!("{} {}", digits(front.hypervolume(), 6), front.objectives().unit()).trim_end().to_owned()
}

fn arrays(front: &Front, shares: &[ArrayShare]) -> String {
    let header = ["array", "PEs", "on the front", "least ms", "hypervolume alone", "of the joint one"];
    let columns = Columns { header: &header, left: &[0], name: 0 };
    let row = |share: &ArrayShare| {
        vec![
            share.array.clone(),
            grouped(share.pes),
            grouped(share.on_front as u64),
            digits(share.least_latency_ms, 4),
            digits(share.hypervolume, 6),
            percent(Some(share.hypervolume / front.hypervolume())),
        ]
    };
    format!("arrays of the joint front\n\n{}", table(&columns, shares.iter().map(row).collect()))
}

fn chosen_by_macs(front: &Front, by_macs: &ByMacs) -> String {
    let ByMacs { front: chosen, not_on_front, missed, latency_ratio } = by_macs;
    let mut facts = vec![
        ("networks", format!("{}, {} of them not on the front by latency", chosen.len(), not_on_front.len())),
        ("missed", format!("{} of the {} on the front by latency", missed.len(), front.members().len())),
    ];
    if let Some(ratio) = latency_ratio {
        let [median, greatest] = [ratio.median, ratio.greatest].map(|ratio| digits(ratio, 4));
        facts.push(("latency", format!("{median} times the least at equal accuracy (median), {greatest} at most")));
        if ratio.greatest > 1.0 {
            facts.push(("at most", format!("of {}, where {} is no less accurate", ratio.greatest_of, ratio.instead)));
        }
    }
    list("front by MACs", &facts)
}

fn origin(facts: &TableFacts) -> String {
    format!("accuracies: column `{}` of {} networks; {}\n", facts.column, grouped(facts.networks as u64), facts.note)
}

/// The first few names, and how many more there are; nothing of none.
fn some_of(names: &[&str]) -> Option<String> {
    const FEW: usize = 4;
    match names.len() {
        0 => None,
        1..=FEW => Some(names.join(", ")),
        all => Some(format!("{} and {} more", names[..FEW].join(", "), all - FEW)),
    }
}

fn row(point: &Point, on_front: bool) -> Vec<String> {
    vec![
        if on_front { "*" } else { "" }.to_owned(),
        point.name.clone(),
        accuracy(point),
        digits(point.error, 4),
        digits(point.latency_ms, 4),
        percent(point.utilization),
        count(point.params),
        count(point.macs.map(|macs| macs.0)),
    ]
}

fn accuracy(point: &Point) -> String {
    format!("{:.2}%", 100.0 * (1.0 - point.error))
}

fn count(value: Option<u64>) -> String {
    value.map_or("-".to_owned(), short)
}
