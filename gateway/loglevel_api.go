package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"github.com/gorilla/mux"
)

// This file is /api/v1/log-levels, for operators: GET lists what is in force, POST
// sets, DELETE with ?route=… resets.

func (p *Process) levelRoutes(v1 *mux.Router) {
	v1.Handle("/log-levels", p.forRole("operator", p.getLevels)).Methods(http.MethodGet)
	v1.Handle("/log-levels", p.forRole("operator", p.postLevel)).Methods(http.MethodPost)
	v1.Handle("/log-levels", p.forRole("operator", p.deleteLevel)).Methods(http.MethodDelete)
}

func (p *Process) getLevels(ctx context.Context, _ *call) (any, error) {
	list, err := listLevels(ctx, p.stores.shared)
	if err != nil {
		return nil, stateDown(err)
	}
	return map[string]any{"log_levels": list}, nil
}

func (p *Process) postLevel(ctx context.Context, c *call) (any, error) {
	var asked struct {
		Route  string `json:"route"`
		Level  string `json:"level"`
		For    string `json:"for"`
		Reason string `json:"reason"`
	}
	if err := c.read(&asked); err != nil {
		return nil, err
	}
	var last config.Duration
	if err := last.Set(asked.For); err != nil {
		return nil, &failure{status: http.StatusBadRequest, code: "admin.request", text: `Say for how long, such as {"for": "10m"}.`}
	}
	return p.decideLevel(ctx, c, &LogLevel{Route: asked.Route, Level: asked.Level, Reason: asked.Reason}, time.Duration(last))
}

func (p *Process) deleteLevel(ctx context.Context, c *call) (any, error) {
	q := c.r.URL.Query()
	return p.decideLevel(ctx, c, &LogLevel{Route: q.Get("route"), Reason: q.Get("reason"), Reset: true}, 0)
}

func (p *Process) decideLevel(ctx context.Context, c *call, l *LogLevel, last time.Duration) (any, error) {
	l.By = c.who.ID
	if err := l.check(last, p.now()); err != nil {
		return nil, &failure{status: http.StatusBadRequest, code: "admin.request", text: "This level cannot be set: " + err.Error() + "."}
	}
	c.record.Notes = []audit.Note{{Name: "route", Value: l.Route}}
	err := storeLevel(ctx, p.stores.shared, l)
	if errors.Is(err, ErrNoLevel) {
		return nil, &failure{status: http.StatusNotFound, code: "admin.not-found", text: "This route has no level of its own."}
	}
	if err == nil {
		err = p.stores.poll(ctx)
	}
	if err != nil {
		return nil, stateDown(err)
	}
	return l, nil
}
