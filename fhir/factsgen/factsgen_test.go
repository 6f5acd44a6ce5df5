package factsgen

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the table and the page instead of comparing them")

// The table that decides and the page that tells of it are made from the same
// rows; a stale one is a page that lies.
func TestGeneratedFiles(t *testing.T) {
	for file, make := range map[string]func() ([]byte, error){
		"../facts_gen.go":     Table,
		"../../docs/facts.md": Page,
	} {
		want, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): go test ./fhir/factsgen -update", file, err)
		}
	}
}

// FHIR-24: every type of the Patient compartment has an element that ties it.
func TestEveryCompartmentTypeHasPatients(t *testing.T) {
	for _, v := range Releases {
		for _, typ := range v.ResourceTypes() {
			all, err := rows(v, typ)
			if err != nil {
				t.Fatal(v, err)
			}
			_, in := v.Compartment("Patient", typ)
			if got := len(listed(all, "patients")) > 0; got != (in || typ == "Binary") {
				t.Errorf("%s %s: has patients %v, in the compartment %v", v, typ, got, in)
			}
		}
	}
}
