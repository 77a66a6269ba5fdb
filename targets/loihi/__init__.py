"""Loihi 1 and Loihi 2: what a core holds, where a network goes, what crosses the mesh."""
