package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/policy"

	"github.com/gorilla/mux"
)

// This file tells from the audit trail why a request was decided as it was.

// PastDecision is what one record of the trail has of a request. It names
// patients.
type PastDecision struct {
	Index    int64         `json:"record"`
	Kind     string        `json:"kind"`
	Request  string        `json:"request"`
	Time     time.Time     `json:"time"`
	Took     time.Duration `json:"took_ns"`
	Caller   PastCaller    `json:"caller"`
	Asked    string        `json:"asked"`
	Method   string        `json:"method"`
	Target   string        `json:"target"`
	Status   int           `json:"status,omitempty"`
	Code     string        `json:"code,omitempty"`
	Allow    bool          `json:"allow"`
	Permits  []string      `json:"permits"`
	Forbids  []string      `json:"forbids"`
	Near     []policy.Near `json:"near,omitempty"` // what nearly permitted a request that was refused as a whole
	Policy   string        `json:"policy"`
	View     string        `json:"view,omitempty"`
	Domain   string        `json:"domain,omitempty"`
	Consents []PastConsent `json:"consents,omitempty"`
	Entries  []PastEntry   `json:"entries,omitempty"`
	Erased   bool          `json:"erased,omitempty"`
	Note     string        `json:"note,omitempty"`
}

// PastCaller is who asked.
type PastCaller struct {
	Subject      string   `json:"subject"`
	Issuer       string   `json:"issuer"`
	Name         string   `json:"name,omitempty"`
	Client       string   `json:"client"`
	FHIRUser     string   `json:"fhir_user"`
	Organization string   `json:"organization"`
	Roles        []string `json:"roles"`
	Purpose      []string `json:"purpose"`
	Address      string   `json:"address"`
}

// PastConsent is the part that one patient's consent had.
type PastConsent struct {
	Patient   string `json:"patient"`
	Decision  string `json:"decision"`
	Source    string `json:"source,omitempty"`
	Provision string `json:"provision,omitempty"`
}

