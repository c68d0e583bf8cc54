"""Sets too large for compares become maps, and mean the same: against Python's own sets, in the kernel."""

from __future__ import annotations

import ipaddress
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.rules import CompiledRules, compile_rule_set, load_rule_set
from appliance.rules.code import layout
from appliance.rules.code.bpf_module import NameTaken
from appliance.rules.code.match import MOST_COMPARES
from tests.appliance.rules.kernel import KernelRules, needs_kernel
from tests.rule_cases import build

PREFIXES = 300
RULE = 'rules: [{id: hit, match: {%s: "@big"}, action: drop}]'


def _compiled(folder: Path, text: str) -> CompiledRules:
    (folder / "rules.yaml").write_text(text)
    return compile_rule_set(load_rule_set(folder / "rules.yaml"))


def _set(kind: str, elements: list[str]) -> str:
    listed = "".join(f"\n    - {element!r}" for element in elements)
    return f"sets:\n  big:\n    type: {kind}\n    elements:{listed}\n"


def _networks(choice: random.Random) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    documentation = 0x20010DB8 << 96
    v4 = [(choice.getrandbits(32), choice.randrange(14, 33)) for _ in range(PREFIXES)]
    v6 = [(documentation | choice.getrandbits(96), choice.randrange(42, 129)) for _ in range(PREFIXES)]
    return [
        *(ipaddress.IPv4Network(network, strict=False) for network in v4),
        *(ipaddress.IPv6Network(network, strict=False) for network in v6),
    ]


@needs_kernel
def test_large_prefix_sets_are_tries(tmp_path: Path) -> None:
    choice = random.Random(1)
    networks = _networks(choice)
    rules = (
        'rules: [{id: hit, match: {ip.src: "@big"}, action: drop}, '
        '{id: not, match: {ip.dst: {not: "@big"}}, action: drop}]'
    )
    compiled = _compiled(tmp_path, _set("prefix", [str(network) for network in networks]) + rules)
    assert sorted(name[:5] for name in compiled.contents) == ["set4_", "set4_", "set6_", "set6_"]
    inside = next(network for network in networks if network.version == 4)[0]
    inside6 = next(network for network in networks if network.version == 6)[0]
    with KernelRules(compiled, tmp_path) as kernel:
        for network in [*networks[:100], *networks[PREFIXES : PREFIXES + 100]]:
            ends = (network[0], network[-1])
            for address in [*ends, *(type(ends[0])((int(end) + step) % 2**network.max_prefixlen)
                                     for end, step in zip(ends, (-1, 1), strict=True))]:  # fmt: skip
                wanted = any(address in other for other in networks if other.version == network.version)
                layer, target = ("IP", inside) if network.version == 4 else ("IPv6", inside6)
                frame = build(f'Ether()/{layer}(src="{address}", dst="{target}")/UDP()')
                assert kernel.run(frame) == ("drop" if wanted else "pass"), address
        assert kernel.run(build('Ether()/IP(dst="203.0.113.77")/UDP()')) == "drop"
        assert kernel.packets()["not"] == 1


@needs_kernel
def test_large_port_sets_are_bitmaps(tmp_path: Path) -> None:
    ports = set(range(1, 2 * MOST_COMPARES + 3, 2)) | set(range(5000, 5100)) | {65535}
    elements = [*map(str, sorted(ports - set(range(5000, 5100)))), "5000-5099"]
    rules = 'rules:\n- {id: hit, match: {udp.dport: "@big"}, action: drop}'
    compiled = _compiled(tmp_path, _set("port", elements) + rules)
    assert [name[:5] for name in compiled.contents] == ["bits_"]
    with KernelRules(compiled, tmp_path) as kernel:
        for port in [*range(150), 4999, 5000, 5063, 5064, 5099, 5100, 65534, 65535]:
            assert kernel.run(build(f"Ether()/IP()/UDP(dport={port})")) == ("drop" if port in ports else "pass"), port


@needs_kernel
def test_large_sets_of_large_numbers_are_tries(tmp_path: Path) -> None:
    """A bitmap of MAC addresses would have 2**48 bits."""
    hosts = range(1, 2 * MOST_COMPARES + 3, 2)
    lengths = ", ".join(str(length) for length in range(60, 60 + 4 * MOST_COMPARES, 2))
    rules = (
        'rules: [{id: mac, match: {eth.src: "@big"}, action: drop}, '
        f"{{id: length, match: {{frame.len: {{not: [{lengths}]}}}}, action: drop}}]"
    )
    compiled = _compiled(tmp_path, _set("mac", [f"02:00:00:00:{n:02x}:80" for n in hosts]) + rules)
    assert sorted(name[:5] for name in compiled.contents) == ["nums_", "nums_"]
    with KernelRules(compiled, tmp_path) as kernel:
        for n in range(2 * MOST_COMPARES + 5):
            for length in (60, 61, 62):
                frame = build(f'Ether(src="02:00:00:00:{n:02x}:80")/("x" * {length - 14})')
                assert kernel.run(frame) == ("drop" if n in hosts or length % 2 else "pass"), (n, length)


@needs_kernel
def test_sets_of_compares_have_the_same_ends(tmp_path: Path) -> None:
    low, high = 1000, 1000 + 10 * (MOST_COMPARES - 1)
    elements = [f"{port}-{port + 3}" for port in range(low, high + 1, 10)]
    compiled = _compiled(
        tmp_path, _set("port", elements) + 'rules: [{id: hit, match: {tcp.port: "@big"}, action: drop}]'
    )
    assert not compiled.contents
    with KernelRules(compiled, tmp_path) as kernel:
        for port in [*range(low - 3, low + 15), *range(high - 12, high + 12), 0, 65535]:
            wanted = low <= port <= high + 3 and (port - low) % 10 <= 3
            frame = build(f"Ether()/IP()/TCP(sport=1, dport={port})")
            assert kernel.run(frame) == ("drop" if wanted else "pass"), port


def test_a_set_of_the_same_elements_is_the_same_map(tmp_path: Path) -> None:
    networks = [f"10.{n}.0.0/16" for n in range(0, 2 * PREFIXES // 3, 2)]
    names = []
    for elements in (networks, networks[::-1], networks[1:]):
        compiled = _compiled(
            tmp_path, _set("prefix", elements) + 'rules: [{id: a, match: {ip.src: "@big"}, action: drop}]'
        )
        names.append(tuple(compiled.contents))
    assert names[0] == names[1] != names[2]


def test_sets_that_got_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout.hashlib, "sha256", lambda data: SimpleNamespace(hexdigest=lambda: "0" * 64))
    text = _set("port", [str(port) for port in range(1, 2 * MOST_COMPARES + 3, 2)])
    rule = '{id: %s, match: {%s: "@big"}, action: drop}'
    same = ", ".join(rule % (name, f"udp.{name}") for name in ("sport", "dport"))
    assert len(_compiled(tmp_path, f"{text}rules: [{same}]").contents) == 1
    other = '{id: other, match: {udp.dport: {not: "@big"}}, action: drop}'
    with pytest.raises(NameTaken, match="bits_0000"):
        _compiled(tmp_path, f"{text}rules: [{same}, {other}]")
