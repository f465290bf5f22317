"""Many machines on one account: a throttle that processes share, and work spread by a queue in PostgreSQL."""

from siliconflow_voice.fleet.throttle import SharedThrottle

__all__ = ["SharedThrottle"]
