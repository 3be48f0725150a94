import hashlib
import json
import os
import pickle
import struct
from dataclasses import fields, replace

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import Estimate, LeakageReport, RocCurve
from privacy_callbacks.attacks import report_files as files
from privacy_callbacks.attacks.by_slice import sliced_reports
from privacy_callbacks.attacks.report import SCHEMA_VERSION, failed_report
from privacy_callbacks.attacks.report_files import load_reports, save_reports
from privacy_callbacks.attacks.report_rows import report_table
from privacy_callbacks.attacks.slices import by_class


def bits(value):
    """Everything that two values may differ in: types, the bits of floats, order."""
    if isinstance(value, Estimate):
        return bits([float(value), value.low, value.high, value.level, value.null_level, dict(value.details)])
    if isinstance(value, RocCurve):
        return [bits(getattr(value, spec.name)) for spec in fields(value)]
    if isinstance(value, LeakageReport):
        return {spec.name: bits(getattr(value, spec.name)) for spec in fields(value)}
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: bits(part) for name, part in value.items()}, list(value)
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [bits(part) for part in value]
    return (type(value).__name__, struct.pack(">d", value)) if isinstance(value, float) else (type(value), value)


def of_every_kind():
    """One report of each kind that the package makes, by what is special about it."""
    rng = np.random.default_rng(0)
    scores, is_member = GaussianWorld(1.0).draw(1_100, 1_100, rng)
    labels = rng.integers(0, 25, is_member.size)
    slices = sliced_reports(scores, is_member, by_class(labels, range(26)), step=2, void="sides differ")
    infinite = np.where(rng.random(scores.size) < 0.1, -np.inf, scores)
    infinite[:5] = np.inf
    return {
        "ordinary": LeakageReport.from_scores(scores, is_member, "loss", step=3),
        "before training": LeakageReport.from_scores(scores, is_member, "loss", step=-1),
        "metrics refused": LeakageReport.from_scores([1.0, 0.0], [1, 0]),
        "ties": LeakageReport.from_scores(np.ones(12), [1, 0] * 6),
        "infinite scores": LeakageReport.from_scores(infinite, is_member),
        "folds": LeakageReport.from_scores(scores, is_member, "trained", step=3, folds=labels % 2),
        "another level": LeakageReport.from_scores(scores, is_member, level=0.99),
        "sentences": LeakageReport.from_scores(
            [3.0, 2, 1], [1, 0, 1], notes=("½ − 💧 \"x\"\n\u2028\\",), warnings=("é", ""), void="wie gewürfelt"
        ),
        "failed": failed_report("lira", "audit failed: outputs are NaN", step=4, num_members=5, num_nonmembers=6),
        "no curve": replace(LeakageReport.from_scores(scores, is_member), roc=None),
        "slice": slices[0],
        "slice too small": slices[-1],
    }  # fmt: skip


EVERY_KIND = of_every_kind()


@pytest.fixture
def ordinary():
    return EVERY_KIND["ordinary"]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_report_comes_back_from_json_bit_for_bit_but_for_its_curve(kind):
    report = EVERY_KIND[kind]
    for text in (report.to_json(), report.to_json(indent=2)):
        assert bits(LeakageReport.from_json(text)) == bits(replace(report, roc=None))
    assert bits(LeakageReport.from_dict(report.to_dict())) == bits(replace(report, roc=None))


def test_the_kinds_are_what_they_are_called():
    assert EVERY_KIND["slice"].auc.level == pytest.approx(1 - 0.05 / 26)
    assert EVERY_KIND["slice"].holm_p_value is not None
    assert EVERY_KIND["slice"].void
    assert EVERY_KIND["slice too small"].failed
    assert EVERY_KIND["folds"].folds == 2
    assert EVERY_KIND["metrics refused"].refusals
    assert type(EVERY_KIND["ordinary"].tpr_at_fpr[0.01].details["false_positives"]) is int


