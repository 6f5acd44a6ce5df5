package consent

import "strings"

// This file reads Consents of STU3: a base policy with conditions of its own at
// the root, and exceptions to it, one level deep.

// threeAlso are the members that STU3 has beside the ordinary ones.
var threeAlso = set("period", "dateTime", "consentingParty", "actor", "action", "organization", "sourceAttachment", "sourceIdentifier",
	"sourceReference", "policy", "policyRule", "securityLabel", "purpose", "dataPeriod", "data", "except")

// three tells whether the Consent has STU3's shape, on a server that has such.
func (f *form) isThree() bool {
	if !f.reader.three {
		return false
	}
	for _, later := range []string{"scope", "provision", "decision", "subject"} {
		if f.t.Get(0, later) >= 0 {
			return false
		}
	}
	return true
}

func (f *form) rulesOfThree() {
	t, root := f.t, &f.c.root
	root.path = "policyRule"
	root.kind, root.base = f.baseOfThree()
	f.conditions(root, 0)
	for i, n := range f.list(0, "except", root) {
		e := provision{path: step("except", i), kind: kindOf(text(t, n, "type"))}
		f.members(&e, n)
		f.conditions(&e, n)
		if e.kind == silent {
			e.kind, e.unclear = deny, true // STU3 demands a type here
			f.note("malformed-element")
		}
		root.exceptions = append(root.exceptions, e)
	}
}

// baseOfThree is the policy that a Consent refers to. STU3 names it by a URI that
// ends in opt-in or opt-out; any other leaves it to what holds without a Consent.
func (f *form) baseOfThree() (verdict, *provision) {
	uris := []string{text(f.t, 0, "policyRule")}
	for _, p := range f.list(0, "policy", nil) {
		uris = append(uris, text(f.t, p, "uri"))
	}
	for _, uri := range uris {
		switch name := strings.ToLower(uri[strings.LastIndexAny(uri, "/#:")+1:]); strings.ReplaceAll(name, "-", "") {
		case "optin":
			return permit, nil
		case "optout":
			return deny, nil
		}
		if named := implicitPolicy(uri); named != nil {
			return silent, named
		}
	}
	return silent, nil
}
