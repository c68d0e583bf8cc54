"""eBPF in Linux itself: its maps and programs, as descriptors."""
