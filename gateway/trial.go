package gateway

import (
	"context"
	"errors"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/policy"

	"go.uber.org/zap"
)

// Trial is a gateway without listeners, for scenarios: a Process that Start makes
// serves by its ServeHTTP alone, as any other. It remembers no care relation, so
// that what stands behind it may change from one request to the next.
type Trial struct {
	Policy *policy.Engine   // in place of what the configuration names
	Now    func() time.Time // what the gateway takes for the time
}

// Start opens a process under a configuration whose upstream and issuers answer,
// and waits until it can verify tokens. Close ends it.
func (t *Trial) Start(cfg *config.Config) (*Process, error) {
	log := zap.NewNop()
	p, err := newProcess(cfg, log)
	if err != nil {
		return nil, err
	}
	p.stores.trial = t
	if err := p.load(cfg, log); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := awaitReady(p.live.Load()); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Decided is what the trail has of a request so far.
func (p *Process) Decided(id string) ([]*PastDecision, error) {
	return p.live.Load().decided(context.Background(), p.trail, id)
}
