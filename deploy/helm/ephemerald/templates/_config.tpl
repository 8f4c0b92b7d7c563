{{/* What the user says, as ephemerald.toml. Own rendering: Helm's toToml makes 10 to 10.0 in some versions. */}}
{{- define "ephemerald.config" -}}
{{- if .Values.configToml -}}
{{- if .Values.config -}}
{{- fail "config and configToml: say it in one of the two" -}}
{{- end -}}
{{- .Values.configToml -}}
{{- else -}}
# Made by the chart from the values `config` and `connections`.
{{- range $section, $content := .Values.config }}
{{- if ne $section "integration" }}

[{{ $section }}]
{{- include "ephemerald.tomlKeys" (dict "content" $content "at" $section) }}
{{- end }}
{{- end }}
{{- range (include "ephemerald.integrations" . | fromJson).list }}

[[integration]]
{{- include "ephemerald.tomlKeys" (dict "content" . "at" "integration") }}
{{- end }}
{{- end }}
{{- end -}}

{{/* JSON's strings, numbers, booleans and arrays are TOML's, too. */}}
{{- define "ephemerald.tomlKeys" -}}
{{- $at := .at -}}
{{- range $key, $value := .content }}
{{- if kindIs "map" $value }}
{{- fail (printf "config.%s.%s: a map within a section cannot be rendered: use configToml" $at $key) }}
{{- else if not (kindIs "invalid" $value) }}
{{ $key }} = {{ $value | toRawJson }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The integrations: those of config, else one for each connection. A name that is a connection's takes its credential. */}}
{{- define "ephemerald.integrations" -}}
{{- $known := dict -}}
{{- range .Values.connections }}{{ $_ := set $known .name (printf "%s.json" .name) }}{{ end -}}
{{- $list := list -}}
{{- if hasKey .Values.config "integration" -}}
{{- range .Values.config.integration -}}
{{- $one := deepCopy . -}}
{{- if not (or (hasKey $one "connection_credential") (hasKey $one "connection_file")) -}}
{{- if not (hasKey $known .name) -}}
{{- fail (printf "config.integration: %q has no connection_credential, and connections has no such name" .name) -}}
{{- end -}}
{{- $_ := set $one "connection_credential" (get $known .name) -}}
{{- end -}}
{{- $list = append $list $one -}}
{{- end -}}
{{- else -}}
{{- range .Values.connections -}}
{{- $list = append $list (dict "name" .name "connection_credential" (printf "%s.json" .name)) -}}
{{- end -}}
{{- end -}}
{{- dict "list" $list | toJson -}}
{{- end -}}

{{/* What the chart itself decides; a later layer, so that it counts whatever configToml says. */}}
{{- define "ephemerald.chartConfig" -}}
{{- $plane := default dict .Values.config.control_plane -}}
{{- if and .Values.proxy.url (hasKey $plane "proxy") -}}
{{- fail "proxy.url and config.control_plane.proxy: say it in one of the two" -}}
{{- end -}}
{{- if and .Values.ca.configMapName (hasKey $plane "ca_file") -}}
{{- fail "ca.configMapName and config.control_plane.ca_file: say it in one of the two" -}}
{{- end -}}
{{- if and .Values.proxy.credentials.secretName (not (or .Values.proxy.url (hasKey $plane "proxy") .Values.configToml)) -}}
{{- fail "proxy.credentials: there is no proxy.url" -}}
{{- end -}}
{{- if and .Values.stateKey.seal (not .Values.stateKey.secretName) -}}
{{- fail "stateKey.seal: there is no stateKey.secretName" -}}
{{- end -}}
{{- range $key, $_ := default dict .Values.config.agent -}}
{{- if and $.Values.stateKey.secretName (hasPrefix "state_key_" $key) -}}
{{- fail (printf "stateKey.secretName and config.agent.%s: say it in one of the two" $key) -}}
{{- end -}}
{{- end -}}
# Made by the chart: the paths of the pod, and what has a value of its own.
[agent]
state_dir = "/var/lib/ephemerald/state"
control_socket = "/run/ephemerald/control.sock"
{{- if .Values.stateKey.secretName }}
state_key_credential = "state.key"
{{- end }}

[policy]
file = "/etc/ephemerald/policy.toml"
{{- if or .Values.proxy.url .Values.proxy.noProxy .Values.proxy.credentials.secretName .Values.ca.configMapName }}

[control_plane]
{{- with .Values.ca.configMapName }}
ca_file = "/etc/ephemerald-ca/ca.pem"
{{- end }}
{{- with .Values.proxy.url }}
proxy = {{ . | toRawJson }}
{{- end }}
{{- with .Values.proxy.noProxy }}
no_proxy = {{ . | toRawJson }}
{{- end }}
{{- with .Values.proxy.credentials.secretName }}
proxy_auth_file = "/credentials/proxy-credentials"
{{- end }}
{{- end }}
{{- if .Values.metrics.enabled }}

[telemetry]
{{- $address := ternary (printf "[%s]" .Values.metrics.address) .Values.metrics.address (contains ":" .Values.metrics.address) }}
listen = {{ printf "%s:%d" $address (int .Values.metrics.port) | toRawJson }}
{{- end }}
{{- end -}}

{{/* The ports of all proxies that are named, as {"ports": […]}, and whether anything goes without one. */}}
{{- define "ephemerald.ways" -}}
{{- $urls := list -}}
{{- $direct := false -}}
{{- with .Values.proxy.url }}{{ $urls = append $urls . }}{{ else }}{{ $direct = true }}{{ end -}}
{{- with .Values.proxy.noProxy }}{{ $direct = true }}{{ end -}}
{{- $plane := default dict .Values.config.control_plane -}}
{{- with $plane.proxy }}{{ $urls = append $urls . }}{{ end -}}
{{- range .Values.config.integration -}}
{{- with .proxy -}}
{{- if eq . "direct" }}{{ $direct = true }}{{ else }}{{ $urls = append $urls . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $ports := list -}}
{{- range $urls -}}
{{- if contains "://" . -}}
{{- $host := (urlParse .).host -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
{{- if not $port }}{{ $port = ternary "443" "80" (hasPrefix "https://" .) }}{{ end -}}
{{- $ports = append $ports $port -}}
{{- end -}}
{{- end -}}
{{- dict "ports" ($ports | uniq | sortAlpha) "direct" $direct | toJson -}}
{{- end -}}
