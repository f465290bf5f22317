from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.audio.remote.networks import may_be_connected_to


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_the_internet_may_always_be_connected_to(address: str) -> None:
    assert [may_be_connected_to(address, private=private) for private in (False, True)] == [True, True]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
        *("::1", "fc00::1", "fd00:ec2::254", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
    ],
)
def test_this_machine_and_private_networks_may_be_if_they_are_allowed(address: str) -> None:
    assert [may_be_connected_to(address, private=private) for private in (False, True)] == [False, True]


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "192.0.0.192", "168.63.129.16"),  # noqa: S104
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2002:7f00:1::", "2001::1", "::7f00:1"),
        *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "::ffff:0.0.0.0"),
    ],
)
def test_what_is_link_local_or_not_a_machines_may_never_be(address: str) -> None:
    assert [may_be_connected_to(address, private=private) for private in (False, True)] == [False, False]


@given(st.ip_addresses())
def test_what_the_standard_library_takes_for_private_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    inside = getattr(address, "ipv4_mapped", None) or address
    if inside.is_private or inside.is_loopback or inside.is_link_local or inside.is_multicast:
        assert not may_be_connected_to(str(address), private=False)
