"""Data sets for the demo and the examples: found on this machine, never downloaded silently.

Data that no package carries are looked for in the folder that the environment variable
``SNN2HW_DATA`` names.
"""

from snn2hw.data.base import Dataset, data_folder, find_data

__all__ = ["Dataset", "data_folder", "find_data"]
