//go:build real

package real

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/test/scopetable"
)

// lacks are rows that HAPI does not serve: what the scope opens is forwarded, and
// its refusal told.
var lacks = map[string]bool{"search of the system": true, "$docref": true}

// STANDARDS §1.1 on a real server, row by row: what the letters open is served, and
// what they do not open is refused and has changed nothing (SMART-14, SMART-15, S-01).
func TestInteractionsByScope(t *testing.T) {
	type play struct {
		row     scopetable.Row
		letters string
		id, new string
	}
	var plays []play
	load := []string{
		`{"resourceType":"Patient","id":"table","name":[{"text":"x"}]}`, strings.Replace(consent(0, "permit"), "p0", "table", 1),
		`{"resourceType":"Binary","id":"table","contentType":"text/plain","securityContext":{"reference":"Patient/table"},"data":"aGVsbG8="}`,
	}
	for _, row := range scopetable.Rows {
		for _, letters := range letterSets(row) {
			p := play{letters: letters, id: fmt.Sprint("t", len(plays)), new: fmt.Sprint("n", len(plays))}
			p.row = row.Fill(scopetable.IDs{Patient: "table", Observation: p.id, Version: "1", Binary: "table", New: p.new})
			plays = append(plays, p)
			load = append(load, observation(p.id, "table", ""))
		}
	}
	for some := range slices.Chunk(load, 100) {
		if err := transact(hapi.url, some); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range plays {
		scope := strings.TrimSpace(p.row.Context + "/" + p.row.Type + "." + p.letters + " " + p.row.Also)
		t.Run(strings.ReplaceAll(p.row.Name+" with "+scope, "/", "."), func(t *testing.T) {
			token := local.Token(map[string]any{"aud": gate.base, "roles": []string{"tester"}, "scope": scope})
			a := send(t, p.row.Method, p.row.Path, token, p.row.Body, p.row.Header...)
			if p.row.Granted(p.letters) {
				if lacks[p.row.Name] {
					if a.want(t, http.StatusBadRequest).code(t) != "search.unsupported" {
						t.Errorf("got %.600s", a.body)
					}
				} else if a.status != p.row.Status {
					t.Errorf("got %d, want %d: %.600s", a.status, p.row.Status, a.body)
				}
				return
			}
			if a.status != http.StatusForbidden {
				t.Errorf("got %d, want 403: %.600s", a.status, a.body)
			}
			if p.row.Method == http.MethodGet {
				return
			}
			if b, err := directly(http.MethodGet, hapi.url+"/Observation/"+p.id, ""); err != nil || !strings.Contains(b, `"versionId":"1"`) {
				t.Errorf("what was refused has changed it: %v %.300s", err, b)
			}
			if _, err := directly(http.MethodGet, hapi.url+"/Observation/"+p.new, ""); err == nil {
				t.Error("what was refused has made it")
			}
		})
	}
}

// letterSets are those that a row needs, each of them less one letter, all that it
// does not need, and all.
func letterSets(row scopetable.Row) (sets []string) {
	others := "cruds"
	for _, need := range row.Needs {
		sets = append(sets, need)
		for _, letter := range need {
			sets = append(sets, strings.ReplaceAll(need, string(letter), ""))
			others = strings.ReplaceAll(others, string(letter), "")
		}
	}
	sets = append(sets, others, "cruds")
	slices.Sort(sets)
	return slices.DeleteFunc(slices.Compact(sets), func(s string) bool { return s == "" })
}
