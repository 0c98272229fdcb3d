#!/usr/bin/env python3
"""Measures of fronts by moocore (https://pypi.org/project/moocore), an independent implementation, as goldens.

    python3 -m venv VENV && VENV/bin/pip install moocore && VENV/bin/python scripts/front-goldens.py

Writes tests/golden/front-measures.json: sets of points with their hypervolume, IGD+, non-dominated sorting, and median
attainment. The points come from a fixed seed; a fifth repeats values of others, so that ties are there.
"""

import json
from pathlib import Path

import moocore
import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "front-measures.json"


def points(draws, count, objectives):
    """`count` points near a sphere's octant, two digits each; a fifth have a value of the point before."""
    raw = np.abs(draws.normal(size=(count, objectives)))
    raw = raw / np.linalg.norm(raw, axis=1, keepdims=True) + 0.3 * draws.random((count, 1))
    for place in range(5, count, 5):
        raw[place, place % objectives] = raw[place - 1, place % objectives]
    return np.round(raw, 2)


def case(draws, count, objectives):
    found, target = points(draws, count, objectives), points(draws, count, objectives)
    maximise = [bool(place % 2) for place in range(objectives)]
    # A direction turns the values about 0.
    turn = np.where(maximise, -1.0, 1.0)
    reference = np.full(objectives, 1.2)
    target = target[moocore.is_nondominated(target)]
    return {
        "maximise": maximise,
        "points": (turn * found).tolist(),
        "target": (turn * target).tolist(),
        "reference": (turn * reference).tolist(),
        "hypervolume": moocore.hypervolume(turn * found, ref=turn * reference, maximise=maximise),
        "igd_plus": moocore.igd_plus(turn * found, ref=turn * target, maximise=maximise),
        "layers": moocore.pareto_rank(turn * found, maximise=maximise).tolist(),
    }


def attained(draws):
    runs = [points(draws, 8, 2) for _ in range(5)]
    sets = np.repeat(np.arange(1, 6), 8)
    levels = {}
    for level in range(1, 6):
        surface = moocore.eaf(np.concatenate(runs), sets=sets, percentiles=[20 * level])
        levels[level] = sorted(surface[:, :2].tolist())
    return {"runs": [run.tolist() for run in runs], "levels": levels}


def main():
    draws = np.random.default_rng(1)
    sizes = [(60, 2), (200, 2), (40, 3), (120, 3), (30, 4), (60, 4), (20, 5), (40, 6)]
    golden = {
        "source": f"moocore {moocore.__version__}",
        "cases": [case(draws, count, objectives) for count, objectives in sizes],
        "attainment": attained(draws),
    }
    GOLDEN.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
