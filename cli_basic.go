package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

func keys() *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "Make the keys that a configuration names"}
	group.AddCommand(&cobra.Command{
		Use:   "new FILE",
		Short: "Make a key file",
		Long: `Makes a key of 32 random bytes for any use: sealing, pseudonyms, state, audit
and audit signing, each with a file of its own. The file is readable by its
owner alone, and a file that is there already is never overwritten.

Back up the keys of pseudonyms and audit: without them the pseudonyms that were
given out lead nowhere, and nobody can read the records.`,
		Example: "  gatehouse keys new keys/sealing.key",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return config.NewKey(args[0]) },
	})
	return group
}

func version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print what this binary was built from",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			printVersion(c.OutOrStdout())
			return nil
		},
	}
}

func printVersion(out io.Writer) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		fmt.Fprintln(out, "gatehouse, built without module support")
		return
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	revision := set["vcs.revision"]
	if revision == "" {
		revision = "unknown revision"
	}
	if set["vcs.modified"] == "true" {
		revision += " (modified)"
	}
	fmt.Fprintf(out, "gatehouse %s %s %s/%s %s\n", info.Main.Version, info.GoVersion, set["GOOS"], set["GOARCH"], revision)
}
