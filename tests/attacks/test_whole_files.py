"""A file is what was written, or it is known not to be."""

import json

import ml_dtypes
import numpy as np
import pytest

from privacy_callbacks.attacks.whole_files import read_arrays, read_json, remove_unfinished, write_arrays, write_whole

ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.int64(7),
    np.empty((0, 4), np.float64),
    np.array([True, False]),
    np.array([1.5, np.nan, np.inf], ml_dtypes.bfloat16),
    np.array([[1, 2]], np.uint32),
]
ABOUT = {"failures": {3: "its loss became nan"}, "names": ["loss", "größe"]}


def test_arrays_of_every_type_come_back(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, ARRAYS, ABOUT)
    arrays, about = read_arrays(path)
    assert about == json.loads(json.dumps(ABOUT))
    for given, found in zip(ARRAYS, arrays, strict=True):
        assert found.dtype == np.asarray(given).dtype
        assert found.shape == np.shape(given)
        assert found.tobytes() == np.asarray(given).tobytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_a_file_cut_anywhere_or_changed_anywhere_is_not_taken(tmp_path):
    whole, damaged = tmp_path / "whole.npz", tmp_path / "damaged.npz"
    write_arrays(whole, ARRAYS[:2], {})
    content = whole.read_bytes()
    for length in range(0, len(content), 7):
        damaged.write_bytes(content[:length])
        assert read_arrays(damaged) is None
    unchanged = 0
    for place in range(0, len(content), 3):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        found = read_arrays(damaged)
        if found is not None:  # a byte of the archive that means nothing, such as a date
            unchanged += 1
            assert found[0][0].tobytes() == ARRAYS[0].tobytes()
            assert found[1] == {}
    assert unchanged < len(content) / 3 / 4
    assert read_arrays(tmp_path / "nowhere.npz") is None


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, lambda file: file.write(b"[1]"))

    def failing(file):
        file.write(b"[2")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, failing)
    assert read_json(path) == [1]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_killed_writers_left_behind_is_removed(tmp_path):
    path = tmp_path / "inner" / "a.json"
    path.parent.mkdir()
    write_whole(path, lambda file: file.write(b"[1]"))
    stray = path.with_name("a.json.0123.unfinished")
    stray.write_bytes(b"[")
    remove_unfinished(tmp_path)
    assert not stray.exists()
    assert read_json(path) == [1]
    assert read_json(tmp_path / "nowhere") is None
    path.write_bytes(b"\xff{")
    assert read_json(path) is None
