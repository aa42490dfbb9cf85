"""The model checker: Spin makes a verifier in C from a model, the compiler builds it, and it runs.

Source: https://spinroot.com/spin/Man/Pan.html
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.model.exploration import Exploration, Finding, Model

MODELS: Final = Path(__file__).resolve().parents[2] / "models"

TOOLS: Final = ("spin", "gcc")

BUILD_TIMEOUT_S: Final = 120
"""How long generating or compiling a verifier may take."""

EXPLORATION_TIMEOUT_S: Final = 1_800
"""How long a verifier may run."""

MEMORY_MB_MAX: Final = 8_000
"""What a verifier may take; beyond it the exploration counts as failed."""

DEPTH_MAX: Final = 10_000
"""Steps of a way; one that is longer ends the exploration, which then counts as failed."""

WANDER_STEPS_MAX: Final = 2_000
"""Steps of a random execution."""

_STEP: Final = re.compile(r"(broker|group|router|worker \d+): ")
_VERDICT: Final = re.compile(r"(?:broken promise|situation): *(\w+)")
_INCOMPLETE: Final = ("Search not completed", "max search depth too small", "out of memory", "reached -DMEMLIM")


class CheckerFailed(Exception):
    """The model checker is not there, refused the model, or did not finish."""


def missing_tools() -> tuple[str, ...]:
    """The programs that exploring needs and this machine does not have."""
    return tuple(tool for tool in TOOLS if shutil.which(tool) is None)


def explore(exploration: Exploration, directory: Path) -> Finding:
    """Explore; what is made on the way stays in ``directory``, which is empty before.

    Raises:
        CheckerFailed: the model is not accepted, or the exploration did not come to an end within its bounds.
    """
    model = MODELS / f"{exploration.model}.pml"
    macros = exploration.macros
    _run(["spin", "-a", *(["-DBREADTH_FIRST"] if exploration.is_search else []), *macros, str(model)], directory)
    _run(["gcc", *_build_flags(exploration), "-w", "-o", "pan", "pan.c"], directory)
    said = _run(["./pan", "-n", f"-m{DEPTH_MAX}"], directory, EXPLORATION_TIMEOUT_S)
    errors = int(_number(r"errors: (\d+)", said))
    if not errors and any(mark in said for mark in _INCOMPLETE):
        raise CheckerFailed(f"{exploration.title}: the exploration did not come to an end:\n{said}")
    verdict, steps = _replay(exploration, model, directory) if errors else (None, ())
    return Finding(
        verdict=verdict,
        steps=steps,
        states=int(_number(r"([\d.e+]+) states, stored", said)),
        depth=int(_number(r"depth reached (\d+)", said)),
        seconds=_number(r"elapsed time ([\d.]+)", said),
        megabytes=_number(r"([\d.]+)\s+total actual memory usage", said),
    )


def wander(exploration: Exploration, seed: int, directory: Path) -> tuple[str, ...]:
    """One random execution of the model, in words; the same for the same seed.

    Raises:
        CheckerFailed: the model is not accepted.
    """
    model = MODELS / f"{exploration.model}.pml"
    told = _run(["spin", f"-n{seed}", f"-u{WANDER_STEPS_MAX}", *exploration.macros, str(model)], directory)
    return _steps(told)


def _steps(told: str) -> tuple[str, ...]:
    lines = (" ".join(line.split()) for line in told.splitlines())
    return tuple(line for line in lines if _STEP.match(line))


def _build_flags(exploration: Exploration) -> list[str]:
    flags = ["-DSAFETY", f"-DMEMLIM={MEMORY_MB_MAX}"]
    if exploration.is_search:
        # Most searches end soon: compiling takes longer than running.
        return [*flags, "-O0" if exploration.model is Model.OWNERSHIP else "-O2", "-DBFS"]
    # Nearly all of the ownership model is shared, so there is nothing for the compression to share: measured, 97 % of
    # the size for 1.4 times the time. The positions shrink to 28 %.
    return [*flags, "-O2", *(["-DCOLLAPSE"] if exploration.model is Model.POSITIONS else [])]


def _replay(exploration: Exploration, model: Path, directory: Path) -> tuple[str, tuple[str, ...]]:
    """The way to what was found, told by the model itself."""
    trail = directory / f"{model.name}.trail"
    told = _run(["spin", "-t", "-k", str(trail), "-DBREADTH_FIRST", *exploration.macros, str(model)], directory)
    found = _VERDICT.search(told)
    if found is None:
        raise CheckerFailed(f"{exploration.title}: the verifier failed, and not on a promise:\n{told[-2000:]}")
    return found[1], _steps(told)


def _run(command: list[str], directory: Path, timeout_s: float = BUILD_TIMEOUT_S) -> str:
    try:
        # The model's own assertions end a replay with an exit code of their own.
        done = subprocess.run(  # noqa: S603  fixed programs, and macros of our own
            command, cwd=directory, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError as error:
        raise CheckerFailed(f"{command[0]} is not installed; on Debian: apt-get install spin gcc libc6-dev") from error
    except subprocess.TimeoutExpired as error:
        raise CheckerFailed(f"{command[0]} did not finish within {timeout_s:.0f} s") from error
    if command[0] == "gcc" and done.returncode:
        raise CheckerFailed(done.stderr[-2000:])
    if command[0] == "spin" and "-a" in command and ("Error" in done.stdout or done.returncode):
        raise CheckerFailed(done.stdout[-2000:])
    return done.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise CheckerFailed(f"the verifier said nothing of {pattern!r}:\n{text[-2000:]}")
    return float(found[1])
