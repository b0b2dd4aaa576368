# DevFlow's two images, of one source: the bot (default) and the worker that runs inside each task.
#
#   docker build --tag devflow/bot .
#   docker build --tag devflow/worker --target worker .
#
# Bases are pinned by tag; to pin a base by digest as well, give --build-arg PYTHON_IMAGE=python:3.12-slim-bookworm@sha256:...
# Python packages are those of constraints.txt. docs/deploy.md says what of this was tried, and how.

ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG NODE_IMAGE=node:24-bookworm-slim

# ---------------------------------------------------------------------------- build: the venv, nothing of it but that
FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python3 -m venv /opt/devflow
# First what changes rarely: the packages, so that a change of the code does not fetch them again.
COPY pyproject.toml constraints.txt ./
RUN python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && /opt/devflow/bin/pip install --only-binary :all: --constraint constraints.txt --requirement requirements.txt setuptools==84.2.1
COPY README.md LICENSE ./
COPY slackbot slackbot
RUN /opt/devflow/bin/pip install --no-deps --no-build-isolation . \
    && /opt/devflow/bin/pip check \
    && /opt/devflow/bin/pip uninstall --yes setuptools pip

# ---------------------------------------------------------- agents: coding agents as `make agents` has them, none unless asked for
FROM ${NODE_IMAGE} AS agents
# For example "claude codex"; gemini and opencode are the others. Their versions are those of agents/package-lock.json.
ARG AGENTS=""
WORKDIR /src
COPY agents agents
COPY tools/install_agents.sh tools/
RUN mkdir -p /opt/agents/bin \
    && if [ -n "${AGENTS}" ]; then INTO=/opt/agents sh tools/install_agents.sh ${AGENTS}; fi \
    && rm -rf /root/.npm

# ------------------------------------------------------------------------- editor: code-server, whose modules are built
FROM ${NODE_IMAGE} AS editor
ARG CODE_SERVER_VERSION=4.139.1
# The headers that its modules are built with are in the image: nothing is fetched from nodejs.org.
ENV npm_config_nodedir=/usr/local
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends build-essential libkrb5-dev python3 \
    && npm install --global --prefix /opt/code-server --no-audit --no-fund "code-server@${CODE_SERVER_VERSION}" \
    && rm -rf /root/.npm /root/.cache /var/lib/apt/lists/*

# -------------------------------------------------------------------------------------- runtime: what both images share
FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 devflow \
    && useradd --uid 10001 --gid 10001 --create-home --home-dir /home/devflow --shell /usr/sbin/nologin devflow
COPY --from=build /opt/devflow /opt/devflow
# No bytecode is written at run time: the bot runs on a read-only file system.
ENV PATH=/opt/devflow/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
WORKDIR /home/devflow
STOPSIGNAL SIGTERM
ENTRYPOINT ["devflow"]

# --------------------------------------------------------------------------------- worker: git, Node.js, agents, no keys
FROM runtime AS worker
# What agents reach for. Compilers and tool chains of your projects go into an image of your own, FROM this one.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
         ca-certificates curl git jq less libatomic1 libcap2-bin libgssapi-krb5-2 patch procps ripgrep unzip \
    && rm -rf /var/lib/apt/lists/*
# The agent's own user, so that it cannot read what the worker holds (docs/security.md). The worker is of its group, and
# may run, as nobody else may, one program that changes users: setpriv, with the capabilities for that and no others.
RUN groupadd --gid 10002 agent \
    && useradd --uid 10002 --gid 10002 --create-home --home-dir /home/agent --shell /bin/bash agent \
    && usermod --append --groups agent devflow \
    && mkdir --parents /usr/local/libexec \
    && install --owner root --group devflow --mode 0750 /usr/bin/setpriv /usr/local/libexec/devflow-setpriv \
    && setcap cap_setuid,cap_setgid+ep /usr/local/libexec/devflow-setpriv
COPY --from=agents /usr/local/bin/node /usr/local/bin/node
COPY --from=agents /usr/local/lib/node_modules /usr/local/lib/node_modules
COPY --from=agents /opt/agents /opt/agents
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
COPY --from=editor /opt/code-server /opt/code-server
# DEVFLOW_EDITOR_PORT is what the security group lets the bot reach.
ENV DEVFLOW_AGENT_USER=agent DEVFLOW_EDITOR_PORT=8404
ENV PATH=/opt/devflow/bin:/opt/agents/bin:/opt/code-server/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER devflow
# The gateway watches that a worker goes on; this says only that its process is there.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["pgrep", "--full", "^/opt/devflow/bin/python[0-9.]* /opt/devflow/bin/devflow worker$"]
CMD ["worker"]

# ------------------------------------------------------------------------------------- bot: the last stage, the default
FROM runtime AS bot
# The audit log's directory: a volume that another container reads (deploy/stack.yml) is made with this owner.
RUN mkdir /audit && chown devflow:devflow /audit
VOLUME ["/audit"]
USER devflow
# The gateway; DEVFLOW_GATEWAY_LISTEN must name it, for by default only loopback is listened on.
EXPOSE 8402
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8402, timeout=3); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["run"]
