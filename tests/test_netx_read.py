"""from_netx against the plain replay of the same file, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from netx_files import KINDS, Fields, conv, dense, neuron, random_layers, write_file
from netx_replay import replay

from snn2hw.converters.netx import from_netx, windows
from snn2hw.errors import (
    DataError,
    FileFormatError,
    GraphError,
    ParameterError,
    Snn2hwError,
    TargetError,
)

RNG = np.random.default_rng


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hop", [0, 1])
def test_every_state_and_spike_equals_the_replay(kind: str, hop: int, tmp_path: Path) -> None:
    rng = RNG(5)
    fired = 0
    for number in range(4):
        layers, shape = random_layers(rng, kind)
        path = write_file(tmp_path / f"{number}.net", layers)
        x = (rng.random((25, *shape)) < 0.4).astype(np.uint8)
        run = from_netx(path, hop_delay=hop).run(x[None], record=("u", "v"))
        for name, trace in replay(path, x, hop).items():
            where = f"network {number}, {name}"
            spikes = trace["s"]
            np.testing.assert_array_equal(run.state[name]["u"][0], trace["u"], where)
            v = np.where(spikes, 0, trace["v"])
            np.testing.assert_array_equal(run.state[name]["v"][0], v, where)
            if name in run.spikes:
                np.testing.assert_array_equal(run.spikes[name][0], spikes, where)
            fired += int(spikes.sum())
    assert fired > 100


def test_constants_for_each_channel(tmp_path: Path) -> None:
    """lava-dl's shared_param=False: decays of each channel."""
    rng = RNG(1)
    own = neuron(rng, iDecay=np.array([4096, 1000, 300]), vDecay=np.array([0, 500, 2000]))
    layer = conv(rng, (2, 6, 6), 3, neuron=own)
    path = write_file(tmp_path / "a.net", [{"type": "input", "shape": [2, 6, 6]}, layer])
    x = (rng.random((20, 2, 6, 6)) < 0.5).astype(np.uint8)
    run, expected = from_netx(path).run(x[None], record=("u",)), replay(path, x)["conv1"]
    np.testing.assert_array_equal(run.state["conv1"]["u"][0], expected["u"])
    np.testing.assert_array_equal(run.spikes["conv1"][0], expected["s"])


def test_odd_weights_above_127_are_two_groups_of_the_same_sum(tmp_path: Path) -> None:
    rng = RNG(2)
    layer = dense(rng, 9, 6, weight=rng.integers(-256, 256, (6, 9)))
    path = write_file(tmp_path / "a.net", [layer])
    net = from_netx(path)
    assert [s.exponent for s in net.synapses] == [1, 0]
    x = (rng.random((20, 9)) < 0.5).astype(np.uint8)
    run = net.run(x[None], record=("u",))
    np.testing.assert_array_equal(run.state["dense0"]["u"][0], replay(path, x)["dense0"]["u"])


def test_a_weight_exponent_shifts_the_sum(tmp_path: Path) -> None:
    rng = RNG(3)
    layer = dense(rng, 4, 3, neuron=neuron(rng, wgtExp=2, iDecay=4096))
    net = from_netx(write_file(tmp_path / "a.net", [layer]))
    run = net.run(np.ones((1, 1, 4), dtype=np.uint8), record=("u",))
    expected = layer["weight"].sum(axis=1) * 4 * 64
    np.testing.assert_array_equal(run.state["dense0"]["u"][0, 0], expected)


def test_graded_input_counts(tmp_path: Path) -> None:
    layer = dense(RNG(4), 4, 3, neuron=neuron(RNG(4), iDecay=4096))
    net = from_netx(write_file(tmp_path / "a.net", [layer]), input_bits=8)
    x = np.array([[[200, 0, 3, 255]]])
    run = net.run(x, record=("u",))
    np.testing.assert_array_equal(run.state["dense0"]["u"][0, 0], layer["weight"] @ x[0, 0] * 64)


