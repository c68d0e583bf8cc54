"""What a rule set may say, and the exact words for what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.rules import RuleSetRefused, load_rule_set, parse_rule_set
from appliance.rules.document import load
from appliance.rules.document.document import parse_document
from appliance.rules.document.rules import default_burst
from appliance.rules.matchers import MATCHERS
from appliance.rules.model import Action, Direction, Mode


def _load(folder: Path, text: str, **files: str) -> None:
    for name, other in files.items():
        (folder / name.replace("_", ".")).write_text(other)
    path = folder / "r.yaml"
    path.write_text(text)
    load_rule_set(path)


def _refusal(folder: Path, text: str, **files: str) -> str:
    with pytest.raises(RuleSetRefused) as refused:
        _load(folder, text, **files)
    return str(refused.value).replace(f"{folder}/", "")


def _rule(folder: Path, rest: str) -> str:
    return _refusal(folder, "rules:\n- {id: xx, action: drop, " + rest + "}")


def test_defaults(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("rules: [{id: x, action: drop}]")
    rules = load_rule_set(path)
    assert (rules.policy, rules.malformed, rules.mode, rules.direction) == (
        Action.PASS,
        Action.DROP,
        Mode.ENFORCE,
        Direction.BOTH,
    )
    (rule,) = rules.rules
    assert (rule.mode, rule.direction, rule.conditions, rule.rate) == (Mode.ENFORCE, Direction.BOTH, (), None)
    assert str(rule.where) == f"{path}:1:9"


@pytest.mark.parametrize(
    ("text", "amount"),
    [("200", 200), ("10k", 10_000), ("1.5M", 1.5e6), ("20/m", 1 / 3), ("1k/h", 1 / 3.6), ("1/d", 1 / 86400)],
)
def test_rates_with_units(tmp_path: Path, text: str, amount: float) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"rules: [{{id: x, action: drop, rate: {{pps: {text}}}}}]")
    (rule,) = load_rule_set(path).rules
    assert rule.rate is not None
    assert rule.rate.amount == pytest.approx(amount)


def test_bursts_that_nobody_gave() -> None:
    assert default_burst("pps", 200) == 200
    assert default_burst("pps", 0.2) == 1
    assert default_burst("bps", 100_000_000) == 1_250_000
    assert default_burst("bps", 1000) == 15_140


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "r.yaml:1:1: the document is empty\n"
         "  hint: known keys are: version, include, defaults, tunnels, sets, allowlist, rules, stages, connections, "
         "syn_proxy"),
        (
            "[1]",
            "r.yaml:1:1: this is a list, not a mapping of keys\n"
            "  hint: known keys are: version, include, defaults, tunnels, sets, allowlist, rules, stages, connections, "
            "syn_proxy",
        ),
        ("ruls: []", "r.yaml:1:1: unknown key 'ruls'\n  hint: did you mean 'rules'?"),
        (
            "defaults: {policy: reject}",
            "r.yaml:1:20: policy: 'reject' isn't one of pass, drop\n  hint: known are: drop, pass",
        ),
        ("rules: {a: 1}", "r.yaml:1:8: rules: this is a mapping, but a list is wanted"),
        ("rules: [5]", "r.yaml:1:9: this is a number, but a mapping of keys is wanted"),
        ("rules: [{id: a}]", "r.yaml:1:9: the key 'action' is missing"),
        ("version: 2", "r.yaml:1:10: version: 2 isn't one of 1\n  hint: known are: 1"),
        ("version: true", "r.yaml:1:10: version: this is a truth value, but the number 1 is wanted"),
        ("version: 1.0", "r.yaml:1:10: version: this is 1.0, but the number 1 is wanted"),
        ('version: "1"', "r.yaml:1:10: version: this is text, but the number 1 is wanted"),
        ('allowlist: ["@x"]', "r.yaml:1:13: there is no set 'x'\n  hint: there are none"),
        ("sets: {x: {type: port}}", "r.yaml:1:11: a set has either elements or a file\n"
         "  hint: give a list under `elements:`, or the path of a list as `file:`, or of a database as `maxmind:`"),
        ("rules: [{id: policy, action: drop}]", "r.yaml:1:14: the id 'policy' is that of a counter of every rule set\n"
         "  hint: choose another id"),
        (
            "rules:\n- {id: a, action: drop}\n- {id: a, action: pass}",
            "r.yaml:3:8: the id 'a' is taken\n  hint: its first rule is at r.yaml:2:8",
        ),
        (
            "rules:\n- {id: a.blocked, action: drop}\n- {id: a, action: block}",
            "r.yaml:3:8: the id 'a.blocked' is taken\n  hint: its first rule is at r.yaml:2:8",
        ),
        (
            "sets: {p: {type: port, elements: [1]}}\nrules: [{id: a, action: drop, match: {ip.src: '@p'}}]",
            "r.yaml:2:47: the set 'p' holds port elements\n  hint: use a set of prefix",
        ),
    ],
)  # fmt: skip
def test_documents_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    assert _refusal(tmp_path, text) == message


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("mach: {}", "2:26: unknown key 'mach'\n  hint: did you mean 'match'?"),
        ("match: {udp.dprt: 1}", "2:34: there is no field 'udp.dprt'\n"
         "  hint: did you mean 'udp.dport'? fields of udp are: udp.sport, udp.dport, udp.port, udp.length"),
        ("match: {tpc.dport: 1}", "2:34: there is no field 'tpc.dport'\n  hint: did you mean 'tcp.dport'?"),
        ("match: {ip.dscp: 46}", "2:34: there is no field 'ip.dscp'\n  hint: it is `ip.dsfield.dscp` here"),
        ("match: {vrrp.auth_type: 1}", "2:34: there is no field 'vrrp.auth_type'\n  hint: fields of vrrp are: "
         "vrrp.version, vrrp.virt_rtr_id, vrrp.prio"),
        ("match: {wifi.ssid: 5}", "2:34: there is no field 'wifi.ssid'\n"
         "  hint: there are fields of: frame, eth, vlan, arp, ip, ipv6, ah, tcp, udp, sctp, icmp, icmpv6, igmp, vrrp, "
         "ospf, esp, stage, ct, tunnel, gre, vxlan, geneve, gtp, mpls, pppoe"),
        ("match: {ip.hop_limit: 1}", "2:34: there is no field 'ip.hop_limit'\n  hint: it is `ip.ttl` here"),
        ("match: {icmp.type: echo-requst}", "2:45: 'echo-requst' isn't an ICMP type\n"
         "  hint: a number, or a name: did you mean 'echo-request'?"),
        ("match: {igmp.type: join}", "2:45: 'join' isn't an IGMP type\n  hint: a number, or a name: known are: "
         "leave-group, membership-query, membership-report-v1, membership-report-v2, membership-report-v3"),
        ("match: {ip.dsfield.dscp: 64}", "2:51: 64 is out of range: a DSCP is 0 to 63"),
        ("match: {ip.dsfield.dscp: af44}", "2:51: 'af44' isn't a DSCP\n"
         "  hint: a number, or a name: did you mean 'af43'?"),
        ("match: {tcp.dport: htps}", "2:45: 'htps' isn't a port\n"
         "  hint: a number, or a name: did you mean 'https'?"),
        ("match: {tcp.dport: https-http}", "2:45: the range https-http is backwards\n  hint: write http-https"),
        ("match: {tcp.seq: 1}", "2:34: there is no field 'tcp.seq'\n  hint: it is `tcp.seq_raw` here"),
        ("match: {eth.src: '02:00:5e/25/1'}", "2:43: '02:00:5e/25/1' isn't a prefix of MAC addresses\n"
         "  hint: write it like 00:00:5e/24"),
        ("match: {eth.src: '02:00:5e/49'}", "2:43: '02:00:5e/49' isn't a prefix of MAC addresses\n"
         "  hint: its length is 0 to 48 bits"),
        ("match: {eth.src: '02:00:5f/23'}", "2:43: 02:00:5f/23 has bits set behind its prefix\n"
         "  hint: the prefix is 02:00:5e:00:00:00/23"),
        ("match: {arp.src.proto_ipv4: '2001:db8::1'}", "2:54: '2001:db8::1' isn't an IPv4 prefix\n"
         "  hint: this field holds IPv4 addresses"),
        ("match: {arp.src.proto_ipv4: {not: 0.0.0.0/0}}", "2:54: arp.src.proto_ipv4 can't have any value here\n"
         "  hint: loosen or remove a condition"),
        ("match: {tcp.dport: 9-x}", "2:45: '9-x' isn't a port\n"
         '  hint: write a number, a range like "1024-65535", or the name of a set like "@name"'),
        ("match: {tcp.dport: []}", "2:45: tcp.dport can't have any value here\n  hint: loosen or remove a condition"),
        ("rate: {pps: 1, per: ip.src, sources: 100000000}", "2:63: sources: 100000000 must be at most 4194304"),
        ("match: {tcp.dport: 65536}", "2:45: 65536 is out of range: a port is 0 to 65535"),
        ("match: {tcp.dport: 9-5}", "2:45: the range 9-5 is backwards\n  hint: write 5-9"),
        ("match: {tcp.dport: true}", "2:45: true isn't a port\n"
         '  hint: write a number, a range like "1024-65535", or the name of a set like "@name"'),
        ("match: {tcp.dport: {}}", "2:45: tcp.dport has no value\n"
         "  hint: operators are: eq, any, in, not, any_not, gt, lt"),
        ("match: {tcp.dport: {all: [1]}}", "2:46: tcp.dport takes no operator 'all'\n"
         "  hint: known are: any, any_not, eq, gt, in, lt, not"),
        ("match: {tcp.dport: {gt: 5, lt: 6}}", "2:45: tcp.dport can't have any value here\n"
         "  hint: loosen or remove a condition"),
        ("match: {tcp.flags: {eq: [syn], any: [ack]}}", "2:45: tcp.flags can't have any value here\n"
         "  hint: loosen or remove a condition"),
        ("match: {ip.src: 192.0.2.1/24}", "2:42: 192.0.2.1/24 has bits set behind its prefix\n"
         "  hint: the network is 192.0.2.0/24, one host 192.0.2.1"),
        ("match: {ip.src: 192.0.2.0/33}", "2:42: '192.0.2.0/33' isn't an IP prefix\n"
         "  hint: the length of an IPv4 prefix is 0 to 32"),
        ("match: {ip.src: 192.0.2.1/\u0662\u0664}", "2:42: '192.0.2.1/\u0662\u0664' isn't an IP prefix\n"
         "  hint: the length of an IPv4 prefix is 0 to 32"),
        ("match: {ipv6.src: 192.0.2.0/24}", "2:44: '192.0.2.0/24' isn't an IPv6 prefix\n"
         "  hint: ip.src and ip.dst take both families"),
        ("match: {ip.proto: tpc}", "2:44: 'tpc' isn't an IP protocol\n"
         "  hint: a number, or a name: did you mean 'tcp'?"),
        ("match: {ip.fragment: 1}", "2:47: ip.fragment is true or false\n  hint: write true or false"),
        ("match: {tcp.flags: [syn]}", "2:45: a list of TCP flags needs an operator: eq, any, all or not\n"
         "  hint: write tcp.flags: {all: [syn], not: [ack]}, or {eq: [syn]} for exactly these"),
        ("match: {tcp.flags: {all: [sin]}}", "2:52: 'sin' isn't a TCP flag\n  hint: did you mean 'syn'?"),
        ("match: {eth.src: 5}", "2:43: 5 isn't a MAC address\n"
         '  hint: write it like "02:00:5e:10:00:01", in quotes'),
        ("match: {'payload[0:8]': 5}", "2:34: payload[0:8] is out of range\n"
         "  hint: a slice is [offset:length]; the offset is 0 to 2047, the length 1 to 7 bytes"),
        ("match: {'paylod[0:8]': 5}", "2:34: there is no field 'paylod[0:8]'\n"
         "  hint: bytes of a frame are written as network[0:4], transport[0:4], payload[0:4], with `& 0xff` behind"),
        ("match: {'payload[0:1] & x': 5}", "2:34: 'x' isn't a mask\n  hint: write it like 0xff00, or ff:00"),
        ("match: {'payload[0:1] & 0x100': 5}", "2:34: the mask of payload[0:1] & 0x100 leaves nothing, or has more "
         "than 1 bytes\n  hint: write `& 0xff`"),
        ("match: {'payload[0:1] & 0x0f': 16}", "2:57: 16 is out of range: a number of these bytes is 0 to 15"),
        ("match: {ip.opt.type: '@x'}", "2:47: IPv4 options are in no set\n  hint: list their values"),
        ("match: {ip.opt.type: rrr}", "2:47: 'rrr' isn't an IPv4 option\n"
         "  hint: a number, or a name: did you mean 'rr'?"),
        ("match: {'payload[0:1]': '@x'}", "2:50: bytes are in no set\n  hint: list their values"),
        ("match: {tcp.dport: {any_not: 5}}", "2:55: tcp.dport stands for one place in a frame\n  hint: write `not`"),
        ("match: {tcp.port: {any_not: 0-65535}}", "2:44: tcp.port can't have any value here\n"
         "  hint: loosen or remove a condition"),
        ("rate: {pps: 10x}", "2:38: pps: '10x' isn't a rate\n"
         "  hint: write a number per second, such as 200, 10k or 1.5M, or 20/m for 20 a minute"),
        ("rate: {bps: 2000G}", "2:38: bps: '2000G' must be at most 1000000000000"),
        ("rate: {}", "2:32: a rate has either pps or bps\n  hint: pps counts packets per second, bps bits per second"),
        ("rate: {pps: 0}", "2:38: pps: 0 must be more than 0"),
        (
            "rate: {pps: 1.0e-300}",
            "2:38: a rate of 1e-300 pps is too low to be kept\n  hint: give at least 1e-06, or drop without a rate",
        ),
        (
            "rate: {bps: 0.5}",
            "2:38: a rate of 0.5 bps is too low to be kept\n  hint: give at least 1, or drop without a rate",
        ),
        ("rate: {pps: 1, block_for: 10m}", "2:52: block_for belongs to a rate with `per`\n"
         "  hint: say what those have in common who share a bucket, such as `per: ip.src`"),
        ("rate: {pps: 1, per: ip.src, block_for: 10x}", "2:65: block_for: '10x' isn't a time\n"
         "  hint: write seconds, or a time such as 90s, 10m, 12h or 7d"),
        ("reject: {pps: 5}", "2:26: `reject` belongs to the action `reject`\n"
         "  hint: say `action: reject`, or leave the key out"),
        ("block: {for: 10m}", "2:26: `block` belongs to the action `block`\n"
         "  hint: say `action: block`, or leave the key out"),
        ("rate: {pps: 1, sources: 5}", "2:50: sources belongs to a rate with `per`\n"
         "  hint: say `per: ip.src`, or leave `sources` out"),
        ("rate: {pps: 1, until: 2}", "2:48: until (2) is more than what is exceeded (1)\n  hint: half of it is usual"),
        ("rate: {pps: 1, hold: 5s}", "2:47: hold belongs to a rate with `until`\n"
         "  hint: say `until`, the rate below which the rule's action ends"),
        ("rate: {bps: 8000, burst: 100}", "2:51: a burst of 100 bytes is less than one frame\n"
         "  hint: the burst of a bps rate is in bytes; give at least 1514"),
        ("rate: {pps: 1, per: ah.sequense}", "2:46: there is no field 'ah.sequense'\n"
         "  hint: did you mean 'ah.sequence'? fields of ah are: ah.spi, ah.sequence; "
         "`flow` is addresses, protocol and ports"),
        ("rate: {pps: 1, per: []}", "2:46: per: this list is empty\n  hint: leave the key out, or give it an element"),
        ("rate: {pps: 1, per: 5}", "2:46: per: this is a number, but text is wanted"),
        ("rate: {pps: 1, per: [ip.src, 5]}", "2:55: this is a number, but text is wanted"),
        ("rate: {pps: 1, per: tcp.port}", "2:46: tcp.port stands for several places of a frame\n"
         "  hint: name one of them"),
        ("rate: {pps: 1, per: tcp.flags}", "2:46: a TCP flag can't be what a rate is per\n"
         "  hint: make it a condition of the rule"),
        ("rate: {pps: 1, per: tcp.dport/8}", "2:46: tcp.dport is no address, and has no prefix\n"
         "  hint: write tcp.dport"),
        ("rate: {pps: 1, per: [ip.src, ip.src/24]}", "2:55: ip.src/24 is there already\n"
         "  hint: remove one of the two"),
        ("rate: {pps: 1, per: ip.src/x}", "2:46: 'x' isn't a prefix length\n"
         "  hint: write ip.src, ip.src/48, or ip.src/24/48 for IPv4 and IPv6"),
        ("rate: {pps: 1, per: ip.src/33/48}", "2:46: a prefix of 33/48 is out of range\n"
         "  hint: IPv4 has 1 to 32 bits, IPv6 1 to 128"),
        ("rate: {pps: 1, per: [flow, ip.ttl, ip.len]}", "2:61: the key is larger than 64 bytes\n"
         "  hint: leave something out"),
        ("retransmit: {}", "2:38: only TCP retransmits\n"
         "  hint: add a field of TCP to `match:`, such as tcp.flags: {all: [syn], not: [ack]}"),
        ("retransmit: {after: 9}, match: {tcp.dport: 1}", "2:38: after (9 s) isn't less than before (8 s)\n"
         "  hint: a TCP stack tries again after 1, 3 and 7 seconds"),
    ],
)  # fmt: skip
def test_rules_that_are_refused(tmp_path: Path, rest: str, message: str) -> None:
    assert _rule(tmp_path, rest) == f"r.yaml:{message}"


def test_every_defect_is_told_in_the_order_of_places(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "allowlist: [5]\nrules:\n- {id: a, action: drop, match: {ip.src: x, tcp.dport: y}}")
    assert [line.split(": ")[0] for line in message.splitlines()[::2]] == ["r.yaml:1:13", "r.yaml:3:41", "r.yaml:3:55"]


def test_what_is_wrong_in_shape_hides_nothing_that_is_wrong_in_meaning(tmp_path: Path) -> None:
    text = """
