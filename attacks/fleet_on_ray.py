"""Shadow models trained and asked by the workers of a Ray cluster, a shard of whole groups each, all at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .asked_queries import Queries
from .fleet_files import Answers, FleetFiles
from .ray_cluster import RayCluster, import_ray
from .ray_workers import RayWorkers
from .record_arrays import as_arrays
from .sent_code import packed_code
from .shadow_training import Rates, ShadowRequest
from .shard_messages import Chosen, Failed, Progress, ShardWork
from .shard_worker import ShardWorker, file_digest

# How long a worker may wait for a place on a machine: a node that died comes back within that, or nobody waits for it.
_PATIENCE = 600.0
_SECONDS_BETWEEN_LOOKS = 5.0


class _Shard:
    """One worker's share, whoever the worker is.

    Attributes:
      shadows: the numbers of its shadow models.
      worker: the Ray actor.
      pid: a reference to its process id, which is there when the worker is; None once that has been seen.
      since: when the worker was asked for.
      known: how many epochs' learning rates the worker has been told.
      losses: how many workers have been lost in a row.
    """

    def __init__(self) -> None:
        self.shadows: list[int] = []
        self.worker: Any = None
        self.pid: Any = None
        self.since = 0.0
        self.known = 0
        self.losses = 0


class FleetOnRay:
    """A fleet's shadow models on the workers of a Ray cluster; implements `Site`.

    A worker that is lost is replaced: the new one makes the same shadow models again, from the newest states in the fleet's files
    or from the beginning, with the learning rates that this process has written down. `choose` and `deal` come before training.

    Args:
      workers: how many, how large.
      work: what each of them is told.
      records: the pool, (x, y, weights) as arrays.
      asked: the records that signals are wanted of.
      num_models: m.
    Attributes:
      engine_name: what trains them, "ray: compiled" for instance.
    Raises:
      ImportError: without Ray.
      ConnectionError: if there is no cluster, and none can be started.
      ValueError: if the cluster has no room for so many workers, or they cannot make the model.
      RuntimeError: if they die before they have begun.
    """

    def __init__(self, workers: RayWorkers, work: ShardWork, records: Any, asked: Any, num_models: int) -> None:
        packed = packed_code(work, "the model")
        self._ray = import_ray()
        self._workers, self._num_models = workers, num_models
        self._shards: list[_Shard] = []
        self._journal: list[Rates] = []
        self._queries: dict[Queries, tuple[int, Any]] = {}
        self._files: FleetFiles | None = None
        self._chosen: tuple[Any, ...] | None = None
        self._manifest = ""
        self.engine_name = "ray"
        self._cluster = RayCluster(workers.address)
        try:
            number = self._number_of_workers()
            population = None if asked.population is None else as_arrays(tuple(asked.population))
            questions = (*as_arrays((asked.x, asked.y, asked.weights)), population)
            self._sent = [self._ray.put(one) for one in (packed, tuple(records), questions)]
            self._shards = [_Shard() for _ in range(number)]
            self._each(self._shards, lambda shard: shard.worker.set_up, lambda shard: self._sent)
        except BaseException:
            self.close()
            raise

    def choose(self, name: str, group_size: int | None, longest: int, steps: int | None) -> Chosen:
        """The first worker makes (for "auto": measures) its engine, the others take the same.

        Args:
          name: of the engine within a worker.
          group_size: that of a fleet that was begun before, or None.
          longest: the most records that any shadow model trains on in an epoch.
          steps: how many training steps all shadow models will make together; None = very many.
        Raises:
          ValueError: if the named engine cannot train the model.
        """
        first, others = self._shards[:1], self._shards[1:]
        share = -(-self._num_models // len(self._shards))
        steps = None if steps is None else -(-steps // len(self._shards))
        told = name, group_size, share, longest, steps
        chosen = self._each(first, lambda shard: shard.worker.choose, lambda shard: told)[0]
        self._chosen = chosen.name, chosen.group_size, share, longest, steps
        groups = -(-self._num_models // chosen.group_size)
        for shard in self._shards[groups:]:  # with nothing to do
            self._ray.kill(shard.worker)
        del self._shards[groups:], others[max(0, groups - 1) :]
        self._each(others, lambda shard: shard.worker.choose, lambda shard: self._chosen)
        for number in range(groups):
            shard = self._shards[number * len(self._shards) // groups]
            until = min((number + 1) * chosen.group_size, self._num_models)
            shard.shadows += range(number * chosen.group_size, until)
        self.engine_name = f"ray: {chosen.name}"
        most = max(len(shard.shadows) for shard in self._shards)
        machines = self._cluster.num_machines
        said = (
            f"{len(self._shards)} Ray worker{'s' * (len(self._shards) > 1)} on {machines} machine{'s' * (machines > 1)}, up to "
            f"{most} shadow models each"
        )
        said = f"{said}; in the first, {chosen.sentence}" if chosen.sentence else f"{said}, trained by {chosen.name}."
        return chosen._replace(sentence=said)

    def deal(self, files: FleetFiles | None) -> None:
        """Gives each worker its shadow models, and the fleet's files if there are any.

        Raises:
          ValueError: if a worker does not find the files.
        """
        self._files = files
        self._manifest = "" if files is None else file_digest(files.folder)
        self._each(self._shards, lambda shard: shard.worker.take, self._share)

    def train(
        self, epoch: int, rates: Rates, alive: Sequence[int], done: Callable[[int], None] = lambda count: None
    ) -> dict[int, float | str]:
        """See `FleetHere.train`."""
        del self._journal[epoch:]
        self._journal.append(rates)
        trained: dict[_Shard, int] = {}
        found: dict[int, float | str] = {}

        def count(shard: _Shard, number: int) -> None:
            if number > trained.get(shard, 0):  # a replacement begins anew
                trained[shard] = number
                done(sum(trained.values()))

        def start(shard: _Shard) -> Any:
            return shard.worker.train, (*self._unknown(shard), self._living(shard, alive))

        def note(shard: _Shard, value: Any) -> None:
            if isinstance(value, Progress):
                count(shard, value.trained)
                return
            outcomes, trouble = value
            found.update(outcomes)
            self._note_trouble(trouble)

        busy = [shard for shard in self._shards if self._living(shard, alive)]
        for shard, why in self._run(busy, start, note):
            shadows = self._living(shard, alive)
            found.update(dict.fromkeys(shadows, why.said))
            count(shard, len(shadows))
        return found

    def ask(
        self, epochs: int, request: ShadowRequest, queries: Queries, final: bool, alive: Sequence[int]
    ) -> tuple[dict[int, Answers], dict[int, str]]:
        """See `FleetHere.ask`.

        Raises:
          ValueError: if queries cannot be sent, or no worker can ask what is wanted.
        """
        found: dict[int, Answers] = {}
        failures: dict[int, str] = {}
        asked = epochs, request, self._sent_queries(queries), final

        def start(shard: _Shard) -> Any:
            return shard.worker.ask, (*self._unknown(shard), self._living(shard, alive), *asked)

        def note(shard: _Shard, value: Any) -> None:
            if isinstance(value, str):
                self._note_trouble(value)
                return
            found.update(value[0])
            failures.update(value[1])

        busy = [shard for shard in self._shards if self._living(shard, alive)]
        for shard, why in self._run(busy, start, note):
            if why.refused:
                raise ValueError(why.said)  # what cannot be asked at all is nothing that a shadow model has failed in
            failures.update({shadow: why.said for shadow in self._living(shard, alive) if shadow not in found})
        return found, failures

    def close(self) -> None:
        """Ends the workers, and the cluster if it was started for them."""
        shards, self._shards = self._shards, []
        self._sent, self._queries = [], {}
        if self._ray.is_initialized():
            for shard in shards:
                if shard.worker is not None:
                    self._ray.kill(shard.worker)
        self._cluster.close()

    def _number_of_workers(self) -> int:
        room, workers = self._cluster.room(self._workers), self._workers
        size = f"num_cpus={workers.num_cpus:g} and num_gpus={workers.num_gpus:g}"
        if not room:
            raise ValueError(f"no machine of the Ray cluster has room for a worker of {size}; ask for less.")
        if workers.num_workers is not None and workers.num_workers > room:
            raise ValueError(
                f"num_workers is {workers.num_workers}, and the Ray cluster has room for {room} of {size} at a time; ask for "
                "fewer, or let the cluster grow first (ray.autoscaler.sdk.request_resources)."
            )
        return min(workers.num_workers or room, self._num_models)

    def _share(self, shard: _Shard) -> tuple[Any, ...]:
        folder = None if self._files is None else str(Path(self._files.folder).resolve())
        return shard.shadows, folder, self._manifest

    def _living(self, shard: _Shard, alive: Sequence[int]) -> list[int]:
        living = set(alive)
        return [shadow for shadow in shard.shadows if shadow in living]

    def _unknown(self, shard: _Shard) -> tuple[list[Rates], int]:
        """The learning rates that a worker does not know yet, and the epoch (from 0) that they begin with."""
        known, shard.known = shard.known, len(self._journal)
        return self._journal[known:], known

    def _note_trouble(self, trouble: str) -> None:
        if self._files is not None and trouble:
            self._files.trouble = self._files.trouble or trouble

    def _sent_queries(self, queries: Queries) -> tuple[int, Any]:
        if queries not in self._queries:
            self._queries[queries] = len(self._queries), packed_code(queries, "a query")
        return self._queries[queries]

    def _each(
        self,
        shards: Sequence[_Shard],
        method: Callable[[_Shard], Any],
        arguments: Callable[[_Shard], Any],
    ) -> list[Any]:
        """What each worker answers, before there is anything to lose: what goes wrong is raised."""
        answers: dict[int, Any] = {}

        def note(shard: _Shard, value: Any) -> None:
            answers[id(shard)] = value

        for _, why in self._run(shards, lambda shard: (method(shard), arguments(shard)), note):
            raise ValueError(why.said) if why.refused else RuntimeError(f"a worker of Ray fails: {why.said}")
        return [answers[id(shard)] for shard in shards]

    def _run(
        self,
        shards: Sequence[_Shard],
        start: Callable[[_Shard], tuple[Any, Sequence[Any]]],
        note: Callable[[_Shard, Any], None],
    ) -> Iterator[tuple[_Shard, Failed]]:
        """Lets all these workers work at once, and hands on what they say as it comes; lost ones are replaced and start again.

        Args:
          start: gives the method to call on the shard's worker, which says one thing after the other, and its arguments.
          note: called with what it says.
        Yields:
          The shards that fail, and why.
        """
        running: dict[Any, _Shard] = {}
        for shard in shards:
            if shard.worker is None:
                self._employ(shard)
            running[self._started(shard, start)] = shard
        while running:
            ready, _ = self._ray.wait(list(running), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
            for one in ready:
                shard = running.pop(one)
                value = self._said(one)
                if value is _END:
                    shard.losses = 0
                elif isinstance(value, Failed):
                    yield shard, value
                elif isinstance(value, _Lost):
                    self._ray.kill(shard.worker)
                    shard.losses += 1
                    if shard.losses > self._workers.retries:
                        yield shard, Failed(self._lost_too_often(shard, value), False)
                        continue
                    self._employ(shard)
                    running[self._started(shard, start)] = shard
                else:
                    note(shard, value)
                    running[one] = shard
            for one, shard in list(running.items()):
                if self._waits_in_vain(shard):
                    del running[one]
                    self._ray.kill(shard.worker)
                    yield (
                        shard,
                        Failed(f"no machine of the Ray cluster took its worker within {_PATIENCE:.0f} s", False),
                    )

    def _employ(self, shard: _Shard) -> None:
        """A new worker that is brought to where a shard's worker must be; it does one thing after the other."""
        workers = self._workers
        actor = self._ray.remote(
            num_cpus=workers.num_cpus, num_gpus=workers.num_gpus, max_restarts=0, max_task_retries=0
        )
        replaces = shard.worker is not None
        shard.worker = actor(ShardWorker).remote(workers.threads, workers.num_gpus > 0)
        shard.pid, shard.since, shard.known = shard.worker.here.remote(), time.monotonic(), 0
        if replaces:
            chosen = () if self._chosen is None else (self._chosen,)
            shares = (self._share(shard),) if shard.shadows else ()
            shard.worker.catch_up.remote(*self._sent, chosen, shares)

    def _started(self, shard: _Shard, start: Callable[[_Shard], tuple[Any, Sequence[Any]]]) -> Any:
        method, arguments = start(shard)
        return method.options(num_returns="streaming").remote(*arguments)

    def _said(self, running: Any) -> Any:
        """The next of what a worker says, `_END` after the last."""
        try:
            return self._ray.get(next(running))
        except StopIteration:
            return _END
        except self._ray.exceptions.RayTaskError as reason:  # beyond what a worker catches itself
            return Failed(" ".join(str(reason.cause).split()), False)
        except self._ray.exceptions.RayError as reason:
            return _Lost(" ".join(str(reason).split()))

    def _waits_in_vain(self, shard: _Shard) -> bool:
        if shard.pid is not None and self._ray.wait([shard.pid], timeout=0)[0]:
            shard.pid = None
        return shard.pid is not None and time.monotonic() - shard.since > _PATIENCE

    def _lost_too_often(self, shard: _Shard, lost: _Lost) -> str:
        return f"its Ray worker was lost {shard.losses} times in a row ({lost.said[:200]})"


class _Lost:
    """A worker that is no more, and what Ray says of it."""

    def __init__(self, said: str) -> None:
        self.said = said


_END = object()
