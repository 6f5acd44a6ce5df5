//go:build real

package real

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

// traffic is what clients do meanwhile, each in a loop, and what they were answered.
type traffic struct {
	*fleet
	t     *testing.T
	began time.Time
	stop  atomic.Bool
	mu    sync.Mutex
	phase string
	acked []string       // X-Request-Id of every answer
	lost  map[string]int // connections that broke, by phase
	odd   []string       // answers that are wrong
	count map[string]int // answers, by who
	saved map[string]int // the last write of each record that was acknowledged
	names map[string]string
}

// answer that a client understood, or nil where the connection broke.
func (l *traffic) ask(method, target, token, body string, headers ...string) *answer {
	if !strings.HasPrefix(target, "http") {
		target = fleetURL + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		l.wrong("request: %v", err)
		return nil
	}
	if body == "" {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := l.send(r)
	var a answer
	if err == nil {
		a, err = readAll(resp)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.lost[l.phase]++
		return nil
	}
	l.acked = append(l.acked, a.header.Get("X-Request-Id"))
	return &a
}

func readAll(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

func (l *traffic) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.odd) < 20 {
		l.odd = append(l.odd, fmt.Sprintf("%s, %.1fs: ", l.phase, time.Since(l.began).Seconds())+fmt.Sprintf(format, args...))
	}
}

func (l *traffic) during(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase
}

// right counts an answer that has this status and holds these words.
func (l *traffic) right(who string, a *answer, status int, words ...string) bool {
	if a == nil {
		return false
	}
	if a.status != status {
		l.wrong("%s: got %d %.300s", who, a.status, a.body)
		return false
	}
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			l.wrong("%s: no %s in %.300s", who, word, a.body)
			return false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count[who]++
	return true
}

func (f *fleet) token(claims map[string]any) string {
	all := map[string]any{"aud": fleetURL, "scope": "user/*.cruds", "roles": []string{"staff"}}
	for k, v := range claims {
		all[k] = v
	}
	return f.issuer.Token(all)
}

// begin starts the clients; the returned function ends them.
func (f *fleet) begin(t *testing.T) (*traffic, func()) {
	l := &traffic{fleet: f, t: t, began: time.Now(), phase: "calm", lost: map[string]int{}, count: map[string]int{}, saved: map[string]int{}, names: map[string]string{}}
	var all sync.WaitGroup
	for _, client := range []func() func(){l.reader, l.stranger, l.nobody, l.turner, l.researcher, l.limited, l.prover,
		func() func() { return l.writer("w1") }, func() func() { return l.writer("w2") }} {
		step := client()
		all.Go(func() {
			for !l.stop.Load() {
				step()
				time.Sleep(15 * time.Millisecond)
			}
		})
	}
	return l, func() { l.stop.Store(true); all.Wait() }
}

func (l *traffic) reader() func() {
	token := l.token(nil)
	return func() { l.right("reader", l.ask("GET", "/Patient/p001", token, ""), 200, `"p001"`) }
}

// stranger is the app of another patient: there is nothing.
func (l *traffic) stranger() func() {
	token := l.token(map[string]any{"scope": "patient/*.rs", "patient": "p002", "roles": nil})
	return func() {
		l.right("stranger", l.ask("GET", "/Patient/p001", token, ""), 404, "resource.not-found")
		l.right("self", l.ask("GET", "/Patient/p002", token, ""), 200, `"p002"`)
	}
}

func (l *traffic) nobody() func() {
	return func() { l.right("nobody", l.ask("GET", "/Patient/p001", "no.such.token", ""), 401) }
}

// turner turns pages: the handle of each was sealed by whoever made the page before.
func (l *traffic) turner() func() {
	token := l.token(nil)
	return func() {
		seen := map[string]bool{}
		for target := "/Patient?_count=4"; target != ""; {
			a := l.ask("GET", target, token, "")
			if !l.right("turner", a, 200) {
				return
			}
			var b bundle
			if err := json.Unmarshal([]byte(a.body), &b); err != nil {
				l.wrong("page: %v", err)
				return
			}
			for _, e := range b.Entry {
				if seen[e.Resource.ref()] {
					l.wrong("%s stands on two pages", e.Resource.ref())
				}
				seen[e.Resource.ref()] = true
			}
			target = b.next()
		}
		if len(seen) != 20 {
			l.wrong("%d patients on all pages, want 20", len(seen))
		}
	}
}

// researcher must find each patient under one name at all replicas, whatever keys
// were rotated: what was given out before opens.
func (l *traffic) researcher() func() {
	token := l.token(map[string]any{"client_id": "research", "roles": []string{"researcher"}, "scope": "user/*.rs"})
	first := ""
	return func() {
		if first == "" {
			a := l.ask("GET", "/Patient?_count=1", token, "")
			var b bundle
			if l.right("researcher", a, 200) && json.Unmarshal([]byte(a.body), &b) == nil && len(b.Entry) == 1 {
				first = b.Entry[0].Resource.ID
			}
			return
		}
		l.right("researcher", l.ask("GET", "/Patient/"+first, token, ""), 200, `"Patient"`)
	}
}

// limited asks as often as it can: all replicas together let its rate through.
func (l *traffic) limited() func() {
	token := l.token(map[string]any{"client_id": "limited"})
	return func() {
		if a := l.ask("GET", "/Patient/p001", token, ""); a != nil && a.status != 429 {
			l.right("limited", a, 200)
		}
	}
}

// writer counts up a record; what was acknowledged must be there.
func (l *traffic) writer(id string) func() {
	token := l.token(map[string]any{"sub": id})
	n := 0
	return func() {
		n++
		body := fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"n"},"subject":{"reference":"Patient/p003"},"valueInteger":%d}`, id, n)
		a := l.ask("PUT", "/Observation/"+id, token, body)
		if a != nil && a.status == 201 || l.right("writer", a, 200) {
			l.mu.Lock()
			l.saved[id] = n
			l.mu.Unlock()
		}
	}
}

// prover sends a proof of possession twice, to two replicas: it counts once.
func (l *traffic) prover() func() {
	key := jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), Algorithm: "ES256"}
	print, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		l.t.Error(err)
	}
	token := l.token(map[string]any{"cnf": map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(print)}})
	n := 0
	return func() {
		n++
		sum := sha256.Sum256([]byte(token))
		claims, _ := json.Marshal(map[string]any{"htm": "GET", "htu": fleetURL + "/Patient/p001", "iat": time.Now().Unix(), "jti": fmt.Sprint("proof-", n),
			"ath": base64.RawURLEncoding.EncodeToString(sum[:])})
		proof := authtest.Sign(key, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": key.Public()}, claims)
		taken := 0
		for range 3 {
			a := l.ask("GET", "/Patient/p001", token, "", "Authorization", "DPoP "+token, "DPoP", proof)
			switch {
			case a == nil:
			case a.status == 200:
				taken++
			case a.status == 503 && strings.Contains(a.body, "issuer.unavailable"): // nobody knows
				l.mu.Lock()
				l.count["prover, "+l.phase]++
				l.mu.Unlock()
			default:
				l.right("prover", a, 401)
			}
		}
		if taken > 1 {
			l.wrong("a proof was taken %d times", taken)
		}
	}
}
