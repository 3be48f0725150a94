"""Heads in closed form on frozen features, and the features an audit hands out for them."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, ndtr
from slow_params import study_unless

from privacy_callbacks import MIACallback, audit
from privacy_callbacks.attacks import AttackContext, LeakageReport, ShadowHeads, Signals, shadow_head_scores
from privacy_callbacks.attacks.asked_records import AllRecords, resident_records
from privacy_callbacks.attacks.compiled_pass import SignalPass
from privacy_callbacks.attacks.frozen_feature_heads import _out_answers
from privacy_callbacks.attacks.ridge_head import RidgeHead, best_ridge
from privacy_callbacks.attacks.shadow_pool import pool_from_records

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
layers = keras.layers
CLASSES = 3


def world(count=300, columns=6, seed=0, classes=CLASSES):
    """phi[n], features[n, d], labels[n]: hard records have a low φ whether members or not; nobody is a member."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    features = rng.normal(size=(count, columns)) + np.eye(classes, columns)[labels] * 1.5
    own = features[np.arange(count), labels]
    return 2 * own - 1 + rng.normal(size=count), features, labels


def test_a_head_is_the_direct_solution_of_its_ridge_regression():
    """Augmented least squares with a free intercept, solved by another route."""
    _, rows, labels = world(80)
    targets, ridge = np.eye(CLASSES)[labels], 0.3
    strength = np.sqrt(ridge * len(rows) * rows.var(axis=0).mean())
    left = np.block([[np.ones((80, 1)), rows], [np.zeros((6, 1)), strength * np.eye(6)]])
    solution = np.linalg.lstsq(left, np.concatenate([targets, np.zeros((6, CLASSES))]), rcond=None)[0]
    head = RidgeHead.fitted(rows, targets, ridge)
    np.testing.assert_allclose(head(rows), solution[0] + rows @ solution[1:], atol=1e-12)


def test_the_strength_chosen_is_the_one_whose_head_errs_least_on_held_out_records():
    _, rows, labels = world(400, 30)
    targets = np.eye(CLASSES)[labels]
    chosen = best_ridge(rows[:60], targets[:60], rows[60:], targets[60:])

    def error(ridge):
        return np.square(RidgeHead.fitted(rows[:60], targets[:60], ridge)(rows[60:]) - targets[60:]).sum()

    assert error(chosen) == pytest.approx(min(map(error, 10.0 ** np.arange(-3, 1.1, 0.5))), rel=1e-9)
    assert 1e-3 < chosen < 10


def test_every_record_is_answered_by_the_heads_that_did_not_learn_from_it():
    """Giving one record another label changes what the heads answer about others, and nothing that they answer about it."""
    _, features, labels = world(40)
    rows, changed = features.astype(np.float32), labels.copy()
    changed[7] = (labels[7] + 1) % CLASSES
    there, here = (_out_answers(rows, classes, 4, 0.1, seed=0) for classes in (labels, changed))
    np.testing.assert_array_equal(there[7], here[7])
    assert (there != here).any(axis=1).sum() > 20


def test_two_heads_score_by_the_other_half():
    phi, features, labels = world(60)
    scores = shadow_head_scores(phi, features, labels, num_heads=2, ridge=0.1, seed=3)
    p_out = 2 * np.exp(-np.logaddexp(0, -phi) - scores) - 1  # the score solved for p_OUT
    order = np.lexsort((labels, phi))
    shuffled = order[np.random.default_rng([3, 0x4EAD]).permutation(60)]
    answers = np.empty((60, CLASSES))
    for learn, answer in ((shuffled[:30], shuffled[30:]), (shuffled[30:], shuffled[:30])):
        answers[answer] = RidgeHead.fitted(features[learn], np.eye(CLASSES)[labels[learn]], 0.1)(features[answer])

    def likelihood(scale):
        return log_softmax(scale * answers, axis=1)[np.arange(60), labels]

    best = max(np.exp(np.arange(-5, 7, 0.001)), key=lambda scale: likelihood(scale).mean())
    np.testing.assert_allclose(p_out, np.exp(likelihood(best)), atol=2e-3)


def test_a_surer_target_scores_higher_and_an_easier_record_lower():
    phi, features, labels = world(200)
    scores = shadow_head_scores(phi, features, labels)
    assert scores.dtype == np.float64
    own = features[np.arange(200), labels] - features.mean(axis=1)
    same = shadow_head_scores(np.zeros(200), features, labels)
    assert np.corrcoef(same, own)[0, 1] < -0.5
    raised = phi + np.where(np.arange(200) == 5, 3.0, 0)
    assert shadow_head_scores(raised, features, labels)[5] > scores[5]


