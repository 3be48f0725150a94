"""`privacy-audit outputs`: arrays in, reports out; whatever does not fit is refused with what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from privacy_callbacks.attacks import LeakageReport, lira_scores, load_reports, rmia_scores, tune_rmia
from privacy_callbacks.command_line import privacy_audit
from privacy_callbacks.outputs_audit import audit_outputs
from privacy_callbacks.outputs_file import read_outputs
from privacy_callbacks.outputs_keys import KEYS

RECORDS, CLASSES, MODELS = 1_200, 5, 8


def answers(rng, labels, hard, trained_on):
    """Logits of a model that is surer of what it trained on."""
    logits = rng.normal(size=(len(labels), CLASSES))
    logits[np.arange(len(labels)), labels] += 2 + hard + 1.5 * trained_on
    return logits


@pytest.fixture(scope="module")
def world():
    """Answers of a model that leaks and of eight shadow models, in complementary pairs."""
    rng = np.random.default_rng(0)
    is_member = np.arange(RECORDS) % 2 == 0
    labels, hard = rng.integers(0, CLASSES, RECORDS), 2 * rng.normal(size=RECORDS)
    trained_on = rng.random((MODELS // 2, RECORDS)) < 0.5
    trained_on = np.concatenate([trained_on, ~trained_on])
    shadow = np.stack([answers(rng, labels, hard, row) for row in trained_on])
    return {
        "logits": answers(rng, labels, hard, is_member),
        "labels": labels,
        "is_member": is_member,
        "shadow_logits": shadow,
        "trained_on": trained_on,
    }


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    """Saves arrays as `file.npz` in an empty working directory and runs `privacy-audit outputs` on it."""
    monkeypatch.chdir(tmp_path)

    def run(arrays, *options):
        if arrays is not None:
            np.savez("file.npz", **arrays)
        return CliRunner().invoke(privacy_audit(), ["outputs", "file.npz", *options])

    return run


def without(world, *names):
    return {name: array for name, array in world.items() if name not in names}


def plain(world):
    return without(world, "shadow_logits", "trained_on")


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def losses(logits, labels):
    return -np.log(softmax(logits)[..., np.arange(len(labels)), labels])


def found(arrays, path, **options):
    """(attack, slice) -> report."""
    np.savez(path, **arrays)
    return {(one.attack, one.slice): one for one in audit_outputs(read_outputs(path), **options)}


def aucs(reports):
    return {key: float(report.auc) for key, report in reports.items()}


# --------------------------------------------------------------------------------------------------------- what is found


def test_the_loss_is_judged_as_scikit_learn_would(world, tmp_path):
    from sklearn.metrics import roc_auc_score

    reports = found(plain(world), tmp_path / "file.npz")
    expected = roc_auc_score(world["is_member"], -losses(world["logits"], world["labels"]))
    assert float(reports["loss", "entire"].auc) == pytest.approx(expected, abs=1e-12)
    assert [attack for attack, _ in reports] == [
        "loss",
        "confidence",
        "scaled_logit",
        "margin",
        "entropy",
        "modified_entropy",
        "correct",
    ]


def test_shadow_models_are_compared_with_as_by_hand(world, tmp_path):
    reports = found(world, tmp_path / "file.npz")
    true, members = (np.arange(RECORDS), world["labels"]), world["is_member"]

    def log_odds(logits):
        p = softmax(logits)[..., true[0], true[1]]
        return np.log(p) - np.log1p(-p)

    target, shadow = log_odds(world["logits"]), log_odds(world["shadow_logits"])
    by_hand = LeakageReport.from_scores(lira_scores(target, shadow, world["trained_on"]), members)
    assert float(reports["lira", "entire"].auc) == pytest.approx(
        float(by_hand.auc), abs=1e-4
    )  # signals are kept in 32 bits
    target, shadow = (-losses(world[name], world["labels"]) for name in ("logits", "shadow_logits"))
    scores = rmia_scores(target, shadow, world["trained_on"], a=tune_rmia(shadow, world["trained_on"]))
    by_hand = LeakageReport.from_scores(scores, members)
    assert float(reports["rmia", "entire"].auc) == pytest.approx(float(by_hand.auc), abs=1e-4)
    assert float(reports["lira", "entire"].auc) > float(reports["loss", "entire"].auc)


@pytest.mark.parametrize("name", ["probabilities", "predictions"])
def test_probabilities_tell_what_logits_tell(world, tmp_path, name):
    p = {name: softmax(world["logits"]), f"shadow_{name}": softmax(world["shadow_logits"])}
    as_logits = aucs(found(world, tmp_path / "logits.npz"))
    read = found({**without(world, "logits", "shadow_logits"), **p}, tmp_path / "p.npz")
    assert aucs(read) == pytest.approx(as_logits, abs=1e-9)
    assert ("predictions were read as probabilities." in read["loss", "entire"].notes) == (name == "predictions")


def test_pairs_are_the_same_records(world, tmp_path):
    sides = {"members_": world["is_member"], "nonmembers_": ~world["is_member"]}
    by_model = ("shadow_logits", "trained_on")
    pairs = {
        side + name: world[name][:, rows] if name in by_model else world[name][rows]
        for side, rows in sides.items()
        for name in ("logits", "labels", *by_model)
    }
    expected = aucs(found(world, tmp_path / "all.npz"))
    assert aucs(found(pairs, tmp_path / "pairs.npz")) == pytest.approx(expected, abs=1e-12)


def test_scores_are_judged_as_they_are(world, tmp_path):
    rng, members = np.random.default_rng(1), world["is_member"]
    scores = {
        "scores": rng.normal(size=RECORDS) + members,
        "score_mine": rng.normal(size=RECORDS),
        "score_loss": 0.0 + members,
    }
    reports = found({"is_member": members.astype(int), **scores}, tmp_path / "file.npz")
    assert [attack for attack, _ in reports] == ["scores", "mine", "score_loss"]  # `loss` is another attack's name
    expected = LeakageReport.from_scores(scores["scores"], members, "scores").auc
    assert repr(reports["scores", "entire"].auc) == repr(expected)
    assert float(reports["score_loss", "entire"].auc) == 1.0


def test_losses_alone_are_enough_lower_being_better_known(tmp_path):
    rng, members = np.random.default_rng(2), np.arange(600) < 300
    own = rng.normal(size=600) - members
    reports = found({"losses": own, "is_member": members}, tmp_path / "file.npz")
    assert list(reports) == [("loss", "entire")]
    assert reports["loss", "entire"].auc.low > 0.5
    trained_on = rng.random((4, 600)) < 0.5
    arrays = {"shadow_losses": rng.normal(size=(4, 600)) - trained_on, "trained_on": trained_on}
    both = found({"losses": own, "is_member": members, **arrays}, tmp_path / "file.npz")
    assert list(both) == [("loss", "entire"), ("lira", "entire")]


def test_a_regression_is_judged_by_its_squared_error(tmp_path):
    rng, members = np.random.default_rng(3), np.arange(800) < 400
    targets = rng.normal(size=800)
    predictions = targets + rng.normal(size=800) * np.where(members, 0.3, 1.0)
    reports = found({"predictions": predictions, "targets": targets, "is_member": members}, tmp_path / "file.npz")
    expected = LeakageReport.from_scores(-((predictions - targets) ** 2), members).auc
    assert list(reports) == [("loss", "entire")]
    assert float(reports["loss", "entire"].auc) == pytest.approx(float(expected), abs=1e-12)


def test_without_labels_the_entropy_is_left(world, tmp_path):
    reports = found(without(plain(world), "labels"), tmp_path / "file.npz")
    assert list(reports) == [("entropy", "entire")]
    assert "labels are not known" in reports["entropy", "entire"].notes[0]


def test_lira_goes_offline_where_no_model_trained_on_the_records(world, tmp_path):
    reports = found({**world, "trained_on": np.zeros((MODELS, RECORDS))}, tmp_path / "file.npz")
    assert (
        "offline: 1,200 of 1,200 records have no shadow model that trained on them." in reports["lira", "entire"].notes
    )


def test_an_attack_that_cannot_work_is_told_unless_it_was_asked_for(world, tmp_path):
    one = {**world, "shadow_logits": world["shadow_logits"][:1], "trained_on": world["trained_on"][:1]}
    reports = found(one, tmp_path / "file.npz")
    assert reports["lira", "entire"].failed
    assert "no record has two shadow models" in reports["lira", "entire"].warnings[0]
    with pytest.raises(ValueError, match=r"attack 'lira': no record has two shadow models"):
        found(one, tmp_path / "file.npz", attacks=["lira"])


def test_an_attack_that_learns_is_judged_on_other_records(world, tmp_path):
    reports = found(plain(world), tmp_path / "file.npz", attacks=["logistic_regression", "loss"])
    assert (reports["logistic_regression", "entire"].folds, reports["loss", "entire"].folds) == (2, 1)
    rng = np.random.default_rng(4)
    blind = {**plain(world), "is_member": rng.permutation(world["is_member"])}
    assert found(blind, tmp_path / "file.npz", attacks=["random_forest"])["random_forest", "entire"].auc.low < 0.5


@pytest.mark.parametrize("kept", [[0, 1, 2, 3], [0, 1, 2, 3, 4]])
def test_a_fleet_that_the_audited_model_was_taken_from_is_doubted(world, tmp_path, kept):
    """Models 0 to 3 and 4 to 7 are complements: without model 7, model 3 is the complement of the audited one."""
    taken = {"logits": world["shadow_logits"][7], "is_member": world["trained_on"][7], "labels": world["labels"]}
    fleet = {name: world[name][:7] for name in ("shadow_logits", "trained_on")}
    reports = found({**taken, **fleet}, tmp_path / "file.npz", attacks=["lira", "loss"])
    assert (
        "shadow model 3 (from 0) trained on exactly the members, or on exactly the others"
        in (reports["lira", "entire"].warnings[0])
    )
    assert not reports["loss", "entire"].warnings
    fair = {name: world[name][[0, 1, 2, 4, 5, 6]] for name in ("shadow_logits", "trained_on")}
    assert not found({**taken, **fair}, tmp_path / "file.npz", attacks=["lira"])["lira", "entire"].warnings


def test_numbers_of_models_that_tell_membership_are_doubted(world, tmp_path):
    trained_on = world["trained_on"] & (world["is_member"] | (np.arange(RECORDS) % 3 > 0))
    reports = found({**world, "trained_on": trained_on}, tmp_path / "file.npz", attacks=["rmia"])
    assert "how many shadow models trained on a record differs" in reports["rmia", "entire"].warnings[0]


def test_where_the_labels_differ_nothing_is_concluded(world, outputs):
    labels = np.where(world["is_member"], world["labels"] // 2, world["labels"])
    done = outputs({**plain(world), "labels": labels})
    assert done.exit_code == 0
    assert "Nothing can be concluded from the attack loss" in done.output
    assert "leak not judged: the mix of classes differs" in done.output


def test_slices_are_classes_answers_and_columns(world, tmp_path):
    arrays = {**plain(world), "column_sex": np.where(np.arange(RECORDS) % 3 == 0, "f", "m")}
    reports = found(arrays, tmp_path / "file.npz", attacks=["loss"], slices=["class", "correct", "sex"])
    names = [slice for _, slice in reports]
    assert names == ["entire", *(f"class {label}" for label in range(CLASSES)), "correct", "wrong", "sex f", "sex m"]
    assert reports["loss", "sex f"].num_members + reports["loss", "sex f"].num_nonmembers == 400
    assert reports["loss", "sex f"].auc.level == pytest.approx(1 - 0.05 / 9)


# ------------------------------------------------------------------------------------------------------------ the command


def test_it_prints_a_table_words_and_what_it_wrote(world, outputs):
    done = outputs(world, "--slices", "class", "-o", "results", "--html", "page.html")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].split() == ["attack", "AUC", "TPR", "at", "1", "%", "FPR", "advantage", "members", "non-members"]
    assert lines[1].startswith("loss ")
    assert "Shown one training record and one other, an attacker (loss) picks the training record" in done.output
    assert "an attacker (rmia) picks" in done.output or "an attacker (lira) picks" in done.output  # the strongest, too
    assert "over all attacks: leak detected: loss" in done.output
    assert "slices, the surest leak first" in done.output
    read = load_reports("results/reports.json")
    assert len(read) == 9 * (1 + CLASSES)
    assert "Membership leakage" in Path("page.html").read_text()
    assert sorted(os.listdir()) == ["file.npz", "page.html", "results"]


def test_reports_go_through_the_gate(world, outputs):
    assert outputs(plain(world), "-o", "found.json", "--attacks", "loss").exit_code == 0
    codes = [
        CliRunner().invoke(privacy_audit(), ["check", "found.json", "--max", limit]).exit_code
        for limit in ("auc=1", "auc=.6")
    ]
    assert codes == [0, 1]


def test_json_is_all_that_is_printed(world, outputs):
    done = outputs(plain(world), "--attacks", "correct,loss", "--json", "-o", "found.json")
    held = json.loads(done.output)
    assert [report["attack"] for report in held["reports"]] == ["correct", "loss"]
    assert held["verdict"].startswith("leak detected")


def test_the_same_seed_gives_the_same_reports(world, outputs):
    option = ("--attacks", "random_forest", "--json", "--seed")
    first, again, other = (outputs(plain(world), *option, seed).output for seed in ("1", "1", "2"))
    assert first == again != other


REFUSED = {
    "nothing": ({}, "holds nothing, but not is_member"),
    "no truth": (
        lambda w: without(plain(w), "is_member"),
        "holds logits, labels, but not is_member; save it, too: 1 for each",
    ),
    "truth alone": (
        lambda w: {"is_member": w["is_member"]},
        "holds nothing to judge; save the model's answers, with labels",
    ),
    "one side": (lambda w: {**plain(w), "is_member": np.ones(RECORDS)}, "says 1,200 members and 0 non-members"),
    "no flags": (
        lambda w: {**plain(w), "is_member": np.arange(RECORDS)},
        "give one 1 (trained on) or 0 (not) a record",
    ),
    "a typo": (lambda w: {**plain(w), "label": w["labels"]}, "holds label, which is no key here; did you mean labels?"),
    "Keras' name": (lambda w: {**plain(w), "y_true": w["labels"]}, "did you mean labels?"),
    "TF Privacy's": (lambda w: {"logits_train": w["logits"]}, "did you mean members_logits?"),
    "of both forms": (lambda w: {**plain(w), "members_logits": w["logits"]}, "holds logits beside members_logits"),
    "half a pair": (
        lambda w: {"members_logits": w["logits"]},
        "lacks nonmembers_logits; save it beside its other half",
    ),
    "unequal pair": (
        lambda w: {
            f"{side}members_{key}": w[key][: 9 + (side + key == "nonlabels")]
            for side in ("", "non")
            for key in ("logits", "labels")
        },
        "nonmembers_labels is about 10 records, nonmembers_logits about 9",
    ),
    "short labels": (
        lambda w: {**plain(w), "labels": w["labels"][:-1]},
        "labels has shape (1199,), and there are 1,200",
    ),
    "turned": (
        lambda w: {**w, "trained_on": w["trained_on"].T},
        "the first axis is that of shadow models: swap the two",
    ),
    "two kinds": (
        lambda w: {**plain(w), "probabilities": w["logits"]},
        "holds logits and probabilities; give one of them",
    ),
    "NaN": (lambda w: {**plain(w), "logits": w["logits"] * np.nan}, "logits is NaN or infinite for 1200 records"),
    "NaN of a shadow": (
        lambda w: {**w, "shadow_logits": np.where(np.arange(MODELS)[:, None, None] == 2, np.nan, w["shadow_logits"])},
        "shadow_logits[2]: logits is NaN",
    ),
    "no probabilities": (
        lambda w: {**without(plain(w), "logits"), "probabilities": w["logits"]},
        "if they are logits, give them as such",
    ),
    "either": (
        lambda w: {**without(plain(w), "logits"), "predictions": np.full((RECORDS, CLASSES), 0.5)},
        "may be logits or sigmoids; save them as logits or probabilities",
    ),
    "texts": (lambda w: {**plain(w), "labels": w["labels"].astype(str)}, "labels has dtype <U21; give class numbers"),
    "other classes": (lambda w: {**plain(w), "labels": w["labels"] + 1}, "give class numbers from 0 to 4"),
    "no trained_on": (lambda w: without(w, "trained_on"), "holds shadow_logits, but not trained_on; save both"),
    "no shadows": (lambda w: without(w, "shadow_logits"), "holds trained_on, but not shadow_logits; save both"),
    "no target": (
        lambda w: {**without(w, "logits"), "losses": np.zeros(RECORDS)},
        "not what the audited model answered",
    ),
    "fewer classes": (lambda w: {**w, "shadow_logits": w["shadow_logits"][..., :3]}, "give the same of each model"),
    "its own answers": (
        lambda w: {**w, "shadow_logits": np.stack([w["logits"]] * MODELS)},
        "shadow_logits[0] are the audited model's own answers",
    ),
    "NaN scores": (lambda w: {**plain(w), "scores": np.full(RECORDS, np.nan)}, "scores is NaN in 1200 places"),
    "wide scores": (
        lambda w: {**plain(w), "score_a": w["logits"]},
        "score_a has shape (1200, 5); give one number a record",
    ),
    "nameless": (lambda w: {**plain(w), "score_": w["labels"]}, "holds score_, which is no key here"),
    "a bad name": (lambda w: {**plain(w), "score_a b": w["labels"]}, "name is 'a b'"),
}


@pytest.mark.parametrize(("arrays", "said"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(world, outputs, arrays, said):
    done = outputs(arrays(world) if callable(arrays) else arrays, "-o", "results", "--html", "page.html")
    assert done.exit_code == 2, done.output
    assert done.output.startswith("refused: ")
    assert said in done.output
    assert os.listdir() == ["file.npz"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--attacks", "lora"], "'lora' is no attack on outputs; did you mean"),
        (["--attacks", ","], "no attack is named"),
        (["--attacks", "lira"], "compares with shadow models, and the file holds none; save shadow_logits"),
        (["--attacks", "attack_p"], "'attack_p' is no attack on outputs"),
        (["--slices", "clas"], "did you mean class?"),
        (["--slices", "age"], "a column that the file holds as column_<name>"),
        (["-o", "no/where/x.json"], "the folder no/where does not exist"),
        (["-o", "file.npz"], "is a file; give a folder, or the name of a file that ends in .json"),
        (["--html", "file.npz"], "is what is to be read"),
        (["--html", "."], "is a folder; give the name of a file"),
        (["-o", "a.json", "--html", "a.json"], "give two names"),
        (["--seed", "-1"], "is not in the range"),
    ],
)
def test_options_that_do_not_fit_are_refused(world, outputs, options, said):
    done = outputs(plain(world), *options)
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert os.listdir() == ["file.npz"]


class Evil:
    """Unpickled, it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def test_objects_are_refused_and_nothing_is_unpickled(world, outputs):
    done = outputs({**plain(world), "labels": np.array([Evil()] * RECORDS, object)})
    assert (done.exit_code, "labels in file.npz holds Python objects" in done.output) == (2, True)
    assert os.listdir() == ["file.npz"]


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"x" * 99, b"\x93NUMPY"])
def test_files_of_another_kind_are_refused(outputs, content):
    Path("file.npz").write_bytes(content)
    done = outputs(None)
    assert (done.exit_code, "cannot be read" in done.output) == (2, True), done.output
    assert "allow_pickle" not in done.output


