{{/* The name of everything: that of the release. */}}
{{- define "roost.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods. May never change for a release. */}}
{{- define "roost.selector" -}}
app.kubernetes.io/name: roost
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "roost.labels" -}}
{{ include "roost.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* From SIGTERM a farm ends by itself within drainMs + 4 × stopTimeoutMs, and sends what waits for webhooks for a while yet. */}}
{{- define "roost.stopSeconds" -}}
{{- $webhookMs := hasKey .Values.env "ROOST_PUSHER_WEBHOOK_DRAIN_MS" | ternary .Values.env.ROOST_PUSHER_WEBHOOK_DRAIN_MS 5000 | int -}}
{{- $ms := add (.Values.drainMs | int) (mul 4 (.Values.stopTimeoutMs | int)) $webhookMs -}}
{{- div (add $ms 999) 1000 -}}
{{- end -}}

{{/* How a probe asks for a path. Where a PROXY header is required, the kubelet cannot: it sends none, and the image's own script does. */}}
{{- define "roost.probe" -}}
{{- if eq (toString .root.Values.env.ROOST_PROXY_PROTOCOL) "required" -}}
exec:
  command: [node, infra/healthcheck.mjs, {{ .path }}]
{{- else -}}
httpGet:
  path: {{ .path }}
  port: clients
  {{- if .root.Values.env.ROOST_TLS_CERT }}
  scheme: HTTPS
  {{- end }}
{{- end -}}
{{- end -}}

{{/* A value of env as Roost reads it: numbers without an exponent, lists with commas. */}}
{{- define "roost.value" -}}
{{- if kindIs "slice" . -}}
{{- join "," . | quote -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . | quote -}}
{{- else -}}
{{- toString . | quote -}}
{{- end -}}
{{- end -}}

{{/* What the chart sets itself: twice in a pod, the last would win, and the grace period would not follow. Nor would it, or the probes, what comes by extraEnv. */}}
{{- define "roost.checkEnv" -}}
{{- $values := dict "ROOST_APP" "app" "ROOST_WORKERS" "workers" "ROOST_DRAIN_MS" "drainMs" "ROOST_STOP_TIMEOUT_MS" "stopTimeoutMs" "ROOST_ADMIN_PORT" "admin.port" "ROOST_PORT" "service.port, which leads to 8080 of the pods" "ROOST_ADMIN_HOST" "admin.enabled" "ROOST_ADMIN_TOKEN" "secret.adminTokenKey" "ROOST_API_KEY" "secret.apiKeyKey" "ROOST_REDIS_URL" "secret.redisUrlKey" -}}
{{- range $name, $_ := .Values.env -}}
{{- if hasKey $values $name -}}
{{- fail (printf "env.%s: the chart sets this variable itself; set %s instead." $name (get $values $name)) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $values .name -}}
{{- fail (printf "extraEnv, %s: the chart sets this variable itself; set %s instead." .name (get $values .name)) -}}
{{- else if has .name (list "ROOST_TLS_CERT" "ROOST_PROXY_PROTOCOL" "ROOST_PUSHER_WEBHOOK_DRAIN_MS") -}}
{{- fail (printf "extraEnv, %s: set it in env, where the chart sees it." .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
