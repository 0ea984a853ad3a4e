"""What stood in the way of restic, in one word and in a sentence with a remedy.

restic tells by exit code what is its own affair, and by text what the destination said; neither is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from readiness.backups.outcome import Reason

_CODES: Final[Mapping[int, Reason]] = {
    10: Reason.NO_REPOSITORY,
    11: Reason.LOCKED,
    12: Reason.WRONG_PASSWORD,
    130: Reason.INTERRUPTED,
}
_WORDS: Final[tuple[tuple[Reason, tuple[str, ...]], ...]] = (
    (Reason.CLOCK, ("requesttimetooskewed", "difference between the request time", "expired or is not yet valid")),
    (Reason.UNTRUSTED, ("x509:", "tls: ", "host key verification failed")),
    (Reason.FULL, (
        "no space left", "quota exceeded", "quotaexceeded", "bucket quota", "minimum free drive", "storagefull",
        "insufficientstorage", "disk quota",
    )),
    (Reason.READ_ONLY, ("read-only file system", "methodnotallowed")),
    (Reason.DENIED, (
        "access denied", "accessdenied", "permission denied", "signature we calculated does not match", "signaturedoesnotmatch",
        "access key id", "invalidaccesskeyid", "security token", "expiredtoken", "forbidden", "unauthorized",
        "failed to authenticate", "authorizationfailure", "does not have storage.", "invalid_grant", "object lock", "worm protected",
    )),
    (Reason.NO_REPOSITORY, (
        "bucket does not exist", "nosuchbucket", "container does not exist", "bucket doesn't exist", "bucket name cannot",
    )),
    (Reason.UNREACHABLE, (
        "no such host", "connection refused", "i/o timeout", "network is unreachable", "no route to host", "connection reset",
        "handshake timeout", "could not resolve hostname", "connection timed out", "connection closed by", "deadline exceeded", "server misbehaving", "reduce your request rate", "service unavailable",
        "internal error", "unexpected eof",
    )),
)  # fmt: skip
"""In the order of how much they say: what is refused may also be retried."""
_SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.NO_REPOSITORY: "there is no such bucket, container or directory: make it, or correct spec.backups.destination",
    Reason.WRONG_PASSWORD: "the repository was made with another password: put the Secret of spec.backups.passwordSecretRef back "
    "as it was, or move to another prefix",
    Reason.CREDENTIALS: "the destination's Secret is not complete: docs/backups.md lists its keys",
    Reason.LOCKED: "somebody else holds the repository's lock: see `restic list locks`",
    Reason.DENIED: "the destination refuses these credentials, or what they ask: compare the rights in docs/backups.md",
    Reason.UNREACHABLE: "the destination does not answer: check its endpoint, and that a NetworkPolicy lets this pod reach it",
    Reason.UNTRUSTED: "the destination is not trusted: put the authority of its certificate into the destination's Secret as ca.crt, "
    "or the server's key of SFTP as known_hosts",
    Reason.CLOCK: "the clocks of this node and of the destination differ by minutes: set them",
    Reason.FULL: "the destination has no room left, or its quota is used up",
    Reason.READ_ONLY: "the destination cannot be written",
    Reason.INTERRUPTED: "the run was stopped; the next one begins anew, and no half snapshot is left",
    Reason.RESTIC: "restic did not succeed; its own words are in the log of this pod",
}  # fmt: skip


def reason_of(code: int, words: str) -> Reason:
    """Why restic ended with a code, having said these words on its standard error."""
    text = words.lower()
    said = (reason for reason, known in _WORDS if any(word in text for word in known))
    return _CODES.get(code) or next(said, Reason.RESTIC)


def sentence_of(reason: Reason) -> str:
    """What it means and what to do."""
    return _SENTENCES[reason]
