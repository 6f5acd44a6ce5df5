package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/demo"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/scenario"
)

// trial says which policy is tested, and how much of it must be.
type trial struct {
	config          string
	data, scenarios []string
	least           int
	json            bool
}

func policyTest() *cobra.Command {
	var t trial
	coverage := false
	c := t.flags(&cobra.Command{
		Use:   "test [DIR | -c FILE]",
		Short: "Run the tests and scenarios beside the rules",
		Long: `Runs the *_test.rego and the scenarios (scenarios/*.yaml) of a policy directory, or
with -c those of the policy that a configuration names (policy.dir and
policy.data), and lists the rules that held in none. With neither, the policies
inside this binary are tested, and not those that a configuration names. A table
of --data takes the place of one with the same key, as in policy.data: tests are
then held to your table.

The policy is loaded as serve loads it, so that what serve would refuse fails
here with its file and line. opa test runs the same *_test.rego; here they have
no built-in that the gateway lacks. A scenario says who asks what of which
records, and what must come of it; a gateway inside the process answers it, with
the clients, views and consent rules of -c (docs/policies.md).`,
		Example: `  gatehouse policy test
  gatehouse policy test -c gatehouse.yaml
  gatehouse policy test policies/ --data tables/roles.yaml
  gatehouse policy test policies/ --coverage --min 80`,
		Args: cobra.MaximumNArgs(1),
	})
	c.Flags().BoolVar(&coverage, "coverage", false, "tell what was tried and what was not, as policy coverage does")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !coverage && (t.least > 0 || t.json) {
			return errors.New("--min and --json are about coverage: add --coverage")
		}
		covered, failed, err := t.run(c, args, true)
		if err != nil {
			return err
		}
		if coverage {
			return errors.Join(failed, t.tell(c.OutOrStdout(), covered))
		}
		printUnseen(c.OutOrStdout(), covered)
		return failed
	}
	return c
}

