"""Work in processes of their own that end by SIGKILL just before one of their operations on files, or at a random moment."""

import multiprocessing
import os
import signal
import sys
import time
import warnings
from pathlib import Path

TOUCHING = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}


def forks():
    """A multiprocessing context whose processes begin with what they need imported, and have none of a test's threads."""
    context = multiprocessing.get_context("forkserver")
    # The server does not look where this process finds its modules.
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, paths)))
    context.set_forkserver_preload(["interrupted_runs", "killed_writers"])
    return context


def killed_before(number, work, *arguments):
    """Runs `work(*arguments)`, a module's function, and kills it before operation `number` (from 0) below `arguments[0]`.

    Returns:
      True if it was killed, False if it had fewer operations and is done.
    """
    return _ended(_start(_doomed, number, work, arguments))


def killed_once(condition, work, *arguments):
    """The same as soon as a condition holds, if it is not done before."""
    process = _start(_quietly, work, arguments)
    while process.is_alive() and not condition():
        time.sleep(0.002)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    return _ended(process)


def operations_of(work, *arguments):
    """Runs it undisturbed; how many operations it has."""
    context = forks()
    counted = context.Value("i", 0)
    process = context.Process(target=_counted, args=(counted, work, arguments))
    process.start()
    assert not _ended(process)
    return counted.value


def _start(target, *arguments):
    process = forks().Process(target=target, args=arguments)
    process.start()
    return process


def _ended(process):
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"the work ended with {process.exitcode}"
    return process.exitcode != 0


def _doomed(number, work, arguments):
    _at_each_operation(arguments[0], lambda count: count == number and os.kill(os.getpid(), signal.SIGKILL))
    _quietly(work, arguments)


def _counted(counted, work, arguments):
    def note(count):
        counted.value = count + 1

    _at_each_operation(arguments[0], note)
    _quietly(work, arguments)


def _at_each_operation(folder, act):
    """Lets `act` know the number of each operation on files in a folder, before it is done; for as long as the process lives."""
    inside, seen = os.fspath(folder), []

    def hook(event, details):
        if event in TOUCHING and details and isinstance(details[0], (str, bytes, os.PathLike)):
            # Those of shutil.rmtree come by their last name alone.
            path = os.fsdecode(details[0])
            if path.startswith(inside) or (event in ("os.remove", "os.rmdir") and not os.path.isabs(path)):
                seen.append(event)
                act(len(seen) - 1)

    sys.addaudithook(hook)


def _quietly(work, arguments):
    out = os.open(os.devnull, os.O_WRONLY)
    os.dup2(out, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work(*arguments)
