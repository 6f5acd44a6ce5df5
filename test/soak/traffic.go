package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// traffic is what clients of all kinds do at once.
type traffic struct {
	*world
	mu     sync.Mutex
	counts map[string]int
	errs   []error
	signed time.Time
	tokens map[string]string // by client
	n      int
}

func (t *traffic) clients() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"reads":      func(ctx context.Context) error { return t.expect(ctx, 200, "GET", "/Patient/p001", t.fresh("app"), "") },
		"new tokens": func(ctx context.Context) error { return t.expect(ctx, 200, "GET", "/Patient/p002", t.token("app"), "") },
		"absent":     func(ctx context.Context) error { return t.expect(ctx, 404, "GET", "/Patient/none", t.fresh("app"), "") },
		"bad tokens": func(ctx context.Context) error {
			return t.expect(ctx, 401, "GET", "/Patient/p001", "no.good.token", "")
		},
		"bad queries": func(ctx context.Context) error {
			return t.expect(ctx, 400, "GET", fmt.Sprintf("/Patient?x%d=1", t.next()), t.fresh("app"), "")
		},
		"pages":      func(ctx context.Context) error { return t.pages(ctx, t.fresh("app")) },
		"pseudonyms": func(ctx context.Context) error { return t.pages(ctx, t.fresh("research")) },
		"writes": func(ctx context.Context) error {
			id := fmt.Sprintf("w%d", t.next()%100)
			return t.expect(ctx, 0, "PUT", "/Observation/"+id, t.fresh("app"),
				fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p001"}}`, id))
		},
		"batches": func(ctx context.Context) error {
			entry := `{"request":{"method":"GET","url":"Patient/p003"}}`
			return t.expect(ctx, 200, "POST", "", t.fresh("app"), `{"resourceType":"Bundle","type":"batch","entry":[`+strings.Repeat(entry+",", 19)+entry+`]}`)
		},
		"huge answers": func(ctx context.Context) error {
			return t.expect(ctx, 200, "GET", "/Observation?code=huge", t.fresh("app"), "")
		},
		"exports":      func(ctx context.Context) error { return t.export(ctx, t.fresh("bulk")) },
		"slow readers": func(ctx context.Context) error { return t.dawdle(ctx, t.fresh("app"), true) },
		"slow writers": func(ctx context.Context) error { return t.dawdle(ctx, t.fresh("app"), false) },
		"those who go": func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Millisecond)
			defer cancel()
			_, _, _ = t.ask(ctx, "GET", "/Observation?code=huge", t.fresh("app"), "")
			return nil
		},
	}
}

// fresh is a token of a client that is not old.
func (t *traffic) fresh(client string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.signed) > 10*time.Minute {
		t.signed, t.tokens = time.Now(), map[string]string{}
	}
	if t.tokens[client] == "" {
		t.tokens[client] = t.token(client)
	}
	return t.tokens[client]
}

func (t *traffic) next() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	return t.n
}

// repeat lets a client go on until ctx ends.
func (t *traffic) repeat(ctx context.Context, name string, client func(context.Context) error) {
	for ctx.Err() == nil {
		err := client(ctx)
		t.mu.Lock()
		t.counts[name]++
		if err != nil && ctx.Err() == nil && len(t.errs) < 20 {
			t.errs = append(t.errs, fmt.Errorf("%s: %w", name, err))
		}
		t.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (t *traffic) wrong() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.errs...)
}

func (t *traffic) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&b, "%s %d  ", name, t.counts[name])
	}
	return b.String()
}

// ask sends a request below the base, or to a URL that the gateway gave, and reads the
// first megabyte of the answer, and passes over the rest.
func (t *traffic) ask(ctx context.Context, method, target, token, body string, headers ...string) (*http.Response, string, error) {
	target = t.base + strings.TrimPrefix(target, public)
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if body == "" {
		r.Body = http.NoBody
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	return resp, string(b), err
}

// expect fails on another status; 0 is any that says that it was done.
func (t *traffic) expect(ctx context.Context, status int, method, target, token, body string) error {
	resp, got, err := t.ask(ctx, method, target, token, body)
	if err == nil && resp.StatusCode != status && (status != 0 || resp.StatusCode/100 != 2) {
		err = fmt.Errorf("got %d %.200s", resp.StatusCode, got)
	}
	return err
}

var nextLink = regexp.MustCompile(`"relation":\s*"next",\s*"url":\s*"([^"]+)"|"url":\s*"([^"]+)",\s*"relation":\s*"next"`)

// pages turns five pages.
func (t *traffic) pages(ctx context.Context, token string) error {
	target := "/Observation?_count=50"
	for range 5 {
		resp, body, err := t.ask(ctx, "GET", target, token, "")
		if err != nil {
			return err
		}
		m := nextLink.FindStringSubmatch(body)
		if resp.StatusCode != 200 || m == nil {
			return fmt.Errorf("got %d %.200s", resp.StatusCode, body)
		}
		target = m[1] + m[2]
	}
	return nil
}

var fileURL = regexp.MustCompile(`"url":\s*"([^"]+)"`)

// export begins a job, asks for it and takes its file.
func (t *traffic) export(ctx context.Context, token string) error {
	resp, body, err := t.ask(ctx, "GET", "/$export", token, "", "Prefer", "respond-async")
	if err != nil || resp.StatusCode != 202 {
		return errors.Join(err, fmt.Errorf("kick-off: %.200s", body))
	}
	resp, body, err = t.ask(ctx, "GET", resp.Header.Get("Content-Location"), token, "", "Accept", "application/json")
	m := fileURL.FindStringSubmatch(body)
	if err != nil || resp.StatusCode != 200 || m == nil {
		return errors.Join(err, fmt.Errorf("job: %.200s", body))
	}
	resp, body, err = t.ask(ctx, "GET", m[1], token, "", "Accept", "application/fhir+ndjson")
	if err != nil || resp.StatusCode != 200 || strings.Count(body, "\n") < 1000 {
		return errors.Join(err, fmt.Errorf("file: %.200s", body))
	}
	return nil
}

// dawdle reads a long answer, or writes a body, a little at a time, and gives up.
func (t *traffic) dawdle(ctx context.Context, token string, reads bool) error {
	address, _, _ := strings.Cut(strings.TrimPrefix(t.base, "http://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	head := "Host: " + address + "\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/fhir+json\r\n"
	if reads {
		fmt.Fprintf(conn, "GET /fhir/Observation?code=huge HTTP/1.1\r\n%s\r\n", head)
	} else {
		fmt.Fprintf(conn, "POST /fhir/Observation HTTP/1.1\r\n%sContent-Length: 1000\r\n\r\n{", head)
	}
	little := make([]byte, 4096)
	for range 20 {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
		if reads {
			_, err = conn.Read(little)
		} else {
			_, err = conn.Write([]byte(" "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
