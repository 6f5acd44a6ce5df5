package sink

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stream is a subject of NATS JetStream. Each event is acknowledged by the
// stream that keeps it; its message id lets the stream drop a second copy.
type stream struct {
	c       *config.Sink
	origin  string
	options []nats.Option

	conn *nats.Conn
	js   jetstream.JetStream
}

func newNATS(c *config.Sink, o Options) (target, error) {
	s := &stream{c: c, origin: o.Source.Origin(), options: []nats.Option{nats.Name("gatehouse audit"), nats.Timeout(timeout / 3),
		nats.MaxReconnects(0), nats.NoEcho(), nats.RetryOnFailedConnect(false)}}
	if c.Parsed.Scheme == "tls" {
		secure, err := tlsOf(c, c.Parsed.Hostname())
		if err != nil {
			return nil, err
		}
		s.options = append(s.options, nats.Secure(secure))
	}
	if c.CredentialsFile != "" {
		s.options = append(s.options, nats.UserCredentials(c.CredentialsFile))
	}
	if c.TokenFile != "" {
		token, err := config.ReadSecret(c.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read token file %s: %w", c.TokenFile, err)
		}
		s.options = append(s.options, nats.Token(token))
	}
	return s, nil
}

// deliver publishes all and then waits for each acknowledgement. JetStream keeps
// the order of one connection.
func (s *stream) deliver(ctx context.Context, events []audit.Event) error {
	if err := s.connect(); err != nil {
		return err
	}
	if err := s.publish(ctx, events); err != nil {
		s.close() // acknowledgements that come late must not be taken for others
		return err
	}
	return nil
}

func (s *stream) publish(ctx context.Context, events []audit.Event) error {
	futures := make([]jetstream.PubAckFuture, 0, len(events))
	for _, e := range events {
		b, err := e.JSON()
		if err != nil {
			return err
		}
		m := &nats.Msg{Subject: s.c.Subject, Data: b, Header: nats.Header{}}
		m.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%s#%d-%d", s.origin, e.Index, e.Part))
		f, err := s.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return fmt.Errorf("publish: %w", err)
		case <-ctx.Done():
			return errors.New("publish: no acknowledgement in time; does a stream listen to the subject?")
		}
	}
	return nil
}

func (s *stream) connect() error {
	if s.conn != nil && s.conn.IsConnected() {
		return nil
	}
	s.close()
	conn, err := nats.Connect(s.c.URL, s.options...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(s.c.Batch+1), jetstream.WithPublishAsyncTimeout(timeout))
	if err != nil {
		conn.Close()
		return fmt.Errorf("connect: %w", err)
	}
	s.conn, s.js = conn, js
	return nil
}

func (s *stream) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
