"""When the experiment makes the number, the callback says so: what it finds, when it is silent, what it writes down."""

import functools
import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks import AuditSet, LeakageReport, MIACallback, PrivateCheckpoint, audit
from privacy_callbacks.attacks import Threshold, leak_verdict
from privacy_callbacks.attacks.auc import auc
from privacy_callbacks.null_check import null_check

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
Dataset = tf.data.Dataset


def world(seed, shift=0.0, count=150):
    """(members, nonmembers): six Gaussian features in three classes; `shift` moves one feature of the members."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 2 * count)
    x = rng.normal(size=(2 * count, 6)).astype("float32")
    x[:count, 2] += shift
    return (x[:count], y[:count]), (x[count:], y[count:])


def fitted(make_model, members, nonmembers, callbacks=(), epochs=2, trained_on=None, **arguments):
    given = {name: arguments.pop(name) for name in list(arguments) if name in ("validation_data", "batch_size")}
    mia = MIACallback(members, nonmembers, **arguments)
    x, y = trained_on if trained_on is not None else members
    fit = {"x": x, "y": y, **({"batch_size": 30} if y is not None else {}), **given}
    make_model().fit(**fit, epochs=epochs, verbose=0, callbacks=[mia, *callbacks])
    return mia


def sentences(mia, beginning):
    return [warning for warning in mia.reports[-1].warnings if re.search(beginning, warning)]


def test_sides_that_differ_are_told_in_every_report_and_void_the_verdict(make_model):
    mia = fitted(make_model, *world(0, shift=1.5))
    (said,) = sentences(mia, "differ without any model")
    assert "column 2 of the inputs" in said
    assert mia.blind_baseline.auc.low > 0.5
    assert f"{mia.blind_baseline.auc:.3f}" in said
    assert all(said in report.warnings for report in mia.reports)
    assert not mia.verdict
    assert str(mia.verdict).startswith("leak not judged: members and non-members differ without any model")


def test_equal_sides_have_the_baseline_as_a_note(make_model):
    mia = fitted(make_model, *world(0))
    assert not sentences(mia, "without any model")
    assert any(note.startswith("blind baseline") and "AUC 0." in note for note in mia.report.notes)
    assert mia.verdict.looks == 2


def test_a_leak_between_equal_sides_is_detected(make_model):
    members, nonmembers = world(1, count=60)
    fast = functools.partial(make_model, optimizer=keras.optimizers.Adam(0.05))
    mia = fitted(fast, members, nonmembers, epochs=60, every=20, attacks=Threshold("loss"))
    assert mia.verdict.detected["loss"] in (19, 39, 59)
    assert mia.verdict.looks == 3


def test_the_baseline_can_be_left_out(make_model):
    mia = fitted(make_model, *world(0, shift=1.5), blind_baseline=False)
    assert mia.blind_baseline is None
    assert not sentences(mia, "without any model")


def test_few_records_have_no_baseline_and_say_so(make_model):
    mia = fitted(make_model, *world(0, shift=9.0, count=19))
    assert mia.blind_baseline is None
    assert any(re.match("no blind baseline: 19 members .* give at least 20", note) for note in mia.report.notes)


def test_another_class_mix_is_told(make_model):
    (x, y), nonmembers = world(0)
    mia = fitted(make_model, (x, np.where(np.arange(150) % 2, 0, y)), nonmembers, blind_baseline=False)
    assert sentences(mia, r"the mix of classes differs .*\(class 0: 6\d")


def persons(seed, count=40, films=10):
    """Sides split by person, all persons of one population: records of one person are alike."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(2 * count, 6)), films, axis=0)
    x = (centres + 0.5 * rng.normal(size=centres.shape)).astype("float32")
    y, owners = rng.integers(0, 3, len(x)), np.repeat(np.arange(2 * count), films)
    half = count * films
    return ((x[:half], y[:half]), (x[half:], y[half:])), (owners[:half], owners[half:])


@pytest.mark.slow
def test_persons_that_stay_on_one_side_are_no_difference_once_ids_say_who_is_who(make_model):
    fired = {"with ids": 0, "without": 0}
    for seed in range(10):
        sides, owners = persons(seed)
        for name, ids in (("with ids", owners), ("without", None)):
            reports = audit(make_model(), AuditSet(*sides, ids=ids), attacks=Threshold("loss"))
            fired[name] += reports[0].void is not None
            shared = any("several records share an id" in note for note in reports[0].notes)
            assert shared == (ids is not None)
    assert fired["with ids"] <= 2
    assert fired["without"] >= 8


