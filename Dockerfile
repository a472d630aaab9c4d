# docker build -t darknet-focal .
# docker run --rm -v "$PWD:/data" darknet-focal detect x.cfg x.weights dog.jpg -dont_show
# With CUDA: docs/deploy.md.
#
# The first stage makes the Debian package, the second installs it with the libraries that it needs.
ARG BUILD_IMAGE=debian:bookworm-slim
ARG RUN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends make file dpkg-dev
WORKDIR /src
COPY scripts/install_deps.sh scripts/
RUN scripts/install_deps.sh
COPY . .
ARG CMAKE_ARGS
RUN make package

FROM ${RUN_IMAGE}
COPY --from=build /src/build-portable/darknet-focal_*.deb /tmp/
RUN apt-get update && \
    apt-get install -y --no-install-recommends /tmp/*.deb python3-numpy ca-certificates && \
    rm -rf /tmp/*.deb /var/lib/apt/lists/* && useradd --create-home darknet
USER darknet
WORKDIR /data
ENTRYPOINT ["darknet"]
