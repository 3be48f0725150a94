"""How the pages of this folder become a site: `make docs`, warnings being errors."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

import privacy_callbacks  # noqa: E402

project = "privacy-callbacks"
version = release = privacy_callbacks.__version__
project_copyright = "the authors of privacy-callbacks, Apache-2.0"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "public_names", "markdown_docstrings"]
exclude_patterns = ["_build"]
default_role = "any"  # what is left of a single backtick in a docstring must name something, or the build fails

# Pages: GitHub shows them, too, so only what both understand, and the directives of contents and reference.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Docstrings: shapes, units and orientation stand in their words, types in the signatures, as the source has them.
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

# The theme brings its fonts (the system's), scripts and search with it: no page asks another host for anything.
html_theme = "furo"
html_title = f"privacy-callbacks {release}"
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "default", "github-dark"
