package gateway

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/policy"
)

// ReplayOptions say which past decisions are put to which policy.
type ReplayOptions struct {
	Candidate    policy.Options
	Since, Until time.Time                         // Until zero: to the end
	Progress     func(records int64, at time.Time) // called now and then; may be nil
}

// Replay is what another policy would have said of past decisions. It names
// people who asked and no patient.
type Replay struct {
	Candidate string         `json:"candidate"` // revision
	Since     time.Time      `json:"since"`
	Records   int64          `json:"records"`       // looked at
	Decisions int64          `json:"decisions"`     // put to the candidate
	Same      int64          `json:"same"`          // decided alike
	Allowed   int64          `json:"newly_allowed"` // withheld then
	Denied    int64          `json:"newly_denied"`  // given then
	Looked    int64          `json:"newly_looked"`  // refused at once then; the candidate would look at the record first
	Others    int64          `json:"not_policy"`    // scope, consent or a failure decided, whatever policy said
	Changes   []ReplayChange `json:"changes"`
	Unknown   []ReplayGap    `json:"not_replayed"`
}

// The kinds of a ReplayChange.
const (
	NewlyAllowed = "newly allowed"
	NewlyDenied  = "newly denied"
	NewlyLooked  = "newly looked at"
)

// ReplayChange counts decisions that would change alike.
type ReplayChange struct {
	Change   string   `json:"change"`
	Rule     string   `json:"rule"` // why, in the candidate's words where it has some
	Client   string   `json:"client"`
	Roles    string   `json:"roles"`
	Type     string   `json:"type"`
	Action   string   `json:"action"`
	Count    int64    `json:"count"`
	Users    []string `json:"users"`    // whose requests: a few
	Requests []string `json:"requests"` // ids: a few
}

// ReplayGap counts what could not be replayed for one reason.
type ReplayGap struct {
	Why   string `json:"why"`
	Count int64  `json:"count"`
}

// ReplayPast puts the decisions that the audit trail of a configuration holds to
// a candidate policy. It reads a trail that is being written too.
func ReplayPast(ctx context.Context, cfg *config.Config, o ReplayOptions) (*Replay, error) {
	e, err := policy.Load(o.Candidate)
	if err != nil {
		return nil, err
	}
	o2, err := LivePolicy(cfg)
	if errors.Is(err, errNoneActivated) { // nothing decides, or did
		o2, err = o.Candidate, nil
	}
	if err != nil {
		return nil, err
	}
	live, err := policy.Load(o2)
	if err != nil {
		return nil, err
	}
	p := &replayer{ctx: ctx, cfg: cfg, o: o, tally: newTally(e, live)}
	p.out.Since = o.Since
	if err := eachRecord(cfg, p.record); err != nil {
		return nil, err
	}
	return p.report(), nil
}

// ErrNoPast is what ReplayPast gives where no gateway has ever served.
var ErrNoPast = errors.New("there is no audit trail: the gateway has not served yet")

// eachRecord reads the audit trail of a configuration.
func eachRecord(cfg *config.Config, f func(*audit.Record) error) error {
	o, err := AuditOptions(cfg)
	if err != nil {
		return err
	}
	if _, err := os.Stat(o.Dir); errors.Is(err, fs.ErrNotExist) {
		return ErrNoPast
	}
	r, err := audit.OpenReader(o.Dir, o.Key)
	if err != nil {
		return err
	}
	_, err = r.Whole(f)
	return err
}

// replayer is one run of ReplayPast.
type replayer struct {
	ctx context.Context
	cfg *config.Config
	o   ReplayOptions
	*tally
	said time.Time // when progress was told last
}

const tellEvery = time.Second

func (p *replayer) record(r *audit.Record) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if now := time.Now(); p.o.Progress != nil && now.Sub(p.said) > tellEvery {
		p.said = now
		p.o.Progress(p.out.Records, r.Time)
	}
	if r.Time.Before(p.o.Since) || !p.o.Until.IsZero() && !r.Time.Before(p.o.Until) || r.Kind != audit.Part && r.Kind != audit.Outcome {
		return nil
	}
	p.out.Records++
	for i := range r.Entries {
		p.entry(r, &r.Entries[i])
	}
	if len(r.Entries) == 0 && r.Code == "policy.denied" {
		p.early(r)
	}
	return nil
}

// past is a decision on an entry, or with a nil entry on the request alone.
func (p *replayer) past(r *audit.Record, e *audit.Entry) *policy.Past { return pastOf(p.cfg, r, e) }

func pastOf(cfg *config.Config, r *audit.Record, e *audit.Entry) *policy.Past {
	c := &r.Caller
	q := &policy.Past{Now: r.Time, Address: r.Address, Asked: r.Asked,
		Client: policy.ClientInfo{ID: c.Client, Config: clientInfo(cfg.Client(c.Client))},
		Subject: auth.Subject{Issuer: c.Issuer, ID: c.Subject, Client: c.Client, FHIRUser: c.User, Organization: c.Organization,
			Roles: c.Roles, Purpose: c.Purpose}}
	if e != nil {
		q.Type, q.ID, q.Patients, q.Basis = e.Type, e.ID, e.Patients, e.Basis
	}
	return q
}

func (p *replayer) entry(r *audit.Record, e *audit.Entry) {
	given := e.Effect != audit.Withheld
	if !given && e.Reason != "policy.denied" {
		p.out.Others++
		return
	}
	d, why := p.ask(r, e)
	p.compare(r, e.Type, given, e.Permits, d, why)
}

// early is a request that was refused before any resource was looked at.
func (p *replayer) early(r *audit.Record) {
	d, why := p.ask(r, nil)
	p.compareEarly(r, d, why)
}

// ask puts one decision to the candidate; why says what stands against it.
func (p *replayer) ask(r *audit.Record, e *audit.Entry) (d policy.Rejudged, why string) {
	switch {
	case len(r.Asked) == 0 && r.Erased, e != nil && len(e.Basis) == 0 && r.Erased:
		return d, "a patient whom it concerned was erased"
	case len(r.Asked) == 0, e != nil && len(e.Basis) == 0:
		return d, "the trail kept nothing to replay it by (policy.replay was off, or the record is older)"
	}
	d, err := p.engine.Rejudge(p.ctx, p.past(r, e))
	return d, unknownBecause(d, err, "the trail did not keep ")
}
