package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Sink is where a copy of the audit trail goes, as AuditEvents: at least once, in
// order. Which of the keys it takes, its type says.
type Sink struct {
	// fhir: an audit record repository (batches of AuditEvents); syslog: RFC 5424
	// over TLS; file or jsonl: an AuditEvent a line; otlp: OpenTelemetry logs over
	// HTTP; nats: a subject of JetStream.
	Type string `yaml:"type" required:"fhir" oneof:"fhir syslog file jsonl otlp nats"`
	// Names it in metrics, and what it has got so far: a sink that is renamed
	// begins anew. Left out: made of type and place.
	Name string `yaml:"name"`
	// What it may see: full, or pseudonymous (keyed hashes for ids, no query). Left
	// out: full for fhir and for the format atna, pseudonymous for all others.
	Fields string `yaml:"fields" oneof:"full pseudonymous"`
	// fhir: FHIR base; nats: tls://host:4222, or nats:// on loopback.
	URL string `yaml:"url"`
	// syslog: tls://host:6514, or tcp:// on loopback.
	Address string `yaml:"address"`
	// syslog: rfc5424 (JSON and structured data) or atna (XML of DICOM).
	Format string `yaml:"format" oneof:"rfc5424 atna"`
	// file, jsonl: appended to.
	Path string `yaml:"path"`
	// otlp: the collector, with or without /v1/logs.
	Endpoint string `yaml:"endpoint"`
	// nats: where it publishes; a stream must listen to it.
	Subject string `yaml:"subject"`
	// fhir, otlp: the gateway's own credentials there.
	Auth UpstreamAuth `yaml:"auth"`
	// nats: a token, or a .creds file.
	TokenFile       string `yaml:"token_file" path:"secret"`
	CredentialsFile string `yaml:"credentials_file" path:"file"`
	// PEM; trusted instead of the system's roots.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// syslog, nats: PEM certificate that is shown, and its key.
	CertFile string `yaml:"cert_file" path:"certificates"`
	KeyFile  string `yaml:"key_file" path:"private"`
	// AuditEvents sent together.
	Batch int `yaml:"batch" default:"200"`
	// Speak unprotected to a receiver that is not on loopback.
	InsecurePlain bool `yaml:"insecure_plain"`

	Parsed *url.URL `yaml:"-"` // url, address or endpoint
}

// ID names the sink: its name, or its type and a hash of where it leads.
func (s *Sink) ID() string {
	if s.Name != "" {
		return s.Name
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{s.URL, s.Address, s.Path, s.Endpoint, s.Subject, s.Format}, "\x00")))
	return s.Type + "-" + hex.EncodeToString(sum[:4])
}

// sinkKeys are the keys of each type beside type, name, fields and batch; the
// first are required.
var sinkKeys = map[string]struct{ required, optional []string }{
	"fhir":   {[]string{"url"}, []string{"auth", "ca_file", "insecure_plain"}},
	"syslog": {[]string{"address"}, []string{"format", "ca_file", "cert_file", "key_file", "insecure_plain"}},
	"file":   {[]string{"path"}, nil},
	"jsonl":  {[]string{"path"}, nil},
	"otlp":   {[]string{"endpoint"}, []string{"auth", "ca_file", "insecure_plain"}},
	"nats":   {[]string{"url", "subject"}, []string{"token_file", "credentials_file", "ca_file", "cert_file", "key_file", "insecure_plain"}},
}

var sinkExamples = map[string]string{"url": "https://arr.example.org/fhir", "address": "tls://siem.example.org:6514",
	"path": "var/audit.jsonl", "endpoint": "https://otel.example.org:4318", "subject": "gatehouse.audit"}

var (
	sinkName    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	natsSubject = regexp.MustCompile(`^[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+)*$`)
)

