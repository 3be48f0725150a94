"""Attack results as files: one `.npz` archive a run whose first entry is JSON, never a pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from . import roc
from .estimate import Estimate
from .low_fpr import FPRS
from .report import LeakageReport, low_fpr_name
from .tf_privacy_results import (
    AttackResults,
    AttackResultsCollection,
    AttackType,
    DataSize,
    PrivacyReportMetadata,
    SingleAttackResult,
)
from .tf_privacy_roc import RocCurve
from .tf_privacy_slices import CustomGroup, SingleSliceSpec, SlicingFeature

SCHEMA_VERSION = 1
_LIST = "attack_results.json"
_ARRAYS = ("membership_scores_train", "membership_scores_test", "train_indices", "test_indices")


def save_results(results: AttackResults, path: str | os.PathLike[str]) -> None:
    """Writes a run to one file, under a temporary name first: a file of that name is whole or not there."""
    arrays: dict[str, Any] = {}
    described = []
    for index, result in enumerate(results.single_attack_results):
        parts = {name: getattr(result, name) for name in _ARRAYS}
        if result.report is None or parts["membership_scores_train"] is None:
            parts |= {name: np.asarray(getattr(result.roc_curve, name)) for name in ("thresholds", "tpr", "fpr")}
        arrays |= {f"{index}/{name}": array for name, array in parts.items() if array is not None}
        described.append(_described(result))
    metadata = results.privacy_report_metadata
    header = {
        "schema_version": SCHEMA_VERSION,
        "results": described,
        "metadata": None if metadata is None else {name: _plain(value) for name, value in asdict(metadata).items()},
        "skipped": list(results.skipped),
    }
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    _write(Path(path), lambda file: np.savez_compressed(file, header=text, **arrays))


def load_results(path: str | os.PathLike[str]) -> AttackResults:
    """The run that `save_results` wrote.

    Raises:
      ValueError: if the file is damaged, a pickle, something else, or of another schema version.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
            arrays = {name: archive[name] for name in archive.files if name != "header"}
        _check_version(header, path)
        results = [_result(found, arrays, index) for index, found in enumerate(header["results"])]
        metadata = None if header["metadata"] is None else PrivacyReportMetadata(**header["metadata"])
        return AttackResults(results, metadata, tuple(header["skipped"]))
    except OSError:
        raise
    except Exception as reason:
        raise ValueError(
            f"{os.fspath(path)} holds no attack results of this package ({reason}); pickles of TensorFlow Privacy are not "
            "read, run the attacks again."
        ) from None


def save_collection(collection: AttackResultsCollection, folder: str | os.PathLike[str]) -> None:
    """Writes one file a run, then the list of them: what is not in the list does not belong to the collection."""
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    names = [f"attack_results_{index:05d}.npz" for index in range(len(collection.attack_results_list))]
    for name, results in zip(names, collection.attack_results_list, strict=True):
        save_results(results, where / name)
    text = json.dumps({"schema_version": SCHEMA_VERSION, "files": names}).encode()
    _write(where / _LIST, lambda file: file.write(text))


def load_collection(folder: str | os.PathLike[str]) -> AttackResultsCollection:
    """The runs that `save_collection` wrote, in their order.

    Raises:
      ValueError: if there is no list of them, or one of them cannot be read.
    """
    try:
        listed = json.loads((Path(folder) / _LIST).read_bytes())
    except (FileNotFoundError, ValueError) as reason:
        raise ValueError(f"{os.fspath(folder)} holds no collection of attack results ({reason}).") from None
    _check_version(listed, folder)
    return AttackResultsCollection([load_results(Path(folder) / Path(name).name) for name in listed["files"]])


def _write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            write(file)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _check_version(header: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    version = header.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{os.fspath(path)} is of schema version {version}; this package reads version {SCHEMA_VERSION}."
        )


def _described(result: SingleAttackResult) -> dict[str, Any]:
    spec = result.slice_spec
    value = [_plain(part) for part in spec.value] if isinstance(spec.value, tuple) else _plain(spec.value)
    return {
        "feature": None if spec.feature is None else spec.feature.value,
        "value": value,
        "data_size": list(result.data_size),
        "attack_type": result.attack_type.value,
        "test_train_ratio": float(result.roc_curve.test_train_ratio),
        "report": None if result.report is None else {**result.report.to_dict(), "folds": result.report.folds},
    }


def _result(found: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], index: int) -> SingleAttackResult:
    own = {name: arrays.get(f"{index}/{name}") for name in (*_ARRAYS, "thresholds", "tpr", "fpr")}
    feature = None if found["feature"] is None else SlicingFeature(found["feature"])
    value = found["value"]
    if isinstance(value, list):
        value = CustomGroup(*value) if feature == SlicingFeature.CUSTOM else tuple(value)
    train, test = own["membership_scores_train"], own["membership_scores_test"]
    if found["report"] is None or train is None or test is None:
        points: dict[str, Any] = {name: np.asarray(own[name]) for name in ("thresholds", "tpr", "fpr")}
        curve = RocCurve(**points, test_train_ratio=found["test_train_ratio"])
    else:
        counts = roc.RocCurve.from_scores(np.concatenate([train, test]), np.arange(len(train) + len(test)) < len(train))
        curve = RocCurve.of(_report(found["report"], counts))
    return SingleAttackResult(
        SingleSliceSpec(feature, value),
        DataSize(*found["data_size"]),
        AttackType(found["attack_type"]),
        curve,
        **{name: own[name] for name in _ARRAYS},
    )


def _report(plain: Mapping[str, Any], curve: roc.RocCurve) -> LeakageReport:
    """The report that was described, with its curve."""
    read: dict[str, Any] = {spec.name: plain[spec.name] for spec in fields(LeakageReport) if spec.name in plain}
    for name, value in read.items():
        if isinstance(value, list):
            read[name] = tuple(value)
        elif isinstance(value, dict) and "value" in value:
            read[name] = _estimate(value)
    low_fpr = {fpr: _estimate(plain[low_fpr_name(fpr)]) for fpr in FPRS}
    return LeakageReport(**read, tpr_at_fpr=low_fpr, roc=curve)


def _estimate(plain: Mapping[str, float] | None) -> Estimate | None:
    if plain is None:
        return None
    own = {name: plain.get(name) for name in ("value", "low", "high", "level", "null_level")}
    details = {name: number for name, number in plain.items() if name not in own}
    return Estimate(**own, details=details)  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """A NumPy scalar as the Python number it is."""
    return value.item() if isinstance(value, np.generic) else value
