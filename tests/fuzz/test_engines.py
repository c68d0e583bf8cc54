"""The engines agree on random programs: a bounded part of what `make fuzz` runs, always the same one."""

import pytest

from tests.fuzz.fuzz_engines import compiled, disagreements, interpreted, kernel_disagreement, kernel_is_there
from tests.fuzz.programs import random_program

BATCH = 50


@pytest.mark.parametrize("first", range(0, 400, BATCH))
def test_engines_agree(first: int) -> None:
    assert list(disagreements(range(first, first + BATCH), kernel=kernel_is_there())) == []


def test_linux_agrees_with_the_interpreter() -> None:
    """Without compiling, which takes most of the time."""
    if kernel_is_there():
        programs = [random_program(seed) for seed in range(400, 2000)]
        assert [find for each in programs for find in kernel_disagreement(each, interpreted(each))] == []


def test_a_disagreement_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.fuzz_engines.compiled", lambda programs: [(0, bytes(160)) for _ in programs])
    (find,) = disagreements([7], kernel=False)
    answer, memory = interpreted(random_program(7))
    assert find.startswith(f"seed 7: the interpreter gives {answer:#x} and native code 0x0\n")
    assert f"after, the interpreter  {memory.hex()}\nafter, native code      {'00' * 160}\n" in find
    assert find.endswith(": exit")


def test_a_seed_is_a_program() -> None:
    assert random_program(3) == random_program(3)
    assert random_program(3).instructions != random_program(4).instructions
    assert compiled([random_program(3)]) == [interpreted(random_program(3))]


def test_programs_use_every_instruction_that_needs_no_map() -> None:
    used = {type(each).__name__ for seed in range(200) for each in random_program(seed).instructions}
    assert used == {
        "Alu",
        "Atomic",
        "Branch",
        "ByteSwap",
        "CallFunction",
        "Exit",
        "Jump",
        "Load",
        "LoadConstant",
        "Move",
        "Negate",
        "Store",
    }
