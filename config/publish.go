package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Publish is where checkpoints of the audit log go, so that whoever can write the
// log cannot also rewrite them.
type Publish struct {
	// file: a directory, a file for each checkpoint; syslog: a message for each;
	// s3: PUT to a bucket, signed; http: PUT with other credentials; witness: cosigned by a third party (C2SP
	// tlog-witness).
	Type string `yaml:"type" required:"file" oneof:"file syslog s3 http witness"`
	// file: the directory, on another machine or a disk that is written once.
	Path string `yaml:"path"`
	// syslog: tls://host:6514, or tcp:// on loopback.
	Address string `yaml:"address"`
	// s3, http: {size} in it is the number of records; witness: its submission prefix.
	URL string `yaml:"url"`
	// s3: of the bucket, "eu-central-1".
	Region string `yaml:"region"`
	// s3: id of the key that signs (AWS Signature Version 4), and the key.
	AccessKey     string `yaml:"access_key"`
	SecretKeyFile string `yaml:"secret_key_file" path:"secret"`
	// witness: its public key, NAME+HASH+KEY.
	PublicKey string `yaml:"public_key"`
	// http, witness: the gateway's own credentials there.
	Auth UpstreamAuth `yaml:"auth"`
	// PEM; trusted instead of the system's roots.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// How often, while records come.
	Every Duration `yaml:"every" default:"1m"`

	Parsed *url.URL `yaml:"-"` // url or address
}

// ID names the place by its type and a hash of where it is.
func (p *Publish) ID() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.URL, p.Address, p.Path}, "\x00")))
	return p.Type + "-" + hex.EncodeToString(sum[:4])
}

// Upstream is the server of the place.
func (p *Publish) Upstream() Upstream {
	return Upstream{URL: p.URL, Parsed: p.Parsed, Auth: p.Auth, CAFile: p.CAFile, MaxConnections: 2, Timeout: Duration(30 * time.Second)}
}

var publishKeys = map[string][]string{"file": {"path"}, "syslog": {"address"}, "s3": {"url", "region", "access_key", "secret_key_file"}, "http": {"url"}, "witness": {"url", "public_key"}}

var publishExamples = map[string]string{"path": "/mnt/worm/checkpoints", "address": "tls://log.example.org:6514",
	"url": "https://bucket.example.org/checkpoints/{size}", "public_key": "witness.example.org+1a2b3c4d+BA…",
	"region": "eu-central-1", "access_key": "AKIA…", "secret_key_file": "keys/bucket.secret"}

func (l *loader) checkPublish(a *Audit) {
	ids := map[string]bool{}
	for i := range a.Publish {
		p, key := &a.Publish[i], index("audit.publish", i)
		needs, ok := publishKeys[p.Type]
		if !ok || l.failed(key) {
			continue // said by its type
		}
		for _, name := range needs {
			if !l.has(join(key, name)) {
				l.report(key, "needs %s; for example %s: %s", name, name, publishExamples[name])
			}
		}
		for _, name := range []string{"path", "address", "url", "public_key", "region", "access_key", "secret_key_file"} {
			if l.has(join(key, name)) && !slices.Contains(needs, name) {
				l.report(join(key, name), "has no effect with type: %s; remove it", p.Type)
			}
		}
		l.checkPublishPlace(key, p)
		if ids[p.ID()] {
			l.report(key, "leads where another one does; remove it")
		}
		ids[p.ID()] = true
	}
}

func (l *loader) checkPublishPlace(key string, p *Publish) {
	switch p.Type {
	case "file":
		if p.Path != "" {
			p.Path = l.absolute(p.Path)
		}
	case "syslog":
		p.Parsed = l.checkSinkAddress(key+".address", p.Address, "tls", "tcp", false)
	default:
		p.Parsed = l.checkEndpoint(key+".url", strings.ReplaceAll(p.URL, "{size}", "0"))
		if p.Parsed != nil && p.Parsed.Scheme == "http" && !loopback(p.Parsed.Hostname()) {
			l.report(key+".url", "is plain http to another machine; write https")
		}
		l.checkUpstreamAuth(key+".auth", &p.Auth, false)
	}
}
