"""`tidegate exec`: the plugin contract of the bpf_conformance suite."""

from __future__ import annotations

import pytest

from appliance.cli.commands import exec as module
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec import encode
from tests.appliance.cli.conftest import Tidegate, process
from tests.appliance.ebpf.compiling import compile_c

ENGINES = ("interpreter", "jit")
FORTY_TWO = b"b7 00 00 00 2a 00 00 00 95 00 00 00 00 00 00 00"


def bytecode(text: str) -> bytes:
    return encode(assemble(text)).hex().encode()


both = pytest.mark.parametrize("engine", ENGINES)


@both
@pytest.mark.parametrize(
    ("text", "memory", "answer"),
    [
        ("r0 = 42\nexit", "", "2a"),
        ("r0 = -1\nexit", "", "ffffffffffffffff"),
        ("w0 = -1\nexit", "", "ffffffff"),
        ("r0 = 0\nexit", "", "0"),
        ("r0 = r2\nexit", "", "0"),
        ("r0 = r2\nexit", "00 11 22", "3"),
        ("r0 = *(u8 *)(r1 + 1)\nexit", "aabbcc", "bb"),
        ("r0 = *(u64 *)(r1 + 0)\nexit", "01 02 03 04 05 06 07 08", "807060504030201"),
        ("*(u8 *)(r1 + 0) = 7\nr0 = *(u16 *)(r1 + 0)\nexit", "ffff", "ff07"),
        ("r0 = 7\nr1 = 0\nr0 /= r1\nexit", "", "0"),
        ("r0 = 7\nr1 = 0\nr0 %= r1\nexit", "", "7"),
        ("r0 = 7\nr0 /= 2\nexit", "", "3"),
    ],
)
def test_answers(tidegate: Tidegate, engine: str, text: str, memory: str, answer: str) -> None:
    said = tidegate("exec", "--engine", engine, *filter(None, [memory]), stdin=bytecode(text))
    assert (said.status, said.out, said.err) == (0, f"{answer}\n", "")


@both
@pytest.mark.parametrize("stdin", [FORTY_TWO, FORTY_TWO.replace(b" ", b""), FORTY_TWO.replace(b" ", b"\n\t") + b"\n"])
def test_hex_may_have_spaces(tidegate: Tidegate, engine: str, stdin: bytes) -> None:
    assert tidegate("exec", "--engine", engine, "0 1 02", stdin=stdin).out == "2a\n"


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"", "standard input: no program\n  hint: give its bytecode as hex digits"),
        (b" \n", "standard input: no program\n  hint: give its bytecode as hex digits"),
        (b"b7 0", "standard input: not hex digits in pairs\n  hint: write bytes as in `b7 00 00 00`"),
        (b"mov r0, 1", "standard input: not hex digits in pairs\n  hint: write bytes as in `b7 00 00 00`"),
        (bytes(range(256)), "standard input: not hex digits in pairs\n  hint: write bytes as in `b7 00 00 00`"),
        ("b7٠٠".encode(), "standard input: not hex digits in pairs\n  hint: write bytes as in `b7 00 00 00`"),
    ],
)
def test_what_is_no_hex(tidegate: Tidegate, stdin: bytes, message: str) -> None:
    assert tidegate("exec", stdin=stdin).refused() == f"tidegate: {message}\n"


@pytest.mark.parametrize("memory", ["0", "zz", "00 0", "é0", "0x00"])
def test_memory_that_is_no_hex(tidegate: Tidegate, memory: str) -> None:
    expected = "tidegate: MEMORY-HEX: not hex digits in pairs\n  hint: write bytes as in `b7 00 00 00`\n"
    assert tidegate("exec", memory, stdin=FORTY_TWO).refused() == expected


@both
@pytest.mark.parametrize(
    "stdin",
    [b"b7" + b"00" * 6, b"ff" * 8, b"18" + b"00" * 7, b"05 00 7f ff 00 00 00 00", b"85 00 00 00 ff ff ff 7f"],
    ids=["cut", "no opcode", "half a wide constant", "jump out", "helper"],
)
def test_bytecode_of_wrong_form(tidegate: Tidegate, engine: str, stdin: bytes) -> None:
    assert tidegate("exec", "--engine", engine, stdin=stdin).refused().startswith("tidegate: ")


