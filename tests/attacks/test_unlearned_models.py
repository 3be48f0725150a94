"""Unlearning judged on models and data: three ways to forget, three verdicts; and everything that makes a verdict worthless."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import LiRA, ShadowModels, Threshold, Trained
from privacy_callbacks.attacks.unlearned_models import evaluate_unlearning
from privacy_callbacks.attacks.unlearning_evaluation import UnlearningEvaluation
from privacy_callbacks.range_queries import LpBall, RaMIA

pytestmark = pytest.mark.slow  # each process that runs one of these trains six models

FEATURES, CLASSES = 24, 3


def records(count, seed, classes=range(CLASSES)):
    """Noise with labels that nothing but memory can tell."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FEATURES)).astype(np.float32), rng.choice(list(classes), count)


RETAIN, FORGET, TEST = records(300, 0), records(300, 1), records(600, 2)


def joined(*sides):
    return tuple(np.concatenate([side[part] for side in sides]) for part in (0, 1))


def new_model(seed=0, outputs=CLASSES):
    init = [keras.initializers.GlorotUniform(seed=seed + place) for place in (1, 2)]
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(48, activation="relu", kernel_initializer=init[0]),
            keras.layers.Dense(outputs, kernel_initializer=init[1]),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def trained_on(records, seed=0, epochs=25, start=None):
    model = new_model(seed)
    if start is not None:
        model.set_weights(start.get_weights())
    model.fit(*records, epochs=epochs, batch_size=50, shuffle=False, verbose=0)
    return model


@pytest.fixture(scope="module")
def original():
    return trained_on(joined(RETAIN, FORGET))


@pytest.fixture(scope="module")
def retrained():
    return [trained_on(RETAIN, seed) for seed in (10, 20, 30)]


@pytest.fixture(scope="module")
def pushed_away(original):
    """Ascent on the forget set while descending on the retain set."""
    model = trained_on(RETAIN, epochs=1, start=original)
    wrong = (FORGET[1] + 1) % CLASSES
    return trained_on(joined(RETAIN, (FORGET[0], wrong)), epochs=30, start=model)


def test_a_model_that_was_trained_without_the_set_has_forgotten_it(original, retrained):
    found = evaluate_unlearning(retrained[0], RETAIN, FORGET, TEST, original, retrained[1])
    assert found.verdict == "forgotten"
    assert not found.streisand
    assert found.attack == "loss"
    assert list(found.models) == ["original", "unlearned", "retrained"]
    assert found.models["original"].verdict == "residual"
    assert found.beside_retrained.low <= 0 <= found.beside_retrained.high
    assert found.forget_auc.low <= 0.5 <= found.forget_auc.high
    assert found.retain_risk > 0.8
    assert found.psi == pytest.approx(found.psi_floor, abs=0.15)
    assert found.mia_efficacy == pytest.approx(found.efficacy_floor, abs=0.15)
    assert 0.8 < found.tug_of_war <= 1
    assert (found.klom, found.u_lira_auc) == (None, None)


def test_the_original_and_a_few_more_epochs_on_the_rest_leave_a_residual(original):
    tuned = trained_on(RETAIN, epochs=2, start=original)
    for model in (original, tuned):
        found = evaluate_unlearning(model, RETAIN, FORGET, TEST, original)
        assert found.verdict == "residual"
        assert found.forget_auc.low > 0.6
    assert (found.tug_of_war, found.beside_retrained) == (None, None)


def test_a_set_that_was_pushed_away_can_be_told_by_that(original, pushed_away):
    found = evaluate_unlearning(pushed_away, RETAIN, FORGET, TEST, original)
    assert found.verdict == "over-forgotten"
    assert found.streisand
    assert found.forget_auc.high < 0.45


def test_an_untrained_model_shows_a_blind_attacker(original):
    found = evaluate_unlearning(new_model(), RETAIN, FORGET, TEST)
    assert found.verdict == "inconclusive"
    assert "cannot tell retained records" in found.reason


def test_models_stand_side_by_side_with_accuracy_loss_and_verdict(original, retrained):
    table = evaluate_unlearning(original, RETAIN, FORGET, TEST, original, retrained[0]).table()
    assert table["model"].tolist() == ["original", "unlearned", "retrained"]
    assert table["verdict"].tolist() == ["residual", "residual", "forgotten"]
    for side, given in (("retain", RETAIN), ("forget", FORGET), ("test", TEST)):
        logits = original.predict(given[0], verbose=0)
        right = float(np.mean(logits.argmax(axis=1) == given[1]))
        assert table[f"accuracy_{side}"][0] == pytest.approx(right)
        loss = keras.losses.sparse_categorical_crossentropy(given[1], logits, from_logits=True)
        assert table[f"loss_{side}"][0] == pytest.approx(float(tf.reduce_mean(loss)), rel=1e-4)


