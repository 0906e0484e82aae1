"""What makes training survive: whole checkpoints, and clear words for interrupts and full memory."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from halo_utils.core.errors import TrainingError
from halo_utils.core.paths import shown


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content; a TrainingError if it is damaged or holds more than tensors and plain values."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can provoke anything; the answer is the same
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"{shown(path)} is damaged or not a checkpoint of this project ({reason}): delete it and run the same"
            " command again"
        ) from error


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end training as KeyboardInterrupt; Lightning asks the process to exit and leaves the signal off."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt("training was interrupted: run the cell again to go on from its last epoch") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


@contextmanager
def memory_errors(budget: str) -> Iterator[None]:
    """Turn a full memory, CPU or GPU alike, into one TrainingError that names the value to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        full = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)
        if not full:
            raise
        raise TrainingError(
            f"out of memory: lower {budget} in the profile (half of it needs about half the memory), then run the same"
            " command again; finished epochs are kept"
        ) from error
