package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/proposal"
)

// changeCommands are change control of policies.
func changeCommands() []*cobra.Command {
	return []*cobra.Command{policyPropose(), policyChanges(), policyShow(), policyApprove(), policyReject(), policyActivate(), policyRollback()}
}

// changing are the flags of a command that takes a step of a change.
type changing struct{ desk }

func (s *changing) on(c *cobra.Command, f func(*gateway.PolicyDesk, proposal.Person) error) error {
	return s.as(c, "compliance", func(cfg *config.Config, who proposal.Person) error {
		return gateway.OnChanges(cfg, func(d *gateway.PolicyDesk) error { return f(d, who) })
	})
}

// proposing are the flags of policy propose.
type proposing struct {
	changing
	candidate, title, reason string
	since                    config.Duration
}

func policyPropose() *cobra.Command {
	p := proposing{since: config.Duration(30 * 24 * time.Hour)}
	c := p.flags(&cobra.Command{
		Use:   "propose -c FILE",
		Short: "Propose a policy, with what it changes, for somebody else's approval",
		Long: `Makes a change record of a policy: its files, what it changes against the policy in
force (policy diff), its tests and coverage, and what it would have decided in the
past (policy replay). A policy whose tests fail is not proposed. The record is
signed, and each step is in the audit trail.

The candidate is as for policy diff; left out, it is what policy.dir and policy.data
name. Somebody else approves it, and activates it: policy approve, policy activate.
With policy.change_control: required the gateway decides by activated changes alone.

Who is who: where the configuration has admin_auth, a token with the role compliance
(--token-file); else the account of the system.`,
		Example: "  gatehouse policy propose -c gatehouse.yaml --candidate policies --title 'nurses of ward 3' --reason 'decided on 12 May'",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return p.run(c) },
	})
	c.Flags().StringVar(&p.candidate, "candidate", "", "`DIR` of the policy; left out: what the configuration names")
	c.Flags().StringVar(&p.title, "title", "", "`TEXT` in one line; left out: what changes")
	c.Flags().StringVar(&p.reason, "reason", "", "`TEXT` for who approves and for the audit trail")
	c.Flags().Var(&p.since, "since", "how far back past decisions are replayed")
	return c
}

func (p *proposing) run(c *cobra.Command) error {
	cfg, problems := config.Load(p.path)
	if err := problems.Err(); err != nil {
		return err
	}
	who, err := p.who(c.Context(), cfg, "compliance")
	if err != nil {
		return err
	}
	o := policy.Options{Dir: cfg.Policy.Dir, Data: cfg.Policy.Data}
	if p.candidate != "" {
		if o, err = policyNamed(p.candidate, p.path); err != nil {
			return err
		}
	}
	o.ACROrder = cfg.ACROrder
	return gateway.OnChanges(cfg, func(d *gateway.PolicyDesk) error {
		draft, err := p.draft(c, cfg, d, o)
		if err != nil {
			return err
		}
		change, err := d.Propose(c.Context(), who, *draft)
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		fmt.Fprintf(out, "change %s\n", change.ID)
		printSummary(out, change.Summary)
		fmt.Fprintf(out, `Somebody else reads, approves and activates it:
  gatehouse policy show -c %[1]s %[2]s
  gatehouse policy approve -c %[1]s %[2]s
  gatehouse policy activate -c %[1]s %[2]s
`, p.path, change.ID)
		return nil
	})
}

