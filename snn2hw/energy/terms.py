"""What a profile may price: terms by the way it accounts, units, grades of sources."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, Mapping[str, str]] = {
    "events": {
        "synaptic_operation": "synaptic operation",
        "neuron_update_active": "neuron update, active",
        "neuron_update_idle": "neuron update, idle",
        "spike_in_tile": "message within a tile",
        "hop_east_west": "hop east or west",
        "hop_north_south": "hop north or south",
        "stdp_pair_update": "pairwise STDP update",
    },
    "stages": {
        "synapse_dense": "synaptic operation, dense encoding",
        "synapse_sparse": "synaptic operation, sparse encoding",
        "synapse_convolution": "synaptic operation, shared weights",
        "neuron_access": "neuron accessed",
        "neuron_update": "neuron updated",
        "spike_out": "message made by a neuron",
        "message_out": "message sent to a core",
        "hop_east_west": "hop east or west",
        "hop_north_south": "hop north or south",
    },
    "operations": {
        "add": "addition",
        "multiply_8": "multiplication, 8 bits",
        "multiply_32": "multiplication, 32 bits",
        "compare": "comparison",
        "select": "selection",
        "shift": "shift",
        "logic": "bitwise operation",
        "sram_access": "SRAM access, 64 bits",
    },
    "float-operations": {
        "add": "addition, 32-bit float",
        "multiply": "multiplication, 32-bit float",
        "compare": "comparison, 32-bit float",
        "select": "selection, 32-bit float",
        "logic": "bitwise operation",
        "sram_access": "SRAM access, 64 bits",
    },
    "analytical": {
        "add": "addition",
        "multiply": "multiplication",
        "sram_word": "SRAM access, one word of 32 bits",
    },
    "power-states": {
        "chip_base": "a second of the chip with its elements off",
        "pe_sleep_low": "a second of an element, asleep at the low voltage",
        "pe_sleep_high": "a second of an element, asleep at the high voltage",
        "pe_cycle_low": "busy cycle of an element at the low voltage",
        "pe_cycle_high": "busy cycle of an element at the high voltage",
    },
}
"""The terms that a profile may price, by the way it accounts: name -> what it is."""

TIMES: Mapping[str, Mapping[str, str]] = {
    "events": {
        "synaptic_operation": "synaptic operation",
        "neuron_update_active": "neuron update, active",
        "neuron_update_idle": "neuron update, idle",
        "barrier": "barrier over the tiles at the end of a step",
    },
}
"""The times that a profile may give beside its prices: name -> of what. Others give none."""

PER_SECOND = ("chip_base", "pe_sleep_low", "pe_sleep_high")
"""Terms that are powers; their counts are seconds."""

GRADES: Mapping[str, str] = {
    "M": "measured on silicon",
    "S": "pre-silicon simulation",
    "A": "all-in figure at one operating point",
    "T": "technology table",
    "C": "model calibrated to silicon",
}
"""Grades of sources. U, unsourced, is refused."""

UNITS: Mapping[str, float] = {"J": 1.0, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15}
"""Units of a price -> joules."""

POWER_UNITS: Mapping[str, float] = {"W": 1.0, "mW": 1e-3, "uW": 1e-6}
"""Units of a price per second -> watts."""

TIME_UNITS: Mapping[str, float] = {"s": 1.0, "us": 1e-6, "ns": 1e-9}
"""Units of a time -> seconds."""
