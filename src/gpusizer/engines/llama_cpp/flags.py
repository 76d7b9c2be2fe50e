"""llama.cpp's flags: ggml-org/llama.cpp, common/arg.cpp and tools/server/README.md; those of the fork: ikawrakow/ik_llama.cpp, examples/server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_RANKS, MAX_TOKENS, Effect, Flag, passed_over
from gpusizer.engines.base.settling import listed
from gpusizer.engines.llama_cpp.options import SPLITS_BY_ROWS
from gpusizer.errors import FlagError

__all__ = ["BACKEND", "DEVICES", "FLAGS", "devices_of", "settle", "settle_backend", "settle_case"]

DEVICES = Flag("--devices", "word", "devices")
"""The accelerators by their ids where they differ, or how many there are; ours, no flag of the engine."""

BACKEND = Flag("--backend", "word", effect=Effect.SPEED)
"""Which of its backends was built and runs (cuda, vulkan, rocm, metal ...); ours: the engine has it in its name, not among its flags."""

FORK = Flag("--fork", "word", "fork", choices=("ik_llama.cpp",))
"""Which fork was built and runs; ours: it has the names of the engine."""

_BACKENDS = {
    "cuda": "cuda",
    "vulkan": "vulkan",
    "rocm": "rocm",
    "hip": "rocm",
    "metal": "metal",
    "mtl": "metal",
    "cpu": "cpu",
    "sycl": "sycl",
    "musa": "musa",
    "cann": "cann",
}
_INTERLEAVED = re.compile(r"i?q\d_[a-z0-9]{1,3}_r(?:4|8|16)(?![a-z0-9])")
_MEMORY = (
    DEVICES,
    BACKEND,
    FORK,
    Flag("--threads", "count", also=("-t",), high=1 << 16, left_open=True, effect=Effect.SPEED),
    Flag("--device", "word", also=("-dev",)),
    Flag("--n-gpu-layers", "setting", also=("-ngl", "--gpu-layers")),
    Flag("--ctx-size", "tokens", also=("-c",), high=1 << 30),
    Flag("--ubatch-size", "count", "max_num_batched_tokens", ("-ub",), 1, MAX_TOKENS),
    Flag("--batch-size", "count", also=("-b",)),
    Flag("--parallel", "count", "max_num_seqs", ("-np",), 1, 1 << 16, left_open=True),
    Flag("--cache-type-k", "word", also=("-ctk",)),
    Flag("--cache-type-v", "word", also=("-ctv",)),
    Flag("--flash-attn", "setting", also=("-fa",)),
    Flag("--split-mode", "word", also=("-sm",)),
    Flag("--tensor-split", "word", also=("-ts",)),
    Flag("--override-tensor", "word", also=("-ot",), repeats=True),
    Flag("--cpu-moe", "switch", also=("-cmoe",)),
    Flag("--n-cpu-moe", "count", also=("-ncmoe",), high=1 << 20),
    Flag("--kv-unified", "switch", also=("-kvu",)),
    Flag("--swa-full", "switch"),
    Flag("--no-kv-offload", "switch", also=("-nkvo",)),
    Flag("--kv-offload", "switch", also=("-kvo",)),
    Flag("--no-op-offload", "switch"),
    Flag("--op-offload", "switch"),
    Flag("--mmproj", "word", also=("-mm",)),
    Flag("--fit", "setting", also=("-fit",)),
    Flag("--rpc", "setting"),
    Flag("--gpu-overhead", "bytes", high=1 << 50),
    Flag("--mla", "count", also=("-mla", "--mla-use"), high=3),
    Flag("--amb", "count", also=("-amb", "--attention-max-batch")),
    Flag("--worst-graph-tokens", "count", also=("-wgt",)),
    Flag("--fmoe", "switch", also=("-fmoe", "--fused-moe")),
    Flag("--rtr", "switch", also=("-rtr", "--run-time-repack")),
    Flag("--num-speculative-tokens", "count", "speculative_tokens", ("--spec-draft-n-max", "--draft-max", "--draft", "--draft-n"), 0, 256),
    Flag("--spec-type", "word"),
    Flag("--sched-max-copies", "count", also=("GGML_SCHED_MAX_COPIES",), high=64),
    Flag("--interleaved", "word"),
    Flag("--model", "word", "model", ("-m",), effect=Effect.NOTHING),
    Flag("--hf-repo", "word", "hf_repo", ("-hf", "-hfr"), effect=Effect.NOTHING),
    Flag("--hf-file", "word", "hf_file", ("-hff",), effect=Effect.NOTHING),
    Flag("--quantization", "word"),
)
_OTHER = (
    Flag("--model-draft", "word", also=("-md", "--spec-draft-model"), effect=Effect.UNCOUNTED, caveat="not-counted-draft"),
    Flag("--lora", "word", effect=Effect.UNCOUNTED, caveat="not-counted-adapters"),
    Flag("--lora-scaled", "word", effect=Effect.UNCOUNTED, caveat="not-counted-adapters"),
    Flag("--n-cpu-ffn", "count", also=("-ncffn",), effect=Effect.UNCOUNTED, caveat="not-counted-offload"),
    Flag("--moe-cache-mib", "count", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--embeddings", "switch", also=("--embedding",), effect=Effect.UNCOUNTED, caveat="not-counted-use"),
    Flag("--reranking", "switch", also=("--rerank",), effect=Effect.UNCOUNTED, caveat="not-counted-use"),
    Flag("--cache-ram", "count", also=("-cram",), left_open=True, effect=Effect.HOST),
    Flag("--mlock", "switch", effect=Effect.HOST),
    Flag("--no-mmap", "switch"),
)
_NOTHING = passed_over(
    switches=(
        "--jinja --cont-batching|-cb --metrics --slots --props --webui --no-mmproj --no-mmproj-offload --warmup --mmap "
        "--verbose|-v|--log-verbose --offline --ignore-eos --conversation|-cnv --interactive|-i --single-turn|-st --log-disable "
        "--escape|-e --perf --context-shift --cache-prompt --check-tensors --repack|-nr --no-host --warmup-batch|-wb --direct-io "
        "--prefill-assistant --simple-io --color --spm-infill --special|-sp --log-prefix --log-timestamps --multiline-input|-mli "
        "--display-prompt --no-display-prompt --reverse-prompt-only --ger|-ger --models-autoload --clear-idle --sleep-idle "
        "--backend-sampling|-bs --log-jsonl --layer-similarity --graph-reuse|-gr --lookahead"
    ),
    settings="--reasoning|-rea --log-colors",
    values=(
        "--host --port --alias|-a --threads-batch|-tb --threads-http --threads-draft|-td --main-gpu|-mg --numa "
        "--temp|--temperature --top-k --top-p --min-p --seed|-s --repeat-penalty --repeat-last-n --presence-penalty --frequency-penalty "
        "--samplers --mirostat --predict|-n|--n-predict --keep --prompt|-p --file|-f --output|-o --chat-template --chat-template-file "
        "--chat-template-kwargs --reasoning-format --reasoning-budget --api-key --api-key-file --path --timeout|-to --slot-save-path "
        "--cache-reuse --slot-prompt-similarity|-sps --grammar --grammar-file --json-schema|-j --rope-scaling --rope-scale "
        "--rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast "
        "--defrag-thold|-dt --cpu-mask|-C --cpu-range|-Cr --cpu-strict --prio --poll --prio-batch --poll-batch --fit-target|-fitt "
        "--fit-ctx|-fitc --override-kv --control-vector --hf-token|-hft --model-url|-mu --mmproj-url|-mmu --log-file "
        "--verbosity|-lv|--log-verbosity --logit-bias|-l --system-prompt|-sys --pooling --lookup-cache-static|-lcs "
        "--lookup-cache-dynamic|-lcd --draft-min|--draft-n-min --draft-p-min --gpu-layers-draft|-ngld --ctx-size-draft|-cd "
        "--cache-type-k-draft|-ctkd --cache-type-v-draft|-ctvd --device-draft|-devd --load-mode|-lm --lazy-mode|-lzm "
        "--docker-repo|-dr --image --tags --chunks --ctx-checkpoints|-ctxcp --image-min-tokens --image-max-tokens --ser|-ser --tools "
        "--dry-multiplier --dry-base --dry-allowed-length --dry-penalty-last-n --xtc-probability --xtc-threshold --typical "
        "--dynatemp-range --override-tensor-draft|-otd --n-prompt --n-gen|-ntg --npp|-npp --npl|-npl --repetitions|-r --models-dir "
        "--models-preset --models-max"
    ),
)
FLAGS: tuple[Flag, ...] = tuple(
    replace(flag, also=(*flag.also, f"LLAMA_ARG_{flag.name.upper()}")) if flag not in (DEVICES, BACKEND, FORK) else flag
    for flag in (*_MEMORY, *_OTHER, *_NOTHING)
)
"""Every flag that is known, those that change memory first; each may come from the environment too."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Bring what was typed to fields: the number of devices, and whether they share layers or rows.

    Parameters
    ----------
    values : dict
        Values by field or flag; changed in place.

    Returns
    -------
    tuple of Notice
        What of it is not counted.
    """
    settle_backend(values)
    if values.get("max_num_seqs") == -1:
        del values["max_num_seqs"]
    if values.get("cache_type_k") is not None and values.get("cache_type_k") == values.get("cache_type_v"):
        values["kv_precision"] = values.pop("cache_type_k")
        del values["cache_type_v"]
    _drafts_of_type(values, values)
    _context_of_one(values)
    count = devices_of(values)
    device = values.get("device")
    if device is not None and str(device).lower() != "none":
        named = listed(values.pop("device"))
        count = count or len(named)
    shares = [share for share in str(values.get("tensor_split", "")).replace("/", ",").split(",") if share.strip() not in ("", "0", "0.0")]
    count = count or (len(shares) if len(shares) > 1 else 0) or values.pop("visible_gpus", 0)
    mode = values.get("split_mode")
    if mode == "none":
        count = 1 if "gpus" not in values else count
    elif count and not {"gpus", "tp", "pp"} & values.keys():
        values["tp" if mode in SPLITS_BY_ROWS else "pp"] = count
    elif mode in SPLITS_BY_ROWS and "tp" not in values:
        values["tp"] = values.pop("gpus", values.pop("pp", 1))
    if mode in ("row", "layer", "none"):  # one that cuts caches as well is told apart by its word
        values.pop("split_mode", None)
    return ()


def _drafts_of_type(flags: dict[str, Any], fields: dict[str, Any]) -> None:
    """``--spec-type draft-mtp`` lets layers of the checkpoint draft, one token where their number is not said."""
    if "mtp" in str(flags.pop("spec_type", "")).lower() and not fields.get("speculative_tokens"):
        fields["speculative_tokens"] = 1


def _context_of_one(values: dict[str, Any]) -> None:
    """``--ctx-size`` counts all sequences together; each may use its part, or all of a unified cache. 0 leaves it to the engine."""
    context, sequences = values.get("ctx_size"), values.get("max_num_seqs") or 1
    if context == 0:
        del values["ctx_size"]
    elif context and values.get("kv_unified"):
        values.setdefault("max_model_len", min(context, MAX_TOKENS))
    elif context and context % sequences == 0 and context // sequences <= MAX_TOKENS and "max_model_len" not in values:
        values["max_model_len"] = values.pop("ctx_size") // sequences


def devices_of(values: dict[str, Any]) -> int:
    """How many devices ``--devices`` names; its ids where they are ids."""
    words = values.pop("devices", None)
    if words is None:
        return 0
    names = list(words) if isinstance(words, list | tuple) else listed(words)
    if len(names) == 1 and str(names[0]).isdecimal():
        count = int(names[0])
        if not 1 <= count <= MAX_RANKS:
            raise FlagError("out-of-bounds", option="--devices", low=1, high=MAX_RANKS, found=str(names[0])[:40])
        return count
    from gpusizer.facts.catalog import accelerator

    values["devices"] = tuple(accelerator(name).id for name in names)
    return len(names)


def settle_backend(values: dict[str, Any]) -> None:
    """The backend by one word, whatever it was called; a word that names none goes.

    >>> values = {"backend": "Vulkan_RADV"}
    >>> settle_backend(values), values
    (None, {'backend': 'vulkan'})
    """
    words = str(values.pop("backend", None) or "").lower()[:80]
    found = next((backend for word, backend in _BACKENDS.items() if word in words), None)
    if found is not None:
        values["backend"] = found


def settle_case(row: Mapping[str, Any], fields: dict[str, Any], flags: dict[str, Any]) -> None:
    """A measured case says the context of all sequences together in a field of its own, and in its type whether rows are interleaved."""
    settle_backend(flags)
    _drafts_of_type(flags, fields)
    interleaved = _INTERLEAVED.search(f"{row.get('quantization')} {row.get('model')}".lower())
    if interleaved:
        flags["interleaved"] = interleaved[0]
    context = row.get("context_len")
    if isinstance(context, int) and not isinstance(context, bool):
        flags["ctx_size"] = context
    size = flags.get("ctx_size")
    if isinstance(size, int) and size > 0:
        fields["max_model_len"] = min(size, MAX_TOKENS)
