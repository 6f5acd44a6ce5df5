package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/gateway/policy"
)

func policyBuild() *cobra.Command {
	var revision, key, algorithm, out string
	c := &cobra.Command{
		Use:   "build DIR",
		Short: "Make a signed bundle of a policy",
		Long: `Writes the rules and tables of DIR, without tests, as an OPA bundle, and signs it. DIR
is as for policy diff. It must load. The revision begins with a number, a date or a
version, so that gateways can tell an older bundle; opa inspect and opa eval read it.

The key is a PEM private key, EC or RSA, such as openssl genpkey makes.`,
		Example: "  gatehouse policy build policies --revision 42 --signing-key publisher.key --out hospital.tar.gz",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o, err := policy.Named(args[0])
			if err != nil {
				return err
			}
			text, err := os.ReadFile(key)
			if err != nil {
				return fmt.Errorf("read signing key: %w", err)
			}
			raw, err := policy.BuildBundle(o, revision, &policy.SigningKey{PEM: text, Algorithm: algorithm})
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, raw, 0o644); err != nil {
				return fmt.Errorf("write bundle: %w", err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&revision, "revision", "", "`NAME` by which newer is told from older, such as 42 or 2026-11-22")
	c.Flags().StringVar(&key, "signing-key", "", "`FILE` with the private key, PEM")
	c.Flags().StringVar(&algorithm, "signing-alg", "ES256", "signature `ALGORITHM`")
	c.Flags().StringVar(&out, "out", "bundle.tar.gz", "`FILE` to write")
	_ = c.MarkFlagRequired("revision")
	_ = c.MarkFlagRequired("signing-key")
	return c
}
