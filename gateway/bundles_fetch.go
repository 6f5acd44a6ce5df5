package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/config"
)

const (
	fetchTime = 30 * time.Second
	// maxBundle bounds a bundle as it is fetched.
	maxBundle = 64 << 20
)

// fetchBundle brings the bytes of the bundle, not yet verified.
func fetchBundle(ctx context.Context, cfg *config.PolicyBundle) ([]byte, error) {
	if cfg.File != "" {
		return readBundle(cfg.File)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch the policy bundle: %w", err)
	}
	if cfg.TokenFile != "" {
		token, err := config.ReadSecret(cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("policy.bundle.token_file %s: %w", cfg.TokenFile, err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client, err := bundleClient(cfg)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fetch the policy bundle: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the policy bundle: %s answered %s", cfg.URL, answer.Status)
	}
	return bounded(answer.Body)
}

func bounded(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxBundle+1))
	if err == nil && len(raw) > maxBundle {
		err = errors.New("it is too long")
	}
	if err != nil {
		return nil, fmt.Errorf("read the policy bundle: %w", err)
	}
	return raw, nil
}

// bundleClient follows no redirect: the token is for the host that is named.
func bundleClient(cfg *config.PolicyBundle) (*http.Client, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if cfg.CAFile != "" {
		certificates, err := config.ReadCertificates(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("policy.bundle.ca_file %s: %w", cfg.CAFile, err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		for _, c := range certificates {
			t.TLSClientConfig.RootCAs.AddCert(c)
		}
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// readBundle reads a .tar.gz, or the one layer of an OCI image layout, as
// registries' tools write it to a directory.
func readBundle(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return readLayout(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the policy bundle: %w", err)
	}
	defer f.Close()
	return bounded(f)
}

// descriptor is part of OCI's image-spec: index, manifest and layers name each
// other so.
type descriptor struct {
	MediaType string       `json:"mediaType"`
	Digest    string       `json:"digest"`
	Manifests []descriptor `json:"manifests"`
	Layers    []descriptor `json:"layers"`
}

func readLayout(dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, fmt.Errorf("read the policy bundle: %s is no OCI layout: %w", dir, err)
	}
	var index, manifest descriptor
	if err := json.Unmarshal(text, &index); err != nil || len(index.Manifests) != 1 {
		return nil, fmt.Errorf("read the policy bundle: %s names not one image", filepath.Join(dir, "index.json"))
	}
	if text, err = blob(dir, index.Manifests[0].Digest); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("read the policy bundle: the manifest in %s is not JSON", dir)
	}
	var layer []descriptor
	for _, l := range manifest.Layers {
		if strings.HasSuffix(l.MediaType, "tar+gzip") || strings.HasSuffix(l.MediaType, "tar.gzip") {
			layer = append(layer, l)
		}
	}
	if len(layer) != 1 {
		return nil, fmt.Errorf("read the policy bundle: the image in %s has %d layers of tar+gzip, want one", dir, len(layer))
	}
	return blob(dir, layer[0].Digest)
}

func blob(dir, digest string) ([]byte, error) {
	want, ok := strings.CutPrefix(digest, "sha256:")
	if sum, err := hex.DecodeString(want); !ok || err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("read the policy bundle: %q is no sha256 digest", digest)
	}
	f, err := os.Open(filepath.Join(dir, "blobs", "sha256", want))
	if err != nil {
		return nil, fmt.Errorf("read the policy bundle: %w", err)
	}
	defer f.Close()
	raw, err := bounded(f)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != want {
		return nil, fmt.Errorf("read the policy bundle: the blob %s is damaged", digest)
	}
	return raw, nil
}
