"""What audits leave in event files, made from synthetic scores."""

from __future__ import annotations

import base64
import functools
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from privacy_callbacks.attacks.report import LeakageReport


class Piece(NamedTuple):
    """One summary: a kind's payload at a step."""

    kind: str
    step: int
    payload: Any


def audit_pieces(
    attack: str, step: int, scores: Any, num_members: int, *, headline: bool = False, slices: int = 10
) -> list[Piece]:
    """The kinds `audit` and `details` of one audit; the first `num_members` scores are the members'."""
    is_member = np.arange(len(scores)) < num_members
    report = LeakageReport.from_scores(scores, is_member, attack=attack, step=step)
    share = 100 * float(report.auc or 0)
    words = f"Shown one training record and one other, {attack} picks the training record {share:.0f} % of the time."
    audit = {"report": report.to_dict(), "headline": headline, "words": words}
    details = {
        "roc": roc_points(report),
        "scores": histogram(scores, is_member),
        "slices": slice_rows(scores, num_members, slices),
        "slices_left_out": 0,
    }
    return [Piece("audit", step, audit), Piece("details", step, details)]


def roc_points(report: LeakageReport, most: int = 120) -> dict[str, Any]:
    """A ROC curve of at most so many points, with a Wilson band."""
    roc = report.roc
    assert roc is not None
    targets = np.unique(np.r_[0, np.geomspace(1, roc.num_nonmembers, most - 1).astype(int)])
    rows = np.unique(np.searchsorted(roc.false_positives, targets, side="right") - 1)
    tpr, n, z = roc.tpr[rows], roc.num_members, 1.96
    centre = (tpr + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(tpr * (1 - tpr) / n + z**2 / (4 * n**2))
    ends = {"low": np.maximum(centre - half, 0), "high": np.minimum(centre + half, 1)}
    fpr = roc.fpr[rows].tolist()
    # As the real ones: no honest interval where nobody is falsely accused.
    band = {
        end: [one if rate else None for one, rate in zip(ones.tolist(), fpr, strict=True)] for end, ones in ends.items()
    }
    sides = {"num_members": n, "num_nonmembers": roc.num_nonmembers}
    return {"fpr": fpr, "tpr": tpr.tolist(), **band, "level": 0.95, **sides}


def histogram(scores: Any, is_member: Any, bins: int = 40) -> dict[str, Any]:
    """Both sides' counts in common bins."""
    edges = np.linspace(scores.min(), scores.max(), bins + 1)
    sides = {"members": scores[is_member], "nonmembers": scores[~is_member]}
    counts = {side: np.histogram(values, edges)[0].tolist() for side, values in sides.items()}
    return {"edges": edges.tolist(), **counts, "below": [0, 0], "above": [0, 0], "ranks": False}


def slice_rows(scores: Any, num_members: int, count: int) -> list[dict[str, Any]]:
    """AUCs by class, with Hanley and McNeil's intervals; one class has too few records for one."""
    if count == 0:
        return []
    members, others = scores[:num_members], scores[num_members:]
    n1, n0 = len(members) // count, len(others) // count
    inside, outside = members[: n1 * count].reshape(count, n1), others[: n0 * count].reshape(count, n0)
    aucs = (inside[:, :, None] > outside[:, None, :]).mean(axis=(1, 2))
    rows = [_slice_row(f"class {place}", float(value), n1, n0, count) for place, value in enumerate(aucs)]
    rows[-1] |= {"auc": None, "p_value": None, "holm_p_value": None, "reason": "fewer than 20 records on a side"}
    rows[-1] |= {"num_members": 7}
    return sorted(rows, key=lambda row: -row["auc"]["value"] if row["auc"] else 0.0)


def _slice_row(name: str, value: float, n1: int, n0: int, count: int) -> dict[str, Any]:
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    variance = (value * (1 - value) + (n1 - 1) * (q1 - value**2) + (n0 - 1) * (q2 - value**2)) / (n1 * n0)
    spread = math.sqrt(max(variance, 1e-9))
    interval = {"low": max(value - 1.96 * spread, 0.0), "high": min(value + 1.96 * spread, 1.0), "level": 0.95}
    p = 0.5 * math.erfc((value - 0.5) / spread / math.sqrt(2))
    known = {"p_value": p, "holm_p_value": min(1.0, p * count), "reason": None}
    return {"slice": name, "num_members": n1, "num_nonmembers": n0, "auc": {"value": value, **interval}, **known}


def headline_pieces(
    steps: Sequence[int], attacks: Sequence[str], records: bool, pictures: bool, training: bool, verdict: bool, rng: Any
) -> list[Piece]:
    """What only the headline attack's run holds."""
    found = [Piece("training", step, {"logs": epoch_logs(step, rng)}) for step in steps if training and step >= 0]
    shown: set[int] = set()
    for step in steps if records else []:
        rows = sorted({int(row) for row in rng.integers(0, 60, 12)})
        found.append(Piece("records", step, records_payload(rows, attacks, rng)))
        new = set(rows) - shown if pictures else set()
        shown |= new
        if new:
            found.append(Piece("pictures", step, {"pictures": {str(row): picture(row) for row in sorted(new)}}))
    if verdict and steps:
        told = {attack: steps[len(steps) // 2] for attack in attacks}
        text = f"A leak was told from epoch {steps[len(steps) // 2] + 1} on."
        found.append(Piece("verdict", steps[-1], {"text": text, "detected": told, "void": None}))
    return found


def epoch_logs(step: int, rng: Any) -> dict[str, float]:
    """Losses and accuracies of a fit that overfits."""
    fall, rise = math.exp(-step / 15), 1 - math.exp(-step / 40)
    noise = rng.normal(scale=0.01, size=4)
    return {
        "loss": 0.05 + 2.0 * fall + abs(noise[0]),
        "accuracy": 0.99 - 0.85 * fall - abs(noise[1]),
        "val_loss": 0.6 + 1.5 * fall + 0.4 * rise + noise[2],
        "val_accuracy": 0.85 - 0.7 * fall - 0.03 * rise + noise[3],
    }


def records_payload(rows: Sequence[int], attacks: Sequence[str], rng: Any) -> dict[str, Any]:
    """Members at risk; the first id looks like HTML."""
    columns = ["id", "label", *attacks, "member_probability", "loss_iqr", "risk_rank", "risk_stability"]
    found = []
    for rank, row in enumerate(rows, start=1):
        scores = {attack: float(value) for attack, value in zip(attacks, rng.normal(2, 0.5, len(attacks)), strict=True)}
        held = {"row": row, "id": "<b>record</b>" if rank == 1 else f"record-{row}", "label": row % 10, **scores}
        risk = {"member_probability": 0.99 - 0.01 * rank, "loss_iqr": None, "risk_rank": rank, "risk_stability": 0.8}
        found.append(held | risk)
    return {"columns": columns, "rows": found}


@functools.cache
def picture(row: int, side: int = 28) -> dict[str, Any]:
    """A small grey PNG."""
    rng = np.random.default_rng(row)
    down, across = np.mgrid[:side, :side] - side / 2
    shades = 128 + 100 * np.sin((down * rng.normal() + across * rng.normal()) / 4)
    rows = b"".join(b"\0" + line.tobytes() for line in shades.astype(np.uint8))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return {"png": base64.b64encode(png).decode(), "width": side, "height": side}


def ranges_payload(sizes: Sequence[float], seed: int) -> dict[str, Any]:
    """A range curve; the point attack loses what it knows as ranges grow."""
    rng = np.random.default_rng(seed)
    curves = []
    for curve, fading in (("range attack", 0.05), ("point attack", 0.4)):
        reports = []
        for size in sizes:
            scores = rng.normal(size=2_000)
            scores[:1_000] += 1.2 * math.exp(-fading * size)
            report = LeakageReport.from_scores(scores, np.arange(2_000) < 1_000, attack=curve.replace(" ", "_"))
            reports.append(report.to_dict())
        curves.append({"name": curve, "reports": reports})
    return {"label": "radius", "sizes": list(sizes), "curves": curves}
