package gateway

import (
	"context"
	"slices"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/scope"
	"gatehouse/gateway/view"
)

// matter is one access being decided: what was asked, what became of it, and
// what its answer is judged by.
type matter struct {
	asked   *fhir.Access // as the client put it: self links and page handles are made from it
	access  *fhir.Access // what goes upstream: pseudonyms opened, narrowed
	eval    *policy.Evaluation
	plain   *policy.Evaluation   // under no emergency grant; nil: eval
	granted []*policy.Evaluation // under each of the caller's that may apply
	view    *view.View
	domain  string
	empty   bool         // a criterion that nothing can match: answered without the upstream
	self    string       // what the client asked, where access no longer tells it
	shown   []fhir.Param // criteria that a match must meet as its view shows it; wider upstream
	at      place        // of the page that is asked for
	hopped  *hopped      // what its chains came to, nil before the first
	count   *int         // of all that matches, where it is told beside or instead of them
	// printed is the search as it goes upstream, unless an upstream's page link
	// is followed instead.
	printed string

	byScope, byPolicy []fhir.Param // criteria that narrowing added
	forwarded         bool         // the upstream has answered it once
}

func (x *exchange) matter(a *fhir.Access) *matter {
	m := &matter{asked: a, access: a}
	if x.page != nil {
		m.at = x.page.place
	}
	return m
}

// question is what the client asked, canonical: self links and page handles
// are made from it.
func (m *matter) question() string {
	if m.self != "" {
		return m.self
	}
	return m.asked.Target()
}

// action is what policy and consent call an interaction (DESIGN §6).
func action(a *fhir.Access) string {
	switch a.Interaction {
	case fhir.Read, fhir.VRead, fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem:
		return "read"
	case fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment:
		return "search"
	case fhir.Create:
		return "create"
	case fhir.Update, fhir.Patch:
		return "update"
	case fhir.Delete:
		return "delete"
	}
	switch {
	case a.Operation == "$validate" && a.ID == "":
		return "create" // what would be
	case a.Operation == "$validate":
		return "update"
	case deIdentifies(a):
		return "operation" // nothing is read for it: a right of its own
	case slices.Contains(fhir.Operations(), a.Operation):
		return "read" // what it returns is read one by one
	}
	return "operation"
}

// letter is the SMART permission that an answer's resources are held against.
func letter(a *fhir.Access) byte {
	switch action(a) {
	case "search":
		return 's'
	case "create":
		return 'c'
	case "update":
		return 'u'
	case "delete":
		return 'd'
	}
	switch a.Interaction {
	case fhir.HistoryType, fhir.HistorySystem:
		return 's'
	case fhir.Operation:
		if deIdentifies(a) {
			return 'r' // each as what it is
		}
		return scope.Returned
	}
	return 'r'
}

// chooseView evaluates policy with the resource unknown, and takes from it and
// from the client's entry the view that this access is seen through.
func (x *exchange) chooseView(ctx context.Context, m *matter) error {
	a := m.access
	interaction := a.Interaction.String()
	if a.Interaction == fhir.Operation {
		interaction = a.Operation
	}
	request := &policy.Request{
		Action: action(a), Interaction: interaction, Subject: x.caller.subject, Client: x.caller.info,
		Type: a.Type, ID: a.ID, Operation: a.Operation, Parameters: parameters(a),
		Now: x.start, Address: x.address.String(),
	}
	m.eval = x.s.policy.For(ctx, request)
	x.underGrants(ctx, m, request)
	x.kept.asks(m.eval)
	m.view, m.domain = x.caller.view, x.caller.domain
	_, d := m.eval.Possible()
	if d.Obligations.Domain != "" {
		m.domain = d.Obligations.Domain
	}
	for _, name := range d.Obligations.Views {
		w, err := x.s.view(name)
		if err != nil {
			return x.policyDown(err)
		}
		m.view = m.view.Overlay(w)
	}
	if m.domain == "" { // for a view that is obliged by what a resource holds, too
		m.domain = "client:" + x.caller.subject.Client
	}
	if m.view != nil {
		x.record.View, x.record.Domain = x.caller.viewName, m.domain
	}
	return nil
}

func parameters(a *fhir.Access) map[string][]string {
	if len(a.Criteria) == 0 {
		return nil
	}
	p := make(map[string][]string, len(a.Criteria))
	for _, c := range a.Criteria {
		p[c.Name] = append(p[c.Name], c.Values...)
	}
	return p
}

// firewall keeps a caller with a view from asking about what the view hides,
// and turns its pseudonyms into ids.
func (x *exchange) firewall(m *matter) error {
	if m.view == nil || deIdentifies(m.access) { // what is posted holds no pseudonyms to be opened
		return nil
	}
	switch m.access.Interaction {
	case fhir.Create, fhir.Update, fhir.Patch, fhir.Delete:
		if !m.view.Writes() {
			return readOnly()
		}
	}
	m.self = m.asked.Target() // before the pseudonyms in it are opened
	outcome, shown, refused := m.view.Inbound(m.access, view.Context{Domain: m.domain})
	switch {
	case refused != nil:
		return refused
	case outcome == view.Absent:
		return absent(nil)
	}
	m.empty = outcome == view.Nothing
	m.shown = shown
	return nil
}

// court is what the answer of a matter is judged by.
func (x *exchange) court(m *matter) *judge.Court {
	c := &judge.Court{
		Version: x.s.grammar.Version, Bases: x.s.bases, Labels: x.s.labels, Marks: x.caller.marks, Grants: x.caller.grants,
		Letter: letter(m.access), Action: action(m.access), Eval: m.eval, Plain: m.plain, Granted: m.granted, Consent: x.s.consent, Relation: x.s.relation, RelationOnlyPermits: x.s.policy.RelationOnlyPermits(),
		Actor: x.caller.actor, View: m.view, ViewNamed: x.s.view, Domain: m.domain, Base: x.s.publicURL, Mapper: x.s.up,
		Alarm: x.alarm, Assured: x.assured, Blocked: x.blocked, Tag: x.versionTag(m), Shown: m.shown,
	}
	if x.g != nil { // a question of policy explain shows nothing
		c.Known = x.known
	}
	if x.trace != nil {
		c.Timed = func() func() { return x.step("judge") }
	}
	switch {
	case m.access.Operation == "$lastn":
		c.Asked = lastSearch(m.asked)
	case c.Letter == 's':
		c.Asked = m.asked
	}
	if m.access.Type == "Binary" && (m.access.Interaction == fhir.Read || m.access.Interaction == fhir.VRead) {
		c.Referrer = x.referrer
	}
	if r := m.access.Results; len(r.Elements) > 0 || r.Summary != "" && r.Summary != "false" {
		c.Project = &judge.Projection{Elements: r.Elements, Summary: r.Summary}
	}
	return c
}

// blocking tells whether some patient is blocked, so that no search is certain to
// find nothing of theirs.
func (x *exchange) blocking() bool { return x.g != nil && x.g.blocked.n.Load() > 0 }

// blocked tells whether nobody may see anything of one of the patients. A
// question of `policy explain` is put to no running gateway.
func (x *exchange) blocked(patients []string) bool {
	return x.g != nil && x.g.blocked.any(patients, x.start)
}

// alarm counts what operators must look at: an upstream that ignores what it
// is told, a policy in error.
func (x *exchange) alarm(what string) {
	if x.g != nil { // nobody is called for a question that is only asked (Explain)
		x.g.metrics.alarm(what)
	}
}
