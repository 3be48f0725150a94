"""Every codelab notebook runs from a clean kernel, in its own folder, and its closing assertions hold."""

import re
from pathlib import Path

import nbformat
import pytest

CODELABS = Path(__file__).parents[1] / "codelabs"
NOTEBOOKS = sorted(CODELABS.glob("*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_seven_in_order():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02d}" for number in range(1, 8)]


@each
def test_it_asks_one_question_and_keeps_no_outputs(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    title = notebook.cells[0].source.splitlines()[0]
    assert re.fullmatch(rf"# {path.name[:2]} · .+\?", title)
    assert "colab-badge.svg" in notebook.cells[0].source
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert "assert " in code[-1].source


@pytest.mark.slow
@each
def test_it_runs_from_a_clean_kernel(path, tmp_path, monkeypatch):
    import nbclient

    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(path, 4)
    if "dp_accounting" in "".join(cell.source for cell in notebook.cells):
        pytest.importorskip("dp_accounting")
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
