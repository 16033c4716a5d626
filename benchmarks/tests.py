"""How long the tests take, side by side on all cores: `python benchmarks/tests.py`.

It is no part of `make bench`, since it takes as long as the tests themselves.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from load import busy_seconds

from metamemory.study.recording import hardware

SUMMARY = re.compile(r"=+ (.*) in [\d.]+s.*=+")


def counts(output: str) -> dict[str, int]:
    """How many passed, failed, … from the last line of pytest's output."""
    lines = [found[1] for line in output.splitlines() if (found := SUMMARY.fullmatch(line.strip()))]
    if not lines:
        sys.exit(f"error: the tests did not end as they should\n{output[-2000:]}")
    return {kind: int(number) for number, kind in re.findall(r"(\d+) (\w+)", lines[-1])}


def own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(target: str) -> tuple[dict, float]:
    """The row of a target of the Makefile, and how many processors others took meanwhile."""
    began, busy, own = time.monotonic(), busy_seconds(), own_seconds()
    done = subprocess.run(
        ["make", target], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    seconds = time.monotonic() - began
    others = (busy_seconds() - busy - (own_seconds() - own)) / seconds
    found = counts(done.stdout)
    if done.returncode:
        sys.exit(f"error: make {target} failed\n{done.stdout[-5000:]}")
    row = {"target": target, "passed": found.get("passed", 0), "skipped": found.get("skipped", 0)}
    return row | {"minutes": round(seconds / 60, 2)}, max(0.0, others)


def main() -> None:
    parser = argparse.ArgumentParser(description="How long the tests take.")
    parser.add_argument("targets", nargs="*", default=["test", "test-all"], metavar="TARGET", help="of the Makefile")
    parser.add_argument("--to", type=Path, default=Path("results/speed/tests.json"), help="file to write")
    options = parser.parse_args()
    measured = [measure(target) for target in options.targets]
    report = {
        "rows": [row for row, _ in measured],
        "others": round(max(others for _, others in measured), 2),
        "workers": os.cpu_count(),
        "hardware": hardware(torch.device("cpu")),
        "torch": torch.__version__,
    }
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for row in report["rows"]:
        print(f"make {row['target']:9} {row['passed']} passed, {row['skipped']} skipped, {row['minutes']:.1f} minutes")
    print(f"{report['hardware']}, {report['workers']} workers, others took {report['others']:.2f}; {options.to}")


if __name__ == "__main__":
    main()
