"""The one extension point: what an attack is given, and what it gives back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .number_arrays import as_floats, as_plain_array
from .roc import check_scores
from .softening import EXAMPLES, Softening

if TYPE_CHECKING:
    from .asked_queries import Queries
    from .shadow_signals import ShadowSignals
    from .true_membership import Relation

# Those that an audit computes by itself, and those it computes where an attack asks for them.
SIGNAL_NAMES = ("loss", "confidence", "scaled_logit", "margin", "entropy", "modified_entropy", "correct")
FURTHER_SIGNALS = ("top_1", "top_2", "top_3", "min_k", "zlib", "gradient_norm", "weight_gradient_norm")


class Signals(Mapping[str, NDArray[np.float64]]):
    """One model's answers: name → float[n, q], all of one shape; higher = more member-like. Read-only.

    Beside them stands what else an attacker who holds a record knows of it.

    Axes: n audited records, q queries a record (1 unless an attack asked for more), t audits, d features.

    Attributes:
      labels: int[n], class numbers; None where records have no single class.
      features: float[n, d], the record as numbers; None unless an attack sets `needs_inputs` or `needs_features`.
      course: float[t, n], minus each record's loss at the audits so far, the newest last; None unless an attack sets
        `needs_course`.
    Raises:
      ValueError: if a signal is not [n, q], or two differ in shape, or something else is not about n records.
    """

    def __init__(
        self,
        values: Mapping[str, ArrayLike],
        *,
        labels: ArrayLike | None = None,
        features: ArrayLike | None = None,
        course: ArrayLike | None = None,
    ) -> None:
        self._values: dict[str, NDArray[np.float64]] = {}
        for name, given in values.items():
            array = as_floats(given, f"signal {name!r}", "give numbers, (records, queries)").copy()
            shapes = {known.shape for known in self._values.values()}
            if array.ndim != 2 or not array.shape[1] or (shapes and array.shape not in shapes):
                raise ValueError(
                    f"signal {name!r} has shape {array.shape}; give every signal as (records, queries), at least one query."
                )
            array.flags.writeable = False
            self._values[name] = array
        self.labels = None if labels is None else as_plain_array(labels, "labels")
        self.features = None if features is None else as_plain_array(features, "features")
        self.course = None if course is None else as_floats(course, "course")
        for name, known, axis, rank in (
            ("labels", self.labels, 0, 1),
            ("features", self.features, 0, 2),
            ("course", self.course, 1, 2),
        ):
            if known is not None and (
                known.ndim != rank or {known.shape[axis]} != {len(v) for v in self._values.values()}
            ):
                raise ValueError(f"{name} has shape {known.shape}, which does not fit the records of the signals.")

    def of(self, rows: ArrayLike) -> Signals:
        """These records alone (indices or a mask)."""
        chosen = np.asarray(rows)
        return Signals(
            {name: array[chosen] for name, array in self._values.items()},
            labels=None if self.labels is None else self.labels[chosen],
            features=None if self.features is None else self.features[chosen],
            course=None if self.course is None else self.course[:, chosen],
        )

    def beside(self, **known: ArrayLike | None) -> Signals:
        """The same answers, with these `labels`, `features` or `course` beside them."""
        kept = {"labels": self.labels, "features": self.features, "course": self.course}
        return Signals(self._values, **(kept | known))

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class Scores:
    """The guess beside the truth, aligned with the records.

    Attributes:
      values: float[n], higher = more member-like.
      is_member: bool[n].
      ids: [n], the records' ids.
    Raises:
      ValueError: on lengths that differ, NaN, or an empty side.
    """

    values: NDArray[np.float64]
    is_member: NDArray[np.bool_]
    ids: NDArray[Any]

    def __post_init__(self) -> None:
        values, truth = check_scores(self.values, self.is_member)
        ids = as_plain_array(self.ids, "ids")
        if ids.shape[:1] != values.shape:
            raise ValueError(f"ids of shape {ids.shape} were given for {len(values)} scores; give one id a record.")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "is_member", truth)


@dataclass(frozen=True)
class Examples:
    """Records whose membership is known, other ones than those that are judged.

    Attributes:
      signals: what the model answers about them.
      is_member: bool[n].
    """

    signals: Signals
    is_member: NDArray[np.bool_]


@dataclass(frozen=True)
class AttackContext:
    """What an attack may learn from. It never holds the membership of the records it will be judged on.

    Attributes:
      population: the signals of records that no model trained on; None unless the attack sets `needs_population`.
      seed: for whatever is random in the attack.
      shadows: the shadow models' signals on the audited records, in their order, and on the population; None unless the
        attack sets `needs_shadows`.
      examples: records of the audit that this fit will not judge; None unless the attack sets `needs_examples`.
    """

    population: Signals | None = None
    seed: int = 0
    shadows: ShadowSignals | None = None
    examples: Examples | None = None

    def shadow_models(self) -> ShadowSignals:
        """The shadow models' signals.

        Raises:
          ValueError: if there are none.
        """
        if self.shadows is None:
            raise ValueError("the attack compares with shadow models; give some with shadow_models=.")
        return self.shadows

    def population_signals(self) -> Signals:
        """The signals of records that no model trained on.

        Raises:
          ValueError: if there are none.
        """
        if self.population is None:
            raise ValueError("the attack needs records that no model trained on; give some with population=.")
        return self.population

    def known_examples(self) -> Examples:
        """Records whose membership is known.

        Raises:
          ValueError: if there are none.
        """
        if self.examples is None:
            raise ValueError("the attack learns from records of known membership; score with cross_fitted().")
        return self.examples


class FittedAttack(Protocol):
    """An attack that has learned what it can and is ready to score."""

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n], higher = more member-like, for the records whose signals are given."""


