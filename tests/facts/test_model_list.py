"""The list of all models: its index against the files, its facts against configurations, sources and the calendar."""

from __future__ import annotations

import re
import tomllib

import pytest

from conftest import ROOT
from gpusizer.architecture.load import load_architecture
from gpusizer.cli.main import main
from gpusizer.errors import UnknownIdError
from gpusizer.facts import model_names
from gpusizer.facts.catalog import model_entry, model_ids
from gpusizer.facts.filters import suiting
from gpusizer.facts.licences import COMMERCIAL, licence
from gpusizer.facts.model_cards import Card, card, source_of
from gpusizer.facts.model_list import listed_model, listed_models
from gpusizer.facts.types import USES, is_source

MODELS = {model.id: model for model in listed_models()}
CARDS = tomllib.loads((ROOT / "src/gpusizer/facts/data/model_cards.toml").read_text(encoding="utf-8"))


def test_the_list_is_what_the_files_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from model_index import lines_of_models

    assert lines_of_models(model_ids(), model_names.names_of()) == model_names.index_rows(), "run scripts/import_models.py --index"


def test_a_list_reads_one_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_names, "_file", lambda model_id: pytest.fail(f"{model_id} was opened"))
    assert {model.id for model in listed_models()} == set(model_ids())


def test_whoever_sees_has_a_part_for_pictures() -> None:
    for model in MODELS.values():
        architecture = load_architecture(model.id)
        sees = "vision_config" in architecture.config or any(tensor.name.startswith(("vis", "vpm")) for tensor in architecture.towers)
        assert ("vision" in model.uses) == sees, model.id


def test_uses_of_an_entry_and_of_the_list_are_one() -> None:
    for model in MODELS.values():
        assert model_entry(model.id).uses == model.uses, model.id
        assert list(model.uses) == [use for use in USES if use in model.uses], model.id
        assert model.uses or model.base, model.id
        assert not (model.base and "chat" in model.uses), model.id
        assert len(model.uses) == 1 or not {"embedding", "rerank", "speech"} & set(model.uses), model.id


@pytest.mark.parametrize("id", ["llama-3.1-70b", "qwen2.5-32b", "gpt2", "opt-66b", "starcoder2-15b", "meta-llama-3-8b"])
def test_who_only_continues_texts_is_not_for_chat(id: str) -> None:
    assert MODELS[id].base
    assert "chat" not in MODELS[id].uses


def test_no_model_that_was_tuned_is_called_a_base_model() -> None:
    tuned = re.compile(r"instruct|chat|-it$|thinking|-rl\b", re.I)
    assert not [model.id for model in MODELS.values() if model.base and tuned.search(model.id)]


def test_what_cards_say_is_of_models_of_the_catalogue_and_sourced() -> None:
    assert set(CARDS) <= set(Card._fields)
    for groups in CARDS.values():
        for group in groups:
            assert is_source(group["source"])
            assert {model for models in group.get("values", {"": group.get("models")}).values() for model in models} <= set(MODELS)


def test_a_copy_is_of_a_model_that_is_none() -> None:
    copies = {model.id: MODELS[model.copy_of] for model in MODELS.values() if model.copy_of}
    assert copies["deepseek-v3.2-nvfp4"].id == "deepseek-v3.2"
    assert copies["qwen3-8b-awq"].id == "qwen3-8b"
    for id, original in copies.items():
        assert original.copy_of is None, id
        assert MODELS[id].uses == original.uses, id
        assert MODELS[id].activated_params == pytest.approx(original.activated_params, rel=0.01), id


def test_licences_are_known_words() -> None:
    for model in MODELS.values():
        assert model.commercial in COMMERCIAL
        assert (model.licence is None) <= (model.commercial == "unknown"), model.id
    assert licence("Apache-2.0") == licence("apache-2.0")
    assert listed_model("nobody") is None


@pytest.mark.parametrize(
    ("use", "wish", "in_it", "not_in_it"),
    [
        ("embedding", "free", "bge-m3", "jina-embeddings-v3"),
        ("chat", "llama3", "llama-3.3-70b-instruct", "llama-4-scout-17b-16e-instruct"),
        ("code", "commercial", "qwen3-coder-30b-a3b-instruct", "codestral-22b-v0.1"),
        ("vision", None, "qwen3-vl-8b-instruct", "qwen3-8b"),
    ],
)
def test_models_are_found_by_use_and_licence(use: str, wish: str | None, in_it: str, not_in_it: str) -> None:
    found = {model.id for model in suiting(listed_models(), use, wish)}
    assert in_it in found
    assert not_in_it not in found