def random_report(seed):
    """Any bits in any number, any content in any field."""
    rng = np.random.default_rng(seed)

    def number():
        odd = (-0.0, 5e-324, np.inf, -np.inf, float("nan"), 1e308, 0.1 + 0.2)
        drawn = struct.unpack(">d", rng.bytes(8))[0]
        return odd[rng.integers(len(odd))] if rng.random() < 0.3 or np.isnan(drawn) else drawn

    def perhaps(make):
        return make() if rng.random() < 0.7 else None

    def words():
        return "".join(map(chr, rng.choice([9, 10, 34, 92, 65, 233, 8232, 128_167, 0], rng.integers(6))))

    def estimate():
        details = {words() + "_": number() if rng.random() < 0.5 else int(rng.integers(2**62)) for _ in range(2)}
        return Estimate(number(), perhaps(number), perhaps(number), number(), perhaps(number), details)

    names = ("auc", "advantage", "youden_j", "balanced_accuracy", "mutual_information")
    return LeakageReport(
        words(),
        words(),
        perhaps(lambda: int(rng.integers(-1, 2**40))),
        int(rng.integers(2**40)),
        int(rng.integers(2**40)),
        **{name: perhaps(estimate) for name in names},
        tpr_at_fpr={fpr: perhaps(estimate) for fpr in (0.1, 0.01, 0.001, 0.025)},
        p_value=perhaps(number),
        holm_p_value=perhaps(number),
        roc=perhaps(lambda: RocCurve.from_scores(rng.normal(size=9).round(1), np.arange(9) < rng.integers(1, 9))),
        warnings=tuple(words() for _ in range(rng.integers(3))),
        notes=tuple(words() for _ in range(rng.integers(3))),
        refusals={words(): words() for _ in range(rng.integers(3))},
        void=perhaps(words),
        folds=int(rng.integers(1, 5)),
    )


def test_whatever_a_report_holds_comes_back_bit_for_bit(tmp_path):
    reports = [random_report(seed) for seed in range(200)]
    for report in reports:
        assert bits(LeakageReport.from_json(report.to_json())) == bits(replace(report, roc=None))
    save_reports(reports, tmp_path / "any.json")
    assert bits(load_reports(tmp_path / "any.json")) == bits(reports)


def test_json_is_strict_and_numbers_that_are_not_finite_are_strings():
    odd = LeakageReport("x", auc=Estimate(float("nan"), -np.inf, np.inf))
    plain = json.loads(odd.to_json(), parse_constant=pytest.fail)
    assert plain["auc"] == {"value": "NaN", "low": "-Infinity", "high": "Infinity", "level": 0.95}


def test_numpy_numbers_become_plain_ones():
    odd = LeakageReport("x", step=np.int64(3), num_members=np.int32(2), p_value=np.float64(0.1))
    odd = replace(odd, auc=Estimate(0.5, details={"hits": np.int64(7), "share": np.float32(0.1)}))
    found = LeakageReport.from_json(odd.to_json())
    assert (found.step, found.num_members, found.p_value) == (3, 2, 0.1)
    assert dict(found.auc.details) == {"hits": 7, "share": float(np.float32(0.1))}


def test_an_estimate_comes_back_from_its_plain_numbers():
    estimate = Estimate(0.6, None, 0.7, 0.9, 0.55, {"hits": 3, "share": 0.1})
    assert bits(Estimate.from_dict(estimate.to_dict())) == bits(estimate)
    assert bits(Estimate.from_dict(Estimate(1.0).to_dict())) == bits(Estimate(1.0))


