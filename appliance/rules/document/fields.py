"""Names of fields to matchers, with what the document's `tunnels:` makes of them.

ip.src                  of the innermost packet that is looked at
outer.ip.src            of the outermost one; where no tunnels are looked into, the same
vxlan.vni               only where VXLAN is looked into: it would never be there
"""

from __future__ import annotations

from appliance.rules.field_hints import which_field
from appliance.rules.layers import OUTER, TUNNEL_LAYERS
from appliance.rules.matchers import TUNNELS_OWN, Matcher, find_matcher
from appliance.rules.tunnels import Tunnels
from appliance.rules.values import BadValue


class FieldReader:
    """Finds fields by name. For any thread."""

    def __init__(self, tunnels: Tunnels | None) -> None:
        self.tunnels = tunnels

    def find(self, name: str) -> Matcher:
        """The field of that name, or the slice. Raises BadValue if there is none."""
        matcher = find_matcher(name)
        if matcher is None:
            raise BadValue(f"there is no field {name!r}", which_field(name))
        if self.tunnels is None and matcher.name.startswith(OUTER):
            return self.find(name.removeprefix(OUTER))
        kind = TUNNEL_LAYERS.get(matcher.layer)
        if self.tunnels is None and (kind or name in TUNNELS_OWN):
            hint = f"write `tunnels: {{depth: 1, kinds: [{kind.value if kind else 'ip, gre'}]}}` at the top"
            raise BadValue(f"{name} is there only where tunnels are looked into", hint)
        if self.tunnels and kind and kind not in self.tunnels.kinds:
            what = f"{name} is there only with {kind.value} among the `kinds` of `tunnels`"
            raise BadValue(what, f"add {kind.value}, or leave `kinds` out")
        return matcher
