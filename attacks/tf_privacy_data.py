"""What users of TensorFlow Privacy hand over: the outputs of a model on its members ("train") and on non-members ("test").

Names are those of its `privacy_tests.membership_inference_attack.data_structures`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .array_answers import Answers
from .array_signals import known, label_signals, signals_of
from .attack import Signals
from .tf_privacy_loss import LossFunction, called_loss, named_loss
from .tf_privacy_sides import joined_sides, read_side


@dataclass(eq=False)
class AttackInputData:
    """What is known of the members ("train") and the non-members ("test"): arrays, one row a record. None is written to.

    Attributes:
      logits_*: float[n, classes], or [n] / [n, 1] of a binary head, [n, labels] of a multi-label one.
      probs_*: the same after softmax or sigmoid; instead of logits.
      labels_*: int[n] or [n, 1] class numbers, one-hot or multi-hot rows; any numbers for a squared or a callable loss.
      sample_weight_*: float[n], not negative. A loss computed here is multiplied by them, as TensorFlow Privacy does; one
        that is given is not, and neither classifiers nor metrics use them.
      loss_*: float[n], instead of the loss computed from answers and labels; [n, labels] of a multi-label model is summed.
      entropy_*: float[n], lower = surer, instead of the one computed.
      extra_features_*: float[n, k], further columns for the trained attacks.
      loss_function: "cross_entropy" (or "xe"), "squared", a `LossFunction`, or a callable (labels, answers) -> float[n], which
        may take the sample weights as a third argument and then applies them itself.
      loss_function_using_logits: None, or a statement about which answers are given, which is checked.
      multilabel_data: None = if some row of labels has not exactly one 1; True / False to state it.
      force_multilabel_data: the same as `multilabel_data=True`.
    """

    logits_train: ArrayLike | None = None
    logits_test: ArrayLike | None = None
    probs_train: ArrayLike | None = None
    probs_test: ArrayLike | None = None
    labels_train: ArrayLike | None = None
    labels_test: ArrayLike | None = None
    sample_weight_train: ArrayLike | None = None
    sample_weight_test: ArrayLike | None = None
    loss_train: ArrayLike | None = None
    loss_test: ArrayLike | None = None
    entropy_train: ArrayLike | None = None
    entropy_test: ArrayLike | None = None
    extra_features_train: ArrayLike | None = None
    extra_features_test: ArrayLike | None = None
    loss_function: str | LossFunction | Callable[..., ArrayLike] = LossFunction.CROSS_ENTROPY
    loss_function_using_logits: bool | None = None
    multilabel_data: bool | None = None
    force_multilabel_data: bool = False
    _computed: dict[str, Any] | None = field(default=None, init=False, repr=False)

    def validate(self) -> None:
        """Nothing, if every array can be read and fits the others.

        Raises:
          ValueError: otherwise, in one sentence.
        """
        self.signals()
        self._extra_columns()

    @property
    def num_classes(self) -> int:
        """The largest class number plus 1; the number of columns of 0/1 rows.

        Raises:
          ValueError: without labels, or of targets.
        """
        labels = self._both("labels")
        if labels is None:
            raise ValueError("the number of classes is unknown without labels; give labels_train and labels_test.")
        if labels.ndim > 1:
            return int(labels.shape[1])
        if not (labels == np.rint(labels)).all():  # NaN included
            raise ValueError("the number of classes is unknown, as labels are no whole numbers; give class numbers.")
        return int(labels.max()) + 1

    @property
    def logits_or_probs_train(self) -> ArrayLike | None:
        """The members' answers."""
        return self.logits_train if self.logits_train is not None else self.probs_train

    @property
    def logits_or_probs_test(self) -> ArrayLike | None:
        """The non-members' answers."""
        return self.logits_test if self.logits_test is not None else self.probs_test

    def get_train_size(self) -> int:
        """How many members there are."""
        return self._sizes()[0]

    def get_test_size(self) -> int:
        """How many non-members there are."""
        return self._sizes()[1]

    def get_loss_train(self) -> NDArray[np.float64] | None:
        """float[n] of the members, [n, labels] of a multi-label model; None where no loss can be had."""
        losses = self.losses()
        return None if losses is None else losses[: self.get_train_size()]

    def get_loss_test(self) -> NDArray[np.float64] | None:
        """float[n] of the non-members; see `get_loss_train`."""
        losses = self.losses()
        return None if losses is None else losses[self.get_train_size() :]

    def get_entropy_train(self) -> NDArray[np.float64]:
        """float[n] of the members: the given entropy, the modified one where labels are known, else the plain one.

        Raises:
          ValueError: if none can be had.
        """
        return -self.entropy_signal()[1][: self.get_train_size()]

    def get_entropy_test(self) -> NDArray[np.float64]:
        """float[n] of the non-members; see `get_entropy_train`."""
        return -self.entropy_signal()[1][self.get_train_size() :]

    def is_multilabel_data(self) -> bool:
        """True if a record may have several labels."""
        labels = self.answers().labels
        return self._says_multi_label() is True or (labels is not None and labels.ndim == 2)

    def has_nonnull_sample_weights(self) -> bool:
        """True if both sides have sample weights."""
        return self.sample_weight_train is not None and self.sample_weight_test is not None

    def is_member(self) -> NDArray[np.bool_]:
        """bool[n] of both sides together, members first, as every other array that has both."""
        train, test = self._sizes()
        return np.arange(train + test) < train

    def snapshot(self) -> AttackInputData:
        """A copy that computes losses and signals once, however often they are asked for; its arrays are not to be replaced."""
        copied = copy.copy(self)
        copied._computed = {}
        return copied

    def losses(self) -> NDArray[np.float64] | None:
        """float[n] or [n, labels] of both sides: given, or computed and multiplied by the sample weights; None if neither."""
        return self._once("losses", self._compute_losses)

    def signals(self) -> Signals:
        """Every signal that the arrays allow, of both sides.

        Raises:
          ValueError: see `validate`.
        """
        return self._once("signals", self._compute_signals)

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        if self._computed is None:
            return compute()
        if name not in self._computed:
            self._computed[name] = compute()
        return self._computed[name]

    def _compute_losses(self) -> NDArray[np.float64] | None:
        given = self._both("loss")
        if given is not None:
            values = known(given, "loss")
            if values.shape[1] > 1 and not self.is_multilabel_data():
                raise ValueError(
                    f"loss has shape {given.shape}; give one number a record, or say multilabel_data=True to sum them."
                )
            return values[:, 0] if values.shape[1] == 1 else values
        function, weights = named_loss(self.loss_function), self._weights()
        if self._both("labels") is None or self._outputs() is None:
            return None
        if callable(function):
            sides = [(self.labels_train, self.logits_or_probs_train, self.sample_weight_train)]
            sides.append((self.labels_test, self.logits_or_probs_test, self.sample_weight_test))
            return called_loss(function, sides, self.is_multilabel_data())
        losses = -self._label_signals()["loss"]
        if weights is None:
            return losses
        with np.errstate(over="ignore"):
            return losses * (weights if losses.ndim == 1 else weights[:, None])

    def _compute_signals(self) -> Signals:
        self._sizes()
        self._weights()
        if all(self._both(name) is None for name in ("logits", "probs", "loss", "entropy")):
            raise ValueError("no outputs are given; give logits, probs, loss or entropy of both sides.")
        if self.loss_function_using_logits is not None:
            wanted = "logits" if self.loss_function_using_logits else "probs"
            if self._both(wanted) is None and self._both("loss") is None:
                raise ValueError(
                    f"loss_function_using_logits is {self.loss_function_using_logits}, but {wanted} are not given."
                )
        readable = self._are_classes() and named_loss(self.loss_function) != "squared"
        losses = self.losses()
        if losses is None and not readable:
            raise ValueError("loss_function compares answers with labels; give labels_train and labels_test.")
        answers, found = (self.answers(), self._label_signals()) if readable else (Answers("unknown", None, None), {})
        return signals_of(answers, found, loss=losses, entropy=self._both("entropy"))

    def _label_signals(self) -> dict[str, NDArray[np.float64]]:
        """Float[n] by name, or [n, labels] of a multi-label model."""
        return self._once("label signals", lambda: label_signals(self.answers()))

    def entropy_signal(self) -> tuple[str, NDArray[np.float64]]:
        """Which entropy the entropy attack reads, and its signal float[n] of both sides, higher = surer.

        Raises:
          ValueError: if there is none.
        """
        signals = self.signals()
        name = "modified_entropy" if "modified_entropy" in signals and self.entropy_train is None else "entropy"
        if name not in signals:
            raise ValueError("there is no entropy to read; give logits, probs or entropy of both sides.")
        return name, signals[name][:, 0]

    def features(self) -> Signals:
        """What a trained attacker sees of each record: loss, φ, entropy, correctness, the sorted logits, extra columns."""
        signals = self.signals()
        columns = {name: signals[name] for name in ("loss", "scaled_logit", "entropy", "correct") if name in signals}
        if self._outputs() is not None and self._are_classes() and named_loss(self.loss_function) != "squared":
            columns |= _numbered("sorted", self._sorted_logits())
        return Signals(columns | self._extra_columns())

    def _sorted_logits(self) -> NDArray[np.float64]:
        """float[n, k], largest first: of classes their logits, of independent labels the log-odds that each is right."""
        answers, found = self.answers(), self._label_signals()
        values = found["scaled_logit"] if answers.kind == "multi_label" and "scaled_logit" in found else answers.logits
        if values is None:
            raise ValueError("there are no answers to sort.")
        return -np.sort(-values.reshape(len(values), -1), axis=1)

    def _extra_columns(self) -> dict[str, NDArray[np.float64]]:
        extra = self._both("extra_features")
        return {} if extra is None else _numbered("extra", known(extra, "extra_features"))

    def _both(self, name: str) -> NDArray[Any] | None:
        """Members and non-members in one array [n, ...], a single column as [n]; None where not given."""
        return self._once(name, lambda: joined_sides(name, *(self._side(name, side) for side in ("train", "test"))))

    def _side(self, name: str, side: str) -> NDArray[Any] | None:
        given = getattr(self, f"{name}_{side}")
        return None if given is None else self._once(f"{name}_{side}", lambda: read_side(given, name, side))

    def _sizes(self) -> tuple[int, int]:
        return self._once("sizes", lambda: (self._records("train"), self._records("test")))

    def _records(self, side: str) -> int:
        names = [spec.name.removesuffix("_train") for spec in fields(self) if spec.name.endswith("_train")]
        read = {f"{name}_{side}": self._side(name, side) for name in names}
        lengths = {name: len(array) for name, array in read.items() if array is not None}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the {side} side has arrays of different lengths: {lengths}; give one row a record.")
        return next(iter(lengths.values()), 0)

    def _outputs(self) -> NDArray[Any] | None:
        return self._both("logits" if self.logits_train is not None else "probs")

    def answers(self) -> Answers:
        """The answers and labels of both sides; of kind "unknown" where the loss alone can be read.

        Raises:
          ValueError: if they cannot be read.
        """
        return self._once("answers", self._read_answers)

    def _read_answers(self) -> Answers:
        loss_function = named_loss(self.loss_function)
        if loss_function != "squared" and not self._are_classes():
            return Answers("unknown", None, None)
        return Answers.read(
            self._both("labels"),
            logits=self._both("logits"),
            probs=self._both("probs"),
            loss_function="squared" if loss_function == "squared" else "cross_entropy",
            multi_label=self._says_multi_label(),
        )

    def _says_multi_label(self) -> bool | None:
        return True if self.force_multilabel_data else self.multilabel_data

    def _are_classes(self) -> bool:
        """False for targets of a callable loss that are no class numbers or 0/1 rows: then the loss alone can be read."""
        labels, outputs = self._both("labels"), self._outputs()
        if labels is None or not callable(named_loss(self.loss_function)):
            return True
        if labels.dtype.kind not in "iub" and not (np.isfinite(labels).all() and (labels == np.rint(labels)).all()):
            return False
        width = 1 if outputs is None or outputs.ndim == 1 else outputs.shape[1]
        highest = 1 if width == 1 or labels.ndim > 1 else width - 1
        return bool(labels.min() >= 0 and labels.max() <= highest) and labels.shape[1:] in ((), (width,))

    def _weights(self) -> NDArray[np.float64] | None:
        given = self._both("sample_weight")
        if given is None:
            return None
        weights = given.astype(np.float64)
        if weights.ndim != 1:
            raise ValueError(f"sample_weight has shape {weights.shape}; give one weight a record.")
        bad = ~(weights >= 0) | np.isinf(weights)
        if bad.any():
            raise ValueError(
                f"sample_weight is negative, NaN or infinite for {int(bad.sum())} records; give finite weights of 0 or more."
            )
        return weights


def _numbered(name: str, columns: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {f"{name}_{index}": columns[:, [index]] for index in range(columns.shape[1])}
