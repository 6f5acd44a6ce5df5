package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/limit"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/view"
)

// Check reads a configuration as Serve does, with its keys, policies and
// views, and writes what an operator should know of it. Nothing is served, and
// nothing is asked of the network. The error names every problem.
func Check(path string, out io.Writer) error {
	if config.HasTenants(path) {
		return checkTenants(path, out)
	}
	cfg, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		return err
	}
	return checkOne(path, cfg, out)
}

func checkOne(path string, cfg *config.Config, out io.Writer) error {
	s := &snapshot{cfg: cfg, stores: &stores{opened: view.MemoryVault(), offline: true}}
	s.grammar.Version = configured(cfg)
	limiter, limits := limit.New(cfg.Limits, limit.Options{})
	if limits == nil {
		defer limiter.Close()
	}
	absent := s.loadOffline()
	if errors.Is(absent, errNoBundle) || errors.Is(absent, errNoneActivated) {
		s.policy, _ = policy.Load(policy.Options{}) // to look at the rest by
	}
	err := errors.Join(limits, offered(cfg), s.buildKeys(nil), s.buildPolicy(nil), s.buildViews(nil), s.buildAuth(nil))
	if err != nil {
		return err
	}
	var notes []string
	if absent != nil {
		notes = append(notes, absent.Error())
	}
	for _, option := range weakened(cfg) {
		notes = append(notes, "weakens security: "+option)
	}
	if s.policy.NeedsContent() {
		notes = append(notes, "a rule reads input.resource.content, so every resource is handed to policy whole, which is slow")
	}
	for _, note := range notes {
		fmt.Fprintf(out, "%s: %s\n", path, note)
	}
	fmt.Fprintf(out, "%s: good (config %s, policy %s)\n", path, cfg.Hash, s.policy.Revision())
	return nil
}

// configured is the FHIR release that the configuration names; without one the
// upstream says it at start, and what can be checked before is checked by R4.
func configured(cfg *config.Config) fhir.Version {
	v, _ := fhir.ParseVersion(cfg.Upstream.FHIRVersion) // config has refused other names
	return v
}

// offered refuses what a configuration may say, and a gateway cannot do.
func offered(cfg *config.Config) error {
	var problems []error
	for i, name := range cfg.Operations.Allow {
		if served := fhir.Operations(); !slices.Contains(served, name) {
			problems = append(problems, fmt.Errorf("operations.allow[%d]: %s is an operation that nobody here could judge; remove it (these are served: %s)",
				i, name, strings.Join(served, ", ")))
		}
	}
	return errors.Join(problems...)
}

// sharedKeys names keys of two uses: whoever is given one of them, an auditor
// perhaps, holds the other as well.
func sharedKeys(cfg *config.Config) []string {
	var seen []namedKey
	var shared []string
	for _, k := range keysOf(cfg) {
		at := slices.IndexFunc(seen, func(s namedKey) bool { return s.name != k.name && bytes.Equal(s.key, k.key) })
		if at >= 0 {
			shared = append(shared, k.name+" is the same key as "+seen[at].name+"; make one of its own: gatehouse keys new FILE")
		}
		seen = append(seen, k)
	}
	return slices.Compact(shared)
}

// namedKey is a key of a configuration, and the key in the file that names it.
type namedKey struct {
	name string
	key  []byte
}

// keysOf are all keys of a configuration that can be read; what cannot is said where
// it is used.
func keysOf(cfg *config.Config) (all []namedKey) {
	for _, k := range []struct {
		name   string
		source config.KeySource
	}{
		{"sealing.key_file", cfg.Sealing}, {"audit.key_file", cfg.Audit.Key()}, {"audit.signing_key_file", cfg.Audit.Signing()},
		{"pseudonyms.key_file", cfg.Pseudonyms.Key()}, {"state.key_file", cfg.State.Key()},
	} {
		if !k.source.Named() {
			continue
		}
		keys, err := k.source.Read()
		if err != nil {
			continue
		}
		for _, key := range keys.Epochs {
			all = append(all, namedKey{k.name, key})
		}
	}
	return all
}

// weakened says what the configuration gives up of the gateway's
// protection: for check, the log at start and /readyz.
func weakened(cfg *config.Config) []string {
	var all []string
	switch {
	case cfg.Consent.Source == "none":
		all = append(all, "consent.source none: consents are not consulted, and nobody's refusal is kept")
	case cfg.Consent.Default == "permit":
		all = append(all, "consent.default permit: patients without consent are shown")
	}
	return append(append(all, sharedKeys(cfg)...), cfg.Insecure()...)
}
