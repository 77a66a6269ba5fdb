"""Sound to spikes of 700 channels, as in SHD and SSC: the cochlea model of Lauscher.

Cramer, Stradmann, Schemmel, Zenke, IEEE TNNLS 33 (2022) 2744; the equations are those of their
code (electronicvisions/lauscher, commit 16db85f), written anew. It needs SciPy, in the extra
``[audio]``, which is imported with this package and not with `snn2hw`.
"""

from snn2hw.errors import MissingDependencyError

try:
    import scipy as _scipy  # noqa: F401  (here so that its absence gets a message of ours)
except ModuleNotFoundError as error:  # pragma: no cover - needs an environment without SciPy
    raise MissingDependencyError(
        "snn2hw.data.cochlea needs scipy, which is not installed: run pip install 'snn2hw[audio]'"
    ) from error

from snn2hw.data.cochlea.encoder import CochleaEncoder, Spikes

__all__ = ["CochleaEncoder", "Spikes"]
