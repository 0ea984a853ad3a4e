"""Keys and certificates of one cluster, made by the openssl command; existing files are kept.

It knows paths and subjects only; what a certificate is for is decided by the caller.
"""

import base64
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster.run import run

DAYS: Final = "365"
NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
# complete by RFC 5280: Python 3.13 and others refuse chains that lack any of these
AUTHORITY: Final = """[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""
LEAF: Final = """basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def subject_of(user: str, groups: Sequence[str] = ()) -> str:
    """Kubernetes reads the user from CN and the groups from O; a slash would start a new field."""
    fields = [*(f"O={group}" for group in groups), f"CN={user}"]
    return "".join("/" + field.replace("/", "\\/") for field in fields)


def request_args(key: Path, request: Path, subject: str) -> list[str]:
    """Arguments of `openssl` for a key and a signing request."""
    return ["req", *NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", subject]


def extensions_of(names: Sequence[str]) -> str:
    """Extensions of a leaf certificate; `names` become its alternative names."""
    return LEAF + (f"subjectAltName = {','.join(names)}\n" if names else "")


def sign_args(directory: Path, request: Path, certificate: Path, extensions: Path) -> list[str]:
    """Arguments of `openssl` that sign a request with the cluster's authority."""
    return [
        "x509",
        "-req",
        "-in",
        str(request),
        "-CA",
        str(directory / "ca.crt"),
        "-CAkey",
        str(directory / "ca.key"),
        "-days",
        DAYS,
        "-set_serial",
        str(1 + secrets.randbits(64)),  # a serial file would be a race
        "-out",
        str(certificate),
        "-extfile",
        str(extensions),
    ]


def make_authority(directory: Path) -> None:
    """The cluster's certificate authority and the key that signs service account tokens."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (directory / "ca.crt").exists():
        partial = directory / "ca.crt.partial"
        (directory / "ca.cnf").write_text(AUTHORITY)
        run(
            "openssl",
            "req",
            "-x509",
            "-config",
            directory / "ca.cnf",
            *NEW_KEY,
            "-days",
            DAYS,
            "-subj",
            "/CN=localcluster",
            "-keyout",
            directory / "ca.key",
            "-out",
            partial,
        )
        partial.replace(directory / "ca.crt")
    if not (directory / "sa.pub").exists():
        partial = directory / "sa.pub.partial"
        run(
            "openssl",
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            directory / "sa.key",
        )
        run("openssl", "pkey", "-in", directory / "sa.key", "-pubout", "-out", partial)
        partial.replace(directory / "sa.pub")


def make_certificate(directory: Path, name: str, subject: str, names: Sequence[str] = ()) -> None:
    """`NAME.crt` and `NAME.key` for a subject; `names` are like `DNS:localhost` or `IP:127.0.0.1`."""
    certificate = directory / f"{name}.crt"
    if certificate.exists():
        return
    request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
    run("openssl", *request_args(directory / f"{name}.key", request, subject))
    extensions.write_text(extensions_of(names))
    partial = directory / f"{name}.crt.partial"
    run("openssl", *sign_args(directory, request, partial, extensions))
    partial.replace(certificate)


def write_kubeconfig(path: Path, directory: Path, name: str, server: str) -> None:
    """A kubeconfig that carries its certificates, so that it may be copied."""

    def inline(file: str) -> str:
        return base64.b64encode((directory / file).read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "localcluster",
        "clusters": [
            {
                "name": "localcluster",
                "cluster": {"server": server, "certificate-authority-data": inline("ca.crt")},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": inline(f"{name}.crt"),
                    "client-key-data": inline(f"{name}.key"),
                },
            }
        ],
        "contexts": [
            {
                "name": "localcluster",
                "context": {"cluster": "localcluster", "user": name, "namespace": "default"},
            }
        ],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
