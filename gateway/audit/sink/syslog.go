package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

// syslog sends RFC 5424 messages over TLS (RFC 5425), with octet counting: the
// event as JSON with its facts as structured data, or, as ATNA (IHE ITI-20) has
// it, as the XML of DICOM.
//
// The protocol has no acknowledgement. A delivery ends when the receiver's
// system has all bytes; what its process had not read when the connection broke
// only it knows, so the batch before a break is sent again.
type syslog struct {
	address, host string
	secure        *tls.Config // nil: plain TCP, on loopback alone
	atna          bool

	conn net.Conn
	gone chan error // tells that the receiver closed conn
	last []byte     // the batch sent last
}

func newSyslog(c *config.Sink, _ Options) (target, error) {
	s := &syslog{address: c.Parsed.Host, atna: c.Format == "atna", host: hostname()}
	if c.Parsed.Scheme != "tls" {
		return s, nil
	}
	var err error
	s.secure, err = tlsOf(c, c.Parsed.Hostname())
	return s, err
}

// tlsOf is the trust and the certificate of a sink. Both are read anew by who
// restarts; a certificate that is shown, for each connection.
func tlsOf(c *config.Sink, name string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if c.CAFile != "" {
		certificates, err := config.ReadCertificates(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificates %s: %w", c.CAFile, err)
		}
		t.RootCAs = x509.NewCertPool()
		for _, one := range certificates {
			t.RootCAs.AddCert(one)
		}
	}
	if c.CertFile != "" {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &pair, err
		}
	}
	return t, nil
}

// hostname is the HOSTNAME of messages.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "-"
	}
	return headerField(name, 255)
}

// headerField is printable US-ASCII without spaces, as RFC 5424 has the fields
// of a header.
func headerField(s string, longest int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), longest)]
}

func (s *syslog) deliver(ctx context.Context, events []audit.Event) error {
	var frames bytes.Buffer
	for _, e := range events {
		m, err := s.message(e)
		if err != nil {
			return err
		}
		frames.WriteString(strconv.Itoa(len(m)))
		frames.WriteByte(' ')
		frames.Write(m)
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.send(ctx, frames.Bytes()); err != nil {
		s.close()
		return err
	}
	s.last = frames.Bytes()
	return nil
}

// connect makes a connection where none is, and sends over it what may have been
// lost with the one before.
func (s *syslog) connect(ctx context.Context) error {
	if s.conn != nil {
		select {
		case <-s.gone:
			s.close()
		default:
			return nil
		}
	}
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	var err error
	if s.secure == nil {
		s.conn, err = dialer.DialContext(ctx, "tcp", s.address)
	} else {
		s.conn, err = (&tls.Dialer{NetDialer: dialer, Config: s.secure}).DialContext(ctx, "tcp", s.address)
	}
	if err != nil {
		s.conn = nil
		return fmt.Errorf("connect: %w", err)
	}
	s.gone = make(chan error, 1)
	go watch(s.conn, s.gone)
	if len(s.last) == 0 {
		return nil
	}
	if err := s.send(ctx, s.last); err != nil {
		s.close()
		return err
	}
	return nil
}

// watch reads, since a receiver that goes away says so only to who reads.
func watch(c net.Conn, gone chan<- error) {
	_, err := io.Copy(io.Discard, io.LimitReader(c, 1<<20))
	gone <- errors.Join(errors.New("the receiver closed the connection"), err)
}

// send writes and waits until the receiver's system has it all.
func (s *syslog) send(ctx context.Context, b []byte) error {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(timeout)
	}
	if err := s.conn.SetWriteDeadline(end); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if _, err := s.conn.Write(b); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for waiting(s.conn) > 0 {
		select {
		case err := <-s.gone:
			return err
		case <-ctx.Done():
			return fmt.Errorf("send: %w", context.Cause(ctx))
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case err := <-s.gone:
		return err
	default:
		return nil
	}
}

func (s *syslog) close() {
	if s.conn != nil {
		_ = s.conn.Close() // it is given up
		s.conn = nil
	}
}

// message is one RFC 5424 message. Facility 13 is that of audit messages.
func (s *syslog) message(e audit.Event) ([]byte, error) {
	const facility, informational, warning = 13 * 8, 6, 4
	priority := facility + informational
	if e.Outcome() != "0" {
		priority = facility + warning
	}
	var b bytes.Buffer
	stamp := e.Record.Time.UTC().Format("2006-01-02T15:04:05.000000Z")
	if s.atna {
		fmt.Fprintf(&b, "<%d>1 %s %s gatehouse %d DICOM+RFC3881 - \xef\xbb\xbf", priority, stamp, s.host, os.Getpid())
		b.Write(e.DICOM())
		return b.Bytes(), nil
	}
	text, err := e.JSON()
	if err != nil {
		return nil, err
	}
	// 32473 is the number that RFC 5612 gives to those who have none of their own.
	fmt.Fprintf(&b, "<%d>1 %s %s gatehouse %d %s [gatehouse@32473", priority, stamp, s.host, os.Getpid(), headerField(e.Record.Kind.String(), 32))
	for _, f := range factsOf(e) {
		fmt.Fprintf(&b, ` %s="%s"`, f.name, sdValue.Replace(f.value))
	}
	b.WriteString("] \xef\xbb\xbf") // the mark of UTF-8
	b.Write(text)
	return b.Bytes(), nil
}

var sdValue = strings.NewReplacer(`"`, `\"`, `\`, `\\`, `]`, `\]`)
