package test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/proposal"

	_ "modernc.org/sqlite"
)

var ann, bob = proposal.Person{Issuer: "idp", Subject: "ann"}, proposal.Person{Issuer: "idp", Subject: "bob"}

// rollOut proposes rules by ann, and lets bob approve and activate them.
func (h *house) rollOut(rules string) {
	h.t.Helper()
	err := gateway.OnChanges(h.cfg(), func(d *gateway.PolicyDesk) error {
		ctx := context.Background()
		_, base, err := d.InForce(ctx)
		if err != nil {
			return err
		}
		c, err := d.Propose(ctx, ann, gateway.Draft{Title: "a change", Files: map[string][]byte{"policy.rego": []byte(rules)},
			Evidence: gateway.Evidence{Diff: &policy.Difference{From: base.Revision}}})
		if err == nil {
			_, err = d.Approve(ctx, bob, c.ID)
		}
		if err == nil {
			_, err = d.Activate(ctx, bob, c.ID)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// stateRow is a row as somebody with the database and no key sees it.
type stateRow struct {
	label   string
	sealed  []byte
	version int64
}

func (h *house) stateDB() *sql.DB {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "state", "state.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { db.Close() })
	return db
}

// lineRow is the row that says which change is in force.
func (h *house) lineRow(db *sql.DB) (r stateRow) {
	h.t.Helper()
	if err := db.QueryRow(`SELECT label, sealed, version FROM gatehouse_state WHERE kind = 'policy-line'`).Scan(&r.label, &r.sealed, &r.version); err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) putLine(db *sql.DB, r stateRow) {
	h.t.Helper()
	if _, err := db.Exec(`UPDATE gatehouse_state SET sealed = $1, version = $2 WHERE kind = 'policy-line'`, r.sealed, r.version); err != nil {
		h.t.Fatal(err)
	}
}

// Issue 4.10: what is activated is followed by every replica, and what somebody
// does to the database without the key (an older line put back, the line taken
// away, files altered) changes no decision: the last good one stays, an alarm and
// /readyz tell without anybody asking for a reload, and nothing starts on it.
func TestChangeOfPolicy(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := newHouse(t, "R4")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.write("gatehouse.yaml", strings.Replace(h.config(adminAuth), "policy: {dir: policy}", "policy: {change_control: required}", 1))
	if err := h.open(); err == nil || !strings.Contains(err.Error(), "no change of policy has been activated yet") {
		t.Fatalf("opened before anything was activated: %v", err)
	}
	h.rollOut(usualPolicy)
	h.start()
	other := h.replica()
	decides := func(status int) {
		t.Helper()
		for _, one := range []*house{h, other} {
			one.within(5*time.Second, func() bool { return one.get("/Observation/a", h.staff()).status == status })
		}
	}
	decides(200)
	db := h.stateDB()
	older := h.lineRow(db)
	h.rollOut(strings.Replace(usualPolicy, `if "staff" in`, `if "nobody" in`, 1))
	decides(403)

	newer := h.lineRow(db)
	h.putLine(db, older)
	for _, one := range []*house{h, other} {
		one.within(15*time.Second, func() bool { return strings.Contains(one.readyz(t), "put back in the state store") })
		if !strings.Contains(one.metrics(), `gatehouse_alarms_total{what="policy.change"}`) {
			t.Error("an older line raises no alarm")
		}
	}
	decides(403)
	h.putLine(db, newer)
	for _, attack := range []struct{ sql, want string }{
		{`UPDATE gatehouse_state SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE kind = 'policy-change-body'`, "a row does not open"},
		{`DELETE FROM gatehouse_state WHERE kind = 'policy-line'`, "is no longer in the state store"},
	} {
		if _, err := db.Exec(attack.sql); err != nil {
			t.Fatal(err)
		}
		for _, one := range []*house{h, other} {
			if err := one.process.Reload(); err != nil {
				t.Errorf("%s: the last good one does not stay: %v", attack.want, err)
			}
			if got := one.readyz(t); !strings.Contains(got, attack.want) {
				t.Errorf("/readyz does not say that it %s: %s", attack.want, got)
			}
		}
		decides(403)
	}
	h.stop()
	if err := h.open(); err == nil {
		t.Error("it starts without a change in force")
	}
}
