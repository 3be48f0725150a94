"""Files of records and of outputs that were damaged, or are of another kind: refused by name, or read as what they hold."""

import io
import zipfile

import numpy as np
import pytest
from fuzz.odd_arrays import FUZZED, edits, read_or_refused
from fuzz.odd_files import odd_bytes
from hypothesis import given
from hypothesis import strategies as st

from privacy_callbacks.config_data import Data
from privacy_callbacks.config_values import array_from
from privacy_callbacks.data_sources import records_from
from privacy_callbacks.located_yaml import ConfigError
from privacy_callbacks.outputs_file import read_outputs

X = np.arange(24.0, dtype=np.float32).reshape(8, 3)
Y = np.arange(8) % 2
IN = np.arange(8) < 4
CSV = "age,income,label,id\n" + "".join(f"{20 + row},{row * 1.5},{row % 3},r{row}\n" for row in range(20))


def npz(**arrays):
    held = io.BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


def zipped(**texts):
    """An archive, as office documents are, that holds no arrays."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return held.getvalue()


def records_in(path):
    return records_from(Data.model_validate({"file": str(path), "members": 4, "nonmembers": 4}), "file")


def table_in(path):
    data = {"file": str(path), "label": "label", "id": "id", "members": 4, "nonmembers": 4}
    return records_from(Data.model_validate(data), "file")


def numbers_in(path):
    return array_from(str(path), "data.members")


def refusal_of(read):
    return ValueError if read is read_outputs else ConfigError


NPZ = [
    (numbers_in, npz(rows=np.arange(4)), "numbers.npz"),
    (records_in, npz(x=X, y=Y, ids=Y, owners=Y), "records.npz"),
    (table_in, CSV.encode(), "table.csv"),
    (read_outputs, npz(is_member=IN, logits=X, labels=Y), "outputs.npz"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize(("read", "valid", "name"), NPZ, ids=[name for _, _, name in NPZ])
@FUZZED
@given(st.data())
def test_damaged_files_are_read_or_refused(folder, read, valid, name, data):
    path = folder / name
    path.write_bytes(data.draw(odd_bytes(valid)))
    read_or_refused(read, path, names=path, kind=refusal_of(read))


@pytest.mark.parametrize(
    ("read", "valid", "name"), [case for case in NPZ if case[2] != "table.csv"], ids=["numbers", "records", "outputs"]
)
def test_archives_without_arrays_are_refused(folder, read, valid, name):
    path = folder / name
    for held in (
        zipped(x="a"),
        zipped(x="a", y="b"),
        zipped(**{"x.npy": "a", "y.npy": "b", "is_member.npy": "c"}),
        zipped(),
    ):
        path.write_bytes(held)
        assert read_or_refused(read, path, names=path, kind=refusal_of(read)) is None


@pytest.mark.parametrize("name", ["x", "y", "ids", "owners"])
@FUZZED
@given(edits())
def test_odd_arrays_in_a_file_of_records_are_read_or_refused(folder, name, edit):
    arrays = {"x": X, "y": Y, "ids": Y, "owners": Y}
    try:
        arrays[name] = np.asarray(edit[1](arrays[name].astype(float)))
        held = npz(**arrays)
    except (ValueError, TypeError, OverflowError, IndexError):
        return
    path = folder / "odd.npz"
    path.write_bytes(held)
    found = read_or_refused(records_in, path, names=path, kind=ConfigError)
    assert found is None or len(found.x) == len(found.y)


@pytest.mark.parametrize(
    "row",
    [
        "1e39,2,1,x",
        "nan,2,1,x",
        "inf,2,1,x",
        "a,2,1,x",
        ",2,1,x",
        "1,2,1e400,x",
        "1,2,18446744073709551615,x",
        "1,2,,x",
        '"1',
    ],
)
def test_odd_cells_of_a_table_are_read_or_refused(folder, row):
    path = folder / "cells.csv"
    path.write_text(f"{CSV}{row}\n", encoding="utf-8")
    found = read_or_refused(table_in, path, names=path, kind=ConfigError)
    assert found is None or np.isfinite(found.x).all()


def test_a_label_beyond_whole_numbers_is_refused(folder):
    path = folder / "labels.csv"
    path.write_text("age,label,id\n1,18446744073709551615,a\n2,1,b\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds 18446744073709551615, no class number"):
        table_in(path)
