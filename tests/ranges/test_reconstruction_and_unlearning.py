"""Queries that are nobody's members: candidates of a reconstruction, neighbours of records to be forgotten."""

import keras
import numpy as np
import pytest
from ranges.small_ranges import Cube

from privacy_callbacks.attacks import RMIA, AttackP, LiRA, ShadowModels, Threshold, Trained, signals_of
from privacy_callbacks.range_queries import (
    LpBall,
    MissingFeatures,
    RaMIA,
    evaluate_reconstruction,
    forgotten_neighbours,
)
from privacy_callbacks.range_queries.range_scores import RangeScorer

pytestmark = pytest.mark.slow  # models and fleets of their own in each

PLAN = ShadowModels(4, epochs=2, batch_size=20, engine="stacked")


def records(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)).astype(np.float32), rng.integers(0, 3, count)


def trained_on(*sides, epochs=60):
    init = [keras.initializers.GlorotUniform(seed) for seed in (1, 2)]
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(32, activation="relu", kernel_initializer=init[0]),
            keras.layers.Dense(3, kernel_initializer=init[1]),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = (np.concatenate([side[part] for side in sides]) for part in (0, 1))
    model.fit(x, y, epochs=epochs, batch_size=20, shuffle=False, verbose=0)
    return model


TRAINING, REFERENCE = records(seed=0), records(seed=1)


@pytest.fixture(scope="module")
def model():
    return trained_on(TRAINING)


# Any queries.


def test_scores_are_those_of_points_reduced(model):
    x, y = records(20, seed=5)
    attack = RaMIA(Threshold("loss"), Cube(0.3), 5, seed=2)
    found = RangeScorer(model, x, y, attack)(model)
    points = Cube(0.3).sample(x, 5, seed=2)
    each = [signals_of(model, points[:, place], y)["loss"][:, 0] for place in range(5)]
    np.testing.assert_allclose(found.scores["ramia"], np.mean(each, axis=0), atol=1e-5)


def test_truth_is_asked_for_apart(model):
    x, y = TRAINING[0][:10] + np.where(np.arange(10) < 6, 0.1, 5).astype(np.float32)[:, None], TRAINING[1][:10]
    scores = RangeScorer(model, x, y, RaMIA(Threshold("loss"), Cube(0.2)))(model)
    found = scores.found_in("ramia", TRAINING)
    np.testing.assert_array_equal(found.inside, np.arange(10) < 6)
    assert not found.exact.any()
    assert scores.found_in("ramia", (x, y)).exact.all()


@pytest.mark.parametrize("within", [RMIA(), LiRA("offline"), RMIA(form="percentile"), AttackP()])
def test_attacks_that_compare_are_given_what_they_need(model, within):
    x, y = records(20, seed=5)
    attacks = [RaMIA(within, Cube(0.3), 3), RaMIA(within, LpBall(0.5), 2)]
    scorer = RangeScorer(
        model, x, y, attacks, shadow_models=PLAN, pool=TRAINING, population=records(30, seed=9), verbose=0
    )
    scores = scorer(model).scores
    assert list(scores) == ["ramia", "ramia_2"]
    assert all(np.isfinite(one).all() for one in scores.values())


def test_several_models_are_asked_alike(model):
    x, y = records(20, seed=5)
    scorer = RangeScorer(model, x, y, RaMIA(RMIA(), Cube(0.3), 3), shadow_models=PLAN, pool=TRAINING, verbose=0)
    np.testing.assert_array_equal(scorer(model).scores["ramia"], scorer(model).scores["ramia"])
    other = trained_on(TRAINING, REFERENCE, epochs=2)
    assert (scorer(other).scores["ramia"] != scorer(model).scores["ramia"]).any()