def test_version_1_is_read(ordinary):
    plain = ordinary.to_dict() | {"schema_version": 1}
    later = {"holm_p_value": None, "folds": 1, "void": None}
    for name in later:
        del plain[name]
    assert bits(LeakageReport.from_dict(plain)) == bits(replace(ordinary, roc=None))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": SCHEMA_VERSION + 1}, f"version {SCHEMA_VERSION + 1}, and this package reads versions up to 2;"),
        ({"schema_version": 0}, "version 0"),
        ({"schema_version": "2"}, "'schema_version' of the report is '2' and should be a whole number"),
        ({"schema_version": None}, "should be a whole number"),
        ({"step": 1.5}, "'step' of the report is 1.5 and should be a whole number"),
        ({"step": True}, "'step' of the report is True and should be a whole number"),
        ({"attack": None}, "'attack' of the report is None and should be a string"),
        ({"num_members": -1}, "'num_members' of the report is -1 and should be a whole number, 0 or more"),
        ({"folds": "2"}, "'folds' of the report is '2'"),
        ({"p_value": "small"}, "'p_value' of the report is 'small' and should be a number"),
        ({"holm_p_value": [0.1]}, "'holm_p_value' of the report is"),
        ({"holm_p_value": 10**400}, "should be a number that a float can hold"),
        ({"warnings": "one"}, "'warnings' of the report is 'one' and should be a list of strings"),
        ({"notes": [1]}, "should be a list of strings"),
        ({"refusals": {"auc": 1}}, "'refusals' of the report is {'auc': 1} and should be strings by name"),
        ({"refusals": ["auc"]}, "should be strings by name"),
        ({"void": False}, "'void' of the report is False and should be a string"),
        ({"failed": 0}, "'failed' of the report is 0 and should be true or false"),
        ({"failed": True}, "'failed' of the report is True, which its AUC .* contradicts"),
        ({"auc": None}, "'failed' of the report is False, which its AUC None contradicts"),
        ({"auc": 0.5}, "'auc' of the report: 0.5 is no estimate"),
        ({"auc": {"value": 0.5}}, "'auc' of the report: the estimate has no field 'level'"),
        ({"auc": {"value": "x", "level": 0.95}}, "'value' of the estimate is 'x' and should be a number"),
        ({"auc": {"value": 0.5, "level": 0.95, "low": None}}, "'low' of the estimate is None and should be a number"),
        ({"advantage": {"value": 0.5, "level": 0.95, "hits": "3"}}, "'hits' of the estimate is '3'"),
        ({"tpr_at_fpr_few": None}, "'tpr_at_fpr_few' of the report names no false positive rate"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_what_it_should_be_is_refused(ordinary, change, said):
    with pytest.raises(ValueError, match=said) as refusal:
        LeakageReport.from_dict(ordinary.to_dict() | change)
    assert str(refusal.value).endswith((".", "wrote it."))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", EVERY_KIND["ordinary"].to_dict())
def test_a_missing_field_is_refused(ordinary, name):
    plain = ordinary.to_dict()
    del plain[name]
    with pytest.raises(ValueError, match=f"the report has no field '{name}'; give it whole"):
        LeakageReport.from_dict(plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the text is no JSON"),
        ("{'attack': 1}", "the text is no JSON"),
        ('{"schema_version": NaN}', "the text is no JSON.*bare NaN"),
        (EVERY_KIND["ordinary"].to_json()[:-1], "cut short"),
        ("[" * 100_000, "the text is no JSON"),
        (None, "the text is no JSON"),
        (b"\x80\x04", "the text is no JSON"),
        ("[1, 2]", r"\[1, 2\] is no report"),
        ("3", "3 is no report"),
        ("{}", "the report has no field 'schema_version'"),
    ],
)
def test_text_that_is_no_report_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        LeakageReport.from_json(text)


def test_a_mapping_whose_names_are_no_strings_is_refused():
    with pytest.raises(ValueError, match="is no report, which has fields by name"):
        LeakageReport.from_dict({1: 2})


def test_a_rate_that_its_name_cannot_say_is_refused():
    with pytest.raises(ValueError, match=r"the rate 0\.333.* cannot be named; give one of at most six digits"):
        LeakageReport("x", tpr_at_fpr={1 / 3: None}).to_dict()


def test_reports_come_back_from_a_file_with_their_curves(tmp_path):
    reports = list(EVERY_KIND.values())
    save_reports(iter(reports), tmp_path / "reports.json")
    found = load_reports(str(tmp_path / "reports.json"))
    assert bits(found) == bits(reports)
    assert not found[0].roc.thresholds.flags.writeable
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}


