"""What a rule remembers of frames: rates, tests and blocks, and the fields by which frames belong together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.rules.layers import AnyLayer

HOST = (32, 64)  # leading bits of an address that are a host, of IPv4 and IPv6
LARGEST_KEY = 64  # bytes of what a rate is per; a flow's are 56


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One field of what a rate is per: `field` of the parsed frame, where the frame has that layer.

    Of an address so many leading bits count, by its family: 32 of IPv4 and 64 of IPv6 are a host, the /64 being the
    least that one subscriber gets (RFC 6177). `lengths` is None for a number.
    """

    name: str
    field: str
    layer: AnyLayer
    lengths: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Bytes of it in a key: an address has 16, whatever the family, and every number 8."""
        return 16 if self.lengths else 8


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit: the rule's action is for frames over it, frames within it go on to the next rule.

    `amount` is packets or bits per second; `burst` is packets or bytes. `per` is empty (one bucket for the rule), or
    what has to be the same of frames that share a bucket; `sources` is how many such buckets are kept. With `until`, a
    slower rate in the same unit, a bucket that was exceeded is over until its frames have come more slowly for `hold`
    seconds.
    """

    unit: str
    amount: float
    burst: int
    per: tuple[KeyPart, ...]
    sources: int
    until: float | None = None
    hold: float = 0.0

    @property
    def slower(self) -> Rate | None:
        """The rate below which a bucket is no longer over, if it stays so."""
        return None if self.until is None else replace(self, amount=self.until, until=None)


@dataclass(frozen=True, slots=True)
class Retransmit:
    """A test that only a real TCP stack passes: the rule's action is for sources that haven't passed it.

    A segment passes when it is sent again between `after` and `before` seconds after its last try. A source that then
    acknowledges what it was answered is known for `remember` seconds, and all its segments pass. `sources` known hosts
    and `tries` first tries are remembered, the ones seen last.
    """

    after: float
    before: float
    remember: float
    sources: int
    tries: int


@dataclass(frozen=True, slots=True)
class Block:
    """Whoever has `by` in common with a frame that the rule acts on is blocked for `seconds`. `sources` of them are
    remembered, the ones that came last."""

    seconds: float
    by: tuple[KeyPart, ...]
    sources: int

    @property
    def nanoseconds(self) -> int:
        return round(self.seconds * 10**9)
