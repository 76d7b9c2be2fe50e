"""Every figure of speed that an answer shows can be checked: its formula, called with its inputs, gives it."""

from __future__ import annotations

import subprocess
import sys
from math import inf
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.i18n import has
from gpusizer.performance.batch import Ask, Sweep, predict_many
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.constants import constant_tables, speed_constants
from gpusizer.performance.device_speeds import speed_known
from gpusizer.performance.links import link_bytes_per_s
from gpusizer.performance.predict import predict, serve
from gpusizer.performance.set_up import set_up
from gpusizer.performance.types import Load, Performance, PrefillPool
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.rendering.formulas import registry

H200 = accelerator("h200-sxm-141gb")
LOADS = {
    "steady": Load(1024, 256, concurrency=16),
    "crowded": Load(8192, 512, concurrency=4000, length_spread=0.5, first_burst_share=0.1),
    "saturated": Load(512, 512, concurrency=inf),
    "burst": Load(512, 128, burst=3000, length_spread=0.9),
    "arrivals": Load(1024, 256, request_rate_per_s=3.0),
    "prefix": Load(4096, 256, concurrency=8, shared_prefix_tokens=3000),
}
CUTS = (
    ("qwen3-32b", "vllm", {"tp": 2}, 0),
    ("deepseek-v3.2", "sglang", {"dp": 8, "ep": 8}, 1),
    ("gpt-oss-120b", "tensorrt-llm", {"tp": 4, "pp": 2}, 0),
    ("qwen3-next-80b-a3b-instruct", "vllm", {"tp": 4, "ep": 4}, 2),
)


def checked(speed: Performance) -> None:
    """Each item by its formula, and the four figures of the answer among them."""
    formulas = registry()
    for item in speed.items:
        formula = formulas[item.formula]
        assert formula.function(**item.inputs) == pytest.approx(item.value, rel=1e-12), item.id
        assert item.unit == formula.unit
        assert set(item.inputs) == set(formula.symbols)
        assert has("item", item.id), item.id
    last = {item.id: item.value for item in speed.items}
    assert last["ttft"] == pytest.approx(speed.ttft_s.value, rel=1e-12)
    assert last["tpot"] == pytest.approx(speed.tpot_s.value, rel=1e-12)
    assert last["tpot_p95"] == pytest.approx(speed.tpot_p95_s.value, rel=1e-12)
    assert last["output_tokens_per_s"] == pytest.approx(speed.output_tokens_per_s.value, rel=1e-12)


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize(("model", "engine", "cut", "drafts"), CUTS)
def test_called_with_its_inputs_a_formula_gives_the_figure(model: str, engine: str, cut: dict[str, Any], drafts: int, load: Load) -> None:
    deployment = Deployment(model=model, gpu=H200.id, engine=engine, speculative_tokens=drafts, **cut)
    checked(predict(load_architecture(model), H200, deployment, load, replicas=2))


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize(("model", "engine", "cut", "drafts"), CUTS)
def test_who_is_told_how_many_run_finds_what_was_found_by_seeking(model: str, engine: str, cut: dict[str, Any], drafts: int, load: Load) -> None:
    deployment = Deployment(model=model, gpu=H200.id, engine=engine, speculative_tokens=drafts, **cut)
    architecture = load_architecture(model)
    rank = set_up(architecture, H200, memory_answer(architecture, H200, deployment, load), load)
    sought, most = serve(rank, load, 2)
    assert serve(rank, load, 2, running=sought.running) == (sought, most)
    assert serve(rank, load, 2, running=sought.running / 2)[0] != sought  # and it matters


def test_prompts_elsewhere_are_explained_as_well() -> None:
    deployment = Deployment(model="gpt-oss-120b", gpu=H200.id, tp=2)
    checked(predict(load_architecture("gpt-oss-120b"), H200, deployment, LOADS["steady"], prefill=PrefillPool(deployment, 3)))


def test_parts_of_a_step_come_to_the_whole() -> None:
    """What is listed is complete: the parts of a decoding step are its total, by every id that begins with "step_"."""
    deployment = Deployment(model="deepseek-v3", gpu=H200.id, dp=8, ep=8)
    items = predict(load_architecture("deepseek-v3"), H200, deployment, LOADS["steady"]).items
    total = next(item.value for item in items if item.id == "step_total")
    parts = sum(item.value for item in items if item.id.startswith("step_") and item.id != "step_total")
    assert parts == pytest.approx(total, rel=1e-9)


