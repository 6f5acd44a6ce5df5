package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/policy"
)

func policyDiff() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Tell what one policy changes against another",
		Long: `Compares two policies in their words, rule by rule and row by row, and in what
they decide: for everybody that a table or rule names (roles, clients, a
patient's app), every resource type and every action, in representative cases:
whose record it is, in whose care, labelled how, for which purpose.

A and B are each a directory of rules and tables, a directory of tables alone
(laid over the shipped ones), "shipped", or "live": what the configuration of -c
names.`,
		Example: `  gatehouse policy diff shipped policies
  gatehouse policy diff live candidate -c gatehouse.yaml`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			var sides [2]policy.Options
			for i, name := range args {
				var err error
				if sides[i], err = policyNamed(name, file); err != nil {
					return err
				}
			}
			d, err := policy.Diff(c.Context(), sides[0], sides[1])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), d)
			}
			printDiff(c.OutOrStdout(), d)
			return nil
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "configuration `FILE` that \"live\" stands for")
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON instead of words")
	return c
}

// policyNamed is the policy of a name; file is the configuration behind "live".
func policyNamed(name, file string) (policy.Options, error) {
	if name != "live" {
		return policy.Named(name)
	}
	if file == "" {
		return policy.Options{}, fmt.Errorf("live is the policy of a configuration: name it with -c FILE")
	}
	cfg, problems := config.Load(file)
	if err := problems.Err(); err != nil {
		return policy.Options{}, err
	}
	return gateway.LivePolicy(cfg)
}

var marks = map[string]string{policy.Added: "+", policy.Removed: "-", policy.Changed: "~"}

func printDiff(out io.Writer, d *policy.Difference) {
	fmt.Fprintf(out, "from %s to %s\n", d.From, d.To)
	for _, r := range d.Rules {
		what := r.Set + " " + r.Reason
		if r.Set == "" {
			what = "helper " + r.Reason
		}
		fmt.Fprintf(out, "%s rule %s (%s)\n", marks[r.Change], what, r.Place)
		if r.Change == policy.Changed {
			printLines(out, "  -   ", r.Before)
			printLines(out, "  +   ", r.After)
		}
	}
	for _, t := range d.Tables {
		fmt.Fprintf(out, "%s table %s\n", marks[t.Change], t.Path)
		printLines(out, "  -   ", string(t.Before))
		printLines(out, "  +   ", string(t.After))
	}
	for _, c := range d.Cells {
		what := fmt.Sprintf("%s: %s %s", c.Who, strings.Join(c.Actions, ", "), someOf(c.Types))
		printCases(out, "+ now allowed  ", what, c.Allowed)
		printCases(out, "- now denied   ", what, c.Denied)
		printCases(out, "~ now obliged otherwise ", what, c.Obliged)
	}
	if len(d.Rules)+len(d.Tables)+len(d.Cells) == 0 {
		fmt.Fprintln(out, "nothing differs")
		return
	}
	fmt.Fprintf(out, "%d cells of who, type and action compared; %s\n", d.Asked, changedCells(d))
}

func changedCells(d *policy.Difference) string {
	n := 0
	for _, c := range d.Cells {
		n += len(c.Types) * len(c.Actions)
	}
	if n == 0 {
		return "none is decided otherwise in a representative case"
	}
	return fmt.Sprintf("%d decided otherwise", n)
}

func printLines(out io.Writer, mark, text string) {
	if text == "" {
		return
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(out, "%s%s\n", mark, strings.TrimSuffix(line, "\n"))
	}
}

func printCases(out io.Writer, verb, what string, cases []string) {
	if len(cases) == 0 {
		return
	}
	const few = 4
	fmt.Fprintf(out, "%s%s\n", verb, what)
	for _, c := range cases[:min(few, len(cases))] {
		fmt.Fprintf(out, "      %s\n", c)
	}
	if len(cases) > few {
		fmt.Fprintf(out, "      and %d more cases, which --json lists\n", len(cases)-few)
	}
}

// someOf names a few of many types.
func someOf(types []string) string {
	const few = 6
	if len(types) <= few {
		return strings.Join(types, ", ")
	}
	return fmt.Sprintf("%s and %d more types", strings.Join(types[:few], ", "), len(types)-few)
}
