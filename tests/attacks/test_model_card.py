"""Model cards: metadata as Hugging Face reads it, and cards that are merged into without harm."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import Estimate, LeakageReport, model_card, model_card_metadata, reports_to_markdown
from privacy_callbacks.attacks.card_text import MARKED
from privacy_callbacks.attacks.report import failed_report

DATA = {"dataset_name": "Digits", "dataset_type": "digits"}
OLD = """---
license: apache-2.0  # as always
version: 1.10
answer: no
when: 2026-11-23
library_name: keras-hub
# what was measured
model-index:
- name: me/old
  results:
  - task: {type: image-classification}
    dataset: {name: Digits, type: digits}
    metrics:
    - type: accuracy
      value: 0.91

# about tags
tags: [keras]
---
# My model

Text — with *markup*.

## License
As above.
"""
HOSTILE = "a: b # c\n- d\x1b[2J \"e' {f} \u2028&g *h !i %j @k `l` <!-- m --> 🗝 \udc80"


def report(attack="loss", gain=1.0, n=1_000, **described):
    scores, is_member = GaussianWorld(gain).draw(n, n, np.random.default_rng(0))
    return LeakageReport.from_scores(scores, is_member, attack, **{"step": 3, **described})


def parts(card):
    """(front matter as it is, body), taken apart by the pattern that `huggingface_hub` uses."""
    found = re.search(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))", card)
    return found[2], card[found.end() :]


def front_matter(card):
    return yaml.safe_load(parts(card)[0])


def flattened(index):
    """(model, task, dataset, metric) of each figure: what `huggingface_hub` needs of a model-index, read as it does."""
    return [
        (entry["name"], result["task"]["type"], (result["dataset"]["type"], result["dataset"]["name"]), metric)
        for entry in index
        for result in entry["results"]
        for metric in result["metrics"]
        if (metric["type"], metric["value"])
    ]


def types_in(card):
    return [metric["type"] for *_, metric in flattened(front_matter(card)["model-index"])]


class TestMetadata:
    def test_each_figure_names_its_attack_and_carries_its_interval(self):
        found = report()
        metadata = model_card_metadata([found], **DATA, model_name="me/model", task_type="image-classification")
        assert list(metadata) == ["model-index"]
        auc, advantage, tpr = flattened(metadata["model-index"])
        assert auc[:3] == ("me/model", "image-classification", ("digits", "Digits"))
        assert auc[3] == {
            "type": "membership_inference_auc",
            "value": round(float(found.auc), 4),
            "name": "AUC of membership inference (loss)",
            "args": {
                "attack": "loss",
                "low": pytest.approx(found.auc.low, abs=1e-4),
                "high": pytest.approx(found.auc.high, abs=1e-4),
                "level": 0.95,
                "members": 1_000,
                "nonmembers": 1_000,
                "after_epoch": 4,
            },
        }
        assert advantage[3]["args"]["null_level"] >= found.advantage.null_level
        assert "low" not in advantage[3]["args"]
        assert tpr[3]["type"] == "membership_inference_tpr_at_fpr_1e-2"

    def test_it_is_plain_and_strict_json(self):
        metadata = model_card_metadata([report()], **DATA)
        assert json.loads(json.dumps(metadata, allow_nan=False)) == metadata
        assert {type(metric["value"]) for *_, metric in flattened(metadata["model-index"])} == {float}

    def test_bounds_are_rounded_outwards(self):
        found = replace(report(), auc=Estimate(0.59, 0.58001, 0.59999))
        (*_, auc), *_ = flattened(model_card_metadata([found], **DATA)["model-index"])
        assert (auc["args"]["low"], auc["value"], auc["args"]["high"]) == (0.58, 0.59, 0.6)

    def test_of_each_attack_the_newest_audit_counts(self):
        reports = [report(step=0, gain=0.0), report("lira", gain=2.0, step=0), report(step=1)]
        found = flattened(model_card_metadata(reports, **DATA)["model-index"])
        when = {metric["args"]["attack"]: metric["args"]["after_epoch"] for *_, metric in found}
        assert when == {"loss": 2, "lira": 1}
        later = flattened(model_card_metadata([report(step=None)], **DATA)["model-index"])
        assert "after_epoch" not in later[0][3]["args"]

    def test_what_is_not_known_is_left_out(self):
        nan = replace(report("nan"), auc=Estimate(float("nan")))
        reports = [report(n=200), failed_report("lira", "no shadow models"), report("void", void="differ"), nan]
        found = [metric for *_, metric in flattened(model_card_metadata(reports, **DATA)["model-index"])]
        assert {metric["args"]["attack"] for metric in found} == {"loss", "nan"}
        assert [metric["type"] for metric in found if metric["args"]["attack"] == "loss"] == [
            "membership_inference_auc",
            "membership_inference_advantage",
        ]
        assert "membership_inference_auc" not in [m["type"] for m in found if m["args"]["attack"] == "nan"]

    def test_nothing_known_is_no_metadata(self):
        assert model_card_metadata([failed_report("loss", "broken")], **DATA) == {}

    @pytest.mark.parametrize(
        ("reports", "named", "error", "message"),
        [
            ([], {}, ValueError, "no report was given"),
            (["report"], {}, TypeError, "give a list of LeakageReports"),
            (report(), {}, TypeError, "give a list of LeakageReports"),
            ([report()], {"dataset_name": 3}, TypeError, "dataset_name is 3; give it as text"),
            ([report()], {"task_type": " \n"}, ValueError, "task_type is .*; give a name that can be read"),
        ],
    )
    def test_what_is_no_report_or_name_is_refused(self, reports, named, error, message):
        for function in (model_card_metadata, model_card):
            with pytest.raises(error, match=message):
                function(reports, **DATA | named)


class TestNewCard:
    def test_front_matter_and_section_say_the_same(self):
        reports = [report(), report("lira", 2.0)]
        card = model_card(reports, **DATA, model_name="me/model", title="Leakage", verdict="leak detected")
        front = front_matter(card)
        assert front["library_name"] == "keras"
        assert "membership-inference" in front["tags"]
        assert front["model-index"] == model_card_metadata(reports, **DATA, model_name="me/model")["model-index"]
        assert reports_to_markdown(reports, "Leakage", verdict="leak detected") in card
        assert "\n# me/model\n" in card
        assert card.endswith("-->\n")

    def test_it_needs_no_yaml(self):
        code = """
