"""What fits by vLLM's recipes and SGLang's cookbook, cell by cell of checkpoint x hardware, against what we say.

``vllm-recipes-cells.jsonl``: a checkpoint, the memory that its recipe asks for [GB], and the hardware that the recipe calls verified, with the GPUs
of its command. By the recipes' own rule that memory is 1.2 times the weights, so a cell says "one server is enough" where the server has as much, and
"it is not" where it has less than the weights alone; between the two it says nothing, and is left out.

``sglang-cookbook-cells.jsonl``: a checkpoint and hardware with [TP, EP] of the cookbook's first command. Each cell says "this starts";
``contradicted`` names cells that other documents of the same project call wrong.

Checkpoints that the catalogue lacks are in neither; ``model`` and ``precision`` are our words for the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import gpusizer
from conftest import DATA, lines_of
from gpusizer import Deployment, Request
from gpusizer.errors import GpusizerError, UnknownIdError

HEADROOM = 1.2  # vllm-project/recipes@8959cf6: models/Qwen/Qwen3.8-27B.yaml, vram_minimum_gb
LEAST_RECIPES = 0.995
MOST_CONTRADICTED = 8  # of 301 cells of the cookbook

# vllm-project/recipes@8959cf6: taxonomy.yaml, hardware_profiles: ours, GPUs of a server, their memory [GB].
SERVERS = {
    "h100": ("h100-sxm-80gb", 8, 640),
    "h200": ("h200-sxm-141gb", 8, 1128),
    "b200": ("b200-sxm-180gb", 8, 1440),
    "gb200": ("gb200-186gb", 4, 768),
    "b300": ("b300-sxm-288gb", 8, 2144),
    "gb300": ("gb300-288gb", 4, 1152),
    "dgx_spark_gb10": ("gb10-128gb", 1, 128),
    "rtx_pro_6000": ("rtxpro6000-server-96gb", 1, 96),
    "rtx_pro_6000_2x": ("rtxpro6000-server-96gb", 2, 192),
    "rtx_pro_6000_8x": ("rtxpro6000-server-96gb", 8, 768),
    "rtx_5090": ("rtx5090-32gb", 1, 32),
    "rtx_5090_2x": ("rtx5090-32gb", 2, 64),
    "mi300x": ("mi300x-192gb", 8, 1536),
    "mi325x": ("mi325x-256gb", 8, 2048),
    "mi355x": ("mi355x-288gb", 8, 2304),
    "arc_pro_b60": ("arc-pro-b60-24gb", 4, 96),
}
CARDS = {
    "A100": "a100-sxm-80gb",
    "H100": "h100-sxm-80gb",
    "H200": "h200-sxm-141gb",
    "B200": "b200-sxm-180gb",
    "B300": "b300-sxm-288gb",
    "GB200": "gb200-186gb",
    "GB300": "gb300-288gb",
    "MI300X": "mi300x-192gb",
    "MI325X": "mi325x-256gb",
    "MI350X": "mi350x-288gb",
    "MI355X": "mi355x-288gb",
}


@dataclass(frozen=True)
class Cell:
    """One checkpoint on one server of the recipes: what is said, the GPUs of the command, and the GPUs that we find (None: no option)."""

    name: str
    fits: bool
    command_gpus: int
    found_gpus: int | None


def said(row: dict[str, Any], server_gb: int) -> bool | None:
    """Whether the recipe calls one server enough; None where its rule of thumb leaves it open."""
    if row["minimum_gb"] <= server_gb:
        return True
    return False if row["minimum_gb"] / HEADROOM > server_gb else None


@cache
def recipes() -> tuple[Cell, ...]:
    return tuple(_recipes())


def _recipes() -> Iterator[Cell]:
    for row in lines_of(DATA / "vllm-recipes-cells.jsonl"):
        for hardware, command_gpus in row["cells"].items():
            gpu, most, server_gb = SERVERS[hardware]
            fits = said(row, server_gb)
            if fits is None:
                continue
            wanted = Request(row["model"], 1, input_tokens=2048, output_tokens=512, precision=row["precision"], gpus=(gpu,), max_gpus=most)
            options = gpusizer.plan(wanted).options
            yield Cell(f"{row['checkpoint']} on {most} x {gpu}", fits, command_gpus, options[0].gpus if options else None)


def test_recipes_fit_the_servers_that_they_were_verified_on() -> None:
    cells = recipes()
    assert len(cells) >= 480
    assert sum(not cell.fits for cell in cells) >= 25
    wrong = [cell.name for cell in cells if cell.fits != (cell.found_gpus is not None)]
    assert len(wrong) <= (1 - LEAST_RECIPES) * len(cells), wrong


def test_no_more_gpus_than_the_command_of_a_recipe() -> None:
    """One request of 2.5k tokens needs no more GPUs than whoever wrote the recipe started it on."""
    fitting = [(cell, cell.found_gpus) for cell in recipes() if cell.fits and cell.found_gpus is not None]
    more = [f"{cell.name}: {found}, not {cell.command_gpus}" for cell, found in fitting if found > cell.command_gpus]
    assert len(more) <= (1 - LEAST_RECIPES) * len(fitting), more


def starts(row: dict[str, Any], hardware: str) -> bool:
    tp, ep = row["cells"][hardware]
    return verdict(row["model"], CARDS[hardware], row["precision"], tp, ep)


@cache
def verdict(model: str, gpu: str, precision: str, tp: int, ep: int) -> bool:
    """Whether it starts; base, instruct and thinking checkpoints of one shape share it."""
    launch = Deployment(model, gpu, precision=precision, engine="sglang", tp=tp, ep=ep, max_model_len=4096)
    try:
        return gpusizer.fit(launch).fits
    except UnknownIdError:
        raise
    except GpusizerError:
        return False


def test_commands_of_the_cookbook_start() -> None:
    rows = lines_of(DATA / "sglang-cookbook-cells.jsonl")
    cells = [(row, hardware) for row in rows for hardware in row["cells"]]
    assert len(cells) >= 300
    wrong = [(row, hardware) for row, hardware in cells if not starts(row, hardware)]
    names = [f"{row['checkpoint']} on {hardware}: TP {row['cells'][hardware][0]} EP {row['cells'][hardware][1]}" for row, hardware in wrong]
    assert len(wrong) <= MOST_CONTRADICTED, names
    for row, hardware in cells:  # what the same project says elsewhere
        if hardware in row.get("contradicted", {}):
            assert (row, hardware) in wrong, (row["checkpoint"], hardware, row["contradicted"][hardware])
