"""Image archives as `docker save` writes them: layers, a config and a manifest in one tar.

containerd, docker and kind import them. It writes files and knows neither packages nor clusters.
"""

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
Filter = Callable[[tarfile.TarInfo], tarfile.TarInfo]
DEFAULT_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Config:
    """How a container of the image runs when the pod does not say otherwise."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    stop_signal: str = ""  # none is SIGTERM


@dataclass(frozen=True)
class Layer:
    """An uncompressed tar and its digest, which is also the layer's id."""

    path: Path
    digest: str


def layer_of(path: Path) -> Layer:
    """Hash a tar, or read the hash written beside it by an earlier call."""
    noted = path.with_suffix(".sha256")
    if not noted.exists() or noted.stat().st_mtime < path.stat().st_mtime:
        with path.open("rb") as file:
            noted.write_text(hashlib.file_digest(file, "sha256").hexdigest())
    return Layer(path, noted.read_text())


def write_tar(path: Path, source: Path, dest: str) -> None:
    """Put a file or directory of this machine at `dest` in a new tar, owned by root, in fixed order."""

    def owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for parent in reversed(Path(dest.strip("/")).parents):
            if parent.name:
                directory = tarfile.TarInfo(str(parent))
                directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(directory)
        _add(tar, source, dest.strip("/"), owned_by_root)


def _add(tar: tarfile.TarFile, source: Path, name: str, owned: Filter) -> None:
    tar.add(source, arcname=name, recursive=False, filter=owned)
    if source.is_dir() and not source.is_symlink():
        for child in sorted(source.iterdir()):
            _add(tar, child, f"{name}/{child.name}".lstrip("/"), owned)


def config_json(config: Config, layers: Sequence[Layer]) -> bytes:
    """The image config; it has no date, so that equal content has an equal name."""
    env = list(config.env)
    if not any(entry.startswith("PATH=") for entry in env):
        env.insert(0, DEFAULT_PATH)
    return json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {
                "Env": env,
                "Entrypoint": list(config.entrypoint) or None,
                "Cmd": list(config.cmd) or None,
                "User": config.user,
                "WorkingDir": config.workdir,
                **({"StopSignal": config.stop_signal} if config.stop_signal else {}),
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{layer.digest}" for layer in layers],
            },
            "history": [{"created_by": "localcluster"} for _ in layers],
        },
        sort_keys=True,
    ).encode()


def manifest_json(name: str, config: bytes, layers: Sequence[Layer]) -> bytes:
    return json.dumps(
        [
            {
                "Config": f"{hashlib.sha256(config).hexdigest()}.json",
                "RepoTags": [name],
                "Layers": [f"{layer.digest}/layer.tar" for layer in layers],
            }
        ]
    ).encode()


def write_archive(path: Path, name: str, config: Config, layers: Sequence[Layer]) -> None:
    """Write the archive beside its place and move it there when complete."""
    encoded = config_json(config, layers)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with tarfile.open(partial, "w") as tar:
        for member, content in small_members(name, encoded, layers).items():
            header = tarfile.TarInfo(member)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
        for layer in layers:
            tar.add(layer.path, arcname=f"{layer.digest}/layer.tar")
    partial.replace(path)


def small_members(name: str, config: bytes, layers: Sequence[Layer]) -> Mapping[str, bytes]:
    return {
        f"{hashlib.sha256(config).hexdigest()}.json": config,
        "manifest.json": manifest_json(name, config, layers),
    }
