package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/reidentify"
	"gatehouse/gateway/support"
)

// bundle is what support-bundle is asked for.
type bundle struct {
	desk
	out, log, admin string
	without         []string
	files           []support.File
}

func supportBundle() *cobra.Command {
	b := &bundle{}
	c := b.flags(&cobra.Command{
		Use:   "support-bundle",
		Short: "Put together what somebody who mends the gateway needs",
		Long: `Writes a gzipped tar with the configuration (no secrets, no queries of URLs, no paths of
webhooks), versions, what check and doctor say, and of the running gateway /readyz,
/metrics, its last warnings and errors and the stacks of its goroutines; with --log the
last lines of a file too.

Before anything is written it is searched for secrets of the configuration, for whom the
audit trail of the last seven days names, and for what looks like a token, a key, a
reference to a record or a resource. Where it finds one it says in which line, and writes
nothing: look there, and leave the file out by --without NAME. That it was made stands in
the audit trail. Look through it before you send it: no search knows every name.

The stacks, the memory and the last errors come from the admin API, for tokens with the role
operator; without admin_auth they are missing.`,
		Example: "  gatehouse support-bundle -c gatehouse.yaml --token-file operator.token --out support.tar.gz",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return b.as(c, "operator", func(cfg *config.Config, who reidentify.Person) error { return b.make(c, cfg, who) })
		},
	})
	c.Flags().StringVar(&b.out, "out", "", "`FILE` to write; it must not be there")
	c.Flags().StringVar(&b.log, "log", "", "`FILE` with the gateway's log, of which the last 1000 lines are taken")
	c.Flags().StringVar(&b.admin, "admin", "", "`URL` of the admin listener, where the configuration does not tell: http://127.0.0.1:9090, of a tenant http://127.0.0.1:9090/tenants/NAME")
	c.Flags().StringSliceVar(&b.without, "without", nil, "leave these `FILES` of the bundle out, such as doctor.txt")
	return required(c, "out")
}

func (b *bundle) make(c *cobra.Command, cfg *config.Config, who reidentify.Person) error {
	known, err := gateway.Unspeakable(c.Context(), cfg, time.Now())
	if err != nil {
		return fmt.Errorf("read the audit trail for whom the bundle must not name: %w", err)
	}
	if err := b.gather(c.Context(), cfg); err != nil {
		return err
	}
	if found := support.Scan(b.files, known); len(found) > 0 {
		for _, f := range found {
			fmt.Fprintln(c.ErrOrStderr(), f)
		}
		return errors.New("nothing is written: the bundle would hold a secret or somebody's data; leave the file out (--without NAME), and report what wrote it there")
	}
	if err := gateway.NoteReading(c.Context(), cfg, gateway.Reading{What: gateway.BundleReading, By: who, About: strings.Join(b.names(), " ")}); err != nil {
		return err
	}
	f, err := os.OpenFile(b.out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	if err := errors.Join(support.Write(f, b.files, time.Now()), f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", b.out, strings.Join(b.names(), " "))
	return nil
}

func (b *bundle) names() (all []string) {
	for _, f := range b.files {
		all = append(all, f.Name)
	}
	return all
}

// add has make write a file, unless it is left out. An error is what it then says.
func (b *bundle) add(name string, make func(io.Writer) error) {
	if slices.Contains(b.without, name) {
		return
	}
	var text bytes.Buffer
	if err := make(&text); err != nil {
		fmt.Fprintf(&text, "%v\n", err)
	}
	b.files = append(b.files, support.File{Name: name, Text: text.String()})
}

func (b *bundle) gather(ctx context.Context, cfg *config.Config) error {
	ask, err := b.client(cfg)
	if err != nil {
		return err
	}
	b.add("version.json", func(w io.Writer) error {
		v, err := built()
		if err != nil {
			return err
		}
		return indented(w, v)
	})
	b.add("config.yaml", func(w io.Writer) error {
		text, err := cfg.Redacted()
		fmt.Fprint(w, text)
		return err
	})
	b.add("check.txt", func(w io.Writer) error { return gateway.Check(b.path, w) })
	b.add("doctor.txt", func(w io.Writer) error { return examine(ctx, w, b.path) })
	b.add("readyz.json", func(w io.Writer) error { return ask(ctx, "/readyz", w) })
	b.add("metrics.txt", func(w io.Writer) error { return ask(ctx, "/metrics", w) })
	b.diagnostics(ctx, ask)
	if b.log != "" {
		b.add("log.txt", func(w io.Writer) error { return tail(w, b.log, 1000) })
	}
	return nil
}

// diagnostics are several files of one answer.
func (b *bundle) diagnostics(ctx context.Context, ask asks) {
	var text bytes.Buffer
	var d gateway.Diagnostics
	err := ask(ctx, "/api/v1/diagnostics", &text)
	if err == nil {
		err = json.Unmarshal(text.Bytes(), &d)
	}
	for name, part := range map[string]string{"goroutines.txt": d.Goroutines, "last-errors.txt": strings.Join(append(d.Troubles, ""), "\n")} {
		b.add(name, func(w io.Writer) error { fmt.Fprint(w, part); return err })
	}
	b.add("memory.json", func(w io.Writer) error { return errors.Join(indented(w, d.Memory), err) })
	slices.SortStableFunc(b.files, func(x, y support.File) int { return strings.Compare(x.Name, y.Name) })
}

type asks func(ctx context.Context, path string, to io.Writer) error

// client asks the admin listener of the configuration.
func (b *bundle) client(cfg *config.Config) (asks, error) {
	token := ""
	if b.tokenFile != "" {
		var err error
		if token, err = config.ReadSecret(b.tokenFile); err != nil {
			return nil, fmt.Errorf("read token file %s: %w", b.tokenFile, err)
		}
	}
	base, transport := strings.TrimSuffix(b.admin, "/"), &http.Transport{Proxy: nil}
	if base == "" {
		base = adminURL(cfg)
	}
	if cfg.AdminTLS() {
		t, err := pinnedTo(cfg.TLS.CertFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = t
	}
	client := &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context, path string, to io.Writer) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			return err
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(r)
		if err != nil {
			return fmt.Errorf("the gateway does not answer: %w", err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(to, io.LimitReader(resp.Body, 64<<20)); err != nil || resp.StatusCode < 300 || path == "/readyz" {
			return err
		}
		return fmt.Errorf("the gateway answers %s", resp.Status)
	}, nil
}

// adminURL is where this machine reaches the admin listener.
func adminURL(cfg *config.Config) string {
	scheme := "http://"
	if cfg.AdminTLS() {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(cfg.Admin)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return scheme + net.JoinHostPort("127.0.0.1", port)
	}
	return scheme + cfg.Admin
}

// pinnedTo believes the one certificate that the configuration names, under any name.
func pinnedTo(file string) (*tls.Config, error) {
	all, err := config.ReadCertificates(file)
	if err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error { //nolint:gosec // see above
		if !slices.ContainsFunc(all, func(c *x509.Certificate) bool { return c.Equal(s.PeerCertificates[0]) }) {
			return errors.New("the admin listener shows another certificate than the configuration names")
		}
		return nil
	}}, nil
}

// tail copies the last lines of a file, of a long one from its last megabytes.
func tail(w io.Writer, path string, n int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const most = 4 << 20
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return err
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(b), "\n")
	_, err = io.WriteString(w, strings.Join(lines[max(0, len(lines)-n-1):], ""))
	return err
}
