package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/auth"
	doctors "gatehouse/gateway/doctor"
	"gatehouse/gateway/upstream"
)

func check() *cobra.Command {
	var path string
	return configFlag(&cobra.Command{
		Use:   "check",
		Short: "Print every problem of a configuration",
		Long: `Reads a configuration as serve does, with its keys, certificates, views and
policies, and prints every problem at once as FILE:LINE: key: what is wrong and
what to write instead; of a file with tenants, those of all of them and what they may
not share. Nothing is served and nothing is asked of the network.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return gateway.Check(path, c.OutOrStdout()) },
	}, &path)
}

func doctor() *cobra.Command {
	var path string
	var asJSON bool
	c := configFlag(&cobra.Command{
		Use:   "doctor",
		Short: "Ask the upstream and the issuers whether they can be used",
		Long: `Checks a configuration, then asks the upstream for its CapabilityStatement with
the credentials configured, and each issuer for its keys, and prints for each
whether that worked and why not. It tries how the upstream searches, pages and
versions, looks at ids, TLS, clocks and whether the server can be reached past
the gateway, and says what to set (docs/operations.md); --json prints that alone.
Then it reads the active Consents, up to some
thousands, and names those that are not understood, by what is wrong with them
(docs/consent.md) and by a hash: the first twelve hex digits of the SHA-256 of
Consent/ID.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return examineJSON(c.Context(), c.OutOrStdout(), path)
			}
			return examineAll(c.Context(), c.OutOrStdout(), path)
		},
	}, &path)
	c.Flags().BoolVar(&asJSON, "json", false, "print what was found out about the upstream as JSON")
	return c
}

// probed is how long all probes of the upstream may take.
const probed = 2 * time.Minute

// probe finds out how the upstream behaves.
func probe(ctx context.Context, cfg *config.Config) ([]doctors.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, probed)
	defer cancel()
	up, err := upstream.New(cfg.Upstream, cfg.Base, zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer up.Close()
	return doctors.Examine(ctx, cfg, up, time.Now), nil
}

func examineJSON(ctx context.Context, out io.Writer, path string) error {
	cfg, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		return err
	}
	found, err := probe(ctx, cfg)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(map[string]any{"upstream": cfg.Upstream.URL, "findings": found}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", b)
	return err
}

// patience is how long doctor waits for each answer.
const patience = 15 * time.Second

// examineAll examines a gateway, or each tenant of a process.
func examineAll(ctx context.Context, out io.Writer, path string) error {
	if !config.HasTenants(path) {
		return examine(ctx, out, path)
	}
	outer, problems := config.LoadOuter(path)
	if err := errors.Join(problems.Err(), gateway.Check(path, io.Discard)); err != nil {
		return err
	}
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(outer.Tenants)) {
		fmt.Fprintf(out, "tenant %s\n", name)
		if err := examine(ctx, out, outer.Tenants[name]); err != nil {
			failed = append(failed, fmt.Errorf("tenant %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

func examine(ctx context.Context, out io.Writer, path string) error {
	if err := gateway.Check(path, out); err != nil {
		return err
	}
	cfg, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		return err
	}
	failed := false
	tell := func(what string, ask func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := ask(ctx); err != nil {
			failed = true
			fmt.Fprintf(out, "%s: %v\n", what, err)
			return
		}
		fmt.Fprintf(out, "%s: good\n", what)
	}
	tell("upstream "+cfg.Upstream.URL, func(ctx context.Context) error { return askUpstream(ctx, cfg) })
	for _, issuer := range cfg.Issuers {
		tell("issuer "+issuer.Issuer, func(ctx context.Context) error { return askIssuer(ctx, cfg, issuer) })
	}
	if !failed {
		found, err := probe(ctx, cfg)
		if err != nil {
			return err
		}
		for _, f := range found {
			fmt.Fprintf(out, "%s\n", f)
		}
	}
	if !failed && cfg.Consent.Source != "none" {
		tell("consents", func(ctx context.Context) error { return examineConsents(ctx, out, path) })
	}
	if failed {
		return errors.New("serve would start and refuse what depends on these")
	}
	return nil
}

// examineConsents says which Consents are not understood. They keep the gateway
// from nothing, and their patients perhaps from what they want.
func examineConsents(ctx context.Context, out io.Writer, path string) error {
	r, err := gateway.ExamineConsents(ctx, path)
	if err != nil || r == nil {
		return err
	}
	for _, line := range r.Lines() {
		fmt.Fprintf(out, "consents that permit nothing, or not all they say: %s\n", line)
	}
	more := ""
	if r.More {
		more = "; there are more, which were not read"
	}
	fmt.Fprintf(out, "consents: %d active ones were read%s\n", r.Read, more)
	return nil
}

func askUpstream(ctx context.Context, cfg *config.Config) error {
	up, err := upstream.New(cfg.Upstream, cfg.Base, zap.NewNop())
	if err != nil {
		return err
	}
	defer up.Close()
	answer, err := up.Own(ctx, upstream.Metadata, upstream.Request{Method: "GET", Target: "metadata"})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.Status != 200 {
		return fmt.Errorf("answers %d to GET metadata", answer.Status)
	}
	return nil
}

func askIssuer(ctx context.Context, cfg *config.Config, issuer config.Issuer) error {
	authenticator, err := auth.New([]config.Issuer{issuer}, auth.Options{PublicURL: cfg.Base})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	authenticator.Start(ctx)
	for {
		err := authenticator.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
