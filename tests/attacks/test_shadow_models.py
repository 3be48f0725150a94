"""Shadow models are trained as `fit` would train them, each from weights and on records of its own."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import ShadowModels, lira_scores, signals_of
from privacy_callbacks.attacks.engine_choice import EngineChoice, choose_engine
from privacy_callbacks.attacks.epoch_bar import EpochBar
from privacy_callbacks.attacks.fleet_budget import affordable_models
from privacy_callbacks.attacks.fresh_model import FreshModels, state_variables
from privacy_callbacks.attacks.parked_states import ParkedStates
from privacy_callbacks.attacks.shadow_models import as_shadow_models
from privacy_callbacks.attacks.shadow_pool import pool_from_records
from privacy_callbacks.attacks.shadow_training import Training
from privacy_callbacks.attacks.training_data import TrainingData, epoch_order

layers = keras.layers


def records(count=90, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    return (rng.normal(size=(count, 6)) + y[:, None]).astype("float32"), y


def classifier(*more, optimizer="adam", loss="sparse_categorical_crossentropy", **arguments):
    model = keras.Sequential([keras.Input((6,)), *more, layers.Dense(3, activation="softmax")])
    model.compile(optimizer=optimizer, loss=loss, **arguments)
    return model


class OwnStep(keras.Model):
    """A model with a train_step of its own, which remembers its steps."""

    def __init__(self, width=4):
        super().__init__()
        self.width = width
        self.inner, self.head = layers.Dense(width), layers.Dense(3, activation="softmax")
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False, name="steps")

    def get_config(self):
        return {"width": self.width}

    def call(self, x):
        return self.head(self.inner(x))

    def train_step(self, data):
        self.steps.assign_add(1.0)
        return super().train_step(data)


def surprise(y, p):
    return -keras.ops.log(keras.ops.sum(p * keras.ops.one_hot(keras.ops.cast(y, "int32"), 3), -1))


def plan(models=4, **options):
    return ShadowModels(models, **{"epochs": 2, "batch_size": 10, "engine": "compiled", **options})


def engine_of(model, name, x, y, batch_size=10, class_weight=None, augment=None):
    fresh = FreshModels(model, tf.constant(x), None, 0)
    data = TrainingData.of(pool_from_records(x, y).records, batch_size, class_weight, augment)
    return choose_engine(name, model, fresh, data, 45).engine


MODELS = {
    "dense": lambda: classifier(),
    "batch norm and dropout": lambda: classifier(layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.3)),
    "regularisers": lambda: classifier(layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l2")),
    "momentum and clipping": lambda: classifier(optimizer=keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5)),
    "a user's own loss by name": lambda: classifier(loss=surprise),
    "weight decay and ema": lambda: classifier(optimizer=keras.optimizers.AdamW(0.01, use_ema=True)),
    "an optimizer that starts from the weights": lambda: classifier(optimizer=keras.optimizers.ScheduleFreeAdamW(0.05)),
    "gradients accumulated": lambda: classifier(optimizer=keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)),
    "schedule": lambda: classifier(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))
    ),
    "a user's own loss": lambda: classifier(
        loss=lambda y, p: -keras.ops.log(keras.ops.sum(p * keras.ops.one_hot(keras.ops.cast(y, "int32"), 3), -1))
    ),
    "scaled loss": lambda: classifier(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_compiled_epoch_is_an_epoch_of_fit(kind):
    """Same start, same order, same weights: `train_on_batch` by hand against one program, remainder included."""
    (x, y), model = records(), MODELS[kind]()
    engine = engine_of(model, "compiled", x, y)
    order = epoch_order(np.arange(90) % 2 == 0, (1,), 0)
    state = engine.initial([3])
    by_hand = FreshModels(model, tf.constant(x), None, 0).make_compiled(3)
    for variable, value in zip(state_variables(by_hand), state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    losses = []
    for _ in range(2):
        state, loss = engine.train([3], state, [order], None)
    for _ in range(2):
        losses = []
        for start in range(0, len(order), 10):
            rows = order[start : start + 10]
            losses.append(by_hand.train_on_batch(x[rows], y[rows]))
            by_hand.reset_metrics()
    assert loss == pytest.approx(np.mean(losses), rel=1e-4)
    for variable, value in zip(state_variables(by_hand), state, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("kind", ["dense", "batch norm and dropout"])
def test_engines_agree(kind):
    (x, y), model = records(), MODELS[kind]()
    compiled, fit = (plan(engine=name).fit(model, x, y, verbose=0)["loss"] for name in ("compiled", "fit"))
    # Adam enlarges rounding where gradients vanish.
    np.testing.assert_allclose(compiled, fit, atol=1e-4 if kind == "dense" else 1e-3)
    if kind == "dense":
        np.testing.assert_allclose(compiled, plan(engine="xla").fit(model, x, y, verbose=0)["loss"], atol=1e-4)


def test_auto_measures_says_what_it_found_and_agrees(capsys):
    (x, y), model = records(), classifier()
    auto = plan(engine="auto").fit(model, x, y, signals=("loss",))
    printed = capsys.readouterr().out
    for part in ("stacked", "compiled", "xla", "is chosen", "Shadow models, epoch 2/2: 4 models"):
        assert part in printed
    np.testing.assert_allclose(auto["loss"], plan().fit(model, x, y, verbose=0)["loss"], atol=1e-4)


def test_the_same_seed_gives_the_same_signals_and_another_seed_others():
    (x, y), model = records(), MODELS["batch norm and dropout"]()
    once, again, other = (plan(seed=seed).fit(model, x, y, verbose=0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once["loss"], again["loss"])
    np.testing.assert_array_equal(once.trained_on, again.trained_on)
    assert (once["loss"] != other["loss"]).any()
    assert (once.trained_on != other.trained_on).any()


@pytest.mark.slow
def test_a_shadow_model_does_not_depend_on_how_many_there_are_or_where_it_waits():
    (x, y), model = records(), MODELS["batch norm and dropout"]()
    few = plan(2).fit(model, x, y, signals=("loss",), verbose=0)["loss"]
    many = plan(8).fit(model, x, y, signals=("loss",), verbose=0)["loss"]
    parked = plan(8, memory_limit=1).fit(model, x, y, signals=("loss",), verbose=0)["loss"]
    np.testing.assert_array_equal(few, many[:2])
    np.testing.assert_array_equal(many, parked)


def test_it_never_sees_the_target_nor_touches_random_states():
    (x, y), model = records(), MODELS["batch norm and dropout"]()
    kept = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    random.seed(1), np.random.seed(1), tf.random.set_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy()
    fresh = plan().fit(model, x, y, verbose=0)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    for ours, theirs in zip(kept, [*model.variables, *model.optimizer.variables], strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
    model.set_weights([np.full_like(w, 0.5) for w in model.get_weights()])
    with_other_weights = plan().fit(model, x, y, verbose=0)
    np.testing.assert_array_equal(fresh["loss"], with_other_weights["loss"])


def test_shadow_models_start_from_weights_of_their_own_even_with_fixed_seeds():
    model = classifier(layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(7)))
    fresh = FreshModels(model, tf.zeros((1, 6)), None, 0)
    one, two, one_again = (fresh.make(shadow).get_weights() for shadow in (0, 1, 0))
    assert all((a != b).any() for a, b in zip(one[::2], two[::2], strict=True))
    for a, b in zip(one, one_again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_trains_on_its_half_alone():
    """A record that nobody trained on cannot be recited; labels are noise, so only memory tells them apart."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 6)).astype("float32"), rng.integers(0, 3, 60)
    model = classifier(layers.Dense(64, activation="relu"), optimizer=keras.optimizers.Adam(0.02))
    shadows = plan(epochs=60).fit(model, x, y, signals=("loss",), verbose=0)
    own = shadows["loss"][:, :, 0]
    assert own[shadows.trained_on].mean() > -0.1
    assert own[~shadows.trained_on].mean() < -2


