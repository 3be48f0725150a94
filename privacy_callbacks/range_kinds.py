"""The ranges that a configuration may name, with their fields. Needs pydantic (the extra `cli`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict, field_validator, model_validator

from privacy_callbacks.attacks.attack import check_name

from .config_fields import (
    Count,
    Flag,
    Imputing,
    Misfit,
    Norm,
    Number,
    Positive,
    Section,
    Share,
    Text,
    Token,
    Whole,
    norm,
    number,
)


class Ranged(Section):
    """What every range has."""

    name: Text | None = Field(None, description="What results call the range; null = its kind and size.")

    @field_validator("name")
    @classmethod
    def _fits_files(cls, name: str | None) -> str | None:
        return None if name is None else check_name(name)

    @property
    def size(self) -> tuple[str, float] | None:
        """(what its size is, how large), for curves; None if it has no size."""
        return None


class BallRange(Ranged):
    """All records within a distance."""

    kind: Literal["ball"] = Field(description="`ball`.")
    radius: Positive = Field(description="The largest distance; of `hamming`, how many values may differ.")
    p: Norm = Field(2, description="1, 2, `inf`, or `hamming`.")
    domain: tuple[Number, Number] | None = Field(
        None, description="[low, high]: records lie within, points are projected into it; null = none."
    )
    margin: Annotated[float, BeforeValidator(number), Field(ge=0, le=1)] | None = Field(
        None,
        description="Training records up to this share beyond the radius make a range's truth uncertain; null = .01, of "
        "`hamming` 0.",
    )
    values: Annotated[int, Strict(), Field(ge=2)] | None = Field(
        None, description="Of `hamming`: columns hold 0 … values − 1; null = 0 and 1."
    )
    include_centre: Flag = Field(False, description="Whether the first point is the centre itself.")

    @model_validator(mode="after")
    def _hamming(self) -> BallRange:
        if self.p == "hamming" and self.radius != int(self.radius):
            raise Misfit(("radius",), f"is {self.radius:g}, but hamming counts values; give a whole number.")
        if self.p != "hamming" and self.values is not None:
            raise Misfit(("values",), f"is given, but p is {self.p}; only hamming draws from listed values.")
        if self.domain is not None and self.domain[0] >= self.domain[1]:
            raise Misfit(("domain",), f"is {list(self.domain)}; give the lower end first.")
        return self

    @property
    def size(self) -> tuple[str, float]:
        """See `Ranged`."""
        return f"radius (p = {self.p})", self.radius


class TransformationsRange(Ranged):
    """Variations of images; without any field: mirrored, one pixel aside, ±5°, ±10 % brightness."""

    kind: Literal["transformations"] = Field(description="`transformations`.")
    transformations: list[Text] = Field(
        [],
        description="By name (`mirrored`, `rotated-90`, `grey`, …), or `package.module:function` (batch → batch, TensorFlow "
        "operations, deterministic).",
    )
    flips: list[Literal["left-right", "up-down"]] = Field([], description="`left-right`, `up-down`.")
    shifts: Whole = Field(0, description="By up to so many pixels.")
    rotations: list[Number] = Field([], description="Degrees, counter-clockwise.")
    crops: list[Share] = Field([], description="Shares of either side that are kept.")
    brightness: list[Positive] = Field([], description="Factors, 1 = unchanged.")
    contrast: list[Positive] = Field([], description="Factors, 1 = unchanged.")
    saturation: list[Annotated[float, BeforeValidator(number), Field(ge=0, allow_inf_nan=False)]] = Field(
        [], description="Factors, 0 = grey; images of three channels."
    )
    noise: Positive | None = Field(None, description="Standard deviation of Gaussian noise; null = none.")
    draws: Count = Field(4, description="How many draws of noise.")
    unaltered: Flag = Field(True, description="Whether the record itself is one of them.")
    combine: Flag = Field(False, description="Whether to take all products of the families, at most 1024.")
    domain: tuple[Number, Number] | None = Field(
        None, description="[low, high] of values: transformed ones are clipped; null = those of the type."
    )
    tolerance: Annotated[float, BeforeValidator(number), Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="Up to which difference of a value records count as equal; null = rounding errors."
    )


class MissingFeaturesRange(Ranged):
    """Records of which some columns are unknown. Give one of `columns`, `missing`, `mask`."""

    kind: Literal["missing_features"] = Field(description="`missing_features`.")
    columns: list[Whole] | None = Field(None, description="Positions of the columns that every record misses, from 0.")
    missing: Count | None = Field(
        None, description="How many columns each record misses, drawn for each record by the seed."
    )
    mask: Text | None = Field(
        None,
        description="A `.npy` or `.npz` file of true = missing: [columns], or [rows of the data, columns].",
    )
    values: list[Number] | None = Field(
        None, min_length=1, description="What a missing column may hold, e.g. [0, 1]; or `low` and `high`."
    )
    low: Number | None = Field(None, description="The least that a missing column may hold.")
    high: Number | None = Field(None, description="The most that a missing column may hold.")
    integer: Flag = Field(False, description="Whether columns between `low` and `high` hold whole numbers.")
    imputer: Imputing = Field(
        "uniform",
        description="`uniform` over the values, `marginal` (as often as in the population), `knn` (of one of the nearest in the "
        "population), or `package.module:function`, which takes the population's x and returns an imputer.",
    )
    neighbours: Count = Field(5, description="Of `knn`: how many nearest records to take values from.")
    missing_label: Flag = Field(False, description="Whether the label is unknown, too.")

    @model_validator(mode="after")
    def _one_mask(self) -> MissingFeaturesRange:
        given = [name for name in ("columns", "missing", "mask") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) + " are given" if given else "none is given"
            raise Misfit((), f"which columns are missing: {found}; give one of columns, missing, mask.")
        if (self.low is None) != (self.high is None) or (self.values is not None and self.low is not None):
            raise Misfit((), "what missing columns may hold: give values, or low and high together.")
        if self.imputer == "uniform" and self.values is None and self.low is None:
            raise Misfit(
                ("imputer",), "is uniform, over what values is not said; give values: [0, 1], say, or low and high."
            )
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise Misfit(("low",), f"is {self.low:g} and high {self.high:g}; give the lower end first.")
        return self

    @property
    def size(self) -> tuple[str, float] | None:
        """See `Ranged`."""
        count = self.missing if self.columns is None else len(self.columns)
        return None if count is None else ("missing columns", float(count))


class SameOwnerRange(Ranged):
    """The other records of a record's owner, of which `data.held_out` are set aside to ask about."""

    kind: Literal["same_owner"] = Field(description="`same_owner`.")


