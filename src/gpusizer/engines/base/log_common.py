"""What logs of every engine may hold: tables of driver tools, the command line, failures of torch, NCCL, CUDA, containers and the host.

Templates of: torch (c10/cuda/CUDACachingAllocator.cpp, ProcessGroupNCCL.cpp), nvidia-smi, the Linux kernel (mm/oom_kill.c), Docker and Kubernetes.
"""

from __future__ import annotations

import json
import re
import shlex

from gpusizer.engines.base.log import LogPattern, LogRecord

__all__ = ["CODES", "COMMON", "command_pattern", "listed_command_pattern"]

CODES = (
    "torch-out-of-memory",
    "torch-out-of-memory-serving",
    "graph-capture-failed",
    "nccl-failed",
    "nccl-timeout",
    "host-killed",
    "host-out-of-memory",
    "shared-memory-too-small",
    "disk-full",
    "driver-too-old",
    "no-device",
    "device-code-missing",
    "kernel-too-large",
    "compiler-missing",
    "device-failed",
    "device-lost",
    "checkpoint-missing",
    "hub-unreachable",
    "access-denied",
    "package-missing",
    "port-taken",
)
"""Codes of events, with their parameters (each may be absent):

torch-out-of-memory          failed_alloc_mib, device, total_gpu_memory_gib, free_mib, in_use_gib, allocated_gib, reserved_mib, graphs_mib
torch-out-of-memory-serving  the same, after the server was up
graph-capture-failed         -
nccl-failed                  reason: "unhandled cuda error", "unhandled system error", "remote process exited ..."
nccl-timeout                 timeout_ms
host-killed                  process, exit_code (137): the kernel or the container's limit killed a process for memory
host-out-of-memory           bytes: memory of the host could not be taken (MemoryError, pinned memory, mmap)
shared-memory-too-small      -
disk-full                    -
driver-too-old               driver (what the system has)
no-device                    no GPU is visible
device-code-missing          a kernel has no code for this GPU ("no kernel image is available")
kernel-too-large             needed_bytes, limit_bytes: shared memory of the GPU's cores, asked for by a kernel of Triton
compiler-missing             - (kernels are built while it starts)
device-failed                reason: an error of CUDA, HIP or the NPU that is none of the others
device-lost                  xid: the driver lost the GPU, or it reports an error of the hardware
checkpoint-missing           name: the files or the repository of the model are not there
hub-unreachable              - (the server of the files does not answer)
access-denied                name: a gated repository, no token
package-missing              name: of a Python module
port-taken                   port
"""


def _listed(match: re.Match[str], record: LogRecord) -> None:
    """GPUs that a driver's tool lists: as many as the highest index says."""
    record.put("gpus_listed", int(match["_index"]) + 1, "most")


def _npu(match: re.Match[str], record: LogRecord) -> None:
    """Ascend's tool names a device without its family."""
    record.put("gpu", f"Ascend {match['_npu']}")
    _listed(match, record)


def _launched(match: re.Match[str], record: LogRecord) -> None:
    record.command = record.command or match["_command"].strip()


def _listed_words(match: re.Match[str], record: LogRecord) -> None:
    try:
        words = json.loads(match["_words"])
    except (ValueError, RecursionError):
        return
    if all(isinstance(word, str) for word in words):
        record.command = record.command or shlex.join(words)


