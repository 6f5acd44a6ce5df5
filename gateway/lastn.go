package gateway

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
)

// lastN gives the last observations of each kind that the caller may see
// (https://hl7.org/fhir/R4/observation-operation-lastn.html). The upstream is asked
// for the observations themselves, newest first: its own $lastn would count those
// that are hidden, and a kind of which nothing comes back would tell of them.
func (x *exchange) lastN(ctx context.Context, m *matter, out output) error {
	if m.view != nil && !(m.view.Shows("Observation", "date") && m.view.Shows("Observation", "code")) {
		return &failure{status: http.StatusBadRequest, code: "view.parameter-hidden",
			text: "$lastn goes by dates and codes, which you see in another form. Search for the observations instead."}
	}
	if err := x.hops(ctx, m); err != nil {
		return err
	}
	if err := x.largeEnough(ctx, m); err != nil {
		return err
	}
	b := &bundle{x: x, m: m, out: out, kind: "searchset", buf: buffers.Get().(*bytes.Buffer)}
	defer b.recycle()
	last := latest{max: 1}
	if c := criterion(m.access, "max"); c != nil {
		last.max, _ = strconv.Atoi(c.Values[0]) // digits, as the grammar has seen to
	}
	var at place
	for range maxRefill {
		if m.empty {
			break
		}
		next, err := x.latestOn(ctx, m, at, &last)
		if err != nil {
			return err
		}
		if m.empty = next == ""; last.bytes > maxEntry {
			return tooManyOfThem()
		}
		at.Target = next
	}
	if !m.empty {
		return tooManyOfThem()
	}
	for _, it := range last.kept {
		b.add(it)
	}
	return b.close(ctx, place{})
}

func tooManyOfThem() error {
	return &failure{status: http.StatusUnprocessableEntity, code: "search.too-broad",
		text: "There are too many observations to find the last of. Narrow it by patient, category, code or date."}
}

// latestOn takes what is visible on one page of the upstream's.
func (x *exchange) latestOn(ctx context.Context, m *matter, at place, last *latest) (next string, err error) {
	r, err := x.pageAt(ctx, m, at)
	if err != nil {
		return "", err
	}
	defer r.Recycle()
	for {
		w, err := r.Next(ctx)
		if err != nil {
			return "", badUpstream(err)
		}
		x.watchNarrowing(m, w)
		for _, it := range w.Items {
			if it.Released == nil && it.ViewErr == nil {
				x.withheld(it)
			} else {
				last.take(it)
			}
		}
		if w.Last {
			return x.nextTarget(r), nil
		}
	}
}

// lastSearch is the search that $lastn is made of.
func lastSearch(a *fhir.Access) *fhir.Access {
	up, count := *a, windowEntries
	up.Interaction, up.Operation, up.Method = fhir.SearchType, "", ""
	up.Criteria = slices.DeleteFunc(slices.Clone(a.Criteria), func(p fhir.Param) bool { return p.Name == "max" })
	up.Results = fhir.Results{Count: &count, Sort: []fhir.SortKey{{Name: "date", Desc: true}}}
	return &up
}

// latest are the last observations of each kind, as they come newest first.
type latest struct {
	max   int
	kinds []observed
	kept  []*judge.Item
	bytes int
}

// observed is what observations with a code in common are of, where each code that one
// of them adds counts for the next: translations of a code are the same kind.
type observed struct {
	codes []string
	n     int
	date  string // of the last one taken: others of the same moment are as late
}

func (l *latest) take(it *judge.Item) {
	f := &it.Verdict.Facts
	k := l.kindOf(it)
	if k.n >= l.max && (f.Date == "" || f.Date != k.date) {
		return
	}
	k.n, k.date = k.n+1, f.Date
	one := *it
	one.Resource, one.Released = nil, bytes.Clone(it.Released) // the window's bytes are used again
	one.Verdict.Facts.Patients = slices.Clone(f.Patients)
	l.bytes += len(one.Released)
	l.kept = append(l.kept, &one)
}

func (l *latest) kindOf(it *judge.Item) *observed {
	codes := codesOf(it)
	at := slices.IndexFunc(l.kinds, func(k observed) bool {
		return slices.ContainsFunc(codes, func(c string) bool { return slices.Contains(k.codes, c) })
	})
	if at < 0 {
		at, l.kinds = len(l.kinds), append(l.kinds, observed{})
	}
	k := &l.kinds[at]
	for _, c := range codes {
		if !slices.Contains(k.codes, c) {
			k.codes = append(k.codes, c)
		}
	}
	return k
}

var codePlan = wire.NewPlan("code")

// codesOf are an observation's codes, or its code's text, of its patients.
func codesOf(it *judge.Item) (keys []string) {
	of := strings.Join(it.Verdict.Facts.Patients, " ") + " "
	var t wire.Tree
	hits, err := codePlan.Skim(it.Resource, nil)
	if err != nil || len(hits) == 0 || t.Parse(it.Resource[hits[0].Start:hits[0].End]) != nil {
		return nil
	}
	if list := t.Get(0, "coding"); list >= 0 && t.Nodes[list].Kind == wire.Array {
		for i := range t.Children(list) {
			system, code := t.Get(i, "system"), t.Get(i, "code")
			if code >= 0 && system >= 0 {
				keys = append(keys, of+t.Text(system)+"|"+t.Text(code))
			} else if code >= 0 {
				keys = append(keys, of+"|"+t.Text(code))
			}
		}
	}
	if text := t.Get(0, "text"); len(keys) == 0 && text >= 0 {
		keys = append(keys, of+t.Text(text))
	}
	return keys
}
