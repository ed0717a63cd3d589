"""Webhooks never reach the inside: the corpus, against a listener on every address here."""

from __future__ import annotations

import aiohttp
import pytest

from geoengine.levers.guard import EndpointError, address_fault, endpoint, socket_factory
from tests.levers.names import Names
from tests.levers.receivers import listening
from tests.levers.sending import NOW_MS, a_send, lever_for

INSIDE_HOSTS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "017700000001",
    "0.0.0.0",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "good@127.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fd00:ec2::254]",
    "[fe80::1%25lo]",
    "[ff02::1]",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "metadata.google.internal",
]
OTHER_SCHEMES = ["file:///etc/passwd", "gopher://127.0.0.1:{port}/", "FILE:///etc/passwd"]


@pytest.mark.parametrize("host", INSIDE_HOSTS)
async def test_a_guarded_socket_is_never_made_towards_the_inside(host):
    async with listening() as (port, callers):
        connector = aiohttp.TCPConnector(socket_factory=socket_factory(allow_private=False))
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises((aiohttp.ClientError, ValueError, OSError)):
                await session.get(f"HTTP://{host}:{port}/", allow_redirects=False)
    assert callers == []


async def test_the_listener_of_these_tests_does_hear_an_unguarded_caller():
    async with listening() as (port, callers):
        connector = aiohttp.TCPConnector(socket_factory=socket_factory(allow_private=True))
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"http://127.0.0.1:{port}/")
    assert len(callers) == 1


@pytest.mark.parametrize("text", [f"https://{host}/" for host in INSIDE_HOSTS] + OTHER_SCHEMES)
async def test_the_lever_reaches_none_of_them_either(text):
    async with listening() as (port, callers):
        try:
            opened = lever_for(text.format(port=port), allow_private=False)
        except EndpointError:
            return
        async with opened as lever:
            receipt = await lever.send(a_send(), NOW_MS)
    assert (receipt.status, receipt.has_left) in {("refused", False), ("retry", False)}
    assert callers == []


@pytest.mark.parametrize(
    "answers",
    [
        [["127.0.0.1"]],  # a name of the outside, an alias of the inside
        [["10.0.0.1", "127.0.0.1"]],
        [["203.0.113.7", "127.0.0.1"]],  # one address for show, one that works
        [["::1", "127.0.0.1"]],
        [["203.0.113.7"], ["127.0.0.1"]],  # rebound between two looks
    ],
)
async def test_whatever_a_name_resolves_to_the_inside_is_refused_by_its_reason(answers):
    opened = lever_for("https://hooks.example/", allow_private=False, resolver=Names(*answers))
    async with listening() as (_port, callers), opened as lever:
        receipts = [await lever.send(a_send(), NOW_MS) for _ in range(2)]
    assert [(one.status, one.reason, one.has_left) for one in receipts] == [
        ("refused", "forbidden_address", False)
    ] * 2
    assert callers == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://crm.example/", "expected https"),
        ("https://crm.example:22/", "port 22"),
        ("https://crm.example:6379/", "port 6379"),
        ("https://me:secret@crm.example/", "no user"),
        ("https://localhost/", "inside"),
        ("https://LocalHost./", "inside"),
        ("https://metadata.google.internal/", "inside"),
        ("https://192.168.1.4/", "private"),
        ("https://127.1/", "no plain address"),
        ("https://0x7f.1/", "no plain address"),
        ("https://[::1]/", "private"),
    ],
)
def test_an_endpoint_on_the_inside_is_refused_when_it_is_configured(url, why):
    with pytest.raises(EndpointError, match=why):
        endpoint(url, allow_private=False)


@pytest.mark.parametrize("url", ["https://crm.example/h", "HTTPS://crm.example:8443/h"])
def test_an_endpoint_on_the_outside_is_accepted(url):
    assert endpoint(url, allow_private=False).host == "crm.example"


def test_allowing_private_addresses_allows_plain_http_and_any_port_but_no_password():
    assert endpoint("http://10.0.0.4:9000/", allow_private=True).port == 9000
    with pytest.raises(EndpointError):
        endpoint("http://me@10.0.0.4/", allow_private=True)


DENIED = """
    0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255
    192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1
    203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:db8::1
    2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1
"""


@pytest.mark.parametrize("address", DENIED.split())
def test_every_private_and_reserved_range_is_denied(address):
    assert address_fault(address) != ""


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "9.9.9.9", "172.32.0.1", "192.0.1.1", "2606:4700::1", "2a00:1450::1"]
)
def test_the_public_internet_is_not_denied(address):
    assert address_fault(address) == ""
