"""Reads the operator's file of model prices (DEVFLOW_MODEL_PRICES; docs/models.md).

`config` reads it to name its faults with all others, `model_providers` to use it. Its form: `core.model_prices`.
"""

from __future__ import annotations

from pathlib import Path

from slackbot.core.model_prices import Prices, parse_prices


def read_prices(path: Path | None) -> tuple[Prices, list[str]]:
    """The prices of the file and every fault in it; none where no file is named."""
    if path is None:
        return {}, []
    shown = path.expanduser()
    try:
        text = shown.read_text("utf-8-sig")
    except OSError as error:
        return {}, [f"DEVFLOW_MODEL_PRICES: {shown} cannot be read: {error.strerror}"]
    except UnicodeDecodeError:
        return {}, [f"DEVFLOW_MODEL_PRICES: {shown} is not UTF-8"]
    prices, faults = parse_prices(text)
    return prices, [f"DEVFLOW_MODEL_PRICES: {shown} {fault}" for fault in faults]
