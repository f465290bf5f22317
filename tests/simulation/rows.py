"""The services that the throttle has to do well with, without knowing which of them it has met."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from siliconflow_voice.emulator.quotas import Quota
from simulation.events import Row

PHASES = range(0, 60, 5)

# Limit a minute, uploads.
LIMITS = ((30, 200), (60, 400), (120, 800), (600, 4_000))

# Limit a minute, uploads, how many at once, and the seconds that an answer takes.
SETTINGS: tuple[tuple[int, int, int, tuple[float, float]], ...] = (
    (6, 60, 32, (0.5, 1.5)),
    (60, 400, 8, (0.02, 0.02)),
    (60, 200, 1, (0.5, 0.5)),
    (60, 400, 256, (0.5, 1.5)),
    (60, 400, 32, (2.0, 4.0)),
    (60, 400, 32, (8.0, 12.0)),
    (6_000, 12_000, 256, (0.2, 0.6)),
)


def quotas(limit: int) -> Iterator[tuple[str, Quota]]:
    """Yield each kind of server but fixed windows, with one limit."""
    for counted, free in ((True, ""), (False, ", refusals free")):
        yield f"sliding{free}", Quota(requests=limit, kind="sliding", count_refusals=counted)
        for burst in (limit, max(limit // 6, 1)):
            quota = Quota(requests=limit, kind="bucket", burst=burst, count_refusals=counted)
            yield f"bucket of {burst}{free}", quota


def table() -> Iterator[tuple[str, list[Row]]]:
    """Yield all rows in their groups."""
    fixed = [Row("fixed", Quota(requests=limit), uploads) for limit, uploads in LIMITS]
    yield "fixed windows", [row.at_phase(phase) for row in fixed for phase in PHASES]
    yield (
        "sliding windows and buckets",
        [Row(name, quota, uploads) for limit, uploads in LIMITS for name, quota in quotas(limit)],
    )
    for limit, uploads, at_once, latency in SETTINGS:
        row = Row("fixed", Quota(requests=limit), uploads, at_once, latency)
        others = [evolve(row, name=name, quota=quota) for name, quota in quotas(limit)]
        title = f"{limit} a minute, {at_once} at once, answers of {latency[0]:g} to {latency[1]:g} s"
        yield title, [row.at_phase(0), row.at_phase(20), row.at_phase(40), *others]
    yield "what changes", list(_changing())


def _changing() -> Iterator[Row]:
    kinds: tuple[tuple[str, dict[str, object]], ...] = (
        ("fixed", {"kind": "fixed", "phase": 20.0}),
        ("sliding", {"kind": "sliding"}),
        ("bucket", {"kind": "bucket"}),
        ("bucket of 10", {"kind": "bucket", "burst": 10}),
    )
    for name, options in kinds:
        low, high = (Quota(requests=limit, **options) for limit in (60, 120))  # type: ignore[arg-type] # of any kind
        yield Row(f"{name}, raised to 120", low, 600, later=(150, high))
        yield Row(f"{name}, lowered from 120", high, 400, later=(100, low))
        yield Row(f"{name}, half used by others", low, 300, others_every=2.0)
    for name, options in kinds[:3]:
        yield Row(f"{name}, 600 tokens", Quota(tokens=600, **options), 200, tokens=39)  # type: ignore[arg-type] # of any kind


def bursts() -> Iterator[Row]:
    """Yield short bursts against an account with room."""
    for uploads, latency in ((40, (2.0, 4.0)), (100, (0.3, 0.6)), (16, (8.0, 12.0))):
        for at_once in sorted({16, uploads}):
            yield Row(f"{uploads}, {at_once} at once", Quota(), uploads, at_once, latency)


# A service that takes eight at once, and has room else.
NARROW = Row("takes 8 at once", Quota(), 1_000, 32, bears=8)
HALF_OUT = Row("half brown-out", Quota(), 2_000, 32, brown_out=(10.0, 40.0, 0.4))
BROWN_OUT = Row("brown-out", Quota(), 6_000, 32, brown_out=(20.0, 80.0, 0.9))
