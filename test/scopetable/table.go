// Package scopetable is STANDARDS §1.1 as data: which letters of a scope each FHIR
// interaction takes. Tests play it against a gateway, row by row, whatever server is
// behind it.
package scopetable

import (
	"slices"
	"strings"
)

// Row is one interaction. Its paths hold {patient}, {observation}, {version},
// {binary} and {new}, which Fill replaces.
type Row struct {
	Name         string
	Method, Path string // below the FHIR base
	Header       []string
	Body         string
	Context      string   // of the scope: "user", or "system" where nothing else will do
	Type         string   // that the scope is on
	Also         string   // scopes that it takes besides
	Needs        []string // sets of letters, each of which is enough; none: it takes no scope
	Status       int      // of the answer where it is granted
	Operation    string   // that must be allowed
}

// IDs are the resources that the server holds: an Observation of a Patient in its
// version, a Binary whose securityContext is the Patient, and an id that is free.
type IDs struct{ Patient, Observation, Version, Binary, New string }

// Fill puts ids into a row.
func (r Row) Fill(ids IDs) Row {
	f := strings.NewReplacer("{patient}", ids.Patient, "{observation}", ids.Observation, "{version}", ids.Version, "{binary}", ids.Binary, "{new}", ids.New)
	r.Path, r.Body, r.Header = f.Replace(r.Path), f.Replace(r.Body), slices.Clone(r.Header)
	for i := range r.Header {
		r.Header[i] = f.Replace(r.Header[i])
	}
	return r
}

// Granted tells whether a scope with these letters is enough.
func (r Row) Granted(letters string) bool {
	for _, set := range r.Needs {
		enough := true
		for _, c := range set {
			enough = enough && strings.ContainsRune(letters, c)
		}
		if enough {
			return true
		}
	}
	return len(r.Needs) == 0
}

// Letters are all sets of the letters c, r, u, d and s, but for the empty one, in the
// order that a scope has them in.
func Letters() (sets []string) {
	for set := 1; set < 32; set++ {
		letters := ""
		for i, c := range "cruds" {
			if set&(1<<i) != 0 {
				letters += string(c)
			}
		}
		sets = append(sets, letters)
	}
	return sets
}

const (
	observation = `"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/{patient}"}`
	bare        = `{"resourceType":"Observation",` + observation + `}`
	known       = `{"resourceType":"Observation","id":"{observation}",` + observation + `}`
	fresh       = `{"resourceType":"Observation","id":"{new}",` + observation + `}`
	patched     = `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.status"},{"name":"value","valueCode":"amended"}]}]}`
	matching    = "_id={observation}"
	none        = "_id={new}"
)

