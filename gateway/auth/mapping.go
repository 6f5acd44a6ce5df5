package auth

import (
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"

	"github.com/go-json-experiment/json/jsontext"
)

// subject reads verified claims as this issuer's configuration says. What
// cannot be read refuses the token where less of it could mean more access
// (who, which patient, until when), and is left out where not.
func (i *issuer) subject(c claims, now time.Time) (*Subject, binding, *failure) {
	if f := i.checkAudience(c); f != nil {
		return nil, binding{}, f
	}
	expires, f := i.checkTimes(c, now)
	if f != nil {
		return nil, binding{}, f
	}
	bound, f := bindingOf(c, i.config.RequireBinding)
	if f != nil {
		return nil, binding{}, f
	}
	s := &Subject{Issuer: i.config.Issuer, Expires: expires, SMART: i.config.Scopes == "smart", Bound: bound != binding{}}
	for _, step := range []func(*Subject, claims) *failure{i.readPrincipal, i.readLaunch, i.readAttributes} {
		if f := step(s, c); f != nil {
			return nil, binding{}, f
		}
	}
	return s, bound, nil
}

// checkAudience wants one expected value in aud, exactly (JWT-06, J-07).
func (i *issuer) checkAudience(c claims) *failure {
	for _, v := range list(c["aud"]) {
		if aud, ok := text(v); ok && slices.Contains(i.config.Audiences, aud) {
			return nil
		}
	}
	return fail(CodeAudience, "aud holds no audience configured for issuer %s", i.config.Issuer)
}

// checkTimes gives the time after which the token is not served (JWT-08,
// J-06, SMART-30).
func (i *issuer) checkTimes(c claims, now time.Time) (expires time.Time, f *failure) {
	exp, hasExp := seconds(c["exp"])
	iat, hasIat := seconds(c["iat"])
	nbf, hasNbf := seconds(c["nbf"])
	maxAge := int64(time.Duration(i.config.MaxTokenAge) / time.Second)
	if c["exp"] == nil && hasIat && maxAge > 0 {
		exp, hasExp = iat+maxAge, true // an introspection answer may leave exp out
	}
	at, skew := now.Unix(), int64(i.skew/time.Second)
	switch {
	case !hasExp, c["iat"] != nil && !hasIat, c["nbf"] != nil && !hasNbf:
		return expires, fail(CodeInvalid, "exp, iat or nbf is missing or malformed")
	case at >= exp+skew:
		return expires, fail(CodeExpired, "expired")
	case hasNbf && nbf > at+skew:
		return expires, fail(CodeInvalid, "not valid yet")
	case hasIat && (iat > at+skew || iat > exp):
		return expires, fail(CodeInvalid, "issued in the future or after it expires")
	case maxAge > 0 && hasIat && exp-iat > maxAge, maxAge > 0 && !hasIat && exp-at > maxAge:
		return expires, fail(CodeInvalid, "lives longer than max_token_age")
	}
	return time.Unix(exp, 0), nil
}

// readPrincipal reads who calls. A token of a client alone, with no sub or its
// own id there, is no user's (JWT-10).
func (i *issuer) readPrincipal(s *Subject, c claims) *failure {
	if s.Client = i.client(c); s.Client == "" {
		return fail(CodeInvalid, "no client id")
	}
	if s.ID = s.Client; c["sub"] != nil {
		var ok bool
		if s.ID, ok = identifier(c["sub"]); !ok {
			return fail(CodeInvalid, "malformed sub")
		}
	}
	s.Machine = s.ID == s.Client
	for _, named := range []struct {
		name  string
		field *string
	}{{"jti", &s.TokenID}, {"sid", &s.Session}, {"acr", &s.ACR}} {
		if v := c.at(named.name); v != nil {
			var ok bool
			if *named.field, ok = identifier(v); !ok {
				return fail(CodeInvalid, "malformed %s", named.name)
			}
		}
	}
	if v := c["auth_time"]; v != nil {
		at, ok := seconds(v)
		if !ok {
			return fail(CodeInvalid, "malformed auth_time")
		}
		s.AuthTime = time.Unix(at, 0)
	}
	return nil
}

// client gives the client id, "" where there is none that can be read.
func (i *issuer) client(c claims) string {
	id, _ := identifier(c.find(i.config.Claims.Client))
	return id
}

// readLaunch reads scopes and launch context. Where the token was issued for
// several FHIR servers, both come from the part for this one (SMART-11).
func (i *issuer) readLaunch(s *Subject, c claims) *failure {
	scope, patient, encounter := c.find(i.config.Claims.Scope), c.find(i.config.Claims.Patient), c.find(i.config.Claims.Encounter)
	about := c["fhirContext"]
	here, several, f := i.here(c)
	if f != nil {
		return f
	}
	if several {
		scope, patient, encounter, about = here.at("scope"), here.at("patient"), here.at("encounter"), here["fhirContext"]
	}
	s.Context = i.context(about)
	if s.SMART {
		var ok bool
		if s.Scopes, ok = scopes(scope); !ok {
			return fail(CodeInvalid, "malformed scope")
		}
	}
	var ok bool
	if s.Patient, ok = i.reference(patient, "Patient"); !ok {
		return fail(CodeInvalid, "malformed launch patient")
	}
	if s.Encounter, ok = i.reference(encounter, "Encounter"); !ok {
		return fail(CodeInvalid, "malformed launch encounter")
	}
	return nil
}

