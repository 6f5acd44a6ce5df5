package audit

import "time"

// Kind says which part of a request a record tells.
type Kind uint8

// The kinds of records. A request that is answered in one window needs one
// Outcome and may have an Intent before it; a longer answer has a Part for each
// window. They share the request id.
const (
	Intent   Kind = iota + 1 // what is about to be done
	Part                     // what one window of a long answer releases
	Outcome                  // how the request ended
	Throttle                 // Count requests of one address refused within ten seconds
	Notice                   // what befell the log or the gateway itself, in Code
)

var kindNames = [...]string{"", "intent", "part", "outcome", "throttle", "notice"}

func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Record is one entry of the trail.
//
// Every text is capped, and what could forge a line or turn its direction
// (control and bidi characters, broken UTF-8) is escaped when it is stored.
// Query and Body alone are kept as they came, sealed: BALP asks for the raw
// bytes. ID, Query, Body, Consents and all that Entries name are sealed under
// the keys of the patients concerned, so that erasing a patient's key erases
// them; the rest is sealed under the key of the log.
type Record struct {
	Index   int64         // place in the log, its only order: clocks step back; set by the log
	Kind    Kind          // zero: Outcome
	Request string        // request id, shared by the records of one request
	Time    time.Time     // when the request came, as the clock said; zero: now
	Took    time.Duration // until this record was made
	Count   int           // of a Throttle: requests it stands for

	Address   string // client's network address
	UserAgent string
	Caller    Caller

	Method      string   // HTTP method
	Interaction string   // as fhir.Interaction prints it; of an operation its name, "$everything"
	Type        string   // resource type that the request names
	ID          string   // resource id that the request names: the real one, not a pseudonym
	Query       []byte   // raw path and query as the client sent them
	Body        []byte   // raw form of a POST search
	Patients    []string // "Patient/1": patients that the request itself names; those of Entries need no repetition

	Asked []byte // what policy read of the request, in its own form; nil: not kept

	View, Domain string
	Decision     Decision
	Consents     []Consent
	Entries      []Entry // what was released, withheld and changed

	Status int    // HTTP status; 0 in an intent
	Code   string // stable outcome code, "policy.denied"; of a Notice what befell
	Notes  []Note // what the fields leave open; names no patient
	Cut    bool   // a text was longer than its cap; set by the log
	Erased bool   // a patient's key is gone: what it sealed reads empty; set by the log

	clean bool // it was read from a log, where its texts were escaped already
}

// The codes of Notices about the configuration.
const (
	ConfigReloaded = "config.reloaded"
	ConfigRefused  = "config.refused"
)

// What a log says of itself.
const (
	logOpened    = "audit.opened"
	logRecovered = "audit.recovered"
)

// The codes of Notices about how long the trail keeps what.
const (
	SegmentExpired = "audit.expired"
	HoldSet        = "audit.hold-set"
	HoldReleased   = "audit.hold-released"
)

// The codes of Notices about blocks.
const (
	BlockSet    = "block.set"
	BlockLifted = "block.lifted"
)

// The codes of Notices about how much is logged of a route.
const (
	LogLevelSet   = "log.level-set"
	LogLevelReset = "log.level-reset"
)

// PolicyChange begins the codes of Notices about changes of policy.
const PolicyChange = "policy.change."

// Erasing a patient: what the codes of the Notices of its steps begin with, and
// the code of the one that says that it is done. WatchPrefix begins those of
// alerts.
const (
	ErasePrefix = "erase."
	ErasedCode  = "audit.erased"
	WatchPrefix = "watch."
)

// Reidentify begins the codes of Notices about the way back from pseudonyms;
// PseudonymNote is the note of each pseudonym that one is about.
const (
	Reidentify    = "pseudonym."
	PseudonymNote = "pseudonym"
)

// The interactions of records about the gateway's own endpoints.
const (
	EmergencyInteraction = "$gatehouse-emergency"
	AdminInteraction     = "$gatehouse-admin"
	ReadingInteraction   = "$gatehouse-audit" // the trail itself was read
)

// Emergency access: the note that names the grant, and what stands among the
// reasons that permitted an entry which was opened by it.
const (
	EmergencyNote   = "emergency"
	EmergencyReason = "Emergency access was opened for this patient."
)

// DisclosureNote is the note of a record by which data went to a caller of another
// organization than those whose records these are; its value is the first of them.
const DisclosureNote = "disclosure"

// Note is one detail of a record.
type Note struct{ Name, Value string }

// Caller is who asked, as verified; zero where nobody was.
type Caller struct {
	Issuer, Subject string
	Client          string
	User            string // fhirUser, "Practitioner/7"
	Self            string // "Patient/1": whom the caller is taken for where User does not say it; who they are is erased with that patient
	Name            string // display name, if the token has one
	Organization    string // "Organization/2"
	Roles           []string
	Purpose         []string
	Token           string // as TokenName gives it: never the token
}

// Decision is what was decided and by which rules.
type Decision struct {
	Allow    bool
	Permits  []string // reasons that permitted
	Forbids  []string // reasons that forbade
	Revision string   // of the policy
}

// Consent is the part that one patient's consent had in the decision.
type Consent struct {
	Patient   string // "Patient/1"
	Decision  string // permit, deny, none
	Source    string // "Consent/9"
	Provision string
}

// Effect says what happened to a resource.
type Effect uint8

// The effects.
const (
	Released Effect = iota + 1
	Withheld
	Changed // created, updated, deleted
)

var effectNames = [...]string{"", "released", "withheld", "changed"}

func (e Effect) String() string {
	if int(e) >= len(effectNames) {
		return "unknown"
	}
	return effectNames[e]
}

// Entry is one resource that the answer held, or would have held.
type Entry struct {
	Effect            Effect
	Type, ID, Version string
	Patients          []string // "Patient/1", whom it is about; none for a resource that is about nobody
	Reason            string   // why it was withheld: a stable code, which names no patient; or KeptFromPatient
	Permits, Forbids  []string // reasons of the rules that decided on it
	Basis             []byte   // what policy read of it, in its own form; kept where Asked is
	Same              Same     // what the caller has in common with them, where that was compared
}

// Same is what a caller has in common with a patient; it is sealed and erased with
// what concerns the patient.
type Same uint8

// What is compared.
const (
	SameSurname Same = 1 << iota
	SameAddress
)
