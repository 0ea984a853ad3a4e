"""What a run writes down and what is read back later: manifests, outcomes, snapshots, environments."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from readiness.api import read_policy
from readiness.backups.codec import (
    LIMIT,
    dump_manifest,
    dump_outcome,
    load_manifest,
    load_outcome,
)
from readiness.backups.destination import (
    CredentialsError,
    Repository,
    environment_of,
    options_of,
    repository_of,
    secret_of,
)
from readiness.backups.destination import host_of as destination_host_of
from readiness.backups.manifest import BackupManifest, File, Sample, Source, Tally, Verified
from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.backups.snapshots import host_of, load_snapshots, set_of, tags_of
from readiness.backups.trouble import reason_of, sentence_of

MANIFEST = BackupManifest(
    kind="redis", namespace="shop", policy="checkout", service="cache", run="checkout-cache-1a2b-backup-29385253",
    backup_set="20251114T1013Z", source=Source("cache-1", "8.0.2", 1763115181, 1763115190),
    verified=Verified("redis-server 8.0.2", (Tally("db0", 7, 2),), (Sample("db0", "00ff", "d" * 40),)),
    files=(File("dump.rdb", 1000, "a" * 64), File("verify.json", 20, "b" * 64)),
)  # fmt: skip
OUTCOME = Outcome("run-1", Task.BACKUP, Result.SUCCEEDED, Reason.SAVED, "saved", 1763115200, snapshots=(3, 2, 1))  # fmt: skip


def test_a_manifest_is_read_as_it_was_written():
    assert load_manifest(dump_manifest(MANIFEST)) == MANIFEST
    assert MANIFEST.size == 1020


@pytest.mark.parametrize("text", ["", "{}", dump_manifest(MANIFEST)[:-9], dump_manifest(MANIFEST).replace('"format": 1', '"format": 2')])  # fmt: skip
def test_what_is_no_manifest_is_refused(text: str):
    with pytest.raises(ValueError, match="validation error"):
        load_manifest(text)


def test_an_outcome_is_read_as_it_was_written_and_fits_a_termination_message():
    assert load_outcome(dump_outcome(OUTCOME)) == OUTCOME

    long = replace(OUTCOME, message="m" * 9999, snapshots=tuple(range(1763115200, 1763115600)))
    told = dump_outcome(long)
    assert len(told.encode()) < LIMIT
    assert load_outcome(told).snapshots == long.snapshots[:60]


@pytest.mark.parametrize("text", ["", "OOMKilled", "{}", "[]", dump_outcome(OUTCOME) + " " * LIMIT])
def test_what_is_no_outcome_is_refused(text: str):
    with pytest.raises(ValueError, match=r"validation error|no termination message"):
        load_outcome(text)


def row(number: int, **given: object) -> dict[str, object]:
    tags = [*tags_of(MANIFEST, 1500)]
    found = {
        "id": f"id{number}", "time": f"2025-11-1{number}T10:13:01.123456789Z", "tags": tags,
        "hostname": host_of("shop", "checkout", "cache"), "summary": {"total_bytes_processed": 1500},
    }  # fmt: skip
    return found | given


def test_snapshots_are_ours_and_the_newest_comes_first():
    rows = [row(1), row(3), row(2), row(4, hostname="laptop"), row(5, tags=["bytes=1500"])]
    found = load_snapshots(json.dumps(rows), host_of("shop", "checkout", "cache"))

    assert [each.id for each in found] == ["id3", "id2", "id1"]
    assert (found[0].backup_set, found[0].kind, found[0].size) == ("20251114T1013Z", "redis", 1500)
    assert all(each.complete for each in found)
    assert load_snapshots("null", "any") == ()


@pytest.mark.parametrize("summary", [None, {}, {"total_bytes_processed": 1499}])
def test_a_snapshot_that_holds_less_than_it_was_to_hold_is_not_complete(summary: object):
    (found,) = load_snapshots(json.dumps([row(1, summary=summary)]), "cache.checkout.shop")

    assert not found.complete


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("checkout-cache-1a2b-backup-29385253", "20251114T1013Z"),
        ("orders-3c4d-backup-29385253", "20251114T1013Z"),
        ("by-hand", "20251114T1020Z"),
    ],
)
def test_the_runs_of_one_schedule_have_one_set(run: str, expected: str):
    assert set_of(run, 1763115601.0) == expected


KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret\n", "LD_PRELOAD": "x"}
BASE = {"RESTIC_PASSWORD_FILE": "/p/password"}


@pytest.mark.parametrize(
    ("repository", "secret", "expected"),
    [
        (Repository("/repository/shop"), {}, {}),
        (Repository("s3:https://s3.example.com/bucket", "eu-west-1"), KEYS | {"ca.crt": "…"},
         {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1",
          "RESTIC_CACERT": "/c/ca.crt"}),
        (Repository("gs:bucket:/shop"), {"credentials.json": "{}"},
         {"GOOGLE_APPLICATION_CREDENTIALS": "/c/credentials.json"}),
        (Repository("azure:box:/shop"), {"AZURE_ACCOUNT_NAME": "a", "AZURE_ACCOUNT_KEY": "k"},
         {"AZURE_ACCOUNT_NAME": "a", "AZURE_ACCOUNT_KEY": "k"}),
        (Repository("sftp://b@backup.example.com:22/backups"), {"ssh-privatekey": "k", "known_hosts": "h"}, {}),
    ],
)  # fmt: skip
def test_restic_is_told_what_its_destination_needs_and_no_more(
    repository: Repository, secret: dict[str, str], expected: dict[str, str]
):
    found = environment_of(repository, secret, "/c", "/p/password")

    assert found == {**BASE, "RESTIC_REPOSITORY": repository.url, **expected}


def test_a_secret_that_lacks_a_key_is_told_by_the_key():
    with pytest.raises(CredentialsError, match="lacks AWS_SECRET_ACCESS_KEY"):
        environment_of(Repository("s3:h/b"), {"AWS_ACCESS_KEY_ID": "id"}, "/c", "/p")
    with pytest.raises(CredentialsError, match="lacks known_hosts"):
        environment_of(Repository("sftp://b@h:22/b"), {"ssh-privatekey": "k"}, "/c", "/p")


def test_ssh_trusts_one_key_and_shows_one():
    """The first word of an option that ssh is given counts."""
    assert options_of(Repository("s3:h/b"), "/c", "/log") == ()
    dash, words = options_of(Repository("sftp://b@h:22/b"), "/c", "/log")
    assert (dash, words.partition("=")[0]) == ("-o", "sftp.args")
    for each in ("StrictHostKeyChecking=yes", "UserKnownHostsFile=/c/known_hosts", "GlobalKnownHostsFile=/dev/null", "-i /c/ssh-privatekey", "IdentitiesOnly=yes", "BatchMode=yes", "-F /dev/null"):  # fmt: skip
        assert each in words


@pytest.mark.parametrize(
    ("where", "url"),
    [
        ({"directory": "/srv/backups"}, "sftp://b@h.example.com:22//srv/backups/shop/checkout/cache"),
        ({}, "sftp://b@h.example.com:22/backups/shop/checkout/cache"),
        ({"port": 2222, "directory": "x"}, "sftp://b@h.example.com:2222/x/shop/checkout/cache"),
    ],
)  # fmt: skip
def test_a_repository_lies_in_a_directory_of_the_server(where: dict[str, object], url: str):
    declared = {"host": "h.example.com", "user": "b", "secretRef": {"name": "w"}} | where
    backups = {"destination": {"sftp": declared}, "passwordSecretRef": {"name": "p"}}
    destination = read_policy({"backups": backups}).backups.destination

    assert repository_of(destination, "shop", "checkout", "cache").url == url
    assert secret_of(destination) == "w"
    assert destination_host_of(destination) == "h.example.com", "or BKP-003 would call it a volume"


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (1, "Stat(<config/>) returned error, retrying after 1s: Stat: Access Denied.", Reason.DENIED),
        (1, "Stat: The request signature we calculated does not match the signature you provided.", Reason.DENIED),
        (1, "Stat: The AWS Access Key Id you provided does not exist in our records.", Reason.DENIED),
        (1, "googleapi: Error 403: backup@x does not have storage.objects.create access, forbidden", Reason.DENIED),
        (1, "remove: Object is WORM protected and cannot be overwritten", Reason.DENIED),
        (1, "The difference between the request time and the server's time is too large.", Reason.CLOCK),
        (1, 'Get "https://s3": tls: failed to verify certificate: x509: certificate signed by unknown authority', Reason.UNTRUSTED),
        (1, "x509: certificate has expired or is not yet valid: current time", Reason.CLOCK),
        (1, "Storage backend has reached its minimum free drive threshold.", Reason.FULL),
        (1, "subprocess ssh: Host key verification failed.\nFatal: unable to start the sftp session", Reason.UNTRUSTED),
        (1, "unexpected EOF\nb@h: Permission denied (publickey).", Reason.DENIED),
        (1, "ssh: Could not resolve hostname h: Name or service not known", Reason.UNREACHABLE),
        (1, "write /repository/data/00/x: no space left on device", Reason.FULL),
        (1, "mkdir /repository/data: read-only file system", Reason.READ_ONLY),
        (1, "The specified bucket does not exist", Reason.NO_REPOSITORY),
        (1, "dial tcp 10.0.0.1:443: connect: connection refused", Reason.UNREACHABLE),
        (1, "lookup s3.example.com: no such host", Reason.UNREACHABLE),
        (10, "repository does not exist", Reason.NO_REPOSITORY),
        (11, "unable to create lock", Reason.LOCKED),
        (12, "wrong password or no key found", Reason.WRONG_PASSWORD),
        (130, "context canceled", Reason.INTERRUPTED),
        (1, "something else at 403, id 401", Reason.RESTIC),
    ],
)  # fmt: skip
def test_what_stood_in_the_way_has_a_word_and_a_remedy(code: int, words: str, reason: Reason):
    assert reason_of(code, words) is reason
    assert sentence_of(reason)
    assert words not in sentence_of(reason)
