// Command gatehouse is a security gateway for FHIR servers. See `gatehouse
// help` and README.md.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	noCore()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitFailed = 1 // the command ran and says no, or could not finish
	exitUsage  = 2 // the command line was not understood; nothing was done
)

func run(args []string, in io.Reader, out, errs io.Writer) int {
	started := false
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "A security gateway in front of a FHIR server",
		Long: `Gatehouse stands in front of a FHIR server and decides, for every interaction
and every resource, who may see or change what, in which form, and records it.

A first look, with nothing else installed:     gatehouse demo
Your own server, from a file of twenty lines:  gatehouse check -c FILE
                                               gatehouse serve -c FILE

Commands exit with 0 when all is well, 1 when the answer is no or the work
could not be done, and 2 when the command line was not understood.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(commands()...)
	strict(root)
	onStart(root, func() { started = true })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	command, err := root.ExecuteC()
	switch {
	case err == nil:
		return 0
	case started:
		fmt.Fprintln(errs, err)
		return exitFailed
	}
	fmt.Fprintf(errs, "%v\nSee: %s --help\n", err, command.CommandPath())
	return exitUsage
}

// onStart has f called when a command begins its work: its command line was
// understood then. Cobra's own hooks run before it has looked at every flag.
func onStart(c *cobra.Command, f func()) {
	if work := c.RunE; work != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			f()
			return work(c, args)
		}
	}
	for _, child := range c.Commands() {
		onStart(child, f)
	}
}

// strict has the groups of commands refuse a word that is none of theirs:
// Cobra would print the group's help and call that a success, and a script with
// a misspelled command would go on.
func strict(c *cobra.Command) {
	for _, child := range c.Commands() {
		strict(child)
	}
	if c.Runnable() || !c.HasParent() {
		return
	}
	c.SuggestionsMinimumDistance = 2
	c.Run = func(c *cobra.Command, _ []string) { _ = c.Help() } // to the screen: nothing is to be done about an error
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + near[0] + "?"
		}
		return errors.New(text)
	}
}

// configFlag adds -c to a command that works on a configuration.
func configFlag(c *cobra.Command, path *string) *cobra.Command {
	c.Flags().StringVarP(path, "config", "c", "gatehouse.yaml", "configuration `FILE`")
	return c
}
