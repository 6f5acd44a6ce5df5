package fhir

// Interaction is one FHIR RESTful interaction
// (https://hl7.org/fhir/R4/http.html); its String is the code that policies,
// audit and the CapabilityStatement use.
type Interaction uint8

// The interactions of R4. Conditional forms are the same interaction with
// Access.Conditional set; HEAD is the interaction of its GET.
const (
	None Interaction = iota
	Capabilities
	Read
	VRead
	HistoryInstance
	HistoryType
	HistorySystem
	SearchType
	SearchSystem
	SearchCompartment
	Create
	Update
	Patch
	Delete
	Batch
	Transaction
	Operation
)

var interactionCodes = [...]string{
	None: "none", Capabilities: "capabilities", Read: "read", VRead: "vread",
	HistoryInstance: "history-instance", HistoryType: "history-type", HistorySystem: "history-system",
	SearchType: "search-type", SearchSystem: "search-system", SearchCompartment: "search-compartment",
	Create: "create", Update: "update", Patch: "patch", Delete: "delete",
	Batch: "batch", Transaction: "transaction", Operation: "operation",
}

func (i Interaction) String() string { return interactionCodes[i] }

// Ref names one resource of this server.
type Ref struct{ Type, ID string }

func (r Ref) String() string { return r.Type + "/" + r.ID }

// Access is all that one interaction touches, read once from the request. What
// goes upstream is printed from it (Target), never copied from the client.
type Access struct {
	Interaction Interaction
	Head        bool   // a HEAD request: same judgement, no body
	Type        string // resource type; "" at system level and for a whole compartment
	ID          string
	VersionID   string
	Compartment Ref    // for SearchCompartment
	Operation   string // "$everything"; with Type and ID its level
	Method      string // of the operation: GET or POST
	Conditional bool   // create with If-None-Exist; update, patch, delete by criteria

	Criteria []Param // what selects resources: search, conditional criteria, operation parameters in the query
	Results  Results // what shapes the answer

	IfMatch         string // raw header value, syntax checked
	IfNoneMatch     string
	IfModifiedSince string
	Raw             []string // of a read of a Binary: the media ranges that its content is asked for in, instead of the resource
	ReturnPref      string   // Prefer: return=minimal|representation|OperationOutcome; "" when absent
	Async           bool     // Prefer: respond-async

	ContentType string   // of Body: application/fhir+json, application/json-patch+json
	Body        []byte   // the resource, patch or Parameters that the client sent; JSON
	Entries     []*Entry // of a batch or transaction

	Filters []*Access // of $export: each _typeFilter, a search of its own

	Version Version
	types   []string // _type
}

// Entry is one request of a batch or transaction.
type Entry struct {
	FullURL string
	Access  *Access
	Err     *Error // the entry could not be named; Access is then nil
}

// Param is one search parameter with its comma-separated alternatives. Several
// of one name are several Params: all must hold.
type Param struct {
	Name     string   // code, e.g. "subject", "_id"; for a _has, "_has"
	Modifier string   // without colon: "exact", "not", "identifier", or a type name; "" when absent
	Chain    []Hop    // subject:Patient.organization.name → [{[Observation] subject} {[Patient] organization} {[Organization] name}]; its first hop is Name itself
	Has      *Has     // _has:Observation:patient:code=…
	Values   []string // alternatives, FHIR escapes still in place (a\,b stays one value); references to this server as "Type/id"; nil for a _has
	Type     string   // search parameter type that the values have: token, reference, date, string, number, quantity, uri, composite, special
}

// Hop is one step of a chain: the parameter Name evaluated on resources of
// Types (more than one where the reference does not say which).
type Hop struct {
	Types    []string
	Name     string
	Modifier string // on the last hop only
}

// Has is one reverse chain: resources of Type whose reference Ref points here
// and that match Then.
type Has struct {
	Type, Ref string
	Then      *Param
}

// Results are the result parameters of R4 §3.1.1.5; pointers and "" are absent.
type Results struct {
	Count      *int
	Sort       []SortKey
	Include    []Include
	RevInclude []Include
	Elements   []string
	Summary    string // true, text, data, count, false
	Total      string // none, estimate, accurate
	Since, At  string // history
	Pretty     bool   // ours to do; never sent upstream
}

// SortKey is one key of _sort.
type SortKey struct {
	Name string
	Desc bool
}

// Include is one _include or _revinclude: Source:Param[:Target].
type Include struct {
	Source, Param, Target string // Param "*" is every one
	Iterate               bool
}

// Touch is one search parameter evaluated on one type: the access may not be
// granted unless the caller may search Type by Name.
type Touch struct {
	Type, Name, Modifier string
}

// Error is a request that cannot be served as it stands. Text is safe to show:
// it holds nothing but what the client sent in names (never values) and what
// to write instead.
type Error struct {
	Status int    // 400, 403, 405, 406, 413, 415
	Code   string // stable, one of Codes
	Text   string
	Allow  string // for 405
}

func (e *Error) Error() string { return e.Code + ": " + e.Text }
