"""What makes training survive: resume points that are whole, and clear words for interrupts and full memory."""

import signal
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from halo_utils.core.errors import TrainingError
from halo_utils.core.paths import shown

CHECKPOINT = "{epoch:02d}"  # Lightning's pattern for epoch=00.ckpt


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the checkpoint written at the end of an epoch, counted from 0."""
    return folder / f"epoch={epoch:02d}.ckpt"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint; only tensors and plain values are ever unpickled.

    Raises:
        TrainingError: if the file is damaged, or holds anything that could run code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can provoke anything; the answer is the same
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(f"{shown(path)} is damaged or not a checkpoint of this project ({reason})") from error
    raise TrainingError(f"{shown(path)} is damaged ({damaged}): delete it and run the same command again")


def resume_point(folder: Path) -> tuple[Path | None, list[dict[str, float]]]:
    """Return the newest checkpoint up to which all are whole, and the history rows it holds.

    What comes after a damaged checkpoint is removed and trained again, with a message.
    """
    last, rows, epoch = None, [], 0
    while (path := checkpoint_path(folder, epoch)).is_file():
        try:
            rows = read_checkpoint(path)["callbacks"]["History"]["rows"]
        except (TrainingError, KeyError) as error:
            print(f"{error}: training goes on from the epoch before")
            break
        last, epoch = path, epoch + 1
    for path in folder.glob("*.ckpt"):
        if path != last and path not in {checkpoint_path(folder, e) for e in range(epoch)}:
            path.unlink()
    return last, rows


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a run that keeps only its last ones; newer, damaged ones are removed."""
    for path in sorted(folder.glob("epoch=*.ckpt"), key=lambda p: int(p.stem.removeprefix("epoch=")), reverse=True):
        try:
            read_checkpoint(path)
        except TrainingError as error:
            print(f"{error}: training goes on from the round before")
            path.unlink()
            continue
        return path
    return None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end training as KeyboardInterrupt, and work again afterwards.

    Lightning asks the process to exit and leaves the signal switched off.
    """
    here = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if here else None
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt("training was interrupted: run the cell again to go on from its last epoch") from error
    finally:
        if here:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def memory_errors(budget: str) -> Iterator[None]:
    """Turn a full memory into one message that names the value to lower.

    Raises:
        TrainingError: on CPU or GPU alike.
    """
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
