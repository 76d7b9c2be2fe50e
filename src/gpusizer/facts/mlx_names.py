"""Names of checkpoints of MLX: "mlx-community/Qwen3-8B-4bit", "lmstudio-community/Qwen3-32B-MLX-8bit", "gpt-oss-20b-MXFP4-Q8"."""

from __future__ import annotations

import re

from gpusizer.facts.model_names import name_key

__all__ = ["mlx_copy"]

_NAMES_MLX = re.compile(r"(?:^|[-/_. ])mlx(?:$|[-/_. ])")
_FORM = re.compile(
    r"-(?:(?P<bits>[234568])-?bits?(?:-(?:g|gs)(?P<group>32|64|128))?|q(?P<short>[234568])|mixed-(?P<mix>2-6|3-4|3-6|4-6)"
    r"|(?P<floats>mxfp4|mxfp8|nvfp4)(?:-q(?P<rest>[4568]))?|(?P<plain>bf16|fp16|f16))(?=-|$)"
)
_GROUP = "64"  # what nobody writes


def mlx_copy(name: str) -> tuple[str, str | None] | None:
    """What a name says where it names MLX.

    Parameters
    ----------
    name : str
        In lower case, with its owner where one is known.

    Returns
    -------
    tuple of (str, str or None) or None
        The key of the model without what says the format, and the precision; None in its place where the name says none; None where it is no
        checkpoint of MLX.

    Examples
    --------
    >>> mlx_copy("mlx-community/qwen3-30b-a3b-4bit-dwq-053125"), mlx_copy("lmstudio-community/qwen3-32b-mlx-8bit")
    (('qwen3-30b-a3b', 'mlx_4bit'), ('qwen3-32b', 'mlx_8bit'))
    >>> mlx_copy("mlx-community/gpt-oss-20b-mxfp4-q8"), mlx_copy("mlx-community/glm-4.7-8bit-gs32"), mlx_copy("qwen/qwen3-8b-awq")
    (('gpt-oss-20b', 'mlx_mxfp4_q8'), ('glm-4.7', 'mlx_8bit_g32'), None)
    """
    if not _NAMES_MLX.search(name):
        return None
    key = re.sub(r"(?:^|-)mlx(?=-|$)", "", name_key(name)).strip("-")
    found = _FORM.search(key)
    return (key, None) if found is None else (key[: found.start()], _precision(found))


def _precision(found: re.Match[str]) -> str:
    said = found.groupdict()
    if said["plain"]:
        return "bf16" if said["plain"] == "bf16" else "fp16"
    if said["floats"]:
        return f"mlx_{said['floats']}" + (f"_q{said['rest']}" if said["rest"] else "")
    if said["mix"]:
        return f"mlx_mixed_{said['mix'].replace('-', '_')}"
    group = said["group"] or _GROUP
    return f"mlx_{said['bits'] or said['short']}bit" + ("" if group == _GROUP else f"_g{group}")
