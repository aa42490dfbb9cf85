"""The account a server runs under that refuses to run as root, as PostgreSQL does."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from streams.errors import StackFailed

PREFERRED_ACCOUNTS = ("postgres", "nobody")
"""Whom root becomes for a new data directory: the first of these that the machine has."""

LAUNCHER = """
import os, sys
user, group = int(sys.argv[1]), int(sys.argv[2])
os.setgroups([])
os.setgid(group)
os.setuid(user)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Becomes another user and then another program, on systems without setpriv(1)."""

DAC_OVERRIDE = 1
"""Number of the capability to pass all file permissions; see capabilities(7)."""

DAC_READ_SEARCH = 2
"""Number of the capability to read all files and walk through all directories; see capabilities(7)."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine.

    Attributes:
        user: user id.
        group: group id.
    """

    user: int
    group: int

    def own(self, *paths: Path) -> None:
        """Make the account the owner of files that root made for it."""
        for path in paths:
            os.chown(path, self.user, self.group)


def account_for(data: Path) -> Account | None:
    """The account for a server with this data directory; None when the current user will do.

    Root hands over to the owner of the data, or for new data to one of :data:`PREFERRED_ACCOUNTS`.

    Raises:
        StackFailed: the current user is root and there is no other account.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in PREFERRED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise StackFailed("PostgreSQL does not run as root, and there is no other account; add one with `useradd postgres`")


def command_prefix(account: Account | None, *paths: Path) -> list[str]:
    """What to put before a command so that it runs under the account.

    Root may work in places that nobody else can walk to, such as its own home. The account is then given the one
    capability that leads there, instead of opening those directories to everybody.

    Args:
        account: None for the current user: nothing is put before the command.
        paths: what the command has to reach.

    Raises:
        StackFailed: the account cannot be led to the paths on this machine.
    """
    if account is None:
        return []
    closed = [directory for path in paths if (directory := closed_directory(path, account)) is not None]
    setpriv = shutil.which("setpriv")
    if setpriv is not None and not closed:
        return [setpriv, f"--reuid={account.user}", f"--regid={account.group}", "--clear-groups", "--"]
    if not closed:
        return [sys.executable, "-I", "-c", LAUNCHER, str(account.user), str(account.group)]
    capability = _walking_capability()
    if setpriv is None or capability is None:
        raise StackFailed(
            f"PostgreSQL runs under user id {account.user}, which cannot walk through {closed[0]}. "
            f"Work as an ordinary user, in another place, or open that directory with `chmod o+x {closed[0]}`"
        )
    return [
        *(setpriv, f"--reuid={account.user}", f"--regid={account.group}", "--clear-groups"),
        *(f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"),
        # Without this, access(2) judges the account as if it had no capability, and PostgreSQL asks access(2).
        *("--securebits=+no_setuid_fixup", "--"),
    ]


def closed_directory(path: Path, account: Account) -> Path | None:
    """The first directory on the way to ``path`` that the account cannot walk through; None when all are open."""
    for directory in reversed(path.absolute().parents):
        entry = directory.stat()
        if entry.st_uid == account.user:
            walkable = entry.st_mode & 0o100
        elif entry.st_gid == account.group:
            walkable = entry.st_mode & 0o010
        else:
            walkable = entry.st_mode & 0o001
        if not walkable:
            return directory
    return None


def _walking_capability() -> str | None:
    """The weaker of the two capabilities that root has here; containers often lack one of them."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    held = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    if held >> DAC_READ_SEARCH & 1:
        return "dac_read_search"
    return "dac_override" if held >> DAC_OVERRIDE & 1 else None
