"""What makes one function serve a number, a NumPy column and a spreadsheet cell.

A formula is a pure, keyword-only function without branches, written with ``+ - * /`` and the operations below. It is registered under an id,
with its unit, the meaning of each symbol, its reference and a worked example. Called with numbers it gives a number, with NumPy arrays an array,
with :class:`Symbol` the text of the expression, so that ``gpusizer explain`` and the workbook show exactly what is computed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

__all__ = ["REGISTRY", "Formula", "Symbol", "ceil_div", "ceiling", "floor", "floor_div", "formula", "maximum", "minimum", "rounded", "where"]


class Symbol:
    """A named quantity that records what is done to it, as spreadsheet text.

    Parameters
    ----------
    text : str
        A cell, a defined name, or a symbol's name.
    binding : int
        How tightly ``text`` binds: 0 comparison, 1 sum, 2 product, 3 power or atom. Parentheses are set only where needed.

    Examples
    --------
    >>> tokens, layers = Symbol("tokens"), Symbol("layers")
    >>> (2 * layers * (tokens + 1)).text
    '2*layers*(tokens+1)'
    >>> ceil_div(tokens, 16).text
    'ROUNDUP(tokens/16,0)'
    """

    __slots__ = ("binding", "text")
    __array_ufunc__ = None  # NumPy leaves the arithmetic to this class

    def __init__(self, text: str, binding: int = 3) -> None:
        self.text = text
        self.binding = binding

    def __repr__(self) -> str:
        return f"Symbol({self.text!r})"

    def _joined(self, other: Any, operator: str, binding: int, *, swapped: bool = False) -> Symbol:
        left, right = _symbol(other) if swapped else self, self if swapped else _symbol(other)
        left_text = left.text if left.binding >= binding else f"({left.text})"
        strict = operator in "-/"  # a-(b-c), a/(b*c)
        right_text = right.text if right.binding > binding or (right.binding == binding and not strict) else f"({right.text})"
        return Symbol(f"{left_text}{operator}{right_text}", binding)

    def __add__(self, other: Any) -> Symbol:
        return self._joined(other, "+", 1)

    def __radd__(self, other: Any) -> Symbol:
        return self._joined(other, "+", 1, swapped=True)

    def __sub__(self, other: Any) -> Symbol:
        return self._joined(other, "-", 1)

    def __rsub__(self, other: Any) -> Symbol:
        return self._joined(other, "-", 1, swapped=True)

    def __mul__(self, other: Any) -> Symbol:
        return self._joined(other, "*", 2)

    def __rmul__(self, other: Any) -> Symbol:
        return self._joined(other, "*", 2, swapped=True)

    def __truediv__(self, other: Any) -> Symbol:
        return self._joined(other, "/", 2)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._joined(other, "/", 2, swapped=True)

    def __pow__(self, other: Any) -> Symbol:
        return self._joined(other, "^", 3)

    def __rpow__(self, other: Any) -> Symbol:
        return self._joined(other, "^", 3, swapped=True)

    def __neg__(self) -> Symbol:
        return 0 - self

    def __gt__(self, other: Any) -> Symbol:
        return self._joined(other, ">", 0)

    def __ge__(self, other: Any) -> Symbol:
        return self._joined(other, ">=", 0)

    def __lt__(self, other: Any) -> Symbol:
        return self._joined(other, "<", 0)

    def __le__(self, other: Any) -> Symbol:
        return self._joined(other, "<=", 0)

    def __bool__(self) -> bool:
        raise TypeError("a formula must not branch on its inputs: use where()")


def _symbol(value: Any) -> Symbol:
    if isinstance(value, Symbol):
        return value
    if isinstance(value, Fraction):
        return Symbol(f"{value.numerator}/{value.denominator}", 2)
    return Symbol(repr(value), 3 if value >= 0 else 1)


def _call(name: str, *values: Any) -> Symbol:
    return Symbol(f"{name}({','.join(_symbol(value).text for value in values)})")


_PLAIN = frozenset({int, float, bool})  # a plan asks a hundred thousand times: the common case first


def _all_plain(values: tuple[Any, ...]) -> bool:
    for value in values:  # noqa: SIM110
        if type(value) not in _PLAIN:
            return False
    return True


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
    if _any_symbol(numerator, denominator):
        return _call("ROUNDUP", _symbol(numerator) / denominator, 0)
    return -(-numerator // denominator)


def floor_div(numerator: Any, denominator: Any) -> Any:
    """Divide and round down, exact for integers of any size.

    >>> floor_div(7, 2)
    3
    """
    if _any_symbol(numerator, denominator):
        return _call("ROUNDDOWN", _symbol(numerator) / denominator, 0)
    return numerator // denominator


def ceiling(value: Any) -> Any:
    """Round up to a whole number.

    >>> ceiling(2.1), ceiling(3)
    (3, 3)
    """
    if isinstance(value, Symbol):
        return _call("ROUNDUP", value, 0)
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
        return _call("ROUNDDOWN", value, 0)
    if _any_array(value):
        import numpy as np

        return np.floor(value)
    return math.floor(value)


def rounded(value: Any) -> Any:
    """The nearest whole number, a half upwards as a sheet has it.

    >>> rounded(2.4), rounded(2.5), rounded(Symbol("bytes")).text
    (2, 3, 'ROUND(bytes,0)')
    """
    if isinstance(value, Symbol):
        return _call("ROUND", value, 0)
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
        return _call("MAX", *values)
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
        return _call("MIN", *values)
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
    if type(condition) in _PLAIN and type(yes) in _PLAIN and type(no) in _PLAIN:
        return yes if condition else no
    if _any_symbol(condition, yes, no):
        return _call("IF", condition, yes, no)
    if _any_array(condition, yes, no):
        import numpy as np

        return np.where(condition, yes, no)
    return yes if condition else no


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
        Each parameter with its unit, in the order of the signature.
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
        if list(parameters) != list(symbols) or set(example) != set(symbols):
            raise ValueError(f"formula {id}: symbols and example must name the parameters of the function")
        if any(parameter.kind is not inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values()):
            raise ValueError(f"formula {id}: parameters must be keyword-only")
        REGISTRY[id] = Formula(id, unit, function, symbols, reference, example, valid or {})
        function.formula_id = id  # type: ignore[attr-defined]
        return function

    return register
