//! Joins that project.

use super::*;

/// [`CELLS`] whose joins project.
fn projecting() -> Space {
    space(&CELLS.replace("    width:", "    join: project\n    width:"))
}

#[test]
fn every_edge_has_a_width_and_a_node_the_widest() {
    let space = projecting();
    let names: Vec<&str> = space.widths.iter().map(|choice| choice.name.as_str()).collect();
    let cell = ["before", "last", "t1/last", "t1/before", "t2/t1", "t2/last"];
    let cells = [0, 1].map(|number| cell.map(|name| format!("cell{number}/{name}")));
    let wanted: Vec<&str> = ["image", "layer0"].into_iter().chain(cells.iter().flatten().map(String::as_str)).collect();
    assert_eq!(names, wanted);
    let joins: Vec<&str> =
        space.joins.iter().map(|join| join.name.as_str()).filter(|name| name.contains("0/t")).collect();
    assert_eq!(joins, ["cell0/t1/last", "cell0/t1/before", "cell0/t1", "cell0/t2/t1", "cell0/t2/last", "cell0/t2"]);
    let into = |name: &str| -> Vec<&str> {
        let edges = space.edges.iter().filter(|edge| space.join(edge.to).name == name);
        edges.map(|edge| edge.name.as_str()).collect()
    };
    assert_eq!(into("cell0/t1"), ["cell0/t1/last/project", "cell0/t1/before/project"]);
    assert_eq!(into("cell0/t1/before"), ["cell0/t1/before"]);
    // What is searched is what the same cells search whose nodes have one width, but for the widths.
    let searched = |space: &Space| -> Vec<OperatorChoice> {
        space.operators.iter().filter(|choice| choice.candidates.len() > 1).cloned().collect()
    };
    assert_eq!(searched(&space), searched(&self::space(CELLS)));
    // All widths are 8, 12 or 16; a branch is no wider than its node: 3 + 2 + 1 pairs.
    assert!(space.maxima.iter().all(|most| most.options == [8, 12, 16]));
    assert!(space.projections().all(|(_, branch)| branch.pairs.len() == 6));
}

#[test]
fn narrower_branches_are_projected_to_the_widest() {
    let space = projecting();
    // t1: 16 channels out of `last`, 8 out of `before`. t2: t1 as it is, 12 channels out of `last`.
    let widths = [0, 1, 2, 0, 0, 1];
    let chosen = architecture(&space, &[0, 0, 1, 0], &[widths, widths].concat());
    let network = space.derive(&chosen).unwrap();
    let projections: Vec<&str> = products(&network).into_iter().filter(|name| name.contains("project")).collect();
    let wanted = [0, 1].map(|n| [format!("cell{n}/t1/before/project/conv"), format!("cell{n}/t2/last/project/conv")]);
    assert_eq!(projections, wanted.concat());
    let node = |name: &str| network.nodes().find(|(_, node)| node.name == name).unwrap().1;
    assert_eq!(node("cell0/t1/before/project/conv").shape.dims(), [16, 32, 32]);
    assert_eq!(node("cell0/t2/last/project/conv").params(), 12 * 16);
    // Convolution, batch norm, ReLU.
    assert_eq!(node("cell0/t2/last/project/act").op, Op::Activation(crate::network::Activation::Relu));
    // An identity chooses no width.
    assert_eq!(space.unused_widths(&chosen).into_iter().collect::<Vec<_>>(), ["cell0/t2/t1", "cell1/t2/t1"]);
    // Without `last` t1 is what comes from `before`: 8 channels, and t2 is 12 wide.
    let network = space.derive(&architecture(&space, &[2, 0, 1, 0], &[widths, widths].concat())).unwrap();
    let projections: Vec<&str> = products(&network).into_iter().filter(|name| name.contains("project")).collect();
    assert_eq!(projections, ["cell0/t2/t1/project/conv", "cell1/t2/t1/project/conv"]);
}

