"""A real browser and a real TensorBoard for tests: the system's Chromium, of which every message and request is kept.

The sync API of playwright holds an asyncio loop as long as a browser is open: hold one for a test or a module, not for a
session, and open one at a time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
]
# What TensorBoard's own page says in every browser.
TENSORBOARDS_OWN = (r"Multiple instances of Three\.js", r"paper-[\w-]+ is deprecated")
_SECONDS_TO_START = 120
_LOCAL_SCHEMES = ("data", "blob", "about", "file")


def require_chromium() -> str:
    """Where the system's Chromium lies.

    Without one the calling test is skipped; with REQUIRE_BROWSER=1 in the environment it fails.
    """
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    reason = f"no browser: none of {', '.join(CHROMIUM_NAMES)} is installed; `apt-get install chromium` brings one."
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Browser:
    """An open Chromium; `page` opens a tab that is watched."""

    _chromium: Any

    @contextmanager
    def page(
        self, width: int = 1280, height: int = 900, scheme: str = "light", scripts: bool = True, **context: Any
    ) -> Iterator[WatchedPage]:
        """A fresh tab, without anything remembered from others.

        Args:
          width, height: of its viewport, in CSS pixels.
          scheme: what the page hears of the user's taste: "light" or "dark".
          scripts: False = as for people who switched scripts off.
          context: more of playwright's `new_context`, such as accept_downloads or reduced_motion.
        """
        size = {"width": width, "height": height}
        held = self._chromium.new_context(viewport=size, color_scheme=scheme, java_script_enabled=scripts, **context)
        try:
            yield WatchedPage(held.new_page())
        finally:
            held.close()


@dataclass
class WatchedPage:
    """A tab that keeps what the browser said of it; `page` is playwright's own.

    Attributes:
      console: (type, text) of every console message: "error", "warning", "log", …
      errors: exceptions that no script caught.
      failed: requests that failed or were answered with a status from 400 on, each with its reason.
      requests: the address of every request, frames and workers included.
    """

    page: Any
    console: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        watched = self.page.context
        watched.on("console", lambda message: self.console.append((message.type, message.text)))
        watched.on("weberror", lambda error: self.errors.append(str(error.error)))
        watched.on("request", lambda request: self.requests.append(request.url))
        watched.on("requestfailed", lambda request: self.failed.append(f"{request.url}: {request.failure}"))
        watched.on("response", self._keep_refusals)

    def _keep_refusals(self, response: Any) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.url}: {response.status}")

    def open(self, address: str | os.PathLike[str]) -> Any:
        """Goes to an address, or to a file on this machine; returns playwright's page."""
        file = isinstance(address, os.PathLike)
        self.page.goto(Path(address).resolve().as_uri() if file else address, wait_until="load")
        return self.page

    def outside(self, origin: str | os.PathLike[str]) -> list[str]:
        """Requests that left: all but those to `origin` (a server's address, or a file) and those that carry their own data."""
        home = "" if isinstance(origin, os.PathLike) else urlsplit(origin).netloc
        asked = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, parts in asked if parts.scheme not in _LOCAL_SCHEMES and parts.netloc != home]

    def assert_clean(self, origin: str | os.PathLike[str], known: Iterable[str] = TENSORBOARDS_OWN) -> None:
        """Holds that no request left the machine, none failed, and nobody complained.

        Args:
          origin: what `open` was given.
          known: patterns of complaints that are somebody else's.
        """
        complaints = [text for kind, text in self.console if kind in ("error", "warning", "assert")]
        complaints += self.errors + self.failed
        patterns = list(known)
        ours = [text for text in complaints if not any(re.search(pattern, text) for pattern in patterns)]
        left = self.outside(origin)
        assert not left, f"requests left the machine: {left}"
        assert not ours, f"the browser complained: {ours}"

    def screenshot(self, path: str | os.PathLike[str], selector: str | None = None) -> None:
        """A picture (PNG) of the viewport, or of the first element that the selector names."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        target = self.page if selector is None else self.page.locator(selector).first
        target.screenshot(path=os.fspath(path))


@contextmanager
def open_browser(*flags: str) -> Iterator[Browser]:
    """The system's Chromium, headless, with a profile of its own; skips as `require_chromium` does."""
    executable = require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=[*FLAGS, *flags])
        try:
            yield Browser(chromium)
        finally:
            chromium.close()


@contextmanager
def serve_tensorboard(
    logdir: str | os.PathLike[str], *, fast: bool = True, runs: Iterable[str] | None = None, seconds: float = 60.0
) -> Iterator[str]:
    """A TensorBoard of its own process and port; yields its address, `http://127.0.0.1:<port>/`.

    Args:
      logdir: what it shows.
      fast: its RustBoard loader; False = the one in Python.
      runs: the names that it must have listed before this returns; default: every folder with an event file.
      seconds: how long to wait for that.
    Raises:
      RuntimeError: if it ends, or lists too little in that time; with what it wrote.
    """
    wanted = set(_runs_in(Path(logdir)) if runs is None else runs)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", os.fspath(logdir), "--host", "127.0.0.1"]
    command += ["--port", "0", "--reload_interval", "1", "--load_fast", str(fast).lower()]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile("w+") as said:
        # A session of its own: RustBoard's server is a child, and must end with it.
        server = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            # To start takes as long as the machine is busy, and is no reason to doubt the logs.
            address = _address_of(server, said, time.monotonic() + max(seconds, _SECONDS_TO_START))
            end = time.monotonic() + seconds
            while missing := wanted - set(_listed(address)):
                if time.monotonic() > end:
                    raise RuntimeError(f"TensorBoard did not list the runs {sorted(missing)} within {seconds:g} s.")
                time.sleep(0.2)
            yield address
        finally:
            _end(server)


def _runs_in(logdir: Path) -> set[str]:
    return {path.parent.relative_to(logdir).as_posix() for path in logdir.rglob("*.tfevents.*") if path.stat().st_size}


def _address_of(server: subprocess.Popen[bytes], said: IO[str], end: float) -> str:
    """What TensorBoard says about itself once it listens."""
    text = ""
    while time.monotonic() < end:
        ended = server.poll() is not None
        # Its place is the server's, too, which writes where it stands: read from the start by number, not by seeking.
        text = os.pread(said.fileno(), 1 << 20, 0).decode(errors="replace")
        if found := re.search(r" at (http://\S+) ", text):
            return found[1]
        if ended:
            break
        time.sleep(0.05)
    raise RuntimeError(f"TensorBoard did not start; it wrote:\n{text}")


def _listed(address: str) -> list[str]:
    with urllib.request.urlopen(f"{address}data/runs", timeout=30) as answer:
        return json.load(answer)


def _end(server: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, how)
            server.wait(5)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            continue
    server.wait(5)
