#!/usr/bin/env bash
# The image, as an operator would run it: read-only, without capabilities, as nobody, in 32 MiB.
#
#   tests/container/run.sh BINARY [SANDBOX]  the last stage of the Dockerfile around a static binary
#
# SANDBOX is a program that has the two other sides of an agent in it: target/debug/ephemerald, from `cargo build`.
# Needs root, buildah, podman and iproute2, and no daemon. The first stage of the Dockerfile needs an image of
# the Rust toolchain, which a machine without a container registry has not: the binary comes from `.ci/run dist`, or
# see first_stage.sh beside this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly LIMIT=$((15 * 1024 * 1024))
readonly IMAGE=localhost/ephemerald:test
readonly NAME=ephemerald-container-test
readonly USAGE="usage: tests/container/run.sh BINARY [SANDBOX] (a static one, from .ci/run dist)"
binary=${1:?$USAGE}
sandbox=${2:-target/debug/ephemerald}
export CONTAINERS_CONF=$PWD/tests/container/containers.conf
work=$(mktemp -d)

say() { printf 'container: %s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }
clean() {
  podman rm -f "$NAME" >/dev/null 2>&1 || true
  podman volume rm -f "$NAME" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

build() {
  install -D -m 0755 "$binary" "$work/build/image/usr/bin/ephemerald"
  install -D -m 0644 LICENSE "$work/build/image/usr/share/doc/ephemerald/LICENSE"
  install -d -m 0755 "$work/build/image/etc/ephemerald" "$work/build/image/var/lib" "$work/build/image/run"
  buildah bud --isolation=chroot --format docker --pull=never --build-context "build=$work/build" \
    --build-arg VERSION=test -t "$IMAGE" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "the build"; }
}

what_is_in_it() {
  local size
  size=$(podman image inspect "$IMAGE" --format '{{.Size}}')
  say "size $size bytes (limit $LIMIT)"
  [[ $size -le $LIMIT ]] || fail "the image is too large"
  [[ $(podman image inspect "$IMAGE" --format '{{.User}}') == 65532:65532 ]] || fail "it does not run as 65532"
  podman image inspect "$IMAGE" --format '{{json .Labels}}' | grep -q '"org.opencontainers.image.licenses":"Apache-2.0"' \
    || fail "labels"
  podman image inspect "$IMAGE" --format '{{json .HealthCheck}}' | grep -q 'ephemerald' || fail "no health check"
  # Nothing but the program: no shell, no library, no package manager.
  podman create --health-interval=disable --name "$NAME" "$IMAGE" >/dev/null
  podman export "$NAME" | tar -t | grep -v '/$' | sort >"$work/files"
  podman rm "$NAME" >/dev/null
  if grep -vE '^(usr/bin/ephemerald|usr/share/doc/ephemerald/LICENSE|etc/(hosts|hostname|resolv.conf|mtab)|run/.containerenv|proc|sys|dev.*)$' \
    "$work/files"; then fail "more than the program is in the image"; fi
}

configure() {
  mkdir "$work/etc"
  cp config/ephemerald.toml config/policy.toml "$work/etc/"
  printf '\n[[integration]]\nname = "main"\nconnection_file = "/etc/ephemerald/main.json"\n' >>"$work/etc/ephemerald.toml"
  printf '{"url": "https://console.jumpcloud.com", "token": "jca_container-test-0123456789"}\n' >"$work/etc/main.json"
  chown 65532:65532 "$work/etc/main.json"
  chmod 0400 "$work/etc/main.json"
  chmod 0755 "$work/etc"
}

lives() {
  for _ in $(seq 100); do
    podman exec "$NAME" /usr/bin/ephemerald health --live >/dev/null 2>&1 && return
    sleep 0.1
  done
  podman logs "$NAME"
  fail "$1"
}

# Not enrolled and without a network it is alive and not ready: the health check says so and nothing restarts it.
alone() {
  local state pid
  podman run -d --name "$NAME" --health-interval=disable --read-only --network=none --memory 32m --memory-swap 32m \
    --pids-limit 32 --cap-drop=all --security-opt=no-new-privileges \
    --mount "type=tmpfs,destination=/run/ephemerald,tmpfs-mode=0750,chown=true" \
    -v "$NAME:/var/lib/ephemerald" -v "$work/etc:/etc/ephemerald:ro" "$IMAGE" >/dev/null
  lives "it does not live"
  if podman healthcheck run "$NAME" >/dev/null 2>&1; then fail "it says that it is ready without a control plane"; fi
  podman exec "$NAME" /usr/bin/ephemerald status | grep -q 'not enrolled' || fail "status"
  state=$(podman inspect "$NAME" --format '{{.State.Status}} {{.State.OOMKilled}}')
  [[ $state == 'running false' ]] || fail "it is $state"
  pid=$(podman inspect "$NAME" --format '{{.State.Pid}}')
  say "as $(awk '/^Uid/ {print $2}' "/proc/$pid/status"), capabilities $(awk '/^CapEff/ {print $2}' "/proc/$pid/status"), resident $(awk '/^VmRSS/ {print $2, $3}' "/proc/$pid/status"), seccomp $(awk '/^Seccomp:/ {print $2}' "/proc/$pid/status")"
  [[ $(awk '/^CapEff/ {print $2}' "/proc/$pid/status") == 0000000000000000 ]] || fail "it has capabilities"
  if podman exec "$NAME" /bin/sh -c true >/dev/null 2>&1; then fail "there is a shell"; fi
}

again() {
  local begun=$SECONDS
  podman stop -t 20 "$NAME" >/dev/null
  [[ $(podman inspect "$NAME" --format '{{.State.ExitCode}}') == 0 ]] || fail "SIGTERM did not end it well"
  say "stopped in $((SECONDS - begun)) s with exit code 0"
  podman start "$NAME" >/dev/null
  lives "it does not start again on its volume"
  if podman logs "$NAME" 2>&1 | grep -v '^{'; then fail "a line of the log is no JSON"; fi
}

# In a namespace of its own: the container reaches the servers on loopback, and neither reaches anything else.
enrolled() {
  unshare --net sh -c 'ip link set lo up && exec "$@"' sh tests/container/grant.py "$IMAGE" "$sandbox" \
    || fail "a grant in the container"
}

[[ -x $sandbox ]] || fail "$sandbox is missing: cargo build"
build
what_is_in_it
configure
alone
again
enrolled
say "passed"
