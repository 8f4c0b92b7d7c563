"""One pod against the restricted profile of the Pod Security Standards, and what we promise beyond it.

The profile: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def pod(meta, spec, values):
    """What is broken, each as a few words."""
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if spec.get(key):
            yield f"{key} is on"
    if spec.get("automountServiceAccountToken") is not False:
        yield "a service account token is mounted"
    if spec.get("enableServiceLinks") is not False:
        yield "service variables are injected"
    for key in meta.get("annotations") or {}:
        if "apparmor" in key or "seccomp" in key:
            yield f"the annotation {key} loosens a profile"
    security = spec.get("securityContext") or {}
    if security.get("sysctls") or security.get("seLinuxOptions") or security.get("windowsOptions"):
        yield "the pod's securityContext has more than the restricted profile allows"
    if security.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if (security.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile"
    for key in ("runAsUser", "runAsGroup", "fsGroup"):
        said = security.get(key)
        if said is None and values.get(key, 65532) is not None:
            yield f"{key} is no number"
        if said == 0:
            yield f"{key} is root"
    if security.get("fsGroupChangePolicy") != "OnRootMismatch":
        yield "the kubelet would open the private files at each start"
    mounted = set()
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        mounted |= {mount["name"] for mount in container.get("volumeMounts") or []}
        for problem in one_container(container):
            yield f"container {container['name']}: {problem}"
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or []}
    for name, volume in volumes.items():
        for kind in set(volume) - {"name"}:
            if kind not in VOLUMES:
                yield f"volume {name}: {kind} is not allowed"
    claims = {"state"} if not values.get("persistence", {}).get("existingClaim") else set()
    if missing := mounted - set(volumes) - claims:
        yield f"mounts without a volume: {sorted(missing)}"
    if idle := set(volumes) - mounted:
        yield f"volumes that nobody mounts: {sorted(idle)}"
    yield from private_files(spec, volumes)


def one_container(container):
    security = container.get("securityContext") or {}
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if security.get("privileged"):
        yield "privileged"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "the root file system is writable"
    capabilities = security.get("capabilities") or {}
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "capabilities are not all dropped"
    for key in ("runAsUser", "runAsNonRoot", "procMount", "seccompProfile", "seLinuxOptions"):
        if key in security:
            yield f"{key} overrides the pod's"
    resources = container.get("resources") or {}
    if not {"cpu", "memory"} <= set(resources.get("requests") or {}) or "memory" not in (resources.get("limits") or {}):
        yield "resources are not said"
    if "cpu" in (resources.get("limits") or {}):
        yield "a limit of CPU would make endings late"
    if container.get("command"):
        yield "the image's entry point is overridden"
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            yield "a port of the host"
    if container.get("envFrom"):
        yield "variables from a whole object"
    for variable in container.get("env") or []:
        if "secretKeyRef" in (variable.get("valueFrom") or {}):
            yield f"the variable {variable['name']} holds a secret"
    if {"name": "CREDENTIALS_DIRECTORY", "value": "/credentials"} not in (container.get("env") or []):
        yield "no credentials directory"


def private_files(spec, volumes):
    """Secrets are not for others, and are mounted as folders, so that a new one reaches the running daemon."""
    secret = set()
    for name, volume in volumes.items():
        sources = (volume.get("projected") or {}).get("sources") or []
        if "secret" in volume or any("secret" in source for source in sources):
            secret.add(name)
            mode = (volume.get("secret") or volume.get("projected")).get("defaultMode")
            if mode != 0o440:
                yield f"volume {name}: secrets have the mode {mode}"
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for mount in container.get("volumeMounts") or []:
            if mount["name"] in secret and (mount.get("subPath") or not mount.get("readOnly")):
                yield f"container {container['name']}: {mount['mountPath']}: a new secret would not reach it, or it is writable"
            if mount["mountPath"].startswith("/etc/ephemerald") and (mount.get("subPath") or not mount.get("readOnly")):
                yield f"container {container['name']}: {mount['mountPath']}: a new policy would not reach it"
