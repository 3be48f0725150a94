"""The tab's server side inside of TensorBoard: routes, refusals, and what it may import."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
import werkzeug.test
from page.log_readers import HeldProvider, loaded
from page.privacy_logs import write_pieces, write_run
from page.privacy_payloads import Piece
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from privacy_callbacks.privacy_page import page_files
from privacy_callbacks.tensorboard_plugin import privacy_plugin
from privacy_callbacks.tensorboard_plugin.loader import PrivacyLoader
from privacy_callbacks.tensorboard_plugin.privacy_plugin import PrivacyPlugin

ROOT = Path(__file__).parent.parent.parent
ANSWERS = ("/overview", "/details", "/records")


class Tab:
    """The plugin's applications, asked as TensorBoard asks them."""

    def __init__(self, provider, logdir=""):
        self.plugin = PrivacyPlugin(base_plugin.TBContext(data_provider=provider, logdir=str(logdir)))
        self.apps = self.plugin.get_plugin_apps()

    def ask(self, path, method="GET", headers=None, **arguments):
        client = werkzeug.test.Client(self.apps[path], wrappers.Response)
        return client.open(path, method=method, query_string=arguments, headers=headers)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_run(folder / "run1", attacks=("loss", "lira"), steps=range(-1, 4), size=100, records=True)
    with loaded("python", folder) as logs:
        yield Tab(logs.provider, folder)


def test_the_answers_are_those_that_need_no_server(tab):
    page = tab.ask("/overview").json
    assert [attack["id"] for attack in page["runs"][0]["attacks"]] == ["run1/mia/loss", "run1/mia/lira"]
    wanted = {"run": "run1/mia/lira", "name": "mia"}
    found = tab.ask("/details", **wanted, **{"from": "-1", "to": "2"}).json
    assert [item["step"] for item in found["details"]] == [-1, 0, 1, 2]
    assert len(tab.ask("/records", **wanted).json["tables"]) == 5


