package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"
)

// This file and its siblings are Bulk Data export
// (https://hl7.org/fhir/uv/bulkdata/): export_start.go begins a job,
// export_status.go tells of it, export_file.go streams what it made. The gateway
// keeps nothing of a job: its URLs are handles, sealed and bound to their
// caller, and what they lead to is judged by who the caller is now.

// exportLife is how long the URLs of an export may be used.
const exportLife = 24 * time.Hour

// maxJob bounds what a handle carries, so that its URL is taken everywhere.
const maxJob = 4 << 10

// job is what the URL of an export's state or file carries.
type job struct {
	Target string `json:"t"`           // upstream; "" of a file that is empty
	Path   string `json:"p"`           // the client's request, canonical: Group/1/$export
	Query  string `json:"q,omitempty"` // what of it files are judged by: types, elements
	Asked  string `json:"r,omitempty"` // the request's URL, for the manifest
	Few    bool   `json:"f,omitempty"` // the export is of some patients or records only
	File   string `json:"y,omitempty"` // type of the file's resources; "" for the state
	Ends   int64  `json:"e"`           // Unix time
}

// The purposes that handles are sealed for, and where they are served.
const (
	jobHandles  = "_export"
	fileHandles = "_file"
)

// jobHandle cuts a handle and what it is for off a path.
func jobHandle(path string) (purpose, handle string, ok bool) {
	if handle, ok = strings.CutPrefix(path, "/"+jobHandles+"/"); ok {
		return jobHandles, handle, true
	}
	handle, ok = strings.CutPrefix(path, "/"+fileHandles+"/")
	return fileHandles, handle, ok
}

// seal makes the URL of a job or file for this caller.
func (x *exchange) seal(purpose string, j job) (string, error) {
	payload, err := json.Marshal(j)
	if err != nil {
		return "", internal(err)
	}
	if len(payload) > maxJob {
		return "", &failure{status: http.StatusRequestEntityTooLarge, code: "request.too-long",
			text: "The export names more than a link can hold. Send the parameters by POST, and name fewer types and elements."}
	}
	return x.s.publicURL + "/" + purpose + "/" + x.s.sealer.Seal(purpose, x.caller.bind, payload, time.Unix(j.Ends, 0)), nil
}

// openJob turns the URL of a job or file back into the export that it is of.
func (x *exchange) openJob(purpose, handle, query string) (*fhir.Access, error) {
	x.record.Interaction = "$export-status"
	allow := "GET, DELETE"
	if purpose == fileHandles {
		x.record.Interaction, allow = "$export-file", "GET"
	}
	if !slices.Contains(strings.Split(allow, ", "), x.r.Method) {
		return nil, &failure{status: http.StatusMethodNotAllowed, code: "request.method", text: "Here is " + allow + " alone.", allow: allow}
	}
	if query != "" {
		return nil, &failure{status: http.StatusBadRequest, code: "page.changed", text: "The link is followed as it stands; parameters cannot be added."}
	}
	payload, err := x.s.sealer.Open(purpose, x.caller.bind, handle, x.start)
	if err != nil {
		return nil, absent(err)
	}
	var j job
	if err := json.Unmarshal(payload, &j); err != nil || (j.File != "") != (purpose == fileHandles) {
		return nil, internal(errors.Join(errors.New("a handle of another form"), err))
	}
	a, ferr := fhir.Parse(fhir.Request{Method: http.MethodGet, Path: j.Path, Query: j.Query}, x.s.grammar)
	if ferr != nil {
		return nil, ferr
	}
	x.job, x.record.Type, x.record.ID = &j, a.Type, a.ID
	if j.File != "" {
		x.record.Type, x.record.ID = j.File, ""
	}
	return a, nil
}

// export serves $export and the URLs of its jobs. Scope and policy are asked
// each time which types the caller may have.
func (x *exchange) export(ctx context.Context, m *matter, out output) error {
	if out != output(x.out) {
		return &failure{status: http.StatusBadRequest, code: "export.async", text: "An export is a request of its own, not an entry of a batch."}
	}
	types, err := x.exportTypes(ctx, m)
	switch {
	case err != nil:
		return err
	case x.job == nil:
		return x.startExport(ctx, m, types)
	case x.job.File != "":
		return x.exportFile(ctx, m)
	case x.r.Method == http.MethodDelete:
		return x.cancelExport(ctx, m)
	}
	return x.exportStatus(ctx, m, types)
}

// exportTypes are those that were asked for and are granted (S-11): a type that
// was named and is not granted refuses the export, and so does it when none is
// left.
func (x *exchange) exportTypes(ctx context.Context, m *matter) ([]string, error) {
	grants := x.caller.grants.System()
	var types []string
	for _, typ := range m.access.Types() {
		if !grants.Allows(typ, 'r') || !grants.Allows(typ, 's') {
			continue // where it was named, the scopes have refused already
		}
		possible, d := m.eval.PossibleFor(ctx, typ)
		switch {
		case d.Err != nil:
			return nil, x.policyDown(d.Err)
		case possible:
			types = append(types, typ)
		case criterion(m.access, "_type") != nil:
			x.decided(d)
			return nil, denied()
		}
	}
	if len(types) == 0 {
		return nil, denied()
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

// criterion is the parameter of an operation by its name; nil where it has none.
func criterion(a *fhir.Access, name string) *fhir.Param {
	for i := range a.Criteria {
		if a.Criteria[i].Name == name {
			return &a.Criteria[i]
		}
	}
	return nil
}

// exportCourt judges the lines of a file.
func (x *exchange) exportCourt(m *matter) *judge.Court {
	c := x.court(m)
	c.Grants = x.caller.grants.System()
	if elements := criterion(m.access, "_elements"); elements != nil {
		c.Project = &judge.Projection{Elements: elements.Values}
	}
	return c
}
