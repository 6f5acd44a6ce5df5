package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/open-policy-agent/opa/v1/rego"
)

// This file is what people assemble today: nginx that asks an OPA server about each
// request (auth_request). OPA verifies the token and decides by method, path and role;
// nobody looks at what the FHIR server answers.

//go:embed assembled.rego
var assembledPolicy string

//go:embed assembled.conf
var assembledConf string

// assemble starts it as a process of its own; nil where there is no nginx.
func (h *house) assemble() (*process, error) {
	if _, err := exec.LookPath("nginx"); err != nil {
		return nil, nil
	}
	dir := filepath.Join(h.dir, "nginx")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	key := h.issuer.SigningKey()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		return nil, err
	}
	return start("assembled", h.upstream.address, h.issuer.URL, dir, string(set))
}

// assembled is the child: OPA in this process, nginx in its own.
func assembled(upstream, issuer, dir, keys string) (address string, serve func() error, stop func(), err error) {
	opa, err := newOPA(issuer, keys)
	if err != nil {
		return "", nil, nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	address = free.Addr().String()
	free.Close()
	conf := filepath.Join(dir, "nginx.conf")
	text := strings.NewReplacer("%DIR%", dir, "%LISTEN%", address, "%EHR%", upstream, "%OPA%", l.Addr().String()).Replace(assembledConf)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", nil, nil, err
	}
	nginx := exec.Command("nginx", "-c", conf, "-e", filepath.Join(dir, "error.log"))
	nginx.Stderr = os.Stderr
	if err := nginx.Start(); err != nil {
		return "", nil, nil, err
	}
	stop = func() {
		_ = nginx.Process.Signal(syscall.SIGTERM) // gone already, perhaps
		_ = nginx.Wait()
	}
	for range 500 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return address, func() error { return http.Serve(l, opa) }, stop, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return "", nil, nil, fmt.Errorf("nginx does not listen on %s", address)
}

// newOPA decides as OPA's server does, from a prepared query; auth_request reads a
// status alone, so that is its answer.
func newOPA(issuer, keys string) (http.Handler, error) {
	query, err := rego.New(rego.Query("data.assembled.allow"), rego.Module("assembled.rego", assembledPolicy)).PrepareForEval(context.Background())
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _, _ := strings.Cut(r.Header.Get("X-Original-Uri"), "?")
		input := map[string]any{"method": r.Header.Get("X-Original-Method"), "path": strings.Split(strings.Trim(path, "/"), "/"),
			"token": strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "keys": keys, "issuer": issuer, "audience": publicURL}
		got, err := query.Eval(r.Context(), rego.EvalInput(input))
		if err != nil || !got.Allowed() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}), nil
}
