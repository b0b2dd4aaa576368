"""Ports for what must know its own before it listens, or listens on the same one again."""

from __future__ import annotations

import random
import socket

_LASTING = range(10_000, 20_000)
"""Below those that a system lends to outgoing connections (which would take a port that was free a moment ago), and
beside those that a sandbox chooses for itself (`slackbot.sandbox.state`)."""


def lasting_port(count: int = 1) -> int:
    """The first of `count` free ports in a row."""
    while True:
        first = random.choice(_LASTING)
        if all(_is_free(port) for port in range(first, first + count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
