{{- define "gaia.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "gaia.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "gaia.labels" -}}
{{ include "gaia.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "gaia.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "gaia.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "gaia.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- /* The port that a service listens at. */ -}}
{{- define "gaia.port" -}}
{{- if eq . "gateway" }}8666{{ else }}8000{{ end -}}
{{- end -}}

{{- /* How long a pod may take to stop: what it waits for, and a little more. Only asset waits for orders of generators. */ -}}
{{- define "gaia.grace" -}}
{{- $s := merge dict (index .root.Values.services .component).settings .root.Values.settings -}}
{{- $sum := add (int (get $s "SHUTDOWN_DELAY")) (int (get $s "SHUTDOWN_TIMEOUT")) 10 -}}
{{- if eq .component "asset" }}{{ $sum = add $sum (int (get $s "ASSET_GENERATION_PATIENCE")) }}{{ end -}}
{{- $sum -}}
{{- end -}}
