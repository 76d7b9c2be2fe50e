"""A quantity that records what is done to it, as spreadsheet text."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

__all__ = ["Symbol", "symbol_of"]


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
    >>> from gpusizer.formulas.core import ceil_div
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
        left, right = symbol_of(other) if swapped else self, self if swapped else symbol_of(other)
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

    def applied(self, text: Symbol, function: Callable[..., Any], values: tuple[Any, ...]) -> Symbol:
        """What ``function`` gives for values that hold this symbol, given its text; a symbol that carries more than text overrides this."""
        return text

    def named(self, name: str) -> Symbol:
        """This intermediate result under a name; a symbol that has cells overrides this."""
        return self

    def reduced(self, name: str, function: Callable[..., Any]) -> Symbol:
        """The symbol over all points that it stands for; a symbol that stands for several overrides this."""
        return self


def symbol_of(value: Any) -> Symbol:
    """A number or words as a symbol; a symbol as it is.

    >>> symbol_of(3).text, symbol_of("none").text
    ('3', '"none"')
    """
    if isinstance(value, Symbol):
        return value
    if isinstance(value, str):
        return Symbol('"' + value.replace('"', '""') + '"')
    if isinstance(value, Fraction):
        return Symbol(f"{value.numerator}/{value.denominator}", 2)
    return Symbol(repr(value), 3 if value >= 0 else 1)
