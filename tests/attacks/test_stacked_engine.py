"""Shadow models trained together are, model by model, those that are trained one after the other."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from slow_params import slow_unless

from privacy_callbacks.attacks import ShadowModels
from privacy_callbacks.attacks.compiled_engine import CompiledEngine
from privacy_callbacks.attacks.engine_choice import choose_engine
from privacy_callbacks.attacks.epoch_segments import epoch_segments
from privacy_callbacks.attacks.fit_engine import FitEngine
from privacy_callbacks.attacks.fresh_model import FreshModels
from privacy_callbacks.attacks.record_arrays import Records
from privacy_callbacks.attacks.shadow_pool import pool_from_records
from privacy_callbacks.attacks.stacked_engine import StackedEngine, group_size, why_not_stacked
from privacy_callbacks.attacks.training_data import TrainingData

layers, optimizers = keras.layers, keras.optimizers
COUNT, BATCH, GROUP = 60, 8, (3, 0, 5)
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, COUNT)
X = (RNG.normal(size=(COUNT, 6)) + Y[:, None]).astype("float32")
IMAGES = RNG.normal(size=(COUNT, 6, 6, 2)).astype("float32")
SERIES = RNG.normal(size=(COUNT, 5, 4)).astype("float32")
TOKENS = RNG.integers(0, 9, (COUNT, 7)).astype("int32")
# The lengths of an epoch: one whole batch of difference and three kinds of rests.
ORDERS = [np.random.default_rng(k).permutation(COUNT)[:size].astype(np.int32) for k, size in enumerate((29, 28, 36))]
EVEN = [order[:24] for order in ORDERS]


def compiled(model, optimizer="adam", loss="sparse_categorical_crossentropy", **arguments):
    model.compile(optimizer=optimizer, loss=loss, **arguments)
    return model


def stack(*inner, shape=(6,), dtype=None, **arguments):
    inner = [keras.Input(shape, dtype=dtype), *inner, layers.Dense(3, activation="softmax")]
    return compiled(keras.Sequential(inner), **arguments)


def tokens(*inner, **arguments):
    return stack(*inner, shape=(7,), dtype="int32", **arguments)


def attention():
    given = keras.Input((5, 4))
    mixed = layers.MultiHeadAttention(2, 3, dropout=0.1)(given, given)
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(mixed + given))
    return compiled(keras.Model(given, layers.Dense(3, activation="softmax")(pooled)))


def two_inputs():
    left, right = keras.Input((6,), name="left"), keras.Input((7,), dtype="int32", name="right")
    words = layers.GlobalMaxPooling1D()(layers.Embedding(9, 4)(right))
    joined = layers.Concatenate()([layers.Dense(4)(left), words])
    return compiled(keras.Model({"left": left, "right": right}, layers.Dense(3, activation="softmax")(joined)))


def two_outputs():
    given = keras.Input((6,))
    hidden = layers.Dense(5, activation="tanh")(given)
    model = keras.Model(given, [layers.Dense(3, activation="softmax")(hidden), layers.Dense(1)(hidden)])
    return compiled(model, loss=["sparse_categorical_crossentropy", "mse"], loss_weights=[1.0, 0.3])


class Own(keras.Model):
    """A subclassed model that adds to its loss."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = layers.Dense(4, activation="relu"), layers.Dense(3, activation="softmax")

    def get_config(self):
        return {}

    def call(self, x, training=False):
        hidden = self.inner(x)
        self.add_loss(0.1 * keras.ops.mean(keras.ops.square(hidden)))
        return self.head(hidden)


def built(model, x):
    model(x[:1])
    return model


def engines(model, x=X, y=Y, weights=None, class_weight=None, augment=None, models=3):
    fresh = FreshModels(model, tf.nest.map_structure(tf.constant, x), None, 7)
    records = pool_from_records(x, y).records
    if weights is not None:
        records = Records(records.x, records.y, weights)
    data = TrainingData.of(records, BATCH, class_weight, augment)
    return StackedEngine(fresh, data, models), CompiledEngine(fresh, data, 40, False, 1)


