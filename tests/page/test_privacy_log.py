"""What a fit writes for the Privacy tab is what its reports say, no more than that, and bounded in size."""

import json
import zlib

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from privacy_callbacks import AuditSet, AuditWarning, LeakageReport, MIACallback
from privacy_callbacks.attacks import LiRA, Slice, Threshold, leak_verdict
from privacy_callbacks.attacks.by_slice import sliced_reports
from privacy_callbacks.course import Course
from privacy_callbacks.privacy_log import MOST_BYTES_AN_AUDIT, MOST_PICTURE_BYTES, PrivacyLog, ranges_payload
from privacy_callbacks.publisher import Publisher
from privacy_callbacks.tensorboard_log import TensorBoardLog

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")


def written(folder, kind, name="mia"):
    """{step: payload} of one kind in a TensorBoard run; of a step that comes twice the later one."""
    run = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    tag = f"{name}/privacy_{kind}"
    if tag not in run.Tags()["tensors"]:
        return {}
    about = json.loads(run.SummaryMetadata(tag).plugin_data.content)
    assert about == {"schema_version": 1, "name": name, "attack": folder.name, "kind": kind}
    return {e.step: json.loads(zlib.decompress(e.tensor_proto.string_val[0])) for e in run.Tensors(tag)}


def fit(mia, make_model, blobs, *callbacks, **arguments):
    x, y = blobs[0]
    arguments = {"epochs": 3, "batch_size": 30, "verbose": 0, **arguments}
    return make_model().fit(x, y, callbacks=[mia, *callbacks], **arguments)


class Kept(TensorBoardLog):
    """Keeps what would be written, by kind and step."""

    def __init__(self):
        self.sizes, self.contents = {}, {}

    def plugin_data(self, attack, kind, content, step):
        self.sizes[attack, kind, step] = len(content)
        self.contents[attack, kind, step] = json.loads(zlib.decompress(content))


def test_every_audit_of_every_attack_is_told_with_its_curve(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, attacks=[Threshold("loss"), Threshold("entropy")], log_dir=tmp_path)
    history = fit(mia, make_model, blobs, validation_data=blobs[1]).history
    for attack in ("loss", "entropy"):
        reports = {report.step: report for report in mia.reports if report.attack == attack}
        told = written(tmp_path / "mia" / attack, "audit")
        assert sorted(told) == sorted(reports) == [-1, 0, 1, 2]
        for step, audit in told.items():
            assert audit["headline"] == (attack == "loss")
            assert audit["words"].endswith((".", ")"))
            again = LeakageReport.from_dict(audit["report"])
            assert again.scalars() == pytest.approx(reports[step].scalars(), rel=1e-5)
            assert again.notes == reports[step].notes
        details = written(tmp_path / "mia" / attack, "details")
        assert sorted(details) == [-1, 0, 1, 2]
        for found in details.values():
            assert (found["roc"]["fpr"][-1], found["roc"]["tpr"][-1]) == (1.0, 1.0)
            assert sum(found["scores"]["members"]) == 90
    training = written(tmp_path / "mia" / "loss", "training")
    assert sorted(training) == [0, 1, 2]
    for step, found in training.items():
        assert set(found["logs"]) == {"loss", "val_loss"}
        assert found["logs"]["val_loss"] == pytest.approx(history["val_loss"][step], rel=1e-5)
    verdict = written(tmp_path / "mia" / "loss", "verdict")[2]
    assert verdict["text"] == str(mia.verdict)
    assert verdict["detected"] == dict(mia.verdict.detected)
    assert written(tmp_path / "mia" / "entropy", "training") == {}


def test_epochs_without_an_audit_still_tell_their_losses(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path, every=2)
    fit(mia, make_model, blobs, epochs=5)
    assert sorted(written(tmp_path / "mia" / "loss", "training")) == [0, 1, 2, 3, 4]
    assert sorted(written(tmp_path / "mia" / "loss", "audit")) == [-1, 1, 3, 4]


