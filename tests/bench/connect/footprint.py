"""What a process holds: memory and descriptors, as the kernel counts them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Footprint:
    """A process at one moment.

    Attributes:
        resident_kb: resident memory, in kilobytes.
        descriptors: open file descriptors.
    """

    resident_kb: int
    descriptors: int


def footprint(pid: int) -> Footprint:
    """What the process holds now (proc_pid_status(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Footprint(int(resident.split()[1]), len(list(Path(f"/proc/{pid}/fd").iterdir())))
