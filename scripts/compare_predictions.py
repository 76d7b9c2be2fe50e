#!/usr/bin/env python3
"""Which predictions does the working tree change? Every row of case files, here and at another revision.

``scripts/compare_predictions.py REVISION CASES.jsonl ...`` prints, for each file, how many rows are equal to the byte and the first that are not;
the exit code is 3 where any row differs. A change that claims to move no number runs it before it is committed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
SHOWN = 5  # differing rows of a file


def predictions(tree: Path, cases: Path) -> dict[str, Any]:
    """What ``gpusizer validate`` predicts from the sources of ``tree``, by case."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-m", "gpusizer", "validate", str(cases), "--format", "json"]
    done = subprocess.run(command, env=environment, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"{tree}: {done.stderr.strip()}")
    return {case["id"]: {name: value for name, value in case.items() if name != "id"} for case in json.loads(done.stdout)["cases"]}


def main() -> None:
    """Compare, print, and say by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision")
    parser.add_argument("cases", nargs="+", type=Path)
    asked = parser.parse_args()
    differing = 0
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "tree"
        subprocess.run(["git", "-C", HERE, "worktree", "add", "--quiet", "--detach", before, asked.revision], check=True)
        try:
            for path in asked.cases:
                old, new = predictions(before, path.resolve()), predictions(HERE, path.resolve())
                changed = [case for case in {**old, **new} if old.get(case) != new.get(case)]
                differing += len(changed)
                print(f"{path.name}: {len(new) - len(changed)} of {len(new)} rows are equal")
                for case in changed[:SHOWN]:
                    print(f"  {case}: {json.dumps(old.get(case))[:200]}\n  {' ' * len(case)}  {json.dumps(new.get(case))[:200]}")
        finally:
            subprocess.run(["git", "-C", HERE, "worktree", "remove", "--force", before], check=True)
    sys.exit(3 if differing else 0)


if __name__ == "__main__":
    main()
