"""Convolution, pooling, flattening and delay against loops over every output value."""

import re

import numpy as np
import pytest
import torch

from snn2hw.errors import DataError, ParameterError
from snn2hw.nn import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    SequenceDropout,
    SumPool2d,
)

BATCH, TIME = 2, 3


def padded(frame, before, after):
    (top, left), (bottom, right) = before, after
    return np.pad(frame, ((0, 0), (top, bottom), (left, right)))


def numpy_conv(frame, weight, bias, stride, before, after, dilation, groups):
    """Conv2d of one frame (channels, rows, columns), one output value at a time."""
    frame = padded(frame, before, after)
    outs, ins, kh, kw = weight.shape
    rows = (frame.shape[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (frame.shape[2] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((outs, rows, columns))
    for o, i, j in np.ndindex(y.shape):
        total = bias[o]
        first = o // (outs // groups) * ins
        for c, a, b in np.ndindex(ins, kh, kw):
            row, column = i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]
            total += weight[o, c, a, b] * frame[first + c, row, column]
        y[o, i, j] = total
    return y


CASES = {
    "plain": ({"kernel_size": 3}, (0, 0), (0, 0)),
    "strided": ({"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0)}, (1, 0), (1, 0)),
    "dilated": ({"kernel_size": 2, "dilation": (2, 3), "groups": 2}, (0, 0), (0, 0)),
    "same": ({"kernel_size": (2, 5), "padding": "same"}, (0, 2), (1, 2)),
    "valid": ({"kernel_size": 2, "padding": "valid", "groups": 4}, (0, 0), (0, 0)),
}


def both(value):
    return value if isinstance(value, tuple) else (value, value)


@pytest.mark.parametrize("case", CASES)
def test_conv2d_is_the_sum_over_its_window_at_every_step(case):
    torch.manual_seed(0)
    options, before, after = CASES[case]
    layer = Conv2d(4, 8, **options).double()
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, 4, 7, 8))
    got = layer(torch.from_numpy(x)).detach().numpy()
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    stride, dilation = both(options.get("stride", 1)), both(options.get("dilation", 1))
    for b, t in np.ndindex(BATCH, TIME):
        wanted = numpy_conv(
            x[b, t], weight, bias, stride, before, after, dilation, options.get("groups", 1)
        )
        np.testing.assert_allclose(got[b, t], wanted, atol=1e-12)


def test_conv1d_runs_over_places_and_not_over_time():
    torch.manual_seed(0)
    layer = Conv1d(3, 5, 3, stride=2, padding=1, bias=False).double()
    x = np.random.default_rng(1).normal(size=(BATCH, TIME, 3, 9))
    got = layer(torch.from_numpy(x)).detach().numpy()
    weight = layer.weight.detach().numpy()[:, :, None]
    for b, t in np.ndindex(BATCH, TIME):
        wanted = numpy_conv(
            x[b, t][:, None], weight, np.zeros(5), (1, 2), (0, 1), (0, 1), (1, 1), 1
        )
        np.testing.assert_allclose(got[b, t], wanted[:, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, None, 0), ((3, 2), (2, 1), (1, 0)), (3, 3, 1)]
)
def test_pools_sum_and_average_their_windows(kernel, stride, padding):
    x = np.random.default_rng(2).normal(size=(BATCH, TIME, 2, 7, 6))
    total = SumPool2d(kernel, stride, padding)(torch.from_numpy(x)).numpy()
    mean = AvgPool2d(kernel, stride, padding)(torch.from_numpy(x)).numpy()
    area = np.prod(both(kernel))
    ones = np.zeros((2, 2, *both(kernel)))
    ones[0, 0] = ones[1, 1] = 1
    for b, t in np.ndindex(BATCH, TIME):
        wanted = numpy_conv(
            x[b, t],
            ones,
            np.zeros(2),
            both(kernel if stride is None else stride),
            both(padding),
            both(padding),
            (1, 1),
            1,
        )
        np.testing.assert_allclose(total[b, t], wanted, atol=1e-12)
        np.testing.assert_allclose(mean[b, t], wanted / area, atol=1e-12)


def test_sum_pool_spreads_its_gradient_over_the_window():
    x = torch.zeros(1, 1, 1, 4, 6, dtype=torch.float64, requires_grad=True)
    probe = torch.arange(6, dtype=torch.float64).reshape(1, 1, 1, 2, 3)
    (SumPool2d(2)(x) * probe).sum().backward()
    assert torch.equal(
        x.grad[0, 0, 0], probe[0, 0, 0].repeat_interleave(2, 0).repeat_interleave(2, 1)
    )


def test_flatten_keeps_batch_and_time():
    x = torch.arange(2 * 3 * 2 * 2 * 2.0).reshape(2, 3, 2, 2, 2)
    y = Flatten()(x)
    assert y.shape == (2, 3, 8)
    assert y[1, 2].tolist() == x[1, 2].ravel().tolist()


def test_dropout_of_images_keeps_its_mask_over_time():
    torch.manual_seed(0)
    y = SequenceDropout(0.5)(torch.ones(20, 4, 2, 3, 3))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert set(y.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("steps", [0, 3, [0, 1, 5, 99], np.array([2, 2, 0, 1])])
def test_delay_moves_every_channel_by_its_own_steps(steps):
    x = np.random.default_rng(0).normal(size=(2, 8, 4))
    wanted = np.zeros_like(x)
    for channel, d in enumerate(np.broadcast_to(steps, 4)):
        for t in range(d, 8):
            wanted[:, t, channel] = x[:, t - d, channel]
    x = torch.from_numpy(x).requires_grad_()
    y = Delay(4, steps)(x)
    np.testing.assert_array_equal(y.detach().numpy(), wanted)
    y.sum().backward()
    seen = [[float(t + d < 8) for d in np.broadcast_to(steps, 4)] for t in range(8)]
    assert x.grad[1].tolist() == seen


def test_delay_of_images_a_channel():
    x = torch.randn(2, 6, 2, 3, 3)
    y = Delay((2, 3, 3), np.array([1, 4]).reshape(2, 1, 1))(x)
    assert torch.equal(y[:, 1:, 0], x[:, :-1, 0])
    assert torch.equal(y[:, 4:, 1], x[:, :2, 1])
    assert not y[:, 0].any()
    assert not y[:, :4, 1].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SumPool2d(0), "SumPool2d: kernel_size is 0, give a whole number of at least 1"),
        (lambda: SumPool2d(2, stride=(1, 0)), "SumPool2d: stride is 0, give a whole number"),
        (lambda: SumPool2d(2, padding=2), "SumPool2d: padding is 2, give 0 to half of kernel_size"),
        (lambda: Delay(2, -1), "Delay: steps is -1, give whole numbers of at least 0"),
        (lambda: Delay(2, [1, 0.5]), "Delay: steps is [1, 0.5], give whole numbers of at least 0"),
        (lambda: Delay(2, [1, 2, 3]), "Delay: steps has shape (3,), give one that broadcasts to"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2d(1, 1, 1), (2, 1, 4, 4), "Conv2d: input has shape (2, 1, 4, 4), give (batch, time"),
        (Conv2d(3, 1, 1), (2, 1, 1, 4, 4), "Conv2d: input has 1 channels, give 3"),
        (Conv1d(1, 1, 1), (2, 1, 4), "Conv1d: input has shape (2, 1, 4), give (batch, time, chann"),
        (SumPool2d(2), (1, 4, 4, 4), "SumPool2d: input has shape (1, 4, 4, 4), give (batch, time"),
        (AvgPool2d(2), (1, 4, 4, 4), "AvgPool2d: input has shape (1, 4, 4, 4), give (batch, time"),
        (Delay(3, 1), (1, 4, 4), "Delay(3,): input has shape (1, 4, 4), give (batch, time, 3)"),
    ],
)
def test_wrong_shapes_name_the_layer(layer, shape, message):
    with pytest.raises(DataError, match=re.escape(message)):
        layer(torch.zeros(shape))
