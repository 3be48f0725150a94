"""Nothing in an event file is taken for granted: what may be shown, and why the rest may not."""

import json
import zlib

import numpy as np
import pytest
from page.privacy_logs import content_of, packed
from page.privacy_payloads import audit_pieces, picture, ranges_payload, records_payload

from privacy_callbacks.attacks import EpsilonBound, EpsilonReading, Estimate, PrivacyClaim
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.tensorboard_plugin.payload_kinds import KINDS
from privacy_callbacks.tensorboard_plugin.payload_values import PayloadError
from privacy_callbacks.tensorboard_plugin.payloads import MOST_BYTES, Header, header_of, payload_of, tensor_bytes


@pytest.fixture(scope="module")
def pieces():
    """The payload of every kind, as an audit writes it."""
    rng = np.random.default_rng(0)
    audit, details = audit_pieces("lira", 3, rng.normal(size=400) + np.repeat([0.5, 0], 200), 200, headline=True)
    return {
        "audit": audit.payload,
        "details": details.payload,
        "training": {"logs": {"loss": 0.25, "val_loss": 1 / 3}},
        "records": records_payload([3, 5], ["lira"], rng),
        "pictures": {"pictures": {"3": picture(3)}},
        "verdict": {"text": "A leak.", "detected": {"lira": 3, "loss": None}, "void": None},
        "ranges": ranges_payload([1.0, 2.0], seed=0),
    }


def changed(payload, path, value):
    """A copy with another value at a path of keys; a missing one if the value is `...`."""
    copy = json.loads(json.dumps(payload))
    held = copy
    for key in path[:-1]:
        held = held[key]
    if value is ...:
        del held[path[-1]]
    else:
        held[path[-1]] = value
    return copy


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_audit_writes_is_read_as_it_was_but_for_digits_beyond_the_sixth(kind, pieces):
    def close(found, written):
        if isinstance(written, dict):
            assert set(written) <= set(found)
            for name, part in written.items():
                close(found[name], part)
        elif isinstance(written, list):
            assert len(found) == len(written)
            for one, part in zip(found, written, strict=True):
                close(one, part)
        else:
            assert found == (pytest.approx(written, rel=5e-6) if isinstance(written, float) else written)

    close(payload_of(kind, packed(pieces[kind])), json.loads(json.dumps(pieces[kind])))


def test_a_report_can_be_read_back_from_what_is_shown(pieces):
    report = payload_of("audit", packed(pieces["audit"]))["report"]
    assert float(LeakageReport.from_dict(report).auc) == pytest.approx(
        pieces["audit"]["report"]["auc"]["value"], rel=5e-6
    )


def test_a_band_may_have_gaps(pieces):
    low = payload_of("details", packed(pieces["details"]))["roc"]["low"]
    assert low[0] is None
    assert None not in low[1:]


def test_numbers_have_six_digits_and_those_that_are_not_finite_are_named(pieces):
    assert payload_of("training", packed(pieces["training"]))["logs"] == {"loss": 0.25, "val_loss": 0.333333}
    endless = zlib.compress(b'{"logs": {"a": "NaN", "b": "-Infinity", "c": 1e999, "d": "much", "e": [1], "f": true}}')
    logs = payload_of("training", endless)["logs"]
    assert logs == {"a": "NaN", "b": "-Infinity", "c": "Infinity", "d": None, "e": None, "f": None}


