package gateway

import (
	"context"
	"net/http"
	"strings"

	"gatehouse/config"
	"gatehouse/gateway/limit"

	"github.com/gorilla/mux"
)

// This file is /api/v1/quotas: what callers have left of their limits.

func (p *Process) quotaRoutes(v1 *mux.Router) {
	v1.Handle("/quotas", p.forRole("operator", p.quotas)).Methods(http.MethodGet)
}

// quotasShown bounds an answer of GET /api/v1/quotas.
const quotasShown = 1000

// quotaRow is one caller in the answer.
type quotaRow struct {
	Of           string       `json:"of"` // client, user, organization
	Issuer       string       `json:"issuer,omitempty"`
	Client       string       `json:"client,omitempty"`
	User         string       `json:"user,omitempty"` // sub
	Organization string       `json:"organization,omitempty"`
	Quotas       []quotaState `json:"quotas"`
}

type quotaState struct {
	Name   string `json:"name"`
	Limit  int64  `json:"limit"`
	Window int    `json:"window_seconds,omitempty"`
	Left   int64  `json:"left"`
	Reset  int    `json:"reset_seconds"`
}

// quotas lists the callers that this process has served, as all replicas have
// counted them; ?client= names one, and then its users are listed too.
func (p *Process) quotas(ctx context.Context, c *call) (any, error) {
	cfg, client := p.live.Load().cfg, c.r.URL.Query().Get("client")
	rows := []quotaRow{}
	for _, key := range p.limit.Keys(quotasShown) {
		row, limits := quotaOf(cfg, key)
		if limits == nil || client != "" && row.Client != client || client == "" && row.Of == "user" {
			continue
		}
		for _, q := range p.limit.Left(ctx, limit.Party{Of: row.Of, Key: key, Limits: limits}) {
			row.Quotas = append(row.Quotas, quotaState{q.Name, q.Limit, wholeSeconds(q.Window), q.Left, wholeSeconds(q.Reset)})
		}
		rows = append(rows, row)
	}
	return map[string]any{"callers": rows}, nil
}

// quotaOf reads a key that parties made; nil where the caller has no limits now.
func quotaOf(cfg *config.Config, key string) (row quotaRow, limits *config.ClientLimits) {
	parts := append(strings.SplitN(key, "\x00", 4), "", "", "")
	row = quotaRow{Of: parts[0], Quotas: []quotaState{}}
	switch row.Of {
	case "client":
		row.Issuer, row.Client = parts[1], parts[2]
		l := cfg.Client(row.Client).Limits
		limits = &l
	case "user":
		row.Issuer, row.Client, row.User = parts[1], parts[2], parts[3]
		l := cfg.Client(row.Client).UserLimits
		limits = &l
	case "organization":
		row.Organization = parts[1]
		l := cfg.Organizations[row.Organization].Limits
		limits = &l
	}
	if limits == nil || !limit.Limited(limits) {
		return row, nil
	}
	return row, limits
}

// degraded says what this process serves without, and how.
func (p *Process) degraded(s *snapshot) map[string]string {
	all := map[string]string{}
	for name, err := range map[string]error{"limits": p.limit.Healthy(), "upstream": s.up.Resting(), "consents": s.consents.Resting()} {
		if err != nil {
			all[name] = err.Error()
		}
	}
	return all
}
