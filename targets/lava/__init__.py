"""Intel's Lava: its Python 3.10 environment, the worker that runs in it, and what it is given."""
