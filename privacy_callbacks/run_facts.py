"""What every run of a configuration has: a clock, facts for `run.json`, what decides its results, files that must be there."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .config_values import function_named
from .located_yaml import ConfigError
from .result_folder import ResultFolder, digest_of_file

if TYPE_CHECKING:
    from privacy_callbacks.attacks.attack import Attack
    from privacy_callbacks.attacks.report import LeakageReport
    from privacy_callbacks.attacks.shadow_models import ShadowModels

    from .config_sections import Model, Shadows


@dataclass
class Timer:
    """Wall seconds of each stage of a run."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """The stage ends now."""
        now = time.perf_counter()
        self.seconds[stage], self._since = round(now - self._since, 3), now


def check_files(config: Any, files: Mapping[str, str]) -> None:
    """Nothing, if the files that a configuration names are there, and there is a place for logs.

    Args:
      config: whose `run` says where logs go, and whose `data` may name a folder.
      files: paths by field.
    Raises:
      ConfigError: otherwise; a line each.
    """
    missing = [
        f"{place}: there is no file {path}; paths are relative to the working directory, {Path.cwd()}."
        for place, path in files.items()
        if not Path(path).is_file()
    ]
    folder = config.data.folder
    if folder is not None and not Path(folder).is_dir():
        missing.append(f"data.folder: there is no folder {folder}; paths are relative to {Path.cwd()}.")
    if missing:
        raise ConfigError("\n".join(missing))
    if config.run.log_dir is not None:
        from .tensorboard_log import check_writable

        try:
            check_writable(config.run.log_dir, "run.log_dir")
        except ValueError as reason:
            raise ConfigError(str(reason)) from None


def identity(config: Any, files: Mapping[str, str], functions: Mapping[str, str]) -> dict[str, Any]:
    """What decides the results: all of the configuration but where they go and how they are judged, and what it names.

    Args:
      config: the configuration.
      files: paths by field.
      functions: `package.module:function` by field; each is imported.
    Raises:
      ConfigError: if a function cannot be had.
    """
    sources = dict(files)
    if config.data.folder is not None:
        paths = sorted(path for path in Path(config.data.folder).rglob("*") if path.is_file())
        sources |= {f"data.folder/{path.relative_to(config.data.folder)}": str(path) for path in paths}
    for place, name in functions.items():
        function_named(name, place)
        origin = importlib.util.find_spec(name.partition(":")[0])
        if origin is not None and origin.origin is not None:
            sources[place] = origin.origin
    dumped = config.model_dump(mode="json", exclude={"run": {"out"}, "limits": True})
    return {**dumped, "contents": {place: digest_of_file(Path(path)) for place, path in sources.items()}}


def described(command: str, run: Any) -> dict[str, Any]:
    """What `run.json` says of any run: command, name, seed, when it started, versions."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"command": command, "name": run.name, "seed": run.seed, "started": started}
    return {**about, "versions": _versions()}


# What is asked of shadow models, and how it is told.
_DECIDE_NO_FLEET = {
    *("command", "run", "attacks", "attack", "slices", "level", "margin"),
    *("range", "ranges", "centre", "queries", "aggregate"),
}


def fleet_folder(folder: ResultFolder, seed: int, attacks: Iterable[Attack], by_owner: bool = False) -> Path:
    """Where shadow models are kept: under a name made of what decides them, so that no others are in the way.

    Args:
      folder: of the results, with their identity.
      seed: of the run.
      attacks: which may set some of the records aside.
      by_owner: whether the records were dealt by their owners.
    """
    from privacy_callbacks.attacks.attack import needs

    decides = {name: part for name, part in folder.identity.items() if name not in _DECIDE_NO_FLEET}
    decides |= {"seed": seed, "population": any(needs(attack).population for attack in attacks)}
    decides |= {"by_owner": True} if by_owner else {}
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    return folder.path / "shadow_models" / digest[:16]


def _versions() -> dict[str, str]:
    names = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "scikit-learn", "pandas")
    found = {"privacy_callbacks": __version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def figure(report: LeakageReport, name: str) -> str:
    """A metric with its interval, or why there is none, in a word."""
    estimate = report.estimates().get(name)
    if estimate is None:
        return "failed" if report.failed else "refused"
    return f"{float(estimate):.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def shadow_plan(shadows: Shadows, model: Model, seed: int, checkpoint_dir: Path | None = None) -> ShadowModels | None:
    """How shadow models are trained; None if there are none.

    Args:
      shadows, model: the sections.
      seed: decides halves, weights and order.
      checkpoint_dir: where they are kept if the section does not say so.
    """
    from privacy_callbacks.attacks.shadow_models import ShadowModels

    if not shadows.num_models:
        return None
    train = model.train
    return ShadowModels(
        shadows.num_models,
        epochs=shadows.epochs or (train.epochs if train else None),
        batch_size=shadows.batch_size or (train.batch_size if train else None),
        engine=shadows.engine,
        checkpoint_dir=shadows.checkpoint_dir or checkpoint_dir,
        seed=seed,
    )
