"""The whole story: a request becomes a plan, and a deployment becomes a verdict. Start here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import checkpoint_bytes, with_precision
from gpusizer.architecture.types import Notice
from gpusizer.article.answer import article_of
from gpusizer.article.model_figures import model_figures
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import other_checkpoint
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import accelerator, accelerators, model_entry
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.planning.need import Need, at_rate, need_of
from gpusizer.planning.option_speeds import with_speeds
from gpusizer.planning.prices import with_prices
from gpusizer.planning.rank import ranked, with_front
from gpusizer.planning.request import Request, words_of
from gpusizer.planning.search import search
from gpusizer.planning.targets import has_targets, search_targets
from gpusizer.planning.types import Option, Plan, Rejected

__all__ = ["make_fit", "make_plan", "name_of"]


def make_plan(request: Request, *, all_speeds: bool = True) -> Plan:
    """From a need to hardware.

    Parameters
    ----------
    request : Request
        A model, a need, limits.
    all_speeds : bool
        Times and rates of every option; else of those that a person reads.

    Returns
    -------
    Plan
        Options in order, what was rejected and why, the article's figures beside them.
    """
    stored = load_architecture(request.model)
    entry = _entry(request.model)
    need = need_of(request)
    devices = [with_prices(each, request.prices) for each in _considered(request)]
    answers = [_alternative(one, need, stored, devices) for one in _alternatives(request)]

    def hasten(slow: Sequence[Option]) -> Sequence[Option]:
        """The options with their speeds, each in its own precision."""
        fast: dict[int, Option] = {}
        for precision in {option.launch.precision for option in slow}:
            same = [option for option in slow if option.launch.precision == precision]
            fast.update(zip(map(id, same), with_speeds(same, with_precision(stored, precision), request, need), strict=True))
        return [fast[id(option)] for option in slow]

    options = ranked([option for found, _ in answers for option in found], request.sort, hasten)
    if all_speeds:
        options = with_front(hasten(options), request.sort)
    first = with_precision(stored, words_of(request.precision)[0])
    if request.request_rate is not None and options:
        need = at_rate(need, request.request_rate, options[0].performance)
    return Plan(
        request=request,
        need=need,
        architecture=first,
        entry=entry,
        figures=model_figures(first, request.kv_precision),
        article=article_of(first, entry, words_of(request.precision)[0], need.concurrency, need.context_tokens),
        options=options,
        rejected=tuple(each for _, refused in answers for each in refused),
        warnings=(*first.warnings, *_context_warning(first, need.context_tokens)),
    )


def _alternatives(request: Request) -> Iterator[Request]:
    """One request for each engine and precision that may be chosen from ("fp8,int4", "vllm,sglang")."""
    for engine in words_of(request.engine):
        for precision in words_of(request.precision):
            yield replace(request, engine=engine, precision=precision)


def _alternative(request: Request, need: Need, stored: Architecture, devices: Sequence[Accelerator]) -> tuple[list[Option], list[Rejected]]:
    """Options of one engine and one precision, and what was rejected."""
    architecture = with_precision(stored, request.precision)
    engine = get_engine(request.engine)
    weights = checkpoint_bytes(architecture, mtp=False)
    if has_targets(request):
        found = search_targets(request, need, engine, architecture, devices, weights_bytes=weights)
    else:
        found = [search(request, need, engine, architecture, each, weights_bytes=weights) for each in devices]
    options = [each.option for each in found if each.option is not None]
    other = other_checkpoint(engine.id, stored, request.precision)
    if other is not None:
        options = [replace(option, notices=(*option.notices, other)) for option in options]
    return options, [each.rejected for each in found if each.rejected is not None]


def make_fit(deployment: Deployment, notices: Sequence[Notice] = ()) -> tuple[Architecture, Accelerator, Fit]:
    """Does exactly this start?

    Parameters
    ----------
    deployment : Deployment
        One start of one engine.
    notices : sequence of Notice
        What must be said beside the verdict's own warnings.

    Returns
    -------
    (Architecture, Accelerator, Fit)
        The model as it is loaded, the device, and the verdict.
    """
    stored = load_architecture(deployment.model)
    architecture = with_precision(stored, deployment.precision)
    device = accelerator(deployment.gpu)
    fit = get_engine(deployment.engine).fit(deployment, architecture, device)
    other = other_checkpoint(deployment.engine, stored, deployment.precision)
    said = notices if other is None else (*notices, other)
    return architecture, device, replace(fit, warnings=(*fit.warnings, *said)) if said else fit


def name_of(model: str, architecture: Architecture) -> str:
    """The name to print: the catalogue's, the configuration's, or that of the file."""
    entry = _entry(model)
    return entry.name if entry is not None else architecture.name or architecture.id or Path(model).name


def _entry(model: str) -> ModelEntry | None:
    """What was published of a model; None for a file."""
    if Path(model).exists():
        return None
    return model_entry(model)


def _considered(request: Request) -> list[Accelerator]:
    """The accelerators that the request allows; announced parts only where they are named."""
    if request.gpus:
        named = {each.id: each for each in map(accelerator, request.gpus)}
        return [each for each in named.values() if _of_vendor(each, request.vendor)]
    every = [each for each in accelerators() if each.status != "announced"]
    found = [each for each in every if _of_vendor(each, request.vendor)]
    if not found:
        raise UnknownIdError("unknown-vendor", id=request.vendor, nearest=sorted({each.vendor for each in every}))
    return found


def _of_vendor(device: Accelerator, vendor: str | None) -> bool:
    return vendor is None or device.vendor.lower() == vendor.lower()


def _context_warning(architecture: Architecture, context_tokens: int) -> tuple[Notice, ...]:
    longest = architecture.max_position_embeddings
    if longest is None or context_tokens <= longest:
        return ()
    return (Notice("context-beyond-model", {"context_tokens": context_tokens, "longest_tokens": longest}),)
