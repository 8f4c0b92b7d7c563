{{- define "ephemerald.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* 40 characters at most: a StatefulSet's name becomes a label with a hash behind it. */}}
{{- define "ephemerald.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ephemerald.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ephemerald.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ephemerald.labels" -}}
{{ include "ephemerald.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "ephemerald.image" -}}
{{- $repository := required "image.repository: name where you pushed the image, such as registry.example.com/ephemerald" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "ephemerald.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ephemerald.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What every pod of this chart is: no token, no service variables, nobody, the restricted profile. */}}
{{- define "ephemerald.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.runAsUser }}
  runAsUser: {{ int64 . }}
  {{- end }}
  {{- with .Values.runAsGroup }}
  runAsGroup: {{ int64 . }}
  {{- end }}
  {{- with .Values.fsGroup }}
  fsGroup: {{ int64 . }}
  {{- end }}
  # The daemon keeps its files at 0600 and refuses others: the kubelet must not open them to the group at each start.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ephemerald.containerSecurity" -}}
image: {{ include "ephemerald.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end -}}

{{- define "ephemerald.env" -}}
# Where the daemon looks for credentials; there it does not judge the mode, because Kubernetes makes
# secrets readable for the pod's own group.
- name: CREDENTIALS_DIRECTORY
  value: /credentials
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The files, from the ConfigMaps named `prefix`-config and `prefix`-policy. */}}
{{- define "ephemerald.configVolume" -}}
- name: config
  projected:
    sources:
      - configMap:
          name: {{ .prefix }}-config
          items:
            - key: ephemerald.toml
              path: ephemerald.toml
            - key: chart.toml
              path: conf.d/50-chart.toml
      # Mounted as a folder, so that a new policy reaches the running daemon.
      - configMap:
          name: {{ .prefix }}-policy
          items:
            - key: policy.toml
              path: policy.toml
{{- end -}}

{{/* What a projected volume of the agent's credentials is made of. */}}
{{- define "ephemerald.credentials" -}}
{{- range .Values.connections }}
- secret:
    name: {{ .secretName }}
    items:
      - key: {{ .key | default "connection.json" }}
        path: {{ .name }}.json
{{- end }}
{{- with .Values.proxy.credentials }}
{{- if .secretName }}
- secret:
    name: {{ .secretName }}
    items:
      - key: {{ .key }}
        path: proxy-credentials
{{- end }}
{{- end }}
{{- with .Values.stateKey }}
{{- if .secretName }}
- secret:
    name: {{ .secretName }}
    items:
      - key: {{ .key }}
        path: state.key
{{- end }}
{{- end }}
{{- end -}}

{{- define "ephemerald.credentialsVolume" -}}
- name: credentials
  projected:
    defaultMode: 0440
    sources:
      {{- include "ephemerald.credentials" . | nindent 6 }}
{{- if .Values.ca.configMapName }}
- name: ca
  configMap:
    name: {{ .Values.ca.configMapName }}
    items:
      - key: {{ .Values.ca.key }}
        path: ca.pem
{{- end }}
{{- end -}}

{{/* As folders, not by subPath: a new policy or a new key reaches the daemon while it runs. */}}
{{- define "ephemerald.mounts" -}}
- name: config
  mountPath: /etc/ephemerald
  readOnly: true
{{- if .Values.ca.configMapName }}
- name: ca
  mountPath: /etc/ephemerald-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "ephemerald.credentialsMount" -}}
- name: credentials
  mountPath: /credentials
  readOnly: true
{{- end -}}

{{- define "ephemerald.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
