"""Reports as a section of a model card: what stands in it, and that no string can become markup."""

import html
import re
from dataclasses import replace

import markdown
import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import (
    EpsilonBound,
    EpsilonReading,
    Estimate,
    LeakageReport,
    PrivacyClaim,
    leak_verdict,
    reports_to_markdown,
)
from privacy_callbacks.attacks.grouped_reports import audits_by_attack, strongest_of
from privacy_callbacks.attacks.markdown_text import as_markdown
from privacy_callbacks.attacks.report import failed_report
from privacy_callbacks.attacks.report_in_words import in_words

HOSTILE = "a|b `code` **bold** _it_ <script>alert(1)</script> [x](javascript:alert(1)) ![p](http://x.y/p.png)\n# head\n| cell |"


def report(attack="loss", separation=1.0, step=3, **described):
    scores, is_member = GaussianWorld(separation).draw(1_000, 1_000, np.random.default_rng(0))
    return LeakageReport.from_scores(scores, is_member, attack=attack, step=step, **described)


def part(number, auc, attack="loss", **described):
    return LeakageReport(attack, f"class {number}", 3, 50, 40, auc=auc, **described)


def rows_of(section):
    """The tables' rows as lists of cells, heads included."""
    lines = [line for line in section.split("\n") if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def rendered(section):
    return markdown.markdown(section, extensions=["tables"])


def test_a_report_is_a_section_with_words_a_row_and_how_to_read_it():
    loss = report()
    section = loss.to_markdown()
    assert section.startswith("## Membership leakage\n\n")
    assert as_markdown(in_words(loss)) in section
    heads, row = rows_of(section)
    assert heads == ["Attack", "AUC", "TPR at 1 % FPR", "Advantage (null level)", "Members / non-members", "Audited"]
    assert row[0] == "loss"
    assert row[1].startswith(f"{float(loss.auc):.3f} [")
    assert row[2].startswith(f"{float(loss.tpr_at_fpr[0.01]):.3f} [")
    assert row[3] == f"{float(loss.advantage):.3f} ({loss.advantage.null_level:.3f})"
    assert row[4:] == ["1,000 / 1,000", "after epoch 4"]
    assert "TPR at FPR 0.001 needs 10,000 non-members" in section
    assert "Brackets hold 95 % confidence intervals." in section
    assert "not finding a leak is no proof that there is none" in section
    assert section.endswith(".\n")
    assert "Written by privacy-callbacks" in section


def test_several_attacks_stand_in_their_order_and_the_strongest_speaks_too():
    section = reports_to_markdown([report("loss", 0.5), report("lira", 2.0), report("rmia", 1.0)], title="Card")
    assert section.startswith("## Card\n")
    assert [row[0] for row in rows_of(section)[1:]] == ["loss", "lira", "rmia"]
    paragraphs = section.split("\n\n")
    assert "an attacker (loss)" in paragraphs[1]
    assert "an attacker (lira)" in paragraphs[2]
    assert "rmia" not in paragraphs[1] + paragraphs[2]


def test_of_each_attack_the_newest_audit_is_told():
    section = reports_to_markdown([report(step=step, separation=step) for step in (-1, 0, 2, 1)])
    assert [row[-1] for row in rows_of(section)[1:]] == ["after epoch 3"]
    assert rows_of(report(step=None).to_markdown())[1][-1] == "–"
    assert rows_of(report(step=-1).to_markdown())[1][-1] == "before training"


def test_the_verdict_over_all_audits_can_be_told():
    reports = [report(separation=2.0)]
    section = reports_to_markdown(reports, verdict=leak_verdict(reports))
    assert "Over all audits: leak detected: loss from epoch 4 on (error 5 % over 1 audit by 1 attack)." in section
    assert "Over all audits" not in reports_to_markdown(reports)


def test_slices_stand_worst_first_and_ten_at_most():
    parts = [part(number, Estimate(0.6, 0.4 + number / 100, 0.9, 0.99)) for number in range(12)]
    parts.append(replace(part(99, None), warnings=("slice too small",)))
    section = reports_to_markdown([report(), *parts])
    rows = rows_of(section)[3:]
    assert [row[0] for row in rows] == [f"class {number}" for number in range(11, 1, -1)]
    assert "3 more slices are not shown." in section
    assert "those of slices are widened so that they hold for all slices of an attack together" in section
    failed = reports_to_markdown([report(), parts[-1]])
    assert rows_of(failed)[-1][2] == "no result: slice too small"


def test_a_slice_without_its_whole_stands_for_itself():
    section = part(3, Estimate(0.6, 0.55, 0.65)).to_markdown()
    assert rows_of(section)[1][:2] == ["loss on class 3", "0.600 [0.550, 0.650]"]


def test_warnings_notes_and_refusals_name_the_attacks_that_they_are_about():
    reports = [report("loss", warnings=("both", "one")), report("lira", warnings=("both",), notes=("a note",))]
    section = reports_to_markdown([*reports, failed_report("rmia", "no shadow models", step=3)])
    assert "* both (loss, lira)\n* one (loss)\n* no shadow models (rmia)" in section
    assert "### Notes\n\n* a note (lira)" in section
    assert rows_of(section)[3] == ["rmia", "no result", "no result", "no result", "0 / 0", "after epoch 4"]
    assert "* both\n" in reports_to_markdown([reports[1]])


def test_what_was_refused_is_not_a_number():
    tiny = LeakageReport.from_scores([1.0, 0.0], [1, 0], attack="loss")
    section = tiny.to_markdown()
    assert rows_of(section)[1][2] == "not computed"
    assert "* Youden's J: " in section
    assert "* balanced accuracy: " in section


@pytest.mark.parametrize("where", ["attack", "slice", "warnings", "notes", "void", "title", "verdict", "refusals"])
def test_a_hostile_string_stays_text_wherever_it_comes_from(where):
    plain = report(void="void", warnings=("warning",), notes=("note",))
    slices = [part(1, Estimate(0.6, 0.5, 0.7))]
    title, verdict = "title", "verdict"
    if where == "attack":
        plain, slices = replace(plain, attack=HOSTILE), [replace(slices[0], attack=HOSTILE)]
    elif where == "slice":
        slices = [replace(slices[0], slice=HOSTILE)]
    elif where in ("warnings", "notes"):
        plain = replace(plain, **{where: (HOSTILE,)})
    elif where == "void":
        plain = replace(plain, void=HOSTILE)
    elif where == "refusals":
        plain = replace(plain, refusals={"auc": HOSTILE})
    elif where == "title":
        title = HOSTILE
    else:
        verdict = HOSTILE
    harmless = reports_to_markdown([report(void="v", warnings=("w",), notes=("n",)), part(1, Estimate(0.6, 0.5, 0.7))])
    section = reports_to_markdown([plain, *slices], title, verdict=verdict)
    shown = rendered(section)
    assert set(_tags(shown)) <= set(_tags(rendered(harmless)))
    assert section.count("\n## ") + section.startswith("## ") == 1
    assert {len(row) for row in rows_of(section)} == {6, 4}
    assert "a|b `code` **bold** _it_ <script>alert(1)</script> [x](javascript:alert(1))" in _text(shown)


def _tags(shown):
    return re.findall(r"<(\w+)", shown)


def _text(shown):
    return html.unescape(re.sub(r"</?\w+[^>]*>", "", shown))


@pytest.mark.parametrize(
    "text",
    [
        "# head",
        "- item",
        "+ item",
        "1. item",
        "12) item",
        "> quote",
        "=== line",
        "    code",
        "\ttab",
        "~~~",
        "***",
        "| a | b |",
    ],
)
def test_no_text_begins_a_block(text):
    for section in (as_markdown(text), f"* {as_markdown(text)}"):
        assert set(_tags(rendered(section))) <= {"p", "ul", "li"}
        assert " ".join(text.split()) == _text(rendered(section)).strip()
        assert _tags(rendered(section)).count("ul") == section.startswith("* ")


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/x",
        "HTTP://example.org/x",
        "www.example.org",
        "_www.example.org",
        "(WWW.example.org)",
        "<https://x.y>",
        "me@example.org",
        "mailto:me@example.org",
        "xmpp:me@example.org/x",
    ],
)
def test_no_text_becomes_a_link(text):
    shown = _text(rendered(as_markdown(text)))
    assert shown.replace("\u200b", "") == text
    # GitHub makes links of what stands in the text after entities are resolved.
    assert not re.search(r"(https?|ftp)://|(?<![a-z0-9])www\.|[\w.+-]@[\w-]|(mailto|xmpp):", shown, re.IGNORECASE)