defaults: {mode: enforced}
sets: {web: {type: ports, elements: [80]}, good: {type: port, elements: [x]}}
allowlist: [nobody]
extra: 1
rules:
- {id: a, action: dorp}
- {id: b, action: drop, match: {tcp.dprt: 1, tcp.sport: "@web"}}
- {id: b, action: drop, match: {ip.src: "@other"}, rate: {pps: 1, per: ip.srk}}
"""
    told = [line.split(": ", 1) for line in _refusal(tmp_path, text).splitlines() if not line.startswith("  ")]
    assert [place for place, _ in told] == [
        "r.yaml:2:18", "r.yaml:3:20", "r.yaml:3:74", "r.yaml:4:13", "r.yaml:5:1", "r.yaml:7:19", "r.yaml:8:33",
        "r.yaml:9:8", "r.yaml:9:41", "r.yaml:9:72",
    ]  # fmt: skip
    assert [what for _, what in told][-3:] == [
        "the id 'b' is taken", "there is no set 'other'", "there is no field 'ip.srk'"
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ["sets: 5", "include: [none.yaml]", "include: 7", "include: [a.yaml]"])
def test_a_set_that_may_be_defined_where_something_is_wrong_is_not_missing(tmp_path: Path, wrong: str) -> None:
    text = f"{wrong}\nrules: [{{id: a, action: drop, match: {{tcp.dport: '@s', udp.dprt: 1}}}}]"
    message = _refusal(tmp_path, text, a_yaml="sets: {s: [80]}")
    assert "there is no set" not in message
    assert "there is no field 'udp.dprt'" in message
    assert len([line for line in message.splitlines() if not line.startswith("  ")]) == 2


def test_a_refused_set_is_told_once(tmp_path: Path) -> None:
    text = "sets: {s: {type: port, elements: [x]}}\nrules: [{id: a, action: drop, match: {tcp.dport: '@s'}}]"
    assert _refusal(tmp_path, text).count("r.yaml:") == 1


def test_list_files_name_their_own_lines(tmp_path: Path) -> None:
    text = "sets: {s: {type: prefix, file: list.txt}}"
    message = _refusal(tmp_path, text, list_txt="# good\n192.0.2.0/24\n  nonsense # bad\n")
    assert message == (
        "list.txt:3:3: 'nonsense' isn't an IP prefix\n"
        "  hint: write an address like 192.0.2.1 or a prefix like 192.0.2.0/24 or 2001:db8::/32"
    )
    assert _refusal(tmp_path, "sets: {s: {type: prefix, file: none.txt}}") == (
        "r.yaml:1:32: none.txt: can't read the file: no such file or directory"
    )


def test_includes(tmp_path: Path) -> None:
    assert _refusal(tmp_path, "include: [r.yaml]") == (
        "r.yaml:1:11: r.yaml includes this file again\n  hint: remove one of the two include lines"
    )
    assert _refusal(tmp_path, 'include: ["a\\0b"]') == "r.yaml:1:11: 'a\\x00b' names no file"
    assert _refusal(tmp_path, "include: [a.yaml]", a_yaml="include: [r.yaml]") == (
        "a.yaml:1:11: r.yaml includes this file again\n  hint: remove one of the two include lines"
    )
    assert _refusal(tmp_path, "include: [a.yaml]", a_yaml="interfaces: []") == (
        "a.yaml:1:1: unknown key 'interfaces'\n  hint: known are: "
        "allowlist, connections, defaults, include, rules, sets, stages, syn_proxy, tunnels, version"
    )
    twice = "rules: [{id: a, action: drop}]"
    assert _refusal(tmp_path, f"include: [a.yaml]\n{twice}", a_yaml=twice) == (
        "r.yaml:2:14: the id 'a' is taken\n  hint: its first rule is at a.yaml:1:14"
    )


def test_too_many_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MOST_RULES", 1000)
    text = "rules:\n" + "\n".join(f"- {{id: r{n}, action: count}}" for n in range(1001))
    assert (
        _refusal(tmp_path, text)
        == "r.yaml:2:1: 1001 rules are more than 1000\n  hint: put addresses and ports into sets"
    )


WORDS = ["eq", "any", "not", "gt", "in", "all", "id", "match", "pps", "per"]
texts = st.text("@ax1./:-\"'", max_size=5)
leaves = st.none() | st.booleans() | st.integers(-5, 70000) | st.floats(allow_nan=False) | texts
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["id", "match", "action", "rate", "retransmit", "block", "mode", "direction", "description"]


@given(st.dictionaries(st.sampled_from(["defaults", "sets", "allowlist", "rules", "include", "version"]), trees))
def test_no_shape_of_document_ends_in_anything_but_a_message(tree: object) -> None:
    _survives(tree)


@given(st.dictionaries(st.sampled_from(KEYS), trees), st.dictionaries(st.sampled_from(sorted(MATCHERS)), trees))
def test_no_shape_of_rule_ends_in_anything_but_a_message(rest: dict[str, object], match: object) -> None:
    _survives(
        {
            "rules": [
                {"id": "a", "action": "drop", "match": match, **rest},
                {"id": "b", "action": "drop", "match": match},
            ]
        }
    )


def _survives(tree: object) -> None:
    from_json = parse_document(json.dumps(tree), "r.yaml")
    try:
        parse_rule_set(from_json, from_json.data)
    except RuleSetRefused as refused:
        assert all(defect.what for defect in refused.defects)
