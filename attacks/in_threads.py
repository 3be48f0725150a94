"""Work on several things at the same time, whose exceptions are results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any


def in_threads(work: Callable[[int], Any], items: list[int], workers: int) -> Iterator[tuple[int, Any]]:
    """(item, what `work(item)` gave or raised) as they come; one thread where one is enough."""
    if workers == 1:
        for item in items:
            yield item, _outcome(work, item)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="shadow") as pool:
        running: dict[Future[Any], int] = {pool.submit(_outcome, work, item): item for item in items}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # those that run are waited for on the way out
            raise


def _outcome(work: Callable[[int], Any], item: int) -> Any:
    try:
        return work(item)
    except Exception as reason:
        return reason
