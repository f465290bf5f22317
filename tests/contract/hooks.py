"""Which of schemathesis's cases mean anything to the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import schemathesis

_FIELDS = frozenset({"file", "model", "customName", "text"})


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Drop forms that are wrong by a field's type, which a form has no way to say, or by an unknown field."""
    if case.media_type != "multipart/form-data" or not isinstance(case.body, Mapping):
        return True
    return set(case.body) <= _FIELDS and all(isinstance(value, str | bytes) for value in case.body.values())
