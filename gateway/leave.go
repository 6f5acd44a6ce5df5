package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/config"
)

var errLeaving = errors.New("it was told to stop, and takes no new clients")

// leave serves on for drain_delay after ctx has ended, so that balancers send no
// more before the listener closes, and then ends what cancel ends: what is heard of
// blocks is heard until then.
func leave(ctx, serving context.Context, cancel func(), staff []*Process) error {
	defer cancel()
	select {
	case <-serving.Done(): // something failed
		return nil
	case <-ctx.Done():
	}
	var delay config.Duration
	for _, p := range staff {
		p.leaving.Store(true)
		delay = max(delay, p.live.Load().cfg.DrainDelay)
	}
	select {
	case <-serving.Done():
	case <-time.After(time.Duration(delay)):
	}
	return nil
}

// closing asks each client of a process that leaves to connect anew: a request on a
// connection that the listener is about to close would be lost.
func (p *Process) closing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.leaving.Load() {
			w.Header()["Connection"] = []string{"close"}
		}
		h.ServeHTTP(w, r)
	})
}

func (p *Process) staying() error {
	if p.leaving.Load() {
		return errLeaving
	}
	return nil
}
