package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// validate asks the upstream whether it would take a resource
// (https://hl7.org/fhir/R4/resource-operation-validate.html). What may not be
// written may not be validated either: the answer would tell what a server checks
// it against (O-07).
func (x *exchange) validate(ctx context.Context, m *matter, out output) error {
	v, err := readValidation(m.access)
	if err != nil {
		return err
	}
	s := &step{m: m}
	d, err := x.draft(ctx, s, nil, v.resource, m.access.ID)
	if err != nil {
		return err
	}
	if s.after, err = x.after(ctx, x.court(m), s, d); err != nil {
		return err
	}
	if m.access.ID != "" {
		if s.before, err = x.before(ctx, m); err != nil {
			return err
		}
		if s.before == nil {
			return absent(nil)
		}
	}
	if err := x.judgeLinks(s); err != nil {
		return err
	}
	body, err := x.validated(ctx, m, v.parameters(d.sent))
	if err != nil {
		return err
	}
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	_, err = out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(len(body))}).Write(body)
	return clientGone(err)
}

// validated is the upstream's finding, in the gateway's words: where, how bad and
// of what kind. Its own may quote other records.
func (x *exchange) validated(ctx context.Context, m *matter, parameters []byte) ([]byte, error) {
	target := m.target()
	if m.access.ID == "" {
		target = m.access.Type
	}
	answer, err := x.forward(ctx, m, upstream.Request{Method: http.MethodPost, Target: target + "/$validate", Body: parameters, ContentType: fhirJSON})
	if err != nil {
		if f := asFailure(err); f.made { // nothing was changed
			return nil, badUpstream(f.log)
		}
		return nil, err
	}
	switch answer.Status {
	case http.StatusOK, http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		discard(answer)
		return nil, upstreamBusy(answer)
	default:
		discard(answer)
		return nil, badUpstream(fmt.Errorf("upstream status %d", answer.Status))
	}
	issues, err := judge.Issues(answer.Body, m.eval, int64(x.s.cfg.Limits.Resource))
	if err != nil {
		return nil, badUpstream(err)
	}
	return findings(x.s.grammar.Version, issues), nil
}

// validation is what a client asks to be validated.
type validation struct {
	resource []byte
	mode     string
	profile  string
}

// readValidation takes the resource from the body, alone or in a Parameters, and
// refuses parameters that would have the server do something else.
func readValidation(a *fhir.Access) (v validation, err error) {
	v.resource, v.mode = a.Body, "create"
	if a.ID != "" {
		v.mode = "update"
	}
	var t wire.Tree
	if err := t.Parse(a.Body); err != nil {
		return v, badBody(err)
	}
	for _, c := range a.Criteria {
		if err := v.take(c.Name, c.Values[0]); err != nil {
			return v, err
		}
	}
	if i := t.Get(0, "resourceType"); a.Type != "Parameters" && i >= 0 && t.Text(i) == "Parameters" {
		if err := v.readParameters(&t); err != nil {
			return v, err
		}
		if err := t.Parse(v.resource); err != nil {
			return v, badBody(err)
		}
	}
	if namesForeignProfile(&t, 0) {
		return v, foreignProfile()
	}
	return v, nil
}

func (v *validation) readParameters(t *wire.Tree) error {
	v.resource = nil
	list := t.Get(0, "parameter")
	if list < 0 {
		return parameter("$validate takes one resource.")
	}
	for i := range t.Children(list) {
		name := t.Get(i, "name")
		if name < 0 {
			return parameter("A parameter of $validate has no name.")
		}
		if r := t.Get(i, "resource"); t.Text(name) == "resource" && r >= 0 && v.resource == nil {
			v.resource = t.Raw(r)
			continue
		}
		value := ""
		for c := range t.Children(i) {
			if strings.HasPrefix(string(t.Name(c)), "value") && t.Nodes[c].Kind == wire.String {
				value = t.Text(c)
			}
		}
		if err := v.take(t.Text(name), value); err != nil {
			return err
		}
	}
	if v.resource == nil {
		return parameter("$validate takes one resource.")
	}
	return nil
}

func (v *validation) take(name, value string) error {
	switch {
	case name == "mode" && value == v.mode:
		return nil
	case name == "mode":
		return parameter("$validate has mode create on a type, and update on a resource.")
	case name == "profile" && ownProfile(value) && v.profile == "":
		v.profile = value
		return nil
	case name == "profile":
		return foreignProfile()
	}
	return parameter("$validate takes resource, mode and profile.")
}

// ownProfile tells HL7's own profiles from others: a server may fetch what it is
// told to validate against (G-01).
func ownProfile(canonical string) bool { return strings.HasPrefix(canonical, "http://hl7.org/fhir/") }

func foreignProfile() error {
	return parameter("Only HL7's own profiles, http://hl7.org/fhir/…, can be named here: the server might fetch others.")
}

// namesForeignProfile looks for meta.profile at any depth.
func namesForeignProfile(t *wire.Tree, node int) bool {
	if k := t.Nodes[node].Kind; k != wire.Object && k != wire.Array {
		return false
	}
	for c := range t.Children(node) {
		if t.Nodes[node].Kind == wire.Object && string(t.Name(c)) == "meta" {
			if list := t.Get(c, "profile"); list >= 0 && t.Nodes[list].Kind == wire.Array {
				for p := range t.Children(list) {
					if !ownProfile(t.Text(p)) {
						return true
					}
				}
			}
		}
		if namesForeignProfile(t, c) {
			return true
		}
	}
	return false
}

// parameters is the operation's body as the upstream gets it.
func (v *validation) parameters(resource []byte) []byte {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Parameters","parameter":[{"name":"resource","resource":`)
	b.Write(resource)
	b.WriteString(`},{"name":"mode","valueCode":"` + v.mode + `"}`)
	if v.profile != "" {
		b.WriteString(`,{"name":"profile","valueUri":`)
		b.Write(wire.Quote(nil, v.profile))
		b.WriteByte('}')
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