class TokensRange(Ranged):
    """Texts, or rows of tokens, with some words replaced, dropped or masked."""

    kind: Literal["tokens"] = Field(description="`tokens`.")
    edits: Count = Field(description="How many words or tokens are altered.")
    edit: Literal["replace", "drop", "mask"] = Field("replace", description="`replace`, `drop` or `mask`.")
    vocabulary: Token | None = Field(
        None, description="How many tokens there are, or a text file with a word a line; to `replace`."
    )
    mask_token: Token | None = Field(None, description="What stands for a word; to `mask`.")
    padding: Whole | None = Field(0, description="The token that fills rows up, never altered; null = none.")
    up_to: Flag = Field(False, description="Whether a point has 1 … edits of them instead of exactly so many.")

    @model_validator(mode="after")
    def _fitting(self) -> TokensRange:
        if self.edit == "replace" and self.vocabulary is None:
            raise Misfit(
                ("vocabulary",),
                "is missing, and words are to be replaced; give the number of tokens, or a file of words.",
            )
        if self.edit == "mask" and self.mask_token is None:
            raise Misfit(("mask_token",), "is missing, and words are to be masked; give the token or word.")
        return self

    @property
    def size(self) -> tuple[str, float]:
        """See `Ranged`."""
        return "edits", float(self.edits)


class NearRange(Ranged):
    """All records near to one in an embedding."""

    kind: Literal["near"] = Field(description="`near`.")
    radius: Positive = Field(description="The largest distance between embeddings.")
    embed: Text | None = Field(
        None,
        description="A `.keras` file, or `package.module:function` (batch → [n, k]); null = the records as they are.",
    )
    p: Annotated[Literal[1, 2, "inf"], BeforeValidator(norm)] = Field(2, description="1, 2 or `inf`.")
    scale: Positive | None = Field(None, description="The first steps' length; null = found on the data.")

    @property
    def size(self) -> tuple[str, float]:
        """See `Ranged`."""
        return f"radius (p = {self.p}, embedded)" if self.embed else f"radius (p = {self.p})", self.radius


AnyRange = Annotated[
    BallRange | TransformationsRange | MissingFeaturesRange | SameOwnerRange | TokensRange | NearRange,
    Field(discriminator="kind"),
]


def default_name(ranged: Any) -> str:
    """`ball_0.5`: the kind, and the size if it has one."""
    return ranged.kind if ranged.size is None else f"{ranged.kind}_{ranged.size[1]:g}".replace("+", "")
