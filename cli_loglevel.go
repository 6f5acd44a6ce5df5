package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
)

func logLevelCommand() *cobra.Command {
	var path string
	l := &gateway.LogLevel{By: whoami()}
	last := config.Duration(10 * time.Minute)
	c := configFlag(&cobra.Command{
		Use:   "log-level",
		Short: "Log more, or less, of one route for some minutes",
		Long: `Sets how much a running gateway logs of the requests of one route, within two seconds
and on every replica that shares the state store. It is over by itself. A route is a
method and a resource type: "GET /Observation", "POST /" for batches and what has no
type, "* *" for all.

At debug each request has a second line, "request in detail": its steps with their
times, the names of its parameters, how much was released and withheld, and how often
the upstream was asked. Ids, values, paths and reasons are in no line of the log. At
warn and error the lines of what went well are left out. The audit trail is the same at
each level, and tells who set one.`,
		Example: `  gatehouse log-level --route 'GET /Observation' --level debug --for 10m -c gatehouse.yaml --reason 'slow since noon'
  gatehouse log-level list -c gatehouse.yaml
  gatehouse log-level reset --route 'GET /Observation' -c gatehouse.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error { return gateway.SetLogLevel(c.Context(), cfg, l, time.Duration(last)) })
		},
	}, &path)
	c.Flags().StringVar(&l.Route, "route", "", "`ROUTE`, such as 'GET /Observation'")
	c.Flags().StringVar(&l.Level, "level", "", "`LEVEL`: debug, info, warn or error")
	c.Flags().Var(&last, "for", "how long, at most 4h")
	c.Flags().StringVar(&l.Reason, "reason", "", "`TEXT` for the audit trail, which names nobody")
	c.AddCommand(listLogLevels(), resetLogLevel())
	return required(c, "route", "level")
}

func resetLogLevel() *cobra.Command {
	var path string
	l := &gateway.LogLevel{By: whoami(), Reset: true}
	c := configFlag(&cobra.Command{
		Use:   "reset",
		Short: "Log of a route what is logged of the others",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error { return gateway.SetLogLevel(c.Context(), cfg, l, 0) })
		},
	}, &path)
	c.Flags().StringVar(&l.Route, "route", "", "`ROUTE`, as it was set")
	c.Flags().StringVar(&l.Reason, "reason", "", "`TEXT` for the audit trail, which names nobody")
	return required(c, "route")
}

func listLogLevels() *cobra.Command {
	var path string
	return configFlag(&cobra.Command{
		Use:   "list",
		Short: "List the routes that have a level of their own",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return onConfig(path, func(cfg *config.Config) error {
				list, err := gateway.LogLevels(c.Context(), cfg)
				if err != nil || len(list) == 0 {
					return err
				}
				out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(out, "ROUTE\tLEVEL\tUNTIL\tBY\tREASON")
				for _, l := range list {
					fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", l.Route, l.Level, l.Until.Format(time.RFC3339), l.By, l.Reason)
				}
				return out.Flush()
			})
		},
	}, &path)
}
