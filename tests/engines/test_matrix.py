"""Every model of the catalogue with every engine: whatever the answer is, its figures hang together and its reasons have words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.engines import engine_ids, get_engine
from gpusizer.engines.base.ledger import per_gpu, total_bytes
from gpusizer.engines.base.types import Deployment, Fit, Layout
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import accelerator, model_ids
from gpusizer.i18n import LANGUAGES, has
from gpusizer.planning.model import model_of
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request

pytestmark = pytest.mark.matrix

# A card that holds few of them, a server that holds most, stages that are cut as often as can be; and layers that stay on the host.
STARTS: tuple[tuple[str, int, int | None, dict[str, object]], ...] = (
    ("rtx4090-24gb", 1, None, {}),
    ("h200-sxm-141gb", 8, 8192, {}),
    ("h100-sxm-80gb", 4, 2048, {}),
)
PARTLY: dict[str, tuple[str, int, int | None, dict[str, object]]] = {"llama.cpp": ("h100-sxm-80gb", 2, 4096, {"n_gpu_layers": 5})}
AT_FULL_LOAD = {"tight-at-full-load", "activations-may-not-fit"}  # it starts, and may run out later: said, with how much is missing


def said(group: str, code: str) -> bool:
    return all(has(group, code, language) for language in LANGUAGES)


def layout(engine: str, architecture: Architecture, gpu: str, gpus: int) -> Layout:
    """The widest legal one of a server, of a few GPUs the one with most stages; the first of those that are refused where none is legal."""
    choices = list(get_engine(engine).layouts(architecture, accelerator(gpu), gpus))
    legal = [choice.layout for choice in choices if choice.reason is None] or [choices[0].layout]
    return legal[0] if gpus > 4 else max(legal, key=lambda each: each.pp)


def starts(id: str, engine: str, architecture: Architecture) -> Iterator[Deployment]:
    for gpu, gpus, context, flags in (*STARTS, *([PARTLY[engine]] if engine in PARTLY else [])):
        cut = layout(engine, architecture, gpu, gpus)
        yield Deployment(model=id, gpu=gpu, tp=cut.tp, pp=cut.pp, dp=cut.dp, ep=cut.ep, engine=engine, max_model_len=context, flags=flags)


def check(fit: Fit, gpu: str) -> None:
    """What holds of any verdict."""
    assert fit.fits == (fit.reason is None)
    if fit.reason is not None:
        assert said("reason", fit.reason.code), fit.reason
    for notice in fit.warnings:
        assert said("warning", notice.code), notice
    memory = accelerator(gpu).memory_bytes
    for items in {id(rank.items): rank.items for rank in fit.ranks}.values():
        assert sum(per_gpu(items).values()) == total_bytes(items)
        if len(items) > 1:
            assert total_bytes(items) == memory
        for line in items:
            assert said("item", line.id), line.id
            assert line.low_bytes <= line.bytes <= line.high_bytes, line
            if line.id == "weights_ngrams_on_host":  # what is taken off again of weights_ngrams
                continue
            assert line.bytes >= 0 or line.id == "free", line
            assert line.bytes >= 0 or not fit.fits or not AT_FULL_LOAD.isdisjoint(notice.code for notice in fit.warnings), line
    for name, quantity in fit.quantities.items():
        assert quantity.low <= quantity.value <= quantity.high, name
    assert min(fit.kv_cache.tokens, fit.kv_cache.bytes_per_token, fit.kv_cache.fixed_bytes_per_request) >= 0
    assert 0 <= fit.worst < len(fit.ranks)


@pytest.mark.parametrize(("number", "id"), list(enumerate(model_ids())))
def test_every_model_with_every_third_engine(number: int, id: str) -> None:
    """Three neighbours of the catalogue, alike more often than not, see all engines; a plan is made with one of them."""
    architecture = load_architecture(id)
    assert sum(architecture.parameters.groups.values()) == architecture.parameters.total
    engines = engine_ids()[number % 3 :: 3]
    for engine in engines:
        for deployment in starts(id, engine, architecture):
            try:
                fit = get_engine(engine).fit(deployment, architecture, accelerator(deployment.gpu))
            except GpusizerError as error:
                assert said("error", error.code), (engine, error)  # noqa: PT017
                continue
            check(fit, deployment.gpu)
    if not model_of(id).only_reads:  # it answers requests, so there is a plan
        check_plan(id, engines[number // 3 % len(engines)])


def check_plan(id: str, engine: str) -> None:
    """What holds of any plan: its options fit, hold what is asked, and are judged the same again."""
    plan = make_plan(Request(model=id, engine=engine, gpus=("h200",), concurrency=4, context_tokens=4096))
    assert plan.options or plan.rejected
    for refused in plan.rejected:
        assert said("reason", refused.reason.code), refused.reason
    for option in plan.options:
        assert option.fit.fits
        assert option.gpus == option.layout.gpus * option.replicas
        assert (option.held_requests_low if option.verdict == "fits" else option.held_requests) >= 4
        assert option.held_requests_low <= option.held_requests
        check(option.fit, option.accelerator.id)
        again = get_engine(engine).judge(option.launch, option.architecture, option.accelerator)
        assert (again.fits, again.ranks, again.kv_cache) == (True, option.fit.ranks, option.fit.kv_cache)
