"""What a policy declares about one workload. Everything a target needs is declared on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from readiness.api.data import Data
from readiness.api.formats import (
    HOST_PATTERN,
    ORIGIN_PATTERN,
    Duration,
    Name,
    ObjectName,
    Path,
    Port,
    Regex,
    Text,
    lasting,
    matching,
)
from readiness.api.limits import Limits, Load
from readiness.api.metrics import Metrics
from readiness.api.queues import Qos, Rate
from readiness.api.scenario import Scenario
from readiness.api.shutdown import Short, Shutdown
from readiness.api.startup import Errors, StartConfig
from readiness.api.types import Flag, Rule, Schema, keyed, scalar_set
from readiness.api.upstream import Upstream

HeaderName = Annotated[
    str,
    StringConstraints(max_length=100),
    matching(r"^[A-Za-z0-9-]+$", "must be the name of a header: letters, digits and '-'"),
]
CookieName = Annotated[
    str,
    StringConstraints(max_length=100),
    matching(r"^[A-Za-z0-9_.-]+$", "must be the name of a cookie: letters, digits, '_', '.', '-'"),
]
Origin = Annotated[
    str,
    StringConstraints(max_length=253),
    matching(
        ORIGIN_PATTERN,
        "must be an origin as browsers send it, such as https://app.example.com: scheme, host in "
        "lower case, port when not the default; no path, no wildcard",
    ),
]
ExternalURL = Annotated[
    str,
    StringConstraints(max_length=512),
    matching(
        HOST_PATTERN,
        "must be an http or https address such as https://shop.example.com: host, port up to 65535 "
        "and path; no user, no query, no fragment",
    ),
]
_KINDS = {
    "apps/v1": {"Deployment", "StatefulSet", "DaemonSet"},
    "argoproj.io/v1alpha1": {"Rollout"},
}


class WorkloadRef(Schema):
    """A workload in the policy's own namespace."""

    api_version: Literal["apps/v1", "argoproj.io/v1alpha1"] = Field(
        "apps/v1", description="API version of the workload."
    )
    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "Rollout"] = Field(
        description="Kind of the workload."
    )
    name: ObjectName = Field(description="Name of the workload.")
    rules = (
        Rule(
            cel="(self.kind == 'Rollout') == (self.apiVersion == 'argoproj.io/v1alpha1')",
            message="kind does not belong to apiVersion: a Rollout is argoproj.io/v1alpha1, "
            "every other kind is apps/v1",
            holds=lambda ref: ref.kind in _KINDS[ref.api_version],
            field="kind",
            shown="'\"' + self.kind + '\"'",
        ),
    )


class ServiceRef(Schema):
    """A Service in the policy's own namespace and the port to probe."""

    name: ObjectName = Field(description="Name of the Service.")
    port: Port = Field(description="Port of the Service, by name or number.")


class Health(Schema):
    """Where the application says how it is."""

    path: Path = Field(
        description="Shallow health endpoint: answers without touching dependencies."
    )
    deep_path: Path | None = Field(
        None,
        description="Health endpoint that checks dependencies, for example `/health?deep=true`.",
    )
    components: Annotated[tuple[Text, ...], *scalar_set()] = Field(
        (),
        max_length=30,
        description="Dependencies that deep health must list, by the name it uses.",
    )
    ok_statuses: Annotated[tuple[Text, ...], *scalar_set()] = Field(
        (),
        max_length=20,
        description="Status words that mean healthy, besides ok, up, pass, healthy, true.",
    )
    max_latency: Annotated[Short, lasting("1ms", "60s")] = Field(
        "1s", description="Longest acceptable time for a health answer."
    )
    rules = (
        Rule(
            cel="!has(self.components) || self.components.size() == 0 || has(self.deepPath)",
            message="components need deepPath: the shallow endpoint does not list dependencies",
            holds=lambda h: not h.components or h.deep_path is not None,
            field="components",
        ),
    )


class Http(Schema):
    """The routes of the application that controls may look at. All are requested with GET."""

    protected: Annotated[tuple[Path, ...], *scalar_set()] = Field(
        (), max_length=50, description="Routes that must refuse anonymous requests."
    )
    public: Annotated[tuple[Path, ...], *scalar_set()] = Field(
        (), max_length=50, description="Routes that anyone may read; headers are judged on them."
    )
    sensitive: Annotated[tuple[Path, ...], *scalar_set()] = Field(
        (), max_length=50, description="Routes whose answers must never be cached (no-store)."
    )
    debug_paths: Annotated[tuple[Path, ...], *scalar_set()] = Field(
        (),
        max_length=8,
        description="Debug or development routes that must be closed, instead of the built-in list.",
    )
    login_path: Path | None = Field(
        None, description="Where anonymous browsers are sent; a redirect there counts as refusal."
    )


class Cors(Schema):
    """Which other origins may read answers in a browser."""

    allowed_origins: Annotated[
        tuple[Origin, ...],
        *scalar_set(),
    ] = Field(
        min_length=1,
        max_length=50,
        description="Origins that must be allowed, exactly: scheme, host, port.",
    )
    credentials: Flag = Field(
        False,
        description="Whether the allowed origins may send cookies (Access-Control-Allow-Credentials).",
    )
    path: Path | None = Field(
        None,
        description="Route to test with; default: the first public, else the first protected route.",
    )