import sys
sys.modules["yaml"] = None
from privacy_callbacks.attacks import Estimate, LeakageReport, model_card
report = LeakageReport("loss", auc=Estimate(0.5, 0.4, 0.6))
named = dict(dataset_name="d", dataset_type="d")
print(model_card([report], **named).splitlines()[0])
try:
    model_card([report], **named, into="# Card")
except ImportError as reason:
    print(reason)
print(*{"tensorflow", "keras", "pandas"} & set(sys.modules))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[0] == "---"
        assert 'run `pip install "privacy-callbacks[cli]"`' in done.stdout.splitlines()[1]
        assert done.stdout.splitlines()[2] == ""

    def test_no_name_becomes_markup_or_yaml(self):
        named = dict.fromkeys(["dataset_name", "dataset_type", "model_name", "task_type"], HOSTILE)
        card = model_card([report(HOSTILE)], **named)
        assert front_matter(card)["model-index"] == model_card_metadata([report(HOSTILE)], **named)["model-index"]
        assert set(front_matter(card)) == {"library_name", "tags", "model-index"}
        body = parts(card)[1]
        assert body.count("<!--") == 2
        assert "\x1b" not in card

    def test_a_reader_of_yaml_takes_numbers_for_numbers(self):
        tiny = replace(report(), auc=Estimate(0.0, 0.0, 1e-7))
        (*_, auc), *_ = flattened(front_matter(model_card([tiny], **DATA))["model-index"])
        assert (auc["value"], auc["args"]["high"]) == (0.0, 0.0001)

    def test_a_card_of_failures_has_a_section_and_no_figures(self):
        card = model_card([failed_report("loss", "it broke")], **DATA)
        assert "model-index" not in front_matter(card)
        assert "it broke" in card


