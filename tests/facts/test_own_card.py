"""A card that somebody describes: what was told and nothing else, through every form of a request."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import ANSWERED, refused, run
from gpusizer.engines.base.device_support import device_support
from gpusizer.errors import FlagError, GpusizerError, InputError
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.own_card import given_card, is_own_card, own_card, split_gpus
from gpusizer.performance.device_speeds import bandwidth_bytes_per_s, peak_flops_per_s, speed_known
from gpusizer.planning.model import model_of
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request, from_mapping, from_query, to_arguments, to_mapping, to_query
from gpusizer.planning.types import Option
from gpusizer.units import GB, TB, GiB
from workbook_reader import Sheet

L40S = "48GB,864GB/s,362TFLOPS"


def _tpot(option: Option) -> float:
    assert option.speeds.performance is not None
    return option.speeds.performance.tpot_s.value


def test_only_what_was_told_is_known() -> None:
    card = accelerator("48GB,864GB/s")
    assert (card.memory_bytes, card.bandwidth_bytes_per_s, dict(card.peak_flops)) == (48 * GB, 864 * GB, {})
    unknown = ("compute_capability", "torch_total_bytes", "interconnect_bytes_per_s", "devices_per_node", "tdp_w", "release_year", "pcie_generation")
    assert all(getattr(card, name) is None for name in unknown)
    assert (card.prices, dict(card.engines), card.memory_evidence) == ((), {}, "assumed")


def test_every_figure_can_be_told() -> None:
    card = own_card(
        "96GiB; 1.79TB/s; bf16=250TFLOPS; fp8=0.5PFLOPS; int8=500TOPS; name=Blue One; vendor=nvidia; compute-capability=9.0; "
        "interconnect=900GB/s; devices-per-node=4; tdp=600W; hour=3.5USD; device=90000CNY"
    )
    assert (card.memory_bytes, card.bandwidth_bytes_per_s) == (96 * GiB, 1790 * GB)
    assert card.peak_flops == {"bf16": 250 * TB, "fp8": 500 * TB, "int8": 500 * TB}
    assert (card.name, card.vendor, card.compute_capability, card.tdp_w, card.node_size) == ("Blue One", "NVIDIA", "9.0", 600, 4)
    assert (card.interconnect_bytes_per_s, card.fabric_devices) == (900 * GB, 4)
    assert [(str(price.low), price.currency, price.per) for price in card.prices] == [("3.5", "USD", "hour"), ("90000", "CNY", "device")]
    assert accelerator(card.id) == card


def test_a_card_like_one_of_the_catalogue_answers_like_it() -> None:
    own = make_plan(Request("qwen3-8b", concurrency=4, context_tokens=4096, gpus=(f"{L40S},vendor=NVIDIA,compute-capability=8.9",))).options[0]
    known = make_plan(Request("qwen3-8b", concurrency=4, context_tokens=4096, gpus=("L40S",))).options[0]
    assert (own.gpus, own.layout) == (known.gpus, known.layout)
    assert own.fit.kv_cache.tokens == pytest.approx(known.fit.kv_cache.tokens, rel=0.03)
    assert _tpot(own) == pytest.approx(_tpot(known), rel=0.02)
    assert own.assumed
    assert not known.assumed
    assert "own-card" in {notice.code for notice in own.notices}


@pytest.mark.parametrize("line", ["24GB,300GB/s", "24GB,362TFLOPS"])
def test_no_speed_is_invented(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    card = accelerator(line)
    assert not speed_known(card)
    with pytest.raises(InputError, match="cannot be predicted"):
        bandwidth_bytes_per_s(card) if card.bandwidth_bytes_per_s is None else peak_flops_per_s(card, "16")
    option = make_plan(Request("qwen3-0.6b", concurrency=1, context_tokens=1024, gpus=(line,))).options[0]
    assert option.speeds.performance is None
    assert {"speed-unknown", "peak-unknown"} & {notice.code for notice in option.notices}
    code, out, _ = run(capsys, "plan", "qwen3-0.6b", "--gpu", line, "--ttft", "1s", "--language", "en")
    assert code == 3
    assert "no speed can be promised" in out


def test_an_engine_is_never_refused_in_silence_on_an_unknown_card() -> None:
    architecture = model_of("qwen3-8b").stored
    for engine in ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"):
        support = device_support(engine, architecture, accelerator("48GB,864GB/s"))
        assert support.refusal is None
        assert support.notices
    assert accelerator("80GB,2TB/s,vendor=NVIDIA,compute-capability=9.0").engines["vllm"] == "yes"
    assert accelerator("16GB,500GB/s,vendor=NVIDIA,compute-capability=6.1").engines["vllm"] == "no"


def test_a_list_keeps_the_parts_of_a_card_together() -> None:
    assert split_gpus(f"h200,{L40S},RTX 4090 48GB,24GB, 300GB/s,12GB,100GB/s") == [
        "h200",
        "48GB;864GB/s;362TFLOPS",
        "RTX 4090 48GB",
        "24GB;300GB/s",
        "12GB;100GB/s",
    ]
    assert (
        Request("qwen3-8b", gpus=("h200", L40S)).gpus
        == ("h200", "48GB;864GB/s;362TFLOPS")
        == from_mapping({"model": "qwen3-8b", "gpus": f"h200,{L40S}"}).gpus
    )


@given(
    st.integers(1, 4096),
    st.floats(1, 9e5).map(lambda value: round(value, 3)),
    st.none() | st.integers(1, 10**5),
    st.none() | st.sampled_from(["NVIDIA", "AMD", "Nobody & Sons"]),
)
def test_a_request_with_a_card_survives_every_form(memory: int, bandwidth: float, peak: int | None, vendor: str | None) -> None:
    line = f"{memory}GB,{bandwidth:f}GB/s" + (f",{peak}TFLOPS" if peak else "") + (f",vendor={vendor}" if vendor else "")
    asked = Request("qwen3-8b", concurrency=2, gpus=(line, "h20"))
    assert from_mapping(json.loads(json.dumps(to_mapping(asked)))) == asked == from_query(to_query(asked))
    words = to_arguments(asked)
    assert tuple(words[place + 1] for place, word in enumerate(words) if word == "--gpu") == asked.gpus
    card = accelerator(asked.gpus[0])
    assert card.memory_bytes == memory * GB
    assert card.bandwidth_bytes_per_s == pytest.approx(bandwidth * GB)
    assert accelerator(card.id) == card


def test_a_file_describes_a_card_as_a_line_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "card.toml"
    path.write_text(
        '\ufeffname = "Blue One"\nvendor = "NVIDIA"\nmemory = "48GB"\nbandwidth = "864GB/s"\nbf16_tflops = 362\nfp8_tflops = 733.0\n'
        'compute_capability = "8.9"\ninterconnect = "64GB/s"\ndevices_per_node = 8\ntdp = 350\nprice_hour = 0.8\nprice_device = 7500\n'
        'currency = "USD"\n',
        encoding="utf-8",
    )
    card = accelerator(given_card(str(path)))
    assert (card.name, card.memory_bytes, card.peak_flops["fp8"], card.tdp_w, card.devices_per_node) == ("Blue One", 48 * GB, 733 * TB, 350, 8)
    assert [str(price.low) for price in card.prices] == ["0.8", "7500"]
    asked = Request("qwen3-8b", gpus=(str(path),))
    path.unlink()
    assert accelerator(asked.gpus[0]) == card  # the file was read once; the request says everything
    assert run(capsys, "plan", "qwen3-8b", "--gpu", asked.gpus[0])[0] == ANSWERED


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "no memory"),
        ("memory = 48", "memory"),
        ('memory = "48G"', "48G"),
        ('memory = "48GB"\nsize = 1', "size"),
        ('memory = "48GB"\nbf16_tflops = "many"', "many"),
        ('memory = "48GB"\nvendor = ["a"]', "vendor"),
        ('memory = "48GB"\ntdp = nan', "tdp"),
        ('memory = "48GB"\ntdp = 1e300', "tdp"),
        ('memory = "48GB"\nname = "a;b=c"', "b"),
        ("memory =", "cannot be read"),
        ("\x00", "cannot be read"),
        ("[" * 70000, "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_in_a_line(content: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "card.toml"
    path.write_text(content, encoding="utf-8")
    for command in ("fit", "plan"):
        assert expected in refused(capsys, command, "qwen3-8b", "--gpu", str(path), "--language", "en")
    assert refused(capsys, "fit", "qwen3-8b", "--gpu", str(tmp_path / "absent.toml"))
    assert refused(capsys, "fit", "qwen3-8b", "--gpu", str(tmp_path))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("48GB,864GBs", "own-card-part"),
        ("48GB,864", "own-card-part"),
        ("48GB,fp9=3TFLOPS", "own-card-key"),
        ("48GB,fp8=3", "own-card-value"),
        ("48GB,24GB", "own-card-twice"),
        ("48GB,864GB/s,900GB/s", "own-card-twice"),
        ("864GB/s,362TFLOPS", "own-card-without-memory"),
        ("0GB,864GB/s", "own-card-bounds"),
        ("99999999GB,864GB/s", "own-card-bounds"),
        ("48GB,0GB/s", "own-card-bounds"),
        ("48GB,compute-capability=fast", "own-card-value"),
        ("48GB,hour=free", "own-card-value"),
        ("48GB,devices-per-node=0", "own-card-bounds"),
        ("48GB,name=\x1b[31m", "own-card-value"),
        ("48GB,vendor=", "own-card-value"),
    ],
)
def test_a_bad_line_says_what_is_wrong(line: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_own_card(line)
    with pytest.raises(FlagError) as caught:
        own_card(line)
    assert caught.value.code == code
    for language in ("en", "zh"):
        assert code not in refused(capsys, "fit", "qwen3-8b", "--gpu", line, "--language", language)


@given(st.text(alphabet="0123456789.GBiTs/=,;fp8vendor NVIDIA", max_size=80))
def test_any_line_is_a_card_or_an_error_of_ours(line: str) -> None:
    try:
        card = own_card(line)
    except GpusizerError as error:
        assert error.code.startswith("own-card-")  # noqa: PT017
    else:
        assert GB <= card.memory_bytes <= 16 * TB


def test_a_name_with_a_size_is_no_description() -> None:
    for name in ("RTX 4090 48GB", "48GB", "H20-141GB", "M4 Max, 128GB", "GB10 (DGX Spark), 119.70 GiB unified", "Apple M5 (Metal, unified)"):
        assert not is_own_card(name)


def test_a_workbook_lists_the_card_and_chooses_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.xlsx"
    for line, speed in ((L40S, True), ("48GB,864GB/s", False)):
        assert run(capsys, "plan", "qwen3-8b", "--users", "100", "--gpu", line, "--format", "xlsx", "--output", str(path))[0] == ANSWERED
        book = Sheet(path.read_bytes(), tmp_path / "read.xlsx")
        book.set(in_tp=1)
        assert book.get("in_gpu") == own_card(line).id
        assert book.get("out_fits") is True
        assert book.get("out_gpus") == 1
        assert book.errors() == []
        assert ("token" in str(book.get("out_sentence"))) or not speed


def test_a_card_has_a_value_for_every_field() -> None:
    card = accelerator(L40S)
    assert {each.name for each in fields(card)} >= {"own", "by_size"}
    assert card.own
    assert not accelerator("L40S").own
