"""Plays the containers of a rendered pod on this machine, as a kubelet and a runtime would.

What it does as they do: volumes (links of ConfigMaps and Secrets and their swap, subPath, optional Secrets,
fsGroup and its OnRootMismatch), a root of its own that holds the program alone, read-only where that is said, the
user, the groups, no capabilities, no new privileges, process 1 of a process namespace.

What it does not: seccomp, limits of memory, the network policy; the network is this machine's.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

INSIDE = pathlib.Path(__file__).with_name("inside.py")
# What the image has beside the program; the libraries are for a program that is not linked statically.
FOLDERS = ["etc/ephemerald", "var/lib/ephemerald", "run/ephemerald", "proc", "dev", "usr/bin"]
LIBRARIES = ["lib", "lib64"]
# A runtime lays an empty volume, new with each container, wherever the image declares one and nothing is mounted
# at exactly that place; also over a volume that is mounted above it.
DECLARED = re.findall(r'^VOLUME \["/(.*)"\]', (pathlib.Path(__file__).parents[2] / "Dockerfile").read_text(), re.MULTILINE)


class Node:
    """A folder that holds the volumes, the objects they are made of, and the program."""

    def __init__(self, folder, program):
        self.folder, self.program = pathlib.Path(folder), pathlib.Path(program).resolve()
        self.secrets, self.config_maps, self.pods = {}, {}, 0

    def apply(self, objects):
        for thing in objects:
            if thing["kind"] == "ConfigMap":
                self.config_maps[thing["metadata"]["name"]] = thing["data"]


class Pod:
    """One life of a pod: its volumes are made anew, its claims stay."""

    def __init__(self, node, spec, claims=()):
        self.node, self.spec = node, spec
        node.pods += 1
        self.folder = node.folder / f"pod-{node.pods}"
        self.group = (spec.get("securityContext") or {}).get("fsGroup")
        self.volumes = {}
        for volume in spec.get("volumes") or []:
            self.volumes[volume["name"]] = self.make(volume)
        for name in claims:
            self.volumes[name] = self.claim(name)

    def make(self, volume):
        name = volume["name"]
        if "persistentVolumeClaim" in volume:
            return self.claim(volume["persistentVolumeClaim"]["claimName"])
        folder = self.folder / "volumes" / name
        folder.mkdir(parents=True)
        if "emptyDir" in volume:
            folder.chmod(0o777)
            if self.group:
                os.chown(folder, -1, self.group)
                folder.chmod(0o2777)
        else:
            self.publish(folder, volume)
        return folder

    def claim(self, name):
        """A disk: root's own when it is new."""
        folder = self.node.folder / "claims" / name
        folder.mkdir(parents=True, exist_ok=True)
        if self.group:
            policy = self.spec["securityContext"].get("fsGroupChangePolicy", "Always")
            found = folder.stat()
            if policy == "Always" or found.st_gid != self.group or found.st_mode & 0o2770 != 0o2770:
                for path in [folder, *folder.rglob("*")]:
                    os.chown(path, -1, self.group, follow_symlinks=False)
                    path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))
        return folder

    def publish(self, folder, volume):
        """Files in a folder with a name of its own, reached by links, so that they change all at once."""
        mode, wanted = 0o644, {}
        if "projected" in volume:
            mode = volume["projected"].get("defaultMode", mode)
            for source in volume["projected"]["sources"]:
                wanted |= self.content(source)
        else:
            kind = "configMap" if "configMap" in volume else "secret"
            mode = volume[kind].get("defaultMode", mode)
            wanted = self.content(volume)
        dated = folder / f"..{time.time_ns()}"
        for path, text in wanted.items():
            file = dated / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            if self.group:
                os.chown(file, -1, self.group)
                file.chmod(mode | 0o440)
            else:
                file.chmod(mode)
        dated.mkdir(exist_ok=True)
        (folder / "..new").symlink_to(dated.name)
        (folder / "..new").rename(folder / "..data")
        for first in {pathlib.Path(path).parts[0] for path in wanted}:
            if not (folder / first).is_symlink():
                (folder / first).symlink_to(f"..data/{first}")

    def content(self, source):
        kind, store = ("configMap", self.node.config_maps) if "configMap" in source else ("secret", self.node.secrets)
        said = source[kind]
        name = said.get("name") or said.get("secretName")
        data = store.get(name)
        if data is None:
            if said.get("optional"):
                return {}
            raise LookupError(f"{kind} {name} does not exist: the pod would wait for it")
        return {item["path"]: data[item["key"]] for item in said["items"]}

    def update(self, name):
        """A ConfigMap has changed: what the kubelet does within a minute or two."""
        self.publish(self.volumes[name], next(v for v in self.spec["volumes"] if v["name"] == name))

    def start(self, container):
        return Container(self, container)


