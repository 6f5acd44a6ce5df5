package gateway

import (
	"slices"
	"strings"
	"time"

	"gatehouse/fhir"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// This file is what a line at debug says of one request (see LogLevel): how it went,
// in the gateway's own words and those of FHIR's grammar. Values, ids, paths, reasons
// of policies and what the upstream said are not among them (law 12).

// detail is gathered while a request runs whose route may be logged at debug.
type detail struct {
	params   []string // names and modifiers that the grammar knows
	steps    []stepTime
	more     int // steps beyond stepsKept
	asked    int // times that the upstream was asked
	withheld int
}

type stepTime struct {
	name string
	took time.Duration
}

// stepsKept bounds the steps of a line: a batch has those of each entry.
const stepsKept = 64

// step times what is done until the returned function is called, which calls end too.
func (d *detail) step(name string, end func()) func() {
	began := time.Now()
	return func() {
		end()
		d.took(name, time.Since(began))
	}
}

func (d *detail) took(name string, took time.Duration) {
	if name == "forward" || name == "before-image" {
		d.asked++
	}
	if len(d.steps) == stepsKept {
		d.more++
		return
	}
	d.steps = append(d.steps, stepTime{name, took})
}

// named notes what the access is selected by.
func (d *detail) named(a *fhir.Access) {
	if d == nil {
		return
	}
	for _, p := range a.Criteria {
		name := p.Name
		if p.Modifier != "" {
			name += ":" + p.Modifier
		}
		if len(d.params) < stepsKept {
			d.params = append(d.params, name)
		}
	}
}

// withhold counts a resource.
func (d *detail) withhold() {
	if d != nil {
		d.withheld++
	}
}

// MarshalLogArray writes the steps in the order in which they ended.
func (d *detail) MarshalLogArray(out zapcore.ArrayEncoder) error {
	for _, s := range d.steps {
		out.AppendString(s.name + " " + s.took.Round(time.Microsecond).String())
	}
	return nil
}

// detailLine writes the line.
func (x *exchange) detailLine(status int, code string) {
	line := x.g.verbose.Check(zap.DebugLevel, "request in detail")
	if line == nil || x.detail == nil {
		return
	}
	method := x.r.Method
	if !slices.Contains(methods, method) {
		method = "other" // a client may send any word
	}
	line.Write(zap.String("request", x.id), zap.String("method", method), zap.Int("status", status), zap.String("code", code),
		zap.String("interaction", x.record.Interaction), zap.String("type", x.record.Type), zap.String("client", x.record.Caller.Client),
		zap.String("parameters", strings.Join(x.detail.params, " ")), zap.Bool("page", x.page != nil), zap.String("view", x.record.View),
		zap.Int("released", x.releases), zap.Int("withheld", x.detail.withheld), zap.Int("upstream_requests", x.detail.asked),
		zap.Int("units", x.paid), zap.String("policy", x.s.policy.Revision()), zap.Array("steps", x.detail), zap.Int("steps_more", x.detail.more),
		zap.Duration("took", x.took()))
}
