"""`snn2hw train`: what it writes, what it refuses, and that it goes on to the same bits."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import snn2hw.data
from snn2hw.cli import main
from snn2hw.data import Dataset
from snn2hw.nn import accuracy, experiment, load_checkpoint
from snn2hw.nn.config import read_config
from snn2hw.nn.experiment import Outputs, run_config

CONFIG = """\
data:
  name: blobs
  train: train
  validation: val
  test: test
  bands: 4
model: {name: lif, width: 6, layers: 1, dropout: 0.2}
training:
  epochs: 5
  lr: 5e-2
  batch_size: 8
  schedule: {name: exponential, decay: 0.9, warmup_epochs: 1}
  augment: {shift_steps: 1, noise: 0.1}
  keep: best
seed: 3
store: float16
"""


def blobs(split: str, *, bands: int = 6, classes: int = 2) -> Dataset:
    """Two kinds of noise; as a data set's load function, so that configs can name it."""
    rng = np.random.default_rng(["train", "val", "test"].index(split))
    y = rng.integers(0, classes, 30)
    x = rng.normal(size=(30, 5, bands)) + (y[:, None, None] == (np.arange(bands) % 2))
    return Dataset(f"blobs/{split}", x.astype(np.float32), y, tuple("abcd"[:classes]), 0.01)


@pytest.fixture(autouse=True)
def there_are_blobs(monkeypatch):
    monkeypatch.setitem(snn2hw.data.DATASETS, "blobs", blobs)


def write(folder, text=CONFIG, name="net.yaml"):
    path = folder / name
    path.write_text(text)
    return str(path)


def tensors(path):
    return torch.load(path, weights_only=True)["state_dict"]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_what_it_writes_can_be_checked(tmp_path, capsys):
    assert main(["train", write(tmp_path), "-o", str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "out/net.json").read_text())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["net.json", "net.pt"]
    assert {v.dtype for v in tensors(tmp_path / "out/net.pt").values()} == {torch.float16}
    model = load_checkpoint(tmp_path / "out/net.pt")
    for role, split in (("train", "train"), ("validation", "val"), ("test", "test")):
        part = blobs(split, bands=4)
        assert result["accuracy"][role] == accuracy(model, part.x, part.y)
        assert result["data"][role]["sha256"] == part.sha256()
    judged = [epoch["validation_accuracy"] for epoch in result["history"]]
    assert result["kept_epoch"] == 5 - judged[::-1].index(max(judged))
    assert result["parameters"] == sum(p.numel() for p in model.parameters())
    assert result["config"]["training"]["lr"] == 0.05
    assert result["config"]["training"]["optimizer"] == "adamw"  # defaults are said too
    assert (result["threads"], result["versions"]["torch"]) == (1, torch.__version__)


def test_seeds_differ_and_do_not_overwrite_each_other(tmp_path, capsys):
    config, out = write(tmp_path), str(tmp_path)
    for more in ([], ["--seed", "3"], ["--seed", "4"]):
        assert main(["train", config, "-o", out, *more]) == 0
    plain, three, four = (tensors(tmp_path / f"net{s}.pt") for s in ("", "_seed3", "_seed4"))
    assert same(plain, three)
    assert (tmp_path / "net.pt").read_bytes() == (tmp_path / "net_seed3.pt").read_bytes()
    assert not same(plain, four)
    assert "blobs/test" in capsys.readouterr().out


def test_stopped_in_any_epoch_it_goes_on_to_the_same(tmp_path, capsys):
    config = read_config(write(tmp_path))
    whole = run_config(config, Outputs.of(tmp_path, "whole"))
    outputs = Outputs.of(tmp_path, "parts")

    def stop(epoch):
        if epoch.epoch % 2 == 0:  # its state is not written, so that it is learned again
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_config(config, outputs, on_epoch=stop)
    assert main(["train", write(tmp_path, name="parts.yaml"), "-o", str(tmp_path)]) == 2
    assert "interrupted training is there, give --resume" in capsys.readouterr().err
    parts = run_config(config, outputs, resume=True)
    assert same(tensors(outputs.checkpoint), tensors(tmp_path / "whole.pt"))
    assert outputs.checkpoint.read_bytes() == (tmp_path / "whole.pt").read_bytes()
    timeless = [
        [{**epoch, "seconds": 0} for epoch in result["history"]] for result in (whole, parts)
    ]
    assert timeless[0] == timeless[1]
    assert not outputs.state.exists()


