"""What the constants of speed were thought to be before the fit: a value and the spread of its logarithm.

Values of efficiency are the medians of published kernel tables (aiconfigurator 0.12.0: matrix products, attention, collectives) and of measured
ceilings; fixed costs are round figures with a wide spread. A fit moves a constant only as far as measured runs insist.
"""

from __future__ import annotations

GENERATIONS = ("ampere", "ada", "hopper", "blackwell", "blackwell_pcie", "cdna3", "cdna4", "other")
ENGINES = ("vllm", "sglang", "tensorrt-llm", "mindie", "other")

_TABLES: dict[str, tuple[tuple[float, ...], float]] = {
    # share of the data sheet's bandwidth that small products reach, by storage of the weights
    "memory.16": ((0.76, 0.83, 0.84, 0.79, 0.85, 0.74, 0.74, 0.70), 0.06),
    "memory.8": ((0.70, 0.80, 0.78, 0.74, 0.75, 0.65, 0.65, 0.60), 0.08),
    "memory.w8": ((0.67, 0.76, 0.74, 0.70, 0.71, 0.62, 0.62, 0.57), 0.10),
    "memory.fp4": ((0.55, 0.60, 0.60, 0.65, 0.60, 0.55, 0.55, 0.50), 0.10),
    "memory.w4": ((0.55, 0.55, 0.60, 0.60, 0.60, 0.50, 0.50, 0.50), 0.12),
    "memory.int4": ((0.55, 0.55, 0.60, 0.60, 0.60, 0.50, 0.50, 0.50), 0.12),
    # share of the dense peak that large products sustain, by bits of the arithmetic
    "products.16": ((0.80, 0.60, 0.76, 0.66, 0.80, 0.45, 0.55, 0.55), 0.10),
    "products.8": ((0.80, 0.45, 0.56, 0.48, 0.68, 0.40, 0.45, 0.45), 0.10),
    "products.4": ((0.70, 0.40, 0.50, 0.36, 0.58, 0.40, 0.35, 0.35), 0.12),
    # attention: bandwidth of decoding, share of the 16-bit peak in decoding and in prefill
    "cache": ((0.60, 0.80, 0.65, 0.65, 0.70, 0.50, 0.50, 0.50), 0.15),
    "attention": ((0.50, 0.50, 0.50, 0.42, 0.50, 0.35, 0.40, 0.35), 0.20),
    "prefill": ((0.50, 0.50, 0.50, 0.42, 0.50, 0.35, 0.40, 0.35), 0.20),
    # kernels cost more or less than on average; floors of collectives; share of the link that they reach
    "kernel_scale": ((1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), 0.1),
    "reduce_s": ((7e-6, 27e-6, 6e-6, 7e-6, 25e-6, 12e-6, 12e-6, 15e-6), 0.30),
    "gather_s": ((42e-6, 160e-6, 36e-6, 42e-6, 150e-6, 72e-6, 72e-6, 90e-6), 0.50),
    "bus_share": ((0.75, 0.50, 0.70, 0.55, 0.50, 0.60, 0.60, 0.50), 0.20),
}

_ENGINES: dict[str, tuple[tuple[float, ...], float]] = {
    "kernel_s": ((2.5e-6, 2.8e-6, 2.2e-6, 4e-6, 3e-6), 0.5),
    "step_s": ((7e-4, 7e-4, 7e-4, 7e-4, 7e-4), 0.7),
    "sequence_s": ((8e-6, 8e-6, 8e-6, 8e-6, 8e-6), 0.8),
    "quantise_s": ((3e-6, 3e-6, 6e-6, 3e-6, 3e-6), 0.4),
    "eager_s": ((1.8e-5, 1.8e-5, 3e-5, 2e-5, 2e-5), 0.25),
    "latent_kernels": ((10.0, 10.0, 10.0, 10.0, 10.0), 0.7),
    "latent_s": ((4e-4, 8e-4, 8e-4, 6e-4, 6e-4), 0.7),
    "front_s": ((0.032, 0.032, 0.032, 0.032, 0.032), 0.3),
    "request_s": ((4e-3, 4e-3, 4e-3, 4e-3, 4e-3), 0.5),
    "age": ((1.08, 1.08, 1.08, 1.08, 1.08), 0.05),
    "moe_engine": ((1.0, 1.0, 1.0, 1.0, 1.0), 0.08),
    "moe_compute": ((1.0, 1.0, 1.0, 1.0, 1.0), 0.15),
}

# experts are read with the share that small products reach, times this: the narrower the format, the wider each read
_MOE_MEMORY = {"16": 0.85, "8": 0.85, "fp4": 1.05, "w4": 0.95, "int4": 0.85, "w8": 0.85}

_SINGLE: dict[str, tuple[float, float]] = {
    "memory_scale.dense": (1.0, 0.1),
    "memory_scale.moe": (0.9, 0.2),
    **{f"memory_scale.moe.{storage}": (value, 0.15) for storage, value in _MOE_MEMORY.items()},
    "products_scale.dense": (1.08, 0.1),
    "products_scale.moe": (0.5, 0.35),
    "products_scale.moe.16": (0.5, 0.35),
    "products_scale.moe.8": (0.35, 0.35),
    "products_scale.moe.4": (0.5, 0.35),
    "products_scale.widened": (0.75, 0.2),
    "half_tokens.dense": (150.0, 0.4),
    "half_tokens.moe": (16.0, 0.5),
    "tile_rows.moe": (16.0, 0.5),
    "routing.evenness": (1.0, 0.4),
    "imbalance.ep": (0.04, 0.5),
    "cache_scale.8": (0.95, 0.12),
    "cache_scale.latent": (0.9, 0.25),
    "gather_share.wired": (0.4, 0.4),
    "gather_share.pcie": (0.6, 0.4),
    "pcie_share.two": (0.6, 0.2),
    "pcie_share.many": (0.45, 0.25),
    "stream_s.all": (1.5e-4, 0.4),
    "hop_s.all": (1.5e-5, 0.5),
    "dp_wait.tensorrt-llm": (20.0, 0.5),
    "dp_wait.other": (1.5, 0.5),
    "first_burst.all": (1.4, 0.25),
    "drift.all": (3.5, 0.5),
    "short_answers.all": (3.0, 0.6),
    "long_answers.all": (1.5, 0.4),
    "acceptance.all": (0.85, 0.08),
    "acceptance_fade.all": (0.9, 0.06),
    "split_wait.all": (0.03, 0.7),
}


def priors() -> dict[str, tuple[float, float]]:
    """Every constant with its value and spread before the fit."""
    found: dict[str, tuple[float, float]] = {}
    for name, (values, spread) in _TABLES.items():
        found.update({f"{name}.{kin}": (value, spread) for kin, value in zip(GENERATIONS, values, strict=True)})
    for name, (values, spread) in _ENGINES.items():
        found.update({f"{name}.{engine}": (value, spread) for engine, value in zip(ENGINES, values, strict=True)})
    return found | _SINGLE
