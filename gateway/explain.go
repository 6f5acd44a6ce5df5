package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/relation"
	"gatehouse/gateway/view"

	"go.uber.org/zap"
)

// Question is an access that nobody has made: Explain says what would become of
// it.
type Question struct {
	Subject  *auth.Subject
	Method   string
	Target   string   // below the FHIR base, "/Observation?patient=1"
	Resource []byte   // one that would come back, or be written; nil: what can be said without
	Around   [][]byte // Consents, Encounters and CareTeams that the upstream would have
	Now      time.Time
}

// Explanation is the answer, step by step in the order of the path. It names
// patients where the question did.
type Explanation struct {
	Interaction string `json:"interaction,omitempty"`
	Action      string `json:"action,omitempty"`
	Type        string `json:"type,omitempty"`
	Allowed     string `json:"allowed"` // yes, no, or "depends": on the resource
	Status      int    `json:"status,omitempty"`
	Code        string `json:"code,omitempty"`   // stable, when refused
	Reason      string `json:"reason,omitempty"` // why one resource is withheld
	Text        string `json:"text,omitempty"`
	Needed      string `json:"needed,omitempty"` // a scope that would have opened it
	// What decided on the resource, or where none is named on the request.
	Rules    []policy.Rule     `json:"rules,omitempty"` // that held
	Near     []policy.Near     `json:"near,omitempty"`  // that nearly permitted
	Permits  []string          `json:"permits,omitempty"`
	Forbids  []string          `json:"forbids,omitempty"`
	Consent  *ExplainedConsent `json:"consent,omitempty"`
	Views    []string          `json:"views,omitempty"`
	Facts    *ExplainedFacts   `json:"facts,omitempty"`
	Revision string            `json:"policy"`
}

// ExplainedFacts are fhir.Facts under the names that rules read them by.
type ExplainedFacts struct {
	Type          string   `json:"type"`
	ID            string   `json:"id"`
	VersionID     string   `json:"-"`
	Patients      []string `json:"patients"`
	Organization  string   `json:"organization"`
	Practitioners []string `json:"practitioners"`
	Labels        []string `json:"labels"`
	Categories    []string `json:"categories"`
	Codes         []string `json:"codes"`
	Status        string   `json:"status"`
	Author        string   `json:"author"`
	Encounter     string   `json:"encounter"`
	Date          string   `json:"date"`
	Unnamed       bool     `json:"unnamed_patient,omitempty"`
	Security      [2]int32 `json:"-"`
	Inlaid        bool     `json:"-"`
	UnknownLabel  bool     `json:"unknown_label,omitempty"`
	Notice        string   `json:"notice,omitempty"`
}

// ExplainedConsent is what the consents of the resource's patients say.
type ExplainedConsent struct {
	Decision  string `json:"decision"`
	Provision string `json:"provision,omitempty"`
	Source    string `json:"source,omitempty"`
	Refused   bool   `json:"refused"`
}

// Explain decides on a question as the gateway of a configuration would, by the
// same code, and asks nothing of the network: consents and care relations are
// those in Around.
func Explain(ctx context.Context, path string, q Question) (*Explanation, error) {
	s, err := offline(path)
	if err != nil {
		return nil, err
	}
	s.sources(q)
	return s.explain(ctx, q)
}

func (s *snapshot) explain(ctx context.Context, q Question) (*Explanation, error) {
	x := &exchange{s: s, start: q.Now, address: netip.MustParseAddr("127.0.0.1")}
	e := &Explanation{Revision: s.policy.Revision(), Allowed: "no"}
	m, err := x.foresee(ctx, q, e)
	if err == nil && q.Resource != nil {
		err = x.weighOne(ctx, m, q.Resource, e)
	}
	var f *failure
	if errors.As(err, &f) {
		e.Status, e.Code, e.Text, e.Needed = f.status, f.code, f.text, f.needed
		return e, nil
	}
	return e, err
}

// offline is the part of a snapshot that decides without data.
func offline(path string) (*snapshot, error) {
	cfg, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	s := &snapshot{cfg: cfg, stores: &stores{opened: view.MemoryVault(), offline: true}}
	s.grammar.Version = configured(cfg)
	var err error
	s.publicURL = strings.TrimSuffix(cfg.Base.String(), "/")
	if s.bases, err = fhir.NewBaseSet(s.publicURL, strings.TrimSuffix(cfg.Upstream.URL, "/")); err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	s.grammar.Bases, s.grammar.Operations = s.bases, map[string]bool{}
	for _, name := range cfg.Operations.Allow {
		s.grammar.Operations[name] = true
	}
	if err := s.loadOffline(); err != nil {
		return nil, err
	}
	return s, errors.Join(s.buildKeys(nil), s.buildPolicy(nil), s.buildViews(nil), s.buildAuth(zap.NewNop()))
}

// sources makes consents and care relations of what the question has.
func (s *snapshot) sources(q Question) {
	now := func() time.Time { return q.Now }
	around := around{s, q.Around}
	if s.cfg.Consent.Source != "none" {
		s.consent = s.newConsent(around, now)
	}
	if s.policy.NeedsRelation() {
		s.relation = relation.New(s.grammar.Version, around, s.bases, careStale, now)
	}
}