class Container:
    """A running container; its output is in `log`."""

    def __init__(self, pod, said):
        self.pod, self.said = pod, said
        root = pod.folder / said["name"]
        shutil.rmtree(root, ignore_errors=True)
        for folder in [*FOLDERS, *LIBRARIES]:
            (root / folder).mkdir(parents=True, exist_ok=True)
        binds = [[str(pod.node.program), "usr/bin/ephemerald", True]]
        binds += [[f"/{folder}", folder, True] for folder in LIBRARIES if os.path.isdir(f"/{folder}")]
        binds += [[f"/dev/{device}", f"dev/{device}", False] for device in ("null", "urandom")]
        for mount in said.get("volumeMounts") or []:
            source = pod.volumes[mount["name"]]
            if mount.get("subPath"):
                source = source / mount["subPath"]
                if not source.exists():
                    source.mkdir()
            binds.append([str(source.resolve()), mount["mountPath"].lstrip("/"), bool(mount.get("readOnly"))])
        for place in set(DECLARED) - {target for _, target, _ in binds}:
            empty = pod.folder / f"{said['name']}-{place.replace('/', '-')}"
            empty.mkdir(exist_ok=True)
            os.chown(empty, 65532, 65532)
            binds.append([str(empty), place, False])
        for source, target, _ in binds:
            if not os.path.isdir(source):
                (root / target).parent.mkdir(parents=True, exist_ok=True)
                (root / target).touch()
        security = said.get("securityContext") or {}
        self.how = {
            "root": str(root),
            "binds": binds,
            "read_only": security.get("readOnlyRootFilesystem", False),
            # The image's own user counts where the pod says none.
            "user": pod.spec["securityContext"].get("runAsUser", 65532),
            "group": pod.spec["securityContext"].get("runAsGroup", 65532),
            "groups": [pod.group] if pod.group else [],
            "keep_capabilities": security.get("capabilities", {}).get("drop") != ["ALL"],
            "no_new_privileges": security.get("allowPrivilegeEscalation") is False,
            "env": {v["name"]: v["value"] for v in said.get("env") or [] if "value" in v},
            "pid_file": str(pod.folder / f"{said['name']}.pid"),
        }
        self.path = pod.folder / f"{said['name']}.log"
        self.process = self.spawn(["/usr/bin/ephemerald", *said["args"]], self.path, {})
        while not os.path.exists(self.how["pid_file"]) and self.process.poll() is None:
            time.sleep(0.01)

    def spawn(self, command, log, more):
        how = json.dumps({**self.how, **more, "command": command})
        with open(log, "wb") as out:
            return subprocess.Popen([sys.executable, "-B", str(INSIDE), how], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def log(self):
        return self.path.read_text(errors="replace")

    @property
    def pid(self):
        """Of process 1, as this machine counts."""
        return int(pathlib.Path(self.how["pid_file"]).read_text())

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    def run(self, command):
        """As `kubectl exec` and probes do: the exit code and what was said."""
        if self.process.poll() is not None:
            return -1, f"the container has ended with {self.process.returncode}"
        log = self.pod.folder / "exec.log"
        code = self.spawn(command, log, {"join": self.pid}).wait(60)
        return code, log.read_text(errors="replace")

    def stop(self, seconds=40):
        """SIGTERM to process 1, as at the end of a pod."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
