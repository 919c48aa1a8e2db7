"""The numpy golden model: bit- and cycle-exact, in architectural time."""
