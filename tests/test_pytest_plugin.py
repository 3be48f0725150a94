"""The pytest fixture `assert_private`: what it lets pass, what it says when it fails, and that nobody else notices it."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks import after_the_fact, pytest_plugin
from privacy_callbacks.attacks import AuditWarning, EpsilonAudit, EpsilonBound, EpsilonReading, Estimate, LeakageReport
from privacy_callbacks.attacks.report import failed_report

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent


# The plugin's fixture, whether or not the plugin is active.
assert_private = pytest_plugin.assert_private


@pytest.fixture
def audits(monkeypatch):
    """Puts reports, or a function that gives some, in the place of an audit; returns the arguments of each."""
    asked = []

    def put(reports):
        def audit(*positional, **named):
            asked.append((positional, named))
            return reports() if callable(reports) else list(reports)

        monkeypatch.setattr(after_the_fact, "audit", audit)
        return asked

    return put


def world(separation=0.5, attack="loss", n=2_000, **described):
    scores, is_member = GaussianWorld(separation).draw(n, n, np.random.default_rng(0))
    return LeakageReport.from_scores(scores, is_member, attack, **described)


def figure(attack="loss", value=0.55, low=0.5, high=0.6, part="entire", **described):
    return LeakageReport(attack, part, None, 300, 200, auc=Estimate(value, low, high), **described)


def failure_of(assert_private, **limits):
    with pytest.raises(AssertionError) as caught:
        assert_private("model", "members", "nonmembers", **limits)
    return str(caught.value)


def test_reports_come_back_where_the_upper_end_keeps_the_limit(assert_private, audits, request):
    reports = [figure(high=0.6), figure("lira", high=0.59)]
    audits(reports)
    assert assert_private("model", "members", "nonmembers", max_auc=0.6) == reports
    assert request.node.user_properties == [
        ("loss: auc", "0.55 [0.5, 0.6]; its upper end is within 0.6"),
        ("lira: auc", "0.55 [0.5, 0.59]; its upper end is within 0.6"),
    ]


def test_an_upper_end_above_the_limit_fails_and_says_what_would_help(assert_private, audits):
    audits([figure(), figure("lira", 0.51, 0.48, 0.54)])
    said = failure_of(assert_private, max_auc=0.58)
    assert said.startswith(
        "1 of 2 limits on leakage are not surely kept:\n  loss: auc  0.55 [0.5, 0.6]; its upper end "
    )
    assert "exceeds 0.58 by 0.02" in said
    assert "How to read:" in said
    assert "300 members and 200 non-members are too few" in said
    assert "audit_size=" in said
    assert "lenient=True" in said
    assert "lira" not in said
    assert "train for fewer epochs" not in said


def test_lenient_compares_values(assert_private, audits):
    audits([figure()])
    assert assert_private("model", "members", "nonmembers", max_auc=0.58, lenient=True)
    said = failure_of(assert_private, max_auc=0.54, lenient=True)
    assert said.startswith(
        "1 of 1 limits on leakage are not kept:\n  loss: auc  0.55 [0.5, 0.6]; its value exceeds 0.54"
    )
    assert "train for fewer epochs" in said
    assert "too few" not in said


@pytest.mark.parametrize("metric", LeakageReport("").estimates())
def test_every_metric_has_a_limit(assert_private, audits, metric):
    report = world(3.0)
    audits([report])
    name = "max_" + metric.replace("-", "_")
    if metric in report.refusals:
        assert report.refusals[metric] in failure_of(assert_private, **{name: 1.0})
        return
    assert f"loss: {metric}  " in failure_of(assert_private, **{name: float(report.estimates()[metric]) - 1e-3})
    assert assert_private("model", "members", "nonmembers", **{name: 1.0})


def test_what_nobody_knows_does_not_pass(assert_private, audits):
    audits(
        [
            failed_report("lira", "no shadow model trained on it"),
            world(void="the sides differ", warnings=("the sides differ",)),
        ]
    )
    said = failure_of(assert_private, max_auc=1.0, max_tpr_at_fpr_1e_3=1.0)
    assert said.startswith("4 of 4 limits")
    assert "lira: auc  cannot be judged: no shadow model trained on it" in said
    assert "loss: auc  cannot be judged: the sides differ" in said
    assert "What cannot be judged does not pass" in said
    assert "Doubts" not in said  # they stand there already
    audits([figure(value=float("nan"))])
    assert "cannot be judged" in failure_of(assert_private, max_auc=1.0)


def test_doubts_about_the_audit_are_told(assert_private, audits):
    audits([figure(warnings=("the classes differ",))])
    assert "Doubts about the audit:\n  the classes differ\n" in failure_of(assert_private, max_auc=0.5)


def test_attacks_that_found_the_same_share_a_line(assert_private, audits):
    audits([figure(attack) for attack in ("loss", "confidence", "margin")] + [figure("lira", 0.6, 0.58, 0.62)])
    said = failure_of(assert_private, max_auc=0.5)
    assert "  loss, confidence, margin: auc  0.55 [" in said
    assert "  lira: auc  0.6 [" in said


def test_a_thousand_failures_are_not_all_told(assert_private, audits):
    audits([figure(f"attack_{k}", 0.6 + k * 1e-4) for k in range(1_000)])
    said = failure_of(assert_private, max_auc=0.5)
    assert said.startswith("1000 of 1000")
    assert "and 980 more" in said
    assert len(said.splitlines()) < 30


def test_names_cannot_steer_a_terminal(assert_private, audits):
    audits([figure("\x1b[2Jloss", warnings=("a\nb\x07",))])
    said = failure_of(assert_private, max_auc=0.5)
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "  a b \n" in said


def test_a_limit_below_what_no_leak_reaches_is_called_out(assert_private, audits):
    report = world(0.0, n=300)
    audits([report])
    said = failure_of(assert_private, max_advantage=0.001)
    assert f"may find {report.advantage.null_level:.3g} where nothing leaks" in said


def test_slices_are_judged_if_they_are_asked_for(assert_private, audits):
    small = failed_report("loss", "slice too small")
    small = LeakageReport("loss", "class 2", warnings=small.warnings)
    asked = audits([figure(), figure("loss", 0.7, 0.65, 0.75, "class 1"), small])
    assert assert_private("model", "members", "nonmembers", max_auc=0.6)  # of another kind of audit
    said = failure_of(assert_private, max_auc=0.6, slices="class")
    assert said.startswith("1 of 3")
    assert "loss on class 1: auc  0.7 [" in said
    assert asked[-1][1]["slices"] == "class"


def test_epsilon_can_be_limited(assert_private, audits):
    bound = EpsilonBound(2.0, method="one_run", delta=1e-5, level=0.95)
    audits([figure(epsilon=EpsilonReading(bound, bound, None, None)), figure("lira")])
    limited = {"epsilon": EpsilonAudit(), "max_epsilon_lower_bound": 2.0}
    assert assert_private("model", "members", "nonmembers", **limited)
    said = failure_of(assert_private, **limited | {"max_epsilon_lower_bound": 1.0})
    assert said.startswith("1 of 1 limits on leakage are not surely kept:\n  loss: epsilon_lower_bound  2, ")


def test_all_else_goes_to_the_audit(assert_private, audits):
    asked = audits([figure()])
    assert_private(
        "m",
        "in",
        "out",
        max_auc=1.0,
        max_youden_j=None,
        attacks=["a"],
        shadow_models=4,
        audit_size=7,
        seed=3,
        batch_size=2,
    )
    assert asked == [
        (
            ("m", "in", "out"),
            {"attacks": ["a"], "shadow_models": 4, "audit_size": 7, "seed": 3, "batch_size": 2, "verbose": 0},
        )
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"was given no limit; give at least one, such as max_auc=0\.6"),
        ({"max_auc": None, "seed": 1}, "was given no limit"),
        (
            {"max_tpr_at_fpr_1e2": 0.1},
            r"no limit max_tpr_at_fpr_1e2; did you mean max_tpr_at_fpr_1e_2\? known are max_auc,",
        ),
        ({"max_auc": "0.6"}, "max_auc is '0.6'; give the most leakage to accept as a number"),
        ({"max_auc": True}, "max_auc is True"),
        ({"max_auc": float("nan")}, "max_auc is nan"),
        ({"max_epsilon_lower_bound": 1.0}, "give epsilon=EpsilonAudit"),
    ],
)
def test_what_cannot_be_a_limit_is_refused_before_the_audit(assert_private, audits, given, message):
    asked = audits([figure()])
    with pytest.raises(TypeError, match=message):
        assert_private("model", "members", "nonmembers", **given)
    assert not asked


def test_a_leak_does_not_hide_behind_a_warning(assert_private, audits):
    """Warnings are errors here."""

    def reports():
        import warnings

        warnings.warn("few records", AuditWarning, stacklevel=1)
        return [figure()]

    audits(reports)
    assert "exceeds 0.5" in failure_of(assert_private, max_auc=0.5)
    with pytest.warns(AuditWarning, match="few records") as caught:
        assert assert_private("model", "members", "nonmembers", max_auc=0.6)
    assert caught[0].filename == __file__


def test_a_real_model_is_audited(assert_private, make_model, blobs):
    members, nonmembers = blobs
    model = make_model()
    with pytest.warns(AuditWarning, match="cannot resolve a false positive rate"):
        reports = assert_private(model, members, nonmembers, max_auc=0.7)
    assert reports[0].attack == "loss"
    rng = np.random.default_rng(0)
    memorised, others = (members[0], rng.integers(0, 3, 120)), (nonmembers[0], rng.integers(0, 3, 90))
    model.optimizer.learning_rate = 0.05
    model.fit(*memorised, epochs=60, verbose=0)
    with pytest.raises(AssertionError, match="train for fewer epochs"):
        assert_private(model, memorised, others, max_auc=0.6)


REAL = """
import keras
import numpy as np

