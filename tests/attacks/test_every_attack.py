"""What any attack must satisfy. Each exported attack stands in `ATTACKS`; the last test makes sure."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from gaussian_world import GaussianWorld

import privacy_callbacks.attacks as package
from privacy_callbacks.attacks import (
    BASE,
    RMIA,
    Attack,
    AttackContext,
    AttackP,
    AttackR,
    DifficultyCalibration,
    LabelOnly,
    LeakageReport,
    LiRA,
    MultiSignalLiRA,
    Neighbourhood,
    QuantileRegression,
    ShadowClassifier,
    ShadowHeads,
    ShadowSignals,
    Signals,
    Threshold,
    Trained,
    Trajectory,
    cross_fitted,
)
from privacy_callbacks.attacks.attack import FURTHER_SIGNALS, SIGNAL_NAMES, Scores, named_attacks, needs

THRESHOLDS = [Threshold(name) for name in SIGNAL_NAMES]
WITH_SHADOWS = [
    *(LiRA(variance=variance, name=f"lira_{variance}") for variance in ("auto", "pooled", "per_record", "student_t")),
    LiRA("offline", name="lira_offline"),
    RMIA(),
    RMIA("online", name="rmia_online"),
    RMIA(form="percentile", name="rmia_percentile"),
    RMIA(form="percentile", over_queries="majority", name="rmia_majority"),
    RMIA(temperature=2.0, name="rmia_softened"),
    RMIA(softmax="taylor", soft_margin=0.6, temperature=2.0, name="rmia_taylor"),
    BASE(),
    BASE(mode="offline", name="base_offline"),
    BASE("loss", name="base_loss"),
    MultiSignalLiRA(),
    MultiSignalLiRA(("loss", "margin"), "offline", "per_record", name="multi_signal_lira_offline"),
    AttackR(),
    DifficultyCalibration(),
    ShadowClassifier(),
]
WITH_EXAMPLES = [
    *(Trained(name) for name in ("logistic_regression", "svc", "mlp", "random_forest", "knn", "gradient_boosting")),
    Threshold("loss", per_class=True),
]
WITH_POPULATION = [AttackP(), AttackP(per_class=True, name="attack_p_per_class"), QuantileRegression()]
OTHERS = [
    LabelOnly(),
    Neighbourhood(noise=0.1, draws=2),
    Trajectory(),
    ShadowHeads("inputs", num_heads=2, ridge=0.1),
    *(Threshold(name) for name in ("gradient_norm", "weight_gradient_norm", "min_k", "zlib")),
]
ATTACKS = [*THRESHOLDS, *WITH_SHADOWS, *WITH_EXAMPLES, *WITH_POPULATION, *OTHERS]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
MODELS = 16


def as_signals(values):
    """One number a record as every signal; confidences as log-probabilities that order records alike."""
    values = np.asarray(values, float)
    values = values[..., None]
    confidences = dict.fromkeys(("confidence", "confidence_t2", "taylor_n4_m0.6_t2"), -np.logaddexp(0, -values))
    return {**dict.fromkeys((*SIGNAL_NAMES, *FURTHER_SIGNALS), values), **confidences}


class World:
    """Signals, and the context in which an attack learns. Classes and features tell nothing; the course has one audit."""

    def __init__(self, values, is_member, shadow, trained_on, labels=None, seed=0):
        rng = np.random.default_rng(seed)
        population, population_shadow = rng.normal(size=300), rng.normal(size=(len(shadow), 300))
        some = rng.integers(0, 3, len(values))
        self.labels = some if labels is None else labels
        features = np.stack([np.cos(values * 1e5), self.labels], axis=1)
        beside = {"labels": self.labels, "features": features, "course": values[None]}
        self.is_member = is_member
        self.signals = Signals(as_signals(values), **beside)
        self.shadows = ShadowSignals(as_signals(shadow), trained_on, as_signals(population_shadow))
        others = {"labels": rng.integers(0, 3, 300), "features": rng.normal(size=(300, 2))}
        self.context = AttackContext(Signals(as_signals(population), **others), seed, self.shadows)

    def scored(self, attack):
        """(scores, folds)."""
        if needs(attack).examples:
            found = cross_fitted(attack, self.signals, self.is_member, self.context.seed, context=self.context)
            return found.values, found.fold
        return attack.fit(self.context).score(self.beside_neighbours(attack)), None

    def beside_neighbours(self, attack):
        """The answers to as many altered inputs as the attack asks for, which tell nothing."""
        altered = max(0, len(getattr(attack, "queries", ())) - 1)
        answers = {name: np.pad(values, [(0, 0), (0, altered)]) for name, values in self.signals.items()}
        return Signals(answers).beside(labels=self.labels, features=self.signals.features, course=self.signals.course)

    def score(self, attack):
        return self.scored(attack)[0]

    def report(self, attack):
        scores, folds = self.scored(attack)
        return LeakageReport.from_scores(scores, self.is_member, folds=folds)


def some_world(count=120, seed=0):
    return GaussianWorld(1.0, 1.0).draw_with_shadows(
        count // 2, count - count // 2, MODELS, np.random.default_rng(seed)
    )


@every_attack
def test_it_is_an_attack(attack):
    assert isinstance(attack, Attack)
    assert needs(attack).shadows == (attack in WITH_SHADOWS)
    assert needs(attack).examples == (attack in WITH_EXAMPLES)
    assert needs(attack).population == (attack in WITH_POPULATION or getattr(attack, "form", "") == "percentile")


@every_attack
def test_permuting_records_permutes_scores(attack):
    values, is_member, shadow, trained_on = some_world()
    order = np.random.default_rng(1).permutation(len(values))
    world = World(values, is_member, shadow, trained_on)
    there = world.score(attack)[order]
    back = World(values[order], is_member[order], shadow[:, order], trained_on[:, order], world.labels[order]).score(
        attack
    )
    # What learns from rows drawn by position (or tunes by sums in another order) agrees to rounding.
    np.testing.assert_allclose(there, back, rtol=0.2 if isinstance(attack, ShadowClassifier) else 1e-9)


@pytest.mark.parametrize("attack", WITH_SHADOWS, ids=lambda attack: attack.name)
def test_the_order_of_shadow_models_does_not_matter(attack):
    values, is_member, shadow, trained_on = some_world(400)
    order = np.random.default_rng(1).permutation(MODELS)
    if isinstance(attack, RMIA):
        attack = replace(attack, a=0.3)  # tuning takes some of the models as surrogates
    there = World(values, is_member, shadow, trained_on).score(attack)
    back = World(values, is_member, shadow[order], trained_on[order]).score(attack)
    np.testing.assert_allclose(there, back, rtol=0.2 if isinstance(attack, ShadowClassifier) else 1e-6, atol=1e-6)


@every_attack
def test_the_same_inputs_give_the_same_scores_and_stay_as_they_are(attack):
    values, is_member, shadow, trained_on = some_world()
    kept = values.copy(), shadow.copy(), trained_on.copy()
    first, second = (World(values, is_member, shadow, trained_on).score(attack) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for before, after in zip(kept, (values, shadow, trained_on), strict=True):
        np.testing.assert_array_equal(before, after)


@every_attack
def test_extreme_signals_stay_finite(attack):
    values, is_member, shadow, trained_on = some_world()
    values[:3] = -1e4, 0, 1e4
    shadow[:4, 5] = 1e4
    shadow[2:6, 6] = -1e4
    assert np.isfinite(World(values, is_member, shadow, trained_on).score(attack)).all()


@every_attack
@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_the_interval_covers_one_half_without_a_leak_and_lies_above_it_with_one(attack, gain):
    values, is_member, shadow, trained_on = GaussianWorld(gain).draw_with_shadows(
        1_000, 1_000, MODELS, np.random.default_rng(3)
    )
    auc = World(values, is_member, shadow, trained_on).report(attack).auc
    assert auc.low <= 0.5 <= auc.high if gain == 0 else auc.low > 0.5


@every_attack
def test_the_gaussian_world_reaches_its_closed_form(attack):
    """A threshold its own; every attack with shadow models more than that, LiRA nearly the ideal."""
    world, with_shadows, learns = GaussianWorld(1.0, 2.0), attack in WITH_SHADOWS, attack in WITH_EXAMPLES
    size = (10_000, 10_000, 128) if with_shadows else (4_000, 4_000, 2) if learns else (50_000, 50_000, 2)
    values, is_member, shadow, trained_on = world.draw_with_shadows(*size, np.random.default_rng(4))
    auc = float(World(values, is_member, shadow, trained_on).report(attack).auc)
    if learns:  # one signal has one best threshold; what a classifier imagines beyond costs a little
        assert world.auc - 0.035 < auc < world.auc + 0.01
    elif not with_shadows:
        assert auc == pytest.approx(world.auc, abs=0.006)
    elif isinstance(attack, LiRA):
        assert auc == pytest.approx(world.ideal_auc, abs=0.01)
    elif isinstance(attack, ShadowClassifier):  # one threshold for all records, whatever the classifier
        assert auc == pytest.approx(world.auc, abs=0.01)
    else:
        assert world.auc + 0.03 < auc < world.ideal_auc + 0.01


@every_attack
def test_swapping_members_and_nonmembers_mirrors_the_auc(attack):
    values, is_member, shadow, trained_on = GaussianWorld(1.0).draw_with_shadows(
        100, 150, MODELS, np.random.default_rng(5)
    )
    scores, folds = World(values, is_member, shadow, trained_on).scored(attack)
    there, back = (LeakageReport.from_scores(scores, truth, folds=folds).auc for truth in (is_member, ~is_member))
    assert float(there) == pytest.approx(1 - back)


@pytest.mark.parametrize("attack", WITH_SHADOWS, ids=lambda attack: attack.name)
def test_without_shadow_models_it_says_what_is_missing(attack):
    with pytest.raises(ValueError, match="give some with shadow_models="):
        attack.fit(AttackContext())


@pytest.mark.parametrize(
    ("attacks", "message"), [(WITH_EXAMPLES, "known membership"), (WITH_POPULATION, "give some with population=")]
)
def test_without_what_it_learns_from_it_says_what_is_missing(attacks, message):
    for attack in attacks:
        with pytest.raises(ValueError, match=message):
            attack.fit(AttackContext())


def test_every_exported_attack_stands_in_the_table():
    exported = {
        value
        for name in package.__all__
        if inspect.isclass(value := getattr(package, name))
        and hasattr(value, "fit")
        and "signals" in (*dir(value), *getattr(value, "__annotations__", ()))
        and value is not Attack
    }
    assert exported == {type(attack) for attack in ATTACKS}


def test_several_queries_are_averaged():
    signals = Signals({"loss": [[1.0, 3.0], [5.0, 5.0]]})
    np.testing.assert_allclose(Threshold("loss").fit(AttackContext()).score(signals), [2.0, 5.0])


def test_two_attacks_of_a_kind_get_names_of_their_own():
    assert list(named_attacks([Threshold(), Threshold(), Threshold("loss", name="mine")])) == ["loss", "loss_2", "mine"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Threshold("losss"), ValueError, "not a signal; choose one of loss, confidence"),
        (lambda: Threshold("loss", name="a/b"), ValueError, "folder and a log key"),
        (lambda: named_attacks([Threshold]), TypeError, "give instances such as"),
        (lambda: named_attacks(["loss"]), TypeError, "is not an attack"),
        (lambda: Signals({"loss": np.zeros(3)}), ValueError, r"\(records, queries\)"),
        (lambda: Signals({"a": np.zeros((3, 1)), "b": np.zeros((2, 1))}), ValueError, "signal 'b' has shape"),
        (
            lambda: Scores(np.zeros(2), np.array([1, 0]), np.arange(3)),
            ValueError,
            r"ids of shape \(3,\) were given for 2 scores",
        ),
        (lambda: LiRA("onlin"), ValueError, "mode is 'onlin'; give one of 'online', 'offline'"),
        (lambda: LiRA(variance="best"), ValueError, "variance is 'best'"),
        (lambda: LiRA(signal="phi"), ValueError, "'phi' is not a signal"),
        (lambda: RMIA(a=2.0), ValueError, r"a is 2.0; give a number in \[0, 1\]"),
        (lambda: RMIA(gamma=0), ValueError, "gamma is 0"),
        (lambda: RMIA(form="rank"), ValueError, "form 'rank'"),
        (lambda: AttackR("phi"), ValueError, "'phi' is not a signal"),
        (lambda: AttackP("phi"), ValueError, "'phi' is not a signal"),
        (lambda: QuantileRegression("phi"), ValueError, "'phi' is not a signal"),
        (lambda: Trajectory("median"), ValueError, "statistic is 'median'; give 'mean' or 'iqr'"),
        (lambda: LabelOnly(shifts=0), ValueError, "nothing would be perturbed"),
        (lambda: LabelOnly(noise=-1.0), ValueError, "a positive noise or None"),
        (lambda: LabelOnly(decision="maybe"), ValueError, "decision is 'maybe'"),
        (lambda: Neighbourhood("phi", 0.1), ValueError, "'phi' is not a signal"),
        (lambda: Neighbourhood(), ValueError, "give either a positive noise"),
        (lambda: Neighbourhood(noise=0.1, queries=(abs,)), ValueError, "there are 1 queries"),
        (lambda: Neighbourhood(noise=-1.0), ValueError, "noise is -1.0"),
        (lambda: Neighbourhood(noise=0.1, draws=0), ValueError, "draws is 0"),
        (lambda: Neighbourhood(queries=abs), TypeError, "a tuple of functions"),
        (lambda: DifficultyCalibration("phi"), ValueError, "'phi' is not a signal"),
        (lambda: ShadowClassifier(features=("phi",)), ValueError, "'phi' is not a signal"),
        (lambda: ShadowClassifier(features=()), ValueError, "features is empty"),
        (lambda: ShadowClassifier(classifier="svc"), TypeError, "give an instance of a scikit-learn classifier"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