def test_a_complete_training_is_left_alone_unless_something_changed(tmp_path):
    outputs = Outputs.of(tmp_path, "net")
    config = read_config(write(tmp_path))
    run_config(config, outputs)
    result = json.loads(outputs.result.read_text())
    del result["config"]["training"]["augment"]["tilt"]  # of a release that did not know it
    outputs.result.write_text(json.dumps(result))
    before = outputs.result.stat().st_mtime_ns
    again = run_config(config, outputs, resume=True)
    assert outputs.result.stat().st_mtime_ns == before
    assert again == json.loads(outputs.result.read_text())
    run_config(read_config(write(tmp_path, CONFIG.replace("5e-2", "4e-2"))), outputs, resume=True)
    assert json.loads(outputs.result.read_text())["config"]["training"]["lr"] == 0.04


def test_a_state_of_another_config_or_a_broken_one_is_refused(tmp_path, capsys):
    config, outputs = read_config(write(tmp_path)), Outputs.of(tmp_path, "net")

    def stop(epoch):
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_config(config, outputs, on_epoch=stop)
    other = write(tmp_path, CONFIG.replace("5e-2", "4e-2"))
    assert main(["train", other, "-o", str(tmp_path), "--resume"]) == 2
    assert "(config.training.lr was 0.05 and is 0.04)" in capsys.readouterr().err
    outputs.state.write_bytes(outputs.state.read_bytes()[:200])
    assert main(["train", other, "-o", str(tmp_path), "--resume"]) == 2
    assert "net.state.pt: cannot be read, remove it" in capsys.readouterr().err
    assert main(["train", other, "-o", str(tmp_path), "--restart"]) == 0


KILLED = """\
data: {name: japanese_vowels, train: train, test: test}
model: {name: gpn, width: 8, layers: 1}
training: {epochs: 12, lr: 0.01, batch_size: 64, optimizer: radam, schedule: cosine}
"""


