"""The Privacy tab's server side: its files and its answers, each under a path of its own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from tensorboard.util import tb_logging
from werkzeug import wrappers

from privacy_callbacks.privacy_page.page_files import PAGE_FILES, page_file

from .details import UnknownRunError, details, records
from .event_files import EventFiles
from .log_reading import PLUGIN, LogReader, SeriesCache
from .overview import overview

_ENTRY = "index.js"
_JSON = "application/json"
_LONGEST_ARGUMENT = 2_000
_QUIET = 10.0  # seconds
_STEP = re.compile(r"-?\d{1,12}", re.ASCII)

_log = tb_logging.get_logger()


class BadArgumentError(ValueError):
    """A request lacks an argument, or has a wrong one; says which."""


class PrivacyPlugin(base_plugin.TBPlugin):
    """Answers the tab's requests from TensorBoard's data provider; opens no file but its own page's and the event files.

    Args:
      context: TensorBoard's.
    """

    plugin_name = PLUGIN

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._provider = context.data_provider
        self._cache = SeriesCache()
        folder = os.path.expanduser(context.logdir or "")
        self._files = EventFiles(folder, _QUIET) if folder and "://" not in folder else None

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """WSGI applications by path. Files come from a list made beforehand, never from a request's path."""
        files = {f"/{name}": partial(_serve_file, name) for name in (_ENTRY, *PAGE_FILES)}
        answers = {"/overview": self._overview, "/details": self._details, "/records": self._records}
        return {
            **{path: wrappers.Request.application(serve) for path, serve in files.items()},
            **{path: wrappers.Request.application(partial(_serve_json, answer)) for path, answer in answers.items()},
        }

    def is_active(self) -> bool:
        """Whether an audit wrote anything for the tab."""
        return self._provider is not None and LogReader(self._provider, self._cache).has_data()

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """An ES module in a frame of its own."""
        return base_plugin.FrontendMetadata(es_module_path=f"/{_ENTRY}", tab_name="Privacy")

    def data_plugin_names(self) -> tuple[str, ...]:
        """The plugin's own series only."""
        return (PLUGIN,)

    def _reader(self, request: wrappers.Request) -> LogReader:
        ctx, experiment = plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)
        return LogReader(self._provider, self._cache, ctx, experiment, self._files)

    def _overview(self, request: wrappers.Request) -> Mapping[str, Any]:
        return overview(self._reader(request))

    def _details(self, request: wrappers.Request) -> Mapping[str, Any]:
        run, name = _argument(request, "run"), _argument(request, "name")
        first, last = _step(request, "from"), _step(request, "to")
        if first > last:
            raise BadArgumentError(f"from is {first} and to is {last}; give the smaller step first.")
        return details(self._reader(request), run, name, first, last)

    def _records(self, request: wrappers.Request) -> Mapping[str, Any]:
        return records(self._reader(request), _argument(request, "run"), _argument(request, "name"))


def _argument(request: wrappers.Request, name: str) -> str:
    value = request.args.get(name)
    if value is None:
        raise BadArgumentError(f"the argument {name!r} is missing; give it after the question mark.")
    if not 0 < len(value) <= _LONGEST_ARGUMENT:
        raise BadArgumentError(f"the argument {name!r} has {len(value):,} letters; give 1 to {_LONGEST_ARGUMENT:,}.")
    return value


def _step(request: wrappers.Request, name: str) -> int:
    value = _argument(request, name)
    if not _STEP.fullmatch(value):
        raise BadArgumentError(f"the argument {name!r} is no step; give a whole number, such as 12.")
    return int(value)


def _serve_file(name: str, request: wrappers.Request) -> Any:
    if request.method != "GET":
        return _not_allowed(request)
    found = page_file(name)
    if found is None:
        return _answer(request, {"error": "the page has no such file."}, 404)
    content, content_type = found
    return http_util.Respond(request, content, content_type)


def _serve_json(answer: Callable[[wrappers.Request], Mapping[str, Any]], request: wrappers.Request) -> Any:
    if request.method != "GET":
        return _not_allowed(request)
    try:
        return _answer(request, answer(request), 200)
    except BadArgumentError as reason:
        return _answer(request, {"error": str(reason)}, 400)
    except UnknownRunError as reason:
        return _answer(request, {"error": str(reason)}, 404)
    except Exception:
        # What went wrong may name files and holds a stack trace: it belongs into the log of who runs the server.
        _log.exception("The Privacy tab could not answer a request.")
        return _answer(request, {"error": "the server failed to answer; its log says why."}, 500)


def _not_allowed(request: wrappers.Request) -> Any:
    return _answer(request, {"error": "only GET is answered."}, 405, [("Allow", "GET")])


def _answer(
    request: wrappers.Request, content: Mapping[str, Any], code: int, headers: list[tuple[str, str]] | None = None
) -> Any:
    # As bytes: TensorBoard would walk through all of it again, to replace what strict JSON cannot hold.
    written = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    return http_util.Respond(request, written, _JSON, code, headers=headers)
