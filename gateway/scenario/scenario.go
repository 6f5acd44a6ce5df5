// Package scenario plays what a policy is meant to do: somebody asks something
// of some records, a gateway that differs from a serving one in its clock alone
// answers, and what came of it is held against what was expected.
package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"gatehouse/gateway/policy"
)

// Server is a FHIR server in memory.
type Server interface {
	http.Handler
	// Load stores resources (JSON) under the ids that they have.
	Load(resources [][]byte) error
}

// Options say what is played.
type Options struct {
	Policy policy.Options // rules and tables, and where scenarios stand: the folder policy.ScenarioDir
	Files  []string       // scenario files in place of that folder's; patterns
	Config string         // a configuration whose clients, views and consent rules hold; "": none of them, and no consent is no refusal

	// Serve makes the FHIR server that is put behind the gateway; its links
	// begin with base.
	Serve func(base string) (Server, error)
	// Coverage has loaded the policy, and notes what is tried.
	Coverage *policy.Coverage
}

// Result is what became of one scenario.
type Result struct {
	Name  string
	File  string
	Line  int
	Took  time.Duration
	Wrong []Difference // none: it passed
}

// Difference is one expectation that was not met.
type Difference struct {
	What, Got, Want string
	Line            int
}

// Play plays all scenarios. An error says that they could not be read, or that
// no gateway could be opened for them.
func Play(ctx context.Context, o Options) ([]Result, error) {
	all, err := read(o)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	w, err := openWorld(o)
	if err != nil {
		return nil, err
	}
	defer w.close()
	var results []Result
	for _, s := range all {
		begun := time.Now()
		wrong, err := w.play(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", s.file, s.line, s.name, err)
		}
		results = append(results, Result{s.name, s.file, s.line, time.Since(begun), wrong})
	}
	return results, nil
}

// scenario is one of a file, with its names resolved.
type scenario struct {
	name string
	file string
	line int
	at   func(path ...string) int // the line of a part of it

	As      person
	At      time.Time
	Request string
	Headers map[string]string
	Expect  expect

	records [][]byte
	send    []byte
}

// person is who asks, in the words of input.subject.
type person struct {
	ID           string     `json:"id"`
	Client       string     `json:"client"`
	Roles        []string   `json:"roles"`
	Organization string     `json:"organization"`
	FHIRUser     string     `json:"fhir_user"`
	Patient      string     `json:"patient"`
	Purpose      []string   `json:"purpose"`
	Scopes       *[]string  `json:"scopes"`
	ACR          string     `json:"acr"`
	AuthTime     *time.Time `json:"auth_time"`
}

// expect is what must come of it; what is left out may be anything.
type expect struct {
	Status   *int                      `json:"status"`
	Code     *string                   `json:"code"`
	Visible  json.RawMessage           `json:"visible"` // a list, or how many
	Fields   map[string]map[string]any `json:"fields"`
	Permits  *[]string                 `json:"permits"`
	Forbids  *[]string                 `json:"forbids"`
	Withheld *map[string]string        `json:"withheld"`
	Obliges  *[]any                    `json:"obliges"`
	Audit    map[string]any            `json:"audit"`
}
