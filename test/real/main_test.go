//go:build real

package real

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"gatehouse/gateway/auth/authtest"
)

// The servers of this run, shared by all tests.
var (
	hapi  *server
	realm *keycloak
	gate  *gatehouse
	// local signs tokens with any scope, where Keycloak gives only what its realm has.
	local  *authtest.Issuer
	ledger *postgres
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/real:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run starts what the tests need, runs them and stops it again. A server that
// is missing or does not start is a failure, never a skip.
func run(m *testing.M) (code int, err error) {
	cache := os.Getenv("GATEHOUSE_REAL")
	if cache == "" {
		return 1, errors.New("GATEHOUSE_REAL does not say where the servers are; run `make real`")
	}
	dir, err := os.MkdirTemp("", "gatehouse-real-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stopAll(), os.RemoveAll(dir)) }()
	if err := startAll(cache, dir); err != nil {
		return 1, err
	}
	return m.Run(), gate.clean()
}

func startAll(cache, dir string) error {
	ports, err := freePorts(6)
	if err != nil {
		return err
	}
	if local, err = authtest.New(); err != nil {
		return err
	}
	var all errgroup.Group
	gate = newGatehouse(dir, ports[0], ports[1], ports[4])
	all.Go(func() (err error) {
		realm, err = startKeycloak(filepath.Join(cache, "keycloak"), dir, ports[2], gate.base, gate.app)
		return err
	})
	all.Go(func() error {
		hapi = hapiServer(filepath.Join(cache, "hapi"), dir, ports[3])
		if err := hapi.start(); err != nil {
			return err
		}
		return load(hapi.url)
	})
	all.Go(func() (err error) {
		ledger, err = startPostgres(ports[5])
		return err
	})
	all.Go(gate.build)
	if err := all.Wait(); err != nil {
		return err
	}
	return gate.serve(hapi.url, realm.issuer, local.URL, ledger.url)
}

func stopAll() error {
	var errs []error
	if gate != nil && gate.process != nil {
		errs = append(errs, gate.process.stop())
	}
	if local != nil {
		local.Close()
	}
	if realm != nil {
		errs = append(errs, realm.process.stop())
	}
	if ledger != nil {
		errs = append(errs, ledger.close())
	}
	if hapi != nil {
		errs = append(errs, hapi.stop())
	}
	return errors.Join(errs...)
}
