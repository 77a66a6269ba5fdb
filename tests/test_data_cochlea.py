"""The cochlea encoder against its equations, its random process against the plain one."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import cochlea_reference as reference
import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.special import hankel1

from snn2hw.data.cochlea import CochleaEncoder, kernels
from snn2hw.data.cochlea.encoder import prepare, stream_seeds
from snn2hw.data.cochlea.membrane import (
    BasilarMembrane,
    best_frequency_hz,
    padded_bins,
    places,
    transfer_functions,
)
from snn2hw.errors import DataError, ParameterError

PLACES = np.array([0.0, 0.01, 0.3, 0.6, 1.0, 1.7, 2.0, 2.6, 3.2, 3.5])


def tone(hz, seconds=0.25, rate_hz=16000.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


@pytest.mark.parametrize("rate_hz", [8000.0, 16000.0, 48000.0, 96000.0])
def test_transfer_functions_are_those_of_the_equations(rate_hz):
    found = transfer_functions(rate_hz, 1001, PLACES)
    w = 2 * np.pi * np.linspace(1, rate_hz / 2, 1001)
    wanted = np.array([reference.transfer(w, c) for c in PLACES])
    np.testing.assert_array_less(np.abs(found - wanted), 1e-12 * np.abs(wanted))


def test_hankel_function_in_the_whole_quadrant():
    rng = np.random.default_rng(0)
    size = np.concatenate([10 ** rng.uniform(-5, 1.9, 4000), [2.999, 3.001, 19.999, 20.001] * 50])
    z = size * np.exp(1j * rng.uniform(0, np.pi / 2, size.size))
    found = np.array([kernels.hankel0(complex(value)) for value in z])
    assert np.abs(found / hankel1(0, z) - 1).max() < 1e-13


def test_transfer_functions_agree_with_thirty_digits():
    mp = mpmath.mp.clone()
    mp.dps = 30
    sqrt, exp, i = mp.sqrt, mp.exp, mp.mpc(0, 1)
    alpha, a, c0, h, m = mp.mpf(3), mp.mpf(3500), mp.mpf(10) ** 9, mp.mpf(1) / 10, mp.mpf(5) / 100
    r0 = mp.mpf(15) / 100 * sqrt(c0 * m)

    def velocity(w, c):
        def pressure(c):
            xi = c0 * exp(-alpha * c) - a - m * w**2 - i * w * r0 * exp(-alpha * c / 2)
            xi0 = c0 - a - m * w**2 - i * w * r0
            spread, e = sqrt(a + m * w**2), exp(-alpha * c / 2)
            up = -alpha * sqrt(xi0) + i * alpha * (2 * a + w * (2 * m * w + i * r0)) / (2 * spread)
            down = alpha / (2 * e) * (
                -2 * sqrt(xi) + i * (2 * a + w * (2 * m * w + i * r0 * e)) / spread
            )  # fmt: skip
            big = 2 * w * sqrt(1 / (h * xi0)) / alpha - 2 * i * sqrt(mp.mpf(2)) * w / (
                alpha * sqrt(2 * h * (m * w**2 + a))
            ) * mp.log(up / down)
            # H0(z) is 2 K0(-iz) / (pi i), which does not cancel where z is far from the real axis
            wave = 2 / (mp.pi * i) * mp.besselk(0, -i * big)
            return sqrt(big / (w * sqrt(1 / (h * xi)))) * wave, xi

        k = 2 * w / alpha * sqrt(2 / (h * c0))
        z = sqrt(2 * c0 / h) * (i * mp.besselj(0, k) + mp.bessely(0, k))
        z /= mp.besselj(1, k) - i * mp.bessely(1, k)
        here, xi = pressure(c)
        return 2 * w / xi * here * z / pressure(mp.mpf(0))[0]

    bins, at = 5, PLACES[[1, 3, 6, 9]]
    found = transfer_functions(48000.0, bins, at)
    for (k, c), j in itertools.product(enumerate(at), range(bins)):
        w = 2 * mp.pi * mp.mpf(float(np.linspace(1, 24000, bins)[j]))
        wanted = complex(velocity(w, mp.mpf(float(c))))
        assert abs(found[k, j] - wanted) <= 1e-12 * abs(wanted)


def test_transfer_functions_have_no_jumps_of_branch():
    # a wrong branch of a root or logarithm turns the phase by pi or scales by much within one bin
    table = transfer_functions(48000.0, 24000, places(36))
    step = table[:, 1:] / table[:, :-1]
    assert np.abs(np.angle(step)).max() < 0.3
    assert np.abs(np.log(np.abs(step[:, 20:]))).max() < 0.2


def test_places_have_the_best_frequencies_of_the_model():
    measured = {0.5: 9560, 1.0: 4490, 1.5: 2120, 2.0: 1005, 2.5: 475, 3.0: 223, 3.5: 100}
    at = np.array(list(measured))
    table = np.abs(transfer_functions(48000.0, 24000, at))
    found = np.linspace(1, 24000, 24000)[table.argmax(1)]
    np.testing.assert_allclose(found, list(measured.values()), rtol=5e-3)
    np.testing.assert_allclose(best_frequency_hz(at), found, rtol=0.06)
    assert places(700)[[0, 699]].tolist() == [0.0, 3.5]


@pytest.mark.parametrize("n", [400, 401, 738, 1023])
def test_membrane_moves_as_the_inverse_transform_of_the_same_length_says(n):
    sound = np.random.default_rng(n).normal(size=n)
    membrane = BasilarMembrane(120, keep_bytes=0)
    found = np.concatenate([part for _, part in membrane.move(sound, 16000.0, wrap=True)])
    wanted = reference.membrane(sound, 16000.0, places(120))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_padding_is_silence_after_the_sound_whatever_is_kept_and_done_at_once(monkeypatch):
    monkeypatch.setattr("snn2hw.data.cochlea.membrane.BLOCK", 13 * 512)
    sound = np.random.default_rng(1).normal(size=1000)
    bins = padded_bins(1000)
    assert bins == 512
    longer = np.concatenate([sound, np.zeros(2 * (bins - 1) - 1000)])
    wanted = reference.membrane(longer, 16000.0, places(60))[:, :501]
    for keep_bytes in (0, 1 << 20, 1 << 24):
        membrane = BasilarMembrane(60, keep_bytes)
        for _ in range(2):
            found = np.concatenate([part for _, part in membrane.move(sound, 16000.0, wrap=False)])
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_padded_lengths_are_few_and_at_most_an_eighth_longer():
    lengths = [padded_bins(n) for n in range(100, 50000)]
    assert all(n // 2 + 1 <= b <= 1.125 * (n // 2 + 1) for n, b in enumerate(lengths, 100))
    assert len(set(lengths)) <= 8 * 9 + 1


@pytest.mark.parametrize("n", [1000, 1001])
def test_sound_is_scaled_and_ramped(n):
    sound = np.random.default_rng(2).normal(size=n)
    wanted = reference.prepare(sound.copy())
    np.testing.assert_allclose(prepare(sound), wanted, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(prepare(sound * 1e-160), wanted, rtol=1e-12, atol=1e-15)
    assert not prepare(np.zeros(n)).any()


@pytest.mark.parametrize("rate_hz", [5512.5, 8000.0, 24000.0])
def test_hair_cell_is_the_loop_of_the_equations(rate_hz):
    rng = np.random.default_rng(3)
    motion = rng.normal(size=2000) * np.repeat([0.0, 3.0, 30.0, 500.0], 500)
    found = np.empty(2000)
    kernels.hair_cell(motion, rate_hz, found)
    np.testing.assert_allclose(found, reference.hair_cell(motion, rate_hz), rtol=1e-9, atol=1e-12)


def test_hair_cell_at_rest_stays_at_the_fixed_point():
    found = np.empty(24000)
    kernels.hair_cell(np.zeros(24000), 24000.0, found)
    # 50000 M y k / (l k + y (l + r)) with k = 2000 * 5 / 305
    k = 2000 * 5 / 305
    np.testing.assert_allclose(found * 24000, 50000 * 5.05 * k / (2500 * k + 5.05 * 9080))


@pytest.mark.parametrize("rate_hz", [5512.5, 8000.0, 24000.0])
def test_bushy_cell_fires_spike_for_spike_as_the_loop(rate_hz):
    rng = np.random.default_rng(4)
    probability = rng.uniform(0, 900 / rate_hz, 6000) * np.repeat([0.1, 1.0, 0.3], 2000)
    trains = reference.fibres(rng, probability, 40, 1e-3 * rate_hz)
    times = np.empty(6000, dtype=np.int32)
    counts = trains.sum(0).astype(np.int32)
    found = kernels.bushy_cell(counts, rate_hz, 40, times)
    wanted = reference.bushy_cell(trains, rate_hz)
    assert len(wanted) > 50
    assert times[:found].tolist() == wanted


PATTERN = np.array([0.3, 0.05, 0.0, 0.6, 0.9, 0.2, 1.4, 0.1, 0.5])
SILENT = 3


def pattern_chances():
    """Chance of each train of spikes over PATTERN, by the definition: draw all, thin, add up."""
    chances: dict[tuple[int, ...], float] = {}
    clipped = np.minimum(PATTERN, 1.0)
    for raw in itertools.product((0, 1), repeat=len(PATTERN)):
        chance = float(np.prod([q if bit else 1 - q for bit, q in zip(raw, clipped, strict=True)]))
        train, last = [0] * len(raw), -SILENT
        for t, bit in enumerate(raw):
            if bit and t - last >= SILENT:
                train[t], last = 1, t
        chances[tuple(train)] = chances.get(tuple(train), 0.0) + chance
    return {train: chance for train, chance in chances.items() if chance > 0}


def drawn(seeds, probability, refractory, trains=1):
    hazard = np.empty(len(probability))
    kernels.hazards(probability, hazard)
    first = np.empty(len(probability), dtype=np.int32)
    counts = np.empty((len(seeds), len(probability)), dtype=np.int32)
    for seed, row in zip(seeds, counts, strict=True):
        kernels.draw(seed, hazard, trains, refractory, first, row)
    return counts


@pytest.mark.parametrize("way", ["drawn by hazard", "drawn in each sample"])
def test_trains_have_the_chances_of_a_draw_in_each_sample(way):
    many = 40_000
    if way == "drawn by hazard":
        trains = drawn(stream_seeds(5, 0, many), PATTERN, SILENT)
    else:
        trains = reference.fibres(np.random.default_rng(5), PATTERN, many, SILENT)
    chances = pattern_chances()
    seen = dict.fromkeys(chances, 0)
    for train, times in zip(*np.unique(trains, axis=0, return_counts=True), strict=True):
        seen[tuple(int(bit) for bit in train)] += int(times)  # KeyError: one that cannot be
    expected = np.array([chances[train] * many for train in seen])
    observed = np.array(list(seen.values()))
    assert len(expected) == 20
    assert expected.min() > 5
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_trains_of_a_cell_are_independent_and_as_many_as_asked_for():
    # counts of 40 trains: variance of a sum of independent ones, over a driven hair cell
    probability = np.empty(400)
    kernels.hair_cell(100 * np.sin(np.arange(400) / 5), 8000.0, probability)
    counts = drawn(stream_seeds(6, 0, 3000), probability, 8, trains=40)
    fire = np.zeros(400)
    for t in range(400):
        fire[t] = probability[t] * (1 - fire[max(0, t - 7) : t].sum())
    mean, variance = 40 * fire, 40 * fire * (1 - fire)
    may = mean > 0
    assert may.sum() > 100
    assert not counts[:, ~may].any()
    score = (counts.mean(0) - mean)[may] / np.sqrt(variance[may] / 3000)
    assert stats.kstest(score, "norm").pvalue > 1e-3
    np.testing.assert_allclose(counts.var(0).sum(), variance.sum(), rtol=0.01)


def test_certain_and_impossible_samples():
    assert drawn(np.array([7], np.uint64), np.zeros(50), 2, trains=40).sum() == 0
    always = drawn(np.array([7], np.uint64), np.full(9, 1.0), 3, trains=40)
    assert always[0].tolist() == [40, 0, 0] * 3


def test_a_tone_excites_the_channels_of_its_place():
    encoder = CochleaEncoder(140)
    for hz in (400.0, 1000.0, 3000.0):
        spikes = encoder.encode(tone(hz), 16000)
        counts = np.bincount(spikes.units, minlength=140)
        centre = np.average(
            np.arange(140), weights=np.where(counts > 0.5 * counts.max(), counts, 0)
        )
        place = 139 * np.log(20e3 / hz) / 1.5 / 3.5
        assert abs(centre - place) < 6, (hz, centre, place)


def test_loudness_does_not_matter_and_silence_is_spontaneous():
    encoder = CochleaEncoder(70, seed=3)
    soft, loud = (encoder.encode(level * tone(700.0), 16000) for level in (2.0**-20, 1.0))
    assert np.array_equal(soft.times, loud.times)
    assert np.array_equal(soft.units, loud.units)
    silence = encoder.encode(np.zeros(16000), 16000)
    assert silence.silent
    assert not loud.silent
    # the hair cell at rest: the same chances in each channel, about five spikes a second
    assert 70 * 2 < len(silence) < 70 * 10
    assert stats.chisquare(np.bincount(silence.units, minlength=70)).pvalue > 1e-3


def test_same_seed_same_spikes_whatever_the_order_and_the_threads():
    sounds = [tone(hz, 0.1) + tone(2.7 * hz, 0.1) for hz in (200, 300, 500, 900)]
    encoder = CochleaEncoder(60, seed=11)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(encoder.encode, s, 16000, f"{k}") for k, s in enumerate(sounds)]
        together = [job.result() for job in jobs]
    fresh = CochleaEncoder(60, seed=11, keep_bytes=0)
    for k in (3, 0, 2, 1):
        alone = fresh.encode(sounds[k], 16000, f"{k}")
        assert np.array_equal(alone.times, together[k].times)
        assert np.array_equal(alone.units, together[k].units)
    other = [
        CochleaEncoder(60, seed=12).encode(sounds[0], 16000, "0"),
        encoder.encode(sounds[0], 16000, "1"),
        encoder.encode(sounds[0], 16000, 0),
    ]
    for spikes in other:
        assert not np.array_equal(spikes.times, together[0].times)


def test_chain_is_its_stages():
    """All stages in a row, on the reference's motion, with the encoder's own random numbers."""
    sound = tone(900.0, 0.05) + tone(2000.0, 0.05)
    spikes = CochleaEncoder(30, seed=2, wrap=True, trains=20).encode(sound, 16000, "clip")
    seeds = stream_seeds(2, "clip", 30)
    motion = reference.membrane(reference.prepare(sound), 16000.0, places(30))
    expected = []
    for k, row in enumerate(motion):
        counts = drawn(seeds[k : k + 1], reference.hair_cell(row, 8000.0), 8, trains=20)[0]
        # 20 trains at once stand for their sum: each of them decays alike
        trains = (np.arange(20)[:, None] < counts).astype(float)
        expected += [(t / 8000.0, k) for t in reference.bushy_cell(trains, 8000.0)]
    found = list(zip(spikes.times.tolist(), spikes.units.tolist(), strict=True))
    assert len(found) > 50
    assert found == sorted(expected)


def test_spikes_are_ordered_and_counted_into_steps():
    spikes = CochleaEncoder(50).encode(tone(600.0, 0.2), 16000)
    assert (np.diff(spikes.times) >= 0).all()
    assert spikes.times.max() < spikes.duration_s == 0.2
    x = spikes.counts(10, 0.02)
    assert x.shape == (10, 50)
    assert x.sum() == len(spikes)
    first = (spikes.times < 0.02 - 1e-9) & (spikes.units == 30)
    assert x[0, 30] == first.sum()
    assert spikes.counts(5, 0.02).sum() == x[:5].sum()


def test_low_rates_are_resampled_unless_told_otherwise():
    at8 = tone(600.0, 0.2, 8000.0)
    usual = CochleaEncoder(50).encode(at8, 8000)
    told = CochleaEncoder(50, rate_hz=16000).encode(at8, 8000)
    assert np.array_equal(usual.times, told.times)
    assert np.all(np.rint(usual.times * 8000) == np.round(usual.times * 8000, 6))
    own = CochleaEncoder(50, rate_hz=8000).encode(at8, 8000)
    assert np.all(np.round(own.times * 4000, 6) % 1 == 0)
    assert CochleaEncoder(50).inner_rate_hz(44100) == 44100


@pytest.mark.parametrize(
    ("samples", "rate_hz", "error", "text"),
    [
        (np.zeros((100, 2)), 8000, DataError, "one channel"),
        (np.zeros(79), 8000, DataError, "0.01 to 60 s"),
        (np.zeros(0), 8000, DataError, "0.01 to 60 s"),
        (np.zeros(61_000), 1000, DataError, "0.01 to 60 s"),
        (np.full(800, np.nan), 8000, DataError, "not finite"),
        (np.zeros(800), 0, ParameterError, "sampling rate of 0 Hz"),
        (np.zeros(800), float("nan"), ParameterError, "sampling rate"),
    ],
)
def test_bad_sounds_are_refused(samples, rate_hz, error, text):
    with pytest.raises(error, match=text):
        CochleaEncoder(4).encode(samples, rate_hz)


def test_bad_settings_are_refused():
    for wrong in ({"channels": 0}, {"trains": 0}, {"seed": -1}, {"rate_hz": -1.0}):
        with pytest.raises(ParameterError, match="cochlea"):
            CochleaEncoder(**wrong)
