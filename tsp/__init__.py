"""The contract of the Tensor Streaming Processor and the software that programs it."""
