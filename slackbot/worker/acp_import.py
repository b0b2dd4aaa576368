"""Imports ACP's models without their documentation, each built when it is first used: to be imported before `acp`.

`acp.schema` asks pydantic to read the source of each of its 270 models for the docstrings of their fields, which takes
as long as all else of the import, and every worker and every shell agent would wait for it at its start. Most of them
are never used.
https://docs.pydantic.dev/latest/api/config/#pydantic.config.ConfigDict.use_attribute_docstrings
https://docs.pydantic.dev/latest/api/config/#pydantic.config.ConfigDict.defer_build
"""

from __future__ import annotations

import gc
from typing import Any

import pydantic


def _quickly(**settings: Any) -> Any:
    settings.pop("use_attribute_docstrings", None)
    return _ConfigDict(**settings, defer_build=True)


_ConfigDict: Any = pydantic.ConfigDict
setattr(pydantic, "ConfigDict", _quickly)  # noqa: B010  mypy rightly minds an assignment
# What stays for ever need not be looked through for garbage, while it comes or later.
gc.disable()
try:
    import acp.schema  # noqa: F401
finally:
    gc.freeze()
    gc.enable()
    setattr(pydantic, "ConfigDict", _ConfigDict)  # noqa: B010
