"""Roads into snn2hw and out again: ``.nir`` files and PyTorch models."""