def test_a_missing_file_a_folder_and_a_nameless_array_are_refused(outputs):
    assert "there is no file file.npz; save one with np.savez" in outputs(None).output
    Path("file.npz").mkdir()
    assert "is a folder" in outputs(None).output
    Path("file.npz").rmdir()
    with Path("file.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "holds one array without a name" in outputs(None).output


def test_names_cannot_steer_the_terminal(world, outputs):
    refused = outputs({**plain(world), "lo\x1b[31mgits": world["logits"]})
    told = outputs({**plain(world), "column_a": np.array(["\x1b[31mred", "b"] * (RECORDS // 2))}, "--slices", "a")
    assert (refused.exit_code, told.exit_code) == (2, 0), told.output
    assert "\x1b" not in refused.output + told.output


def test_the_help_names_every_key():
    said = CliRunner().invoke(privacy_audit(), ["outputs", "--help"]).output
    assert all(key in said for key in KEYS)


def test_no_tensorflow_is_imported(world, outputs, tmp_path):
    np.savez("file.npz", **world)
    code = (
        "import sys; from click.testing import CliRunner; from privacy_callbacks.command_line import privacy_audit; "
        "arguments = ['outputs', 'file.npz', '--slices', 'class', '-o', 'found.json', '--html', 'page.html']; "
        "done = CliRunner().invoke(privacy_audit(), arguments); assert done.exit_code == 0, done.output; "
        "print([name for name in ('tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr[-2_000:]
