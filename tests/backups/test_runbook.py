"""The runbook, typed: every command of its shell blocks is run as it stands, on a real repository and real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import programs
import pytest
from redis import Redis

import image
from localcluster import images
from readiness.backups.runbook import Way, build_runbook
from sandbox import rootfs

from . import throwaway
from .stored import PASSWORD, SCRIPT, SOURCES, World

BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq", "mongodb"])
def test_a_page_names_the_store_and_holds_no_secret(kind: str):
    page = build_runbook(Way(kind, "shop", "checkout", "cache", "s3:https://s3.example.com/bak/shop/checkout/cache", "backup-password", "writer"))  # fmt: skip

    assert "--host cache.checkout.shop --tag readiness" in page
    assert "get secret backup-password" in page
    assert page.count("```") % 2 == 0
    assert len(BLOCK.findall(page)) >= 4


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(world: World):
    """A manifest of two dumps says which of them is the newest; the last block fills a new instance."""
    world.save(world.saved.sealed())
    home = world.home / "typed"
    home.mkdir()
    (home / "password").write_text(PASSWORD)
    (home / "admin").write_text("canary")
    install(world.programs, home)
    port, new = programs.free_port(), programs.free_port()
    instance = world.home / "new"
    (instance / "data").mkdir(parents=True)
    (instance / "order-1").write_text("yes\n")
    page = build_runbook(Way("redis", "shop", "checkout", "cache", world.url, "backup-password"))
    script = "set -eux\n" + "\n".join(BLOCK.findall(page)) + '\nredis-cli -p "$PORT" shutdown nosave\n'  # fmt: skip
    with throwaway.serving(SCRIPT, instance, new, world.programs):
        programs.until_open(new)
        with Redis("127.0.0.1", new) as client:
            client.execute_command("ACL", "SETUSER", "admin", "on", ">canary", "~*", "&*", "+@all")
            environ = {"PATH": f"{world.programs}:/usr/bin:/bin", "HOME": str(home), "PORT": str(port), "NEW": f"127.0.0.1:{new}", "RESTIC_CACHE_DIR": str(home / "cache")}  # fmt: skip
            done = subprocess.run(["sh", "-c", script], cwd=home, env=environ, capture_output=True, text=True, timeout=120, check=False)  # fmt: skip

            assert done.returncode == 0, done.stderr
            lasting = world.saved.manifest.verified.tallies[0].lasting
            found = re.search(r"^db0:keys=([0-9]+),expires=([0-9]+)", done.stdout, re.MULTILINE)
            assert found, done.stdout
            assert int(found[1]) - int(found[2]) == lasting
            sums = re.findall(r"\b[0-9a-f]{64}\b", done.stdout)
            assert len(sums) == 2
            assert sums[0] == sums[1]
            assert client.info("keyspace")["db0"]["keys"] >= lasting
            assert (home / "restored/appendonlydir").is_dir()


def install(folder: Path, home: Path) -> None:
    """What the page needs in the PATH besides restic and redis-server."""
    (folder / "readiness").write_text(f'#!/bin/sh\nPYTHONPATH={SOURCES} exec {sys.executable} -m readiness "$@"\n')  # fmt: skip
    (folder / "readiness").chmod(0o755)
    throwaway.install(folder, "redis-cli", rootfs(images.debian_layer(image.SUITE, ("redis-server",))))  # fmt: skip