class RequiredHeader(Schema):
    """A response header that must be present."""

    name: HeaderName = Field(description="Header name.")
    pattern: Regex | None = Field(
        None,
        description="Simple regular expression the value must match whole, case-insensitive.",
    )


class Headers(Schema):
    """Response headers the owner promises, beyond what the controls ask anyway."""

    csp: Annotated[str, Field(min_length=1, max_length=4000)] | None = Field(
        None,
        description="Exact Content-Security-Policy expected, when the default rules are not enough.",
    )
    hsts: Duration | None = Field(
        None,
        description="Smallest acceptable max-age of Strict-Transport-Security. Default 4320h (180 days).",
    )
    frame: Literal["DENY", "SAMEORIGIN"] | None = Field(
        None,
        description="DENY: framing by nobody. SAMEORIGIN: by the same origin. Default: either.",
    )
    required: Annotated[tuple[RequiredHeader, ...], *keyed("name")] = Field(
        (), max_length=20, description="Further headers every answer must carry."
    )
    forbidden: Annotated[tuple[HeaderName, ...], *scalar_set()] = Field(
        (), max_length=20, description="Headers no answer may carry, besides version banners."
    )


class Cookies(Schema):
    """Names of cookies the application uses."""

    session: CookieName | None = Field(
        None, description="Name of the session cookie; AUT-001 sends a garbage one."
    )


class Target(Schema):
    """One workload to judge."""

    name: Name = Field(description="Name of the target within this policy.")
    workload_ref: WorkloadRef = Field(description="The workload, in the policy's namespace.")
    container: Name | None = Field(
        None,
        description="The application's container. Default: the first one that has ports, else the first.",
    )
    service: ServiceRef | None = Field(None, description="The Service that clients use.")
    external_url: ExternalURL | None = Field(
        None,
        alias="externalURL",
        description="Address that users see. Probed only where the operator's egress setting allows the host.",
    )
    health: Health | None = Field(None, description="Health endpoints (HLT family).")
    shutdown: Shutdown = Field(Shutdown(), description="How the application stops (SHD family).")
    config: StartConfig | None = Field(
        None, description="Environment variables and how wrong ones are refused (CFG family)."
    )
    errors: Errors | None = Field(None, description="How server errors are logged (ERR family).")
    limits: Limits | None = Field(None, description="Largest bodies of requests (LIM family).")
    load: Load | None = Field(None, description="Loads that it must bear (LIM family).")
    http: Http | None = Field(None, description="Routes (HDR, AUT, CFG-009).")
    cors: Cors | None = Field(None, description="Cross-origin access (COR family).")
    headers: Headers | None = Field(
        None, description="Response headers beyond the defaults (HDR family)."
    )
    cookies: Cookies | None = Field(None, description="Cookie names (AUT family).")
    metrics: Metrics | None = Field(None, description="Metrics exposition (OBS family).")
    data: Data | None = Field(None, description="What the workload stores (CFG-014, DAT-012).")
    qos: Qos | None = Field(None, description="Queues of jobs (QOS family).")
    rate: Rate | None = Field(None, description="How requests are limited (DAT-016).")
    scenarios: Annotated[tuple[Scenario, ...], *keyed("name")] = Field(
        (),
        max_length=6,
        description="Flows through the application that controls play, on clones only, each by its name.",
    )
    uses: Annotated[tuple[Name, ...], *scalar_set()] = Field(
        (), max_length=16, description="Names of the dataServices that the workload needs to run."
    )
    upstreams: Annotated[tuple[Upstream, ...], *keyed("name")] = Field(
        (),
        max_length=8,
        description="Services that the workload calls (CFG-012, REL-002, REL-003, HLT-004).",
    )
    rules = (
        Rule(
            cel="!has(self.uses) || !has(self.upstreams) || self.upstreams.all(u, !(u.name in self.uses))",
            message="an upstream has the name of a data service in uses: a drill could not tell them apart",
            holds=lambda target: not {u.name for u in target.upstreams} & set(target.uses),
            field="upstreams",
        ),
        Rule(
            cel="!has(self.data) || !has(self.data.passwordHashes) || self.data.passwordHashes.all(h, "
            "has(self.uses) && h.store in self.uses)",
            message="passwordHashes names a store that the target does not use: add it to uses",
            holds=lambda t: (
                t.data is None or {h.store for h in t.data.password_hashes} <= set(t.uses)
            ),
            field="data",
        ),
        Rule(
            cel="!has(self.data) || !has(self.data.pool) || "
            "self.data.pool.all(p, has(self.uses) && p.store in self.uses)",
            message="pool names a store that the target does not use: add it to uses",
            holds=lambda t: t.data is None or {p.store for p in t.data.pool} <= set(t.uses),
            field="data",
        ),
        Rule(
            cel="!has(self.qos) || (has(self.uses) && self.qos.store in self.uses)",
            message="qos names a store that the target does not use: add it to uses",
            holds=lambda t: t.qos is None or t.qos.store in t.uses,
            field="qos",
        ),
        Rule(
            cel="!has(self.rate) || !has(self.rate.redis) || (has(self.uses) && self.rate.redis.store in self.uses)",
            message="rate names a store that the target does not use: add it to uses",
            holds=lambda t: t.rate is None or t.rate.redis is None or t.rate.redis.store in t.uses,
            field="rate",
        ),
    )
