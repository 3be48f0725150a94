"""How long `privacy-audit` makes people wait before it says something. `make bench`.

Start-up is measured in processes of their own, each timed by what it and its children took of the CPU, and on the wall; medians
of several. Limits: half a second for `--help` and for `check` on a file of few reports, two seconds for 1,000 reports.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from privacy_callbacks.attacks import LeakageReport, save_reports

ROUNDS, MANY = 7, 1_000


def timed(*arguments):
    """(wall, CPU) seconds of a command in a process of its own, medians."""
    taken = []
    for _ in range(ROUNDS):
        before, since = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "privacy_callbacks", *arguments], check=False, capture_output=True)
        wall, after = time.perf_counter() - since, resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return np.median(taken, axis=0)


def reports(count):
    """Reports with curves, as a training of many epochs leaves them."""
    rng = np.random.default_rng(0)
    is_member = np.arange(400) < 200
    whole = LeakageReport.from_scores(rng.normal(size=400) + is_member, is_member, attack="loss", step=0)
    return [LeakageReport.from_dict({**whole.to_dict(), "step": step}) for step in range(count)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        few, many = (str(Path(folder) / name) for name in ("few.json", "many.json"))
        save_reports(reports(3), few)
        save_reports(reports(MANY), many)
        limit = ("--max", "auc=0.99")
        for what, arguments, most in (
            ("--help", ["--help"], 0.5),
            ("check, 3 reports", ["check", few, *limit], 0.5),
            (f"check, {MANY:,} reports", ["check", many, *limit, "--every-audit"], 2.0),
        ):
            wall, cpu = timed(*arguments)
            verdict = "ok" if cpu <= most else "OVER"
            print(f"{what:22} {wall:.2f} s wall, {cpu:.2f} s CPU, limit {most:g} s {verdict}")


if __name__ == "__main__":
    main()
