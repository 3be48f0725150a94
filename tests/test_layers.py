"""The house rules that a reader of the imports can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {"privacy_page": 0, "attacks": 1, "range_queries": 2, "privacy_callbacks": 3}
FOLDERS = ["attacks", "range_queries", "privacy_callbacks"]
PACKAGES = ["privacy_callbacks", "privacy_callbacks.attacks", "privacy_callbacks.range_queries"]
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def folder_of(path):
    """The room that a file lies in: the page has one of its own inside of privacy_callbacks."""
    parts = path.relative_to(ROOT).parts
    return "privacy_page" if parts[1] == "privacy_page" else parts[0]


def imported_floors(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            if name.split(".")[0] == "privacy_callbacks":
                parts = [*name.split("."), ""]
                yield parts[1] if parts[1] in FLOORS else "privacy_callbacks"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downhill_and_relatively_within_a_folder(path):
    folder = folder_of(path)
    for other in imported_floors(path):
        if path.name != "__init__.py":
            assert FLOORS[other] < FLOORS[folder], f"{path.name} imports {other} by its installed name"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if folder_of(path) == "privacy_page"], ids=lambda path: path.name
)
def test_the_page_imports_nothing_but_itself_and_the_standard_library(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1 or (node.module or "").split(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_shadows_a_module_unpickles_or_touches_global_random_state(path):
    assert path.stem not in sys.stdlib_module_names
    assert path.stem not in {"utils", "helpers", "common", "manager", "tensorboard", "types", "signal"}
    # Ray hands code from process to process; no file is read that way.
    unpickling = "(?!)" if path.stem == "sent_code" else r"pickle\.load"
    forbidden = rf"{unpickling}|allow_pickle=True|np\.random\.(seed|rand|normal|shuffle)|set_random_seed|random\.seed"
    assert not re.search(forbidden, path.read_text())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import privacy_callbacks, privacy_callbacks.attacks", {"tensorflow", "keras", "sklearn", "pandas"}),
        ("from privacy_callbacks.range_queries import trimmed_mean", {"tensorflow", "keras", "sklearn", "pandas"}),
        ("from privacy_callbacks import LeakageReport", {"tensorflow", "keras"}),
        ("from privacy_callbacks.attacks import Threshold, ppv, loss_iqr", {"tensorflow", "keras"}),
        (
            "from privacy_callbacks.attacks import reports_to_html, reports_to_markdown",
            {"tensorflow", "keras", "pandas"},
        ),
        ("import privacy_callbacks.privacy_page.one_file", {"tensorflow", "keras", "pandas", "numpy", "scipy"}),
    ],
)
def test_importing_a_name_imports_no_more_than_it_needs(statement, absent):
    code = f"import sys; {statement}; print(*({absent!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == ""


def test_no_module_hides_a_public_name_that_it_defines():
    """`from package import name` imports the module that defines it, which may set itself in the name's place."""
    lines = ["import inspect"]
    for package in PACKAGES:
        names = __import__(package, fromlist=["x"]).__all__
        lines += [f"from {package} import {', '.join(names)}"]
        lines += [f"print(*(name for name in {names!r} if inspect.ismodule(globals()[name])))"]
    found = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_can_be_had_and_unknown_ones_are_attribute_errors(package):
    module = __import__(package, fromlist=["x"])
    assert sorted(module._HOME) == sorted(module.__all__)
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        module.Nothing  # noqa: B018