@both
@pytest.mark.parametrize("text", ["r10 = 5", "r10 %= r9", "r10 = *(u8 *)(r1 + 0)"])
def test_the_frame_pointer_stays(tidegate: Tidegate, engine: str, text: str) -> None:
    assert "r10 is read-only" in tidegate("exec", "--engine", engine, "00", stdin=bytecode(f"{text}\nexit")).refused()


def test_a_crash_is_a_message(tidegate: Tidegate) -> None:
    """A process of its own: pytest would tell of the signal, too."""
    wild = bytecode("r1 = 16\nr0 = *(u64 *)(r1 + 0)\nexit")
    done = process("exec", stdin=wild)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == (
        b"tidegate: the program was ended by SIGSEGV\n  hint: `--engine interpreter` says which access it was\n"
    )
    assert tidegate("exec", "--engine", "interpreter", stdin=wild).refused() == (
        "tidegate: slot 1 (r0 = *(u64 *)(r1 + 0)): r1 must be a pointer, and is a number\n"
    )


def test_no_end_is_a_message(tidegate: Tidegate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPU_SECONDS", 1)
    forever = bytecode("r0 = 0\n*(u64 *)(r10 - 8) = 1\nlock *(u64 *)(r10 - 8) += r0\ngoto -2")
    said = tidegate("exec", stdin=forever).refused()
    assert said == "tidegate: no end after 1 seconds\n  hint: `--engine interpreter` counts instructions\n"
    assert "no end after 1000000 instructions" in tidegate("exec", "--engine", "interpreter", stdin=forever).refused()


@both
def test_the_options_of_the_suite(tidegate: Tidegate, engine: str) -> None:
    """The memory stands before them, and an empty argument may stand for no options at all."""
    said = tidegate("exec", "--engine", engine, "07 08", "--program", "71 10 01 00 00 00 00 00  95" + "00" * 7)
    assert (said.status, said.out, said.err) == (0, "8\n", "")
    assert tidegate("exec", "--engine", engine, "07 08", "", stdin=FORTY_TWO).out == "2a\n"
    said = tidegate("exec", "--engine", engine, "--debug", stdin=FORTY_TWO)
    assert (said.status, said.out, said.err) == (0, "2a\n", "     0: r0 = 42\n     1: exit\n")


@both
def test_an_object(tidegate: Tidegate, engine: str) -> None:
    """Its first program, in the order of the file."""
    data = compile_c(
        'SEC("xdp") int first(struct xdp_md *ctx) { return 41; }\n'
        'SEC("xdp") int second(struct xdp_md *ctx) { return 42; }\n'
        'char _license[] SEC("license") = "GPL";\n'
    )
    assert tidegate("exec", "--engine", engine, "--elf", stdin=data.hex(" ").encode()).out == "29\n"


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["--elf"], FORTY_TWO, "standard input: "),
        (["--program", "b7 0"], b"", "--program: not hex digits in pairs\n  hint: write bytes as in `b7 00 00 00`\n"),
        (["--program", ""], FORTY_TWO, "--program: no program\n  hint: give its bytecode as hex digits\n"),
    ],
)
def test_options_that_are_wrong(tidegate: Tidegate, arguments: list[str], stdin: bytes, message: str) -> None:
    assert tidegate("exec", *arguments, stdin=stdin).refused().startswith(f"tidegate: {message}")


@both
def test_calls_through_registers(tidegate: Tidegate, engine: str) -> None:
    text = "r3 = func twice ll; r1 = 21; callx r3; exit; twice: r0 = r1; r0 += r1; exit"
    assert tidegate("exec", "--engine", engine, stdin=bytecode(text)).out == "2a\n"


def test_a_call_of_nothing_is_a_message() -> None:
    nothing = bytecode("r1 = 4711; callx r1; exit")
    assert b"the program was ended by SIG" in process("exec", stdin=nothing).stderr
    assert b"there is no helper 4711 here" in process("exec", "--engine", "interpreter", stdin=nothing).stderr


def test_as_a_process() -> None:
    done = process("exec", "--engine", "jit", "aa bb", stdin=bytecode("r0 = *(u8 *)(r1 + 1)\nexit"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"bb\n", b"")