def test_ids_of_records_are_written_only_when_asked_for(make_model, blobs, tmp_path):
    ids = [f"patient-{k}" for k in range(120)], [f"visitor-{k}" for k in range(90)]

    def run(folder, **asked):
        audit_set = AuditSet(*blobs, ids=ids)
        mia = MIACallback(audit_set, attacks=Threshold("loss"), log_dir=folder, slices="class", **asked)
        fit(mia, make_model, blobs)
        return mia

    run(tmp_path / "plain")
    assert written(tmp_path / "plain" / "mia" / "loss", "records") == {}
    for kind in ("audit", "details", "training", "verdict"):
        assert "patient" not in json.dumps(written(tmp_path / "plain" / "mia" / "loss", kind))
    mia = run(tmp_path / "asked", log_records=7)
    told = written(tmp_path / "asked" / "mia" / "loss", "records")
    assert sorted(told) == [0, 1, 2]
    table = mia.records().head(7)
    assert [row["id"] for row in told[2]["rows"]] == list(table["id"])
    assert all(row["id"].startswith("patient") for table in told.values() for row in table["rows"])
    assert [row["risk_rank"] for row in told[2]["rows"]] == list(range(1, 8))
    assert [row["loss"] for row in told[2]["rows"]] == pytest.approx(list(table["loss"]), rel=1e-5)
    assert told[2]["columns"][0] == "id"
    assert {"row", *told[2]["columns"]} == set(told[2]["rows"][0])
    assert written(tmp_path / "asked" / "mia" / "loss", "pictures") == {}


