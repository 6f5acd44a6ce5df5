package fhir

import (
	"mime"
	"strconv"
	"strings"
	"time"
)

// conditions are the request headers that change what an interaction does.
type conditions struct {
	ifMatch, ifNoneMatch, ifModifiedSince string
	returnPref                            string
}

// headers reads those headers and refuses what it would otherwise have to
// drop although it changes the meaning.
func (p *parser) headers(h map[string][]string) *Error {
	if len(h) == 0 {
		return nil
	}
	var err *Error
	if p.cond.ifMatch, err = single(h, "If-Match"); err != nil {
		return err
	}
	if p.cond.ifModifiedSince, err = single(h, "If-Modified-Since"); err != nil {
		return err
	}
	if p.ifNone, err = single(h, "If-None-Exist"); err != nil {
		return err
	}
	p.cond.ifNoneMatch = strings.Join(h["If-None-Match"], ", ")
	if len(h["If-Unmodified-Since"]) > 0 {
		return refuse(codeHeader, "If-Unmodified-Since is not FHIR's; pin a version with If-Match.")
	}
	if len(h["X-Security-Context"]) > 0 {
		return refuse(codeHeader, "X-Security-Context is not taken; send the Binary as a resource with its securityContext.")
	}
	if len(h["X-Provenance"]) > 0 {
		return refuse(codeHeader, "X-Provenance is not taken; send the Provenance as an entry of a transaction.")
	}
	for _, v := range h["Prefer"] {
		if err := p.prefer(v); err != nil {
			return err
		}
	}
	return nil
}

// single is the value of a header that may stand once; "" if it does not.
func single(h map[string][]string, name string) (string, *Error) {
	v := h[name]
	switch {
	case len(v) == 0:
		return "", nil
	case len(v) > 1:
		return "", refuse(codeRepeated, "The header %s may stand once.", name)
	case v[0] == "":
		return "", refuse(codeHeader, "The header %s is empty.", name)
	}
	return v[0], nil
}

