"""The bit fields of an eBPF opcode, one enumeration per field (RFC 9669, section 3).

A slot is 8 bytes, little endian:

    byte     0         1        2   3       4   5   6   7
         +--------+----+----+--------+-----------------------+
         | opcode |src |dst |offset  |       immediate       |
         +--------+----+----+--------+-----------------------+
                   hi   lo   s16            s32

    arithmetic and jumps          loads and stores
     7   4  3   2   0              7   5  4  3  2   0
    +------+---+-----+            +-----+----+-----+
    | code | s |class|            |mode |size|class|
    +------+---+-----+            +-----+----+-----+
"""

from __future__ import annotations

from enum import Enum, IntEnum


class InstructionClass(IntEnum):
    """Bits 0 to 2 of every opcode."""

    LD = 0x00
    LDX = 0x01
    ST = 0x02
    STX = 0x03
    ALU = 0x04
    JMP = 0x05
    JMP32 = 0x06
    ALU64 = 0x07


class Source(IntEnum):
    """Bit 3 of arithmetic and jumps: the second operand."""

    K = 0x00
    X = 0x08


class Size(IntEnum):
    """Bits 3 and 4 of loads and stores."""

    W = 0x00
    H = 0x08
    B = 0x10
    DW = 0x18


class Mode(IntEnum):
    """Bits 5 to 7 of loads and stores."""

    IMM = 0x00
    ABS = 0x20
    IND = 0x40
    MEM = 0x60
    MEMSX = 0x80
    ATOMIC = 0xC0


class AluCode(IntEnum):
    """Bits 4 to 7 of arithmetic."""

    ADD = 0x00
    SUB = 0x10
    MUL = 0x20
    DIV = 0x30
    OR = 0x40
    AND = 0x50
    LSH = 0x60
    RSH = 0x70
    NEG = 0x80
    MOD = 0x90
    XOR = 0xA0
    MOV = 0xB0
    ARSH = 0xC0
    END = 0xD0


class JumpCode(IntEnum):
    """Bits 4 to 7 of jumps."""

    JA = 0x00
    JEQ = 0x10
    JGT = 0x20
    JGE = 0x30
    JSET = 0x40
    JNE = 0x50
    JSGT = 0x60
    JSGE = 0x70
    CALL = 0x80
    EXIT = 0x90
    JLT = 0xA0
    JLE = 0xB0
    JSLT = 0xC0
    JSLE = 0xD0


class AtomicCode(IntEnum):
    """The immediate of an atomic operation; FETCH is a flag upon it. The last two came to Linux in 6.15."""

    ADD = 0x00
    OR = 0x40
    AND = 0x50
    XOR = 0xA0
    FETCH = 0x01
    XCHG = 0xE1
    CMPXCHG = 0xF1
    LOAD_ACQUIRE = 0x100
    STORE_RELEASE = 0x110


class PseudoSource(IntEnum):
    """The source field of a 64-bit immediate load: what the immediate names."""

    VALUE = 0
    MAP_FD = 1
    MAP_VALUE = 2
    VARIABLE = 3
    CODE = 4
    MAP_INDEX = 5
    MAP_INDEX_VALUE = 6


class CallKind(IntEnum):
    """The source field of a call: what the immediate names."""

    HELPER = 0
    LOCAL = 1
    BTF = 2


class AluOp(Enum):
    """What a binary arithmetic instruction computes; the value is the way it is written."""

    ADD = "+="
    SUB = "-="
    MUL = "*="
    DIV = "/="
    SDIV = "s/="
    OR = "|="
    AND = "&="
    LSH = "<<="
    RSH = ">>="
    MOD = "%="
    SMOD = "s%="
    XOR = "^="
    ARSH = "s>>="


class Condition(Enum):
    """What a conditional jump asks; the value is the way it is written."""

    EQ = "=="
    NE = "!="
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="
    SGT = "s>"
    SGE = "s>="
    SLT = "s<"
    SLE = "s<="
    SET = "&"


class AtomicOp(Enum):
    """What an atomic instruction does to memory."""

    ADD = "+="
    OR = "|="
    AND = "&="
    XOR = "^="
    XCHG = "xchg"
    CMPXCHG = "cmpxchg"
