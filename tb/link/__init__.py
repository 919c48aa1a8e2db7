"""Benches of links: chips with clocks of their own, and wires between them."""
