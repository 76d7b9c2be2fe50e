"""The whole story: a request becomes a plan, and a deployment becomes a verdict. Start here."""

from __future__ import annotations

from pathlib import Path

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision import checkpoint_bytes, with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.types import Deployment, Fit
from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import accelerator, accelerators, model_entry
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.planning.article import article_of
from gpusizer.planning.choose import search
from gpusizer.planning.figures import model_figures
from gpusizer.planning.need import need_of
from gpusizer.planning.rank import ranked
from gpusizer.planning.request import Request
from gpusizer.planning.speed import with_speeds
from gpusizer.planning.types import Plan

__all__ = ["make_fit", "make_plan", "name_of"]


def make_plan(request: Request) -> Plan:
    """From a need to hardware.

    Parameters
    ----------
    request : Request
        A model, a need, limits.

    Returns
    -------
    Plan
        Options in order, what was rejected and why, the article's figures beside them.
    """
    entry = _entry(request.model)
    architecture = with_precision(load_architecture(request.model), request.precision)
    engine = get_engine(request.engine)
    need = need_of(request)
    figures = model_figures(architecture, request.kv_precision)
    weights = checkpoint_bytes(architecture, mtp=False)
    found = [search(request, need, engine, architecture, each, weights_bytes=weights) for each in _considered(request)]
    options = with_speeds([each.option for each in found if each.option is not None], architecture, request, need)
    rejected = tuple(each.rejected for each in found if each.rejected is not None)
    return Plan(
        request=request,
        need=need,
        architecture=architecture,
        entry=entry,
        figures=figures,
        article=article_of(architecture, entry, request.precision, need.concurrency, need.context_tokens),
        options=ranked(options, request.sort),
        rejected=rejected,
        warnings=(*architecture.warnings, *_context_warning(architecture, need.context_tokens)),
    )


def make_fit(deployment: Deployment) -> tuple[Architecture, Accelerator, Fit]:
    """Does exactly this start?

    Parameters
    ----------
    deployment : Deployment
        One start of one engine.

    Returns
    -------
    (Architecture, Accelerator, Fit)
        The model as it is loaded, the device, and the verdict.
    """
    architecture = with_precision(load_architecture(deployment.model), deployment.precision)
    device = accelerator(deployment.gpu)
    return architecture, device, get_engine(deployment.engine).fit(deployment, architecture, device)


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
