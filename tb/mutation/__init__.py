"""Mutation testing: small mistakes planted in the Verilog of a block, which the block's own benches must notice."""