def test_copies_of_a_record_are_in_or_out_together_as_are_groups():
    x, y = records(40)
    twice = np.concatenate([x, x]), np.concatenate([y, y])
    shadows = plan().fit(classifier(), *twice, signals=("loss",), verbose=0)
    np.testing.assert_array_equal(shadows.trained_on[:, :40], shadows.trained_on[:, 40:])
    owners = np.arange(40) // 10
    grouped = plan(batch_size=5).fit(classifier(), x, y, owners, signals=("loss",), verbose=0)
    assert (grouped.trained_on.reshape(4, 4, 10) == grouped.trained_on.reshape(4, 4, 10)[:, :, :1]).all()
    with pytest.raises(ValueError, match=r"3,.* groups were given for 40 records"):
        plan().fit(classifier(), x, y, [1, 2, 3], verbose=0)


def test_queries_stand_on_their_axis_and_the_population_beside():
    (x, y), (further, labels) = records(), records(30, seed=1)
    queries = (lambda x: x, lambda x: -x)
    shadows = plan().fit(
        classifier(), x, y, signals=("loss", "confidence"), queries=queries, population=(further, labels), verbose=0
    )
    assert shadows["loss"].shape == (4, 90, 2)
    assert shadows.population["confidence"].shape == (4, 30, 2)
    plain = plan().fit(classifier(), x, y, signals=("loss",), verbose=0)
    np.testing.assert_allclose(shadows["loss"][:, :, 0], plain["loss"][:, :, 0], rtol=1e-6)
    assert (shadows["loss"][:, :, 1] != shadows["loss"][:, :, 0]).any()


