import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from codelabs.dp_sgd import PrivateTraining, clipped, dp_event, poisson_batches
from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import Threshold

pytestmark = pytest.mark.slow  # a codelab's own optimizer, compared gradient by gradient

LAYERS = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def records(count=12, seed=0, shape=(4,)):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, *shape)).astype("float32"), rng.integers(0, 3, count)


def network(*between, shape=(4,), **first):
    init = [keras.initializers.GlorotUniform(seed) for seed in (1, 2)]
    dense = LAYERS.Dense(5, activation="tanh", kernel_initializer=init[0], **first)
    return keras.Sequential([keras.Input(shape), dense, *between, LAYERS.Dense(3, kernel_initializer=init[1])])


def private(model=None, clip_norm=1.0, noise_multiplier=0.0, expected_batch_size=12, *, compiled=None, **arguments):
    model = PrivateTraining(
        model or network(), clip_norm, noise_multiplier, expected_batch_size, **{"seed": 3, **arguments}
    )
    model.compile(**{"optimizer": keras.optimizers.SGD(0.1), "loss": LOSS, "metrics": ["accuracy"], **(compiled or {})})
    return model


def weights(model):
    return [np.array(variable) for variable in model.trainable_variables]


def step(model, x, y, **arguments):
    """How far one step on all these records moves each weight."""
    before = weights(model)
    model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0, **arguments)
    return [after - was for after, was in zip(weights(model), before, strict=True)]


def naive_gradients(model, x, y):
    """float64[n, weights]: each record's gradient by a tape of its own."""
    found = []
    for row in range(len(x)):
        with tf.GradientTape() as tape:
            loss = LOSS(y[row : row + 1], model(x[row : row + 1], training=True))
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        found.append(flat([tf.convert_to_tensor(gradient) for gradient in gradients]))
    return np.array(found)


def flat(tensors):
    return np.concatenate([np.ravel(tensor) for tensor in tensors]).astype(float)


def empty(x, y):
    return tf.data.Dataset.from_tensors((x[:0], y[:0]))


@pytest.mark.parametrize("vectorized", [True, False])
def test_each_records_gradient_is_clipped_as_a_naive_loop_does(vectorized):
    x, y = records()
    model = private(clip_norm=1.3, vectorized=vectorized)
    expected = naive_gradients(model, x, y)
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    assert norms.min() < 1.3 < norms.max()
    gradients, losses, outputs = tf.function(model.clipped_gradients)(x, y)
    got = np.array([flat([gradient[row] for gradient in gradients]) for row in range(len(x))])
    np.testing.assert_allclose(got, expected * np.minimum(1, 1.3 / norms), atol=1e-6)
    np.testing.assert_allclose(outputs, model(x), atol=1e-6)
    np.testing.assert_allclose(np.mean(losses), LOSS(y, model(x)), rtol=1e-5)


def test_a_step_is_the_clipped_sum_over_the_expected_batch_size():
    x, y = records()
    model = private(clip_norm=1.3, expected_batch_size=7)
    each = naive_gradients(model, x, y)
    each *= np.minimum(1, 1.3 / np.linalg.norm(each, axis=1, keepdims=True))
    np.testing.assert_allclose(flat(step(model, x, y)), -0.1 * each.sum(axis=0) / 7, atol=1e-6)


def convolution():
    return keras.Sequential(
        [
            keras.Input((4,)),
            LAYERS.Reshape((2, 2, 1)),
            LAYERS.Conv2D(3, 2, activation="tanh"),
            LAYERS.Flatten(),
            LAYERS.Dense(3),
        ]
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make", [lambda: network(kernel_regularizer="l2"), convolution], ids=["dense", "convolution"])
def test_without_noise_and_clipping_a_step_is_that_of_plain_sgd(make, weighted):
    x, y = records()
    given = {"sample_weight": np.linspace(0.1, 2, 12)} if weighted else {}
    plain = make()
    plain.compile(keras.optimizers.SGD(0.1), LOSS)
    model = make()
    model.set_weights(plain.get_weights())
    moved = step(private(model, clip_norm=math.inf), x, y, **given)
    np.testing.assert_allclose(flat(moved), flat(step(plain, x, y, **given)), atol=1e-6)


def test_the_norm_is_that_of_all_weights_together_and_never_above_the_clip():
    tensors = [tf.constant([3.0, 0.0]), tf.constant([[4.0]])]
    np.testing.assert_allclose(flat(clipped(tensors, 1.0)), [0.6, 0, 0.8], rtol=1e-6)
    np.testing.assert_allclose(flat(clipped(tensors, 5.5)), [3, 0, 4])
    np.testing.assert_allclose(flat(clipped([tf.zeros(3)], 1.0)), 0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e30])