def trained(engine, shadows, orders, rates=None, epochs=2):
    """The states after two epochs and the losses of the second, model by model, in groups of the engine's size."""
    states, losses = [], []
    for first in range(0, len(shadows), engine.group_size):
        group = shadows[first : first + engine.group_size]
        own = orders[first : first + engine.group_size]
        own_rates = None if rates is None else rates[first : first + engine.group_size]
        state, steps = engine.initial(group), max(-(-len(order) // BATCH) for order in orders)
        for epoch in range(epochs):
            state, loss = engine.train(group, state, own, own_rates, epoch * steps)
        losses += list(loss)
        if engine.name == "stacked":
            states += [[value[place].numpy() for value in state] for place in range(len(group))]
        else:
            states.append([value.numpy() for value in state])
    return states, losses


def assert_agree(model, orders=EVEN, rates=None, atol=1e-5, **given):
    stacked, alone = engines(model, **given)
    (ours, our_losses), (theirs, their_losses) = (trained(one, GROUP, orders, rates) for one in (stacked, alone))
    assert our_losses == pytest.approx(their_losses, abs=1e-4)
    for own, other in zip(ours, theirs, strict=True):
        for value, wanted in zip(own, other, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=atol)


dense = layers.Dense
LAYERS = {
    "dense": lambda: (stack(dense(5, activation="tanh")), {}),
    "layer norm": lambda: (stack(dense(5), layers.LayerNormalization()), {}),
    "group norm": lambda: (stack(dense(4), layers.GroupNormalization(2)), {}),
    "embedding and pooling": lambda: (tokens(layers.Embedding(9, 4), layers.GlobalAveragePooling1D()), {"x": TOKENS}),
    "masked pooling": lambda: (
        tokens(layers.Embedding(9, 4, mask_zero=True), layers.GlobalAveragePooling1D()),
        {"x": TOKENS},
    ),
    "lstm": lambda: (stack(layers.LSTM(3), shape=(5, 4)), {"x": SERIES}),
    "gru": lambda: (stack(layers.GRU(3), shape=(5, 4)), {"x": SERIES}),
    "attention": lambda: (attention(), {"x": SERIES, "atol": 1e-4}),
    "depthwise": lambda: (stack(layers.DepthwiseConv2D(3), layers.Flatten(), shape=(6, 6, 2)), {"x": IMAGES}),
    "conv 2d": lambda: (
        stack(layers.Conv2D(3, 3), layers.Conv2D(2, 2), layers.Flatten(), shape=(6, 6, 2)),
        {"x": IMAGES},
    ),
    "conv 2d, strides": lambda: (
        stack(layers.Conv2D(3, 3, strides=2, padding="same"), layers.Flatten(), shape=(6, 6, 2)),
        {"x": IMAGES},
    ),
    "conv 2d, dilated": lambda: (
        stack(layers.Conv2D(3, 2, dilation_rate=2, padding="same"), layers.Flatten(), shape=(6, 6, 2)),
        {"x": IMAGES},
    ),
    "conv 1d": lambda: (stack(layers.Conv1D(3, 2), layers.Conv1D(2, 2), layers.Flatten(), shape=(5, 4)), {"x": SERIES}),
    "conv 1d, causal": lambda: (
        stack(layers.Conv1D(3, 2, padding="causal", dilation_rate=2), layers.Flatten(), shape=(5, 4)),
        {"x": SERIES},
    ),
    "separable": lambda: (stack(layers.SeparableConv2D(3, 3), layers.Flatten(), shape=(6, 6, 2)), {"x": IMAGES}),
    "transposed": lambda: (
        stack(layers.Conv2DTranspose(3, 2, strides=2), layers.Flatten(), shape=(6, 6, 2)),
        {"x": IMAGES},
    ),
    "convolutions and batch norm": lambda: (
        stack(layers.Conv2D(3, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten(), shape=(6, 6, 2)),
        {"x": IMAGES, "atol": 1e-3},
    ),
    "image pooling": lambda: (
        stack(layers.MaxPooling2D(), layers.AveragePooling2D(3), layers.Flatten(), shape=(6, 6, 2)),
        {"x": IMAGES},
    ),
    "normalization": lambda: (stack(layers.Normalization(mean=np.zeros(6), variance=np.full(6, 2.0))), {}),
    "two inputs": lambda: (two_inputs(), {"x": {"left": X, "right": TOKENS}}),
    "two outputs": lambda: (two_outputs(), {"y": (Y, X[:, :1])}),
    "regularisers": lambda: (stack(dense(4, kernel_regularizer="l2", activity_regularizer="l1")), {}),
    "constraint": lambda: (stack(dense(4, kernel_constraint=keras.constraints.MaxNorm(0.5))), {}),
    "frozen layer": lambda: (stack(dense(4, trainable=False)), {}),
    "class weights": lambda: (stack(), {"class_weight": {0: 1.0, 1: 3.0}}),
    "sample weights": lambda: (stack(), {"weights": np.linspace(0, 2, COUNT).astype("float32")}),
    "subclassed": lambda: (compiled(built(Own(), X)), {}),
    "a function augments": lambda: (stack(), {"augment": lambda x, s: x + tf.random.stateless_normal(tf.shape(x), s)}),
    "a layer augments": lambda: (stack(), {"augment": layers.GaussianNoise(0.3)}),
}
RANDOM = {
    "dropout": lambda: (stack(dense(8), layers.Dropout(0.3)), {}),
    "spatial dropout": lambda: (stack(layers.SpatialDropout1D(0.3), layers.Flatten(), shape=(5, 4)), {"x": SERIES}),
    "noise": lambda: (stack(layers.GaussianNoise(0.3), layers.GaussianDropout(0.2), layers.AlphaDropout(0.2)), {}),
    "flips": lambda: (stack(layers.RandomFlip(), layers.Flatten(), shape=(6, 6, 2)), {"x": IMAGES}),
    "contrast": lambda: (stack(layers.RandomContrast(0.5), layers.Flatten(), shape=(6, 6, 2)), {"x": IMAGES}),
}


FAST_LAYERS = {"dense", "embedding and pooling", "attention", "conv 2d", "convolutions and batch norm"}
FAST_LAYERS |= {"two inputs", "two outputs", "regularisers", "sample weights", "a function augments", "dropout"}


@pytest.mark.parametrize("kind", slow_unless(FAST_LAYERS, [*LAYERS, *RANDOM]))
def test_each_model_of_a_stack_is_trained_as_it_is_alone(kind):
    """Random layers included: they draw by their own seeds, here as there."""
    model, given = {**LAYERS, **RANDOM}[kind]()
    assert_agree(model, **given)


def test_batch_statistics_are_each_models_own():
    # Adam enlarges rounding where a gradient vanishes, as that of a bias before batch norm does.
    assert_agree(stack(dense(5, use_bias=False), layers.BatchNormalization()), atol=1e-3)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: optimizers.Adam(0.02),
    "adam of other moments": lambda: optimizers.Adam(0.02, beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    "amsgrad": lambda: optimizers.Adam(0.02, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.02, weight_decay=0.1),
    "adamax": lambda: optimizers.Adamax(0.02),
    "nadam": lambda: optimizers.Nadam(0.02),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "ftrl": lambda: optimizers.Ftrl(0.1),
    "lion": lambda: optimizers.Lion(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.05),
    "lamb": lambda: optimizers.Lamb(0.05),
    "muon": lambda: optimizers.Muon(0.05),
    "clipped values": lambda: optimizers.Adam(0.02, clipvalue=0.01),
    "clipped norms": lambda: optimizers.SGD(0.5, clipnorm=0.1),
    "clipped global norm": lambda: optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.1),
    "averages": lambda: optimizers.AdamW(0.02, use_ema=True),
    "a schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 2, 0.7)),
    "a schedule for sgd": lambda: optimizers.SGD(optimizers.schedules.CosineDecay(0.2, 20)),
}


FAST_OPTIMIZERS = {"sgd", "adam", "adamw", "rmsprop", "clipped global norm", "averages", "a schedule"}


@pytest.mark.parametrize("name", slow_unless(FAST_OPTIMIZERS, OPTIMIZERS))
def test_every_model_has_its_own_optimizer(name):
    """Its own norms included."""
    assert_agree(stack(dense(6, activation="tanh"), optimizer=OPTIMIZERS[name]()))


@pytest.mark.parametrize("name", ["adam", "clipped global norm", "a schedule"])
def test_every_model_counts_its_own_steps(name):
    """Epochs of 28, 29 and 36 records, in batches of 8: other rests, and after an epoch other numbers of steps."""
    assert_agree(stack(dense(4, activation="tanh"), optimizer=OPTIMIZERS[name]()), orders=ORDERS)


@pytest.mark.parametrize("kind", ["depthwise", "dropout"])
def test_rests_are_batches_of_their_own(kind):
    model, given = {**LAYERS, **RANDOM}[kind]()
    assert_agree(model, orders=ORDERS, **given)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("name", ["adamw", "nesterov"])
def test_weights_that_the_loss_does_not_read_stay_as_they_are(name):
    given = keras.Input((6,))
    model = keras.Model(given, [dense(3, activation="softmax")(given), dense(2)(given)])
    compiled(model, loss=["sparse_categorical_crossentropy", None], optimizer=OPTIMIZERS[name]())
    stacked, _ = engines(model, y=(Y, X[:, :2]))
    before = stacked.initial(GROUP)
    after, _ = stacked.train(GROUP, before, EVEN, None)
    assert [np.array_equal(a, b) for a, b in zip(before[:4], after[:4], strict=True)] == [False, False, True, True]
    assert_agree(model, y=(Y, X[:, :2]))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lamb"])
def test_rows_of_an_embedding_that_are_looked_up_twice_count_as_in_fit(name):
    """Keras adds up squares there, rather than squaring the sum."""
    model = tokens(layers.Embedding(9, 4), layers.Flatten(), optimizer=OPTIMIZERS[name]())
    assert_agree(model, x=TOKENS)


def test_layers_can_be_left_out_of_weight_decay():
    model = stack(dense(4), optimizer=optimizers.AdamW(0.02, weight_decay=0.5))
    model.optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert_agree(model)


def test_rates_are_those_given_for_each_step_and_model():
    own = [
        np.linspace(0.05, 0.01, -(-len(order) // BATCH)).astype(np.float32) * (k + 1) for k, order in enumerate(ORDERS)
    ]
    for name in ("adam", "nesterov"):
        assert_agree(stack(optimizer=OPTIMIZERS[name]()), orders=ORDERS, rates=own)


def test_one_trace_serves_epochs_of_any_length():
    stacked, _ = engines(stack())
    state = stacked.initial(GROUP)
    for size in (8, 16, 20, 24):
        state, _ = stacked.train(GROUP, state, [order[:size] for order in EVEN], None)
    assert len(stacked._programs) == 1


def test_owners_of_very_different_sizes():
    orders = [
        np.random.default_rng(k).permutation(COUNT)[:size].astype(np.int32) for k, size in enumerate((10, 40, 33))
    ]
    assert_agree(stack(dense(4)), orders=orders)


def test_an_epoch_is_cut_into_the_steps_that_each_makes_alone():
    """Oracle: each order cut into batches by hand."""
    steps = [[] for _ in ORDERS]
    for segment in epoch_segments(ORDERS, BATCH):
        for place, member in enumerate(segment.members):
            assert segment.first[place] == len(steps[member])
            steps[member] += [list(rows) for rows in segment.rows[:, place]]
    for order, own in zip(ORDERS, steps, strict=True):
        assert own == [list(order[start : start + BATCH]) for start in range(0, len(order), BATCH)]


def test_a_model_that_diverges_leaves_the_others_alone():
    x = X.copy()
    x[ORDERS[1][0]] = np.nan
    clean = [np.setdiff1d(order[:24], ORDERS[1][:1]).astype(np.int32)[:16] for order in ORDERS]
    struck = [clean[0], ORDERS[1][:16], clean[2]]
    for model, given in (
        (stack(), x),
        (stack(optimizer=OPTIMIZERS["nesterov"]()), x),
        (two_inputs(), {"left": x, "right": TOKENS}),
    ):
        stacked, _ = engines(model, x=given)
        (state, loss), (hit, losses) = (
            stacked.train(GROUP, stacked.initial(GROUP), orders, None) for orders in (clean, struck)
        )
        assert np.isfinite(loss).all()
        assert np.isnan(losses).tolist() == [False, True, False]
        for value, wanted in zip(hit, state, strict=True):
            np.testing.assert_array_equal(value[0], wanted[0])
            np.testing.assert_array_equal(value[2], wanted[2])


def test_the_same_state_gives_the_same_bits_twice_and_stays_as_it_is():
    for model, x in ((RANDOM["dropout"]()[0], X), (tokens(layers.Embedding(9, 4), layers.Flatten()), TOKENS)):
        stacked, _ = engines(model, x=x)
        state = stacked.initial(GROUP)
        kept = [np.array(value) for value in state]
        once, first = stacked.train(GROUP, state, ORDERS, None)
        copy = [np.array(value) for value in once]
        again, second = stacked.train(GROUP, state, ORDERS, None)
        stacked.train(GROUP, once, ORDERS, None)
        np.testing.assert_array_equal(first, second)
        for before, old, after, value, other in zip(state, kept, once, copy, again, strict=True):
            np.testing.assert_array_equal(before, old)
            np.testing.assert_array_equal(after, value)
            np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize("kind", ["dropout", "embedding and pooling"])
def test_a_model_does_not_depend_on_who_is_trained_beside_it(kind):
    model, given = {**LAYERS, **RANDOM}[kind]()
    together, _ = engines(model, models=4, **given)
    in_pairs, _ = engines(model, models=2, **given)
    orders = [*EVEN, EVEN[0]]
    (one, losses), (other, pair_losses) = (trained(engine, (0, 1, 2, 3), orders) for engine in (together, in_pairs))
    assert (together.group_size, in_pairs.group_size) == (4, 2)
    assert losses == pytest.approx(pair_losses, abs=1e-5)
    for ours, theirs in zip(one, other, strict=True):
        for value, wanted in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


def test_models_start_as_those_of_the_other_engines_do():
    for model in (RANDOM["dropout"]()[0], stack(optimizer=optimizers.AdamW(0.02, use_ema=True))):
        stacked, alone = engines(model, augment=layers.GaussianNoise(0.1))
        together = stacked.initial(GROUP)
        for place, shadow in enumerate(GROUP):
            for value, wanted in zip(together, alone.initial([shadow]), strict=True):
                np.testing.assert_array_equal(value[place], wanted)


def test_dropout_takes_its_share_and_differs_between_models_and_steps():
    rate, seen = 0.3, []

    class Watched(layers.Dropout):
        """Its loss is the mean of what is left."""

        def call(self, x, training=False):
            left = super().call(x, training=training)
            self.add_loss(keras.ops.mean(left) * 1.0)
            return left

    given = keras.Input((6,))
    model = keras.Model(given, dense(1, kernel_initializer="zeros")(Watched(rate)(given * 0 + 1)))
    model.compile(optimizers.SGD(0.0), "mse")
    stacked, _ = engines(model, y=np.zeros(COUNT, "float32"), models=16)
    state = stacked.initial(range(16))
    for _ in range(8):
        state, losses = stacked.train(range(16), state, [ORDERS[0][:8]] * 16, None)
        seen += list(losses)
    # The mean of 48 inverted Bernoulli numbers has mean 1 and variance rate / (1 − rate) / 48.
    error = np.sqrt(rate / (1 - rate) / 48 / len(seen))
    assert np.mean(seen) == pytest.approx(1, abs=4 * error)
    assert len(set(np.round(seen, 6))) > 5


def test_weights_are_given_model_by_model_and_averages_in_the_end():
    model = stack(optimizer=optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    stacked, alone = engines(model)
    state = stacked.train(GROUP, stacked.initial(GROUP), ORDERS, None)[0]
    for final in (False, True):
        for place, own in enumerate(stacked.weights(GROUP, state, final)):
            other = alone.train([GROUP[place]], alone.initial([GROUP[place]]), [ORDERS[place]], None)[0]
            wanted = next(alone.weights([GROUP[place]], other, final))
            np.testing.assert_allclose(own[0], wanted[0], rtol=1e-5, atol=1e-6)
    assert all(a is b for a, b in zip(stacked.unpacked(GROUP, stacked.packed(GROUP, state)), state, strict=True))


def test_groups_are_even_and_neither_too_many_nor_too_large():
    assert [group_size(count, 1_000) for count in (1, 2, 16, 20, 64, 100)] == [1, 2, 16, 10, 16, 15]
    assert [group_size(count, 1_000, workers=2) for count in (16, 20, 34, 64)] == [8, 10, 9, 16]
    assert group_size(64, 2**28) == 2
    assert group_size(64, 2**40) == 1


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def own_step():
    given = keras.Input((6,))
    return compiled(OwnStep(given, dense(3, activation="softmax")(given)))


class OwnOptimizer(optimizers.SGD):
    pass


def mixed():
    policy = keras.DTypePolicy("mixed_bfloat16")
    return stack(dense(4, dtype=policy))


REFUSALS = {
    "three dimensions, in groups": lambda: stack(layers.Conv2D(2, 3, groups=2), layers.Flatten(), shape=(6, 6, 2)),
    "three dimensions": lambda: stack(layers.Conv3D(2, 2), layers.Flatten(), shape=(3, 3, 3, 1)),
    "train_step of its own": own_step,
    "run eagerly": lambda: stack(run_eagerly=True),
    "mixed|bfloat16 on weights in float32": mixed,
    "accumulates gradients": lambda: stack(optimizer=optimizers.Adam(gradient_accumulation_steps=2)),
    "averages in the place of weights": lambda: stack(
        optimizer=optimizers.SGD(use_ema=True, ema_overwrite_frequency=2)
    ),
    "scales the loss": lambda: stack(optimizer=optimizers.LossScaleOptimizer(optimizers.Adam())),
    "OwnOptimizer": lambda: stack(optimizer=OwnOptimizer()),
    "ScheduleFreeAdamW": lambda: stack(optimizer=optimizers.ScheduleFreeAdamW()),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_cannot_be_stacked_is_refused_with_the_reason(reason):
    model = REFUSALS[reason]()
    x = np.zeros((COUNT, *model.input_shape[1:]), "float32")
    with pytest.raises(ValueError, match=f"({reason}).*give engine="):
        engines(model, x=x)
    data = TrainingData.of(pool_from_records(x, Y).records, BATCH, None, None)
    assert why_not_stacked(model, data)


def test_what_shows_only_in_the_trace_is_refused_without_tensorflows_log(caplog):
    """A layer within a layer is in no list of Keras'."""

    class Hidden(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.inside = layers.Conv3D(2, 2)

        def build(self, shape):
            self.inside.build(shape)

        def call(self, x):
            return self.inside(x)

    model = stack(Hidden(), layers.Flatten(), shape=(3, 3, 3, 1))
    with pytest.raises(
        ValueError, match=r"cannot train this model.*No pfor vectorization.*give engine='compiled' or 'auto'"
    ):
        engines(model, x=np.zeros((COUNT, 3, 3, 3, 1), "float32"))
    assert not caplog.records


def chosen(model, x=X, steps=200, models=4, **options):
    fresh = FreshModels(model, tf.constant(x), None, 0)
    data = TrainingData.of(pool_from_records(x, Y).records, BATCH, None, None)
    return choose_engine("auto", model, fresh, data, 30, steps, num_models=models, **options)


def test_auto_takes_what_is_soonest_done_and_says_what_it_left_out():
    short = chosen(stack())
    assert isinstance(short.engine, StackedEngine)
    assert short.engine.group_size * short.engine.workers == 4
    assert short.fit_seconds_per_step is None
    for part in ("ms a step after", "compiled and xla would hardly be ready before the training is done", "is chosen"):
        assert part in short.sentence
    image = chosen(stack(layers.Conv2D(2, 3), layers.Flatten(), shape=(6, 6, 2)), x=IMAGES)
    assert image.engine.name == "compiled"
    for part in (
        "stacked is slow on CPU for convolutions",
        "xla is none on CPU for convolutions",
        "compiled is chosen",
    ):
        assert part in image.sentence
    assert chosen(stack(), models=1).engine.name in ("compiled", "xla")


def test_auto_measures_fit_beside_where_a_budget_asks():
    choice = chosen(stack(), measure=True)
    assert choice.seconds_per_step > 0
    assert choice.fit_seconds_per_step > 0
    assert "fit " in choice.sentence
    own = chosen(own_step(), measure=True)
    assert isinstance(own.engine, FitEngine)
    assert own.seconds_per_step == own.fit_seconds_per_step > 0


def test_a_fleet_is_trained_stacked_as_it_is_compiled_and_leaves_random_states_alone():
    model = RANDOM["dropout"]()[0]
    random.seed(1), np.random.seed(1), tf.random.set_seed(1), keras.utils.set_random_seed(1)
    drawn = tf.random.uniform([3]).numpy(), keras.random.uniform([3]).numpy()
    random.seed(1), np.random.seed(1), tf.random.set_seed(1), keras.utils.set_random_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy()
    found = [
        ShadowModels(8, epochs=2, batch_size=BATCH, engine=name).fit(model, X, Y, signals=("loss",), verbose=0)["loss"]
        for name in ("stacked", "compiled")
    ]
    np.testing.assert_allclose(*found, atol=1e-4)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    for ours, theirs in zip(drawn, (tf.random.uniform([3]), keras.random.uniform([3])), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_functions_that_augment_draw_for_each_step_of_epochs_of_any_length():
    assert_agree(stack(), orders=ORDERS, augment=lambda x, s: x + tf.random.stateless_normal(tf.shape(x), s))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_rates_that_all_models_share_are_those_given_for_each_step(name):
    """One update serves all of them then; and the state holds the last rate."""
    shared = [np.array([0.05, 0.02, 0.001], np.float32)] * 3
    assert_agree(stack(optimizer=OPTIMIZERS[name]()), rates=shared)


class InTraining(keras.Model):
    """Its loss is another in training than in evaluation, which Keras tells it."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight) * (3.0 if training is True else 1.0)


class OutsideTraining(keras.Model):
    """As above, with the other default."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=False):
        return super().compute_loss(x, y, y_pred, sample_weight) * (3.0 if training else 1.0)


@pytest.mark.parametrize("kind", [InTraining, OutsideTraining])
def test_a_loss_is_told_that_it_is_one_of_training(kind):
    given = keras.Input((6,))
    assert_agree(compiled(kind(given, dense(3, activation="softmax")(given)), optimizer=optimizers.SGD(0.1)))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.SGD(0.1, loss_scale_factor=64.0),
        lambda: optimizers.Adam(0.02, epsilon=0.1, loss_scale_factor=64.0),
    ],
)
def test_scaled_losses_move_weights_as_unscaled_ones(optimizer):
    assert_agree(stack(optimizer=optimizer()))


@pytest.mark.parametrize("name", ["SGD", "Lion"])
def test_layers_are_left_out_of_weight_decay_by_every_optimizer(name):
    """AdamW's update is fused; those of others are Keras' own."""
    model = stack(dense(4), optimizer=getattr(optimizers, name)(0.02, weight_decay=0.5))
    model.optimizer.exclude_from_weight_decay(var_names=["bias", "kernel"])
    assert_agree(model)
