"""What CONTRIBUTING promises: a new accelerator, formula or form of output is one file (or one line of one), and every command knows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpusizer import formulas
from gpusizer.cli.main import main
from gpusizer.facts import accelerator_names, accelerators
from gpusizer.formulas.core import REGISTRY
from gpusizer.rendering import forms

TOY_GPU = {
    "id": "toy-gpu-100gb",
    "vendor": "ToyWorks",
    "name": "Toy GPU 100GB",
    "aliases": [],
    "status": "shipping",
    "compute_capability": "9.0",
    "form": "PCIe",
    "memory": {"box_gb": 100, "mib": 95_000, "evidence": "assumed"},
    "bandwidth_gb_s": 2000,
    "peak_tflops": {"bf16": 500},
    "node": {"devices": 8},
    "engines": {"vllm": "yes"},
    "sources": {},
}

TOY_FORM = '''"""One word for each heading."""

from gpusizer.rendering.document import Document, Heading


def write(document: Document) -> str:
    return " / ".join(block.words for block in document.blocks if isinstance(block, Heading))
'''

TOY_FORMULA = '''"""A formula of its own file."""

from gpusizer.formulas.core import formula


@formula("toy.double", unit="bytes", symbols={"toy_bytes": "bytes"}, reference="arithmetic", example={"toy_bytes": 21})
def double_bytes(*, toy_bytes):
    """Twice as much."""
    return 2 * toy_bytes
'''


@pytest.fixture
def toy_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One more record at the end of the file of accelerators."""
    data = tmp_path / "data"
    shutil.copytree(accelerators.DATA, data)
    with (data / "accelerators.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(TOY_GPU) + "\n")
    monkeypatch.setattr(accelerators, "DATA", data)
    caches = [each for module in (accelerators, accelerator_names) for each in vars(module).values() if hasattr(each, "cache_clear")]
    for each in caches:
        each.cache_clear()
    yield str(TOY_GPU["id"])
    for each in caches:
        each.cache_clear()


def test_an_accelerator_is_one_record(toy_gpu: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "qwen3-8b", "--concurrency", "4", "--context-tokens", "4k", "--vendor", "toyworks", "--format", "json"]) == 0
    option = json.loads(capsys.readouterr().out)["options"][0]
    assert (option["gpu"], option["gpus"], option["per_gpu"]["device_total_bytes"]) == (toy_gpu, 1, 95_000 * 2**20)
    assert option["tpot_s"] > 8.19e9 * 2 / 2000e9  # the weights cannot be read faster than that
    assert main(["accelerators", "show", "toy gpu 100gb"]) == 0
    shown = capsys.readouterr().out
    assert "Toy GPU 100GB" in shown
    assert "not known" in shown


def test_a_formula_is_one_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "toy_formula.py").write_text(TOY_FORMULA, encoding="utf-8")
    monkeypatch.setattr(formulas, "__path__", [*formulas.__path__, str(tmp_path)])
    try:
        assert main(["explain", "toy.double"]) == 0
        answer = capsys.readouterr().out
        assert "2*toy_bytes" in answer
        assert "= 42 bytes" in answer
    finally:
        REGISTRY.pop("toy.double", None)


def test_a_form_of_output_is_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "headings.py").write_text(TOY_FORM, encoding="utf-8")
    monkeypatch.setattr(forms, "__path__", [*forms.__path__, str(tmp_path)])
    assert main(["explain", "memory.budget.free", "--format", "headings"]) == 0
    assert "memory.budget.free" in capsys.readouterr().out
    assert main(["explain", "memory.budget.free", "--format", "nonesuch"]) == 2
    assert "headings" in capsys.readouterr().err
