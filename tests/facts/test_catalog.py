"""The catalogue against data sheets, driver print-outs, public counts, and names as logs and people write them."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, shared_lines
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.errors import UnknownIdError
from gpusizer.facts import model_names
from gpusizer.facts.catalog import model_entry, model_ids, number_formats, resolve_model, scenario, scenarios
from gpusizer.i18n import has

MODELS = ROOT / "src" / "gpusizer" / "facts" / "models"


# Scenarios and number formats -----------------------------------------------------------------------------------------------


def test_the_articles_knowledge_base_is_the_first_scenario() -> None:
    first = scenarios()[0]
    assert (first.id, first.users, first.input_tokens + first.output_tokens, first.active_share_range) == ("knowledge-base", 1000, 2048, (0.01, 0.05))
    assert first.users * first.active_share == 10  # its example
    assert first.departments == ("personnel", "technical-support", "sales")


def test_scenarios_have_names_sources_and_shares_within_their_range() -> None:
    for each in scenarios():
        low, high = each.active_share_range
        assert 0 < low <= each.active_share <= high <= 1
        assert min(each.input_tokens, each.output_tokens, each.users) > 0
        assert each.sources
        for language in ("en", "zh"):
            assert all(has("scenario", name, language) for name in (each.id, *each.departments))
    with pytest.raises(UnknownIdError) as caught:
        scenario("knowlege-base")
    assert caught.value.parameters["nearest"] == ["knowledge-base", "rag-knowledge-base"]


@pytest.mark.parametrize(
    ("id", "bits", "with_scales", "parts", "maximum"),
    [
        ("fp16", 16, 16, (1, 5, 10), 65504.0),
        ("bf16", 16, 16, (1, 8, 7), 3.3895313892515355e38),
        ("fp32", 32, 32, (1, 8, 23), 3.4028234663852886e38),
        ("fp8_e4m3", 8, 8, (1, 4, 3), 448.0),
        ("fp8_e5m2", 8, 8, (1, 5, 2), 57344.0),
        ("mxfp4", 4, 4.25, (1, 2, 1), 6.0),
        ("nvfp4", 4, 4.5, (1, 2, 1), 6.0),
        ("q4_k", 4.5, 4.5, (None, None, None), None),
        ("q8_0", 8.5, 8.5, (None, None, None), None),
        ("q6_k", 6.5625, 6.5625, (None, None, None), None),
    ],
)
def test_number_formats(id: str, bits: float, with_scales: float, parts: tuple[Any, ...], maximum: float | None) -> None:
    form = next(each for each in number_formats() if each.id == id)
    assert (form.bits, form.bits_with_scales) == (bits, with_scales)
    assert (form.sign_bits, form.exponent_bits, form.mantissa_bits) == parts
    assert form.maximum == maximum
    assert form.sources


# Models ---------------------------------------------------------------------------------------------------------------------


def test_the_index_is_that_of_the_files() -> None:
    index = json.loads((MODELS / "index.json").read_text(encoding="utf-8"))
    ids: list[str] = []
    names: dict[str, str] = {}
    for path in sorted(MODELS.glob("*.toml")):
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
        ids.append(path.stem)
        for name in (path.stem, entry["name"], *entry.get("aliases", ())):
            assert names.setdefault(model_names.name_key(name), path.stem) == path.stem, name
        assert entry.get("same_as", path.stem) in index["models"], path.stem
        assert entry.get("config_source"), path.stem
    assert (list(index["models"]), index["names"]) == (ids, names), "run scripts/import_models.py --index"


@pytest.mark.parametrize("name", ["deepseek-v3", "DeepSeek-V3", "deepseek-ai/DeepSeek-V3", "DEEPSEEK_V3", "deepseek v3", "deepseek-v3:671b"])
def test_letter_case_organisation_and_joints_do_not_matter(name: str) -> None:
    entry = model_entry(name)
    assert entry.id == "deepseek-v3"
    assert (entry.published_total_params, entry.published_activated_params) == (671 * 10**9, 37 * 10**9)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "", "deepseek-v3\x00", "a" * 10_000, "deepseek-v3.toml", "index", "C:\\models\\x"]
)
def test_a_hostile_id_opens_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model_ids()  # the index is read before
    opened: list[str] = []

    def read(model_id: str) -> dict[str, Any]:
        opened.append(model_id)
        return {}

    monkeypatch.setattr(model_names, "_file", read)
    for look_up in (model_entry, resolve_model):
        with pytest.raises(UnknownIdError) as caught:
            look_up(name)
        assert caught.value.code == "unknown-model"
        assert len(caught.value.parameters["nearest"]) <= 3
    assert not opened


def test_nearest_names() -> None:
    with pytest.raises(UnknownIdError) as caught:
        model_entry("deepsek-v3")
    assert caught.value.parameters["nearest"][0] == "deepseek-v3"


@pytest.mark.parametrize(
    ("name", "id", "precision"),
    [
        ("deepseek-ai/DeepSeek-V3", "deepseek-v3", None),
        ("RedHatAI/Qwen3-14B-FP8-dynamic", "qwen3-14b", "fp8"),
        ("Qwen/Qwen3-235B-A22B-FP8", "qwen3-235b-a22b-fp8", None),  # an entry of its own: as stored
        ("Qwen/Qwen3-32B-AWQ", "qwen3-32b", "int4"),
        ("cpatonn/Qwen3-Coder-30B-A3B-Instruct-GPTQ-4bit", "qwen3-coder-30b-a3b-instruct", "int4"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "llama-3.1-8b-instruct", "int4"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "llama-3.1-8b-instruct", "int8"),
        ("RedHatAI/gemma-4-26B-A4B-it-NVFP4", "gemma-4-26b-a4b-it", "nvfp4"),
        ("Qwen3-32B-UD-Q4_K_XL.gguf", "qwen3-32b", "q4_k_xl"),
        ("DeepSeek-R1-Q4_K_M-00001-of-00009.gguf", "deepseek-r1", "q4_k_m"),
        ("DeepSeek-R1.Q8_0-00001-of-00015.gguf", "deepseek-r1", "q8_0"),
        ("unsloth/Qwen3-8B-GGUF:Q4_K_M", "qwen3-8b", "q4_k_m"),
        ("DeepSeek R1 BF16", "deepseek-r1", "bf16"),
        ("Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b-v0.1", None),
    ],
)
def test_repositories_resolve_to_an_entry_and_a_precision(name: str, id: str, precision: str | None) -> None:
    entry, found = resolve_model(name)
    assert (entry.id, found) == (id, precision)


@pytest.mark.parametrize("name", ["DeepSeek-R1 (4-bit WNA16 checkpoint)", "some-other-model-FP8", "Qwen3", "llama", "gguf", "-FP8", "AWQ"])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(UnknownIdError):
        resolve_model(name)


def test_null_keys_say_none() -> None:
    assert "q_lora_rank" in model_entry("deepseek-v2-lite").config  # an absent key would mean what the class gives
    assert model_entry("deepseek-v2-lite").config["q_lora_rank"] is None


def test_kimi_vl_has_as_many_parameters_as_its_loaded_checkpoint() -> None:
    model = load_architecture("kimi-vl-a3b-instruct")
    biases = sum(tensor.params for tensor in model.tensors() if tensor.group == "buffer")  # of its routers; the library counts them
    assert model.parameters.total + biases == 16_407_656_048  # printed in ai-bot-pro/achatbot#142


@pytest.mark.parametrize("id", ["mistral-7b-instruct-v0.2", "mistral-large-instruct-2407", "mistral-large-instruct-2411"])
def test_a_mistral_after_the_first_has_no_window(id: str) -> None:
    assert {getattr(mixer, "window", None) for layer in load_architecture(id).layers for mixer in layer.mixers} == {None}


@pytest.mark.parametrize(
    ("id", "total", "tolerance"),
    [  # published counts
        ("deepseek-v3", 671e9, 0.001),
        ("deepseek-r1", 671e9, 0.001),
        ("qwen3-235b-a22b", 235e9, 0.005),
        ("llama-3.1-8b", 8.03e9, 0.001),
        ("llama-3.1-405b", 405.85e9, 0.001),
        ("gpt-oss-120b", 116.83e9, 0.001),
        ("mixtral-8x7b-v0.1", 46.7e9, 0.001),
        ("laguna-s-2.1", 118e9, 0.005),
        ("laguna-xs.2", 33.4e9, 0.005),
        ("mistral-large-3-675b-instruct-2512", 675.5e9, 0.001),
        ("glm-4.5v", 107.7e9, 0.001),
        ("qwen2.5-vl-72b-instruct", 73_410_777_344, 0.0),
        ("granite-3.1-8b-instruct", 8.17e9, 0.001),
        ("granite-3.1-2b-instruct", 2.53e9, 0.002),
        ("moonlight-16b-a3b", 16e9, 0.005),
        ("llama-3-70b", 70.55e9, 0.001),
    ],
)
def test_published_counts(id: str, total: float, tolerance: float) -> None:
    entry = model_entry(id)
    assert read_config(entry.config, id=entry.id, name=entry.name).parameters.total == pytest.approx(total, rel=tolerance)


def test_checkpoints_have_the_size_that_was_published() -> None:
    rounded, compared = 0.0007, 0
    # DeepSeek-V4-Flash-0731 and -Vision-Exp, Gemma 4 E2B/E4B: parts that no configuration describes (draft layers, towers).
    undescribed = {"deepseek-v4-flash-0731", "deepseek-v4-flash-vision-exp", "gemma-4-e2b-it", "gemma-4-e4b-it"}
    for id in set(model_ids()) - undescribed - {"nvidia-nemotron-3-ultra-550b-a55b-nvfp4"}:
        entry = model_entry(id)
        if entry.checkpoint_bytes is None:
            continue
        architecture = load_architecture(id)
        sizes = [checkpoint_bytes(architecture, mtp=mtp) for mtp in (True, False)]
        assert any(size == pytest.approx(entry.checkpoint_bytes, rel=rounded) for size in sizes), (id, sizes, entry.checkpoint_bytes)
        compared += 1
    assert compared > 50


# The shared copy has what the class gives: forty layers of full attention. The published file has windows and other heads (its FP8 repository).
OTHER_SHAPE = frozenset(("laguna-xs.2",))


def audio_params(model_id: str) -> int:
    """Parameters of an audio tower that the shared copy of a configuration leaves out."""
    if model_id not in ("gemma-4-e2b-it", "gemma-4-e4b-it"):
        return 0
    return sum(tensor.params for tensor in load_architecture(model_id).towers if "audio" in tensor.name)


@pytest.mark.shared
def test_every_counted_model_has_an_entry_with_the_same_parameters() -> None:
    for line in shared_lines("model-oracle.jsonl"):
        if not line["config_file"]:
            continue
        entry = model_entry(line["id"])
        count = load_architecture(entry.id).parameters
        trimmed = "step-3." in entry.id  # a copy trimmed by its keeper: what its class gives is put back
        assert trimmed or entry.id in OTHER_SHAPE or count.total - audio_params(entry.id) == line["total_params"], entry.id
        assert entry.published_total_params in (line["published_total_params"], None) or "llama-" in entry.id
        assert entry.checkpoint_bytes == line["checkpoint_bytes"], entry.id


# Copies whose context is not the published one (test_contexts.py): a port's, a library's table or class default, or an earlier file of the vendor.
OTHER_CONTEXT = frozenset(
    ("gemma-3-4b-it", "gemma-3-12b-it", "gemma-3-27b-it", "qwen2.5-72b-instruct", "mistral-7b-v0.1", "step-3.7-flash", "step-3.7-flash-fp8")
)


@pytest.mark.shared
def test_an_entry_stores_the_same_bytes_as_the_whole_configuration(shared: Path) -> None:
    for line in shared_lines("model-oracle.jsonl"):
        own = f"hf-configs/{line['id'].replace('/', '--')}.json"
        if line["config_file"] != own:
            continue
        entry = model_entry(line["id"])
        whole = json.loads((shared / own).read_text(encoding="utf-8"))
        if "quantization_config" in entry.config and "quantization_config" not in whole:
            continue  # settings of a file beside the configuration
        if entry.id in OTHER_SHAPE:
            continue
        ours, theirs = load_architecture(entry.id), read_config(whole, id=entry.id)
        assert checkpoint_bytes(ours) - 2 * audio_params(entry.id) == checkpoint_bytes(theirs), entry.id
        if entry.id not in OTHER_CONTEXT:
            assert ours.max_position_embeddings == theirs.max_position_embeddings, entry.id
        assert ours.dtype == theirs.dtype, entry.id


def test_the_importer_writes_an_entry_that_reads_back(tmp_path: Path) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "bos_token_id": 1,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 100,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "quantization_config": {
            "quant_method": "fp8",
            "weight_block_size": [128, 128],
            "modules_to_not_convert": ["lm_head", *(f"model.layers.{layer}.mlp.{name}_proj" for layer in range(2) for name in ("up", "gate", "down"))]
            + [f"model.layers.{layer}.self_attn.o_proj" for layer in range(2)],
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    program = (
        "import sys, json, pathlib; sys.path.insert(0, sys.argv[1]); import import_models as m; m.MODELS = pathlib.Path(sys.argv[2]); "
        "m.write_entry({'id': 'toy', 'name': 'Toy', 'config_source': 'here'}, json.loads((m.MODELS / 'config.json').read_text()))"
    )
    subprocess.run([sys.executable, "-c", program, str(ROOT / "scripts"), str(tmp_path)], check=True)
    written = tomllib.loads((tmp_path / "toy.toml").read_text(encoding="utf-8"))
    assert not {"bos_token_id", "attention_dropout", "initializer_range"} & set(written["config"])
    assert written["null"] == ["sliding_window"]
    ours, theirs = read_config(written["config"], id="toy"), read_config(config, id="toy")
    assert checkpoint_bytes(ours) == checkpoint_bytes(theirs)
    assert len(written["config"]["quantization_config"]["modules_to_not_convert"]) < 9  # lists become patterns
