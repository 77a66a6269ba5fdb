"""Ten spoken digits from checkpoint to chip: the road of `snn2hw demo` on real-valued input.

    SNN2HW_DATA=/path/to/data python examples/speech_commands.py [--output out/digits]

Arabic Speech Commands, zero to nine, speakers split (18 to train, 6 to validate, 4 to test). 40
log-mel bands averaged to 20 ms enter as signed messages of 8 bits. The checkpoints beside this file
were trained, ten minutes on one core, by `snn2hw train speech_commands_{gpn,lif}.yaml`; scales are
calibrated on training clips.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from snn2hw.cli.common import make_folder, natural
from snn2hw.cli.road import conclude, report, walk
from snn2hw.data import arabic_speech_commands
from snn2hw.data.base import Dataset
from snn2hw.errors import Snn2hwError
from snn2hw.nn import load_checkpoint

NEURONS = ("gpn", "lif")
CALIBRATION_CLIPS = 400
DESCRIPTION = (
    "The ten digits of Arabic Speech Commands (Ghandoura, Hjabo and Al Dakkak 2021, CC BY 4.0), "
    "400 clips of four speakers who took no part in training. Two layers of 128 neurons, 8-bit "
    "weights, log-mel features as 8-bit messages."
)


def checkpoint_path(neuron: str) -> Path:
    """Where the checkpoint of "gpn" or "lif" lies."""
    return Path(__file__).parent / "checkpoints" / f"speech_commands_{neuron}.pt"


def calibration() -> Dataset:
    """Every so many of the training clips, so that all speakers and digits are among them."""
    train = arabic_speech_commands.load_digits("train")
    every = max(1, len(train.y) // CALIBRATION_CLIPS)
    per_clip = {name: getattr(train, name) for name in ("x", "y", "length", "speaker", "take")}
    picked = {name: values[::every] for name, values in per_clip.items() if values is not None}
    return dataclasses.replace(train, **picked)


def main() -> int:
    """Walk the road with both checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default="out/digits", metavar="FOLDER")
    parser.add_argument(
        "--verify", type=natural, default=20, metavar="N", help="clips on Lava (20)"
    )
    options = parser.parse_args()
    try:
        folder = make_folder(options.output)
        typical, test = calibration(), arabic_speech_commands.load_digits("test")
        journeys = [
            walk(
                neuron,
                load_checkpoint(checkpoint_path(neuron)),
                typical,
                test,
                folder,
                options.verify,
            )
            for neuron in NEURONS
        ]
        page = folder / "report.html"
        report(page, "snn2hw: ten spoken digits", journeys, DESCRIPTION, "make digits", 0)
    except Snn2hwError as error:
        sys.stderr.write(f"speech_commands: error: {error}\n")
        return 2
    return conclude(journeys, page)


if __name__ == "__main__":
    sys.exit(main())
