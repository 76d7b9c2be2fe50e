"""What makes one function serve a number, a NumPy column and a spreadsheet cell.

A formula is a pure, keyword-only function without branches, written with ``+ - * /`` and the operations below. It is registered under an id,
with its unit, the meaning of each symbol, its reference and a worked example. Called with numbers it gives a number, with NumPy arrays an array,
with :class:`Symbol` the text of the expression, so that ``gpusizer explain`` and the workbook show exactly what is computed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gpusizer.formulas.symbols import Symbol, symbol_of

__all__ = [
    "REGISTRY",
    "Formula",
    "Symbol",
    "ceil_div",
    "ceiling",
    "floor",
    "floor_div",
    "formula",
    "greatest",
    "id_of",
    "kept",
    "least",
    "maximum",
    "minimum",
    "root",
    "root_of_squares",
    "rounded",
    "squared",
    "where",
]


def _text_of(name: str, *values: Any) -> Symbol:
    return Symbol(f"{name}({','.join(symbol_of(value).text for value in values)})")


def _applied(text: Symbol, function: Callable[..., Any], *values: Any) -> Symbol:
    first: Symbol = next(value for value in values if isinstance(value, Symbol))
    return first.applied(text, function, values)


def _call(name: str, function: Callable[..., Any], *values: Any) -> Symbol:
    return _applied(_text_of(name, *values), function, *values)


_PLAIN = frozenset({int, float, bool})  # a plan asks a hundred thousand times: the common case first


def _any_symbol(*values: Any) -> bool:
    for value in values:  # noqa: SIM110
        if type(value) not in _PLAIN and isinstance(value, Symbol):
            return True
    return False


def _any_array(*values: Any) -> bool:
    for value in values:  # noqa: SIM110
        if type(value) not in _PLAIN and hasattr(value, "__array_interface__"):
            return True
    return False


def ceil_div(numerator: Any, denominator: Any) -> Any:
    """Divide and round up, exact for integers of any size.

    >>> ceil_div(7, 2), ceil_div(8, 2), ceil_div(10**18 + 1, 10)
    (4, 4, 100000000000000001)
    """
    if type(numerator) is int and type(denominator) is int:
        return -(-numerator // denominator)
    if _any_symbol(numerator, denominator):
        return _applied(_text_of("ROUNDUP", symbol_of(numerator) / denominator, 0), ceil_div, numerator, denominator)
    return -(-numerator // denominator)


def floor_div(numerator: Any, denominator: Any) -> Any:
    """Divide and round down, exact for integers of any size.

    >>> floor_div(7, 2)
    3
    """
    if _any_symbol(numerator, denominator):
        return _applied(_text_of("ROUNDDOWN", symbol_of(numerator) / denominator, 0), floor_div, numerator, denominator)
    return numerator // denominator


def ceiling(value: Any) -> Any:
    """Round up to a whole number.

    >>> ceiling(2.1), ceiling(3)
    (3, 3)
    """
    if isinstance(value, Symbol):
        return _applied(_text_of("ROUNDUP", value, 0), ceiling, value)
    if _any_array(value):
        import numpy as np

        return np.ceil(value)
    return math.ceil(value)


def floor(value: Any) -> Any:
    """Round down to a whole number (values are never negative where this is used).

    >>> floor(2.9)
    2
    """
    if isinstance(value, Symbol):
        return _applied(_text_of("ROUNDDOWN", value, 0), floor, value)
    if _any_array(value):
        import numpy as np

        return np.floor(value)
    return math.floor(value)


def rounded(value: Any) -> Any:
    """The nearest whole number, a half upwards as a sheet has it.

    >>> rounded(2.4), rounded(2.5), rounded(Symbol("bytes")).text
    (2, 3, 'ROUND(bytes,0)')
    """
    if type(value) is int:  # by far the most calls
        return value
    if type(value) is float:
        return math.floor(value + 0.5)
    if isinstance(value, Symbol):
        return _applied(_text_of("ROUND", value, 0), rounded, value)
    if _any_array(value):
        import numpy as np

        return np.floor(value + 0.5)
    return value if isinstance(value, int) else math.floor(value + 0.5)


def maximum(*values: Any) -> Any:
    """The largest of the values, element by element for arrays.

    >>> maximum(1, 5, 3)
    5
    """
    for value in values:
        if type(value) not in _PLAIN:
            break
    else:  # by far the most calls
        return max(values)
    if _any_symbol(*values):
        return _call("MAX", maximum, *values)
    if _any_array(*values):
        import numpy as np

        result = values[0]
        for value in values[1:]:
            result = np.maximum(result, value)
        return result
    return max(values)


def minimum(*values: Any) -> Any:
    """The smallest of the values, element by element for arrays.

    >>> minimum(4, 2)
    2
    """
    for value in values:
        if type(value) not in _PLAIN:
            break
    else:  # by far the most calls
        return min(values)
    if _any_symbol(*values):
        return _call("MIN", minimum, *values)
    if _any_array(*values):
        import numpy as np

        result = values[0]
        for value in values[1:]:
            result = np.minimum(result, value)
        return result
    return min(values)


def where(condition: Any, yes: Any, no: Any) -> Any:
    """``yes`` where the condition holds, else ``no``; the only branch a formula may have.

    >>> where(3 > 2, "a", "b")
    'a'
    """
    if type(condition) in _PLAIN:
        return yes if condition else no
    if _any_symbol(condition, yes, no):
        return _call("IF", where, condition, yes, no)
    if _any_array(condition, yes, no):
        import numpy as np

        return np.where(condition, yes, no)
    return yes if condition else no


def root(value: Any) -> Any:
    """The square root.

    >>> root(9), root(Symbol("squares")).text
    (3.0, 'SQRT(squares)')
    """
    if isinstance(value, Symbol):
        return _call("SQRT", root, value)
    return value**0.5 if _any_array(value) else math.sqrt(value)


def squared(value: Any) -> Any:
    """The square; of a column in floating point, since whole numbers of 64 bits end at the square of three billion.

    >>> squared(3), squared(Symbol("bytes")).text
    (9, 'bytes^2')
    """
    return value**2 if type(value) in _PLAIN or not _any_array(value) else value.astype(float) ** 2


def root_of_squares(*values: Any) -> Any:
    """The square root of the sum of squares: the length of deviations that are independent.

    >>> root_of_squares(3, 4), root_of_squares(Symbol("a"), 2).text
    (5.0, 'SQRT(SUMSQ(a,2))')
    """
    if _any_symbol(*values):
        return _applied(_text_of("SQRT", _text_of("SUMSQ", *values)), root_of_squares, *values)
    if _any_array(*values):
        import numpy as np

        return np.sqrt(sum(squared(value) for value in values))
    return math.hypot(*values)


def kept(name: str, value: Any) -> Any:
    """Name an intermediate result of an account: a sheet gives it cells of its own; numbers and arrays pass through.

    >>> kept("tokens", 7)
    7
    """
    return value.named(name) if isinstance(value, Symbol) else value


def least(values: Sequence[Any]) -> Any:
    """The smallest over all stages: of one value a stage, or of one symbol that stands for all of them.

    >>> least([4, 2, 3])
    2
    """
    return _over_all("MIN", minimum, values)


def greatest(values: Sequence[Any]) -> Any:
    """The largest over all stages: of one value a stage, or of one symbol that stands for all of them.

    >>> greatest([4, 2, 3])
    4
    """
    return _over_all("MAX", maximum, values)


def _over_all(name: str, function: Callable[..., Any], values: Sequence[Any]) -> Any:
    if len(values) == 1:
        return values[0].reduced(name, function) if isinstance(values[0], Symbol) else values[0]
    return function(*values)


@dataclass(frozen=True, slots=True)
class Formula:
    """A registered formula: the function and what a reader needs to trust it."""

    id: str
    unit: str
    function: Callable[..., Any]
    symbols: Mapping[str, str]  # parameter -> its unit
    reference: str
    example: Mapping[str, Any]
    valid: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # parameter -> where the formula was checked

    def expression(self) -> str:
        """The formula as text, recorded from the function itself."""
        return str(self.function(**{name: Symbol(name) for name in self.symbols}).text)

    def example_result(self) -> Any:
        """The worked example, computed."""
        return self.function(**self.example)


REGISTRY: dict[str, Formula] = {}

F = TypeVar("F", bound=Callable[..., Any])


def formula(
    id: str,
    *,
    unit: str,
    symbols: Mapping[str, str],
    reference: str,
    example: Mapping[str, Any],
    valid: Mapping[str, tuple[float, float]] | None = None,
) -> Callable[[F], F]:
    """Register a pure, keyword-only function as a formula.

    Parameters
    ----------
    id : str
        Dotted, from the general to the particular: ``memory.kv_cache.latent``.
    unit : str
        Unit of the result.
    symbols : mapping of str to str
        Each parameter with its unit, in the order of the signature. A function of named parts (``**parts``) gives its one unit; the parts of the
        example stand for it.
    reference : str
        Where the formula stands: paper, source file, article, measurement.
    example : mapping
        Arguments of a worked example that a reader can check elsewhere.
    valid : mapping of str to (float, float), optional
        Range of a parameter within which the formula holds.
    """

    def register(function: F) -> F:
        parameters = inspect.signature(function).parameters
        if id in REGISTRY:
            raise ValueError(f"formula {id} is registered twice")
        kinds = [parameter.kind for parameter in parameters.values()]
        named_parts = kinds == [inspect.Parameter.VAR_KEYWORD]
        if list(parameters) != list(symbols) or (set(example) != set(symbols) and not named_parts):
            raise ValueError(f"formula {id}: symbols and example must name the parameters of the function")
        if not named_parts and any(kind is not inspect.Parameter.KEYWORD_ONLY for kind in kinds):
            raise ValueError(f"formula {id}: parameters must be keyword-only, or be named parts alone")
        shown = dict.fromkeys(example, *symbols.values()) if named_parts else symbols
        REGISTRY[id] = Formula(id, unit, function, shown, reference, example, valid or {})
        function.formula_id = id  # type: ignore[attr-defined]
        return function

    return register


def id_of(function: Callable[..., Any]) -> str:
    """The id under which a function is registered.

    Parameters
    ----------
    function : callable
        A registered formula.

    Returns
    -------
    str
        Its id.
    """
    found: str | None = getattr(function, "formula_id", None)
    if found is None:
        raise ValueError(f"{function!r} is no registered formula")
    return found
