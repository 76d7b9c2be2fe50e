"""What Ollama prints beside the llama.cpp inside of it: its own estimate, the runner that it starts, and why a load failed.

Templates: ollama/ollama, llm/server.go, llm/llama_server.go, llm/memory.go (to 0.12), ml/device.go, discover/types.go, server/sched.go, routes.go.
Its grammar reads what llama.cpp prints too: a log of Ollama matches more of it than of llama.cpp's.
"""

from __future__ import annotations

from gpusizer.engines.base.log import LogGrammar, LogPattern
from gpusizer.engines.base.log_common import COMMON, command_pattern
from gpusizer.engines.llama_cpp.log import PATTERNS, WORDS
from gpusizer.engines.llama_cpp.ollama_figures import (
    any_reason,
    device_found,
    environment,
    finish,
    layers_planned,
    model_opened,
    planned,
    request,
    runner,
    size_told,
    total_told,
)

__all__ = ["CODES", "LOG"]

_ERRORS = (
    LogPattern(
        r"model requires more system memory \((?P<_needed_gib>[\d.]{1,9}) (?P<_needed_gib__unit>(?:[KMGT]i?)?B)\) "
        r"than is available \((?P<_available_gib>[\d.]{1,9}) (?P<_available_gib__unit>(?:[KMGT]i?)?B)\)",
        "more system memory",
        outcome="refused",
        event="host-memory-short",
    ),
    LogPattern(r"model is too large for system memory", "too large for system memory", outcome="refused", event="host-memory-short"),
    LogPattern(
        r"(?:llama runner|llama-server) (?:process (?:has terminated|no longer running)|reported out-of-memory during startup): "
        r"(?P<_reason>[^|\n\"]{1,200})",
        "llama",
        event="runner-ended",
        read=any_reason,
        later=True,
    ),
    LogPattern(
        r"msg=\"Load failed\"[^|\n]{0,300}? error=\"?(?P<_reason>[^|\n\"]{1,200})",
        "Load failed",
        event="model-load-failed",
        read=any_reason,
    ),
    LogPattern(
        r"error loading llama server\"? error=\"?(?P<_reason>[^|\n\"]{1,200})",
        "error loading llama server",
        event="model-load-failed",
        read=any_reason,
    ),
    LogPattern(
        r"model failed to load, this may be due to resource limitations", "due to resource limitations", outcome="refused", event="model-load-failed"
    ),
    LogPattern(
        r"truncating input prompt\"? limit=(?P<_limit>\d{1,9}) prompt=(?P<_prompt_tokens>\d{1,9})",
        "truncating input prompt",
        event="prompt-cut",
        later=True,
    ),
    LogPattern(
        r"requested context size too large for model\"? num_ctx=(?P<_context>\d{1,10})(?: num_parallel=\d{1,4})? n_ctx_train=(?P<_trained>\d{1,10})",
        "context size too large",
        event="context-above-training",
    ),
    LogPattern(
        r"reducing automatic context and retrying once\"?[^|\n]{0,400}? effective_num_ctx=(?P<_before>\d{1,9}) new_num_ctx=(?P<_after>\d{1,9})",
        "reducing automatic context",
        event="context-reduced",
    ),
    LogPattern(r"runtime OOM detected", "runtime OOM detected", event="device-out-of-memory", later=True),
    LogPattern(r"quantized kv cache requested but flash attention disabled", "quantized kv cache", event="kv-type-without-flash-attention"),
    LogPattern(r"no compatible GPUs were discovered", "no compatible GPUs", event="no-gpu-used"),
    LogPattern(r"gpu VRAM usage didn't recover within timeout", "usage didn't recover", event="memory-not-returned"),
)

