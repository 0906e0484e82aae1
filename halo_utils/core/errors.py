"""The errors that a user can meet; every message names the item, what was expected and the remedy."""


class HaloError(Exception):
    """Parent of every error raised on purpose by this package."""


class SettingsError(HaloError):
    """Raised when a profile, a profile value or a notebook parameter is not valid."""


class DataError(HaloError):
    """Raised when an input table, sequence or label breaks its format."""


class DownloadError(HaloError):
    """Raised when a file cannot be fetched, or what came is not what was asked for."""


class StructureError(HaloError):
    """Raised when a structure file cannot be read or does not belong to its protein."""


class LeakError(HaloError):
    """Raised when a quantity chosen on one split would be evaluated on the same split."""


class StorageError(HaloError):
    """Raised when results cannot be written: the disk is full, or the folder is read-only."""


class BusyError(HaloError):
    """Raised when another process is writing the same run."""


class TrainingError(HaloError):
    """Raised when training cannot go on: a loss that is not a number, or no memory left."""