def test_a_gradient_that_nothing_bounds_counts_as_zero(wrong):
    assert flat(clipped([tf.constant([1.0, wrong])], 1.0)).tolist() == [0, 0]


def test_one_record_more_moves_the_sum_by_no_more_than_the_clip():
    x, y = records(13)
    x[12] *= 1e4
    model = private(clip_norm=0.5)
    specs = [tf.TensorSpec((None, 4)), tf.TensorSpec((None,), tf.int64)]
    sums = tf.function(lambda *some: [tf.reduce_sum(one, 0) for one in model.clipped_gradients(*some)[0]], specs)
    distance = np.linalg.norm(flat(sums(x, y)) - flat(sums(x[:12], y[:12])))
    assert 0.49 < distance <= 0.5 + 1e-5


def test_noise_has_standard_deviation_sigma_times_clip():
    model = private(network(LAYERS.Dense(4000)), clip_norm=0.5, noise_multiplier=3.0)
    noise = flat(model.noise(0))
    # 44,000 normal numbers: the deviation's own error is 1/√(2·44,000) = 0.34 %, the mean's 1.5/√44,000.
    assert noise.std() == pytest.approx(1.5, rel=5 * 0.0034)
    assert abs(noise.mean()) < 5 * 1.5 / math.sqrt(len(noise))
    # Neither steps nor variables share numbers.
    assert abs(np.corrcoef(noise, flat(model.noise(1)))[0, 1]) < 5 / math.sqrt(len(noise))
    assert len(np.unique(noise)) > 0.99 * len(noise)


def test_an_empty_batch_adds_noise_and_nothing_else():
    x, y = records()
    model = private(noise_multiplier=2.0, expected_batch_size=4)
    expected = -0.1 * flat(model.noise(0)) / 4
    before = weights(model)
    logs = model.fit(empty(x, y), verbose=0, shuffle=False).history
    moved = [after - was for after, was in zip(weights(model), before, strict=True)]
    np.testing.assert_allclose(flat(moved), expected, atol=1e-6)
    assert logs == {"accuracy": [0.0], "loss": [0.0]}


def test_an_empty_batch_without_noise_changes_nothing():
    x, y = records(shape=(8, 8, 1))
    model = private(
        keras.Sequential(
            [keras.Input((8, 8, 1)), LAYERS.Conv2D(2, 3), LAYERS.MaxPooling2D(), LAYERS.Flatten(), LAYERS.Dense(3)]
        )
    )
    before = flat(weights(model))
    model.fit(empty(x, y), verbose=0, shuffle=False)
    assert np.array_equal(flat(weights(model)), before)


def test_the_seed_decides():
    x, y = records()
    one, other = (private(noise_multiplier=1.0) for _ in range(2))
    assert np.array_equal(flat(step(one, x, y)), flat(step(other, x, y)))
    assert not np.allclose(flat(private(noise_multiplier=1.0, seed=4).noise(0)), flat(one.noise(0)), atol=0.1)


def test_without_a_seed_no_two_trainings_share_their_noise():
    one, other = (flat(private(noise_multiplier=1.0, seed=None).noise(0)) for _ in range(2))
    assert not np.allclose(one, other, atol=0.1)


def test_noise_is_not_used_again_after_compiling_anew():
    x, y = records()
    model = private(noise_multiplier=1.0)
    step(model, x, y)
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    before, expected = weights(model), flat(model.noise(1))
    model.fit(empty(x, y), verbose=0, shuffle=False)
    moved = flat([after - was for after, was in zip(weights(model), before, strict=True)])
    np.testing.assert_allclose(moved, -0.1 * expected / 12, atol=1e-6)


def test_nothing_touches_the_global_random_state():
    x, y = records()
    tf.random.set_seed(1)
    keras.utils.set_random_seed(1)
    state = np.random.get_state()[1].copy()
    first = tf.random.uniform([3]).numpy()
    tf.random.set_seed(1)
    keras.utils.set_random_seed(1)
    model = private(noise_multiplier=1.0)
    model.fit(poisson_batches(x, y, 4, 2, seed=1), verbose=0, shuffle=False)
    assert np.array_equal(tf.random.uniform([3]).numpy(), first)
    assert np.array_equal(np.random.get_state()[1], state)


