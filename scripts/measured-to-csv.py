#!/usr/bin/env python3
"""scripts/measured-to-csv.py TABLE COLUMN [--below IMAGES_PER_SECOND] > rows.csv

Turns a table of measurements into the form that `systole calibrate` reads. Two forms of tables are known by their header:

  Accel-NASBench: block0_e, block0_k, block0_l, block0_se, ..., and COLUMN with images a second
      -> network,images/s with an architecture string of search-spaces/mnasnet.yaml
  matrix products: M, N, K, and COLUMN with microseconds
      -> M,N,K,us

Rows without a value in COLUMN are left out. --below leaves out networks as fast as this or faster, as where the input
pipeline is what was measured. Python 3 alone.
"""

import argparse
import csv
import sys

BLOCKS = 7


def architecture(row):
    """The string of search-spaces/mnasnet.yaml for a row: `e1k3l1-e6k3l2s-...`."""
    parts = []
    for block in range(BLOCKS):
        e, k, l, se = (int(row[f"block{block}_{key}"]) for key in ("e", "k", "l", "se"))
        parts.append(f"e{e}k{k}l{l}{'s' if se else ''}")
    return "-".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="CSV file")
    parser.add_argument("column", help="the column of measured throughput or time")
    parser.add_argument("--below", type=float, default=float("inf"), help="images a second")
    arguments = parser.parse_args()
    with open(arguments.table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or arguments.column not in rows[0]:
        names = ", ".join(rows[0]) if rows else "nothing"
        sys.exit(f"error: {arguments.table}: no column `{arguments.column}`; the header has {names}")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if "block0_e" in rows[0]:
        writer.writerow(["network", "images/s"])
        for row in rows:
            value = row[arguments.column].strip()
            if value and float(value) < arguments.below:
                writer.writerow([architecture(row), value])
    elif all(side in rows[0] for side in "MNK"):
        writer.writerow(["M", "N", "K", "us"])
        for row in rows:
            value = row[arguments.column].strip()
            if value:
                writer.writerow([row["M"], row["N"], row["K"], value])
    else:
        sys.exit(f"error: {arguments.table}: neither block0_e nor M, N, K are in its header")


if __name__ == "__main__":
    main()
