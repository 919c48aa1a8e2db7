"""Many chips: how they are cabled, what their links carry and when, and how their clocks are aligned."""
