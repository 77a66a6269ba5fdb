"""The configs that the documentation shows are configs."""

import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="configs name networks, which need the [torch] extra")

from snn2hw.nn.config import read_config

ROOT = Path(__file__).parents[1]


def shown():
    """Return every block of YAML with data, model and training: its text, by file and line."""
    blocks = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(r"^```ya?ml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if {"data", "model", "training"} <= yaml.safe_load(block[1]).keys():
                line = text.count("\n", 0, block.start()) + 1
                blocks[f"{page.name}:{line}"] = block[1]
    return blocks


BLOCKS = shown()


def test_configs_are_found():
    assert {name.partition(":")[0] for name in BLOCKS} >= {"data.md", "training.md"}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_config_shown_can_be_read(tmp_path, name):
    (tmp_path / "shown.yaml").write_text(BLOCKS[name], encoding="utf-8")
    config = read_config(tmp_path / "shown.yaml")
    assert "train" in config.splits
