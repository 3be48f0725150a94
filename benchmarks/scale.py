"""What millions of scores cost: the report against the sort that it needs, the sketch against the exact curve.

`make bench` runs it; about fifteen seconds.

All figures of a row are measured in one process, interleaved: memory as the peak that tracemalloc sees beyond the inputs,
time as CPU seconds (user + system), medians of several rounds after a warm-up.

The limit of a report is `order = argsort(-scores); scores[order], is_member[order]`: no ROC curve without it. The limit of a
sketch is an exact curve of all scores at once, which also must hold the scores themselves; its interval is compared with the
exact one, and the error that it states with the one that it makes.
"""

import tracemalloc

import numpy as np
from timing import measure

from privacy_callbacks.attacks import LeakageReport, RocCurve, RocSketch
from privacy_callbacks.attacks.auc import auc
from privacy_callbacks.attacks.low_fpr import FPRS, tpr_at_fpr

ROUNDS = 5
BATCH = 10_000
MIB = 2**20


def gaussian(side, seed=0, gain=0.3):
    """Scores of `side` members and as many non-members in random order, and who is a member."""
    rng = np.random.default_rng(seed)
    is_member = rng.permutation(np.arange(2 * side) < side)
    return rng.normal(size=2 * side) + gain * is_member, is_member


def a_thousand_values(side):
    scores, is_member = gaussian(side)
    return np.clip(np.round(scores * 125), -499, 500), is_member


def one_tie(side):
    scores, is_member = gaussian(side)
    return np.where(np.random.default_rng(1).random(2 * side) < 0.05, 0.0, scores), is_member


def measured(tasks, rounds=ROUNDS):
    """(median CPU seconds, peak bytes) of each task."""
    seconds, peaks = measure(tasks, rounds), {}
    for name, task in tasks.items():
        tracemalloc.start()
        task()
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return {name: (seconds[name], peaks[name]) for name in tasks}


def sort(scores, is_member):
    order = np.argsort(-scores, kind="stable")
    return scores[order], is_member[order]


def compare_report_with_sort(side):
    print(f"report of {side:,} + {side:,} scores against their sort")
    print(f"{'scores':18}{'sort':>10}{'report':>10}{'ratio':>8}{'sort':>12}{'report':>10}{'ratio':>8}")
    for name, draw in {"distinct": gaussian, "a thousand values": a_thousand_values, "5 % in one tie": one_tie}.items():
        scores, is_member = draw(side)
        cost = measured(
            {
                "sort": lambda s=scores, m=is_member: sort(s, m),
                "report": lambda s=scores, m=is_member: LeakageReport.from_scores(s, m),
            }
        )
        (sort_cpu, sort_peak), (report_cpu, report_peak) = cost["sort"], cost["report"]
        verdict = "ok" if report_peak <= 3 * sort_peak else "OVER 3"
        print(
            f"{name:18}{sort_peak / MIB:7.1f}MiB{report_peak / MIB:7.1f}MiB{report_peak / sort_peak:7.2f}x"
            f"{sort_cpu:10.3f} s{report_cpu:8.3f} s{report_cpu / sort_cpu:7.2f}x  {verdict}"
        )


def sketched(scores, is_member):
    sketch = RocSketch()
    for start in range(0, len(scores), BATCH):
        sketch.add(scores[start : start + BATCH], is_member[start : start + BATCH])
    return sketch


def compare_sketch_with_exact(side):
    scores, is_member = gaussian(side)
    cost = measured(
        {"exact": lambda: RocCurve.from_scores(scores, is_member), "sketch": lambda: sketched(scores, is_member)},
        rounds=3,
    )
    (exact_cpu, exact_peak), (sketch_cpu, sketch_peak) = cost["exact"], cost["sketch"]
    exact_peak += scores.nbytes + is_member.nbytes
    print(f"sketch of {side:,} + {side:,} scores in batches of {BATCH:,} against the exact curve")
    print(f"memory {sketch_peak / MIB:.1f} MiB against {exact_peak / MIB:.0f} MiB: 1/{exact_peak / sketch_peak:.0f}")
    print(f"CPU    {sketch_cpu:.2f} s against {exact_cpu:.2f} s: {sketch_cpu / exact_cpu:.2f}x")
    curve, sketch = RocCurve.from_scores(scores, is_member), sketched(scores, is_member)
    print(f"{'':16}{'exact':>10}{'sketch':>10}{'true error':>13}{'stated':>10}{'exact width':>14}{'width':>10}")
    rows = {"AUC": (auc(curve), sketch.auc())}
    rows |= {f"TPR at {100 * fpr:g} % FPR": (tpr_at_fpr(curve, fpr), sketch.tpr_at_fpr(fpr)) for fpr in FPRS}
    for name, (exact, found) in rows.items():
        print(
            f"{name:16}{exact:10.6f}{found:10.6f}{abs(found - exact):13.1e}{found.details['sketch_error']:10.1e}"
            f"{exact.high - exact.low:14.6f}{found.high - found.low:10.6f}"
        )


def main():
    compare_report_with_sort(1_000_000)
    print()
    compare_sketch_with_exact(2_000_000)


if __name__ == "__main__":
    main()
