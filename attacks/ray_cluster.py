"""The Ray cluster that fleets are trained on: found running, or started for them and stopped after the last."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from .ray_workers import RayWorkers, client_refused

_STATISTICS = "RAY_USAGE_STATS_ENABLED"
_BREAKPOINT = "PYTHONBREAKPOINT"


class _Started:
    """A cluster that was started (or joined) for fleets.

    Attributes:
      session: by which it is told from another that is started later.
      on_terminate: what SIGTERM did before.
      users: fleets on it.
    """

    def __init__(self, session: str, on_terminate: Any) -> None:
        self.session, self.on_terminate, self.users = session, on_terminate, 0


_current: _Started | None = None


def import_ray() -> Any:
    """The module.

    Raises:
      ImportError: if it is not installed.
    """
    try:
        import ray
    except ImportError as reason:
        raise ImportError(
            'engine="ray" needs Ray, which is not installed here: pip install "privacy-callbacks[ray]"; or leave the engine to '
            '"auto", which trains in this process.'
        ) from reason
    return ray


class RayCluster:
    """A hold on the cluster; what was started for the first is stopped when the last lets go.

    Args:
      address: see `RayWorkers`.
    Raises:
      ConnectionError: if there is no cluster, and none can be started.
      ValueError: if RAY_ADDRESS is that of a Ray Client.
    """

    def __init__(self, address: str | None = None) -> None:
        global _current
        ray = import_ray()
        self._let_go: Any = None
        if not ray.is_initialized():
            address = address or os.environ.get("RAY_ADDRESS") or "local"
            if address.startswith("ray://"):
                raise ValueError(client_refused(address))
            _current = _start(ray, address)
        if _current is not None and _current.session == _session():
            _current.users += 1
            self._started = _current
            # A fit that is broken off closes nothing; its cluster then ends with the next fleet, or with the process.
            self._let_go = weakref.finalize(self, _left, _current)
            self._let_go.atexit = False

    def room(self, workers: RayWorkers) -> int:
        """How many such workers the machines of the cluster have room for, were they idle."""
        wanted = {"CPU": workers.num_cpus, "GPU": workers.num_gpus}
        nodes = [node["Resources"] for node in import_ray().nodes() if node["Alive"]]
        return sum(
            int(min(node.get(name, 0) / amount + 1e-9 for name, amount in wanted.items() if amount)) for node in nodes
        )

    @property
    def num_machines(self) -> int:
        """That are up."""
        return sum(node["Alive"] for node in import_ray().nodes())

    def close(self) -> None:
        """Stops the cluster if it was started here and nobody else is on it."""
        if self._let_go is not None and self._let_go.alive:
            self._let_go()
            _stop_unused(self._started)


def _left(started: _Started) -> None:
    started.users -= 1


def _stop_unused(started: _Started) -> None:
    ray = import_ray()
    if started.users or not ray.is_initialized() or started.session != _session():
        return
    with _random_state_kept():
        ray.shutdown()
    if getattr(signal.getsignal(signal.SIGTERM), "__module__", None) == "ray._private.worker":
        _put_back(started.on_terminate)


def _session() -> str:
    """Another each time that Ray starts in this process."""
    context = import_ray().get_runtime_context()
    return f"{context.get_node_id()} {context.get_job_id()}"


def _start(ray: Any, address: str) -> _Started:
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    on_terminate = signal.getsignal(signal.SIGTERM)
    with _random_state_kept(), _environment_kept(), warnings.catch_warnings():
        # Of Ray's about what later versions will do.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **options)
        except (ConnectionError, ValueError, RuntimeError) as reason:
            said = " ".join(str(reason).split())
            raise ConnectionError(f"no Ray cluster could be reached or started at {address!r}: {said}") from reason
    if on_terminate is not signal.SIG_DFL:
        _put_back(on_terminate)  # a program that catches SIGTERM (to save a model, say) still does
    return _Started(_session(), on_terminate)


def _put_back(on_terminate: Any) -> None:
    with contextlib.suppress(ValueError, TypeError):  # not in this thread; or it was none of Python's
        signal.signal(signal.SIGTERM, on_terminate)


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Ray reports its use over the network unless told otherwise (whoever set the variable is heard), and takes breakpoints."""
    kept = {name: os.environ.get(name) for name in (_STATISTICS, _BREAKPOINT)}
    os.environ.setdefault(_STATISTICS, "0")
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Ray draws from Python's global generator when it starts and stops."""
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