def test_killed_it_goes_on_to_the_same_bits(tmp_path):
    pytest.importorskip("sktime")
    config = write(tmp_path, KILLED)
    code = "import sys; from snn2hw.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", config]
    assert main(["train", config, "-o", str(tmp_path / "whole")]) == 0
    parts = tmp_path / "parts"
    process = subprocess.Popen([*command, "-o", str(parts)], stderr=subprocess.PIPE)
    state = parts / "net.state.pt"
    while not state.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert state.exists()
    assert not (parts / "net.pt").exists()
    assert main(["train", config, "-o", str(parts), "--resume"]) == 0
    assert same(tensors(parts / "net.pt"), tensors(tmp_path / "whole/net.pt"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lr: 5e-2", "lr: fast", "net.yaml line 10, training: lr is 'fast', give a number"),
        ("lr: 5e-2", "lr: -1", "line 10, training: lr is -1.0, give a number above 0"),
        ("lr: 5e-2", "lr: .inf", "line 10, training: lr is inf, give a number above 0"),
        ("lr: 5e-2", "rate: 1", "line 10, training: there is no 'rate', give one of augment,"),
        ("  lr: 5e-2\n", "", "line 8, training: lr is missing, give it"),
        ("epochs: 5", "epochs: 0", "line 9, training: epochs is 0, give a whole number of at"),
        ("batch_size: 8", "batch_size: 8.5", "batch_size is 8.5, give a whole number"),
        ("name: exponential", "name: steps", "line 12, training.schedule: name is 'steps', give"),
        ("exponential", "one_cycle", "line 12, training.schedule: warmup_epochs is 1.0 and one_cy"),
        ("noise: 0.1", "noise: -0.1", "line 13, training.augment: noise is -0.1, give 0 or more"),
        ("  validation: val\n", "", "line 13, training: keep needs a validation split"),
        ("name: blobs", "name: blob", "line 2, data: name is 'blob', give one of "),
        ("bands: 4", "bands: four", "line 6, data: bands is 'four', give a whole number"),
        ("train: train", "train: 3", "line 3, data: train is 3, give the name of a split"),
        ("name: lif", "name: lofi", "line 7, model: name is 'lofi', give one of "),
        ("width: 6", "wide: 6", "line 7, model: there is no 'wide', give one of dropout, "),
        ("seed: 3", "seed: -3", "line 15: seed is -3, give 0 or more"),
        ("seed: 3", f"seed: {2**63}", f"line 15: seed is {2**63}, give 0 or more, below 2**63"),
        ("layers: 1", "layers: 0", "line 7, model: layers is 0, give a whole number of at least 1"),
        ("dropout: 0.2", "dropout: 1.0", "net.yaml line 7, model: "),
        ("width: 6", "width: [6, 0]", "line 7, model: width is 0, give a whole number of at"),
        ("width: 6", f"width: [6, {10**15}]", "model lif: does not fit the memory (width (6, 100"),
        (
            "width: 6",
            f"width: {10**19}",
            "line 7, model: model lif: does not fit the memory (width 10000000000",
        ),
        ("float16", "int8", "line 16: store is 'int8', give 'float32' or 'float16'"),
        ("seed: 3", "lr: 3", "line 15: there is no 'lr', give one of data, model, quantize"),
        ("seed: 3", "store: float32", "line 16: store is there twice, remove one"),
        ("model: {", "model: [", "is no YAML"),
        ("  keep: best", "  keep: best\n  schedule: 3", "schedule is there twice"),
        (CONFIG, "3", "net.yaml: the file is 3, give a mapping of names to values"),
        (CONFIG, "", "net.yaml: the file is None, give a mapping"),
        (CONFIG, "data: {}", "net.yaml: model is missing, give a mapping"),
    ],
)
def test_a_config_is_refused_with_the_place_in_the_file(
    tmp_path, capsys, monkeypatch, old, new, says
):
    def load(*_, **__):
        raise AssertionError("the data were loaded")

    monkeypatch.setattr(experiment, "load_data", load)
    assert CONFIG.count(old) == 1
    path = write(tmp_path, CONFIG.replace(old, new))
    assert main(["train", path, "-o", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_the_configs_of_the_examples_and_of_the_documentation_are_read(tmp_path):
    root = Path(__file__).parents[1]
    text = (root / "docs" / "training.md").read_text(encoding="utf-8")
    documented = write(tmp_path, text.split("```yaml\n")[1].split("```")[0])
    assert read_config(documented).training.keep == "best"
    configs = sorted(root.glob("examples/**/*.yaml"))
    assert len(configs) > 3
    for path in configs:
        config = read_config(path)
        assert set(config.splits) == {"train", "validation", "test"}, path


@pytest.mark.parametrize("seed", [2**63, 2**64, 10**23])
def test_a_seed_beyond_what_torch_takes_is_refused(tmp_path, capsys, seed):
    assert main(["train", write(tmp_path), "-o", str(tmp_path), "--seed", str(seed)]) == 2
    said = capsys.readouterr().err
    assert said == f"snn2hw train: error: seed is {seed}, give 0 or more, below 2**63\n"
    assert replace(read_config(write(tmp_path)), seed=2**63 - 1).seed == 2**63 - 1


def test_other_refusals(tmp_path, capsys):
    assert main(["train", str(tmp_path / "no.yaml")]) == 2
    assert "cannot read" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert main(["train", write(tmp_path), "-o", str(tmp_path), "--device", "cuda"]) == 2
        assert "torch finds no GPU, give cpu or auto" in capsys.readouterr().err


def test_it_trains_on_as_integers(tmp_path, capsys):
    text = CONFIG + "quantize: {bits: 3, epochs: 2, lr: 1e-3, calibration: 9}\n"
    command = ["train", write(tmp_path, text), "-o", str(tmp_path / "out")]
    assert main([*command, "--json"]) == 0
    integers = json.loads(capsys.readouterr().out)["integers"]
    net = snn2hw.load(tmp_path / "out" / "net.h5")
    assert max(group.bits for group in net.synapses) == 3
    test = blobs("test", bands=4)
    right = np.mean(net.run(net.encode(test.x)).predictions == test.y)
    assert integers["accuracy"]["test"] == right
    assert len(integers["loss_nat"]) == 2
    graph = snn2hw.read(tmp_path / "out" / "net.nir")
    found = snn2hw.compare(graph, net, test.x, test.y)
    assert found.fixed.accuracy == right
    written = (tmp_path / "out" / "net.h5").stat().st_mtime_ns
    assert main([*command, "--resume"]) == 0  # complete: nothing is trained again
    assert (tmp_path / "out" / "net.h5").stat().st_mtime_ns == written
    assert "weights of 3 bits, on the simulator: train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{bits: 9, epochs: 2, lr: 1e-3}", "line 17, quantize: bits is 9, give 2 to 8"),
        ("{epochs: 0, lr: 1e-3}", "line 17, quantize: epochs is 0"),
        ("{epochs: 1}", "line 17, quantize: lr is missing, give it"),
        ("{epochs: 1, lr: 1e-3, speed: 2}", "line 17, quantize: there is no 'speed', give one of"),
        ("[1]", "line 17: quantize is [1], give a mapping"),
    ],
)
def test_impossible_integers_are_refused(tmp_path, capsys, said, message):
    assert main(["train", write(tmp_path, CONFIG + f"quantize: {said}\n")]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
