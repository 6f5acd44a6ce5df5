// Package scope turns SMART App Launch scopes into grants: which interactions
// a token opens, which resources it opens them on, and what narrows a search to
// those. What it does not understand to the byte grants nothing.
package scope

import (
	"strings"

	"gatehouse/fhir"
)

// Grants are what the scopes of one token open: the union of them (SMART-16).
// They never change and may be shared. A nil or zero Grants opens nothing.
type Grants struct {
	unbound bool
	version fhir.Version
	patient string // launch patient, "Patient/1" or ""
	grants  []grant
	scopes  []Explanation
	giving  letters // of the scopes that name Consent, whatever they open of FHIR
}

// Unbound are the grants of a caller whose issuer puts no scopes in tokens:
// they open everything, and policy alone decides.
var Unbound = &Grants{unbound: true}

// Denial says that no scope opens an access. It can be said before anything is
// known of the data, so it may be said openly (403).
type Denial struct {
	Code   string // scope.missing, scope.patient, scope.chain or scope.operation
	Needed string // the scope that would open it, for WWW-Authenticate; "" if none would
}

// The codes of denials.
const (
	codeMissing   = "scope.missing"   // no scope covers the type and interaction
	codePatient   = "scope.patient"   // the scopes are for a patient, and the token names none
	codeChain     = "scope.chain"     // a chain or _has would look at resources that the scopes do not open whole
	codeOperation = "scope.operation" // no scope stands for the operation
)

// letters are a set of the permissions c, r, u, d and s.
type letters uint8

const (
	create letters = 1 << iota
	read
	update
	remove
	search
)

func (l letters) String() string {
	var b strings.Builder
	for i, c := range []byte("cruds") {
		if l&(1<<i) != 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Parse reads scopes, split at single spaces, for the launch patient
// ("Patient/1"; "" where there is none, and then a patient scope grants
// nothing: S-02, SMART-20). bases are where absolute references to this server
// begin. Parse never fails: Explain tells what became of each scope.
func Parse(v fhir.Version, scopes []string, patient string, bases *fhir.BaseSet) *Grants {
	g := &Grants{version: v}
	if ref, version, ok := fhir.ParseRef(patient, nil); ok && version == "" && ref.Type == "Patient" {
		g.patient = patient
	}
	for _, s := range scopes {
		e := Explanation{Scope: s}
		if one, err := parseOne(v, s, bases); err != nil {
			e.Reason = err.Error()
		} else {
			e.describe(one)
			g.giving |= one.gives(g.patient)
			if e.Reason = g.useless(&one); e.Reason == "" {
				e.Grants = true
				g.grants = append(g.grants, one)
			}
			e.Text = g.text(one, e)
		}
		g.scopes = append(g.scopes, e)
	}
	return g
}

// useless says why a well-formed scope opens nothing for this token.
func (g *Grants) useless(one *grant) string {
	switch {
	case one.context == "patient" && g.patient == "":
		return "the token names no patient"
	case one.typ != "*" && g.cut(one, one.typ) == 0 && one.gives(g.patient) != 0:
		return "it opens giving and revoking consents at _gatehouse/consents, and nothing of FHIR"
	case one.typ != "*" && g.cut(one, one.typ) == 0:
		return "such a scope is never granted for this type"
	}
	return ""
}

// Allows reports whether some scope opens one letter (c, r, u, d or s) on typ
// at all; single resources are for Judge to open.
func (g *Grants) Allows(typ string, letter byte) bool {
	return g != nil && (g.unbound || g.any(typ, lettersOf(letter)))
}

// Gives reports whether a scope names Consent with the letter c or u, by which a
// patient's app may give (c) or revoke (u) consents at the gateway's own endpoint.
// No wildcard does, nor a token without scopes: whoever lets an app write records
// has not let it decide who sees them (DESIGN §6, C-10).
func (g *Grants) Gives(letter byte) bool {
	return g != nil && g.giving&lettersOf(letter) != 0
}

// gives is what a scope opens at the endpoint of consents.
func (one *grant) gives(patient string) letters {
	if one.typ != "Consent" || one.matcher != nil || one.context == "patient" && patient == "" {
		return 0
	}
	return one.letters & (create | update)
}

// any reports whether some grant has one of the letters on typ.
func (g *Grants) any(typ string, some letters) bool {
	for i := range g.grants {
		if g.cut(&g.grants[i], typ)&some != 0 {
			return true
		}
	}
	return false
}

// every reports whether each of the letters is granted on typ, by whichever grant.
func (g *Grants) every(typ string, all letters) bool {
	var have letters
	for i := range g.grants {
		have |= g.cut(&g.grants[i], typ)
	}
	return have&all == all
}

// cut is what a grant gives on typ: its letters, less what its kind of scope
// may never do to that type.
func (g *Grants) cut(one *grant, typ string) letters {
	if one.typ != typ && one.typ != "*" {
		return 0
	}
	k := kinds[g.version]()[typ]
	if one.typ == "*" && !k.wildcard || !k.named {
		return 0
	}
	if one.context == "patient" {
		return one.letters & k.patient
	}
	return one.letters
}

func lettersOf(c byte) letters {
	switch c {
	case 'c':
		return create
	case 'r':
		return read
	case 'u':
		return update
	case 'd':
		return remove
	case 's':
		return search
	}
	return 0
}
