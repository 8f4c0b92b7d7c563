"""What every rendering of the chart promises, as one function from the rendered objects to a list of what is broken.

Knows nothing of templates or values beyond what is handed in; `spoilt.py` shows that each promise can be missed.
"""

import tomllib

from restricted import pod

WORKLOADS = {"Pod", "Job", "StatefulSet"}
# Whatever gives rights, holds secrets, or runs more than one agent.
REFUSED = {"Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Deployment", "DaemonSet", "ReplicaSet"}
LIVE = ["/usr/bin/ephemerald", "health", "--live"]
READY = ["/usr/bin/ephemerald", "health"]


def of_kind(objects, kind):
    return [o for o in objects if o["kind"] == kind]


def template_of(workload):
    """The pod's metadata and spec."""
    at = workload if workload["kind"] == "Pod" else workload["spec"]["template"]
    return at.get("metadata", {}), at["spec"]


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def broken(objects, values):
    """Everything that is not as promised, each as a sentence that names the object."""
    found = []
    for thing in objects:
        name = f"{thing['kind']}/{thing['metadata']['name']}"
        if thing["metadata"].get("namespace") != "ephemerald":
            found.append(f"{name}: no namespace")
        if thing["kind"] in REFUSED:
            found.append(f"{name}: a kind that the chart never makes")
        if thing["kind"] in WORKLOADS:
            meta, spec = template_of(thing)
            found += [f"{name}: {problem}" for problem in pod(meta, spec, values)]
    for check in (one_agent, probes, hooks, who_is_selected, network, files, names, images):
        found += check(objects, values)
    return found


def one_agent(objects, values):
    agents = of_kind(objects, "StatefulSet")
    if len(agents) != 1:
        return [f"{len(agents)} StatefulSets"]
    spec, found = agents[0]["spec"], []
    if spec.get("replicas") != 1:
        found.append("StatefulSet: more than one daemon for one ledger")
    if spec.get("podManagementPolicy") != "Parallel":
        found.append("StatefulSet: an agent that is not ready would never be mended by a new template")
    if spec.get("persistentVolumeClaimRetentionPolicy") != {"whenDeleted": "Retain", "whenScaled": "Retain"}:
        found.append("StatefulSet: the ledger's claim is not kept")
    pod_spec = spec["template"]["spec"]
    mounts = {mount["mountPath"]: mount for mount in pod_spec["containers"][0]["volumeMounts"]}
    if mounts.get("/var/lib/ephemerald", {}).get("name") != "state":
        found.append("StatefulSet: the state is on no volume")
    claimed = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or []]
    existing = [v for v in pod_spec["volumes"] if v["name"] == "state" and "persistentVolumeClaim" in v]
    if len(claimed) + len(existing) != 1:
        found.append("StatefulSet: the state's claim is not said exactly once")
    token = values.get("agentToken", {}).get("secretName")
    for init in pod_spec.get("initContainers") or []:
        if init["name"] == "enroll" and "--if-needed" not in init["args"]:
            found.append("StatefulSet: the second start would enrol again")
    if token:
        volumes = {v["name"]: (v.get("projected") or {}).get("sources") or [] for v in pod_spec["volumes"]}
        of_token = {name: [s["secret"] for s in sources if s.get("secret", {}).get("name") == token] for name, sources in volumes.items()}
        if any(secret.get("optional") is not True for secrets in of_token.values() for secret in secrets):
            found.append("StatefulSet: an agent whose token was deleted would not start")
        if any(of_token[m["name"]] for m in pod_spec["containers"][0]["volumeMounts"] if m["name"] in of_token):
            found.append("StatefulSet: the daemon has the agent token")
        if not any(of_token.values()):
            found.append("StatefulSet: the agent token is mounted nowhere")
    if "checksum/config" not in spec["template"]["metadata"]["annotations"]:
        found.append("StatefulSet: a new configuration would not start it anew")
    return found


def probes(objects, _values):
    found = []
    for agent in of_kind(objects, "StatefulSet"):
        container = agent["spec"]["template"]["spec"]["containers"][0]
        for name in ("startupProbe", "livenessProbe"):
            probe = container.get(name)
            if probe is None and name == "livenessProbe":
                continue
            if (probe or {}).get("exec", {}).get("command") != LIVE:
                found.append(f"{name}: would restart an agent because of the network")
            elif probe["periodSeconds"] * probe["failureThreshold"] < 90:
                found.append(f"{name}: has no patience")
        if container.get("readinessProbe", {}).get("exec", {}).get("command") != READY:
            found.append("readinessProbe: does not ask whether new grants can be served")
    return found


def hooks(objects, _values):
    """What belongs to the release is no hook, and what is a hook is never the agent."""
    found = []
    for thing in objects:
        hook = (thing["metadata"].get("annotations") or {}).get("helm.sh/hook")
        expected = {"Job": "pre-install,pre-upgrade", "Pod": "test"}.get(thing["kind"])
        if "-preflight" in thing["metadata"]["name"]:
            expected = "pre-install,pre-upgrade"
        if hook != expected:
            found.append(f"{thing['kind']}/{thing['metadata']['name']}: hook {hook}, expected {expected}")
    return found


