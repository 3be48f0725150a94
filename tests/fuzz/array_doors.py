"""Every public function that takes arrays, called once with ordinary ones: the doors that odd arrays knock at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from privacy_callbacks import attacks, range_queries

Door = tuple[Callable[..., Any], Mapping[str, np.ndarray]]

N, M = 48, 6
_rng = np.random.default_rng(0)
FLAGS = np.arange(N) % 2 == 0
SCORES = _rng.normal(size=N) + FLAGS
LABELS = np.arange(N) % 3
LOGITS = _rng.normal(size=(N, 3))
PROBS = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
FEATURES = _rng.normal(size=(N, 3))
TARGET = np.minimum(_rng.normal(size=N) - 2.5, -0.01)
SHADOW = np.minimum(_rng.normal(size=(M, N)) - 3, -0.01)
TRAINED_ON = attacks.balanced_assignment(M, N)

DOORS: dict[str, Door] = {}


def _door(name: str, call: Callable[..., Any], **arrays: np.ndarray) -> None:
    DOORS[name] = (call, arrays)


def _sketched(scores: Any, is_member: Any) -> Any:
    sketch = attacks.RocSketch(16)
    sketch.add(scores, is_member)
    return sketch.roc()


def _input(**given: Any) -> Any:
    return attacks.AttackInputData(**given)


_judged = {"scores": SCORES, "is_member": FLAGS}
_door("RocCurve.from_scores", attacks.RocCurve.from_scores, **_judged)
_door("RocSketch.add", _sketched, **_judged)
_door("LeakageReport.from_scores", attacks.LeakageReport.from_scores, **_judged, folds=np.arange(N) // 2 % 2 * 1.0)
_door("membership_probabilities", attacks.membership_probabilities, **_judged)
_door("Scores", attacks.Scores, values=SCORES, is_member=FLAGS, ids=np.arange(N) * 1.0)
for _method in ("split", "grid", "gdp", "one_run", "fdp"):
    _door(f"epsilon {_method}", partial(attacks.epsilon_lower_bound, delta=1e-5, method=_method), **_judged)
_door(
    "information_view",
    lambda one, two, is_member, groups: attacks.information_view({"one": one, "two": two}, is_member, groups=groups),
    one=SCORES,
    two=_rng.normal(size=(N, 2)),
    is_member=FLAGS,
    groups=np.arange(N) * 1.0,
)
_door(
    "sliced_reports",
    lambda scores, is_member, labels: attacks.sliced_reports(scores, is_member, attacks.by_class(labels)),
    **_judged,
    labels=LABELS * 1.0,
)
_door("by_class", attacks.by_class, labels=LABELS * 1.0)
_door("by_column", partial(attacks.by_column, "age"), values=LABELS * 1.0, wanted=np.array([0.0, 1.0]))
_door("by_correctness", attacks.by_correctness, correct=FLAGS)
_door("by_percentile", attacks.by_percentile, losses=np.abs(SCORES))

_compared = {"target": TARGET, "shadow": SHADOW, "trained_on": TRAINED_ON}
_several = {
    "target": np.stack([TARGET, TARGET - 0.1], 1),
    "shadow": np.stack([SHADOW, SHADOW - 0.1], 2),
    "trained_on": TRAINED_ON,
}
for _mode in ("online", "offline"):
    for _variance in ("pooled", "per_record", "student_t"):
        _door(f"lira {_mode} {_variance}", partial(attacks.lira_scores, mode=_mode, variance=_variance), **_compared)
    _door(f"lira {_mode} queries", partial(attacks.lira_scores, mode=_mode), **_several)
    _door(f"multi_signal_lira {_mode}", partial(attacks.multi_signal_lira_scores, mode=_mode), **_several)
    _door(f"base {_mode}", partial(attacks.base_scores, mode=_mode), **_compared)
    _door(f"rmia {_mode}", partial(attacks.rmia_scores, mode=_mode), **_compared)
for _over in ("mean", "majority"):
    _door(
        f"rmia percentile {_over}",
        partial(attacks.rmia_scores, form="percentile", over_queries=_over),
        **_compared,
        population_target=TARGET[:20],
        population_shadow=SHADOW[:, :20],
    )
_door("tune_rmia", attacks.tune_rmia, shadow=SHADOW, trained_on=TRAINED_ON, candidates=np.array([0.0, 0.5, 1.0]))
_door("difficulty_calibration", attacks.difficulty_calibration_scores, **_compared)
_door("attack_r", attacks.attack_r_scores, **_several)
_door("attack_p", attacks.attack_p_scores, target=SCORES, population=SCORES[:20])
_door("u_lira", attacks.u_lira_scores, target=TARGET, unlearned=SHADOW, never=SHADOW[::-1].copy())
_door("loss_iqr", attacks.loss_iqr, losses=np.abs(SHADOW))
_door("shadow_head_scores", attacks.shadow_head_scores, phi=SCORES, features=FEATURES, labels=LABELS * 1.0)
for _head in ("gaussian", "pinball"):
    _door(
        f"quantile_regression {_head}",
        partial(attacks.quantile_regression_scores, head=_head),
        signal=SCORES,
        features=FEATURES,
        population_signal=_rng.normal(size=N),
        population_features=_rng.normal(size=(N, 3)),
    )

_door("exposure", attacks.exposure, canary=SCORES[:4], reference=SCORES)
_door("exposure skew_normal", partial(attacks.exposure, method="skew_normal"), canary=SCORES[:4], reference=SCORES)
_door("exposure_estimate", attacks.exposure_estimate, canary=SCORES[:4], reference=SCORES)
_unlearned, _retrained = _rng.normal(size=(5, N)), _rng.normal(size=(6, N))
_door("klom", attacks.klom, unlearned=_unlearned, retrained=_retrained)
_door("klom span", partial(attacks.klom, span=(-4.0, 4.0)), unlearned=_unlearned, retrained=_retrained)
_door("klom_floor", partial(attacks.klom_floor, models=4, draws=3), retrained=_retrained)
_door("klom_percentiles", lambda forget: attacks.klom_percentiles({"forget": forget}), forget=np.abs(SCORES))
_door("unlearning_report", attacks.unlearning_report, retain=SCORES + 1, forget=SCORES[:30], test=SCORES - 0.5)
_door("usage_share", attacks.usage_share, queried=SCORES, members=SCORES + 3, nonmembers=SCORES - 3)

_from = attacks.signals_from_arrays
_softened = partial(_from, softened=("confidence_t2", "taylor_n4_m0.6_t2"))
_door("signals of logits", _softened, labels=LABELS * 1.0, logits=LOGITS)
_door("signals of probs", _from, labels=LABELS * 1.0, probs=PROBS)
_door("signals of a binary head", _from, labels=FLAGS * 1.0, logits=LOGITS[:, 0])
_door("signals of many labels", partial(_from, multi_label=True), labels=(LOGITS > 0) * 1.0, probs=PROBS)
_door("signals of targets", partial(_from, loss_function="squared"), labels=SCORES, logits=LOGITS[:, 0])
_door("signals of losses", _from, labels=LABELS * 1.0, loss=np.abs(SCORES), entropy=np.abs(SCORES))
_door(
    "Signals",
    lambda one, labels, features: attacks.Signals({"loss": one}, labels=labels, features=features),
    one=SCORES[:, None],
    labels=LABELS * 1.0,
    features=FEATURES,
)
_door(
    "ShadowSignals",
    lambda one, trained_on, population: attacks.ShadowSignals({"loss": one}, trained_on, {"loss": population}),
    one=SHADOW[:, :, None],
    trained_on=TRAINED_ON,
    population=SHADOW[:, :5, None],
)
for _name, _attack in (("threshold", attacks.Threshold("loss")), ("trained", attacks.Trained(features=("loss",)))):
    _door(
        f"cross_fitted {_name}",
        lambda one, is_member, groups, attack=_attack: attacks.cross_fitted(
            attack, attacks.Signals({"loss": one}), is_member, groups=groups
        ),
        one=SCORES[:, None],
        is_member=FLAGS,
        groups=np.arange(N) * 1.0,
    )
_door("balanced_assignment", lambda groups: attacks.balanced_assignment(4, N, 0, groups), groups=LABELS * 1.0)
_door("blind_baseline", attacks.blind_baseline, inputs=LOGITS, labels=LABELS * 1.0, is_member=FLAGS)
_door("mislabelled", partial(attacks.mislabelled, count=5), x=LOGITS, y=LABELS * 1.0)
_door("random_inputs", lambda x, y: attacks.random_inputs((x, y), 5), x=LOGITS, y=LABELS * 1.0)
_door("randomised_membership", attacks.randomised_membership, x=LOGITS, y=LABELS * 1.0)

_sides = {
    "probs_train": PROBS,
    "probs_test": PROBS[:30],
    "labels_train": LABELS * 1.0,
    "labels_test": LABELS[:30] * 1.0,
}
_weighed = {**_sides, "sample_weight_train": np.ones(N), "sample_weight_test": np.ones(30)}
_every_slice = attacks.SlicingSpec(by_class=True, by_percentiles=True, by_classification_correctness=True)
_door("run_attacks", lambda **given: attacks.run_attacks(_input(**given), _every_slice), **_weighed)
_door(
    "run_attacks on losses",
    lambda **given: attacks.run_attacks(_input(**given)),
    loss_train=np.abs(SCORES),
    loss_test=np.abs(SCORES[:30]),
)
_door(
    "run_membership_probability_analysis",
    lambda **given: attacks.run_membership_probability_analysis(_input(**given)),
    **_sides,
)

for _name in ("mean", "largest", "top_k", "log_mean_exp", "trimmed_mean"):
    _door(f"range {_name}", getattr(range_queries, _name), scores=LOGITS)
for _p in (1, 2, np.inf, "hamming"):
    _door(
        f"nearest_training_distance {_p}",
        partial(range_queries.nearest_training_distance, p=_p),
        x=LOGITS[:6],
        training=LOGITS[6:20],
    )
