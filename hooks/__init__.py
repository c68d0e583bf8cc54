"""The ground floor: what faces Linux (sockets, rings, netlink), and what each hook promises.

Nothing here imports the appliance, and nothing here knows eBPF bytecode.
"""
