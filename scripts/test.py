#!/usr/bin/env python3
"""Runs every check of the project and counts them; `make test` calls it.

usage: python3 scripts/test.py [--list | STEP...]

Without arguments all steps run, whatever fails in between. STEP... runs those alone; --list names them.
Output goes to the terminal and to target/test-logs/STEP.log. Each test of a runner counts as one, and so does
each step that is not a test runner. The last line is `N passed, N failed, N skipped`; exit 1 where anything failed.
"""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "target" / "test-logs"
WITHOUT_TORCH = ["--no-default-features", "--features", "cli"]
LIBRARY_ONLY = ["--no-default-features"]
DENY_WARNINGS = ["--", "-D", "warnings"]

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
IGNORED = re.compile(r"^test (.*?) *\.\.\. ignored(?:, (.*))?$")
NEEDS_REFERENCE = re.compile(r"reference[ _-]data|shared/reference", re.IGNORECASE)


@dataclass(frozen=True)
class Step:
    """One command. A runner's tests are counted; any other step is itself one check."""

    name: str
    command: list
    is_runner: bool = False
    env: dict = field(default_factory=dict)


@dataclass
class Outcome:
    """What one step came to."""

    step: Step
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    ignored: list = field(default_factory=list)
    note: str = ""


def cargo(*arguments):
    return ["cargo", *arguments]


SETUP = [
    Step("tools", ["scripts/need.sh", "cargo", "g++", "fmt", "clippy"]),
    Step("libtorch", ["scripts/get-libtorch.sh"]),
]
CHECKS = [
    Step("fmt", cargo("fmt", "--check")),
    Step("clippy-library", cargo("clippy", "--all-targets", *LIBRARY_ONLY, *DENY_WARNINGS)),
    Step("clippy-without-torch", cargo("clippy", "--all-targets", *WITHOUT_TORCH, *DENY_WARNINGS)),
    Step("clippy", cargo("clippy", "--all-targets", *DENY_WARNINGS)),
    Step("doc", cargo("doc", "--no-deps"), env={"RUSTDOCFLAGS": "-D warnings"}),
    Step("test-without-torch", cargo("test", "--no-fail-fast", *WITHOUT_TORCH), is_runner=True),
    Step("test", cargo("test", "--no-fail-fast"), is_runner=True),
]


def stream(step):
    """Runs the command, showing and logging its output; returns the lines without colour and the exit code."""
    lines = []
    environment = {**os.environ, **step.env}
    if sys.stdout.isatty():
        environment.setdefault("CARGO_TERM_COLOR", "always")
    with (LOGS / f"{step.name}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            step.command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        try:
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                lines.append(ANSI.sub("", line).rstrip("\r\n"))
                log.write(lines[-1] + "\n")
            return lines, process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


def count(outcome, lines, code):
    """Counts the tests of a runner from its closing lines."""
    for line in lines:
        closing = RESULT.match(line)
        if closing:
            outcome.passed += int(closing.group(1))
            outcome.failed += int(closing.group(2))
            outcome.skipped += int(closing.group(3))
        ignored = IGNORED.match(line)
        if ignored:
            reason = f": {ignored.group(2)}" if ignored.group(2) else ""
            outcome.ignored.append(ignored.group(1) + reason)
    if code != 0 and outcome.failed == 0:
        outcome.failed += 1
        outcome.note = f"exit {code}"
    elif outcome.passed + outcome.failed == 0:
        outcome.failed += 1
        outcome.note = "ran no test"


def run(step):
    print(f"\n== {step.name}: {' '.join(step.command)}", flush=True)
    start = time.monotonic()
    outcome = Outcome(step)
    lines, code = stream(step)
    if step.is_runner:
        count(outcome, lines, code)
    elif code == 0:
        outcome.passed = 1
    else:
        outcome.failed = 1
        outcome.note = f"exit {code}"
    outcome.seconds = time.monotonic() - start
    return outcome


def hold_against_reference(outcomes):
    """Where the reference data lies beside the repository, no test may be skipped for want of it."""
    if not (ROOT.parent / "shared" / "reference").is_dir():
        return
    for outcome in outcomes:
        wanting = [name for name in outcome.ignored if NEEDS_REFERENCE.search(name)]
        if wanting:
            outcome.failed += 1
            outcome.note = "skipped although the reference data is there: " + "; ".join(wanting)


def report(outcomes):
    """The table, and the one closing line; returns the exit code."""
    skipped = [f"{outcome.step.name}: {name}" for outcome in outcomes for name in outcome.ignored]
    if skipped:
        print("\nskipped")
        print("\n".join(f"  {line}" for line in skipped))
    print(f"\n{'step':<22} {'minutes':>7} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for outcome in outcomes:
        counts = f"{outcome.passed:>7} {outcome.failed:>7} {outcome.skipped:>8}"
        print(f"{outcome.step.name:<22} {outcome.seconds / 60:>7.1f} {counts}  {outcome.note}".rstrip())
    print(f"{'all':<22} {sum(outcome.seconds for outcome in outcomes) / 60:>7.1f}")
    passed, failed, skipped = (sum(getattr(o, what) for o in outcomes) for what in ("passed", "failed", "skipped"))
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


def chosen_steps(names):
    known = {step.name: step for step in CHECKS}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no such step: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else CHECKS


def main(arguments):
    if arguments in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    if arguments == ["--list"]:
        print("\n".join(step.name for step in CHECKS))
        return 0
    checks = chosen_steps(arguments)
    LOGS.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for step in SETUP:
        outcomes.append(run(step))
        if outcomes[-1].failed:
            return report(outcomes)
    outcomes.extend(run(step) for step in checks)
    hold_against_reference(outcomes)
    return report(outcomes)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
