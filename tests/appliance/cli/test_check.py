"""`tidegate check` and `tidegate compile`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.cli.commands import check
from appliance.ebpf.objects.objects import load_object_file
from appliance.rules import RuleSet
from appliance.rules.analysis import Analysis
from tests.appliance.cli.conftest import BOX, ROOT, Tidegate
from tests.appliance.rules.kernel import needs_kernel
from tests.bpffs import BPFFS


def test_check_says_what_the_box_would_do(tidegate: Tidegate, box: Path) -> None:
    said = tidegate("check", box)
    assert (said.status, said.err) == (0, "")
    assert re.fullmatch(
        re.escape(f"{box}: good. eth0 <-> eth1\n")
        + r"  2 rules, \d+ instructions; verified in \d+ ms, compiled in \d+ ms\n",
        said.out,
    )


def test_check_a_box_with_an_object(tidegate: Tidegate, tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    shutil.copy(ROOT / "programs" / "xdp_drop.bpf.o", tmp_path)
    config.write_text("version: 1\ninterfaces: [{outside: eth0, mode: tap}]\nprogram: {object: xdp_drop.bpf.o}\n")
    said = tidegate("check", config)
    assert said.status == 0
    assert said.out.startswith(f"{config}: good. eth0 (tap: nothing is enforced)\n  4 instructions; ")


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (
            "rules: [{id: a, match: {udp.dprot: 9}, action: drop}]\n",
            ":3:25: there is no field 'udp.dprot'\n  hint: did you mean 'udp.dport'? fields of udp are: ",
        ),
        ("rules: [{id: a, action: drop}, {id: a, action: pass}]\n", ":3:37: the id 'a' is taken"),
        ("colour: blue\n", ":3:1: "),
        ("rules: {\n", ""),
        ("program: {object: missing.o}\n", "missing.o: the file can't be read: No such file or directory"),
        ("workers: 0\n", ":3:10: "),
        ('metrics: {listen: "here"}\n', ":3:19: 'here' is not an address and a port"),
    ],
)
def test_check_refuses(tidegate: Tidegate, tmp_path: Path, rest: str, message: str) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(BOX + rest)
    said = tidegate("check", config).refused()
    assert said.startswith(f"tidegate: {tmp_path}/")
    assert message in said


def test_check_of_a_rule_set_alone(tidegate: Tidegate, rules: Path) -> None:
    said = tidegate("check", rules)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"{rules}: good. A rule set alone: a box needs `interfaces:` beside it.\n  2 rules, ")
    rules.write_text(rules.read_text() + "workers: 2\n")
    assert "unknown key 'workers'" in tidegate("check", rules).refused(), "a box without interfaces is no rule set"


UNREACHED = """\
rules:
  - {id: ssh, match: {tcp.dport: 22}, action: drop}
  - {id: office, match: {tcp.dport: 22, ip.src: 10.0.0.0/8}, action: pass}
  - {id: both, match: {tcp.dport: 1, udp.dport: 2}, action: drop}
