"""Every form of the language means what it says, and what is wrong is named with its place."""

import pytest
from hypothesis import given

from appliance.ebpf.isa.assembler import AssemblyError, assemble
from appliance.ebpf.isa.assembler.grammar import forms
from appliance.ebpf.isa.disassembler import disassemble, statement
from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Immediate,
    Instruction,
    Jump,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Register,
    Store,
    slot_numbers,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition
from appliance.ebpf.platform import WINDOWS
from appliance.errors import SourceLine
from tests.appliance.ebpf.strategies import programs

FORMS: list[tuple[str, Instruction]] = [
    ("r1 = 7", Move(64, 1, Immediate(7))),
    ("w1 = 0xffffffff", Move(32, 1, Immediate(-1))),
    ("r1 = -0x10", Move(64, 1, Immediate(-16))),
    ("w1 = w2", Move(32, 1, Register(2))),
    ("r1 = (s32)r2", Move(64, 1, Register(2), 32)),
    ("w1 = (s16) w2", Move(32, 1, Register(2), 16)),
    ("r3=-r3", Negate(64, 3)),
    ("r1 += r2", Alu(AluOp.ADD, 64, 1, Register(2))),
    ("w1 s>>= 3", Alu(AluOp.ARSH, 32, 1, Immediate(3))),
    ("r1 s/= -3", Alu(AluOp.SDIV, 64, 1, Immediate(-3))),
    ("w1 s%= w4", Alu(AluOp.SMOD, 32, 1, Register(4))),
    ("r1 = be16 r1", ByteSwap("be", 16, 1)),
    ("r1 = le64 r1", ByteSwap("le", 64, 1)),
    ("r1 = bswap32 r1", ByteSwap("swap", 32, 1)),
    ("r1 = *(u32 *)(r2 + 4)", Load(4, 1, 2, 4)),
    ("w1 = *(u8*)(r2-1)", Load(1, 1, 2, -1)),
    ("r1 = *(s16 *)(r2)", Load(2, 1, 2, 0, True)),
    ("*(u64 *)(r10 - 0x10) = r1", Store(8, 10, -16, Register(1))),
    ("*(u32 *)(r10 - 4) = w1", Store(4, 10, -4, Register(1))),
    ("*(u8 *)(r10 - 4) = 5", Store(1, 10, -4, Immediate(5))),
    ("lock *(u64 *)(r1 + 8) ^= r2", Atomic(AtomicOp.XOR, 8, 1, 8, 2, False)),
    ("lock *(u32 *)(r1 + 8) += w2", Atomic(AtomicOp.ADD, 4, 1, 8, 2, False)),
    ("w3 = load_acquire((u16 *)(r1 + 2))", Load(2, 3, 1, 2, ordered=True)),
    ("r3 = load_acquire((u64 *)(r1 - 8))", Load(8, 3, 1, -8, ordered=True)),
    ("store_release((u8 *)(r1 + 0), w2)", Store(1, 1, 0, Register(2), ordered=True)),
    ("store_release((u64 *)(r1 + 0), r2)", Store(8, 1, 0, Register(2), ordered=True)),
    ("r2 = atomic_fetch_or((u64 *)(r1 + 0), r2)", Atomic(AtomicOp.OR, 8, 1, 0, 2, True)),
    ("w2 = xchg32_32(r1 + 0, w2)", Atomic(AtomicOp.XCHG, 4, 1, 0, 2, True)),
    ("r0 = cmpxchg_64(r1 - 8, r0, r2)", Atomic(AtomicOp.CMPXCHG, 8, 1, -8, 2, True)),
    ("r0 = *(u16 *)skb[12]", LegacyPacketLoad(2, 12, None)),
    ("r0 = *(u8 *)skb[r3 + 14]", LegacyPacketLoad(1, 14, 3)),
    ("r1 = 0x1122334455667788 ll", LoadConstant(1, 0x1122334455667788)),
    ("r1 = -1 ll", LoadConstant(1, (1 << 64) - 1)),
    ("r1 = map[flows] ll", LoadMap(1, "flows")),
    ("r1 = map[.rodata.str1][0] + 16 ll", LoadMapValue(1, ".rodata.str1", 16)),
    ("r1 = func self ll", LoadFunction(1, 0)),
    ("goto self", Jump(0)),
    ("goto -1", Jump(0)),
    ("gotol pc-1", Jump(0, long=True)),
    ("if r1 s<= r2 goto self", Branch(Condition.SLE, 64, 1, Register(2), 0)),
    ("if w1 & 3 goto -1", Branch(Condition.SET, 32, 1, Immediate(3), 0)),
    ("call 99", CallHelper(99)),
    ("call map_lookup_elem", CallHelper(1)),
    ("call bpf_csum_diff#28", CallHelper(28)),
    ("call self", CallFunction(0)),
    ("call kernel 5", CallKernel(5)),
    ("callx r3", CallRegister(3)),
    ("exit", Exit()),
]


