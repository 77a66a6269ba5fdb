"""lava-dl's ``.net`` files (netx), in and out, without lava-dl or torch; see docs/netx.md."""

from snn2hw.converters.netx.fit import fit_netx
from snn2hw.converters.netx.read import from_netx, windows
from snn2hw.converters.netx.write import to_netx

__all__ = ["fit_netx", "from_netx", "to_netx", "windows"]