def test_hashes_at_the_end_of_a_heading_are_shown():
    assert _text(rendered(f"## {as_markdown('run #')}")).strip() == "run #"
    assert _text(rendered(f"## {as_markdown('C ##')}")).strip() == "C ##"


def test_characters_that_steer_are_blanks():
    assert as_markdown("a\u202eb\x1b[31mc\u2028d\x00") == "a b \\[31mc d"


def test_nothing_and_other_things_are_refused():
    with pytest.raises(ValueError, match="no report was given; give at least one"):
        reports_to_markdown([])
    with pytest.raises(TypeError, match="give a list of LeakageReports"):
        reports_to_markdown(report())
    with pytest.raises(TypeError, match="give a list of LeakageReports"):
        reports_to_markdown(["report"])


# ------------------------------------------------------------------------------------------------------------- grouping


def test_reports_are_grouped_by_attack_and_audit_with_their_slices():
    reports = [
        report("loss", step=1),
        report("lira", step=1),
        part(1, None),
        report("loss", step=3),
        report("loss", step=0),
    ]
    found = audits_by_attack(reports)
    assert list(found) == ["loss", "lira"]
    assert [audit.step for audit in found["loss"]] == [0, 1, 3]
    assert [len(audit.sliced) for audit in found["loss"]] == [0, 0, 1]


