package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// An upstream that is away is told alike by /metadata and by everything else.
func TestCapabilitiesOfAnUpstreamThatIsAway(t *testing.T) {
	file := written(t, "{url: http://127.0.0.1:9000/fhir} => {url: http://127.0.0.1:1/fhir, fhir_version: R4}\n")
	p, err := Open(file, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/fhir/metadata", nil)
	r.Host = "127.0.0.1:8080"
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), `"upstream.unreachable"`) {
		t.Errorf("got %d %s, want 502 upstream.unreachable", w.Code, w.Body)
	}
}
