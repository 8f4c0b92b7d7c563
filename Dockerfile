# One static binary, nothing else: no shell, no libc, no package manager, no root.
# Roots of trust: the image has no CA bundle, so the public list that is compiled in (webpki-roots)
# is used; name your own authority with control_plane.ca_file. docs/install/container.md has the rest.
#
#   docker build -t ephemerald .
#   docker run --read-only --cap-drop=all --security-opt=no-new-privileges --memory 32m \
#     --tmpfs /run/ephemerald:uid=65532,gid=65532,mode=0750 \
#     -v ephemerald-state:/var/lib/ephemerald -v ./etc:/etc/ephemerald:ro ephemerald
#
# The same sources, the same toolchain image and the same path give the same bytes: the lock file is binding, and
# nothing in the build asks for the time. Whoever has built the binary already puts it, as image/, in the place of
# the first stage: --build-context build=DIR (this is what ./release does).
ARG RUST=1.95

FROM rust:${RUST}-bookworm AS build
# "sandbox" for an image that plays the main job; a released one has no feature.
ARG FEATURES=
RUN apt-get update \
 && apt-get install -y --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN target="$(uname -m)-unknown-linux-musl" \
 && rustup target add "$target" \
 && cargo build --locked --profile dist --no-default-features --features "$FEATURES" --target "$target" \
 && install -D -m 0755 "target/$target/dist/ephemerald" /image/usr/bin/ephemerald \
 && install -D -m 0644 LICENSE /image/usr/share/doc/ephemerald/LICENSE \
 && install -d -m 0755 /image/etc/ephemerald /image/var/lib /image/run

FROM scratch
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ephemerald" \
      org.opencontainers.image.description="Self-hosted agent for just-in-time JumpCloud administrator access" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
# Empty folders, made with the owner that the daemon runs as, so that a fresh volume is writable.
COPY --from=build --chown=65532:65532 /image/etc/ephemerald /var/lib/ephemerald
COPY --from=build --chown=65532:65532 /image/etc/ephemerald /run/ephemerald
USER 65532:65532
VOLUME ["/var/lib/ephemerald"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/bin/ephemerald", "health"]
ENTRYPOINT ["/usr/bin/ephemerald"]
CMD ["run"]
