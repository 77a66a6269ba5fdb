"""Networks by name: seeds, shapes and refusals; and the arguments that a file gives."""

from typing import Literal

import pytest
import torch

from snn2hw.arguments import check_arguments
from snn2hw.errors import ParameterError
from snn2hw.nn import load_checkpoint, save_checkpoint
from snn2hw.nn.models import MODELS, build


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("inputs", [(6,), (3, 4)])
def test_models_score_classes_follow_their_seed_and_are_stored(name, inputs, tmp_path):
    x = torch.randn(2, 7, *inputs, generator=torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    model = build(name, inputs, 5, seed=3).eval()
    assert torch.equal(torch.get_rng_state(), state)
    assert model(x).shape == (2, 5)
    assert torch.equal(build(name, inputs, 5, seed=3).eval()(x), model(x))
    other = torch.cat([p.flatten() for p in build(name, inputs, 5, seed=4).parameters()])
    assert not torch.equal(other, torch.cat([p.flatten() for p in model.parameters()]))
    save_checkpoint(tmp_path / "model.pt", model)
    assert torch.equal(load_checkpoint(tmp_path / "model.pt")(x), model(x))


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("lofi", {}, "'lofi' is unknown"),
        ("lif", {"widht": 3}, "there is no 'widht'"),
        ("lif", {"width": "3"}, "width is '3', give a whole number"),
        ("gpn", {"width": 0}, "width"),
    ],
)
def test_models_refuse_by_name(name, arguments, says):
    with pytest.raises(ParameterError, match=says):
        build(name, (4,), 2, 0, **arguments)


def _example(
    split: str,
    *,
    rate: float = 1.0,
    words: Literal["digits", "all"] = "all",
    sizes: tuple[int, ...] = (),
    pair: tuple[int, float] | None = None,
) -> None: ...


def test_arguments_take_the_types_of_the_annotations():
    given = check_arguments(_example, {"rate": 2, "sizes": [1, 2], "pair": [1, 2]}, "here")
    assert given == {"rate": 2.0, "sizes": (1, 2), "pair": (1, 2.0)}
    assert type(given["rate"]) is float
    assert check_arguments(_example, {"pair": None}, "here") == {"pair": None}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"split": "train"}, "here: there is no 'split', give one of pair, rate, sizes, words"),
        ({"rate": "fast"}, "rate is 'fast', give a number"),
        ({"rate": True}, "give a number"),
        ({"words": "some"}, "give 'digits' or 'all'"),
        ({"sizes": 3}, "give a list"),
        ({"sizes": [1.5]}, "give a whole number"),
        ({"pair": [1]}, "give a list of 2 or null"),
    ],
)
def test_arguments_of_other_names_and_types_are_refused(given, says):
    with pytest.raises(ParameterError, match=says):
        check_arguments(_example, given, "here")
