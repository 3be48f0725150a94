"""The files that the page is made of: which there are, of what type, and what they hold."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"
CONTENT_TYPES = {".css": "text/css", ".js": "text/javascript"}


def names_in(folder: Path) -> tuple[str, ...]:
    """The names of the modules and style sheets in a folder, sorted; none if there is no such folder."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if path.suffix in CONTENT_TYPES and path.is_file()))


# Listed once: what a request may name is decided before the first request.
PAGE_FILES: tuple[str, ...] = names_in(STATIC)


def page_file(name: str) -> tuple[bytes, str] | None:
    """A file of the page.

    Args:
      name: one of `PAGE_FILES`; anything else, such as a path, names no file.
    Returns:
      (its bytes, its content type), or None if the page has no such file.
    """
    if name not in PAGE_FILES:
        return None
    try:
        return (STATIC / name).read_bytes(), CONTENT_TYPES[Path(name).suffix]
    except FileNotFoundError:
        return None
