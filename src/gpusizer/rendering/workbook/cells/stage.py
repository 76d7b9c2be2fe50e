"""All that one stage holds beside the cache, as cells: activations, graphs, what loading adds, and the bands of these lines."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.account import HANDED_ON, SCALE_BYTES, SCALES_SPREAD, SLACK_SPREAD, UNFOLDED_ELEMENT_BYTES
from gpusizer.formulas.core import rounded
from gpusizer.formulas.memory.activation import activation_peak_bytes, expert_workspace_bytes, latent_chunk_bytes, latent_chunk_rows
from gpusizer.formulas.memory.budget import cuda_graph_bytes
from gpusizer.formulas.memory.loaded import unfolded_scales_bytes
from gpusizer.formulas.memory.stages import band_width_bytes
from gpusizer.formulas.memory.step_peaks import layer_peak_bytes
from gpusizer.rendering.workbook.calculation import Account, times, whole_bytes
from gpusizer.rendering.workbook.cells.model import Batch, Model
from gpusizer.rendering.workbook.cells.weight import Counts, Gathered, StageWeights
from gpusizer.rendering.workbook.live import (
    Live,
    chosen,
    compared,
    recorded,
    root_of_squares,
)

__all__ = [
    "StageAccount",
    "stage_account",
]


@dataclass(frozen=True)
class StageAccount:
    """Bytes of one stage beside what depends on the device alone."""

    lines: dict[str, Live]
    weights: Live
    activation: Live
    graphs: Live
    graphs_low: Live
    estimated: Live
    workspace: Live
    charged: Live
    spread: Live


def stage_account(account: Account, model: Model, batch: Batch, parts: Gathered, counts: Counts, fixed: StageWeights) -> StageAccount:
    """Lines of one stage on one class of devices."""
    lines = dict(fixed.lines)
    lines["weights_buffers"] = account.line("weights_buffers", times(counts.first, batch.buffers))
    raw_scales = account.line("unfolded scales", _scales(model, batch, fixed.blocks))
    lines["weights_scales"] = account.line("weights_scales", whole_bytes(raw_scales))
    raw_slack = recorded(lambda *, slack, library: slack + library, slack=fixed.slack, library=batch.library)
    lines["weights_slack"] = account.line("weights_slack", whole_bytes(raw_slack))
    weights = recorded(
        lambda *, a, b, c, d: a + b + c + d,
        a=fixed.fixed,
        b=lines["weights_buffers"],
        c=lines["weights_scales"],
        d=lines["weights_slack"],
    )
    weights = account.line("weights in all", weights)
    activation, raw_activation = _activation(account, model, batch, parts, counts)
    graphs, raw_graphs = _graphs(account, batch, counts)
    low = recorded(lambda *, size, share: rounded(size * (1 - share)), size=raw_graphs, share=fitted.GRAPHS.below)
    graphs_low = account.line("graphs, low end", low)
    raw_estimate = account.line("estimate", recorded(lambda *, graphs, factor: graphs * factor, graphs=graphs, factor=model.estimate_factor))
    estimated = account.line("estimated graphs", whole_bytes(raw_estimate))
    workspace = account.line("workspace", _workspace(model, batch, parts))
    library_part = recorded(lambda *, library, share: 0 - library * share, library=batch.library, share=SLACK_SPREAD)
    widths = [
        fixed.spread,
        recorded(band_width_bytes, size_bytes=raw_scales, share=SCALES_SPREAD.above, added_bytes=0),
        recorded(band_width_bytes, size_bytes=raw_slack, share=SLACK_SPREAD, added_bytes=library_part),
        recorded(band_width_bytes, size_bytes=raw_activation, share=fitted.PEAK_ABOVE, added_bytes=0),
        recorded(band_width_bytes, size_bytes=raw_estimate, share=fitted.GRAPH_ESTIMATE_SPREAD[1] - 1, added_bytes=0),
    ]
    spread = account.line("spread", root_of_squares(account.lines("widths of bands", widths)))
    charged = recorded(lambda *, weights, activation, graphs: weights + activation + graphs, weights=weights, activation=activation, graphs=estimated)
    return StageAccount(lines, weights, activation, graphs, graphs_low, estimated, workspace, account.line("charged", charged), spread)


def _scales(model: Model, batch: Batch, blocks: Live) -> Live:
    """What unfolded scales take more, on devices that need them."""
    size = recorded(
        unfolded_scales_bytes,
        weights_bytes=recorded(lambda *, size: rounded(size), size=blocks),
        block=model.block_side,
        element_bytes=UNFOLDED_ELEMENT_BYTES,
        scale_bytes=SCALE_BYTES,
    )
    return times(batch.unfolds, size)


def _workspace(model: Model, batch: Batch, parts: Gathered) -> Live:
    whole = compared(parts.whole, "=", 1)
    width = chosen(whole, model.expert_width, recorded(lambda *, width, tp: width / tp, width=model.expert_width, tp=parts.tp))
    experts = recorded(
        expert_workspace_bytes,
        tokens=batch.tokens,
        top_k=model.top_k,
        intermediate=width,
        gate_up=model.gate_up,
        hidden=model.expert_hidden,
        element_bytes=model.element_bytes,
    )
    return recorded(lambda *, experts, sparse: experts + sparse, experts=experts, sparse=model.sparse_workspace)


def _activation(account: Account, model: Model, batch: Batch, parts: Gathered, counts: Counts) -> tuple[Live, Live]:
    handed = recorded(lambda *, last, tensors: tensors * (1 - last), last=counts.last, tensors=HANDED_ON)
    block = account.line(
        "layer peak",
        recorded(
            layer_peak_bytes,
            tokens=batch.tokens,
            element_bytes=model.element_bytes,
            width=model.dense_width,
            tp=parts.tp,
            matrices=model.dense_matrices,
            byte_inputs=model.byte_inputs,
            hidden=model.hidden,
            streams=model.streams,
            hidden_copies=fitted.HIDDEN_COPIES,
            handed_on=handed,
        ),
    )
    rows = recorded(latent_chunk_rows, max_model_len=model.context, max_num_seqs=batch.requests, block_size=batch.block)
    latent = account.line(
        "expanded latents",
        recorded(
            latent_chunk_bytes,
            rows=rows,
            heads=recorded(lambda *, heads, tp: heads / tp, heads=model.latent_heads, tp=parts.tp),
            qk_nope_head_dim=model.latent_nope,
            v_head_dim=model.latent_v,
            element_bytes=model.element_bytes,
        ),
    )
    raw = recorded(
        activation_peak_bytes,
        workspace_bytes=0,
        sampler_bytes=times(counts.last, batch.sampling),
        block_bytes=block,
        latent_bytes=latent,
        encoder_bytes=times(counts.first, model.encoder),
        encoded_bytes=times(counts.first, batch.encoded),
    )
    exact = account.line("activation peak", raw)
    return account.line("activation_peak", recorded(lambda *, size: rounded(size), size=exact)), exact


def _graphs(account: Account, batch: Batch, counts: Counts) -> tuple[Live, Live]:
    raw = account.line(
        "graphs",
        recorded(
            cuda_graph_bytes,
            graphs=batch.graphs,
            layers=counts.layers,
            more_layers=fitted.GRAPHS.more_layers,
            bytes_per_graph_and_layer=batch.graph_bytes,
        ),
    )
    return account.line("cuda_graphs", recorded(lambda *, size: rounded(size), size=raw)), raw