def test_near_copies_within_members_are_no_difference(make_model):
    """Augmented before they were given: three versions of each of a hundred originals, against three hundred others."""
    fired = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(400, 6)).astype("float32")
        members = np.repeat(x[:100], 3, axis=0) + 0.01 * rng.normal(size=(300, 6)).astype("float32")
        sides = (members, rng.integers(0, 3, 300)), (x[100:], rng.integers(0, 3, 300))
        fired += audit(make_model(), *sides, attacks=Threshold("loss"))[0].void is not None
    assert fired <= 2


def test_a_column_of_few_values_is_still_compared(make_model):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.integers(0, 15, 300), rng.integers(0, 12, 300)])
    x, y = np.repeat(values[:, None], 6, axis=1).astype("float32"), rng.integers(0, 3, 600)
    assert audit(make_model(), (x[:300], y[:300]), (x[300:], y[300:]), attacks=Threshold("loss"))[0].void is not None


def test_equal_records_of_few_possible_values_are_no_copies():
    rng = np.random.default_rng(0)
    x, y = rng.poisson(0.1, (800, 12)).astype("float32"), np.zeros(800, int)
    assert AuditSet((x[:400], y[:400]), (x[400:], y[400:])).warnings == ()


def test_a_class_mix_that_differs_voids_the_verdict(make_model):
    (x, y), nonmembers = world(0)
    mia = fitted(make_model, (x, np.where(np.arange(150) % 2, 0, y)), nonmembers, blind_baseline=False)
    assert str(mia.verdict).startswith("leak not judged: the mix of classes differs")


def test_the_void_travels_with_the_reports(make_model):
    reports = audit(make_model(), *world(0, shift=1.5))
    assert str(leak_verdict(reports)).startswith("leak not judged: members and non-members differ without any model")
    assert reports[0].to_dict()["void"] == reports[0].void


def test_an_untrained_model_that_tells_the_sides_apart_voids_the_verdict(make_model):
    mia = fitted(make_model, *world(0, shift=4.0), blind_baseline=False)
    assert str(mia.verdict).startswith("leak not judged: before any training the attack")


def untrained_report(attack, auc_shift, seed=0, side=200):
    rng, truth = np.random.default_rng(seed), np.arange(2 * side) < side
    return LeakageReport.from_scores(rng.normal(size=2 * side) + auc_shift * truth, truth, attack, step=-1)


@pytest.mark.parametrize("shift", [1.0, -1.0])
def test_the_null_check_sees_differences_in_either_direction(shift):
    assert "already has AUC" in null_check([untrained_report("loss", 0.0), untrained_report("entropy", shift)])


def test_the_null_check_divides_its_error_among_the_attacks():
    """An attack that is outside at 99 % alone is not among seven."""
    (odd,) = [
        r
        for r in (untrained_report("odd", 0.255, seed=s) for s in range(60))
        if outside(r, 0.99) and not outside(r, 0.9986)
    ][:1]
    assert null_check([odd]) is not None
    assert null_check([odd, *[untrained_report(str(k), 0.0, seed=k) for k in range(6)]]) is None


def outside(report, level):
    value = auc(report.roc, level)
    return not value.low <= 0.5 <= value.high


def test_near_copies_among_nonmembers_are_told(make_model):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 40)).astype("float32"), rng.integers(0, 2, 300)
    x[150:190] = x[:40] + 0.01 * rng.normal(size=(40, 40)).astype("float32")
    audit_set = AuditSet((x[:150], y[:150]), (x[150:], y[150:]))
    assert audit_set.warnings[0].startswith("40 of 150 audited non-members nearly equal some record in members")
    assert AuditSet((x[40:150], y[40:150]), (x[190:], y[190:])).warnings == ()


@pytest.mark.parametrize("form", [lambda x, y: (x, y), lambda x, y: Dataset.from_tensor_slices((x, y))])
@pytest.mark.parametrize(
    "decider",
    [
        lambda folder: keras.callbacks.EarlyStopping("val_loss", patience=9),
        lambda folder: keras.callbacks.ModelCheckpoint(folder / "best.keras", "val_loss", save_best_only=True),
        lambda folder: keras.callbacks.ReduceLROnPlateau("val_loss"),
        lambda folder: PrivateCheckpoint(folder / "best.keras", "val_loss", leakage="mia_auc", maximum=0.9),
    ],
)
def test_callbacks_that_decide_by_the_nonmembers_are_told(make_model, tmp_path, decider, form):
    members, (x, y) = world(0)
    nonmembers, callback = form(x[:100], y[:100]), decider(tmp_path)
    held_out = nonmembers.batch(10) if isinstance(nonmembers, Dataset) else (x[50:], y[50:])
    mia = fitted(make_model, members, nonmembers, [callback], validation_data=held_out)
    (said,) = sentences(mia, f"{type(callback).__name__} .by val_loss. decides on")
    assert ("decides on 100 of the 100" if isinstance(nonmembers, Dataset) else "decides on 50 of the 100") in said


