"""The errors that snn2hw raises on purpose: one tree, so that callers can catch all of it at once.

Each message says what is wrong, where, and what to do about it, in one line. The command line
prints that line and exits with status 2; anything else that escapes is a bug of ours.
"""


class Snn2hwError(Exception):
    """Base of every error that snn2hw raises about its input or its surroundings."""


class GraphError(Snn2hwError):
    """A network that cannot be: unknown or unconnected nodes, wrong shapes, impossible loops."""


class ParameterError(Snn2hwError):
    """A number out of its range: a weight that is not finite, a time constant below dt/2."""


class DataError(Snn2hwError):
    """Input data of the wrong shape, type or range, or data that are not at hand."""


class FileFormatError(Snn2hwError):
    """A file that is truncated, foreign, or of a version that this release does not read."""


class TargetError(Snn2hwError):
    """A network that the chosen target cannot hold or does not know."""


class BackendError(Snn2hwError):
    """A backend (Lava) that is not at hand, hangs, or dies."""


class ProfileError(Snn2hwError):
    """An energy profile that is unknown or incomplete."""


class MissingDependencyError(Snn2hwError):
    """An optional package that the call needs and that is not installed."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python, NumPy or torch, says that there is not enough memory."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(part in said for part in ("allocate memory", "out of memory", "size calculation"))
    )


class RepairWarning(UserWarning):
    """A file of another tool or of an older layout was repaired on reading; the text says how."""


class ChecksumWarning(UserWarning):
    """A download whose checksum nobody published; the text says what was recorded instead."""
