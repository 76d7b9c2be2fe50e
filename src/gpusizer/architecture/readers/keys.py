"""A view of a configuration that remembers which keys were read, checks every value's kind and bounds, and refuses in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, overload

from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["MAX_NUMBER", "Keys"]

MAX_NUMBER = 1 << 40  # no count, width or length of a model comes near it
_MAX_SEQUENCE = 1 << 16
_MAX_TEXT = 1 << 16


class Keys:
    """A configuration (or a part of one) by key; the first name that is present and not null wins.

    Parameters
    ----------
    values : mapping
        The keys and their values.
    path : str
        Where the part stands in the whole, for error messages and for :meth:`unread`: "" or "vision_config.".

    Examples
    --------
    >>> keys = Keys({"num_kv_heads": 8, "num_heads": None, "secret_heads": 3})
    >>> keys.integer("num_heads", "num_kv_heads"), keys.integer("head_dim", default=128), keys.unread()
    (8, 128, ['secret_heads'])
    """

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self.values = values
        self.path = path
        self._read: set[str] = set()
        self._sections: dict[str, Keys] = {}

    def raw(self, *names: str) -> Any:
        """The first value that is present and not null, as it stands; None without one. All the names count as read."""
        self._read.update(names)
        for name in names:
            value = self.values.get(name)
            if value is not None:
                return value
        return None

    def has(self, *names: str) -> bool:
        """Whether any of the names is present and not null; counts as reading them."""
        return self.raw(*names) is not None

    def present(self, name: str) -> bool:
        """Whether the key stands there, even as null."""
        return name in self.values

    def ignore(self, *names: str) -> None:
        """Count keys as read: they are understood and change nothing here."""
        self._read.update(names)

    def refuse(self, name: str, value: Any, expected: str) -> UnsupportedArchitectureError:
        """The error for a value that cannot be right."""
        return UnsupportedArchitectureError("bad-config-value", key=self.path + name, found=repr(value)[:40], expected=expected)

    def missing(self, *names: str) -> UnsupportedArchitectureError:
        """The error for keys that are needed and absent."""
        return UnsupportedArchitectureError("missing-keys", missing=[self.path + name for name in names])

    def _found(self, names: Sequence[str]) -> tuple[str, Any]:
        self._read.update(names)
        for name in names:
            value = self.values.get(name)
            if value is not None:
                return name, value
        return names[0], None

    @overload
    def integer(self, *names: str, default: int, low: int = 0, high: int = MAX_NUMBER) -> int: ...
    @overload
    def integer(self, *names: str, default: None = None, low: int = 0, high: int = MAX_NUMBER) -> int | None: ...
    def integer(self, *names: str, default: int | None = None, low: int = 0, high: int = MAX_NUMBER) -> int | None:
        """A whole number within bounds, ``default`` where none of the names is there.

        >>> Keys({"layers": -3}).integer("layers")
        Traceback (most recent call last):
        ...
        gpusizer.errors.UnsupportedArchitectureError: the configuration gives layers = -3; 0 .. 1099511627776 was expected; correct that key; \
in doubt fetch config.json again from where the model is published
        """
        name, value = self._found(names)
        return default if value is None else self._whole(name, value, low, high)

    def needed(self, *names: str, low: int = 1, high: int = MAX_NUMBER) -> int:
        """A whole number that must be there; at least 1 unless ``low`` says otherwise."""
        name, value = self._found(names)
        if value is None:
            raise self.missing(*names[:1])
        return self._whole(name, value, low, high)

    def _whole(self, name: str, value: Any, low: int, high: int) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(name, value, f"{low} .. {high}")
        return value

    @overload
    def number(self, *names: str, default: float, low: float = 0.0, high: float = float(MAX_NUMBER)) -> float: ...
    @overload
    def number(self, *names: str, default: None = None, low: float = 0.0, high: float = float(MAX_NUMBER)) -> float | None: ...
    def number(self, *names: str, default: float | None = None, low: float = 0.0, high: float = float(MAX_NUMBER)) -> float | None:
        """A finite number within bounds."""
        name, value = self._found(names)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not (low <= value <= high and isfinite(value)):
            raise self.refuse(name, value, f"{low:g} .. {high:g}")
        return float(value)

    def flag(self, *names: str, default: bool = False) -> bool:
        """A yes or no; 0 and 1 are taken as well."""
        name, value = self._found(names)
        if value is None:
            return default
        if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
            return bool(value)
        raise self.refuse(name, value, "true | false")

    def optional_flag(self, *names: str) -> bool | None:
        """A yes or no, None where none of the names is there.

        >>> Keys({"use_mla": 0}).optional_flag("use_mla"), Keys({}).optional_flag("use_mla")
        (False, None)
        """
        return self.flag(*names) if self.has(*names) else None

    @overload
    def text(self, *names: str, default: str) -> str: ...
    @overload
    def text(self, *names: str, default: None = None) -> str | None: ...
    def text(self, *names: str, default: str | None = None) -> str | None:
        """A string of bounded length."""
        name, value = self._found(names)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise self.refuse(name, value, "text")
        return value

    def sequence(self, *names: str) -> tuple[Any, ...] | None:
        """A list of bounded length, None where there is none."""
        name, value = self._found(names)
        if value is None:
            return None
        if not isinstance(value, (list, tuple)) or len(value) > _MAX_SEQUENCE:
            raise self.refuse(name, value, "list")
        return tuple(value)

    def integers(self, *names: str, low: int = 0, high: int = MAX_NUMBER) -> tuple[int, ...] | None:
        """A list of whole numbers within bounds, None where there is none."""
        name, value = self._found(names)
        if value is None:
            return None
        return tuple(self._whole(name, entry, low, high) for entry in self.sequence(*names) or ())

    def section(self, *names: str) -> Keys | None:
        """A part of its own (such as ``vision_config``), None where there is none; the same view each time."""
        name, value = self._found(names)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.refuse(name, value, "object")
        if name not in self._sections:
            self._sections[name] = Keys(value, f"{self.path}{name}.")
        return self._sections[name]

    def asked_for(self) -> list[str]:
        """Keys that are there and that somebody asked for, in order of name.

        >>> keys = Keys({"layers": 2, "colour": "red"})
        >>> keys.integer("layers", "n_layers"), keys.asked_for()
        (2, ['layers'])
        """
        return sorted(name for name in self.values if name in self._read)

    def unread(self) -> list[str]:
        """Keys that nobody asked for, with those of the parts that were opened, in order of name."""
        names = [self.path + name for name in self.values if name not in self._read]
        for part in self._sections.values():
            names.extend(part.unread())
        return sorted(names)
