"""The command ``completion``: what makes a shell complete the command's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from cyclopts import App

from siliconflow_voice.cli.exits import ALL_DONE
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.options import Flag
from siliconflow_voice.cli.terminal import Stdout, escaped
from siliconflow_voice.errors import SiliconFlowError

__all__ = ["completion_of"]

Shell: TypeAlias = Literal["bash", "zsh", "fish"]


def completion_of(app: App) -> Callable[..., int]:
    """Return the command that completes the words of an app."""

    def completion(shell: Shell, /, *, install: Flag = False) -> int:
        """Print the script that completes commands and options in a shell, or install it.

        For example:

            source <(siliconflow-voice completion bash)
            siliconflow-voice completion zsh --install

        Parameters
        ----------
        shell
            The shell.
        install
            Write the script where the shell finds it, and a line that loads it to ~/.bashrc or ~/.zshrc
            (default: off).
        """
        stdout = Stdout()
        if install:
            try:
                path = app.install_completion(shell=shell)
            except OSError as error:
                raise SiliconFlowError(
                    translated("The script can't be installed: {reason}", reason=error)
                ) from error
            line = translated("Installed {file}; start a new shell to use it", file=path)
            stdout.write(f"{escaped(line)}\n")
        else:
            stdout.write(app.generate_completion(shell=shell))
        stdout.finish()
        return ALL_DONE

    return completion
