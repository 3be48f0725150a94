"""A layout of TensorBoard's Custom Scalars tab: attacks side by side, and with their intervals, where no plugin can go."""

from __future__ import annotations

import os
import re
from typing import Any

from privacy_callbacks.attacks.estimate import LEVEL
from privacy_callbacks.attacks.report import low_fpr_name

_SIDE_BY_SIDE = {"AUC": "auc", "TPR at 1 % FPR": low_fpr_name(0.01), "Advantage": "advantage"}


def charts_layout(name: str) -> Any:
    """The layout for one callback's tags; the runs, and so the attacks, are chosen in the tab.

    It depends on nothing but the name: TensorBoard joins the layouts of all fits below its directory, and drops charts
    that are equal.

    Args:
      name: the prefix of the tags: `mia` for `mia/auc`, `mia/auc_low`, …
    Returns:
      TensorBoard's `Layout` message.
    """
    from tensorboard.plugins.custom_scalar import layout_pb2 as pb

    def lines(title: str, metric: str) -> Any:
        # A tag counts if the pattern fits its beginning: without the end, `auc` would draw `auc_low`, too.
        tag = f"^{re.escape(f'{name}/{metric}')}$"
        return pb.Chart(title=f"{title} of every attack", multiline=pb.MultilineChartContent(tag=[tag]))

    # One such chart: of several in a category the tab turns the order round, and the bands of many runs cover each other.
    auc = pb.MarginChartContent.Series(value=f"{name}/auc", lower=f"{name}/auc_low", upper=f"{name}/auc_high")
    title = f"AUC with {100 * LEVEL:g} % interval: pick a few runs"
    charts = [lines(*one) for one in _SIDE_BY_SIDE.items()]
    charts.append(pb.Chart(title=title, margin=pb.MarginChartContent(series=[auc])))
    return pb.Layout(category=[pb.Category(title=f"{name}: leakage by attack", chart=charts)])


def write_layout(log_dir: str | os.PathLike[str], name: str) -> None:
    """Writes the layout into the run `<log_dir>/<name>`, above the attacks' own: once a fit.

    Two writers in one run lose points in TensorBoard's Python loader, so it is no attack's run.

    Args:
      log_dir: the directory that the scalars go to.
      name: the prefix of their tags, and of their runs.
    """
    import tensorflow as tf
    from tensorboard.plugins.custom_scalar import metadata

    from .default_writer import writing_to

    about = metadata.create_summary_metadata()
    content = tf.constant(charts_layout(name).SerializeToString())
    writer = tf.summary.create_file_writer(f"{os.fspath(log_dir).rstrip('/')}/{name}")
    with writing_to(writer, 0):
        tf.summary.write(metadata.CONFIG_SUMMARY_TAG, content, metadata=about)
    writer.close()
