package fhir

// Request is one HTTP request below the FHIR base, or one entry of a batch.
type Request struct {
	Method      string
	Path        string              // escaped, below the base: "", "/Patient/1"
	Query       string              // raw
	Header      map[string][]string // by canonical name; nil for none
	Body        []byte              // form of _search, resource, patch, Parameters or Bundle, decoded from any content coding
	ContentType string              // of Body
}

// Options are what Parse must know of the gateway.
type Options struct {
	Version    Version
	Bases      *BaseSet        // under which clients know this server; absolute references and entry URLs below them are made relative
	Operations map[string]bool // "$everything": the operations that are switched on; nil is none
	MaxEntries int             // of a batch or transaction; 0: 1000
	MaxParams  int             // of a query and form together; 0: 200
	MaxCount   int             // what _count is capped to; 0: 1000
}

// What no honest request comes near. They bound the work that one request can
// cause before anything has been decided.
const (
	maxQuery    = 64 << 10  // bytes of a query
	maxForm     = 256 << 10 // bytes of a search form
	maxValues   = 1000      // comma-separated alternatives of a request
	maxHops     = 5         // of a chain
	maxHas      = 3         // nested _has
	maxIncludes = 20
	maxSorts    = 10
)

func (o *Options) defaults() {
	if o.MaxEntries == 0 {
		o.MaxEntries = 1000
	}
	if o.MaxParams == 0 {
		o.MaxParams = 200
	}
	if o.MaxCount == 0 {
		o.MaxCount = 1000
	}
}

// Parse reads one request of FHIR's RESTful API
// (https://hl7.org/fhir/R4/http.html, search.html). What it cannot name
// exactly it refuses: nothing is dropped, guessed or decoded twice. The
// Access keeps slices of r.Body.
func Parse(r Request, o Options) (*Access, *Error) {
	o.defaults()
	p := parser{o: &o}
	if err := p.headers(r.Header); err != nil {
		return nil, err
	}
	a, err := p.access(r)
	if err != nil {
		return nil, err
	}
	if p.formatted {
		return a, nil
	}
	if err := accept(r.Header["Accept"], o.Version); err != nil {
		if a.Raw = rawRanges(a, r.Header["Accept"]); a.Raw == nil {
			return nil, err
		}
	}
	return a, nil
}

// parser is what reading one request accumulates beside its Access.
type parser struct {
	o          *Options
	cond       conditions
	ifNone     string // If-None-Exist
	async      bool
	entry      bool // of a Bundle: no Bundle within it
	formatted  bool // _format has chosen the answer's format
	params     int
	values     int
	op         *operation
	bodyParams []pair // of an operation's Parameters
}

func (p *parser) access(r Request) (*Access, *Error) {
	a := &Access{ReturnPref: p.cond.returnPref, Async: p.async, Version: p.o.Version}
	if err := p.route(a, r.Method, r.Path); err != nil {
		return nil, err
	}
	if err := p.conditions(a); err != nil {
		return nil, err
	}
	if err := p.body(a, &r); err != nil {
		return nil, err
	}
	if err := p.query(a, &r); err != nil {
		return nil, err
	}
	return a, nil
}
