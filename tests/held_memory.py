"""How much memory a task holds."""

import tracemalloc


def peak(task):
    """Bytes held at the worst moment beyond what was there before."""
    tracemalloc.start()
    try:
        task()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
