"""Does exactly this deployment start? A verdict without a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import convert_first
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.types import Accelerator
from gpusizer.planning.device_notices import device_notices
from gpusizer.planning.model import Model, model_of

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
    """

    model: Model
    architecture: Architecture
    accelerator: Accelerator
    launch: Deployment
    fit: Fit


def make_fit(deployment: Deployment, notices: Sequence[Notice] = ()) -> Verdict:
    """Does exactly this start?

    Parameters
    ----------
    deployment : Deployment
        One start of one engine.
    notices : sequence of Notice
        What must be said beside the verdict's own warnings.

    Returns
    -------
    Verdict
        The model as it is loaded, the device, and whether it starts.
    """
    model = model_of(deployment.model, deployment.checkpoint_bytes)
    architecture = with_precision(model.stored, deployment.precision)
    device = accelerator(deployment.gpu)
    engine = get_engine(deployment.engine)
    fit = engine.judge(deployment, architecture, device)
    other = convert_first(engine.id, model.stored, device, deployment.precision)
    own = deployment.other_memory_bytes is not None and not device.unified_memory
    apart = (Notice("other-memory-apart", {"gpu": device.id}),) if own else ()
    said = (*notices, *apart, *(() if other is None else (other,)), *device_notices(device, (deployment.gpu,), fit.deployment.layout.gpus))
    return Verdict(model, architecture, device, deployment, fit.warned(*said))
