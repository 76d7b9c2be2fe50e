"""What llama.cpp and its fork print when they load a model, and what they say when memory runs out.

Templates: ggml-org/llama.cpp, src/llama-model.cpp, llama-context.cpp, llama-kv-cache*.cpp, llama-memory-recurrent.cpp, common/fit.cpp, ggml/src;
ikawrakow/ik_llama.cpp, src/llama.cpp.
"""

from __future__ import annotations

from functools import partial

from gpusizer.engines.base.log import LogGrammar, LogPattern, LogRecord
from gpusizer.engines.base.log_common import COMMON, command_pattern
from gpusizer.engines.llama_cpp.log_buffers import (
    breakdown_begins,
    breakdown_device,
    breakdown_row,
    buffer_named,
    buffers_told,
    cache_sized,
    of_model,
    window_next,
)
from gpusizer.engines.llama_cpp.log_errors import ERRORS
from gpusizer.engines.llama_cpp.log_start import (
    built,
    device_free,
    device_listed,
    flash_settled,
    fork_seen,
    layers_offloaded,
    model_file,
    model_named,
    setting,
    start_told,
)

__all__ = ["CODES", "LOG", "PATTERNS", "WORDS", "finish"]

CODES = tuple(dict.fromkeys(each.event for each in ERRORS))
"""What may happen, with the parameters that its line tells (each may be absent):

device-allocation-failed
    ``failed_alloc_mib``, ``device``: the driver gave no buffer of that size.
model-allocation-failed, kv-allocation-failed, state-allocation-failed, compute-allocation-failed
    What the buffer was for: weights, cache, recurrent state, workspace of the graph. ``device`` where it is told.
host-allocation-failed
    ``failed_alloc_mib``: the host has too little memory.
pinned-allocation-failed
    ``pinned_mib``: host memory could not be pinned; it runs, slower.
retry-without-pipeline
    The copies of the pipeline found no room; one copy is tried.
fit-projected
    ``total_self_mib``, ``projected_free_mib``: what it reckoned before it loaded.
fit-unchanged
    ``left_mib``, ``target_mib``: it fits as asked.
fit-reduced-context
    ``before``, ``after``, ``saved_mib``: the context was cut by ``--fit``.
fit-failed
    ``reason``.
pipeline-copies
    ``copies``: workspaces are kept several times to overlap devices.
context-below-training, context-above-training
    ``context``, ``trained``.
no-gpu-used
    All of it runs on the processor: no device was found, or the build knows none.
lock-failed
    Host memory could not be locked.
v-cache-needs-flash-attention
    A quantised V cache was asked for without flash attention: it does not start.
model-load-failed, context-creation-failed
    ``reason``.
no-cache-slot
    ``batch_tokens``: a request found no cells while serving.
device-out-of-memory
    The device ran out of memory while it computed.
"""

_AT = r"(?:^|[:|>] )\s{0,40}"  # where a name begins: the line, or behind the function that prints it
_DEVICE = r"(?P<_device>[A-Za-z][\w.+-]{0,31}(?:\[[\w.:-]{1,64}\])?(?: [\w()./+-]{1,24}){0,8}?)"
_KINDS = r"(?:(?P<_kind>model|KV|compute|RS|output|LoRA|DSV4 [\w /-]{1,40}? state)\s{1,4})?"
_TYPE = r"[a-z]\w{1,11}"
_SETTINGS = ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "flash_attn", "kv_unified", "mla_attn", "attn_max_b", "fused_moe")


def _mib(name: str) -> str:
    return rf"\s{{0,8}}(?P<{name}>\d{{1,9}}\.\d{{2}}) MiB"


def _setting(name: str) -> LogPattern:
    """A line of the context, or one of a list of them; "n_ctx = " behind a comma is that of one slot."""
    listed = rf", {name}\s" if name == "n_ctx" else rf", {name}(?:\s{{0,12}}=\s{{1,4}}|\s)"
    value = r"(?P<_value>\d{1,10}|true|false|enabled|disabled|auto)\b"
    return LogPattern(rf"(?:{_AT}{name}(?:\s{{0,12}}=\s{{1,4}}|\s)|{listed}){value}", name, read=partial(setting, name))