def test_of_one_step_the_later_report_counts_and_those_at_no_epoch_come_after_all():
    reports = [report(step=4), replace(report(step=4), notes=("again",)), report(step=None), report(step=None)]
    audits = audits_by_attack(reports)["loss"]
    assert [audit.step for audit in audits] == [4, 5, 6]
    assert audits[0].whole.notes == ("again",)
    assert [audit.step for audit in audits_by_attack([report(step=None)])["loss"]] == [0]
    assert [audit.step for audit in audits_by_attack([report(step=-1), report(step=None)])["loss"]] == [-1, 0]


def test_the_strongest_is_the_one_whose_interval_begins_highest():
    wide = LeakageReport("wide", auc=Estimate(0.9, 0.4, 1.0))
    sure = LeakageReport("sure", auc=Estimate(0.7, 0.6, 0.8))
    assert strongest_of([wide, sure, failed_report("x", "no")]) is sure
    assert strongest_of([failed_report("x", "no")]) is None


def test_the_epsilon_of_a_training_stands_in_the_section_and_in_the_table():
    from privacy_callbacks.attacks.report_rows import report_table

    bound = EpsilonBound(2.0, method="one_run", delta=1e-5, level=0.95)
    told = replace(report(), epsilon=EpsilonReading(bound, bound, None, PrivacyClaim(1.0, 1e-5)))
    assert "ε of the training, by" in reports_to_markdown([told])
    assert "at least 2 at δ 1e-05, 95 %; claimed 1" in reports_to_markdown([told]).replace("\\", "")
    row = report_table([told, report()])
    assert row["epsilon_lower_bound"].tolist()[0] == 2.0
    assert np.isnan(row["epsilon_lower_bound"].tolist()[1])
    assert "epsilon_lower_bound" not in report_table([report()])
