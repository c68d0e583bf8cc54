"""How a rejection came about, for a person: from what is known where it failed back to what has a part in it.

    reporting     the report of a rejection: its place, what is known there, the path, the words
    causes        back along one path: `blame` says what the demand is about, `effects` what an instruction did to it,
                  `deciding` and `sides` which branches matter, `replay` what was known between
    endless       a loop without an end        spread    a budget that is spent
    notes, words  what was found, told once, in words

Nothing here is run for a program that is accepted.
"""
