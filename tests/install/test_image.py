"""Both images hold the same: what uv.lock says for one Python, our package, and how it is started."""

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "e2e"))

import image  # noqa: E402 (e2e is a directory of programs)

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> set[str]:
    """`name==version` of what the lock installs into the image's Python."""
    environment = {"python_version": image.PYTHON, "python_full_version": f"{image.PYTHON}.0",
                   "sys_platform": "linux", "platform_system": "Linux", "implementation_name": "cpython"}  # fmt: skip
    pins = [
        Requirement(line.rstrip(" \\"))
        for line in image.requirements().splitlines()
        if line[:1].isalnum()
    ]
    return {
        f"{canonical(pin.name)}{pin.specifier}"
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(environment)
    }


@pytest.mark.api
def test_the_image_without_a_registry_holds_the_lock() -> None:
    found = {
        "==".join((canonical(name), version))
        for name, version in (each.split("==") for each in image.installed(image.package_layer()))
    }
    assert found == locked()
    assert image.installed(image.code_layer()) == {f"readiness_operator=={image.version()}"}


def test_the_dockerfile_installs_the_lock() -> None:
    assert DOCKERFILE.count("uv sync --frozen --no-default-groups --all-extras") == 2
    assert "uv pip" not in DOCKERFILE
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)).split()
    assert set(copied) == {"uv.lock", *image.SOURCES}
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert allowed == set(copied)


def test_both_have_the_same_tools() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert f"apt-get install -y --no-install-recommends {' '.join(image.TOOLS)} &&" in final
    account = image.ACCOUNTS.splitlines()[-1]
    assert f"echo {account} >> /etc/passwd" in final
    assert account.split(":")[2:4] == image.CONFIG.user.split(":"), "ssh asks who it is"


def test_both_start_the_same_way() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(
        rf"^ARG PYTHON=python:{image.PYTHON}-slim@sha256:[0-9a-f]{{64}}$", DOCKERFILE, re.MULTILINE
    )
    assert f'ENTRYPOINT ["{image.CONFIG.entrypoint[0]}"]' in final
    assert f"USER {image.CONFIG.user}\n" in final
    assert f"WORKDIR {image.CONFIG.workdir}\n" in final
    assert set(image.CONFIG.env) <= set(re.findall(r"[A-Z]+=\S+", final))


@pytest.mark.api
def test_nothing_changes_without_a_change() -> None:
    assert image.operator_image() == image.operator_image()
