"""What can be checked of docs/openapi.yaml without schemathesis: that it leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import siliconflow_voice.emulator
from siliconflow_voice.emulator.server import _ENDPOINTS

DESCRIPTION = Path(__file__).parents[2].joinpath("docs", "openapi.yaml").read_text("utf-8")


def test_it_has_the_emulators_endpoints_and_no_others() -> None:
    described = re.findall(r"^  (/\S+):\n    (get|post):", DESCRIPTION, re.MULTILINE)
    assert {(method.upper(), f"/v1{path}") for path, method in described} == set(_ENDPOINTS)


def test_it_has_every_code_that_the_emulator_answers_with() -> None:
    sources = Path(siliconflow_voice.emulator.__file__).parent.glob("*.py")
    found = [re.findall(r"error_answer\(\d+, (\d+)", path.read_text("utf-8")) for path in sources]
    answered = {code for codes in found for code in codes}
    assert answered - set(re.findall(r"\d{5}", DESCRIPTION)) == set()
    assert len(answered) > 15
