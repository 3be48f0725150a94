"""TensorBoard's two ways to read logs, as tests open them: its Python loader and its data server."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.data import provider as data
from tensorboard.data import server_ingester
from tensorboard.util import grpc_util

LOADERS = ("python", "data server")


class Loaded:
    """A loader at work.

    Attributes:
      provider: what it gives plugins.
    """

    def __init__(self, provider: Any, reload: Any = None) -> None:
        self.provider, self._reload = provider, reload

    def reload(self, until: Any) -> None:
        """Reads what is new, until a condition holds."""
        give_up = time.monotonic() + 20
        while not until():
            assert time.monotonic() < give_up, "the loader never saw it"
            if self._reload is None:
                time.sleep(0.05)
            else:
                self._reload()


@contextmanager
def loaded(loader: str, logdir: Path | str) -> Iterator[Loaded]:
    """The logs, as one of `LOADERS` gives them."""
    if loader == "python":
        multiplexer = EventMultiplexer(tensor_size_guidance={"privacy": 0})

        def reload() -> None:
            multiplexer.AddRunsFromDirectory(str(logdir))
            multiplexer.Reload()

        reload()
        yield Loaded(MultiplexerDataProvider(multiplexer, str(logdir)), reload)
    else:
        with _data_server(logdir) as provider:
            yield Loaded(provider)


@contextmanager
def _data_server(logdir: Path | str) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        arguments = [f"--logdir={logdir}", "--reload=1", "--samples-per-plugin=privacy=all", "--port=0"]
        arguments += [f"--port-file={port_file}", "--die-after-stdin"]
        binary = server_ingester.get_server_binary().path
        quiet = {"stdin": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([binary, *arguments], **quiet) as server:
            try:
                give_up = time.monotonic() + 20
                while not (port_file.exists() and port_file.read_text().endswith("\n")):
                    assert time.monotonic() < give_up, "the data server did not start"
                    time.sleep(0.01)
                address = f"localhost:{int(port_file.read_text())}"
                credentials = grpc_util.ChannelCredsType.LOCAL
                ingester = server_ingester.ExistingServerDataIngester(address, channel_creds_type=credentials)
                _await_first_reading(ingester.data_provider, Path(logdir))
                yield ingester.data_provider
            finally:
                server.kill()


def _await_first_reading(provider: Any, logdir: Path) -> None:
    """The server answers before it has read: waits for all runs, and for three equal answers about what they hold."""
    runs = {str(path.parent.relative_to(logdir)) for path in logdir.rglob("*tfevents*")}
    give_up, seen = time.monotonic() + 5, []  # runs of broken files are never listed
    while time.monotonic() < give_up and not (len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]):
        time.sleep(0.05)
        listed = {run.run_name for run in provider.list_runs(RequestContext(), experiment_id="")}
        found = (
            provider.list_tensors(RequestContext(), experiment_id="", plugin_name="privacy") if runs <= listed else None
        )
        seen = [] if found is None else [*seen, repr(found)]


class HeldProvider:
    """A data provider over what it is given: path → tag → (plugin content, [(step, tensor)]).

    Attributes:
      read: (path, tags) of each call that read tensors.
    """

    def __init__(self, held: dict[str, dict[str, tuple[bytes, list[tuple[int, Any]]]]]) -> None:
        self.held, self.read = held, []

    def list_tensors(self, ctx: Any, *, experiment_id: str, plugin_name: str) -> Any:
        return {
            path: {
                tag: data.TensorTimeSeries(
                    max_step=max(step for step, _ in steps),
                    max_wall_time=float(len(steps)),
                    plugin_content=content,
                    description="",
                    display_name="",
                )
                for tag, (content, steps) in tags.items()
            }
            for path, tags in self.held.items()
        }

    def read_tensors(
        self, ctx: Any, *, experiment_id: str, plugin_name: str, downsample: int, run_tag_filter: Any
    ) -> Any:
        (path,), tags = run_tag_filter.runs, run_tag_filter.tags
        self.read.append((path, sorted(tags)))
        found = {}
        for tag in tags:
            steps = self.held[path][tag][1]
            if any(isinstance(tensor, Exception) for _, tensor in steps):
                raise next(tensor for _, tensor in steps if isinstance(tensor, Exception))
            found[tag] = [data.TensorDatum(step, float(step), np.array(tensor, dtype=object)) for step, tensor in steps]
        return {path: found}
