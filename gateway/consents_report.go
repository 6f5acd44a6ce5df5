package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/gateway/upstream"

	"go.uber.org/zap"
)

// ConsentReport is what doctor tells of the Consents that a source holds.
type ConsentReport struct {
	Read     int                 // active Consents that were looked at
	More     bool                // there are more, which were not
	Unusable map[string][]string // hashes of those that permit nothing, or not all they say, by what is wrong with them
}

// ConsentHash names a Consent without its id: the first twelve hex digits of
// the SHA-256 of "Consent/ID".
func ConsentHash(id string) string {
	sum := sha256.Sum256([]byte("Consent/" + id))
	return hex.EncodeToString(sum[:6])
}

// ExamineConsents reads the active Consents of the source that a configuration
// names, as far as one lookup goes (some thousands), and names each that is wrong; nil where consents are not consulted.
func ExamineConsents(ctx context.Context, path string) (*ConsentReport, error) {
	s, err := offline(path)
	if err != nil || s.cfg.Consent.Source == "none" {
		return nil, err
	}
	s.now = time.Now
	if s.up, err = upstream.New(s.cfg.Upstream, s.cfg.Base, zap.NewNop()); err != nil {
		return nil, err
	}
	defer s.up.Close()
	if err := s.buildConsent(zap.NewNop()); err != nil {
		return nil, err
	}
	defer s.consents.Close()
	r := &ConsentReport{Unusable: map[string][]string{}}
	err = gather(ctx, s.consents, int64(s.cfg.Limits.Resource), upstream.Consent, "Consent", "status=active&_count=200", func(resource []byte) error {
		r.Read++
		if problem := s.consent.Problem(resource); problem != "" {
			r.Unusable[problem] = append(r.Unusable[problem], ConsentHash(s.consent.ID(resource)))
		}
		return nil
	})
	if errors.Is(err, errPages) {
		r.More, err = true, nil
	}
	return r, err
}

// Lines are the report in words, one line for each problem.
func (r *ConsentReport) Lines() []string {
	lines := make([]string, 0, len(r.Unusable))
	for _, problem := range slices.Sorted(maps.Keys(r.Unusable)) {
		hashes := r.Unusable[problem]
		lines = append(lines, problem+": "+strings.Join(hashes, ", "))
	}
	return lines
}
