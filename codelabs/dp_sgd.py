"""An example, to train a Keras 3 model by DP-SGD and watch its leakage: clipped gradients a record, Gaussian noise a step.

It shows what the audits measure; it is no hardened library. What it does not protect against:
* floating point: sums and noise are 32-bit numbers, whose last digits can tell a record (Mironov 2012; use a discrete mechanism);
* a guessed seed: TensorFlow's generator is no cryptographic one, and whoever knows the seed takes the noise away again;
* choices made on the data: hyperparameters tuned, epochs picked, inputs normalised by the same records cost privacy that
  `dp_event` does not count; so do the losses and metrics that `fit` shows, which carry no noise (those of single outputs stay
  0: only their sum is kept);
* timing and memory, which depend on the size of a batch.
Source: Abadi et al. 2016, arXiv:1607.00133.
"""

import inspect
import operator
import secrets

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("dp_sgd")
class PrivateTraining(keras.Model):
    """A model that `fit` trains by DP-SGD.

    Each step adds up the records' gradients, each scaled down to a norm of at most C, adds noise of standard deviation σ·C to
    every number and divides by the expected batch size; what the optimizer makes of that is post-processing. `dp_event` counts
    for batches by Poisson sampling, those of `poisson_batches`: batches of a shuffle lose more than it says. A step holds a
    gradient of every record of the batch in memory.

        private = PrivateTraining(model, clip_norm=1.0, noise_multiplier=1.1, expected_batch_size=64)
        private.compile("adam", "sparse_categorical_crossentropy")
        private.fit(poisson_batches(x, y, 64, steps=100), epochs=10, shuffle=False, callbacks=[MIACallback(...)])
        claim = dp_event(steps=1_000, sampling_probability=64 / len(x), noise_multiplier=1.1)

    Args:
      model: what is trained, a keras.Model; it shares its weights, and is what to publish afterwards.
      clip_norm: C > 0, over all trainable weights together.
      noise_multiplier: σ ≥ 0.
      expected_batch_size: B > 0; never the size of the batch at hand, which would tell who is in it.
      vectorized: True computes all gradients of a batch at once, and one after another where TensorFlow cannot convert the
        model; False always the latter.
      seed: of the noise and of random layers, a secret like the records. None takes it from the operating system; a number is
        for experiments, and no two trainings that are released may share one.
    Raises:
      ValueError: on a number out of range, layers that mix records, or a model that trains itself in its own way.
    """

    def __init__(self, model, clip_norm, noise_multiplier, expected_batch_size, *, vectorized=True, seed=None, **named):
        super().__init__(**named)
        if not clip_norm > 0 or not expected_batch_size > 0:
            raise ValueError(
                f"clip_norm is {clip_norm!r} and expected_batch_size {expected_batch_size!r}; give both above 0."
            )
        if not 0 <= noise_multiplier < np.inf or (noise_multiplier and clip_norm == np.inf):
            raise ValueError(
                f"noise_multiplier is {noise_multiplier!r} at clip_norm {clip_norm!r}; give a finite one of at least 0, and a "
                "finite clip_norm unless it is 0."
            )
        _refuse_unfit(model)
        self.model, self.vectorized, self.seed = model, vectorized, seed
        self.clip_norm, self.noise_multiplier = float(clip_norm), float(noise_multiplier)
        self.expected_batch_size = float(expected_batch_size)
        stream = np.random.SeedSequence(secrets.randbits(128) if seed is None else seed)
        self._noise_key, self._layers_key = stream.generate_state(4, np.uint64).view(np.int64).reshape(2, 2)
        # Not the optimizer's count, which starts again with every `compile`: noise used twice cancels out.
        self.private_steps = self.add_weight((), "zeros", "int64", trainable=False, name="steps")

    def call(self, x, training=None):
        """The model's own outputs."""
        extra = {"training": training} if "training" in inspect.signature(self.model.call).parameters else {}
        return self.model(x, **extra)

    def get_config(self):
        """For copies and files. A seed that was drawn is left out: a copy draws its own, and no file gives the noise away."""
        names = ("clip_norm", "noise_multiplier", "expected_batch_size", "vectorized", "seed")
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.model),
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        return cls(**{**config, "model": keras.saving.deserialize_keras_object(config["model"])})

    def train_step(self, data):
        """One step of DP-SGD on a batch of any size, none included."""
        self._refuse_unfit_training()
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        gradients, losses, outputs = self.clipped_gradients(x, y, weights)
        noise = self.noise(self.private_steps.value)
        self.private_steps.assign_add(1)
        sums = [tf.reduce_sum(gradient, axis=0) for gradient in gradients]
        noisy = [(total + one) / self.expected_batch_size for total, one in zip(sums, noise, strict=True)]
        self.optimizer.apply_gradients(zip(noisy, self.trainable_variables, strict=True))
        next(metric for metric in self.metrics if metric.name == "loss").update_state(losses)
        return self.compute_metrics(x, y, outputs, sample_weight=weights)

    def noise(self, step):
        """Of one step: Gaussian numbers of standard deviation σ·C for every trainable variable, from the seed and the step."""
        variables = self.trainable_variables
        if self.noise_multiplier == 0:
            return [tf.zeros(variable.shape, variable.dtype) for variable in variables]
        seeds = tf.random.experimental.stateless_split(_at_step(self._noise_key, step), len(variables))
        deviation = self.noise_multiplier * self.clip_norm
        return [
            tf.random.stateless_normal(variable.shape, seed, 0.0, deviation, variable.dtype)
            for variable, seed in zip(variables, tf.unstack(seeds), strict=True)
        ]

    def clipped_gradients(self, x, y, weights=None):
        """Of each record alone: its gradients with a joint norm of at most C, its loss, and the outputs.

        Args:
          x, y, weights: nests of tensors [n, ...]; weights may be None.
        Returns:
          A list of tensors [n, *variable.shape], float32[n], and a nest of tensors [n, ...].
        """
        size = tf.shape(tf.nest.flatten(x)[0])[0]
        states = [v for v in self.non_trainable_variables if v.path.endswith("seed_generator_state")]
        key = _at_step(self._layers_key, self.private_steps.value)
        seeds = tf.random.stateless_uniform([size, max(1, len(states)), 2], key, None, None, tf.uint32)

        def of_one(record):
            x, y, *weights, seeds = tf.nest.map_structure(lambda leaf: leaf[None], record)
            # What the call would assign, the scope drops: each record finds the model as it was before the step.
            held = [(v, v.value) for v in self.trainable_variables if v.regularizer is not None]
            mapping = [*zip(states, tf.unstack(seeds[0])[: len(states)], strict=True), *held]
            with tf.GradientTape() as tape, keras.StatelessScope(mapping, collect_losses=True) as scope:
                outputs = self(x, training=True)
                loss = self.compute_loss(x, y, outputs, weights[0] if weights else None, training=True)
            self._refuse_written(scope, states)
            found = tape.gradient(loss, [v.value for v in self.trainable_variables], unconnected_gradients="zero")
            gradients = clipped([tf.convert_to_tensor(gradient) for gradient in found], self.clip_norm)
            return gradients, loss, tf.nest.map_structure(lambda leaf: leaf[0], outputs)

        # An empty batch is given a record of zeros, of which nothing is kept: many operations know no batch of none.
        given = (x, y, seeds) if weights is None else (x, y, weights, seeds)
        records = tf.nest.map_structure(_at_least_one, given)
        return tf.nest.map_structure(lambda leaf: leaf[:size], self._for_each(of_one, records))

    def _for_each(self, of_one, records):
        # Loops within a record, as in recurrent layers, are vectorized wrongly or not at all.
        if self.vectorized and not any(isinstance(layer, keras.layers.RNN) for layer in self._flatten_layers()):
            try:
                return tf.vectorized_map(of_one, records)
            except Exception as reason:  # an error of the model's own comes again below
                said = str(reason).partition("\n")[0]
                tf.get_logger().warning("Gradients are computed one by one, since they cannot be vectorized: %s", said)
        one = tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), records)
        made = tf.function(of_one).get_concrete_function(one).structured_outputs
        made = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), made)
        return tf.map_fn(of_one, records, fn_output_signature=made)

    def _refuse_written(self, scope, states):
        own = {id(variable) for variable in [*states, *self.trainable_variables]}
        for variable in self.model.variables:
            if id(variable) not in own and scope.get_current_value(variable) is not None:
                raise ValueError(
                    f"a layer writes {variable.path} while it is trained, and what it keeps there of the records would carry no "
                    "noise; use a layer that keeps nothing, such as LayerNormalization or GroupNormalization."
                )

    def _refuse_unfit_training(self):
        if not self.trainable_variables:
            raise ValueError("the model has no trainable weights; unfreeze some.")
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            raise ValueError("the optimizer would undo a scaling of the loss; compile with auto_scale_loss=False.")
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("every replica would add the same noise again; train on one.")