@runtime_checkable
class Attack(Protocol):
    """A frozen description of an attack.

    Further attributes that an attack may have: `needs_population` (True if it learns from records that no model trained on),
    `needs_shadows` (True if it learns from shadow models), `needs_examples` (True if it learns from records of known
    membership: it is fitted twice, on one half of the audited records to score the other), `needs_inputs` and `needs_course`
    (True if it reads `Signals.features`, `Signals.course`), `needs_features` ("inputs": `Signals.features` are then those of
    the inputs without the labels; "last_layer": what the model's last layer reads), `queries` (functions of a batch of inputs,
    deterministic, or `PointQueries`, each of which is asked instead of the record as it is; their answers stand on the query
    axis in this order), `population_queries` (what the population is asked, if something else), `relation` (a `Relation`:
    which records lie within a query, if that is more than the audited record; truth and shadow models follow it) and `notes`
    (sentences for its reports; a fitted attack may have some, too). See `needs`.

    An attack that must know the audited records has a method `at(x, y, ids)`, arrays [n, ...] and ids [n] or None, that gives
    the attack that is fitted. It learns nothing of their membership.

    Attributes:
      name: what reports, log keys and TensorBoard runs call it.
      signals: the names of the signals it reads.
    """

    @property
    def name(self) -> str: ...

    @property
    def signals(self) -> tuple[str, ...]: ...

    def fit(self, context: AttackContext) -> FittedAttack:
        """Learns from the context; the description itself stays as it is."""


class Needs(NamedTuple):
    """What an attack asks for beyond one model's signals; see `Attack`."""

    population: bool
    shadows: bool
    queries: Queries
    examples: bool = False
    inputs: bool = False
    course: bool = False
    features: str = ""
    population_queries: Queries = ()
    relation: Relation | None = None


def needs(attack: Attack) -> Needs:
    """What the attack says it needs, and otherwise nothing."""
    queries = getattr(attack, "queries", ())
    queries = () if isinstance(queries, int) else tuple(queries)  # a number: the attack knows them from `at` on
    return Needs(
        bool(getattr(attack, "needs_population", False)),
        bool(getattr(attack, "needs_shadows", False)),
        queries,
        bool(getattr(attack, "needs_examples", False)),
        bool(getattr(attack, "needs_inputs", False)),
        bool(getattr(attack, "needs_course", False)),
        str(getattr(attack, "needs_features", "")),
        tuple(getattr(attack, "population_queries", queries)),
        getattr(attack, "relation", None),
    )


def named_attacks(attacks: Attack | Iterable[Attack]) -> Mapping[str, Attack]:
    """One attack or several by a name of their own: the second of a kind is called `<name>_2`, and so on.

    Raises:
      TypeError: if one of them is no attack.
      ValueError: if there is none, or a name cannot stand in log keys and folder names.
    """
    named: dict[str, Attack] = {}
    several = list(attacks) if isinstance(attacks, Iterable) and not isinstance(attacks, (Attack, str)) else [attacks]
    if not several:
        raise ValueError("attacks is empty; give at least one, or None for the defaults.")
    for attack in several:
        if isinstance(attack, type) or not isinstance(attack, Attack):
            raise TypeError(
                f"{attack!r} is not an attack; give instances such as Threshold('loss'), with name, signals and fit."
            )
        name, count = check_name(attack.name), 2
        while name in named:
            name, count = f"{attack.name}_{count}", count + 1
        named[name] = attack
    return MappingProxyType(named)


def check_signal(name: str) -> str:
    """Returns `name` if it is one of `SIGNAL_NAMES` or `FURTHER_SIGNALS`, or that of a softened confidence.

    Raises:
      ValueError: if it is not.
    """
    if name not in (*SIGNAL_NAMES, *FURTHER_SIGNALS) and Softening.of(name) is None:
        known = ", ".join((*SIGNAL_NAMES, *FURTHER_SIGNALS, EXAMPLES))
        raise ValueError(f"{name!r} is not a signal; choose one of {known}.")
    return name


def check_name(name: str) -> str:
    """Returns `name` if it can stand in log keys, TensorBoard tags and folder names.

    Raises:
      ValueError: if it holds anything but letters, digits, `_`, `-`, `.`.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"name is {name!r}; it becomes a folder and a log key, so use letters, digits, '_', '-' and '.'."
        )
    return name
