"""One writer at a time: locks that vanish with their process, and a message that names the one who holds them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from halo_utils.core.errors import BusyError
from halo_utils.core.files import storage_errors, write_text
from halo_utils.core.paths import shown
from halo_utils.core.ranks import is_first

PATIENCE_SECONDS = 15  # how long to wait; the kernel of a killed notebook run needs a second to notice and stop


@contextmanager
def locked(path: Path, what: str, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the lock file ``path`` for the length of the block.

    The operating system releases the lock when the process ends, however it ends; a left-over lock file means
    nothing.

    Args:
        path: lock file; its folder is created.
        what: what is being written, for the message.
        patience: seconds to wait for another holder.

    Raises:
        BusyError: if another process holds the lock; names it and the remedies.
        StorageError: if the folder cannot be written.
    """
    if not is_first():  # the first of several processes that run together holds it for all
        yield
        return
    owner = path.with_name(f"{path.name}.owner")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:
            holder = owner.read_text(encoding="utf-8") if owner.is_file() else "another process"
            raise BusyError(
                f"{what} is being written by {holder} ({shown(path)}): wait for it or stop it, then run the same"
                " command again; or give this run another seed or profile"
            ) from error
    try:
        write_text(owner, f"process {os.getpid()} since {datetime.now():%Y-%m-%d %H:%M}")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
