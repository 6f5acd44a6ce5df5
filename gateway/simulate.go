package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/relation"
	"gatehouse/gateway/upstream"

	"go.uber.org/zap"
)

// Simulation asks what somebody can see of a patient today, and after one more
// Consent.
type Simulation struct {
	Subject  *auth.Subject
	Patient  string   // "Patient/1"
	With     [][]byte // Consents that would come, or take the place of those with their ids
	Consents [][]byte // instead of those on the server that keeps them; nil: those
	Data     [][]byte // instead of what the upstream has of the patient; nil: that
	Now      time.Time
}

// Seen is what becomes of the records of one type with the same labels.
type Seen struct {
	Type     string   `json:"type"`
	Labels   []string `json:"labels"`
	Records  int      `json:"records"`
	Today    int      `json:"today"` // of them are seen
	After    *int     `json:"after,omitempty"`
	Why      string   `json:"why"` // of today's answer
	WhyAfter string   `json:"why_after,omitempty"`
}

// Simulated is the answer.
type Simulated struct {
	Patient  string   `json:"patient"`
	Seen     []Seen   `json:"seen"`
	NotAsked []string `json:"not_asked,omitempty"` // types that the upstream did not answer for
	Policy   string   `json:"policy"`
}

// Simulate runs the gateway of a configuration over a patient's records: scopes,
// policy and consent, by the code that serves.
func Simulate(ctx context.Context, path string, q Simulation) (*Simulated, error) {
	s, err := offline(path)
	if err != nil {
		return nil, err
	}
	s.now = func() time.Time { return q.Now }
	if s.up, err = upstream.New(s.cfg.Upstream, s.cfg.Base, zap.NewNop()); err != nil {
		return nil, err
	}
	defer s.up.Close()
	if err := s.buildConsent(zap.NewNop()); err != nil {
		return nil, err
	}
	if s.consent == nil {
		return nil, errors.New("consent.source is none: consents are not consulted")
	}
	out := &Simulated{Patient: q.Patient, Policy: s.policy.Revision()}
	if err := s.gatherPatient(ctx, &q, out); err != nil {
		return nil, err
	}
	if s.policy.NeedsRelation() {
		s.relation = relation.New(s.grammar.Version, careSource{s}, s.bases, careStale, s.now)
	}
	for _, c := range q.With {
		if len(s.consent.Summaries(q.Patient, [][]byte{c})) == 0 {
			return nil, fmt.Errorf("a Consent of --with is not one of %s", q.Patient)
		}
	}
	today, err := s.see(ctx, q, q.Consents)
	if err != nil {
		return nil, err
	}
	after := today
	if len(q.With) > 0 {
		if after, err = s.see(ctx, q, s.replaced(q.Consents, q.With)); err != nil {
			return nil, err
		}
	}
	out.Seen = tabulate(today, after, len(q.With) > 0)
	return out, nil
}

