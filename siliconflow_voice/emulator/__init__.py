"""An emulator of the voice API on loopback, with quotas and faults, to test against without a key or network.

Example::

    from siliconflow_voice.emulator import Emulator, Fault, Quota

    async with Emulator(quota=Quota(requests=10), faults=[Fault.return_status(503, times=3)]) as emulator:
        ...  # point a client at emulator.base_url, with the key "sk-test"
    assert not emulator.unmet_faults
"""

from siliconflow_voice.emulator.faults import Fault
from siliconflow_voice.emulator.quotas import Quota
from siliconflow_voice.emulator.records import RequestRecord, StoredVoice
from siliconflow_voice.emulator.server import Emulator
from siliconflow_voice.emulator.speaking import Delivery

__all__ = ["Delivery", "Emulator", "Fault", "Quota", "RequestRecord", "StoredVoice"]
