"""How Sphinx builds this documentation: without a network, and with a warning being an error."""

from __future__ import annotations

import os
from typing import Any

from sphinx.application import Sphinx

import siliconflow_voice

project = "siliconflow_voice"
author = "The siliconflow_voice authors"
copyright = f"2026, {author}"
version = release = siliconflow_voice.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"siliconflow_voice {version}"

add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# This alias is best read by its name, not by all that it stands for.
autodoc_type_aliases = {"Audio": "siliconflow_voice.Audio"}
maximum_signature_line_length = 100

# Types of others, whose documentation a build without a network can't look up. What is our own must be found.
nitpick_ignore_regex = [(r"py:.*", r"(?!siliconflow_voice\b).*")]

if os.environ.get("DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "aiohttp": ("https://docs.aiohttp.org/en/stable", None),
        "attrs": ("https://www.attrs.org/en/stable", None),
        "yarl": ("https://yarl.aio-libs.org/en/stable", None),
    }

_kept: dict[str, list[str]] = {}


def _keep(_: Sphinx, what: str, name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    if what in {"attribute", "property"}:
        _kept[name] = list(lines)


def _restore(_: Sphinx, _what: str, name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    if name in _kept:
        lines[:] = _kept.pop(name)


def setup(app: Sphinx) -> None:
    """Keep napoleon from parsing attributes' docstrings: it reads the words before a colon as a type."""
    app.connect("autodoc-process-docstring", _keep, priority=400)
    app.connect("autodoc-process-docstring", _restore, priority=600)
