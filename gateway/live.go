package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/consent"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/label"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/relation"
	"gatehouse/gateway/seal"
	"gatehouse/gateway/telemetry"
	"gatehouse/gateway/trustee"
	"gatehouse/gateway/upstream"
	"gatehouse/gateway/view"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.uber.org/zap"
)

// snapshot is everything that a request is decided by. It is built whole from
// one configuration, tested, swapped in at once and never changed, so that no
// request sees half of an old one and half of a new one.
type snapshot struct {
	cfg       *config.Config
	grammar   fhir.Options
	bases     *fhir.BaseSet
	publicURL string // without a trailing slash
	basePath  string // escaped path of publicURL
	hosts     hosts
	hsts      bool
	cors      cors
	auth      *auth.Authenticator
	policy    *policy.Engine
	shadow    *shadow // nil: no other policy is watched
	labels    *label.Table
	keeper    *policy.Keeper   // nil: the trail keeps nothing of what policy read
	consent   *consent.Engine  // nil: consents are not consulted
	relation  *relation.Engine // nil: no policy asks for it
	views     map[string]func() (*view.View, error)
	naming    string // what pseudonyms and dates stand by for good; "": there are none
	sealer    *seal.Sealer
	tagKey    []byte
	up        *upstream.Upstream
	consents  *upstream.Upstream // where Consents are kept: up, or a server of their own
	callers   *lru.Cache[*auth.Subject, *caller]
	asserts   *lru.Cache[assertion, *auth.Subject]
	purpose   string // canonical
	metadata  metadata
	searches  searchable
	heeded    heeded
	refrained refrained           // what the upstream said; see refrains
	previous  *auth.Authenticator // while building
	stores    *stores
	tracer    *telemetry.Tracer // nil: nothing is traced
	approved  *approved         // the change of policy in force; nil: there is no change control
	behind    error             // why approved is not the one that was activated last
	drift     string            // what policy.dir holds otherwise than approved
	now       func() time.Time
	stop      func() // ends what the snapshot runs in the background
}

// careStale bounds how long a care relation that has ended still opens records.
const careStale = 5 * time.Second

// callersKept bounds the callers remembered per snapshot.
const callersKept = 16384

// build makes a snapshot of a configuration. Nothing of it is live yet.
// previous is what is live, whose revocations live on; nil at start.
func build(cfg *config.Config, previous *snapshot, st *stores, log *zap.Logger) (*snapshot, error) {
	s := &snapshot{now: time.Now, cfg: cfg, stores: st, publicURL: strings.TrimSuffix(cfg.Base.String(), "/"), basePath: strings.TrimSuffix(cfg.Base.EscapedPath(), "/"),
		cors: newCORS(cfg.CORS.Origins, cfg.PurposeHeader), hsts: cfg.TLS != nil, hosts: newHosts(cfg)}
	stale := careStale
	if st.trial != nil {
		s.now, s.policy, stale = st.trial.Now, st.trial.Policy, 0
	}
	if err := offered(cfg); err != nil {
		return nil, err
	}
	s.callers, _ = lru.New[*auth.Subject, *caller](callersKept) // fails for a size of zero alone
	s.asserts, _ = lru.New[assertion, *auth.Subject](assertedKept)
	s.purpose = http.CanonicalHeaderKey(cfg.PurposeHeader)
	if previous != nil {
		s.previous, s.approved = previous.auth, previous.approved
	}
	for _, step := range []func(*zap.Logger) error{s.buildKeys, s.buildPolicy, s.buildUpstream, s.buildViews, s.buildAuth, s.buildTracer} {
		if err := step(log); err != nil {
			return nil, err
		}
	}
	if err := s.buildConsent(log); err != nil {
		return nil, err
	}
	if s.policy.NeedsRelation() {
		s.relation = relation.New(s.grammar.Version, careSource{s}, s.bases, stale, s.now)
	}
	return s, nil
}

