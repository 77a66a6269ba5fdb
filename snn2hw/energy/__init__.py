"""The energy bill: counts from a run, prices with source and grade, and nothing priced in silence.

How it counts and what it leaves out: docs/energy.md.
"""

from __future__ import annotations

from snn2hw.energy.activity_file import fingerprint, read_activity, write_activity
from snn2hw.energy.bill import Bill, Item, Latency
from snn2hw.energy.counting import float_operations, operations
from snn2hw.energy.estimate import estimate
from snn2hw.energy.memory import Traffic, memory_traffic
from snn2hw.energy.placed import Route, routes
from snn2hw.energy.profile import Price, Profile, load_profile, profile_names

__all__ = [
    "Bill",
    "Item",
    "Latency",
    "Price",
    "Profile",
    "Route",
    "Traffic",
    "estimate",
    "fingerprint",
    "float_operations",
    "load_profile",
    "memory_traffic",
    "operations",
    "profile_names",
    "read_activity",
    "routes",
    "write_activity",
]
