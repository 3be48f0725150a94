"""What `privacy-audit unlearn` does: data, models, verdict; results in a folder."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .config_sections import Model
from .configured_data import ConfiguredData, configured_data, rows_from
from .judged_limits import DONE, EXCEEDED, Say
from .located_yaml import ConfigError
from .result_folder import ResultFolder
from .run_facts import Timer, check_files, described, fleet_folder, identity, shadow_plan
from .unlearn_config import UnlearnConfig, referenced_files, referenced_functions

if TYPE_CHECKING:
    from privacy_callbacks.attacks.unlearning_evaluation import UnlearningEvaluation

RESULT = "unlearning.json"


def run_unlearn(config: UnlearnConfig, out: Path, overwrite: bool = False, say: Say = print, verbose: int = 1) -> int:
    """Judges unlearning as configured and writes the results.

    Args:
      config: what to do.
      out: the folder for results; a retrained model and shadow models are kept in it, so that a run that was killed goes on.
      overwrite: whether to compute again, or over results of another configuration.
      say: is told what happens.
      verbose: 1 = a progress bar over shadow models.
    Returns:
      The exit code: 0 = done, 1 = the verdict is none of those that pass.
    Raises:
      ConfigError, ValueError: if something does not fit; nothing is written then.
    """
    files = referenced_files(config)
    check_files(config, files)
    about_all = identity(config, files, referenced_functions(config))
    about_all.pop("passes")
    folder = ResultFolder(out, {"command": "unlearn", **about_all})
    if not overwrite and folder.is_finished(say):
        return _judged(config, json.loads((out / RESULT).read_text(encoding="utf-8"))["verdict"], say)
    timer, about = Timer(), described("unlearn", config.run)
    data, forget = _parted(config, configured_data(config.data, config.run.seed, by_owner=False))
    say(
        f"data: {len(data.rows['members']):,} kept, {len(forget):,} to forget, {len(data.rows['nonmembers']):,} to test by"
    )
    timer.lap("data")
    found = _evaluated(config, data, forget, folder, say, verbose)
    timer.lap("models and audit")
    about["data"] = {"sha256": data.digest, **data.counts, "forget": len(forget)}
    about |= {"warnings": list(found.warnings), "seconds": timer.seconds}
    with folder.filled(about) as place:
        (place / RESULT).write_text(found.to_json(indent=2) + "\n", encoding="utf-8")
        (place / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
        found.table().to_csv(place / "summary.csv")
        residuals = found.residuals()
        residuals.insert(0, "row", forget[residuals["position"].to_numpy()])
        residuals.to_csv(place / "residuals.csv", index=False)
    say(str(found.summary()))
    say(f"results: {out}")
    return _judged(config, found.verdict, say)


def _parted(config: UnlearnConfig, data: ConfiguredData) -> tuple[ConfiguredData, Any]:
    """The data, their members those that are kept; and int64[k], the rows to be forgotten."""
    members = data.rows["members"]
    if isinstance(config.forget, str):
        forget = rows_from(config.forget, "forget")
        strangers = int(np.count_nonzero(~np.isin(forget, members)))
        if strangers or len(np.unique(forget)) < len(forget):
            what = f"{strangers:,} rows that are no members" if strangers else "a row twice"
            raise ConfigError(f"forget: {config.forget} names {what}; give rows of data.members, each once.")
    else:
        if config.forget >= len(members):
            raise ConfigError(f"forget: {config.forget:,} of {len(members):,} members leave none to keep; give fewer.")
        forget = np.sort(np.random.default_rng([config.run.seed, 0xF0F]).permutation(members)[: config.forget])
    return replace(data, rows={**data.rows, "members": members[~np.isin(members, forget)]}), forget


def _evaluated(
    config: UnlearnConfig, data: ConfiguredData, forget: Any, folder: ResultFolder, say: Say, verbose: int
) -> UnlearningEvaluation:
    from privacy_callbacks.attacks.audit_warning import AuditWarning
    from privacy_callbacks.attacks.unlearned_models import evaluate_unlearning

    from .configured_target import configured_target, loaded_model

    seed, models = config.run.seed, config.models
    loaded = {field: loaded_model(path, f"models.{field}") for field, path in models.files.items()}
    of = {
        name: [loaded[field] for field in loaded if field.partition("[")[0] == name]
        for name in ("unlearned", "retrained")
    }
    attack = config.attack.made()
    kept = fleet_folder(folder, seed, [attack])
    plan = shadow_plan(config.shadow_models, Model.model_construct(train=models.retrain), seed, kept)
    if models.retrain is not None:
        reference = Model.model_validate({"train": models.retrain.model_dump()})
        of["retrained"] = [configured_target(reference, data, seed, folder.path / "models", say).model]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)  # they stand in the evaluation
        return evaluate_unlearning(
            of["unlearned"],
            data.part("members"),
            (data.x[forget], data.y[forget]),
            data.part("nonmembers"),
            loaded.get("original"),
            of["retrained"] or None,
            attack=attack,
            shadow_models=plan,
            population=data.part("population") if len(data.rows["population"]) else None,
            audit_size=config.audit_size,
            level=config.level,
            margin=config.margin,
            seed=seed,
            verbose=verbose,
        )


def _judged(config: UnlearnConfig, verdict: str, say: Say) -> int:
    if not config.passes or verdict in config.passes:
        return DONE
    say(f"limit passes: the verdict is {verdict}, and {' or '.join(config.passes)} passes")
    return EXCEEDED
