package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

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
