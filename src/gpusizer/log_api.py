"""The answer of the Python face to a log: what it says, beside what was to be expected, and its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from gpusizer.diagnosis.diagnose import Diagnosis
from gpusizer.diagnosis.diagnose import diagnose as diagnosed
from gpusizer.diagnosis.row import Given
from gpusizer.given_files import stream_given
from gpusizer.rendering.diagnose import diagnosis_document, diagnosis_sentence
from gpusizer.rendering.forms.json import plain, to_json

__all__ = ["DiagnosisAnswer", "diagnose"]


@dataclass(frozen=True, repr=False)
class DiagnosisAnswer:
    """What a log tells; ``to_dict`` and ``to_json`` are the document of ``gpusizer diagnose --format json``."""

    result: Diagnosis

    def __repr__(self) -> str:
        return f"<DiagnosisAnswer: {self.sentence()}>"

    @property
    def case(self) -> Mapping[str, Any]:
        """The start as a measured case, which ``gpusizer validate`` reads."""
        return self.result.row

    @property
    def failed(self) -> bool:
        """Whether it did not start."""
        return self.result.failed

    def sentence(self, language: str = "en") -> str:
        """The answer in one sentence."""
        return diagnosis_sentence(self.result, language)

    def to_dict(self) -> dict[str, Any]:
        """Plain data by the schema ``gpusizer.diagnose/1``."""
        data: dict[str, Any] = plain(diagnosis_document(self.result, "en").data)
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(diagnosis_document(self.result, "en").data)


def diagnose(
    log: str | PathLike[str] | Iterable[str | bytes],
    *,
    model: str | None = None,
    gpu: str | Sequence[str] | None = None,
    engine: str | None = None,
    engine_version: str | None = None,
    flags: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> DiagnosisAnswer:
    """Read an engine's start-up log: measured beside predicted, why it ended so, what would help.

    Parameters
    ----------
    log : str, path-like, or iterable of str or bytes
        A file ("-" reads the standard input), or its lines.
    model, gpu, engine, engine_version : str or None
        What the log does not say, or says wrongly; several accelerators where they differ.
    flags : mapping or None
        Flags of the engine by any spelling.
    command : str or None
        The launch command, as it is typed.

    Returns
    -------
    DiagnosisAnswer
        The start that counts, and the JSON of the contract.

    Examples
    --------
    >>> lines = ["INFO Model loading took 15.2683 GiB and 9.0 seconds", "INFO GPU KV cache size: 166,096 tokens"]
    >>> found = diagnose(lines, model="qwen3-8b", gpu="l40s-48gb").to_dict()
    >>> found["engine"], found["measured"]["kv_cache_tokens"], found["compared"]["weights_bytes"]["inside"]
    ('vllm', 166096, True)
    """
    gpus = () if gpu is None else (gpu,) if isinstance(gpu, str) else tuple(gpu)
    given = Given(model, gpus, engine, engine_version, flags or {}, () if command is None else (command,))
    if isinstance(log, str | PathLike):
        return DiagnosisAnswer(diagnosed(stream_given(fspath(log), missing="log-missing"), given, fspath(log)))
    return DiagnosisAnswer(diagnosed(_chunks(log), given, "log"))


def _chunks(lines: Iterable[str | bytes]) -> Iterator[bytes]:
    """Lines with or without their ends."""
    for line in lines:
        whole = line.encode("utf-8", "replace") if isinstance(line, str) else line
        yield whole if whole.endswith(b"\n") else whole + b"\n"
