"""`make demo`: a cluster, the operator in it, a good and a bad application, and their verdicts.

Every step may be repeated: what is up is used again, what did not change is not built again. On CLUSTER=current,
IMAGE and SPECIMEN_IMAGE name images that the cluster can pull.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)] if str(HERE) not in sys.path else []

import clusters  # noqa: E402 (the path must be set first)
import image  # noqa: E402
from clusters import Cluster  # noqa: E402
from localcluster.progress import ClusterError, say, step, wait_until  # noqa: E402

ROOT: Final = HERE.parent
CHART: Final = ROOT / "charts/readiness-operator"
SAMPLES: Final = ROOT / "manifests/samples"
RELEASE: Final = "readiness-operator"
NAMESPACE: Final = "readiness-system"
POLICIES: Final = (("shop", "checkout"), ("legacy", "orders"))
SPECIMENS: Final = ("readiness-specimen:1.0.0", "readiness-specimen:stable")
VERDICT_SECONDS: Final = 120
NEXT: Final = """\
  kubectl -n legacy describe rdy orders              conditions and events
  kubectl -n legacy edit deployment orders           mend something; the verdict follows
  .venv/bin/readiness gate checkout -n shop          what a pipeline asks
  .venv/bin/readiness explain SEC-010                what a control wants, and why
  make cluster-down                                  remove the cluster"""
NEXT_CURRENT: Final = f"""\
Next:
  kubectl -n legacy describe rdy orders
  .venv/bin/readiness gate checkout -n shop
Remove it all:
  kubectl delete -k manifests/samples
  helm -n {NAMESPACE} uninstall {RELEASE} && kubectl delete namespace {NAMESPACE}"""


def demo(environ: Mapping[str, str]) -> None:
    """The steps, in order."""
    cluster = clusters.up(environ)
    operator, specimens = load_images(cluster, environ)
    with step("install the operator (helm)"):
        install(cluster, operator)
    with step("apply manifests/samples"):
        apply_samples(cluster, specimens)
    with step("applications are up"):
        for kind, namespace, name in (
            ("deployment", "shop", "checkout-api"),
            ("deployment", "legacy", "orders"),
        ):
            cluster.run(
                "kubectl", "-n", namespace, "rollout", "status", f"{kind}/{name}", "--timeout=120s"
            )
    with step("verdicts"):
        await_verdicts(cluster)
    show(cluster)


def load_images(cluster: Cluster, environ: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Build what changed and load it; names of the operator's image and of those that replace the samples'."""
    if cluster.kind == "current":
        named = {name: environ.get(name, "") for name in ("IMAGE", "SPECIMEN_IMAGE")}
        for variable, value in named.items():
            if not value:
                raise ClusterError(
                    f"CLUSTER=current: {variable} must name an image your cluster can pull", code=2
                )
        return named["IMAGE"], dict.fromkeys(SPECIMENS, named["SPECIMEN_IMAGE"])
    built = image.build_with(cluster.engine) if cluster.engine else image.build_without_engine()
    for each in built:
        cluster.load(each.name, each.archive)
    operator, *specimens = (each.name for each in built)
    return operator, dict(zip(SPECIMENS, specimens, strict=True))


def install(cluster: Cluster, name: str) -> None:
    """The chart with that image; a release that an interrupted run left half-way is started over."""
    found = cluster.attempt("helm", "-n", NAMESPACE, "status", RELEASE, "-o", "json")
    if found.returncode == 0 and json.loads(found.stdout)["info"]["status"].startswith("pending"):
        cluster.run("helm", "-n", NAMESPACE, "uninstall", RELEASE)
    repository, _, tag = name.rpartition(":")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels},
    }
    cluster.run("kubectl", "apply", "-f", "-", text=json.dumps(space))
    done = cluster.attempt(
        "helm",
        "upgrade",
        "--install",
        RELEASE,
        str(CHART),
        "-n",
        NAMESPACE,
        "--wait",
        "--timeout",
        "3m",
        "--set",
        f"image.repository={repository}",
        "--set",
        f"image.tag={tag}",
    )
    if done.returncode:
        raise ClusterError(f"helm: {done.stderr.strip()}\n{diagnosis(cluster)}")


def diagnosis(cluster: Cluster) -> str:
    """What a person would look at first when the operator does not come up."""
    select = ("-n", NAMESPACE, "-l", f"app.kubernetes.io/name={RELEASE}")
    looks = (
        ("get", "pods", *select, "-o", "wide"),
        ("logs", *select, "--tail=20", "--prefix"),
        ("get", "events", "-n", NAMESPACE, "--field-selector=type=Warning"),
    )
    return "\n".join(cluster.attempt("kubectl", *look).stdout for look in looks)


def apply_samples(cluster: Cluster, specimens: Mapping[str, str]) -> None:
    """The samples, with images that are on the nodes."""
    text = cluster.run("kubectl", "kustomize", str(SAMPLES))
    for sample, real in specimens.items():
        text = text.replace(f"image: {sample}\n", f"image: {real}\n")
    cluster.run("kubectl", "apply", "-f", "-", text=text)


def await_verdicts(cluster: Cluster) -> None:
    """Until both policies have been judged as they stand now, and nothing is under way."""
    try:
        wait_until(
            "the verdicts",
            lambda: all(is_judged(policy(cluster, *key)) for key in POLICIES),
            seconds=VERDICT_SECONDS,
            every=1,
        )
    except ClusterError as error:
        table = cluster.attempt("kubectl", "get", "rdy", "-A").stdout
        raise ClusterError(f"{error}\n{table}{diagnosis(cluster)}") from error


def policy(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    """A policy as it stands."""
    return dict(
        json.loads(cluster.run("kubectl", "-n", namespace, "get", "rdy", name, "-o", "json"))
    )


def is_judged(found: Mapping[str, Any]) -> bool:
    """Whether the verdict is one: for this generation, complete, and not about a rollout under way."""
    status = found.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and conditions.get("Reconciling", {}).get("status") == "False"
        and conditions.get("Compliant", {}).get("status") in ("True", "False")
    )


def show(cluster: Cluster) -> None:
    """The table, every finding that does not hold, and what to type next."""
    print("\n$ kubectl get rdy -A\n" + cluster.run("kubectl", "get", "rdy", "-A"), flush=True)
    for namespace, name in POLICIES:
        print(f"$ readiness report {name} -n {namespace}", flush=True)
        command = [sys.executable, "-m", "readiness", "report", name, "-n", namespace]
        subprocess.run(
            command, env={**cluster.environ, "PYTHONPATH": str(ROOT / "operator")}, check=False
        )
        print(flush=True)
    print(
        NEXT_CURRENT
        if cluster.kubeconfig is None
        else f"Next:\n  export KUBECONFIG={cluster.kubeconfig}\n{NEXT}"
    )


def main(run: Callable[[Mapping[str, str]], None] = demo) -> int:
    """The demo, its time, and mistakes as sentences."""
    start = time.monotonic()
    try:
        run(os.environ)
    except ClusterError as error:
        say(f"demo: {error}")
        return error.code
    except KeyboardInterrupt:
        say("\ndemo: interrupted; `make demo` continues, `make cluster-down` removes the cluster")
        return 130
    say(f"demo: {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
