package gateway

import (
	"bytes"
	"context"
	"net/url"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/support"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// This file is what a process tells of itself to those who mend it: what support-bundle
// puts together, and what it may not hold.

// troubles are the last lines of the log that are more than information.
type troubles struct {
	mu    sync.Mutex
	lines [troublesKept]string
	next  int
}

const troublesKept = 200

// beside has a log's warnings and errors kept too.
func (k *troubles) beside(core zapcore.Core) zapcore.Core {
	return zapcore.NewTee(core, zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), k, zap.WarnLevel))
}

// Write keeps a line, of an endless one the beginning.
func (k *troubles) Write(line []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines[k.next%troublesKept] = strings.TrimRight(string(line[:min(len(line), 4<<10)]), "\n")
	k.next++
	return len(line), nil
}

// Sync is for zap.
func (k *troubles) Sync() error { return nil }

func (k *troubles) last() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := []string{}
	for i := max(0, k.next-troublesKept); i < k.next; i++ {
		list = append(list, k.lines[i%troublesKept])
	}
	return list
}

// Diagnostics is GET /api/v1/diagnostics.
type Diagnostics struct {
	Now        time.Time `json:"now"`
	Readiness  any       `json:"readiness"`
	Troubles   []string  `json:"log"`        // the last warnings and errors
	Goroutines string    `json:"goroutines"` // stacks without their arguments
	Memory     struct {
		Heap, Idle, Released, Stack, System, NextGC uint64
		Collections                                 uint32
	} `json:"memory"` // bytes
}

// diagnostics is for operators. Stacks are those of functions, without what they were
// called with.
func (p *Process) diagnostics(context.Context, *call) (any, error) {
	d := &Diagnostics{Now: p.now().UTC(), Readiness: p.readiness(), Troubles: p.troubles.last()}
	var out bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&out, 1); err != nil {
		return nil, internal(err)
	}
	d.Goroutines = out.String()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	d.Memory.Heap, d.Memory.Idle, d.Memory.Released, d.Memory.Stack = m.HeapAlloc, m.HeapIdle, m.HeapReleased, m.StackSys
	d.Memory.System, d.Memory.NextGC, d.Memory.Collections = m.Sys, m.NextGC, m.NumGC
	return d, nil
}

// scannedFor is how far back the audit trail is read for whom a bundle could name.
const scannedFor = 7 * 24 * time.Hour

// Unspeakable is what a bundle of a configuration may not hold: its secrets, and whom
// and what the audit trail of the last days names.
func Unspeakable(ctx context.Context, cfg *config.Config, now time.Time) (support.Known, error) {
	known := support.Known{}
	for _, s := range cfg.Secrets() {
		known.Add(s, "a secret of the configuration")
	}
	src, done, err := OpenTrail(ctx, cfg, false)
	if err != nil {
		return nil, err
	}
	_, _, err = src.Find(audit.Question{Since: now.Add(-scannedFor)}, func(r *audit.Record) error {
		namesOf(r, known)
		return nil
	})
	if closed := done(); err == nil {
		err = closed
	}
	return known, err
}

// namesOf adds whom a record is about, and what a client asked about them.
func namesOf(r *audit.Record, known support.Known) {
	id := func(typ, id string) {
		if typ != "Organization" {
			known.Add(id, "the id of a record")
		}
	}
	ref := func(text string) {
		typ, rest, ok := strings.Cut(text, "/")
		if ok {
			id(typ, rest)
		}
	}
	id(r.Type, r.ID)
	for _, p := range r.Patients {
		ref(p)
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		id(e.Type, e.ID)
		for _, p := range e.Patients {
			ref(p)
		}
	}
	if strings.HasPrefix(r.Caller.User, "Patient/") || strings.HasPrefix(r.Caller.User, "RelatedPerson/") {
		ref(r.Caller.User)
		known.Add(r.Caller.Subject, "a patient's login")
		known.Add(r.Caller.Name, "a name")
	}
	_, query, _ := strings.Cut(string(r.Query), "?")
	soughtBy(query, known)
	soughtBy(string(r.Body), known)
}

// soughtBy adds the values by which people are looked for.
func soughtBy(query string, known support.Known) {
	values, err := url.ParseQuery(query)
	if err != nil && len(values) == 0 {
		return
	}
	for name, list := range values {
		name = name[strings.LastIndexAny(name, ".:")+1:]
		for _, value := range list {
			for _, one := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '|' }) {
				if naming[name] {
					known.Add(one, "a value that somebody was looked for by")
				}
			}
		}
	}
}

// naming are the parameters that name somebody, and modifiers of those.
var naming = map[string]bool{"name": true, "family": true, "given": true, "phonetic": true, "identifier": true, "birthdate": true, "address": true,
	"address-city": true, "address-postalcode": true, "email": true, "phone": true, "telecom": true, "exact": true, "contains": true, "patient": true, "subject": true, "_id": true}
