"""What TensorBoard shows of an audit: one run an attack, the same tags in each, so that attacks overlay in one chart."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, SummaryMetadata

from privacy_callbacks.attacks.report import LeakageReport

from .default_writer import writing_to


class TensorBoardLog:
    """Writes reports as scalars into `<log_dir>/<name>/<attack>`, and their tables as text.

    Writers open with the first report of an attack and stay open until `close`.

    Args:
      log_dir: the directory that `keras.callbacks.TensorBoard` gets, too.
      name: the prefix of the tags: `mia/auc`, `mia/auc_low`, …; of slices `mia_slices/class_3/auc`, …
      steps: what a step is, in the descriptions.
    Attributes:
      folder: where the runs lie.
    """

    def __init__(self, log_dir: str | os.PathLike[str], name: str, steps: str = "the epoch, from 0") -> None:
        self.folder = f"{os.fspath(log_dir).rstrip('/')}/{name}"  # not a Path: it may be gs://…
        self._name, self._steps = name, steps
        self._writers: dict[str, Any] = {}
        self._tags: dict[str, str] = {}
        self._described: set[tuple[str, str]] = set()

    def scalars(self, report: LeakageReport, step: int) -> None:
        """Every metric of a report that was not refused, with its interval or null level; of a slice the AUC."""
        found, place = report.scalars(), self._name
        if report.slice != "entire":
            # All metrics of all slices would be hundreds of charts; what remains has a group of its own.
            found = {name: value for name, value in found.items() if name.startswith(_OF_SLICES)}
            place = f"{self._name}_slices/{self._tag_of(report.slice)}"
        named = {f"{place}/{metric}": value for metric, value in found.items()}
        meanings = {f"{place}/{metric}": _describe(metric, report, self._steps) for metric in found}
        self._write_figures(named, report.attack, step, meanings)

    def figures(self, found: Mapping[str, float], attack: str, step: int, meanings: Mapping[str, str]) -> None:
        """Plain numbers by name, in an attack's run.

        Args:
          found: `auc`, say, for the tag `<name>/auc`.
          attack: whose run.
          step: theirs.
          meanings: a sentence for each name.
        """
        named = {f"{self._name}/{metric}": value for metric, value in found.items()}
        about = {f"{self._name}/{metric}": f"{meanings[metric]} The step is {self._steps}." for metric in found}
        self._write_figures(named, attack, step, about)

    def _write_figures(self, found: Mapping[str, float], attack: str, step: int, meanings: Mapping[str, str]) -> None:
        with writing_to(self._writer(attack), step):
            for tag, value in found.items():
                # With the first value alone: that is the one TensorBoard shows, and they are larger than the numbers.
                new = (attack, tag) not in self._described
                self._described.add((attack, tag))
                tf.summary.scalar(tag, value, description=meanings[tag] if new else None)

    def text(self, report: LeakageReport, tag: str, step: int) -> None:
        """A report's table, under Text."""
        self.lines(report.summary(), report.attack, tag, step)

    def lines(self, text: str, attack: str, tag: str, step: int) -> None:
        """Lines of text as they are, in an attack's run."""
        table = "\n".join(f"    {line}" for line in text.split("\n"))
        with writing_to(self._writer(attack), step):
            tf.summary.text(f"{self._name}/{tag}", table)

    def picture(self, pixels: NDArray[np.uint8], attack: str, tag: str, step: int) -> None:
        """A picture [height, width, channels], under Images, in an attack's run."""
        with writing_to(self._writer(attack), step):
            tf.summary.image(f"{self._name}/{tag}", pixels[None])

    def plugin_data(self, attack: str, kind: str, content: bytes, step: int) -> None:
        """A tensor that the Privacy tab reads, in an attack's run; see `privacy_log`."""
        about = {"schema_version": 1, "name": self._name, "attack": attack, "kind": kind}
        plugin = SummaryMetadata.PluginData(plugin_name="privacy", content=json.dumps(about).encode())
        # Without a data class TensorBoard's data provider does not list it.
        metadata = SummaryMetadata(plugin_data=plugin, data_class=DATA_CLASS_TENSOR)
        with writing_to(self._writer(attack), step):
            tf.summary.write(f"{self._name}/privacy_{kind}", tf.constant(content), step, metadata)

    def flush(self) -> None:
        """Makes what was written visible to a TensorBoard that is already running.

        Raises:
          FileNotFoundError: if a run's folder has been removed since. Later reports make it anew.
        """
        for writer in self._writers.values():
            writer.flush()
        # TensorFlow writes on into a file that has no name any more, and says nothing.
        gone = [attack for attack in self._writers if "://" not in self.folder and not self._run(attack).is_dir()]
        for attack in gone:
            self._writers.pop(attack).close()
            self._described = {known for known in self._described if known[0] != attack}
        if gone:
            raise FileNotFoundError(f"{self._run(gone[0])} has been removed, and what was logged there so far is lost")

    def close(self) -> None:
        """Closes the files; a later report opens new ones."""
        writers, self._writers, self._described = [*self._writers.values()], {}, set()
        with contextlib.ExitStack() as all_of_them:  # also those behind one that cannot be written
            for writer in writers:
                all_of_them.callback(writer.close)

    def _run(self, attack: str) -> Path:
        return Path(self.folder, attack)

    def _tag_of(self, slice: str) -> str:
        """A tag of its own for each slice's name."""
        if slice not in self._tags:
            tag, count = _as_tag(slice), 2
            while tag in self._tags.values():
                tag, count = f"{_as_tag(slice)}_{count}", count + 1
            self._tags[slice] = tag
        return self._tags[slice]

    def _writer(self, attack: str) -> Any:
        if attack not in self._writers:
            self._writers[attack] = tf.summary.create_file_writer(f"{self.folder}/{attack}")
        return self._writers[attack]


