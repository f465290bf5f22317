"""The command by another name: ``python -m siliconflow_voice``."""

import sys

from siliconflow_voice.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