func policyCoverage() *cobra.Command {
	var t trial
	c := t.flags(&cobra.Command{
		Use:   "coverage [DIR | -c FILE]",
		Short: "Tell which rules, rows and cells of the role table no test has tried",
		Long: `Runs the tests and scenarios as policy test does, and tells what they have tried:

  rules   the permit, forbid and oblige rules that held
  rows    the rows of tables, by their reasons, that held
  cells   role × type × action, where the role table allows something: those in
          which something was decided, for or against

and lists what they have not. With --min N each of the three must reach N percent,
or the exit code is 1.`,
		Example: `  gatehouse policy coverage
  gatehouse policy coverage -c gatehouse.yaml --min 80 --json`,
		Args: cobra.MaximumNArgs(1),
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		covered, failed, err := t.run(c, args, false)
		if err != nil {
			return err
		}
		return errors.Join(failed, t.tell(c.OutOrStdout(), covered))
	}
	return c
}

func (t *trial) flags(c *cobra.Command) *cobra.Command {
	c.Flags().StringVarP(&t.config, "config", "c", "", "configuration `FILE` whose policy is tested")
	c.Flags().StringArrayVar(&t.data, "data", nil, "table `FILE` or pattern, as in policy.data; may be repeated")
	c.Flags().StringArrayVar(&t.scenarios, "scenarios", nil, "scenario `FILE` or pattern in place of the directory's; may be repeated")
	c.Flags().IntVar(&t.least, "min", 0, "`PERCENT` of rules, rows and cells that must be covered, each")
	c.Flags().BoolVar(&t.json, "json", false, "write the coverage as JSON")
	return c
}

func (t *trial) policy(args []string) (policy.Options, error) {
	o := policy.Options{Data: t.data}
	switch {
	case t.config != "" && (len(args) == 1 || len(t.data) > 0):
		return o, errors.New("-c names the directory and the tables: leave out DIR and --data")
	case t.config != "":
		cfg, problems := config.Load(t.config)
		if err := problems.Err(); err != nil {
			return o, err
		}
		return gateway.LivePolicy(cfg)
	case len(args) == 1:
		o.Dir = args[0]
	}
	return o, nil
}

// run runs tests and scenarios. What failed is printed; err is why they could
// not be run.
func (t *trial) run(c *cobra.Command, args []string, sum bool) (covered policy.Covering, failed, err error) {
	o, err := t.policy(args)
	if err != nil {
		return covered, nil, err
	}
	out := c.OutOrStdout()
	if t.json {
		out = c.ErrOrStderr()
	}
	r, err := t.try(c.Context(), out, o)
	if err != nil {
		return covered, nil, err
	}
	if sum {
		fmt.Fprintf(out, "%d of %d tests and scenarios passed; %d rules held in none\n", r.passed, r.passed+r.failed+r.foreign, unseen(r.covered))
	}
	return r.covered, r.verdict(), nil
}

// tried is what became of the tests and scenarios of a policy.
type tried struct {
	covered policy.Covering
	passed  int
	failed  int
	foreign int // of what ships, which do not hold with other tables or another configuration
}

func (r *tried) verdict() error {
	switch {
	case r.failed > 0:
		return errors.New("tests failed")
	case r.passed+r.foreign == 0:
		return errors.New("there are no tests: write rules named test_… in files named *_test.rego, or scenarios in scenarios/*.yaml")
	}
	return nil
}

// try runs the tests and scenarios of a policy and prints what failed; err is why
// they could not be run.
func (t *trial) try(ctx context.Context, out io.Writer, o policy.Options) (*tried, error) {
	coverage, err := policy.NewCoverage(o)
	if err != nil {
		return nil, err
	}
	tests, err := coverage.Test(ctx, o)
	if err != nil {
		return nil, err
	}
	played, err := scenario.Play(ctx, scenario.Options{Policy: o, Files: t.scenarios, Config: t.config, Coverage: coverage,
		Serve: func(base string) (scenario.Server, error) { return demo.NewStore(base) }})
	if err != nil {
		return nil, err
	}
	r := &tried{covered: coverage.Covering()}
	others := o.Dir == "" && o.Files == nil && (len(o.Data) > 0 || t.config != "") // what ships is tried with what does not
	if others {
		r.foreign += printForeign(out, tests, nil)
	} else {
		r.failed += printTests(out, tests)
	}
	if others && len(t.scenarios) == 0 {
		r.foreign += printForeign(out, nil, played)
	} else {
		r.failed += printScenarios(out, played)
	}
	if r.foreign > 0 {
		fmt.Fprintf(out, "%d tests of what ships speak of the shipped tables and rules of consent; yours say otherwise there. Write scenarios for yours: --scenarios, or policy init\n", r.foreign)
	}
	r.passed = len(tests) + len(played) - r.failed - r.foreign
	return r, nil
}

// printForeign names the shipped tests that do not hold with tables or a
// configuration that do not ship: they were written for what does.
func printForeign(out io.Writer, tests []policy.Tested, played []scenario.Result) (n int) {
	for _, r := range tests {
		if r.Why != "" {
			n++
			fmt.Fprintf(out, "%s:%d: %s: not so with yours\n", r.File, r.Line, r.Name)
		}
	}
	for _, r := range played {
		if len(r.Wrong) > 0 {
			n++
			fmt.Fprintf(out, "%s:%d: %s: not so with yours\n", r.File, r.Line, r.Name)
		}
	}
	return n
}

func printTests(out io.Writer, results []policy.Tested) (failed int) {
	for _, r := range results {
		if r.Why != "" {
			failed++
			fmt.Fprintf(out, "%s:%d: %s: %s\n", r.File, r.Line, r.Name, r.Why)
		}
	}
	return failed
}

func printScenarios(out io.Writer, results []scenario.Result) (failed int) {
	for _, r := range results {
		if len(r.Wrong) == 0 {
			continue
		}
		failed++
		fmt.Fprintf(out, "%s:%d: %s\n", r.File, r.Line, r.Name)
		for _, d := range r.Wrong {
			fmt.Fprintf(out, "  line %d, %s\n    got  %s\n    want %s\n", d.Line, d.What, d.Got, d.Want)
		}
	}
	return failed
}

func unseen(c policy.Covering) (n int) {
	for _, r := range c.Rules {
		if !r.Held {
			n++
		}
	}
	return n
}

func printUnseen(out io.Writer, c policy.Covering) {
	for _, r := range c.Rules {
		if !r.Held {
			fmt.Fprintf(out, "%s:%d: no test in which this %s rule holds %s\n", r.File, r.Line, r.Set, r.Reason)
		}
	}
}

// covering counts the rules and rows that held, and gives the percents of rules,
// rows and cells.
func covering(c policy.Covering) (rules, rows int, percent map[string]int) {
	rules = len(c.Rules) - unseen(c)
	for _, r := range c.Rows {
		if r.Held {
			rows++
		}
	}
	return rules, rows, map[string]int{"rules": share(rules, len(c.Rules)), "rows": share(rows, len(c.Rows)), "cells": share(c.Cells-len(c.Untested), c.Cells)}
}

// tell prints the coverage, and fails where it is less than is asked for.
func (t *trial) tell(out io.Writer, c policy.Covering) error {
	rules, rows, percent := covering(c)
	if t.json {
		if err := writeJSON(out, struct {
			policy.Covering
			Percent map[string]int `json:"percent"`
		}{c, percent}); err != nil {
			return err
		}
	} else {
		printUnseen(out, c)
		for _, r := range c.Rows {
			if !r.Held {
				fmt.Fprintf(out, "%s:%d: no test in which this row of %s holds: %s\n", r.File, r.Line, r.Set, r.Reason)
			}
		}
		printCells(out, c.Untested)
		fmt.Fprintf(out, "rules %d of %d (%d%%), rows %d of %d (%d%%), cells %d of %d (%d%%)\n",
			rules, len(c.Rules), percent["rules"], rows, len(c.Rows), percent["rows"], c.Cells-len(c.Untested), c.Cells, percent["cells"])
	}
	var short []string
	for _, what := range []string{"rules", "rows", "cells"} {
		if percent[what] < t.least {
			short = append(short, fmt.Sprintf("%d%% of %s", percent[what], what))
		}
	}
	if len(short) > 0 {
		return fmt.Errorf("covered are only %s: --min is %d", strings.Join(short, " and "), t.least)
	}
	return nil
}

func share(n, of int) int {
	if of == 0 {
		return 100
	}
	return n * 100 / of
}

// printCells prints the cells of one role and action on one line.
func printCells(out io.Writer, cells []policy.Cell) {
	byRow := map[[2]string][]string{}
	var order [][2]string
	for _, c := range cells {
		key := [2]string{c.Role, c.Action}
		if byRow[key] == nil {
			order = append(order, key)
		}
		byRow[key] = append(byRow[key], c.Type)
	}
	slices.SortFunc(order, func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	for _, key := range order {
		fmt.Fprintf(out, "untested: %s, %s: %s\n", key[0], key[1], strings.Join(byRow[key], ", "))
	}
}
