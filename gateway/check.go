package gateway

import (
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/limit"
	"gatehouse/gateway/view"
)

// Check reads a configuration as Serve does, with its keys, policies and
// views, and writes what an operator should know of it. Nothing is served, and
// nothing is asked of the network. The error names every problem.
func Check(path string, out io.Writer) error {
	cfg, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		return err
	}
	s := &snapshot{cfg: cfg, stores: &stores{opened: view.MemoryVault()}}
	s.grammar.Version = fhir.R4
	if err := errors.Join(s.buildKeys(nil), s.buildPolicy(nil), s.buildViews(nil), s.buildAuth(nil)); err != nil {
		return err
	}
	if _, err := limit.New(cfg.Limits, time.Now); err != nil {
		return err
	}
	for _, name := range cfg.Insecure() {
		fmt.Fprintf(out, "%s: %s weakens security\n", path, name)
	}
	if s.policy.NeedsContent() {
		fmt.Fprintf(out, "%s: a rule reads input.resource.content, so every resource is handed to policy whole, which is slow\n", path)
	}
	fmt.Fprintf(out, "%s: good (config %s, policy %s)\n", path, cfg.Hash, s.policy.Revision())
	return nil
}
