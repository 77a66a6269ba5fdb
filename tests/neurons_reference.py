"""Neurons again in NumPy, from what their authors publish: one sample, one step and one
neuron at a time, in float64. Those of discrete nodes are ``float_reference.py``'s."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def numpy_gpn(x, weight, bias, kept):
    """arXiv 2412.01087 as its authors' code has it (github.com/hrje123/hr-GPN-SNN)."""
    batch, steps, n = x.shape
    spikes, states = np.zeros_like(x), np.zeros_like(x)
    for b in range(batch):
        v = np.zeros(n)
        for t in range(steps):
            xt = x[b, t]
            row = {}
            for k, name in enumerate(kept):
                rows = slice(k * n, (k + 1) * n)
                row[name] = weight[rows, :n] @ v + weight[rows, n:] @ xt + bias[rows]
            after = np.zeros(n)
            for i in range(n):
                if "F" in kept and "I" in kept:
                    h = sigmoid(row["F"][i]) * v[i] + sigmoid(row["I"][i]) * xt[i]
                elif "F" in kept:
                    h = sigmoid(row["F"][i]) * v[i] + (1 - sigmoid(row["F"][i])) * xt[i]
                elif "I" in kept:
                    h = (1 - sigmoid(row["I"][i])) * v[i] + sigmoid(row["I"][i]) * xt[i]
                else:
                    h = 0.5 * v[i] + 0.5 * xt[i]
                threshold = sigmoid(row["T"][i]) if "T" in kept else 1.0
                fired = h >= threshold
                spikes[b, t, i] = 1.0 if fired else 0.0
                after[i] = 0.0 if fired else h
                if "B" in kept:
                    after[i] += math.tanh(row["B"][i])
            v = after
            states[b, t] = v
    return spikes, states


def numpy_lif(x, tau, threshold, reset):
    spikes, states = np.zeros_like(x), np.zeros_like(x)
    for index in np.ndindex(x.shape[0], x.shape[2]):
        v = reset
        for t in range(x.shape[1]):
            here = (index[0], t, index[1])
            v = v + (x[here] - (v - reset)) / tau
            if v >= threshold:
                spikes[here] = 1.0
                v = reset
            states[here] = v
    return spikes, states


def numpy_plif(x, w, threshold):
    """v <- v + (x - v) sigmoid(w); a spike at v >= threshold sets it to 0."""
    part = 1.0 / (1.0 + math.exp(-w))
    spikes, states = np.zeros_like(x), np.zeros_like(x)
    for index in np.ndindex(x.shape[0], x.shape[2]):
        v = 0.0
        for t in range(x.shape[1]):
            here = (index[0], t, index[1])
            v += (x[here] - v) * part
            if v >= threshold:
                spikes[here], v = 1.0, 0.0
            states[here] = v
    return spikes, states


def numpy_rcuba(x, weight, bias, alpha=0.2, beta=0.2, threshold=0.5):
    """i <- alpha i + x + U s + c, v <- beta v + (1 - beta) i, reset to 0: their "RLIF"."""
    batch, steps, n = x.shape
    spikes, states = np.zeros_like(x), np.zeros_like(x)
    for b in range(batch):
        current, v, s = np.zeros(n), np.zeros(n), np.zeros(n)
        for t in range(steps):
            heard = [math.fsum(weight[j] * s) + bias[j] for j in range(n)]
            for j in range(n):
                current[j] = alpha * current[j] + x[b, t, j] + heard[j]
                v[j] = beta * v[j] + (1 - beta) * current[j]
                s[j] = 1.0 if v[j] >= threshold else 0.0
                v[j] = 0.0 if s[j] else v[j]
            spikes[b, t], states[b, t] = s, v
    return spikes, states


def numpy_glif(x, p):
    """Yao et al. 2022, channel-wise with gates of 0 and 1; p: name -> (n,). The reset is a part of
    the next step, v that of the moment of the spike."""
    spikes, states = np.zeros_like(x), np.zeros_like(x)
    for b, j in np.ndindex(x.shape[0], x.shape[2]):
        v = s = 0.0
        for t in range(x.shape[1]):
            if s and p["gamma"][j] == 1:
                v = 0.0
            v = p["tau"][j] * v if p["alpha"][j] == 1 else v - p["leak"][j]
            v += p["conductance"][j] * x[b, t, j] if p["beta"][j] == 1 else x[b, t, j]
            if s and p["gamma"][j] == 0:
                v -= p["v_subtract"][j]
            s = 1.0 if v >= p["v_threshold"][j] else 0.0
            spikes[b, t, j], states[b, t, j] = s, v
    return spikes, states
