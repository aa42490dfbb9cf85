FROM python:3.11.14-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
# What others wrote changes seldom: it is a layer of its own.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY README.md LICENSE ./
COPY statemachine statemachine
COPY streams streams
RUN uv sync --locked --no-dev --no-editable

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/tenant-connect --create-home tenant-connect
COPY --from=build /app/.venv /app/.venv
USER tenant-connect
WORKDIR /var/lib/tenant-connect
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 TENANT_CONNECT_DATA_DIR=/var/lib/tenant-connect
# Health and metrics are for the orchestrator, which is not in the container.
ENV TENANT_CONNECT_HTTP_HOST=0.0.0.0
EXPOSE 8800
VOLUME /var/lib/tenant-connect
ENTRYPOINT ["tenant-connect"]
