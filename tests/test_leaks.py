"""What counts as a secret, what does not, and that no text can make the search slow."""

from __future__ import annotations

import time

import pytest

from readiness.leaks import MAX_TEXT, is_secret_name, scan, scan_config_map, scan_named
from readiness.snapshot import Leak

R = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
"""Filler. Samples are put together at run time, so that this file holds no credential."""

SHAPES = {
    "private-key": ["-----BEGIN " + "PRIVATE KEY-----", "-----BEGIN RSA " + "PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY" + " BLOCK-----"],
    "aws-access-key": ["AKIA" + "QWERTYUIOPASDFGH", "id=ASIA" + "QWERTYUIOPASDF23;"],
    "gcp-api-key": ["AIza" + R[:35]],
    "gcp-oauth-secret": ["GOCSPX-" + R[:28]],
    "azure-storage-key": ["AccountName=x;AccountKey=" + (R * 3)[:86] + "=="],
    "github-token": ["ghp_" + R[:36], "x ghs_" + R[:36] + " y", "github_pat_" + R[:30]],
    "gitlab-token": ["glpat-" + R[:20]],
    "slack-token": ["xoxb-" + "123456789012-" + R[:12]],
    "slack-webhook": ["https://hooks.slack.com/services/T" + R[:8] + "/B" + R[:8] + "/" + R[:24]],
    "stripe-key": ["sk_" + "live_" + R[:24], "rk_" + "test_" + R[:24]],
    "stripe-webhook-secret": ["whsec_" + R[:32]],
    "ai-provider-key": ["sk-ant-" + R[:40], "sk-proj-" + R[:40]],
    "npm-token": ["npm_" + R[:36]],
    "sendgrid-key": ["SG." + R[:22] + "." + (R * 2)[:43]],
    "vault-token": ["hvs." + R[:30]],
    "jwt": ["eyJ" + R[:20] + ".eyJ" + R[:30] + "." + R[:30]],
    "url-password": ["postgres://app:hunter2@db/app", "redis://:changeme@cache:6379", "x=mongodb+srv://a:b1c2@h,h2/y"],
    "assigned-secret": ['{"smtp_password": "s3cr3t!"}', "spring.datasource.password=Pa55word", "[x]\nclient_secret = " + R[:24], "Server=db;Password=Secret1;"],
}  # fmt: skip

HARMLESS = [
    "", "checkout", "https://shop.example.com/a?b=c", "postgres://app@db/app", "redis://cache:6379/0",
    "postgres://app:$(DB_PASSWORD)@db/app", "postgres://app:${DB_PASSWORD}@db/app", "amqp://u:<password>@mq",
    "mongodb://u:{{ .Values.password }}@db", "redis://:****@cache", "https://o0@sentry.example.com/1",
    "docker://nginx:alpine@sha256:0123456789abcdef", "oci://registry.example:5000/app@sha256:012345",
    "-----BEGIN " + "PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "AKIA" + "IOSFODNN7EXAMPLE", "task-sk-runner-with-a-long-name-of-forty-characters",
    "disk-ant-farm-of-considerable-length-in-the-garden", "eyJhbGciOiJIUzI1NiJ9", "password: string", "password = os.environ.get('X')",
    "const token = req.headers.authorization", "secretName: db-credentials", "token:\n  ttl: 15m", "secret: |\n  x",
    "proxy_set_header Authorization $http_authorization;", '"password": "Password"', "password.label=Kennwort",
    "log_format x 'token=$arg_token';", '{"automountServiceAccountToken":false}', "4a1b9c2e-6d0f-4a7b-9c1d-2e3f4a5b6c7d",
    "api_key_header: X-Api-Key-2", "token_url=https://id.example.com/oauth2/token", "bearer_token_file: /var/run/secrets/token1",
    "max_token=4096000000000000", "--tls-secret=checkout-tls", "3f786850e387550fdab836ed7e6dc881de23001b",
]  # fmt: skip

SECRET_NAMES = [
    "PASSWORD",
    "DB_PASSWORD",
    "PGPASSWORD",
    "dbPassword",
    "spring.datasource.password",
    "MYSQL_ROOT_PASSWORD",
    "SMTP_PASS",
    "db-pwd",
    "PASSPHRASE",
    "SECRET",
    "CLIENT_SECRET",
    "JWT_SECRET",
    "clientSecret",
    "TOKEN",
    "authToken",
    "GITHUB_TOKEN",
    "API_KEY",
    "apiKey",
    "X-Api-Key",
    "APIKEY",
    "PRIVATE_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "SECRET_KEY_BASE",
    "ENCRYPTION_KEY",
    "CREDENTIALS",
    "DB_PASSWORD_OLD",
    "PASSWORD2",
    "Authorization",
    "--password",
]
OTHER_NAMES = [
    "TOKEN_TTL",
    "PASSWORD_MIN_LENGTH",
    "SECRET_NAME",
    "SECRETS_PATH",
    "DB_PASSWORD_FILE",
    "TOKEN_ENABLED",
    "PUBLIC_KEY",
    "JWT_PUBLIC_KEY",
    "PWD",
    "OLDPWD",
    "COMPASS",
    "BYPASS",
    "STRIPE_PUBLISHABLE_KEY",
    "NEXT_PUBLIC_API_KEY",
    "PRIMARY_KEY",
    "KEY",
    "KEYCLOAK_URL",
    "AWS_ACCESS_KEY_ID",
    "MAX_TOKENS",
    "TOKENIZER",
    "SECRETARY",
    "CSRF_TOKEN",
    "IMAGE_PULL_SECRET",
    "TLS_SECRET",
    "PASSWORD_HASH",
    "checksum/secret",
    "SORT_KEY",
    "STAKATER_DB_SECRET",
    "PASSWORDLESS",
    "PASS_THROUGH",
]