// Rows are the table. Where SMART is silent the rule is Gatehouse's.
var Rows = []Row{
	{Name: "read", Path: "/Observation/{observation}", Needs: []string{"r"}},
	{Name: "vread", Path: "/Observation/{observation}/_history/{version}", Needs: []string{"r"}},
	{Name: "history of one", Path: "/Observation/{observation}/_history", Needs: []string{"r"}},
	{Name: "HEAD", Method: "HEAD", Path: "/Observation/{observation}", Needs: []string{"r"}},
	{Name: "search by GET", Path: "/Observation?patient=Patient/{patient}", Needs: []string{"s"}},
	{Name: "search by POST", Method: "POST", Path: "/Observation/_search", Body: "patient=Patient/{patient}", Header: []string{"Content-Type", "application/x-www-form-urlencoded"}, Needs: []string{"s"}},
	{Name: "search of the system", Path: "?_type=Observation&_id={observation}", Needs: []string{"s"}},
	{Name: "search of a compartment", Path: "/Patient/{patient}/Observation", Needs: []string{"s"}},
	{Name: "history of a type", Path: "/Observation/_history", Needs: []string{"s"}},
	{Name: "history of the system", Path: "/_history", Needs: []string{"s"}},
	{Name: "create", Method: "POST", Path: "/Observation", Body: bare, Needs: []string{"c"}, Status: 201},
	{Name: "conditional create, of a match", Method: "POST", Path: "/Observation", Body: bare, Header: []string{"If-None-Exist", matching}, Needs: []string{"cs"}},
	{Name: "conditional create, of none", Method: "POST", Path: "/Observation", Body: bare, Header: []string{"If-None-Exist", none}, Needs: []string{"cs"}, Status: 201},
	{Name: "update", Method: "PUT", Path: "/Observation/{observation}", Body: known, Needs: []string{"u"}},
	{Name: "update as create", Method: "PUT", Path: "/Observation/{new}", Body: fresh, Needs: []string{"u"}, Status: 201},
	{Name: "patch", Method: "PATCH", Path: "/Observation/{observation}", Body: patched, Needs: []string{"u"}},
	{Name: "conditional update, of a match", Method: "PUT", Path: "/Observation?" + matching, Body: known, Needs: []string{"us"}},
	{Name: "conditional update, of none", Method: "PUT", Path: "/Observation?" + none, Body: bare, Needs: []string{"cus"}, Status: 201},
	{Name: "conditional patch", Method: "PATCH", Path: "/Observation?" + matching, Body: patched, Needs: []string{"us"}},
	{Name: "delete", Method: "DELETE", Path: "/Observation/{observation}", Needs: []string{"d"}, Status: 204},
	{Name: "conditional delete", Method: "DELETE", Path: "/Observation?" + matching, Needs: []string{"ds"}, Status: 204},
	{Name: "_include, what it brings", Path: "/Observation?_id={observation}&_include=Observation:subject:Patient", Type: "Patient", Also: "user/Observation.s", Needs: []string{"r", "s"}},
	{Name: "_include, what it begins with", Path: "/Observation?_id={observation}&_include=Observation:subject:Patient", Also: "user/Patient.r", Needs: []string{"s"}},
	{Name: "_revinclude", Path: "/Patient?_id={patient}&_revinclude=Observation:subject", Also: "user/Patient.s", Needs: []string{"r", "s"}},
	{Name: "chain", Path: "/Observation?subject:Patient.name=x", Type: "Patient", Also: "user/Observation.s", Needs: []string{"r", "s"}},
	{Name: "_has", Path: "/Patient?_has:Observation:patient:status=final", Also: "user/Patient.s", Needs: []string{"r", "s"}},
	{Name: "$everything", Path: "/Patient/{patient}/$everything", Type: "Patient", Needs: []string{"rs"}, Operation: "$everything"},
	{Name: "$lastn", Path: "/Observation/$lastn?patient=Patient/{patient}", Needs: []string{"rs"}, Operation: "$lastn"},
	{Name: "$docref", Path: "/DocumentReference/$docref?patient={patient}", Type: "DocumentReference", Needs: []string{"rs"}, Operation: "$docref"},
	{Name: "$validate of a new one", Method: "POST", Path: "/Observation/$validate", Body: bare, Needs: []string{"c"}, Operation: "$validate"},
	{Name: "$validate of one", Method: "POST", Path: "/Observation/{observation}/$validate", Body: known, Needs: []string{"u"}, Operation: "$validate"},
	{Name: "$export", Path: "/$export?_type=Observation", Header: []string{"Prefer", "respond-async"}, Context: "system", Needs: []string{"rs"}, Status: 202, Operation: "$export"},
	{Name: "Binary", Path: "/Binary/{binary}", Type: "Binary", Needs: []string{"r"}},
	{Name: "metadata", Path: "/metadata"},
}

func init() {
	for i := range Rows {
		r := &Rows[i]
		if r.Method == "" {
			r.Method = "GET"
		}
		if r.Context == "" {
			r.Context = "user"
		}
		if r.Type == "" {
			r.Type = "Observation"
		}
		if r.Status == 0 {
			r.Status = 200
		}
	}
}
