"""A real TensorBoard with both its loaders, here and in an environment that holds TensorBoard and nothing else of ours."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page.privacy_logs import write_run

ROOT = Path(__file__).parent.parent.parent
STEPS = 1_000

# Starts TensorBoard as its command does, plugins found by their entry points, and asks it until it has read everything.
ASKED = """
import json, sys, time, urllib.error, urllib.parse, urllib.request
from tensorboard import program
logs, fast, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
board = program.TensorBoard()
board.configure(argv=[None, "--logdir", logs, "--load_fast", fast, "--port", "0", "--host", "127.0.0.1"])
url = board.launch()

def ask(path, **arguments):
    try:
        with urllib.request.urlopen(url + path + "?" + urllib.parse.urlencode(arguments)) as answer:
            return answer.status, answer.headers["X-Content-Type-Options"], json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers["X-Content-Type-Options"], json.load(refused)

end = time.monotonic() + 60
while time.monotonic() < end:
    page = ask("data/plugin/privacy/overview")[2]
    if page["runs"] and len(page["runs"][0]["attacks"]) == 2 and {
        len(attack["steps"]) for attack in page["runs"][0]["attacks"]
    } == {steps}:
        break
    time.sleep(0.2)
wanted = {"run": "run <1>/mia/lira", "name": "mia"}
print(json.dumps({
    "listed": ask("data/plugins_listing")[2]["privacy"],
    "steps": {attack["id"]: attack["steps"] for attack in page["runs"][0]["attacks"]},
    "details": ask("data/plugin/privacy/details", **wanted, **{"from": 990, "to": 998}),
    "unknown": ask("data/plugin/privacy/details", run="../x", name="mia", **{"from": 0, "to": 1}),
    "modules": sorted({"tensorflow", "keras", "scipy", "pandas", "sklearn"} & set(sys.modules)),
}))
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_run(folder / "run <1>", attacks=("loss", "lira"), steps=range(-1, STEPS - 1), size=50, slices=0)
    return folder


@pytest.fixture(scope="module")
def tensorboard_alone(tmp_path_factory):
    """A Python with TensorBoard, what that needs, and this package without what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    ignored = shutil.ignore_patterns(".venv", ".git", "build", "demo", "*.egg-info", "__pycache__")
    checkout = shutil.copytree(ROOT, folder / "repository", ignore=ignored)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    python = folder / "env" / "bin" / "python"
    commands = [[sys.executable, "-m", "venv", str(folder / "env")]]
    commands += [[str(python), "-m", "pip", "install", "--quiet", "tensorboard"]]
    commands += [[str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(checkout)]]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, env=clean, cwd=folder, check=False)
        assert done.returncode == 0, done.stderr
    return python


def answers(python, logs, fast, folder):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    arguments = [str(python), "-c", ASKED, str(logs), fast, str(STEPS)]
    done = subprocess.run(arguments, capture_output=True, text=True, env=clean, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_complete(found):
    assert found["listed"]["enabled"]
    assert found["listed"]["tab_name"] == "Privacy"
    assert found["listed"]["loading_mechanism"] == {"type": "IFRAME", "module_path": "/data/plugin/privacy/index.js"}
    assert found["steps"] == {f"run <1>/mia/{attack}": list(range(-1, STEPS - 1)) for attack in ("loss", "lira")}
    code, nosniff, details = found["details"]
    assert (code, nosniff) == (200, "nosniff")
    assert [item["step"] for item in details["details"]] == list(range(990, 999))
    assert found["unknown"][:2] == [404, "nosniff"]


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["false", "true"])
def test_tensorboard_finds_the_plugin_and_keeps_every_step(fast, logs, tmp_path):
    assert_complete(answers(sys.executable, logs, fast, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["false", "true"])
def test_it_does_so_in_an_environment_with_tensorboard_alone(fast, logs, tensorboard_alone, tmp_path):
    found = answers(tensorboard_alone, logs, fast, tmp_path)
    assert_complete(found)
    assert found["modules"] == []
