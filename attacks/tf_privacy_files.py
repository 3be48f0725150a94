"""Attack results as files: one `.npz` archive a run whose first entry is JSON, never a pickle."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from . import plain_fields as plain
from . import roc
from .report import LeakageReport
from .tf_privacy_results import AttackResults, AttackResultsCollection, PrivacyReportMetadata
from .tf_privacy_roc import RocCurve
from .tf_privacy_single import AttackType, DataSize, SingleAttackResult
from .tf_privacy_slices import CustomGroup, SingleSliceSpec, SlicingFeature

SCHEMA_VERSION = 1
_NON_FINITE = ("NaN", "Infinity", "-Infinity")
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
    known = results.privacy_report_metadata
    header = {
        "schema_version": SCHEMA_VERSION,
        "results": described,
        "metadata": None if known is None else {spec.name: _plain(getattr(known, spec.name)) for spec in fields(known)},
        "skipped": list(results.skipped),
    }
    text = np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8)
    _write(Path(path), lambda file: np.savez_compressed(file, header=text, **arrays))


def load_results(path: str | os.PathLike[str]) -> AttackResults:
    """The run that `save_results` wrote.

    Raises:
      ValueError: if the file is damaged, a pickle, something else, or of another schema version.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = plain.mapping(plain.parsed(archive["header"].tobytes(), "the header"), "header")
            arrays = {name: archive[name] for name in archive.files if name != "header"}
        plain.schema_version(header, SCHEMA_VERSION, "file")
        results = [_result(found, arrays, index) for index, found in enumerate(header["results"])]
        metadata = None if header["metadata"] is None else _metadata(header["metadata"])
        return AttackResults(results, metadata, plain.field(header, "skipped", plain.texts, "file"))
    except Exception as reason:
        if isinstance(reason, OSError) and reason.filename is not None:
            raise  # it cannot be opened; a damaged archive gives errors of this kind, too, without a name
        raise ValueError(
            f"{os.fspath(path)} holds no attack results of this package ({str(reason).rstrip('.')}); pickles of TensorFlow "
            "Privacy are not read, run the attacks again."
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
        listed = plain.mapping(plain.parsed((Path(folder) / _LIST).read_bytes(), _LIST), "list of files")
        plain.schema_version(listed, SCHEMA_VERSION, "list of files")
        names = plain.field(listed, "files", plain.texts, "list of files")
    except (FileNotFoundError, ValueError) as reason:
        raise ValueError(
            f"{os.fspath(folder)} holds no collection of attack results ({str(reason).rstrip('.')}); give the folder that a "
            "collection was saved to."
        ) from None
    return AttackResultsCollection([load_results(Path(folder) / Path(name).name) for name in names])


def _write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    unfinished = path.with_name(f"{uuid.uuid4().hex}.unfinished")  # the name itself may be as long as names can be
    try:
        with unfinished.open("wb") as file:
            write(file)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _described(result: SingleAttackResult) -> dict[str, Any]:
    spec = result.slice_spec
    value = [_plain(part) for part in spec.value] if isinstance(spec.value, tuple) else _plain(spec.value)
    return {
        "feature": None if spec.feature is None else spec.feature.value,
        "value": value,
        "data_size": list(result.data_size),
        "attack_type": result.attack_type.value,
        "test_train_ratio": float(result.roc_curve.test_train_ratio),
        "report": None if result.report is None else result.report.to_dict(),
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
        curve = RocCurve.of(replace(LeakageReport.from_dict(found["report"]), roc=counts))
    return SingleAttackResult(
        SingleSliceSpec(feature, value),
        DataSize(*found["data_size"]),
        AttackType(found["attack_type"]),
        curve,
        **{name: own[name] for name in _ARRAYS},
    )


def _plain(value: Any) -> Any:
    """A number, a flag or a string as JSON holds it; None as it is, whatever else by its name."""
    found = plain.of(value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value)
    return found if found is None or isinstance(found, (bool, int, float, str)) else str(found)


def _metadata(held: Mapping[str, Any]) -> PrivacyReportMetadata:
    """The metadata whose fields these are; names of numbers that are not finite stand for these."""
    numbers = {name: value for name, value in held.items() if name != "model_variant_label" and value in _NON_FINITE}
    return PrivacyReportMetadata(**{**held, **{name: plain.number(value) for name, value in numbers.items()}})