LITERALS = [
    ("DB_PASSWORD", "changeme"), ("DB_PASSWORD", "hunter2"), ("DB_PASSWORD", "1234"), ("DB_PASSWORD", "p@ss w0rd"),
    ("CLIENT_SECRET", "4a1b9c2e-6d0f-4a7b-9c1d-2e3f4a5b6c7d"), ("API_KEY", R), ("JWT_SECRET", "mysecret"),
    ("Authorization", "Basic dXNlcjpodW50ZXIy"), ("SECRET_KEY", "abc/def+ghi=="),
]  # fmt: skip
NO_LITERALS = [
    ("DB_PASSWORD", ""), ("DB_PASSWORD", "  "), ("DB_PASSWORD", "${DB_PASSWORD}"), ("DB_PASSWORD", "$(DB_PASSWORD)"),
    ("DB_PASSWORD", "<password>"), ("DB_PASSWORD", "{{ .Values.x }}"), ("DB_PASSWORD", "$DB_PASSWORD"), ("DB_PASSWORD", "%PW%"),
    ("DB_PASSWORD", "********"), ("DB_PASSWORD", "xxxx"), ("DB_PASSWORD", "/run/secrets/db"), ("DB_PASSWORD", "./db.txt"),
    ("DB_PASSWORD", "true"), ("SHOW_PASSWORD", "1"), ("DB_PASSWORD", "vault:secret/data/db#password"), ("DB_PASSWORD", "none"),
    ("API_TOKEN", "op://vault/item/field"), ("API_TOKEN", "arn:aws:secretsmanager:eu-west-1:1:secret:x"), ("MAX_TOKEN", "4096"),
    ("ACCESS_TOKEN", "15m"), ("AUTH_TOKEN", "https://id.example.com/token"), ("AUTH_TOKEN", "Bearer"), ("DB_SECRET", "checkout-db-credentials"),
    ("TLS_KEY", "anything"), ("CREDENTIALS", "same-origin"), ("APP_PASSWORD", "line one\nline two"), ("PASSWORD", "ENC[AES256,data:x]"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text"), [(p, t) for p, ts in SHAPES.items() for t in ts])
def test_shapes_are_found_wherever_they_stand(pattern: str, text: str):
    assert pattern in scan(text)
    assert pattern in scan(f'{{"a": "{text}"}}\n') or pattern == "assigned-secret"


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts(text: str):
    assert scan(text) == ()


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_that_promise_a_secret(name: str):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_that_do_not(name: str):
    assert not is_secret_name(name)


@pytest.mark.parametrize(("name", "value"), LITERALS)
def test_literals_under_such_names(name: str, value: str):
    assert scan_named(name, value) == ("plain-secret",)
    assert scan_named("COLOR", value) == ()


@pytest.mark.parametrize(("name", "value"), NO_LITERALS)
def test_what_is_no_literal(name: str, value: str):
    assert scan_named(name, value) == ()


def test_a_config_map_by_key_and_annotation():
    config_map = {
        "metadata": {"name": "app", "annotations": {"last": '{"url":"amqp://u:hunter2@mq"}', "auth-secret": "users"}},
        "data": {"b": "fine", "apiKey": "hunter2", "app.properties": "a=b\nspring.mail.password=s3cr3t!\n"},
        "binaryData": {"x": "AAAA"},
    }  # fmt: skip
    assert scan_config_map(config_map) == (
        Leak("ConfigMap/app data.apiKey", "plain-secret"),
        Leak("ConfigMap/app data.app.properties", "assigned-secret"),
        Leak("ConfigMap/app annotations.last", "url-password"),
    )
    assert scan_config_map({"metadata": {"name": "empty"}}) == ()


HOSTILE = [
    "a" * MAX_TEXT, "password=" * 8000, "password" * 8000, "://" * 20000, "://:" * 16000, "://a:" + "b" * MAX_TEXT,
    "eyJ" * 20000, "eyJ" + "a" * 2000 + ".eyJ" + "b" * 60000, "sk-proj-" * 8000, "-----BEGIN " * 6000, "PRIVATE KEY-----BEGIN " * 3000,
    "AKIA" * 16000, "xoxb-" * 13000, "SG." * 20000, "a." * 30000 + "password", "token = " + "a." * 30000, "_" * 60000 + "password=",
    "password \t" * 7000, "token: " * 9000, "x-" * 32000, "https://" * 8000, "gh" * 32000, "k_live_sk_live_" * 4000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_makes_it_slow(text: str):
    started = time.process_time()
    scan_named("DB_PASSWORD", text * 20)
    scan_named(text, "value")
    assert time.process_time() - started < 1.0


def test_only_the_first_part_of_a_long_text_counts():
    key = "AKIA" + "QWERTYUIOPASDFGH"
    assert scan(" " * (MAX_TEXT - 20) + key) == ("aws-access-key",)
    assert scan(" " * MAX_TEXT + key) == ()