def test_options_of_a_plan_explain_what_they_show() -> None:
    """One by one, and as columns in one sweep."""
    plan = make_plan(Request(model="qwen3-32b", concurrency=16, context_tokens=4096))
    options = [option for option in plan.options if option.performance is not None]
    assert len(options) > 40
    sweep = Sweep(plan.architecture, [Ask(each.accelerator, each.launch, each.replicas, each.fit) for each in options], LOADS["steady"])
    speeds = [option.performance for option in options[::9]] + [sweep.performance(number) for number in range(0, len(options), 9)]
    for speed in speeds:
        assert speed is not None
        assert speed.items
        for item in speed.items:
            assert registry()[item.formula].function(**item.inputs) == pytest.approx(item.value, rel=1e-12)
        last = {item.id: item.value for item in speed.items}
        assert last["ttft"] == pytest.approx(speed.ttft_s.value, rel=1e-6)
        assert last["output_tokens_per_s"] == pytest.approx(speed.output_tokens_per_s.value, rel=1e-6)


# ---- devices --------------------------------------------------------------------------------------------------------

UNKNOWN = "hygon-bw1100-144gb"  # nobody states its bandwidth


def test_without_a_bandwidth_no_speed_is_predicted_and_it_is_said() -> None:
    device, deployment, load = accelerator(UNKNOWN), Deployment(model="qwen3-8b", gpu=UNKNOWN), LOADS["steady"]
    assert not speed_known(device)
    architecture = load_architecture("qwen3-8b")
    with pytest.raises(InputError) as refused:
        predict(architecture, device, deployment, load)
    assert refused.value.code == "speed-unknown"
    fits = [memory_answer(architecture, each, Deployment(model="qwen3-8b", gpu=each.id), load) for each in (device, H200)]
    asks = [Ask(each, Deployment(model="qwen3-8b", gpu=each.id), 1, fit) for each, fit in zip((device, H200), fits, strict=True)]
    first, second = predict_many(architecture, asks, load)
    assert first is None
    assert second is not None


@pytest.mark.parametrize("wishes", [{}, {"tpot_s": 0.1}])
def test_an_option_without_a_speed_keeps_its_place_or_cannot_promise_one(wishes: dict[str, Any]) -> None:
    plan = make_plan(Request(model="qwen3-8b", concurrency=4, context_tokens=4096, gpus=(UNKNOWN,), **wishes))
    if wishes:
        assert not plan.options
        assert plan.rejected[0].reason.code == "speed-unknown"
    else:
        assert plan.options[0].performance is None
        assert "speed-unknown" in {notice.code for notice in plan.options[0].notices}


def test_topology_stands_in_fields_and_not_in_words() -> None:
    """As the words of ``interconnect`` have it for every device; NVLink of a rack that is not sold yet calls it by number alone."""
    for device in accelerators():
        words = device.interconnect or ""
        assert (device.bridge_devices is not None) == ("bridge" in words), device.id
        assert (device.domain_devices is not None) == ("domain" in words) or device.id == "rubin-sxm-288gb", device.id
        for size in (device.bridge_devices, device.domain_devices):
            assert size is None or size == device.fabric_devices
        assert device.pcie_generation == (int(device.pcie.split(".")[0]) if device.pcie else None)


def test_links_by_topology() -> None:
    """A bridge serves its pair, a rack all its GPUs, and beyond a server the network is the limit."""
    constants = speed_constants()
    pair, four = (link_bytes_per_s(accelerator("a100-pcie-80gb"), ranks, constants) for ranks in (2, 4))
    assert pair > 5 * four
    assert link_bytes_per_s(accelerator("gb200-186gb"), 72, constants) == link_bytes_per_s(accelerator("gb200-186gb"), 4, constants)
    assert link_bytes_per_s(H200, 16, constants) == pytest.approx(45e9)
    assert link_bytes_per_s(H200, 8, constants) > 200e9


# ---- constants ------------------------------------------------------------------------------------------------------


def test_constants_say_how_they_are_known() -> None:
    tables = constant_tables()
    names = [constant.name for table in tables for constant in table.constants]
    assert len(names) == len(set(names)) == len(speed_constants().values)
    for table in tables:
        assert table.unit
        assert table.comment
        assert table.evidence in ("defined", "measured", "calibrated", "assumed")
        for constant in table.constants:
            assert constant.value > 0
            assert (constant.prior is not None) == (table.evidence == "calibrated" and not constant.name.startswith("band"))
            if constant.prior is not None:
                assert constant.prior_spread is not None
                assert constant.error is not None
                assert constant.error <= constant.prior_spread * 1.02  # a fit never knows less than before
                assert constant.runs or constant.value == pytest.approx(constant.prior, rel=1e-3)  # nothing bears on it


def test_a_plan_over_the_catalogue_does_without_numpy() -> None:
    """Importing it takes longer than all speeds of such a plan."""
    code = (
        "import sys; from gpusizer.planning.pipeline import make_plan; from gpusizer.planning.request import Request;"
        "plan = make_plan(Request(model='qwen3-8b', concurrency=8, context_tokens=4096));"
        "print(len(plan.options), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    options, numpy = done.stdout.split()
    assert int(options) > 60
    assert numpy == "False"
