"""CPU seconds of tasks, side by side in one process."""

import statistics
import time

ROUNDS = 7


def cpu(task):
    """User and system seconds of this process: the fairest measure on shared cores."""
    start = time.process_time()
    task()
    return time.process_time() - start


def measure(tasks, rounds=ROUNDS):
    """Median CPU seconds of each task, interleaved so that all meet the same weather."""
    for task in tasks.values():
        task()
    found = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            found[name].append(cpu(task))
    return {name: statistics.median(seconds) for name, seconds in found.items()}