@pytest.mark.parametrize(("text", "instruction"), FORMS, ids=[text for text, _ in FORMS])
def test_every_form(text: str, instruction: Instruction) -> None:
    assert assemble(f"self: {text}") == (instruction,)


def test_every_form_is_shown_and_only_one_matches() -> None:
    used = set()
    for text, _ in FORMS:
        matching = [index for index, (pattern, _) in enumerate(forms()) if pattern.fullmatch(text.split("#")[0])]
        assert len(matching) == 1, text
        used |= set(matching)
    assert used == set(range(len(forms())))


@given(programs())
def test_a_listing_assembles_to_the_program(program: tuple[Instruction, ...]) -> None:
    assert assemble("\n".join(disassemble(program))) == program


def test_statements_labels_and_comments() -> None:
    text = """
        ; rules.yaml:3: quoted source
        0: r0 = 1; if r1 == 0 goto out   # first
        r0 = 0x5 ll                      // wide: two slots
    out:
        exit;
    """
    assert assemble(text) == (
        Move(64, 0, Immediate(1)),
        Branch(Condition.EQ, 64, 1, Immediate(0), 3),
        LoadConstant(0, 5),
        Exit(),
    )


def test_distances_count_slots() -> None:
    assert assemble("goto +2; r1 = 5 ll; exit")[0] == Jump(2)


def test_helpers_are_the_platform_s() -> None:
    assert assemble("call ktime_get_ns", WINDOWS) == (CallHelper(9),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "r0 = 1\n  frobnicate r1",
            "p.asm:2:3: 'frobnicate r1' is no instruction\n  hint: for example: r1 = 7, w1 += r2, "
            "r1 = *(u32 *)(r2 + 4), if r1 > 3 goto out, call map_lookup_elem, exit",
        ),
        (
            "if r1 <> 2 goto out",
            "p.asm:1:1: 'if r1 <> 2 goto out' is no instruction\n  hint: if r1 > r2 goto label; conditions are "
            "== != > >= < <= s> s>= s< s<= &",
        ),
        ("r11 = 1", "p.asm:1:1: there is no register r11\n  hint: registers are r0 to r10"),
        ("exit; w1 = r2", "p.asm:1:12: r2 has the wrong width here\n  hint: write w2"),
        (
            "r1 = 0x80000000",
            "p.asm:1:6: 0x80000000 does not fit in 32 bits\n  hint: r1 = 0x80000000 ll loads 64 bits",
        ),
        ("r1 = *(u8 *)(r2 + 40000)", "p.asm:1:17: + 40000 does not fit in 16 bits"),
        ("r1 = be16 r2", "p.asm:1:11: this works on one register: r1 and r2 differ\n  hint: write r1 twice"),
        ("goto out", "p.asm:1:6: there is no label 'out'\n  hint: a label is a name and a colon"),
        ("goto end; end:", "p.asm:1:6: no instruction follows the label 'end'"),
        ("goto +1; r1 = 0 ll", "p.asm:1:6: no instruction starts +1 slots from here\n  hint: use a label"),
        ("a: exit; a: exit", "p.asm:1:10: the label 'a' is defined twice"),
        ("redirect: exit", "p.asm:1:1: 'redirect' is a helper's name and can't be a label"),
        ("lock *(u8 *)(r1 + 0) += r2", "p.asm:1:8: u8 is not possible here\n  hint: use u32 or u64"),
        ("w1 = *(s8 *)(r1 + 0)", "p.asm:1:1: a load of s8 fills 64 bits\n  hint: write r1"),
        (
            "w1 = (s32)w2",
            "p.asm:1:7: a 32-bit move can't extend s32\n  hint: use s8, s16, or s32 between r registers",
        ),
        (
            "r1 = cmpxchg_64(r2 + 0, r0, r3)",
            "p.asm:1:1: a compare-and-exchange compares with register 0, not r1",
        ),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(AssemblyError) as refused:
        assemble(text, source="p.asm")
    assert str(refused.value) == message


def test_the_place_keeps_the_line() -> None:
    with pytest.raises(AssemblyError) as refused:
        assemble("exit\n r1 == 2", source="p.asm")
    assert refused.value.where == SourceLine("p.asm", 2, 2, " r1 == 2")


def test_one_statement_alone() -> None:
    program = assemble("if r1 > 3 goto out; r1 = 7 ll; out: exit")
    assert statement(program[0], slot_numbers(program)) == "if r1 > 3 goto L3"
