# Runs as a user of its own and needs to write to /state only:
#   docker build -t pegline . && docker run --rm -it pegline
#   docker run --read-only --tmpfs /tmp -v state:/state -v ./config.toml:/config.toml:ro -p 9464:9464 pegline run /config.toml
# To reach its page from outside the container, write [http] host = "0.0.0.0" in that config.
FROM python:3.11-slim AS build
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /src
ENV UV_PROJECT_ENVIRONMENT=/opt/pegline UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --extra feeds --no-install-project --no-cache
COPY bot bot
COPY monitoring monitoring
COPY strategies strategies
COPY connectors connectors
RUN uv sync --frozen --no-dev --extra feeds --no-editable --no-cache

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home pegline && install -d -o pegline -g pegline -m 0700 /state
COPY --from=build /opt/pegline /opt/pegline
ENV PATH=/opt/pegline/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/state XDG_CACHE_HOME=/state/cache NUMBA_CACHE_DIR=/state/cache/kernel
USER pegline
WORKDIR /state
VOLUME /state
EXPOSE 9464
ENTRYPOINT ["pegline"]
CMD ["demo"]