// prefer reads one Prefer header (RFC 7240). Preferences may be ignored by
// their nature; only return and respond-async have an effect. handling=lenient
// never has.
func (p *parser) prefer(v string) *Error {
	for _, pref := range strings.Split(v, ",") {
		pref, _, _ = strings.Cut(pref, ";") // a preference's own parameters, of which FHIR has none
		name, value, _ := strings.Cut(strings.TrimSpace(pref), "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.Trim(strings.TrimSpace(value), `"`)
		switch name {
		case "return":
			switch value {
			case "minimal", "representation", "OperationOutcome":
			default:
				return refuse(codeHeader, "Prefer: return is minimal, representation or OperationOutcome.")
			}
			if p.cond.returnPref == "" { // the first one counts
				p.cond.returnPref = value
			}
		case "respond-async":
			p.async = true
		}
	}
	return nil
}

// conditions puts the headers where the interaction has a meaning for them. A
// precondition without one is refused: the client relies on it. The
// validators of a cache are not, for an answer in full is always right.
func (p *parser) conditions(a *Access) *Error {
	write := a.Interaction == Create || a.Interaction == Update || a.Interaction == Patch || a.Interaction == Delete
	c := &p.cond
	if c.ifMatch != "" {
		if !write || a.Interaction == Create {
			return refuse(codeHeader, "If-Match goes with an update, patch or delete.")
		}
		if !entityTag(c.ifMatch) {
			return refuse(codeHeader, `If-Match is one version, written W/"3".`)
		}
		a.IfMatch = c.ifMatch
	}
	if write && (c.ifNoneMatch != "" || c.ifModifiedSince != "") {
		return refuse(codeHeader, "If-None-Match and If-Modified-Since go with a read; create conditionally with If-None-Exist.")
	}
	if p.ifNone != "" && a.Interaction != Create {
		return refuse(codeHeader, "If-None-Exist goes with a create.")
	}
	if a.Interaction != Read && a.Interaction != VRead {
		return nil
	}
	if c.ifNoneMatch != "" && !entityTags(c.ifNoneMatch) {
		return refuse(codeHeader, `If-None-Match lists versions, written W/"3".`)
	}
	if c.ifModifiedSince != "" {
		if _, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", c.ifModifiedSince); err != nil {
			return refuse(codeHeader, "If-Modified-Since is an HTTP date: Tue, 03 Nov 2026 08:00:00 GMT.")
		}
	}
	a.IfNoneMatch, a.IfModifiedSince = c.ifNoneMatch, c.ifModifiedSince
	return nil
}

// entityTag reports whether s is one entity tag whose version is an id.
func entityTag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	return len(s) > 2 && s[0] == '"' && s[len(s)-1] == '"' && versionTag(s[1:len(s)-1])
}

// versionTag takes what a server may have sealed a version into as well: the
// base64url alphabet beside that of ids.
func versionTag(s string) bool {
	return len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool {
		return r >= 0x80 || !idByte[byte(r)] && r != '_' && r != '=' && r != '+' && r != '/'
	}) < 0
}

func entityTags(list string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for _, tag := range strings.Split(list, ",") {
		if !entityTag(strings.TrimSpace(tag)) {
			return false
		}
	}
	return true
}

// accept checks that one of the media ranges takes application/fhir+json
// (N-01). The q of an exact range beats that of a wildcard.
func accept(headers []string, v Version) *Error {
	if len(headers) == 0 || len(headers) == 1 && plainJSON(headers[0]) {
		return nil
	}
	best, quality := 0, 0.0
	for _, header := range headers {
		for _, r := range strings.Split(header, ",") {
			media, params, err := mime.ParseMediaType(r)
			if err != nil || !sameVersion(params, v) {
				continue
			}
			if s := jsonRange(media); s > 0 {
				q := 1.0
				if text, ok := params["q"]; ok {
					q, _ = strconv.ParseFloat(text, 64)
				}
				if s > best || s == best && q > quality {
					best, quality = s, q
				}
			}
		}
	}
	if quality > 0 {
		return nil
	}
	return notJSON()
}

// rawRanges are the media ranges that ask for the content of a Binary
// (https://hl7.org/fhir/R4/binary.html#rest); nil where none does. FHIR's own forms,
// XML's general names among them, ask for the resource.
func rawRanges(a *Access, headers []string) (ranges []string) {
	if a.Type != "Binary" || a.Interaction != Read && a.Interaction != VRead || a.Results.Elements != nil || a.Results.Summary != "" {
		return nil
	}
	for _, header := range headers {
		for _, r := range strings.Split(header, ",") {
			media, params, err := mime.ParseMediaType(r)
			if q, err := strconv.ParseFloat(params["q"], 64); params["q"] != "" && (err != nil || q <= 0) {
				continue
			}
			switch {
			case err != nil, strings.HasPrefix(media, "application/fhir"), strings.Contains(media, "json+fhir"), strings.Contains(media, "xml+fhir"):
			case jsonRange(media) > 0, media == "application/xml", media == "text/xml", media == "text/turtle":
			default:
				ranges = append(ranges, media)
			}
		}
	}
	return ranges
}

func notJSON() *Error {
	return refuse(codeFormat, "Answers are application/fhir+json in the server's FHIR release; ask for that with Accept or _format=json. XML, Turtle and other forms are not served.")
}

func plainJSON(s string) bool {
	switch s {
	case "", "*/*", "application/fhir+json", "application/json", "application/fhir+json, application/json":
		return true
	}
	return false
}

// jsonRange tells how exactly a media range names JSON.
func jsonRange(media string) int {
	switch media {
	case "application/fhir+json":
		return 3
	case "application/json", "text/json":
		return 2
	case "application/*", "*/*":
		return 1
	}
	return 0
}

func sameVersion(params map[string]string, v Version) bool {
	got, ok := params["fhirversion"]
	return !ok || got == v.Number()
}

// format reads _format, which beats Accept (FHIR-11). An unescaped + has been
// read as a space; nothing else can have been meant.
func (p *parser) format(value string) *Error {
	p.formatted = true
	if value == "json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(strings.Replace(value, "fhir json", "fhir+json", 1))
	if err != nil || jsonRange(media) < 2 || !sameVersion(params, p.o.Version) {
		return notJSON()
	}
	return nil
}
