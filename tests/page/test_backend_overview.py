"""From event runs to the page's overview."""

import json

import numpy as np
import pytest
from page.log_readers import HeldProvider, loaded
from page.privacy_logs import Piece, content_of, packed, write_pieces, write_ranges, write_run
from page.privacy_payloads import audit_pieces

from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.tensorboard_plugin.log_reading import LogReader
from privacy_callbacks.tensorboard_plugin.overview import overview

RNG = np.random.default_rng(0)
AUDIT = audit_pieces("lira", 0, RNG.normal(size=100), 50, slices=0)[0].payload


def overview_of(folder):
    with loaded("python", folder) as logs:
        return overview(LogReader(logs.provider))


def held(*series, steps=(0,), payload=AUDIT, kind="audit"):
    """A reader of series (path, name, attack)."""
    provider = HeldProvider({})
    for path, name, attack in series:
        tags = provider.held.setdefault(path, {})
        tensors = [(step, packed(payload)) for step in steps]
        tags[f"{name}/{attack}/{kind}"] = (content_of(name, attack, kind), tensors)
    return LogReader(provider)


def ids(page):
    return {(run["id"], run["run"], run["name"]): [attack["id"] for attack in run["attacks"]] for run in page["runs"]}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two fits of three attacks, and a range curve."""
    folder = tmp_path_factory.mktemp("logs")
    attacks = ("scaled_logit", "lira", "loss")
    for number in (2, 10):
        write_run(
            folder / f"run{number}", attacks=attacks, steps=range(-1, 4), size=200, records=number == 2, seed=number
        )
    write_ranges(folder, sizes=(1, 2))
    return overview_of(folder)


def test_runs_are_in_the_order_of_their_numbers_and_attacks_begin_with_the_headline(page):
    assert ids(page) == {
        ("run2/mia", "run2", "mia"): ["run2/mia/scaled_logit", "run2/mia/lira", "run2/mia/loss"],
        ("run10/mia", "run10", "mia"): ["run10/mia/scaled_logit", "run10/mia/lira", "run10/mia/loss"],
    }
    assert [attack["headline"] for attack in page["runs"][0]["attacks"]] == [True, False, False]
    assert [run["has_records"] for run in page["runs"]] == [True, False]
    assert page["problems"] == []


def test_columns_hold_what_the_reports_said(tmp_path):
    scores = {step: RNG.normal(size=400) + np.repeat([0.3 * step, 0], 200) for step in (1, 2)}
    write_pieces(
        tmp_path, "mia", "loss", [piece for step in scores for piece in audit_pieces("loss", step, scores[step], 200)]
    )
    attack = overview_of(tmp_path)["runs"][0]["attacks"][0]
    reports = [LeakageReport.from_scores(found, np.arange(400) < 200) for found in scores.values()]
    assert attack["steps"] == [1, 2]
    assert attack["num_members"] == attack["num_nonmembers"] == [200, 200]
    for end, expected in {"value": [float(r.auc) for r in reports], "high": [r.auc.high for r in reports]}.items():
        assert attack["metrics"]["auc"][end] == [float(f"{one:.6g}") for one in expected]
    assert "null_level" not in attack["metrics"]["auc"]
    assert "low" not in attack["metrics"]["advantage"]
    assert attack["metrics"]["advantage"]["null_level"] == [float(f"{r.advantage.null_level:.6g}") for r in reports]
    assert attack["metrics"]["tpr_at_fpr_1e-3"]["value"] == [None, None]
    assert "10,000 non-members" in attack["refusals"]["tpr_at_fpr_1e-3"]


def test_training_stands_beside_it_and_the_verdict_is_the_last_one(page):
    run = page["runs"][0]
    assert run["training"]["steps"] == [0, 1, 2, 3]
    assert set(run["training"]["values"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(column) == 4 for column in run["training"]["values"].values())
    assert run["verdict"]["text"] == "A leak was told from epoch 2 on."


def test_figures_that_are_logged_now_and_then_have_gaps(tmp_path):
    logs = [{"loss": 1.0}, {"loss": 0.5, "lr": 0.1}, {"note": "x"}]
    pieces = [Piece("audit", 0, AUDIT), *(Piece("training", step, {"logs": one}) for step, one in enumerate(logs))]
    write_pieces(tmp_path, "mia", "loss", pieces)
    training = overview_of(tmp_path)["runs"][0]["training"]
    assert training == {
        "steps": [0, 1, 2],
        "values": {"loss": [1.0, 0.5, None], "lr": [None, 0.1, None], "note": [None, None, None]},
    }


def test_range_curves_stand_apart(page):
    (ranges,) = page["ranges"]
    assert (ranges["id"], ranges["name"], ranges["label"]) == ("ranges/range_attack", "ranges", "radius")
    assert ranges["sizes"] == [1.0, 2.0]
    assert [curve["name"] for curve in ranges["curves"]] == ["range attack", "point attack"]
    assert len(ranges["curves"][0]["metrics"]["auc"]["low"]) == 2
    assert ranges["curves"][0]["reasons"] == [None, None]


def test_a_size_without_result_says_why(tmp_path):
    failed = LeakageReport(attack="range_attack", warnings=("every range holds a training record",)).to_dict()
    payload = {"label": "radius", "sizes": [1], "curves": [{"name": "range attack", "reports": [failed]}]}
    write_pieces(tmp_path, "ranges", "range_attack", [Piece("ranges", 0, payload)])
    (curve,) = overview_of(tmp_path)["ranges"][0]["curves"]
    assert curve["reasons"] == ["every range holds a training record"]
    assert curve["metrics"]["auc"]["value"] == [None]


def test_it_is_strict_json_of_six_digits(page):
    def floats(value):
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                yield from floats(part)
        elif isinstance(value, float):
            yield value

    assert json.loads(json.dumps(page, allow_nan=False)) == page
    found = list(floats(page))
    assert len(found) > 500
    assert all(one == float(f"{one:.6g}") for one in found)


def test_logs_opened_from_above_or_from_inside_are_the_same_audits(tmp_path):
    write_run(tmp_path / "deep" / "exp 1" / "run", attacks=("loss", "lira"), steps=(0, 1), size=100)
    log_dir = tmp_path / "deep" / "exp 1" / "run"
    expected = {
        tmp_path: {
            ("deep/exp 1/run/mia", "deep/exp 1/run", "mia"): ["deep/exp 1/run/mia/loss", "deep/exp 1/run/mia/lira"]
        },
        log_dir: {("mia", ".", "mia"): ["mia/loss", "mia/lira"]},
        log_dir / "mia": {(".", ".", "mia"): ["loss", "lira"]},
        log_dir / "mia" / "lira": {(".", ".", "mia"): ["."]},
    }
    found = {folder: overview_of(folder) for folder in expected}
    assert {folder: ids(page) for folder, page in found.items()} == expected
    columns = [page["runs"][0]["attacks"][-1]["metrics"] for page in found.values()]
    assert all(column == columns[0] for column in columns)
    assert [page["problems"] for page in found.values()] == [[]] * 4


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        # Two callbacks with one log_dir.
        (
            [("run/mia/lira", "mia", "lira"), ("run/mia2/lira", "mia2", "lira")],
            {("run/mia", "run", "mia"): ["run/mia/lira"], ("run/mia2", "run", "mia2"): ["run/mia2/lira"]},
        ),
        # The same in one event run.
        (
            [("run/lira", "mia", "lira"), ("run/lira", "mia2", "lira")],
            {("run", "run", "mia"): ["run/lira"], ("run (mia2)", "run", "mia2"): ["run/lira (mia2, lira)"]},
        ),
        # Two attacks moved into one event run.
        (
            [("all", "mia", "lira"), ("all", "mia", "loss")],
            {("all", "all", "mia"): ["all", "all (mia, loss)"]},
        ),
        # --logdir_spec=group:folder
        (
            [("group/mia/lira", "mia", "lira"), ("group/.", "mia", "lira")],
            {("group/.", "group/.", "mia"): ["group/."], ("group/mia", "group", "mia"): ["group/mia/lira"]},
        ),
        # TensorBoard on Windows.
        (
            [("a\\run\\mia\\lira", "mia", "lira"), ("mia\\lira", "mia", "lira")],
            {("a\\run\\mia", "a\\run", "mia"): ["a\\run\\mia\\lira"], ("mia", ".", "mia"): ["mia\\lira"]},
        ),
        ([("lira", "mia", "lira")], {(".", ".", "mia"): ["lira"]}),
        ([("x/notlira", "mia", "lira")], {("x/notlira", "x/notlira", "mia"): ["x/notlira"]}),
        ([("xlira", "mia", "lira")], {("xlira", "xlira", "mia"): ["xlira"]}),
    ],
)
def test_every_run_and_attack_has_an_id_of_its_own(series, expected):
    assert ids(overview(held(*series))) == expected


def test_names_are_data_whatever_they_hold():
    name, path = "<img src=x onerror=alert(1)>", "</script><b>/\u2028'\"/<i>"
    page = overview(held((path, name, "<i>")))
    assert page["runs"][0]["name"] == name
    assert page["runs"][0]["attacks"][0]["id"] == path


def test_a_damaged_piece_leaves_a_gap_and_a_sentence():
    reader = held(("run/mia/lira", "mia", "lira"), ("run/mia/loss", "mia", "loss"), steps=(0, 1, 2))
    reader._provider.held["run/mia/lira"]["mia/lira/audit"][1][1:] = [(1, b"noise"), (2, 1.5)]
    page = overview(reader)
    assert [attack["steps"] for attack in page["runs"][0]["attacks"]] == [[0], [0, 1, 2]]
    assert page["problems"] == [
        "run 'run/mia/lira': 2 of 3 pieces of kind 'audit' cannot be shown; the first, at step 1: it is no compressed text, "
        "or was changed."
    ]


def test_an_attack_of_which_nothing_can_be_read_is_left_out_but_named():
    reader = held(("run/mia/lira", "mia", "lira"), ("run/mia/loss", "mia", "loss"))
    provider = reader._provider
    provider.held["run/mia/lira"]["mia/lira/audit"] = (content_of("mia", "lira", "audit"), [(0, b"")])
    provider.held["other/mia/loss"] = {"t": (content_of("mia", "loss", "audit", schema_version=2), [(0, b"")])}
    page = overview(reader)
    assert ids(page) == {("run/mia", "run", "mia"): ["run/mia/loss"]}
    assert len(page["problems"]) == 2
    assert any(
        "'other/mia/loss': the series 't' cannot be shown: it is of schema version 2" in p for p in page["problems"]
    )


def test_a_tensor_that_tensorboard_itself_cannot_read_hides_no_other():
    reader = held(("run/mia/lira", "mia", "lira"))
    reader._provider.held["run/mia/lira"]["bad"] = (
        content_of("mia", "lira", "training"),
        [(0, ValueError("/secret/path"))],
    )
    page = overview(reader)
    assert ids(page) == {("run/mia", "run", "mia"): ["run/mia/lira"]}
    assert page["problems"] == ["run 'run/mia/lira': the series 'bad' cannot be read (ValueError)."]


def test_of_many_problems_some_are_told():
    reader = held(*((f"run{number}/mia/lira", "mia", "lira") for number in range(80)), payload={})
    problems = overview(reader)["problems"]
    assert len(problems) == 51
    assert problems[-1] == "There are 30 further problems."


def test_without_a_claim_the_attack_beside_the_training_logs_is_the_headline():
    reader = held(("run/mia/lira", "mia", "lira"), ("run/mia/loss", "mia", "loss"))
    reader._provider.held["run/mia/loss"]["t"] = (content_of("mia", "loss", "training"), [(0, packed({"logs": {}}))])
    assert [attack["attack"] for attack in overview(reader)["runs"][0]["attacks"]] == ["loss", "lira"]


def test_logs_without_audits_are_an_empty_page(tmp_path):
    page = overview_of(tmp_path)
    assert (page["runs"], page["ranges"], page["problems"]) == ([], [], [])
