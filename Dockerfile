FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never uv sync --frozen --no-dev --no-cache

FROM python:3.13-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --no-create-home app
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY . .
RUN python -m compileall -q config console externallines messaging portals
USER app
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import os, urllib.request; \
url = 'http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/health/live'; \
urllib.request.urlopen(url, timeout=4)"]

# As in the Procfile
CMD ["sh", "-c", "exec granian --interface wsgi --host 0.0.0.0 --port ${PORT:-8000} --workers ${WEB_CONCURRENCY:-2} --blocking-threads 256 --respawn-failed-workers --workers-kill-timeout 30 --no-ws --no-access-log config.wsgi:application"]
