"""The attacks and aggregations that a configuration may name, with their fields. Needs pydantic (the extra `cli`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .config_fields import Count, Flag, Misfit, Positive, Section, Share, Text, Whole


class Attacking(Section):
    """An attack that scores points."""

    def made(self) -> Any:
        """The attack."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _can_be_made(self) -> Attacking:
        self.made()
        return self


class ThresholdAttack(Attacking):
    """One signal of the target, as it is."""

    kind: Literal["threshold"] = Field(description="`threshold`.")
    signal: Text = Field("loss", description="`loss`, `confidence`, `scaled_logit`, `margin`, `entropy`, …")
    per_class: Flag = Field(False, description="Whether to judge each class by itself.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.threshold import Threshold

        return Threshold(self.signal, per_class=self.per_class)


class RmiaAttack(Attacking):
    """RMIA: compared with shadow models, and with other records."""

    kind: Literal["rmia"] = Field(description="`rmia`.")
    mode: Literal["offline", "online"] = Field("offline", description="`offline` (OUT models only) or `online`.")
    a: Share | None = Field(None, description="Of the offline form; null = tuned on shadow models.")
    gamma: Positive = Field(1.0, description="Of the percentile.")
    form: Literal["log_ratio", "percentile"] = Field(
        "log_ratio", description="`log_ratio`, or `percentile`, which saturates and needs `data.population`."
    )
    temperature: Positive = Field(1.0, description="Logits are divided by it.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.rmia import RMIA

        return RMIA(self.mode, self.a, self.gamma, self.form, temperature=self.temperature)


class LiraAttack(Attacking):
    """LiRA: the likelihood ratio of a signal under shadow models that did and did not train on the record."""

    kind: Literal["lira"] = Field(description="`lira`.")
    mode: Literal["online", "offline"] = Field("online", description="`online` or `offline` (OUT models only).")
    variance: Literal["auto", "pooled", "per_record", "student_t"] = Field(
        "auto", description="`auto`, `pooled`, `per_record` or `student_t`."
    )
    signal: Text = Field("scaled_logit", description="Which signal.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.lira import LiRA

        return LiRA(self.mode, self.variance, self.signal)


class AttackRAttack(Attacking):
    """The rank of a signal among the shadow models' that did not train on the record."""

    kind: Literal["attack_r"] = Field(description="`attack_r`.")
    signal: Text = Field("loss", description="Which signal.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.attack_r import AttackR

        return AttackR(self.signal)


class AttackPAttack(Attacking):
    """The rank of a signal among those of a population; needs `data.population`."""

    kind: Literal["attack_p"] = Field(description="`attack_p`.")
    signal: Text = Field("loss", description="Which signal.")
    per_class: Flag = Field(False, description="Whether to compare within a class.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.attack_p import AttackP

        return AttackP(self.signal, per_class=self.per_class)


class DifficultyAttack(Attacking):
    """A signal less its mean over shadow models that did not train on the record."""

    kind: Literal["difficulty_calibration"] = Field(description="`difficulty_calibration`.")
    signal: Text = Field("scaled_logit", description="Which signal.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.difficulty_calibration import DifficultyCalibration

        return DifficultyCalibration(self.signal)


class MultiSignalAttack(Attacking):
    """LiRA on several signals together."""

    kind: Literal["multi_signal_lira"] = Field(description="`multi_signal_lira`.")
    signals: list[Text] = Field(["scaled_logit", "loss"], min_length=1, description="Which signals.")
    mode: Literal["online", "offline"] = Field("online", description="`online` or `offline` (OUT models only).")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.multi_signal_lira import MultiSignalLiRA

        return MultiSignalLiRA(tuple(self.signals), self.mode)


class TrainedAttack(Attacking):
    """A classifier fitted to the signals of one half of the records, and judged on the other, and the other way round."""

    kind: Literal["trained"] = Field(description="`trained`.")
    classifier: Text = Field(
        "logistic_regression",
        description="`logistic_regression`, `svc`, `mlp`, `random_forest`, `knn` or `gradient_boosting`.",
    )
    search: Flag = Field(False, description="Whether to choose among a few settings; takes about ten times as long.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.trained import Trained

        return Trained(self.classifier, search=self.search)


class QuantileAttack(Attacking):
    """A signal against its distribution among records with such features that no model trained on."""

    kind: Literal["quantile_regression"] = Field(description="`quantile_regression`.")
    signal: Text = Field("scaled_logit", description="Which signal.")
    head: Literal["gaussian", "pinball"] = Field("gaussian", description="`gaussian` or `pinball`.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.quantile_regression import QuantileRegression

        return QuantileRegression(self.signal, head=self.head)


class LabelOnlyAttack(Attacking):
    """The share of right answers to a record and to perturbations of it."""

    kind: Literal["label_only"] = Field(description="`label_only`.")
    shifts: Whole = Field(
        1, description="Images are moved by so many pixels; 0 = not at all, for records that are no images."
    )
    mirror: Flag = Field(False, description="Whether to ask the mirror image, too.")
    noise: Positive | None = Field(None, description="Standard deviation of Gaussian noise; null = none.")
    draws: Count = Field(8, description="How many noisy copies.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.label_only import LabelOnly

        return LabelOnly(self.shifts, self.mirror, self.noise, self.draws)


class TrajectoryAttack(Attacking):
    """The course of a record's loss over the epochs audited so far; needs `every`."""

    kind: Literal["trajectory"] = Field(description="`trajectory`.")
    statistic: Literal["mean", "iqr"] = Field("mean", description="`mean`, or `iqr`, which ranks members by risk.")

    def made(self) -> Any:
        """See `Attacking`."""
        from privacy_callbacks.attacks.trajectory import Trajectory

        return Trajectory(self.statistic)


AnyAttack = Annotated[
    ThresholdAttack | RmiaAttack | LiraAttack | AttackRAttack | AttackPAttack | DifficultyAttack,
    Field(discriminator="kind"),
]


AnyPointAttack = Annotated[
    ThresholdAttack
    | RmiaAttack
    | LiraAttack
    | AttackRAttack
    | AttackPAttack
    | DifficultyAttack
    | MultiSignalAttack
    | TrainedAttack
    | QuantileAttack
    | LabelOnlyAttack
    | TrajectoryAttack,
    Field(discriminator="kind"),
]


def attack_section(given: Any) -> Any:
    """An attack's section of a name alone: a kind, or a signal for a threshold on it."""
    if not isinstance(given, str):
        return given
    from privacy_callbacks.attacks.attack import FURTHER_SIGNALS, SIGNAL_NAMES

    return {"kind": "threshold", "signal": given} if given in (*SIGNAL_NAMES, *FURTHER_SIGNALS) else {"kind": given}


class TrimmedMean(Section):
    """The mean of a range's scores without the lowest and the highest."""

    kind: Literal["trimmed_mean"] = Field(description="`trimmed_mean`.")
    keep: tuple[Share, Share] = Field(
        (0.0, 1.0), description="[lo, hi], the shares of sorted scores to keep; [.25, 1] leaves out the lowest quarter."
    )

    @model_validator(mode="after")
    def _in_order(self) -> TrimmedMean:
        if self.keep[0] > self.keep[1]:
            raise Misfit(("keep",), f"is {list(self.keep)}; give the lower share first, e.g. [0.25, 1].")
        return self


class Mean(Section):
    """The mean of a range's scores."""

    kind: Literal["mean"] = Field(description="`mean`.")


class Largest(Section):
    """The largest score: on log-ratios, the generalised likelihood ratio."""

    kind: Literal["largest"] = Field(description="`largest`.")


class LogMeanExp(Section):
    """log of the mean of exp(score): on log-ratios, the Bayes average."""

    kind: Literal["log_mean_exp"] = Field(description="`log_mean_exp`.")


class TopK(Section):
    """The mean of the largest scores."""

    kind: Literal["top_k"] = Field(description="`top_k`.")
    k: Count = Field(3, description="Of how many.")


class Tuned(Section):
    """The trimmed mean that tells best what shadow models trained on; an attack with four of them at least."""

    kind: Literal["tuned"] = Field(description="`tuned`.")


AnyAggregate = Annotated[
    TrimmedMean | Mean | Largest | LogMeanExp | TopK | Tuned,
    Field(discriminator="kind"),
]
