// Package trustee asks the pseudonym service of a trusted third party for the
// pseudonyms of a domain and for what they stand for.
package trustee

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/config"
)

// ErrDown is given for some seconds after the service has failed, without asking
// again: a page would else wait out one timeout for each of its patients.
var ErrDown = errors.New("the pseudonym service has just failed")

var errNone = errors.New("the pseudonym service gave no pseudonym: is its domain there?")

const (
	rest      = 2 * time.Second // after a failure
	maxAnswer = 1 << 20
	together  = 16 // connections
)

// Service asks one pseudonym service. It is safe for concurrent use.
type Service struct {
	c      config.PseudonymService
	speak  dialect
	client *http.Client
	auth   string // Authorization header; "": none
	failed func(error)
	now    func() time.Time
	down   atomic.Int64 // Unix nanoseconds until which nothing is asked
}

// dialect is the interface of one kind of service. "" is no answer: it knows
// none.
type dialect interface {
	create(ctx context.Context, s *Service, target, typ, id string) (pseudonym string, err error)
	lead(ctx context.Context, s *Service, target, pseudonym string) (id string, err error)
}

var dialects = map[string]dialect{"gpas": gpas{}, "vfps": vfps{}, "entici": entici{}, "mii": mii{}}

// New makes a Service; failed is told of each failure, with neither ids nor
// pseudonyms in it.
func New(c config.PseudonymService, failed func(error), now func() time.Time) (*Service, error) {
	s := &Service{c: c, speak: dialects[c.Kind], failed: failed, now: now}
	if s.speak == nil {
		return nil, fmt.Errorf("pseudonym services of kind %q are not known", c.Kind)
	}
	transport := &http.Transport{MaxConnsPerHost: together, MaxIdleConnsPerHost: together, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read pseudonyms.service.ca_file: %w", err)
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	s.client = &http.Client{Transport: transport, Timeout: time.Duration(c.Timeout),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var err error
	s.auth, err = authorization(c)
	return s, err
}

func authorization(c config.PseudonymService) (string, error) {
	switch {
	case c.PasswordFile != "":
		secret, err := config.ReadSecret(c.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("pseudonyms.service.password_file: %w", err)
		}
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(c.Username, secret)
		return r.Header.Get("Authorization"), nil
	case c.TokenFile != "":
		secret, err := config.ReadSecret(c.TokenFile)
		if err != nil {
			return "", fmt.Errorf("pseudonyms.service.token_file: %w", err)
		}
		return "Bearer " + secret, nil
	}
	return "", nil
}

// Serves reports whether the service names resources of the type.
func (s *Service) Serves(typ string) bool { return slices.Contains(s.c.Types, typ) }

// Leads reports whether it tells what a pseudonym stands for.
func (s *Service) Leads() bool { return s.speak != entici{} }

func (s *Service) target(domain, typ string) string {
	return strings.NewReplacer("{domain}", domain, "{type}", typ).Replace(s.c.Target)
}

// Pseudonym gives the service's name for a resource in a domain, which it makes
// where there is none.
func (s *Service) Pseudonym(domain, typ, id string) (string, error) {
	return s.ask(func(ctx context.Context) (string, error) {
		p, err := s.speak.create(ctx, s, s.target(domain, typ), typ, id)
		if err == nil && p == "" {
			err = errNone
		}
		if err == nil && p == id {
			err = errNone
		}
		return p, err
	})
}

// Real gives the id that a pseudonym of the domain stands for; "" for none.
func (s *Service) Real(domain, typ, pseudonym string) (string, error) {
	return s.ask(func(ctx context.Context) (string, error) {
		return s.speak.lead(ctx, s, s.target(domain, typ), pseudonym)
	})
}

func (s *Service) ask(f func(context.Context) (string, error)) (string, error) {
	if s.now().UnixNano() < s.down.Load() {
		return "", ErrDown
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.c.Timeout))
	defer cancel()
	text, err := f(ctx)
	if errors.Is(err, errNone) {
		s.failed(err) // of one id, and no reason not to ask for others
		return "", err
	}
	if err != nil {
		s.down.Store(s.now().Add(rest).UnixNano())
		err = fmt.Errorf("ask the pseudonym service: %w", err)
		s.failed(err)
		return "", err
	}
	return text, nil
}

// call sends a request and reads its answer into out. found is false for what the
// service says it does not have.
func (s *Service) call(ctx context.Context, method, path, mediaType string, body, out any) (found bool, err error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return false, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.c.URL, "/")+path, content)
	if err != nil {
		return false, errors.New("no request can be made of it") // the path holds a pseudonym
	}
	r.Header.Set("Accept", mediaType)
	if body != nil {
		r.Header.Set("Content-Type", mediaType)
	}
	if s.auth != "" {
		r.Header.Set("Authorization", s.auth)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return false, unnamed(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return false, errors.New("its answer was cut short")
	case len(text) > maxAnswer:
		return false, errors.New("its answer is too long")
	case answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusUnprocessableEntity:
		return false, nil
	case answer.StatusCode/100 != 2:
		return false, fmt.Errorf("it answers %d", answer.StatusCode)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return false, errors.New("its answer is not what its interface says") // the error quotes it
	}
	return true, nil
}

// unnamed is an error of the connection without its URL, which holds a pseudonym.
func unnamed(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}
