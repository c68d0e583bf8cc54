"""Who opens packet sockets and isolates interfaces: this process, or a small one that keeps the privilege for it."""
