"""ES modules as one script: they are written one after the other, in the order of their imports, into one scope.

No JavaScript is parsed. It is enough that modules keep to a few forms: imports stand at the top, each `import { a, b } from
"./x.js";` on one line; what is exported is declared in the same breath (`export function`, `export async function`, `export
const`, `export class`); what begins a line at the left edge is a declaration of the module; and no name of a declaration comes
twice in all of them. What has another form is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ENTRY = "one_file.js"

_NAME = r"[A-Za-z_$][\w$]*"
_IMPORT = re.compile(rf'import \{{ ({_NAME}(?:, {_NAME})*) \}} from "\./([\w-]+\.js)";')
_EXPORT = re.compile(rf"export (?:(?:async )?function\*?|const|class) ({_NAME})")
_DECLARED = re.compile(rf"(?:export )?(?:(?:async )?function\*?|const|let|var|class) ({_NAME})")
_DECLARES = re.compile(r"(?:async function|function|const|let|var|class)\b")


@dataclass(frozen=True)
class PageModule:
    """One module, taken apart.

    Attributes:
      name: of its file.
      imports: (file, names) in their order.
      exports: the names that others may import.
      declared: all names at its top level, with repetitions.
      body: its text without imports and without the word `export`.
    """

    name: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]
    exports: frozenset[str]
    declared: tuple[str, ...]
    body: str


def taken_apart(name: str, text: str) -> PageModule:
    """Reads a module.

    Raises:
      ValueError: if an import, export or declaration has another form than those above.
    """
    imports: list[tuple[str, tuple[str, ...]]] = []
    exports: list[str] = []
    declared: list[str] = []
    body: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        where = f"{name}, line {number}"
        if re.search(r"\bimport\s*[({*\"']|^\s*import\b|\bimport\.meta\b", line) and not _is_comment(line):
            found = _IMPORT.fullmatch(line)
            if found is None:
                raise ValueError(
                    f'{where}: {line!r} should be of the form `import {{ a, b }} from "./x.js";` on one line.'
                )
            if declared:
                raise ValueError(f"{where}: an import after a declaration; move it to the top.")
            imports.append((found[2], tuple(found[1].split(", "))))
            continue
        if re.match(r"\s*export\b", line):
            found = _EXPORT.match(line)
            if found is None:
                raise ValueError(
                    f"{where}: {line!r} should export a declaration: `export function`, `export async function`, `export "
                    "const` or `export class`."
                )
            exports.append(found[1])
        declaration = _DECLARED.match(line)
        if declaration is not None:
            declared.append(declaration[1])
        elif _DECLARES.match(line):
            raise ValueError(f"{where}: {line!r} should declare one name at a time.")
        body.append(line.removeprefix("export "))
    return PageModule(name, tuple(imports), frozenset(exports), tuple(declared), "\n".join(body).strip("\n") + "\n")


def bundled(read: Callable[[str], str], entry: str = ENTRY) -> str:
    """The entry module and all that it imports, each after what it imports itself.

    Args:
      read: gives the text of a module by its file's name.
      entry: the file's name of the module that nothing imports.
    Raises:
      ValueError: if a module has another form than it should, imports what is not there or itself in a circle, or if two
        declare the same name.
    """
    modules = in_order(read, entry)
    homes: dict[str, str] = {}
    for module in modules:
        for name in module.declared:
            if name in homes:
                raise ValueError(
                    f"{name!r} is declared in {homes[name]} and in {module.name}; in one scope it needs two names."
                )
            homes[name] = module.name
    return "\n".join(f"// {module.name}\n{module.body}" for module in modules)


def in_order(read: Callable[[str], str], entry: str = ENTRY) -> list[PageModule]:
    """The entry module and all that it imports, each after what it imports itself; see `bundled`."""
    found: dict[str, PageModule] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"modules import each other in a circle: {' → '.join([*path[path.index(name) :], name])}.")
        if name in found:
            return
        try:
            module = taken_apart(name, read(name))
        except FileNotFoundError:
            raise ValueError(f"{path[-1] if path else 'the page'} needs {name}, which is not there.") from None
        for other, _ in module.imports:
            visit(other, (*path, name))
        _check_names(module, found)
        found[name] = module

    visit(entry, ())
    return list(found.values())


def _check_names(module: PageModule, known: dict[str, PageModule]) -> None:
    for other, names in module.imports:
        missing = _missing(names, known[other].exports)
        if missing:
            raise ValueError(f"{module.name} imports {missing} from {other}, which does not export it.")


def _missing(names: Iterable[str], exports: frozenset[str]) -> str:
    return ", ".join(name for name in names if name not in exports)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("*", "//", "/*"))
