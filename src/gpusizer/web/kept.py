"""Answers that are kept: the last used, within so many bytes."""

from __future__ import annotations

from collections import OrderedDict

from gpusizer.web.job import Job, Reply

__all__ = ["Kept"]

_LARGEST_SHARE = 8  # one answer must not drive out all others
_OBJECTS_BYTES = 800  # what Python takes around a job and its reply


class Kept:
    """Replies by job.

    Parameters
    ----------
    most_bytes : int
        Size of jobs and replies together. [bytes]

    Examples
    --------
    >>> kept = Kept(10_000)
    >>> for number in range(20):
    ...     kept.put(Job("plan", "json", "en", f"users={number}"), Reply(200, "application/json", b"{}"))
    >>> kept.get(Job("plan", "json", "en", "users=0")) is None, kept.bytes <= 10_000
    (True, True)
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._replies: OrderedDict[Job, Reply] = OrderedDict()
        self.bytes = 0

    def get(self, job: Job) -> Reply | None:
        """The reply to a job, where it is kept."""
        found = self._replies.get(job)
        if found is not None:
            self._replies.move_to_end(job)
        return found

    def put(self, job: Job, reply: Reply) -> None:
        """Keep a reply, and let the oldest go."""
        size = _size(job, reply)
        if job in self._replies or size > self._most_bytes // _LARGEST_SHARE:
            return
        self._replies[job] = reply
        self.bytes += size
        while self.bytes > self._most_bytes:
            self.bytes -= _size(*self._replies.popitem(last=False))


def _size(job: Job, reply: Reply) -> int:
    return len(reply.body) + len(job.query) + len(job.body) + len(job.path) + _OBJECTS_BYTES
