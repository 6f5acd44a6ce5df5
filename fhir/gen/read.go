package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// definitions are the parts of the published definitions that the tables need.
type definitions struct {
	structures   []structure
	parameters   []parameter
	compartments []compartment
}

type structure struct {
	Name        string
	Type        string
	Kind        string
	FhirVersion string
	Abstract    bool
	Derivation  string
	Snapshot    struct{ Element []element }
}

type element struct {
	ID, Path         string
	Min              int
	Max              string
	ContentReference string
	Base             struct{ Max string }
	Type             []struct {
		Code      string
		Extension []struct{ URL, ValueURL string }
	}
}

type parameter struct {
	URL, Code, Type, Expression string
	Base, Target                []string
	Component                   []struct {
		Definition json.RawMessage // a canonical; in STU3 a Reference
		Expression string
	}
}

type compartment struct {
	Code     string
	Resource []struct {
		Code  string
		Param []string
	}
}

func read(dir string) (definitions, error) {
	var d definitions
	for _, name := range []string{"profiles-types.json", "profiles-resources.json", "search-parameters.json", "compartments.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) && name == "compartments.json" {
			continue
		}
		if err != nil {
			return d, err
		}
		if err := d.add(data); err != nil {
			return d, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return d, nil
}

func (d *definitions) add(bundle []byte) error {
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return err
	}
	for _, e := range b.Entry {
		var kind struct{ ResourceType string }
		if err := json.Unmarshal(e.Resource, &kind); err != nil {
			return err
		}
		var err error
		switch kind.ResourceType {
		case "StructureDefinition":
			err = appendTo(&d.structures, e.Resource)
		case "SearchParameter":
			err = appendTo(&d.parameters, e.Resource)
		case "CompartmentDefinition":
			err = appendTo(&d.compartments, e.Resource)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func appendTo[T any](list *[]T, raw []byte) error {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
}