@pytest.mark.parametrize(
    ("kind", "path", "value", "told"),
    [
        ("audit", ["report"], [], "'report' is \\[\\], where fields by name"),
        ("audit", ["report", "auc", "value"], "high", "where a number"),
        ("audit", ["report", "auc", "value"], ..., "has no 'value'"),
        ("audit", ["report", "auc"], 0.6, "where fields by name"),
        ("audit", ["report", "auc"], None, "says otherwise"),
        ("audit", ["report", "tpr_at_fpr_1e-2"], "x", "where fields by name"),
        ("audit", ["report", "num_members"], -1, "0 or more"),
        ("audit", ["report", "num_members"], True, "whole number"),
        ("audit", ["report", "num_members"], 2**53 + 1, "whole number"),
        ("audit", ["report", "warnings"], "one", "where a list"),
        ("audit", ["report", "notes"], [1], "where a string"),
        ("audit", ["report", "refusals"], {"auc": 1}, "where a string"),
        ("audit", ["report", "schema_version"], 3, "newer version"),
        ("audit", ["report", "failed"], "no", "where true or false"),
        ("audit", ["headline"], ..., "has no 'headline'"),
        ("audit", ["words"], None, "where a string"),
        ("audit", ["words"], "x" * 20_001, "where a string"),
        ("details", ["roc", "tpr"], [0.5], "different lengths"),
        ("details", ["roc", "fpr", 0], 0.9, "do not ascend"),
        ("details", ["roc", "fpr", 0], -0.1, "finite numbers"),
        ("details", ["roc", "low", 0], "NaN", "finite numbers"),
        ("details", ["roc", "num_members"], ..., "has no 'num_members' in its ROC"),
        ("details", ["scores", "members"], [1], "1 entries, where 40"),
        ("details", ["scores", "edges", 0], 1e9, "do not ascend"),
        ("details", ["scores", "edges"], [0.5] * 41, "do not ascend"),
        ("details", ["scores", "below"], [1], "1 entries, where 2"),
        ("details", ["slices"], [1], "where fields by name"),
        ("details", ["slices", 0, "slice"], 3, "where a string"),
        ("details", ["slices_left_out"], 0.5, "whole number"),
        ("details", ["roc", "fpr"], [0.5] * 10_001, "where a list"),
        ("training", ["logs"], [], "where fields by name"),
        ("records", ["columns"], "id", "where a list"),
        ("records", ["rows", 0, "row"], ..., "has no 'row'"),
        ("records", ["rows", 0, "id"], ["x"], "where a number"),
        ("records", ["rows", 0, "id"], 10**40, "where a whole number"),
        ("records", ["rows", 0, "row"], 2**53 + 1, "where a whole number"),
        ("pictures", ["pictures", "3", "png"], "PHN2Zz4=", "no PNG"),
        ("pictures", ["pictures", "3", "png"], "<svg>", "no base64"),
        ("pictures", ["pictures", "3", "png"], 7, "no base64"),
        ("pictures", ["pictures", "3", "width"], 10**6, "4096 pixels"),
        ("pictures", ["pictures", "x"], picture(1), "belongs to no row"),
        ("verdict", ["detected"], {"lira": "soon"}, "whole number"),
        ("ranges", ["sizes"], [1], "has 2 reports, where 1"),
        ("ranges", ["sizes", 0], 2**53 + 1, "finite numbers"),
        ("ranges", ["curves", 0, "reports", 0], None, "where fields by name"),
    ],
)
def test_a_damaged_piece_is_refused_in_words(kind, path, value, told, pieces):
    with pytest.raises(PayloadError, match=told):
        payload_of(kind, packed(changed(pieces[kind], path, value)))


@pytest.mark.parametrize("held", [2**53, -(2**53)])
def test_whole_numbers_that_a_browser_holds_are_kept_as_they_are(held, pieces):
    assert payload_of("ranges", packed(changed(pieces["ranges"], ["sizes", 0], held)))["sizes"][0] == float(
        f"{held:.6g}"
    )
    read = payload_of("records", packed(changed(pieces["records"], ["rows", 0, "id"], held)))
    assert read["rows"][0]["id"] == held


@pytest.mark.parametrize("id", [2**53 + 1, -(2**53) - 1, 2**63 + 25, 10**40 - 1])
def test_ids_that_a_browser_would_round_become_text(id, pieces):
    read = payload_of("records", packed(changed(pieces["records"], ["rows", 0, "id"], id)))
    assert read["rows"][0]["id"] == str(id)


def test_of_very_many_figures_and_sentences_some_are_kept(pieces):
    long = changed(pieces["audit"], ["report", "warnings"], ["x" * 3_000, *["y"] * 300])["report"]
    long["notes"] = ["z" * 2_000] * 300
    long["refusals"] = {f"rate {rank}": "w" * 3_000 for rank in range(300)}
    long |= {f"tpr_at_fpr_{rank}": None for rank in range(100)}
    auc = long.pop("auc")
    long["auc"] = {f"further {rank}": rank for rank in range(100)} | auc  # what must be there comes last
    report = payload_of("audit", packed({**pieces["audit"], "report": long}))["report"]
    assert (len(report["warnings"]), len(report["notes"]), len(report["refusals"])) == (200, 200, 200)
    assert report["warnings"][0] == "x" * 1_999 + "…"
    assert report["notes"][0] == "z" * 2_000
    assert max(map(len, report["refusals"].values())) == 2_000
    assert sum(name.startswith("tpr_at_fpr_") for name in report) == 20
    assert {"value", "low", "high", "level"} <= set(report["auc"])
    assert sum(name.startswith("further") for name in report["auc"]) <= 20


