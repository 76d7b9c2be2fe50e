"""The one tree of errors; each is a code, parameters and a hint, never a sentence of one language.

    GpusizerError
    ├── InputError                     exit code 2: the user can mend it
    │   ├── UnitError                  a size, share or time that cannot be read
    │   ├── UnknownIdError             an id that is not in the catalogue, with the nearest names
    │   ├── UnreadableFileError        missing, too large, not JSON, a lying header
    │   ├── UnsupportedArchitectureError  a configuration whose memory cannot be told, with what is missing
    │   ├── DoesNotFitError            exit code 3: what was asked for would not start
    │   └── FlagError                  a flag that the chosen engine does not have, or a value out of bounds
    └── DefectError                    exit code 1: ours

The words for a code live in ``i18n`` under ``error.<code>`` and ``hint.<code>``; whoever knows them lends them here (:func:`speak_with`), so that
``str(error)`` is a sentence although errors know no language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "DefectError",
    "DoesNotFitError",
    "FlagError",
    "GpusizerError",
    "InputError",
    "UnitError",
    "UnknownIdError",
    "UnreadableFileError",
    "UnsupportedArchitectureError",
    "speak_with",
]

_words: list[Callable[[str, Mapping[str, Any]], str]] = []


def speak_with(words: Callable[[str, Mapping[str, Any]], str]) -> None:
    """Take the words of errors from a function.

    Parameters
    ----------
    words : callable
        From a code and its parameters to a sentence.
    """
    _words[:] = [words]


class GpusizerError(Exception):
    """An error with a stable code and its parameters.

    Parameters
    ----------
    code : str
        Stable, kebab-case; the key of its text in every language.
    **parameters
        What the text needs to name: what was found, what was expected.

    Examples
    --------
    >>> error = UnknownIdError("unknown-model", id="deepsek-v3", nearest=["deepseek-v3"])
    >>> error.code, error.parameters["nearest"], error.exit_code
    ('unknown-model', ['deepseek-v3'], 2)
    >>> print(UnknownIdError("unknown-engine", id="vlm", nearest=["vllm"]))
    there is no engine "vlm"; did you mean vllm? `gpusizer engines list` shows all
    """

    exit_code = 1

    def __init__(self, code: str, **parameters: Any) -> None:
        self.code = code
        self.parameters: Mapping[str, Any] = parameters
        super().__init__(code)

    def __str__(self) -> str:
        return _words[0](self.code, self.parameters) if _words else self.bare

    @property
    def bare(self) -> str:
        """The code and its parameters, without words."""
        pairs = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items())
        return f"{self.code}: {pairs}" if pairs else self.code


class InputError(GpusizerError):
    """Something that was given cannot be used; the user can mend it."""

    exit_code = 2


class UnitError(InputError):
    """A size, a share, a number of tokens or a time that cannot be read."""


class UnknownIdError(InputError):
    """An id that the catalogue does not hold; ``nearest`` lists what may have been meant."""


class UnreadableFileError(InputError):
    """A file that is missing, too large, or not what its name says."""


class UnsupportedArchitectureError(InputError):
    """A configuration whose attention or weights cannot be told; ``missing`` says what is lacking."""


class FlagError(InputError):
    """A flag of another engine, or a value outside its bounds."""


class DoesNotFitError(InputError):
    """What was asked for would not start, or nothing was found that would: there is no answer to give."""

    exit_code = 3


class DefectError(GpusizerError):
    """A broken promise of our own code."""
