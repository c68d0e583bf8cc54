"""eBPF itself: its instructions, how they are spelled in bytes and in text, what a file says, and how a program runs.

bytes ──> codec ──> instructions <── assembler <── text
                      │      └──> disassembler ──> listing
object file ──> objects, btf, relocation ──> spec ──> interpreter
"""
