"""SpiNNaker2: what the chip holds, where a network's neurons go, and learning on its terms."""
