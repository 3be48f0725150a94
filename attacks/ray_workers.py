"""How a fleet of shadow models is spread over the workers of a Ray cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

ENGINES_WITHIN = ("auto", "compiled", "stacked", "xla", "fit")


@dataclass(frozen=True)
class RayWorkers:
    """`ShadowModels(engine=RayWorkers(...))`: processes, on one machine or many, that train a share of the shadow models each.

    What is sent to them is the records, the architecture and how it is compiled; never the target's weights.
    A worker that dies is replaced, and its replacement makes the same shadow models again. On one machine this is slower than
    training in this process. Needs `pip install "privacy-callbacks[ray]"` wherever a worker runs.

    Args:
      num_workers: None = as many as the cluster has room for.
      num_cpus: that each worker takes of the cluster, and the threads TensorFlow may use there, rounded up.
      num_gpus: that each worker takes; a share of one, such as 0.5, lets several workers sit on it.
      engine: trains the shadow models within a worker, see `ShadowModels`; "auto": what the first worker finds fastest.
      address: of a running cluster, "auto" or host:port. None = the Ray that runs in this process already, else the one that the
        environment variable RAY_ADDRESS names, else a cluster of this machine alone, started now and stopped afterwards.
      retries: how often in a row a worker is replaced before its shadow models are left out.
    Raises:
      ValueError: on numbers out of range, an unknown engine, or the address of a Ray Client.
    """

    num_workers: int | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    engine: str = "auto"
    address: str | None = None
    retries: int = 3

    def __post_init__(self) -> None:
        if self.num_workers is not None:
            _whole("num_workers", self.num_workers, 1)
        _whole("retries", self.retries, 0)
        if not _is_number(self.num_cpus) or not 0 < self.num_cpus < math.inf:
            raise ValueError(f"num_cpus is {self.num_cpus!r}; give a positive number.")
        if not _is_number(self.num_gpus) or not 0 <= self.num_gpus < math.inf:
            raise ValueError(f"num_gpus is {self.num_gpus!r}; give 0 or a positive number.")
        if self.engine not in ENGINES_WITHIN:
            known = ", ".join(map(repr, ENGINES_WITHIN))
            raise ValueError(f"engine is {self.engine!r}; within a worker it is one of {known}.")
        if self.address is not None and not isinstance(self.address, str):
            raise ValueError(f"address is {self.address!r}; give 'auto' or host:port.")
        if self.address is not None and self.address.startswith("ray://"):
            raise ValueError(client_refused(self.address))

    @property
    def threads(self) -> int:
        """That TensorFlow may use in a worker."""
        return math.ceil(self.num_cpus)


def client_refused(address: str) -> str:
    """The sentence for whoever comes through a Ray Client."""
    return (
        f"the address {address!r} is that of a Ray Client, through which results cannot be streamed; run this program on a "
        "machine of the cluster (ray job submit), with 'auto' or host:port."
    )


def ray_workers_of(engine: Any) -> RayWorkers | None:
    """The workers that `ShadowModels(engine=...)` asks for; None if it trains in this process."""
    if isinstance(engine, RayWorkers):
        return engine
    return RayWorkers() if engine == "ray" else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; give a whole number, at least {least}.")
