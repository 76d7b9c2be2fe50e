"""The long form of the suite: ``scripts/fuzz [--inputs N] [--surface NAME]... [--seed N] [--grown FOLDER]``.

Each surface is fed by processes of its own, one after the other, with little memory; one that dies or stands still leaves the input that it died of.
What fails is shrunk and kept in the corpus, and every run of the tests feeds it again. Inputs with answers of their own are kept in a folder of their
own: the next run starts from them.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fuzz.apart import fuzz_apart
from fuzz.loop import Found
from fuzz.surface import CORPUS, Surface
from fuzz.surfaces import SURFACES, share_of

ROOT = Path(__file__).resolve().parents[2]
INPUTS = 1_000_000
_CHUNK = 4_000  # inputs of one process: what a process keeps from one input to the next stays little
_BATCHES = 1_000  # numbers that a chunk may start chance from


def _run(surface: Surface, inputs: int, number: int, grown: Path) -> Found:
    """All inputs of one surface, and a line about them."""
    start, most, found = time.monotonic(), 0, Found()
    kept = _kept(surface, grown)
    for chunk, count in enumerate(_chunks(inputs)):
        found, peak = fuzz_apart(surface, count, number * 1_000_003 + chunk * _BATCHES, found if chunk else kept)
        most = max(most, peak)
    folder = grown / surface.name
    folder.mkdir(parents=True, exist_ok=True)
    for content in found.answers.values():
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    print(
        f"{surface.name:12} {found.inputs:9,} inputs {time.monotonic() - start:8.0f} s  {len(found.answers):5} kinds of answers  "
        f"{most >> 20:4} MB  {len(found.failures)} failures",
        flush=True,
    )
    return found


def _kept(surface: Surface, grown: Path) -> Found | None:
    """What earlier runs found worth keeping, and larger inputs, to start from; None where there is neither."""
    contents = [*surface.larger(), *(path.read_bytes() for path in sorted((grown / surface.name).glob("*")))]
    return Found(answers=dict(enumerate(contents))) if contents else None


def _chunks(inputs: int) -> Iterator[int]:
    while inputs > 0:
        yield min(_CHUNK, inputs)
        inputs -= _CHUNK


def _keep(surface: Surface, found: Found) -> None:
    """Failing inputs into the corpus, each under the place where it fails."""
    for place, (content, words) in found.failures.items():
        path = CORPUS / surface.name / re.sub(r"[^a-z0-9]+", "-", place.lower()).strip("-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"    {words}\n    {path.relative_to(ROOT)}")


def main() -> int:
    """Feed what was asked for; 1 where something failed."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="The long form of tests/fuzz.")
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of all surfaces together")
    parser.add_argument("--surface", action="append", choices=list(SURFACES), help="only this one; may be given again")
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86_400, help="what chance starts from; the day, where it is not said")
    parser.add_argument("--grown", type=Path, default=ROOT / "build" / "fuzz", help="folder of inputs to start from")
    asked = parser.parse_args()
    failed = 0
    for name in asked.surface or SURFACES:
        surface = SURFACES[name]
        found = _run(surface, share_of(surface, asked.inputs, asked.surface), asked.seed, asked.grown)
        _keep(surface, found)
        failed += len(found.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