"""


def test_check_warns_of_rules_that_decide_nothing(tidegate: Tidegate, tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(BOX + UNREACHED)
    said = tidegate("check", config)
    assert said.status == 0
    assert said.out.startswith(f"{config}: good. ")
    assert said.err == (
        f"tidegate: {config}:5:5: rule 'office' is shadowed: rule 'ssh' ({config}:4:5) matches all that it matches, and"
        " decides otherwise: drop\n"
        f"tidegate: {config}:6:5: rule 'both' is contradictory: no frame satisfies tcp.dport and udp.dport at once\n"
    )


def test_check_in_json(tidegate: Tidegate, tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(BOX + UNREACHED)
    said = tidegate("check", config, "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    assert list(document) == [
        *("file", "passages", "rules", "instructions", "verify_seconds", "compile_seconds"),
        *("warnings", "compared"),
    ]
    assert (document["passages"], document["rules"], document["compared"]) == (["eth0 <-> eth1"], 3, 3)
    office, both = document["warnings"]
    ssh = {"rule": "ssh", "file": str(config), "line": 4, "column": 5}
    assert office == {
        "kind": "shadowed",
        "rule": "office",
        "file": str(config),
        "line": 5,
        "column": 5,
        "by": [ssh],
        "reason": f"rule 'ssh' ({config}:4:5) matches all that it matches, and decides otherwise: drop",
    }
    assert (both["kind"], both["by"]) == ("contradictory", [])


def test_check_of_an_object_in_json(tidegate: Tidegate, tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    shutil.copy(ROOT / "programs" / "xdp_drop.bpf.o", tmp_path)
    config.write_text("version: 1\ninterfaces: [{outside: eth0, mode: tap}]\nprogram: {object: xdp_drop.bpf.o}\n")
    document = tidegate("check", config, "--json").document
    assert (document["rules"], document["warnings"], document["compared"]) == (0, [], 0)


def test_check_says_where_it_stopped_comparing(
    tidegate: Tidegate, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(rules: RuleSet) -> Analysis:
        return Analysis((), 1, len(rules.rules))

    monkeypatch.setattr(check, "find_unreached", cut)
    said = tidegate("check", rules)
    assert said.err == f"tidegate: {rules}: only the first 1 of 2 rules were compared with those before them\n"
    assert tidegate("check", rules, "--json").document["compared"] == 1


def test_every_mistake_is_told_in_one_run(tidegate: Tidegate, tmp_path: Path) -> None:
    """Of keys, values, conditions, sets and interfaces, in the order of their places."""
    config = tmp_path / "box.yaml"
    config.write_text(
        "version: 1\n"
        "interfaces: [{outside: eth0}]\n"
        "wokers: 2\n"
        "sets: {office: {type: prefix, elements: [10.0.0.1/8]}}\n"
        "rules:\n"
        "  - {id: a, match: {udp.dprot: 9}, action: drop}\n"
        "  - {id: a, match: {tcp.dport: 70000, ip.src: '@home'}, action: drop}\n"
        "  - {id: b, match: {tcp.flags: [syn]}, action: drop}\n"
    )
    place = rf"(?m)^(?:tidegate: )?{re.escape(str(config))}:(\d+):"
    told = re.findall(place, tidegate("check", config).refused())
    assert set(map(int, told)) == {2, 3, 4, 6, 7, 8}
    assert told == sorted(told, key=int)


def test_check_an_object_that_the_verifier_rejects(tidegate: Tidegate, tmp_path: Path, unsafe: Path) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(BOX + f"program: {{object: {unsafe}, inward: bad}}\n")
    assert "unsafe.bpf.c:5" in tidegate("check", config).refused()
    config.write_text(BOX + f"program: {{object: {unsafe}}}\n")
    assert "name one (`inward` in a box, `--program` in a replay): good, bad" in tidegate("check", config).refused()
    config.write_text(BOX + f"program: {{object: {unsafe}, inward: good, outward: none}}\n")
    assert "no program 'none' in the object\n  hint: it holds: good, bad" in tidegate("check", config).refused()


def test_compile(tidegate: Tidegate, rules: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.o"
    said = tidegate("compile", rules, "-o", output)
    assert (said.status, said.err) == (0, "")
    assert said.out == f"{output}: {output.stat().st_size} bytes, 2 rules\n"
    assert list(load_object_file(output).programs) == ["tidegate_in", "tidegate_out"]
    assert tidegate("compile", rules, "--output", tmp_path / "same.o").status == 0
    assert (tmp_path / "same.o").read_bytes() == output.read_bytes()


@needs_kernel
def test_what_compile_writes_is_for_libbpf(tidegate: Tidegate, rules: Path, tmp_path: Path) -> None:
    output, home = tmp_path / "out.o", BPFFS / "tidegate-test-compile"
    tidegate("compile", rules, "-o", output)
    try:
        command = ["bpftool", "prog", "loadall", str(output), str(home), "type", "xdp"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in home.iterdir()) == ["tidegate_in", "tidegate_out"]
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize(("place", "reason"), [("missing/out.o", "No such file or directory"), ("", "Is a directory")])
def test_compile_where_nothing_can_be_written(
    tidegate: Tidegate, rules: Path, tmp_path: Path, place: str, reason: str
) -> None:
    output = tmp_path / place
    assert tidegate("compile", rules, "-o", output).refused(2) == f"tidegate: {output}: can't be written: {reason}\n"


def test_compile_of_a_refused_rule_set_writes_nothing(tidegate: Tidegate, tmp_path: Path) -> None:
    source, output = tmp_path / "rules.yaml", tmp_path / "out.o"
    source.write_text("rules: [{id: a, action: explode}]\n")
    assert f"{source}:1:25: " in tidegate("compile", source, "-o", output).refused()
    assert not output.exists()


def test_files_of_trust_are_read(tidegate: Tidegate, box: Path) -> None:
    box.write_text(box.read_text() + "trust: {keys: [release.pub]}\n")
    assert f"{box.parent / 'release.pub'}: no such file" in tidegate("check", box).refused()
    (box.parent / "release.pub").write_text("no key")
    assert "it holds no public key" in tidegate("check", box).refused()
    assert tidegate("keygen", "-o", box.parent / "other.pem").status == 0
    (box.parent / "other.pub").rename(box.parent / "release.pub")
    assert tidegate("check", box).status == 0
    box.write_text(box.read_text().replace("{keys: [release.pub]}", "{revoked: revoked}"))
    (box.parent / "revoked").write_text("key me\n")
    assert "the line revokes nothing" in tidegate("check", box).refused()