def test_record_by_record_those_still_known_come_first(original, retrained):
    found = evaluate_unlearning(retrained[0], RETAIN, FORGET, TEST, original).residuals()
    assert list(found.columns) == ["position", "label", "score_original", "score", "p_value"]
    assert sorted(found["position"]) == list(range(300))
    assert found["label"].tolist() == FORGET[1][found["position"]].tolist()
    assert found["p_value"].is_monotonic_increasing
    assert 0.35 < found["p_value"].mean() < 0.65  # uniform if forgotten
    assert (evaluate_unlearning(original, RETAIN, FORGET, TEST).residuals()["p_value"].mean()) < 0.25


def test_unlearning_that_exposes_those_who_stay_is_seen(original):
    tuned = trained_on(RETAIN, epochs=15, start=original)
    found = evaluate_unlearning(tuned, RETAIN, FORGET, TEST, original)
    assert found.retain_risk_change.low > 0
    same = evaluate_unlearning(original, RETAIN, FORGET, TEST, original)
    assert same.retain_risk_change == 0.0
    assert 0 < same.retain_risk_change.high == -same.retain_risk_change.low < 0.03


def test_several_models_of_each_kind_are_compared_as_distributions(original, retrained, pushed_away):
    tuned = [trained_on(RETAIN, epochs=1, start=trained_on(joined(RETAIN, FORGET), seed)) for seed in (1, 2)]
    found = evaluate_unlearning([original, *tuned], RETAIN, FORGET, TEST, retrained=retrained)
    assert found.klom["forget"]["50%"] > 1.3 * found.klom["floor_forget"]["50%"]
    assert found.klom["test"]["50%"] < 1.3 * found.klom["floor_test"]["50%"]
    assert found.u_lira_auc.low > 0.7
    assert found.tug_of_war.details["retrained_models"] == 3
    alike = evaluate_unlearning(
        retrained, RETAIN, FORGET, TEST, retrained=[trained_on(RETAIN, s) for s in (40, 50, 60)]
    )
    assert alike.u_lira_auc.low < 0.5 < alike.u_lira_auc.high
    assert alike.klom["forget"]["95%"] < 1.3 * alike.klom["floor_forget"]["95%"]


@pytest.mark.parametrize(
    "attack", [Threshold("margin"), Trained("logistic_regression"), RaMIA(Threshold("loss"), LpBall(0.3), 4)]
)
def test_any_attack_may_judge(attack, original, retrained):
    found = evaluate_unlearning(original, RETAIN, FORGET, TEST, retrained=retrained[0], attack=attack)
    assert found.attack == attack.name
    assert found.verdict == "residual"
    assert found.models["retrained"].verdict == "forgotten"
    if isinstance(attack, Trained):
        assert found.counts == {"retain": 150, "forget": 300, "test": 300}


def test_neighbours_that_are_still_trained_on_are_left_out(original):
    kept = joined(RETAIN, (FORGET[0][:40] + 0.01, FORGET[1][:40]))
    attack = RaMIA(Threshold("loss"), LpBall(0.3), 4)
    found = evaluate_unlearning(original, kept, FORGET, TEST, attack=attack)
    assert found.counts["forget"] == 260
    assert found.residuals()["position"].min() == 40


def test_attacks_with_shadow_models_judge(original, retrained):
    plan = ShadowModels(8, epochs=25, batch_size=50, engine="stacked")
    sets = RETAIN, FORGET, TEST
    found = evaluate_unlearning(original, *sets, retrained=retrained[0], attack=LiRA(), shadow_models=plan, verbose=0)
    assert found.verdict == "residual"
    assert found.models["retrained"].forget_auc.low < 0.5 < found.models["retrained"].forget_auc.high
    with pytest.raises(ValueError, match="compares with shadow models; give shadow_models="):
        evaluate_unlearning(original, *sets, attack=LiRA())


def test_a_forgotten_class_asks_for_a_retrained_model():
    kept, gone, new = records(400, 3, [0, 1]), records(200, 4, [2]), records(600, 5)
    model, without = trained_on(joined(kept, gone)), trained_on(kept)
    alone = evaluate_unlearning(without, kept, gone, new, model)
    assert alone.verdict == "inconclusive"
    assert "give a retrained model" in alone.reason
    assert any("classes of which nothing was kept" in warning for warning in alone.warnings)
    beside = evaluate_unlearning(without, kept, gone, new, model, trained_on(kept, seed=7))
    assert beside.verdict in ("forgotten", "inconclusive")
    assert evaluate_unlearning(model, kept, gone, new, model, without).verdict == "residual"


def test_other_proportions_of_classes_are_matched():
    gone = joined(records(200, 6, [0]), records(50, 7, [1, 2]))
    model = trained_on(RETAIN)
    found = evaluate_unlearning(model, RETAIN, gone, TEST)
    assert found.counts["test"] < 600
    assert found.verdict in ("forgotten", "inconclusive")


