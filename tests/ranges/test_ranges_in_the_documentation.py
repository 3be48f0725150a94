"""The Python of docs/ranges.md runs as it stands there."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from privacy_callbacks import AuditWarning

PAGE = Path(__file__).parents[2] / "docs" / "ranges.md"


@pytest.mark.slow
def test_the_page_runs_and_says_what_it_should(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(found) == 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        for snippet in found:
            exec(snippet, names)
    assert not any(report.failed for report in names["found"].reports)
    assert "of the candidates lie nearer" in capsys.readouterr().out
    assert (tmp_path / "logs" / "ranges" / "ranges" / "range_attack").is_dir()
    assert names["forgotten"].points["retrained"].auc.low < 0.5
    assert np.isfinite(names["report"].auc)
