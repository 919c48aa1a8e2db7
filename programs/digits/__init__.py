"""Handwritten digits: a 64-32-10 int8 classifier, its data, its weights and its plain numpy reference."""
