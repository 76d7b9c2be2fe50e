"""What CONTRIBUTING promises of a new kind of mixer: its class, its reader and its name in the engines' list, and everything works with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import gpusizer
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.registry import MixerReader, register_mixer, unregister
from gpusizer.architecture.readers.tensor_kit import column, row
from gpusizer.architecture.types import State, StateMixer, Tensor
from gpusizer.cli.main import main
from gpusizer.engines import get_engine
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator

LAYERS, TOYS, HIDDEN, SLOTS, WIDTH = 8, 6, 1024, 16, 64
STRICT = ["vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama"]


@dataclass(frozen=True, slots=True)
class Whirl(StateMixer):
    """A mixer that nobody has heard of: a square state for each of its slots, no convolution."""

    slots: int
    width: int
    tensors: tuple[Tensor, ...]

    kind = "whirl"

    @property
    def divided_heads(self) -> tuple[int, ...]:
        return (self.slots,)

    @property
    def state(self) -> State:
        return State(self.slots, self.width, self.width, channels=0, kernel=0)

    @property
    def stream_elements(self) -> int:
        return 2 * self.slots * self.width


@pytest.fixture
def model(tmp_path: Path) -> Iterator[str]:
    """A checkpoint folder whose layers are six of the toy and two of attention, in a class that is known."""

    def read(layer: LayerContext) -> tuple[Whirl, ...]:
        slots, width = layer.needed("whirl_slots"), layer.needed("whirl_width")
        tensors = column("whirl.in_proj", slots * width, layer.hidden, "linear_attention", slots)
        tensors += row("whirl.out_proj", layer.hidden, slots * width, "linear_attention", slots)
        return (Whirl(slots, width, tensors),)

    config = {
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "intermediate_size": 4096,
        "vocab_size": 32000,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
        "layer_types": ["whirl"] * TOYS + ["full_attention"] * (LAYERS - TOYS),
        "whirl_slots": SLOTS,
        "whirl_width": WIDTH,
        "torch_dtype": "bfloat16",
    }
    (tmp_path / "whirl").mkdir()
    (tmp_path / "whirl" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    reader = register_mixer(MixerReader("whirl", lambda layer: layer.mixer == "whirl", read))
    yield str(tmp_path / "whirl")
    unregister(reader)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that CONTRIBUTING asks for in ``engines/base/engine.py``."""
    assert Engine.mixers is not None
    monkeypatch.setattr(Engine, "mixers", Engine.mixers | {"whirl"})


def fit(engine: str, model: str, *, tp: int = 1, max_num_seqs: int | None = None) -> Fit:
    wanted = Deployment(model=model, gpu="h200-sxm-141gb", engine=engine, max_model_len=8192, tp=tp, max_num_seqs=max_num_seqs)
    return get_engine(engine).fit(wanted, load_architecture(model), accelerator("h200"))


def test_it_is_counted(model: str) -> None:
    read = load_architecture(model)
    assert [mixer.kind for mixer in read.mixers] == ["whirl"] * TOYS + ["attention"] * (LAYERS - TOYS)
    assert read.parameters.groups["linear_attention"] == TOYS * 2 * HIDDEN * SLOTS * WIDTH
    assert read.warnings == ()


@pytest.mark.parametrize("engine", STRICT)
def test_an_engine_that_does_not_list_it_refuses_it_by_its_name(engine: str, model: str) -> None:
    answer = fit(engine, model)
    assert not answer.fits
    assert answer.reason is not None
    assert (answer.reason.code, answer.reason.parameters) == ("mixer-not-known", {"kind": "whirl"})


def test_an_engine_that_takes_a_model_s_own_code_runs_it(model: str) -> None:
    assert fit("transformers", model).fits


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"])
def test_every_other_engine_fits_it_with_its_weights_and_its_state(engine: str, model: str) -> None:
    one, read = fit(engine, model, max_num_seqs=1), load_architecture(model)
    assert one.fits, one.reason
    stored = sum(line.bytes for line in one.ranks[0].items if line.id.startswith("weights"))
    looked_up = read.parameters.groups["embedding"] if engine == "llama.cpp" else 0  # stays with the host
    assert stored >= 2 * (read.parameters.total - looked_up)  # BF16
    states = TOYS * SLOTS * WIDTH * WIDTH
    assert one.kv_cache.fixed_bytes_per_request >= 2 * states
    if engine == "sglang":  # a slot in FP32, and five slots for a request
        assert one.kv_cache.fixed_bytes_per_request % (4 * states) == 0


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_cut_must_divide_its_slots(engine: str, model: str) -> None:
    reason = fit(engine, model, tp=3).reason
    assert reason is not None
    assert reason.code in ("tp-heads", "tp-state-heads")
    assert fit(engine, model, tp=4).fits


@pytest.mark.usefixtures("known")
def test_it_is_planned_with_a_speed(model: str) -> None:
    plan = gpusizer.plan(gpusizer.Request(model=model, concurrency=8, context_tokens=4096, gpus=("h200",)))
    assert plan.options
    best = plan.options[0]
    assert best.performance is not None
    assert best.held_requests >= 8


@pytest.mark.parametrize(("language", "words"), [("en", "whirl, a state of 65536 elements"), ("zh", "whirl，状态 65536 个元素")])
def test_it_is_shown(language: str, words: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--language", language, "models", "check", model, "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)["layers"][0]
    assert (first["count"], first["mixer"]) == (TOYS, words)
