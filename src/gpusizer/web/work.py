"""Worker processes: the same question is computed once, and one that takes too long is stopped without harm to others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property

import anyio
from anyio import to_process

from gpusizer.errors import InputError
from gpusizer.web.job import Job, Reply
from gpusizer.web.kept import Kept
from gpusizer.web.metrics import Metrics
from gpusizer.web.settings import Settings
from gpusizer.web.worker import work_on

__all__ = ["Work"]

_START_S = 60.0  # a first question loads everything
_SPARE_S = 5.0  # a worker ends by itself so long after it should have been ended


class Work:
    """What computes replies.

    Parameters
    ----------
    settings : Settings
        How many processes, how long, how much is kept.
    metrics : Metrics
        What is counted.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._kept = Kept(settings.kept_bytes)
        self._flights: dict[Job, asyncio.Task[Reply]] = {}
        self._first: Sequence[Job] = ()
        metrics.kept_bytes.set_function(lambda: self._kept.bytes)
        metrics.waiting.set_function(lambda: self._places.statistics().tasks_waiting)
        metrics.workers_busy.set_function(lambda: self._places.borrowed_tokens)

    @cached_property
    def _unbounded(self) -> anyio.CapacityLimiter:
        """The bound is :attr:`_places`."""
        return anyio.CapacityLimiter(float("inf"))

    @cached_property
    def _places(self) -> anyio.CapacityLimiter:
        """One for each process; made within the loop that serves."""
        return anyio.CapacityLimiter(self._settings.workers)

    async def warm(self, first: Sequence[Job]) -> None:
        """Start every process and let it load what it needs; keep the replies to the first questions.

        Parameters
        ----------
        first : sequence of Job
            What will be asked first.
        """
        self._first = first
        async with anyio.create_task_group() as group:
            for number in range(max(self._settings.workers, len(first))):
                group.start_soon(self._warm_one, first[number % len(first)])

    async def reply(self, job: Job) -> Reply:
        """The reply to a job: kept, awaited together with others who ask the same at this moment, or computed.

        Raises
        ------
        InputError
            ``busy`` where too many wait, ``took-too-long`` beyond the limit of time, ``worker-lost`` where the process ended.
        """
        kept = self._kept.get(job)
        if kept is not None:
            self._metrics.kept_hits.inc()
            return kept
        flight = self._flights.get(job)
        if flight is None:
            if self._places.statistics().tasks_waiting >= self._settings.waiting:
                raise InputError("busy")
            flight = self._flights[job] = asyncio.create_task(self._flown(job))
        return await asyncio.shield(flight)  # whoever leaves takes nothing from the others

    async def _flown(self, job: Job) -> Reply:
        try:
            return await self._in_turn(job)
        finally:
            del self._flights[job]

    async def _in_turn(self, job: Job) -> Reply:
        """The reply, once a process is free: time in the queue is no time of the answer."""
        limit_s = self._settings.time_limit_s
        try:
            with anyio.fail_after(limit_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise InputError("busy") from error
        try:
            return await self._computed(job, limit_s)
        except TimeoutError as error:
            self._replace_lost()
            raise InputError("took-too-long", limit_s=limit_s) from error
        except anyio.BrokenWorkerProcess as error:
            self._replace_lost()
            raise InputError("worker-lost") from error
        finally:
            self._places.release()

    async def _computed(self, job: Job, limit_s: float) -> Reply:
        """The reply, from a process that is free or new."""
        with anyio.fail_after(limit_s), self._metrics.seconds.labels(job.kind).time():
            reply = await to_process.run_sync(
                work_on, job, self._settings.worker_bytes, limit_s + _SPARE_S, cancellable=True, limiter=self._unbounded
            )
        if reply.status < 500:
            self._kept.put(job, reply)
        return reply

    async def _warm_one(self, job: Job) -> None:
        async with self._places:
            await self._computed(job, _START_S)

    def _replace_lost(self) -> None:
        """A new process loads what it needs before somebody waits for it."""
        self._metrics.workers_lost.inc()
        if self._first:
            self._warming = asyncio.create_task(self._warmed_again())

    async def _warmed_again(self) -> None:
        with suppress(TimeoutError, anyio.BrokenWorkerProcess):  # whoever asks next is told
            await self._warm_one(self._first[0])
