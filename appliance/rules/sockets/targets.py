"""`to:` of a rule that redirects: an address, a port, or both.

127.0.0.1:8080      [::1]:8080      :8080       127.0.0.1       [::1]
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from appliance.rules.sockets.model import Target
from appliance.rules.values import PORT, BadValue

_FORM = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[0-9.]+))?(?::(?P<port>[0-9]{1,5}))?")
_HINT = 'write "127.0.0.1:8080", "[::1]:8080", or ":8080" for the port alone'


def read_target(text: str) -> Target:
    """Raises BadValue."""
    found = _FORM.fullmatch(text)
    host = found and (found["six"] or found["four"])
    port = found and found["port"]
    if not found or not (host or port):
        raise BadValue(f"{text!r} is no address with a port", _HINT)
    number = int(port) if port else None
    if number is not None and not 0 < number <= PORT.maximum:
        raise BadValue(f"{number} is no port to send a call to", f"1 to {PORT.maximum}")
    if not host:
        return Target(None, None, number)
    try:
        address = ip_address(host)
    except ValueError:
        raise BadValue(f"{host!r} is no IP address", _HINT) from None
    if address.version != (6 if found["six"] else 4) or getattr(address, "scope_id", None):
        raise BadValue(f"{host!r} is no address of IPv6", _HINT)
    return Target(address.version, int(address), number)
