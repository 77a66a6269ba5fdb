"""Checkpoints: what goes in comes out, and nothing runs on loading."""

import pickle
import re

import pytest
import torch
from torch.nn import Linear, ReLU, Sequential

from snn2hw.errors import FileFormatError, ParameterError
from snn2hw.nn import (
    GPN,
    LIF,
    AvgPool2d,
    Conv1d,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Readout,
    Recurrent,
    SequenceDropout,
    SumPool2d,
    load_checkpoint,
    save_checkpoint,
)


def network():
    torch.manual_seed(0)
    return Sequential(
        Linear(5, 6, bias=False),
        GPN(6, gates="FT", v_reset_std=0.1),
        SequenceDropout(0.4),
        Linear(6, 4),
        LIF(4, tau=3.0, v_threshold=0.1, v_reset=-0.2),
        Readout(4, 3, mode="last"),
    )


def test_round_trip(tmp_path):
    model = network().eval()
    model[3].bias.data += 0.3  # so that the last layer fires
    save_checkpoint(tmp_path / "net.pt", model)
    loaded = load_checkpoint(tmp_path / "net.pt")
    assert str(loaded) == str(model)
    assert not loaded.training
    x = 3 * torch.randn(4, 20, 5)
    assert model[:5](x).sum() > 0
    assert torch.equal(loaded(x), model(x))
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]


def test_the_same_network_gives_the_same_bytes(tmp_path):
    # torch names what is in the file after the file's path, if it is told that
    for name in ("a.pt", "b.pt", "a much longer name.pt"):
        save_checkpoint(tmp_path / name, network())
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    other = network()
    other[0].weight.data[0, 0] += 1
    save_checkpoint(tmp_path / "b.pt", other)
    assert (tmp_path / "a.pt").read_bytes() != (tmp_path / "b.pt").read_bytes()


def test_round_trip_of_images_and_loops(tmp_path):
    torch.manual_seed(0)
    model = Sequential(
        Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(1, 0), groups=2, bias=False),
        LIF((4, 6, 3), tau=torch.linspace(2, 4, 3), reset="subtract"),
        Delay((4, 6, 3), torch.tensor([0, 2, 1])),
        SumPool2d(2, padding=1),
        AvgPool2d(2, 1, ceil_mode=True, divisor_override=3),
        Flatten(),
        Recurrent(CubaLIF(12, tau_syn=1.5, v_init=0.1), bias=False),
        Linear(12, 8),
    )
    model[0].weight.data *= 8
    save_checkpoint(tmp_path / "net.pt", model)
    loaded = load_checkpoint(tmp_path / "net.pt")
    x = torch.randn(3, 15, 2, 6, 6)
    assert str(loaded) == str(model)
    assert 0 < model[:7](x).mean() < 1
    assert torch.equal(loaded(x), model(x))
    line = Sequential(Conv1d(2, 3, 3, padding="same", dilation=2), Flatten(), Linear(15, 1))
    save_checkpoint(tmp_path / "line.pt", line)
    x = torch.randn(3, 4, 2, 5)
    assert torch.equal(load_checkpoint(tmp_path / "line.pt")(x), line(x))


def test_half_precision_rounds_once(tmp_path):
    model = network()
    save_checkpoint(tmp_path / "net.pt", model, half=True)
    loaded = load_checkpoint(tmp_path / "net.pt")
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, model.state_dict()[name].half().float())


def test_foreign_layers_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="save_checkpoint: layer 1 is a ReLU, give layers of"):
        save_checkpoint(tmp_path / "net.pt", Sequential(Linear(2, 2), ReLU()))
    assert list(tmp_path.iterdir()) == []


class Trap:
    def __reduce__(self):
        return (open, ("trapped", "w"))


def test_a_file_cannot_bring_code_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, write in (
        ("torch.pt", torch.save),
        ("plain.pt", lambda o, p: p.write_bytes(pickle.dumps(o, 2))),
    ):
        write({"format": "snn2hw-checkpoint", "x": Trap()}, tmp_path / name)
        with pytest.raises(FileFormatError, match="is no checkpoint that can be read without"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "trapped").exists()


def test_broken_and_foreign_files(tmp_path):
    path = tmp_path / "net.pt"
    with pytest.raises(FileFormatError, match="there is no such file"):
        load_checkpoint(path)
    save_checkpoint(path, network())
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"hello"):
        path.write_bytes(broken)
        with pytest.raises(FileFormatError, match="is no checkpoint that can be read"):
            load_checkpoint(path)
    path.write_bytes(whole)
    good = torch.load(path, weights_only=True)
    for change, message in (
        ({"format": "other"}, "is not an snn2hw-checkpoint"),
        ({"version": 9}, "is of version 9, this release reads 1"),
        ({"layers": good["layers"][:3]}, "layers and weights do not fit"),
        ({"layers": [{"type": "Exec"}]}, "layers and weights do not fit ('Exec')"),
        ({"layers": [{"type": "GPN", "n_neurons": -1}]}, "n_neurons is -1"),
    ):
        torch.save({**good, **change}, path)
        with pytest.raises(FileFormatError, match=re.escape(message)):
            load_checkpoint(path)
