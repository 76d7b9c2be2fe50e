"""How serving engines use memory: one folder each, found by itself; what a folder declares is read at once, the engine when it is first asked for.

A folder with a module ``declaration`` is an engine (or several): ``DECLARATIONS`` says its names and which module has its ``ENGINE``.
:func:`register` adds one that lives elsewhere.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpusizer.engines.base.declaration import Declaration
from gpusizer.errors import UnknownIdError

if TYPE_CHECKING:
    from gpusizer.engines.base.engine import Engine
    from gpusizer.engines.base.sheet import AccountSheet

__all__ = [
    "account_sheet",
    "declaration",
    "declarations",
    "engine_ids",
    "engine_name",
    "find_declaration",
    "get_engine",
    "register",
    "unregister",
    "writing_engines",
]

_ELSEWHERE: dict[str, Declaration] = {}


@cache
def _folders() -> tuple[Declaration, ...]:
    """What the folders of this package declare."""
    found: list[Declaration] = []
    for folder in pkgutil.iter_modules(__path__):
        if folder.ispkg and folder.name != "base":
            found += import_module(f"{__name__}.{folder.name}.declaration").DECLARATIONS
    return tuple(sorted(found, key=lambda each: each.order))


def declarations() -> tuple[Declaration, ...]:
    """Every engine that can be asked, the default first."""
    return (*_folders(), *_ELSEWHERE.values())


def register(declared: Declaration) -> None:
    """Add an engine whose modules lie outside this package.

    Parameters
    ----------
    declared : Declaration
        Its names, and where its ``ENGINE`` and its ``FLAGS`` are.
    """
    _ELSEWHERE[declared.id] = declared
    _by_name.cache_clear()


def unregister(id: str) -> None:
    """Take a registered engine away again."""
    _ELSEWHERE.pop(id, None)
    _by_name.cache_clear()


def find_declaration(id: str) -> Declaration | None:
    """The engine with this id or alias, any letter case; None where there is none.

    >>> [each.id for each in map(find_declaration, ("vLLM", "trt-llm")) if each], find_declaration("lmdeploy")
    (['vllm', 'tensorrt-llm'], None)
    """
    return _by_name().get(id.lower())


@cache
def _by_name() -> Mapping[str, Declaration]:
    """Every engine by id and alias; of two with the same name the first."""
    return {name: each for each in reversed(declarations()) for name in (each.id, *each.aliases)}


def declaration(id: str) -> Declaration:
    """What the engine with an id or alias says of itself.

    Parameters
    ----------
    id : str
        "vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama" or "transformers", any letter case.

    Returns
    -------
    Declaration
        Names, launch commands, releases.

    Examples
    --------
    >>> declaration("trtllm").name
    'TensorRT-LLM'
    """
    found = find_declaration(id)
    if found is not None:
        return found
    key = id.lower()
    near = [each.id for each in declarations() if key in each.neighbours]
    if near:
        raise UnknownIdError("engine-not-modelled", id=id, nearest=near)
    raise UnknownIdError("unknown-engine", id=id, nearest=get_close_matches(key, engine_ids(), 3, 0.5))


def engine_ids() -> tuple[str, ...]:
    """Every engine that can be asked, the default first."""
    return tuple(each.id for each in declarations())


def writing_engines() -> tuple[str, ...]:
    """The ids of those that answer requests with text, the default first.

    >>> "vllm" in writing_engines(), "tei" in writing_engines()
    (True, False)
    """
    return tuple(each.id for each in declarations() if each.writes)


def engine_name(id: str) -> str:
    """The name of an engine as its makers write it; the id where they write it so.

    >>> engine_name("tensorrt-llm"), engine_name("llama.cpp"), engine_name("mindie")
    ('TensorRT-LLM', 'llama.cpp', 'MindIE')
    """
    found = find_declaration(id)
    return found.label if found is not None else _OTHERS.get(id, id)


_OTHERS = {"mindie": "MindIE"}  # its speeds are measured, its memory is not modelled


def get_engine(id: str) -> Engine:
    """The engine of an id or alias.

    Parameters
    ----------
    id : str
        "vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama" or "transformers", any letter case.

    Returns
    -------
    Engine
        Loaded when first asked for; a module of it that cannot be imported says so itself.

    Examples
    --------
    >>> get_engine("vLLM").id
    'vllm'
    """
    engine: Engine = import_module(declaration(id).module).ENGINE
    return engine


def account_sheet(id: str, version: str | None = None, settings: Mapping[str, Any] | None = None) -> AccountSheet | None:
    """The account of an engine at a version, for a sheet to record; None where it has none or the version's rules are others.

    >>> account_sheet("vllm").version >= (0, 28), account_sheet("transformers")
    (True, None)
    """
    declared = declaration(id)
    if not declared.sheet or (settings and not declared.sheet_takes_settings):
        return None
    said = (settings,) if settings else ()
    sheet: AccountSheet | None = import_module(declared.sheet).sheet_at(version, *said)
    return sheet