def test_curves_of_large_counts_and_by_hand_come_back(tmp_path):
    counts = (np.array([0, 200, 200, 2**40]), np.array([0, 1, 3, 2**33]))
    weighted = LeakageReport("x", roc=RocCurve(np.array([np.inf, 1.0, -0.0, -np.inf]), *counts))
    falling = LeakageReport("x", roc=RocCurve(np.array([np.inf, 2.0]), np.array([5, 0]), np.array([0, 300])))
    empty = LeakageReport("x", roc=RocCurve(np.zeros(0), np.zeros(0, int), np.zeros(0, int)))
    save_reports([weighted, empty, falling], tmp_path / "r")
    assert bits(load_reports(tmp_path / "r")) == bits([weighted, empty, falling])


def test_no_reports_and_reports_without_curves_need_no_second_file(tmp_path):
    for reports in ([], [EVERY_KIND["failed"], EVERY_KIND["no curve"]]):
        save_reports(reports, tmp_path / "reports.json")
        assert bits(load_reports(tmp_path / "reports.json")) == bits(reports)
        assert [path.name for path in tmp_path.iterdir()] == ["reports.json"]


def test_the_file_is_strict_json_with_one_report_a_line(tmp_path, ordinary):
    save_reports([ordinary, ordinary], tmp_path / "reports.json")
    text = (tmp_path / "reports.json").read_text()
    plain = json.loads(text, parse_constant=pytest.fail)
    assert plain["schema_version"] == 1
    assert plain["reports"] == [ordinary.to_dict()] * 2
    assert sum(line.startswith('{"schema_version": 2') for line in text.splitlines()) == 2


def test_the_archive_holds_numbers_alone(tmp_path, ordinary):
    save_reports([ordinary], tmp_path / "reports.json")
    with np.load(next(tmp_path.glob("*.npz")), allow_pickle=False) as archive:
        assert {archive[name].dtype.kind for name in archive.files} == {"f", "i"}
        assert archive["members_per_score"].itemsize == 1


def test_saving_again_replaces_both_files_and_leaves_those_of_others(tmp_path, ordinary):
    other = EVERY_KIND["ties"]
    save_reports([other], tmp_path / "other.json")
    for reports in ([ordinary], [ordinary, other], [other]):
        save_reports(reports, tmp_path / "reports.json")
        assert bits(load_reports(tmp_path / "reports.json")) == bits(reports)
        assert len(list(tmp_path.iterdir())) == 4
    assert bits(load_reports(tmp_path / "other.json")) == bits([other])


@pytest.mark.parametrize(
    "content", ["[]", '{"curves": {"file": "../kept.npz"}}', '{"curves": {"file": "kept.npz"}}', "\0"]
)
def test_a_foreign_file_in_the_way_is_replaced_and_what_it_names_is_left(tmp_path, ordinary, content):
    (tmp_path / "in").mkdir()
    for kept in (tmp_path / "kept.npz", tmp_path / "in" / "kept.npz"):
        kept.write_text("precious")
    (tmp_path / "in" / "reports.json").write_text(content)
    save_reports([ordinary], tmp_path / "in" / "reports.json")
    assert (tmp_path / "kept.npz").exists()
    assert (tmp_path / "in" / "kept.npz").exists()
    assert len(load_reports(tmp_path / "in" / "reports.json")) == 1


@pytest.mark.parametrize("fails", ["savez", "json", "second rename"])
def test_a_save_that_fails_leaves_the_former_pair_and_nothing_else(tmp_path, monkeypatch, ordinary, fails):
    save_reports([ordinary], tmp_path / "reports.json")
    before = sorted(tmp_path.iterdir())

    def disk_is_full(file, *arguments, **arrays):
        raise OSError("no space left")

    if fails == "savez":
        monkeypatch.setattr(np, "savez", disk_is_full)
    elif fails == "json":
        monkeypatch.setattr(files, "_write", disk_is_full)
    else:
        replace_file, seen = type(tmp_path).replace, []
        monkeypatch.setattr(
            type(tmp_path),
            "replace",
            lambda path, target: disk_is_full(path) if seen else seen.append(replace_file(path, target)),
        )
    with pytest.raises(OSError, match="no space left"):
        save_reports([EVERY_KIND["ties"], ordinary], tmp_path / "reports.json")
    assert sorted(tmp_path.iterdir()) == before
    assert bits(load_reports(tmp_path / "reports.json")) == bits([ordinary])


