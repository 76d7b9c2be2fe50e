"""The short form of the suite: ten thousand inputs, the same in every run, and every input that once failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.guard import tried
from fuzz.loop import fuzz
from fuzz.surface import Surface
from fuzz.surfaces import SURFACES, share_of

INPUTS = 10_000


@pytest.mark.parametrize("surface", SURFACES.values(), ids=lambda surface: surface.name)
def test_no_input_breaks_it(surface: Surface) -> None:
    found = fuzz(surface, share_of(surface, INPUTS), number=15)
    assert found.failures == {}


FAILED = [(surface, path) for surface in SURFACES.values() for path in surface.corpus()]


@pytest.mark.parametrize(("surface", "path"), FAILED, ids=lambda part: part.name)
def test_what_once_failed_holds(surface: Surface, path: Path) -> None:
    tried(surface, path.read_bytes())
