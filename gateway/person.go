package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/reidentify"
	"gatehouse/gateway/state"
)

// PersonOf is who holds a token of the issuer of admin_auth with an admin role,
// for commands that take two people.
func PersonOf(ctx context.Context, cfg *config.Config, token, role string) (reidentify.Person, error) {
	var nobody reidentify.Person
	if cfg.AdminAuth == nil {
		return nobody, errors.New("a token tells who you are where the configuration has admin_auth")
	}
	s := &snapshot{cfg: cfg, now: time.Now, stores: new(stores)}
	if err := errors.Join(s.buildKeys(nil), s.buildAuth(nil)); err != nil {
		return nobody, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.auth.Start(ctx)
	if err := awaitReady(s); err != nil {
		return nobody, fmt.Errorf("verify your token: %w", err)
	}
	if err := withState(cfg, func(st *state.Store) error { return heedBlocks(ctx, st, s.auth) }); err != nil {
		return nobody, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.Base.String(), nil)
	if err != nil {
		return nobody, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	who, refused := s.auth.Authenticate(r)
	switch {
	case refused != nil:
		return nobody, fmt.Errorf("your token is not taken: %s", refused.Code)
	case !holds(cfg.AdminAuth, who, role):
		return nobody, fmt.Errorf("your token does not hold the role %s of admin_auth", role)
	case who.Machine:
		return nobody, errors.New(notPerson.text)
	}
	return resolverOf(who), nil
}

// heedBlocks has tokens refused that are blocked.
func heedBlocks(ctx context.Context, st *state.Store, a *auth.Authenticator) error {
	return st.List(ctx, blockKind, func(r state.Row) error {
		what, value, _ := strings.Cut(r.ID, "\x00")
		if what == "patient" {
			return nil
		}
		return revoke(a, what, value, r.Expires)
	})
}

// holds tells whether admin_auth gives one of the roles to the caller; "" is any.
func holds(a *config.AdminAuth, who *auth.Subject, roles string) bool {
	return roleHeld(a, who, roles) != ""
}

// roleHeld is the first of them that they hold, "" for none.
func roleHeld(a *config.AdminAuth, who *auth.Subject, roles string) string {
	if who.Issuer != a.Issuer {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
		if (roles == "" || slices.Contains(strings.Fields(roles), name)) && slices.ContainsFunc(who.Roles, func(r string) bool { return slices.Contains(a.Roles[name], r) }) {
			return name
		}
	}
	return ""
}
