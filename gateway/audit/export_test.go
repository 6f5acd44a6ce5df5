package audit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// exported appends the records and gives the events of the export, less those
// about the log itself.
func exported(t *testing.T, records ...*Record) []auditEvent {
	t.Helper()
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	for _, r := range records {
		mustAppend(t, l, r)
	}
	mustClose(t, l)
	var b bytes.Buffer
	if _, err := Export(o.Dir, testKey, &b); err != nil {
		t.Fatal(err)
	}
	var events []auditEvent
	ids := make(map[string]bool)
	lines := bufio.NewScanner(&b)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if ids[e.ID] || e.ResourceType != "AuditEvent" || e.Recorded == "" || e.Source.Observer.Identifier.Value != testOrigin {
			t.Errorf("event %+v", e)
		}
		ids[e.ID] = true
		if e.Type.Code != "110100" {
			events = append(events, e)
		}
	}
	return events
}

func rest(events []auditEvent) (l []auditEvent) {
	for _, e := range events {
		if e.Type.Code == "rest" {
			l = append(l, e)
		}
	}
	return l
}

func agentOf(e auditEvent, code string) *agent {
	for i := range e.Agent {
		if slices.ContainsFunc(e.Agent[i].Type.Coding, func(c coding) bool { return c.Code == code }) {
			return &e.Agent[i]
		}
	}
	return nil
}

func entityOf(e auditEvent, code string) *entity {
	for i := range e.Entity {
		if e.Entity[i].Type.Code == code {
			return &e.Entity[i]
		}
	}
	return nil
}

func profilesOf(e auditEvent) string {
	if e.Meta == nil {
		return ""
	}
	return strings.ReplaceAll(strings.Join(e.Meta.Profile, " "), balpProfile, "")
}

// AUD-02, AUD-05, C9: action, subtype and the directions of the roles.
func TestExportRoles(t *testing.T) {
	tests := []struct {
		interaction, action, subtype string
		client, server, user         string
		profile                      string
	}{
		{"read", "R", "read", "110152", "110153", "IRCP", "PatientRead"},
		{"vread", "R", "vread", "110152", "110153", "IRCP", "PatientRead"},
		{"history-instance", "R", "history-instance", "110152", "110153", "IRCP", ""},
		{"create", "C", "create", "110153", "110152", "AUT", "PatientCreate"},
		{"update", "U", "update", "110153", "110152", "AUT", "PatientUpdate"},
		{"patch", "U", "patch", "110153", "110152", "AUT", "PatientUpdate"},
		{"delete", "D", "delete", "110150", "custodian", "CST", "PatientDelete"},
		{"search-type", "E", "search-type", "110153", "110152", "IRCP", "PatientQuery"},
		{"search-system", "E", "search-system", "110153", "110152", "IRCP", "PatientQuery"},
		{"search-compartment", "E", "search", "110153", "110152", "IRCP", "PatientQuery"},
		{"transaction", "E", "transaction", "110153", "110152", "IRCP", ""},
		{"$everything", "E", "operation", "110153", "110152", "IRCP", ""},
	}
	for _, tt := range tests {
		t.Run(tt.interaction, func(t *testing.T) {
			r := smallRead(1)
			r.Interaction = tt.interaction
			e := rest(exported(t, r))[0]
			if e.Action != tt.action || e.Subtype[0].Code != tt.subtype || e.Type.System != sysEventType || e.Outcome != "0" {
				t.Errorf("event %+v", e)
			}
			client, server, user := agentOf(e, tt.client), agentOf(e, tt.server), agentOf(e, tt.user)
			if client == nil || server == nil || user == nil {
				t.Fatalf("agents %+v", e.Agent)
			}
			// The network of client and server is what validators miss.
			if client.Who.Identifier.Value != "ward-app" || client.Network.Address != "192.0.2.7" || client.Network.Type != "2" || client.Requestor {
				t.Errorf("client %+v", client)
			}
			if server.Who.Identifier.Value != testOrigin || server.Network.Address != "gatehouse.test" || server.Network.Type != "1" || server.Requestor {
				t.Errorf("server %+v", server)
			}
			if !user.Requestor || user.Network != nil {
				t.Errorf("user %+v", user)
			}
			if got := strings.Fields(profilesOf(e) + " ")[0]; tt.profile != "" && got != tt.profile {
				t.Errorf("profile %q, want %q", got, tt.profile)
			}
			if got := entityOf(e, "XrequestId").What.Identifier.Value; got != r.Request {
				t.Errorf("request id %q", got)
			}
			if p := entityOf(e, "1"); p.Role.Code != "1" || p.What.Reference != "Patient/p1" {
				t.Errorf("patient %+v", p)
			}
		})
	}
}

