package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

// Doer is an http.Client.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
	CloseIdleConnections()
}

// poster posts to one URL.
type poster struct {
	client Doer
	url    string
	accept string
}

func newPoster(c *config.Sink, target *url.URL, accept string, o Options) (poster, error) {
	client, err := o.HTTP(config.Upstream{URL: target.String(), Parsed: target, Auth: c.Auth, CAFile: c.CAFile, MaxConnections: 2, Timeout: config.Duration(timeout)}, o.Log)
	return poster{client, target.String(), accept}, err
}

func (p poster) close() { p.client.CloseIdleConnections() }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// post gives the body of an answer of the 200s.
func (p poster) post(ctx context.Context, contentType string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("post: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", p.accept)
	r.Header.Set("User-Agent", "Gatehouse")
	answer, err := p.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("post: %w", unquoted(err))
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, fmt.Errorf("post: status %d", answer.StatusCode)
	}
	return b, nil
}

// unquoted is an error without the URL, which may be a secret itself.
func unquoted(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// arr is a FHIR audit record repository (IHE ITI-20, FHIR feed): batches of
// AuditEvents.
type arr struct {
	poster
	origin string
}

func newFHIR(c *config.Sink, o Options) (target, error) {
	p, err := newPoster(c, c.Parsed, "application/fhir+json", o)
	return &arr{p, o.Source.Origin()}, err
}

// deliver posts a batch. An entry that the repository refuses is an error: it is
// tried again with all that follows it, and nothing is left out.
func (a *arr) deliver(ctx context.Context, events []audit.Event) error {
	for len(events) > 0 {
		body, err := batchOf(events)
		if err != nil {
			return err
		}
		b, err := a.post(ctx, "application/fhir+json", body)
		if err != nil {
			return err
		}
		taken, err := accepted(b, len(events))
		if err != nil {
			return err
		}
		events = events[taken:]
	}
	return nil
}

func batchOf(events []audit.Event) ([]byte, error) {
	type request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	}
	type entry struct {
		Resource json.RawMessage `json:"resource"`
		Request  request         `json:"request"`
	}
	bundle := struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Entry        []entry `json:"entry"`
	}{"Bundle", "batch", make([]entry, 0, len(events))}
	for _, e := range events {
		b, err := e.JSON()
		if err != nil {
			return nil, err
		}
		bundle.Entry = append(bundle.Entry, entry{b, request{http.MethodPost, "AuditEvent"}})
	}
	return json.Marshal(bundle)
}

// accepted is how many entries from the first on a repository took; it took at
// least one, or there is an error.
func accepted(answer []byte, sent int) (int, error) {
	var bundle struct {
		Entry []struct {
			Response struct {
				Status string `json:"status"`
			} `json:"response"`
		} `json:"entry"`
	}
	if err := json.Unmarshal(answer, &bundle); err != nil {
		return 0, errors.New("the answer to a batch is no Bundle")
	}
	for i := range bundle.Entry {
		status := bundle.Entry[i].Response.Status
		if strings.HasPrefix(status, "2") {
			continue
		}
		if i == 0 {
			code, _, _ := strings.Cut(status, " ")
			number, _ := strconv.Atoi(code)
			return 0, fmt.Errorf("the repository refuses an AuditEvent: status %d", number)
		}
		return i, nil
	}
	if len(bundle.Entry) < sent {
		return 0, fmt.Errorf("the answer to a batch of %d has %d entries", sent, len(bundle.Entry))
	}
	return sent, nil
}

// otlp is a collector of OpenTelemetry logs (OTLP/HTTP, JSON encoding).
type otlp struct {
	poster
	origin string
}

func newOTLP(c *config.Sink, o Options) (target, error) {
	at := *c.Parsed
	if !strings.HasSuffix(at.Path, "/v1/logs") {
		at.Path = strings.TrimSuffix(at.Path, "/") + "/v1/logs"
	}
	p, err := newPoster(c, &at, "application/json", o)
	return &otlp{p, o.Source.Origin()}, err
}

type (
	anyValue struct {
		String string `json:"stringValue"`
	}
	keyValue struct {
		Key   string   `json:"key"`
		Value anyValue `json:"value"`
	}
	logRecord struct {
		Time       string     `json:"timeUnixNano"`
		Observed   string     `json:"observedTimeUnixNano"`
		Severity   int        `json:"severityNumber"`
		Text       string     `json:"severityText"`
		Body       anyValue   `json:"body"`
		Attributes []keyValue `json:"attributes"`
	}
	scopeLogs struct {
		Scope   map[string]string `json:"scope"`
		Records []logRecord       `json:"logRecords"`
	}
	resourceLogs struct {
		Resource map[string][]keyValue `json:"resource"`
		Scopes   []scopeLogs           `json:"scopeLogs"`
	}
)

func (t *otlp) deliver(ctx context.Context, events []audit.Event) error {
	records := make([]logRecord, 0, len(events))
	for _, e := range events {
		b, err := e.JSON()
		if err != nil {
			return err
		}
		r := logRecord{Time: strconv.FormatInt(e.Record.Time.UnixNano(), 10), Observed: strconv.FormatInt(time.Now().UnixNano(), 10),
			Severity: 9, Text: "INFO", Body: anyValue{string(b)}}
		if e.Outcome() != "0" {
			r.Severity, r.Text = 13, "WARN"
		}
		for _, f := range factsOf(e) {
			r.Attributes = append(r.Attributes, keyValue{"gatehouse." + f.name, anyValue{f.value}})
		}
		records = append(records, r)
	}
	body, err := json.Marshal(map[string]any{"resourceLogs": []resourceLogs{{
		Resource: map[string][]keyValue{"attributes": {{"service.name", anyValue{"gatehouse"}}, {"gatehouse.log", anyValue{t.origin}}}},
		Scopes:   []scopeLogs{{Scope: map[string]string{"name": "gatehouse/audit"}, Records: records}},
	}}})
	if err != nil {
		return fmt.Errorf("write logs: %w", err)
	}
	answer, err := t.post(ctx, "application/json", body)
	if err != nil {
		return err
	}
	return partial(answer)
}

// partial is an error where a collector took not all.
func partial(answer []byte) error {
	var said struct {
		PartialSuccess struct {
			Rejected json.Number `json:"rejectedLogRecords"`
		} `json:"partialSuccess"`
	}
	if len(answer) == 0 || json.Unmarshal(answer, &said) != nil {
		return nil // 200 is all that the protocol asks for
	}
	if n, _ := said.PartialSuccess.Rejected.Int64(); n > 0 {
		return fmt.Errorf("the collector rejects %d log records", n)
	}
	return nil
}
