"""The pages of ``--help``, in the command's language."""

from __future__ import annotations

from typing import Any

from attrs import define
from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel, InlineText
from rich.console import Console, ConsoleOptions
from rich.markdown import Markdown
from rich.text import Text

from siliconflow_voice.cli.chinese_help import HELP
from siliconflow_voice.cli.language import speaks_chinese

__all__ = ["TranslatedHelp", "in_chinese"]

_BLOCK = "    "


def in_chinese(text: str) -> str:
    """Return a page's text in Chinese, paragraph by paragraph; examples stay as they are."""
    return "\n\n".join(
        paragraph if paragraph.startswith(_BLOCK) else _paragraph(paragraph)
        for paragraph in text.strip("\n").split("\n\n")
    )


def _paragraph(text: str) -> str:
    text = " ".join(text.split())
    return HELP.get(text, text)


@define(kw_only=True)
class TranslatedHelp(DefaultFormatter):
    """Renders a page in the language of the moment."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        if speaks_chinese():
            panel = panel.copy(
                title=in_chinese(str(panel.title)), entries=[_entry(entry) for entry in panel.entries]
            )
        DefaultFormatter.__call__(self, console, options, panel)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the first line."""
        if speaks_chinese():
            console.print(Text.assemble(("用法：", "bold"), (str(usage), "bold")))
        else:
            DefaultFormatter.render_usage(self, console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what a command does."""
        if speaks_chinese():
            description = _translated(description)
        DefaultFormatter.render_description(self, console, options, description)


def _translated(description: Any) -> Any:
    """Return a text of cyclopts' in Chinese; what is not such a text, as it is."""
    source = getattr(description, "primary_renderable", None)
    if not isinstance(source, Markdown):
        return description
    return InlineText(Markdown(in_chinese(source.markup)), force_empty_end=description.force_empty_end)


def _entry(entry: HelpEntry) -> HelpEntry:
    """Return a line with its notes in Chinese, which cyclopts would append in English."""
    description = _translated(entry.description)
    notes = [
        f"可选：{', '.join(entry.choices)}" if entry.choices else "",
        f"默认：{entry.default}" if entry.default is not None else "",
        "必填" if entry.required else "",
    ]
    if isinstance(description, InlineText):
        for note in filter(None, notes):
            description.append(Text(f"[{note}]", "dim"))
    return entry.copy(description=description, choices=None, default=None, required=False)