class TestMerging:
    def test_everything_else_stays_as_it_is(self):
        card = model_card([report()], **DATA, into=OLD)
        yaml_before, body_before = parts(OLD)
        yaml_after, body_after = parts(card)
        above, below = yaml_before.split("model-index:")[0], yaml_before[yaml_before.index("\n# about") :]
        assert yaml_after.startswith(above)
        assert yaml_after.endswith(below)
        assert body_after.startswith(body_before)
        assert front_matter(card) == {**front_matter(OLD), "model-index": front_matter(card)["model-index"]}
        assert types_in(card)[0] == "accuracy"
        assert len(types_in(card)) == 4
        assert [entry["name"] for entry in front_matter(card)["model-index"]] == ["me/old"]

    def test_a_second_time_replaces_the_first(self):
        first = model_card([report(), report("lira", 2.0)], **DATA, into=OLD)
        second = model_card([report(gain=0.1)], **DATA, into=first.replace("As above", "As below"))
        assert second == model_card([report(gain=0.1)], **DATA, into=OLD.replace("As above", "As below"))
        assert model_card([report(gain=0.1)], **DATA, into=second) == second

    def test_a_section_in_the_middle_stays_there(self):
        marked = MARKED.format(section="old\n")
        card = model_card([report()], **DATA, into=f"# A\n\n{marked}\n## B\n")
        assert card.index("# A\n\n<!--") < card.index("## Membership leakage") < card.index("-->\n\n## B\n")
        assert "\nold\n" not in card

    def test_another_models_results_stay_and_a_name_decides_where_these_go(self):
        card = model_card([report()], **DATA, model_name="me/new", into=OLD)
        found = flattened(front_matter(card)["model-index"])
        assert [(name, metric["type"]) for name, *_, metric in found][:2] == [
            ("me/old", "accuracy"),
            ("me/new", "membership_inference_auc"),
        ]

    def test_figures_that_are_not_known_any_more_go(self):
        first = model_card([report()], **DATA, into=OLD)
        assert types_in(model_card([failed_report("loss", "broken")], **DATA, into=first)) == ["accuracy"]
        alone = model_card([report()], **DATA)
        assert "model-index" not in front_matter(model_card([failed_report("loss", "broken")], **DATA, into=alone))

    @pytest.mark.parametrize(
        "old", ["", "# Title only", "# Title\n\ntext\n", "---\n---\n# T\n", "---\nlicense: mit\n---"]
    )
    def test_a_card_with_little_in_it_gets_what_is_missing(self, old):
        card = model_card([report()], **DATA, into=old)
        assert len(types_in(card)) == 3
        assert old.split("---")[-1].strip() in parts(card)[1]
        assert model_card([report()], **DATA, into=card) == card

    def test_line_ends_and_a_byte_order_mark_are_kept(self):
        card = model_card([report()], **DATA, into="\ufeff" + OLD.replace("\n", "\r\n"))
        assert card.startswith("\ufeff---\r\n")
        assert "\n" not in card.replace("\r\n", "")
        assert card.removeprefix("\ufeff").replace("\r\n", "\n") == model_card([report()], **DATA, into=OLD)

    def test_a_model_index_at_the_end_or_on_one_line(self):
        for line in ("model-index:", "model-index: []  # none yet", "model-index: null"):
            card = model_card([report()], **DATA, into=f"---\nlicense: mit\n{line}\n# bye\n---\n")
            assert len(types_in(card)) == 3
            assert front_matter(card)["license"] == "mit"
            assert "# bye\n---\n" in card

    @pytest.mark.parametrize(
        ("old", "message"),
        [
            ("---\na: [\n---\n", "front matter cannot be read .*; mend it"),
            ("---\n- a\n---\n", "has another form than expected; give lines of `key: value`"),
            ("---\n{a: 1}\n---\n", "has another form than expected"),
            ("---\n  a: 1\n---\n", "has another form than expected"),
            ("---\nmodel-index: []\nmodel-index: []\n---\n", "has 2 times 'model-index'; leave one"),
            ("---\nmodel-index: 3\n---\n", "no list of entries with `results`"),
            ("---\nmodel-index: [{name: a, results: [3]}]\n---\n", "no list of entries with `results`"),
            (
                "---\nmodel-index: &a []\nother: *a\n---\n",
                "cannot be replaced in the card's front matter alone|cannot be read",
            ),
            ("---\na: !!python/object:os.system {}\n---\n", "front matter cannot be read"),
            ("---\na: " + "[" * 5_000 + "\n---\n", "front matter cannot be read"),
            (MARKED.format(section="") * 2, "has 2 of the comment"),
            (MARKED.format(section="").splitlines()[-1] + "\n", "has 0 of the comment .* and 1 of"),
            ("\n".join(reversed(MARKED.format(section="").splitlines())), "in this order"),
        ],
    )
    def test_what_cannot_be_merged_into_is_refused(self, old, message):
        with pytest.raises(ValueError, match=message):
            model_card([report()], **DATA, into=old)
