"""The main job, once through: train an LIF and a GPN network on speech, deploy, verify, price."""

from __future__ import annotations

import argparse

from snn2hw.cli.common import make_folder, natural, say

DESCRIPTION = (
    "Nine speakers say a Japanese vowel (270 training and 370 test utterances, Kudo, Toyama and "
    "Shimbo 1999). Two networks recognise the speaker from spikes; both were trained in PyTorch, "
    "exported to NIR, quantised to 8-bit weights and simulated as Loihi 2 would compute them."
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("-o", "--output", default="snn2hw-demo", metavar="FOLDER")
    command.add_argument("--seed", type=int, default=0, help="of weights and training (0)")
    command.add_argument(
        "--verify", type=natural, default=20, metavar="N", help="samples on Lava (20)"
    )


def main(options: argparse.Namespace) -> int:
    """Train, walk the road with both networks, report."""
    import snn2hw.nn  # noqa: F401 - says which extra is missing if torch is
    from snn2hw.cli.road import conclude, report, walk
    from snn2hw.data import japanese_vowels
    from snn2hw.demo_models import NEURONS, train_japanese_vowels

    folder = make_folder(options.output)
    say("Japanese Vowels: loading and encoding as spikes ...")
    train, test = japanese_vowels.load_spikes("train"), japanese_vowels.load_spikes("test")
    journeys = []
    for neuron in NEURONS:
        say(f"{neuron}: training on {len(train.x)} utterances ...")
        model = train_japanese_vowels(neuron, train, seed=options.seed)
        journeys.append(walk(neuron, model, train, test, folder, options.verify))
    page = folder / "report.html"
    command = f"snn2hw demo --seed {options.seed} --verify {options.verify} -o {options.output}"
    title = "snn2hw demo: Japanese Vowels"
    report(page, title, journeys, DESCRIPTION, command, options.seed)
    return conclude(journeys, page)
