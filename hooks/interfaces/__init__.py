"""The machine's network interfaces: found, told apart, tuned, shut to the host, and put back."""
