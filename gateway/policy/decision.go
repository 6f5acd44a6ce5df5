package policy

// Decision is what policy says of one access to one resource. The zero value
// denies.
type Decision struct {
	Allow       bool
	Permits     []string // reasons that permitted, sorted
	Forbids     []string // reasons that forbade, sorted
	Obligations Obligations
	Err         error // why policy could not decide; Allow is then false
}

// Obligations are what an allowed access owes (DESIGN §6).
type Obligations struct {
	Views  []string // laid over the caller's own view
	Domain string
	StepUp *StepUp
	Notify []string
	Cost   int
}

// StepUp asks for a stronger or fresher login (RFC 9470).
type StepUp struct {
	ACR    string
	MaxAge int // seconds; 0: any
}