def test_heads_that_know_how_hard_a_record_is_beat_the_threshold():
    """φ = hardness + gain·[member] + noise / 2, and the hardness can be read off the features: that threshold has its AUC in
    closed form, Φ(gain / √(2(4 + ¼))), and lies far below an attacker who knows the hardness, Φ(gain / √(2·¼)) = .92."""
    rng, count, gain = np.random.default_rng(0), 4_000, 1.0
    is_member, labels = np.arange(count) % 2 == 0, rng.integers(0, 2, count)
    hardness = rng.normal(1.4, 2, count)
    phi = hardness + gain * is_member + rng.normal(size=count) / 2
    plain = LeakageReport.from_scores(phi, is_member).auc
    assert float(plain) == pytest.approx(ndtr(gain / np.sqrt(2 * 4.25)), abs=0.02)
    features = ((2 * labels - 1) * hardness)[:, None]
    calibrated = LeakageReport.from_scores(shadow_head_scores(phi, features, labels), is_member).auc
    assert plain.high + 0.08 < calibrated.low
    assert float(calibrated) < ndtr(gain * np.sqrt(2))


def test_the_order_of_records_decides_nothing_and_the_seed_halves():
    phi, features, labels = world()
    order = np.random.default_rng(1).permutation(300)
    there = shadow_head_scores(phi, features, labels, seed=2)
    np.testing.assert_array_equal(shadow_head_scores(phi[order], features[order], labels[order], seed=2), there[order])
    assert (shadow_head_scores(phi, features, labels, seed=3) != there).any()


def test_labels_are_read_in_every_shape():
    phi, features, labels = world()
    expected = shadow_head_scores(phi, features, labels)
    for given in (labels[:, None], np.eye(CLASSES)[labels], labels + 7, labels.astype(np.float32)):
        np.testing.assert_array_equal(shadow_head_scores(phi, features, given), expected)


def test_units_of_features_do_not_matter_and_extremes_stay_finite():
    phi, features, labels = world()
    expected = shadow_head_scores(phi, features, labels)
    np.testing.assert_allclose(shadow_head_scores(phi, features * 1e30, labels), expected, rtol=1e-4, atol=1e-6)
    constant = shadow_head_scores(phi, np.ones((300, 4)), labels)  # tells nothing: the classes' shares alone
    assert np.isfinite(constant).all()
    wide = np.repeat(features, 30, axis=1)  # more columns than records in a half, all of them collinear
    assert np.isfinite(shadow_head_scores(phi, wide, labels)).all()
    phi[:2] = -np.inf, np.inf
    assert list(np.isfinite(shadow_head_scores(phi, features, labels)[:2])) == [False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((299, 6))}, r"phi has shape \(300,\) and features \(299, 6\)"),
        ({"features": np.zeros((300, 0))}, r"give \(records,\) and \(records, columns\)"),
        ({"features": np.zeros((300, 4097), np.int8)}, "features has 4,097 columns; project them to 4,096"),
        ({"features": np.full((300, 2), np.inf)}, "features holds values that are not finite"),
        ({"features": np.full((300, 2), "a")}, "features holds values that are not finite numbers"),
        ({"phi": np.full(300, np.nan)}, "phi is NaN for 300 of 300"),
        ({"labels": np.zeros(299)}, r"labels has shape \(299,\) for 300 records"),
        ({"labels": np.ones((300, 3))}, "is not one-hot"),
        ({"labels": np.zeros(300)}, "300 records of 1 classes are too few"),
        ({"num_heads": 3}, "num_heads is 3; give an even number"),
        ({"num_heads": 0}, "num_heads is 0; give an even number"),
        ({"ridge": 0.0}, "ridge is 0.0; give a number above 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    phi, features, labels = world()
    with pytest.raises(ValueError, match=message):
        shadow_head_scores(**({"phi": phi, "features": features, "labels": labels} | change))


def test_the_attack_says_what_it_misses():
    phi, features, labels = world()
    signals, fitted = Signals({"scaled_logit": phi[:, None]}), ShadowHeads("inputs").fit(AttackContext())
    with pytest.raises(ValueError, match="the signals stand without features"):
        fitted.score(signals.beside(labels=labels))
    with pytest.raises(ValueError, match="stand without labels of a single class"):
        fitted.score(signals.beside(features=features))
    with pytest.raises(ValueError, match="features is 'logits'; give 'inputs' or 'last_layer'"):
        ShadowHeads("logits")
    with pytest.raises(ValueError, match="num_heads is 5"):
        ShadowHeads(num_heads=5)


def test_on_the_last_layer_the_attack_is_the_door():
    phi, features, labels = world()
    signals = Signals({"scaled_logit": phi[:, None]}, labels=labels, features=features)
    found = ShadowHeads("last_layer", num_heads=4).fit(AttackContext(seed=5)).score(signals)
    np.testing.assert_array_equal(found, shadow_head_scores(phi, features, labels, num_heads=4, seed=5))


# ---- in an audit


def records(count=120, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, 2 * count)
    x = (rng.normal(size=(2 * count, 6)) + labels[:, None] / 2).astype(np.float32)
    return (x[:count], labels[:count]), (x[count:], labels[count:])


def compiled(model, loss=None):
    model.compile("adam", loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = layers.Dense(8, "relu"), layers.Dense(CLASSES, "softmax")

    def call(self, x):
        return self.last(self.hidden(x))


def _functional():
    given = keras.Input((6,))
    hidden = layers.Dense(8, "relu")(given)
    return keras.Model(given, layers.Softmax()(layers.Dense(CLASSES, name="last")(hidden)))


MODELS = {
    "sequential, logits": lambda: keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(CLASSES)]),
    "functional, softmax layer": _functional,
    "subclassed, softmax": Subclassed,
    "batches of 32 only": lambda: keras.Sequential(
        [keras.Input((6,), batch_size=32), layers.Dense(8), layers.Dense(3)]
    ),
    "mixed precision": lambda: keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, dtype="mixed_float16"), layers.Dense(CLASSES, dtype="float32")]
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_what_the_last_layer_reads_gives_the_logits_with_its_kernel(kind):
    (x, y), _ = records()
    model = MODELS[kind]()
    model(x[:32])
    compiled(model, keras.losses.SparseCategoricalCrossentropy(from_logits="softmax" not in kind))
    asking = SignalPass(model, resident_records(pool_from_records(x, y).records), batch_size=50)
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    for _ in range(2):
        found = asking.last_layer_inputs()
        assert found.shape == (120, 8)
        assert found.dtype == np.float32
        kernel, bias = last.get_weights()
        logits = found.astype(float) @ kernel + bias
        phi = logits[np.arange(120), y] - np.log(np.exp(logits).sum(axis=1) - np.exp(logits[np.arange(120), y]))
        np.testing.assert_allclose(asking.signals(("scaled_logit",))["scaled_logit"][:, 0], phi, atol=2e-3)
        model.set_weights([weight * 1.1 for weight in model.get_weights()])  # it reads the weights of the moment
    assert isinstance(asking._asked, AllRecords)


