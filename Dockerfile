# The box as an image: Debian's Python, one virtual environment, nothing else.
#
#     docker build -t tidegate .
#     docker run --rm tidegate --help

FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY appliance appliance
COPY hooks hooks
# appliance/shipped has links to these.
COPY configs configs
COPY docs/rejections docs/rejections
COPY programs/include programs/include
COPY programs/stages programs/stages
RUN python3 -m venv /opt/tidegate \
    && /opt/tidegate/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
    && /opt/tidegate/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/tidegate /opt/tidegate
ENV PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/tidegate/bin/tidegate"]
CMD ["run", "/etc/tidegate/tidegate.yaml"]
