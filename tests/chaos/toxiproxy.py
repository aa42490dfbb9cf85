"""A network that can be cut, slowed and reset: Toxiproxy, built once from the Go module proxy.

Source: https://github.com/Shopify/toxiproxy, HTTP API.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from streams.devstack.process import free_port, launch, port_answers, wait_until
from streams.errors import PrerequisiteMissing, StackFailed

VERSION: Final = "v2.12.0"
MODULE: Final = f"github.com/Shopify/toxiproxy/v2/cmd/server@{VERSION}"
CACHE: Final = Path(".cache") / f"toxiproxy-{VERSION}"
BUILD_SECONDS: Final = 300.0
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0


def ensure_built(cache: Path = CACHE) -> Path:
    """The program, built where it is not there yet.

    Raises:
        PrerequisiteMissing: there is no Go to build it with.
        StackFailed: it cannot be built.
    """
    program = cache.absolute() / "server"
    if program.exists():
        return program
    compiler = shutil.which("go")
    if compiler is None:
        raise PrerequisiteMissing("Toxiproxy is built with Go, which is not installed; faults of the network need it")
    # Modules are kept beside the program: nothing is left elsewhere, and `make clean` takes all of it away.
    environment = {**os.environ, "GOBIN": str(program.parent), "GOPATH": str(program.parent / "go")}
    built = subprocess.run(  # noqa: S603  a program found on PATH
        [compiler, "install", "-modcacherw", MODULE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    if built.returncode != 0:
        raise StackFailed(f"Toxiproxy could not be built:\n{built.stderr[-2000:]}")
    return program


class Network:
    """Proxies by name, and what is wrong with each."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._session = session

    async def proxy(self, name: str, port: int, upstream: int) -> None:
        """Listen on a port of this machine and pass everything on to another."""
        listening = {"name": name, "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{upstream}", "enabled": True}
        await self._post("/proxies", listening)

    async def refuse(self, name: str) -> None:
        """End what is open, and refuse what comes."""
        await self._post(f"/proxies/{name}", {"enabled": False})

    async def poison(self, name: str, kind: str, stream: str, **attributes: int) -> None:
        """Add a toxic: ``latency``, ``bandwidth``, ``timeout``, ``reset_peer``, …; upstream is towards the server."""
        toxic = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": attributes}
        await self._post(f"/proxies/{name}/toxics", toxic)

    async def cut(self, name: str) -> None:
        """Nothing passes any more, and nobody is told."""
        await self.poison(name, "timeout", "upstream", timeout=0)
        await self.poison(name, "timeout", "downstream", timeout=0)

    async def heal(self) -> None:
        """Everything passes everywhere."""
        await self._post("/reset", {})

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        async with self._session.post(self._url + path, json=body) as answer:
            if answer.status >= 300:
                raise StackFailed(f"Toxiproxy refused {path}: {await answer.text()}")


@asynccontextmanager
async def network(directory: Path) -> AsyncIterator[Network]:
    """A network for as long as it is entered."""
    program = await asyncio.to_thread(ensure_built)
    port = free_port()
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    process = launch([str(program), "-host=127.0.0.1", f"-port={port}"], directory, directory / "toxiproxy.log")
    try:
        if not await asyncio.to_thread(wait_until, lambda: port_answers(port), START_SECONDS):
            raise StackFailed("Toxiproxy does not answer")
        async with aiohttp.ClientSession() as session:
            yield Network(port, session)
    finally:
        process.send(signal.SIGTERM)
        await asyncio.to_thread(process.await_end, STOP_SECONDS)
