"""What compiled programs take: floors at nine tenths of the figures in docs/compiler.md, and the goal."""

import pytest

from tb.bench.compiled import DIGITS, LAYERS, Product, digits_cycles, layer_cycles


@pytest.mark.parametrize("rows", [1376, 3391])
def test_large_matmuls_keep_the_planes_busy(rows):
    """The published figure is 80 %, the goal 85 % of all products."""
    product = Product.of(rows)
    assert 0.85 < product.utilisation < product.bound < 0.89


@pytest.mark.parametrize("outputs, least", [(2304, 0.84), (12_800, 0.9)])
def test_weights_of_one_vector_come_fast(outputs, least):
    """The goal is nine tenths of what streams carry. With few outputs the first load and the last sums count."""
    assert least < Product.of(1, outputs=outputs).load_share < 1


@pytest.mark.parametrize("case, cycles", list(zip(DIGITS, [136, 608, 158], strict=True)))
def test_digits_take_few_cycles(case, cycles):
    assert 0.9 * digits_cycles(case) < cycles


@pytest.mark.parametrize("case, cycles", list(zip(LAYERS, [4212, 2247], strict=True)))
def test_decoder_layers_take_few_cycles(case, cycles):
    assert 0.9 * layer_cycles(case) < cycles