func (s *snapshot) buildKeys(*zap.Logger) error {
	var err error
	if s.sealer, err = sealerOf(s.cfg); err != nil {
		return fmt.Errorf("sealing key: %w", err)
	}
	s.tagKey = s.sealer.Derive("version-tag", 32)
	return nil
}

func (s *snapshot) buildPolicy(log *zap.Logger) error {
	e, err := s.policy, error(nil)
	if e == nil {
		var o policy.Options
		if o, err = s.policyOptions(); err == nil {
			e, err = policy.Load(o)
		}
	}
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	s.policy = e
	s.labels, err = label.New(e, s.cfg.Labels.Unlabelled)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	s.shadow = newShadow(s.cfg.Policy.Shadow, s.cfg.ACROrder, e, s.stores.metrics, log)
	if keep := s.cfg.Policy.Replay; keep != "off" {
		s.keeper = e.Keeper(keep == "all")
	}
	return nil
}

func (s *snapshot) buildUpstream(log *zap.Logger) error {
	up, err := upstream.New(s.cfg.Upstream, s.cfg.Base, log)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	s.up = up
	version, err := s.version()
	if err != nil {
		return err
	}
	public, err := fhir.NewBaseSet(s.publicURL)
	if err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	known := []string{s.publicURL, strings.TrimSuffix(s.cfg.Upstream.URL, "/")}
	for _, alias := range s.cfg.Upstream.ParsedAliases {
		known = append(known, strings.TrimSuffix(alias.String(), "/"))
	}
	if s.bases, err = fhir.NewBaseSet(known...); err != nil {
		return fmt.Errorf("upstream.url: %w", err)
	}
	s.grammar = fhir.Options{Version: version, Bases: public, Operations: map[string]bool{}, MaxEntries: s.cfg.Limits.Entries}
	for _, name := range s.cfg.Operations.Allow {
		s.grammar.Operations[name] = true
	}
	return nil
}

