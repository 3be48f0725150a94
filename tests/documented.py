"""The Python of the pages in docs/, as tests run it."""

import re
import warnings
from pathlib import Path

from privacy_callbacks import AuditWarning

DOCS = Path(__file__).parents[1] / "docs"


def snippets(page):
    """The page's Python, block by block."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)


def run(page):
    """The names that a page's snippets leave behind."""
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        for snippet in snippets(page):
            exec(snippet, names)
    return names
