package fhir

import (
	"strconv"
	"strings"
)

// Target prints the request that the Access is, below a base and fully
// escaped: "Patient/1", "Patient?name=x&_count=10", "" for the base itself.
// Searches are printed as for GET; for a POST cut at the "?", append
// "/_search" to what is before it and send what is behind it as the form.
// A conditional create's criteria are printed by IfNoneExist instead.
func (a *Access) Target() string {
	if a.isRead() {
		return a.Type + "/" + a.ID
	}
	b := a.appendPath(make([]byte, 0, 128))
	start := len(b)
	if a.Interaction != Create {
		b = appendCriteria(b, start, a.Criteria)
	}
	for _, f := range a.Filters {
		b = appendPair(b, start, "_typeFilter", f.Target())
	}
	return string(a.Results.append(b, start, a.Version.again()))
}

func (a *Access) isRead() bool {
	r := &a.Results
	return a.Interaction == Read && r.Elements == nil && r.Summary == ""
}

// IfNoneExist prints the criteria of a conditional create; "" for others.
func (a *Access) IfNoneExist() string {
	if a.Interaction != Create || !a.Conditional {
		return ""
	}
	return strings.TrimPrefix(string(appendCriteria(nil, 0, a.Criteria)), "?")
}

// Verb is the HTTP method that Target goes with.
func (a *Access) Verb() string {
	switch a.Interaction {
	case Create, Batch, Transaction:
		return "POST"
	case Update:
		return "PUT"
	case Patch:
		return "PATCH"
	case Delete:
		return "DELETE"
	case Operation:
		return a.Method
	}
	return "GET"
}

func (a *Access) appendPath(b []byte) []byte {
	if a.Interaction == Capabilities {
		return append(b, "metadata"...)
	}
	if a.Interaction == SearchCompartment {
		b = append(append(append(b, a.Compartment.Type...), '/'), a.Compartment.ID...)
		if a.Type == "" {
			return append(b, "/*"...)
		}
		b = append(b, '/')
	}
	b = append(b, a.Type...)
	if a.ID != "" {
		b = append(append(b, '/'), a.ID...)
	}
	switch a.Interaction {
	case VRead, HistoryInstance, HistoryType, HistorySystem:
		b = segment(b, "_history")
	case Operation:
		b = segment(b, a.Operation)
	}
	if a.VersionID != "" {
		b = segment(b, a.VersionID)
	}
	return b
}

func segment(b []byte, s string) []byte {
	if len(b) > 0 {
		b = append(b, '/')
	}
	return append(b, s...)
}

func appendCriteria(b []byte, start int, list []Param) []byte {
	for i := range list {
		c := &list[i]
		b = appendName(b, start, c.Key())
		for j, v := range c.Leaf().Values {
			if j > 0 {
				b = append(b, ',')
			}
			b = escape(b, v)
		}
	}
	return b
}

// Key is the parameter's whole name as a client writes it, unescaped:
// "code:not", "subject:Patient.name", "_has:Observation:patient:code". A hop
// of a chain that is bound to one type is printed with it, so that nobody
// chooses again.
func (p *Param) Key() string {
	if p.Has == nil && len(p.Chain) == 0 && p.Modifier == "" {
		return p.Name
	}
	var b strings.Builder
	if p.Has != nil {
		return "_has:" + p.Has.Type + ":" + p.Has.Ref + ":" + p.Has.Then.Key()
	}
	if len(p.Chain) == 0 {
		return p.Name + ":" + p.Modifier
	}
	for i, hop := range p.Chain {
		if i > 0 {
			if len(hop.Types) == 1 {
				b.WriteString(":" + hop.Types[0])
			}
			b.WriteByte('.')
		}
		b.WriteString(hop.Name)
	}
	if p.Modifier != "" {
		b.WriteString(":" + p.Modifier)
	}
	return b.String()
}

// Leaf is the parameter that has the values: p itself, or the innermost one of
// a _has.
func (p *Param) Leaf() *Param {
	for p.Has != nil {
		p = p.Has.Then
	}
	return p
}

func (r *Results) append(b []byte, start int, again string) []byte {
	for i, key := range r.Sort {
		if i == 0 {
			b = appendName(b, start, "_sort")
		} else {
			b = append(b, ',')
		}
		if key.Desc {
			b = append(b, '-')
		}
		b = escape(b, key.Name)
	}
	if r.Count != nil {
		b = appendPair(b, start, "_count", strconv.Itoa(*r.Count))
	}
	b = appendIncludes(b, start, "_include", again, r.Include)
	b = appendIncludes(b, start, "_revinclude", again, r.RevInclude)
	for _, one := range [...]pair{
		{"_elements", strings.Join(r.Elements, ",")}, {"_summary", r.Summary}, {"_total", r.Total}, {"_since", r.Since}, {"_at", r.At},
	} {
		if one.value != "" {
			b = appendPair(b, start, one.name, one.value)
		}
	}
	return b
}

func appendIncludes(b []byte, start int, name, again string, list []Include) []byte {
	for _, inc := range list {
		n := name
		if inc.Iterate {
			n += again
		}
		v := inc.Source + ":" + inc.Param
		if inc.Target != "" {
			v += ":" + inc.Target
		}
		b = appendPair(b, start, n, v)
	}
	return b
}

func appendPair(b []byte, start int, name, value string) []byte {
	return escape(appendName(b, start, name), value)
}

// appendName writes ? or &, the name and =; start is where the query begins.
func appendName(b []byte, start int, name string) []byte {
	if len(b) == start {
		b = append(b, '?')
	} else {
		b = append(b, '&')
	}
	return append(escape(b, name), '=')
}

// escape percent-encodes all but what RFC 3986 lets stand in a query and no
// server gives a meaning of its own.
func escape(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; idByte[c] || c == '_' || c == '~' || c == ',' || c == ':' || c == '/' || c == '*' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
