"""Each command that a page tells its reader to type is run by something, and this table says by what."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The beginning of a command -> the file that runs it, and what in it does.
RUN_BY = {
    "make demo": ("tests/test_plots.py", "first_light"),
    "make test": (".ci/run", "make test"),
    "privacy-audit": ("tests/test_run_command.py", "test_the_commands_of_the_readme_run_as_they_stand_there"),
    "pip install .": ("tests/test_packaging.py", '"install"'),
    "python3 -m venv": ("tests/test_packaging.py", '"venv"'),
    "tensorboard --logdir": ("tests/browser.py", "serve_tensorboard"),
}
# A cluster of several machines; tests start Ray on one, by `ray.init`, and docs/clusters.md says so.
NOT_RUN = {"ray start", "python train.py"}


def commands():
    for page in (ROOT / "README.md", ROOT / "configs" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for block in re.findall(r"```(?:console|bash|sh|shell)\n(.*?)```", page.read_text(), flags=re.DOTALL):
            yield from ((page.name, line) for line in block.splitlines() if line.strip())


def test_every_command_is_run_by_something():
    found = list(commands())
    for page, line in found:
        assert any(line.startswith(known) for known in (*RUN_BY, *NOT_RUN)), f"{page}: nothing runs `{line}`"
    for known, (path, what) in RUN_BY.items():
        assert any(line.startswith(known) for _, line in found), f"no page tells of `{known}` any more"
        assert what in (ROOT / path).read_text()
