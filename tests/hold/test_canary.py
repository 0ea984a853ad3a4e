"""No secret leaves: marked values wherever a tenant may put them, then a search in everything we write."""

from __future__ import annotations

import json

import pytest
from holdrig import until
from holdworld import PASSIVE, deployment, policy, target

pytestmark = pytest.mark.api
CONTROLS = (*PASSIVE, "CFG-003", "SEC-009", "CFG-009", "HLT-001")


def marked(kind: str) -> str:
    """A value that looks like a secret, put together at run time."""
    return f"Canary{kind}Xk29vQz81LmT"


def tenant() -> list[dict[str, object]]:
    workload = deployment(good=False)
    container = workload["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [
        {"name": "DB_PASSWORD", "value": marked("Env")},
        {"name": "DATABASE_URL", "value": f"postgres://app:{marked('Url')}@db:5432/app"},
        {"name": "AWS_SECRET_ACCESS_KEY", "value": marked("Aws")},
        {"name": "DEBUG", "value": "true"},
    ]
    container["envFrom"] = [{"configMapRef": {"name": "app"}}, {"secretRef": {"name": "app"}}]
    container["args"] = [f"--password={marked('Arg')}"]
    container["livenessProbe"]["httpGet"]["httpHeaders"] = [
        {"name": "Authorization", "value": f"Bearer {marked('Header')}"}
    ]
    workload["metadata"]["annotations"] = {"example.com/token": marked("Annotation")}
    workload["spec"]["template"]["metadata"]["annotations"] = {
        "example.com/password": marked("Template")
    }
    data = {
        "SMTP_PASSWORD": marked("Config"),
        "app.properties": f"spring.datasource.password={marked('File')}",
    }
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": data}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "app"},
        "stringData": {"KEY": marked("Secret")},
    }
    return [config, secret, workload]


def everything(operator, space) -> dict[str, str]:
    """All that the operator has written or shows."""
    return {
        "status": json.dumps([space.status(name) for name in ("app", "odd")]),
        "reports": json.dumps([r["report"] for r in space.reports()]),
        "events": json.dumps([e["note"] for name in ("app", "odd") for e in space.events(name)]),
        "log": operator.text(),
        "metrics": operator.page("/metrics").text,
        "health": operator.page("/healthz").text + operator.page("/readyz").text,
    }


def test_no_marked_value_is_written(launch, space):
    operator = launch(log_level="debug")
    space.apply(*tenant())
    told = policy(controls=CONTROLS)
    told["metadata"]["annotations"] = {"example.com/token": marked("PolicyAnnotation")}
    told["spec"]["controls"][0]["params"] = {"token": marked("Param")}
    told["spec"]["targets"] = [
        target(
            externalURL=f"https://shop.example.com/{marked('Path')}",
            health={"path": f"/health?token={marked('Query')}"},
        )
    ]
    space.apply(told)
    odd = policy("odd", target("app"), profiles=[marked("Profile").lower()])
    space.apply(odd)
    until(lambda: space.verdict("app").startswith("False"), 30)
    until(lambda: space.verdict("odd"), 30)
    until(
        lambda: (
            {e["regarding"]["name"] for n in ("app", "odd") for e in space.events(n)} >= {"app"}
        ),
        20,
    )
    ids = {row["id"] for row in space.status()["failures"] if row["result"] == "Fail"}
    assert "SEC-001" in ids, "the secrets were noticed at all"
    found = everything(operator, space)
    hits = {
        place: text[max(0, text.find("Canary") - 60) :][:140]
        for place, text in found.items()
        if "Canary" in text
    }
    assert hits == {}