@pytest.mark.parametrize(("use", "wish", "code"), [("cooking", None, "unknown-use"), (None, "house rules", "unknown-licence")])
def test_a_use_or_licence_that_nobody_has_is_refused(use: str | None, wish: str | None, code: str) -> None:
    with pytest.raises(UnknownIdError) as caught:
        suiting(listed_models(), use, wish)
    assert caught.value.code == code


def test_the_command_line_lists_by_use(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "list", "--use", "rerank", "--licence", "free", "--format", "csv"])
    lines = capsys.readouterr().out.splitlines()
    ids = {line.partition(",")[0] for line in lines[1:]}
    assert ids == {model.id for model in MODELS.values() if model.uses == ("rerank",) and model.commercial == "yes"}


def test_a_fact_has_its_source() -> None:
    for id in MODELS:
        for fact in Card._fields:
            assert bool(getattr(card(id), fact)) == (source_of(id, fact) is not None), (id, fact)


MONTH = re.compile(r"20(19|2[0-6])-(0[1-9]|1[0-2])")
DATED = re.compile(r"-(2[3-6](?:0[1-9]|1[0-2]))$")  # how Mistral and Qwen write a month: "-2507"
LINES = [
    ("llama-7b", "llama-2-7b-hf", "meta-llama-3-8b", "llama-3.1-8b", "llama-3.3-70b-instruct", "llama-4-scout-17b-16e-instruct", "muse-glimmer-30b"),
    ("deepseek-v2-chat", "deepseek-v3", "deepseek-r1", "deepseek-v3.1", "deepseek-v3.2", "deepseek-v4-flash", "deepseek-v4.1-flash"),
    (
        "qwen1.5-7b-chat",
        "qwen2-7b-instruct",
        "qwen2.5-7b-instruct",
        "qwen3-8b",
        "qwen3-next-80b-a3b-instruct",
        "qwen3.5-27b",
        "qwen3.6-27b",
        "qwen3.8-27b",
    ),
    ("gemma-7b", "gemma-2-9b", "gemma-3-12b-it", "gemma-4-31b-it"),
    ("glm-4-9b-chat", "glm-4.5", "glm-4.6", "glm-4.7", "glm-5", "glm-5.1", "glm-5.2"),
    ("kimi-k2-instruct", "kimi-k2-thinking", "kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k3"),
    ("minimax-text-01", "minimax-m2", "minimax-m2.1", "minimax-m2.5", "minimax-m2.7", "minimax-m3"),
    ("mistral-7b-v0.1", "mistral-7b-instruct-v0.2", "mistral-7b-instruct-v0.3", "mistral-nemo-instruct-2407", "mistral-small-24b-instruct-2501"),
    ("phi-2", "phi-3-mini-4k-instruct", "phi-3.5-mini-instruct", "phi-4"),
]


def test_dates_are_months_of_which_a_model_may_come() -> None:
    for model in MODELS.values():
        assert model.released is None or MONTH.fullmatch(model.released), model.id
    assert sum(model.released is not None for model in MODELS.values()) > 0.9 * len(MODELS)


def test_a_month_in_a_name_is_the_month_or_the_one_before() -> None:
    """ "-2507" may come out in the first days of August."""
    told = {id: f"20{found[1][:2]}-{found[1][2:]}" for id in MODELS if (found := DATED.search(id))}
    assert len(told) > 15
    late = {id for id, month in told.items() if MODELS[id].released != month}
    assert late == {"qwen3-4b-instruct-2507"}
    assert MODELS["qwen3-4b-instruct-2507"].released == "2025-08"


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[-1])
def test_the_versions_of_a_line_come_one_after_the_other(line: tuple[str, ...]) -> None:
    months = [MODELS[id].released or "" for id in line]
    assert months == sorted(months)
    assert months[0] < months[-1]


def test_a_copy_is_not_older_than_its_original() -> None:
    for model in MODELS.values():
        if model.copy_of and model.released:
            assert model.released >= (MODELS[model.copy_of].released or ""), model.id