// AUD-02: a read names its resource, once, with the version that was read.
func TestExportData(t *testing.T) {
	r := smallRead(1)
	r.Type, r.Entries[0].Type = "DiagnosticReport", "DiagnosticReport"
	e := rest(exported(t, r))[0]
	if d := entityOf(e, "2"); d.Role.Code != "3" || d.What.Reference != "DiagnosticReport/o-1/_history/3" || d.Query != "" {
		t.Errorf("data %+v", d)
	}
	created := smallRead(1)
	created.Interaction, created.ID = "create", ""
	created.Entries[0] = Entry{Effect: Changed, Type: "Observation", ID: "new", Version: "1", Patients: []string{"Patient/p1"}}
	e = rest(exported(t, created))[0]
	if d := entityOf(e, "2"); d.Role.Code != "4" || d.What.Reference != "Observation/new/_history/1" {
		t.Errorf("data %+v", d)
	}
}

// AUD-03: a search that hits three patients gives three events, each about one,
// and none tells what was found.
func TestExportOneEventPerPatient(t *testing.T) {
	events := rest(exported(t, searchPage(3)))
	if len(events) != 3 {
		t.Fatalf("%d events, want 3", len(events))
	}
	for i, e := range events {
		want := []string{"Patient/0000", "Patient/0001", "Patient/0002"}[i]
		if got := entityOf(e, "1").What.Reference; got != want {
			t.Errorf("patient %s, want %s", got, want)
		}
		if b, _ := json.Marshal(e); strings.Contains(string(b), "o-0") || strings.Count(string(b), "Patient/0") != 1 {
			t.Errorf("tells of others or of what was found: %s", b)
		}
	}
}

// AUD-04: the raw request survives in base64, whatever it holds.
func TestExportQuery(t *testing.T) {
	r := searchPage(1)
	r.Method, r.Query, r.Body = "POST", []byte("/Patient/_search?\x00\xff'\"<>"), []byte("name=%00\r\n\u202e&\xfe")
	q := entityOf(rest(exported(t, r))[0], "2")
	got, err := base64.StdEncoding.DecodeString(q.Query)
	if want := "POST " + string(r.Query) + "\r\n\r\n" + string(r.Body); err != nil || string(got) != want {
		t.Errorf("query %q, want %q", got, want)
	}
	if q.Role.Code != "24" || q.What != nil || q.Detail != nil {
		t.Errorf("query entity %+v", q)
	}
}

// AUD-06: the token's name, never the token.
func TestExportToken(t *testing.T) {
	opaque := strings.Repeat("0123456789abcdef", 8)
	tests := []struct{ jti, token, want, profile string }{
		{"j-1", opaque, "urn:ietf:params:oauth:jti:j-1", "OAUTHaccessTokenUse.Minimal"},
		{"", opaque, opaque[len(opaque)-32:], "OAUTHaccessTokenUse.Opaque"},
		{"", "short-secret-token-of-32-letters", "", "OAUTHaccessTokenUse.Opaque"},
	}
	for _, tt := range tests {
		r := smallRead(1)
		r.Caller.Token, r.Caller.Name = TokenName(tt.jti, tt.token), "Dr. Zoë"
		events := exported(t, r)
		u := agentOf(rest(events)[0], "UserOauthAgent")
		if len(u.Policy) != 1 || tt.want != "" && u.Policy[0] != tt.want || !strings.Contains(profilesOf(rest(events)[0]), tt.profile) {
			t.Errorf("policy %v, profiles %s", u.Policy, profilesOf(rest(events)[0]))
		}
		if u.Who.Identifier.System != r.Caller.Issuer || u.Who.Identifier.Value != "f9b1c3" || u.Who.Reference != "Practitioner/7" ||
			u.Name != "Dr. Zoë" || u.Role[0].Text != "clinician" || u.PurposeOfUse[0].Coding[0].Code != "TREAT" {
			t.Errorf("user %+v", u)
		}
		if org := agentOf(rest(events)[0], "PROV"); org.Who.Reference != "Organization/2" {
			t.Errorf("organization %+v", org)
		}
		for _, e := range events {
			if b, _ := json.Marshal(e); strings.Contains(string(b), tt.token) {
				t.Errorf("holds the token: %s", b)
			}
		}
	}
	if TokenName("", "") != "" {
		t.Error("no token has a name")
	}
}

