package upstream

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"gatehouse/config"
)

// credential puts the gateway's own credentials on a request. Every request
// goes to the one host that New was given and redirects are not followed, so a
// credential cannot reach another (G-02).
type credential interface {
	apply(ctx context.Context, h http.Header) error
}

// none serves mtls too, whose credential is the connection's.
type none struct{}

func (none) apply(context.Context, http.Header) error { return nil }

func newCredential(c config.UpstreamAuth, client *http.Client, log *zap.Logger, now func() time.Time) (credential, error) {
	switch c.Type {
	case "", "none", "mtls":
		return none{}, nil
	case "basic":
		return newHeader(c.PasswordFile, c.PasswordEnv, log, func(secret string) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+secret))
		})
	case "bearer":
		return newHeader(c.TokenFile, c.TokenEnv, log, func(secret string) string { return "Bearer " + secret })
	case "client_credentials", "private_key_jwt":
		return newTokens(c, client, log, now)
	}
	return nil, fmt.Errorf("credentials of type %q are not known", c.Type)
}

// header is an Authorization header made of one secret.
type header struct{ value secret[[]string] }

func newHeader(file, env string, log *zap.Logger, format func(string) string) (credential, error) {
	value, err := newText(file, env, log, func(s string) ([]string, error) { return []string{format(s)}, nil })
	return header{value}, err
}

func (h header) apply(_ context.Context, out http.Header) error {
	out["Authorization"] = h.value.get()
	return nil
}

// newText is a secret of one line, from a file or the environment.
func newText[T any](file, env string, log *zap.Logger, format func(string) (T, error)) (secret[T], error) {
	if file == "" {
		value, err := format(os.Getenv(env))
		if err == nil && os.Getenv(env) == "" {
			err = fmt.Errorf("environment variable %s is empty", env)
		}
		return fixed[T]{value}, err
	}
	return newRotating([]string{file}, log, func() (T, error) {
		text, err := config.ReadSecret(file)
		if err != nil {
			var zero T
			return zero, err
		}
		return format(text)
	})
}