def test_pictures_of_records_at_risk_come_once_each(tmp_path):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (80, 5, 4)).astype("uint8")
    y = rng.integers(0, 2, 80)
    model = keras.Sequential([keras.Input((5, 4)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    mia = MIACallback(
        (x[:40], y[:40]),
        (x[40:], y[40:]),
        attacks=Threshold("loss"),
        log_dir=tmp_path,
        log_records=6,
        log_pictures=True,
    )
    model.fit(x[:40], y[:40], epochs=4, verbose=0, callbacks=[mia])
    run = tmp_path / "mia" / "loss"
    listed = {row["row"] for table in written(run, "records").values() for row in table["rows"]}
    pictured = [(row, one) for found in written(run, "pictures").values() for row, one in found["pictures"].items()]
    assert sorted(int(row) for row, _ in pictured) == sorted(listed)  # each once
    for row, picture in pictured:
        shades = tf.io.decode_png(tf.io.decode_base64(picture["png"].replace("+", "-").replace("/", "_"))).numpy()
        assert (picture["width"], picture["height"]) == (4, 5)
        values = np.asarray(mia.audit_set.x)[int(row)].astype(float)
        low, high = float(np.min(mia.audit_set.x)), float(np.max(mia.audit_set.x))
        np.testing.assert_allclose(shades[..., 0], 255 * (values - low) / (high - low), atol=0.51)


def reports_of(attacks, slices, size=400, warnings=()):
    rng = np.random.default_rng(0)
    truth = np.arange(2 * size) < size
    whole, sliced = [], []
    for attack in attacks:
        scores = rng.normal(size=2 * size) + truth
        group = rng.integers(0, max(1, slices), 2 * size)
        parts = [Slice(f"a rather long name of slice number {k}", group == k) for k in range(slices)]
        whole.append(LeakageReport.from_scores(scores, truth, attack, step=0, warnings=warnings))
        sliced += sliced_reports(scores, truth, parts, attack, step=0, warnings=warnings)
    return whole, sliced


@pytest.mark.parametrize(("attacks", "slices"), [(1, 1_000), (5, 100), (15, 60), (40, 3)])
def test_an_audit_never_writes_more_than_its_bound(attacks, slices):
    words = np.random.default_rng(0).integers(33, 127, (40, 5_000)).astype(np.uint8)
    whole, sliced = reports_of(
        [f"attack_{k}" for k in range(attacks)], slices, 150, ["".join(map(chr, w)) for w in words[:3]]
    )
    log = Kept()
    PrivacyLog(log, "attack_0").audit(whole, sliced, 0)
    assert sum(log.sizes.values()) <= MOST_BYTES_AN_AUDIT
    for report in whole:
        kept = log.contents[report.attack, "audit", 0]["report"]
        assert kept["auc"]["value"] == pytest.approx(float(report.auc), rel=1e-5)
        details = log.contents.get((report.attack, "details", 0))
        if details is not None:
            assert len(details["slices"]) + details["slices_left_out"] == slices


def test_five_attacks_on_ten_slices_stay_far_below_the_bound_and_lose_nothing():
    whole, sliced = reports_of(["loss", "lira", "rmia", "entropy", "margin"], 10, 2_000)
    log = Kept()
    PrivacyLog(log, "loss").audit(whole, sliced, 0)
    assert sum(log.sizes.values()) < MOST_BYTES_AN_AUDIT / 2
    assert all(log.contents[report.attack, "details", 0]["slices_left_out"] == 0 for report in whole)


def test_a_thousand_epochs_of_five_attacks_on_ten_slices_stay_below_fifty_megabytes(tmp_path):
    """Scalars included; twenty of them are written, all alike in size."""
    whole, sliced = reports_of(
        ["loss", "lira", "rmia", "entropy", "margin"], 10, 2_000, ["A warning of usual length." * 4]
    )
    publisher = Publisher(keras.Sequential(), "mia", [report.attack for report in whole], str(tmp_path), True)
    for epoch in range(20):
        publisher.show(whole, sliced, epoch)
        publisher.epoch({"loss": 1 / (epoch + 1), "val_loss": 0.5}, epoch)
    publisher.close()
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size * 1_000 / 20 < 50e6


def test_many_or_large_records_are_cut_to_what_there_is_room_for():
    log = Kept()
    tab = PrivacyLog(log, "loss")
    rng = np.random.default_rng(0)
    rows = [{"row": k, "id": "".join(map(chr, rng.integers(33, 127, 400))), "loss": rng.normal()} for k in range(2_000)]
    tab.records(["id", "loss"], rows, 0)
    assert log.sizes["loss", "records", 0] <= MOST_BYTES_AN_AUDIT / 4
    kept = log.contents["loss", "records", 0]["rows"]
    assert all(row["id"][:39] == rows[row["row"]]["id"][:39] for row in kept)  # without its middle
    assert all(row["id"][-40:] == rows[row["row"]]["id"][-40:] for row in kept)
    assert [row["row"] for row in kept] == list(range(len(kept)))
    assert max(len(row["id"]) for row in kept) <= 80
    for step in range(3):
        noise = rng.integers(0, 256, (40, 96, 96, 3)).astype(np.uint8)
        wanted = tab.unpictured(range(40 * step, 40 * step + 40))
        tab.pictures(dict(zip(wanted, noise, strict=False)), step)
    assert sum(size for (_, kind, _), size in log.sizes.items() if kind == "pictures") < 1.1 * MOST_PICTURE_BYTES
    assert set(tab.unpictured(range(200))).isdisjoint(tab._pictured)


def test_odd_cells_become_plain_ones():
    log = Kept()
    row = {
        "row": 1,
        "id": b"\xff<b>",
        "a": np.float32("nan"),
        "b": np.int64(3),
        "c": None,
        "d": np.bool_(True),
        "e": -np.inf,
    }
    PrivacyLog(log, "loss").records(list("abcde"), [{**row, "x" * 5: [1, 2]}], 0)
    (kept,) = log.contents["loss", "records", 0]["rows"]
    assert kept == {
        "row": 1,
        "id": "�<b>",
        "a": "NaN",
        "b": 3,
        "c": None,
        "d": True,
        "e": "-Infinity",
        "xxxxx": "[1, 2]",
    }


def test_logs_that_are_no_numbers_are_left_out():
    log = Kept()
    PrivacyLog(log, "loss").training({"loss": np.float32(0.5), "a": "0.5", "b": [1.0], "c": float("nan"), "d": None}, 4)
    assert log.contents["loss", "training", 4] == {"logs": {"loss": 0.5, "c": "NaN"}}


def test_a_failed_attack_is_told_with_its_reason(make_model, blobs, tmp_path):
    class Broken(Threshold):
        name = "broken"

        def score(self, signals):
            raise ValueError("no idea")

    broken = Broken("loss")
    mia = MIACallback(*blobs, attacks=[Threshold("loss"), broken], log_dir=tmp_path)
    with pytest.warns(AuditWarning, match="no idea"):
        fit(mia, make_model, blobs)
    (folder,) = [path for path in (tmp_path / "mia").iterdir() if path.is_dir() and path.name != "loss"]
    told = written(folder, "audit")[2]
    assert told["report"]["failed"]
    assert "no idea" in told["words"]
    assert written(folder, "details")[2] == {"roc": None, "scores": None, "slices": [], "slices_left_out": 0}


def test_shadow_attacks_are_told_like_others(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, attacks=[LiRA()], shadow_models=4, log_dir=tmp_path)
    with pytest.warns(AuditWarning):
        fit(mia, make_model, blobs, epochs=2)
    told = written(tmp_path / "mia" / "lira", "audit")
    assert sorted(told) == [-1, 0, 1]


def test_range_curves_are_told_whole():
    whole, _ = reports_of(["range_0", "range_1"], 0)
    payload = json.loads(
        zlib.decompress(ranges_payload("radius", (0.5, 2), {"range attack": whole, "point attack": whole}))
    )
    assert (payload["label"], payload["sizes"]) == ("radius", [0.5, 2])
    assert [curve["name"] for curve in payload["curves"]] == ["range attack", "point attack"]
    assert [report["attack"] for report in payload["curves"][0]["reports"]] == ["range_0", "range_1"]


def test_the_verdict_names_attacks_first_and_few_slices():
    whole, sliced = reports_of(["loss", "lira"], 20, 2_000)
    text = str(leak_verdict([*whole, *sliced]))
    assert text.startswith(
        "leak detected: loss from epoch 1 on, lira from epoch 1 on, loss on a rather long name of slice number"
    )
    assert ", and 37 more on slices (error 5 %" in text
    assert len(text) < 600


def test_at_the_end_the_tab_speaks_of_the_weights_the_user_holds(make_model, blobs, tmp_path):
    """An averaging optimizer swaps its weights in when training ends; the scalars keep those of the epoch's end."""
    mia = MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path)
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model = make_model(optimizer=optimizer)
    model.fit(*blobs[0], epochs=3, batch_size=30, verbose=0, callbacks=[mia])
    live, held = [report for report in mia.reports if report.step == 2]
    assert float(live.auc) != float(held.auc)
    told = LeakageReport.from_dict(written(tmp_path / "mia" / "loss", "audit")[2]["report"])
    assert float(told.auc) == pytest.approx(float(held.auc), rel=1e-5)
    assert any("the model holds now" in note for note in told.notes)


def test_pictures_of_one_step_that_come_later_join_those_that_came_first():
    log = Kept()
    tab = PrivacyLog(log, "loss")
    grey = np.zeros((2, 2, 1), np.uint8)
    for rows in ([1, 2], [2, 3], [3]):
        tab.pictures(dict.fromkeys(tab.unpictured(rows), grey), 5)
    assert set(log.contents["loss", "pictures", 5]["pictures"]) == {"1", "2", "3"}


def test_whole_numbers_of_records_stay_whole(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path, log_records=3)
    fit(mia, make_model, blobs)
    for row in written(tmp_path / "mia" / "loss", "records")[2]["rows"]:
        assert all(type(row[name]) is int for name in ("label", "risk_rank"))
        assert row["id"].isdecimal()


@pytest.mark.parametrize(
    ("id", "text"),
    [
        (2**60 + 1, "1152921504606846977"),
        (12345678.0, "12345678"),
        (1.5, "1.5"),
        (np.int64(7), "7"),
        (b"a", "a"),
        (True, "True"),
    ],
)
def test_ids_are_told_to_the_last_digit(id, text):
    log = Kept()
    PrivacyLog(log, "loss").records(["id"], [{"row": 0, "id": id}], 0)
    assert log.contents["loss", "records", 0]["rows"][0]["id"] == text


def test_records_at_risk_are_members_even_if_more_were_asked_for(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path, log_records=1_000)
    fit(mia, make_model, blobs, epochs=1)
    rows = written(tmp_path / "mia" / "loss", "records")[0]["rows"]
    assert len(rows) == 90
    assert all(row["risk_rank"] is not None and row["row"] < 90 for row in rows)


def test_losses_stand_apart_from_what_other_callbacks_of_the_kind_wrote(make_model, blobs, tmp_path):
    first = MIACallback(*blobs, attacks=Threshold("loss"), name="one", every="train_end")
    second = MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path)
    third = MIACallback(*blobs, attacks=Threshold("loss"), name="three")
    fit(third, make_model, blobs, first, second, epochs=2)
    assert set(written(tmp_path / "mia" / "loss", "training")[1]["logs"]) == {"loss"}
    assert set(first._epoch_logs()["values"]) == {"loss"}  # though it leaves the logs alone


def test_odd_numbers_in_the_logs_cost_no_epoch():
    log = Kept()
    PrivacyLog(log, "loss").training({"loss": 0.5, "huge": 10**400, "ragged": [[1], [1, 2]]}, 0)
    assert log.contents["loss", "training", 0] == {"logs": {"loss": 0.5}}


def test_a_picture_without_room_is_tried_once_and_hides_no_smaller_one():
    log = Kept()
    tab = PrivacyLog(log, "loss")
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3)).astype(np.uint8)
    tab.pictures({1: noise, 2: noise[:2, :2]}, 0)
    assert set(log.contents["loss", "pictures", 0]["pictures"]) == {"2"}
    assert tab.unpictured([1, 2, 3]) == [3]