BOTH = [ShadowHeads("inputs"), ShadowHeads("last_layer", name="on_the_last_layer")]


def test_in_a_fit_and_after_it_the_same_weights_give_the_same_scores():
    members, nonmembers = records()
    keras.utils.set_random_seed(1)
    model = compiled(MODELS["sequential, logits"]())
    mia = MIACallback(members, nonmembers, attacks=BOTH, blind_baseline=False)
    model.fit(*members, epochs=2, verbose=0, callbacks=[mia])
    after = audit(model, members, nonmembers, attacks=BOTH, blind_baseline=False)
    for name in ("shadow_heads", "on_the_last_layer"):
        during = next(report for report in reversed(mia.reports) if report.attack == name)
        then = next(report for report in after if report.attack == name)
        assert float(during.auc) == float(then.auc)
        assert "shadow heads are experimental" in " ".join(during.notes)


def test_a_fit_with_heads_ends_with_the_same_bits():
    members, nonmembers = records()
    mia = MIACallback(members, nonmembers, attacks=BOTH, blind_baseline=False)
    ends = []
    for callbacks in ([], [mia]):
        keras.utils.set_random_seed(1)
        model = compiled(keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dropout(0.3), layers.Dense(3)]))
        model.fit(*members, epochs=2, verbose=0, callbacks=callbacks)
        ends.append([*model.get_weights(), np.random.random(), keras.random.normal(()).numpy()])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_of_one_sigmoid_has_two_classes():
    (x, y), (others, theirs) = records()
    model = compiled(keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dense(1, "sigmoid")]), "bce")
    y, theirs = (np.float32(one > 0)[:, None] for one in (y, theirs))
    found = audit(model, (x, y), (others, theirs), attacks=BOTH, blind_baseline=False)
    assert not [report for report in found if report.failed]


def test_heads_do_not_see_the_label_among_the_inputs():
    """Features that held the label would make every record easy, and the score one of the target's confidence alone."""
    members, nonmembers = records()
    model = compiled(MODELS["sequential, logits"]())
    mia = MIACallback(members, nonmembers, attacks=[ShadowHeads("inputs")], blind_baseline=False)
    model.fit(*members, epochs=1, verbose=0, callbacks=[mia])
    assert mia._auditor._knowledge._inputs.shape == (240, 6)


def _tokens():
    given = keras.Input((6, 1))
    return compiled(keras.Model(given, layers.Dense(CLASSES)(given)))


