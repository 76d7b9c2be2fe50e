"""GGUF recipes ("q4_k_m", "iq4_xs" ...): the type of each tensor by its role, as llama.cpp's quantiser chooses.

Without an importance matrix, but with one for the recipes that cannot do without (IQ3_XXS and smaller).

Source: ggml-org/llama.cpp, src/llama-quant.cpp (tensor_allows_quantization, llama_tensor_get_type_impl, tensor_type_fallback). Publishers' own mixes
("UD", "XL") override single tensors: read the file itself for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.gguf_mixes import types_of_rest
from gpusizer.architecture.storage.formats import StorageFormat, gguf_format
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.types import Attention, Tensor
from gpusizer.facts.number_formats import FORK_BLOCKS, GGUF_BLOCKS

__all__ = ["RECIPES", "GGUFMix", "GGUFRecipe", "gguf_mix", "gguf_recipe", "gguf_role", "is_gguf_mix"]

# Recipe -> type of what no rule raises.
RECIPES: dict[str, str] = {
    **{name: name for name in ("q8_0", "q6_k", "q5_0", "q5_1", "q4_0", "q4_1", "q2_k", "iq4_nl", "iq4_xs", "iq3_xxs", "iq3_s", "iq2_xxs", "iq2_xs")},
    **{name: name for name in ("iq1_s", "iq1_m", "tq1_0", "tq2_0", "q2_0", "q1_0")},
    "q5_k_m": "q5_k",
    "q5_k_s": "q5_k",
    "q4_k_m": "q4_k",
    "q4_k_s": "q4_k",
    "q3_k_l": "q3_k",
    "q3_k_m": "q3_k",
    "q3_k_s": "q3_k",
    "q2_k_s": "q2_k",
    "iq3_m": "iq3_s",
    "iq3_xs": "iq3_s",
    "iq2_s": "iq2_xs",
    "iq2_m": "iq2_s",
    "mxfp4_moe": "q8_0",
}
_TWICE = "q8_0"  # recipe of the rest of files that hold latent projections twice
_LEAST_REST = "iq4_kt"  # smallest type that is known beside small experts
_TINY = frozenset({"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m"})
_HALVES = 2  # of a mix: experts and the rest
_SMALLER_BLOCK = {
    **dict.fromkeys(("q2_k", "q3_k", "q2_0", "tq1_0", "tq2_0"), "q4_0"),
    **dict.fromkeys(("iq5_ks", "iq5_k"), "q6_0"),
    **dict.fromkeys(("q6_k", "iq6_k"), "q8_0"),
    "q4_k": "q5_0",
    "q5_k": "q5_1",
}
_BLOCK_ELEMENTS = {**{name: block[1] for name, block in GGUF_BLOCKS.items()}, **{name: block[0] for name, block in FORK_BLOCKS.items()}}
_KNOWN = frozenset({*RECIPES, *_BLOCK_ELEMENTS})
_EIGHT_EXPERTS_OUTPUT = frozenset(["q2_k", "iq3_xs", "iq3_xxs", "q3_k_s", "q3_k_m", "iq4_nl", "q4_k_s", "q4_k_m", "iq3_s", "iq3_m", "iq4_xs"])
_ATTENTION_OUTPUT = {"q2_k": "q3_k", "iq3_xxs": "iq3_s", "q3_k_m": "q4_k", "q3_k_l": "q5_k", "iq3_m": "q4_k"}
_NAMES = {
    "attn_v": {"v_proj", "wv"},
    "attn_k": {"k_proj", "wk"},
    "attn_q": {"q_proj", "wq"},
    "attn_qkv": {"qkv_proj", "query_key_value", "c_attn", "Wqkv", "qkv", "W_pack", "in_proj_qkv", "in_proj_qkvz"},
    "attn_output": {"o_proj", "dense", "out_proj", "wo"},
    "ffn_down": {"down_proj", "w2", "fc2", "dense_4h_to_h"},
    "ffn_up": {"up_proj", "w3", "fc1", "dense_h_to_4h", "gate_up_proj"},
    "ffn_gate": {"gate_proj", "w1"},
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names}
_FEED_FORWARD = frozenset({"dense_mlp", "routed_experts", "shared_experts"})


def gguf_role(tensor: Tensor) -> str:
    """What a tensor is to llama.cpp's quantiser: "token_embd", "output", "attn_v", "ffn_down" ... or "other".

    >>> gguf_role(Tensor("mlp.experts.*.down_proj.weight", (4, 4), "routed_experts", linear=True))
    'ffn_down'
    """
    if tensor.group in ("embedding", "per_layer_embedding", "ngram_embedding") and len(tensor.shape) > 1 and not tensor.linear:
        return "token_embd"
    if tensor.group == "lm_head":
        return "output"
    parts = [part for part in tensor.name.split(".") if part not in ("weight", "bias")]
    role = _ROLES.get(parts[-1] if parts else "", "other")
    if role == "other" and parts and parts[-1] == "c_proj":
        role = "ffn_down" if tensor.group in _FEED_FORWARD else "attn_output"
    if role.startswith("attn") and tensor.group not in ("attention", "linear_attention"):
        return "other"
    return role


@dataclass(frozen=True)
class GGUFRecipe(Quantization):
    """A GGUF recipe as formats: what it needs to know of the model, beside the tensor.

    Parameters
    ----------
    recipe : str
        Name in lower case; or a type, which then all tensors have but for ``types``.
    layers : int
        Decoder layers.
    values : dict of int to int
        Rank, by layer, among the layers that have a value (or fused) projection.
    grouped : int
        Query heads per KV head.
    experts : int
        Routed experts.
    tied : bool
        The head is the embedding, which then has the head's type.
    types : mapping of str to str
        Types by role beside a type.
    """

    recipe: str = "q8_0"
    layers: int = 0
    values: tuple[tuple[int, int], ...] = ()
    grouped: int = 1
    experts: int = 0
    tied: bool = False
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def bits(self) -> float:
        """Bits per weight of what no rule raises."""
        return 8 * gguf_format(RECIPES.get(self.recipe, self.recipe)).bytes_of((1, 256)) / 256

    def format_of(self, path: str, tensor: Tensor) -> StorageFormat:
        """Format of the tensor stored under ``path``."""
        key = path + "\0" + tensor.group
        if key not in self._seen:
            self._seen[key] = gguf_format(self._type(path, tensor))
        return self._seen[key] or self.default

    def _type(self, path: str, tensor: Tensor) -> str:
        role = gguf_role(tensor)
        if tensor.group == "vision":
            return "f16"  # a file of its own (mmproj)
        if tensor.group == "router" or len(tensor.shape) < 2 or (not tensor.linear and role != "token_embd") or tensor.dtype in ("int32", "int64"):
            return "f32"
        parts = path.split(".")
        layer = next((int(part) for part in parts if part.isdigit()), 0)
        kind = self._raised(role, tensor, layer)
        columns = tensor.shape[-1]
        if columns % _BLOCK_ELEMENTS[kind]:
            kind = _SMALLER_BLOCK.get(kind, "iq4_nl" if kind.startswith("iq") else kind)
        return kind if columns % _BLOCK_ELEMENTS[kind] == 0 else "f16"

    def _raised(self, role: str, tensor: Tensor, layer: int) -> str:
        if self.types or self.recipe not in RECIPES:
            tied = role == "token_embd" and self.tied
            return self.types.get("output" if tied else role, self.recipe)
        recipe, base = self.recipe, RECIPES[self.recipe]
        if role == "output" or (role == "token_embd" and self.tied):
            return self._head(tensor)
        if recipe == "mxfp4_moe":
            return "mxfp4" if tensor.group == "routed_experts" else "q8_0"
        if role == "token_embd":
            if recipe in ("iq2_s", "iq2_m", "iq3_xxs"):
                return "iq3_s"
            return "q2_k" if recipe in _TINY else "q4_k" if recipe in ("tq1_0", "tq2_0", "q2_0") else base
        if role in ("attn_v", "attn_qkv"):
            return self._value(layer)
        if role == "attn_k" and self.experts == 8:
            return "q4_k" if recipe in _TINY else "q8_0"
        if role in ("attn_k", "attn_q"):
            return {"iq3_xs": "iq3_xxs", "iq3_xxs": "iq2_s"}.get(recipe, base)
        if role == "ffn_down":
            return self._down(layer)
        if role == "attn_output":
            return self._attention_output()
        if role in ("ffn_gate", "ffn_up") and recipe == "iq3_xs" and self.layers // 8 <= layer < 7 * self.layers // 8:
            return "iq3_xxs"
        return base

    def _head(self, tensor: Tensor) -> str:
        recipe = self.recipe
        if recipe in ("mxfp4_moe", "q8_0") or tensor.shape[-1] % GGUF_BLOCKS[RECIPES[recipe]][1]:
            return "q8_0"
        return "q5_k" if recipe in _TINY or recipe == "iq3_xxs" else "q6_k"

    def _attention_output(self) -> str:
        recipe, base = self.recipe, RECIPES[self.recipe]
        if self.experts == 8:
            return "q5_k" if recipe in _EIGHT_EXPERTS_OUTPUT or recipe in _TINY else base
        if recipe in _TINY:
            return {"iq1_s": "iq2_xxs", "iq1_m": "iq2_xxs", "iq2_s": "iq3_s", "iq2_m": "iq3_s"}.get(recipe, base)
        return _ATTENTION_OUTPUT.get(recipe, base)

    def _value(self, layer: int) -> str:
        recipe, base = self.recipe, RECIPES[self.recipe]
        ranks = dict(self.values)
        rank, many = ranks.get(layer, 0), self.grouped >= 4
        if recipe in _TINY:
            return "q4_k" if many or self.experts >= 4 else "iq3_s" if recipe in ("iq2_s", "iq2_m") else "q2_k"
        kind = {"q2_k": "q4_k" if many else "q3_k", "q3_k_m": "q5_k" if rank < 2 else "q4_k", "q3_k_l": "q5_k", "iq3_m": "q4_k"}.get(recipe, base)
        if recipe == "iq3_xxs":
            kind = "q4_k" if many else base
        elif many and recipe in ("q2_k_s", "iq3_xs", "iq3_s"):
            kind = "q4_k"
        elif many and recipe in ("iq4_nl", "iq4_xs"):
            kind = "q5_k"
        elif recipe in ("q4_k_m", "q5_k_m") and _more_bits(rank, len(ranks)):
            kind = "q6_k"
        elif recipe == "q4_k_s" and rank < 4:
            kind = "q5_k"
        if self.layers == 80 and self.grouped == 8 and kind in ("q3_k", "q4_k"):  # what llama.cpp takes for a 70B
            kind = "q5_k"
        return "q8_0" if self.experts == 8 else kind

    def _down(self, layer: int) -> str:
        recipe, base = self.recipe, RECIPES[self.recipe]
        eighth = layer < self.layers // 8
        if recipe in _TINY:
            return base if not eighth else "iq3_s" if recipe in ("iq2_s", "iq2_m") else "q2_k"
        more = _more_bits(layer, self.layers)
        if recipe == "q3_k_m":
            return "q5_k" if layer < self.layers // 16 else "q4_k"
        if recipe in ("q4_k_m", "q5_k_m"):
            return "q6_k" if more else base
        if recipe == "iq3_m":
            return "q4_k" if eighth or (self.experts == 8 and more) else base
        first = {"q2_k_s": "q4_k", "iq4_nl": "q5_k", "iq4_xs": "q5_k", "q4_k_s": "q5_k"}
        return first[recipe] if eighth and recipe in first else {"q2_k": "q3_k", "q3_k_l": "q5_k"}.get(recipe, base)


def _more_bits(layer: int, layers: int) -> bool:
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def gguf_recipe(architecture: Architecture, recipe: str) -> GGUFRecipe:
    """The formats that a recipe gives to a model.

    Parameters
    ----------
    architecture : Architecture
        The model.
    recipe : str
        A key of ``RECIPES``.

    Returns
    -------
    GGUFRecipe
        Formats by tensor.
    """
    value_roles = ("attn_v", "attn_qkv")
    with_values = [
        index
        for index, layer in enumerate(architecture.layers)
        if any(tensor.linear and gguf_role(tensor) in value_roles for tensor in layer.all_tensors())
    ]
    attention = architecture.mixers_of(Attention)
    experts = [block.experts for layer in architecture.layers for block in layer.experts]
    return GGUFRecipe(
        recipe,
        gguf_format("f16"),
        recipe=recipe,
        layers=len(architecture.layers),
        values=tuple((layer, rank) for rank, layer in enumerate(with_values)),
        grouped=attention[0].heads // max(attention[0].kv_heads, 1) if attention else 1,
        experts=max(experts, default=0),
        tied=architecture.tied_head,
    )


@dataclass(frozen=True)
class GGUFMix(Quantization):
    """Routed experts by one recipe and everything else by another, as publishers mix them ("iq2_xxs+q4_k_m").

    Files made with ik_llama.cpp store a latent projection whole and in its two parts: a log of one with everything but the experts at 8 bits counts
    612 tensors of Q8_0, seven to each of 61 layers (github.com/ikawrakow/ik_llama.cpp/issues/398).

    Parameters
    ----------
    parts : tuple of GGUFRecipe
        Of the experts, of the rest.
    group : str
        Group of the parameter count that the first part is for.
    twice : bool
        A latent projection is stored twice.
    latent : str
        Type of a latent projection, "" where it has that of the rest.
    """

    parts: tuple[GGUFRecipe, ...] = ()
    group: str = "routed_experts"
    twice: bool = False
    latent: str = ""

    def format_of(self, path: str, tensor: Tensor) -> StorageFormat:
        """Format of the tensor stored under ``path``."""
        projection = tensor.name.endswith("kv_b_proj.weight")
        if projection and self.latent:
            return gguf_format(self.latent)
        form = self.parts[0 if tensor.group == self.group else 1].format_of(path, tensor)
        return replace(form, block_bytes=2 * form.block_bytes) if self.twice and projection else form


def is_gguf_mix(name: str) -> bool:
    """Whether a name is one of :func:`gguf_mix`: recipe or type of experts, "+", recipe or type of the rest.

    After a type of experts a point and the type out of them may stand, after one of the rest a point and that of the embedding.

    >>> [is_gguf_mix(name) for name in ("iq2_xxs+q4_k_m", "iq3_k.iq4_k+iq6_k", "q4_k+q8_0.q4_k", "q4_k_m", "q4_k+")]
    [True, True, True, False, False]
    """
    halves = [half.partition(".") for half in name.split("+")]
    if len(halves) != _HALVES:
        return False
    if types_of_rest(halves[1][0]) and not halves[1][1]:
        halves.pop()
    return all(first in _BLOCK_ELEMENTS and then in _BLOCK_ELEMENTS if dot else first in _KNOWN for first, dot, then in halves)


def gguf_mix(architecture: Architecture, name: str) -> GGUFMix:
    """Formats of a mix of two recipes, between four bits (or the type of the experts, where that is larger) and eight for all else.

    Parameters
    ----------
    architecture : Architecture
        The model; in one without experts dense blocks stand in their place.
    name : str
        One that :func:`is_gguf_mix` knows.

    Returns
    -------
    GGUFMix
        Formats by tensor.
    """
    (into, _, out), (rest, _, looked_up) = (half.partition(".") for half in name.split("+"))
    own = types_of_rest(rest)
    small, other, most = (gguf_recipe(architecture, recipe) for recipe in (into, own.get("base", rest), _TWICE))
    least = max(small, gguf_recipe(architecture, _LEAST_REST), key=lambda recipe: recipe.bits)
    named = {"ffn_gate": own.get("up"), "ffn_up": own.get("up"), "output": own.get("head"), "token_embd": looked_up or own.get("embedding")}
    other = replace(other, types={role: kind for role, kind in named.items() if kind})
    first = replace(small, types={"ffn_down": out} if out else {})
    plain, twice = gguf_format("f16"), rest == _TWICE or rest in FORK_BLOCKS
    group = "routed_experts" if architecture.parameters.groups.get("routed_experts") else "dense_mlp"

    def mix(*parts: GGUFRecipe, ends: tuple[Quantization, ...] = ()) -> GGUFMix:
        return GGUFMix(name, plain, parts=parts, ends=ends, group=group, twice=twice or parts[1] is most, latent=own.get("latent", ""))

    return mix(first, other, ends=(mix(small, least), mix(first, most)))
