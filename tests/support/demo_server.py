"""The server of `depthseg demo`, in a process of its own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent


class Server(NamedTuple):
    """A server that answers.

    Attributes:
        address: as the terminal shows it, with the token if there is one.
        port: it listens at.
        pid: of its process.
        folder: where it keeps its temporary files.
        examples: those that were there before any visitor.
    """

    address: str
    port: int
    pid: int
    folder: Path
    examples: frozenset = frozenset()

    def memory(self):
        """Return the resident memory, in MB."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000

    def files(self):
        """Return the files of visitors: uploads, and results."""
        (folder,) = self.folder.glob("depthseg-demo-*")
        return {path for path in folder.rglob("*") if path.is_file()} - self.examples


@contextlib.contextmanager
def served(folder, *options):
    """Serve the page; `folder` is for its temporary files."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, ROOT / "depthseg.py", "demo", "--no-browser", *options]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        # A test that runs in the background of a script was told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        address = None
        for line in process.stdout:
            address = address or re.search(r"http://\S+", line)
            if "Ctrl-C ends it" in line:
                break
        if address is None:
            raise AssertionError(f"{command}: the page did not start")
        server = Server(address[0], port, process.pid, Path(folder))
        yield server._replace(examples=frozenset(server.files()))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        process.stdout.close()
