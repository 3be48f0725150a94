"""Reports as the data of the Privacy page, and as one file."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import (
    LeakageReport,
    LeakVerdict,
    by_class,
    leak_verdict,
    reports_to_html,
    sliced_reports,
)
from privacy_callbacks.attacks.report import failed_report
from privacy_callbacks.attacks.report_in_words import in_words
from privacy_callbacks.attacks.report_page import report_page
from privacy_callbacks.attacks.threshold import Threshold


def report(attack="loss", step=0, separation=1.0, **described):
    scores, is_member = GaussianWorld(separation).draw(300, 300, np.random.default_rng(0))
    return LeakageReport.from_scores(scores, is_member, attack=attack, step=step, **described)


def sliced(step):
    scores, is_member = GaussianWorld(1.0).draw(300, 300, np.random.default_rng(0))
    return sliced_reports(scores, is_member, by_class(np.arange(600) % 3), "loss", step=step)


REPORTS = [
    *(one for step in (-1, 0, 1) for one in (report("loss", step), report("rmia", step), *sliced(step))),
    replace(report("lira", 1, 2.0), warnings=("few shadow models",)),
]


def test_a_page_tells_every_audit_of_every_attack_the_headline_first():
    page = report_page(REPORTS, "My title", written=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert set(page) == {"overview", "details", "records", "written", "title", "thinned"}
    assert (page["title"], page["written"], page["thinned"]) == ("My title", "2026-01-02T03:04:05+00:00", None)
    overview = page["overview"]
    assert (overview["schema_version"], overview["ranges"], overview["problems"]) == (1, [], [])
    (run,) = overview["runs"]
    assert (run["id"], run["run"], run["name"], run["has_records"], run["training"]) == (
        "audit",
        ".",
        "audit",
        False,
        None,
    )
    assert [(one["id"], one["headline"], one["steps"]) for one in run["attacks"]] == [
        ("audit/loss", True, [-1, 0, 1]),
        ("audit/lira", False, [1]),
        ("audit/rmia", False, [-1, 0, 1]),
    ]
    assert run["attacks"][0]["words"][2] == in_words(report("loss", 1))
    assert run["attacks"][1]["warnings"][0]["text"] == "few shadow models"
    verdict = leak_verdict(REPORTS)
    assert run["verdict"] == {"text": str(verdict), "detected": dict(verdict.detected), "void": None}
    json.dumps(page, allow_nan=False)


def test_details_hold_the_curve_the_histogram_the_slices_and_the_report():
    details = report_page(REPORTS)["details"]
    assert set(details) == {"audit/loss", "audit/lira", "audit/rmia"}
    newest = details["audit/loss"][-1]
    assert newest["step"] == 1
    assert newest["roc"]["num_members"] == 300
    assert sum(newest["scores"]["members"]) + newest["scores"]["below"][0] + newest["scores"]["above"][0] == 300
    assert {row["slice"] for row in newest["slices"]} == {"class 0", "class 1", "class 2"}
    read = LeakageReport.from_dict(newest["report"])
    assert float(read.auc) == pytest.approx(float(report("loss", 1).auc), rel=1e-5)
    assert details["audit/rmia"][0]["slices"] == []


def test_a_curve_that_was_not_kept_and_a_failed_audit_are_null():
    page = report_page([replace(report(step=0), roc=None), failed_report("loss", "outputs are NaN", step=1)])
    first, second = page["details"]["audit/loss"]
    assert (first["roc"], first["scores"], second["roc"]) == (None, None, None)
    (entry,) = page["overview"]["runs"][0]["attacks"]
    assert entry["failed"] == [False, True]
    assert "outputs are NaN" in entry["words"][1]


def test_reports_at_no_epochs_end_follow_the_others_and_say_so():
    entry = report_page([report(step=4), report(step=None)])["overview"]["runs"][0]["attacks"][0]
    assert entry["steps"] == [4, 5]
    assert [(said["text"], said["first"]) for said in entry["notes"]] == [
        ("audited at no epoch's end; the page counts it as one more epoch.", 5)
    ]
    alone = report_page([report(step=None, separation=2.0)])
    assert alone["details"]["audit/loss"][0]["step"] == 0
    assert alone["overview"]["runs"][0]["verdict"]["detected"] == {"loss": 0}


def test_of_many_audits_the_figures_are_complete_and_the_curves_evenly_spread():
    reports = [replace(report(), step=step) for step in range(-1, 30)]
    page = report_page(reports, most_audits=5)
    assert page["overview"]["runs"][0]["attacks"][0]["steps"] == list(range(-1, 30))
    kept = [item["step"] for item in page["details"]["audit/loss"]]
    assert len(kept) == 5
    assert (kept[0], kept[-1]) == (-1, 29)
    assert page["thinned"].startswith("Curves, histograms and slices are in this file for 5 of 31 audits")


def test_training_and_a_verdict_of_ones_own_are_carried_along():
    training = {"steps": [0, 1], "values": {"loss": [1.0, 0.5]}}
    verdict = leak_verdict([report()], alpha=0.01)
    (run,) = report_page([report()], training=training, verdict=verdict)["overview"]["runs"]
    assert run["training"] == training
    assert "error 1 %" in run["verdict"]["text"]


def test_nothing_other_things_and_too_few_audits_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no report was given; give at least one"):
        report_page([])
    with pytest.raises(TypeError, match="give a list of LeakageReports"):
        report_page([Threshold("loss")])
    with pytest.raises(ValueError, match="1 audits were asked for"):
        report_page([report()], most_audits=1)
    with pytest.raises(FileNotFoundError):
        reports_to_html([report()], tmp_path / "missing" / "page.html")


def test_the_reports_given_stay_as_they_were():
    reports = [report(step=None)]
    report_page(reports)
    assert reports[0].notes == ()
    assert reports[0].step is None


def test_one_report_and_several_become_files(tmp_path):
    report("loss", 3).to_html(tmp_path / "one.html")
    reports_to_html(REPORTS, str(tmp_path / "several.html"), title="Several <reports>")
    one, several = ((tmp_path / name).read_text("utf-8") for name in ("one.html", "several.html"))
    assert "<title>Membership leakage</title>" in one
    assert '"id":"audit/loss"' in one
    assert "<title>Several &lt;reports&gt;</title>" in several
    assert '"id":"audit/lira"' in several
    part = sliced(1)[0]
    part.to_html(tmp_path / "part.html")
    assert '"attack":"loss on class 0"' in (tmp_path / "part.html").read_text("utf-8")


def test_a_detection_at_no_epochs_end_stands_where_the_page_shows_that_audit():
    quiet = [replace(report("loss", step, 0.0), p_value=0.9) for step in (0, 1)]
    undated = [replace(report("loss", None, 0.0), p_value=0.9), report("rmia", None, 2.0), report("loss", None, 2.0)]
    (run,) = report_page([*quiet, *undated])["overview"]["runs"]
    assert {entry["attack"]: entry["steps"] for entry in run["attacks"]} == {"loss": [0, 1, 2, 3], "rmia": [2]}
    assert run["verdict"]["detected"] == {"rmia": 2, "loss": 3}


def test_a_verdict_that_these_reports_do_not_show_stands_at_the_first_of_those_at_no_epochs_end():
    verdict = LeakVerdict({"loss": None}, looks=9, attacks=1, alpha=0.05)
    (run,) = report_page([report("loss", 4, 0.0), report("loss", None, 0.0)], verdict=verdict)["overview"]["runs"]
    assert run["verdict"]["detected"] == {"loss": 5}