def command_pattern(words: str, needs: str, *, own: bool = True) -> LogPattern:
    """The pattern of a command line that starts an engine, at the start of a line, behind a prompt, or behind the word of a compose file.

    Parameters
    ----------
    words : str
        A regular expression of the words that start it.
    needs : str
        One that each such line holds.
    own : bool
        The words say which engine it starts.

    Examples
    --------
    >>> import re
    >>> re.search(command_pattern(r"vllm\\s+serve", "vllm").pattern, "$ CUDA_VISIBLE_DEVICES=0 vllm serve m -tp 2 | tee log")["_command"]
    'CUDA_VISIBLE_DEVICES=0 vllm serve m -tp 2 '
    """
    said = r"(?:(?:[Cc]ommand|CMD|ENTRYPOINT|exec|nohup|time|Running|Executing|Launching)[:=]?\s{1,4}){0,2}"
    before = rf"(?:^|[$#+>] |\| )\s{{0,80}}{said}"
    set_first = r"(?:[A-Z_]{2,64}=[^\s|]{0,256}\s{1,4}){0,16}"
    ends = r"(?=\\n\"|[|;&]|$)"
    return LogPattern(rf"{before}(?P<_command>{set_first}{words}\s[^|;&\n]{{1,8192}}?){ends}", needs, read=_launched, own=own)


def listed_command_pattern(words: str, needs: str) -> LogPattern:
    """The pattern of the same command as a list of words, as compose files and manifests have it.

    Parameters
    ----------
    words : str
        A regular expression of the words that start it, in quotation marks.
    needs : str
        One that each such line holds.
    """
    return LogPattern(rf"(?P<_words>\[\s{{0,8}}{words}[^\]|]{{0,8192}}\])", needs, read=_listed_words)


_BYTES = "[KMGT]iB|bytes"
_OUT_OF_MEMORY = (
    rf"(?:CUDA|HIP|XPU|NPU|MPS) out of memory\. Tried to allocate (?P<failed_alloc_mib>[\d.]+) (?P<failed_alloc_mib__unit>{_BYTES})\b(?! \([GN]PU \d)"
    r"(?:[^|]{0,40}?GPU (?P<_device>\d{1,3}) has a total capacity of (?P<total_gpu_memory_gib>[\d.]+) (?P<total_gpu_memory_gib__unit>[KMGT]iB)"
    rf" of which (?P<_free_mib>[\d.]+) (?P<_free_mib__unit>{_BYTES}) is free)?"
    rf"(?:[^|]{{0,200}}?this process has (?P<_in_use_gib>[\d.]+) (?P<_in_use_gib__unit>{_BYTES}) memory in use)?"
    rf"(?:[^|]{{0,200}}?Of the allocated memory (?P<_allocated_gib>[\d.]+) (?P<_allocated_gib__unit>{_BYTES}) is allocated by PyTorch)?"
    rf"(?:, with (?P<_graphs_mib>[\d.]+) (?P<_graphs_mib__unit>{_BYTES}) allocated in private pools)?"
    rf"(?:[^|]{{0,60}}?(?P<_reserved_mib>[\d.]+) (?P<_reserved_mib__unit>{_BYTES}) is reserved by PyTorch but unallocated)?"
)
_OUT_OF_MEMORY_BEFORE = (  # torch up to 2.0, and the NPU's to this day
    rf"(?:CUDA|HIP|NPU) out of memory\. (?:NPUWorkspaceAllocator t|T)ried to allocate "
    rf"(?P<failed_alloc_mib>[\d.]+) (?P<failed_alloc_mib__unit>{_BYTES}) "
    r"\((?:GPU|NPU) (?P<_device>\d{1,3}); (?P<total_gpu_memory_gib>[\d.]+) (?P<total_gpu_memory_gib__unit>[KMGT]iB) total capacity; "
    rf"(?:(?P<_allocated_gib>[\d.]+) (?P<_allocated_gib__unit>{_BYTES}) already allocated; )?[^|)]{{0,80}}?"
    rf"(?P<_free_mib>[\d.]+) (?P<_free_mib__unit>{_BYTES}) free"
)


def _failed(pattern: str, needs: str, event: str, *, later: bool = False) -> LogPattern:
    """A failure that any program may print."""
    return LogPattern(pattern, needs, event=event, own=False, later=later)