def test_descriptions_of_scalars_are_written_with_their_first_value_alone(make_model, blobs, tmp_path):
    fit(MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path), make_model, blobs)
    run = EventAccumulator(str(tmp_path / "mia" / "loss"), size_guidance={"tensors": 0}).Reload()
    assert "random member outscores" in run.SummaryMetadata("mia/auc").summary_description
    (file,) = (tmp_path / "mia" / "loss").iterdir()
    assert (
        file.read_bytes().count(b"Probability that a random member outscores a random non-member") == 3
    )  # value, low, high


def test_charts_are_for_so_many_slices_as_one_can_look_at(tmp_path):
    whole, sliced = reports_of(["loss", "lira", "rmia"], 25, 400)
    publisher = Publisher(keras.Sequential(), "mia", ["loss", "lira", "rmia"], str(tmp_path), True)
    publisher.show(whole, sliced, 0)
    publisher.close()
    for attack, charts in (("loss", 25), ("lira", 25), ("rmia", 0)):
        run = EventAccumulator(str(tmp_path / "mia" / attack), size_guidance={"tensors": 0}).Reload()
        tags = [tag for tag in run.Tags()["tensors"] if tag.startswith("mia_slices/") and tag.endswith("/auc")]
        assert len(tags) == charts


def test_records_are_listed_ever_more_rarely():
    course = Course()
    listed = []
    for audit in range(1, 201):
        course.losses.append(None)
        listed += [audit] if course.is_milestone else []
    assert listed[:20] == list(range(1, 21))
    assert listed[20:30] == list(range(22, 41, 2))
    assert len(listed) < 75
