# Two stages: the first has a C compiler and builds, only what runs is in the second.
FROM python:3.11 AS build
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE NOTICE ./
COPY geoengine ./geoengine
RUN python -m venv /opt/geoengine
RUN /opt/geoengine/bin/pip install --no-cache-dir --disable-pip-version-check '.[push,email]'

FROM python:3.11-slim
COPY --from=build /opt/geoengine /opt/geoengine
COPY config /etc/geoengine
RUN useradd --system --uid 10001 --home-dir /var/lib/geoengine --create-home geoengine
USER geoengine
WORKDIR /var/lib/geoengine
VOLUME /var/lib/geoengine
ENV PATH=/opt/geoengine/bin:$PATH GEOENGINE_STATE=local:/var/lib/geoengine/geoengine.db
EXPOSE 8080
# Outside a container the service listens on loopback; here every address is the container's own.
# Without keys it refuses to: set GEOENGINE_SERVER_KEYS and GEOENGINE_APP_KEYS.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["geoengine", "serve", "--config", "/etc/geoengine", "--host", "0.0.0.0", "--port", "8080"]