_START = (
    LogPattern(r"\bbuild(?:_info)?(?:: | = )b?(?P<_build>\d{1,6})(?:-| \()[0-9a-f]{7,40}", "build", read=built),
    LogPattern(r"\bbuild=(?P<_build>\d{1,6}) commit=", " commit=", read=built),
    LogPattern(r"ik_llama\.cpp", "ik_llama", read=fork_seen, own=False),
    LogPattern(r"c\^KV \(", "c^KV (", read=fork_seen),
    LogPattern(r"key-value pairs and \d{1,6} tensors from (?P<_path>[^|\n]{1,512}?) \(version", "key-value pairs and", read=model_file),
    LogPattern(r"general\.name(?:\s{1,4}str)?\s{1,40}= (?P<_name>[^|\n]{1,120})", "general.name", read=model_named),
    LogPattern(r"(?:file type|model ftype)\s{1,12}= (?P<quantization>[^|\n]{1,48}?)\s{0,4}(?:\||$)", "type "),
    LogPattern(r"(?:file size|model size)\s{1,12}= (?P<checkpoint_gib>[\d.]{1,12}) (?P<checkpoint_gib__unit>[GM]iB) \(", " size "),
    LogPattern(
        r"\bDevice (?P<_index>\d{1,3}): (?P<_name>[A-Z][^,|\n:]{2,80}?)(?:, (?:compute capability|gfx)[^|\n]{0,200}|\s{0,4}(?:\||$))",
        "Device ",
        read=device_listed,
        own=False,
    ),
    LogPattern(r"compute capability \d{1,2}\.\d, VMM: ", "compute capability"),
    LogPattern(r"ggml_vulkan: (?P<_index>\d{1,3}) = (?P<_name>[^|\n]{2,80}?) \(", "ggml_vulkan: ", read=device_listed),
    LogPattern(r"(?:found device: |GPU name: {1,4}(?:MTL\d \()?)(?P<_name>Apple [\w ]{1,24})", "Apple ", read=device_listed),
    LogPattern(r"\[level_zero:gpu[^\]]{0,8}\]\|\s{0,8}(?P<_name>Intel[^|\n]{2,60}?)\s{0,40}\|", "level_zero:gpu", read=device_listed),
    LogPattern(
        r"using device (?P<_device>[\w:.\[\]-]{2,60}) \((?P<_name>[^|\n]{2,90}?)\)(?: \([0-9a-fA-F:.]{4,20}\)| \(unknown id\))? - "
        r"(?P<_free>\d{1,9}) MiB free",
        "using device ",
        read=device_free,
    ),
    LogPattern(r"\boffloaded (?P<_layers>\d{1,4})/(?P<_all>\d{1,4})\b", "offloaded ", read=layers_offloaded),
    *(_setting(name) for name in _SETTINGS),
    LogPattern(r"Flash Attention was auto, set to (?P<_value>enabled|disabled)", "Flash Attention was auto", read=flash_settled),
)

_MEMORY = (
    LogPattern(
        rf"(?:^|[>|] ?|(?P<_function>\b\w{{2,60}}): ?)\s{{0,40}}{_DEVICE}\s{{1,4}}{_KINDS}buffer size\s{{0,4}}={_mib('_size')}",
        "buffer size",
        read=buffer_named,
    ),
    LogPattern(
        rf"{_AT}size ={_mib('_size')} \(\s{{0,12}}(?P<_cells>\d{{1,10}}) cells,\s{{0,4}}\d{{1,4}} layers,\s{{0,4}}"
        rf"\d{{1,4}}(?:/(?P<_streams>\d{{1,4}}))? seqs[^)]{{0,40}}\)"
        rf"(?:, K \((?P<_key_type>{_TYPE})\):{_mib('_keys')}(?:, V \((?P<_value_type>{_TYPE})\):{_mib('_values')})?|(?P<_recurrent>, R \())?",
        " cells,",
        read=cache_sized,
    ),
    LogPattern(
        rf"KV self size\s{{0,4}}={_mib('_size')}(?:, (?:K|K-only|c\^KV) \((?P<_key_type>{_TYPE})\)(?::?\s{{1,8}}(?P<_keys>\d{{1,9}}\.\d{{2}})"
        rf"(?: MiB)?(?:, (?:V|kv\^T) \((?P<_value_type>{_TYPE})\):?\s{{1,8}}(?P<_values>\d{{1,9}}\.\d{{2}}))?)?)?",
        "KV self size",
        read=cache_sized,
    ),
    LogPattern(r"creating (?P<_full>non-)?\s{0,8}SWA KV cache, size = \d{1,10} cells", "SWA KV cache", read=window_next),
    LogPattern(
        r"(?P<_total>\d{1,9}) = +(?P<_free>\d{1,9}) \+ \( *(?P<_self>\d{1,9}) = +(?P<_model>\d{1,9}) \+ +(?P<_context>\d{1,9}) \+ +"
        r"(?P<_compute>\d{1,9})\) \+",
        " + (",
        read=breakdown_row,
    ),
    LogPattern(r"memory breakdown \[MiB\]", "memory breakdown", read=breakdown_begins),
    LogPattern(r"(?:^|breakdown_print: |\| )\|?\s{0,8}- (?P<_device>[A-Za-z]{2,12}\d{0,3}) \(", "- ", read=breakdown_device, own=False),
)

_SERVES = (
    *(LogPattern(words, words, outcome="starts", serves=True) for words in ("server is listening on", "HTTP server listening", "all slots are idle")),
    LogPattern(r"llama_(?:perf|print)_\w{2,32}:\s{1,8}(?:load|eval|total) time", " time ", outcome="starts", serves=True),
)

PATTERNS = (*_START, *_MEMORY, *ERRORS, *_SERVES)
WORDS = frozenset(
    {
        "_build",
        "_path",
        "_name",
        "_index",
        "_device",
        "_function",
        "_kind",
        "_setting",
        "_value",
        "_key_type",
        "_value_type",
        "_full",
        "_recurrent",
        "_reason",
    }
)


def finish(record: LogRecord) -> None:
    """Fields of the start, figures of the buffers, and how it ended where only the buffers tell."""
    start_told(record)
    buffers_told(record)
    if record.outcome == "unknown":
        if "no_room" in record.state:
            record.outcome = "out-of-memory"
        elif "refused" in record.state:
            record.outcome = "refused"
        elif of_model(record).compute:
            record.outcome = "starts"


_LAUNCHED = command_pattern(
    r"(?:[\w./~$-]{0,256}/)?llama-(?:server|cli|bench|batched-bench|perplexity|sweep-bench|completion|mtmd-cli)(?:\.exe)?", "llama-"
)

LOG = LogGrammar(
    engine="llama.cpp",
    patterns=(*PATTERNS, _LAUNCHED, *(each for each in COMMON if not each.event.startswith("torch-"))),
    words=WORDS | {"_command"},
    finish=finish,
    begins=("build: ", "build = ", "build_info: "),
)
