"""What a chip can hold, and the runners of backends that stand in for it."""