// gatherPatient asks the servers for what was not given.
func (s *snapshot) gatherPatient(ctx context.Context, q *Simulation, out *Simulated) (err error) {
	if q.Consents == nil {
		if q.Consents, err = (consentSource{s}).Consents(ctx, []string{q.Patient}); err != nil {
			return err
		}
	}
	if q.Data != nil {
		return nil
	}
	for _, typ := range s.grammar.Version.ResourceTypes() {
		params, in := s.grammar.Version.Compartment("Patient", typ)
		if typ == "Patient" {
			params, in = []string{"_id"}, true
		}
		if !in {
			continue
		}
		found := map[string][]byte{}
		for _, p := range params {
			value := q.Patient
			if p == "_id" {
				value = strings.TrimPrefix(value, "Patient/")
			}
			err := gather(ctx, s.up, int64(s.cfg.Limits.Resource), upstream.BeforeImage, typ, p+"="+url.QueryEscape(value)+"&_count=200", func(r []byte) error {
				facts, err := s.grammar.Version.ReadFacts(r, s.bases)
				if err == nil && slices.Contains(facts.Patients, q.Patient) {
					found[facts.ID] = r
				}
				return nil
			})
			if ctx.Err() != nil {
				return fmt.Errorf("ask the upstream for %s: %w", typ, err)
			}
			if err != nil && !slices.Contains(out.NotAsked, typ) {
				out.NotAsked = append(out.NotAsked, typ)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(found)) {
			q.Data = append(q.Data, found[id])
		}
	}
	if q.Data == nil && len(out.NotAsked) > 5 {
		return fmt.Errorf("the upstream answers for none of the patient's records; name them with --data")
	}
	return nil
}

// replaced are the Consents after those of with came.
func (s *snapshot) replaced(consents, with [][]byte) [][]byte {
	id := func(r []byte) string { return s.consent.ID(r) }
	var all [][]byte
	for _, c := range consents {
		if !slices.ContainsFunc(with, func(w []byte) bool { return id(w) != "" && id(w) == id(c) }) {
			all = append(all, c)
		}
	}
	return append(all, with...)
}

// glimpse is one record as it was judged.
type glimpse struct {
	typ    string
	labels []string
	seen   bool
	why    string
}

// see judges the records under a set of Consents.
func (s *snapshot) see(ctx context.Context, q Simulation, consents [][]byte) ([]glimpse, error) {
	s.consent = s.newConsent(given{consentSource{s}, consents}, s.now)
	byType := map[string][]*judge.Item{}
	for _, r := range q.Data {
		facts, err := s.grammar.Version.ReadFacts(r, s.bases)
		if err != nil {
			return nil, fmt.Errorf("read a record: %w", err)
		}
		byType[facts.Type] = append(byType[facts.Type], &judge.Item{Resource: r, Mode: "match", Verdict: judge.Verdict{Facts: facts}})
	}
	var all []glimpse
	for _, typ := range slices.Sorted(maps.Keys(byType)) {
		list, err := s.seeType(ctx, q, typ, byType[typ])
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func (s *snapshot) seeType(ctx context.Context, q Simulation, typ string, items []*judge.Item) ([]glimpse, error) {
	x := &exchange{s: s, start: q.Now, address: netip.MustParseAddr("127.0.0.1")}
	m, err := x.foresee(ctx, Question{Subject: q.Subject, Method: "GET", Target: "/" + typ + "/" + items[0].Verdict.Facts.ID, Now: q.Now}, &Explanation{})
	var refused *failure
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	if refused == nil {
		court := x.court(m)
		court.Alarm = func(string) {}
		for window := range slices.Chunk(items, windowEntries) {
			court.Weigh(ctx, window)
		}
	}
	list := make([]glimpse, 0, len(items))
	for _, it := range items {
		g := glimpse{typ: typ, labels: slices.Sorted(slices.Values(it.Verdict.Facts.Labels))}
		switch {
		case refused != nil:
			g.why = refused.code
		case it.Verdict.Allow && x.stepUp(it.Verdict.Decision.Obligations.StepUp) != nil:
			g.why = "policy.step-up"
		default:
			g.seen, g.why = it.Verdict.Allow, whyOf(&it.Verdict)
		}
		list = append(list, g)
	}
	return list, nil
}

// whyOf names what decided: the reason of a refusal, and the consent.
func whyOf(v *judge.Verdict) string {
	why := v.Reason
	switch d := &v.Decision; {
	case v.Allow:
		why = strings.Join(d.Permits, "; ")
	case why == "policy.denied" && len(d.Forbids) > 0:
		why = strings.Join(d.Forbids, "; ")
	case why == "policy.denied" && len(d.Permits) == 0:
		why = "no rule permits it"
	}
	if c := v.Consent; c.Source != "" {
		why += " (" + c.Decision + " by " + c.Source + " " + c.Provision + ")"
	} else if c.Refused && v.Reason == "consent.denied" {
		why += " (no Consent speaks of it)"
	}
	return why
}

// tabulate counts records of the same type and labels.
func tabulate(today, after []glimpse, compared bool) []Seen {
	rows := map[string]*Seen{}
	reasons := map[string]map[string]bool{}
	for i, g := range today {
		key := g.typ + "\x00" + strings.Join(g.labels, "\x00")
		row := rows[key]
		if row == nil {
			row = &Seen{Type: g.typ, Labels: g.labels}
			rows[key] = row
		}
		row.Records++
		count(&row.Today, g.seen)
		note(reasons, key+"\x01today", g.why)
		if compared {
			if row.After == nil {
				row.After = new(int)
			}
			count(row.After, after[i].seen)
			note(reasons, key+"\x01after", after[i].why)
		}
	}
	list := make([]Seen, 0, len(rows))
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		row := rows[key]
		row.Why = strings.Join(slices.Sorted(maps.Keys(reasons[key+"\x01today"])), "; or ")
		row.WhyAfter = strings.Join(slices.Sorted(maps.Keys(reasons[key+"\x01after"])), "; or ")
		list = append(list, *row)
	}
	return list
}

func count(n *int, seen bool) {
	if seen {
		*n++
	}
}

func note(reasons map[string]map[string]bool, key, why string) {
	if reasons[key] == nil {
		reasons[key] = map[string]bool{}
	}
	if len(reasons[key]) < 3 {
		reasons[key][why] = true
	}
}

// given is a Source of Consents at hand; what they name is asked for.
type given struct {
	consentSource
	consents [][]byte
}

// Consents is part of consent.Source.
func (g given) Consents(context.Context, []string) ([][]byte, error) { return g.consents, nil }
