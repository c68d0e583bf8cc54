"""What `tidegate verify` writes: the table as its rows come, listings, graphs; and how it ends, whatever is given."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from appliance.cli.verification import ObjectFile, Selection
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier import Verifier
from tests.appliance.cli.conftest import PROGRAM, ROOT, Tidegate, process
from tests.appliance.ebpf.compiling import compile_c

FIREWALL = ROOT / "programs" / "xdp_firewall.bpf.o"
PASS = ROOT / "programs" / "xdp_pass.bpf.o"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}

SLOW = """
SEC("xdp") int quick(struct xdp_md *c) { return 2; }
SEC("%s") int slow(struct xdp_md *c) {
    unsigned long x = c->rx_queue_index;
    for (unsigned long i = 0; i < 100000000; i++) asm volatile("%%0 += 1" : "+r"(x));
    return x & 1;
}
"""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A program that is accepted at once, and one that takes seconds."""
    path = tmp_path / "slow.o"
    path.write_bytes(compile_c(SLOW % "xdp"))
    return path


def test_a_row_for_each_program_and_the_rejections_below(tidegate: Tidegate, unsafe: Path) -> None:
    said = tidegate("verify", unsafe)
    assert (said.status, said.err) == (1, "")
    heading, good, bad, foreign, blank, *below = said.out.splitlines()
    assert heading.split() == ["file", "section", "program", "type", "instructions", "verdict", "ms", "reason"]
    assert re.fullmatch(rf"{unsafe}  xdp +good +xdp +2  accepted +\d+\.\d", good)
    assert re.fullmatch(
        rf"{unsafe}  xdp/second +bad +xdp +\d+  rejected +\d+\.\d  .*unsafe\.bpf\.c:5:12: reads .*", bad
    )
    assert re.fullmatch(rf"{unsafe}  syscall +foreign +0  unsupported +0\.0  a program of this kind .*", foreign)
    assert (blank, below[0]) == ("", "bad: rejected")
    assert below[1] == bad[bad.index("/", bad.index("rejected")) :]
    starts = {line.index(name) for line, name in ((heading, "verdict"), (good, "accepted"), (foreign, "unsupported"))}
    assert len(starts) == 1, "columns are straight"


def test_a_row_is_seen_before_the_next_program_is_judged(slow: Path) -> None:
    with verifying(slow) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith(b"file ")
        assert b" accepted " in running.stdout.readline()
        assert running.poll() is None


def test_ctrl_c_ends_a_long_verification(slow: Path) -> None:
    with verifying(slow) as running:
        assert running.stdout is not None
        for _ in range(2):
            running.stdout.readline()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, b"", b"\n"), "a line of its own for the prompt"


def verifying(*arguments: object) -> subprocess.Popen[bytes]:
    """The command as a process that ends with the test."""
    line = [*PROGRAM, "verify", *map(str, arguments)]
    return Ended(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, preexec_fn=interruptible)


