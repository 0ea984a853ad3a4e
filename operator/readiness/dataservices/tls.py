"""TLS of a data service: where its files are, what its certificate has to be good for, and what is wrong with it.

Pure. Whether a certificate can be used at all was tried out by whoever read it; here it is held against the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from readiness.dataservices.order import Order, Refusal
from readiness.dataservices.parts import Part
from readiness.model import Manifest
from readiness.snapshot import Obstacle

if TYPE_CHECKING:
    from readiness.api.provisioned import Tls

REASON: Final = "CertificateUnusable"
VOLUME: Final = "tls"
CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"
FILES: Final = (CERTIFICATE, KEY, AUTHORITY)


def volume_of(tls: Tls) -> Manifest:
    """The Secret as the servers read it. Its files follow it, so that a renewed certificate arrives."""
    items = [{"key": key, "path": key} for key in FILES]
    secret = {"secretName": tls.secret_ref.name, "defaultMode": 0o440, "items": items}
    return {"name": VOLUME, "secret": secret}


def authority_of(order: Order) -> dict[str, str]:
    """What a binding says about TLS: whom to trust."""
    return {AUTHORITY: order.certificate.ca} if order.certificate else {}


def changed_tls(order: Order, kind: str, live: Iterable[Manifest]) -> Iterator[Obstacle]:
    """Members with and without TLS do not understand each other, so what runs stays as it is."""
    wanted = bool(getattr(getattr(order.service, kind), "tls", None))
    for child in live:
        if child["kind"] == "StatefulSet":
            volumes = child["spec"]["template"]["spec"].get("volumes") or ()
            if any(each["name"] == VOLUME for each in volumes) != wanted:
                words = f"{order.service.name} runs {'without' if wanted else 'with'} TLS, and its members understand nothing else"
                fix = "put tls back as it was, or declare another service and move the data"
                yield Obstacle("TlsChanged", words, fix)
                return


def problems_of(
    order: Order, tls: Tls | None, parts: Sequence[Part], services: Sequence[str], *, mutual: bool
) -> tuple[Refusal, ...]:
    """Why the certificate is of no use to these pods and Services; nothing where no cluster tells what it holds.

    `mutual`: members show it to each other.
    """
    found = order.certificate
    if tls is None or found is None:
        return ()
    wanted = [*(f"*.{part.domain}" for part in parts), *services]
    where, issue = f"Secret/{found.secret}", f"issue it for {', '.join(wanted)}"
    missing = [f"*.{part.domain}" for part in parts if not all(map(found.is_for, part.hosts))]
    missing += [service for service in services if not found.is_for(service)]
    if found.problem:
        make = " ".join(f"--from-file={key}" for key in FILES)
        fix = f"kubectl -n {order.namespace} create secret generic {found.secret} {make}, or let cert-manager make it; {issue}"
        return (Refusal(REASON, f"{where} {found.problem}", fix),)
    if missing:
        return (Refusal(REASON, f"{where}: its certificate is not for {', '.join(missing)}", issue),)  # fmt: skip
    if mutual and not found.mutual:
        words = f"{where}: its certificate is for servers only, and members call each other"
        return (Refusal(REASON, words, "issue it with the usages `server auth` and `client auth`"),)
    return ()
