"""Which addresses tools may reach."""

import pytest

from frontdesk.core.errors import DefinitionError
from frontdesk.tools.addresses import AddressPolicy, AddressRefused

PRIVATE = [
    "127.0.0.1", "127.8.9.10", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "239.1.1.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "240.0.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        AddressPolicy([]).check("service.example", 443, address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    AddressPolicy([]).check("service.example", 443, address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "::1", "::ffff:127.0.0.1", "0", "fe80::1%lo"])
def test_a_host_written_as_an_address_is_checked_too(host: str) -> None:
    with pytest.raises(AddressRefused):
        AddressPolicy([]).check_literal(host, 80)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("10.1.0.0/16", "erp.example", 443, "10.1.2.3"),
        ("10.1.2.3", "erp.example", 443, "10.1.2.3"),
        ("10.1.2.3:8080", "erp.example", 8080, "10.1.2.3"),
        ("[fd00::1]:443", "erp.example", 443, "fd00::1"),
        ("fd00::/8", "erp.example", 443, "fd00::1"),
        ("erp.example:8080", "ERP.example.", 8080, "10.9.9.9"),
        ("127.0.0.0/8", "erp.example", 80, "::ffff:127.0.0.1"),
    ],
)
def test_what_the_tenant_names_is_allowed(entry: str, host: str, port: int, address: str) -> None:
    AddressPolicy([entry]).check(host, port, address)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("10.1.0.0/16", "erp.example", 443, "10.2.0.1"),
        ("10.1.2.3:8080", "erp.example", 8081, "10.1.2.3"),
        ("erp.example:8080", "erp.example", 22, "10.9.9.9"),
        ("erp.example:8080", "other.example", 8080, "10.9.9.9"),
    ],
)
def test_and_nothing_beside_it(entry: str, host: str, port: int, address: str) -> None:
    with pytest.raises(AddressRefused):
        AddressPolicy([entry]).check(host, port, address)


@pytest.mark.parametrize("entry", ["erp.example", "http://erp:80", "10.1.0.0/99", "erp:0", "erp:99999", ":80", ""])
def test_an_entry_of_another_form_is_a_definition_error(entry: str) -> None:
    with pytest.raises(DefinitionError, match="is not a network"):
        AddressPolicy([entry])
