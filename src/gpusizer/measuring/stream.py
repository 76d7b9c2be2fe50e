"""One request whose answer is streamed: when its tokens come, and how many the server counts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from gpusizer.measuring.address import Address
from gpusizer.measuring.fields import inner, number

__all__ = ["Dialect", "Seen", "ask"]

LONGEST_LINE_BYTES = 1 << 20
LONGEST_ANSWER_BYTES = 256 << 20
_DATA = b"data:"
_TEXT_KEYS = ("content", "reasoning_content", "reasoning")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server understands beyond the common part.

    Parameters
    ----------
    chat : bool
        Prompts go as messages of a chat; otherwise as they are.
    whole_answers : bool
        It takes ``ignore_eos``, so that every answer has the length that is asked for.
    counts : bool
        It takes ``stream_options`` and counts tokens itself.
    """

    chat: bool = False
    whole_answers: bool = True
    counts: bool = True

    @property
    def name(self) -> str:
        """Where requests go."""
        return "chat/completions" if self.chat else "completions"

    def body(self, model: str, prompt: str, output_tokens: int) -> dict[str, Any]:
        """What is sent."""
        found: dict[str, Any] = {"model": model, "max_tokens": output_tokens, "temperature": 0, "stream": True}
        found |= {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        if self.counts:
            found["stream_options"] = {"include_usage": True}
        if self.whole_answers:
            found["ignore_eos"] = True
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one request.

    Parameters
    ----------
    sent_s : float
        When it was sent, on the clock of the run. [s]
    ttft_s, e2e_s : float
        From sending it to the first and to the last token. [s]
    output_tokens : int
        As the server counts, else packets with text. [tokens]
    prompt_tokens : int or None
        As the server counts. [tokens]
    counted : bool
        The server counted the answer itself.
    """

    sent_s: float
    ttft_s: float
    e2e_s: float
    output_tokens: int
    prompt_tokens: int | None
    counted: bool

    @property
    def tpot_s(self) -> float | None:
        """Mean time per token after the first. [s]"""
        return (self.e2e_s - self.ttft_s) / (self.output_tokens - 1) if self.output_tokens > 1 else None

    def tokens_until(self, moment_s: float) -> float:
        """Tokens that had come by a moment, as if they came evenly after the first. [tokens]"""
        since_first = moment_s - self.sent_s - self.ttft_s
        if since_first < 0:
            return 0.0
        return min(1 + since_first / self.tpot_s, float(self.output_tokens)) if self.tpot_s else float(self.output_tokens)


def ask(address: Address, dialect: Dialect, model: str, prompt: str, output_tokens: int) -> Seen | None:
    """Send a request and watch its answer come.

    Parameters
    ----------
    address : Address
        The server.
    dialect : Dialect
        What it understands.
    model, prompt, output_tokens : str, str, int
        What is asked.

    Returns
    -------
    Seen or None
        None where no token came.

    Raises
    ------
    Refused, OSError, http.client.HTTPException
        As the server or the way to it has it.
    """
    body = dialect.body(model, prompt, output_tokens)
    sent = time.perf_counter()
    with address.stream(dialect.name, body) as answer:
        return _watched(answer, sent)


def _watched(answer: HTTPResponse, sent: float) -> Seen | None:
    first = last = None
    packets = size = 0
    usage: Mapping[str, Any] = {}
    while size < LONGEST_ANSWER_BYTES:
        line = answer.readline(LONGEST_LINE_BYTES)
        if not line:
            break
        size += len(line)
        if not line.startswith(_DATA):
            continue
        now, part = time.perf_counter(), _part(line[len(_DATA) :])
        usage = inner(part, "usage") or usage
        if _has_text(part):
            first, last = first if first is not None else now, now
            packets += 1
    if first is None or last is None:
        return None
    told, prompt = (number(usage.get(name)) for name in ("completion_tokens", "prompt_tokens"))
    tokens = packets if told is None else max(int(told), 1)
    return Seen(sent, first - sent, last - sent, tokens, None if prompt is None else int(prompt), told is not None)


def _part(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):  # "[DONE]" too
        return {}
    return value if isinstance(value, Mapping) else {}


def _has_text(part: Mapping[str, Any]) -> bool:
    choices = part.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(choice, Mapping):
        return False
    delta = inner(choice, "delta")
    return bool(choice.get("text")) or any(delta.get(key) for key in _TEXT_KEYS)