// PastEntry is what was decided on one resource. Decision is its id: that of
// the request, and the entry's number in it.
type PastEntry struct {
	Decision string   `json:"decision"`
	Effect   string   `json:"effect"`
	Resource string   `json:"resource"`
	Patients []string `json:"patients,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Permits  []string `json:"permits"`
	Forbids  []string `json:"forbids,omitempty"`
	// What nearly permitted it, where nothing did and the trail kept enough to
	// ask the same policy again.
	Near []policy.Near `json:"near,omitempty"`
}

// Decided tells what the trail of a configuration has of a request, or of one
// decision of it, by the id that an answer, a log line or the trail itself
// gives. The gateway may be running.
func Decided(ctx context.Context, path, id string) ([]*PastDecision, error) {
	s, err := offline(path)
	if err != nil {
		return nil, err
	}
	o, err := AuditOptions(s.cfg)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "checkpoint")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no audit trail in %s yet", o.Dir)
	}
	found, err := s.decided(ctx, o, id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("the audit trail has no request %s", id)
	}
	return found, err
}

func (s *snapshot) decided(ctx context.Context, o audit.Options, id string) ([]*PastDecision, error) {
	request, entry := id, 0
	if before, after, ok := strings.Cut(id, "."); ok {
		var err error
		if entry, err = strconv.Atoi(after); err != nil || entry < 1 {
			return nil, nil // no such id was ever given out
		}
		request = before
	}
	r, err := audit.OpenReader(o.Dir, o.Key)
	if err != nil {
		return nil, err
	}
	records, err := r.ByID(request)
	if err != nil {
		return nil, err
	}
	var all []*PastDecision
	number := 0
	for _, r := range records {
		d := past(r, &number)
		s.nearly(ctx, r, d)
		s.nearlyEach(ctx, r, d)
		if entry > 0 {
			want := fmt.Sprintf("%s.%d", request, entry)
			d.Entries = slices.DeleteFunc(d.Entries, func(e PastEntry) bool { return e.Decision != want })
			if len(d.Entries) == 0 {
				continue
			}
		}
		all = append(all, d)
	}
	return all, nil
}

func past(r *audit.Record, number *int) *PastDecision {
	c, d := &r.Caller, &r.Decision
	p := &PastDecision{Index: r.Index, Kind: r.Kind.String(), Request: r.Request, Time: r.Time, Took: r.Took,
		Asked: strings.TrimSpace(r.Interaction + " " + r.Type), Method: r.Method, Target: string(r.Query), Status: r.Status, Code: r.Code,
		Caller: PastCaller{Subject: c.Subject, Issuer: c.Issuer, Name: c.Name, Client: c.Client, FHIRUser: c.User, Organization: c.Organization,
			Roles: c.Roles, Purpose: c.Purpose, Address: r.Address},
		Allow: d.Allow, Permits: d.Permits, Forbids: d.Forbids, Policy: d.Revision, View: r.View, Domain: r.Domain, Erased: r.Erased}
	if r.ID != "" {
		p.Asked += "/" + r.ID
	}
	for _, c := range r.Consents {
		p.Consents = append(p.Consents, PastConsent(c))
	}
	for _, e := range r.Entries {
		*number++
		p.Entries = append(p.Entries, PastEntry{Decision: fmt.Sprintf("%s.%d", r.Request, *number), Effect: e.Effect.String(),
			Resource: e.Type + "/" + e.ID, Patients: e.Patients, Reason: e.Reason, Permits: e.Permits, Forbids: e.Forbids})
	}
	return p
}

// nearly adds what nearly permitted a request that policy refused before it was
// forwarded. It is found by asking again, so only under the same policy.
func (s *snapshot) nearly(ctx context.Context, r *audit.Record, d *PastDecision) {
	if r.Code != "policy.denied" || len(r.Entries) > 0 || len(r.Decision.Forbids) > 0 {
		return
	}
	if r.Decision.Revision != s.policy.Revision() {
		d.Note = "the policy has changed since, so it is not told what nearly permitted this"
		return
	}
	c := &r.Caller
	q := Question{Method: r.Method, Target: strings.TrimPrefix(string(r.Query), s.cfg.Base.EscapedPath()), Now: r.Time,
		Subject: &auth.Subject{Issuer: c.Issuer, ID: c.Subject, Client: c.Client, Roles: c.Roles, Organization: c.Organization, FHIRUser: c.User, Purpose: c.Purpose}}
	if e, err := s.explain(ctx, q); err == nil && e.Code == r.Code {
		d.Near = e.Near
	}
}

// nearlyEach adds the same to entries that no rule permitted.
func (s *snapshot) nearlyEach(ctx context.Context, r *audit.Record, d *PastDecision) {
	if r.Decision.Revision != s.policy.Revision() {
		return
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		if e.Reason != "policy.denied" || len(e.Permits)+len(e.Forbids) > 0 || len(r.Asked) == 0 || len(e.Basis) == 0 {
			continue
		}
		if x, err := s.policy.ExplainPast(ctx, pastOf(s.cfg, r, e)); err == nil && x != nil && !x.Decision.Allow {
			d.Entries[i].Near = x.Near
		}
	}
}

// decisions answers GET /api/v1/decisions/{id}.
func (p *Process) decisions(ctx context.Context, c *call) (any, error) {
	found, err := p.live.Load().decided(ctx, p.trail, mux.Vars(c.r)["id"])
	if err != nil {
		return nil, internal(err)
	}
	if len(found) == 0 {
		return nil, &failure{status: http.StatusNotFound, code: "admin.not-found", text: "The audit trail has no such request."}
	}
	for _, d := range found {
		for i, e := range d.Entries {
			if e.Reason == "patient.blocked" && !p.privacy(c) {
				d.Entries[i].Reason = "withheld" // whose record is blocked is for privacy alone
			}
			c.record.Patients = mergeNames(c.record.Patients, e.Patients)
		}
	}
	return map[string]any{"decisions": found}, nil
}
