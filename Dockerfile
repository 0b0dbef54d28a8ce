# Web and worker are the same image; docker-compose.yml says which command each runs.
FROM python:3.13-slim AS build

ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never

RUN pip install --no-cache-dir 'uv>=0.13,<1'

WORKDIR /srv/crispsync

# Dependencies change less often than code: they are a layer of their own.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project --no-cache

COPY README.md LICENSE alembic.ini ./
COPY alembic alembic
COPY app app
COPY workers workers
# Installed in place: migrations are found beside the code.
RUN uv sync --locked --no-dev --no-cache

FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH="/srv/crispsync/.venv/bin:$PATH"

WORKDIR /srv/crispsync

# In the place where it was installed, which its programs name; without what installed it.
COPY --from=build /srv/crispsync /srv/crispsync
RUN useradd --uid 10001 --home-dir /srv/crispsync --no-create-home crispsync \
    && mkdir data \
    && chown crispsync data

USER crispsync
VOLUME /srv/crispsync/data
EXPOSE 8000
CMD ["crispsync", "serve", "--host", "0.0.0.0"]