// here finds the one authorization detail of type smart_on_fhir that is for
// this server. A token that has some, and none for it, was not issued for it.
func (i *issuer) here(c claims) (here claims, several bool, f *failure) {
	if c["authorization_details"] == nil {
		return nil, false, nil
	}
	found := 0
	for _, v := range list(c["authorization_details"]) {
		detail := object(v)
		if kind, _ := text(detail["type"]); kind != "smart_on_fhir" {
			continue
		}
		several = true
		for _, location := range list(detail["locations"]) {
			if at, _ := text(location); at != "" && strings.TrimSuffix(at, "/") == strings.TrimSuffix(i.base, "/") {
				here = detail
				found++
			}
		}
	}
	if several && found != 1 {
		return nil, false, fail(CodeAudience, "%d authorization_details are for this server", found)
	}
	return here, several, nil
}

// scopes splits at single spaces and nothing else, so that a scope never
// becomes two for one reader only (S-07); a list is taken as it stands. Absent
// scopes are an empty list: nothing is granted.
func scopes(v jsontext.Value) ([]string, bool) {
	out := []string{}
	if v == nil {
		return out, true
	}
	for _, e := range list(v) {
		s, ok := text(e)
		if !ok {
			return nil, false
		}
		for one := range strings.SplitSeq(s, " ") {
			if one != "" && (v.Kind() != '[' || one == s) {
				out = append(out, one)
			}
		}
	}
	return out, true
}

// reference normalises "1", "Patient/1" and the absolute form below the
// gateway's own base to "Patient/1"; absent is "".
func (i *issuer) reference(v jsontext.Value, typ string) (string, bool) {
	if v == nil {
		return "", true
	}
	s, ok := text(v)
	if !ok {
		return "", false
	}
	if fhir.ValidID(s) {
		return typ + "/" + s, true
	}
	ref, version, ok := i.own.ParseRef(s)
	if !ok || version != "" || ref.Type != typ {
		return "", false
	}
	return ref.String(), true
}

// readAttributes reads what policies look at. An organization or fhirUser that
// names nothing here is left out (SMART-27); roles and purposes must be whole,
// since a rule may forbid by them.
func (i *issuer) readAttributes(s *Subject, c claims) *failure {
	if org := list(c.find(i.config.Claims.Organization)); len(org) == 1 {
		s.Organization, _ = i.reference(org[0], "Organization")
	}
	if user, ok := text(c.find(i.config.Claims.FHIRUser)); ok {
		if ref, version, ok := i.own.ParseRef(user); ok && version == "" && slices.Contains(userTypes, ref.Type) {
			s.FHIRUser = ref.String()
		}
	}
	if s.PCF = c.at("extensions", "ihe_pcf"); c["extensions"] != nil && object(c["extensions"]) == nil {
		return fail(CodeInvalid, "malformed extensions") // it may hold what the token leaves out
	}
	i.readKin(s, c)
	var ok bool
	if s.Roles, ok = codes(c.find(i.config.Claims.Roles), nil); !ok {
		return fail(CodeInvalid, "malformed roles")
	}
	purpose := c.find(append(slices.Clone(i.config.Claims.Purpose), purposeExtensions...))
	if s.Purpose, ok = codes(purpose, ActReason); !ok {
		return fail(CodeInvalid, "malformed purpose of use")
	}
	return nil
}

// readKin takes what tells a person's kin; what cannot be read is not compared.
func (i *issuer) readKin(s *Subject, c claims) {
	if surname, ok := text(c.find(i.config.Claims.Surname)); ok {
		s.Kin.Name(surname)
	}
	if home := object(c.find(i.config.Claims.Address)); home != nil {
		street, _ := text(home["street_address"])
		code, _ := text(home["postal_code"])
		town, _ := text(home["locality"])
		s.Kin.Home(street, code, town)
	}
}

var userTypes = []string{"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"}

// purposeExtensions are where IHE IUA (ITI-71) and UDAP's B2B extension put
// the purpose of use; read where the configured claim is absent.
var purposeExtensions = config.ClaimPath{
	{"extensions", "ihe_iua", "purpose_of_use"},
	{"extensions", "hl7-b2b", "purpose_of_use"},
}

// ActReason are the names of HL7's v3-ActReason, whose codes stand bare.
var ActReason = []string{"http://terminology.hl7.org/CodeSystem/v3-ActReason", "http://hl7.org/fhir/v3/ActReason",
	"urn:oid:2.16.840.1.113883.5.8", "2.16.840.1.113883.5.8"}

// codes reads a string, a Coding, a CodeableConcept or a list of them. A code
// of another system than the bare ones becomes "system|code".
func codes(v jsontext.Value, bare []string) (out []string, ok bool) {
	if v == nil {
		return nil, true
	}
	for _, e := range list(v) {
		if e.Kind() == '{' {
			some, ok := coded(object(e), bare)
			if !ok {
				return nil, false
			}
			out = append(out, some...)
			continue
		}
		s, ok := text(e)
		if !ok || s == "" {
			return nil, false
		}
		if system, code, found := strings.Cut(s, "#"); found && slices.Contains(bare, system) { // UDAP
			s = code
		} else if system, code, found := strings.Cut(s, "|"); found && slices.Contains(bare, system) {
			s = code
		}
		out = append(out, s)
	}
	return out, true
}

func coded(c claims, bare []string) ([]string, bool) {
	if coding := c["coding"]; coding != nil {
		return codes(coding, bare)
	}
	code, ok := text(c["code"])
	if !ok || code == "" {
		return nil, false
	}
	if c["system"] == nil {
		return []string{code}, true
	}
	system, ok := text(c["system"])
	if !ok {
		return nil, false
	}
	if system == "" || slices.Contains(bare, system) {
		return []string{code}, true
	}
	return []string{system + "|" + code}, true
}