CODES = tuple(dict.fromkeys(each.event for each in _ERRORS))
"""What may happen beside what llama.cpp says (``gpusizer.engines.llama_cpp.log.CODES``), and parameters (each may be absent):

host-memory-short
    ``needed_gib``, ``available_gib``: the model was refused because the host has too little memory.
runner-ended
    ``reason``: the process that runs the model ended while it loaded or served.
model-load-failed
    ``reason``.
prompt-cut
    ``limit``, ``prompt_tokens``: the context is shorter than the prompt; its beginning was left out.
context-above-training
    ``context``, ``trained``.
context-reduced
    ``before``, ``after``: a load found no room, so the context that Ollama chose itself was cut and the load tried again.
device-out-of-memory
    The device ran out of memory while it computed; models are unloaded.
kv-type-without-flash-attention
    The cache stays in 16 bits because flash attention is off.
no-gpu-used
    No usable device was found.
memory-not-returned
    Memory of the model that was unloaded did not come back in time.
"""

_ESTIMATED = {
    "memory.required.full": "required_full_gib",
    "memory.required.partial": "required_partial_gib",
    "memory.required.kv": "kv_total_gib",
    "memory.weights.total": "weights_total_gib",
    "memory.graph.full": "graph_full_gib",
    "memory.graph.partial": "graph_partial_gib",
    "projector.weights": "projector_gib",
}
_OWN = (
    LogPattern(r"level=[A-Z]{4,5} source=[\w./-]{2,60}\.go:\d{1,5} msg=", "source="),
    LogPattern(r"Listening on [^|\n]{1,80} \(version (?P<engine_version>\d[\w.+-]{1,40})\)", "Listening on "),
    LogPattern(r"msg=\"?server config\"? env=\"?map\[(?P<_environment>[^|\n]{1,16000})", "server config", read=environment),
    LogPattern(r"msg=\"inference compute\"(?P<_said>[^|\n]{1,1000})", "inference compute", read=device_found),
    LogPattern(
        r"msg=\"starting (?:go runner|runner|llama server|llama-server|ollama engine)\"[^|\n]{0,80}? cmd=\"?(?P<_cmd>[^|\n]{1,4000})",
        "starting ",
        read=runner,
    ),
    LogPattern(r"Operation:(?:commit|alloc|fit) (?P<_said>[^|\n]{1,600})", "Operation:", read=request),
    LogPattern(
        r"architecture=[\w.-]{1,40} file_type=(?P<quantization>[\w.-]{1,24}) name=(?P<_name>\"[^\"|\n]{0,120}\"|\S{0,120})",
        " file_type=",
        read=model_opened,
    ),
    LogPattern(r"layers\.model=(?P<_all>\d{1,4})[^|\n]{0,200}? layers\.offload=(?P<_layers>\d{1,4})", "layers.offload=", read=layers_planned),
    *(
        LogPattern(rf"{word.replace('.', chr(92) + '.')}=\"(?P<{name}>[\d.]{{1,9}}) (?P<{name}__unit>(?:[KMGT]i?)?B)\"", f"{word}=", keep="last")
        for word, name in _ESTIMATED.items()
    ),
    LogPattern(
        r"msg=\"(?P<_what>model weights|kv cache|compute graph)\" (?:device|buffer|backend)=(?P<_device>[\w:.-]{1,64})(?: buffer_type=[\w.-]{1,40})? "
        r"size=\"(?P<_size>\d{1,6}(?:\.\d{1,4})?) (?P<_unit>(?:[KMGT]i?)?B)\"",
        "msg=",
        read=size_told,
    ),
    LogPattern(r"msg=\"total memory\" size=\"(?P<_size>\d{1,6}(?:\.\d{1,4})?) (?P<_unit>(?:[KMGT]i?)?B)\"", "total memory", read=total_told),
    LogPattern(r"default_num_ctx=(?P<_tokens>\d{1,9})", "default_num_ctx=", read=planned),
    LogPattern(r"(?:llama runner|llama-server) started in [\d.]{1,9} seconds", " started in ", outcome="starts", serves=True),
    command_pattern(r"ollama\s+(?:run|serve|start)", "ollama"),
)

LOG = LogGrammar(
    engine="ollama",
    patterns=(*_OWN, *_ERRORS, *PATTERNS, *(each for each in COMMON if not each.event.startswith("torch-"))),
    words=WORDS | {"_environment", "_said", "_cmd", "_what", "_unit", "_command"},
    finish=finish,
    begins=("starting runner", "starting llama server", "starting llama-server"),
)
