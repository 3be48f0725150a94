"""`privacy-audit report`: from logs to one HTML file and a model card's section, and what is refused before."""

import json
import re
import subprocess
import sys

import pytest
from browser import open_browser
from click.testing import CliRunner
from page.privacy_logs import append_events, content_of, privacy_event, write_ranges, write_run

from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import LeakageReport
from privacy_callbacks.attacks.report_in_words import in_words
from privacy_callbacks.command_line import privacy_audit
from privacy_callbacks.logged_reports import logged_runs
from privacy_callbacks.tensorboard_plugin.log_directory import open_log_directory, page_data


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """One run with records, a smaller one, and range curves."""
    folder = tmp_path_factory.mktemp("logs")
    write_run(folder / "run1", attacks=("loss", "lira"), steps=range(-1, 6), records=True, pictures=True, size=300)
    write_run(folder / "run2", attacks=("loss",), steps=range(3), slices=0, size=300, seed=1)
    write_ranges(folder)
    return folder


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs `privacy-audit report` in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(privacy_audit(), ["report", *map(str, arguments)])


def embedded(path):
    found = re.search(
        r'<script type="application/json" id="privacy-data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL
    )
    return json.loads(found[1])


def test_logs_become_one_file_with_all_that_they_hold(logs, command, tmp_path):
    done = command(logs, "-o", "report.html", "--title", "Model X")
    assert done.exit_code == 0, done.output
    assert re.search(
        r"^written: report\.html \(\d\.\d MB; 2 runs, 17 audits, 1 range curve\)$", done.stdout, re.MULTILINE
    )
    page = embedded(tmp_path / "report.html")
    assert page["title"] == "Model X"
    assert page["thinned"] is None
    assert [run["id"] for run in page["overview"]["runs"]] == ["run1/mia", "run2/mia"]
    assert len(page["details"]["run1/mia/lira"]) == 7
    assert page["records"]["run1/mia"]["tables"]
    words = page["overview"]["runs"][0]["attacks"][0]["words"][-1]
    assert f"run1/mia: {words}\n" in done.stdout


def test_a_file_that_is_there_is_replaced(logs, command, tmp_path):
    (tmp_path / "report.html").write_text("old")
    assert command(logs, "-o", "report.html").exit_code == 0
    assert "old" not in (tmp_path / "report.html").read_text("utf-8")[:10]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_curves_of_fewer_audits_can_be_asked_for(logs, command, tmp_path):
    assert command(logs, "-o", "report.html", "--most-audits", 3).exit_code == 0
    page = embedded(tmp_path / "report.html")
    assert [item["step"] for item in page["details"]["run1/mia/lira"]] == [-1, 2, 5]
    assert page["overview"]["runs"][0]["attacks"][0]["steps"] == list(range(-1, 6))
    assert page["thinned"]


def test_a_section_a_run_can_be_printed_and_nothing_else_is(logs, command):
    done = command(logs, "--markdown", "-", "--title", "Leakage")
    assert done.exit_code == 0
    assert re.findall(r"^## .*$", done.stdout, re.MULTILINE) == ["## Leakage: run1/mia", "## Leakage: run2/mia"]
    assert done.stdout.startswith("## Leakage: run1/mia\n")
    assert len(re.findall(r"^\| loss \| 0\..*after epoch \d \|$", done.stdout, re.MULTILINE)) == 2
    assert "Over all audits: A leak was told from epoch 3 on." in done.stdout
    assert "run1/mia: Shown" in done.stderr


def test_a_section_can_go_to_a_file_beside_the_page(logs, command, tmp_path):
    done = command(logs / "run2", "-o", "report.html", "--markdown", "card.md")
    assert done.exit_code == 0
    assert done.stdout.endswith("written: card.md\n")
    assert (tmp_path / "card.md").read_text("utf-8").startswith("## Membership leakage\n")


def test_the_newest_reports_are_read_back_with_their_slices(logs):
    page = page_data(open_log_directory(logs))
    first, second = logged_runs(page)
    assert [report.attack for report in first.reports if report.slice == "entire"] == ["loss", "lira"]
    assert {report.step for report in first.reports} == {5}
    parts = [report for report in first.reports if report.attack == "lira" and report.slice != "entire"]
    assert len(parts) == 10
    assert [report.failed for report in parts].count(True) == 1
    assert len(second.reports) == 1
    whole = first.reports[0]
    assert LeakageReport.from_dict(page["details"]["run1/mia/loss"][-1]["report"]).to_dict() == whole.to_dict()
    assert f"an attacker ({whole.attack})" in in_words(whole)
    assert first.verdict == "A leak was told from epoch 3 on."
    assert first.unreadable == ()


def test_slices_that_were_not_logged_are_counted_in_a_note(logs):
    page = page_data(open_log_directory(logs))
    page["details"]["run2/mia/loss"][-1]["slices_left_out"] = 60
    assert list(logged_runs(page))[1].reports[0].notes[-1] == "60 further slices, less at risk, were not logged."


def test_a_report_that_cannot_be_read_back_is_said_and_the_others_are_there(logs):
    page = page_data(open_log_directory(logs))
    page["details"]["run1/mia/lira"][-1]["report"]["auc"] = None
    first, _ = logged_runs(page)
    assert {report.attack for report in first.reports} == {"loss"}
    assert first.unreadable[0].startswith("run1/mia/lira: 'failed' of the report is")


