package gateway

import (
	"fmt"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/consent"
	"gatehouse/gateway/upstream"

	"go.uber.org/zap"
)

// buildConsent makes the engine, and the way to the server that has the
// Consents.
func (s *snapshot) buildConsent(log *zap.Logger) error {
	c := s.cfg.Consent
	s.consents = s.up
	if c.Parsed != nil {
		var err error
		s.consents, err = upstream.New(config.Upstream{URL: c.Source, Parsed: c.Parsed, Auth: c.Server.Auth, CAFile: c.Server.CAFile,
			Timeout: c.Server.Timeout, MaxConnections: s.cfg.Upstream.MaxConnections, InsecureHTTP: c.Server.InsecureHTTP}, s.cfg.Base, log)
		if err != nil {
			return fmt.Errorf("consent.source: %w", err)
		}
	}
	if c.Source != "none" {
		s.consent = s.newConsent(consentSource{s}, s.now)
	}
	return nil
}

func (s *snapshot) newConsent(source consent.Source, now func() time.Time) *consent.Engine {
	o := consent.Options{Source: source, Bases: s.bases, Version: s.grammar.Version, Seal: s.consentSeal(), Now: now}
	if s.stores != nil && s.stores.metrics != nil {
		o.Problem = s.stores.metrics.unusableConsent
	}
	return consent.New(s.cfg.Consent, o)
}

// consentSeal marks the Consents that the gateway writes.
func (s *snapshot) consentSeal() *consent.Sealer {
	return consent.NewSealer(s.sealer.Derive("consent-mark", 32))
}
