"""Several simulations side by side: one after the other, in processes of this machine, or on a cluster that joblib knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from gpusizer.errors import FlagError

__all__ = ["BACKENDS", "side_by_side"]

BACKENDS = ("loky", "dask", "ray")
_PACKAGE = {"dask": "distributed", "ray": "ray"}  # without which joblib has no such cluster

Task = TypeVar("Task")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Task], Result], tasks: Sequence[Task], *, backend: str = "loky", jobs: int = 1) -> list[Result]:
    """The result of each task, in their order.

    Parameters
    ----------
    work : callable
        Does one task; a function of a module, so that other processes find it.
    tasks : sequence
        What is to be done.
    backend : str
        "loky" for processes of this machine, "dask" or "ray" for a cluster that is there.
    jobs : int
        How many run at once; with 1 and "loky" all run here.

    Raises
    ------
    FlagError
        No such back end, or nothing installed or running for it.

    Examples
    --------
    >>> side_by_side(abs, [-1, 2])
    [1, 2]
    """
    if backend not in BACKENDS:
        raise FlagError("bad-choice", option="--backend", expected=list(BACKENDS), found=str(backend)[:40])
    package = _PACKAGE.get(backend)
    if package is not None and find_spec(package) is None:
        raise FlagError("backend-not-installed", backend=backend, package=package)
    if backend == "loky" and (jobs == 1 or len(tasks) < 2):
        return [work(task) for task in tasks]
    import joblib

    _connect(backend)
    with joblib.parallel_config(backend=backend, n_jobs=min(jobs, len(tasks)) if backend == "loky" else jobs):
        found: list[Any] = joblib.Parallel()(joblib.delayed(work)(task) for task in tasks)
    return found


def _connect(backend: str) -> None:
    """Reach the cluster."""
    if backend == "dask":
        from dask import config
        from distributed import Client, get_client

        try:
            get_client()
        except ValueError as error:
            address = config.get("scheduler-address", None)  # DASK_SCHEDULER_ADDRESS
            if address is None:
                raise FlagError("backend-without-cluster", backend=backend) from error
            Client(address)
    elif backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