_OF_SLICES = "auc"
_LONGEST_TAG = 100


def _as_tag(slice: str) -> str:
    """A slice's name in letters that tags and file systems take: `loss_0-10`, `class_3-wrong`."""
    plain = slice.replace(" & ", "-").replace("–", "-").replace("<", "below_").replace(">", "above_")
    return re.sub(r"[^\w.+-]+", "_", plain)[:_LONGEST_TAG].strip("_") or "slice"


_MEANINGS = {
    "auc": "Probability that a random member outscores a random non-member; 0.5 = guessing.",
    "advantage": "Largest |TPR - FPR| over all thresholds; biased upwards, compare with its null level.",
    "youden_j": "TPR - FPR of a threshold learned on other records; 0 = guessing.",
    "balanced_accuracy": "Mean of TPR and TNR of a threshold learned on other records; 0.5 = guessing.",
    "mutual_information": "Bits that the score tells about membership; 0 = none, 1 = all.",
    "tpr_at_fpr": "Share of members found when at most this share of non-members is accused.",
    "epsilon_lower_bound": "The training's epsilon is at least this, by all audits so far together.",
    "epsilon_estimate": "What the training's epsilon looks like by all audits so far; no bound.",
    "exposure": "How much sooner than by chance the attack finds a record that trained, mean over records, in bits.",
    "epsilon_claimed": "The epsilon that the training claims.",
}


def _describe(metric: str, report: LeakageReport, steps: str) -> str:
    meaning = next(text for name, text in _MEANINGS.items() if metric.startswith(name))
    level = f"{100 * (1 if report.auc is None else report.auc.level):.4g} %"
    end = {"_low": f"Lower end of the {level} interval. ", "_high": f"Upper end of the {level} interval. "}
    end["_null_level"] = f"What a leak-free audit of this size does not exceed in {level} of cases. "
    part = next((text for suffix, text in end.items() if metric.endswith(suffix)), "")
    sides = f"{report.num_members} members, {report.num_nonmembers} non-members"
    where = "" if report.slice == "entire" else f" on {report.slice}"
    return f"{part}{meaning} Attack `{report.attack}`{where}, {sides}; the step is {steps}."


def check_writable(folder: str | os.PathLike[str], what: str) -> None:
    """Makes sure that files can be made in a folder, existing or not; leaves nothing behind that was not there before.

    Of a remote folder (`gs://…`) only that TensorFlow knows its file system.

    Raises:
      ValueError: if they cannot; `what` names the folder in the message.
    """
    path = os.fspath(folder)
    try:
        if "://" in path:
            tf.io.gfile.exists(path)
            return
        existing = Path(path)
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        with tempfile.TemporaryFile(dir=existing):
            pass
    except (OSError, tf.errors.OpError) as reason:
        raise ValueError(f"{what}, {path!r}, cannot be written ({reason}); give a writable folder.") from None
