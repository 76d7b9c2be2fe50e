"""Transformers by its names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="transformers",
        module="gpusizer.engines.transformers.engine",
        flags="gpusizer.engines.transformers.flags",
        name="Transformers",
        order=60,
        aliases=("hf",),
        neighbours=("deepspeed-mii",),
        launchers=(("transformers", "serve"),),
        calls=("from_pretrained",),
        devices_like="vllm",
        widens=True,
        shares_steps=False,
    ),
)