def test_data_sets_other_labels_and_heads_are_read(original):
    one_hot = [(x, np.eye(CLASSES, dtype=np.float64)[y]) for x, y in (RETAIN, FORGET, TEST)]
    model = new_model()
    model.set_weights(original.get_weights())
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    sets = [tf.data.Dataset.from_tensor_slices(side).batch(64) for side in one_hot]
    found = evaluate_unlearning(model, *sets)
    plain = evaluate_unlearning(original, RETAIN, FORGET, TEST)
    assert float(found.forget_auc) == pytest.approx(float(plain.forget_auc), abs=1e-6)


def test_a_regression_is_judged_by_its_loss():
    sides = [
        (x, x[:, :1] + np.random.default_rng(9).normal(size=(len(x), 1)).astype(np.float32))
        for x, _ in (RETAIN, FORGET, TEST)
    ]
    model = new_model(outputs=1)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(*joined(*sides[:2]), epochs=60, batch_size=50, shuffle=False, verbose=0)
    found = evaluate_unlearning(model, *sides)
    assert found.verdict == "residual"
    assert "accuracy_forget" not in found.performance["unlearned"]
    assert "label" in found.residuals().columns or found.forgotten.labels is None


def test_models_of_another_head_are_refused(original):
    other = new_model(outputs=CLASSES + 1)
    with pytest.raises(
        ValueError, match=r"original has a head of kind categorical with outputs \(4,\), the first model"
    ):
        evaluate_unlearning(original, RETAIN, FORGET, TEST, other)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unlearned": []}, "unlearned is empty"),
        ({"forget": records(6, 1)}, "forget has 6 records; give at least 10"),
        (
            {"forget": joined(FORGET, tuple(part[:4] for part in RETAIN))},
            "4 of 304 records of forget stand in retain, too",
        ),
        ({"level": 1.0}, "level is 1.0"),
        ({"margin": 0.6}, "margin is 0.6"),
        ({"test": (np.full_like(TEST[0], np.nan), TEST[1])}, "NaN or infinite"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(original, changed, said):
    given = {"unlearned": original, "retain": RETAIN, "forget": FORGET, "test": TEST} | changed
    with pytest.raises(ValueError, match=said):
        evaluate_unlearning(**given)


def test_the_evaluation_comes_back_from_json_without_its_records(original, retrained):
    found = evaluate_unlearning(original, RETAIN, FORGET, TEST, retrained=retrained[:2])
    read = UnlearningEvaluation.from_dict(json.loads(found.to_json()))
    assert read.to_dict() == found.to_dict()
    assert str(read.summary()) == str(found.summary())
    with pytest.raises(ValueError, match="holds no records"):
        read.residuals()
    assert "position" not in found.to_json()


def test_nothing_of_the_models_changes(original):
    before = [weights.copy() for weights in original.get_weights()]
    state = np.random.get_state()[1].copy()
    evaluate_unlearning(original, RETAIN, FORGET, TEST)
    assert all(np.array_equal(old, new) for old, new in zip(before, original.get_weights(), strict=True))
    assert np.array_equal(state, np.random.get_state()[1])


def test_a_model_is_no_measure_of_itself(retrained):
    """The difference would be 0 whatever it remembers, and be taken for forgetting."""
    retrained, *_ = retrained
    twin = keras.models.clone_model(retrained)
    twin.set_weights(retrained.get_weights())
    for other in (retrained, twin, [retrained, twin]):
        with pytest.raises(ValueError, match="retrained has the very weights of unlearned"):
            evaluate_unlearning(retrained, RETAIN, FORGET, TEST, retrained=other)


def test_an_original_that_was_tuned_in_place_is_told(retrained):
    retrained, *_ = retrained
    found = evaluate_unlearning(retrained, RETAIN, FORGET, TEST, original=retrained)
    assert any("tuned in place" in sentence for sentence in found.warnings)
    other = evaluate_unlearning(retrained, RETAIN, FORGET, TEST)
    assert not any("tuned in place" in sentence for sentence in other.warnings)


def test_copies_in_another_type_of_number_are_found():
    from privacy_callbacks.attacks.unlearning_sets import unlearning_sets

    whole = tuple(np.round(10 * part).astype("int64") for part in RETAIN)
    overlapping = whole[0][:50].astype("float32"), whole[1][:50].astype("float32")
    with pytest.raises(ValueError, match="50 of 50 records of forget stand in retain, too"):
        unlearning_sets(whole, overlapping, tuple(part + 1_000 for part in whole), 200, 0)


def test_records_without_a_score_are_counted_aloud(retrained):
    class Picky(Threshold):
        """Cannot score the records that it knows best."""

        def score(self, signals):
            scores = super().score(signals).copy()
            scores[scores > np.quantile(scores, 0.9)] = np.nan
            return scores

    found = evaluate_unlearning(retrained[0], RETAIN, FORGET, TEST, attack=Picky("loss"))
    (told,) = [sentence for sentence in found.warnings if "could not score" in sentence]
    assert "of forget" in told
