"""Imports ACP's models without their documentation: to be imported before `acp`.

`acp.schema` asks pydantic to read the source of each of its 270 models for the docstrings of their fields, which takes
as long as all else of the import, and every worker and every shell agent would wait for it at its start.
https://docs.pydantic.dev/latest/api/config/#pydantic.config.ConfigDict.use_attribute_docstrings
"""

from __future__ import annotations

from typing import Any

import pydantic


def _without_docstrings(**settings: Any) -> Any:
    settings.pop("use_attribute_docstrings", None)
    return _ConfigDict(**settings)


_ConfigDict: Any = pydantic.ConfigDict
setattr(pydantic, "ConfigDict", _without_docstrings)  # noqa: B010  mypy rightly minds an assignment
try:
    import acp.schema  # noqa: F401
finally:
    setattr(pydantic, "ConfigDict", _ConfigDict)  # noqa: B010
