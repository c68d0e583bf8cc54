"""Approvals: who says that machine code may run, what exactly is said, and how it is checked.

    BuildRequest, Built ──Claim──> keeper ──signs──> Approval ──Trust.check──> Approved ──> linked and run
                                     │                              │
                              the private key                 public keys alone

    approvals, configured   from a request to what may run; from a document to all that it takes
    store, container        approvals in files: what a box remembers, and `OBJ.approved`
    keeping                 the process that has the key, and those who ask it
    trust                   the check; `differences`, `tables` and `image_symbols` are what it compares by
    envelope                a statement with its signatures (DSSE)
    keys, files             Ed25519 keys, in files that nobody else could have written
    statements              what is signed, as one text

This room is the one landlord of `cryptography`.
"""
