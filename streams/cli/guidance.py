"""What stands below the help of a command: an example, and the flags that every command takes."""

from __future__ import annotations

from typing import Final

COMMON: Final = (
    "Every command takes --json (one object a line), and every setting as a flag, such as --kafka HOST:PORT "
    "or --region NAME; `tenant-connect settings` lists them."
)


def example(*lines: str) -> str:
    """The foot of a command's help.

    Args:
        lines: what to type.
    """
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join([title, *(f"  {line}" for line in lines), "", COMMON])