@pytest.mark.parametrize("path", ANSWERS)
def test_every_answer_is_json_that_no_browser_takes_for_anything_else(path, tab):
    asked = {"run": "run1/mia/lira", "name": "mia", "from": "0", "to": "9"}
    for answer in (tab.ask(path, **asked), tab.ask(path, "POST", **asked), tab.ask(path, **{**asked, "run": "<b>"})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == "application/json"
        assert isinstance(answer.json, dict)


def test_answers_are_compressed_where_the_browser_takes_it(tab):
    assert tab.ask("/overview", headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", [*ANSWERS, "/index.js"])
def test_only_get_is_answered(path, method, tab):
    answer = tab.ask(path, method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("path", "changed", "code", "told"),
    [
        ("/details", {"run": None}, 400, "'run' is missing"),
        ("/details", {"name": None}, 400, "'name' is missing"),
        ("/details", {"from": None}, 400, "'from' is missing"),
        ("/details", {"to": ""}, 400, "0 letters"),
        ("/details", {"to": "1e3"}, 400, "'to' is no step"),
        ("/details", {"to": "٣"}, 400, "'to' is no step"),
        ("/details", {"to": "9" * 20}, 400, "'to' is no step"),
        ("/details", {"from": "5", "to": "4"}, 400, "from is 5 and to is 4"),
        ("/details", {"run": "x" * 2_001}, 400, "2,001 letters"),
        ("/details", {"run": "run1/mia"}, 404, "no such attack"),
        ("/details", {"run": "../../etc/passwd"}, 404, "no such attack"),
        ("/details", {"name": "<script>"}, 404, "no such attack"),
        ("/records", {"run": None}, 400, "'run' is missing"),
        ("/records", {"name": "x"}, 404, "no such run"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_words(path, changed, code, told, tab):
    asked = {"run": "run1/mia/lira", "name": "mia", "from": "0", "to": "9"} | changed
    answer = tab.ask(path, **{name: value for name, value in asked.items() if value is not None})
    assert answer.status_code == code
    assert told in answer.json["error"]


@pytest.mark.parametrize("path", ANSWERS)
def test_a_fault_of_the_server_is_logged_and_tells_the_browser_nothing(path, caplog):
    class Broken:
        def list_tensors(self, *_, **__):
            raise RuntimeError("/home/somebody/secret")

    answer = Tab(Broken()).ask(path, run="x", name="y", **{"from": "0", "to": "1"})
    assert (answer.status_code, answer.json) == (500, {"error": "the server failed to answer; its log says why."})
    assert "/home/somebody/secret" in caplog.text


def test_the_page_s_files_are_served_with_their_types_and_nothing_else_is(tab):
    assert set(tab.apps) == {*ANSWERS, "/index.js", *(f"/{name}" for name in page_files.PAGE_FILES)}
    for name in page_files.PAGE_FILES:
        answer = tab.ask(f"/{name}")
        assert answer.data == (page_files.STATIC / name).read_bytes()
        expected = {".js": "text/javascript", ".css": "text/css"}[Path(name).suffix]
        assert answer.headers["Content-Type"] == f"{expected}; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_missing_file_is_no_fault(tab, monkeypatch):
    monkeypatch.setattr(privacy_plugin, "page_file", lambda name: None)
    assert tab.ask("/index.js").status_code == 404


def test_the_tab_is_there_when_there_is_something_to_show(tmp_path):
    assert not Tab(None).plugin.is_active()
    assert not Tab(HeldProvider({})).plugin.is_active()
    write_pieces(tmp_path, "mia", "lira", [Piece("audit", 0, {})])
    with loaded("python", tmp_path) as logs:
        assert Tab(logs.provider).plugin.is_active()


def test_tensorboard_is_told_of_an_es_module_and_a_name(tab):
    told = tab.plugin.frontend_metadata()
    assert (told.es_module_path, told.tab_name) == ("/index.js", "Privacy")
    assert told.es_module_path in tab.apps
    assert tab.plugin.plugin_name == "privacy"
    assert list(tab.plugin.data_plugin_names()) == ["privacy"]


def test_names_in_the_logs_are_text_in_json(tmp_path):
    name = "<script>alert(1)</script>"
    write_run(tmp_path / "a <b>", name="mia", attacks=("loss",), steps=(0,), size=50)
    with loaded("python", tmp_path) as logs:
        tab = Tab(logs.provider)
        assert tab.ask("/overview").json["runs"][0]["run"] == "a <b>"
        answer = tab.ask("/details", run=name, name="mia", **{"from": "0", "to": "1"})
    assert name not in answer.get_data(as_text=True)


def test_every_step_is_kept_unless_the_user_said_how_many():
    flags = argparse.Namespace(samples_per_plugin={"images": 3})
    PrivacyLoader().fix_flags(flags)
    assert flags.samples_per_plugin == {"images": 3, "privacy": 0}
    asked = argparse.Namespace(samples_per_plugin={"privacy": 5})
    PrivacyLoader().fix_flags(asked)
    assert asked.samples_per_plugin == {"privacy": 5}
    PrivacyLoader().fix_flags(argparse.Namespace())


def test_a_plugin_that_cannot_be_loaded_leaves_tensorboard_without_the_tab(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "privacy_callbacks.tensorboard_plugin.privacy_plugin", None)
    assert PrivacyLoader().load(base_plugin.TBContext()) is None
    assert "TensorBoard starts without it" in caplog.text


WITHOUT_THE_REST = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tensorflow", "keras", "tf_keras", "scipy", "pandas", "sklearn", "matplotlib", "click"}:
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Refused())
sys.path.insert(0, %(root)r)
from privacy_callbacks.tensorboard_plugin.loader import PrivacyLoader
from tensorboard import program
from tensorboard.backend import application
from tensorboard.plugins import base_plugin
from privacy_callbacks.tensorboard_plugin.log_directory import open_log_directory, page_data
plugin = PrivacyLoader().load(base_plugin.TBContext(logdir=%(logs)r))
assert plugin is not None and plugin.get_plugin_apps()
page = page_data(open_log_directory(%(logs)r))
assert not {"tensorflow", "keras", "scipy", "pandas", "sklearn"} & set(sys.modules)
print(len(page["overview"]["runs"][0]["attacks"][0]["steps"]))
"""


def test_it_works_where_nothing_but_tensorboard_is_installed(tmp_path):
    write_run(tmp_path, attacks=("loss",), steps=range(12), size=50)
    code = WITHOUT_THE_REST % {"root": str(ROOT), "logs": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (found.stdout, found.returncode) == ("12\n", 0), found.stderr


def test_opening_a_log_directory_imports_no_tensorflow_even_where_there_is_one(tmp_path):
    write_run(tmp_path, attacks=("loss",), steps=range(2), size=50)
    code = (
        "import sys; from privacy_callbacks.tensorboard_plugin.log_directory import open_log_directory, page_data; "
        f"page_data(open_log_directory({str(tmp_path)!r})); "
        "print(*{'tensorflow', 'keras', 'scipy', 'pandas'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == ""


def test_the_loader_s_module_imports_nothing_of_others_but_tensorboard():
    code = (
        "import sys; from tensorboard.plugins import base_plugin; before = set(sys.modules); "
        "import privacy_callbacks.tensorboard_plugin.loader; print(*set(sys.modules) - before)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    roots = {name.split(".")[0] for name in found.stdout.split()}
    assert roots - set(sys.stdlib_module_names) == {"privacy_callbacks"}
    assert "privacy_callbacks.tensorboard_plugin.privacy_plugin" not in found.stdout
