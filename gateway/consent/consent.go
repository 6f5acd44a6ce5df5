// Package consent holds an access against what patients have agreed to: FHIR
// Consent resources, found for all patients of a window at once, remembered no
// longer than configured, and evaluated provision by provision.
package consent

import (
	"context"
	"slices"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
)

// Actor is who asks, as Consent provisions name them.
type Actor struct {
	User         string // "Practitioner/7"
	Organization string // "Organization/2"
	Client       string // OAuth client id
	Machine      bool   // no user stands behind the client
	Roles        []string
	Purpose      []string  // v3-ActReason codes
	Residual     *Residual // what the token itself leaves; nil: all
}

// Result is what the consents of a resource's patients say. The zero Result
// refuses nothing and says nothing: see Engine.
type Result struct {
	Decision  string // permit, deny, none (no active consent speaks of it), n/a (no patient)
	Provision string // path of the provision that decided, e.g. "provision.provision[1]", or the policy for want of one
	Source    string // the Consent that decided, "Consent/9"
	Refused   bool   // the access is denied: by a consent, or by the policy for those who have none
}

// Source finds what decides.
type Source interface {
	// Consents returns the Consent resources (JSON) of patients ("Patient/1"),
	// whatever their status, in one search; others among them do no harm. An
	// error means that some may be missing, and is never remembered.
	Consents(ctx context.Context, patients []string) ([][]byte, error)
	// Named returns the resources that stand under names: "CareTeam/1", or
	// "Practitioner?identifier=…". What is missing there does not exist.
	Named(ctx context.Context, names []string) (map[string][][]byte, error)
}

// Options are what an Engine works with. Source and Now are required.
type Options struct {
	Source  Source
	Bases   *fhir.BaseSet // by which references to this server are known
	Version fhir.Version  // of the server; STU3's Consents have a shape of their own
	Seal    *Sealer       // knows the Consents that the gateway wrote; nil: none
	Now     func() time.Time
	Problem func(what string) // hears why a Consent that was read permits nothing, one of Problems; nil: nobody
}

// Engine evaluates consents. It is safe for concurrent use.
type Engine struct {
	source     Source
	reader     reader
	implicit   *provision // what patients with no active consent have agreed to
	newest     bool       // of several consents the newest decides
	authors    []string   // whose Consents count; none: everyone's
	clinicians []string   // roles
	maxStale   time.Duration
	now        func() time.Time
	problem    func(string)

	mu     sync.Mutex
	epoch  uint64 // counts Forget: what was fetched before one is not kept after it
	known  cache[[]*consent]
	looked cache[*lookedUp]
}

// New makes an Engine. What c leaves out refuses.
func New(c config.Consent, o Options) *Engine {
	e := &Engine{source: o.Source, reader: reader{bases: o.Bases, zone: c.Zone, seal: o.Seal, three: o.Version == fhir.STU3}, now: o.Now, problem: o.Problem,
		implicit: implicitPolicies[c.Default], newest: c.Conflicts == "newest", authors: c.Authors, clinicians: c.ClinicianRoles,
		maxStale: time.Duration(c.MaxStaleness), known: newCache[[]*consent](), looked: newCache[*lookedUp]()}
	if e.implicit == nil {
		e.implicit = implicitPolicies["deny"]
	}
	return e
}

// Decide says what the consents of the resource's patients mean for one
// access. Of several patients one refusal is enough. action is read, search,
// create, update, delete or operation; content is the resource, nil where it is
// not at hand.
func (s *Set) Decide(a *Actor, action string, f *fhir.Facts, content []byte) Result {
	if len(f.Patients) == 0 && !f.Unnamed {
		return Result{Decision: "n/a"}
	}
	q := query{actor: *a, action: action, facts: f, content: content, now: s.now, engine: s.engine, looked: s.looked}
	if len(f.Patients) == 0 {
		return s.engine.withoutConsent(&q) // of somebody whose consents cannot be found
	}
	var all Result
	for i, p := range f.Patients {
		r := s.one(&q, p)
		if i == 0 || r.Refused && !all.Refused {
			all = r
		}
	}
	return all
}

// Steady tells that the answer is one for all resources of these patients: no
// consent of theirs asks for more of a resource than whose it is.
func (s *Set) Steady(patients []string) bool {
	if s.engine == nil { // consent is not consulted
		return true
	}
	for _, p := range patients {
		for _, c := range s.consents(p) {
			if c.root.reads() {
				return false
			}
		}
	}
	return !s.engine.implicit.reads()
}

// one combines a patient's consents (CONS-03): a deny of one overrides the
// permits of others or, if so configured, the newest of those that speak of the
// access decides. What a void one denies stays denied.
func (s *Set) one(q *query, patient string) Result {
	var chosen *consent
	var result Result
	for _, c := range s.consents(patient) {
		v, path := c.decide(q)
		if v == silent || !s.engine.trusts(c) {
			continue
		}
		r := Result{Decision: "permit", Provision: path, Source: c.ref}
		if v == deny {
			r.Decision, r.Refused = "deny", true
			if !s.engine.newest || c.void {
				return r
			}
		}
		if chosen == nil || s.engine.newest && (c.given.After(chosen.given) || c.given.Equal(chosen.given) && v == deny) {
			chosen, result = c, r
		}
	}
	if chosen == nil {
		return s.engine.withoutConsent(q)
	}
	return result
}

// withoutConsent is the policy for patients who have not said (CONS-02).
func (e *Engine) withoutConsent(q *query) Result {
	v, by := e.implicit.decide(q, false)
	r := Result{Decision: "none", Refused: v != permit}
	if by != nil {
		r.Provision = by.path
	}
	return r
}

// trusts tells whether a Consent's author is one of those configured (C-10).
// What cannot be read has no author that could be told, and keeps denying.
func (e *Engine) trusts(c *consent) bool {
	if len(e.authors) == 0 || c.sealed || c.problem == "unreadable" {
		return true
	}
	return slices.ContainsFunc(c.authors, func(a string) bool { return slices.Contains(e.authors, a) })
}
