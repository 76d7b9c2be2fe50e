"""The shape of the code: no file above 400 lines, no function above 60 lines of code; what is still larger is named here."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache, lru_cache

import pytest

from conftest import ROOT

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60

LARGER_FILES: frozenset[str] = frozenset()
LARGER_FUNCTIONS: frozenset[str] = frozenset()


@cache
def python_files() -> tuple[tuple[str, str], ...]:
    """Path below the checkout and text of every file that people write."""
    paths = [path for folder in ("src", "tests", "scripts", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths)


@lru_cache(maxsize=1)
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Everything that a module says, in no order."""
    return tuple(ast.walk(ast.parse(source)))


def lines_of_code(source: str) -> set[int]:
    """Numbers of the lines that hold more than a comment or nothing."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {line for token in tokens if token.type not in silent for line in range(token.start[0], token.end[0] + 1)}


def long_functions(source: str, most: int) -> Iterator[str]:
    """Functions of more than so many lines of code, their docstring left out."""
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            if ast.get_docstring(node) is not None:
                lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
            if len(lines) > most and len(lines & lines_of_code(source)) > most:
                yield node.name


@cache
def long_functions_and_factors() -> tuple[set[str], set[tuple[str, object]]]:
    """Of all files, each looked through once: a tree of every module at once would be half a gigabyte."""
    functions, worths = set(), set()
    for name, source in python_files():
        functions |= {f"{name} {function}" for function in long_functions(source, MOST_LINES_OF_A_FUNCTION)}
        worths |= {(name, worth) for worth in factors(source)}
    return functions, worths


def test_no_file_is_longer_than_can_be_read_in_one_sitting() -> None:
    found = {name for name, source in python_files() if len(source.splitlines()) > MOST_LINES_OF_A_FILE}
    assert sorted(found - LARGER_FILES) == []
    assert sorted(LARGER_FILES - found) == [], "short enough now: take it off the list"


def test_no_function_is_longer_than_a_screen() -> None:
    found, _ = long_functions_and_factors()
    assert sorted(found - LARGER_FUNCTIONS) == []
    assert sorted(LARGER_FUNCTIONS - found) == [], "short enough now: take it off the list"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    return 1\n", 2),
        ('def f():\n    """Two\n    lines."""\n\n    # why\n    return 1\n', 2),
        ("def f():\n    def g():\n        return (\n            1\n        )\n    return g\n", 6),
        ('def f():\n    return """\n\n# a word\n"""\n', 5),
    ],
)
def test_lines_of_code_are_counted_as_people_do(source: str, lines: int) -> None:
    assert "f" in list(long_functions(source, lines - 1))
    assert "f" not in list(long_functions(source, lines))


def test_an_exception_from_a_check_says_why() -> None:
    """``noqa`` and ``type: ignore`` name the check they mean; a check of shape (branches, parameters, booleans, privates) has words after it."""
    for name, source in python_files():
        for number, line in enumerate(source.splitlines(), 1):
            for kind, rest in re.findall(r"#\s*(noqa|type:\s*ignore)(.*)", line):
                place = f"{name}:{number}"
                if name == "tests/house/test_shape.py":
                    continue
                assert re.match(r":\s*[A-Z]+\d+" if kind == "noqa" else r"\[[\w-]+", rest), place
                assert not re.match(r":\s*(C90|PLR|FBT|SLF)", rest) or re.search(r"[A-Z]+\d+\s+\S+", rest), place


GIGA = (10**9, 2**30)


def valued(node: ast.expr) -> object:
    """What an expression of plain numbers is worth; None for any other."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.BinOp(left=ast.Constant(value=int() as base), op=ast.Pow(), right=ast.Constant(value=int() as power)) if 0 <= power < 100:
            return base**power
        case ast.BinOp(left=ast.Constant(value=int() as base), op=ast.LShift(), right=ast.Constant(value=int() as shift)) if 0 <= shift < 100:
            return base << shift
    return None


def factors(source: str) -> Iterator[object]:
    """Numbers that a module multiplies or divides by."""
    for node in nodes(source):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.FloorDiv):
            yield from (worth for worth in (valued(node.left), valued(node.right)) if worth is not None)


def test_giga_and_gibi_are_factors_by_name_alone() -> None:
    """10**9 and 2**30 as bounds may be written anywhere; what a size is multiplied or divided by has a name in ``units.py``."""
    assert list(factors("x = 3 * 1e9\ny = z / 2**30\nw = (1 << 30) * z\nfar = 10**9")) == [3, 1e9, 2**30, 1 << 30]
    _, worths = long_functions_and_factors()
    assert sorted(name for name, worth in worths if name.startswith("src/") and worth in GIGA) == []
