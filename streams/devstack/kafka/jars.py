"""The jars of Apache Kafka: fetched once from Maven Central, checked against ``jars.sha256`` at each use."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from streams.devstack.prerequisites import find_maven
from streams.errors import StackFailed

KAFKA_VERSION = "4.3.1"
"""The version in ``pom.xml``."""

DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0"
"""The version in ``pom.xml``."""

FETCH_SECONDS = 900.0
"""How long Maven may take to fetch about 45 MB."""

RESOURCES = Path(__file__).parent

OUTPUT_TAIL_CHARACTERS = 2000
"""How much of what Maven says goes into an error message."""


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the jars are kept: below ``XDG_CACHE_HOME``, or ``~/.cache`` when that is not set."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tenant-connect" / f"kafka-{KAFKA_VERSION}"


def ensure_jars(
    cache: Path, progress: Callable[[str], None] = lambda _: None, environment: Mapping[str, str] = os.environ
) -> Path:
    """Return ``cache`` with every jar of the broker in it, fetching them when the directory is not there.

    The jars are fetched and checked beside the cache and moved there in one step: a run that is cut short, or a
    second one at the same time, never leaves half a cache.

    Raises:
        PrerequisiteMissing: the jars have to be fetched and there is no Maven.
        StackFailed: Maven failed, or a jar is missing, not wanted, or differs; the message names it.
    """
    if cache.is_dir():
        check_jars(cache)
        return cache
    maven = find_maven(environment)
    progress(f"Fetching Apache Kafka {KAFKA_VERSION} from Maven Central to {cache} (about 45 MB, once)")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{cache.name}.part-", dir=cache.parent, ignore_cleanup_errors=True
    ) as part:
        jars = Path(part) / "jars"
        _fetch(maven.path, jars)
        check_jars(jars)
        try:
            jars.rename(cache)
        except OSError:
            # Another run was faster; what it put there is checked like any cache.
            check_jars(cache)
    return cache


def check_jars(directory: Path) -> None:
    """Compare the jars of a directory with the checked-in list: names and SHA-256, nothing more and nothing less.

    Raises:
        StackFailed: they differ; the message names every jar in question.
    """
    wanted = wanted_jars()
    present = {path.name: path for path in directory.glob("*.jar")}
    findings = [f"{name} is missing" for name in sorted(wanted.keys() - present.keys())]
    findings += [f"{name} is not on the list" for name in sorted(present.keys() - wanted.keys())]
    findings += [
        f"{name} has another SHA-256 than the list says"
        for name in sorted(wanted.keys() & present.keys())
        if sha256_of(present[name]) != wanted[name]
    ]
    if findings:
        raise StackFailed(
            f"the jars of Apache Kafka in {directory} cannot be trusted: {'; '.join(findings)}. "
            "Remove the directory, and they are fetched anew."
        )


def wanted_jars() -> dict[str, str]:
    """SHA-256 by name of jar, from ``jars.sha256`` (written by ``sha256sum``)."""
    lines = (RESOURCES / "jars.sha256").read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(maven: Path, target: Path) -> None:
    command = [
        str(maven),
        "--batch-mode",
        "--quiet",
        f"--file={RESOURCES / 'pom.xml'}",
        f"{DEPENDENCY_PLUGIN}:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={target}",
    ]
    try:
        answer = subprocess.run(  # noqa: S603 - a program found on PATH and arguments made here
            command, cwd=target.parent, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise StackFailed(
            f"Maven did not fetch the jars within {FETCH_SECONDS:.0f} s; see that Maven Central can be reached"
        ) from error
    if answer.returncode != 0:
        said = (answer.stdout + answer.stderr)[-OUTPUT_TAIL_CHARACTERS:].strip()
        raise StackFailed(f"Maven could not fetch the jars of Apache Kafka. It said:\n{said}")