// replicaName leaves room in a FHIR id, of 64 bytes, for record and part.
var replicaName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,31}$`)

func (l *loader) checkReplica(a *Audit) {
	if a.Replica != "" && !replicaName.MatchString(a.Replica) {
		l.report("audit.replica", "%q is no name; write at most 32 letters, digits, dots and dashes, such as gw-1", l.show("audit.replica", a.Replica))
	}
}

var organizationRef = regexp.MustCompile(`^Organization/[A-Za-z0-9.-]{1,64}$`)

func (l *loader) checkCustodians(a *Audit) {
	for i, o := range a.Custodians {
		key := index("audit.custodians", i)
		if !organizationRef.MatchString(o) {
			l.report(key, "%q is no organization; write it as tokens name theirs, Organization/1", l.show(key, o))
		}
	}
}

func (l *loader) checkSinks(a *Audit) {
	names := map[string]bool{}
	for i := range a.Sinks {
		s, key := &a.Sinks[i], index("audit.sinks", i)
		known, ok := sinkKeys[s.Type]
		if !ok || l.failed(key) {
			continue // said by its type
		}
		l.checkSinkKeys(key, s, known.required, known.optional)
		l.checkSinkPlace(key, s)
		if s.Fields == "" {
			s.Fields = "pseudonymous"
			if s.Type == "fhir" || s.Format == "atna" {
				s.Fields = "full"
			}
		}
		if s.Name != "" && !sinkName.MatchString(s.Name) {
			l.report(key+".name", "%q is no name; write letters, digits and dashes, such as siem", l.show(key+".name", s.Name))
		}
		if names[s.ID()] {
			l.report(key, "leads where another one does; remove it, or give it a name of its own")
		}
		names[s.ID()] = true
	}
}

func (l *loader) checkSinkKeys(key string, s *Sink, required, optional []string) {
	idle := map[string]bool{"auth": s.Auth.Type == "none", "insecure_plain": !s.InsecurePlain} // written as they would be anyway
	for _, name := range required {
		if !l.has(join(key, name)) {
			l.report(key, "needs %s; for example %s: %s", name, name, sinkExamples[name])
		}
	}
	for _, name := range []string{"url", "address", "format", "path", "endpoint", "subject", "auth", "token_file", "credentials_file", "ca_file", "cert_file", "key_file", "insecure_plain"} {
		if l.has(join(key, name)) && !slices.Contains(required, name) && !slices.Contains(optional, name) && !idle[name] {
			l.report(join(key, name), "has no effect with type: %s; remove it", s.Type)
		}
	}
	if l.has(key+".cert_file") != l.has(key+".key_file") {
		l.report(key, "needs cert_file and key_file together")
	}
}

func (l *loader) checkSinkPlace(key string, s *Sink) {
	switch s.Type {
	case "file", "jsonl":
		if s.Path != "" {
			s.Path = l.absolute(s.Path)
		}
	case "fhir":
		s.Parsed = l.checkURL(key+".url", s.URL)
		l.checkSinkHTTP(key, "url", s)
	case "otlp":
		s.Parsed = l.checkEndpoint(key+".endpoint", s.Endpoint)
		l.checkSinkHTTP(key, "endpoint", s)
	case "syslog":
		s.Parsed = l.checkSinkAddress(key+".address", s.Address, "tls", "tcp", s.InsecurePlain)
	case "nats":
		s.Parsed = l.checkSinkAddress(key+".url", s.URL, "tls", "nats", s.InsecurePlain)
		if s.Subject != "" && !natsSubject.MatchString(s.Subject) {
			l.report(key+".subject", "%q is no subject; write names with dots between them, such as gatehouse.audit", l.show(key+".subject", s.Subject))
		}
	}
}

func (l *loader) checkSinkHTTP(key, name string, s *Sink) {
	if s.Parsed == nil {
		return
	}
	if s.Parsed.Scheme == "http" && !s.InsecurePlain && !loopback(s.Parsed.Hostname()) {
		l.report(join(key, name), "is plain http to another machine; write https")
	}
	l.checkUpstreamAuth(key+".auth", &s.Auth, s.InsecurePlain)
	if s.Auth.Type == "mtls" && s.Parsed.Scheme != "https" {
		l.report(key+".auth.type", "mtls needs an https %s", name)
	}
}

// checkSinkAddress checks scheme://host:port.
func (l *loader) checkSinkAddress(key, text, secure, plain string, insecure bool) *url.URL {
	if text == "" || l.failed(key) {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != secure && u.Scheme != plain || u.Hostname() == "" || u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		l.report(key, "is no address; write %s://host:port", secure)
		return nil
	case u.User != nil:
		l.report(key, "holds credentials; name them by their own keys, in files")
		return nil
	case u.Scheme == plain && !insecure && !loopback(u.Hostname()):
		l.report(key, "is unprotected to another machine; write %s://", secure)
	}
	return u
}
