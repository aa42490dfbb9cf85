"""The way of somebody who has never seen the service: topics, tenants, a worker, and then questions."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from streams.demo.workers import installed_command
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.terminal.signals import INTERRUPTED
from tests.acceptance.command import COMMAND_SECONDS, RunningWorker, Shell
from tests.acceptance.place import PARTITIONS, Place, held_sessions, make_tenant

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@pytest.fixture(scope="module")
def tenants(place: Place, postgres: PostgresServer) -> dict[str, dict[str, Any]]:
    entries = {tenant: make_tenant(postgres, tenant) for tenant in ("t1", "t2")}
    place.put(*entries.values())
    return entries


@pytest.fixture(scope="module")
def shell(place: Place, tenants: dict[str, dict[str, Any]]) -> Iterator[Shell]:
    """A shell beside a worker, with tenant t1 connected."""
    assert set(tenants) == {"t1", "t2"}
    with RunningWorker(place.shell, place.directory / "worker.log") as worker:
        worker.await_ready(PARTITIONS)
        assert place.shell.read("connect", "t1")[0]["lifecycle"] == "ready"
        yield place.shell


def test_topics_are_missing_then_made_and_then_agree(place: Place) -> None:
    fresh = ("--topic-prefix", f"{place.settings.topic_prefix}-fresh")
    missing = place.shell.run("topics", "check", *fresh, "--json")
    assert missing.code == 1
    assert {(record["topic"], record["what"]) for record in missing.records} >= {(f"{fresh[1]}.commands", "missing")}
    made = place.shell.read("topics", "apply", *fresh)
    assert [record["topic"] for record in made] == [record["topic"] for record in missing.records]
    check = place.shell.run("topics", "check", *fresh)
    assert (check.code, check.out) == (0, "All 9 topics are as declared.\n")


def test_an_entry_is_shown_without_its_password(place: Place, tenants: dict[str, dict[str, Any]]) -> None:
    result = place.shell.run("tenants", "get", "t1", "--json")
    assert result.record["database"]["host"] == "127.0.0.1"
    assert tenants["t1"]["database"]["password"] not in result.out + result.err


def test_a_wrong_file_is_refused_with_the_name_of_the_field(place: Place, tenants: dict[str, dict[str, Any]]) -> None:
    path = place.directory / "wrong.json"
    database = {name: value for name, value in tenants["t1"]["database"].items() if name != "host"}
    path.write_text(json.dumps([{**tenants["t1"], "tenant": "t9", "database": database}]))
    result = place.shell.run("tenants", "put", str(path))
    assert result.code == 2
    assert "tenant 1 of the array: database.host is missing" in result.err
    assert tenants["t1"]["database"]["password"] not in result.err
    assert place.shell.run("tenants", "get", "t9").code == 1


def test_a_tenant_comes_and_goes(place: Place, tenants: dict[str, dict[str, Any]]) -> None:
    place.put({**tenants["t1"], "tenant": "t5"})
    assert place.shell.run("tenants", "suspend", "t5").code == 0
    listed = {row["tenant"]: row["suspended"] for row in place.shell.read("tenants", "list")}
    assert listed == {"t1": False, "t2": False, "t5": True}
    assert place.shell.run("tenants", "remove", "t5").code == 0
    gone = place.shell.run("tenants", "resume", "t5", "--json")
    assert (gone.code, gone.record["error"]["code"]) == (1, "tenant_not_found")


def test_a_connected_tenant_says_who_owns_it(shell: Shell) -> None:
    (status,) = shell.read("status", "t1")
    assert (status["tenant"], status["lifecycle"], status["database"]) == ("t1", "ready", "up")
    assert status["owner"]["claim"] >= 0


def test_why_is_told_in_sentences(shell: Shell) -> None:
    result = shell.run("why", "t1")
    assert result.code == 0
    first, since, following, *_ = result.out.splitlines()
    assert first == "t1 is ready: the database is connected, migrated and partitioned."
    assert since.startswith("It has been ready since 20")
    assert following == "Next: nothing is due."


def test_a_tenant_that_nobody_knows_is_an_answer_with_its_code_and_remedy(shell: Shell) -> None:
    people = shell.run("connect", "nobody")
    assert (people.code, people.out) == (1, "")
    assert people.err.splitlines()[0].startswith("tenant_not_found: ")
    assert people.err.splitlines()[1].startswith("→ Add it with `tenant-connect tenants put`")
    programs = shell.run("connect", "nobody", "--json")
    assert (programs.code, programs.err) == (1, "")
    assert programs.record["error"]["code"] == "tenant_not_found"
    assert programs.record["error"]["remedy"]


def test_the_log_lists_every_tenant_without_asking_a_worker(shell: Shell) -> None:
    listed = {status["tenant"]: status for status in shell.read("list")}
    assert listed["t1"]["lifecycle"] == "ready"
    assert listed["t1"]["owner"] is not None


def test_shutting_down_leaves_no_session(
    shell: Shell, tenants: dict[str, dict[str, Any]], postgres: PostgresServer
) -> None:
    assert shell.read("connect", "t2")[0]["lifecycle"] == "ready"
    assert held_sessions(postgres, [tenants["t2"]])
    assert shell.read("shutdown", "t2")[0]["lifecycle"] == "absent"
    assert held_sessions(postgres, [tenants["t2"]]) == []


def test_a_paused_tenant_is_refused_until_it_is_resumed(shell: Shell) -> None:
    assert shell.run("pause", "t2", "--reason", "moving house", "--author", "ops").code == 0
    refused = shell.run("connect", "t2", "--json")
    assert (refused.code, refused.record["error"]["code"]) == (1, "tenant_paused")
    assert "paused by ops: moving house" in refused.record["error"]["message"]
    assert shell.run("resume", "t2").code == 0


def test_reloading_and_retrying_are_answered(shell: Shell) -> None:
    assert shell.read("reload", "t1")[0]["lifecycle"] == "ready"
    assert shell.read("retry", "t1")[0]["lifecycle"] == "ready"


def test_health_is_an_answer_of_the_owner(shell: Shell) -> None:
    found = shell.read("health", "t1")[0]
    assert (found["healthy"], found["db_connected"], found["region"]) == (True, True, "local")


def test_a_timeline_tells_what_happened_in_order(shell: Shell) -> None:
    entries = shell.read("timeline", "t1")
    events = [entry["event"] for entry in entries]
    assert [event["type"] for event in events[:3]] == ["connect.requested", "connect.checked", "connect.provisioned"]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert {event["subject"] for event in events} == {"t1"}
    assert entries[0]["topic"].endswith(".local.events")


def test_replaying_gives_the_state_as_it_was(shell: Shell) -> None:
    (early,) = shell.read("replay", "--tenant", "t1", "--until", "1")
    assert early["lifecycle"] == "checking"
    moment = shell.read("timeline", "t1")[2]["event"]["time"]
    assert datetime.fromisoformat(moment).tzinfo is not None
    states = {state["tenant"]: state for state in shell.read("replay", "--until", moment)}
    assert states["t1"]["lifecycle"] == "ready"
    assert shell.run("replay", "--until", "2020-01-01T00:00:00Z").out == "Nothing had happened yet.\n"


def test_the_audit_of_a_sound_log_is_fine(shell: Shell) -> None:
    (report,) = shell.read("audit", "verify")
    assert (report["kind"], report["clean"], report["findings"]) == ("report", True, 0)
    assert report["records"] > 0


def test_an_export_is_the_log_line_by_line(shell: Shell) -> None:
    exported = shell.run("audit", "export", "--format", "jsonl")
    assert exported.code == 0
    assert {event["specversion"] for event in exported.records} == {"1.0"}


def test_there_are_no_dead_letters_without_bad_input(shell: Shell) -> None:
    assert shell.read("dead-letters", "list") == []
    unknown = shell.run("dead-letters", "requeue", "0", "17")
    assert (unknown.code, unknown.err.startswith("input_invalid: there is no dead letter 0:17")) == (2, True)


def test_watching_from_the_start_shows_what_was_and_what_comes_until_interrupted(
    place: Place, shell: Shell, tenants: dict[str, dict[str, Any]]
) -> None:
    late = {**tenants["t1"]["database"], "port": free_port()}
    place.put({**tenants["t1"], "tenant": "late", "database": late})
    with subprocess.Popen(  # noqa: S603 - the installed command
        [*installed_command(), "watch", "t1", "late", "--from", "start", "--json"],
        env=dict(shell.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        first: dict[str, Any] = json.loads(watching.stdout.readline())
        assert (first["event"]["subject"], first["event"]["type"]) == ("t1", "connect.requested")
        assert shell.run("connect", "late").code == 1
        while json.loads(watching.stdout.readline())["event"]["subject"] != "late":
            pass
        watching.send_signal(signal.SIGINT)
        assert watching.wait(COMMAND_SECONDS) == INTERRUPTED
        assert watching.stderr.read() == ""