// AUD-07: a consent that decided has an event of its own.
func TestExportConsent(t *testing.T) {
	r := smallRead(1)
	r.Status, r.Code, r.Decision.Allow = 404, "policy.denied", false
	r.Consents = []Consent{
		{Patient: "Patient/p1", Decision: "deny", Source: "Consent/c1", Provision: "provision.provision[2]"},
		{Patient: "Patient/p2", Decision: "permit", Source: "Consent/c2"},
		{Patient: "Patient/p3", Decision: "none"},
	}
	r.Caller.Token = TokenName("j", "")
	var got []auditEvent
	for _, e := range exported(t, r) {
		if e.Type.Code == "110113" {
			got = append(got, e)
		}
	}
	if len(got) != 2 {
		t.Fatalf("%d events, want 2", len(got))
	}
	deny := got[0]
	if deny.Outcome != "8" || deny.OutcomeDesc != "consent denies provision.provision[2]" || deny.Action != "E" || deny.Type.System != sysDCM ||
		deny.Subtype[0].Code != "AuthZ-Consent" || deny.PurposeOfEvent[0].Coding[0].Code != "TREAT" || profilesOf(deny) != "AuthZconsent" {
		t.Errorf("deny %+v", deny)
	}
	if got := entityOf(deny, "Consent").What.Reference; got != "Consent/c1" {
		t.Errorf("consent %s", got)
	}
	if entityOf(deny, "1").What.Reference != "Patient/p1" || entityOf(deny, "UserOauthAgent").What.Identifier.Value != "urn:ietf:params:oauth:jti:j" {
		t.Errorf("entities %+v", deny.Entity)
	}
	if c := agentOf(deny, "110150"); c.Network == nil || c.Role != nil || c.PurposeOfUse != nil {
		t.Errorf("client %+v", c)
	}
	for _, code := range []string{"IRCP", "PROV", "authserver"} {
		if a := agentOf(deny, code); a == nil || a.Who == nil || a.Requestor != (code == "IRCP") {
			t.Errorf("agent %s: %+v", code, a)
		}
	}
	if got[1].Outcome != "0" {
		t.Errorf("permit %+v", got[1])
	}
}

// AUD-01: denials, bad tokens and withheld rows are events that say so.
func TestExportOutcomes(t *testing.T) {
	page := searchPage(2)
	page.Entries[1].Effect, page.Entries[1].Reason = Withheld, "consent.denied"
	badToken := &Record{Request: "b", Address: "192.0.2.1", Method: "GET", Query: []byte("/Patient/1"), Status: 401, Code: "token.expired"}
	broken := smallRead(1)
	broken.Status, broken.Code = 502, "upstream.failed"
	tests := []struct {
		name      string
		r         *Record
		outcomes  []string
		desc      string
		claimsOld bool
	}{
		{"withheld row", page, []string{"0", "4"}, "withheld consent.denied", false},
		{"bad token", badToken, []string{"4"}, "token.expired", false},
		{"server error", broken, []string{"8"}, "upstream.failed", false},
		{"crashed", &Record{Kind: Intent, Request: "i", Interaction: "delete", Type: "Patient", ID: "p1"}, []string{"12"}, "not finished", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events := rest(exported(t, tt.r))
			if len(events) != len(tt.outcomes) {
				t.Fatalf("%d events", len(events))
			}
			for i, e := range events {
				if e.Outcome != tt.outcomes[i] || e.Outcome != "0" && e.OutcomeDesc != tt.desc {
					t.Errorf("event %d: %s %q", i, e.Outcome, e.OutcomeDesc)
				}
				if e.Outcome != "0" && strings.Contains(profilesOf(e), "Patient") {
					t.Errorf("a failure claims the profile of a success: %v", profilesOf(e))
				}
				if !slices.ContainsFunc(e.Agent, func(a agent) bool { return a.Requestor }) {
					t.Errorf("nobody asked: %+v", e.Agent)
				}
			}
		})
	}
}

