"""The processes of a box, and what passes between them.

    control     this one: documents, rules, maps, metrics, signals; no capability                       (box.box)
    opener      the capabilities: opens sockets, isolates interfaces, hands descriptors over            (hooks.opener)
    datapath    judges frames, one process for each generation of code                        (datapath.hosts)
    keeper      the key                                                                           (box.approval.keeper)
    prover      reads an object, proves it, compiles it, and ends                                       (box.proving)

Which of them may do what, and what none of them can be kept from, docs/security.md says.
"""
