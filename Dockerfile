# One static binary, nothing else: no shell, no libc, no package manager, no root.
# Roots of trust: the image has no CA bundle, so the public list that is compiled in (webpki-roots)
# is used; name your own authority with control_plane.ca_file. docs/install/container.md has the rest.
#
#   docker build -t ephemerald .
#   docker run --read-only --cap-drop=all --security-opt=no-new-privileges --memory 32m \
#     --tmpfs /run/ephemerald:uid=65532,gid=65532,mode=0750 \
#     -v ephemerald-state:/var/lib/ephemerald -v ./etc:/etc/ephemerald:ro ephemerald
#
# Whoever has built the binary already puts it, as image/, in the place of the first stage: --build-context build=DIR
# (this is what ./release does).
#
# Pinned: the crates, by Cargo.lock; the compiler and its libraries, by the version that TOOLCHAIN names.
# rust-toolchain.toml stays out of the context: rustup would follow it to the "stable" of the day.
# Not pinned: a tag can be moved, and musl-tools is what Debian has on the day. Name the image by its digest, and the
# same sources give the same program as long as musl-tools is the same; nothing in the build asks for the time:
#   docker buildx imagetools inspect rust:1.95.0-bookworm
#   docker build --build-arg TOOLCHAIN=docker.io/library/rust:1.95.0-bookworm@sha256:DIGEST -t ephemerald .
# An image of your own will do: Debian with rustup, a C compiler and make. At least Cargo.toml's rust-version.
ARG TOOLCHAIN=docker.io/library/rust:1.95.0-bookworm

FROM ${TOOLCHAIN} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# "sandbox" for an image that plays the main job; a released one has no feature.
ARG FEATURES=
# The versions are in the log, for whoever asks later what a program was made with.
RUN target="$(uname -m)-unknown-linux-musl" \
 && rustc --version \
 && dpkg-query --show musl-tools \
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
