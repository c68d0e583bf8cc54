"""A guard's document: every mistake in one run, each with its place and what would make it right."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from appliance.rules.errors import RuleSetRefused
from appliance.rules.model import Mode
from appliance.rules.sockets import is_guard, load_guard_rules
from appliance.rules.sockets.model import EVERY_OP, GuardAction, Op, Target

WRONG = """\
    verison: 1
    sets:
      live: {type: prefix, file: list.txt}
    guard:
      default: permitt
      rules:
        - {id: a, match: {op: bnd, prot: 3}, action: deny}
        - {id: a, match: {op: bind, ip.dst: 192.0.2.1}, action: redirect}
        - {id: c, match: {port: "@offce", user: nobdy}, action: deny, errno: ECONNREFUSE}
        - {id: d, match: {exe: curl, cgroup: a/../b}, actoin: deny}
        - {id: e, match: {op: connect}, action: redirect, to: "[::1]:80"}
        - {id: default, match: {ip.src: 10.0.0.1, ip.dst: 10.0.0.2}, action: redirect, to: nowhere}
        - {id: g, match: {op: connect, exe: {lt: 3}}, action: count, errno: EPERM}
        - {id: h, match: {exe: curl, cgroup: a/../b, op: {any: [bind], not: [bind]}}, action: permit, to: ":1"}
        - {id: i, match: {exe: [], cgroup: 3, op: {}}, action: redirect, to: [":0"]}
        - {id: k, match: {ip.dst . port: "@live"}, action: permit}
        - {id: j, match: {port: {gt: 70000}}, action: redirect, to: ["127.0.0.1:1", "127.0.0.2:1"]}
"""
TOLD = """\
1:1: unknown key 'verison'
  hint: did you mean 'version'?
3:9: the sets of a guard are constant
  hint: say `constant: true`, or list its elements; a combination or a database can't guard
5:12: default: 'permitt' isn't one of permit, deny
  hint: did you mean 'permit'?
7:27: 'bnd' is no call that rules judge
  hint: did you mean 'bind'?
7:32: a rule about sockets has no field 'prot'
  hint: did you mean 'proto'?
8:7: `to` and the action redirect belong together
  hint: write `action: redirect, to: "127.0.0.1:8080"`, or `to: ":8080"` for the port alone
8:12: the id 'a' is taken
  hint: its first rule is at guard.yaml:7:12
8:33: a call of bind has no ip.dst
  hint: ip.dst belongs to connect and sendmsg
9:29: there is no set 'offce'
  hint: known are: live
9:45: 'nobdy' isn't a name or number of a user
  hint: a number, or a name: did you mean 'nobody'?
9:74: there is no errno 'ECONNREFUSE'
  hint: did you mean 'ECONNREFUSED'?
10:7: the key 'action' is missing
10:51: unknown key 'actoin'
  hint: did you mean 'action'?
11:59: a call of IPv4 can't be sent to an IPv6 address
  hint: add a target of IPv4, or match addresses of IPv6 alone (ip.dst: "::/0")
12:12: the id 'default' is that of a counter of every guard
  hint: choose another id
12:28: no call has both a source and a destination
  hint: make them two rules
12:88: 'nowhere' is no address with a port
  hint: write "127.0.0.1:8080", "[::1]:8080", or ":8080" for the port alone
13:42: exe takes no operator 'lt'
  hint: known are: any, eq, in, not
13:66: errno belongs to the action deny
  hint: leave it out
"""


def load(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "guard.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def test_every_mistake_is_told_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("192.0.2.0/24\n")
    load(tmp_path, WRONG)
    with pytest.raises(RuleSetRefused) as refused:
        load_guard_rules("guard.yaml")
    told = str(refused.value).replace("guard.yaml:", "").replace("rule is at ", "rule is at guard.yaml:")
    assert told.startswith(TOLD.rstrip("\n")), told
    rest = told.removeprefix(TOLD.rstrip("\n"))
    for what in (
        "'curl' is no absolute path",
        "'a/../b' is no path of a cgroup",
        "op can't have any value here",
        "exe: this list is empty",
        "cgroup: 3 is no word",
        "op has no value",
        "0 is no port to send a call to",
        "a rule about sockets combines no fields",
        "70000 is out of range",
        "two targets are one of IPv4 and one of IPv6",
    ):
        assert rest.count(what) == 1, (what, rest)
    assert rest.count("`to` and the action redirect belong together") == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("guard: {}\n", "this guard would judge nothing"),
        ("version: 1\n", "the key 'guard' is missing"),
        ("guard: {rules: [{id: a, action: deny}, 3]}\n", "this is a number, not a mapping of keys"),
        ("guard: {rules: [{id: A, action: deny}]}\n", "'A' isn't a name"),
        (
            "guard: {rules: [" + ", ".join(f"{{id: r{n}, action: permit}}" for n in range(501)) + "]}\n",
            "501 rules are more than 500",
        ),
        (
            "guard: {rules: [{id: a, action: deny, match: {exe: [" + ", ".join(f"/{n}" for n in range(65)) + "]}}]}\n",
            "65 different paths of `exe` and `cgroup` are more than 64",
        ),
        (
            "guard: {rules: ["
            + ", ".join(f"{{id: r{n}, action: deny, match: {{port: {list(range(1, 101, 2))}}}}}" for n in range(31))
            + "]}\n",
            "the rules together make 1550 compares, and there is room for 1500",
        ),
    ],
)
def test_what_is_no_guard(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(RuleSetRefused, match=what):
        load_guard_rules(load(tmp_path, text))


def test_what_rules_mean(tmp_path: Path) -> None:
    path = load(
        tmp_path,
        """\
        defaults: {mode: monitor}
        guard:
          rules:
            - {id: all, action: deny}
            - {id: dst, match: {ip.dst: 192.0.2.1}, action: deny, mode: enforce, errno: EACCES}
            - {id: six, match: {ip.dst: "2001:db8::1"}, action: redirect, to: "[::1]"}
            - {id: four, action: redirect, to: "127.0.0.1:80"}
        """,
    )
    assert is_guard(path)
    every, dst, six, four = load_guard_rules(path).rules
    assert (every.ops, every.mode, every.action, every.where.line) == (EVERY_OP, Mode.MONITOR, GuardAction.DENY, 4)
    assert (dst.ops, dst.mode, dst.errno) == ({Op.CONNECT, Op.SENDMSG}, Mode.ENFORCE, 13)
    assert six.targets == {6: Target(6, 1, None)}
    assert four.targets == dict.fromkeys((4, 6), Target(4, 0x7F000001, 80))