def _two_outputs():
    given = keras.Input((6,))
    outputs = [layers.Dense(CLASSES, name=name)(given) for name in ("a", "b")]
    losses = [keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in outputs]
    return compiled(keras.Model(given, outputs), losses)


def _ending_in(*last):
    return compiled(keras.Sequential([keras.Input((6,)), *last]))


REFUSED = {
    "regression": (
        lambda: compiled(keras.Sequential([keras.Input((6,)), layers.Dense(1)]), "mse"),
        lambda x, y: (x, np.float32(y)[:, None] / 3),
        "reads the signal 'scaled_logit', which does not fit",
    ),
    "several outputs": (_two_outputs, lambda x, y: (x, (y, y)), "reads the signal 'scaled_logit', which does not fit"),
    "sequences": (
        _tokens,
        lambda x, y: (x[..., None], np.repeat(y[:, None], 6, axis=1)),
        "each position .token, pixel. has one|without labels of a single class",
    ),
    "several labels": (
        lambda: compiled(keras.Sequential([keras.Input((6,)), layers.Dense(CLASSES, "sigmoid")]), "bce"),
        lambda x, y: (x, np.eye(CLASSES, dtype=np.float32)[y]),
        "of kind 'multi_label'; choose|without labels of a single class",
    ),
}


@pytest.mark.parametrize("attack", BOTH, ids=lambda attack: attack.features)
@pytest.mark.parametrize("kind", REFUSED)
def test_models_without_one_class_a_record_are_refused(attack, kind):
    make, side, message = REFUSED[kind]
    with pytest.raises(ValueError, match=message):
        audit(make(), *(side(*one) for one in records()), attacks=[attack], blind_baseline=False)


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ([layers.Dense(CLASSES), layers.LayerNormalization()], "features='inputs' needs no such layer"),
        (
            [layers.Dense(4_097), layers.Dense(CLASSES)],
            "reads 4,097 numbers a record; features='last_layer' takes 4,096",
        ),
    ],
)
def test_last_layers_that_cannot_be_read_are_refused_before_training(last, message):
    members, nonmembers = records()
    mia = MIACallback(members, nonmembers, attacks=[ShadowHeads("last_layer")], blind_baseline=False)
    with pytest.raises(ValueError, match=message):
        _ending_in(*last).fit(*members, verbose=0, callbacks=[mia])


# ---- studies


@pytest.mark.slow
@pytest.mark.parametrize("features", study_unless(["last_layer"], ["last_layer", "inputs"]))
def test_without_a_leak_the_interval_covers_one_half(features):
    """A target that saw neither side, in 200 worlds."""
    attack, covered = ShadowHeads(features, num_heads=4), []
    for seed in range(200):
        phi, features, labels = world(300, seed=seed)
        is_member = np.arange(300) < 150
        signals = Signals({"scaled_logit": phi[:, None]}, labels=labels, features=features)
        auc = LeakageReport.from_scores(attack.fit(AttackContext(seed=seed)).score(signals), is_member).auc
        covered.append(auc.low <= 0.5 <= auc.high)
    assert np.mean(covered) >= 0.92  # 95 % but for three standard errors of 200 draws, .015 each


def test_the_order_decides_nothing_among_records_of_one_phi_and_class():
    rng = np.random.default_rng(0)
    x, y, phi = rng.normal(size=(120, 6)).astype("float32"), rng.integers(0, 3, 120), np.repeat(np.arange(4.0), 30)
    order = rng.permutation(120)
    ours = shadow_head_scores(phi, x, y)
    np.testing.assert_array_equal(shadow_head_scores(phi[order], x[order], y[order]), ours[order])


@pytest.mark.parametrize("features", ["inputs", "last_layer"])
def test_of_several_queries_heads_take_the_mean_of_phi(features):
    rng = np.random.default_rng(0)
    x, y, phi = rng.normal(size=(60, 6)).astype("float32"), rng.integers(0, 3, 60), rng.normal(size=(60, 3))
    fitted = ShadowHeads(features=features).fit(AttackContext(seed=3))
    ours, mean = (
        fitted.score(Signals({"scaled_logit": some}, labels=y, features=x))
        for some in (phi, phi.mean(1, keepdims=True))
    )
    np.testing.assert_array_equal(ours, mean)


def test_the_seed_decides_random_features():
    from privacy_callbacks.attacks.frozen_feature_heads import _random_features

    rows = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
    assert not np.array_equal(_random_features(rows, 8, 0), _random_features(rows, 8, 1))


def test_labels_that_are_no_classes_are_refused():
    x = np.random.default_rng(0).normal(size=(40, 5))
    with pytest.raises(ValueError, match="numbers that are no classes"):
        shadow_head_scores(x[:, 0], x, np.arange(40) / 2)
