"""The guard's engine in the kernel: the object's programs attached to a control group of version 2.

object ──> proofs ──> witnessed programs ──> proofs ──> bpf(2) ──> links to a group of its own ──> the command in it
                          (witness)                        └─ maps (maps), counts and denials (tally)
"""
