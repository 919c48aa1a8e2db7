"""A bench per unit: cocotb tests of one module at its ports (docs/rtl.md), on both simulators.

Every bench is made of the same small pieces: a driver that plays inputs and records outputs, a model that says what the
outputs must be, a scoreboard that compares the two, and tests that say what is true.
"""
