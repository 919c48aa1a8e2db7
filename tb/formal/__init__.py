"""Formal proofs of the RTL (docs/verification.md, "Proofs"): a module per block, in front of yowasp-sby and z3."""
