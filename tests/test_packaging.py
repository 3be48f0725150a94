"""The three ways to have the package: a wheel, an editable install, a bare checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHERE = (
    "import privacy_callbacks as p, privacy_callbacks.attacks.threshold as t, privacy_callbacks.range_queries as r;"
    "print(p.__file__, t.__file__, r.__file__, sep='\\n')"
)


def run(*command, cwd, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=clean | environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    copy = tmp_path_factory.mktemp("checkout") / "repository"
    ignored = shutil.ignore_patterns(".venv", ".git", "build", "demo", "*.egg-info", "__pycache__")
    return shutil.copytree(ROOT, copy, ignore=ignored)


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(out), str(checkout), cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture
def empty_environment(tmp_path):
    """A fresh virtual environment that sees this one's third-party packages but not its editable installs."""
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env"), cwd=tmp_path)
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    (site / "base.pth").write_text(sysconfig.get_path("purelib"))
    return tmp_path / "env" / "bin" / "python"


def install(python, *what, cwd):
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", *what, cwd=cwd)


@pytest.mark.slow
def test_the_wheel_holds_exactly_these_packages_and_the_page(wheel):
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    packages = {Path(name).parent.as_posix() for name in names if name.endswith(".py")}
    inner = ("attacks", "range_queries", "privacy_page", "tensorboard_plugin")
    assert packages == {"privacy_callbacks", *(f"privacy_callbacks/{name}" for name in inner)}
    assert {"privacy_callbacks/py.typed", "privacy_callbacks/VERSION"} <= set(names)
    static = ROOT / "privacy_callbacks" / "privacy_page" / "static"
    page = {f"privacy_callbacks/privacy_page/static/{path.name}" for path in static.iterdir()}
    assert page == {name for name in names if "/static/" in name}
    (points,) = [name for name in names if name.endswith("entry_points.txt")]
    groups = zipfile.ZipFile(wheel).read(points).decode()
    assert "[tensorboard_plugins]" in groups
    assert "[pytest11]\nprivacy-callbacks = privacy_callbacks.pytest_plugin" in groups


@pytest.mark.slow
def test_the_wheel_works_elsewhere_and_with_the_checkout_as_working_directory(
    wheel, checkout, empty_environment, tmp_path
):
    install(empty_environment, str(wheel), cwd=tmp_path)
    assert all("site-packages" in path for path in run(str(empty_environment), "-c", WHERE, cwd=tmp_path))
    assert all(str(checkout) in path for path in run(str(empty_environment), "-c", WHERE, cwd=checkout))


@pytest.mark.slow
def test_an_editable_install_finds_the_checkout(checkout, empty_environment, tmp_path):
    install(empty_environment, "--editable", str(checkout), cwd=tmp_path)
    assert all(str(checkout) in path for path in run(str(empty_environment), "-c", WHERE, cwd=tmp_path))


@pytest.mark.slow
def test_a_bare_checkout_works_from_its_root(checkout, empty_environment):
    assert all(str(checkout) in path for path in run(str(empty_environment), "-c", WHERE, cwd=checkout))


def test_what_make_installs_covers_what_the_package_requires():
    listed = (ROOT / "requirements-dev.txt").read_text() + (ROOT / "Makefile").read_text()
    code = """
import runpy, setuptools
setuptools.setup = lambda **given: print(*given['install_requires'], *given['extras_require']['dev'])
runpy.run_path('setup.py')
"""
    for requirement in run(sys.executable, "-c", code, cwd=ROOT):
        name = requirement.split(">=")[0]
        assert f"{name}>=" in listed, f"{requirement} of setup.py is missing from requirements-dev.txt"
