"""`privacy-audit selfcheck`: it passes here, and each check fails where what it looks at is broken."""

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from privacy_callbacks import selfcheck_arrays, selfcheck_command
from privacy_callbacks.command_line import privacy_audit
from privacy_callbacks.gate import newest_reports
from privacy_callbacks.selfcheck import Check, Fault, conclusion, run_checks
from privacy_callbacks.selfcheck_arrays import array_checks
from privacy_callbacks.selfcheck_models import model_checks
from privacy_callbacks.selfcheck_training import Workshop

pytestmark = pytest.mark.slow  # two trainings for every process that runs one of these


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """The two trainings of a check, once for this file."""
    made = Workshop(0, tmp_path_factory.mktemp("logs"))
    assert made.watched.reports
    assert made.clean
    return made


@pytest.fixture
def broken(workshop, tmp_path):
    """A workshop in which some of what was made is replaced."""

    def replaced(**made):
        other = Workshop(0, tmp_path)
        other._made = {**workshop._made, **made}
        return other

    return replaced


def failed_checks(checks):
    """Names of those that fail, and all that was said."""
    said = []
    run_checks(checks, said.append)
    return {check.name for check, line in zip(checks, said, strict=True) if line.startswith("FAILED")}, "\n".join(said)


def found(part, failed):
    return any(part in name for name in failed)


class Watched:
    """A callback after its fit, its reports exchanged."""

    def __init__(self, watched, reports):
        self.reports, self.verdict, self.model = reports, watched.verdict, watched.model


# ------------------------------------------------------------------------------------------------------ this installation


def test_everything_holds_here(workshop):
    failed, said = failed_checks([*model_checks(workshop), *array_checks(0)])
    assert not failed, said


def test_promised_errors_add_up_to_less_than_one_in_ten_thousand(workshop):
    checks = [*model_checks(workshop), *array_checks(0)]
    assert sum(check.error for check in checks) < 1e-4
    assert conclusion(checks, 0).startswith(
        "11 of 11 checks ok; over all seeds a sound installation errs less than once in"
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_array_checks_hold_for_other_seeds(seed):
    failed, said = failed_checks(array_checks(seed))
    assert not failed, said


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_so_they_do_for_other_seeds_of_models(seed, tmp_path):
    failed, said = failed_checks(model_checks(Workshop(seed, tmp_path)))
    assert not failed, said


# --------------------------------------------------------------------------------------------------- installations that err


def test_a_leak_that_is_not_found_is_a_fault(workshop, broken):
    blind = Watched(workshop.watched, workshop.clean)
    failed, said = failed_checks(model_checks(broken(watched=blind)))
    assert all(found(part, failed) for part in ("planted leak", "LiRA and RMIA", "gate")), said


def test_a_leak_on_the_clean_model_is_a_fault(workshop, broken):
    failed, said = failed_checks(model_checks(broken(clean=newest_reports(workshop.watched.reports))))
    assert all(found(part, failed) for part in ("a clean model passes", "gate")), said
    assert not found("planted leak", failed)


def test_attacks_that_failed_are_a_fault_with_their_reason(workshop, broken):
    from privacy_callbacks.attacks.report import failed_report

    refused = [failed_report(name, "the disk ran away.") for name in ("loss", "lira", "rmia", "ramia")]
    failed, said = failed_checks(model_checks(broken(watched=Watched(workshop.watched, refused), clean=refused)))
    assert len(failed) >= 5, said
    assert "loss gave no result: the disk ran away." in said


def test_other_numbers_in_the_logs_are_a_fault(workshop, broken):
    def other(report):
        return report if report.auc is None else dataclasses.replace(report, auc=report.auc - 0.01)

    changed = Watched(workshop.watched, [other(report) for report in workshop.watched.reports])
    failed, said = failed_checks(model_checks(broken(watched=changed)))
    assert found("TensorBoard", failed), said


def test_signals_of_other_classes_are_a_fault(workshop, monkeypatch):
    right = workshop.model.predict
    monkeypatch.setattr(
        workshop.model, "predict", lambda *given, **further: np.roll(right(*given, **further), 1, axis=1)
    )
    failed, said = failed_checks(model_checks(workshop))
    assert failed == {"graph and NumPy give the same signals"}, said


@pytest.mark.parametrize(("bound", "part"), [(1.0, "no score knows"), (0.0, "every score knows")])
def test_bounds_that_are_too_large_or_lost_are_a_fault(monkeypatch, bound, part):
    monkeypatch.setattr(selfcheck_arrays, "epsilon_lower_bound", lambda *given: bound)
    failed, said = failed_checks(array_checks(0))
    assert found(part, failed), said


def test_a_verdict_on_unlearning_that_never_changes_is_a_fault(monkeypatch):
    right = selfcheck_arrays.unlearning_report
    monkeypatch.setattr(
        selfcheck_arrays, "unlearning_report", lambda retain, forget, test, seed: right(retain, test, test, seed=seed)
    )
    failed, said = failed_checks(array_checks(0))
    assert failed == {"unlearning: forgotten and remembered"}, said


# ------------------------------------------------------------------------------------------------------------ how it is told


def test_a_check_that_breaks_down_fails_and_others_go_on():
    def raises(error):
        raise error

    checks = [
        Check("sound", 0.0, lambda: "all is well"),
        Check("faulty", 1e-6, lambda: raises(Fault("3 where 4 was planted."))),
        Check("broken", 1e-6, lambda: raises(KeyError("a\x1b[31mkey"))),
        Check("last", 1e-6, lambda: "here, too"),
    ]
    said = []
    assert run_checks(checks, said.append) == 2
    words = [line.split()[0] for line in said]
    assert words == ["ok", "FAILED", "FAILED", "ok"]
    assert "3 where 4 was planted." in said[1]
    assert "KeyError" in said[2]
    assert not any("\x1b" in line for line in said)
    assert (
        conclusion(checks, 2)
        == "2 of 4 checks ok; over all seeds a sound installation errs less than once in 300,000 runs."
    )


@pytest.mark.parametrize(("held", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_says_whether_all_held(monkeypatch, held, code):
    def look():
        if not held:
            raise Fault("it is not there.")
        return "fine"

    monkeypatch.setattr("privacy_callbacks.selfcheck_models.model_checks", lambda workshop: [Check("one", 0.0, look)])
    monkeypatch.setattr("privacy_callbacks.selfcheck_arrays.array_checks", lambda seed: [])
    done = CliRunner().invoke(privacy_audit(), ["selfcheck"])
    assert done.exit_code == code, done.output
    assert f"{int(held)} of 1 checks ok" in done.output


def test_an_interrupted_check_says_so_by_its_code(monkeypatch):
    def interrupted(log_dir, seed):
        raise KeyboardInterrupt

    monkeypatch.setattr(selfcheck_command, "_checked", interrupted)
    assert CliRunner().invoke(privacy_audit(), ["selfcheck"]).exit_code == 130


def test_a_folder_that_cannot_be_written_fails_the_check_of_logs_alone(workshop, tmp_path):
    (tmp_path / "file").write_text("in the way")
    made = Workshop(0, tmp_path / "file")
    made._made = {name: value for name, value in workshop._made.items() if name != "logs"}
    failed, said = failed_checks(model_checks(made))
    assert failed == {"TensorBoard's files are written and read"}, said