// draft finds out what there is to know of a candidate.
func (p *proposing) draft(c *cobra.Command, cfg *config.Config, d *gateway.PolicyDesk, o policy.Options) (*gateway.Draft, error) {
	files, err := policy.Collect(o)
	if err != nil {
		return nil, err
	}
	draft := &gateway.Draft{Title: p.title, Reason: p.reason, Files: files}
	if draft.Evidence.Tests, err = tested(c.Context(), c.OutOrStdout(), o); err != nil {
		return nil, err
	}
	base, inForce, err := d.InForce(c.Context())
	if err != nil {
		return nil, err
	}
	if draft.Evidence.Diff, err = policy.Diff(c.Context(), base, o); err != nil {
		return nil, err
	}
	if same(draft.Evidence.Diff) && inForce.Change != "" {
		return nil, errors.New("nothing differs from the policy in force")
	}
	since := time.Now().Add(-time.Duration(p.since)).UTC().Truncate(time.Second)
	draft.Evidence.Replay, draft.Evidence.NoReplay, err = replayed(c, cfg, o, since)
	if err != nil {
		return nil, err
	}
	after, err := policy.Collect(o)
	if err != nil {
		return nil, err
	}
	if proposal.DigestOf(proposal.Sums(after)) != proposal.DigestOf(proposal.Sums(files)) {
		return nil, errors.New("the candidate was edited while it was tested; propose it again")
	}
	draft.Summary = summary(&draft.Evidence)
	if draft.Title == "" {
		draft.Title = draft.Summary[0]
	}
	return draft, nil
}

func same(d *policy.Difference) bool { return len(d.Rules)+len(d.Tables)+len(d.Cells) == 0 }

func tested(ctx context.Context, out io.Writer, o policy.Options) (gateway.TestReport, error) {
	var report gateway.TestReport
	r, err := (&trial{}).try(ctx, out, o)
	if err == nil {
		err = r.verdict()
	}
	if err != nil {
		return report, fmt.Errorf("not proposed: %w", err)
	}
	report.Passed, report.Foreign = r.passed, r.foreign
	_, _, report.Covered = covering(r.covered)
	for _, row := range r.covered.Rows {
		if !row.Held {
			report.Untested = append(report.Untested, row.Set+": "+row.Reason)
		}
	}
	for _, rule := range r.covered.Rules {
		if !rule.Held {
			report.Untested = append(report.Untested, rule.Set+" "+rule.Reason)
		}
	}
	return report, nil
}

// replayed asks the candidate what the past was decided by. A gateway that has
// never served has no past.
func replayed(c *cobra.Command, cfg *config.Config, o policy.Options, since time.Time) (*gateway.Replay, string, error) {
	if cfg.Policy.Replay == "off" {
		return nil, "policy.replay is off", nil
	}
	r, err := gateway.ReplayPast(c.Context(), cfg, gateway.ReplayOptions{Candidate: o, Since: since, Progress: progressTo(c.ErrOrStderr())})
	if errors.Is(err, gateway.ErrNoPast) {
		return nil, "there is no audit trail yet", nil
	}
	return r, "", err
}

// summary is the evidence in words.
func summary(e *gateway.Evidence) []string {
	cells := 0
	for _, c := range e.Diff.Cells {
		cells += len(c.Types) * len(c.Actions)
	}
	t := e.Tests
	all := []string{
		fmt.Sprintf("%d rules and %d rows of tables differ; %d of %d cells of who, type and action are decided otherwise", len(e.Diff.Rules), len(e.Diff.Tables), cells, e.Diff.Asked),
		fmt.Sprintf("%d tests and scenarios passed; covered: rules %d%%, rows %d%%, cells %d%%", t.Passed, t.Covered["rules"], t.Covered["rows"], t.Covered["cells"]),
	}
	if t.Foreign > 0 {
		all = append(all, fmt.Sprintf("%d tests of what ships speak of other tables", t.Foreign))
	}
	if e.Replay == nil {
		return append(all, "nothing was replayed: "+e.NoReplay)
	}
	r, missed := e.Replay, int64(0)
	for _, gap := range r.Unknown {
		missed += gap.Count
	}
	return append(all, fmt.Sprintf("since %s: of %d past decisions %d newly allowed, %d newly denied, %d newly looked at; %d not replayed",
		r.Since.Format(time.DateOnly), r.Decisions, r.Allowed, r.Denied, r.Looked, missed))
}

func printSummary(out io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(out, "  %s\n", line)
	}
}