func (s *snapshot) buildViews(*zap.Logger) error {
	codec, err := s.codec()
	if err != nil {
		return err
	}
	if codec != nil {
		s.naming = codec.Tombstone("") // stands for the first key and the tenant
	}
	s.views = map[string]func() (*view.View, error){}
	for name, c := range s.cfg.Views {
		s.addView(name, c, codec)
	}
	for _, name := range view.Shipped() {
		if s.views[name] == nil && codec != nil {
			s.addView(name, config.View{Use: name}, codec) // policy may oblige a shipped one by its name
		}
	}
	var problems []error
	for name, load := range s.views {
		if _, own := s.cfg.Views[name]; !own && !s.seenThrough(name) {
			continue // made when somebody first needs it
		}
		if _, err := load(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(append(problems, s.checkObliged(s.cfg.Views))...)
}

func (s *snapshot) addView(name string, c config.View, codec *view.Codec) {
	s.views[name] = sync.OnceValues(func() (*view.View, error) {
		w, err := view.Load(s.grammar.Version, name, c, view.Options{Codec: codec, Now: s.now})
		if err != nil && c.File == "" { // else the error begins with the file's name
			err = fmt.Errorf("view %s: %w", name, err)
		}
		return w, err
	})
}

// seenThrough reports whether a client sees everything through the view.
func (s *snapshot) seenThrough(name string) bool {
	for _, c := range s.cfg.Clients {
		if c.View == name {
			return true
		}
	}
	return false
}

func (s *snapshot) buildAuth(log *zap.Logger) error {
	o := auth.Options{Now: s.now, Log: log, Once: s.stores.once, PublicURL: s.cfg.Base, Previous: s.previous}
	if s.cfg.DPoP.Nonce {
		o.NonceKey = s.sealer.Derive("dpop-nonce", 32)
	}
	a, err := auth.New(s.cfg.Issuers, o)
	s.previous = nil
	if err != nil {
		return fmt.Errorf("issuers: %w", err)
	}
	s.auth = a
	return nil
}

// codec makes pseudonyms; nil without a key, and then no view may need one.
func (s *snapshot) codec() (*view.Codec, error) {
	if !s.cfg.Pseudonyms.Key().Named() {
		return nil, nil
	}
	keys, err := s.cfg.Pseudonyms.Key().Read()
	if err != nil {
		return nil, fmt.Errorf("pseudonym key: %w", err)
	}
	vault, err := s.stores.vault(s.cfg)
	if err != nil {
		return nil, err
	}
	o := view.CodecOptions{Vault: vault, Next: keys.Epochs[keys.Writes+1:], Dropped: keys.Dropped, Erased: &s.stores.erased,
		Tenant: s.cfg.Pseudonyms.Tenant, UUIDs: s.cfg.Pseudonyms.Shape == "uuid"}
	if service := s.cfg.Pseudonyms.Service; service != nil {
		if o.Service, err = trustee.New(*service, s.stores.trusteeFailed, time.Now); err != nil {
			return nil, err
		}
	}
	codec, err := o.Codec(keys.Epochs[:keys.Writes+1]...)
	if err != nil {
		return nil, fmt.Errorf("pseudonym key: %w", err)
	}
	return codec, nil
}

// view returns a view by its name in the configuration.
func (s *snapshot) view(name string) (*view.View, error) {
	load, ok := s.views[name]
	if !ok {
		return nil, fmt.Errorf("there is no view %q", name)
	}
	return load()
}

func (s *snapshot) windows() judge.Limits {
	l := s.cfg.Limits
	return judge.Limits{Resource: int64(l.Resource), Window: int64(l.Window), Entries: windowEntries}
}

// windowEntries is how many entries are judged together (DESIGN §4).
const windowEntries = 200

// start runs what the snapshot does in the background, until stop.
func (s *snapshot) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = func() {
		cancel()
		s.up.Close()
		s.consents.Close()
		_ = s.tracer.Close() // what it could not send is told of already
	}
	s.auth.Start(ctx)
	s.tracer.Start()
	if s.shadow.loads() {
		go s.shadow.watch(ctx)
	}
	go debug.FreeOSMemory() // building leaves several times what it keeps
}

// selfTest refuses to go live with a policy that cannot be evaluated. What a
// rule makes of one resource's data is no matter of the whole: an error there
// denies that resource. On a machine that is busy starting up the deadline of
// an evaluation may pass once; it is tried again.
func (s *snapshot) selfTest(ctx context.Context) error {
	var d policy.Decision
	for range 5 {
		e := s.policy.For(ctx, &policy.Request{Action: "read", Interaction: "read", Subject: &auth.Subject{Issuer: "self-test", ID: "self-test", Client: "self-test"},
			Type: "Patient", ID: "self-test", Now: time.Now(), Address: "127.0.0.1"})
		if _, d = e.Possible(); d.Err == nil {
			return nil
		}
	}
	return fmt.Errorf("policy self-test: %w", d.Err)
}

// hosts are the names under which the gateway answers (T-13).
type hosts map[string]bool

func newHosts(cfg *config.Config) hosts {
	h := hosts{strings.ToLower(cfg.Base.Host): true, strings.ToLower(cfg.Listen): true}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return h
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		h["localhost:"+port] = true
	}
	return h
}

func (h hosts) add(addr string) { h[strings.ToLower(addr)] = true }

// answer tells whether the gateway answers under the request's Host: one that
// it was told of, or the very address that the connection came to. HTTP/2 leaves
// a Host header beside :authority; two names for one host are none (RFC 9113 §8.3.1).
func (h hosts) answer(r *http.Request) bool {
	if beside := r.Header["Host"]; beside != nil && (len(beside) != 1 || beside[0] != r.Host) {
		return false
	}
	if h[r.Host] || h[strings.ToLower(r.Host)] {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.String() == r.Host
}
