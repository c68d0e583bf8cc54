"""Approvals: who says that machine code may run, what exactly is said, and how it is checked.

    BuildRequest, Built ──Claim──> keeper ──signs──> Approval ──Trust.check──> Approved ──> linked and run
                                     │                              │
                              the private key                 public keys alone

    files, keys          files that nobody else could have written; Ed25519 keys in them
    canonical, forms     one text for one value; what a value may be
    claim, statement     what is signed
    envelope             the signature around it (DSSE)
    reasons, trust       why an approval does not hold; the check
    keeper, client       the process that has the key, and those who ask it
    container, store     approvals in files: `OBJ.approved`, and what a box remembers

This room is the one landlord of `cryptography`.
"""
