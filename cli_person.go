package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/reidentify"
)

// person says who runs a command that takes two people: whom a token names,
// where admin_auth says whose tokens count, else the account of the system.
type person struct{ tokenFile string }

// accountIssuer stands for the system as the one that knows its accounts.
const accountIssuer = "urn:gatehouse:account"

func (p *person) flag(c *cobra.Command) {
	c.Flags().StringVar(&p.tokenFile, "token-file", "", "`FILE` with your access token: who you are, where the configuration has admin_auth")
}

func (p *person) who(ctx context.Context, cfg *config.Config, role string) (reidentify.Person, error) {
	if p.tokenFile != "" {
		token, err := config.ReadSecret(p.tokenFile)
		if err != nil {
			return reidentify.Person{}, fmt.Errorf("read token file %s: %w", p.tokenFile, err)
		}
		return gateway.PersonOf(ctx, cfg, token, role)
	}
	if cfg.AdminAuth != nil {
		return reidentify.Person{}, fmt.Errorf("the configuration has admin_auth: say who you are by --token-file FILE, an access token of %s with the role %s", cfg.AdminAuth.Issuer, role)
	}
	u, err := user.Current()
	if err != nil || u.Uid == "" {
		return reidentify.Person{}, errors.New("the system does not say whose account this is")
	}
	// By number: the name may come from an environment that anyone can set.
	return reidentify.Person{Issuer: accountIssuer, Subject: "uid " + u.Uid, Name: u.Username}, nil
}

// desk are the flags of a command that one of two people gives.
type desk struct {
	path string
	person
}

func (d *desk) flags(c *cobra.Command) *cobra.Command {
	d.flag(c)
	return configFlag(c, &d.path)
}

// again is what the next command needs after -c: the configuration, and where a token
// told who this is, another one.
func (d *desk) again() string {
	if d.tokenFile == "" {
		return d.path
	}
	return d.path + " --token-file FILE"
}

// as works on a good configuration as the person who holds the role.
func (d *desk) as(c *cobra.Command, role string, f func(*config.Config, reidentify.Person) error) error {
	return onConfig(d.path, func(cfg *config.Config) error {
		who, err := d.who(c.Context(), cfg, role)
		if err != nil {
			return err
		}
		return f(cfg, who)
	})
}
