"""Neighbourhoods in an embedding: points lie within, the truth is exact, the embedding is left as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.near import Near

LENGTH = {
    1: lambda one: np.abs(one).sum(-1),
    2: lambda one: np.linalg.norm(one, axis=-1),
    np.inf: lambda one: np.abs(one).max(-1),
}


def records(n=40, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype("float32")


def encoder(d=6, training=True):
    """A small encoder with all that inference mode must keep still: dropout, batch statistics, a random layer."""
    return keras.Sequential(
        [
            keras.Input((d,)),
            keras.layers.GaussianNoise(0.5, seed=1),
            keras.layers.Dense(8, "tanh", kernel_initializer=keras.initializers.GlorotUniform(3)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=2),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(4)),
        ]
    )


def squares(x):
    return tf.concat([x**2, x], axis=1)


def inference(embed, x):
    if embed is None:
        return x.astype(np.float64)
    found = embed(x, training=False) if isinstance(embed, keras.Layer) else embed(tf.constant(x))
    return found.numpy().astype(np.float64)


@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("make", [lambda: None, encoder, lambda: squares])
def test_points_lie_in_the_range_and_differ_from_the_centre(make, p):
    embed, x = make(), records()
    points = Near(0.4, embed, p).sample(x, 12, seed=1)
    ours = np.repeat(inference(embed, x), 12, axis=0)
    apart = LENGTH[p](inference(embed, points.reshape(-1, 6)) - ours)
    assert apart.max() <= 0.4 * (1 + 1e-4)
    assert np.median(apart) > 0.05
    assert (points != x[:, None]).any(axis=2).mean() > 0.99


@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("make", [lambda: None, encoder, lambda: squares])
def test_truth_is_the_distance_between_embeddings(make, p):
    embed, x, training = make(), records(30), records(2500, seed=1)
    distance = LENGTH[p](inference(embed, x)[:, None] - inference(embed, training)[None])
    radius = float(np.quantile(distance, 0.002))
    near, found = Near(radius, embed, p, scale=1.0), np.zeros(distance.shape, int)
    for pairs in near.pairs(x, training):
        found[pairs.rows, pairs.hits] = 1 + pairs.certain
    expected = np.where(distance <= radius, 2, distance <= radius * 1.01)
    told = np.abs(distance[..., None] / (radius * np.array([1, 1.01])) - 1).min(axis=-1) > 1e-5
    np.testing.assert_array_equal(found[told], expected[told])
    assert (found == 2).any()


def test_without_an_embedding_the_edge_is_exact():
    x, step = np.zeros((1, 3)), np.array([0.6, 0.8, 0.0])
    near = Near(2.0)
    for length, inside in ((2 * (1 - 1e-7), True), (2 * (1 + 1e-7), False), (2.03, False)):
        assert near.contains(x, length * step[None]).tolist() == [inside]
    uncertain = list(near.pairs(x, 2 * (1 + 1e-7) * step[None]))
    assert [part.certain.tolist() for part in uncertain] == [[False]]


def test_a_near_duplicate_is_found_and_a_stranger_is_not():
    x, embed = records(), encoder()
    near = Near(0.05, embed)
    assert near.contains(x, x[::-1] + 1e-4).all()
    assert not near.contains(x, x + 5).any()


def test_the_embedding_is_asked_in_inference_mode_and_left_as_it_is():
    x, embed = records(), encoder()
    before = [np.copy(variable.numpy()) for variable in embed.variables]
    near = Near(0.3, embed)
    first = near.sample(x, 3)
    assert near.contains(x, x).all()
    np.testing.assert_array_equal(near.sample(x, 3), first)
    for variable, held in zip(embed.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), held)


def test_queries_are_embedded_once_and_training_records_each_time():
    embedded = []

    def counting(batch):
        embedded.append(len(batch))
        return squares(batch)

    x, training = records(30), records(50, seed=1)
    near = Near(0.8, counting, scale=1.0).at(RangeRecords(x))
    for batch in (training[:20], training[20:]):
        embedded.clear()
        list(near.pairs(x, batch))
        assert sum(embedded) == len(batch)
    embedded.clear()
    list(near.pairs(x.copy(), training))  # other arrays, so other queries
    assert sum(embedded) == 80


def test_a_bound_range_tells_the_truth_about_other_queries_too():
    x, others, training = records(30), records(40, seed=2), records(200, seed=1)
    free = Near(3.0, squares, scale=1.0)
    bound = free.at(RangeRecords(x))
    for queries in (x, others):
        found, expected = (np.concatenate(list(near.pairs(queries, training)), axis=1) for near in (bound, free))
        np.testing.assert_array_equal(found, expected)
        assert found.size
    assert bound == free  # a range is its settings


def test_of_no_queries_there_is_no_pair():
    none = np.zeros((0, 6), np.float32)
    for embed in (None, squares):
        assert list(Near(0.5, embed, scale=1.0).at(RangeRecords(none)).pairs(none, records())) == []


@pytest.mark.parametrize(
    ("near", "kind"),
    [
        (Near(0.5), "near, l2 radius 0.5"),
        (Near(3, p=np.inf), "near, linf radius 3"),
        (Near(0.25, squares, 1), "near in an embedding, l1 radius 0.25"),
    ],
)
def test_reports_say_how_near(near, kind):
    assert near.kind == kind


@pytest.mark.parametrize("make", [lambda: None, encoder])
def test_the_scale_lets_half_of_the_directions_out(make):
    embed, x = make(), records(200)
    near = Near(0.3, embed).at(RangeRecords(x))
    if embed is None:
        assert near.scale == pytest.approx(0.3, rel=1e-3)
    way = np.random.default_rng(5).normal(size=x.shape)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    moved = (x + near.scale * way).astype("float32")
    if embed is not None:
        share = np.mean(LENGTH[2](inference(embed, moved) - inference(embed, x)) <= 0.3)
        assert 0.4 < share < 0.6
    assert Near(0.3, embed, scale=0.7).at(RangeRecords(x)).scale == 0.7


@pytest.mark.parametrize("make", [lambda: None, encoder])
def test_a_record_gets_the_same_points_in_whatever_batch_and_graph(make):
    x = records(60)
    near = Near(0.3, make()).at(RangeRecords(x))
    draw = tf.function(lambda part, index, first: near.draw(part, 16, index, 3, first), reduce_retracing=True)
    draw.get_concrete_function(tf.TensorSpec([None, x.shape[1]]), *[tf.TensorSpec([], tf.int32)] * 2)
    for index in (0, 5):
        whole = near.draw(tf.constant(x), 16, index, 3)
        part = near.draw(tf.constant(x[30:40]), 16, index, 3, 30)
        np.testing.assert_array_equal(part, whole[30:40])
        graph = draw(tf.constant(x[30:40]), tf.constant(index), tf.constant(30))
        np.testing.assert_array_equal(graph, part)


def test_points_are_drawn_in_a_data_set_and_over_a_loop_of_indices():
    x = records()
    near = Near(0.3, encoder(), scale=0.5)
    batch = next(iter(tf.data.Dataset.from_tensors(x).map(lambda part: near.sample(part, 3))))
    np.testing.assert_array_equal(batch, near.sample(x, 3))

    @tf.function
    def last(part):
        def body(index, _):
            return index + 1, near.draw(part, 3, index, 0)

        return tf.while_loop(lambda index, _: index < 3, body, (tf.constant(0), part))[1]

    np.testing.assert_array_equal(last(tf.constant(x)), near.sample(x, 3)[:, 2])


def test_points_stay_within_the_domain_and_the_limits_of_their_type():
    x = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1)).astype("uint8")
    points = Near(60.0).sample(x, 4)
    assert points.dtype == np.uint8
    assert np.linalg.norm((points.astype(int) - x[:, None]).reshape(30, 4, -1), axis=-1).max() <= 60
    assert (points != x[:, None]).any(axis=(2, 3, 4)).mean() > 0.9
    shares = np.random.default_rng(1).random((30, 5)).astype("float32")
    points = Near(0.5, domain=(0, 1)).sample(shares, 4)
    assert points.min() >= 0
    assert points.max() <= 1


def test_a_range_that_no_step_stays_in_gives_the_centre():
    x = records(5)

    def torn(batch):
        unmoved = tf.reduce_all(tf.constant(x)[None] == batch[:, None], axis=2)
        return tf.cast(~tf.reduce_any(unmoved, axis=1), tf.float32)[:, None]

    points = Near(0.5, torn, scale=1.0).sample(x, 2)
    np.testing.assert_array_equal(points, np.repeat(x[:, None], 2, axis=1))


def test_several_inputs_move_together_and_texts_stay():
    x = {"a": records(8, 3), "b": (records(8, 2, seed=1),), "text": np.array(["t"] * 8)}
    near = Near(0.5, lambda nest: tf.concat([nest["a"], nest["b"][0]], axis=1))
    points = near.sample(x, 3)
    moved = np.concatenate([points["a"] - x["a"][:, None], points["b"][0] - x["b"][0][:, None]], axis=-1)
    assert np.linalg.norm(moved, axis=-1).max() <= 0.5 * (1 + 1e-5)
    assert (moved != 0).all()
    assert points["text"].shape == (8, 3)
    assert near.contains(x, x).all()


def test_texts_have_neighbours_but_no_points():
    lengths = Near(0.5, lambda texts: tf.cast(tf.strings.length(texts), tf.float32)[:, None], scale=1.0)
    assert lengths.contains(np.array(["one", "three"]), np.array(["two"])).tolist() == [True, False]
    with pytest.raises(ValueError, match="no input is left to change"):
        lengths.sample(np.array(["one"]), 2)


def test_equal_ranges_are_equal_and_other_weights_make_another():
    embed, other = encoder(), encoder()
    assert Near(0.5, embed) == Near(0.5, embed)
    other.layers[-1].bias.assign_add(np.ones(3))
    assert Near(0.5, embed) != Near(0.5, other)
    assert Near(0.5) != Near(0.6)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"radius": 0}, ValueError, "radius is 0; give a positive, finite number"),
        ({"radius": -1}, ValueError, "radius is -1"),
        ({"radius": np.nan}, ValueError, "radius is nan"),
        ({"radius": 1, "scale": 0}, ValueError, "scale is 0; give a positive"),
        ({"radius": 1, "margin": -1}, ValueError, "margin is -1"),
        ({"radius": 1, "p": "hamming"}, ValueError, r"or use LpBall\(radius, 'hamming'\)"),
        ({"radius": 1, "p": 3}, ValueError, r"p is 3; give 1, 2, np\.inf"),
        ({"radius": 1, "embed": 5}, TypeError, "embed is 5; give a Keras layer"),
        ({"radius": 1, "embed": keras.layers.Dense(2, name="raw")}, ValueError, "raw has no weights yet"),
        ({"radius": 1, "domain": 1}, ValueError, r"domain is 1; give \(low, high\)"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(arguments, kind, text):
    with pytest.raises(kind, match=text):
        Near(**arguments)


@pytest.mark.parametrize(
    ("near", "x", "text"),
    [
        (Near(1.0, domain=(0, 1)), np.array([[0.5], [1.5]]), r"record 1 holds 1\.5, outside of the domain"),
        (Near(1.0), np.array([[np.nan]]), "missing or infinite"),
        (Near(1.0), np.array(["a"]), "no neighbourhood in numbers"),
        (Near(1.0, lambda x: x / 0), np.ones((3, 2)), "embed gives values that are missing or infinite"),
        (Near(1.0, lambda x: (x, x)), np.ones((3, 2)), "let it give one tensor"),
        (Near(1.0, lambda x: tf.reduce_sum(x)), np.ones((3, 2)), "embed gives shape"),
        (Near(1.0, lambda x: x[:1]), np.ones((3, 2)), r"embed gives shape \(1, 2\) for 2 records"),
        (
            Near(1.0, lambda x: tf.matmul(x, tf.ones([5, 5]))),
            np.ones((3, 2), "float32"),
            "embed cannot be asked about x",
        ),
        (
            Near(1.0, lambda x: tf.zeros_like(x)),
            np.ones((3, 2)),
            r"no step from the records leads out of the radius 1\.0",
        ),
        (Near(9.0, domain=(0, 1)), np.ones((3, 2)), "no step from the records leads out"),
        (
            Near(0.5, lambda x: tf.cast(x != 0, tf.float64)),
            np.zeros((3, 2)),
            r"no step from the records, however short, stays within the radius 0\.5; give a larger",
        ),
    ],
)
def test_records_that_do_not_fit_the_range_are_refused(near, x, text):
    with pytest.raises(ValueError, match=text):
        near.sample(x, 2)


def test_in_a_graph_it_asks_for_a_scale():
    with pytest.raises(ValueError, match="Near has no scale yet"):
        Near(1.0).sample(tf.zeros([2, 2]), 2)
