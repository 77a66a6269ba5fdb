"""E-prop on SpiNNaker2: networks of LIF, ALIF and GPN that learn where they run (docs/eprop.md)."""

from snn2hw.targets.spinnaker2.eprop.learner import Learned, Learner
from snn2hw.targets.spinnaker2.eprop.rule import Rule

__all__ = ["Learned", "Learner", "Rule"]