def test_damaged_pieces_are_named_and_the_rest_is_written(command, tmp_path):
    write_run(tmp_path / "logs", attacks=("loss",), steps=range(2), slices=0, size=100)
    append_events(
        tmp_path / "logs" / "mia" / "loss",
        [privacy_event("mia/privacy_audit", 2, b"\x1b[31m broken", content_of("mia", "loss", "audit"))],
    )
    done = command("logs", "-o", "report.html")
    assert done.exit_code == 0
    assert "not readable: " in done.stderr
    assert "\x1b" not in done.output
    assert len(embedded(tmp_path / "report.html")["details"]["mia/loss"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "there is nothing to write; give -o report.html, --markdown FILE, or both."),
        (["-o", "-"], "a page is a file, so give its name, such as -o report.html."),
        (["-o", "x", "--markdown", "./x"], "x is to be both the page and the section; give two names."),
        (["-o", "."], ". is a folder; give the name of a file, such as report.html."),
        (["-o", "no/report.html"], "the folder no does not exist; make it"),
        (["--markdown", "no/card.md"], "the folder no does not exist; make it"),
        (["-o", "report.html", "--most-audits", "1"], "most_audits is 1; give at least 2"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words_and_nothing_is_written(logs, command, tmp_path, arguments, said):
    done = command(logs, *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("refused: ")
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_folders_without_logs_are_refused(command, tmp_path):
    done = command("missing", "-o", "report.html")
    assert (done.exit_code, "refused: 'missing' is no folder" in done.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    done = command("empty", "-o", "report.html")
    assert (done.exit_code, "holds no data of the Privacy tab" in done.stderr) == (2, True)


def test_a_section_needs_an_audit(command, tmp_path):
    write_ranges(tmp_path / "logs")
    done = command("logs", "--markdown", "card.md", "-o", "report.html")
    assert done.exit_code == 2
    assert "the logs hold no audit that a section could tell of" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    done = command("logs", "-o", "report.html")
    assert (done.exit_code, "1 range curve)" in done.stdout) == (0, True)


def test_names_from_logs_do_not_steer_the_terminal(command, tmp_path):
    # Click itself takes away colours where it prints to no terminal, but neither of the other two.
    write_run(tmp_path / "logs" / "a\x1b[31mb\u202ec\x07", attacks=("loss",), steps=[0], slices=0, size=100)
    for arguments in (("--markdown", "-"), ("-o", "report.html")):
        done = command("logs", *arguments)
        assert done.exit_code == 0
        assert " c " in done.output
        assert not {"\x1b", "\u202e", "\x07"} & set(done.output)


def test_making_a_page_imports_neither_tensorflow_nor_keras(logs, tmp_path):
    code = f"""
import sys
sys.argv = ["privacy-audit", "report", {str(logs)!r}, "-o", {str(tmp_path / "x.html")!r}, "--markdown", "-"]
from privacy_callbacks.command_line import main
try:
    main()
except SystemExit as done:
    print("exit", done.code, {{"tensorflow", "keras", "pandas", "sklearn"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "exit 0 set()" in done.stdout, done.stderr


@pytest.mark.filterwarnings("ignore::privacy_callbacks.attacks.audit_warning.AuditWarning")  # of few records
def test_a_callback_writes_its_own_page_and_section(blobs, make_model, tmp_path):
    mia = MIACallback(*blobs, name="own")
    with pytest.raises(ValueError, match="no report was given; give at least one, such as mia"):
        mia.to_markdown()
    members, nonmembers = blobs
    make_model().fit(*members, validation_data=nonmembers, epochs=3, verbose=0, callbacks=[mia])
    mia.to_html(tmp_path / "fit.html")
    page = embedded(tmp_path / "fit.html")
    (run,) = page["overview"]["runs"]
    assert run["attacks"][0]["attack"] == "loss"
    assert run["attacks"][0]["steps"] == [-1, 0, 1, 2]
    assert run["training"]["steps"] == [0, 1, 2]
    assert {"loss", "val_loss"} <= set(run["training"]["values"])
    assert not any(name.startswith("own_") for name in run["training"]["values"])
    assert run["verdict"]["text"] == str(mia.verdict)
    assert all(item["roc"] for item in page["details"]["audit/loss"])
    section = mia.to_markdown()
    assert "| loss | " in section
    assert "after epoch 3" in section
    assert page["records"] == {}
    mia.model.fit(*members, epochs=1, verbose=0)
    mia.to_html(tmp_path / "later.html")
    # A fit without the callback is none of its own.
    assert embedded(tmp_path / "later.html")["overview"]["runs"][0]["training"] == run["training"]


@pytest.mark.slow
def test_the_file_opens_in_a_browser_and_shows_what_the_logs_hold(logs, command, tmp_path):
    assert command(logs, "-o", "report.html").exit_code == 0
    path = tmp_path / "report.html"
    words = embedded(path)["overview"]["runs"][0]["attacks"][0]["words"][-1]
    with open_browser() as browser, browser.page() as watched:
        page = watched.open(path)
        page.wait_for_selector("html[data-painted]", state="attached")
        assert words in re.sub(r"\s+", " ", page.locator("body").inner_text())
        assert page.locator("svg").count() > 3
        assert page.get_by_text("could not be drawn").count() == 0
        page.locator("#epoch").press("Home")
        page.wait_for_selector('html[data-drawn-step="-1"]', state="attached")
        watched.assert_clean(path)
        assert {url for url in watched.requests if not url.startswith(("data:", "blob:"))} == {path.as_uri()}
