"""Shards embedded by the machines of a Ray cluster: an actor on each, which holds the network and writes its shards.

Ray's actors are used, not Ray Data: on two cores the scheduler of Ray Data starts nothing while an actor holds them,
and there is nothing to schedule but shards. A shard that its actor did not finish (killed, out of memory, machine gone)
is given to another one; what is whole is never written again.
"""

import builtins
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from types import ModuleType
from typing import Any, Protocol

from lookalike.console import progress, say
from lookalike.errors import LookalikeError, needing, one_line
from lookalike.evaluation.sharded import Source, Written, begin, need_same_model, write_rows
from lookalike.inference.encoder import Encoder
from lookalike.inference.shards import Plan, read_plan, whole_shard
from lookalike.storage import Storage, storage_of

_SAME = ("lookalike", "numpy", "openvino", "opencv-python-headless", "pillow")  # what the numbers depend on
_SECONDS = 5.0  # for a cluster to take a connection
_DEATHS = 3  # of its actors, after which a shard is given up
_WAITING = 2  # shards that an actor has: one that it embeds, and the next
_QUIET = {  # before Ray is imported
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


class Embeds(Protocol):
    """What has a network: a `Model`."""

    @property
    def encoder(self) -> Encoder:
        """What embeds."""


class ClusterError(LookalikeError):
    """A cluster cannot be used, or not with this installation."""


@dataclass(frozen=True)
class Cluster:
    """Where shards are embedded.

    Attributes:
        address: `ray://host:port`, `host:port` or `auto` of a cluster; None for one of this machine, for this run.
        workers: Actors; None for one on every machine.
        cpus: Cores that each is given; None for those of the smallest machine, shared by its actors.
        gpus: GPUs that each is given, parts of one among them.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float | None = None
    gpus: float = 0.0


def embed_by_ray(
    load: Callable[[], Embeds], source: Source, storage: Storage, plan: Plan, cluster: Cluster
) -> Iterator[Written]:
    """Writes all shards that lack, each as it becomes whole.

    Args:
        load: Makes the network, on each machine; it can be pickled.
        source: The images; paths mean the same on every machine.
        storage: Where the shards go, the same place on every machine; begun (see `sharded.begin`) once actors stand.
        plan: Of that place.
        cluster: Where they are embedded.

    Yields:
        What became of each shard: those that are whole already first.

    Raises:
        ClusterError: No cluster there, another version of a package on its machines, actors that die again and again.
        LookalikeError: As `sharded.write_shard`; the extra `ray` is not installed.
    """
    if read_plan(storage) is not None:
        begin(storage, plan)  # refuses another one before a cluster is asked for
    lacking = []
    for shard in range(1, plan.shards + 1):
        whole = whole_shard(storage, plan, shard)
        if whole is None:
            lacking.append(shard)
        else:
            yield Written(shard, *whole, before=True)
    if lacking:
        with needing("ray", "engine=ray"), _connected(cluster) as connected:
            yield from _Team(connected, (load, storage.place, plan), cluster).embed(source, storage, plan, lacking)


class _Embedder:
    """What runs on a machine of the cluster: the network, and where shards go."""

    def __init__(self, load: Callable[[], Embeds], place: str, plan: Plan) -> None:
        self._encoder, self._plan = load().encoder, plan
        need_same_model(place, plan, self._encoder)
        self._storage = storage_of(place)

    def versions(self) -> dict[str, str]:
        """Of the packages that the numbers depend on."""
        return versions()

    def write(self, part: Source, shard: int) -> Written:
        """As `sharded.write_rows`."""
        return write_rows(self._encoder, part, self._storage, self._plan, shard)


def versions() -> dict[str, str]:
    """Package -> version, of those that the numbers depend on."""
    return {"python": python_version().rpartition(".")[0], **{name: version(name) for name in _SAME}}


class _Team:
    """The actors of a run and what they do."""

    def __init__(self, library: ModuleType, facts: tuple[Any, ...], cluster: Cluster) -> None:
        self._ray, self._cluster = library, cluster
        machines = [node["Resources"] for node in library.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        self._workers = cluster.workers or max(1, len(machines))
        smallest = min((machine["CPU"] for machine in machines), default=1.0)
        cpus = cluster.cpus or max(1.0, smallest // -(-self._workers // max(1, len(machines))))
        self._need_room(cpus)
        self._actor = library.remote(num_cpus=cpus, num_gpus=cluster.gpus, scheduling_strategy="SPREAD")(_Embedder)
        self._facts = facts

    def _need_room(self, cpus: float) -> None:
        """Refuses what would wait for ever: an actor that no machine of the cluster has room for."""
        there = self._ray.cluster_resources()
        wanted = {"CPU": cpus * self._workers, "GPU": self._cluster.gpus * self._workers}
        for kind, count in wanted.items():
            if count > there.get(kind, 0):
                raise ClusterError(
                    f"engine=ray: {self._workers} worker(s) want {count:g} {kind}s, and the cluster has "
                    f"{there.get(kind, 0):g}: give fewer ray.workers, or smaller ray.cpus and ray.gpus"
                )

    def embed(self, source: Source, storage: Storage, plan: Plan, lacking: list[int]) -> Iterator[Written]:
        """Gives shards to actors until all are whole."""
        waiting, deaths = deque(lacking), dict.fromkeys(lacking, 0)
        actors = self._begun(min(self._workers, len(lacking)))
        begin(storage, plan)
        asked: dict[Any, tuple[Any, int]] = {}
        with progress(f"embedding {plan.shards} shards", plan.rows) as advance:
            while waiting or asked:
                for actor in actors:
                    while waiting and sum(mine is actor for mine, _ in asked.values()) < _WAITING:
                        shard = waiting.popleft()
                        asked[actor.write.remote(self._part(source, plan, shard), shard)] = (actor, shard)
                (ready, *_), _ = self._ray.wait(list(asked), num_returns=1)
                actor, shard = asked.pop(ready)
                try:
                    written: Written = self._answer(ready)
                except self._ray.exceptions.RayActorError as error:
                    lost = [shard, *(other for mine, other in asked.values() if mine is actor)]
                    asked = {task: pair for task, pair in asked.items() if pair[0] is not actor}
                    deaths[shard] += 1
                    if deaths[shard] >= _DEATHS:
                        raise ClusterError(
                            f"shard {shard} of {plan.shards}: its worker died {_DEATHS} times "
                            f"({one_line(error, 120)}): "
                            "look at the memory of its machine, give more shards, or embed it alone with "
                            f"shard={shard}/{plan.shards}"
                        ) from error
                    say(f"shard {shard} of {plan.shards}: its worker died: another one begins it again")
                    waiting.extendleft(reversed(lost))
                    (actors[actors.index(actor)],) = self._begun(1)
                    continue
                advance(len(plan.ids(shard)))
                yield written

    def _part(self, source: Source, plan: Plan, shard: int) -> Source:
        ids = plan.ids(shard)
        return replace(source, rows=source.rows.iloc[ids.start : ids.stop], lost=())

    def _begun(self, count: int) -> list[Any]:
        """New actors, which begin beside each other; their packages are those of this process."""
        actors = [self._actor.remote(*self._facts) for _ in range(count)]
        ours = versions()
        for theirs in [self._answer(task) for task in [actor.versions.remote() for actor in actors]]:
            if other := [name for name in ours if theirs.get(name) != ours[name]]:
                raise ClusterError(
                    f"engine=ray: {other[0]} is {theirs.get(other[0])} on a machine of the cluster, {ours[other[0]]} "
                    "here, so embeddings would differ: install the same versions everywhere"
                )
        return actors

    def _answer(self, task: object) -> Any:
        """What an actor gives; its errors are raised as they would be here."""
        problems = self._ray.exceptions
        try:
            return self._ray.get(task)
        except problems.RayTaskError as error:
            if isinstance(error.cause, LookalikeError):
                raise error.cause from None
            raise ClusterError(f"engine=ray: a worker failed: {one_line(error.cause, 200)}") from error
        except problems.ActorDiedError as error:
            if reason := _reason(str(error)):
                raise ClusterError(f"engine=ray: {reason}") from error
            raise


def _reason(text: str) -> str:
    """Why an actor could not even begin; empty where it died later. Ray tells it as text alone."""
    if "ModuleNotFoundError:" in text:
        missing = one_line(text.rpartition("ModuleNotFoundError:")[2], 120)
        return f"a machine of the cluster lacks a package ({missing}): install there what is here"
    if "creation task" not in text and "__init__" not in text:
        return ""
    last = text.strip().rpartition("\n")[2]
    own, _, line = last.partition(": ")
    return one_line(line if own.startswith("lookalike.") else last, 400)


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected to a cluster until the block ends, without a dashboard, its reports and its print."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    own_print = builtins.print
    import ray

    if ray.is_initialized():
        raise ClusterError("engine=ray: this process is connected to a cluster already: ray.shutdown() first")
    address = _running() if cluster.address == "auto" else cluster.address
    _need_answer(address)
    here = address in (None, "local")
    options: dict[str, Any] = {"address": address or "local"}
    options |= {"include_dashboard": False, "num_cpus": os.cpu_count()} if here else {}
    try:
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False, configure_logging=False, **options)
        except Exception as error:
            # Ray raises what its parts raise: its own types, gRPC's, checks of versions.
            if "nauthenticated" in str(error) or "uthentication" in str(error):
                raise ClusterError(
                    f"engine=ray: {address} refuses this token: set RAY_AUTH_TOKEN_PATH (or "
                    "RAY_AUTH_TOKEN) to that of the cluster"
                ) from error
            where = "a cluster of this machine cannot be started" if here else f"{address} cannot be used"
            raise ClusterError(
                f"engine=ray: {where}: {one_line(error, 200)}: look at ray.address and, where the cluster wants a "
                "token, at RAY_AUTH_TOKEN"
            ) from error
        yield ray
    finally:
        with suppress(Exception):
            ray.shutdown()
        builtins.print = own_print


def _running() -> str:
    """The cluster that this machine belongs to, as Ray itself keeps it.

    Raises:
        ClusterError: There is none.
    """
    kept = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
    address = os.environ.get("RAY_ADDRESS") or (kept.read_text().strip() if kept.is_file() else "")
    if not address:
        raise ClusterError(
            "ray.address=auto: this machine belongs to no cluster: ray start on it, or give <host>:<port> of the head"
        )
    return address


def _need_answer(address: str | None) -> None:
    """Asks a cluster for a connection, as Ray itself tries for a minute.

    Raises:
        ClusterError: There is none.
    """
    if address is None or address == "local":
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ClusterError(f"ray.address={address}: expected auto, <host>:<port> or ray://<host>:<port>: write it so")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"engine=ray: {address} cannot be reached ({one_line(error, 80)}): is the cluster up, is the port right "
            "(6379 of its head, 10001 for ray://)?"
        ) from error
