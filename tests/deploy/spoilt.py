"""Ways to break a rendering, each with words that the complaint must have: a promise that nobody can miss is none."""

from promises import of_kind, template_of


def agent(objects):
    return of_kind(objects, "StatefulSet")[0]


def spec(objects):
    return agent(objects)["spec"]["template"]["spec"]


def daemon(objects):
    return spec(objects)["containers"][0]


def job(objects):
    return of_kind(objects, "Job")[0]["spec"]["template"]["spec"]


def policy(objects):
    return of_kind(objects, "NetworkPolicy")[0]["spec"]


def config(objects, name="-config"):
    return next(o for o in of_kind(objects, "ConfigMap") if o["metadata"]["name"].endswith(name))["data"]


def also(objects, kind, **more):
    objects.append({"kind": kind, "metadata": {"name": "more", "namespace": "ephemerald"}, **more})


def without(mapping, *keys):
    for key in keys:
        mapping.pop(key, None)


def mount(objects, path):
    return next(m for m in daemon(objects)["volumeMounts"] if m["mountPath"] == path)


SPOILT = {
    # The restricted profile.
    "hostNetwork": (lambda o: spec(o).update(hostNetwork=True), "hostNetwork is on"),
    "hostPID in the Job": (lambda o: job(o).update(hostPID=True), "Job/.*hostPID is on"),
    "hostPath": (lambda o: spec(o)["volumes"].append({"name": "run2", "hostPath": {"path": "/"}}), "hostPath is not allowed"),
    "root may run it": (lambda o: spec(o)["securityContext"].update(runAsNonRoot=False), "runAsNonRoot"),
    "root in the test pod": (lambda o: of_kind(o, "Pod")[0]["spec"]["securityContext"].update(runAsUser=0), "Pod/.*runAsUser is root"),
    "no user": (lambda o: without(spec(o)["securityContext"], "runAsUser"), "runAsUser is no number"),
    "a container of root": (lambda o: daemon(o)["securityContext"].update(runAsUser=0), "runAsUser overrides"),
    "no seccomp": (lambda o: without(spec(o)["securityContext"], "seccompProfile"), "no seccomp profile"),
    "unconfined": (lambda o: spec(o)["securityContext"]["seccompProfile"].update(type="Unconfined"), "no seccomp profile"),
    "escalation": (lambda o: without(daemon(o)["securityContext"], "allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
    "privileged enrolment": (lambda o: spec(o)["initContainers"][0]["securityContext"].update(privileged=True), "enroll: privileged"),
    "a capability": (lambda o: daemon(o)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "capabilities"),
    "capabilities kept": (lambda o: job(o)["containers"][0]["securityContext"].update(capabilities={"drop": ["NET_RAW"]}), "capabilities"),
    "a port of the host": (lambda o: daemon(o).update(ports=[{"containerPort": 1, "hostPort": 1}]), "a port of the host"),
    "a sysctl": (lambda o: spec(o)["securityContext"].update(sysctls=[{"name": "a", "value": "b"}]), "more than the restricted"),
    "an AppArmor annotation": (
        lambda o: template_of(agent(o))[0]["annotations"].update({"container.apparmor.security.beta.kubernetes.io/x": "unconfined"}),
        "loosens a profile",
    ),
    # Beyond it.
    "a writable root": (lambda o: daemon(o)["securityContext"].update(readOnlyRootFilesystem=False), "file system is writable"),
    "a token of Kubernetes": (lambda o: without(spec(o), "automountServiceAccountToken"), "service account token"),
    "service variables": (lambda o: spec(o).update(enableServiceLinks=True), "service variables"),
    "no limits": (lambda o: without(daemon(o), "resources"), "resources are not said"),
    "a limit of CPU": (lambda o: daemon(o)["resources"]["limits"].update(cpu=1), "limit of CPU"),
    "a shell": (lambda o: daemon(o).update(command=["/bin/sh"]), "entry point"),
    "a secret variable": (
        lambda o: daemon(o)["env"].append({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}),
        "TOKEN holds a secret",
    ),
    "a secret by subPath": (lambda o: mount(o, "/credentials").update(subPath="main.json"), "new secret would not reach it"),
    "a writable secret": (lambda o: without(mount(o, "/credentials"), "readOnly"), "or it is writable"),
    "a secret for all": (
        lambda o: next(v for v in spec(o)["volumes"] if v["name"] == "credentials")["projected"].update(defaultMode=0o444),
        "secrets have the mode",
    ),
    "opened files": (lambda o: without(spec(o)["securityContext"], "fsGroupChangePolicy"), "open the private files"),
    "rights": (lambda o: also(o, "ClusterRole", rules=[]), "never makes"),
    "a Secret": (lambda o: also(o, "Secret", stringData={"token": "x"}), "never makes"),
    "no namespace": (lambda o: without(agent(o)["metadata"], "namespace"), "no namespace"),
    "latest": (
        lambda o: [c.update(image="a/b:latest") for x in o if x["kind"] in ("Pod", "Job", "StatefulSet")
                   for c in [*template_of(x)[1].get("initContainers", []), *template_of(x)[1]["containers"]]],
        "no fixed tag",
    ),
    "two images": (lambda o: job(o)["containers"][0].update(image="other:1"), "several images"),
    # One agent, its ledger, its enrolment.
    "two daemons": (lambda o: agent(o)["spec"].update(replicas=2), "more than one daemon"),
    "ordered": (lambda o: agent(o)["spec"].update(podManagementPolicy="OrderedReady"), "never be mended"),
    "a deleted ledger": (lambda o: without(agent(o)["spec"], "persistentVolumeClaimRetentionPolicy"), "claim is not kept"),
    "no claim": (lambda o: agent(o)["spec"].update(volumeClaimTemplates=[]), "exactly once"),
    "state nowhere": (lambda o: mount(o, "/var/lib/ephemerald").update(mountPath="/var/lib"), "on no volume"),
    "enrols at each start": (lambda o: spec(o)["initContainers"][0]["args"].remove("--if-needed"), "enrol again"),
    "needs the token for ever": (
        lambda o: next(v for v in spec(o)["volumes"] if v["name"] == "enrolment")["projected"]["sources"][-1]["secret"].update(optional=False),
        "would not start",
    ),
    "the daemon has the token": (
        lambda o: daemon(o)["volumeMounts"].append(spec(o)["initContainers"][0]["volumeMounts"][1]), "has the agent token",
    ),
    "no checksum": (lambda o: without(template_of(agent(o))[0]["annotations"], "checksum/config"), "would not start it anew"),
    # Probes.
    "killed while it reconnects": (
        lambda o: daemon(o)["livenessProbe"]["exec"].update(command=["/usr/bin/ephemerald", "health"]), "because of the network",
    ),
    "killed at once": (lambda o: daemon(o)["livenessProbe"].update(periodSeconds=5, failureThreshold=1), "no patience"),
    "killed while it starts": (lambda o: daemon(o)["startupProbe"].update(failureThreshold=3), "no patience"),
    "always ready": (
        lambda o: daemon(o)["readinessProbe"]["exec"].update(command=["/usr/bin/ephemerald", "health", "--live"]), "can be served",
    ),
    # Network.
    "open to the cluster": (lambda o: policy(o).update(policyTypes=["Egress"]), "one direction"),
    "come in": (lambda o: policy(o).update(ingress=[{"ports": [{"port": 9464}]}]), "come in though nothing listens"),
    "all ports out": (lambda o: policy(o)["egress"].append({}), "a rule for all ports"),
    "a port without metrics": (lambda o: daemon(o).update(ports=[{"containerPort": 9464}]), "open without metrics"),
    "a Service without metrics": (lambda o: also(o, "Service", spec={"selector": agent(o)["spec"]["selector"]["matchLabels"]}), "without metrics"),
    "the policy misses the Job": (
        lambda o: of_kind(o, "Job")[0]["spec"]["template"]["metadata"]["labels"].update({"app.kubernetes.io/name": "x"}), "NetworkPolicy: selects",
    ),
    "the budget counts the test pod": (
        lambda o: of_kind(o, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/component"),
        "PodDisruptionBudget: selects",
    ),
    "a hook for the policy": (
        lambda o: of_kind(o, "NetworkPolicy")[0]["metadata"].update(annotations={"helm.sh/hook": "pre-install"}), "NetworkPolicy/.*hook",
    ),
    # Files.
    "no TOML": (lambda o: config(o).update({"ephemerald.toml": "[[integration]\n"}), "ephemerald.toml:"),
    "listens without metrics": (
        lambda o: config(o).update({"chart.toml": config(o)["chart.toml"] + '\n[telemetry]\nlisten = "0.0.0.0:1"\n'}), "listens without",
    ),
    "another credential": (
        lambda o: config(o).update({"ephemerald.toml": '[[integration]]\nname = "x"\nconnection_credential = "x.json"\n'}),
        "credential of x is not mounted",
    ),
    "a state key that is nowhere": (
        lambda o: config(o).update({"chart.toml": '[agent]\nstate_key_credential = "x"\n'}), "state key is not mounted",
    ),
    "a policy by subPath": (lambda o: mount(o, "/etc/ephemerald").update(subPath="ephemerald.toml"), "would not reach it"),
    "a ConfigMap that is nowhere": (lambda o: of_kind(o, "ConfigMap")[0]["metadata"].update(name="other"), "is nowhere"),
}
