"""Answers of the Python face about machines that are there: what runs on them, and how long a context may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpusizer.engines.base.types import Deployment
from gpusizer.planning.largest_context import LongestContext, longest_context
from gpusizer.planning.run_on.answer import run_on as make_run_on
from gpusizer.planning.run_on.request import RunOnRequest
from gpusizer.planning.run_on.types import RunOn
from gpusizer.planning.words import checked_start
from gpusizer.rendering.forms.json import plain, to_json
from gpusizer.rendering.largest_context import longest_context_document, longest_context_rows, longest_context_sentence, longest_context_table
from gpusizer.rendering.report.page import table_html
from gpusizer.rendering.run_on import run_on_data, run_on_rows, run_on_sentence, run_on_table

__all__ = ["LargestContextAnswer", "RunOnAnswer", "largest_context", "run_on"]

_SHOWN = 12  # models that a notebook shows


@dataclass(frozen=True, repr=False)
class RunOnAnswer:
    """What runs; ``result`` is the answer itself, ``to_dict`` and ``to_json`` are the document of ``gpusizer run-on --format json``."""

    result: RunOn

    def __repr__(self) -> str:
        return f"<RunOnAnswer: {self.sentence()}; {len(self.result.rows)} models>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence and the first models."""
        return table_html(self.sentence(), run_on_table(self.result, self.result.rows[:_SHOWN], "en"))

    def sentence(self, language: str = "en") -> str:
        """The answer in one sentence."""
        return run_on_sentence(self.result, language)

    def rows(self) -> list[dict[str, Any]]:
        """Models that run, then those that would come first and do not, as flat records: the fields of ``gpusizer run-on --format csv``."""
        return run_on_rows(self.result)

    def to_dict(self) -> dict[str, Any]:
        """Plain data by the schema ``gpusizer.run-on/1``."""
        data: dict[str, Any] = plain(run_on_data(self.result))
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(run_on_data(self.result))


@dataclass(frozen=True, repr=False)
class LargestContextAnswer:
    """The longest context by number of requests; ``to_dict`` and ``to_json`` are the document of ``gpusizer largest-context --format json``."""

    result: LongestContext

    def __repr__(self) -> str:
        return f"<LargestContextAnswer: {self.sentence()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence and the lengths."""
        return table_html(self.sentence(), longest_context_table(self.result, "en"))

    def sentence(self, language: str = "en") -> str:
        """The answer in one sentence."""
        return longest_context_sentence(self.result, language)

    def rows(self) -> list[dict[str, Any]]:
        """One flat record for each number of requests: the fields of ``gpusizer largest-context --format csv``."""
        return longest_context_rows(self.result)

    def to_dict(self) -> dict[str, Any]:
        """Plain data by the schema ``gpusizer.largest-context/1``."""
        data: dict[str, Any] = plain(self._data())
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(self._data())

    def _data(self) -> Mapping[str, Any]:
        return longest_context_document(self.result, "en").data


def run_on(request: RunOnRequest) -> RunOnAnswer:
    """Which models run on the machines that somebody has?

    Parameters
    ----------
    request : RunOnRequest
        Machines, a need, limits.

    Returns
    -------
    RunOnAnswer
        Models by use, the best first, what the next larger ones lack, and the JSON of the contract.

    Examples
    --------
    >>> answer = run_on(RunOnRequest(machine=("rtx 4090",), models=("qwen3-8b",)))
    >>> [(row["model"], row["verdict"]) for row in answer.rows()]
    [('qwen3-8b', 'fits')]
    """
    return RunOnAnswer(make_run_on(request))


def largest_context(deployment: Deployment, *, hub: str | None = None) -> LargestContextAnswer:
    """How long may a context be, for one request, two, four and so on?

    Parameters
    ----------
    deployment : Deployment
        One start of one engine; its own context and number of requests are left aside.
    hub : str or None
        "huggingface" or "modelscope": where a model is looked up that the catalogue lacks; without it nothing touches a network.

    Returns
    -------
    LargestContextAnswer
        Lengths on the safe side and by the middle of the estimate, and their JSON.

    Examples
    --------
    >>> largest_context(Deployment(model="qwen3-8b", gpu="h100-sxm-80gb")).rows()[0]["requests"]
    1
    """
    launch = checked_start(deployment, hub=hub)
    return LargestContextAnswer(longest_context(launch.deployment, launch.notices))
