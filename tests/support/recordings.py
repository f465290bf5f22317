"""The bundled recordings, and what is spoken in them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples" / "recordings"
MP3 = FOLDER / "patience-zh.mp3"
WAV = FOLDER / "patience-en.wav"
OPUS = FOLDER / "dream-zh.opus"

SPEECH = MP3.read_bytes()
TEXT = "慢工出细活，再给我两分钟"
