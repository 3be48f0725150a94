"""A process that trains a shard of a fleet's shadow models; nothing is imported before it is bounded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .shard_messages import Chosen, Failed, Progress

if TYPE_CHECKING:
    from .shadow_training import Rates, ShadowRequest


class ShardWorker:
    """Trains and asks some shadow models in a process of its own.

    What it says comes one after the other. Instead of an exception it says `Failed`; if that happens before it has its shadow
    models, then from there on.

    Args:
      threads: that TensorFlow may use.
      gpu: False hides them from TensorFlow.
    """

    def __init__(self, threads: int, gpu: bool) -> None:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        self._threads, self._gpu = threads, gpu
        # All work in one thread, as Keras' settings are the thread's; another one hands on how far it is.
        self._own = ThreadPoolExecutor(1)
        self._trained = 0
        self._failed: Failed | None = None
        self._site: Any = None
        self._made: Any = None
        self._queries: dict[int, Any] = {}

    def here(self) -> int:
        """The number of its process, once there is one."""
        return os.getpid()

    def catch_up(self, work: bytes, records: Any, asked: Any, chosen: tuple[Any, ...], shares: tuple[Any, ...]) -> None:
        """Does what another worker has done before it was lost: `set_up`, then `choose` and `take` if arguments are there."""
        self._done(self._set_up, work, records, asked)
        for told in chosen:
            self._done(self._choose, *told)
        for share in shares:
            self._done(self._take, *share)

    def set_up(self, work: bytes, records: Any, asked: Any) -> Iterator[Any]:
        """Makes what shadow models are made of, and compares it with what the fleet's own process has.

        Args:
          work: a `ShardWork`, packed.
          records: the pool, (x, y, weights) as arrays.
          asked: the records that signals are wanted of, and the population or None, likewise.
        """
        yield self._done(self._set_up, work, records, asked)

    def choose(
        self, name: str, group_size: int | None, num_models: int, longest: int, steps: int | None
    ) -> Iterator[Any]:
        """Makes the engine and says which, a `Chosen`; see `choose_engine`. `group_size` is the other workers', if known."""
        yield self._done(self._choose, name, group_size, num_models, longest, steps)

    def take(self, shadows: Sequence[int], folder: str | None, manifest: str) -> Iterator[Any]:
        """From now on these shadow models are this worker's.

        Args:
          shadows: whole groups.
          folder: the fleet's files, or None.
          manifest: digest of the folder's fleet.json, by which the worker knows that it sees the same folder.
        """
        yield self._done(self._take, shadows, folder, manifest)

    def train(self, journal: Sequence[Rates], first: int, alive: Sequence[int]) -> Iterator[Any]:
        """Moves its shadow models on, epoch by epoch; epochs that are behind it cost nothing.

        Args:
          journal: the learning rates of epochs `first`, `first` + 1, …
          first: counted from 0.
          alive: those that have not failed.
        Yields:
          `Progress` in the newest epoch; at last (what `FleetHere.train` gives, what is wrong with the files), or `Failed`.
        """
        said: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def work() -> None:
            said.put(self._guarded(self._train, journal, first, alive, lambda count: said.put(Progress(count))))

        running = self._own.submit(work)
        while True:
            found = said.get()
            yield found
            if not isinstance(found, Progress):
                running.result()
                return

    def ask(
        self,
        journal: Sequence[Rates],
        first: int,
        alive: Sequence[int],
        epochs: int,
        request: ShadowRequest,
        queries: tuple[int, bytes],
        final: bool,
    ) -> Iterator[Any]:
        """What its shadow models answer after so many epochs; the journal as in `train`.

        Args:
          queries: a number, and the queries, packed: what has come under this number is known.
        Yields:
          What `FleetHere.ask` gives for each group, then what is wrong with the files; or `Failed`.
        """
        failed = self._done(self._train, journal, first, alive, lambda count: None)
        if isinstance(failed, Failed):
            yield failed
            return
        for group in self._groups_of(alive):
            found = self._done(self._ask, group, epochs, request, queries, final)
            yield found
            if isinstance(found, Failed):
                return
        yield self._trouble()

    def _done(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return self._own.submit(self._guarded, work, *arguments).result()

    def _guarded(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if self._failed is not None:
            return self._failed
        try:
            return work(*arguments)
        except Exception as reason:
            said = str(reason) if isinstance(reason, ValueError) else f"{type(reason).__name__}: {reason}"
            failed = Failed(said, isinstance(reason, ValueError))
            if self._site is None:
                self._failed = failed
            return failed

    def _set_up(self, content: bytes, records: Any, asked: Any) -> None:
        if self._made is not None:
            return  # the one it replaces was lost in this very step
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(self._threads)
        tf.config.threading.set_inter_op_parallelism_threads(self._threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)  # it may be shared
        if not self._gpu:
            tf.config.set_visible_devices([], "GPU")

        import keras

        from .asked_records import AllRecords
        from .fresh_model import FreshModels
        from .model_description import stand_in, weights_digest
        from .record_arrays import Records, resident
        from .sent_code import unpacked_code
        from .training_data import TrainingData

        work = self._work = unpacked_code(content)
        _take_over(keras, work.keras)
        x, y, weights, population = asked
        population = None if population is None else Records(*resident(population))
        x, y, weights = resident((x, y, weights))
        self._asked = AllRecords(x, y, weights, population)
        self._target = stand_in(work.description, self._asked.x)
        self._fresh = FreshModels(self._target, self._asked.x, work.description.model_fn, work.seed)
        self._made = self._fresh.make_compiled(0)
        if weights_digest(self._made) != work.weights:
            raise ValueError(
                "a Ray worker makes other shadow models of the model than this process: its configuration does not tell all "
                "that it is made of, or other versions are installed there; give ShadowModels(model_fn=...), or train in this "
                "process (another engine)."
            )
        self._data = TrainingData.of(Records(*records), work.training.batch_size, work.class_weight, work.augment)

    def _choose(self, name: str, group_size: int | None, num_models: int, longest: int, steps: int | None) -> Chosen:
        from .engine_choice import choose_engine

        choice = choose_engine(name, self._target, self._fresh, self._data, longest, steps, num_models=num_models)
        self._engine = choice.engine
        self._engine.workers = min(self._engine.workers, self._threads)
        if group_size is not None:
            self._engine.group_size = group_size
        return Chosen(choice.engine.name, choice.engine.group_size, choice.sentence)

    def _take(self, shadows: Sequence[int], folder: str | None, manifest: str) -> None:
        from .fleet_files import FleetFiles
        from .fleet_here import FleetHere

        files = None
        if folder is not None:
            if file_digest(folder) != manifest:
                raise ValueError(
                    f"a Ray worker on {platform.node()} does not find the fleet's files in checkpoint_dir {folder!r}; give a "
                    "folder that every machine of the cluster reaches by this path."
                )
            files = FleetFiles(folder, shared=True)
        work, size = self._work, self._engine.group_size
        self._files, self._trained = files, 0
        self._groups = [
            [one for one in shadows if one // size == number] for number in sorted({one // size for one in shadows})
        ]
        self._site = FleetHere(
            work.training,
            self._asked,
            self._made,
            self._engine,
            shadows=shadows,
            loss=work.loss,
            ask_batch_size=work.ask_batch_size,
            output=work.output,
            memory_limit=work.memory_limit,
            files=files,
        )

    def _train(
        self, journal: Sequence[Rates], first: int, alive: Sequence[int], done: Callable[[int], None]
    ) -> tuple[dict[int, float | str], str]:
        found: dict[int, float | str] = {}
        until = first + len(journal)
        for epoch in range(self._trained, until):
            found = self._site.train(epoch, journal[epoch - first], alive, done if epoch == until - 1 else _silently)
            self._trained = epoch + 1
        return found, self._trouble()

    def _ask(
        self, group: Sequence[int], epochs: int, request: ShadowRequest, queries: tuple[int, bytes], final: bool
    ) -> Any:
        from .sent_code import unpacked_code

        number, content = queries
        if number not in self._queries:
            self._queries[number] = unpacked_code(content)  # once: a function that comes anew would be traced anew
        return self._site.ask(epochs, request, self._queries[number], final, group)

    def _groups_of(self, alive: Sequence[int]) -> list[list[int]]:
        living = [[one for one in group if one in set(alive)] for group in self._groups]
        return [group for group in living if group]

    def _trouble(self) -> str:
        return "" if self._files is None else self._files.trouble


def file_digest(folder: str | os.PathLike[str]) -> str:
    """SHA-256 of the manifest in a fleet's folder; "" if there is none."""
    with contextlib.suppress(OSError):
        return hashlib.sha256((Path(folder) / "fleet.json").read_bytes()).hexdigest()
    return ""


def keras_settings() -> tuple[Any, ...]:
    """Of this process and thread: float type, epsilon, image format, precision."""
    import keras

    config = keras.config
    return config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy().name


def _take_over(keras: Any, settings: tuple[Any, ...]) -> None:
    floatx, epsilon, image_format, policy = settings
    keras.config.set_floatx(floatx)
    keras.config.set_epsilon(epsilon)
    keras.config.set_image_data_format(image_format)
    keras.config.set_dtype_policy(policy)


def _silently(count: int) -> None:
    pass
