"""The C2C link of a chip: packets out of vectors and vectors out of packets (docs/links.md, section 1)."""
