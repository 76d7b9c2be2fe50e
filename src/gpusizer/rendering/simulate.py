"""Simulated runs: JSON by the contract, and what people read: percentiles, rates, warnings, the queue over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines import engine_name
from gpusizer.i18n import LANGUAGES, text
from gpusizer.performance.simulation.summary import Percentiles, Summary
from gpusizer.planning.simulate import Simulation
from gpusizer.rendering.devices import device_name, device_unit
from gpusizer.rendering.document import Block, Column, Document, Fixed, Heading, Paragraph, Table
from gpusizer.rendering.launch import command_blocks, command_line, layout_words, version_of
from gpusizer.rendering.notices import notice_data, notice_words, warning_paragraphs
from gpusizer.rendering.sparkline import sparkline

__all__ = ["percentiles_data", "simulation_data", "simulation_document", "simulation_sentence", "simulations_document"]

_TIMES = ("ttft_s", "tpot_s", "e2e_s")


def simulation_data(simulation: Simulation) -> dict[str, Any]:
    """One run as the contract's JSON."""
    request, verdict, summary = simulation.request, simulation.verdict, simulation.summary
    launch = verdict.fit.deployment
    reason = verdict.fit.reason
    return {
        "schema": "gpusizer.simulate/1",
        "fits": verdict.fit.fits,
        "reason": None if reason is None else notice_data(reason, "reason"),
        "sentence": {language: simulation_sentence(simulation, language) for language in LANGUAGES},
        "requests": None if summary is None else summary.requests,
        "deployment": {
            **{each.name: getattr(launch, each.name) for each in fields(launch)},
            "gpus": _gpus(simulation),
            "replicas": request.replicas,
            "prefill_workers": request.prefill_workers,
        },
        "load": {
            **{name: getattr(request, name) for name in ("trace", "request_rate", "concurrency", "burst", "arrivals")},
            **{name: getattr(request, name) for name in ("input_tokens", "output_tokens") if request.trace is None},
            **{name: getattr(request, name) for name in ("shared_prefix_tokens", "length_spread", "seed")},
        },
        "targets": {"ttft_s": request.ttft_s, "tpot_s": request.tpot_s},
        "offered_per_s": None if summary is None else summary.offered_per_s,
        "sustainable_per_s": simulation.sustainable_per_s,
        "overloaded": simulation.overloaded,
        **(dict.fromkeys((*_TIMES, *_FIGURES, "queue")) if summary is None else _summary_data(summary)),
        "command": command_line(verdict.launch),
        "warnings": [notice_data(each, "warning") for each in simulation.notices],
    }


_FIGURES = ("output_tokens_per_s", "requests_per_s", "duration_s", "goodput_per_s", "goodput_share", "peak_kv_share", "busy_share", "preemptions")


def _summary_data(summary: Summary) -> dict[str, Any]:
    return {
        **{name: percentiles_data(getattr(summary, name)) for name in _TIMES},
        **{name: getattr(summary, name) for name in _FIGURES},
        "queue": [each._asdict() for each in summary.queue],
    }


def percentiles_data(figures: Percentiles) -> dict[str, float]:
    """Mean and percentiles by name. [s]"""
    return figures._asdict()


def _gpus(simulation: Simulation) -> int:
    return simulation.verdict.launch.layout.gpus * (simulation.request.replicas + simulation.request.prefill_workers)


def simulation_sentence(simulation: Simulation, language: str) -> str:
    """The sentence to copy."""
    verdict, summary = simulation.verdict, simulation.summary
    deployment = verdict.fit.deployment
    said = {"model": verdict.model.name, "gpus": _gpus(simulation), "engine": engine_name(deployment.engine)}
    said |= {"unit": device_unit(verdict.accelerator, language), "gpu": device_name(verdict.accelerator.name, language)}
    said |= {"layout": layout_words(deployment.layout, simulation.request.replicas), "version": version_of(deployment)}
    if summary is None:
        reason = verdict.fit.reason or Notice("does-not-fit")
        return text("ui", "fit-no", language, **said, reason=notice_words(reason, "reason", language))
    times = {
        "ttft50": f"{summary.ttft_s.p50:.2f}",
        "ttft99": f"{summary.ttft_s.p99:.2f}",
        "tpot50": f"{1000 * summary.tpot_s.p50:.1f}",
        "tpot99": f"{1000 * summary.tpot_s.p99:.1f}",
    }
    return text("ui", "simulate-answer", language, **said, **times, requests=summary.requests)


