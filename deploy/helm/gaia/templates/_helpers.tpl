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

{{- /* The secrets of a service, key by key: it gets no other, whatever the Secret holds. */ -}}
{{- define "gaia.secrets" -}}
{{- $kept := .root.Files.Get "secrets.yaml" | fromYaml -}}
{{- range concat $kept.every (get $kept .component) }}
- name: {{ . }}
  valueFrom: { secretKeyRef: { name: {{ $.root.Values.secret }}, key: {{ . }}, optional: true } }
{{- end }}
{{- end -}}

{{- /* The port that a service listens at. */ -}}
{{- define "gaia.port" -}}
{{- if eq . "gateway" }}8666{{ else }}8000{{ end -}}
{{- end -}}

{{- /* A setting that is a time, in whole seconds: "25", "25s", "2m". */ -}}
{{- define "gaia.seconds" -}}
{{- $value := toString (get .settings .name) -}}
{{- if regexMatch "^[0-9]+s?$" $value -}}
{{- trimSuffix "s" $value -}}
{{- else if regexMatch "^[0-9]+m$" $value -}}
{{- mul 60 (trimSuffix "m" $value) -}}
{{- else -}}
{{- fail (printf "settings.%s: %q is not a number of seconds, which the time that pods get to stop is reckoned from" .name $value) -}}
{{- end -}}
{{- end -}}

{{- /*
How long a pod may take to stop: what it waits for, and 30 s: 10 until connections are cut, 5 for answers without a listener, 2 for events
that wait, 1 for telemetry, the rest for a machine under load. Only asset waits for orders of generators. With the settings of values.yaml
that is 180 s at the most, as in compose.yaml and deploy/systemd/gaia.service.
*/ -}}
{{- define "gaia.grace" -}}
{{- $s := merge dict (index .root.Values.services .component).settings .root.Values.settings -}}
{{- $sum := add 30 (include "gaia.seconds" (dict "settings" $s "name" "SHUTDOWN_DELAY")) (include "gaia.seconds" (dict "settings" $s "name" "SHUTDOWN_TIMEOUT")) -}}
{{- if eq .component "asset" }}{{ $sum = add $sum (include "gaia.seconds" (dict "settings" $s "name" "ASSET_GENERATION_PATIENCE")) }}{{ end -}}
{{- $sum -}}
{{- end -}}
