"""Names and sizes as Kubernetes takes them."""

from __future__ import annotations

import re

from gpusizer.formulas.core import ceil_div
from gpusizer.units import GiB

__all__ = ["gib", "image_named", "label", "mirrored", "unexpanded"]

_LONGEST = 40  # of 63: the objects of one model put words of their own behind it
_REGISTRY = re.compile(r"[^/]*[.:][^/]*|localhost")


def label(words: str) -> str:
    """A name as DNS-1035 has it: letters, digits and dashes, a letter first; as much of the words as goes in.

    >>> label("deepseek-ai/DeepSeek-V3"), label("../../etc"), label("满血版"), label("7b\\n---\\nkind: Pod")
    ('deepseek-v3', 'etc', 'model', 'm-7b-kind-pod')
    """
    name = re.sub(r"[^a-z0-9]+", "-", words.rstrip("/").rpartition("/")[2].lower()).strip("-")
    name = name if name[:1].isalpha() else f"m-{name}" if name else "model"
    return name[:_LONGEST].strip("-")


def gib(size_bytes: float) -> str:
    """A size as a quantity, rounded up to whole GiB.

    >>> gib(10 * 2**30), gib(1)
    ('10Gi', '1Gi')
    """
    return f"{int(ceil_div(int(size_bytes), GiB))}Gi"


def unexpanded(word: str) -> str:
    """A word in which neither Kubernetes nor compose finds a variable: both take two dollar signs for one.

    >>> unexpanded("$(HOME) ${HOME}")
    '$$(HOME) $${HOME}'
    """
    return word.replace("$", "$$")


def mirrored(image: str, registry: str | None) -> str:
    """An image at a mirror: the name of its own registry gives way.

    >>> mirrored("quay.io/ascend/vllm-ascend:v0.18.0", "registry.example:5000/mirror"), mirrored("vllm/vllm-openai:v0.33.0", "reg.local")
    ('registry.example:5000/mirror/ascend/vllm-ascend:v0.18.0', 'reg.local/vllm/vllm-openai:v0.33.0')
    """
    if registry is None:
        return image
    first, slash, rest = image.partition("/")
    return f"{registry.rstrip('/')}/{rest if slash and _REGISTRY.fullmatch(first) else image}"


def image_named(image: str) -> tuple[str, str]:
    """An image as its repository and its tag, "latest" where none is said.

    >>> image_named("reg.local:5000/vllm/vllm-openai:v0.33.0"), image_named("reg.local:5000/vllm")
    (('reg.local:5000/vllm/vllm-openai', 'v0.33.0'), ('reg.local:5000/vllm', 'latest'))
    """
    repository, colon, tag = image.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (image, "latest")