def test_what_could_not_be_read_again_is_not_written(tmp_path, ordinary):
    for report, said in (
        (replace(ordinary, step="3"), r"report 1 \(from 0\): 'step' of the report is '3'"),
        (replace(ordinary, tpr_at_fpr={}), "the report has no field 'tpr_at_fpr_1e-1'"),
        (replace(ordinary, roc=RocCurve(np.zeros(2), np.zeros(3, int), np.zeros(3, int))), r"points; give it as many"),
    ):
        with pytest.raises(ValueError, match=said):
            save_reports([ordinary, report], tmp_path / "reports.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [EVERY_KIND["ties"], [EVERY_KIND["ties"], "loss"]], ids=["one", "other"])
def test_other_things_than_reports_are_refused(tmp_path, given):
    with pytest.raises(TypeError, match="was given; give a list of LeakageReports, such as"):
        save_reports(given, tmp_path / "reports.json")
    with pytest.raises(TypeError, match="was given; give a list of LeakageReports"):
        report_table(given)


@pytest.fixture
def saved(tmp_path, ordinary):
    """(the JSON, the archive) of three reports, two with a curve."""
    save_reports([ordinary, EVERY_KIND["failed"], EVERY_KIND["ties"]], tmp_path / "reports.json")
    return tmp_path / "reports.json", next(tmp_path.glob("*.npz"))


def test_a_file_that_was_cut_short_is_refused_wherever(saved):
    path, _ = saved
    whole = path.read_bytes()
    assert whole.endswith(b"]}\n")  # without the line's end it is still whole
    for size in [*range(0, len(whole) - 1, 97), len(whole) - 2]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"reports.json is no JSON, or was cut short or changed \("):
            load_reports(path)


def test_a_number_or_a_word_that_was_changed_is_noticed(saved, ordinary):
    path, _ = saved
    whole = path.read_text()
    value = repr(float(ordinary.auc))
    for old, new in ((value, value[:-1]), ("outputs are NaN", "outputs are fine"), ('"step": 3', '"step": 2')):
        assert old in whole
        path.write_text(whole.replace(old, new))
        with pytest.raises(ValueError, match="its reports are not those whose SHA-256 it names; it was changed"):
            load_reports(path)


def test_layout_is_no_change(saved, ordinary):
    path, _ = saved
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1, ensure_ascii=False))
    assert bits(load_reports(path)[0]) == bits(ordinary)


def test_curves_that_are_missing_cut_short_or_of_another_save_are_noticed(saved, tmp_path):
    path, archive = saved
    whole = archive.read_bytes()
    archive.unlink()
    with pytest.raises(
        ValueError, match=r"its curves in reports.json.curves-\w+.npz are missing; put that file beside it"
    ):
        load_reports(path)
    (tmp_path / "elsewhere").mkdir()
    save_reports([EVERY_KIND["folds"]], tmp_path / "elsewhere" / "reports.json")
    another = next((tmp_path / "elsewhere").glob("*.npz")).read_bytes()
    flipped = whole[:900] + bytes([whole[900] ^ 1]) + whole[901:]
    for content in (b"", whole[:-1], whole[:50], flipped, another):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match="is not the file whose SHA-256 it names; give it as it was written"):
            load_reports(path)
    archive.write_bytes(whole)
    assert len(load_reports(path)) == 3


