"""The layout of image archives, which containerd, docker and kind read."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from localcluster import archive, images
from localcluster.progress import ClusterError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/file").write_text("content")
    (source / "link").symlink_to("sub/file")
    return source


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_a_directory_lies_at_its_destination(tmp_path: Path, source: Path) -> None:
    archive.write_tar(tmp_path / "layer.tar", source, "/opt/app")
    assert names(tmp_path / "layer.tar") == [
        "opt",
        "opt/app",
        "opt/app/link",
        "opt/app/sub",
        "opt/app/sub/file",
    ]
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert {member.uid for member in tar} == {0}
        assert tar.getmember("opt/app/link").linkname == "sub/file"


def test_equal_content_gives_equal_layers(tmp_path: Path, source: Path) -> None:
    for name in ("one.tar", "two.tar"):
        archive.write_tar(tmp_path / name, source, "/opt")
    one, two = (archive.layer_of(tmp_path / name) for name in ("one.tar", "two.tar"))
    assert one.digest == two.digest
    assert one.digest == hashlib.sha256((tmp_path / "one.tar").read_bytes()).hexdigest()


def test_archives_name_their_parts(tmp_path: Path, source: Path) -> None:
    archive.write_tar(tmp_path / "layer.tar", source, "/opt")
    layer = archive.layer_of(tmp_path / "layer.tar")
    config = archive.Config(entrypoint=("/opt/run",), env=("A=b",), user="1000", workdir="/opt")
    archive.write_archive(tmp_path / "image.tar", "some/image:1", config, [layer])
    with tarfile.open(tmp_path / "image.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))[0]
        content = tar.extractfile(manifest["Config"])
        assert content
        encoded = content.read()
        assert set(manifest["Layers"]) <= set(tar.getnames())
    assert manifest["RepoTags"] == ["some/image:1"]
    assert manifest["Config"] == hashlib.sha256(encoded).hexdigest() + ".json"
    decoded = json.loads(encoded)
    assert decoded["rootfs"]["diff_ids"] == [f"sha256:{layer.digest}"]
    assert decoded["config"] == {
        "Env": [archive.DEFAULT_PATH, "A=b"],
        "Entrypoint": ["/opt/run"],
        "Cmd": None,
        "User": "1000",
        "WorkingDir": "/opt",
    }


def test_a_single_binary_is_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    binary = tmp_path / "pause-1/pause"
    binary.parent.mkdir()
    binary.write_bytes(b"ELF")
    first = images.scratch("some/pause:1", binary=binary)
    assert images.scratch("some/pause:1", binary=binary) == first
    assert any(name.endswith("layer.tar") for name in names(first))


@pytest.mark.parametrize("name", ["image", "image:latest", "registry:5000/image"])
def test_images_need_a_tag_that_is_not_always_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    binary = tmp_path / "pause"
    binary.write_bytes(b"ELF")
    with pytest.raises(ClusterError, match="needs a tag"):
        images.scratch(name, binary=binary)