def test_class_weights_count_as_in_fit():
    (x, y), model = records(), classifier()
    weights = {0: 5.0, 2: 0.1}
    engine = engine_of(model, "compiled", x, y, class_weight=weights)
    order, state = np.arange(40, dtype=np.int32), None
    state, _ = engine.train([0], engine.initial([0]), [order], None)
    by_hand = FreshModels(model, tf.constant(x), None, 0).make_compiled(0)
    by_hand.fit(x[:40], y[:40], batch_size=10, shuffle=False, class_weight=weights, verbose=0)
    for variable, value in zip(by_hand.trainable_variables, state, strict=False):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-4, atol=1e-6)
    one_hot = TrainingData.of(pool_from_records(x, np.eye(3)[y]).records, 10, weights, None)
    np.testing.assert_allclose(one_hot.weights, [weights.get(label, 1.0) for label in y])


@pytest.mark.parametrize("engine", ["compiled", "fit"])
def test_learning_rates_are_followed_step_by_step(engine):
    (x, y), model = records(), classifier(optimizer=keras.optimizers.SGD(0.1))
    trainer = engine_of(model, engine, x, y)
    start = trainer.initial([0])
    order = np.arange(45, dtype=np.int32)
    before = [np.array(value) for value in next(trainer.weights([0], start))]
    still, _ = trainer.train([0], start, [order], [np.zeros(5, np.float32)])
    for one, other in zip(before[:2], next(trainer.weights([0], still))[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    only_last, _ = trainer.train([0], still, [order], [np.array([0, 0, 0, 0, 0.1], np.float32)])
    by_hand = FreshModels(model, tf.constant(x), None, 0).make_compiled(0)
    by_hand.train_on_batch(x[40:45], y[40:45])
    np.testing.assert_allclose(
        next(trainer.weights([0], only_last))[0], by_hand.trainable_variables[0].numpy(), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("engine", ["compiled", pytest.param("fit", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "augment",
    [lambda x, seed: x + tf.random.stateless_normal(tf.shape(x), seed), layers.GaussianNoise(1.0)],
    ids=["function", "layer"],
)
def test_augmentation_is_seeded_by_shadow_and_step(engine, augment):
    (x, y), model = records(), classifier()
    options = {"engine": engine, "augment": augment}
    once, again = (plan(**options).fit(model, x, y, signals=("loss",), verbose=0)["loss"] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    without = plan(engine=engine).fit(model, x, y, signals=("loss",), verbose=0)["loss"]
    assert (once != without).any()
    if not isinstance(augment, layers.Layer):
        other = plan(**{**options, "engine": "fit" if engine == "compiled" else "compiled"})
        np.testing.assert_allclose(once, other.fit(model, x, y, signals=("loss",), verbose=0)["loss"], atol=1e-3)


def test_a_train_step_of_its_own_is_run_by_fit():
    (x, y), model = records(), OwnStep()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    shadows = plan(engine="auto").fit(model, x, y, signals=("loss",), verbose=0)
    assert np.isfinite(shadows["loss"]).all()
    with pytest.raises(ValueError, match=r"OwnStep has a train_step of its own.*engine='fit'"):
        plan(engine="compiled").fit(model, x, y, verbose=0)


def test_a_shadow_model_that_diverges_is_left_out_and_named():
    x, y = records()
    model = classifier()
    y = np.where(np.arange(90) == 0, 2, y % 2)
    poison = {2: float("nan")}  # whoever trains on the first record ends in NaN
    shadows = plan(8, class_weight=poison).fit(model, x, y, signals=("entropy",), verbose=0)
    whole = plan(8).assignment(90)
    assert shadows.num_models == 4
    np.testing.assert_array_equal(shadows.trained_on, whole[~whole[:, 0]])
    assert "4 of 8 shadow models are left out: shadow model" in shadows.warnings[0]
    assert "in epoch 1: its training loss became nan" in shadows.warnings[0]
    with pytest.raises(RuntimeError, match="all 4 shadow models failed; the first: in epoch 1"):
        plan(4).fit(classifier(optimizer=keras.optimizers.SGD(1e38)), x * 1e20, y, verbose=0)


class Uncloneable(keras.Model):
    """Takes a layer, which its configuration does not hold."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def uncloneable():
    model = Uncloneable(layers.Dense(3, activation="softmax"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def test_a_model_that_cannot_be_cloned_asks_for_model_fn():
    x, y = records()
    with pytest.raises(ValueError, match=r"the model \(Uncloneable\) cannot be cloned.*give ShadowModels\(model_fn"):
        plan().fit(uncloneable(), x, y, verbose=0)
    shadows = plan(model_fn=uncloneable).fit(uncloneable(), x, y, signals=("loss",), verbose=0)
    again = plan(model_fn=uncloneable).fit(uncloneable(), x, y, signals=("loss",), verbose=0)
    np.testing.assert_array_equal(shadows["loss"], again["loss"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: classifier(layers.Dense(5)), "a copy of the model .* has trainable weights of shapes"),
        (lambda: 3, "model_fn returned a int"),
        (
            lambda: classifier(layers.Dense(4, kernel_initializer="ones"), layers.Dense(4)),
            "has trainable weights of shapes",
        ),
        (lambda: 1 / 0, "model_fn fails: ZeroDivisionError"),
    ],
)
def test_a_model_fn_that_makes_something_else_is_refused(make, message):
    x, y = records()
    with pytest.raises(ValueError, match=message):
        plan(model_fn=make).fit(classifier(layers.Dense(4)), x, y, verbose=0)


def test_a_model_fn_that_always_starts_alike_is_refused():
    def alike():
        inputs = keras.Input((6,))
        constant = layers.Dense(3, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(3))
        return keras.Model(inputs, constant(inputs))

    x, y = records()
    with pytest.raises(ValueError, match="two shadow models start from the same weights"):
        plan(model_fn=alike).fit(classifier(), x, y, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_models": 3}, "num_models is 3; give an even number"),
        ({"num_models": 0}, "num_models is 0; give a whole number, at least 2"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"engine": "spark"}, "engine is 'spark'"),
        ({"schedule": "later"}, "schedule is 'later'"),
        ({"model_fn": 3}, "model_fn is 3"),
        ({"memory_limit": -1}, "memory_limit is -1"),
    ],
)
def test_plans_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ShadowModels(**options)


def test_what_a_number_of_shadow_models_may_be():
    assert as_shadow_models(8) == ShadowModels(8)
    assert as_shadow_models(None) is None
    for given in (True, "16", 2.0):
        with pytest.raises(TypeError, match="give how many, or ShadowModels"):
            as_shadow_models(given)


@pytest.mark.parametrize(
    ("make", "x", "options", "message"),
    [
        (classifier, records()[0], {"epochs": None}, "epochs is None and batch_size 10; outside of a fit"),
        (classifier, records()[0], {"batch_size": 46}, "would train on 45 records, fewer than one batch of 46"),
        (classifier, records()[0][:, :3], {}, "cannot be called on the audited records"),
        (lambda: keras.Sequential([layers.Dense(3)]), records()[0], {}, "not compiled"),
        (classifier, records()[0], {"augment": 3}, "augment is 3"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(make, x, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        plan(**options).fit(make(), x, records()[1], verbose=0)


def test_an_epoch_is_a_pass_over_the_in_records_in_an_order_of_its_own():
    own = np.arange(20) % 2 == 0
    one, two = (epoch_order(own, (1, 2), epoch) for epoch in (0, 1))
    assert sorted(one) == sorted(two) == list(range(0, 20, 2))
    assert (one != two).any()
    halves = np.concatenate([epoch_order(own, (1, 2), epoch, share=0.5) for epoch in range(4)])
    assert sorted(halves[:10]) == sorted(halves[10:]) == list(range(0, 20, 2))


def test_parked_states_come_back_as_they_were(tmp_path):
    states = ParkedStates(memory_limit=100)
    tensors = [tf.constant([1.5, 2.0]), tf.constant(3, tf.int64), tf.zeros((5, 5), tf.bfloat16)]
    for number in range(3):
        states[number] = tensors
    assert states.parked == 2
    for number in range(3):
        for value, expected in zip(states[number], tensors, strict=True):
            assert value.dtype == expected.dtype
            np.testing.assert_array_equal(tf.cast(value, tf.float64), tf.cast(expected, tf.float64))
    states[2] = [tf.constant([7.0])]
    assert states[2][0].numpy() == 7
    del states[2], states[0]
    assert states.parked == 1
    states.close()
    assert states.parked == 0


@pytest.mark.parametrize(
    ("budget", "fit", "ours", "expected", "said"),
    [
        (1.0, 16.0, 1.0, 16, ""),
        (0.5, 16.0, 1.0, 8, "8 shadow models are trained instead of 16, to stay within 0.5 times"),
        (0.49, 16.0, 1.0, 6, "6 shadow models are trained instead"),
        (0.1, 16.0, 1.0, 4, "even 4 shadow models cost more than the budget"),
        (9.0, 1.0, 1.0, 8, "8 shadow models"),
    ],
)
def test_a_budget_buys_a_number_of_shadow_models(budget, fit, ours, expected, said):
    """Room for budget · (fit's seconds a step / ours), target and shadow models with 100 steps an epoch each."""
    choice = EngineChoice(None, ours, fit, "")
    given, sentences = affordable_models(16, budget, choice, 100, 100)
    assert given == expected
    assert said in " ".join(sentences)
    assert bool(sentences) == bool(said)
    half = affordable_models(16, budget, choice, 100, 50)[0]  # half as many steps: twice as many models
    assert half == min(16, max(4, 2 * int(budget * fit / ours)))


def test_signals_of_a_model_go_with_those_of_shadow_models():
    (x, y), model = records(), classifier()
    model.fit(x, y, epochs=2, verbose=0)
    shadows = plan(8).fit(model, x, y, signals=("scaled_logit", "confidence"), verbose=0)
    own = signals_of(model, x, y)
    np.testing.assert_allclose(
        own["confidence"][:, 0], np.log(model.predict(x, verbose=0)[np.arange(90), y]), rtol=1e-4
    )
    scores = lira_scores(own["scaled_logit"], shadows["scaled_logit"], shadows.trained_on)
    np.testing.assert_array_equal(
        scores, lira_scores(own["scaled_logit"][:, 0], shadows["scaled_logit"], shadows.trained_on)
    )
    assert signals_of(model, x, y, signals=("loss",), queries=(lambda x: x, lambda x: -x))["loss"].shape == (90, 2)


def test_a_memory_limit_that_the_engine_cannot_keep_is_said():
    (x, y), model = records(), classifier()
    assert "memory_limit has no effect" in plan(engine="fit", memory_limit=1).fit(model, x, y, verbose=0).warnings[-1]


def test_an_eager_model_is_trained_by_fit():
    x, y = records()
    model = classifier(run_eagerly=True)
    with pytest.raises(ValueError, match="compiled to run eagerly"):
        plan(engine="compiled").fit(model, x, y, verbose=0)
    assert np.isfinite(plan(2, engine="auto", epochs=1).fit(model, x, y, verbose=0)["loss"]).all()


class Holding(layers.Layer):
    """Hands out a live layer in its configuration, a common mistake."""

    def __init__(self, inner, **arguments):
        super().__init__(**arguments)
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {**super().get_config(), "inner": self.inner}


class GlobalNoise(layers.Layer):
    def call(self, x, training=False):
        return x + keras.random.normal(keras.ops.shape(x)) if training else x


def closing_over_the_target():
    weights = []

    def loss(y, p):
        return keras.losses.sparse_categorical_crossentropy(y, p) + 0 * keras.ops.sum(weights[0].value)

    model = classifier(loss=loss)
    weights.append(model.trainable_variables[0])
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: classifier(Holding(layers.Dense(6))), "shares variables with it .*live layer"),
        (lambda: classifier(GlobalNoise()), "variables that are not its own .*SeedGenerator of its own"),
        (closing_over_the_target, "reads weights of the audited model .*by a closure"),
    ],
)
@pytest.mark.parametrize("engine", ["compiled", "fit"])
def test_shadow_models_that_would_reach_outside_are_refused(make, message, engine):
    x, y = records()
    with pytest.raises(ValueError, match=message):
        plan(engine=engine).fit(make(), x, y, verbose=0)


_OFFSET = 0.5


def test_everyday_layers_are_copied_as_they_are():
    """Lambdas that use global names, an input of no features' axis, nested models, what `adapt` learned, frozen parts."""
    x, y = records()
    normalise = layers.Normalization()
    normalise.adapt(3 * x + 7)
    nested = keras.Sequential([keras.Input((6,)), layers.Dense(5)], name="nested")
    nested.trainable = False
    model = classifier(normalise, layers.Lambda(lambda t: tf.nn.relu(t) + _OFFSET, output_shape=(6,)), nested)
    made = FreshModels(model, tf.constant(x), None, 0).make(0)
    np.testing.assert_allclose(made.layers[0](x), normalise(x), rtol=1e-6)
    np.testing.assert_allclose(made.layers[1](x), np.maximum(x, 0) + _OFFSET, rtol=1e-6)
    assert not made.layers[2].trainable
    assert (made.layers[2].weights[0].numpy() != nested.weights[0].numpy()).any()
    flat = keras.Sequential([keras.Input((1,)), layers.Dense(3, activation="softmax")])
    flat.compile("adam", "sparse_categorical_crossentropy")
    assert plan().fit(flat, x[:, :1], y, signals=("loss",), verbose=0)["loss"].shape == (4, 90, 1)


def test_vocabularies_that_adapt_learned_are_copied():
    words = np.array(["red", "green", "blue", "red"] * 20)[:, None]
    lookup = layers.StringLookup()
    lookup.adapt(words)
    stack = [
        keras.Input((1,), dtype="string"),
        lookup,
        layers.Embedding(8, 4),
        layers.Flatten(),
        layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(stack)
    model.compile("adam", "sparse_categorical_crossentropy")
    made = FreshModels(model, tf.constant(words), None, 0).make(0)
    np.testing.assert_array_equal(made.layers[0](words), lookup(words))


def test_weight_decay_spares_what_the_target_spares():
    x, _ = records()
    adam = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    adam.exclude_from_weight_decay(var_names=["bias"])
    model = classifier(layers.Dense(4), optimizer=adam)
    made = FreshModels(model, tf.constant(x), None, 0).make_compiled(0)
    decays = [made.optimizer._use_weight_decay(variable) for variable in made.trainable_variables]
    assert decays == [True, False, True, False]


@pytest.mark.parametrize(
    ("augment", "error", "message"),
    [
        (lambda x: x, TypeError, r"augment cannot be used as a function \(x, seed\) -> x"),
        (lambda x, y: (x, y), TypeError, "augment cannot be used"),
        (lambda x, seed: x[:1], ValueError, "it must keep records, shapes and types"),
        (lambda x, seed: tf.cast(x, tf.float64), ValueError, "it must keep records, shapes and types"),
    ],
)
def test_an_augmentation_that_makes_something_else_is_refused(augment, error, message):
    x, y = records()
    with pytest.raises(error, match=message):
        plan(augment=augment).fit(classifier(), x, y, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"class_weight": [1, 2]}, "give a dictionary"), ({"population": np.zeros(3)}, r"give \(x, y\)")],
)
def test_other_things_at_the_door_are_refused(options, message):
    (x, y), arguments = records(), {key: value for key, value in options.items() if key == "population"}
    with pytest.raises((ValueError, TypeError), match=message):
        plan(**({} if arguments else options)).fit(classifier(), x, y, verbose=0, **arguments)


def test_the_targets_learning_rates_are_stretched_over_a_shadow_models_steps():
    """Not repeated from the beginning: a warm-up stays a warm-up."""
    training = Training(np.ones((2, 4), bool), 1.0, 10, 0)
    rates = np.array([1, 2, 3, 4, 5], np.float32)
    assert training.fitted(rates, 100).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert training.fitted(rates, 25).tolist() == [1, 2, 4]
    assert training.fitted(rates[:1], 25).tolist() == [1, 1, 1]


def test_a_pool_too_large_is_cut_at_random_and_keeps_what_is_audited():
    from privacy_callbacks import AuditSet
    from privacy_callbacks.attacks.shadow_pool import pool_of

    x, y = records(1_000)
    audited = AuditSet((x[:200], y[:200]), (x[200:], y[200:]), size=50)
    pool = pool_of(audited)
    assert len(pool) == 400
    np.testing.assert_array_equal(pool.records.x[pool.audited], audited.x)
    members = {row.tobytes() for row in x[:200]}
    share = np.mean([row.tobytes() in members for row in pool.records.x])
    # 50 + 50 are kept; of the other 900 records a third is, of which 150 are members: 100 of 400, give or take 6.
    assert share == pytest.approx(0.25, abs=0.05)


def test_records_of_one_id_and_equal_records_are_one_group():
    from privacy_callbacks import AuditSet
    from privacy_callbacks.attacks.shadow_pool import pool_of

    x, y = records(40)
    x[30], y[30] = x[3], y[3]  # a copy, under another id
    ids = np.arange(20) // 2, 100 + np.arange(20)
    groups = pool_of(AuditSet((x[:20], y[:20]), (x[20:], y[20:]), ids=ids)).groups
    assert groups[2] == groups[3] == groups[30]
    assert len(np.unique(groups)) == 10 + 20 - 1


def test_on_a_terminal_the_bar_leaves_no_line_behind(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    bar = EpochBar(2, "1/1", verbose=1)
    for count in (1, 2):
        bar(count)
    printed = capsys.readouterr().out
    assert "1/2" in printed
    assert "shadow model" in printed
    assert "\n" not in printed
    assert printed.endswith(" \r")


def test_a_loss_whose_weights_cannot_be_read_is_refused(monkeypatch):
    (x, y), model = records(), classifier()
    monkeypatch.setattr(model, "get_compile_config", lambda: 1 / 0)
    with pytest.raises(ValueError, match="what the model was compiled with cannot be read: ZeroDivisionError"):
        plan().fit(model, x, y, verbose=0)


def test_stateful_layers_are_refused_in_a_sentence_of_their_own():
    model = keras.Sequential(
        [keras.Input(batch_shape=(4, 3, 1)), keras.layers.LSTM(2, stateful=True), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x, y = np.random.default_rng(0).normal(size=(16, 3, 1)).astype("float32"), np.zeros(16, "float32")
    with pytest.raises(ValueError, match="stateful recurrent layers"):
        ShadowModels(2, epochs=1, batch_size=4).fit(model, x, y, verbose=0)
