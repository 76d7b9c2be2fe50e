"""Headers of every response: a browser that is shown our answers does nothing on anybody else's behalf."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["EVERYWHERE", "content_policy"]

_POLICY = (
    ("default-src", "'none'"),
    ("style-src", "'self'"),
    ("script-src", "'self'"),
    ("img-src", "'self' data:"),
    ("connect-src", "'self'"),
    ("form-action", "'self'"),
    ("base-uri", "'none'"),
    ("frame-ancestors", "'none'"),
)

EVERYWHERE: Sequence[tuple[bytes, bytes]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # an address holds what a company plans
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""What is the same for every response; the content policy is apart, since a report carries a style of its own."""


def content_policy(style_hash: str | None = None) -> bytes:
    """What a browser may load for a response: our own files alone.

    Parameters
    ----------
    style_hash : str or None
        "sha256-..." of the one style that stands in the response itself.

    Examples
    --------
    >>> content_policy("sha256-x").decode().split("; ")[:2]
    ["default-src 'none'", "style-src 'self' 'sha256-x'"]
    """
    own = f" '{style_hash}'" if style_hash else ""
    return "; ".join(f"{name} {sources}{own if name == 'style-src' else ''}" for name, sources in _POLICY).encode()