def interruptible() -> None:
    """In the child: Ctrl-C is what it is at a prompt. A shell's background jobs begin with it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Ended(subprocess.Popen[bytes]):
    """Killed, if it still runs when its block is left."""

    def __exit__(self, *arguments: object) -> None:
        self.kill()
        super().__exit__(None, None, None)


def on_a_terminal(folder: Path, *arguments: object) -> str:
    """What the command writes to a terminal, standard output and error together."""
    ours, theirs = pty.openpty()
    line = [*PROGRAM, *map(str, arguments)]
    with subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT, cwd=folder) as running:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # EIO: nobody has the other end any more
                break
            written += piece
    os.close(ours)
    assert running.returncode in (0, 1)
    return written.decode()


def test_a_terminal_sees_progress_and_colours_and_no_line_too_long(unsafe: Path) -> None:
    written = on_a_terminal(unsafe.parent, "verify", "--section", "xdp/second", unsafe.name)
    assert "\r\x1b[K1 of 1: xdp/second: bad …\r\x1b[K" in written
    assert "\x1b[31mrejected" in written
    table = written.partition("\r\n\r\n")[0]
    shown = re.sub(r"\x1b\[[0-9;]*[mK]", "", table).replace("\r\n", "\n").rpartition("\r")[2]
    assert max(len(line) for line in shown.splitlines()) == 100, "the reason is cut, and stands below in full"


@pytest.mark.parametrize("option", ["--json", "-v", "--dot"])
def test_a_terminal_sees_progress_whatever_is_printed(unsafe: Path, option: str) -> None:
    written = on_a_terminal(unsafe.parent, "verify", option, "--program", "good", unsafe.name)
    assert written.startswith("\r\x1b[K1 of 1: xdp: good …\r\x1b[K")
    assert written.count("\x1b") == 2


def test_names_break_no_line(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "new\nline\x1b[31m.o"
    path.write_bytes(PASS.read_bytes())
    _heading, row = tidegate("verify", path).out.splitlines()
    assert "new?line?[31m.o" in row
    assert "\x1b" not in row


def test_listings_of_what_is_known(tidegate: Tidegate, unsafe: Path) -> None:
    said = tidegate("verify", "-v", unsafe)
    assert (said.status, said.err) == (1, "")
    good, bad, foreign = re.split(r"\n\n(?=xdp/second: bad\n|syscall: foreign\n)", said.out)
    assert good.startswith("xdp: good\n\nblock at slot 0\n; ")
    assert good.endswith("\n\ngood: accepted")
    assert "\n\nblock at slot 0\n            r1: a pointer to the context\n; " in bad
    assert re.search(r"\n            r1: a pointer to the packet\n(; .*\n)?-->     1: ", bad)
    assert "\nrejected: reads byte 0 past `data`" in bad
    assert "\n\nbad: rejected\n" in bad
    assert foreign.startswith("syscall: foreign\n\nforeign: unsupported\n")
    alone = tidegate("verify", "--verbose", unsafe, "--program", "good")
    assert (alone.status, alone.out) == (0, good + "\n")


def test_graphs_alone_on_standard_output(tidegate: Tidegate, unsafe: Path) -> None:
    said = tidegate("verify", "--dot", unsafe)
    assert said.status == 1
    assert said.err.startswith(f"tidegate: {unsafe}: no graph of foreign, which is unsupported: ")
    taken = subprocess.run(["dot", "-Tplain"], input=said.out, capture_output=True, text=True, check=True, timeout=60)
    assert taken.stdout.count("graph ") == 2
    alone = tidegate("verify", "--dot", unsafe, "--program", "good")
    assert (alone.status, alone.err) == (0, "")
    assert alone.out.startswith('digraph "good" {\n')


@pytest.mark.parametrize("options", [["-v", "--json"], ["--dot", "--json"], ["--dot", "-v"], ["--dot", "-v", "--json"]])
def test_options_that_contradict_each_other(tidegate: Tidegate, options: list[str]) -> None:
    assert " can't be given together: say how you want the answer\n" in tidegate("verify", *options, PASS).refused(2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--type", "nonsense"], "Invalid value for '--type': 'nonsense' is not one of "),
        (["--platform", "plan9"], "Invalid value for '--platform': 'plan9' is not one of "),
        (["--section"], "Option '--section' requires an argument."),
        (["--states"], "No such option '--states'"),
    ],
)
def test_options_that_are_none(tidegate: Tidegate, options: list[str], said: str) -> None:
    assert said in tidegate("verify", PASS, *options).refused(2)


def test_a_type_that_the_platform_does_not_have(tidegate: Tidegate) -> None:
    message = tidegate("verify", PASS, "--platform", "windows", "--type", "kprobe").refused()
    assert message == (
        f"tidegate: {PASS}: no program of platform windows is of the type kprobe\n"
        "  hint: leave out --type, or say --platform linux\n"
    )


def test_an_object_without_programs(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "data.o"
    path.write_bytes(compile_c("int counter;"))
    message = f'tidegate: {path}: the file holds no program\n  hint: put the program into a section: SEC("xdp")\n'
    for option in ("--json", "-v", "--dot", "--platform=linux"):
        assert tidegate("verify", path, option).refused() == message


def test_an_object_of_another_machine(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "host.o"
    subprocess.run(["gcc", "-xc", "-c", "-", "-o", str(path)], input=b"int main(void) { return 0; }", check=True)
    assert tidegate("verify", path).refused().startswith(f"tidegate: {path}: ")


def test_one_file_of_several_that_is_none_is_said_before_anything(tidegate: Tidegate, tmp_path: Path) -> None:
    missing = tmp_path / "missing.o"
    assert tidegate("verify", PASS, missing).refused().startswith(f"tidegate: {missing}: the file can't be read")


@pytest.mark.parametrize("option", ["--json", "-v", "--dot", "--platform=linux"])
def test_a_reader_that_leaves(option: str) -> None:
    done = process("verify", option, *[FIREWALL] * 4, shell="| head -1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


@pytest.mark.parametrize("option", ["--json", "-v", "--dot", "--platform=linux"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams(unsafe: Path, option: str, closed: str) -> None:
    done = process("verify", option, "--program", "bad", unsafe, shell=closed)
    assert (done.returncode, done.stderr) == (1, b"")
    assert bool(done.stdout) == (closed == "2>&-")


def test_a_kind_that_is_found_by_trying_is_tried_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And a program that no kind can save is not tried as another."""
    path = tmp_path / "custom.o"
    path.write_bytes(compile_c(SLOW % "mine"))
    file = ObjectFile(path, Selection(name="slow"))
    kinds: list[str] = []
    verify = Verifier.verify

    def counted(self: Verifier, spec: ProgramSpec) -> object:
        kinds.append(spec.hook.name)
        return verify(self, spec)

    monkeypatch.setattr(Verifier, "verify", counted)
    [program] = file.programs
    assert json.dumps(file.verify(program).row.report).count('"kind": "budget"') == 1
    assert kinds == ["tc"]


FIND_VMA = """
struct task_struct;
static long seen(struct task_struct *task, void *area, void *data) { return 0; }
SEC("raw_tp/sys_enter") int looks(void *c) {
    bpf_find_vma(bpf_get_current_task_btf(), 0, seen, 0, 0);
    return 0;
}
char _license[] SEC("license") = "GPL";
"""


def test_a_helper_whose_callbacks_are_not_known_is_unsupported(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "vma.o"
    path.write_bytes(compile_c(FIND_VMA))
    [row] = tidegate("verify", path, "--json").document
    assert row["verdict"] == "unsupported"
    assert "calls `find_vma`, and what it calls its function with is not known here" in row["reason"]