// One event per request and patient, though intent and outcome are two records;
// what only the intent told is told.
func TestExportJoinsIntentAndOutcome(t *testing.T) {
	intent := smallRead(1)
	intent.Kind, intent.Status, intent.Entries, intent.Consents = Intent, 0, nil, nil
	intent.Interaction, intent.Query = "search-type", []byte("/Observation?x")
	outcome := smallRead(1)
	outcome.Interaction, outcome.Query, outcome.Consents = "search-type", nil, nil
	events := rest(exported(t, intent, outcome))
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	if q, _ := base64.StdEncoding.DecodeString(entityOf(events[0], "2").Query); string(q) != "GET /Observation?x" {
		t.Errorf("query %q", q)
	}
}

// DESIGN §10.7: a flood from one address is one record with a count.
func TestThrottledIsOneRecordPerAddress(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	for range 1000 {
		l.Throttled("192.0.2.1")
	}
	l.Throttled("192.0.2.2")
	mustClose(t, l)
	got := make(map[string]int)
	for _, r := range mustRead(t, o.Dir) {
		if r.Kind != Throttle || r.Status != 429 {
			t.Errorf("record %+v", r)
		}
		got[r.Address] += r.Count
	}
	if len(got) != 2 || got["192.0.2.1"] != 1000 || got["192.0.2.2"] != 1 {
		t.Errorf("got %v", got)
	}
	l = mustOpen(t, o)
	for i := range 3 * maxThrottled {
		l.Throttled(strings.Repeat("x", 1+i%7) + string(rune('a'+i%26)) + string(rune(i)))
	}
	if n := len(l.throttled.counts); n > maxThrottled+1 {
		t.Errorf("%d addresses are counted apart", n)
	}
}

func TestByID(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SegmentBytes = 4 << 10
	l := mustOpen(t, o)
	for i := range 100 {
		intent := &Record{Kind: Intent, Request: smallRead(i).Request}
		mustAppend(t, l, intent)
		mustAppend(t, l, smallRead(i))
	}
	r, err := OpenReader(o.Dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 50, 99} {
		got, err := r.ByID(smallRead(i).Request)
		if err != nil || len(got) != 2 || got[0].Kind != Intent || got[1].Kind != Outcome {
			t.Errorf("request %d: %v, %v", i, got, err)
		}
	}
	if got, err := r.ByID("none"); err != nil || got != nil {
		t.Errorf("no request: %v, %v", got, err)
	}
}

// E-1: what a Notice says beside its code survives, in the trail and in its
// event; one of before there were notes reads as it did.
func TestNoticeOfAReload(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	mustAppend(t, l, &Record{Kind: Notice, Code: ConfigRefused, Notes: []Note{{"config-before", "aa"}, {"config", ""}, {"reason", "roles.yaml:5: no\n"}}})
	mustClose(t, l)
	r, err := OpenReader(o.Dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	var got []*Record
	for rec, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec)
	}
	if len(got) != 2 || got[0].Notes != nil || len(got[1].Notes) != 3 || got[1].Notes[2] != (Note{"reason", `roles.yaml:5: no\u{a}`}) {
		t.Fatalf("records %+v", got)
	}
	var b bytes.Buffer
	if _, err := Export(o.Dir, testKey, &b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	var e auditEvent
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &e); err != nil {
		t.Fatal(err)
	}
	if e.Subtype[0].Code != "config.refused" || e.Outcome != outcomeMinor || len(e.Entity) != 1 || e.Entity[0].Role.Code != "13" ||
		len(e.Entity[0].Detail) != 3 || e.Entity[0].Detail[1] != (detail{"config", "unknown"}) {
		t.Errorf("event %+v", e)
	}
}
