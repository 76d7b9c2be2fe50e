"""Does exactly this deployment start? A verdict without a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import convert_first
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.types import Accelerator
from gpusizer.planning.companions import SHARED, Placed, Stack, companions_on
from gpusizer.planning.device_notices import device_notices
from gpusizer.planning.fields import WITH_MODELS
from gpusizer.planning.host_speed import LoneRequest, lone_request
from gpusizer.planning.model import Model, model_of
from gpusizer.planning.offload import AUTO, offloaded
from gpusizer.planning.own_cases import case_notices, with_cases
from gpusizer.planning.starts import settled_fit

__all__ = ["Verdict", "make_fit"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A deployment and what becomes of it.

    Parameters
    ----------
    model : Model
        The model as it was named.
    architecture : Architecture
        The model as it is loaded.
    accelerator : Accelerator
        The device.
    launch : Deployment
        The start as it was asked for, the engine's defaults left open.
    fit : Fit
        Whether it starts, and what its log will say.
    request : LoneRequest or None
        How fast it answers one request, where weights lie on the host.
    companions : tuple of Placed
        Other models on the same GPUs, where some were asked for.
    """

    model: Model
    architecture: Architecture
    accelerator: Accelerator
    launch: Deployment
    fit: Fit
    request: LoneRequest | None = None
    companions: tuple[Placed, ...] = ()


def make_fit(deployment: Deployment, notices: Sequence[Notice] = (), *, calibrate: str | None = None) -> Verdict:
    """Does exactly this start?

    Parameters
    ----------
    deployment : Deployment
        One start of one engine; where its ``offload`` is "auto", flags are found that put on the host what the GPUs do not hold.
    notices : sequence of Notice
        What must be said beside the verdict's own warnings.
    calibrate : str or None
        A file of own cases that moves the speed of the device.

    Returns
    -------
    Verdict
        The model as it is loaded, the device, and whether it starts.
    """
    model = model_of(deployment.model, deployment.checkpoint_bytes)
    architecture = with_precision(model.stored, deployment.precision)
    device = with_cases(accelerator(deployment.gpu), calibrate)
    engine = get_engine(deployment.engine)
    deployment = deployment.changed(with_models=WITH_MODELS.read(deployment.with_models))
    stack = _stack(deployment, device)
    if isinstance(stack, Stack):
        deployment = deployment.changed(beside_bytes=stack.beside_bytes(deployment.layout.gpus))
    deployment, unplaced = _placed(deployment, architecture, device)
    if deployment.beside_bytes and deployment.memory_fraction is None:
        deployment, _ = settled_fit(deployment, engine, architecture, device)  # what the others leave
    fit = engine.judge(deployment, architecture, device)
    if isinstance(stack, Notice):
        fit = replace(fit, fits=False, reason=stack)
    request = lone_request(fit, architecture, device)
    assumed = (
        (Notice("host-bandwidth-assumed", {"bytes_per_s": request.bandwidth.bytes_per_s}),)
        if request and request.bandwidth.origin == "assumed"
        else ()
    )
    other = convert_first(engine.id, model.stored, device, deployment.precision)
    own = deployment.other_memory_bytes is not None and not device.unified_memory
    apart = (Notice("other-memory-apart", {"gpu": device.id}),) if own else ()
    said = (
        *notices,
        *unplaced,
        *assumed,
        *case_notices([device], [engine.id], calibrate),
        *apart,
        *(() if other is None else (other,)),
        *device_notices(device, (deployment.gpu,), fit.deployment.layout.gpus),
    )
    gpus = deployment.layout.gpus
    placed = stack.on_gpus(gpus, gpus) if isinstance(stack, Stack) else ()
    return Verdict(model, architecture, device, deployment, fit.warned(*said), request, placed)


def _stack(deployment: Deployment, device: Accelerator) -> Stack | Notice | None:
    """The models beside a start on its GPUs, why one of them will not run there, or None where there are none."""
    asked = deployment.with_models
    found = companions_on(device, asked, deployment.engine) if asked else None
    return Stack(found, SHARED) if isinstance(found, tuple) else found


def _placed(deployment: Deployment, architecture: Architecture, device: Accelerator) -> tuple[Deployment, tuple[Notice, ...]]:
    """The start with flags that place weights where they were left to be found, and whether none were."""
    if deployment.offload != AUTO:
        return deployment, ()
    found = offloaded(deployment, architecture, device)
    if found is not None:
        return found, ()
    return replace(deployment, offload="none"), (Notice("offload-not-found", {"engine": deployment.engine}),)
