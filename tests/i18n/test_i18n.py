"""Both languages say the same things: same keys, same placeholders, and a text for every code of the source."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from functools import cache
from pathlib import Path

import pytest

import gpusizer
from gpusizer import errors
from gpusizer.facts.catalog import accelerators
from gpusizer.i18n import GROUPS, choose_language, has, table, text
from gpusizer.rendering.formulas import registry

SOURCE = Path(gpusizer.__file__).parent
FILES = sorted(path.name for path in (SOURCE / "i18n" / "en").glob("*.toml"))


@cache
def texts(language: str, name: str) -> dict[str, str]:
    tables = tomllib.loads((SOURCE / "i18n" / language / name).read_text(encoding="utf-8"))
    return {f"{group}.{code}": words for group, entries in tables.items() for code, words in entries.items()}


def placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


@pytest.mark.parametrize("name", FILES)
def test_both_languages_have_the_same_keys_and_placeholders(name: str) -> None:
    en, zh = texts("en", name), texts("zh", name)
    assert set(en) == set(zh)
    assert {code: placeholders(words) for code, words in en.items()} == {code: placeholders(words) for code, words in zh.items()}
    assert all(words.strip() for words in [*en.values(), *zh.values()])


@pytest.mark.parametrize("name", FILES)
def test_every_table_belongs_to_a_group_and_chinese_texts_are_chinese(name: str) -> None:
    for code, words in texts("zh", name).items():
        group = code.split(".")[0]
        assert GROUPS[group] == name.removesuffix(".toml")
        english = texts("en", name)[code]
        if len(re.findall(r"[a-z]{2,}", re.sub(r"\{.*?\}|`.*?`", "", english))) > 3:
            assert re.search(r"[\u4e00-\u9fff]", words), code


ERRORS = set(errors.__all__)


@cache
def calls() -> tuple[tuple[Path, str, tuple[object, ...]], ...]:
    """(file, name of what is called, its first two arguments where they are constants) of every call with a text first."""
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                found.append((path, name, tuple(each.value if isinstance(each, ast.Constant) else None for each in node.args[:2])))
    return tuple(found)


def without_words(names: set[str], *groups: str) -> set[tuple[str, str]]:
    """(file, code) of calls by one of these names whose code has a text in none of these groups."""
    codes = {(path.name, str(arguments[0])) for path, name, arguments in calls() if name in names}
    assert codes
    return {(path, code) for path, code in codes if not any(has(group, code) for group in groups)}


def test_every_error_code_has_its_words() -> None:
    assert not without_words(ERRORS, "error")


def test_every_notice_has_its_words() -> None:
    assert not without_words({"Notice"}, "warning", "reason", "remedy", "knob", "need", "finding")


def test_every_item_has_its_words() -> None:
    assert not without_words({"computed", "banded"}, "item")


def test_every_text_that_is_asked_for_exists() -> None:
    asked = {(path.name, str(group), code) for path, name, (group, *codes) in calls() if name == "text" for code in codes if isinstance(code, str)}
    assert asked
    assert not {(path, group, code) for path, group, code in asked if not has(group, code)}


def test_every_formula_has_a_name() -> None:
    assert set(registry()) == set(table("formula", "en"))


@pytest.mark.parametrize(
    ("wish", "environment", "language"),
    [
        ("zh", {"LANG": "en_US.UTF-8"}, "zh"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LC_ALL": "zh_TW", "LANG": "C"}, "zh"),
        (None, {"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        (None, {"LC_ALL": "C", "LANG": "zh_CN"}, "en"),
        (None, {}, "en"),
    ],
)
def test_language_is_the_wish_or_the_locale(wish: str | None, environment: dict[str, str], language: str) -> None:
    assert choose_language(wish, environment) == language


def test_a_stranger_s_text_stays_on_one_line_and_is_never_a_template() -> None:
    words = text("error", "unknown-model", "en", id="evil\n\x1b[31m{nearest}", nearest=["a"])
    assert words == 'there is no model "evil [31m{nearest}"'


def test_a_code_without_words_shows_itself() -> None:
    assert text("error", "no-such-code", "zh", a=1) == "no-such-code: a=1"


UNSAID = {
    "zh": (
        "编号",
        "来历",
        "布局",
        "可容纳路数",
        "路由器",
        "输入嵌入",
        "输出头",
        "旋转位置表",
        "第二份副本",
        "文章的方法",
        "文章方法",
        "不适用",
        "分配器之外",
    ),
    "en": ("how known", "How known", "will not do", "outside the allocator", "tokens/s, full", "requests at once"),
}
"""Words that engineers do not say. They say ID, 依据, 并行策略, 最大并发, 门控, 词嵌入, 输出层, RoPE 表, 常见估算法, 不可行; evidence, not viable,
non-torch memory, concurrent."""


@pytest.mark.parametrize("language", UNSAID)
def test_words_are_those_that_engineers_say(language: str) -> None:
    said = {code: words for name in FILES for code, words in texts(language, name).items()}
    assert {code: word for code, words in said.items() for word in UNSAID[language] if word in words} == {}


def test_what_counts_a_device_is_a_card_a_machine_or_a_part() -> None:
    """In Chinese a Mac is a 台, a card a 张, one die of a module a 颗."""
    from gpusizer.facts.catalog import accelerator
    from gpusizer.rendering.devices import counted_devices, device_name

    for id, words in (("h20", "2 张 H20 96GB"), ("m4-max-128gb", "2 台 M4 Max 128 GB"), ("gb10-128gb", "2 台 DGX Spark（GB10）")):
        assert counted_devices(2, accelerator(id), "zh") == words
    assert counted_devices(2, accelerator("ascend910c-128gb"), "zh").startswith("2 颗 Ascend 910C（")
    assert counted_devices(2, accelerator("m4-max-128gb"), "en") == "2 x M4 Max 128 GB"
    left = [each.name for each in accelerators() if re.search(r"one of the|per GPU|memory mod|\(integrated", device_name(each.name, "zh"))]
    assert left == []
