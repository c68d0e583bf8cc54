"""The control plane of maps: what Python opens, reads, changes and closes."""
