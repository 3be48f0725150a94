"""`privacy-audit check`: a gate that passes what is surely small, and nothing that nobody could judge."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from page.privacy_logs import write_run

from privacy_callbacks.attacks import (
    EpsilonBound,
    EpsilonReading,
    Estimate,
    LeakageReport,
    PrivacyClaim,
    save_reports,
)
from privacy_callbacks.attacks.report import failed_report
from privacy_callbacks.command_line import privacy_audit
from privacy_callbacks.gate import Limit, judge, newest_reports, parse_limit


def report(attack="lira", auc=(0.6, 0.58, 0.62), step=3, **changed):
    value, *ends = auc
    held = Estimate(0.2, null_level=0.05), Estimate(0.03, 0.01, 0.06)
    rates = {0.1: None, 0.01: held[1], 0.001: None}
    whole = LeakageReport(
        attack, "entire", step, 1_000, 1_000, auc=Estimate(value, *ends), advantage=held[0], tpr_at_fpr=rates
    )
    return dataclasses.replace(whole, **changed)


def verdict(limit, *reports, **options):
    """Whether each judgement of one limit passed."""
    return [one.passed for one in judge({"here": reports}, [parse_limit(limit)], **options)]


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs `privacy-audit check` in an empty working directory, where `reports.json` holds the given reports."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, reports=None):
        save_reports([report()] if reports is None else reports, "reports.json")
        return CliRunner().invoke(privacy_audit(), ["check", *arguments])

    return run


# ------------------------------------------------------------------------------------------------------------ judgement


@pytest.mark.parametrize(
    ("limit", "passed", "leniently"),
    [
        ("auc=0.63", True, True),
        ("auc=0.62", True, True),  # the limit itself is within
        ("auc=0.61", False, True),
        ("auc=0.59", False, False),
        ("lira.auc=0.63", True, True),
        ("tpr_at_fpr_1e-2=0.05", False, True),
        ("advantage=0.2", True, True),  # has no interval: judged by its value
        ("advantage=0.19", False, False),
    ],
)
def test_the_upper_end_decides_unless_lenient(limit, passed, leniently):
    assert verdict(limit, report()) == [passed]
    assert verdict(limit, report(), lenient=True) == [leniently]


@pytest.mark.parametrize(
    "unknown",
    [
        report(auc=(np.nan, 0.1, 0.2)),
        report(void="the sides differ"),
        failed_report("lira", "all scores are NaN", step=3, num_members=10, num_nonmembers=10),
        report(tpr_at_fpr={0.01: None}, refusals={"tpr_at_fpr_1e-2": "needs 1,000 non-members"}),
    ],
)
def test_what_nobody_knows_does_not_pass(unknown):
    metric = "tpr_at_fpr_1e-2" if unknown.refusals else "auc"
    for lenient in (False, True):
        (one,) = judge({"here": [unknown]}, [Limit(metric, 0.99)], lenient=lenient)
        assert one.passed is False
        assert one.words.startswith("cannot be judged: ")


def test_infinite_ends_are_compared_like_others():
    assert verdict("auc=0.9", report(auc=(0.6, -np.inf, np.inf))) == [False]


def test_a_limit_is_about_all_attacks_or_about_one():
    both = report(), report("loss", (0.51, 0.5, 0.53))
    assert verdict("auc=0.6", *both) == [False, True]
    assert verdict("loss.auc=0.6", *both) == [True]


def test_the_newest_audit_of_each_attack_counts():
    old, new, other = report(step=1), report(step=4), report("loss", step=1)
    assert newest_reports([old, new, other]) == [new, other]
    after = report(step=None)
    assert newest_reports([old, after, new]) == [after]


def test_slices_are_judged_on_request_and_small_ones_stop_nobody():
    small = failed_report("lira", "3 members are too few", step=3, num_members=3, num_nonmembers=9)
    parts = report(slice="class 1"), dataclasses.replace(small, slice="class 2")
    assert verdict("auc=0.63", report(), *parts) == [True]
    assert verdict("auc=0.63", report(), *parts, slices=True) == [True, True, None]
    assert verdict("auc=0.61", report(), *parts, slices=True) == [False, False, None]


def test_an_epsilon_is_judged_in_the_report_that_has_it():
    bound = EpsilonBound(2.0, method="one_run", delta=1e-5, level=0.95)
    told = report(epsilon=EpsilonReading(bound, bound, None, PrivacyClaim(1.0, 1e-5)))
    assert verdict("epsilon_lower_bound=2", told, report("loss")) == [True]
    assert verdict("epsilon_lower_bound=1.9", told, report("loss")) == [False]
    with pytest.raises(ValueError, match="no report has the metric 'epsilon_estimate'; known are auc"):
        verdict("epsilon_estimate=1", told)


@pytest.mark.parametrize("text", ["auc", "auc=", "=1", "auc=x", "auc=nan", "auc=inf", "lira.=1", ""])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(ValueError, match="give METRIC=NUMBER"):
        parse_limit(text)


def test_names_with_dots_are_attacks():
    assert parse_limit("my.attack.auc=0.5") == Limit("auc", 0.5, "my.attack")
    assert parse_limit(" lira.tpr_at_fpr_1e-2 = 3e-2 ") == Limit("tpr_at_fpr_1e-2", 0.03, "lira")


# -------------------------------------------------------------------------------------------------------------- command


def test_the_exit_code_is_the_gate(check):
    passed = check("reports.json", "--max", "auc=0.7", "--max", "lira.advantage=0.3")
    assert passed.exit_code == 0
    assert "pass  lira after epoch 4: auc  0.6 [0.58, 0.62]; its upper end is within 0.7" in passed.output
    assert passed.output.endswith("2 of 2 hold, 0 do not.\n")
    failed = check("reports.json", "--max", "auc=0.6")
    assert failed.exit_code == 1
    assert "FAIL  lira after epoch 4: auc  0.6 [0.58, 0.62]; its upper end exceeds 0.6 by 0.02" in failed.output
    assert check("reports.json", "--max", "auc=0.6", "--lenient").exit_code == 0
    assert check("reports.json", "--max", "auc=0.7", "--quiet").output == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.json", "--max", "auc=1"], "there is no none.json"),
        (["reports.json", "--max", "auk=1"], "no report has the metric 'auk'; did you mean auc?"),
        (["reports.json", "--max", "lora.auc=1"], "no report has the attack 'lora'; did you mean lira?"),
        (["reports.json", "--max", "auc"], "give METRIC=NUMBER"),
        (["reports.json"], "Missing option '--max'"),
        ([".", "--max", "auc=1", "--junit", "no/where.xml"], "the folder no does not exist"),
        (["foreign.json", "--max", "auc=1"], "not of save_reports"),
        (["empty", "--max", "auc=1"], "empty"),
    ],
)
def test_what_cannot_be_decided_is_refused(check, arguments, said):
    Path("foreign.json").write_text("{}")
    Path("empty").mkdir()
    done = check(*arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output


def test_no_report_is_no_pass(check):
    done = check("reports.json", "--max", "auc=1", reports=())
    assert (done.exit_code, "there is no report to judge" in done.output) == (2, True)


def test_several_places_are_told_apart(check):
    save_reports([report("loss")], "other.json")
    done = check(".", "other.json", "--max", "auc=0.61")
    assert done.exit_code == 1
    assert "FAIL  .: lira" in done.output
    assert "FAIL  other.json: loss" in done.output


def test_logs_are_read_like_files(check):
    write_run(Path("logs/mine"), attacks=("loss", "lira"), steps=[0, 1], slices=2, size=400)
    done = check("logs", "--max", "auc=0.999")
    assert done.exit_code == 0, done.output
    assert "loss after epoch 2: auc" in done.output
    assert "epoch 1:" not in done.output
    assert check("logs", "--max", "loss.auc=0.3").exit_code == 1


def test_junit_and_annotations_hold_what_fails_whatever_the_names(check):
    hostile = dataclasses.replace(report(), slice="</x>\n::error::%0A<&\x1b[31m")
    options = ("--slices", "--junit", "out.xml", "--annotations", "github")
    done = check(".", "--max", "auc=0.6", *options, reports=[report(), hostile])
    assert done.exit_code == 1
    assert "\x1b" not in done.output
    suite = ElementTree.parse("out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert "exceeds 0.6" in suite[0][0].get("message")
    lines = [line for line in done.output.splitlines() if line.startswith("::error")]
    assert len(lines) == 2
    assert lines[0] == "::error title=lira after epoch 4%3A auc::0.6 [0.58, 0.62]; its upper end exceeds 0.6 by 0.02"
    assert "%250A" in lines[1]
    assert list(Path().glob(".out.xml*")) == []


def test_json_is_for_programs(check):
    (one,) = json.loads(check(".", "--max", "auc=0.6", "--json").output)
    assert (one["passed"], one["metric"], one["maximum"], one["high"]) == (False, "auc", 0.6, 0.62)


def test_all_audits_on_request(check):
    several = [report(step=step, auc=(value, value, value)) for step, value in ((0, 0.9), (1, 0.5))]
    assert check(".", "--max", "auc=0.6", reports=several).exit_code == 0
    assert check(".", "--max", "auc=0.6", "--every-audit", reports=several).exit_code == 1


def test_neither_tensorflow_nor_what_takes_long_is_imported(check, tmp_path):
    check(".", "--max", "auc=0.7")
    slow = ("tensorflow", "keras", "ray", "pandas", "sklearn", "matplotlib", "scipy.stats")
    code = (
        "import sys; from click.testing import CliRunner; from privacy_callbacks.command_line import privacy_audit; "
        "done = CliRunner().invoke(privacy_audit(), ['check', '.', '--max', 'auc=0.7']); "
        f"assert done.exit_code == 0, done.output; print([name for name in {slow} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr[-2_000:]


def test_the_package_is_a_command_too(check, tmp_path):
    check(".", "--max", "auc=0.7")
    arguments = [sys.executable, "-m", "privacy_callbacks", "check", ".", "--max", "auc=0.6", "--quiet"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1, done.stderr[-2_000:]
