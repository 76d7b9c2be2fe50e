"""The launch words of a measured case: a command line, a printed dictionary or loose words, read into names and values, never executed.

Three shapes occur: ``--ctx-size 32768 -ctk q8_0 NAME=1`` (shell), ``{'max_model_len': 8192, 'enforce_eager': True}`` (the "non-default args" that
vLLM prints, also cut short) and ``max_num_tokens 8192, tp=2`` (a person's note). All become one mapping; ``-`` and ``_`` are one letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gpusizer.engines.base.flags import flag_table

__all__ = ["launch_words"]

LONGEST_TEXT = 20_000  # characters; the rest is not read
MOST_WORDS = 2_000
_DEPTH = 4

_REPEATED = frozenset({"override_tensor", "ot"})
_NOTHING = frozenset({"none", "null"})
_PAIR = re.compile(r"""'([A-Za-z_][\w-]{0,63})'\s*:\s*""")
_OPTION = re.compile(r"--?([A-Za-z][\w-]{0,63})(?:=(.*))?", re.DOTALL)
_ASSIGNED = re.compile(r"([A-Za-z_][\w-]{0,63})=(.*)", re.DOTALL)
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9]{1,31}(?:[_-][A-Za-z0-9]+){1,8}:")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{1,31}(?:[_-][A-Za-z0-9]+){1,8}")
_SWITCH = re.compile(r"(?:no[_-])?(?:enable|disable|enforce)(?:[_-][A-Za-z0-9]+){1,8}")
_PHRASE = re.compile(
    r"(?:^|[,;])[ \t]{0,9}(no )?(prefix caching|chunked prefill|expert parallel|enforce eager)(?: (on|off|enabled|disabled))?(?=\s{0,9}(?:[,;]|$))",
    re.IGNORECASE,
)
_SWITCHED = {
    "prefix caching": "enable_prefix_caching",
    "chunked prefill": "enable_chunked_prefill",
    "expert parallel": "enable_expert_parallel",
    "enforce eager": "enforce_eager",
}
_SUM = re.compile(r"\$\(\(\s*(\d{1,9})\s*(?:\*\s*(\d{1,9})\s*)?\)\)")
_WORD = re.compile(r"""\$\(\(\s*\d{1,9}\s*(?:\*\s*\d{1,9}\s*)?\)\)|(?:[^\s"';]|"[^"]{0,4000}"?|'[^']{0,4000}'?)+|;""")


def launch_words(text: str, engine_id: str | None = None) -> dict[str, Any]:
    """Names and values of the launch words.

    Parameters
    ----------
    text : str
        As it was written down; at most 20,000 characters are read.
    engine_id : str or None
        The engine whose short names and other spellings become the long names of its flags.

    Returns
    -------
    dict
        Options by the names that were written, in lower case with underscores, environment variables in upper case; values are true, numbers, text,
        dictionaries, and a list for an option that may stand several times.

    Examples
    --------
    >>> launch_words("VLLM_X=1 vllm serve --max-model-len 4096 --enforce-eager -tp=2")
    {'VLLM_X': 1, 'max_model_len': 4096, 'enforce_eager': True, 'tp': 2}
    >>> launch_words("-ngl 99 -ctk q8_0", "llama.cpp")
    {'n_gpu_layers': 99, 'cache_type_k': 'q8_0'}
    >>> launch_words("--ubatch-size $((512)) --ctx-size $((112 * 1024))")
    {'ubatch_size': 512, 'ctx_size': 114688}
    >>> launch_words("cuda_graph_bs=[16, 20, 24] tp=2", "sglang")
    {'cuda_graph_bs': [16, 20, 24], 'tp_size': 2}
    >>> launch_words("{'max_num_seqs': 8, 'speculative_config': {'method': 'mtp'}, 'host': '0.0")
    {'max_num_seqs': 8, 'speculative_config': {'method': 'mtp'}, 'host': '0.0'}
    >>> launch_words("max-model-len: 8192; language-model-only: True")
    {'max_model_len': 8192, 'language_model_only': True}
    >>> launch_words("server_args: page_size=128 attention_backend=ascend")
    {'page_size': 128, 'attention_backend': 'ascend'}
    >>> launch_words("quantization fp8; enable_prefix_caching enable_chunked_prefill max_num_seqs 4 enforce_eager")
    {'enable_prefix_caching': True, 'enable_chunked_prefill': True, 'max_num_seqs': 4, 'enforce_eager': True}
    >>> launch_words("TP=2, prefix caching, chunked prefill off, max-num-batched-tokens 8192")
    {'tp': 2, 'max_num_batched_tokens': 8192, 'enable_prefix_caching': True, 'enable_chunked_prefill': False}
    >>> launch_words("tensor_parallel_size=2, max_model_len=30_000; free_gpu_memory_fraction 0.9")
    {'tensor_parallel_size': 2, 'max_model_len': 30000, 'free_gpu_memory_fraction': 0.9}
    """
    found = _words_of(text[:LONGEST_TEXT])
    if engine_id is None:
        return found
    table = flag_table(engine_id)
    named: dict[str, Any] = {}
    for name, value in found.items():
        flag = table.named(name)
        long = name if flag is None else flag.name
        named[long] = [*named.get(long, ()), *value] if isinstance(value, list) else value
        if flag is not None and flag.kind == "numbers":
            named[long] = _row_of_numbers(text[:LONGEST_TEXT], name) or value
    return named


def _row_of_numbers(text: str, name: str) -> list[int]:
    """What follows the first place of a name as ``1 2 4``, ``=[1, 2, 4]`` or ``1,2,4``."""
    words = re.escape(name).replace("_", "[-_]")
    found = re.search(rf"(?<![\w-])(?:--)?{words}(?:=|\s)\s{{0,9}}\[?\s{{0,9}}(\d{{1,9}}(?:[\s,]{{1,9}}\d{{1,9}}){{0,1000}})(?![\w.])", text)
    return [int(each) for each in re.findall(r"\d+", found[1])] if found else []


def _words_of(text: str) -> dict[str, Any]:
    for mark in "'\"":
        if text.count(mark) % 2 and not _PAIR.search(text):  # a command line that was cut: its quotation marks pair wrongly
            text = text.replace(mark, " ")
    if _PAIR.match(text.lstrip(" {")):
        return _dictionary(text)[0]
    found: dict[str, Any] = {}
    words = list(_split(text))
    index = 0
    while index < len(words):
        name, value, index = _next(words, index)
        if name is None:
            continue
        if name in _REPEATED:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    for no, phrase, state in _PHRASE.findall(text):  # a person's note: "TP=2, prefix caching, chunked prefill"
        found.setdefault(_SWITCHED[phrase.lower()], not no and state.lower() not in ("off", "disabled"))
    return found


def _next(words: list[str], index: int) -> tuple[str | None, Any, int]:
    """Name and value of the option that begins at ``index`` (name None where none does), and where the next may begin."""
    word, following = words[index], words[index + 1] if index + 1 < len(words) else None
    option = _OPTION.fullmatch(word)
    if option:
        name = _long(option[1])
        if option[2] is not None:
            return name, _value(option[2]), index + 1
        if following is None or following == ";" or _starts_option(following):
            return name, True, index + 1
        return name, _value(following), index + 2
    assigned = _ASSIGNED.fullmatch(word)
    if assigned:
        return _long(assigned[1]), _value(assigned[2]), index + 1
    if _SWITCH.fullmatch(word) and (following is None or not isinstance(_value(following), bool | int)):
        return _long(word), True, index + 1
    if following is None or following == ";" or _starts_option(following) or _ASSIGNED.fullmatch(following):
        return None, None, index + 1
    if _LABEL.fullmatch(word):
        return _long(word[:-1]), _value(following), index + 2
    if _NAME.fullmatch(word):
        value = _value(following)
        if not isinstance(value, str) or "_" in word or "-" in word:
            return _long(word), value, index + 2
    return None, None, index + 1


def _starts_option(word: str) -> bool:
    return bool(_OPTION.fullmatch(word)) and not re.fullmatch(r"-\d.*", word)


def _long(name: str) -> str:
    if name.isupper() and len(name) > 3:
        return name
    return name.strip("-").replace("-", "_").lower()


def _split(text: str) -> Iterator[str]:
    """Words as a shell would part them, quotation marks taken off; a comma at the end of a word ends it."""
    for count, match in enumerate(_WORD.finditer(text)):
        if count >= MOST_WORDS:
            return
        word = match[0]
        quoted = word[:1] in "\"'" and word[-1:] == word[:1] and len(word) > 1
        yield word[1:-1] if quoted else word.rstrip(",")


def _value(word: str) -> Any:
    """A number, true, false, None, or the text itself."""
    word = word.strip().strip("\"'").rstrip(",")
    product = _SUM.fullmatch(word)
    if product:
        return int(product[1]) * int(product[2] or 1)
    if re.fullmatch(r"-?\d[\d_]{0,17}", word):
        return int(word.replace("_", ""))
    if re.fullmatch(r"-?\d{1,12}\.\d{1,17}", word):
        return float(word)
    lower = word.lower()
    if lower in ("true", "false"):
        return lower == "true"
    return None if lower in _NOTHING else word


def _dictionary(text: str, depth: int = 0) -> tuple[dict[str, Any], int]:
    """Pairs of a printed dictionary, and where it ends; one that is cut short gives what is there."""
    found: dict[str, Any] = {}
    position = len(text) - len(text.lstrip(" {"))
    while len(found) < MOST_WORDS:
        pair = _PAIR.match(text, position)
        if not pair:
            break
        value, position = _literal(text, pair.end(), depth)
        found[_long(pair[1])] = value
        separator = re.compile(r"\s*,\s*").match(text, position)
        if not separator:
            break
        position = separator.end()
    return found, position


def _literal(text: str, position: int, depth: int) -> tuple[Any, int]:
    mark = text[position : position + 1]
    if mark in ("'", '"') and mark:
        end = text.find(mark, position + 1)
        end = len(text) if end < 0 else end
        return text[position + 1 : end], end + 1
    if mark in ("{", "[", "(") and mark:
        end = _closing(text, position)
        inner = text[position : end + 1]
        if mark == "{" and depth < _DEPTH:
            return _dictionary(inner, depth + 1)[0], end + 1
        return inner.strip("[]()"), end + 1
    bare = re.compile(r"[^,}\]]*").match(text, position)
    assert bare is not None  # the expression matches nothing as well
    return _value(bare[0]), bare.end()


def _closing(text: str, position: int) -> int:
    """Index of the bracket that closes the one at ``position``, the last character where none does."""
    level, quote = 0, ""
    for index in range(position, len(text)):
        character = text[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "{[(":
            level += 1
        elif character in "}])":
            level -= 1
            if level == 0:
                return index
    return len(text) - 1
