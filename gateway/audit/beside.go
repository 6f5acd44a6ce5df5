package audit

import "strings"

// This file says in words what was done at endpoints and by commands that are not
// FHIR's: a report that an officer's own calls stand in is read by people who know
// no interaction by the name of $gatehouse-admin.

// besideFHIR says of a patient's record what was done; such endpoints give no data.
var besideFHIR = map[string]string{
	EmergencyInteraction: " opened, listed or ended emergency access to the record",
	AdminInteraction:     " saw or decided something about it as an officer of the gateway",
	ReadingInteraction:   " read in the audit trail who used it, as an officer",
}

// officers are the deeds of the admin API by path, and by the method or the step of
// a path where that is another deed.
var officers = map[string]string{
	"accesses":           "read who used a record, as an officer",
	"blocks":             "listed blocks, as an officer",
	"blocks DELETE":      "lifted a block, as an officer",
	"blocks POST":        "blocked somebody, as an officer",
	"decisions":          "looked up a decision, as an officer",
	"diagnostics":        "took diagnostics, as an officer",
	"erasures":           "listed erasures, as an officer",
	"erasures POST":      "asked to erase a patient, as an officer",
	"erasures approve":   "approved an erasure, as an officer",
	"erasures deny":      "denied an erasure, as an officer",
	"grants":             "listed emergency accesses, as an officer",
	"grants DELETE":      "ended an emergency access, as an officer",
	"incidents":          "made a report of an incident, as an officer",
	"log-levels":         "looked at the levels of the log, as an officer",
	"log-levels DELETE":  "set a level of the log back, as an officer",
	"log-levels POST":    "changed a level of the log, as an officer",
	"policies":           "looked at changes of policy, as an officer",
	"policies activate":  "activated a change of policy, as an officer",
	"policies approve":   "approved a change of policy, as an officer",
	"policies reject":    "rejected a change of policy, as an officer",
	"pseudonyms":         "listed requests to resolve pseudonyms, as an officer",
	"pseudonyms POST":    "asked to resolve pseudonyms, as an officer",
	"pseudonyms approve": "approved resolving pseudonyms, as an officer",
	"pseudonyms deny":    "denied resolving pseudonyms, as an officer",
	"pseudonyms show":    "was shown resolved pseudonyms, as an officer",
	"quotas":             "looked at limits, as an officer",
	"reviews":            "listed reviews of emergency access, as an officer",
	"reviews POST":       "reviewed an emergency access, as an officer",
}

// deedOf is what somebody did: of what is FHIR the interaction, else words.
func deedOf(r *Record) string {
	switch r.Interaction {
	case EmergencyInteraction:
		return "emergency access"
	case ReadingInteraction:
		return "read the audit trail, as an officer"
	case AdminInteraction:
	default:
		return r.Interaction
	}
	path, _ := strings.CutPrefix(string(r.Query), "/api/v1/")
	what, rest, _ := strings.Cut(path, "/")
	_, step, _ := strings.Cut(rest, "/")
	for _, key := range []string{what + " " + step, what + " " + r.Method, what} {
		if words := officers[key]; words != "" {
			return words
		}
	}
	return "acted as an officer of the gateway"
}

// askedFor is what somebody who did something beside FHIR said that it is about, and
// for what reason.
func askedFor(r *Record) (l []string) {
	if besideFHIR[r.Interaction] == "" {
		return nil
	}
	for _, n := range r.Notes {
		if (n.Name == "about" || n.Name == "reason") && n.Value != "" {
			l = append(l, n.Value)
		}
	}
	return l
}
