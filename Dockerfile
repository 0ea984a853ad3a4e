# syntax=docker/dockerfile:1
# The operator's image: what uv.lock says, nothing else. e2e/image.py makes the same content where there is no registry;
# tests/install compares both.
#
# python:3.13-slim of September 2026 (3.13.15 on Debian trixie), every architecture. Release CI verifies and renews it:
#   docker buildx imagetools inspect python:3.13-slim
ARG PYTHON=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${PYTHON} AS build
ENV UV_PROJECT_ENVIRONMENT=/venv UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --all-extras --no-install-project
COPY README.md LICENSE ./
COPY operator operator
RUN uv sync --frozen --no-default-groups --all-extras --no-editable

FROM ${PYTHON}
LABEL org.opencontainers.image.title="readiness-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="https://readiness.dev"
# restic makes the backups, over SFTP with ssh, which wants to know who it is; e2e/image.py takes the same packages of the same suite.
RUN apt-get update && apt-get install -y --no-install-recommends restic openssh-client && rm -rf /var/lib/apt/lists/* \
 && echo readiness:x:65532:65532::/tmp:/usr/sbin/nologin >> /etc/passwd
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["readiness"]
