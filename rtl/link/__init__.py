"""Links between chips, and one time for all of them (docs/links.md)."""
