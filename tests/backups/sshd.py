"""A real sshd that serves SFTP and nothing else, from the packages of the images; it sees a root of its own and one directory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import programs

import image
from localcluster import images
from sandbox import rootfs

USER = "backup"
PACKAGES = ("openssh-client", "openssh-server")
_START = """
mount --make-rprivate /
mount -t tmpfs tmpfs "$ROOT/run" && mkdir "$ROOT/run/sshd"
mount --bind /dev "$ROOT/dev" && mount --bind "$HOME" "$ROOT/mnt" && mount --bind "$HOME/passwd" "$ROOT/etc/passwd"
exec chroot "$ROOT" /usr/sbin/sshd -D -e -f /mnt/sshd_config
"""


@dataclass(frozen=True)
class Server:
    """Where it listens, and what its clients are given."""

    home: Path
    port: int

    @property
    def secret(self) -> dict[str, str]:
        """As the destination's Secret has it."""
        kind, key, *_ = (self.home / "host.pub").read_text().split()
        return {
            "ssh-privatekey": (self.home / "client").read_text(),
            "known_hosts": f"[localhost]:{self.port} {kind} {key}\n",
        }

    def url(self, path: str) -> str:
        return f"sftp://{USER}@localhost:{self.port}/{path}"


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """`home` is /mnt to the server, and `home/files` the directory of the login."""
    root, found = rootfs(images.debian_layer(image.SUITE, PACKAGES)), Server(home, programs.free_port())  # fmt: skip
    home.chmod(0o755)
    (home / "files").mkdir()
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)  # fmt: skip
    (home / "authorized").write_bytes((home / "client.pub").read_bytes())
    (home / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nsshd:x:995:65534::/run/sshd:/usr/sbin/nologin\n"
        f"{USER}:x:0:0::/mnt/files:/bin/sh\n"  # of this very test's user: nothing else could be cleared away
    )
    (home / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{found.port}\nHostKey /mnt/host\nAuthorizedKeysFile /mnt/authorized\nStrictModes no\n"
        "AuthenticationMethods publickey\nPermitRootLogin prohibit-password\nUsePAM no\nPerSourcePenalties no\nPidFile none\n"
        "ForceCommand internal-sftp\nSubsystem sftp internal-sftp\n"
    )
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOT": str(root), "HOME": str(home)}
    with (home / "sshd.log").open("wb") as log:
        server = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", _START], env=environ, stdout=log, stderr=log)  # fmt: skip
    try:
        programs.until_open(found.port)
        yield found
    finally:
        server.kill()
        server.wait()
