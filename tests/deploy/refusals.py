"""Values that must be refused, each with words of the message; and their neighbours that must not."""

import dataclasses


@dataclasses.dataclass
class Case:
    name: str
    # Dotted paths into the values, and what is put there; None is null.
    change: dict
    # All of these are in the message; None: it is accepted.
    words: list | None


MAIN = {"name": "main", "secretName": "ephemerald-connection"}

CASES = [
    Case("nothing changed", {}, None),
    Case("two replicas", {"replicas": 2}, ["replicas"]),
    Case("no replica", {"replicas": 0}, ["replicas"]),
    Case("an unknown value", {"replicaCount": 1}, ["replicaCount"]),
    Case("an unknown value inside", {"metrics.enable": True}, ["metrics", "enable"]),
    Case("a value of another kind", {"metrics.enabled": "yes"}, ["metrics"]),
    Case("no policy", {"policy": ""}, ["policy"]),
    Case("no connection", {"connections": []}, ["connections"]),
    Case("no image", {"image.repository": ""}, ["image.repository"]),
    Case("a digest that is none", {"image.digest": "latest"}, ["digest"]),
    Case("a wrong access mode", {"persistence.accessMode": "ReadWriteMany"}, ["accessMode"]),
    # Secrets.
    Case("an agent token in the values", {"agentToken.value": "eph1.x"}, ["agentToken", "value"]),
    Case("a key in a connection", {"connections": [{**MAIN, "token": "x"}]}, ["connections", "token"]),
    Case("a connection JSON instead of a Secret", {"connections": [{"name": "main", "json": "{}"}]}, ["connections"]),
    Case("a password in the proxy's URL", {"proxy.url": "http://u:p@proxy.example.com:3128"}, ["proxy"]),
    Case("a proxy password", {"proxy.credentials.password": "x"}, ["credentials", "password"]),
    Case("a password in an integration's proxy", {"config.integration": [{"name": "main", "proxy": "http://u:p@p.example.com"}]}, ["config"]),
    Case("a key in an integration", {"config.integration": [{"name": "main", "token": "x"}]}, ["config"]),
    Case("a password in a variable", {"extraEnv": [{"name": "EPHEMERALD__CONTROL_PLANE__PROXY", "value": "http://u:p@p.example.com"}]}, ["extraEnv"]),
    Case("a secret variable", {"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]}, ["extraEnv"]),
    Case("a password in configToml", {"configToml": '[control_plane]\nproxy = "http://u:p@p.example.com"\n'}, ["configToml"]),
    Case("a key in configToml", {"configToml": 'token = "x"\n'}, ["configToml"]),
    # What the chart decides.
    Case("another state directory", {"config.agent": {"state_dir": "/tmp"}}, ["config"]),
    Case("a listening address beside metrics", {"config.telemetry": {"listen": "0.0.0.0:1"}}, ["config", "telemetry"]),
    Case("another policy file", {"config.policy": {"file": "/tmp/x"}}, ["config", "policy"]),
    Case("config and configToml", {"config.log": {"level": "debug"}, "configToml": "[log]\n"}, ["config and configToml"]),
    Case("two proxies", {"proxy.url": "http://p.example.com", "config.control_plane": {"proxy": "http://q.example.com"}}, ["proxy.url"]),
    Case("two authorities", {"ca.configMapName": "a", "config.control_plane": {"ca_file": "/x"}}, ["ca.configMapName"]),
    Case("credentials of no proxy", {"proxy.credentials.secretName": "a"}, ["there is no proxy.url"]),
    Case("a state key in the values", {"stateKey.value": "00"}, ["stateKey", "value"]),
    Case("two state keys", {"stateKey.secretName": "a", "config.agent": {"state_key_file": "/x"}}, ["stateKey.secretName", "state_key_file"]),
    Case("sealing without a state key", {"stateKey.seal": True}, ["stateKey.secretName"]),
    Case("an integration without a connection", {"config.integration": [{"name": "other"}]}, ["other", "connection_credential"]),
    # The restricted profile cannot be left by a value.
    Case("root", {"runAsUser": 0}, ["runAsUser"]),
    Case("the group root", {"fsGroup": 0}, ["fsGroup"]),
    Case("a folder of the node", {"extraVolumes": [{"name": "a", "hostPath": {"path": "/"}}]}, ["extraVolumes"]),
    Case("a volume with a name of ours", {"extraVolumes": [{"name": "state", "emptyDir": {}}]}, ["extraVolumes"]),
    Case("another credentials directory", {"extraEnv": [{"name": "CREDENTIALS_DIRECTORY", "value": "/"}]}, ["extraEnv"]),
    Case("a hasty liveness probe", {"livenessProbe.failureThreshold": 1}, ["failureThreshold"]),
    Case("a privileged port", {"metrics.port": 80}, ["port"]),
    # Neighbours.
    Case("configToml alone", {"configToml": '[[integration]]\nname = "main"\nconnection_credential = "main.json"\n'}, None),
    Case("a platform's own user", {"runAsUser": None, "runAsGroup": None, "fsGroup": None}, None),
    Case("a value for all charts of a parent", {"global": {"anything": 1}}, None),
    Case("a proxy for IPv6", {"proxy.url": "http://[2001:db8::1]:3128"}, None),
    Case("the environment's proxy", {"config.control_plane": {"proxy": "environment"}}, None),
]
