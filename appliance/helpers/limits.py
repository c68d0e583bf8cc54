"""The bounds that the kernel sets to what helpers do."""

MAX_TAIL_CALLS = 33  # of one run (MAX_TAIL_CALL_CNT of include/linux/bpf.h)
MAX_LOOPS = 1 << 23  # iterations of one bpf_loop (BPF_MAX_LOOPS of include/linux/bpf_verifier.h)
