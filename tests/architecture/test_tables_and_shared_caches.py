"""Tables of n-grams, cache entries and index keys that layers share, gated streams: shapes of models of 2026."""

from __future__ import annotations

import pytest

from conftest import SHARED
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.cache import cache_format, layer_caches
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator

FIELD = SHARED.parent / "field" / "configs"

# Counts of the classes of transformers 5.24.0 on the meta device; DeepSeek-V4.1 and GLM-5.3 have none: counts of their published files.
COUNTED = {
    "qwen3.8-flash-next": (177_392_830_576, 51_200_245_760),
    "deepseek-v4.1-flash": (748_979_922_544, 196_613_849_600),
    "glm-5.3-flash": (321_323_019_006 - 7_432_592_128, 0),  # without multi-token prediction, whose experts the files hold
}


@pytest.mark.parametrize("name", COUNTED)
def test_models_with_tables_count_as_published(name: str) -> None:
    model = load_architecture(name)
    total, tables = COUNTED[name]
    assert (model.parameters.total, dict(model.parameters.groups).get("ngram_embedding", 0)) == (total, tables)
    assert list(model.warnings) == []


@pytest.mark.shared
@pytest.mark.parametrize("name", [*COUNTED, "class-default-muse_spark", "qwen1.5-14b", "command-r-plus"])
def test_configurations_of_the_field_are_read_without_doubt(name: str) -> None:
    model = load_architecture(str(FIELD / f"{name}.json"))
    counts = {"class-default-muse_spark": 822_036_513_792, "qwen1.5-14b": 14_167_290_880, "command-r-plus": 103_810_674_688}
    assert model.parameters.total == (COUNTED[name][0] if name in COUNTED else counts[name])


@pytest.mark.shared
@pytest.mark.parametrize("size", ["4b", "12b", "27b"])
def test_corrected_files_of_gemma_3_have_the_window_of_the_catalogue(size: str) -> None:
    read = load_architecture(str(FIELD / f"google--gemma-3-{size}-it.json"))
    assert read.max_position_embeddings == load_architecture(f"gemma-3-{size}-it").max_position_embeddings == 131_072


def test_a_token_reads_a_few_rows_of_a_table() -> None:
    """The card says that 16 of 748 billion parameters work on a token; a table of 196 billion gives one row for each head and order."""
    model = load_architecture("deepseek-v4.1-flash")
    assert 15.5e9 < model.parameters.activated < 17.5e9


def per_token(name: str, tp: int) -> float:
    model = load_architecture(name)
    form = cache_format("auto", model.dtype)
    assert form is not None
    return sum(
        cached.row_bytes / cached.ratio for layer in model.layers for cached in layer_caches(layer, form, tp=tp) if cached.kind in ("full", "pooled")
    )


def test_only_the_source_layers_of_a_group_cache_entries() -> None:
    """DeepSeek-V4.1: index keys are made from the same entries; layers of ``index_source_layer_ids`` only ask them anew."""
    model = load_architecture("deepseek-v4.1-flash")
    text = model.config["text_config"]
    form = cache_format("auto", model.dtype)
    assert form is not None
    parts = [[cached.part for cached in layer_caches(layer, form, tp=1) if cached.kind in ("full", "pooled")] for layer in model.layers]
    assert [index for index, found in enumerate(parts) if found] == text["kv_source_layer_ids"]
    assert [index for index, found in enumerate(parts) if "index" in found] == text["kv_source_layer_ids"]


def test_index_keys_beside_plain_keys_are_16_bits_wide() -> None:
    """MiniMax-M3 over 8 ranks: 60 layers of 2 x 128 x 2 bytes, and 57 with an index of 128 x 2, which no rank divides."""
    assert per_token("minimax-m3", 8) == 60 * 512 + 57 * 256 == 45_312


def on(gpu: str, engine: str, **fields: object) -> Fit:
    architecture = with_precision(load_architecture("qwen3.8-flash-next"), "nvfp4")
    deployment = Deployment(model="qwen3.8-flash-next", gpu=gpu, engine=engine, precision="nvfp4", **fields)  # type: ignore[arg-type]
    return get_engine(engine).fit(deployment, architecture, accelerator(gpu))


def moved(result: Fit) -> int:
    return sum(item.bytes for item in result.ranks[result.worst].items if item.id == "weights_ngrams_on_host")


def test_tables_lie_where_the_engine_puts_them() -> None:
    """Engines keep them in pinned memory of the host on CUDA; a device that is the host's memory gains by a file alone."""
    table = 51_200_245_760
    assert moved(on("h200", "vllm")) == pytest.approx(-table, rel=0.001)
    assert moved(on("h200", "vllm", flags={"engram_config": {"cpu_offload": False}})) == 0
    assert moved(on("mi300x", "vllm")) == 0
    assert moved(on("h200", "sglang")) == pytest.approx(-table, rel=0.001)
    assert moved(on("h200", "sglang", flags={"ple_offload_embedding": False})) == 0
    assert moved(on("mi300x", "sglang")) == 0
    assert moved(on("gb10", "vllm")) == 0
    assert moved(on("gb10", "vllm", flags={"ple_table_memory": "disk"})) == pytest.approx(-table, rel=0.001)
    assert moved(on("gb10", "sglang", flags={"ple_offload_embedding": True})) == 0
    assert moved(on("gb10", "sglang", flags={"ple_offload_backend": "file"})) == pytest.approx(-table, rel=0.001)
