from __future__ import annotations

from collections.abc import Iterator

import pytest
from cyclopts import App

from streams.cli.main import PROGRAM, application


def leaves(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that lead to each command."""
    commands = [name for name in app if not name.startswith("-")]
    for name in commands:
        yield from leaves(app[name], (*path, name))
    if not commands:
        yield path


COMMANDS = sorted(leaves(application()))


def test_every_command_of_the_contract_is_there() -> None:
    words = """
        dev up|dev down|dev status|dev tenant|dev row|demo|topics apply|topics check|worker
        |tenants put|tenants get|tenants list|tenants suspend|tenants resume|tenants remove
        |connect|status|list|shutdown|reload|health|why|pause|resume|retry|users report
        |broadcasts|watch|timeline|replay|audit verify|audit export|dead-letters list|dead-letters requeue
        |settings|schemas
    """
    wanted = {tuple(word.split()) for word in words.split("|")}
    assert wanted <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example_of_it(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command, bound, _ = application().parse_args([*path, "--help"], exit_on_error=False, print_error=False)
    command(*bound.args, **bound.kwargs)
    shown = capsys.readouterr().out
    example = shown.partition("Example")[2]
    assert " ".join((PROGRAM, *path)) in example
    assert "--json" in example


def test_every_argument_is_explained() -> None:
    for path in COMMANDS:
        _, apps, _ = application().parse_commands(path)
        assembled = apps[-1].assemble_argument_collection(parse_docstring=True)
        unexplained = [argument.name for argument in assembled if argument.parse and not argument.parameter.help]
        assert unexplained == [], path
