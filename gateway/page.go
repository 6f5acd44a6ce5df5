package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// pageLife is how long a page link may be used.
const pageLife = 30 * time.Minute

// maxPage bounds what a page link carries, in bytes: the link must pass as a
// request line (64 KiB), and nothing of it is kept here.
const maxPage = 24 << 10

// page is what a page link carries, sealed and bound to its caller: where the
// upstream goes on, and what the client had asked, which is parsed and judged
// anew on every page (DESIGN §2.9).
type page struct {
	place
	Path  string `json:"p"` // the client's own request, canonical
	Query string `json:"q"`
	Count *int   `json:"c,omitempty"` // of all that matches, where that was asked for and told
	// Revision is the policy that Count was told by.
	Revision string `json:"r,omitempty"`
}

// links are the Bundle's links: self is what the client asked, without what
// the gateway added to it; next is a sealed handle.
func (b *bundle) links(next place) (string, error) {
	x := b.x
	self := `[{"relation":"self","url":` + string(wire.Quote(nil, x.s.publicURL+"/"+b.m.question())) + `}`
	if next == (place{}) {
		return self + `]`, nil
	}
	path, query, _ := strings.Cut(b.m.question(), "?")
	p := page{place: next, Path: "/" + path, Query: query}
	if b.m.count != nil {
		p.Count, p.Revision = b.m.count, x.s.policy.Revision()
	}
	payload, err := json.Marshal(p)
	if err != nil {
		return "", internal(err)
	}
	if len(payload) > maxPage {
		return "", &failure{status: http.StatusUnprocessableEntity, code: "search.too-long",
			text: "The search is too long for a link to its next page. Ask for fewer values at once, or for the whole result by a larger _count."}
	}
	handle := x.s.sealer.Seal("page", x.caller.bind, payload, x.start.Add(pageLife))
	return self + `,{"relation":"next","url":` + string(wire.Quote(nil, x.s.publicURL+"/_page/"+handle)) + `}]`, nil
}

// openPage turns a page link back into the access that it continues.
func (x *exchange) openPage(handle, query string) (*fhir.Access, error) {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return nil, &failure{status: http.StatusMethodNotAllowed, code: "request.method", text: "Follow a page link with GET.", allow: "GET, HEAD"}
	}
	if query != "" {
		return nil, &failure{status: http.StatusBadRequest, code: "page.changed", text: "A page link is followed as it stands; parameters cannot be added."}
	}
	x.record.Interaction = "page"
	payload, err := x.s.sealer.Open("page", x.caller.bind, handle, x.start)
	if err != nil {
		return nil, absent(err)
	}
	var p page
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, internal(err)
	}
	a, ferr := fhir.Parse(fhir.Request{Method: http.MethodGet, Path: p.Path, Query: p.Query}, x.s.grammar)
	if ferr != nil {
		return nil, ferr
	}
	x.page = &p
	x.describe(a)
	return a, nil
}

// clientQuery is the request as the client put it, for the audit alone.
func clientQuery(r *http.Request, form []byte) []byte {
	q := []byte(r.URL.RequestURI())
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		q = append(append(q, '\n'), form...)
	}
	return q
}
