"""Speeds of one user that people know from their own machines: the commands as they typed them, and what was measured."""

from __future__ import annotations

import json

import pytest

from command_line import ANSWERED, run

ONE = ("--max-gpus", "1", "--concurrency", "1")


@pytest.mark.parametrize(
    ("words", "least_s", "most_s"),
    [
        # 16.5 GB over 936 GB/s at least; noonghunna/club-3090#1111
        ("qwen3.8-27b --engine llama.cpp --precision q4_k_m --gpu rtx3090-24gb --input-tokens 1024 --output-tokens 256", 0.018, 0.040),
        ("qwen3-8b --gpu 4090 --input-tokens 512 --output-tokens 128", 0.0145, 0.0200),  # 17.0 ms: AlexsJones/llmfit#1046
        ("qwen3-8b --precision int4 --gpu 4090 --input-tokens 512 --output-tokens 128", 0.0045, 0.0100),
        # 89.3 tokens a second: community data of AlexsJones/llmfit
        ("llama-3.1-8b-instruct --engine ollama --precision q4_k_m --gpu m5-max-128gb --input-tokens 64 --output-tokens 300", 0.0090, 0.0140),
    ],
)
def test_one_user(capsys: pytest.CaptureFixture[str], words: str, least_s: float, most_s: float) -> None:
    code, out, err = run(capsys, "plan", *words.split(), *ONE, "--format", "json")
    assert code == ANSWERED, err
    (option,) = json.loads(out)["options"]
    assert least_s <= option["tpot_s"] <= most_s
