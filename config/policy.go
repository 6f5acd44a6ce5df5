package config

// Policy names the Rego that decides.
type Policy struct {
	// Replaces the shipped policies; left out: those.
	Dir string `yaml:"dir" path:"directory"`
	// Files (globs allowed) of YAML or JSON; each one's top keys stand under
	// `data`. After Load: the files that the globs matched, sorted.
	Data []string `yaml:"data"`
	// A signed OPA bundle instead of dir.
	Bundle *PolicyBundle `yaml:"bundle"`
	// required: the change that was activated last decides, which somebody other
	// than its author has approved (gatehouse policy propose); dir and data are then
	// read to be compared with it alone. off: dir and data decide.
	ChangeControl string `yaml:"change_control" default:"off" oneof:"off required"`
	// A candidate: a directory of rules and tables, or of tables alone, which are
	// laid over the shipped ones. It is asked after each answer what policy was
	// asked; its word is counted and changes nothing.
	Shadow string `yaml:"shadow" path:"directory"`
	// What the audit trail keeps beside each decision, so that another policy can
	// be asked the same later (policy replay): read, what the rules in force
	// read; all, every fact, also those that only another policy may read; off.
	Replay string `yaml:"replay" default:"read" oneof:"read all off"`
}

// PolicyBundle names where signed policy bundles come from: url or file, not
// both. An older one than was in force is refused, and one that does not load
// changes nothing.
type PolicyBundle struct {
	// https URL of a .tar.gz.
	URL string `yaml:"url"`
	// A .tar.gz, or a directory that holds an OCI image layout with it as layer.
	File string `yaml:"file" path:"exists"`
	// PEM: whose signature is believed.
	PublicKeyFile string `yaml:"public_key_file" required:"keys/policy-publisher.pem" path:"file"`
	// Of the signatures; left out: ES256, ES384, ES512 or RS256, as the key is.
	Algorithm string `yaml:"algorithm" oneof:"ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512"`
	// Bearer token for url.
	TokenFile string `yaml:"token_file" path:"secret"`
	// PEM certificates that url's is verified against; left out: the system's.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// How often the source is asked.
	Poll Duration `yaml:"poll" default:"1m"`
	// How long the source may be silent; then on_stale holds.
	MaxStaleness Duration `yaml:"max_staleness" default:"24h"`
	// deny: every request is refused; keep: the last good one stays, with an alarm.
	OnStale string `yaml:"on_stale" default:"deny" oneof:"deny keep"`
}

// checkPolicy checks what belongs together in policy.
func (l *loader) checkPolicy(p *Policy) {
	l.checkPolicyData(p)
	b := p.Bundle
	if b == nil {
		return
	}
	if p.ChangeControl == "required" {
		l.report("policy.change_control", "contradicts policy.bundle, whose publisher approves; keep one of them")
	}
	if p.Dir != "" {
		l.report("policy.bundle", "contradicts policy.dir; keep one of them")
	}
	if has := l.has("policy.bundle.url"); has == l.has("policy.bundle.file") {
		l.report("policy.bundle", "needs one source; write url: https://…, or file: …")
	}
	if u := l.checkEndpoint("policy.bundle.url", b.URL); u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		l.report("policy.bundle.url", "is plain http to another machine; write https")
	}
	if b.URL == "" {
		for _, key := range []string{"policy.bundle.token_file", "policy.bundle.ca_file"} {
			if l.has(key) {
				l.report(key, "is for url; remove it")
			}
		}
	}
}
