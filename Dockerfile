# One static binary, nothing else: no shell, no libc, no package manager, no root.
# Roots of trust: the image has no CA bundle, so the public list that is compiled in (webpki-roots)
# is used; name your own authority with control_plane.ca_file.
#
#   docker build -t ephemerald .
#   docker run --read-only --cap-drop=all --security-opt=no-new-privileges \
#     --tmpfs /run/ephemerald:uid=65532,gid=65532,mode=0750 \
#     -v ephemerald-state:/var/lib/ephemerald -v ./etc:/etc/ephemerald:ro ephemerald
FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN rustup target add x86_64-unknown-linux-musl \
 && cargo build --locked --profile dist --no-default-features --target x86_64-unknown-linux-musl \
 && install -D -m 0755 target/x86_64-unknown-linux-musl/dist/ephemerald /image/usr/bin/ephemerald \
 && install -d -m 0755 /image/etc/ephemerald /image/var/lib /image/run

FROM scratch
COPY --from=build /image/ /
# Empty folders, made with the owner that the daemon runs as, so that a fresh volume is writable.
COPY --from=build --chown=65532:65532 /image/etc/ephemerald /var/lib/ephemerald
COPY --from=build --chown=65532:65532 /image/etc/ephemerald /run/ephemerald
USER 65532:65532
VOLUME ["/var/lib/ephemerald"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/bin/ephemerald", "health"]
ENTRYPOINT ["/usr/bin/ephemerald"]
CMD ["run"]
