"""Data sets for training and the examples: found on this machine, never downloaded silently.

Data that no package carries are looked for in the folder that the environment variable
``SNN2HW_DATA`` names, then in the user's cache, where `download` puts what is asked for.
"""

from collections.abc import Callable

from snn2hw.data import (
    arabic_speech_commands,
    free_spoken_digits,
    google_speech_commands,
    japanese_vowels,
    shd,
    spike_files,
    ssc,
)
from snn2hw.data.base import Dataset, data_folder, find_data

DATASETS: dict[str, Callable[..., Dataset]] = {
    "arabic_speech_commands": arabic_speech_commands.load,
    "free_spoken_digits": free_spoken_digits.load,
    "google_speech_commands": google_speech_commands.load,
    "japanese_vowels": japanese_vowels.load,
    "shd": shd.load,
    "spike_files": spike_files.load,
    "ssc": ssc.load,
}
"""The function that loads a split, by the name of the data set, as a training config gives it."""

__all__ = ["DATASETS", "Dataset", "data_folder", "find_data"]
