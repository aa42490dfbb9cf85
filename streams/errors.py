"""The errors of the running service, below `statemachine.errors.TenantConnectError`.

::

    RuntimeFailure
    ├── SettingsInvalid        settings_invalid        exit code 2
    ├── PrerequisiteMissing    prerequisite_missing    exit code 2
    ├── InputInvalid           input_invalid           exit code 2
    ├── KafkaUnreachable       kafka_unreachable       exit code 3
    ├── KafkaRefused           kafka_refused
    ├── StackFailed            stack_failed
    ├── TopicsDiffer           topics_differ
    ├── DeliveryFailed         delivery_failed
    ├── LogCorrupt             log_corrupt
    ├── EngineStopped          engine_stopped
    ├── RecoveryStalled        recovery_stalled
    ├── ConsumerSilent         consumer_silent
    ├── SnapshotsLocked        snapshots_locked        exit code 2
    ├── OwnershipLost          ownership_lost
    ├── CredentialsUnreadable  credentials_unreadable
    ├── CatalogUnreadable      catalog_unreadable
    ├── RecordUnreadable       record_unreadable
    ├── PgoutputUnreadable     pgoutput_unreadable
    ├── AddressUnavailable     address_unavailable     exit code 2
    ├── OwnerUnavailable       owner_unavailable
    └── WaitExpired            wait_expired
"""

from __future__ import annotations

from typing import ClassVar

from statemachine.errors import TenantConnectError


class RuntimeFailure(TenantConnectError):
    """The service or its surroundings failed.

    Attributes:
        exit_code: what the command line ends with.
    """

    exit_code: ClassVar[int] = 1


class SettingsInvalid(RuntimeFailure):
    """A setting is unknown or has a bad value."""

    code = "settings_invalid"
    meaning = "A setting is unknown or has a bad value."
    remedy = "`tenant-connect settings` lists every setting with its meaning."
    exit_code = 2


class PrerequisiteMissing(RuntimeFailure):
    """A program that the local stack needs is not installed."""

    code = "prerequisite_missing"
    meaning = "A program that is needed is not installed."
    remedy = "Install what the message names."
    exit_code = 2


class InputInvalid(RuntimeFailure):
    """What the user gave does not fit the contract."""

    code = "input_invalid"
    meaning = "The input does not fit the contract."
    remedy = "The message names the field; the schemas are in schemas/."
    exit_code = 2


class KafkaUnreachable(RuntimeFailure):
    """No broker answered."""

    code = "kafka_unreachable"
    meaning = "Kafka does not answer."
    remedy = "Check TENANT_CONNECT_KAFKA, or start a local stack with `tenant-connect dev up`."
    exit_code = 3


class KafkaRefused(RuntimeFailure):
    """Kafka answered a request with an error."""

    code = "kafka_refused"
    meaning = "Kafka refused a request."
    remedy = "The message says what was asked and what Kafka answered; see that the user may do it."


class StackFailed(RuntimeFailure):
    """A part of the local stack did not start or stop."""

    code = "stack_failed"
    meaning = "A part of the local stack did not start or stop in time."
    remedy = "Its log is named in the message; `tenant-connect dev down` clears the stack."


class TopicsDiffer(RuntimeFailure):
    """Topics are missing or have another shape than declared."""

    code = "topics_differ"
    meaning = "Topics are missing or differ from their declaration."
    remedy = "Run `tenant-connect topics apply`; a partition count can never be changed."


class DeliveryFailed(RuntimeFailure):
    """The broker did not acknowledge a record; what is on the log is what happened."""

    code = "delivery_failed"
    meaning = "Kafka did not acknowledge a record."
    remedy = "See that Kafka is well and start the worker again; it carries on from the log."


class LogCorrupt(RuntimeFailure):
    """A record of the event log cannot be read or is illegal; its partition is stopped."""

    code = "log_corrupt"
    meaning = "A record of the event log cannot be read or does not follow from what is before it."
    remedy = "Run `tenant-connect audit verify`; the message names topic, partition and offset."


class EngineStopped(RuntimeFailure):
    """The stream engine under the worker ended by itself."""

    code = "engine_stopped"
    meaning = "The stream engine under the worker ended by itself."
    remedy = "The message says why; see that Kafka is well and start the worker again."


class RecoveryStalled(RuntimeFailure):
    """A recovery stood still for too long."""

    code = "recovery_stalled"
    meaning = "The worker was given partitions and does not get on with rebuilding their state."
    remedy = "The message says where each partition stands; see that Kafka is well and start the worker again."


class ConsumerSilent(RuntimeFailure):
    """The consumer reads nothing any more, and does not know it."""

    code = "consumer_silent"
    meaning = "What arrived on a partition of commands was not read for too long; the worker ends, so that others do."
    remedy = "Start the worker again; if it repeats, see whether fetches from the brokers get through."


class SnapshotsLocked(RuntimeFailure):
    """Another process has the directory of this worker's snapshots open."""

    code = "snapshots_locked"
    meaning = "Another process uses the directory of this worker's snapshots."
    remedy = (
        "Give each worker a name of its own with TENANT_CONNECT_WORKER_NAME, or a directory of its own with "
        "TENANT_CONNECT_DATA_DIR; if a worker of this name is still stopping, start this one afterwards."
    )
    exit_code = 2


class OwnershipLost(RuntimeFailure):
    """A newer claim was found on a partition that this worker held."""

    code = "ownership_lost"
    meaning = "Another worker has claimed the partition."
    remedy = "Nothing: the newer owner carries on."


class CredentialsUnreadable(RuntimeFailure):
    """A catalog entry cannot be decrypted with the keys at hand."""

    code = "credentials_unreadable"
    meaning = "The credentials of a catalog entry cannot be decrypted."
    remedy = "Add the key that wrote it to TENANT_CONNECT_ENCRYPTION_KEYS, or put the tenant again."


class CatalogUnreadable(RuntimeFailure):
    """A record of the catalog does not have the shape of one."""

    code = "catalog_unreadable"
    meaning = "A record of the catalog cannot be read."
    remedy = "Put the tenant that the message names again, or remove it."


class RecordUnreadable(RuntimeFailure):
    """A record does not have the shape of its topic's records."""

    code = "record_unreadable"
    meaning = "A record does not have the shape of its topic's records."
    remedy = "The message says which one and what is wrong; see who else writes to the topic."


class PgoutputUnreadable(RuntimeFailure):
    """Bytes of a replication stream are no message that was asked for."""

    code = "pgoutput_unreadable"
    meaning = "A tenant's replication stream sent bytes that are no message of its protocol."
    remedy = "The stream is begun again by itself; if it ends so again, report the message and the server's version."


class AddressUnavailable(RuntimeFailure):
    """The address that the settings name cannot be listened on."""

    code = "address_unavailable"
    meaning = "The worker cannot listen on its HTTP address."
    remedy = (
        "Give another one with TENANT_CONNECT_HTTP_HOST and TENANT_CONNECT_HTTP_PORT: 0 is any free port, -1 is none. "
        "Two workers on one machine need two ports."
    )
    exit_code = 2


class OwnerUnavailable(RuntimeFailure):
    """Nobody answered a command within the caller's timeout."""

    code = "owner_unavailable"
    meaning = "No worker answered in time."
    remedy = "See that a worker runs for the tenant's region: `tenant-connect worker`."


class WaitExpired(RuntimeFailure):
    """A condition did not come true within its deadline."""

    code = "wait_expired"
    meaning = "A condition did not come true in time."
    remedy = "The message names the condition and what was seen last."
