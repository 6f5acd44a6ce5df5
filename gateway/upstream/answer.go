package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// statuses of an answer that carries what was asked for. 206 is a part that
// would be judged as if it were the whole, 304 answers a condition that was
// never sent, 3xx points elsewhere, and 101 opens a tunnel past every check.
func expected(status int) bool {
	switch status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return true
	}
	return status >= 400 && status <= 599
}

// readHead reduces a response to what an Answer may hold.
func readHead(r *http.Response, accept Accept) (Head, error) {
	if !expected(r.StatusCode) {
		return Head{}, fmt.Errorf("status %d was not asked for", r.StatusCode)
	}
	for _, name := range [...]string{"Etag", "Last-Modified", "Location", "Content-Location", "Content-Type", "Content-Encoding", "Retry-After", "X-Progress"} {
		if len(r.Header[name]) > 1 {
			return Head{}, fmt.Errorf("header %s comes twice", name)
		}
	}
	kind, err := mediaType(r, accept)
	if err != nil {
		return Head{}, err
	}
	return Head{
		Status: r.StatusCode, Length: r.ContentLength, ContentType: kind,
		ETag:            only(r, "Etag", entityTag),
		LastModified:    only(r, "Last-Modified", httpDate),
		Location:        only(r, "Location", printable),
		ContentLocation: only(r, "Content-Location", printable),
		RetryAfter:      only(r, "Retry-After", seconds),
		Progress:        only(r, "X-Progress", printable),
	}, nil
}

// mediaType is FHIR's JSON or NDJSON, whichever was asked for, or "" for a body
// that is empty or is the text of an error or of a job's state, which nobody is
// shown. Anything else cannot be judged.
func mediaType(r *http.Response, accept Accept) (string, error) {
	if first(r, "Content-Encoding") != "" && first(r, "Content-Encoding") != "identity" || len(r.TransferEncoding) > 1 {
		return "", errors.New("an encoding was not asked for")
	}
	if r.StatusCode == http.StatusNoContent || r.ContentLength == 0 {
		return "", nil
	}
	if is(first(r, "Content-Type"), accept) {
		if accept == NDJSON {
			return acceptNDJSON[0], nil
		}
		return acceptFHIR[0], nil
	}
	if r.StatusCode >= 400 || r.StatusCode == http.StatusAccepted {
		return "", nil
	}
	return "", errors.New("the answer is not " + accept.header()[0])
}

// is reports whether a Content-Type is of a form, in UTF-8.
func is(text string, accept Accept) bool {
	switch text {
	case "application/fhir+json", "application/fhir+json;charset=UTF-8", "application/fhir+json; charset=utf-8":
		return accept != NDJSON
	}
	kind, parameters, err := mime.ParseMediaType(text)
	if charset := strings.ToLower(parameters["charset"]); err != nil || charset != "" && charset != "utf-8" {
		return false
	}
	if accept == NDJSON {
		return kind == "application/fhir+ndjson" || kind == "application/ndjson"
	}
	return kind == "application/fhir+json" || kind == "application/json"
}

func first(r *http.Response, name string) string {
	if values := r.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// only is the value of a header if it is of its grammar.
func only(r *http.Response, name string, valid func(string) bool) string {
	if value := first(r, name); value != "" && len(value) <= 2048 && valid(value) {
		return value
	}
	return ""
}

func entityTag(s string) bool {
	s, ok := strings.CutSuffix(strings.TrimPrefix(s, "W/"), `"`)
	return ok && len(s) > 1 && s[0] == '"' && printable(s[1:]) && !strings.ContainsAny(s[1:], `" `)
}

func httpDate(s string) bool {
	_, err := http.ParseTime(s)
	return err == nil
}

func seconds(s string) bool {
	n, err := strconv.ParseUint(s, 10, 32)
	return err == nil && n <= 86400
}

// printable is visible ASCII and spaces.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// watch ends a request whose answer takes too long.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func newWatch(ctx context.Context, limit time.Duration) watch {
	ctx, cancel := context.WithCancelCause(ctx)
	return watch{ctx, cancel, time.AfterFunc(limit, func() { cancel(errSlow) })}
}

func (w watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// body gives an answer more time for each piece of it that has come, so that
// neither silence nor a drip of single bytes holds a connection, and a long
// answer that keeps coming has no end set to it.
type body struct {
	io.ReadCloser
	watch watch
	limit time.Duration
	since int // bytes since the timer was last set
}

// piece is how many bytes an answer must bring within the limit.
const piece = 256 << 10

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.since += n; b.since >= piece {
		b.since = 0
		b.watch.timer.Reset(b.limit)
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	e := failure(b.watch.ctx, err)
	e.Sent = true
	return n, e
}

func (b *body) Close() error {
	b.watch.stop()
	return b.ReadCloser.Close()
}