def test_files_that_are_moved_together_stay_a_pair(saved, tmp_path):
    path, archive = saved
    expected = bits(load_reports(path))
    (tmp_path / "kept").mkdir()
    archive.rename(tmp_path / "kept" / archive.name)
    path.rename(tmp_path / "kept" / "first.json")
    assert bits(load_reports(tmp_path / "kept" / "first.json")) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no JSON"),
        (pickle.dumps([1.0]), "is no JSON"),
        (b"[]", "is JSON, but not of save_reports"),
        (b'{"schema_version": 1, "reports": []}', "is JSON, but not of save_reports"),
        (EVERY_KIND["failed"].to_json().encode(), "read a single report with LeakageReport.from_json"),
        (b'{"format": "privacy_callbacks reports"}', "the file has no field 'schema_version'"),
        (b'{"format": "privacy_callbacks reports", "schema_version": 2}', "version 2, and this package reads versions up to 1"),
        (b'{"format": "privacy_callbacks reports", "schema_version": 1}', "the file has no field 'reports'"),
        (b'{"format": "privacy_callbacks reports", "schema_version": 1, "reports": 3}', "should be a list"),
        (b'{"format": "privacy_callbacks reports", "schema_version": 1, "reports": [1e999]}', "has no field 'curves'"),
    ],
)  # fmt: skip
def test_a_file_of_something_else_is_refused(tmp_path, content, said):
    (tmp_path / "reports.json").write_bytes(content)
    with pytest.raises(ValueError, match=said) as refusal:
        load_reports(tmp_path / "reports.json")
    assert "reports.json" in str(refusal.value)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_reports(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError):
        save_reports([], tmp_path / "no folder" / "reports.json")


def forge(path, change):
    """Changes the file and mends its digest: what only somebody who means it would do."""
    held = json.loads(path.read_text())
    change(held)
    held["sha256"] = files._digest(map(json.dumps, held["reports"]), held["curves"])
    path.write_text(json.dumps(held))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held["reports"][2].update(schema_version=9), r"report 2 \(from 0\): the report is of schema version 9"),
        (lambda held: held["reports"].append(3), r"report 3 \(from 0\): 3 is no report"),
        (lambda held: held["curves"].update(file="../reports.npz"), "'../reports.npz' and should be the name of a file"),
        (lambda held: held["curves"].update(file=".."), "'..' and should be the name of a file beside it"),
        (lambda held: held["curves"].update(file="\0.curves-0123456789abcdef.npz"), "should be the name of a"),
        (lambda held: held["curves"].update(file="/tmp/a.curves-0123456789abcdef.npz"), "should be the name of a"),
        (lambda held: held["curves"].update(file="a.curves-0123456789abcdef.npz"), "are missing"),
        (lambda held: held["curves"].update(points="many"), "'points' of the part on curves is 'many' and should be a list"),
        (lambda held: held["curves"].update(points=[1, None, -2]), "should be a whole number, 0 or more"),
        (lambda held: held["curves"].update(points=[1, None, 2]), "and 3 points were announced"),
        (lambda held: held["curves"].update(points=[None]), "1 points for 3 reports"),
        (lambda held: held.update(curves=[]), "is no part on curves"),
        (lambda held: held["curves"].pop("sha256"), "the part on curves has no field 'sha256'"),
    ],
)  # fmt: skip
def test_a_forged_file_is_refused(saved, change, said):
    path, _ = saved
    forge(path, change)
    with pytest.raises(ValueError, match=said):
        load_reports(path)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_ever_unpickled(saved):
    path, archive = saved
    good = np.zeros(3)
    objects = np.array([Trap()], dtype=object)
    np.savez(archive, thresholds=objects, members_per_score=good, nonmembers_per_score=good)
    in_zip = archive.read_bytes()
    np.save(archive.with_suffix(".npy"), objects)
    npy = archive.with_suffix(".npy").read_bytes()
    for content in (in_zip, npy, pickle.dumps(Trap()), b"PK\x03\x04 and no more", b""):
        archive.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        forge(path, lambda held, digest=digest: held["curves"].update(sha256=digest))
        with pytest.raises(ValueError, match=r"its curves cannot be read \(.*; save the reports again"):
            load_reports(path)


