package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/gateway"
	"gatehouse/gateway/auth"
	"gatehouse/policies"
)

func policyCommands() *cobra.Command {
	group := &cobra.Command{Use: "policy", Short: "Edit, test, compare, roll out and explain the rules"}
	group.AddCommand(policyInit(), policyTest(), policyCoverage(), policyExplain(), policyDiff(), policyReplay(), policyShadowReport(), policyBuild())
	group.AddCommand(changeCommands()...)
	group.AddCommand(policyReview())
	return group
}

func policyInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Write the shipped rules and tables to a new directory",
		Long: `Writes the rules, tables, tests and schemas that this binary holds to DIR, which
is made and must not be there yet. To change tables alone, name yours in
policy.data; to add rules, name the directory in policy.dir. What a later version
ships does not reach a directory of your own.`,
		Example: "  gatehouse policy init policies",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.Mkdir(args[0], 0o755); err != nil {
				return fmt.Errorf("make directory of policies: %w", err)
			}
			if err := os.CopyFS(args[0], policies.Files); err != nil {
				return fmt.Errorf("write policies: %w", err)
			}
			return nil
		},
	}
}

// question are the flags of policy explain.
type question struct {
	config, as, resource string
	around               []string
	json                 bool
}

func policyExplain() *cobra.Command {
	var q question
	c := configFlag(&cobra.Command{
		Use:   "explain REQUEST-ID | explain --as USER.json METHOD TARGET",
		Short: "Tell why a request was decided as it was, or would be",
		Long: `With a request id (X-Request-Id of the answer, "request" of a log line): what the
audit trail has of it. Who asked, for what, which rules permitted and forbade,
what consent said, under which policy revision, and what was released and
withheld. This is patient data.

With --as: what would become of a request that nobody has made, decided by the
same code under this configuration. USER.json says who asks, in the words of
input.subject, and by which client:

  {"id": "ann", "client": "ward-app", "roles": ["clinician"],
   "organization": "Organization/2", "fhir_user": "Practitioner/7",
   "patient": "", "purpose": ["TREAT"], "scopes": ["user/*.rs"], "acr": ""}

Without "scopes" they are left aside and policy alone is asked. --resource is a
resource that would come back, or that would be written; --with are Consents,
Encounters and CareTeams that the FHIR server would have. Nothing is asked of
the network.`,
		Example: `  gatehouse policy explain -c gatehouse.yaml 01a20093-594a-79b8-b6cc-3bd3dc563ad6
  gatehouse policy explain -c gatehouse.yaml --as ann.json GET '/Observation?patient=1'
  gatehouse policy explain -c gatehouse.yaml --as ann.json GET /Observation/7 --resource 7.json --with consent.json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case q.as == "" && len(args) == 1:
				return q.past(c, args[0])
			case q.as != "" && len(args) == 2:
				return q.hypothetical(c, args[0], args[1])
			}
			return errors.New("write a REQUEST-ID alone, or --as USER.json with METHOD and TARGET")
		},
	}, &q.config)
	c.Flags().StringVar(&q.as, "as", "", "`FILE` that says who asks")
	c.Flags().StringVar(&q.resource, "resource", "", "`FILE` with one resource")
	c.Flags().StringArrayVar(&q.around, "with", nil, "`FILE` with a Consent, Encounter or CareTeam; may be repeated")
	c.Flags().BoolVar(&q.json, "json", false, "write JSON instead of words")
	return c
}

// asker is USER.json.
type asker struct {
	ID           string    `json:"id"`
	Issuer       string    `json:"issuer"`
	Client       string    `json:"client"`
	Roles        []string  `json:"roles"`
	Organization string    `json:"organization"`
	FHIRUser     string    `json:"fhir_user"`
	Patient      string    `json:"patient"`
	Purpose      []string  `json:"purpose"`
	Scopes       *[]string `json:"scopes"`
	ACR          string    `json:"acr"`
	AuthTime     time.Time `json:"auth_time"`
}

func readAsker(path string) (*auth.Subject, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var a asker
	in := json.NewDecoder(f)
	in.DisallowUnknownFields() // a misspelled role would be explained as none
	if err := in.Decode(&a); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if a.ID == "" || a.Client == "" {
		return nil, fmt.Errorf("%s: id and client are required", path)
	}
	s := &auth.Subject{Issuer: a.Issuer, ID: a.ID, Client: a.Client, Roles: a.Roles, Organization: a.Organization, FHIRUser: a.FHIRUser,
		Patient: a.Patient, Purpose: a.Purpose, ACR: a.ACR, AuthTime: a.AuthTime}
	if a.Scopes != nil {
		s.SMART, s.Scopes = true, *a.Scopes
	}
	return s, nil
}

func (q *question) hypothetical(c *cobra.Command, method, target string) error {
	subject, err := readAsker(q.as)
	if err != nil {
		return err
	}
	ask := gateway.Question{Subject: subject, Method: method, Target: target, Now: time.Now()}
	if q.resource != "" {
		if ask.Resource, err = os.ReadFile(q.resource); err != nil {
			return err
		}
	}
	for _, name := range q.around {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		ask.Around = append(ask.Around, text)
	}
	e, err := gateway.Explain(c.Context(), q.config, ask)
	if err != nil {
		return err
	}
	if q.json {
		return writeJSON(c.OutOrStdout(), e)
	}
	printExplanation(c.OutOrStdout(), e)
	return nil
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
