"""The socket hooks at work: programs that judge what processes do with addresses.

object ──> Hooks (which programs stand where) ──> Judge ──> Judgement
                                                   ^           │
engine (seccomp; the kernel's own) ── a call ──────┘           └──> permitted, denied, sent elsewhere
"""
