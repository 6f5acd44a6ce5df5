package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// maxRefill bounds the upstream pages of windowEntries rows that are read for one
// answer of ours. Rows that are hidden are passed over, since an empty page that
// is not the last tells that something is hidden.
const maxRefill = 10

// search answers whatever brings a Bundle of resources: searches, histories
// and $everything. The answer is judged window by window; one that fits a
// window is judged whole before its status line is written.
func (x *exchange) search(ctx context.Context, m *matter, out output) error {
	if err := x.mayCount(ctx, m); err != nil {
		return err
	}
	if err := x.hops(ctx, m); err != nil {
		return err
	}
	if err := x.inCompartment(ctx, m); err != nil {
		return err
	}
	if err := x.largeEnough(ctx, m); err != nil {
		return err
	}
	if err := x.count(ctx, m); err != nil {
		return err
	}
	b := &bundle{x: x, m: m, out: out, kind: bundleType(m.access), buf: buffers.Get().(*bytes.Buffer)}
	defer b.recycle()
	if m.empty || m.access.Results.Summary == "count" {
		return b.close(ctx, place{})
	}
	at := m.at
	for range maxRows / leastRows {
		if at.Size > 0 {
			return x.fill(ctx, m, b, at)
		}
		next, err := x.onePage(ctx, m, b, at)
		if err != nil || b.done {
			return err
		}
		at = next
	}
	return tooLittle()
}

func tooLittle() error {
	return &failure{status: http.StatusUnprocessableEntity, code: "search.too-broad",
		text: "Too little of what matches is visible to you. Narrow the search, for instance by patient or date."}
}

// pageAt asks the upstream for a page. There is none where a compartment's
// patient does not exist: the same as one whose records are all hidden.
func (x *exchange) pageAt(ctx context.Context, m *matter, at place) (*judge.Reading, error) {
	return x.partAt(ctx, m, at, nil)
}

// partAt is pageAt for a page of which the client's has room for a part.
func (x *exchange) partAt(ctx context.Context, m *matter, at place, part *judge.Part) (*judge.Reading, error) {
	answer, err := x.forward(ctx, m, m.request(m.targetAt(at)))
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		defer discard(answer)
		if (m.access.Interaction == fhir.SearchCompartment || m.access.Operation == "$docref") && answer.Status == http.StatusNotFound {
			return nil, nil
		}
		return nil, x.searchStatus(answer)
	}
	expect := x.expect(ctx, m)
	expect.Part = part
	r, err := x.court(m).Open(answer.Body, expect, x.s.windows())
	if err != nil {
		return nil, internal(err)
	}
	return r, nil
}

// onePage reads one upstream page into the answer. It returns where to go on
// if that does not make a page for the client.
func (x *exchange) onePage(ctx context.Context, m *matter, b *bundle, at place) (next place, err error) {
	r, err := x.pageAt(ctx, m, at)
	if err != nil {
		return place{}, err
	}
	if r == nil {
		return place{}, b.close(ctx, place{})
	}
	defer r.Recycle()
	for {
		w, err := r.Next(ctx)
		if err != nil {
			return place{}, x.brokenPage(b, err)
		}
		link := ""
		if w.Last {
			link = x.nextTarget(r)
		}
		if again, thin := m.thin(w, at, link); thin {
			return again, nil
		}
		x.watchNarrowing(m, w)
		switch {
		case w.Last && link != "" && !b.began && shown(w) == 0:
			x.noteWindow(w)
			return place{Target: link}, nil
		case w.Last:
			b.addEntries(w)
			return place{}, b.close(ctx, x.lookAhead(ctx, m, place{Target: link}))
		case b.began || shown(w) > 0:
			err = b.stream(ctx, w)
		default:
			x.noteWindow(w)
		}
		if err != nil {
			return place{}, err
		}
	}
}

// request is the search as it is sent. What is too long for a URL is posted;
// an upstream's own page link is followed as it stands. Operations are asked for
// with GET, by the parameters that were read of a body: their pages can then be
// asked for again.
func (m *matter) request(target string) upstream.Request {
	r := upstream.Request{Method: http.MethodGet, Target: target}
	a := m.access
	path, query, _ := strings.Cut(target, "?")
	if target == m.printed && len(query) > longURL && a.Type != "" && isSearch(a) {
		r = upstream.Request{Method: http.MethodPost, Target: path + "/_search", Body: []byte(query), ContentType: "application/x-www-form-urlencoded"}
	}
	return r
}

// brokenPage is an answer that ended badly: before the status line it is a
// 502, after it the connection is reset.
func (x *exchange) brokenPage(b *bundle, err error) error {
	if errors.Is(err, judge.ErrMalformed) {
		return badUpstream(err)
	}
	return internal(err)
}

func (x *exchange) searchStatus(a *upstream.Answer) error {
	switch a.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &failure{status: http.StatusBadRequest, code: "search.unsupported", log: fmt.Errorf("upstream status %d", a.Status),
			text: "The FHIR server behind the gateway does not support this search. Use fewer or other parameters; /metadata lists them."}
	case http.StatusNotFound, http.StatusGone:
		return absent(fmt.Errorf("upstream status %d", a.Status))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return upstreamBusy(a)
	}
	return badUpstream(fmt.Errorf("upstream status %d", a.Status))
}

func isSearch(a *fhir.Access) bool { return action(a) == "search" || a.Operation == "$lastn" }

func bundleType(a *fhir.Access) string {
	switch a.Interaction {
	case fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem:
		return "history"
	}
	return "searchset"
}

// expect says which entries the answer to a matter may hold.
func (x *exchange) expect(ctx context.Context, m *matter) judge.Expect {
	a := m.access
	e := judge.Expect{Type: bundleType(a), Matches: a.Type, Include: a.Results.Include, RevInclude: a.Results.RevInclude, Within: x.membership(a)}
	switch {
	case a.Operation == "$everything":
		e.Matches = "" // any type, each judged by itself
	case e.Type == "history":
		e.History = true
		if a.Interaction != fhir.HistoryInstance {
			e.Current = func(ctx context.Context, refs []fhir.Ref) (map[fhir.Ref]bool, error) {
				return x.currentOf(ctx, m, refs)
			}
		}
	case a.Type != "" && len(a.Results.Include)+len(a.Results.RevInclude) == 0:
		e.Includes = map[string]bool{} // nothing was to be included
	}
	return e
}

// shown counts the entries that a window brings.
func shown(w *judge.Window) int {
	n := 0
	for _, it := range w.Items {
		if it.Shown() {
			n++
		}
	}
	return n
}

func (x *exchange) noteWindow(w *judge.Window) {
	for _, it := range w.Items {
		if it.Verdict.Allow {
			x.released(it)
		} else {
			x.withheld(it)
		}
	}
}

// nextTarget is the upstream's next page, if it lies on the upstream: a link
// to another host is dropped with an alarm, never followed (H-04).
func (x *exchange) nextTarget(r *judge.Reading) string {
	link := r.Link("next")
	if link == "" {
		return ""
	}
	target, ok := x.s.up.Below(link)
	if !ok {
		x.alarm("upstream.foreign-link")
		return ""
	}
	return target
}