import privacy_callbacks


def test_where_it_is_from():
    assert "site" in privacy_callbacks.__file__


def test_model(assert_private):
    x, y = np.random.default_rng(0).normal(size=(2_400, 6)).astype("float32"), np.arange(2_400) % 2
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    sides = (x[:1_200], y[:1_200]), (x[1_200:], y[1_200:])
    assert assert_private(model, *sides, max_auc=0.6)
    assert_private(model, *sides, max_auc=0.5)
"""


def run_elsewhere(folder, *arguments, **environment):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=settings, check=False)


class TestInARunOfItsOwn:
    """Runs of pytest within this one, and in processes of their own."""

    @pytest.fixture
    def run(self, pytester, monkeypatch):
        # Whether the package is installed with its entry point or not: a module cannot be two plugins.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

        def run(source, *arguments):
            pytester.makepyfile(textwrap.dedent(source))
            return pytester.runpytest_inprocess("-p", "privacy_callbacks.pytest_plugin", *arguments)

        return run

    LEAKY = """
        def test_model(assert_private, monkeypatch):
            from privacy_callbacks import after_the_fact
            from privacy_callbacks.attacks import Estimate, LeakageReport

            report = LeakageReport("lira", auc=Estimate(0.7, 0.65, 0.75))
            monkeypatch.setattr(after_the_fact, "audit", lambda *_, **__: [report])
            assert_private("model", "members", "nonmembers", max_auc={limit})
        """

    def test_a_failure_points_to_the_line_of_the_test(self, run):
        result = run(self.LEAKY.format(limit=0.6), "--junitxml=found.xml")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                '>*assert_private("model", "members", "nonmembers", max_auc=0.6)',
                "E*AssertionError: 1 of 1 limits on leakage are not surely kept:",
                "E*lira: auc  0.7 [[]0.65, 0.75]; its upper end exceeds 0.6 by 0.15",
            ]
        )
        assert "pytest_plugin.py" not in result.stdout.str()
        assert '<property name="lira: auc"' in Path("found.xml").read_text()

    def test_wrong_arguments_point_to_the_line_of_the_test(self, run):
        result = run("def test_model(assert_private):\n    assert_private('model', 'members', 'nonmembers')")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E*TypeError: assert_private was given no limit*"])
        assert "pytest_plugin.py" not in result.stdout.str()

    def test_it_passes(self, run):
        run(self.LEAKY.format(limit=0.8)).assert_outcomes(passed=1)

    def test_it_says_what_it_is_for(self, run):
        run("", "--fixtures").stdout.fnmatch_lines(
            ["assert_private*", "*audits a model and fails if it may leak more*"]
        )

    def test_it_does_not_need_tensorflow_until_it_is_asked(self, tmp_path):
        (tmp_path / "conftest.py").write_text("import sys; sys.modules |= dict.fromkeys(['tensorflow', 'keras'])")
        (tmp_path / "test_other.py").write_text(
            "def test_one(): pass\n\ndef test_two(assert_private):\n    assert_private(1, 2, 3, max_auc=1)"
        )
        done = run_elsewhere(tmp_path, "-p", "privacy_callbacks.pytest_plugin", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        assert "1 failed, 1 passed" in done.stdout
        assert "ModuleNotFoundError: import of tensorflow halted" in done.stdout

    @pytest.mark.slow
    def test_an_installed_package_brings_it(self, tmp_path):
        """Then pytest also rewrites the assertions of the package's own modules."""
        ignored = shutil.ignore_patterns(".venv", ".git", "build", "demo", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, tmp_path / "checkout", ignore=ignored)
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site"]
        subprocess.run([*install, tmp_path / "checkout"], check=True, capture_output=True)
        (tmp_path / "tests").mkdir()
        (tmp_path / "tests" / "test_model.py").write_text(REAL)
        done = run_elsewhere(tmp_path / "tests", "-W", "error", PYTHONPATH=str(tmp_path / "site"))
        assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
        assert "limits on leakage are not surely kept" in done.stdout

    def test_importing_it_imports_nothing_but_itself(self):
        code = """
import sys, pytest
before = set(sys.modules)
import privacy_callbacks.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
        assert done.stdout.split() == ["privacy_callbacks", "privacy_callbacks.pytest_plugin"]