def who_is_selected(objects, _values):
    found = []
    pods = [(o["kind"], template_of(o)[0]["labels"]) for o in objects if o["kind"] in WORKLOADS]
    for thing in objects:
        spec = thing.get("spec") or {}
        selector = {
            "StatefulSet": lambda: spec["selector"]["matchLabels"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
            "Service": lambda: spec["selector"],
            "PodMonitor": lambda: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
        }.get(thing["kind"])
        if selector is None:
            continue
        chosen = sorted(kind for kind, labels in pods if selects(selector(), labels))
        expected = sorted(kind for kind, _ in pods) if thing["kind"] == "NetworkPolicy" else ["StatefulSet"]
        if chosen != expected:
            found.append(f"{thing['kind']}: selects the pods of {chosen}, expected {expected}")
    for monitor in of_kind(objects, "ServiceMonitor"):
        if not any(selects(monitor["spec"]["selector"]["matchLabels"], s["metadata"]["labels"]) for s in of_kind(objects, "Service")):
            found.append("ServiceMonitor: selects no service")
    return found


def network(objects, values):
    found = []
    metrics = values.get("metrics", {}).get("enabled", False)
    for policy in of_kind(objects, "NetworkPolicy"):
        spec = policy["spec"]
        if sorted(spec.get("policyTypes") or []) != ["Egress", "Ingress"]:
            found.append("NetworkPolicy: one direction is left open")
        if bool(spec.get("ingress")) != metrics:
            found.append("NetworkPolicy: somebody may come in though nothing listens, or scrapers may not")
        for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
            if not rule.get("ports"):
                found.append("NetworkPolicy: a rule for all ports")
    for agent in of_kind(objects, "StatefulSet"):
        ports = agent["spec"]["template"]["spec"]["containers"][0].get("ports")
        if bool(ports) != metrics:
            found.append("StatefulSet: the port is open without metrics, or not with them")
    if bool(of_kind(objects, "Service")) != metrics:
        found.append("Service: there without metrics, or not with them")
    return found


def files(objects, values):
    """The configuration is TOML, listens only if metrics are on, and its credentials are mounted."""
    found = []
    for config in of_kind(objects, "ConfigMap"):
        for name, text in config["data"].items():
            try:
                parsed = tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                found.append(f"ConfigMap/{config['metadata']['name']}: {name}: {error}")
                continue
            if name == "chart.toml" and ("telemetry" in parsed) != values.get("metrics", {}).get("enabled", False):
                found.append("chart.toml: listens without metrics, or not with them")
            if name in ("ephemerald.toml", "chart.toml"):
                found += credentials(objects, parsed)
    return found


def credentials(objects, config):
    found = []
    for thing in objects:
        if thing["kind"] not in {"Pod", "StatefulSet"}:
            continue
        pod = template_of(thing)[1]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in [*(pod.get("initContainers") or []), *pod["containers"]]:
            mounted = [m["name"] for m in container["volumeMounts"] if m["mountPath"] == "/credentials"]
            sources = [source for name in mounted for source in volumes[name]["projected"]["sources"]]
            paths = {item["path"] for source in sources for item in source["secret"]["items"]}
            state_key = config.get("agent", {}).get("state_key_credential")
            if state_key is not None and state_key not in paths:
                found.append(f"{thing['kind']}: the state key is not mounted in {container['name']}")
            for one in config.get("integration") or []:
                if one.get("connection_credential") not in paths:
                    found.append(f"{thing['kind']}: the credential of {one['name']} is not mounted")
    return found


def names(objects, values):
    """What is referred to is in the rendering, or was named in the values."""
    found, known = [], {o["metadata"]["name"] for o in objects if o["kind"] == "ConfigMap"} | set(strings(values))
    for thing in objects:
        if thing["kind"] not in WORKLOADS:
            continue
        for volume in template_of(thing)[1].get("volumes") or []:
            for source in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
                for kind, key in (("configMap", "name"), ("secret", "name"), ("secret", "secretName")):
                    name = (source.get(kind) or {}).get(key)
                    if name and name not in known:
                        found.append(f"{thing['kind']}: {kind} {name} is nowhere")
    return found


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def images(objects, _values):
    seen = set()
    for thing in objects:
        if thing["kind"] in WORKLOADS:
            spec = template_of(thing)[1]
            seen |= {c["image"] for c in [*(spec.get("initContainers") or []), *spec["containers"]]}
    if len(seen) != 1:
        return [f"several images: {sorted(seen)}"]
    image = seen.pop()
    tag = image.rsplit("/", 1)[-1]
    return [] if "@sha256:" in tag or (":" in tag and not tag.endswith(":latest")) else [f"{image}: no fixed tag"]
