"""The programs the local stack is made of, found on this machine: Java, Maven, Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.errors import PrerequisiteMissing

JAVA_MINIMUM = 17
"""The oldest Java a broker of Kafka 4 runs on (KIP-1013)."""

ANSWER_SECONDS = 20.0
"""How long a program may take to say its version."""

ALTERNATIVES = """\
Or do without it:
  Docker:                 docker compose -f docker-compose.kafka.yml up
  a broker you have:      TENANT_CONNECT_KAFKA=HOST:PORT"""

JAVA_REMEDY = f"""\
Install a Java runtime, version {JAVA_MINIMUM} or later:
  Debian, Ubuntu:         sudo apt-get install default-jre-headless
  macOS with Homebrew:    brew install openjdk
{ALTERNATIVES}"""

MAVEN_REMEDY = f"""\
Install Maven; it is needed once, to fetch the jars of Apache Kafka:
  Debian, Ubuntu:         sudo apt-get install maven
  macOS with Homebrew:    brew install maven
{ALTERNATIVES}"""

DOCKER_REMEDY = """\
Install Docker and start its engine:
  Debian, Ubuntu:         sudo apt-get install docker.io docker-compose-v2 && sudo systemctl start docker
  macOS with Homebrew:    brew install --cask docker && open -a Docker
Or do without it: `tenant-connect dev up` needs Java and Maven only."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program found on this machine.

    Attributes:
        path: the executable.
        version: as the program says it, such as ``17.0.15``.
    """

    path: Path
    version: str


def find_java(environment: Mapping[str, str] = os.environ) -> Program:
    """A Java runtime that can run the broker: that of ``JAVA_HOME``, else the first on ``PATH``.

    Raises:
        PrerequisiteMissing: there is none, it does not run, or it is older than :data:`JAVA_MINIMUM`.
    """
    path = _java_home(environment) or _on_path("java", environment)
    if path is None:
        raise PrerequisiteMissing(f"The local broker needs Java, and no `java` is on PATH.\n{JAVA_REMEDY}")
    version = java_version(_answer(path, "-version"))
    if version is None:
        raise PrerequisiteMissing(f"{path} is there but does not say a version, so it cannot be used.\n{JAVA_REMEDY}")
    if java_feature(version) < JAVA_MINIMUM:
        raise PrerequisiteMissing(f"{path} is Java {version}, too old for the local broker.\n{JAVA_REMEDY}")
    return Program(path, version)


def find_maven(environment: Mapping[str, str] = os.environ) -> Program:
    """Maven; only needed while the jars of the broker are not cached.

    Raises:
        PrerequisiteMissing: there is none, or it does not run.
    """
    path = _on_path("mvn", environment)
    if path is None:
        raise PrerequisiteMissing(f"The local broker is fetched by Maven, and no `mvn` is on PATH.\n{MAVEN_REMEDY}")
    found = re.search(r"Apache Maven (\S+)", _answer(path, "--batch-mode", "--version"))
    if found is None:
        raise PrerequisiteMissing(f"{path} is there but does not say a version, so it cannot be used.\n{MAVEN_REMEDY}")
    # Terminals' colour codes stand around the version even in batch mode.
    return Program(path, re.sub(r"\x1b\[[0-9;]*m", "", found.group(1)))


def find_docker(environment: Mapping[str, str] = os.environ) -> Program:
    """Docker whose engine answers; the version is the engine's.

    Raises:
        PrerequisiteMissing: there is no client, or its engine cannot be reached.
    """
    path = _on_path("docker", environment)
    if path is None:
        raise PrerequisiteMissing(f"No `docker` is on PATH.\n{DOCKER_REMEDY}")
    lines = _answer(path, "version", "--format", "engine {{.Server.Version}}").splitlines()
    engines = [line.removeprefix("engine ") for line in lines if re.match(r"engine \d", line)]
    if not engines:
        raise PrerequisiteMissing(f"{path} is there, but its engine cannot be reached.\n{DOCKER_REMEDY}")
    return Program(path, engines[0])


def java_version(answer: str) -> str | None:
    """The version in what ``java -version`` prints; None when there is none."""
    found = re.search(r'version "([^"]+)"', answer)
    return found.group(1) if found else None


def java_feature(version: str) -> int:
    """The feature number of a Java version: 17 of ``17.0.15``, 8 of ``1.8.0_292``, 25 of ``25-ea`` (JEP 322)."""
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    if not numbers:
        return 0
    return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]


def _java_home(environment: Mapping[str, str]) -> Path | None:
    home = environment.get("JAVA_HOME")
    path = Path(home) / "bin" / "java" if home else None
    return path if path and os.access(path, os.X_OK) else None


def _on_path(name: str, environment: Mapping[str, str]) -> Path | None:
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    return Path(found) if found else None


def _answer(path: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - a program found on PATH and fixed arguments
            [path, *arguments], capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        # No answer is the answer: the caller says what that means for the program.
        return ""
    return answer.stdout + answer.stderr