def test_dropout_draws_a_mask_for_each_record_and_step():
    x = np.ones((40, 4), "float32")
    model = private(network(LAYERS.Dropout(0.5)), noise_multiplier=0.0)
    y = np.zeros(40, int)
    outputs = tf.function(lambda: model.clipped_gradients(x, y)[2])().numpy()
    assert len(np.unique(outputs.round(5), axis=0)) > 10  # of 2⁵ masks
    model.private_steps.assign(1)
    assert not np.allclose(tf.function(lambda: model.clipped_gradients(x, y)[2])().numpy(), outputs)


def test_models_of_several_inputs_and_outputs_are_trained():
    x, y = records()
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    hidden = LAYERS.Concatenate()([left, right])
    outputs = {"kind": LAYERS.Dense(3, name="kind")(hidden), "size": LAYERS.Dense(1, name="size")(hidden)}
    model = private(
        keras.Model({"left": left, "right": right}, outputs),
        compiled={"loss": {"kind": LOSS, "size": "mse"}, "metrics": None},
    )
    target = {"kind": y, "size": x[:, :1]}
    losses = model.fit({"left": x, "right": x}, target, epochs=20, batch_size=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_recurrent_layers_and_embeddings_go_record_by_record():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (6, 4)), rng.integers(0, 3, 6)
    inner = keras.Sequential(
        [keras.Input((4,), dtype="int32"), LAYERS.Embedding(9, 3), LAYERS.SimpleRNN(4), LAYERS.Dense(3)]
    )
    model = private(inner, clip_norm=math.inf, expected_batch_size=6)
    expected = naive_gradients(model, x, y).sum(axis=0) / 6
    np.testing.assert_allclose(flat(step(model, x, y)), -0.1 * expected, atol=1e-6)


def test_poisson_batches_hold_each_record_independently_with_the_same_probability():
    x = np.arange(50)
    held = np.array([np.isin(x, batch) for _, batch in poisson_batches(x, x, 5, 1000, seed=0).as_numpy_iterator()])
    # 50,000 coins of probability 0.1: 5 standard errors each.
    assert held.mean() == pytest.approx(0.1, abs=5 * math.sqrt(0.09 / held.size))
    assert np.abs(held.mean(axis=0) - 0.1).max() < 5 * math.sqrt(0.09 / 1000)
    # Sizes vary as a binomial's do: 50·0.1·0.9 = 4.5; the variance's own error is about √(2/1000).
    assert held.sum(axis=1).var() == pytest.approx(4.5, rel=5 * math.sqrt(2 / 1000))


def test_poisson_batches_keep_inputs_and_labels_together():
    x = {"a": np.arange(20.0), "b": np.arange(20).reshape(10, 2).repeat(2, axis=0)}
    for held, y in poisson_batches(x, np.arange(20), 6, 5, seed=0).as_numpy_iterator():
        assert np.array_equal(held["a"], y)
        assert np.array_equal(held["b"], x["b"][y])


def test_every_pass_draws_anew_and_the_seed_decides():
    x, _ = records()

    def two_passes(seed):
        batches = poisson_batches(x, np.arange(12), 4, 3, seed=seed)
        return [[list(labels) for _, labels in batches.as_numpy_iterator()] for _ in range(2)]

    first, second = two_passes(1)
    assert first != second
    assert two_passes(1) == [first, second]
    assert two_passes(2) != [first, second]
    assert two_passes(None) != two_passes(None)


def test_fit_takes_batches_of_any_size():
    x, y = records(30)
    model = private(noise_multiplier=0.5, expected_batch_size=1)
    batches = poisson_batches(x, y, 1, 20, seed=0)
    sizes = [len(labels) for _, labels in batches.as_numpy_iterator()]
    assert min(sizes) == 0
    assert max(sizes) > 2
    history = model.fit(batches, epochs=3, verbose=0, shuffle=False, validation_data=(x, y)).history
    assert np.all(np.isfinite(history["loss"] + history["val_loss"]))
    assert int(model.private_steps) == 60


def test_a_saved_training_continues_with_new_noise(tmp_path):
    x, y = records()
    model = private(noise_multiplier=1.0)
    step(model, x, y)
    model.save(tmp_path / "private.keras")
    loaded = keras.models.load_model(tmp_path / "private.keras")
    assert np.array_equal(flat(weights(loaded)), flat(weights(model)))
    assert int(loaded.private_steps) == 1
    assert np.array_equal(flat(loaded.noise(1)), flat(model.noise(1)))


