"""The small family of errors that a user of the notebooks can meet.

Every message names the item, what was expected and the remedy.
"""


class HaloError(Exception):
    """Parent of every error raised on purpose by this package."""


class SettingsError(HaloError):
    """Raised when a profile, a profile value or a notebook parameter is not valid."""


class DataError(HaloError):
    """Raised when an input table, sequence or label breaks its format."""


class StructureError(HaloError):
    """Raised when a structure file cannot be read or does not belong to its protein."""


class LeakError(HaloError):
    """Raised when a quantity chosen on one split would be evaluated on the same split."""
