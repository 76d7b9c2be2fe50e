"""Text Embeddings Inference by its names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="tei",
        module="gpusizer.engines.tei.engine",
        flags="gpusizer.engines.tei.flags",
        name="TEI",
        order=70,
        aliases=("text-embeddings-inference",),
        launchers=(("text-embeddings-router",),),
        images=("text-embeddings-inference",),
        devices_like="vllm",
        widens=True,
        speed_family="transformers",
        shares_steps=False,
        writes=False,
    ),
)
