// Package notify posts alerts to the webhooks of the configuration, and to
// nowhere else: small JSON that names no patient but by a keyed hash.
package notify

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
	"net/url"
	"sync"
	"time"

	"gatehouse/config"

	"go.uber.org/zap"
)

// Alert is what a channel hears.
type Alert struct {
	Event   string    `json:"event"` // emergency.opened, emergency.refused, policy.notify, …
	Time    time.Time `json:"time"`
	Gateway string    `json:"gateway"`           // its public URL
	Request string    `json:"request,omitempty"` // id, by which the audit trail tells who and whom
	Client  string    `json:"client,omitempty"`
	User    string    `json:"user,omitempty"`    // of staff, "Practitioner/7"
	Patient []string  `json:"patient,omitempty"` // keyed hashes: equal ones are one patient
	Review  string    `json:"review,omitempty"`  // that is due
	Due     time.Time `json:"due,omitzero"`
	Reason  string    `json:"reason,omitempty"` // of a rule or a code, never free text
}

// Sender delivers alerts in the background, in order for each worker, with a few
// tries. It is safe for concurrent use.
type Sender struct {
	queue chan delivery
	done  sync.WaitGroup
	once  sync.Once
	stop  chan struct{}
	log   *zap.Logger
	alarm func(what string)
	wait  time.Duration // before the second try
}

type delivery struct {
	name    string
	channel config.Channel
	body    []byte
	heard   func() // once it was delivered
}

const (
	queued  = 1024 // alerts that wait; beyond it they are dropped with an alarm
	workers = 2
	tries   = 4
	timeout = 5 * time.Second
	grace   = 5 * time.Second // at the end, for what is queued
)

// New starts a Sender. alarm counts alerts that reached nobody.
func New(log *zap.Logger, alarm func(what string)) *Sender {
	s := &Sender{queue: make(chan delivery, queued), stop: make(chan struct{}), log: log, alarm: alarm, wait: time.Second}
	for range workers {
		s.done.Go(s.work)
	}
	return s
}

// Send queues an alert for a channel and does not wait. heard, unless nil, is called
// once it was delivered.
func (s *Sender) Send(name string, channel config.Channel, a Alert, heard func()) {
	body, err := json.Marshal(a)
	if err != nil { // texts and times alone
		s.failed(name, err)
		return
	}
	select {
	case s.queue <- delivery{name, channel, body, heard}:
	default:
		s.failed(name, errors.New("too many alerts wait"))
	}
}

func (s *Sender) failed(name string, err error) {
	s.alarm("notify.failed")
	s.log.Error("an alert was not delivered", zap.String("channel", name), zap.Error(err))
}

// Close tries to deliver what is queued and ends the Sender. Nothing may be
// sent after it.
func (s *Sender) Close() {
	s.once.Do(func() {
		close(s.queue)
		end := time.AfterFunc(grace, func() { close(s.stop) })
		defer end.Stop()
		s.done.Wait()
	})
}

func (s *Sender) work() {
	for d := range s.queue {
		if err := s.deliver(d); err != nil {
			s.failed(d.name, err)
		} else if d.heard != nil {
			d.heard()
		}
	}
}

// deliver tries a few times, each time waiting longer.
func (s *Sender) deliver(d delivery) error {
	client, err := clientFor(d.channel)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	wait := s.wait
	for try := 1; ; try++ {
		if err = post(client, d); err == nil || try == tries {
			return err
		}
		select {
		case <-time.After(wait):
		case <-s.stop:
			return err
		}
		wait *= 4
	}
}

// clientFor makes connections of our own: no proxy from the environment, and no
// redirects, which could lead anywhere.
func clientFor(c config.Channel) (*http.Client, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		certificates, err := config.ReadCertificates(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificates %s: %w", c.CAFile, err)
		}
		secure.RootCAs = x509.NewCertPool()
		for _, one := range certificates {
			secure.RootCAs.AddCert(one)
		}
	}
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: timeout}).DialContext, TLSClientConfig: secure,
		TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: 16 << 10, ForceAttemptHTTP2: true}
	return &http.Client{Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

func post(client *http.Client, d delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.channel.URL, bytes.NewReader(d.body))
	if err != nil {
		return fmt.Errorf("post alert: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Gatehouse")
	if d.channel.TokenFile != "" {
		token, err := config.ReadSecret(d.channel.TokenFile)
		if err != nil {
			return fmt.Errorf("read token file %s: %w", d.channel.TokenFile, err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) { // without the URL, which may be a secret itself
			err = of.Err
		}
		return fmt.Errorf("post alert: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // what it says is nothing to us
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("post alert: status %d", answer.StatusCode)
	}
	return nil
}
