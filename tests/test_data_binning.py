"""Binnings against loops written from their descriptions."""

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn2hw.data import binning
from snn2hw.data.events import Events
from snn2hw.errors import DataError

CHANNELS = 700


def gpn_loop(times, units, steps):
    """The loop of the authors: frame i takes what is there with time <= i / T."""
    frames = []
    for i in range(steps):
        now = times <= i * (1 / steps)
        frame = np.zeros(CHANNELS, int)
        for unit in units[now]:
            if unit > 0:
                frame[CHANNELS - unit] += 1
        times, units = times[~now], units[~now]
        frames.append(frame)
    return np.array(frames)


def digitize_loop(times, units, steps, window):
    x = np.zeros((steps, CHANNELS), int)
    edges = np.linspace(0, window, steps)
    for time, unit in zip(times.astype(float), units, strict=True):
        step = int(np.digitize(time, edges))
        if step < steps:
            x[step, unit] += 1
    return x


@st.composite
def samples(draw):
    """Some samples: times of a type, many of them on the boundaries of steps."""
    kind = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    steps = draw(st.integers(2, 60))
    lengths = draw(st.lists(st.integers(0, 30), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    for n in lengths:
        on_edge = rng.integers(0, steps + 5, n) / steps
        times = np.where(rng.random(n) < 0.5, on_edge, rng.uniform(0, 1.5, n)).astype(kind)
        units = rng.choice([0, 1, 2, 350, 698, 699], n)
        made.append((times, units))
    return steps, made


def events_of(made):
    lengths = [len(times) for times, _ in made]
    return Events(
        np.concatenate([times for times, _ in made]),
        np.concatenate([units for _, units in made]).astype(np.int64),
        np.repeat(np.arange(len(made)), lengths),
        len(made),
    )


@settings(max_examples=60, deadline=None)
@given(samples())
def test_binnings_equal_their_loops(drawn):
    steps, made = drawn
    events = events_of(made)
    got = binning.bin_events(events, "gpn", steps, 1.0)
    np.testing.assert_array_equal(got, [gpn_loop(t, u, steps) for t, u in made])
    got = binning.bin_events(events, "digitize", steps, 1.4)
    np.testing.assert_array_equal(got, [digitize_loop(t, u, steps, 1.4) for t, u in made])


def test_a_spike_of_each_kind():
    times = np.array([0.0, 0.05, 0.051, 0.951, 0.3, 0.3])
    units = np.array([1, 699, 699, 5, 0, 10])
    x = binning.bin_events(events_of([(times, units)]), "gpn", 20, 1.0)
    assert x.shape == (1, 20, 700)
    # the last but two comes too late, unit 0 has no channel
    assert sorted(zip(*np.nonzero(x[0]), strict=True)) == [(0, 699), (1, 1), (2, 1), (6, 690)]


def test_half_precision_compares_as_the_authors_did():
    # 0.7 is 0.7002 in float16, so a spike there is not in the step that ends at 0.7 exactly,
    # unless the bound is rounded too, as NumPy does
    times, units = np.array([0.7], np.float16), np.array([1])
    assert float(times[0]) > 0.7
    assert binning.bin_events(events_of([(times, units)]), "gpn", 10, 1.0)[0, 7, 699] == 1


def test_counts_add_up_and_floor_keeps_rounded_decimals():
    times, units = np.array([0.3, 0.3, 0.1 * 3]), np.array([7, 7, 7])
    x = binning.bin_events(events_of([(times, units)]), "floor", 14, 1.4)
    assert x[0, 3, 7] == 3
    assert x.sum() == 3


@pytest.mark.parametrize("dt_ms", [1, 10, 20])
def test_times_on_the_grid_stay_in_their_steps_in_any_type(dt_ms):
    k = np.arange(2001)
    dt = dt_ms / 1000
    on_grid = {
        "float64": k * dt,
        "float32, rounded at the end": (k * dt).astype(np.float32),
        "float32 throughout": k.astype(np.float32) * np.float32(dt),
        "float32, in milliseconds first": (k * dt_ms).astype(np.float32) / np.float32(1000),
    }
    for name, times in on_grid.items():
        got = np.floor(binning.in_steps(times, dt)).astype(int)
        np.testing.assert_array_equal(got, k, err_msg=name)
        # a spike of each time, in a window of all the steps
        events = events_of([(times, np.zeros(2001, int))])
        counted = binning.bin_events(events, "floor", 2001, 2001 * dt, 1)
        np.testing.assert_array_equal(counted[0, :, 0], np.ones(2001), err_msg=name)


def test_times_inside_a_step_do_not_move():
    inside = np.array([0.001, 0.25, 0.5, 0.75, 0.99])
    for kind, dt, steps in (
        (np.float64, 1e-3, 2000),
        (np.float32, 1e-3, 2000),
        (np.float32, 20e-3, 2000),
        (np.float32, 1e-3, 50),
    ):
        k = np.arange(steps)[:, None]
        got = np.floor(binning.in_steps(((k + inside) * dt).astype(kind), dt))
        np.testing.assert_array_equal(got, np.broadcast_to(k, got.shape))
    # float32 knows no better than 1/16 s there: no type is coarse enough to move what is mid-step
    assert np.floor(binning.in_steps(np.array([1e6 + 0.5], np.float32), 1.0)) == 1e6
    assert np.floor(binning.in_steps(np.array([2.0**20 + 0.0625], np.float32), 0.125)) == 2**23


def test_half_precision_is_taken_as_it_is():
    # every time of that type above 1 s lies within one spacing of a step of 1 ms
    times = np.arange(0, 1.5, 2.0**-10).astype(np.float16)
    exact = [int(Fraction(float(t)) / Fraction(14, 1000)) for t in times]
    np.testing.assert_array_equal(np.floor(binning.in_steps(times, 0.014)), exact)


def test_times_that_are_not_finite_stay_so():
    got = binning.in_steps(np.array([np.nan, np.inf, 1.0], np.float32), 0.5)
    np.testing.assert_array_equal(np.isfinite(got), [False, False, True])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sparse", 10, 1.0), "there is no 'sparse', give one of"),
        (("gpn", 1, 1.0), "steps is 1, give a whole number from 2 to 10000"),
        (("gpn", 2.5, 1.0), "steps is 2.5, give a whole number"),
        (("floor", 10, 0.0), "window_s is 0.0, give seconds above 0"),
        (("floor", 10, float("nan")), "window_s is nan, give seconds above 0"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(DataError, match=re.escape(message)):
        binning.step_s(*arguments)


def test_steps_last_as_the_binnings_say():
    assert binning.step_s("gpn", 20, 1.0) == 0.05
    assert binning.step_s("digitize", 100, 1.4) == 1.4 / 99
    assert binning.step_s("floor", 100, 1.4) == pytest.approx(0.014)


def test_rolled_channels():
    x = np.arange(2 * 3 * 700).reshape(2, 3, 700).astype(np.uint16)
    rolled = binning.roll_channels(x, np.random.default_rng(0))
    shifts = []
    for row, was in zip(rolled.reshape(6, 700), x.reshape(6, 700), strict=True):
        fits = [s for s in range(-15, 16) if np.array_equal(row, np.roll(was, s))]
        assert len(fits) == 1
        shifts += fits
    assert len(set(shifts)) > 1
    np.testing.assert_array_equal(binning.roll_channels(x, np.random.default_rng(1), 0), x)
    with pytest.raises(DataError, match=r"x has shape \(3,\) and limit is 15"):
        binning.roll_channels(x[0, 0, :3], np.random.default_rng(0))
