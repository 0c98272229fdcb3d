use std::path::Path;

use sha2::{Digest, Sha256};

use super::*;
use crate::pareto::{Front, Point, fronts};
use crate::record::write;

/// What would run or break out of the data where it were read as markup.
const HOSTILE: [&str; 6] = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onclick=\"alert(1)\" '",
    "<!--<script>",
    "a & b \u{2028} {{data}} \\u003c",
    "]]>&lt;b&gt;",
];

fn hostile() -> Vec<Front> {
    let point = |(i, name): (u32, &&str)| Point::new(name, HOSTILE[0], [0.1 * f64::from(i), 1.0 / f64::from(i + 1)]);
    fronts((0..).zip(&HOSTILE).map(point).collect(), None).unwrap()
}

fn report(fronts: &[Front]) -> Report<'_> {
    let details = Details {
        key: HOSTILE[0].to_owned(),
        accelerator: HOSTILE[0].to_owned(),
        facts: vec![("warning", HOSTILE[1].to_owned())],
        network: Some(HOSTILE.concat()),
        problems: HOSTILE.map(str::to_owned).to_vec(),
        ..Details::default()
    };
    let notes = HOSTILE.map(str::to_owned).to_vec();
    Report {
        title: HOSTILE.concat(),
        lead: HOSTILE[2].to_owned(),
        fronts,
        details: vec![details],
        networks: None,
        notes,
    }
}

/// The text of the data in a page.
fn data(page: &str) -> &str {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    rest.split_once("</script>").unwrap().0
}

#[test]
fn what_comes_from_files_never_becomes_markup() {
    let fronts = hostile();
    let page = report(&fronts).html();
    let data = data(&page);
    assert!(!data.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{data}");
    // Two scripts open and close, the data and the program, whatever the names are.
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert!(!page.contains("<img src=x") && !page.contains("<!--<"));
    let heading = page.split_once("<h1>").unwrap().1.split_once("</h1>").unwrap().0;
    assert!(!heading.contains(['<', '>', '"', '\'']), "{heading}");
    assert!(heading.contains("{{data}}"), "what is filled in is no place to fill: {heading}");
}

#[test]
fn the_data_come_out_of_the_page_as_they_went_in() {
    let fronts = hostile();
    let page = report(&fronts).html();
    let value: serde_json::Value = serde_json::from_str(data(&page)).unwrap();
    let names: Vec<&str> =
        value["fronts"][0]["points"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, HOSTILE);
    assert_eq!(value["details"][0]["network"], HOSTILE.concat());
    assert_eq!(value["notes"][4], HOSTILE[4]);
}

#[test]
fn equal_records_give_equal_pages() {
    let fronts = hostile();
    assert_eq!(report(&fronts).html(), report(&hostile()).html());
}

#[test]
fn the_program_puts_text_in_as_text_and_the_page_asks_for_nothing() {
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
        "XMLHttpRequest",
        "import(",
    ] {
        assert!(!page::SCRIPT.contains(way), "{way}");
    }
    // The one address is the name of SVG's elements, which is never fetched.
    let page = report(&[]).html();
    let addresses: Vec<&str> =
        page.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://")).collect();
    assert_eq!(addresses.len(), 1, "{addresses:?}");
    assert!(addresses[0].starts_with("://www.w3.org/2000/svg\""));
    assert!(!page::STYLE.contains("url(") && !page::STYLE.contains("@import"));
}

/// Bits in groups of six as letters, padded with `=`.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunk = |chunk: &[u8]| {
        let bits = (0..3).fold(0_usize, |bits, i| bits << 8 | usize::from(chunk.get(i).copied().unwrap_or(0)));
        let letter = |i: usize| char::from(LETTERS[bits >> (18 - 6 * i) & 63]);
        (0..4).map(|i| if i <= chunk.len() { letter(i) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(chunk).collect()
}

#[test]
fn the_policy_of_the_page_names_its_own_program_and_style() {
    assert_eq!(base64(b"Man") + &base64(b"Ma"), "TWFuTWE=");
    for (name, text, hash) in
        [("STYLE_HASH", page::STYLE, page::STYLE_HASH), ("SCRIPT_HASH", page::SCRIPT, page::SCRIPT_HASH)]
    {
        let expected = format!("sha256-{}", base64(&Sha256::digest(text)));
        assert_eq!(hash, expected, "the file has changed: set {name} in page.rs");
    }
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(path, text.as_bytes()).unwrap();
}

#[test]
fn a_folder_that_is_half_there_is_shown_as_far_as_it_goes() {
    let above = tempfile::tempdir().unwrap();
    let run = above.path().join("run");
    put(&run.join("spec.yaml"), "");
    let details = Details::of_run(&run, Pictured::All).unwrap();
    assert_eq!(details.problems, ["there is no summary.json: the run has not ended"]);
    assert_eq!((details.layers.len(), details.network, details.pictures.len()), (0, None, 0));
    put(&run.join("estimate.json"), "[{\"network\": 3}]");
    put(&run.join("network.yaml"), HOSTILE[0]);
    for name in ["widths.svg", "network.svg", "network.png", "history.svg"] {
        put(&run.join("plots").join(name), "<svg/>");
    }
    let details = Details::of_run(&run, Pictured::All).unwrap();
    assert!(details.problems[1].contains("estimate.json:1:14: invalid type"), "{:?}", details.problems);
    assert_eq!(details.network.as_deref(), Some(HOSTILE[0]));
    let titles = |details: &Details| details.pictures.iter().map(|picture| picture.title.clone()).collect::<Vec<_>>();
    assert_eq!(titles(&details), ["network", "history", "widths"]);
    assert_eq!(titles(&Details::of_run(&run, Pictured::Network).unwrap()), ["network"]);
    assert!(Details::of_run(&above.path().join("none"), Pictured::All).is_err());
}

#[test]
fn numbers_that_are_none_are_null() {
    let layer = Layer {
        name: "a".to_owned(),
        op: "add".to_owned(),
        macs: crate::units::Macs(0),
        cycles: crate::units::Cycles(1),
        utilization: Some(f64::NAN),
        bound: crate::estimate::Bound::None,
    };
    let details = vec![Details { layers: vec![layer], ..Details::default() }];
    let page =
        Report { title: "t".to_owned(), lead: String::new(), fronts: &[], details, networks: None, notes: Vec::new() }
            .html();
    let value: serde_json::Value = serde_json::from_str(data(&page)).unwrap();
    assert!(value["details"][0]["layers"][0]["utilization"].is_null());
}