// foresee takes the question as far as it goes without data.
func (x *exchange) foresee(ctx context.Context, q Question, e *Explanation) (*matter, error) {
	path, query, _ := strings.Cut(q.Target, "?")
	r := fhir.Request{Method: q.Method, Path: path, Query: query}
	if q.Method == "POST" || q.Method == "PUT" {
		r.Body, r.ContentType = q.Resource, fhirJSON
	}
	a, ferr := fhir.Parse(r, x.s.grammar)
	if ferr != nil {
		return nil, asFailure(ferr)
	}
	e.Interaction, e.Action, e.Type = a.Interaction.String(), action(a), a.Type
	if a.Interaction == fhir.Batch || a.Interaction == fhir.Transaction || a.Interaction == fhir.Capabilities {
		return nil, fmt.Errorf("a %s is not judged by itself: ask about its entries one by one", a.Interaction)
	}
	var err error
	if x.caller, err = x.s.newSubject(q.Subject); err != nil {
		return nil, err
	}
	m := x.matter(a)
	for _, step := range []func(*matter) error{
		func(m *matter) error { return x.chooseView(ctx, m) }, x.firewall, x.checkScope, x.checkPolicy,
	} {
		if err := step(m); err != nil {
			_, d := m.eval.Possible()
			e.Permits, e.Forbids = d.Permits, d.Forbids
			return nil, errors.Join(asFailure(err), e.rules(ctx, m.eval, nil))
		}
	}
	if x.caller.viewName != "" {
		e.Views = append(e.Views, x.caller.viewName)
	}
	_, d := m.eval.Possible()
	e.Allowed, e.Views = "depends", append(e.Views, d.Obligations.Views...)
	return m, nil
}

// rules tells which rules held, and which nearly did; res is nil where the
// request alone decided.
func (e *Explanation) rules(ctx context.Context, eval *policy.Evaluation, res *policy.Resource) error {
	x, err := eval.Explain(ctx, res)
	if err != nil {
		return err
	}
	e.Near = x.Near
	for _, r := range x.Held { // with the care relation, which is not looked up where another rule permits
		if r.Set != "permit" || len(e.Permits) == 0 || slices.Contains(e.Permits, r.Reason) {
			e.Rules = append(e.Rules, r)
		}
	}
	return nil
}

func (s *snapshot) newSubject(subject *auth.Subject) (*caller, error) {
	c := s.newCaller(subject)
	if c.refused != nil {
		return nil, c.refused
	}
	return c, nil
}

// weighOne decides on one resource.
func (x *exchange) weighOne(ctx context.Context, m *matter, resource []byte, e *Explanation) error {
	court := x.court(m)
	court.Alarm = func(string) {}
	v, err := court.Read(resource)
	if err != nil {
		return fmt.Errorf("read the resource: %w", err)
	}
	it := &judge.Item{Resource: resource, Verdict: v, Mode: "match"}
	court.Weigh(ctx, []*judge.Item{it})
	v = it.Verdict
	facts, said := ExplainedFacts(v.Facts), ExplainedConsent(v.Consent)
	e.Facts, e.Permits, e.Forbids, e.Reason = &facts, v.Decision.Permits, v.Decision.Forbids, v.Reason
	if said.Decision != "" && said.Decision != "n/a" {
		e.Consent = &said
	}
	e.Allowed = "no"
	if asked := court.Question(ctx, it); asked != nil {
		if err := e.rules(ctx, m.eval, asked); err != nil {
			return fmt.Errorf("explain the rules: %w", err)
		}
	}
	if !v.Allow {
		return nil
	}
	if f := x.stepUp(v.Decision.Obligations.StepUp); f != nil {
		return f
	}
	e.Allowed, e.Views = "yes", mergeNames(e.Views, v.Decision.Obligations.Views)
	return nil
}

func mergeNames(names, more []string) []string {
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	for _, n := range more {
		if !seen[n] {
			names = append(names, n)
		}
	}
	return names
}

// around is a Source of what stands in files.
type around struct {
	s         *snapshot
	resources [][]byte
}

// Consents is part of consent.Source.
func (a around) Consents(_ context.Context, patients []string) (found [][]byte, err error) {
	err = a.each(patients, func(f *fhir.Facts, _ string, r []byte) {
		if f.Type == "Consent" {
			found = append(found, r)
		}
	})
	return found, err
}

// Named is part of consent.Source: what a Consent names by an identifier is not
// looked for in files.
func (a around) Named(_ context.Context, names []string) (map[string][][]byte, error) {
	found := map[string][][]byte{}
	for _, r := range a.resources {
		f, err := a.s.grammar.Version.ReadFacts(r, a.s.bases)
		if err != nil {
			return nil, fmt.Errorf("read what surrounds the resource: %w", err)
		}
		if name := f.Type + "/" + f.ID; slices.Contains(names, name) {
			found[name] = append(found[name], r)
		}
	}
	return found, nil
}

// Around is part of relation.Source.
func (a around) Around(_ context.Context, patients []string) (found [][]byte, err error) {
	err = a.each(patients, func(f *fhir.Facts, _ string, r []byte) {
		if f.Type == "Encounter" || f.Type == "CareTeam" {
			found = append(found, r)
		}
	})
	return found, err
}

func (a around) each(patients []string, take func(f *fhir.Facts, patient string, r []byte)) error {
	for _, r := range a.resources {
		f, err := a.s.grammar.Version.ReadFacts(r, a.s.bases)
		if err != nil {
			return fmt.Errorf("read what surrounds the resource: %w", err)
		}
		for _, p := range f.Patients {
			for _, want := range patients {
				if p == want {
					take(&f, p, r)
				}
			}
		}
	}
	return nil
}
