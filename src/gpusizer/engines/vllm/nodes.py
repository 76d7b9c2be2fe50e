"""One replica over several servers: the same command on each, with its place among them."""

from __future__ import annotations

from gpusizer.engines.base.serving import Node

__all__ = ["SINCE", "node_words"]

SINCE = (0, 12)
"""From here on it starts workers on other servers by itself (vllm-project/vllm#23691); before, Ray did."""


def node_words(node: Node) -> list[str]:
    """Arguments on one server; those behind the first answer nobody. Ranks of attention data parallelism follow from the place.

    Parameters
    ----------
    node : Node
        The place.

    Examples
    --------
    >>> node_words(Node(2, "1", "10.0.0.1", False))
    ['--nnodes', '2', '--node-rank', '1', '--master-addr', '10.0.0.1', '--headless']
    """
    return ["--nnodes", str(node.nodes), "--node-rank", node.rank, "--master-addr", node.leader, *([] if node.first else ["--headless"])]