def _out_of_memory(pattern: str, needs: str, *, later: bool = False) -> LogPattern:
    """A failure of the device's allocator: no start, or the end of a server that was up."""
    event = "torch-out-of-memory"
    return LogPattern(pattern, needs, outcome="out-of-memory", event=event, event_serving=f"{event}-serving", own=False, later=later)


_DEVICES = (
    LogPattern(
        r"\|\s{1,4}(?P<_index>\d{1,2})\s{1,4}(?P<gpu>[A-Za-z][^|]{2,40}?)\s{1,40}(?:On|Off|N/A|WDDM|TCC|MCDM)\s{0,6}\|\s{0,6}[0-9A-Fa-f]{4,8}:",
        ".0 ",
        read=_listed,
        own=False,
    ),
    LogPattern(
        r"\bGPU (?P<_index>\d{1,2}): (?P<gpu>(?:NVIDIA|Tesla|Quadro|GeForce|AMD)[^|\n(]{1,48}?)\s{0,4}(?:\(UUID|\||$)",
        "GPU",
        read=_listed,
        own=False,
    ),
    LogPattern(r"GPU\[(?P<_index>\d{1,2})\]\s{0,8}: Card [Ss]eries:\s{0,8}(?P<gpu>[^|\n]{3,60})", "Card ", read=_listed, own=False),
    LogPattern(r"\|\s{1,4}(?P<_index>\d{1,2})\s{1,8}(?P<_npu>(?:910|310)\w{0,6})\s{1,20}\|\s{1,4}(?:OK|Warning|Alarm)", "|", read=_npu, own=False),
    LogPattern(r"(?P<smi_used_mib>\d{1,7})MiB\s{0,4}/\s{0,4}(?P<smi_total_mib>\d{3,7})MiB", "MiB", own=False),
    LogPattern(r"Driver Version: (?P<driver>\d{2,4}\.[\d.]{1,12})", "Driver Version", own=False),
)

_MEMORY = (
    _out_of_memory(_OUT_OF_MEMORY, "out of memory. Tried to allocate", later=True),
    _out_of_memory(_OUT_OF_MEMORY_BEFORE, "total capacity;"),
    _out_of_memory(r"CUDA (?:driver )?error: out of memory", "error: out of memory"),
    _out_of_memory(r"Allocation on device \d{1,3} would exceed allowed memory", "would exceed allowed memory"),
    _out_of_memory(r"CUDA_ERROR_OUT_OF_MEMORY", "CUDA_ERROR_OUT_OF_MEMORY"),
    _out_of_memory(r"CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"),
    _failed(r"Killed process \d{1,10} \((?P<_process>[^)|]{1,64})\)", "Killed process", "host-killed", later=True),
    _failed(r"(?:exit(?:ed)? (?:with )?code|exitcode|Exit Code)[:= ]{1,12}(?P<_exit_code>137|-9)\b", "xit", "host-killed"),
    _failed(r"(?:^|\| |: line \d{1,6}: {1,4}\d{1,10} )Killed(?: |$)", "Killed", "host-killed"),
    _failed(
        r"DefaultCPUAllocator: can't allocate memory: you tried to allocate (?P<_bytes>\d{1,20}) bytes",
        "DefaultCPUAllocator",
        "host-out-of-memory",
    ),
    _failed(r"(?:/dev/shm|shared memory segment)[^|]{0,200}No space left on device", "No space left on device", "shared-memory-too-small"),
    _failed(r"^(?!.{0,4000}(?:/dev/shm|shared memory)).{0,4000}No space left on device", "No space left on device", "disk-full"),
)

