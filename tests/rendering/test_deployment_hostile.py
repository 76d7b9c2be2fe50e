"""Names that strangers choose stay one word: in a shell, in YAML, in what Kubernetes and a preset make of their words."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments import CELLS, made
from gpusizer.errors import InputError
from gpusizer.planning.deploy import Wishes
from gpusizer.rendering.deployment.names import label, unexpanded
from gpusizer.rendering.deployment.targets import compose, kserve, kubernetes, production_stack
from gpusizer.rendering.deployment.targets.command import lines_of
from gpusizer.rendering.deployment.workload import Workload, workload_of
from gpusizer.rendering.deployment.yaml import Block, written

NO_YAML = "PyYAML and ruamel.yaml come with kubernetes-validate and check-jsonschema, of the extra [test]"
HOSTILE = ("$(reboot)", "`id`", "a b", "it's", 'a"b', "x;y", "${HOME}", "$$", "a\\b", "*", "~", "#c", "- a: b", "{{ .Values }}", "满血版", "%s")


def named(name: str) -> Workload:
    """A deployment in which a stranger chose a name, an argument and a variable."""
    work = workload_of(made(CELLS[0]), Wishes(), "en")
    words = (*work.words[:2], name, *work.words[3:], "--served-model-name", name)
    return replace(work, model=name, words=words, environment=(("V", name),), remarks=(name,))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_shell_gives_back_exactly_the_words(name: str) -> None:
    work = named(name)
    ((_, line),) = lines_of(work)
    assert subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["env", f"V={name}", *work.words]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_one_word_of_every_file(name: str) -> None:
    yaml = pytest.importorskip("yaml", reason=NO_YAML)
    work = named(name)
    claim, server, service = yaml.safe_load_all(kubernetes.write(work))
    assert (claim["kind"], server["kind"], service["kind"]) == ("PersistentVolumeClaim", "Deployment", "Service")
    container = server["spec"]["template"]["spec"]["containers"][0]
    assert expanded([*container["command"], *container["args"]])[: len(work.words)] == list(work.words)
    assert expanded([next(each["value"] for each in container["env"] if each["name"] == "V")]) == [name]
    (here,) = yaml.safe_load(compose.write(work))["services"].values()
    assert expanded([*here["entrypoint"], *here["command"]])[: len(work.words)] == list(work.words)
    assert expanded([here["environment"]["V"]]) == [name]
    values = yaml.safe_load(production_stack.write(work))["servingEngineSpec"]["modelSpec"]
    assert expanded([values[0]["modelURL"], values[0]["vllmConfig"]["extraArgs"][-1]]) == [name, name]


def expanded(words: Sequence[str]) -> list[str]:
    """Words as Kubernetes and compose hand them on: two dollar signs are one, and no other is there."""
    assert not any("$" in word.replace("$$", "") for word in words)
    return [word.replace("$$", "$") for word in words]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_preset_evaluates_stays_one_word(name: str) -> None:
    """KServe's preset hands its arguments to a shell once more."""
    work = replace(named(name), model="Qwen/Qwen3-8B", words=("vllm", "serve", "Qwen/Qwen3-8B", *named(name).words[3:]))
    arguments = expanded(kserve.document(work)["spec"]["template"]["containers"][0]["args"])
    done = subprocess.run(["bash", "-c", """eval "printf '%s\\n' $@" """, "--", *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(work.words[3:])
    with pytest.raises(InputError, match="hub"):
        kserve.document(named(name))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40)
@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=4), TEXTS)
def test_every_reader_of_yaml_reads_what_was_written(data: dict[str, Any], remark: str) -> None:
    yaml = pytest.importorskip("yaml", reason=NO_YAML)
    words = written(data, [remark])
    assert yaml.safe_load(words) == data
    ruamel = pytest.importorskip("ruamel.yaml", reason=NO_YAML)
    assert ruamel.YAML(typ="safe", pure=True).load(words) == data
    assert yaml.safe_load(yaml.safe_load(written({"a": Block(words)}))["a"]) == data


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_any_name_becomes_a_name_of_kubernetes(words: str) -> None:
    name = label(words)
    assert 0 < len(name) <= 40
    assert name[0].isalpha()
    assert name[-1].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@settings(max_examples=60)
@given(st.text("$(){}AB", max_size=12))
def test_no_variable_is_found_in_a_word(words: str) -> None:
    assert expanded([unexpanded(words)]) == [words]