@pytest.mark.parametrize(
    ("attack", "options", "error", "message"),
    [
        (RMIA(), {}, TypeError, "no range attack"),
        (RaMIA(Trained("knn"), Cube(1)), {}, ValueError, "learns from records of known membership"),
        (RaMIA(RMIA(), Cube(1)), {}, ValueError, "compares with shadow models"),
        (RaMIA(RMIA(), Cube(1)), {"shadow_models": PLAN}, ValueError, "compares with shadow models"),
        (RaMIA(AttackP(), Cube(1)), {}, ValueError, "no model trained on"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_trained(model, attack, options, error, message):
    with pytest.raises(error, match=message):
        RangeScorer(model, *records(20), attack, **options)


# Reconstruction.


def candidates(noise):
    """Half of them lie `noise` away from training records, half are new."""
    x, y = records(60, seed=3)
    step = np.random.default_rng(4).normal(size=(30, 6))
    x[:30] = TRAINING[0][:30] + noise * step / np.linalg.norm(step, axis=1, keepdims=True)
    y[:30] = TRAINING[1][:30]
    return x, y


def test_candidates_near_training_records_are_told_by_the_model(model):
    found = evaluate_reconstruction(
        model, candidates(0.2), TRAINING, REFERENCE, [0.1, 0.3, 0.6], Threshold("loss"), seed=1
    )
    assert found.epsilons == (0.1, 0.3, 0.6)
    np.testing.assert_allclose(found.distance[:30], 0.2, rtol=1e-3)
    assert found.nearer_to_training > 0.6
    tight, right, wide = found.reports["range"]
    assert tight.failed
    assert "nothing to tell apart at this radius" in tight.warnings[0]
    assert (right.num_members, right.num_nonmembers) == (30, 30)
    assert right.auc.low > 0.5
    assert found.reports["point"][1].auc.low > 0.5
    assert found.reports["distance"][1].auc.low < 0.6
    table = found.table()
    assert list(table["attack"].unique()) == ["distance", "point", "range"]
    assert (table.loc[table.epsilon == 0.3, "within"] == 30).all()
    assert wide.num_members >= 30


def test_candidates_that_know_nothing_are_as_near_to_either_side(model):
    found = evaluate_reconstruction(model, records(300, seed=8), TRAINING, REFERENCE, [1.5], Threshold("loss"))
    assert abs(found.nearer_to_training - 0.5) < 0.1


def test_equal_distances_count_half(model):
    found = evaluate_reconstruction(model, candidates(0.2), TRAINING, TRAINING, [0.3], Threshold("loss"))
    assert found.nearer_to_training == 0.5


def test_reconstruction_with_shadow_models(model):
    found = evaluate_reconstruction(
        model, candidates(0.2), TRAINING, REFERENCE, [0.3], RMIA(), queries=4, shadow_models=PLAN, verbose=0
    )
    assert not found.reports["range"][0].failed


@pytest.mark.parametrize("epsilons", [[], [0.1, 0.1], [0], [-1], [np.nan], [np.inf]])
def test_radii_are_positive_and_different(model, epsilons):
    with pytest.raises(ValueError, match="give positive radii"):
        evaluate_reconstruction(model, TRAINING, TRAINING, REFERENCE, epsilons, Threshold("loss"))


# Unlearning.


def test_the_neighbourhood_of_a_forget_set_before_and_after():
    forget, retain, never_seen = TRAINING, records(60, seed=2), REFERENCE
    models = {"before": trained_on(forget, retain), "retrained": trained_on(retain)}
    found = forgotten_neighbours(
        models, forget, never_seen, retain, Cube(0.2), Threshold("loss"), centre=Cube(0.15), queries=8
    )
    assert found.ranges["before"].auc.low > 0.5
    assert found.points["before"].auc.low > 0.5
    assert found.ranges["retrained"].auc.low < 0.5 < found.ranges["retrained"].auc.high
    assert found.excluded == (0, 0)
    table = found.table()
    assert list(table.model) == ["before", "retrained"] * 2
    assert (table.forget == 60).all()


def test_ranges_with_a_retain_record_are_left_out():
    forget, never_seen = TRAINING, REFERENCE
    beside = forget[0][:10] + 0.05, forget[1][:10]
    retain = tuple(np.concatenate(pair) for pair in zip(beside, records(50, seed=2), strict=True))
    found = forgotten_neighbours(
        {"before": trained_on(forget, retain, epochs=2)}, forget, never_seen, retain, Cube(0.2), Threshold("loss")
    )
    assert found.excluded == (10, 0)
    assert found.ranges["before"].num_members == 50
    assert found.ranges["before"].notes[0].startswith("10 ranges are left out")


def test_a_query_that_has_left_its_record_behind_is_left_out():
    forget, retain, never_seen = TRAINING, records(60, seed=2), REFERENCE
    model = trained_on(forget, retain, epochs=2)
    with pytest.raises(ValueError, match="every range around a forget record is left out"):
        forgotten_neighbours(
            {"before": model}, forget, never_seen, retain, Cube(0.01), Threshold("loss"), centre=Cube(0.5)
        )


def test_models_are_needed():
    with pytest.raises(ValueError, match="models is empty"):
        forgotten_neighbours({}, TRAINING, REFERENCE, TRAINING, Cube(0.1), Threshold("loss"))


def test_partial_records_of_a_forget_set():
    forget, retain, never_seen = ((np.round(x), y) for x, y in (TRAINING, records(60, seed=2), REFERENCE))
    mask = np.arange(6) < 1
    found = forgotten_neighbours(
        {"before": trained_on(forget, retain, epochs=2)},
        forget,
        never_seen,
        retain,
        MissingFeatures(mask, np.arange(-4.0, 5.0)),
        RMIA(),
        shadow_models=PLAN,
        verbose=0,
    )
    assert found.ranges["before"].num_members + found.excluded[0] == 60
