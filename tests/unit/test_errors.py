"""What an error suggests for a word that is not known."""

from tsp.errors import nearest


def test_the_nearest_word_or_a_short_list() -> None:
    assert nearest("reed", ["read", "write"]) == "; did you mean 'read'?"
    assert nearest("x", ["read", "write"]) == "; known: read, write"
    assert nearest("x", []) == ""


def test_a_long_list_is_cut() -> None:
    text = nearest("x", [f"queue{number}" for number in range(144)])
    assert text.startswith("; known: queue0, queue1, ") and text.endswith(", queue11 … (144 in all)")