/// Channels of node `name` of `cell`, by the definition: the widest of what its edges yield that have a source.
fn widest(space: &Space, chosen: &Architecture, cell: usize, node: &str) -> Option<u64> {
    let width = |name: &str| {
        let place = space.widths.iter().position(|choice| choice.name == name).unwrap();
        space.widths[place].options[chosen.widths[place]]
    };
    let sources: &[&str] = match node {
        "t1" => &["last", "before"],
        "t2" => &["t1", "last"],
        // It reads the cell before, where there is one.
        "last" if cell > 0 && widest(space, chosen, cell - 1, "t2").is_none() => return None,
        _ => return Some(width(&format!("cell{cell}/{node}"))),
    };
    let of_edge = |source: &&str| {
        let name = format!("{node}/{source}");
        let operator = space.operators.iter().position(|choice| choice.name == name).unwrap();
        let source = widest(space, chosen, cell, source)?;
        match space.operators[operator].candidates[chosen.operators[operator]] {
            Candidate::Zero => None,
            Candidate::Identity => Some(source),
            _ => Some(width(&format!("cell{cell}/{name}"))),
        }
    };
    sources.iter().filter_map(of_edge).max()
}

#[test]
fn a_node_is_as_wide_as_the_widest_edge_that_has_a_source() {
    let space = projecting();
    let mut stream = ChaCha8Rng::seed_from_u64(5);
    let mut derived = 0;
    for _ in 0..300 {
        let chosen = random_architecture(&space, &mut stream);
        for (cell, node) in [(0, "t1"), (0, "t2"), (1, "t1"), (1, "t2")] {
            let Some(wanted) = widest(&space, &chosen, cell, node) else { continue };
            let join = space.joins.iter().position(|join| join.name == format!("cell{cell}/{node}")).unwrap();
            assert_eq!(space.width(&chosen, JoinId(join)), wanted, "{cell} {node} {chosen:?}");
        }
        let Ok(network) = space.derive(&chosen) else { continue };
        derived += 1;
        let flat = network.nodes().find(|(_, node)| node.name == "classifier/flatten").unwrap().1;
        assert_eq!(flat.shape.elements(), 16 * 16 * widest(&space, &chosen, 1, "t2").unwrap());
        // The architecture's file names what is chosen, and is read as it was.
        let text = crate::load::to_yaml(&space.architecture_file(&chosen));
        assert!(!text.contains("project"), "{text}");
        assert_eq!(space.parse_architecture(&text, "a.yaml").unwrap(), chosen);
    }
    assert!(derived > 150, "{derived}");
}

#[test]
fn an_open_choice_leaves_open_what_follows_from_it_and_nothing_else() {
    let space = projecting();
    let chosen = architecture(&space, &[0, 0, 1, 0], &[0, 1, 2, 0, 0, 1, 0, 1, 2, 0, 0, 1]);
    let all = space.followers_of(&chosen);
    let open = space.widths.iter().position(|choice| choice.name == "cell1/t1/last").unwrap();
    let known = |id: WidthId| (id.0 != open).then(|| chosen.widths[id.0]);
    let some = space.followers(|id| Some(chosen.operators[id.0]), known);
    assert!(some.iter().zip(&all).all(|(some, all)| some.is_none_or(|some| some == *all)));
    // The branch, t1 and its two pairs; t2 copies t1: that branch, t2 and its two pairs.
    assert_eq!(some.iter().filter(|option| option.is_none()).count(), 8);
}

#[test]
fn a_node_of_one_edge_needs_no_projection() {
    let text = CELLS.replace("    width:", "    join: project\n    width:");
    let space = space(&text.replace("from: [last, before]", "from: [last]").replace("from: [t1, last]", "from: [t1]"));
    assert!(space.maxima.is_empty() && !space.branches.is_empty());
    // t1 is a convolution to 12, t2 copies it.
    let network = space.derive(&architecture(&space, &[0, 1], &[0, 0, 1, 0, 0, 0, 1, 0])).unwrap();
    let flat = network.nodes().find(|(_, node)| node.name == "classifier/flatten").unwrap().1;
    assert_eq!(flat.shape.elements(), 12 * 16 * 16);
}

#[test]
fn what_does_not_go_with_projections_is_refused_by_name() {
    let text = CELLS.replace("    width:", "    join: project\n    width:");
    let concatenation = message(&text, "    candidates:", "    output: [t1, t2]\n    candidates:");
    assert!(concatenation.contains("join: project makes nodes whose width follows from operators"), "{concatenation}");
    assert!(concatenation.contains("space.yaml:"), "{concatenation}");
    let strings =
        message(&text.replace("{ min: 8, max: 16, step: 4 }", "8"), "classifier:", "strings: digits\nclassifier:");
    assert!(strings.contains("no benchmark has joins that project"), "{strings}");
    let unknown = message(&text, "join: project", "join: widest");
    assert!(unknown.contains("one-width"), "{unknown}");
}
