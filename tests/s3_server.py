"""An S3 server on this machine: SeaweedFS, which refuses wrong keys as Amazon does."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore import config, exceptions, session  # type: ignore[import-untyped]

WEED = Path(sys.executable).with_name("weed")
REGION = "us-east-1"
STARTS = 5
READY_SECONDS = 120.0
STOP_SECONDS = 3.0


@dataclass(frozen=True)
class Identity:
    """Somebody else whom the server knows, and what they may do: ``Read:bucket``, ..."""

    name: str
    access_key: str
    secret_key: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class Server:
    """A server's address, and the only keys that it takes: the owner's, and those of others."""

    url: str
    access_key: str
    secret_key: str
    others: tuple[Identity, ...] = ()

    def client(self) -> Any:
        """Amazon's own client, which does not try again: who waits for the server does."""
        patience = config.Config(
            connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}, proxies={}
        )
        return session.Session().create_client(
            "s3",
            REGION,
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=patience,
        )

    def make_bucket(self) -> str:
        """A new, empty bucket."""
        name = f"bucket-{secrets.token_hex(4)}"
        self.client().create_bucket(Bucket=name)
        return name


@contextmanager
def running(others: Sequence[Identity] = ()) -> Iterator[Server]:
    """A server that takes objects; it and what it holds are gone afterwards."""
    for _ in range(STARTS):
        # Not pytest's folder: the path of a socket may have no more than about 100 characters.
        with tempfile.TemporaryDirectory(prefix="weed-") as name:
            home, ports = Path(name), free_ports()
            server = Server(
                f"http://127.0.0.1:{ports[0]}",
                secrets.token_hex(10),
                secrets.token_hex(20),
                tuple(others),
            )
            process = _start(home, server, ports)
            try:
                if _becomes_ready(server, process):
                    yield server
                    return
                said = (home / "log").read_text(errors="replace")[-2000:]
            finally:
                _stop(process)
                _sweep(ports)
    raise AssertionError(f"SeaweedFS ended {STARTS} times before it was ready; it said\n{said}")


def free_ports() -> list[int]:
    """Eight ports that nobody listens on, below those that systems give to outgoing connections.

    Another may take one before the server does: the server ends then, and is started anew.
    """
    found: list[int] = []
    while len(found) < 8:
        port = 10_000 + secrets.randbelow(22_000)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _start(home: Path, server: Server, ports: list[int]) -> subprocess.Popen[bytes]:
    keys = home / "keys.json"
    keys.touch(mode=0o600)
    keys.write_text(json.dumps(_identities(server)))
    (home / "data").mkdir()
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            [WEED, "server", *_options(home, keys, ports)],
            cwd=home,
            stdout=log,
            stderr=log,
            # Nothing of the caller's: SeaweedFS reads settings in the home and AWS_* variables.
            env={"HOME": str(home), "TMPDIR": str(home), "PATH": ""},
        )


def _identities(server: Server) -> dict[str, object]:
    rights = ("Admin", "Read", "List", "Tagging", "Write")
    owner = Identity("tests", server.access_key, server.secret_key, rights)
    return {"identities": [_identity(one) for one in (owner, *server.others)]}


def _identity(one: Identity) -> dict[str, object]:
    keys = {"accessKey": one.access_key, "secretKey": one.secret_key}
    return {"name": one.name, "credentials": [keys], "actions": list(one.actions)}


def _options(home: Path, keys: Path, ports: list[int]) -> list[str]:
    names = [
        f"-{part}.{kind}"
        for part in ("s3", "filer", "master", "volume")
        for kind in ("port", "port.grpc")  # the second would be the first and 10000
    ]
    return [
        f"-dir={home / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"{name}={port}" for name, port in zip(names, ports, strict=True)),
        "-master.telemetry=false",  # it is on by default
        "-master.volumeSizeLimitMB=64",
        "-volume.max=1000",  # every bucket takes several; they are as large as what is in them
        "-volume.minFreeSpace=1MiB",  # the default is 1%: much on a large disk
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.localSocket={home / 'filer.sock'}",
        "-s3",
        f"-s3.config={keys}",
        f"-s3.localSocket={home / 's3.sock'}",
        "-s3.autoCreateBucket=false",  # as with Amazon, a bucket that nobody made is not there
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


def _becomes_ready(server: Server, process: subprocess.Popen[bytes]) -> bool:
    """Wait until an object can be put, seconds after a bucket can be made; False if it ended."""
    deadline = time.monotonic() + READY_SECONDS
    bucket = ""
    while process.poll() is None:
        try:
            bucket = bucket or server.make_bucket()
            server.client().put_object(Bucket=bucket, Key="ready", Body=b"ready")
        except (exceptions.BotoCoreError, exceptions.ClientError) as refusal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"SeaweedFS takes nothing in {READY_SECONDS} s") from refusal
            time.sleep(0.2)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it: politely, but it waits for clients, and what it would still write is thrown away."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _sweep(ports: list[int]) -> None:
    """Remove the sockets that it puts outside of its folder, and that no option moves."""
    for port in ports:
        for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            socket_file.unlink()