_DEVICE_FAILED = (
    _failed(r"driver on your system is too old \(found version (?P<_driver>\d{1,6})\)", "driver on your system is too old", "driver-too-old"),
    _failed(
        r"(?:CUDA|HIP) error: (?P<_reason>an illegal memory access was encountered|unspecified launch failure|device-side assert triggered"
        r"|misaligned address|an illegal instruction was encountered|invalid device ordinal|invalid argument|unknown error|initialization error)",
        " error: ",
        "device-failed",
    ),
    _failed(r"NVRM: Xid \([^)]{1,40}\): (?P<_xid>\d{1,4})", "Xid", "device-lost", later=True),
    _failed(
        r"NCCL (?:error|WARN)[^|]{0,300}?(?P<_reason>unhandled cuda error|unhandled system error|remote process exited or there was a network error"
        r"|Cuda failure '[^']{1,64}'|Connection refused|invalid usage|internal error)",
        "NCCL ",
        "nccl-failed",
    ),
    _failed(r"(?P<_reason>HCCL function error: \w{1,60})", "HCCL function error", "nccl-failed"),
    _failed(
        r"out of resource: shared memory, Required: (?P<_needed_bytes>\d{1,12}), Hardware limit: (?P<_limit_bytes>\d{1,12})",
        "out of resource: shared memory",
        "kernel-too-large",
    ),
    _failed(
        r"Watchdog caught collective operation timeout:[^|]{0,300}?Timeout\(ms\)=(?P<_timeout_ms>\d{1,9})",
        "Watchdog caught",
        "nccl-timeout",
        later=True,
    ),
)

_FILES = (
    _failed(
        r"(?<![\w./-])(?P<_name>[\w./-]{1,128}) is not a local folder and is not a valid model identifier",
        "is not a valid model identifier",
        "checkpoint-missing",
    ),
    _failed(r"Access to model (?P<_name>[\w./-]{1,128}) is restricted", "Access to model", "access-denied"),
    _failed(r"ModuleNotFoundError: No module named '(?P<_name>[\w.]{1,64})'", "ModuleNotFoundError", "package-missing"),
    _failed(r"bind on address \('[^']{0,64}', (?P<_port>\d{1,5})\): address already in use", "bind on address", "port-taken"),
)

_PHRASES = {
    "host-killed": ("oom-kill:constraint=", "invoked oom-killer", "OOMKilled", "killed due to the node running low on memory"),
    "host-out-of-memory": ("Cannot allocate memory", "cudaErrorHostMemoryAlreadyRegistered"),
    "shared-memory-too-small": ("unable to open shared memory object", "insufficient shared memory"),
    "driver-too-old": (
        "CUDA driver version is insufficient for CUDA runtime version",
        "forward compatibility was attempted on non supported HW",
        "compiled with an unsupported toolchain",
    ),
    "no-device": (
        "No CUDA GPUs are available",
        "Found no NVIDIA driver on your system",
        "no CUDA-capable device is detected",
        "could not select device driver",
        "nvidia-container-cli: initialization error",
    ),
    "compiler-missing": ("Failed to find C compiler", "Could not find nvcc", "Ninja build failed", "fatal error: Python.h"),
    "device-code-missing": ("no kernel image is available for execution", "is not compatible with the current PyTorch installation"),
    "device-lost": ("fallen off the bus", "uncorrectable ECC error encountered"),
    "graph-capture-failed": ("operation not permitted when stream is capturing", "cudaErrorStreamCapture"),
    "checkpoint-missing": (
        "Cannot find any model weights with",
        "Repository Not Found for url",
        "Invalid repository ID or local directory specified",
    ),
    "hub-unreachable": ("LocalEntryNotFoundError", "We couldn't connect to 'https://huggingface.co'", "Service Temporarily Unavailable for url"),
    "access-denied": ("You are trying to access a gated repo", "GatedRepoError"),
    "port-taken": ("Address already in use",),
}
"""What is said without figures."""

COMMON = (
    *_DEVICES,
    *_MEMORY,
    *_DEVICE_FAILED,
    *_FILES,
    *(_failed(re.escape(phrase), phrase, event) for event, phrases in _PHRASES.items() for phrase in phrases),
)
"""Patterns to put behind an engine's own; none says which engine it was."""
