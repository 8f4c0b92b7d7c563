#!/usr/bin/env bash
# The whole Dockerfile, from its first line, on a machine that reaches no container registry: its toolchain image is
# stood in for by a bare Debian with the same version of Rust. Then the sandbox's image, played as Compose would play it.
#
#   tests/container/first_stage.sh [TREE]      TREE: the sources to build; this repository when left out
#
# Needs root, buildah, podman, debootstrap, rustup and the package registries. Two builds at full optimization, about
# 15 minutes together on 2 cores. Leaves localhost/ephemerald:whole, and the stand-in for the next time.
# It does not show that the published toolchain image will do: only that these lines do, on what it is said to hold.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export CONTAINERS_CONF=$PWD/tests/container/containers.conf

tree=$(realpath "${1:-.}")
version=$(sed -n 's|^ARG TOOLCHAIN=.*/rust:\([0-9.]*\)-.*|\1|p' "$tree/Dockerfile")
suite=$(sed -n 's|^ARG TOOLCHAIN=.*/rust:[0-9.]*-\(.*\)|\1|p' "$tree/Dockerfile")
readonly STAND_IN=localhost/ephemerald-toolchain:$version-$suite
readonly AUTHORITIES=/etc/ssl/certs/ca-certificates.crt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'first stage: %s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }

# What the published image holds, as far as the build could notice: Debian, a C compiler, make, and one toolchain of
# rustup's minimal profile, in the same places, that is the default.
stand_in() {
  local root=$work/root path
  say "making $STAND_IN"
  debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev,make "$suite" "$root" >"$work/debootstrap.log" \
    || { tail "$work/debootstrap.log"; fail "debootstrap"; }
  path=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  env -i PATH="$PATH" HOME="$HOME" RUSTUP_HOME="$root/usr/local/rustup" CARGO_HOME="$root/usr/local/cargo" \
    rustup toolchain install --no-self-update --profile minimal "$version" >"$work/rustup.log" 2>&1 \
    || { tail "$work/rustup.log"; fail "rustup"; }
  env -i PATH="$PATH" HOME="$HOME" RUSTUP_HOME="$root/usr/local/rustup" CARGO_HOME="$root/usr/local/cargo" \
    rustup default "$version" >>"$work/rustup.log" 2>&1
  install -D -m 0755 "$(command -v rustup)" "$root/usr/local/cargo/bin/rustup"
  for program in cargo rustc; do ln -s rustup "$root/usr/local/cargo/bin/$program"; done
  tar -C "$root" -cf "$work/root.tar" .
  rm -rf "$root"
  printf 'FROM scratch\nADD root.tar /\nENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=%s RUST_VERSION=%s\n' \
    "$path" "$version" >"$work/Containerfile"
  buildah bud --isolation=chroot --format docker --pull=never -t "$STAND_IN" "$work" >"$work/stand-in.log" 2>&1 \
    || { tail "$work/stand-in.log"; fail "the stand-in"; }
}

whole() { # whole TAG ARGUMENT...: all of the Dockerfile
  local tag=$1 begun=$SECONDS
  shift
  buildah bud --isolation=chroot --format docker --pull=never --volume "$AUTHORITIES:$AUTHORITIES:ro" \
    --build-arg "TOOLCHAIN=$STAND_IN" --build-arg VERSION=whole "$@" -t "$tag" "$tree" >"$work/build.log" 2>&1 \
    || { tail -n 40 "$work/build.log"; fail "the build of $tag"; }
  grep -q "^rustc $version " "$work/build.log" || fail "it was not built with Rust $version"
  grep -E "^(rustc $version|musl-tools)" "$work/build.log" | sed 's/^/first stage: with /'
  say "$tag: $(podman image inspect "$tag" --format '{{.Size}}') bytes, built in $((SECONDS - begun)) s"
}

[[ -n $version && -n $suite ]] || fail "the Dockerfile names no version of Rust"
buildah inspect --type image "$STAND_IN" >/dev/null 2>&1 || stand_in
whole localhost/ephemerald:sandbox-whole --build-arg FEATURES=sandbox
# The settings of deploy/compose/sandbox.yaml.
podman run --rm --network=none --read-only --cap-drop=all --security-opt=no-new-privileges --health-interval=disable \
  --mount type=tmpfs,destination=/tmp,tmpfs-mode=0700,chown=true -e TMPDIR=/tmp \
  localhost/ephemerald:sandbox-whole sandbox --once >"$work/story.log" 2>&1 || { cat "$work/story.log"; fail "the story"; }
say "the sandbox's image plays its story to the end"
podman rmi localhost/ephemerald:sandbox-whole >/dev/null
whole localhost/ephemerald:whole
podman run --rm --network=none --health-interval=disable localhost/ephemerald:whole version
say "passed"
