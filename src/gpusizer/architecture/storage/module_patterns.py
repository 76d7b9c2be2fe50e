"""Which modules a quantisation list names: literal paths, globs and regular expressions, as each method writes them.

Lists are written by others with prefixes and names of their own (``language_model.model.layers.3``, ``block_sparse_moe.experts.0.w1``, ``qkv_proj``),
so literal paths are brought to one spelling before they are compared. Patterns come from strangers: their number and length are bounded, and globs
and regular expressions go through a matcher of our own whose time is bounded (``expressions.py``). What is not used is said in a notice; lists that
would take too long for the names of a model are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile

from gpusizer.architecture.storage.expressions import Expressions, Work
from gpusizer.architecture.types import Notice

__all__ = ["ModulePatterns", "one_spelling"]

_MAX_LENGTH = 512  # characters of one pattern
_MAX_GLOBS = 4096
_WORK_OF_A_NAME = 20
_WRAPPERS = frozenset({"model", "language_model", "backbone", "transformer", "text_model", "llm", "thinker", "base_model"})
_ONE_NAME = {
    "attn": "self_attn",
    "attention": "self_attn",
    "self_attention": "self_attn",
    "ffn": "mlp",
    "feed_forward": "mlp",
    "block_sparse_moe": "mlp",
    "moe": "mlp",
    "shared_expert": "shared_experts",
    "w1": "gate_proj",
    "w3": "up_proj",
    "w2": "down_proj",
}
_FUSED = {
    "q_proj": ("qkv_proj",),
    "k_proj": ("qkv_proj",),
    "v_proj": ("qkv_proj",),
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_proj": ("gate_up_proj",),
    "up_proj": ("gate_up_proj",),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "in_proj_qkvz": ("in_proj_qkv", "in_proj_z"),
    "in_proj_qkv": ("in_proj_qkvz",),
    "in_proj_z": ("in_proj_qkvz",),
    "in_proj_ba": ("in_proj_a", "in_proj_b"),
    "in_proj_a": ("in_proj_ba",),
    "in_proj_b": ("in_proj_ba",),
}
_DIGITS = re.compile(r"\d+")
_BLIND = re.compile(r"(?:\.\*|\(\?:|[A-Za-z_|()^$-]|\\\.)*")  # expressions that take every number alike


@lru_cache(maxsize=65536)
def one_spelling(path: str) -> str:
    """The path below wrappers, with one name for each kind of module and any expert as ``*``.

    >>> one_spelling("language_model.model.layers.3.block_sparse_moe.experts.17.w1")
    'layers.3.mlp.experts.*.gate_proj'
    >>> one_spelling("transformer.h.3.attn.c_attn"), one_spelling("head")
    ('layers.3.self_attn.c_attn', 'lm_head')
    """
    parts = path.replace("indexers_proj", "indexer.weights_proj").split(".")  # GLM's lists lost ".weight" inside "indexer.weights_proj"
    start = 0
    while start < len(parts) - 1 and parts[start] in _WRAPPERS:
        start += 1
    parts = [_ONE_NAME.get(part, part) for part in parts[start:]]
    if parts[0] in ("h", "blocks"):
        parts[0] = "layers"
    if parts == ["head"]:
        parts = ["lm_head"]
    for index in range(1, len(parts)):
        if parts[index - 1] == "experts" and parts[index].isdigit():
            parts[index] = "*"
    return ".".join(parts)


def _module(path: str) -> str:
    """The path of the module that owns a tensor."""
    head, _, last = path.rpartition(".")
    return head if head and last in ("weight", "bias") else path


def _glob(pattern: str) -> str:
    """A glob as a regular expression that ends where a part of the path ends."""
    return ".*".join(re.escape(piece).replace(r"\?", ".") for piece in re.split(r"\*+", pattern)) + r"(?:\.|\Z)"


class ModulePatterns:
    """Names of modules in the notations that occur: literal, glob, or regular expression.

    Parameters
    ----------
    literals : iterable of str
        Paths, or parts of paths where ``floating``; a trailing or leading dot is ignored. One with ``*`` or ``?`` is a glob.
    regexes : iterable of str
        Regular expressions, matched from the start of the path.
    floating : bool
        A literal may stand anywhere in a path (fp8, AWQ, GPTQ, bitsandbytes), not only at its start.
    work : Work or None
        What the lists of one configuration may take together; None gives this list a bound of its own.

    Examples
    --------
    >>> names = ModulePatterns(["model.language_model.layers.1.*", "lm_head", "*.mlp.shared_expert.*"], [r".*layers\\.7\\.mlp\\.gate$"])
    >>> [names.matches(path) for path in ("model.layers.1.self_attn.q_proj.weight", "model.layers.10.self_attn.q_proj.weight", "lm_head.weight")]
    [True, False, True]
    >>> names.matches("model.layers.5.mlp.shared_expert.up_proj.weight"), names.matches("model.layers.7.mlp.gate.weight")
    (True, True)
    >>> below = ModulePatterns(["model"])
    >>> [below.matches(path) for path in ("model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight", "lm_head.weight")]
    [True, True, False]
    >>> ModulePatterns([], [r"(.)\\1"]).notices[0].code
    'pattern-refused'
    """

    def __init__(self, literals: Iterable[str], regexes: Iterable[str] = (), work: Work | None = None, *, floating: bool = False) -> None:
        self._floating = floating
        self._work = work or Work()
        self._literals: set[str] = set()
        self._starts: dict[int, set[str]] = {}  # prefix globs by length
        self._around: set[tuple[str, ...]] = set()  # names of wrappers alone: everything below them
        globs: list[str] = []
        notices: list[Notice] = []
        for literal in literals:
            text = literal.strip(".")
            if not text or len(text) > _MAX_LENGTH:
                notices.append(Notice("pattern-refused", {"pattern": text[:40], "reason": "too-long" if text else "empty"}))
                continue
            wrappers = tuple(text.removesuffix(".*").split("."))
            if _WRAPPERS.issuperset(wrappers):
                self._around.add(wrappers)
                continue
            path = one_spelling(_module(text))
            bare = path.replace("experts.*", "experts")
            if "*" not in bare and "?" not in bare:
                self._literals.add(path)
            elif bare.endswith("*") and "*" not in bare[:-1] and "?" not in bare and "*" not in path[:-1]:
                self._starts.setdefault(len(path) - 1, set()).add(path[:-1])
            else:
                globs.extend({path, text})
        if len(globs) > _MAX_GLOBS:
            notices.append(Notice("pattern-refused", {"pattern": globs[_MAX_GLOBS][:40], "reason": "too-many"}))
            globs = globs[:_MAX_GLOBS]
        self._globs = Expressions(sorted({_glob(text) for text in globs}), work=self._work, ours=True)
        sources = tuple(regexes)
        self._regexes = Expressions(sources, work=self._work)
        notices.extend(Notice("pattern-refused", {"pattern": sources[index][:40], "reason": reason}) for index, reason in self._regexes.refused)
        self._numbered = not all(_BLIND.fullmatch(source) for source in sources)
        self.notices = tuple(notices)
        self._seen: dict[str, bool] = {}

    @property
    def tells_layers_apart(self) -> bool:
        """Whether equal layers may be named differently: a pattern holds a number, or may find one."""
        names = (*self._literals, *(start for starts in self._starts.values() for start in starts))
        return bool(self._globs) or self._numbered or any(part.isdecimal() for name in names for part in name.split("."))

    def __bool__(self) -> bool:
        return bool(self._literals or self._around or self._starts or self._globs or self._regexes)

    def matches(self, path: str) -> bool:
        """Whether the module of the tensor at ``path``, or one around it, is named."""
        self._work.spend(_WORK_OF_A_NAME, path)
        raw = _module(path)
        head, _, last = raw.rpartition(".")
        if self._named(raw):
            return True
        other = _ONE_NAME.get(last, last)
        return any(self._named(f"{head}.{name}") for name in _FUSED.get(other, ()))

    def _named(self, raw: str) -> bool:
        if self._around and self._below(raw):
            return True
        path = one_spelling(raw)
        parts = path.split(".")
        if self._literals:
            before = ""
            for part in parts:
                before = f"{before}.{part}" if before else part
                if before in self._literals:
                    return True
        if any(path[:length] in starts for length, starts in self._starts.items()):
            return True
        if self._globs and (self._globs.first(path) is not None or self._globs.first(raw) is not None):
            return True
        tail = ".".join(parts[2:]) if parts[0] == "layers" else path
        if self._floating and self._literals and self._once("in " + tail, lambda: self._inside(tail)):
            return True
        if not self._regexes:
            return False
        shape = raw if self._numbered else _DIGITS.sub("0", raw)
        return self._once("re " + shape, lambda: self._expressed(raw, path))

    def _below(self, raw: str) -> bool:
        """Whether the path lies below a wrapper that is named: at its start, or after other wrappers where a name may stand anywhere."""
        outer = tuple(takewhile(_WRAPPERS.__contains__, raw.split(".")[:-1]))
        starts = range(len(outer)) if self._floating else range(1)
        return any(outer[start : start + len(names)] == names for names in self._around for start in starts)

    def _once(self, key: str, answer: object) -> bool:
        if key not in self._seen:
            self._seen[key] = bool(answer())  # type: ignore[operator]
        return self._seen[key]

    def _inside(self, tail: str) -> bool:
        parts = tail.split(".")
        return any(".".join(parts[start:end]) in self._literals for start in range(len(parts)) for end in range(start + 1, len(parts) + 1))

    def _expressed(self, raw: str, path: str) -> bool:
        below = raw
        for wrapper in ("model.", "language_model.", "model."):
            below = below.removeprefix(wrapper)
        spellings = {raw, path, below, "model." + below, "language_model.model." + below, "model.language_model." + below}
        return any(self._regexes.first(text) is not None for text in spellings)