def simulation_document(simulation: Simulation, language: str) -> Document:
    """One run.

    Parameters
    ----------
    simulation : Simulation
        What came of it.
    language : str
        "en" or "zh".
    """
    blocks: list[Block] = [Heading(simulation_sentence(simulation, language))]
    if simulation.summary is not None:
        blocks += [
            _times_table(simulation.summary, language),
            *_rates(simulation, simulation.summary, language),
            *_queue(simulation.summary, language),
        ]
    blocks += warning_paragraphs(simulation.notices, language)
    blocks += command_blocks(simulation.verdict.launch, language)
    return Document(simulation_data(simulation), blocks)


def simulations_document(simulations: Sequence[Simulation], language: str) -> Document:
    """Several runs beside each other; one alone stands as :func:`simulation_document` shows it."""
    if len(simulations) == 1:
        return simulation_document(simulations[0], language)
    several_traces = len({each.request.trace for each in simulations}) > 1
    names = ("ttft-p50", "ttft-p90", "ttft-p99", "tpot-p50", "tpot-p99", "e2e-p50", "e2e-p99", "goodput", "sustainable", "preemptions")
    heading = [
        *([Column(text("ui", "simulate-trace", language))] if several_traces else []),
        Column(text("ui", "simulate-replicas", language), right=True),
        *(Column(text("ui", f"simulate-{name}", language), right=True) for name in names),
    ]
    rows = [[*([each.request.trace or ""] if several_traces else []), f"{each.request.replicas}", *_cells(each)] for each in simulations]
    first = simulations[0]
    blocks: list[Block] = [Table(heading, rows), *warning_paragraphs(_distinct(simulations), language)]
    blocks += command_blocks(first.verdict.launch, language)
    data = {"schema": "gpusizer.simulations/1", "simulations": [simulation_data(each) for each in simulations]}
    return Document(data, blocks)


def _distinct(simulations: Sequence[Simulation]) -> list[Notice]:
    found: list[Notice] = []
    for notice in (each for simulation in simulations for each in simulation.notices):
        if notice not in found:
            found.append(notice)
    return found


def _cells(simulation: Simulation) -> list[str]:
    one = simulation.summary
    if one is None:
        return [""] * 10
    seconds = [f"{each:.2f}" for each in (one.ttft_s.p50, one.ttft_s.p90, one.ttft_s.p99)]
    pace = [f"{1000 * each:.1f}" for each in (one.tpot_s.p50, one.tpot_s.p99)]
    whole = [f"{each:.2f}" for each in (one.e2e_s.p50, one.e2e_s.p99)]
    sustained = "" if simulation.sustainable_per_s is None else f"{simulation.sustainable_per_s:.2f}"
    return [*seconds, *pace, *whole, f"{one.goodput_per_s:.2f}", sustained, f"{one.preemptions}"]


def _times_table(summary: Summary, language: str) -> Table:
    columns = [
        Column(text("ui", "simulate-time", language)),
        *(Column(text("ui", f"simulate-{name}", language), right=True) for name in Percentiles._fields),
    ]
    rows = []
    for name, scale, digits in (("ttft_s", 1, 3), ("tpot_s", 1000, 2), ("e2e_s", 1, 2)):
        figures: Percentiles = getattr(summary, name)
        rows.append([text("ui", f"simulate-{name}", language), *(f"{scale * each:,.{digits}f}" for each in figures)])
    return Table(columns, rows)


def _rates(simulation: Simulation, summary: Summary, language: str) -> list[Block]:
    said = {
        "served": f"{summary.requests_per_s:,.2f}",
        "tokens": f"{summary.output_tokens_per_s:,.0f}",
        "most": f"{simulation.sustainable_per_s or 0.0:,.2f}",
        "offered": f"{summary.offered_per_s or 0.0:,.2f}",
    }
    code = "simulate-rates" if summary.offered_per_s is None else "simulate-rates-offered"
    found: list[Block] = [Paragraph(text("ui", code, language, **said))]
    request = simulation.request
    if request.ttft_s is not None or request.tpot_s is not None:
        kept = {"goodput": f"{summary.goodput_per_s:,.2f}", "share": f"{100 * summary.goodput_share:.1f}%"}
        found.append(Paragraph(text("ui", "simulate-kept", language, **kept)))
    cache = {"peak": f"{100 * summary.peak_kv_share:.0f}%", "busy": f"{100 * summary.busy_share:.0f}%", "count": summary.preemptions}
    found.append(Paragraph(text("ui", "simulate-cache", language, **cache)))
    return found


def _queue(summary: Summary, language: str) -> list[Block]:
    lines = []
    for code, values in (("waiting", [each.waiting for each in summary.queue]), ("running", [each.running for each in summary.queue])):
        lines.append(
            f"{sparkline(values)}  {text('ui', f'simulate-{code}', language)}, {text('ui', 'simulate-most', language, most=max(values, default=0))}"
        )
    return [Paragraph(text("ui", "simulate-queue-over", language, seconds=f"{summary.duration_s:,.1f}")), Fixed("\n".join(lines))]
