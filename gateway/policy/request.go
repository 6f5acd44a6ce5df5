package policy

import (
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
)

// Request is what is known of an access before any resource is seen.
type Request struct {
	Action      string // read, search, create, update, delete, operation
	Interaction string // the FHIR interaction, e.g. "search-type", "$everything"
	Subject     *auth.Subject
	Client      ClientInfo
	Type        string // "" at system level
	ID          string
	Operation   string // "$everything"; "" where there is none
	Parameters  map[string][]string
	Now         time.Time
	Address     string
	Emergency   *Emergency // the caller's open grant, nil where there is none
}

// ClientInfo is the OAuth client and what the configuration says of it. Config
// may hold view, domain, purposes and limits.
type ClientInfo struct {
	ID     string
	Config map[string]any
}

// Emergency is an open break-glass grant: one patient, until an instant. Its ID
// is not shown to policy.
type Emergency struct {
	ID      string
	Patient string // "Patient/1"
	Reason  string
	Until   time.Time
}

// Resource is one resource under judgement.
type Resource struct {
	Facts    *fhir.Facts
	Content  []byte // JSON; read only where NeedsContent says so
	Consent  ConsentResult
	Relation *Relation // nil: not looked up, and undefined to the policy
}

// ConsentResult is what the patients' consents say. Decision is permit, deny,
// none or n/a (no patient); any other value denies.
type ConsentResult struct {
	Decision, Provision, Source string
}

// Relation is the care around the resource's patients.
type Relation struct {
	Encounters    []Encounter
	CareTeams     []string // "CareTeam/1"
	Practitioners []string // "Practitioner/7"
}

// Encounter is one encounter of a resource's patients. Start and End are FHIR
// instants, "" where open.
type Encounter struct {
	ID, Status   string
	Start, End   string
	Locations    []string // "Location/3"
	Participants []string // "Practitioner/7"
}
