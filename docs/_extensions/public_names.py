"""The directive that reference pages are made of: names of a package's `__all__`, documented where they stand.

:::{public} privacy_callbacks.attacks
LiRA
RMIA
:::
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

# What Keras calls; a user never does.
_HOOKS = ("on_", "set_model", "set_params")


class Public(SphinxDirective):
    """One entry a name, with its docstring, its signature and the methods that users call.

    The option `constructors-only` leaves methods out; `same-as` names the package whose page tells what they are.
    """

    required_arguments = 1
    has_content = True
    option_spec = {"constructors-only": directives.flag, "same-as": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        (package,) = self.arguments
        public = import_module(package)
        unknown = [name for name in self.content if name not in public.__all__]
        if unknown:
            raise self.error(f"{package}.__all__ has no {', '.join(unknown)}; name what is public.")
        home = self.options.get("same-as")
        if home:
            entries = [f"* :py:obj:`{name} <{home}.{name}>`" for name in self.content]
        else:
            entries = [self._entry(package, name, getattr(public, name)) for name in self.content]
        return self.parse_text_to_nodes("```{eval-rst}\n" + "\n".join(entries) + "\n```\n")

    def _entry(self, package: str, name: str, found: Any) -> str:
        kind = "class" if inspect.isclass(found) else "function"
        members = kind == "class" and "constructors-only" not in self.options
        options = "   :members:\n   :inherited-members:\n" if members else ""
        return f".. auto{kind}:: {package}.{name}\n{options}"


def _ours_alone(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out what was inherited from elsewhere (float, dict, Keras), the hooks that Keras calls, and defaults of fields."""
    defined = inspect.unwrap(obj.fget if isinstance(obj, property) else getattr(obj, "__func__", obj))
    ours = (getattr(defined, "__module__", None) or "").startswith("privacy_callbacks")
    of_a_class = "." in getattr(defined, "__qualname__", "")  # a function that is a field's default is no method
    return None if ours and of_a_class and not name.startswith(_HOOKS) else True


def _signature(app: Any, what: str, name: str, obj: Any, *rest: Any) -> tuple[str, None] | None:
    """Types as the source has them: evaluated, `ArrayLike` would fill a page."""
    if what not in ("class", "function", "method"):
        return None
    if getattr(obj, "_is_protocol", False):
        return "", None  # nobody makes one
    try:
        found = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    if what == "method" and inspect.isfunction(obj):
        found = found.replace(parameters=list(found.parameters.values())[1:])
    if what == "class":
        found = found.replace(return_annotation=inspect.Signature.empty)
    parameters = [one.replace(default=_readable(one.default)) for one in found.parameters.values()]
    return stringify_signature(found.replace(parameters=parameters), unqualified_typehints=True), None


def _readable(default: Any) -> Any:
    """A default whose representation a reader can read."""
    if default is inspect.Parameter.empty or not repr(default).startswith("<"):
        return default
    return _Shown(getattr(default, "__name__", "..."))


class _Shown(str):
    def __repr__(self) -> str:
        return str(self)


def setup(app: Any) -> dict[str, Any]:
    """The directive, and what autodoc asks while it documents."""
    app.add_directive("public", Public)
    app.connect("autodoc-skip-member", _ours_alone)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}
