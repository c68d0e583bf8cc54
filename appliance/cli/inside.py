"""`--inside PREFIX`: which networks a capture has on its inside, so that its two directions can be told apart."""

from __future__ import annotations

from collections.abc import Iterable

import click

from appliance.errors import InputRefused
from appliance.rules.ranges import union
from appliance.rules.reading import read_prefix
from appliance.rules.values import PREFIX, Addresses, BadValue

inside_option = click.option(
    "--inside",
    metavar="PREFIX",
    multiple=True,
    help="A network that is inside: frames that it sends go outward. Once for each; without any, all frames go inward.",
)


def read_networks(prefixes: Iterable[str]) -> Addresses:
    """The addresses of all of them. Raises InputRefused."""
    found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for prefix in prefixes:
        try:
            family, addresses = read_prefix(PREFIX, prefix)
        except BadValue as bad:
            raise InputRefused(bad.what, where=f"--inside {prefix}", hint=bad.hint) from bad
        found[family].append(addresses)
    return Addresses(union(found[4]), union(found[6]))
