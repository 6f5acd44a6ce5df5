package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/gateway/audit"
)

// detectors count, and give the evidence once there is too much of it.
var detectors = map[string]func(*rule, *caller, *audit.Record) string{
	"many-patients": manyPatients,
	"enumeration":   enumeration,
	"off-hours":     offHours,
	"watched":       watched,
	"same-surname":  sameSurname,
	"same-address":  sameAddress,
	"emergency":     emergencies,
	"new-types":     newTypes,
	"new-right":     newRight,
}

// manyPatients: distinct patients whose data somebody got, against what is usual
// for them and for their role.
func manyPatients(r *rule, c *caller, rec *audit.Record) string {
	for _, p := range given(rec) {
		c.distinct(p)
	}
	role := r.roles[roleOf(&rec.Caller)]
	usual := c.own.mean
	if role != nil {
		usual = max(usual, role.mean)
	}
	n := len(c.values)
	if n < r.Least || c.own.windows+windows(role) == 0 || float64(n) < float64(r.Threshold)*usual {
		return ""
	}
	return fmt.Sprintf("%d patients within %s; usual for this caller %.1f, for the role %.1f", n, r.Window, c.own.mean, mean(role))
}

func windows(n *norm) int {
	if n == nil {
		return 0
	}
	return n.windows
}

func mean(n *norm) float64 {
	if n == nil {
		return 0
	}
	return n.mean
}

// enumeration: requests for what is not there, or is hidden.
func enumeration(r *rule, c *caller, rec *audit.Record) string {
	if rec.Status != 404 {
		return ""
	}
	if c.count++; c.count < r.Threshold {
		return ""
	}
	return fmt.Sprintf("%d requests within %s for what is not there or hidden", c.count, r.Window)
}

// offHours: accesses at times at which nobody works.
func offHours(r *rule, c *caller, rec *audit.Record) string {
	if len(given(rec)) == 0 || r.Hours.Includes(rec.Time) {
		return ""
	}
	if c.count++; c.count < r.Threshold {
		return ""
	}
	return fmt.Sprintf("%d accesses within %s outside %s", c.count, r.Window, r.Hours.Words())
}

// watched: accesses to the data of patients that are on a list: staff, or known
// to the public.
func watched(r *rule, c *caller, rec *audit.Record) string {
	return inCommon(r, c, rec, "of the list")
}

// sameSurname and sameAddress: accesses to the data of patients who share the
// caller's. The gateway compared them before it recorded the access; a record from
// before there was such a rule says nothing of it.
func sameSurname(r *rule, c *caller, rec *audit.Record) string {
	return inCommon(r, c, rec, "who bear a surname of the caller")
}

func sameAddress(r *rule, c *caller, rec *audit.Record) string {
	return inCommon(r, c, rec, "who live at an address of the caller")
}

func inCommon(r *rule, c *caller, rec *audit.Record, words string) string {
	patients := r.about(rec)
	if len(patients) == 0 {
		return ""
	}
	for _, p := range patients {
		c.distinct(p)
	}
	if c.count++; c.count < r.Threshold {
		return ""
	}
	return fmt.Sprintf("%d accesses within %s to %d patients %s", c.count, r.Window, len(c.values), words)
}

// about are the patients of a record whom an alert of the rule is about.
func (r *rule) about(rec *audit.Record) []string {
	var of func(*audit.Entry, string) bool
	switch r.Detector {
	case "same-surname":
		of = func(e *audit.Entry, _ string) bool { return e.Same&audit.SameSurname != 0 }
	case "same-address":
		of = func(e *audit.Entry, _ string) bool { return e.Same&audit.SameAddress != 0 }
	case "watched":
		of = func(_ *audit.Entry, patient string) bool { return r.vip[patient] }
	default:
		return audit.PatientsOf(rec)
	}
	var l []string
	for i := range rec.Entries {
		for _, p := range rec.Entries[i].Patients {
			if e := &rec.Entries[i]; e.Effect != audit.Withheld && p != rec.Caller.User && of(e, p) {
				l = append(l, p)
			}
		}
	}
	return l
}

// emergencies: uses of emergency access.
func emergencies(r *rule, c *caller, rec *audit.Record) string {
	used := rec.Interaction == audit.EmergencyInteraction && rec.Method == "POST" && rec.Status < 400 ||
		slices.ContainsFunc(rec.Entries, func(e audit.Entry) bool { return slices.Contains(e.Permits, audit.EmergencyReason) })
	if !used {
		return ""
	}
	if c.count++; c.count < r.Threshold {
		return ""
	}
	return fmt.Sprintf("%d uses of emergency access within %s", c.count, r.Window)
}

// newTypes: kinds of data that somebody never read before.
func newTypes(r *rule, c *caller, rec *audit.Record) string {
	for i := range rec.Entries {
		if e := &rec.Entries[i]; e.Effect != audit.Withheld && r.unknown(c, e.Type, rec.Time) {
			c.distinct(e.Type)
		}
	}
	if n := len(c.values); c.seen >= r.Least && n >= r.Threshold {
		return fmt.Sprintf("%d kinds of data within %s that this caller had not read in %s and %d accesses before: %s", n, r.Window, r.History, c.seen, listed(c.values))
	}
	return ""
}

// newRight: a client's first use of a right on a kind of data, as the letters of
// SMART scopes name them. The log does not hold the scopes themselves.
func newRight(r *rule, c *caller, rec *audit.Record) string {
	letter := letters[rec.Interaction]
	if letter == "" || rec.Type == "" || rec.Status >= 400 {
		return ""
	}
	if right := rec.Type + "." + letter; r.unknown(c, right, rec.Time) && c.seen >= r.Least {
		c.distinct(right)
	}
	if n := len(c.values); n > 0 && n >= r.Threshold {
		return fmt.Sprintf("%d rights within %s that this client had not used in %s and %d accesses before: %s", n, r.Window, r.History, c.seen, listed(c.values))
	}
	return ""
}

var letters = map[string]string{"create": "c", "read": "r", "vread": "r", "history-instance": "r", "update": "u", "patch": "u", "delete": "d",
	"search-type": "s", "search-compartment": "s", "history-type": "s"}

// unknown tells whether a caller is new to a value, and remembers it.
func (r *rule) unknown(c *caller, value string, now time.Time) bool {
	last, met := c.known[value]
	if len(c.known) < valuesKept || met {
		c.known[value] = now
	}
	return !met || now.Sub(last) > time.Duration(r.History)
}

func listed(values map[string]bool) string {
	var l []string
	for v := range values {
		l = append(l, v)
	}
	slices.Sort(l)
	return strings.Join(l[:min(len(l), 10)], ", ")
}

// given are the patients whose data a record says were released or changed.
func given(r *audit.Record) []string {
	var l []string
	for i := range r.Entries {
		if e := &r.Entries[i]; e.Effect != audit.Withheld {
			for _, p := range e.Patients {
				if p != r.Caller.User {
					l = append(l, p)
				}
			}
		}
	}
	return l
}
