"""Worker processes, and answers that are kept: the same question is computed once, and one that takes too long is stopped without harm to others."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import anyio
from anyio import to_process

from gpusizer.errors import InputError
from gpusizer.web.job import Job, Reply
from gpusizer.web.replies import reply_to
from gpusizer.web.settings import Settings

__all__ = ["Work"]


@dataclass
class Kept:
    """Replies by job, the last used kept, within so many bytes."""

    most_bytes: int
    _replies: OrderedDict[Job, Reply] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, job: Job) -> Reply | None:
        """The reply to a job, where it is kept."""
        found = self._replies.get(job)
        if found is not None:
            self._replies.move_to_end(job)
        return found

    def put(self, job: Job, reply: Reply) -> None:
        """Keep a reply, and let the oldest go."""
        size = _size(job, reply)
        if job in self._replies or size > self.most_bytes // 8:
            return
        self._replies[job] = reply
        self._bytes += size
        while self._bytes > self.most_bytes:
            self._bytes -= _size(*self._replies.popitem(last=False))


def _size(job: Job, reply: Reply) -> int:
    return len(reply.body) + len(job.query) + 500  # objects around them


class Work:
    """What computes replies.

    Parameters
    ----------
    settings : Settings
        How many processes, how long, how much is kept.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept = Kept(settings.kept_bytes)
        self._limiter: anyio.CapacityLimiter | None = None
        self._running: dict[Job, anyio.Event] = {}

    async def warm(self, jobs: list[Job]) -> None:
        """Start every process and let it load what it needs; keep the replies to the first questions."""
        async with anyio.create_task_group() as group:
            for number in range(max(self._settings.workers, len(jobs))):
                group.start_soon(self._computed, jobs[number % len(jobs)])
        for job in jobs:
            await self.reply(job)

    async def reply(self, job: Job) -> Reply:
        """The reply to a job: kept, awaited from somebody who asks the same at this moment, or computed.

        Raises
        ------
        InputError
            ``busy`` where too many wait, ``took-too-long`` beyond the limit of time.
        """
        while (kept := self._kept.get(job)) is None:
            running = self._running.get(job)
            if running is None:
                break
            await running.wait()
            if self._kept.get(job) is None and job not in self._running:
                break
        if kept is not None:
            return kept
        done = self._running[job] = anyio.Event()
        try:
            reply = await self._computed(job)
            if reply.status < 500:
                self._kept.put(job, reply)
            return reply
        finally:
            del self._running[job]
            done.set()

    async def _computed(self, job: Job) -> Reply:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._settings.workers)
        if self._limiter.statistics().tasks_waiting >= self._settings.waiting:
            raise InputError("busy")
        try:
            with anyio.fail_after(self._settings.time_limit_s):
                return await to_process.run_sync(reply_to, job, cancellable=True, limiter=self._limiter)
        except TimeoutError as error:
            raise InputError("took-too-long", limit_s=self._settings.time_limit_s) from error
