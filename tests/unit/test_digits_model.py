"""The digits data, the stored weights and their plain numpy reference."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from programs.digits import data, model, train


def images_as_bytes(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


# --- data


def test_split_covers_the_data_set_without_overlap() -> None:
    training, held_out = data.training_set(), data.held_out_set()
    assert training.images.shape == (1437, 64)
    assert held_out.images.shape == (360, 64)
    for part in (training, held_out):
        assert part.images.dtype == np.int8
        assert part.labels.dtype == np.int64
        assert part.images.min() == 0
        assert part.images.max() == 16
        assert set(part.labels) == set(range(10))
    assert not set(images_as_bytes(training.images)) & set(images_as_bytes(held_out.images))


def test_split_is_fixed_by_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = data.held_out_mask()
    assert mask.sum() == 360
    assert np.array_equal(mask, data.held_out_mask())
    assert list(np.flatnonzero(mask)[:8]) == [5, 14, 43, 44, 46, 51, 54, 58]
    monkeypatch.setattr(data, "SPLIT_SEED", data.SPLIT_SEED + 1)
    assert not np.array_equal(mask, data.held_out_mask())


# --- training


def test_training_never_sees_the_held_out_images_and_gives_the_stored_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels, labels = data.load_digits(return_X_y=True)
    mask = data.held_out_mask()
    pixels[mask], labels[mask] = 7, 3
    monkeypatch.setattr(data, "load_digits", lambda **_: (pixels, labels))
    training = data.training_set()
    train.save(train.quantise(train.train(training, train.Recipe()), training.images), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == model.WEIGHTS_FILE.read_bytes()
    assert not hasattr(train, "held_out_set")


# --- the reference


def test_stored_weights_classify_the_held_out_images() -> None:
    held_out = data.held_out_set()
    scores = model.logits(held_out.images)
    assert scores.dtype == np.int32
    assert scores.shape == (360, 10)
    assert model.accuracy(scores, held_out.labels) >= 0.95


def test_logits_of_one_image_worked_out_with_python_integers() -> None:
    weights = model.load_weights()
    image = data.held_out_set().images[17]
    hidden = []
    for row, bias in zip(weights.w1.tolist(), weights.b1.tolist(), strict=True):
        total = bias + sum(w * x for w, x in zip(row, image.tolist(), strict=True))
        hidden.append(min(127, round(Fraction(max(total, 0), 2**weights.shift1))))
    expected = [
        bias + sum(w * h for w, h in zip(row, hidden, strict=True))
        for row, bias in zip(weights.w2.tolist(), weights.b2.tolist(), strict=True)
    ]
    assert model.logits(image[np.newaxis])[0].tolist() == expected


@pytest.mark.parametrize(
    ("value", "shift", "expected"),
    [
        (5, 0, 5),
        (1, 1, 0),  # 0.5: tie, down to 0
        (3, 1, 2),  # 1.5: tie, up to 2
        (5, 1, 2),  # 2.5: tie, down to 2
        (-1, 1, 0),  # -0.5: tie, up to 0
        (-3, 1, -2),  # -1.5: tie, down to -2
        (7, 2, 2),  # 1.75
        (5, 2, 1),  # 1.25
        (-7, 2, -2),  # -1.75
        (6, 2, 2),  # 1.5
        (10, 2, 2),  # 2.5
        (11, 2, 3),  # 2.75
        (2**31 - 1, 1, 2**30),  # a half below 2**30: tie, up to the even one
        (2**31 - 1, 31, 1),
        (2**30, 31, 0),  # 0.5
        (2**30 + 1, 31, 1),
        (-(2**31), 31, -1),
        (-(2**31), 0, -(2**31)),
    ],
)
def test_shift_rounds_half_to_even(value: int, shift: int, expected: int) -> None:
    assert model.shift_right_half_even(np.array([value], np.int32), shift).tolist() == [expected]


def test_shift_is_python_rounding_everywhere() -> None:
    values = np.arange(-300, 300, dtype=np.int32)
    for shift in range(9):
        expected = [round(Fraction(int(value), 2**shift)) for value in values]
        assert model.shift_right_half_even(values, shift).tolist() == expected


@pytest.mark.parametrize("shift", [-1, 32])
def test_shift_out_of_range_is_refused(shift: int) -> None:
    with pytest.raises(ValueError, match=rf"shift is {shift}, expected 0\.\.31"):
        model.shift_right_half_even(np.zeros(1, np.int32), shift)


def test_requantise_saturates_after_rounding() -> None:
    sums = np.array([254, 255, 256, 2**31 - 1, -256, -257, -259, -(2**31)], np.int32)
    assert model.requantise(sums, 1).tolist() == [127, 127, 127, 127, -128, -128, -128, -128]


def test_the_smaller_digit_wins_a_tie() -> None:
    scores = np.array([[0, 5, 5, 0, 0, 0, 0, 0, 0, -1], [-9] * 9 + [-8]], np.int32)
    assert model.predictions(scores).tolist() == [1, 9]
    assert model.accuracy(scores, np.array([1, 0])) == 0.5


def test_images_of_another_type_or_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images are float64 \[2, 64\], expected int8 \[N, 64\]"):
        model.logits(np.zeros((2, 64)))
    with pytest.raises(ValueError, match=r"images are int8 \[64\], expected int8 \[N, 64\]"):
        model.logits(np.zeros(64, np.int8))


# --- bad weight files


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("w1", np.zeros((32, 64), np.int16), r"w1 is int16 \[32, 64\], expected int8 \[32, 64\]"),
        ("w2", np.zeros((32, 10), np.int8), r"w2 is int8 \[32, 10\], expected int8 \[10, 32\]"),
        ("b1", np.full(32, 2**31 - 1, np.int32), r"w1, b1 row \d+ can sum to \d+, more than int32 holds"),
        ("shift1", np.int32(32), r"shift1 is 32, expected 0\.\.31"),
        ("shift1", np.zeros(2, np.int32), r"shift1 is int32 \[2\], expected int32 \[\]"),
        ("extra", np.zeros(1), r"holds .*'extra'.*, expected \["),
        ("b2", np.array([None] * 10), r"not a readable weight file"),
    ],
)
def test_wrong_array_is_refused_by_name(tmp_path: Path, name: str, value: np.ndarray, message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **(model.load_weights().arrays() | {name: value}))
    with pytest.raises(model.WeightsError, match=message):
        model.load_weights(path)


@pytest.mark.parametrize("content", [None, b"", b"PK", b"not weights", "truncated", "one array", "flipped"])
def test_missing_or_damaged_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "bad.npz"
    good = bytearray(model.WEIGHTS_FILE.read_bytes())
    if content == "truncated":
        path.write_bytes(good[:2000])
    elif content == "one array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif content == "flipped":
        good[1000] ^= 0xFF
        path.write_bytes(good)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(model.WeightsError, match=r"bad\.npz is not a readable weight file: ") as caught:
        model.load_weights(path)
    assert "\n" not in str(caught.value)