def test_the_input_of_a_file_that_does_not_say_it(tmp_path: Path) -> None:
    layer = conv(RNG(0), (2, 7, 5), 3)
    path = write_file(tmp_path / "a.net", [layer])
    with pytest.raises(GraphError, match=r"layer 0 \(conv\) is first.*give input_shape="):
        from_netx(path)
    assert from_netx(path, input_shape=(2, 7, 5)).input.shape == (2, 7, 5)


def test_windows_are_samples_filled_up_with_zeros() -> None:
    x = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    cut = windows(x, 3)
    assert cut.shape == (4, 3, 3)
    np.testing.assert_array_equal(cut[2], x[1, :3])
    np.testing.assert_array_equal(cut[3, :2], x[1, 3:])
    assert not cut[3, 2].any()
    with pytest.raises(ParameterError, match="reset_interval is 0"):
        windows(x, 0)


def layer_of(**changes: object) -> Fields:
    return dense(RNG(0), 4, 3, **changes)


REFUSED: dict[str, tuple[list[Fields], type[Exception], str]] = {
    "concat": ([layer_of(), {"type": "concat", "shape": [3]}], GraphError, r"1 \(concat\) cannot"),
    "convT": ([layer_of(type="convT")], GraphError, r"0 \(convT\) cannot be expressed"),
    "sigma-delta": (
        [layer_of(neuron={"type": "SDNN", "vThMant": 1})],
        GraphError,
        "neurons of type 'SDNN'",
    ),
    "complex": (
        [layer_of(weight={"real": np.ones((3, 4)), "imag": np.ones((3, 4))})],
        GraphError,
        "complex weights",
    ),
    "refractory": ([layer_of(neuron=neuron(RNG(0), refDelay=3))], GraphError, "refractory delay"),
    "graded": ([layer_of(neuron=neuron(RNG(0), gradedSpike=True))], GraphError, "graded spikes"),
    "norm": ([layer_of(neuron=neuron(RNG(0), weight_exp=1.0))], GraphError, "batch norm"),
    "fractions": ([layer_of(weight=np.full((3, 4), 0.5))], GraphError, "fractions in 'weight'"),
    "wide": ([layer_of(weight=np.full((3, 4), 300.0))], GraphError, "weights 0..300"),
    "late": ([layer_of(delay=np.array([63, 0, 0]))], GraphError, "delay of 63 steps"),
    "early": ([layer_of(delay=np.array([-1, 0, 0]))], FileFormatError, "negative delay"),
    "delays": ([layer_of(delay=np.zeros(5))], FileFormatError, r"delays of shape \(5,\)"),
    "bias": ([layer_of(bias=np.full(3, 5000.0))], GraphError, "bias 5000..5000"),
    "biases": ([layer_of(bias=np.zeros(2))], FileFormatError, r"bias of shape \(2,\)"),
    "decay": ([layer_of(neuron=neuron(RNG(0), iDecay=5000))], TargetError, "'dense0': decay_u"),
    "leak": ([layer_of(neuron=neuron(RNG(0), vDecay=4096))], TargetError, "'dense0': decay_v"),
    "decays": (
        [layer_of(neuron=neuron(RNG(0), iDecay=np.array([1, 2])))],
        FileFormatError,
        "2 values in 'iDecay'",
    ),
    "sizes": ([layer_of(), dense(RNG(0), 4, 2)], GraphError, "weights for 4 inputs, and 'dense0'"),
    "no weights": ([{"type": "input", "shape": [3]}], GraphError, "no layer with weights"),
    "two inputs": (
        [{"type": "input", "shape": [4]}, {"type": "input", "shape": [4]}],
        GraphError,
        "a second input",
    ),
    "huge": (
        [{"type": "input", "shape": [2**30, 2**30, 2**30]}, layer_of()],
        GraphError,
        "more than the",
    ),
    "empty shape": ([layer_of(shape=[0])], FileFormatError, "has the shape"),
    "infinite": ([layer_of(weight=np.full((3, 4), np.inf))], FileFormatError, "not finite"),
    "text": ([layer_of(weight="heavy")], FileFormatError, "no array of numbers"),
    "after the end": (
        [layer_of(neuron=neuron(RNG(0), vThMant=1 << 17)), {"type": "average", "shape": [1]}],
        GraphError,
        r"1 \(average\) comes after the network's output",
    ),
    "no neuron": (
        [{k: v for k, v in layer_of().items() if k != "neuron"}, dense(RNG(0), 3, 2)],
        GraphError,
        "has no neuron",
    ),
    "delayed loop": (
        [layer_of(type="dense_rec", weight_rec=np.zeros((3, 3)), delay=np.ones(3))],
        GraphError,
        "is recurrent and has delays",
    ),
    "conv shape": (
        [
            {"type": "input", "shape": [2, 6, 6]},
            {**conv(RNG(0), (2, 6, 6), 3), "shape": [3, 60, 60]},
        ],
        GraphError,
        "they must agree",
    ),
    "pool": (
        [
            {"type": "input", "shape": [2, 6, 6]},
            {
                "type": "pool",
                "shape": [2, 2, 2],
                "kernelSize": [3, 3],
                "stride": [2, 2],
                "weight": np.ones((1, 1, 3, 3)),
                "neuron": neuron(RNG(0)),
            },
        ],
        GraphError,
        "does not tile",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    layers, error, words = REFUSED[case]
    path = write_file(tmp_path / "a.net", layers)
    with pytest.raises(error, match=words) as caught:
        from_netx(path)
    assert "\n" not in str(caught.value)


DAMAGE = (
    np.zeros(0),
    np.array(np.nan),
    np.array(b"x"),
    np.full((2, 2, 2, 2, 2, 2), 7),
    np.array(2**62),
    np.array([[-1e300]]),
    None,
)


def test_damaged_files_end_in_our_errors(tmp_path: Path) -> None:
    """A field replaced or taken away, or bytes changed: read as a network or refused."""
    rng = RNG(12)
    path = tmp_path / "a.net"
    refused = []
    for number in range(90):
        layers, _ = random_layers(rng, KINDS[number % len(KINDS)])
        write_file(path, layers)
        if number % 2:
            content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
            content[rng.integers(len(content), size=4)] = rng.integers(256, size=4)
            path.write_bytes(content.tobytes())
        else:
            with h5py.File(path, "r+") as file:
                group = file["layer"][str(rng.integers(len(layers)))]
                if "neuron" in group and rng.random() < 0.4:
                    group = group["neuron"]
                name = str(rng.choice(list(group)))
                del group[name]
                value = DAMAGE[rng.integers(len(DAMAGE))]
                if value is not None:
                    group[name] = value
        try:
            from_netx(path)
        except Snn2hwError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert not any("\n" in words for words in refused)


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        from_netx(tmp_path / "absent.net")
    text = tmp_path / "text.net"
    text.write_text("layer")
    with pytest.raises(FileFormatError, match="not a whole HDF5 file"):
        from_netx(text)
    foreign = tmp_path / "foreign.net"
    with h5py.File(foreign, "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(FileFormatError, match="no network of lava-dl"):
        from_netx(foreign)
    gap = write_file(tmp_path / "gap.net", [layer_of(), dense(RNG(0), 3, 2)])
    with h5py.File(gap, "r+") as file:
        file.move("layer/1", "layer/2")
    with pytest.raises(FileFormatError, match="layers are named 0, 2"):
        from_netx(gap)
    elsewhere = write_file(tmp_path / "elsewhere.net", [layer_of()])
    with h5py.File(elsewhere, "r+") as file:
        file["layer/1"] = h5py.ExternalLink(str(gap), "layer/0")
    with pytest.raises(FileFormatError, match="ExternalLink"):
        from_netx(elsewhere)
    whole = write_file(tmp_path / "whole.net", [layer_of()]).read_bytes()
    for length in range(0, len(whole), len(whole) // 20):
        part = tmp_path / "part.net"
        part.write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            from_netx(part)
