"""A warm start for processes of the tests: importing the libraries takes longer than what most of them do.

``python tests/warm.py -m MODULE ...`` is a process like ``python -m MODULE ...``. A server that has imported the
libraries forks, and the fork gets its arguments, environment, folder and streams. Signals are passed on, both
end alike, and where one is killed so is the other. The first such process starts the server, at the address HALO_WARM;
without one, or where variables are set that libraries read when they are imported, Python starts as ever.
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = ("lightning", "torch_geometric.nn", "transformers", "seaborn", "scipy.sparse", "sklearn.neural_network")
LIBRARIES += ("ipykernel.kernelapp", "papermill", "matplotlib_inline.backend_inline")
READ_AT_IMPORT = ("HF_", "OMP_", "PYTHONPATH", "VIRTUAL_ENV")
OF_THE_HUB = "HF_"  # where these differ, a fork imports the hub's libraries again
HUB = ("huggingface_hub", "transformers")
# Of the server: its address, the process that it serves until that ends, and the variables that it was started with.
ADDRESS, OWNER, FIXED = "HALO_WARM", "HALO_WARM_OWNER", "HALO_WARM_FIXED"
PATIENCE = 120.0  # seconds until a server has imported everything
PYTHON = [sys.executable, __file__]  # to be called like Python, with -m
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Fork(Exception):
    """Raised in a fork, to leave the server's frames before its own program runs."""


def _fixed() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(READ_AT_IMPORT)}


def variables(folder: Path) -> dict[str, str]:
    """Return the environment in which processes and kernels begin warm; ``folder`` is the server's."""
    if sys.platform != "linux":  # elsewhere a fork of a process with such libraries may not work
        return {}
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    start = [*PYTHON, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.joinpath("kernel.json").write_text(
        json.dumps({"argv": start, "display_name": "Python 3 (ipykernel)", "language": "python"})
    )
    found = {ADDRESS: str(folder / "socket"), OWNER: str(os.getpid()), FIXED: json.dumps(_fixed())}
    return found | {"JUPYTER_PATH": str(folder)}


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def serve(address: str) -> None:
    """Fork for every connection until the owner ends; a fork leaves through ``Fork``."""
    owner = int(os.environ[OWNER])
    sys.path.pop(0)  # the folder of this file
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a fork that collects would copy every page of what was imported
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address + ".new")
        listener.listen(16)
        Path(address + ".new").rename(address)  # there only when it answers
        clients: dict[socket.socket, int] = {}
        while _alive(owner):
            ready, _, _ = select.select([listener, *clients], [], [], 0.05)
            for one in ready:
                if one is listener:
                    client, _ = listener.accept()
                    clients[client] = _fork(client)
                else:  # it has nothing more to say: it was killed
                    os.kill(clients[one], signal.SIGKILL)
            for client, pid in list(clients.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with contextlib.suppress(OSError):
                        client.sendall(struct.pack("i", status))
                    client.close()
                    del clients[client]
    Path(address).unlink(missing_ok=True)


def _fork(client: socket.socket) -> int:
    """Fork and return the fork's process number; in the fork, take over what the client sent."""
    head, streams, _, _ = socket.recv_fds(client, 4, 3)
    size, text = struct.unpack("i", head)[0], b""
    while len(text) < size:
        text += client.recv(size - len(text))
    asked = json.loads(text)
    if pid := os.fork():
        for stream in streams:
            os.close(stream)
        client.sendall(struct.pack("i", pid))
        return pid
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    parent = {"JPY_PARENT_PID": str(os.getppid())} if "JPY_PARENT_PID" in asked["environment"] else {}
    os.environ.clear()
    os.environ.update(asked["environment"] | parent)
    os.chdir(asked["folder"])
    for name in [name for name in sys.modules if name.partition(".")[0] in asked["again"]]:
        del sys.modules[name]
    raise Fork(*asked["arguments"])


def become(module: str, *arguments: str) -> None:
    """Run a module as ``python -m`` does, and end; what it raises, but for an exit code, ends the process as ever."""
    if module.startswith("ipykernel"):  # a kernel sets this before anyone imports matplotlib, which here has happened
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    if "MPLBACKEND" in os.environ:
        sys.modules["matplotlib"].rcParams["backend"] = os.environ["MPLBACKEND"]
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = [module, *arguments]
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)  # Python would take everything apart that was imported, which takes seconds


def connected(address: str) -> socket.socket | None:
    """Return a connection to the server, started where there is none; None where that cannot be."""
    with Path(address + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not Path(address).exists():
            log = Path(address + ".log").open("a")
            command = [*PYTHON, "serve", address]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            started = time.monotonic()
            while not Path(address).exists():
                if server.poll() is not None or time.monotonic() - started > PATIENCE:
                    return None
                time.sleep(0.05)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        return None
    return connection


def ask(connection: socket.socket, arguments: list[str], again: Sequence[str]) -> int:
    """Have a fork run a module, and import some ``again``; return how it ended, as ``os.waitpid`` does."""
    parent = os.getppid()
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
    request["again"] = again
    text = json.dumps(request).encode()
    socket.send_fds(connection, [struct.pack("i", len(text))], [0, 1, 2])
    connection.sendall(text)
    (pid,) = struct.unpack("i", connection.recv(4))
    for number in PASSED_ON:
        signal.signal(number, lambda number, frame: os.kill(pid, number))
    while not select.select([connection], [], [], 0.25)[0]:
        if os.getppid() != parent:  # nobody waits any more; the server kills the fork
            os._exit(1)
    answer = connection.recv(4)
    return struct.unpack("i", answer)[0] if answer else 1 << 8


def main(arguments: list[str]) -> None:
    """Serve, or run a module warm where that can be, else as ever."""
    if arguments[0] == "serve":
        serve(arguments[1])
        return
    address = os.environ.get(ADDRESS)
    now, then = _fixed(), json.loads(os.environ.get(FIXED, "{}"))
    differing = [name for name in now | then if now.get(name) != then.get(name)]
    fits = address and arguments[0] == "-m" and all(name.startswith(OF_THE_HUB) for name in differing)
    connection = connected(address) if fits else None
    if connection is None:
        os.execv(sys.executable, [sys.executable, *arguments])
    status = ask(connection, arguments[1:], HUB if differing else ())
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) in PASSED_ON:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Fork as fork:
        program = fork.args
    else:
        sys.exit()
    become(*program)
