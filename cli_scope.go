package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/fhir"
	"gatehouse/gateway/scope"
)

func scopeCommands() *cobra.Command {
	group := &cobra.Command{Use: "scope", Short: "Tell what SMART scopes open"}
	group.AddCommand(scopeSimulate())
	return group
}

func scopeSimulate() *cobra.Command {
	var patient string
	var asJSON bool
	var of fhirRelease
	c := &cobra.Command{
		Use:   "simulate SCOPE... | TOKEN",
		Short: "Tell which requests scopes open, and why one opens none",
		Long: `Says of each scope what it opens or why it opens nothing, and which interactions
on which types they open together, and which operations where these are allowed. Policy and consent may refuse what scopes
open; nothing opens what scopes do not. --patient is the patient of the launch
context, without whom a patient scope opens nothing.

Of a TOKEN (a JWT) the claims scope and patient are read; whether it would be
taken is not asked. A token on a command line stays in the shell's history.`,
		Example: `  gatehouse scope simulate --patient Patient/1 'patient/Observation.rs?category=laboratory' launch/patient
  gatehouse scope simulate 'user/*.rs system/Patient.cu'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			scopes := strings.Join(args, " ")
			if strings.HasPrefix(scopes, "eyJ") {
				inToken, ofToken, err := readToken(scopes)
				if err != nil {
					return err
				}
				scopes, patient = inToken, cmp.Or(patient, ofToken)
			}
			if patient != "" && !strings.HasPrefix(patient, "Patient/") {
				return fmt.Errorf("--patient %s names no resource; write Patient/%[1]s", patient)
			}
			g := scope.Parse(of.Version, strings.Fields(scopes), patient, nil)
			opened := append(openedBy(of.Version, g), operationsBy(of.Version, g)...)
			if asJSON {
				if err := writeJSON(c.OutOrStdout(), map[string]any{"scopes": g.Explain(), "opens": opened}); err != nil {
					return err
				}
			} else {
				printScopes(c.OutOrStdout(), of.Version, g, opened)
			}
			if len(opened) == 0 {
				return errors.New("together they open nothing")
			}
			return nil
		},
	}
	c.Flags().StringVar(&patient, "patient", "", "launch context, as `Patient/ID`")
	of.flag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON instead of words")
	return c
}

// readToken takes scopes and patient from a JWT without a look at its signature.
func readToken(token string) (scopes, patient string, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", "", errors.New("the token is no JWT: write its scopes instead")
	}
	var claims struct{ Scope, Patient string }
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		return "", "", fmt.Errorf("read the token's claims: %w", err)
	}
	if claims.Patient != "" && !strings.Contains(claims.Patient, "/") {
		claims.Patient = "Patient/" + claims.Patient
	}
	return claims.Scope, claims.Patient, nil
}

// simulated are the interactions of one type, each with a request that stands
// for it.
var simulated = []fhir.Interaction{fhir.Read, fhir.VRead, fhir.HistoryInstance, fhir.SearchType, fhir.HistoryType,
	fhir.Create, fhir.Update, fhir.Patch, fhir.Delete}

// opening is a set of types on which the same interactions are open.
type opening struct {
	Interactions []string `json:"interactions"`
	Types        []string `json:"types"`
}

func openedBy(v fhir.Version, g *scope.Grants) (opened []opening) {
	for _, typ := range v.ResourceTypes() {
		var open []string
		for _, i := range simulated {
			a := &fhir.Access{Interaction: i, Type: typ, Version: v}
			if i == fhir.Read || i == fhir.VRead || i == fhir.HistoryInstance || i == fhir.Update || i == fhir.Patch || i == fhir.Delete {
				a.ID = "1"
			}
			if g.Covers(a) == nil {
				open = append(open, i.String())
			}
		}
		if len(open) == 0 {
			continue
		}
		at := slices.IndexFunc(opened, func(o opening) bool { return slices.Equal(o.Interactions, open) })
		if at < 0 {
			at, opened = len(opened), append(opened, opening{Interactions: open})
		}
		opened[at].Types = append(opened[at].Types, typ)
	}
	return opened
}

// operationSamples are the levels of each operation that scopes differ on.
var operationSamples = []struct{ name, typ, id, shown string }{
	{"$everything", "Patient", "1", "Patient/[id]"}, {"$lastn", "Observation", "", "Observation"}, {"$docref", "DocumentReference", "", "DocumentReference"},
	{"$export", "", "", "the system"}, {"$export", "Patient", "", "Patient"}, {"$export", "Group", "1", "Group/[id]"},
}

// operationsBy tells which operations are open, where the operator allows them.
// $validate is open where the resource may be created or updated.
func operationsBy(v fhir.Version, g *scope.Grants) (opened []opening) {
	for _, o := range operationSamples {
		a := &fhir.Access{Interaction: fhir.Operation, Operation: o.name, Type: o.typ, ID: o.id, Version: v}
		if g.Covers(a) != nil {
			continue
		}
		if n := len(opened); n > 0 && opened[n-1].Interactions[0] == o.name {
			opened[n-1].Types = append(opened[n-1].Types, o.shown)
			continue
		}
		opened = append(opened, opening{Interactions: []string{o.name}, Types: []string{o.shown}})
	}
	return opened
}

func printScopes(out io.Writer, v fhir.Version, g *scope.Grants, opened []opening) {
	for _, e := range g.Explain() {
		fmt.Fprintf(out, "%s\n  %s\n", e.Scope, e.Text)
	}
	for _, o := range opened {
		fmt.Fprintf(out, "open: %s\n  on %s\n", strings.Join(o.Interactions, ", "), typesInWords(v, o.Types))
	}
}

// typesInWords names the fewer: the types that are there, or those that are not.
func typesInWords(v fhir.Version, types []string) string {
	all := v.ResourceTypes()
	if len(types) <= len(all)/2 {
		return strings.Join(types, ", ")
	}
	var missing []string
	for _, t := range all {
		if !slices.Contains(types, t) {
			missing = append(missing, t)
		}
	}
	if len(missing) == 0 {
		return "every type"
	}
	return "every type but " + strings.Join(missing, ", ")
}
