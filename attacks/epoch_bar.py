"""What is seen of an epoch of shadow models while it runs."""

from __future__ import annotations

import shutil
import sys
import time

import keras


class EpochBar:
    """A Keras progress bar over the shadow models of an epoch, silent with verbose = 0.

    On a terminal it takes the place of the line that stands there (Keras' own bar, not ended yet) and goes when it is done, so
    that an epoch leaves one line behind; elsewhere nothing is printed until then, and one line is.

    Args:
      models: how many will be trained.
      epoch: what to call it, e.g. "3/20".
      verbose: as for `fit`.
    """

    def __init__(self, models: int, epoch: str, verbose: int) -> None:
        self._count, self._epoch, self._verbose = models, epoch, verbose
        self._start = time.perf_counter()
        self._bar = None
        if verbose == 1 and sys.stdout.isatty():
            self._clear()
            self._bar = keras.utils.Progbar(self._count, unit_name="shadow model")

    def __call__(self, count: int) -> None:
        """So many models are done."""
        if self._bar is not None:
            self._bar.update(count, finalize=False)
        if count < self._count or not self._verbose:
            return
        if self._bar is not None:
            self._clear()
        else:
            seconds = time.perf_counter() - self._start
            print(f"Shadow models, epoch {self._epoch}: {self._count} models, {seconds:.1f} s")

    @staticmethod
    def _clear() -> None:
        print("\r" + (shutil.get_terminal_size().columns - 1) * " " + "\r", end="", flush=True)
