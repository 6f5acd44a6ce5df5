package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// rest is the event of a request as it concerns one patient, "" where none is
// known (AUD-02, AUD-03, AUD-05).
func (x *exporter) rest(r *Record, patient string) *auditEvent {
	p, code := patternOf(r.Interaction)
	e := &auditEvent{
		Type:   coding{sysEventType, "rest", "Restful Operation"},
		Action: p.action,
		Agent:  x.agents(r, p),
	}
	if r.Interaction != "" {
		e.Subtype = []coding{{sysInteraction, code, ""}}
	}
	if strings.HasPrefix(r.Interaction, "$") {
		e.Subtype = append(e.Subtype, coding{Code: strings.TrimPrefix(r.Interaction, "$")})
	}
	e.Outcome, e.OutcomeDesc = outcomeOf(r, patient)
	if permits, _ := decidedFor(r, patient); slices.Contains(permits, EmergencyReason) {
		e.PurposeOfEvent = purposes([]string{"BTG"})
	}
	e.Entity = append(e.Entity, transactionEntity(r, patient))
	if patient != "" {
		e.Entity = append(e.Entity, patientEntity(patient))
	}
	if p.query {
		e.Entity = append(e.Entity, queryEntity(r))
	} else if data := dataEntity(r, patient); data != nil {
		e.Entity = append(e.Entity, *data)
	}
	e.Meta = profiles(p, e, r, patient)
	return e
}

// profiles claims the BALP profiles that the event meets: they tell of success.
func profiles(p pattern, e *auditEvent, r *Record, patient string) *meta {
	var l []string
	if p.profile != "" && e.Outcome == outcomeGood && (p.query || slices.ContainsFunc(e.Entity, isData)) {
		name := p.profile
		if patient != "" {
			name = "Patient" + name
		}
		l = append(l, balpProfile+name)
	}
	switch t := r.Caller.Token; {
	case t == "" || r.Caller.Subject == "":
	case comprehensive(r, p):
		l = append(l, balpProfile+"OAUTHaccessTokenUse.Comprehensive", balpProfile+"OAUTHaccessTokenUse.Minimal")
	case strings.HasPrefix(t, jtiPrefix):
		l = append(l, balpProfile+"OAUTHaccessTokenUse.Minimal")
	default:
		l = append(l, balpProfile+"OAUTHaccessTokenUse.Opaque")
	}
	if l == nil {
		return nil
	}
	return &meta{Profile: l}
}

func isData(e entity) bool {
	return e.Type != nil && e.Type.System == sysEntityType && e.Type.Code == "2"
}

// outcomeOf tells how the request ended for one patient: who had something
// withheld and nothing released was denied, whatever the status says.
func outcomeOf(r *Record, patient string) (outcome, desc string) {
	switch {
	case r.Kind == Intent:
		return outcomeUnending, "not finished"
	case r.Status >= 500:
		return outcomeSerious, cmpCode(r)
	case r.Status >= 400:
		return outcomeMinor, cmpCode(r)
	}
	reason, withheld := "", false
	for i := range r.Entries {
		e := &r.Entries[i]
		if patient == "" || !slices.Contains(e.Patients, patient) {
			continue
		}
		if e.Effect != Withheld {
			return outcomeGood, ""
		}
		withheld, reason = true, e.Reason
	}
	if withheld {
		return outcomeMinor, strings.TrimSpace("withheld " + reason)
	}
	return outcomeGood, ""
}

func cmpCode(r *Record) string {
	if r.Code != "" {
		return r.Code
	}
	return fmt.Sprintf("status %d", r.Status)
}

// transactionEntity names the request, and how it was decided for one patient.
func transactionEntity(r *Record, patient string) entity {
	e := entity{
		Type: &coding{System: sysBALPEntity, Code: "XrequestId"},
		What: &reference{Identifier: &identifier{Value: r.Request}},
	}
	add := func(name, value string) {
		if value != "" {
			e.Detail = append(e.Detail, detail{name, value})
		}
	}
	add("policy", r.Decision.Revision)
	permits, forbids := decidedFor(r, patient)
	for _, reason := range permits {
		add("permit", reason)
	}
	for _, reason := range forbids {
		add("forbid", reason)
	}
	for _, n := range r.Notes {
		add(n.Name, n.Value)
	}
	add("view", r.View)
	add("domain", r.Domain)
	if r.Erased {
		add("erased", "a patient's part of this record was erased")
	}
	if r.Cut {
		add("cut", "a text of this record was longer than its cap")
	}
	return e
}

func patientEntity(patient string) entity {
	return entity{
		Type: &coding{sysEntityType, "1", "Person"},
		Role: &coding{sysObjectRole, "1", "Patient"},
		What: &reference{Reference: patient},
	}
}