def test_validation_on_other_records_or_without_a_decision_is_fine(make_model, tmp_path):
    members, (x, y) = world(0)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=9)
    by_leakage = keras.callbacks.EarlyStopping("mia_auc", mode="min", patience=9)
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "all.keras", "val_loss")
    other = fitted(make_model, members, (x[:75], y[:75]), [stopping], validation_data=(x[75:], y[75:]))
    undecided = fitted(make_model, members, (x, y), [by_leakage, saving], validation_data=(x, y))
    assert not sentences(other, "decides on")
    assert not sentences(undecided, "decides on")


def noisy(x, y):
    return x + tf.random.normal(tf.shape(x), stddev=0.1), y


def test_augmentation_on_the_way_to_fit_is_told_to_the_user(make_model):
    members, nonmembers = world(0)
    train = Dataset.from_tensor_slices(members).map(noisy).batch(30)
    with pytest.warns(UserWarning, match="fit trains on randomly altered versions of the members"):
        fitted(make_model, members, nonmembers, trained_on=(train, None))


def test_functions_on_one_side_alone_are_told_to_the_user(make_model):
    members, nonmembers = world(0)
    altered = Dataset.from_tensor_slices(members).map(lambda x, y: (x * 1.1, y))
    plain = Dataset.from_tensor_slices(nonmembers)
    with pytest.warns(UserWarning, match="members come through 1 functions of their data set, non-members through 0"):
        fitted(make_model, altered, plain, trained_on=(altered.batch(30), None))


def test_an_augmenting_py_dataset_is_refused():
    members, nonmembers = world(0)

    class Augmenting(keras.utils.PyDataset):
        rng = np.random.default_rng(0)

        def __len__(self):
            return 5

        def __getitem__(self, index):
            rows = slice(30 * index, 30 * index + 30)
            return members[0][rows] + self.rng.normal(size=(30, 6)), members[1][rows]

    with pytest.raises(ValueError, match="members is a Augmenting that gives other values each time it is read"):
        AuditSet(Augmenting(), nonmembers)


def test_audit_after_the_fact_looks_at_the_experiment_too(make_model):
    (report, *_) = audit(make_model(), *world(0, shift=1.5))
    assert any("differ without any model" in warning for warning in report.warnings)
    (report, *_) = audit(make_model(), *world(0, shift=1.5), blind_baseline=False)
    assert not any("differ without any model" in warning for warning in report.warnings)


# What is written.


def written(folder):
    return b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("records", [0, 3])
def test_ids_are_written_on_request_only(make_model, tmp_path, records):
    members, nonmembers = world(0)
    ids = [f"patient-{side}{row}" for side in "mn" for row in range(150)]
    audit_set = AuditSet(members, nonmembers, ids=(ids[:150], ids[150:]))
    mia = fitted(make_model, audit_set, None, trained_on=members, log_dir=tmp_path, log_records=records)
    named = set(re.findall(rb"patient-[mn]\d+", written(tmp_path)))
    assert len(named) == records
    assert {name.decode() for name in named} == set(mia.records()["id"][:records])


def test_a_sentence_names_records_by_position_never_by_id(make_model):
    (x, y), nonmembers = world(0)
    x[7, 0] = np.nan
    with pytest.raises(ValueError, match=r"\(member 7\)"):
        AuditSet((x, y), nonmembers, ids=([f"patient-{row}" for row in range(150)],) * 2)


# Error rates.


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "least", "most"), [(0.0, 0, 7), (0.5, 95, 100)])
def test_a_hundred_worlds_with_a_model_that_saw_neither_side(make_model, shift, least, most):
    model, fired = make_model(), 0
    for seed in range(100):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (report,) = audit(model, *world(seed, shift, count=400), attacks=Threshold("loss"), seed=seed)
        experiment = ("without any model", "mix of classes", "nearly equal", "before any training")
        fired += any(word in warning for warning in report.warnings for word in experiment)
    assert least <= fired <= most
