"""Softened confidences: their names, their formula against a naive one, and where a model has them."""

import math

import keras
import numpy as np
import pytest

from privacy_callbacks import audit
from privacy_callbacks.attacks import BASE, RMIA, ShadowModels, Threshold, signals_from_arrays, signals_of
from privacy_callbacks.attacks.array_signals import softened_confidence as of_arrays
from privacy_callbacks.attacks.attack import check_signal
from privacy_callbacks.attacks.signals import confidence, softened_confidence
from privacy_callbacks.attacks.softening import Softening

NAMES = ("confidence_t2", "confidence_m0.6_t0.5", "taylor_n2_t1", "taylor_n4_m0.6_t2", "taylor_n20_t3")
every_name = pytest.mark.parametrize("name", NAMES)


def naive(logits, label, softening):
    z = np.asarray(logits, np.longdouble) / softening.temperature
    z = np.where(np.arange(len(z)) == label, z - softening.margin, z)
    if softening.order is None:
        weights = np.exp(z - z.max())
    else:
        weights = sum(z**power / math.factorial(power) for power in range(softening.order + 1))
    return np.log(weights[label] / weights.sum())


@every_name
@pytest.mark.parametrize("classes", [2, 10])
def test_graph_and_arrays_give_what_the_formula_says(name, classes):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 4, (60, classes)), rng.integers(0, classes, 60)
    softening = Softening.of(name)
    expected = np.array([naive(z, y, softening) for z, y in zip(logits, labels, strict=True)], float)
    np.testing.assert_allclose(softened_confidence(logits, labels, softening).numpy(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(of_arrays(logits, labels, softening), expected, rtol=1e-9, atol=1e-12)


@every_name
@pytest.mark.parametrize("scale", [1, 30, 1e4])
def test_arrays_and_graph_agree_to_the_last_digits(name, scale):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(0, scale, (200, 7)), rng.integers(0, 7, 200)
    if scale == 1e4:
        logits = np.sign(logits) * scale * (rng.random(logits.shape) < 0.7)
    softening = Softening.of(name)
    expected = softened_confidence(logits, labels, softening).numpy()
    np.testing.assert_allclose(of_arrays(logits, labels, softening), expected, rtol=1e-11, atol=1e-300)
    assert np.isfinite(expected).all()
    assert (expected <= 0).all()


@every_name
def test_float32_logits_of_any_size_stay_finite_and_at_most_zero(name):
    for logits in ([1e4, 0, -1e4], [-1e4, 1e4, 0], [30, 0, 0], [1e4, 1e4, -1e4]):
        for label in range(3):
            found = softened_confidence(np.float32([logits]), [label], Softening.of(name)).numpy()[0]
            assert -np.inf < found <= 0


@every_name
def test_masked_classes_have_no_weight(name):
    softening = Softening.of(name)
    masked, without = np.array([[1.0, 0.3, -np.inf]]), np.array([[1.0, 0.3]])
    for function in (softened_confidence, of_arrays):
        found = np.asarray(function(masked, np.array([1]), softening))
        np.testing.assert_allclose(found, np.asarray(function(without, np.array([1]), softening)), rtol=1e-12)


def test_softening_by_nothing_is_the_confidence():
    logits, labels = np.random.default_rng(2).normal(0, 5, (30, 4)), np.arange(30) % 4
    found = softened_confidence(logits, labels, Softening())
    np.testing.assert_array_equal(found.numpy(), confidence(logits, labels).numpy())
    assert Softening().name == "confidence"


def test_a_high_order_is_the_exponential():
    logits, labels = np.random.default_rng(3).uniform(-2, 2, (30, 4)), np.arange(30) % 4
    taylor, exponential = (
        softened_confidence(logits, labels, Softening(2.0, order, 0.3)).numpy() for order in (16, None)
    )
    np.testing.assert_allclose(taylor, exponential, rtol=1e-9)


def test_heat_and_margin_do_what_they_are_called():
    logits, labels = np.array([[3.0, 1.0, 0.0]]), [0]
    cold, warm, hot = (softened_confidence(logits, labels, Softening(t)).numpy()[0] for t in (1, 3, 1e3))
    assert cold > warm > hot == pytest.approx(-np.log(3), abs=2e-3)
    assert softened_confidence(logits, labels, Softening(1, None, 2.0)).numpy()[0] < cold


def test_the_exponential_does_not_see_a_common_shift_and_the_polynomial_does():
    logits, labels = np.array([[3.0, 1.0, 0.0]]), np.array([0])
    for order, alike in ((None, True), (4, False)):
        here, there = (of_arrays(logits + shift, labels, Softening(2.0, order))[0] for shift in (0, 5))
        assert bool(here == pytest.approx(there)) is alike


@pytest.mark.parametrize(
    "softening",
    [
        Softening(2),
        Softening(1 / 3),
        Softening(1, None, 1e-5),
        Softening(2, 4, 0.6),
        Softening(1, 2),
        Softening(1e3, 20),
    ],
)
def test_a_name_says_it_all(softening):
    read = Softening.of(softening.name)
    assert (read.order, read.name) == (softening.order, softening.name)
    assert read.temperature == pytest.approx(softening.temperature, rel=1e-11)
    assert read.margin == pytest.approx(softening.margin, rel=1e-11)
    assert check_signal(softening.name) == softening.name


@pytest.mark.parametrize(
    "name",
    [
        "confidence_t",
        "confidence_t0",
        "taylor_n3_t2",
        "taylor_n4",
        "taylor_t2",
        "taylor_n0_t2",
        "confidence_t2_m1",
        "_t2",
        "loss_t2",
        "confidence_t-1",
        "confidence_tnan",
        "taylor_n22_t2",
        "confidence_t2 ",
        None,
    ],
)
def test_other_names_are_refused_as_ever(name):
    with pytest.raises(ValueError, match=r"is not a signal; choose one of loss, .*confidence_t2 .*taylor_n4_m0.6_t2"):
        check_signal(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Softening(0), "temperature is 0; give a number from 0.001 to 1000"),
        (lambda: Softening(np.nan), "temperature is nan"),
        (lambda: Softening(margin=-1), "soft_margin is -1; give a number from 0"),
        (lambda: Softening(order=3), "order is 3; give an even number from 2 to 20"),
        (lambda: RMIA(temperature=-1.0), "temperature is -1.0"),
        (lambda: RMIA(softmax="sparse"), "softmax is 'sparse'; give one of 'exponential', 'taylor'"),
        (lambda: RMIA(softmax="taylor", order=5), "order is 5"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_rmia_names_the_signal_it_reads():
    assert RMIA().signals == ("confidence",)
    assert RMIA(temperature=2.0).signals == ("confidence_t2",)
    assert RMIA(softmax="taylor", order=4, soft_margin=0.6, temperature=2.0).signals == ("taylor_n4_m0.6_t2",)
    assert RMIA(order=6).signals == ("confidence",)


def records(count=60, classes=4):
    rng = np.random.default_rng(5)
    return rng.normal(size=(count, 7)).astype(np.float32), rng.integers(0, classes, count)


def model_of(units, loss, activation=None, seed=1):
    dense = keras.layers.Dense(
        units, activation=activation, kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    )
    model = keras.Sequential([keras.layers.Input((7,)), dense])
    model.compile("sgd", loss)
    return model


def logits_of(model, x):
    return (x @ model.layers[-1].kernel.numpy() + model.layers[-1].bias.numpy()).astype(np.float64)


@every_name
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_classifier_has_them_whether_it_ends_in_logits_or_in_a_softmax(name, activation):
    (x, y), losses = records(), keras.losses.SparseCategoricalCrossentropy
    model = model_of(4, losses(from_logits=activation is None), activation)
    found = signals_of(model, x, y, signals=(name,))[name]
    np.testing.assert_allclose(found[:, 0], of_arrays(logits_of(model, x), y, Softening.of(name)), rtol=1e-4, atol=1e-5)


@every_name
def test_a_binary_head_is_a_two_class_head(name):
    (x, y), model = records(classes=2), model_of(1, keras.losses.BinaryCrossentropy(from_logits=True))
    z = logits_of(model, x)[:, 0]
    expected = of_arrays(np.stack([np.zeros_like(z), z], axis=1), y, Softening.of(name))
    np.testing.assert_allclose(signals_of(model, x, y, signals=(name,))[name][:, 0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(signals_from_arrays(y, logits=z, softened=(name,))[name][:, 0], expected, rtol=1e-9)


def test_of_a_sequence_it_is_the_mean_over_positions():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(20, 5, 7)).astype(np.float32), rng.integers(0, 4, (20, 5))
    model = keras.Sequential([keras.layers.Input((5, 7)), keras.layers.Dense(4)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    name = "taylor_n4_m0.6_t2"
    expected = of_arrays(logits_of(model, x), y, Softening.of(name)).mean(axis=1)
    np.testing.assert_allclose(signals_of(model, x, y, signals=(name,))[name][:, 0], expected, rtol=1e-4, atol=1e-5)


def test_multi_label_heads_and_regressions_have_none():
    x, y = records()
    for model, targets, kind in (
        (
            model_of(4, keras.losses.BinaryCrossentropy(from_logits=True)),
            np.eye(4)[y] + np.eye(4)[0] > 0,
            "multi_label",
        ),
        (model_of(1, "mse"), y.astype(np.float32), "loss_only"),
    ):
        with pytest.raises(ValueError, match=rf"'confidence_t2' does not fit this model's head \({kind}\)"):
            signals_of(model, x, targets, signals=("confidence_t2",))
        with pytest.raises(ValueError, match=r"'taylor_n4_m0\.6_t2', which does not fit this model's head"):
            audit(
                model,
                (x[:30], targets[:30]),
                (x[30:], targets[30:]),
                attacks=[Threshold("taylor_n4_m0.6_t2")],
            )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": [0, 1], "logits": np.zeros((2, 3)), "softened": ["margin"]}, "'margin' is no softened confidence"),
        ({"labels": None, "logits": np.zeros((2, 3)), "softened": ["confidence_t2"]}, "needs one class label a record"),
        (
            {"labels": np.ones((2, 3)), "logits": np.zeros((2, 3)), "softened": ["confidence_t2"]},
            "needs one class label",
        ),
    ],
)
def test_arrays_without_one_label_a_record_have_none(given, message):
    with pytest.raises(ValueError, match=message):
        signals_from_arrays(**given)


def test_arrays_with_one_label_a_record_have_them_on_request():
    logits, y = np.random.default_rng(7).normal(size=(9, 3)), np.arange(9) % 3
    found = signals_from_arrays(y, logits=logits, softened=("confidence_t2", "taylor_n4_t2"))
    np.testing.assert_array_equal(found["taylor_n4_t2"][:, 0], of_arrays(logits, y, Softening(2.0, 4)))
    assert set(found) == {*signals_from_arrays(y, logits=logits), "confidence_t2", "taylor_n4_t2"}


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate")
def test_an_audit_with_shadow_models_votes_on_softened_answers():
    x, y = records(300)
    model = model_of(4, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x[:120], y[:120], epochs=2, verbose=0)
    vote = RMIA(
        form="percentile",
        over_queries="majority",
        queries=(lambda inputs: inputs, lambda inputs: inputs * 1.01, lambda inputs: inputs * 0.99),
        softmax="taylor",
        soft_margin=0.6,
        temperature=2.0,
    )
    reports = audit(
        model,
        (x[:120], y[:120]),
        (x[120:240], y[120:240]),
        population=(x[240:], y[240:]),
        attacks=[vote, BASE("confidence_t2"), RMIA(temperature=2.0, name="rmia_t2")],
        shadow_models=ShadowModels(4, epochs=1, batch_size=60, engine="fit"),
    )
    assert [report.attack for report in reports[:3]] == ["rmia", "base", "rmia_t2"]
    assert all(0.2 < float(report.auc) < 0.8 for report in reports[:3])
