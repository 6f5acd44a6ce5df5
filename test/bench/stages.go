package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/consent"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/label"
	"gatehouse/gateway/limit"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/relation"
	"gatehouse/gateway/scope"
	"gatehouse/gateway/upstream"
	"gatehouse/gateway/view"

	"go.uber.org/zap"
)

// bench is what the stages are measured with, in this process.
type bench struct {
	cfg     *config.Config
	auth    *auth.Authenticator
	request *http.Request
	subject *auth.Subject
	engine  *policy.Engine
	limiter *limit.Limiter
	trail   *audit.Log
	court   judge.Court
	view    *view.View
	up      *upstream.Upstream
	read    []byte
	pages   map[int][]byte // by number of patients, and that of forms
}

const forms = -1

var ctx = context.Background()

// stages measures what a request passes, one by one.
func (h *house) stages(o options) error {
	b, err := h.newBench()
	if err != nil {
		return err
	}
	defer b.trail.Close()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "stage\tns\tCPU ns\tallocations\tbytes allocated")
	for _, s := range b.list() {
		if !strings.HasPrefix(s.name, o.only) {
			continue
		}
		if err := s.measure(out, o.profiles); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return out.Flush()
}

// measure runs a stage for a second. Its CPU time is that of the process, the
// collector's included.
func (s *stage) measure(out io.Writer, profiles string) (failed error) {
	if profiles != "" {
		file, err := os.Create(filepath.Join(profiles, strings.ReplaceAll(s.name, " ", "-")+".cpu"))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var cpu int64
	r := testing.Benchmark(func(t *testing.B) {
		t.ReportAllocs()
		cpu, failed = used()
		for t.Loop() && failed == nil {
			failed = s.run()
		}
		if failed == nil {
			var now int64
			now, failed = used()
			cpu = now - cpu
		}
	})
	fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\n", s.name, r.NsPerOp(), cpu/int64(max(r.N, 1)), r.AllocsPerOp(), r.AllocedBytesPerOp())
	return failed
}

type stage struct {
	name string
	run  func() error
}

func (b *bench) list() []stage {
	options := fhir.Options{Version: fhir.R4, Bases: b.court.Bases}
	limits := b.cfg.Client("ward-app").Limits
	parties := []limit.Party{{Of: "client", Key: "client\x00issuer\x00ward-app", Limits: &limits}}
	address := netip.MustParseAddr("127.0.0.1")
	want := fhir.Ref{Type: "Observation", ID: "o0"}
	read, page := b.record(1), b.record(perPage)
	access, _ := fhir.Parse(fhir.Request{Method: http.MethodGet, Path: "/Observation/o0"}, options)
	return []stage{
		{"limit: address and client", func() error {
			b.limiter.Address(ctx, address, true)
			b.limiter.Admit(ctx, address, parties, 1, "")
			return nil
		}},
		{"authenticate, token remembered", func() error { _, err := b.auth.Authenticate(b.request); return nilError(err) }},
		{"parse a read", func() error { return b.parse("/Observation/o0", "", options) }},
		{"parse a search", func() error { return b.parse("/Observation", "status=final&_count=100", options) }},
		{"print the target", func() error { access.Target(); return nil }},
		{"scope", func() error { b.court.Grants.Covers(access); return nil }},
		{"policy with the resource unknown", func() error { b.evaluation(); return nil }},
		{"policy, one resource", func() error { return b.decide() }},
		{"facts of a resource", func() error { _, err := fhir.R4.ReadFacts(b.read, b.court.Bases); return err }},
		{"facts and labels of a resource", func() error { _, err := fhir.R4.ReadLabelled(b.read, b.court.Bases, b.court.Labels); return err }},
		{"names the upstream?", func() error { b.up.MayName(b.read); return nil }},
		{"judge a read", func() error {
			c := b.court
			_, err := c.One(ctx, policy.Hold(io.NopCloser(bytes.NewReader(b.read))), want, 8<<20)
			return err
		}},
		{"scan a page alone", func() error { return b.scan() }},
		{"judge a page of 1 patient", func() error { return b.judgePage(1, nil) }},
		{"judge a page of 100 patients", func() error { return b.judgePage(perPage, nil) }},
		{"judge a page of 100 forms", func() error { return b.judgePage(forms, nil) }},
		{"judge a research page", func() error { return b.judgePage(perPage, b.view) }},
		{"audit: seal and queue a read", func() error { b.trail.Append(read); return nil }},
		{"audit: seal and queue 100 patients", func() error { b.trail.Append(page); return nil }},
		{"audit: one record until it is durable", func() error { return b.trail.Append(read).Wait(ctx) }},
	}
}

func nilError(e *auth.Error) error {
	if e == nil {
		return nil
	}
	return fmt.Errorf("%s", e.Log)
}

func (b *bench) parse(path, query string, o fhir.Options) error {
	if _, err := fhir.Parse(fhir.Request{Method: http.MethodGet, Path: path, Query: query, Header: b.request.Header}, o); err != nil {
		return err
	}
	return nil
}

func (b *bench) evaluation() *policy.Evaluation {
	return b.engine.For(ctx, &policy.Request{Action: "read", Interaction: "read", Subject: b.subject, Type: "Observation", ID: "o0", Now: time.Now(), Address: "127.0.0.1"})
}

func (b *bench) decide() error {
	facts := fhir.Facts{Type: "Observation", ID: "o0", Patients: []string{"Patient/p0"}, Organization: "Organization/2"}
	d := b.court.Eval.Decide(ctx, &policy.Resource{Facts: &facts, Consent: policy.ConsentResult{Decision: "permit"}, Relation: &policy.Relation{}})
	if !d.Allow {
		return fmt.Errorf("denied: %v %w", d.Forbids, d.Err)
	}
	return nil
}

func (b *bench) scan() error {
	r := wire.NewBundle(bytes.NewReader(b.pages[1]), wire.Limits{})
	for {
		if _, err := r.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (b *bench) judgePage(patients int, w *view.View) error {
	c := b.court
	c.View = w
	r, err := c.Open(policy.Hold(io.NopCloser(bytes.NewReader(b.pages[patients]))),
		judge.Expect{Type: "searchset", Matches: "Observation"}, judge.Limits{Resource: 8 << 20, Window: 4 << 20, Entries: 200})
	if err != nil {
		return err
	}
	defer r.Recycle()
	window, err := r.Next(ctx)
	if err != nil {
		return err
	}
	if window.Withheld > 0 || len(window.Items) != perPage {
		return fmt.Errorf("%d of %d withheld: %+v", window.Withheld, len(window.Items), window.Items[0].Verdict)
	}
	return nil
}

func (b *bench) record(entries int) *audit.Record {
	r := &audit.Record{Request: "01a2008c-22f7-7d75-ac50-f6b8d5fa664e", Time: time.Now(), Address: "127.0.0.1", Method: http.MethodGet, Interaction: "read", Type: "Observation",
		ID: "o0", Query: []byte("/fhir/Observation/o0"), Status: 200, Code: "ok", Caller: audit.Caller{Issuer: "https://idp.example.org", Subject: "user", Client: "ward-app"},
		Decision: audit.Decision{Allow: true, Permits: []string{"Clinicians may read the records that their own organization keeps."}, Revision: b.engine.Revision()}}
	for i := range entries {
		r.Entries = append(r.Entries, audit.Entry{Effect: audit.Released, Type: "Observation", ID: "o0", Version: "3", Patients: []string{fmt.Sprint("Patient/p", i)}})
	}
	return r
}

// agreed answers for every patient that was asked for.
type agreed struct{}

func (agreed) Consents(_ context.Context, patients []string) (found [][]byte, err error) {
	for _, p := range patients {
		found = append(found, consentOf(p[len("Patient/"):]))
	}
	return found, nil
}

func (agreed) Named(context.Context, []string) (map[string][][]byte, error) { return nil, nil }

func (agreed) Around(context.Context, []string) ([][]byte, error) { return nil, nil }

func (h *house) newBench() (*bench, error) {
	cfg, problems := config.Load(filepath.Join(h.dir, "gatehouse.yaml"))
	if len(problems) > 0 {
		return nil, problems.Err()
	}
	b := &bench{cfg: cfg, read: theRead, pages: map[int][]byte{1: newEHR(publicURL).page(1), perPage: newEHR(publicURL).page(perPage), forms: newEHR(publicURL).unlike()}}
	for _, step := range []func(*house) error{b.buildAuth, b.buildPolicy, b.buildCourt, b.buildTrail} {
		if err := step(h); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) buildAuth(h *house) (err error) {
	if b.auth, err = auth.New(b.cfg.Issuers, auth.Options{Now: time.Now, Log: zap.NewNop(), PublicURL: b.cfg.Base}); err != nil {
		return err
	}
	b.auth.Start(ctx)
	b.request = &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/fhir/Observation/o0"}, Header: http.Header{
		"Authorization": {"Bearer " + h.clinician}, "Accept": {fhirJSON}, "User-Agent": {"bench"}}}
	for range 500 {
		if b.auth.Ready() == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	var refused *auth.Error
	if b.subject, refused = b.auth.Authenticate(b.request); refused != nil {
		return nilError(refused)
	}
	b.limiter, err = limit.New(b.cfg.Limits, limit.Options{})
	return err
}

func (b *bench) buildPolicy(*house) (err error) {
	if b.engine, err = policy.Load(policy.Options{}); err != nil {
		return err
	}
	b.up, err = upstream.New(b.cfg.Upstream, b.cfg.Base, zap.NewNop())
	return err
}

func (b *bench) buildCourt(h *house) error {
	bases, err := fhir.NewBaseSet(publicURL)
	if err != nil {
		return err
	}
	labels, err := label.New(b.engine, "N")
	if err != nil {
		return err
	}
	b.court = judge.Court{Version: fhir.R4, Bases: bases, Labels: labels, Marks: judge.Marks{Unlabelled: "N"}, Grants: scope.Parse(fhir.R4, b.subject.Scopes, "", bases), Letter: 'r', Action: "read", Blocked: func([]string) bool { return false }, Eval: b.evaluation(),
		Consent: consent.New(config.Consent{Source: "upstream", Default: "deny", MaxStaleness: config.Duration(time.Hour)},
			consent.Options{Source: agreed{}, Bases: bases, Now: time.Now}),
		Actor: consent.Actor{User: b.subject.FHIRUser, Organization: b.subject.Organization, Client: b.subject.Client, Roles: b.subject.Roles, Purpose: b.subject.Purpose},
		Base:  publicURL, Mapper: b.up, Domain: "study-17", Relation: relation.New(fhir.R4, agreed{}, bases, time.Hour, time.Now),
		Assured: func(*policy.StepUp) bool { return true }, Alarm: func(string) {},
		Tag: func(*view.View, *fhir.Facts) string { return "AAAAAAAAAAAAAAAA" }}
	key, err := config.ReadKey(filepath.Join(h.dir, "pseudonyms.key"))
	if err != nil {
		return err
	}
	vault, _, err := view.OpenVault(filepath.Join(h.dir, "vault"))
	if err != nil {
		return err
	}
	codec, err := view.NewCodec(vault, key)
	if err != nil {
		return err
	}
	b.view, err = view.Load(fhir.R4, "research", config.View{Use: "research"}, view.Options{Codec: codec, Now: time.Now})
	return err
}

func (b *bench) buildTrail(h *house) (err error) {
	key, seed := make([]byte, 32), make([]byte, 32)
	rand.Read(key)
	rand.Read(seed)
	b.trail, err = audit.Open(audit.Options{Dir: filepath.Join(h.dir, "stages"), Key: key, Seed: seed, Origin: "bench.example.org/audit"})
	return err
}