def test_arrays_of_other_types_are_refused(saved):
    path, archive = saved
    size = sum(points for points in json.loads(path.read_text())["curves"]["points"] if points)
    words = np.full(size, "a")
    np.savez(archive, thresholds=words, members_per_score=words, nonmembers_per_score=words)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    forge(path, lambda held: held["curves"].update(sha256=digest))
    with pytest.raises(ValueError, match="its curves are <U1"):
        load_reports(path)


@pytest.mark.slow
def test_five_thousand_reports_are_one_file(tmp_path, ordinary):
    reports = [replace(ordinary, step=step, slice=f"class {k}", roc=None) for step in range(100) for k in range(50)]
    save_reports(reports, tmp_path / "reports.json")
    assert os.path.getsize(tmp_path / "reports.json") < 2_000 * len(reports)
    found = load_reports(tmp_path / "reports.json")
    assert [(report.step, report.slice) for report in found] == [(report.step, report.slice) for report in reports]
    assert bits(found[-1]) == bits(reports[-1])


def test_the_table_has_one_row_a_report_with_the_numbers_of_scalars():
    reports = list(EVERY_KIND.values())
    table = report_table(reports)
    assert len(table) == len(reports)
    for row, report in zip(table.to_dict("records"), reports, strict=True):
        scalars = report.scalars()
        for name in LeakageReport("").estimates():
            for column in (name, f"{name}_low", f"{name}_high", f"{name}_null_level"):
                np.testing.assert_array_equal(row[column], scalars.get(column, np.nan))
        for name in ("attack", "slice", "num_members", "num_nonmembers", "failed"):
            assert row[name] == getattr(report, name)
        for name in ("p_value", "holm_p_value"):
            np.testing.assert_array_equal(row[name], np.nan if getattr(report, name) is None else getattr(report, name))
        np.testing.assert_array_equal(row["level"], np.nan if report.failed else report.auc.level)


def test_the_table_says_why_a_row_tells_nothing():
    table = report_table(EVERY_KIND.values()).set_axis(EVERY_KIND)
    assert table["void"]["failed"] == "audit failed: outputs are NaN"
    assert table["void"]["slice"] == "sides differ"
    assert table["void"]["slice too small"].startswith("slice too small: ")
    assert table["void"].isna()["ordinary"]
    assert report_table([LeakageReport("x")])["void"].isna().all()  # failed, and no one said why


def test_the_columns_are_those_of_an_empty_table_and_have_its_types():
    empty, full = report_table([]), report_table(EVERY_KIND.values())
    assert len(empty) == 0
    assert list(empty.dtypes.items()) == list(full.dtypes.items())
    kinds = {name: str(kind) for name, kind in full.dtypes.items()}
    assert kinds["step"] == "Int64"
    assert kinds["num_members"] == "int64"
    assert kinds["failed"] == "bool"
    assert {kinds[name] for name in ("attack", "slice", "void")} == {"string"}
    assert {kinds[name] for name in ("auc", "tpr_at_fpr_1e-3_low", "advantage_null_level", "p_value", "level")} == {
        "float64"
    }
    assert list(kinds)[:6] == ["step", "attack", "slice", "num_members", "num_nonmembers", "auc"]
    assert list(kinds)[-5:] == ["level", "p_value", "holm_p_value", "failed", "void"]


def test_steps_stay_whole_numbers_beside_none():
    table = report_table([LeakageReport("x", step=step) for step in (None, -1, 7)])
    assert table["step"].isna().tolist() == [True, False, False]
    assert table["step"].dropna().tolist() == [-1, 7]


def test_a_rate_of_ones_own_is_a_column_of_its_own():
    table = report_table([LeakageReport("x", tpr_at_fpr={0.025: Estimate(0.5)}), LeakageReport("y")])
    np.testing.assert_array_equal(table["tpr_at_fpr_2.5e-2"], [0.5, np.nan])
