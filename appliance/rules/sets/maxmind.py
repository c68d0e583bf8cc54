"""Networks of countries or of autonomous systems, out of a database in MaxMind's format (MaxMind DB specification 2.0).

    GeoLite2-Country, GeoIP2-City, DB-IP    {"country": {"iso_code": "SE"}, …}
    GeoLite2-ASN                            {"autonomous_system_number": 64496, …}
    IPinfo                                  {"country_code": "SE", "asn": "AS64496", …}

The country is where the addresses are used, not where they are registered. A database is read from its first to its
last network, which takes some seconds for a million of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.errors import InputRefused
from appliance.rules.errors import did_you_mean
from appliance.rules.sets.contents import Packer
from appliance.rules.sets.elements import ElementType, Part
from appliance.rules.values import SetType

if TYPE_CHECKING:
    import maxminddb

PREFIXES = ElementType((SetType.PREFIX,))
Told = Callable[[InputRefused], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted: `value` takes it out of a record, `named` is what it is in words. Whether every one of the
    `wanted` must be in the database: a country that isn't there is a slip, an autonomous system may have gone."""

    named: str
    plural: str
    wanted: frozenset[Any]
    value: Callable[[Any], Any]
    must_be_there: bool


def countries(codes: frozenset[str]) -> Selection:
    """Countries by their ISO 3166-1 codes, two capital letters."""
    return Selection("country", "countries", codes, _country, must_be_there=True)


def systems(numbers: frozenset[int]) -> Selection:
    """Autonomous systems by their numbers."""
    return Selection("AS number", "AS numbers", numbers, _system, must_be_there=False)


def read_database(path: Path, selection: Selection, packer: Packer, told: Told) -> None:
    """Put the networks of a selection into `packer`, a packer of prefixes. What is wrong is told with its name.

    Here maxminddb is imported, and pickle and email with it: most rule sets have no database, and a box that starts
    needn't wait for that.
    """
    import maxminddb  # noqa: PLC0415

    found: set[Any] = set()
    try:
        with maxminddb.open_database(path) as database:
            kind = database.metadata().database_type
            packer.put(_keys(database, selection, found))
    except maxminddb.InvalidDatabaseError as error:
        told(InputRefused(f"this isn't a MaxMind database: {error}", where=str(path), hint="it is a file .mmdb"))
        return
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        told(InputRefused(f"can't read the file: {reason}", where=str(path)))
        return
    if not found:
        what = f"no network of this database ({kind}) has {selection.plural}"
        told(InputRefused(what, where=str(path), hint="countries and AS numbers are in databases of their own"))
        return
    for missing in sorted(selection.wanted - found if selection.must_be_there else ()):
        what = f"no network of this database ({kind}) is of {selection.named} {missing!r}"
        told(InputRefused(what, where=str(path), hint=did_you_mean(missing, found)))


def _keys(database: maxminddb.Reader, selection: Selection, found: set[Any]) -> Iterator[tuple[Part, bytes]]:
    """The keys of the networks that are wanted; every value that the database has is put into `found`."""
    parts = {part.family: part for part in PREFIXES.parts}
    for network, record in database:
        value = selection.value(record) if isinstance(record, dict) else None
        if value is not None:
            found.add(value)
            if value in selection.wanted:
                packed = network.network_address.packed
                yield parts[network.version], network.prefixlen.to_bytes(4, "little") + packed


def _country(record: dict[str, Any]) -> str | None:
    country = record.get("country_code", record.get("country"))
    code = country.get("iso_code") if isinstance(country, dict) else country
    return code if isinstance(code, str) and len(code) == 2 else None


def _system(record: dict[str, Any]) -> int | None:
    number = record.get("autonomous_system_number", record.get("asn"))
    text = str(number).upper().removeprefix("AS")
    return int(text) if text.isascii() and text.isdecimal() else None
