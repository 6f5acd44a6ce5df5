{{- define "gatehouse.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "gatehouse.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "gatehouse.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "gatehouse.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gatehouse.selector" -}}
app.kubernetes.io/name: {{ include "gatehouse.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gatehouse.labels" -}}
{{ include "gatehouse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "gatehouse.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "gatehouse.port" -}}
{{- regexFind "[0-9]+$" .Values.config.listen -}}
{{- end -}}

{{- define "gatehouse.adminPort" -}}
{{- regexFind "[0-9]+$" .Values.config.admin -}}
{{- end -}}

{{- /* The admin listener speaks TLS where there is a certificate and it is off loopback. */ -}}
{{- define "gatehouse.adminScheme" -}}
{{- if .Values.config.tls -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{- define "gatehouse.host" -}}
{{- (urlParse (.Values.config.public_url | default "")).host | splitList ":" | first -}}
{{- end -}}

{{- define "gatehouse.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "gatehouse.fullname" .)) -}}
{{- end -}}

{{- /* The configurations of the gateways of a pod, by where they are written. */ -}}
{{- define "gatehouse.gateways" -}}
{{- $all := dict "config" .Values.config -}}
{{- if .Values.config.tenants -}}
{{- $all = dict -}}
{{- range $name, $file := .Values.config.tenants -}}
{{- $_ := set $all (printf "files[%s]" $file) (get $.Values.files $file | default "" | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{- /* What cannot run, or would run unprotected, is not rendered. */ -}}
{{- define "gatehouse.check" -}}
{{- if or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled -}}
{{- range $where, $config := include "gatehouse.gateways" . | fromYaml -}}
{{- if not (dig "url" "" ($config.state | default dict)) -}}
{{- fail (printf "several replicas share grants, blocks and pseudonyms: set %s.state.url to a PostgreSQL" $where) -}}
{{- end -}}
{{- if not (hasPrefix "redis" (dig "state" "memory" ($config.limits | default dict))) -}}
{{- fail (printf "several replicas share limits and replay protection: set %s.limits.state to a Redis" $where) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $file := .Values.config.tenants -}}
{{- if not (hasKey $.Values.files $file) -}}
{{- fail (printf "config.tenants.%s names %s: write it under files" $name $file) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.config.tenants .Values.tls.certManager.enabled (not .Values.tls.certManager.dnsNames) -}}
{{- fail "tenants have several public_url: set tls.certManager.dnsNames" -}}
{{- end -}}
{{- if or (hasPrefix "127." .Values.config.admin) (hasPrefix "localhost:" .Values.config.admin) -}}
{{- fail "config.admin is on loopback, where no probe reaches it: write 0.0.0.0:9090" -}}
{{- end -}}
{{- with .Values.networkPolicy -}}
{{- if and .enabled (not .egress) (not .upstream.namespace) -}}
{{- fail "the network policy lets the gateway reach nothing: set networkPolicy.upstream.namespace, or networkPolicy.egress, to where the upstream is" -}}
{{- end -}}
{{- if and .upstream.policy (or (not .upstream.namespace) (not .upstream.podLabels)) -}}
{{- fail "networkPolicy.upstream.policy needs networkPolicy.upstream.namespace and podLabels: it protects the pods that they name" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* A key of a ConfigMap has no slash. */ -}}
{{- define "gatehouse.fileKey" -}}
{{- replace "/" "__" . -}}
{{- end -}}
