"""What the operator writes back of backups: how they ended, what is kept, and whether it can be restored. Only a schema."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from readiness.api.formats import Timestamp
from readiness.api.texts import Reason, Sentence, Word
from readiness.api.types import Count, Flag, Schema


class CatchUp(Schema):
    """A Job that was started because a schedule had come to nothing."""

    at: Timestamp = Field(description="When. The next one follows six hours later at the earliest.")
    step: Literal["listing", "backup", "restore-drill"] = Field(
        description="listing: it asks the repository what it holds. backup: it has said so, and a dump is made up for. "
        "restore-drill: a drill is."
    )


class RestoreDrillStatus(Schema):
    """Restore drills of one data service, as their runs told."""

    last_success: Timestamp | None = Field(
        None, description="When a snapshot was last restored and held all that was saved."
    )
    snapshot: Word = Field("", description="Short id of that snapshot.")
    rto_seconds: Annotated[int, Field(ge=0)] = Field(
        0, description="Seconds until the restored server had everything."
    )
    previous_rto_seconds: Annotated[int, Field(ge=0)] = Field(
        0, description="The same of the success before."
    )
    last_failure: Timestamp | None = Field(None, description="When a drill last did not succeed.")
    reason: Reason = Field("", description="Why, while none has succeeded since.")
    message: Sentence = Field(
        "", description="That in words: what was expected and what was found."
    )
    missed: Timestamp | None = Field(None, description="When a drill was due that nobody started.")
    catch_up: CatchUp | None = Field(None, description="The last Job started to make up for one.")


class RetentionStatus(Schema):
    """What retention has left of one data service's snapshots, counted in what the repository listed afterwards."""

    last_success: Timestamp | None = Field(
        None, description="When it last did what it should, and counted."
    )
    days: Count = Field(
        0, description="Of the days that are kept, how many have a complete snapshot."
    )
    months: Count = Field(0, description="Of the months that are kept, likewise.")
    surplus: Count = Field(
        0, description="Complete snapshots that no rule keeps, and that are there all the same."
    )
    oldest: Timestamp | None = Field(None, description="When the oldest of them was made.")
    last_failure: Timestamp | None = Field(None, description="When it last did not succeed.")
    reason: Reason = Field("", description="Why, while it has not succeeded since.")
    message: Sentence = Field("", description="That in words, and what to do.")


class BackupStatus(Schema):
    """Backups of one data service, as their runs told."""

    first_success: Timestamp | None = Field(
        None, description="When the first was saved, as far as this status goes back."
    )
    last_success: Timestamp | None = Field(
        None, description="When a dump was last saved, complete, read back and as large as usual."
    )
    backup_set: Word = Field(
        "", description="Minute that the snapshots of a policy's stores have in common."
    )
    snapshot: Word = Field("", description="Short id of that snapshot.")
    size: Annotated[int, Field(ge=0)] = Field(0, description="Bytes that were dumped.")
    leaves_out: Sentence = Field(
        "", description="What of the service is in no backup, and what protects it instead."
    )
    snapshots: Count = Field(
        0, description="Complete snapshots that the repository listed afterwards."
    )
    listed: Timestamp | None = Field(
        None, description="When a Job last listed what the repository holds."
    )
    newest: Timestamp | None = Field(
        None, description="Of when the newest complete snapshot was that it listed."
    )
    missed: Timestamp | None = Field(
        None, description="When the schedule was due for which the repository holds nothing."
    )
    catch_up: CatchUp | None = Field(None, description="The last Job started to make up for it.")
    last_failure: Timestamp | None = Field(None, description="When a run last did not succeed.")
    reason: Reason = Field("", description="Why, while nothing has succeeded since.")
    message: Sentence = Field("", description="That in words, and what to do.")
    retention_held: Flag = Field(
        False,
        description="Whether the last retention deleted nothing, because too little would be left.",
    )
    retention: RetentionStatus | None = Field(
        None, description="What is kept. Absent: no retention has ended yet."
    )
    restore_drill: RestoreDrillStatus | None = Field(
        None, description="Whether they can be restored. Absent: no drill has ended yet."
    )