// queryEntity holds the raw request, bytes untouched, in base64 (AUD-04). The
// form of a POST search follows after an empty line.
func queryEntity(r *Record) entity {
	e := entity{Type: &coding{sysEntityType, "2", "System Object"}, Role: &coding{sysObjectRole, "24", "Query"}}
	request := append([]byte(r.Method+" "), r.Query...)
	if len(r.Body) > 0 {
		request = append(request, "\r\n\r\n"...)
	}
	e.Query = base64Of(request, r.Body)
	return e
}

// dataEntity is the one resource that the request is about; nil where none has
// an id.
func dataEntity(r *Record, patient string) *entity {
	typ, id, version := r.Type, r.ID, ""
	for i := range r.Entries {
		e := &r.Entries[i]
		if e.ID == "" || id != "" && (e.ID != id || e.Type != typ) || patient != "" && len(e.Patients) > 0 && !slices.Contains(e.Patients, patient) {
			continue
		}
		typ, id, version = e.Type, e.ID, e.Version
		break
	}
	if typ == "" || id == "" {
		return nil
	}
	ref := typ + "/" + id
	if version != "" {
		ref += "/_history/" + version
	}
	return &entity{Type: &coding{sysEntityType, "2", "System Object"}, Role: objectRole(typ), What: &reference{Reference: ref}}
}

// consent is the event of a decision that a consent made (AUD-07).
func (x *exporter) consent(r *Record, c Consent) *auditEvent {
	client := x.client(r, application)
	who := user(r, recipient)
	who.Type.Coding, who.Policy = []coding{recipient}, nil
	if r.Caller.Subject == "" {
		who.Who = &reference{Display: "unknown"}
	}
	e := &auditEvent{
		Meta:           &meta{Profile: []string{balpProfile + "AuthZconsent"}},
		Type:           coding{sysDCM, "110113", "Security Alert"},
		Subtype:        []coding{{sysBALPSubtype, "AuthZ-Consent", ""}},
		Action:         "E",
		Outcome:        outcomeGood,
		PurposeOfEvent: purposes(r.Caller.Purpose),
		Agent: []agent{client, who, organization(r), {
			Type: one(sysSecRole, "authserver", "authorization server"),
			Who:  &reference{Identifier: &identifier{Value: x.origin}},
		}},
		Entity: []entity{patientEntity(c.Patient), {Type: &coding{sysResource, "Consent", "Consent"}, What: &reference{Reference: c.Source}}},
	}
	if c.Decision == "deny" {
		e.Outcome, e.OutcomeDesc = outcomeSerious, strings.TrimSpace("consent denies "+c.Provision)
	}
	if r.Caller.Token != "" {
		e.Entity = append(e.Entity, entity{Type: &oauthUser, What: &reference{Identifier: &identifier{Value: r.Caller.Token}}})
	}
	return e
}

func (x *exporter) throttle(r *Record) *auditEvent {
	e := &auditEvent{
		Type:        coding{sysDCM, "110113", "Security Alert"},
		Subtype:     []coding{{System: sysOutcome, Code: r.Code}},
		Action:      "E",
		Outcome:     outcomeMinor,
		OutcomeDesc: fmt.Sprintf("%d requests refused for their rate", r.Count),
		Agent:       []agent{x.client(r, source), x.server(destination)},
	}
	e.Agent[0].Requestor = true
	return e
}

// notice tells what befell the log or the gateway itself.
func (x *exporter) notice(r *Record) *auditEvent {
	e := &auditEvent{
		Type:    coding{sysDCM, "110100", "Application Activity"},
		Subtype: []coding{{System: sysOutcome, Code: r.Code}},
		Action:  "E",
		Outcome: outcomeGood,
		Agent:   []agent{x.server(application)},
	}
	if r.Code == "audit.opened" {
		e.Subtype = append(e.Subtype, coding{sysDCM, "110120", "Application Start"})
	}
	if r.Code == ConfigRefused {
		e.Outcome = outcomeMinor
	}
	if r.Caller.Subject != "" {
		e.Agent = append([]agent{user(r, source)}, e.Agent...)
	}
	if len(r.Notes) > 0 { // what was changed is the gateway's configuration
		what := entity{Type: &coding{sysEntityType, "2", "System Object"}, Role: &coding{sysObjectRole, "13", "Security Resource"},
			What: &reference{Identifier: &identifier{Value: x.origin}}}
		for _, n := range r.Notes {
			what.Detail = append(what.Detail, detail{n.Name, cmp.Or(n.Value, "unknown")})
		}
		e.Entity = append(e.Entity, what)
	}
	return e
}
