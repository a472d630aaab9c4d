# docker build -t darknet-focal .
# docker run --rm -v "$PWD:/data" darknet-focal detect x.cfg x.weights dog.jpg -dont_show
#
# The first stage makes the Debian package, the second installs it with the libraries it needs.
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends make ca-certificates
WORKDIR /src
COPY scripts/install_deps.sh scripts/
RUN scripts/install_deps.sh
COPY . .
RUN make package

FROM debian:bookworm-slim
COPY --from=build /src/build-portable/*.deb /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends /tmp/*.deb python3-numpy && \
    rm -rf /tmp/*.deb /var/lib/apt/lists/* && useradd --create-home darknet
USER darknet
WORKDIR /data
ENTRYPOINT ["darknet"]