def test_a_seed_that_was_drawn_is_in_no_file():
    model = private(noise_multiplier=1.0, seed=None)
    copy = PrivateTraining.from_config(model.get_config())
    assert model.get_config()["seed"] is None
    assert not np.allclose(flat(copy.noise(0)), flat(model.noise(0)), atol=0.1)


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
@pytest.mark.filterwarnings("ignore:.*overrides train_step:UserWarning")
def test_leakage_that_plain_training_shows_is_gone():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 20)).astype("float32"), rng.integers(0, 3, 400)  # nothing to learn but the records
    members, nonmembers = (x[:200], y[:200]), (x[200:], y[200:])
    found = []
    for noise_multiplier, clip_norm in ((0.0, math.inf), (10.0, 1.0)):
        model = private(
            network(LAYERS.Dense(64, "relu", kernel_initializer=keras.initializers.HeNormal(3)), shape=(20,)),
            clip_norm,
            noise_multiplier,
            expected_batch_size=40,
            compiled={"optimizer": keras.optimizers.Adam(0.02)},
        )
        mia = MIACallback(members, nonmembers, attacks=[Threshold("loss")], every="train_end", blind_baseline=False)
        batches = poisson_batches(*members, 40, 5, seed=1)
        model.fit(batches, epochs=20, verbose=0, shuffle=False, callbacks=[mia])
        found.append(mia.report.auc)
    plain, noisy = found
    # By the central limit theorem of Gaussian DP (Bu et al. 2020) μ ≈ q·√(T·(exp(1/σ²) − 1)), and no AUC exceeds Φ(μ/√2).
    mu = 40 / 200 * math.sqrt(100 * math.expm1(1 / 10**2))
    largest = 0.5 * (1 + math.erf(mu / 2))
    assert largest == pytest.approx(0.556, abs=0.001)
    assert noisy.low < largest < 0.65 < plain.low
    assert abs(noisy - 0.5) < 0.1


def test_an_event_counts_the_steps():
    accounting = pytest.importorskip("dp_accounting")
    step = accounting.PoissonSampledDpEvent(0.01, accounting.GaussianDpEvent(1.1))
    assert dp_event(1000, 0.01, 1.1) == accounting.SelfComposedDpEvent(step, 1000)


@pytest.mark.parametrize("numbers", [(0, 1, 1), (-1, 1, 1), (math.nan, 1, 1), (1, 1, 0), (1, 1, math.nan)])
def test_norms_and_sizes_that_are_not_positive_are_refused(numbers):
    with pytest.raises(ValueError, match=r"clip_norm is .* and expected_batch_size .* above 0"):
        PrivateTraining(network(), *numbers)


@pytest.mark.parametrize("numbers", [(1, -0.1), (1, math.nan), (1, math.inf), (math.inf, 1)])
def test_noise_that_cannot_be_drawn_is_refused(numbers):
    with pytest.raises(ValueError, match=r"noise_multiplier is .* finite"):
        PrivateTraining(network(), *numbers, 1)


def test_batch_normalization_is_refused_unless_frozen():
    with pytest.raises(ValueError, match=r"'bn' is a BatchNormalization: it mixes the records"):
        private(network(LAYERS.BatchNormalization(name="bn")))
    with pytest.raises(ValueError, match="mixes the records"):
        private(network(network(LAYERS.BatchNormalization(), shape=(5,))))
    x, y = records()
    step(private(network(LAYERS.BatchNormalization(trainable=False))), x, y)


def test_layers_that_keep_something_of_the_records_are_refused():
    class Counting(LAYERS.Layer):
        def build(self, shape):
            self.seen = self.add_weight((), "zeros", trainable=False, name="seen")

        def call(self, x):
            self.seen.assign_add(keras.ops.sum(x))
            return x

    x, y = records()
    with pytest.raises(ValueError, match=r"a layer writes .*seen while it is trained"):
        step(private(network(Counting())), x, y)


def test_models_that_train_in_their_own_way_are_refused():
    with pytest.raises(ValueError, match="PrivateTraining has a train_step or compute_loss of its own"):
        private(private())


def test_an_optimizer_that_scales_the_loss_is_refused():
    x, y = records()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="auto_scale_loss=False"):
        step(private(compiled={"optimizer": optimizer}), x, y)


def test_a_model_of_frozen_weights_is_refused():
    model = network()
    model.trainable = False
    with pytest.raises(ValueError, match="no trainable weights"):
        step(private(model), *records())


def test_several_replicas_are_refused():
    x, y = records()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = private()
    with pytest.raises(ValueError, match="every replica would add the same noise"):
        step(model, x, y)


@pytest.mark.parametrize(("size", "steps"), [(0, 1), (13, 1), (math.nan, 1), (4, 0)])
def test_batches_that_cannot_be_drawn_are_refused(size, steps):
    with pytest.raises(ValueError, match=r"for 12 records; give a batch size above 0 and up to 12"):
        poisson_batches(*records(), size, steps)