def clipped(gradients, clip_norm):
    """Tensors scaled together to a norm of at most `clip_norm`; zeros where the norm is not finite, which nothing would bound."""
    # Not `tf.linalg.global_norm`, which is vectorized by a loop.
    norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32))) for gradient in gradients]))
    scale = tf.minimum(1.0, clip_norm / norm)
    return [tf.where(tf.math.is_finite(norm), g * tf.cast(scale, g.dtype), tf.zeros_like(g)) for g in gradients]


def poisson_batches(x, y, expected_batch_size, steps, seed=None):
    """A tf.data.Dataset of `steps` batches, into each of which every record comes with the same probability, independently.

    The batches differ in size and may be empty. Every pass over it (every epoch) draws anew.

    Args:
      x, y: nests of arrays [n, ...].
      expected_batch_size: n times that probability, at most n.
      steps: batches a pass, to be counted together with the number of passes in `dp_event`.
      seed: a secret like that of the noise, and another one; None takes it from the operating system.
    Raises:
      ValueError: if more is expected than there are records, or nothing.
    """
    x, y = keras.tree.map_structure(np.asarray, (x, y))
    count = len(keras.tree.flatten(x)[0])
    if not 0 < expected_batch_size <= count or steps < 1:
        raise ValueError(
            f"expected_batch_size is {expected_batch_size!r} and steps {steps!r} for {count} records; give a batch size above 0 "
            f"and up to {count}, and at least one step."
        )
    streams = np.random.SeedSequence(secrets.randbits(128) if seed is None else [seed, 0x5A4D]).spawn

    def one_pass():
        rng = np.random.default_rng(streams(1)[0])
        for _ in range(steps):
            rows = np.flatnonzero(rng.random(count) < expected_batch_size / count)
            yield keras.tree.map_structure(operator.itemgetter(rows), (x, y))

    signature = keras.tree.map_structure(lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype), (x, y))
    batches = tf.data.Dataset.from_generator(one_pass, output_signature=signature)
    return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)


