"""MLX (mlx-lm) by its names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="mlx",
        module="gpusizer.engines.mlx.engine",
        flags="gpusizer.engines.mlx.flags",
        name="MLX",
        order=55,
        aliases=("mlx-lm", "mlx_lm"),
        neighbours=("omlx", "vllm-mlx", "rapid-mlx", "mlx-vlm"),
        launchers=(
            ("mlx_lm.server",),
            ("mlx_lm.generate",),
            ("mlx_lm.chat",),
            ("mlx_lm", "server"),
            ("mlx_lm", "generate"),
            ("mlx_lm", "chat"),
        ),
        widens=True,
        takes_mlx=True,
        shares_steps=False,
    ),
)
