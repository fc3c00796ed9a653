# polyspan serve on a CPU; needs no network once it is built.
#   docker build -t polyspan . && docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/examples/documents:/documents:ro" polyspan

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN python -m venv /opt/polyspan && /opt/polyspan/bin/pip install --no-cache-dir ".[mcp]"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin polyspan \
    && install -d -o polyspan -g polyspan /data /documents
COPY --from=build /opt/polyspan /opt/polyspan
ENV PATH=/opt/polyspan/bin:$PATH \
    HF_HUB_OFFLINE=1 \
    PYTHONUNBUFFERED=1
USER polyspan
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["polyspan"]
CMD ["serve", "--host", "0.0.0.0", "--index", "/data/index", "/documents"]
