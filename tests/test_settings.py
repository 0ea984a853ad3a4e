"""Settings: one table of what is accepted, one of what is refused and in which words."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from readiness.settings import Settings, SettingsError


def test_the_defaults_are_valid_and_frozen():
    settings = Settings.read({})

    assert settings == Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.workers = 1


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("NAMESPACES", "shop, blog", "namespaces", ("shop", "blog")),
        ("NAMESPACES", "", "namespaces", ()),
        ("WORKERS", "3", "workers", 3),
        ("KEY_DEADLINE", "2.5", "key_deadline", 2.5),
        ("HTTP_PORT", "0", "http_port", 0),
        ("EGRESS_ALLOW", "example.com *.example.org,10.0.0.0/8", "egress_allow",
         ("example.com", "*.example.org", "10.0.0.0/8")),
        ("DENIED_ADDRESSES", "10.1.2.3/16,fd00::1", "denied_addresses", ("10.1.0.0/16", "fd00::1/128")),
        ("LOG_LEVEL", "WARNING", "log_level", "warning"),
        ("IMAGE", "registry.example.com:5000/ops/readiness:V1", "image",
         "registry.example.com:5000/ops/readiness:V1"),
        ("DRILLS_REDIS_IMAGE", "redis@sha256:" + "a" * 64, "drills_redis_image", "redis@sha256:" + "a" * 64),
        ("DRILLS_MONGODB_IMAGE", "", "drills_mongodb_image", ""),
        ("DRILLS_PARALLEL", "1", "drills_parallel", 1),
        ("PROMETHEUS", "https://metrics.example.com/prometheus/", "prometheus",
         "https://metrics.example.com/prometheus/"),
        ("PROMETHEUS_MATCHERS", 'severity=~"page|critical", team!="x"', "prometheus_matchers",
         'severity=~"page|critical", team!="x"'),
        ("PROMETHEUS_NAMESPACES", "monitoring, ops", "prometheus_namespaces", ("monitoring", "ops")),
        ("PROMETHEUS_LABELS", "release=prom,example.com/team=", "prometheus_labels",
         (("release", "prom"), ("example.com/team", ""))),
        ("STORES_REDIS_EXPORTER_IMAGE", "redis_exporter:1", "stores_redis_exporter_image", "redis_exporter:1"),
        ("KUBECONFIG", "/some/where", "kubeconfig", "/some/where"),
    ],
)  # fmt: skip
def test_accepted(name, text, field, value):
    assert getattr(Settings.read({f"READINESS_{name}": text}), field) == value


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"READINESS_WORKER": "3"}, ["READINESS_WORKER", "did you mean READINESS_WORKERS"]),
        ({"READINESS_WORKERS": "0"}, ["READINESS_WORKERS", "from 1 to 100", "'0'"]),
        ({"READINESS_WORKERS": "2.5"}, ["READINESS_WORKERS", "whole number"]),
        ({"READINESS_WORKERS": "nan"}, ["READINESS_WORKERS", "from 1 to 100"]),
        ({"READINESS_KEY_DEADLINE": "soon"}, ["READINESS_KEY_DEADLINE", "a number", "'soon'"]),
        ({"READINESS_LOG_LEVEL": "loud"}, ["READINESS_LOG_LEVEL", "debug, info, warning, error"]),
        ({"READINESS_NAMESPACES": "Shop"}, ["READINESS_NAMESPACES", "Kubernetes name"]),
        ({"READINESS_EGRESS_ALLOW": "http://x/"}, ["READINESS_EGRESS_ALLOW", "host names"]),
        ({"READINESS_DENIED_ADDRESSES": "x"}, ["READINESS_DENIED_ADDRESSES", "CIDRs"]),
        ({"READINESS_DRILLS_RABBITMQ_IMAGE": "rabbit mq"}, ["RABBITMQ_IMAGE", "an image such as"]),
        ({"READINESS_PROMETHEUS": "prometheus:9090"}, ["PROMETHEUS: expected a URL"]),
        (
            {"READINESS_PROMETHEUS": "http://u:p@prometheus"},
            ["without user", "'http://…@prometheus'"],
        ),
        ({"READINESS_PROMETHEUS_MATCHERS": 'a="b"} or vector(1'}, ["label matchers such as"]),
        ({"READINESS_PROMETHEUS_LABELS": "release"}, ["labels such as release=prometheus"]),
        ({"READINESS_DRILLS_PARALLEL": "0"}, ["READINESS_DRILLS_PARALLEL", "from 1 to 20"]),
        ({"READINESS_LEASE_DURATION": "5"}, ["LEASE_RENEW_DEADLINE < LEASE_DURATION", "2, 10, 5"]),
        (
            {"READINESS_SEED": "x", "READINESS_WORKERS": "y"},
            ["READINESS_SEED", "READINESS_WORKERS"],
        ),
    ],
)
def test_refused_with_what_where_expected_and_observed(environ, words):
    with pytest.raises(SettingsError) as refused:
        Settings.read(environ)

    for word in words:
        assert word in str(refused.value)


def test_service_links_of_the_kubelet_are_not_settings():
    links = {
        "READINESS_OPERATOR_SERVICE_HOST": "10.0.0.1",
        "READINESS_OPERATOR_SERVICE_PORT": "8080",
        "READINESS_OPERATOR_SERVICE_PORT_HTTP": "8080",
        "READINESS_OPERATOR_PORT": "tcp://10.0.0.1:8080",
        "READINESS_OPERATOR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "READINESS_OPERATOR_PORT_8080_TCP_ADDR": "10.0.0.1",
    }

    assert Settings.read(links) == Settings()


def test_every_setting_is_documented():
    import ast
    import inspect

    from readiness import settings

    body = next(
        n for n in ast.parse(inspect.getsource(settings)).body
        if isinstance(n, ast.ClassDef) and n.name == "Settings"
    ).body  # fmt: skip
    for one, after in itertools.pairwise(body):
        if isinstance(one, ast.AnnAssign):
            assert isinstance(after, ast.Expr), ast.unparse(one)
