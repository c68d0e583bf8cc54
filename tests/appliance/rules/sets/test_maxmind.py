"""Countries and autonomous systems, from databases that a writer of others makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from appliance.rules import RuleSet, RuleSetRefused, load_rule_set

SWEDEN, NORWAY = (
    {"country": {"iso_code": "SE"}},
    {"country": {"iso_code": "NO"}, "registered_country": {"iso_code": "SE"}},
)
COUNTRIES = {
    "192.0.2.0/25": SWEDEN,
    "192.0.2.128/26": NORWAY,
    "198.51.100.0/24": {"registered_country": {"iso_code": "SE"}},
    "2001:db8::/33": SWEDEN,
    "2001:db8:8000::/33": NORWAY,
}
SYSTEMS = {
    "192.0.2.0/24": {"autonomous_system_number": 64496, "autonomous_system_organization": "Example"},
    "2001:db8::/32": {"autonomous_system_number": 4200000000},
}
IPINFO = {
    "192.0.2.0/24": {"country": "SE", "asn": "AS64496"},
    "2001:db8::/32": {"country_code": "NO", "asn": "AS64497"},
}


def database(folder: Path, kind: str, networks: Mapping[str, Mapping[str, Any]]) -> None:
    writer = MMDBWriter(6, kind, languages=["en"], description="made by a test", ipv4_compatible=True)
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(folder / "test.mmdb"))


def rule_set(folder: Path, wanted: str, type_: str = "prefix") -> RuleSet:
    path = folder / "r.yaml"
    path.write_text(f"sets: {{s: {{type: {type_}, maxmind: test.mmdb{wanted}}}}}\nrules: []\n")
    return load_rule_set(path)


def keys(rules: RuleSet) -> list[tuple[int, str]]:
    """(length, address in hex) of every prefix."""
    contents = rules.sets["s"].contents
    return [
        (data[at], data[at + 4 : at + part.key_size].hex())
        for part, data in contents.keys.items()
        for at in range(0, len(data), part.key_size)
    ]


def test_countries_are_where_addresses_are_used(tmp_path: Path) -> None:
    database(tmp_path, "GeoLite2-Country", COUNTRIES)
    assert keys(rule_set(tmp_path, ", country: [SE]")) == [(25, "c0000200"), (33, "20010db8" + 24 * "0")]
    assert len(keys(rule_set(tmp_path, ", country: [SE, NO]"))) == 4


def test_autonomous_systems_by_their_numbers(tmp_path: Path) -> None:
    database(tmp_path, "GeoLite2-ASN", SYSTEMS)
    assert keys(rule_set(tmp_path, ", asn: [64496, 4200000000]")) == [(24, "c0000200"), (32, "20010db8" + 24 * "0")]
    assert keys(rule_set(tmp_path, ", asn: [64510]")) == [], "it may be gone"


def test_others_name_things_alike(tmp_path: Path) -> None:
    database(tmp_path, "ipinfo generic_country.mmdb", IPINFO)
    assert keys(rule_set(tmp_path, ", country: [NO]")) == [(32, "20010db8" + 24 * "0")]
    assert keys(rule_set(tmp_path, ", asn: [64496]")) == [(24, "c0000200")]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (", country: [SE, UK]", "1:35: test.mmdb: no network of this database (GeoLite2-Country) is of country 'UK'\n"
         "  hint: known are: NO, SE"),
        (", asn: [64496]", "1:35: test.mmdb: no network of this database (GeoLite2-Country) has AS numbers\n"
         "  hint: countries and AS numbers are in databases of their own"),
        ("", "1:35: a set from a database has either countries or AS numbers\n"
         "  hint: say `country: [SE, NO]` or `asn: [64496]`, and make two sets of both"),
        (", country: [SE], asn: [1]", "1:35: a set from a database has either countries or AS numbers\n"
         "  hint: say `country: [SE, NO]` or `asn: [64496]`, and make two sets of both"),
        (", country: [Sweden]", "1:56: 'Sweden' isn't the code of a country\n"
         "  hint: two capital letters, as ISO 3166-1 has them"),
        (", country: [SE], constant: true", "1:71: a set from a database is never constant\n"
         "  hint: leave `constant` out"),
        (", country: [SE], file: x", "1:11: a set has either elements or a file\n"
         "  hint: give a list under `elements:`, or the path of a list as `file:`, or of a database as `maxmind:`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, wanted: str, message: str) -> None:
    database(tmp_path, "GeoLite2-Country", COUNTRIES)
    with pytest.raises(RuleSetRefused) as refused:
        rule_set(tmp_path, wanted)
    assert str(refused.value.defects[0]).replace(f"{tmp_path}/", "") == f"r.yaml:{message}"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    for make, message in (
        (lambda: None, "test.mmdb: can't read the file: "),
        (lambda: (tmp_path / "test.mmdb").write_text("192.0.2.1\n"), "test.mmdb: this isn't a MaxMind database: "),
    ):
        make()
        with pytest.raises(RuleSetRefused) as refused:
            rule_set(tmp_path, ", country: [SE]")
        assert message in str(refused.value)
    database(tmp_path, "GeoLite2-Country", COUNTRIES)
    whole = (tmp_path / "test.mmdb").read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / "test.mmdb").write_bytes(whole[:cut])
        with pytest.raises(RuleSetRefused):
            rule_set(tmp_path, ", country: [SE]")


def test_databases_are_of_prefixes(tmp_path: Path) -> None:
    database(tmp_path, "GeoLite2-Country", COUNTRIES)
    with pytest.raises(RuleSetRefused, match="a set from a database is of prefixes"):
        rule_set(tmp_path, ", country: [SE]", type_="port")
    (tmp_path / "r.yaml").write_text("sets: {s: {type: prefix, elements: [], country: [SE]}}\nrules: []\n")
    with pytest.raises(RuleSetRefused, match="countries and AS numbers come from a database"):
        load_rule_set(tmp_path / "r.yaml")