def dp_event(steps, sampling_probability, noise_multiplier):
    """What such a training is to an accountant: give it to `claimed=` or to an accountant of dp_accounting.

    Args:
      steps: of all epochs together.
      sampling_probability: expected batch size / number of records.
      noise_multiplier: σ.
    """
    import dp_accounting

    step = dp_accounting.PoissonSampledDpEvent(sampling_probability, dp_accounting.GaussianDpEvent(noise_multiplier))
    return dp_accounting.SelfComposedDpEvent(step, steps)


def _at_step(key, step):
    # In 64 bits: the key that comes out has no more of them than the step.
    return tf.random.experimental.stateless_fold_in(tf.constant(key), tf.cast(step, tf.int64))


def _refuse_unfit(model):
    if type(model).train_step is not keras.Model.train_step or type(model).compute_loss is not keras.Model.compute_loss:
        raise ValueError(
            f"{type(model).__name__} has a train_step or compute_loss of its own, which would not be used."
        )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise ValueError(
                f"the layer {layer.name!r} is a BatchNormalization: it mixes the records of a batch, so that no record's "
                "gradient is its own; use GroupNormalization or LayerNormalization, or freeze it."
            )


def _at_least_one(leaf):
    shape = tf.concat([[tf.cast(tf.equal(tf.shape(leaf)[:1], 0), tf.int32)[0]], tf.shape(leaf)[1:]], axis=0)
    return tf.concat([leaf, tf.zeros(shape, leaf.dtype)], axis=0)