def test_what_a_newer_version_adds_is_left_out(pieces):
    further = {**pieces["verdict"], "html": "<script>"}
    assert payload_of("verdict", packed(further)) == payload_of("verdict", packed(pieces["verdict"]))


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (b"", "cut short"),
        (b"{}", "no compressed text"),
        (zlib.compress(b'{"logs": {}}')[:-6], "cut short"),
        (zlib.compress(b"{"), "no JSON"),
        (zlib.compress(b'{"logs": {"loss": NaN}}'), "no JSON"),
        (zlib.compress(b'{"logs": {"loss": ' + b"9" * 5_000 + b"}}"), "no JSON"),
        (zlib.compress(b"\xff\xfe"), "no JSON"),
        (zlib.compress(b"[]"), "fields by name"),
        (zlib.compress(b"[" * 100_000), "nested deeper than 12 levels"),
        (zlib.compress(b'{"logs": {"loss": ' + b"[" * 13 + b"]" * 13 + b"}}"), "nested deeper than 12 levels"),
        (zlib.compress(b" " * (MOST_BYTES + 1)), "more than 4 MiB"),
    ],
)
def test_a_tensor_that_holds_no_payload_is_refused_in_words(tensor, told):
    with pytest.raises(PayloadError, match=told):
        payload_of("training", tensor)


def test_brackets_within_strings_are_no_nesting():
    assert payload_of("training", zlib.compress(b'{"logs": {"' + rb"[\"[" * 50 + b'": 1}}'))["logs"] == {'["[' * 50: 1}


def test_a_text_made_to_be_slow_is_refused_at_once():
    with pytest.raises(PayloadError, match="no JSON"):
        payload_of("training", zlib.compress(b'"' + rb"\"" * 1_000_000))


def test_halves_of_letters_become_question_marks():
    found = payload_of("training", zlib.compress(rb'{"logs": {"\ud800x": 1}}'))
    assert found == {"logs": {"?x": 1}}


@pytest.mark.parametrize(
    ("tensor", "held"),
    [
        (np.array(b"x", dtype=object), b"x"),
        (np.array([b"x"], dtype=object), b"x"),
        (np.array([b"x", b"y"], dtype=object), None),
        (np.zeros(3), None),
        (np.array(1.5), None),
        (np.array([], dtype=object), None),
    ],
)
def test_a_tensor_holds_one_string_or_nothing(tensor, held):
    assert tensor_bytes(tensor) == held


def test_a_series_says_what_it_is():
    assert header_of(content_of("mia", "lira", "audit")) == Header("mia", "lira", "audit")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no JSON"),
        (b"[1]", "fields by name"),
        (content_of("mia", "lira", "audit", schema_version=2), "schema version 2; a newer version"),
        (content_of("mia", "lira", "dances"), "kind 'dances' is unknown"),
        (content_of("", "lira", "audit"), "no callback or no attack"),
        (content_of("mia", 3, "audit"), "where a string"),
        (content_of("x" * 5_000, "lira", "audit"), "bytes"),
    ],
)
def test_a_series_that_says_something_else_is_refused_in_words(content, told):
    with pytest.raises(PayloadError, match=told):
        header_of(content)


def epsilon(**changed):
    """The ε of a report as it is written."""
    one = EpsilonBound(0.123456789, method="one_run", delta=1e-5, level=0.95, ceiling=3.0, details={"look": 2})
    exposed = Estimate(2.0, 1.5, 2.5, null_level=1.6)
    held = EpsilonReading(one, one, None, PrivacyClaim(1.0, 1e-5), exposed).to_dict()
    return held | changed


def with_epsilon(pieces, held):
    piece = pieces["audit"]
    return {**piece, "report": {**piece["report"], "epsilon": held}}


def test_the_epsilon_of_a_report_can_be_read_back(pieces):
    shown = KINDS["audit"](with_epsilon(pieces, epsilon()))["report"]
    read = LeakageReport.from_dict(shown).epsilon
    assert (round(float(read.best), 6), read.claim.epsilon, float(read.exposure)) == (0.123457, 1.0, 2.0)
    assert read.best.details == {"look": 2}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "epsilon"}, "neither a bound nor an estimate"),
        ({"best": {"value": 1}}, "method"),
        ({"best": {**epsilon()["best"], "value": "much"}}, "best"),
        ({"claim": {"epsilon": 1}}, "delta"),
        ({"exposure": {"value": 1}}, "level"),
        ({"doubt": 3}, "doubt"),
    ],
)
def test_an_odd_epsilon_is_refused_in_words(changed, told, pieces):
    with pytest.raises(PayloadError, match=told):
        KINDS["audit"](with_epsilon(pieces, epsilon(**changed)))
